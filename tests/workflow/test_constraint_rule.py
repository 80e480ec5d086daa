"""The rule that brings constraints in: there only where the configuration names some."""

from pathlib import Path

import pytest
import yaml

import forked
from fluxatlas.config import load
from fluxatlas.errors import ConfigError
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run


def dry_run(folder: Path, config: dict[str, object]) -> str:
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    place = ("--directory", str(folder), "--configfile", str(folder / "c.yaml"))
    done = forked.snakemake("-n", "-p", "--cores", "1", *place)
    return done.stdout + done.stderr


def demo(**more: object) -> dict[str, object]:
    return {**yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text()), **more}


def test_the_rule_is_there_only_for_a_block_with_sets(tmp_path: Path) -> None:
    for name in ("CT2022.flux1x1.201501.nc", "CT2022.flux1x1.201502.nc"):
        (tmp_path / name).touch()
    sets = {"ct": {"path": "CT2022*.nc", "kind": "carbontracker"}}
    said = dry_run(tmp_path, demo(constraints={"sets": sets}))
    assert "fluxatlas ingest constraint build --settings" in said and "results/demo/ingest/constraints/ct.nc" in said
    assert "CT2022.flux1x1.201502.nc" in said
    assert "ingest constraint" not in dry_run(tmp_path, demo(constraints={"sets": {}}))


def test_absent_files_are_named(tmp_path: Path) -> None:
    said = dry_run(tmp_path, demo(constraints={"sets": {"gcb": {"path": "nowhere/GCP2024*.nc"}}}))
    assert "MissingInput" in said and "nowhere/GCP2024*.nc" in said


def test_names_and_files_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.nc").touch()
    sets = {"one": {"path": [str(tmp_path / "*.nc"), "other.nc"], "kind": "gcb"}}
    run = Run(load(demo(constraints={"sets": sets})))
    assert run.constraints == ["one"]
    assert run.constraint_files("one") == [str(tmp_path / "a.nc"), "other.nc"]
    with pytest.raises(ConfigError, match="'a b' is not a file name"):
        load(demo(constraints={"sets": {"a b": {"path": "x.nc"}}}))
    with pytest.raises(ConfigError, match=r"constraints\.sets\.one\.kindd: unknown key; did you mean 'kind'"):
        load(demo(constraints={"sets": {"one": {"path": "x.nc", "kindd": "gcb"}}}))
