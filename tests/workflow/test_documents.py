"""README and docs: every YAML block is read by what reads it, every command line is one that the commands take."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import forked
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.config.model import Config
from fluxatlas.fetch.recipe import Recipe
from fluxatlas.ingest.declaration import RULES, STEPS, CanonicalVariable, DeclaredMapping, RawVariable, parse_mapping
from fluxatlas.paths import REPOSITORY
from fluxatlas.progress import rules_by_stage

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:fluxatlas|snakemake) [^`\n]+)`")
PROMISES = re.compile(r"[<>|]|\.\.\.(?!\w)|^fluxatlas @")
"""Marks of a form (``fluxatlas <stage> ...``, ``fluxatlas @FILE``), which is not a command."""


def _blocks(*kinds: str) -> Iterator[Any]:
    for page in PAGES:
        for number, found in enumerate(FENCED.finditer(page.read_text(encoding="utf-8")), 1):
            if found[1] in kinds:
                yield pytest.param(found[2], id=f"{page.name}-{number}")


def _commands() -> list[str]:
    """Every command line of the pages, once."""
    lines: dict[str, None] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in FENCED.finditer(text):
            if found[1] in ("", "sh"):
                joined = found[2].replace("\\\n", " ")
                lines |= dict.fromkeys(part.strip() for line in joined.splitlines() for part in line.split(" && "))
        lines |= dict.fromkeys(found[1] for found in INLINE.finditer(FENCED.sub("", text)))
    ours = [line for line in lines if line.startswith(("fluxatlas ", "snakemake "))]
    return list(dict.fromkeys(found for line in ours if not PROMISES.search(found := line.partition(" #")[0].strip())))


COMMANDS = _commands()
REAL = (
    "walnut_gulch_2008",
    "nee_europe",
    "nee_months",
    "crop_towers",
    "sites_alone",
    "wetland_real",
    "soil_moisture_stations",
    "ecostress_overpasses",
)
"""Examples that read real data."""


@pytest.mark.parametrize("text", _blocks("yaml"))
def test_yaml_blocks_are_read_by_what_reads_them(text: str) -> None:
    """A configuration, or blocks of one that replace those of a run on real data; a mapping; a recipe."""
    data = yaml.safe_load(text)
    if "url" in data:
        assert Recipe.model_validate(data)
    elif "raw" in data:
        assert parse_mapping(text.encode(), "documented")
    elif "set-resources" in data:
        assert set(data["set-resources"]) <= set(rules_by_stage(REPOSITORY / "workflow" / "rules"))
    else:
        assert set(data) <= set(Config.model_fields)
        base = yaml.safe_load((REPOSITORY / "config/examples/walnut_gulch_2008.yaml").read_text())
        whole = {"run", "system", "domain", "period", "forcing", "static"} <= set(data)
        whole |= data.get("forcing", {}).get("source") == "sites"
        assert load(data if whole else base | data)


REFUSED = {
    "snakemake trends": "the period has 2 years, a trend and its factors need 6",
    "snakemake importance": "no drivers are permuted in the experiments",
    "snakemake importance --cores 2 --configfile my.yaml": "no drivers are permuted in the experiments",
    "snakemake factors": "soil_methane_sink declares no store",
    "snakemake yields": "no table of yields is named",
    "snakemake overpasses": "no table of overpasses and its list of towers are named",
    "snakemake comparison": "no gridded products are named to compare with",
    "snakemake --configfile my.yaml --cores 2 comparison": "no gridded products are named to compare with",
}
"""Commands that the embedded default is too small for, and what it answers."""


def test_the_pages_have_commands_to_look_at() -> None:
    assert len([line for line in COMMANDS if line.startswith("fluxatlas ")]) > 20
    assert len([line for line in COMMANDS if line.startswith("snakemake ")]) > 4


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("fluxatlas ")])
def test_fluxatlas_takes_the_command_line(line: str) -> None:
    """Sub-commands, options and the number of words; files need not be there."""
    words = [word.replace("...", "") for word in shlex.split(line)[1:]]
    words = [word for word in words if word and not word.startswith("[") and not word.endswith("]")]
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="fluxatlas")
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"no command '{name}' in: {line}"
        command, context = found, found.context_class(found, info_name=name, parent=context, **found.context_settings)
    given, rest, _ = command.make_parser(context).parse_args([*words])  # refuses unknown options
    assert not rest, f"{rest} left over in: {line}"
    if words and not hasattr(command, "get_command"):  # without any word it is a name in a sentence
        absent = [p.name for p in command.params if p.required and given.get(p.name) in (None, (), [])]
        assert not absent, f"{absent} lack in: {line}"


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("snakemake ")])
def test_snakemake_plans_the_command_line(line: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A dry run in a folder like the clone, with the embedded default under the names of users' files."""
    words = shlex.split(line)[1:]
    if "--profile" in words:
        folder = REPOSITORY / words[words.index("--profile") + 1]
        assert list(folder.glob("config*.yaml"))
        return
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("config", "resources"):
        (folder / name).symlink_to(REPOSITORY / name)
    if {f"config/examples/{name}.yaml" for name in REAL} & set(words):
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared" / "data").symlink_to(request.getfixturevalue("data_dir"))
    default = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    for name, run in (("my.yaml", "x"), ("my_region.yaml", "my_region")):
        (folder / name).write_text(yaml.safe_dump({**default, "run": {**default["run"], "name": run}}))
    words += [] if {"--cores", "-c"} & set(words) else ["--cores", "1"]
    done = forked.snakemake("--quiet", "all", "-n", *words, cwd=folder)
    if line in REFUSED:
        assert done.returncode == 1 and REFUSED[line] in done.stdout + done.stderr
        return
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_page_of_mappings_names_every_key_and_rule() -> None:
    page = (REPOSITORY / "docs" / "forcing_mappings.md").read_text(encoding="utf-8")
    names = [*DeclaredMapping.model_fields, *RawVariable.model_fields, *CanonicalVariable.model_fields, *RULES]
    assert not [name for name in names if f"| `{name}` |" not in page]
    steps = ", ".join(f"{step:g}" for step in STEPS[:-1])
    assert f"{steps} or {STEPS[-1]}" in page


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("fluxatlas plna my.yaml", "no command 'plna'"),
        ("fluxatlas inspect x.nc --plto y.png", "plto"),
        ("fluxatlas regrid regions --grid 4km", "lack in"),
        ("fluxatlas plan a.yaml b.yaml", "left over"),
    ],
)
def test_a_wrong_command_line_would_be_found(line: str, lacks: str) -> None:
    with pytest.raises(Exception, match=lacks):
        test_fluxatlas_takes_the_command_line(line)


def test_extras_that_are_to_be_installed_exist() -> None:
    """`pip install 'fluxatlas[grib]'` adds an extra to what is installed already, also from a wheel."""
    declared = set(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    texts = [path.read_text(encoding="utf-8") for path in (*PAGES, *(REPOSITORY / "src").rglob("*.py"))]
    named = {
        name for text in texts for found in re.findall(r"fluxatlas\[([\w,]+)\]", text) for name in found.split(",")
    }
    assert {"fetch", "grib", "slurm"} <= named <= declared
