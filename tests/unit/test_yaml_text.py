"""A key that stands twice is refused with its lines wherever YAML is read; merge keys, anchors and JSON stay fine."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import forked
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.errors import ConfigError
from fluxatlas.fetch.recipe import load_recipe
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.paths import REPOSITORY, RESOURCES
from fluxatlas.yaml_text import parse_keys, read_keys

RUN = """run: {name: r}
system: soil_methane_sink
period: {start: 2001, end: 2001, spinup: repeat}
domain: {west: -8, south: 37, east: -6, north: 37.5}
forcing: {source: synthetic_earth}
sites:
  entries:
    - {source: fluxnet, path: [towers]}
"""
TWICE = RUN + "products: {monthly: false}\nsites:\n  entries:\n    - {source: chambers, path: [c.csv]}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' comes twice: lines 1 and 3"),
        ("a: 1\na: 1\nb: 2\na: 3", "the key 'a' comes 3 times: lines 1, 2 and 4"),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "the key 'a.b' comes twice: lines 2 and 4"),
        ("a: [{b: 1}, {b: 1, c: {d: 1, d: 1}}]", "the key 'a.1.c.d' comes twice: lines 1 and 1"),
        ("yes: 1\ntrue: 2", "the key 'True' comes twice: lines 1 and 2"),
        ("16: 1\n0x10: 2", "the key '16' comes twice: lines 1 and 2"),
        ('"a": 1\na: 2', "the key 'a' comes twice: lines 1 and 2"),
        ("x: &x {a: 1,\n  a: 2}\ny: *x", "the key 'x.a' comes twice: lines 1 and 2"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  b: 1\n  b: 2", "the key 'y.b' comes twice: lines 4 and 5"),
        ('{"a": 1,\n\t"a": 2}', "the key 'a' comes twice: lines 1 and 2"),
    ],
)
def test_a_key_that_comes_twice_is_refused_with_its_lines(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + message.replace(".", r"\.") + "\n") as problem:
        parse_keys(text, "file", "x.yaml")
    assert problem.value.where == "x.yaml"


def test_all_of_them_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as problem:
        parse_keys("a: {b: 1, b: 2}\nc: 1\nc: 2", "file", "x.yaml")
    assert problem.value.what.splitlines() == [
        "the key 'a.b' comes twice: lines 1 and 1",
        "the key 'c' comes twice: lines 2 and 3",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "deep: {er: {x: &x {<<: &y {a: 1, b: 2}, a: 3}}}\nz: {<<: *x, b: 4}",  # merged keys may be given anew
        "a: &a {b: 1}\nc: &c {d: 1}\ne: {<<: [*a, *c], b: 2}",
        "a: &a [1, 2]\nb: *a\nc: [{k: 1}, {k: 2}]\nd: {k: 1}",
        '1: a\n"1": b',
        "a: &a {b: *a}",
    ],
)
def test_merge_keys_anchors_and_equal_keys_of_different_mappings_are_fine(text: str) -> None:
    assert repr(parse_keys(text, "file", "x.yaml")) == repr(yaml.safe_load(text))


def test_json_indented_by_tabs_is_read_as_snakemake_reads_it() -> None:
    assert parse_keys('{\n\t"a": {\n\t\t"b": 1\n\t}\n}', "file", "x.json") == {"a": {"b": 1}}


def test_no_key_of_the_repository_comes_twice() -> None:
    paths = [
        path
        for folder in ("config", "resources", "workflow", "tests")
        for path in (REPOSITORY / folder).rglob("*.yaml")
    ]
    assert len(paths) > 20 and all(read_keys(path) for path in paths)


def test_shipped_tables_are_read_like_any_other(monkeypatch, tmp_path: Path) -> None:
    from fluxatlas import gases, variables

    for module, name in ((gases, "gases"), (variables, "variables")):
        text = (RESOURCES / f"{name}.yaml").read_text()
        first = next(iter(yaml.safe_load(text)))
        (tmp_path / f"{name}.yaml").write_text(f"{text}\n{first}: {{}}\n")
        monkeypatch.setattr(module, "RESOURCES", tmp_path)
        read = module.gases if name == "gases" else module.table
        with pytest.raises(ConfigError, match=f"the key '{first}' comes twice"):
            read.__wrapped__()


def test_configurations_mappings_and_recipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(TWICE)
    (tmp_path / "m.yaml").write_text((RESOURCES / "mappings" / "livneh.yaml").read_text() + "\nraw: {}\n")
    recipe = next((RESOURCES / "fetch").glob("*.yaml"))
    (tmp_path / "r.yaml").write_text(recipe.read_text() + f"\n{next(iter(read_keys(recipe)))}: x\n")
    for read, name in ((load, "c"), (load_mapping, "m"), (load_recipe, "r")):
        with pytest.raises(ConfigError, match="comes twice: lines"):
            read(str(tmp_path / f"{name}.yaml"))
    for words in (["check"], ["config", "check"], ["plan"], ["status"]):
        done = CliRunner().invoke(app, [*words, str(tmp_path / "c.yaml")])
        assert "the key 'sites' comes twice: lines 6 and 10" in str(done.exception)


def _snakemake(folder: Path, *options: str) -> str:
    done = forked.snakemake("-n", "--directory", str(folder), *options, cwd=folder)
    assert done.returncode != 0 and "Traceback" not in done.stderr and not (folder / "results").exists()
    return done.stdout + done.stderr


def test_snakemake_refuses_it_before_anything_is_planned(tmp_path: Path) -> None:
    (tmp_path / "fine.yaml").write_text(RUN)
    (tmp_path / "twice.yaml").write_text("products: {monthly: true}\nproducts: {monthly: false}\n")
    said = _snakemake(tmp_path, "--configfile", str(tmp_path / "fine.yaml"), str(tmp_path / "twice.yaml"))
    assert "the key 'products' comes twice: lines 1 and 2" in said and "twice.yaml" in said


def test_snakemake_refuses_it_in_a_profile(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("keep-going: true\nretries: 1\nretries: 2\n")
    said = _snakemake(tmp_path, "--profile", str(tmp_path))
    assert "the key 'retries' comes twice: lines 2 and 3" in said
