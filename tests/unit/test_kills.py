"""The trials of ``make faults``: a job that writes as all jobs do passes them, one that does not is found out."""

import os
import random
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kills"))

import lost_drivers

import kills

WORDS = "fluxatlas ingest atmosphere --input ch4.csv --output out/ch4.csv --gas ch4 --first-year 1996 --last-year 2005"
JOB = kills.Job("tiny", "atmosphere", tuple(WORDS.split()), "log/ch4.log", ("out/ch4.csv",), 1.0)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of the trials, and that of the truth, with the job done."""
    work, truth = tmp_path / "work", tmp_path / "truth"
    work.mkdir()
    rows = "".join(f"{year},{1700 + year - 1990},0.5\n" for year in range(1995, 2006))
    (work / "ch4.csv").write_text(f"# CH4\nyear,mean,unc\n{rows}")
    assert kills.finished(kills.start(JOB, work), 60) == 0
    shutil.copytree(work, truth)
    return work, truth


def test_a_job_that_writes_whole_files_passes(places: tuple[Path, Path]) -> None:
    chance, killed = random.Random(3), 0
    for number in range(3):
        found = kills.trial(JOB, *places, 0.2, number % 2 == 0, chance)
        assert found.wrong == []
        killed += found.killed
    assert killed  # by chance and the load of the machine not each time


def test_a_job_that_writes_in_place_is_found_out(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the file under its own name, and a temporary file that nobody removes."""
    work, truth = places
    whole = (truth / "out/ch4.csv").read_bytes()

    def careless(job: kills.Job, folder: Path) -> int:
        if child := os.fork():
            return child
        os.setsid()
        (folder / "out/ch4.csv").write_bytes(whole[: len(whole) // 2])
        (folder / "out/.ch4.part.csv").touch()
        time.sleep(5 if not (folder / "again").exists() else 0)
        (folder / "out/ch4.csv").write_bytes(whole + b"2006,1,1\n")
        os._exit(0)

    monkeypatch.setattr(kills, "start", careless)
    killed = kills.kill
    monkeypatch.setattr(kills, "kill", lambda *given: (killed(*given), (work / "again").touch())[0])
    found = kills.trial(JOB, work, truth, 1.0, True, random.Random(1))
    assert found.killed
    assert [text.split("csv ")[1] for text in found.wrong[:2]] == ["is half written", "differs"]
    assert found.wrong[2].endswith(".ch4.part.csv is left")


def test_numbers_of_json_count_but_not_when_it_was_made(tmp_path: Path) -> None:
    truth = '{"sd": 0.31, "rows": [{"n": 4, "r": NaN}], "made_ns": 1796012632172984254, "about": {"history": "1 h"}}'

    def alike(text: str, name: str = "a.json") -> bool:
        (tmp_path / name).write_text(text)
        (tmp_path / f"truth_{name}").write_text(truth)
        return kills.alike(tmp_path / name, tmp_path / f"truth_{name}")

    assert alike(truth) and alike(truth.replace("1796012632172984254", "1").replace("1 h", "2 h"))
    assert not alike(truth.replace("0.31", "9999")) and not alike(truth.replace("4", "5", 1))
    assert not alike(truth.replace(', "r": NaN', "")) and not alike(truth[: len(truth) // 2])
    assert alike(truth.replace("0.31", "9999"), "page.md")  # pages name times and hashes anywhere


DRIVER = """
import pathlib, subprocess, sys
lock, out = pathlib.Path("lock"), pathlib.Path("results/out.csv")
if "--unlock" in sys.argv:
    lock.unlink()
elif "--dry-run" in sys.argv:
    print("Nothing to be done" if out.exists() else "one job")
elif lock.exists():
    sys.exit("Directory cannot be locked; try --unlock")
elif not out.exists():
    lock.touch()
    subprocess.run([sys.executable, "fluxatlas"], check=True)
    lock.unlink()
"""
"""Stands for Snakemake: a lock, a job, and what is to be made."""
JOBS = {
    "whole": "import os, time; time.sleep(0.7); open(f'{os.getpid()}', 'w').write('1,2\\n');"
    "os.replace(f'{os.getpid()}', 'results/out.csv')",
    "in place": "import os, time; time.sleep(0.7);"
    "open('results/out.csv', 'a').write('1,2\\n'); open('results/.a.part', 'w')",
}


@pytest.mark.parametrize(("job", "wrong"), [("whole", []), ("in place", ["out.csv differs", ".a.part is left"])])
def test_a_driver_is_killed_and_its_job_runs_beside_the_next(tmp_path: Path, job: str, wrong: list[str]) -> None:
    work, truth = tmp_path / "work", tmp_path / "truth"
    for folder in (work, truth):
        (folder / "results").mkdir(parents=True)
        (folder / "results" / "out.csv").write_text("1,2\n")
    (work / "driver.py").write_text(DRIVER)
    (work / "fluxatlas").write_text(JOBS[job])
    command = ["env", "-C", str(work), sys.executable, "driver.py"]
    found = lost_drivers.trial(command, ["results/out.csv"], (work, truth), 0.1, hold=True)
    assert found.killed and found.left == 1 and found.beside
    assert [text.removeprefix("results/") for text in found.wrong] == wrong
    assert (work / "results" / "out.csv").read_text() == "1,2\n" and not lost_drivers.at_work(work)
