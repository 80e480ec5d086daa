"""`snakemake twin` without running it: a job for each world, and what each of these jobs would do."""

import json
import re
from pathlib import Path

import yaml
from test_rules import snakemake

from fluxatlas.config import load
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run

EXAMPLE = REPOSITORY / "config" / "examples" / "twin.yaml"


def _dry(folder: Path, config: Path, *targets: str, check: bool = True) -> str:
    options = ("-n", "-p", "--cores", "2", "--directory", str(folder), "--configfile", str(config))
    done = snakemake(*targets, *options, check=check)
    assert check or done.returncode != 0
    return done.stdout + done.stderr


def test_both_worlds_are_run_as_often_as_asked_for_and_brought_into_one_table(tmp_path: Path) -> None:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["synthetic_earth"]["twin_worlds"] = 2
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(data))
    said = _dry(tmp_path, config, "twin", "constraint_twin")
    assert re.search(r"^twin_world +4$", said, re.M) and re.search(r"^total +6$", said, re.M)
    assert "fluxatlas twin constraint --output results/twin/twin/constraint" in said
    made = {json.loads(text)["run"]["name"] for text in re.findall(r"twin world --settings '(.*)' --cores 2", said)}
    assert made == {f"{world}-{seed}" for world in ("kind", "realistic") for seed in (73, 74)}
    assert "--world=results/twin/twin/{kind-73,kind-74,realistic-73,realistic-74}" in said


def test_the_run_of_a_world_ends_at_what_the_table_reads_and_is_no_part_of_all(tmp_path: Path) -> None:
    run = Run(load(EXAMPLE))
    config = tmp_path / "world.yaml"
    config.write_text(yaml.safe_dump(json.loads(run.twin_settings("realistic", 73))))
    root = "results/twin/twin/realistic-73"
    said = _dry(tmp_path, config, f"{root}/evaluate/truth.csv", f"{root}/evaluate/truth_sites.csv")
    assert '"world": "realistic"' in said and "synthetic-earth site-truth" in said and "evaluate truth-sites" in said
    assert "products daily" not in said
    whole = _dry(tmp_path, EXAMPLE)
    assert "fluxatlas twin" not in whole and "truth_sites" not in whole


def test_a_run_without_a_hidden_truth_has_no_twin(tmp_path: Path) -> None:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["train"] = {"members_from": "elsewhere/train"}
    (tmp_path / "elsewhere" / "train" / "members").mkdir(parents=True)
    (tmp_path / "elsewhere" / "train" / "members" / "0.pt").touch()
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(data))
    assert "a twin trains members of its own" in _dry(tmp_path, config, "twin", check=False)
