"""What the workflow says before its first job and after its last one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import forked
from fluxatlas.cli import main
from fluxatlas.farewell import program
from fluxatlas.paths import REPOSITORY

CONFIG = """
run: {name: r}
system: soil_methane_sink
grid: {name: 4km, tile_size: 1}
domain: {west: -8, south: 37, east: -6, north: 37.5}
period: {start: 2001, end: 2001, spinup: repeat, spinup_years: 1}
forcing: {source: synthetic_earth}
atmosphere: {series: {ch4: {path: ch4.csv}}}
"""
TARGET = "results/r/ingest/atmosphere/ch4_global.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(CONFIG)
    return tmp_path


def _methane(folder: Path, last: int) -> None:
    rows = "".join(f"{year},{1700 + year - 1990},0.5\n" for year in range(1995, last + 1))
    (folder / "ch4.csv").write_text(f"# CH4\nyear,mean,unc\n{rows}")


def _snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    place = ("--directory", str(folder), "--configfile", str(folder / "c.yaml"))
    return forked.snakemake(*options, "--cores", "1", *place, look=True)


def test_after_a_part_of_the_run_only_what_was_made_is_named(folder: Path) -> None:
    _methane(folder, 2005)
    done = _snakemake(folder, TARGET)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    named = [line.strip() for line in said.splitlines() if line.startswith("  results/")]
    assert named == [TARGET] and (folder / TARGET).exists()
    assert "Done: a part of soil_methane_sink" in said and "The run is partial" in said
    assert "Worth opening" not in said and "report" not in said
    assert "1 of 1 jobs, done" in said and "wildcards:" not in said


def test_a_whole_run_stops_before_its_first_job_where_an_input_is_wrong(folder: Path) -> None:
    _methane(folder, 2000)
    done = _snakemake(folder)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "holds the complete years 1995-2000, not 2001" in said, said
    assert "1 problem before the first job" in said and "Traceback" not in said
    assert not list((folder / "results").rglob("*.*")), "a job was run"


def test_a_dry_run_of_everything_says_the_same_and_one_of_a_part_does_not_look(folder: Path) -> None:
    _methane(folder, 2000)
    done = _snakemake(folder, "-n")
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "1 problem before the first job" in said, said
    assert "1. holds the complete years 1995-2000, not 2001" in said and not (folder / "results").exists()
    assert not any(word in said for word in ("Traceback", "InputFunctionException")), said
    assert _snakemake(folder, "-n", TARGET).returncode == 0
    _methane(folder, 2005)
    done = _snakemake(folder, "-n")
    assert done.returncode == 0 and "This was a dry-run" in done.stdout


def test_the_text_of_a_failed_job_is_the_end_of_its_log(folder: Path) -> None:
    _methane(folder, 2000)
    done = _snakemake(folder, TARGET)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "Error in rule atmosphere" in said and f"output: {TARGET}" in said, said
    assert "error: holds the complete years 1995-2000, not 2001" in said and "set -euo pipefail" not in said


@pytest.fixture
def fluxatlas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line in a folder: exit status, what it prints, and what it says on the side."""
    for module in ("explain", "status"):
        monkeypatch.setattr(f"fluxatlas.{module}.subprocess", forked)

    def call(folder: Path, *words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["fluxatlas", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return call


def test_status_explain_plan_and_check_work_in_any_folder(
    folder: Path, fluxatlas: Callable[..., tuple[int, str, str]]
) -> None:
    _methane(folder, 2005)
    place, target = ("c.yaml", "--directory", "."), f"{TARGET}: does not exist yet (rule atmosphere)"
    elsewhere = (f"{folder.name}/c.yaml", "--directory", folder.name)
    for start, words in ((folder, place), (folder.parent, elsewhere)):
        _, said, aside = fluxatlas(start, "status", *words)
        assert "N37W008     ." in said and not aside, said + aside
    _, said, _ = fluxatlas(folder.parent, "explain", TARGET, *elsewhere, "--snakefile", str(REPOSITORY / "Snakefile"))
    assert target in said
    for command in ("plan", "check"):
        _, said, _ = fluxatlas(folder.parent, command, *elsewhere)
        assert "soil_methane_sink on 2 tiles" in said and "problem" not in said, said
    for option, name in (("--directory", "nowhere"), ("--snakefile", "nowhere/Snakefile")):
        code, _, aside = fluxatlas(folder, "status", "c.yaml", option, name)
        assert code == 1 and f"where: {name}\n  do:    correct {option}" in aside


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        (
            (TARGET,),
            f"'{TARGET}' was taken for a second configuration: --configfile takes all words up to the next option",
        ),
        (("ch4.csv",), "'ch4.csv' was taken for a second configuration"),
        (("gone.yaml",), "configuration file not found: gone.yaml"),
    ],
)
def test_words_behind_configfile_that_are_not_configurations_are_explained(
    folder: Path, behind: tuple[str, ...], message: str
) -> None:
    _methane(folder, 2005)
    done = forked.snakemake("-n", "--configfile", "c.yaml", *behind, cwd=folder)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and message in said and "  do:  " in said and "Traceback" not in said, said


def test_the_order_that_the_message_names_works(folder: Path) -> None:
    _methane(folder, 2005)
    done = forked.snakemake("-n", "--configfile=c.yaml", TARGET, cwd=folder)
    assert done.returncode == 0 and "rule atmosphere" in done.stdout


def test_the_command_of_the_page_can_be_typed_where_no_environment_is_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".venv" / "bin"
    home.mkdir(parents=True)
    (home / "fluxatlas").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    assert program() == ".venv/bin/fluxatlas"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program() == str(home / "fluxatlas")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / ".venv"))
    assert program() == "fluxatlas"
