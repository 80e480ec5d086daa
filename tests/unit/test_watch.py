"""``fluxatlas status --watch``: what is counted, the rate, what a look costs, and how it ends."""

import os
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fluxatlas import watch as module
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.paths import REPOSITORY
from fluxatlas.status import FileStatus, stage_of
from fluxatlas.watch import Watch, watch

ROOT = "results/demo"
TILES, YEARS = 30, 4


def _write(folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("x")


def _flux(tile: int, year: int) -> str:
    return f"{ROOT}/infer/T{tile:02}/{2001 + year}.nc"


@pytest.fixture
def state(tmp_path: Path) -> Watch:
    """A run with its attributes made, tile-years missing, and a stale report."""
    _write(tmp_path, f"{ROOT}/regrid/T00.nc")
    _write(tmp_path, f"{ROOT}/report/summary.html")
    os.utime(tmp_path / ROOT / "report/summary.html", (1, 1))
    files = [FileStatus(f"{ROOT}/regrid/T00.nc", "attributes", "done", "")]
    files += [FileStatus(_flux(t, y), "infer", "missing", "") for t in range(TILES) for y in range(YEARS)]
    files += [FileStatus(f"{ROOT}/report/summary.html", "summary", "stale", "params changed")]
    return Watch(ROOT, files, tmp_path)


def test_it_counts_what_is_made_and_takes_the_rate_of_it(state: Watch) -> None:
    state.look(now=0.0)
    infer, report = state.stages["infer"], state.stages["report"]
    assert (infer.made, infer.total, infer.left, state.stages["regrid"].left) == (0, 120, "", "done")
    assert (report.made, report.total) == (0, 1)  # it is there, but it is the stale one
    for tile in range(10):
        for year in range(YEARS):
            _write(state.folder, _flux(tile, year))
    state.look(now=60.0)
    assert infer.made == 40 and infer.seconds_left() == pytest.approx(80 * 60 / 40)
    assert "infer 40 of 120 (about 2 min)" in state.line()
    state.look(now=60.0 + module.WINDOW)
    state.look(now=61.0 + module.WINDOW)
    assert infer.seconds_left() is None  # nothing was made in the window


def test_a_file_made_while_snakemake_was_asked_counts(tmp_path: Path) -> None:
    _write(tmp_path, _flux(0, 0))
    state = Watch(ROOT, [FileStatus(_flux(0, 0), "infer", "missing", "")], tmp_path)
    state.look()
    assert state.done


def test_a_stale_file_counts_once_it_is_written_again(state: Watch) -> None:
    state.look()
    _write(state.folder, f"{ROOT}/report/summary.html")
    state.look()
    assert state.stages["report"].left == "done"


def test_marks_of_snakemake_say_what_is_being_made(state: Watch) -> None:
    marks = state.folder / ".snakemake" / "incomplete"
    marks.mkdir(parents=True)
    for path in (_flux(0, 0), _flux(1, 0), "elsewhere/other.nc"):
        (marks / urlsafe_b64encode(path.encode()).decode()).touch()
    (marks / "@begin-of-a-long-name").mkdir()
    (marks / "not_base64_\xe9").touch()
    _write(state.folder, _flux(1, 0))  # complete, as its job is about to say
    state.look()
    assert state.stages["infer"].working == 1
    assert "no workflow is at work here" in state.line()
    (state.folder / ".snakemake" / "locks").mkdir()
    (state.folder / ".snakemake" / "locks" / "0.input.lock").touch()
    assert "no workflow" not in state.line()


def test_a_look_lists_folders_that_lack_files_and_opens_nothing(state: Watch, monkeypatch) -> None:
    for tile in range(TILES - 5):
        for year in range(YEARS):
            _write(state.folder, _flux(tile, year))
    state.look()
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(str(folder)) or scandir(folder))
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file was opened"))
    state.look()
    assert len(listed) == 5 + 1 + 1  # five tiles, the report, the marks


def test_without_a_terminal_it_is_a_line_for_each_look_and_ends_by_itself(state: Watch, capsys) -> None:
    waits = []

    def work(seconds: float) -> None:
        waits.append(seconds)
        for tile in range(TILES // 2 * (len(waits) - 1), TILES // 2 * len(waits)):
            for year in range(YEARS):
                _write(state.folder, _flux(tile, year))
        if len(waits) == 2:
            _write(state.folder, f"{ROOT}/report/summary.html")

    watch(state, 7.0, work)
    lines = capsys.readouterr().out.splitlines()
    assert waits == [7.0, 7.0] and len(lines) == 3
    assert "1 of 122 files" in lines[0] and "61 of 122 files" in lines[1] and lines[2].endswith("122 of 122 files")


def test_on_a_terminal_it_is_a_table_and_the_interrupt_is_calm(state: Watch, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    watch(state, 1.0, interrupt)
    said = capsys.readouterr()
    assert "infer" in said.out and "being made" in said.out and "120" in said.out
    assert said.err == "no longer watched; the run itself goes on\n"


def test_the_command_watches_what_snakemake_says(tmp_path: Path, monkeypatch) -> None:
    config = REPOSITORY / "config" / "config.yaml"
    root = str(load(config).run.results) + "/demo"
    monkeypatch.setattr("fluxatlas.status.read", lambda *_: [FileStatus(f"{root}/products/a.nc", "daily", "done", "")])
    done = CliRunner().invoke(app, ["status", str(config), "--directory", str(tmp_path), "--watch", "--every", "2"])
    assert done.exit_code == 0 and done.stdout.strip().endswith("1 of 1 files")


def test_the_stage_of_a_path_is_its_folder() -> None:
    assert stage_of(ROOT, f"{ROOT}/infer/T/2001.nc") == "infer"
    assert stage_of(ROOT, "results/demo2/infer/T/2001.nc") == "elsewhere"
