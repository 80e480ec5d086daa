"""``make faults``: jobs of whole runs are killed again and again; no file may be half written, all are made the same.

Two small runs are made once (tests/end_to_end/tiny.yaml with a student and an EASE-Grid; crop.yaml with phases,
experiments, importance, factors and yields). Then, in a copy of each, one job after the other loses its results, is
started, and is killed with all its processes (SIGKILL), in turn at a random moment and just when it writes. What has
its name then must be what the run had; the job is given again and must end well, with every file as before (bit by bit;
pictures by their pixels) and nothing left of the dead one. Rules take turns, so that every stage is hit. Then the
driver itself is killed while its jobs run (lost_drivers.py).
"""

from __future__ import annotations

import argparse
import base64
import importlib
import itertools
import json
import os
import pkgutil
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "slurm"), str(TESTS / "end_to_end")]

from lost_drivers import Run  # noqa: E402
from lost_drivers import campaign as kill_drivers  # noqa: E402
from same import alike  # noqa: E402

REPOSITORY = TESTS.parent
RUNS = {
    "tiny": (
        TESTS / "end_to_end" / "tiny.yaml",
        ["all"],
        ["infer={ensemble: student, student_steps: 30}",
         "products={variables: [fch4, swc05], monthly: false, ease_grid: 36 km}"],
    ),
    "crop": (TESTS / "kills" / "crop.yaml", ["all", "benchmark", "importance", "factors", "yields"], []),
}  # fmt: skip
"""Configuration, targets and changed leaves of each run."""
LATEST = 600.0
"""Seconds after which a job that goes on is a fault."""


@dataclass(frozen=True)
class Job:
    """A job of a run: its rule, its command, its results, and how long it took [s]."""

    run: str
    rule: str
    words: tuple[str, ...]
    log: str
    outputs: tuple[str, ...]
    seconds: float

    @property
    def stage(self) -> str:
        return next((w for w in self.words[1:] if not w.startswith("-")), "")


def yield_table(path: Path) -> None:
    """Yields of made-up counties in the layout of CY-Bench."""
    rng = np.random.default_rng(1)
    rows = ["adm_id,year,avgTAVGp0,totPRECp0,yield"]
    for place in (f"{state}_C{number:02d}" for state in ("IL", "IA", "IN", "OH") for number in range(12)):
        for year in range(1990, 2019):
            warm, rain = rng.normal(0, 1.5), rng.normal(0, 20)
            harvest = 8 + 0.05 * (year - 1990) - 0.3 * warm + 0.01 * rain + rng.normal(0, 0.5)
            rows.append(f"{place},{year},{12 + warm:.2f},{80 + rain:.1f},{harvest:.2f}")
    path.write_text("\n".join(rows) + "\n")


def driver(run: str, folder: Path, targets: Sequence[str]) -> list[str]:
    """The command that makes ``targets`` of ``run`` in ``folder``."""
    config, _, changed = RUNS[run]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    command += ["--configfile", str(config), "--directory", str(folder), *targets]
    return [*command, "--config", *changed] if changed else command


def make(run: str, folder: Path) -> None:
    """Make the run ``run`` in ``folder``, unless it is there."""
    if not folder.exists():
        from test_tiny_run import write_inputs

        folder.mkdir(parents=True)
        write_inputs(folder) if run == "tiny" else yield_table(folder / "maize.csv")
    command = driver(run, folder, RUNS[run][1])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the run cannot be made:\n{done.stdout[-4000:]}")


def jobs(run: str, folder: Path) -> list[Job]:
    """All jobs of a finished run, from what Snakemake noted of each result."""
    found: dict[str, dict] = {}
    outputs = defaultdict(list)
    for path in (folder / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            noted = json.loads(path.read_text())
            name = base64.b64decode(
                "".join(path.relative_to(folder / ".snakemake" / "metadata").parts).replace("@", "")
            )
            outputs[noted["shellcmd"]].append(name.decode())
            found[noted["shellcmd"]] = noted
    made = []
    for command, noted in found.items():
        line, _, log = command.rpartition(" 2> ")
        took = noted["endtime"] - noted["starttime"]
        held = tuple(sorted(outputs[command]))
        made.append(Job(run, noted["rule"], tuple(shlex.split(line)), shlex.split(log)[0], held, took))
    return sorted(made, key=lambda job: job.words)


def start(job: Job, folder: Path) -> int:
    """The process, and leader of a group of its own, that does ``job`` in ``folder`` with all modules loaded."""
    (folder / job.log).parent.mkdir(parents=True, exist_ok=True)
    if child := os.fork():
        return child
    os.setsid()
    os.chdir(folder)
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 2)
    os.dup2(log, 1)
    sys.argv = list(job.words)
    code = 1
    try:
        from fluxatlas.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finished(child: int, seconds: float) -> int | None:
    """The exit status of ``child`` if it ends within ``seconds``."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def writing(job: Job, folder: Path) -> Iterator[str]:
    """Hidden files and folders beside the results and the checkpoint of ``job``, which a writer has made."""
    beside = [word for before, word in itertools.pairwise(job.words) if before == "--checkpoint"]
    for place in {(folder / output).parent for output in (*job.outputs, *beside)}:
        with suppress(OSError):
            yield from (entry.path for entry in os.scandir(place) if ".part" in entry.name or ".scratch" in entry.name)


def kill(job: Job, folder: Path, seconds: float, at_writing: bool, chance: random.Random) -> bool:
    """Start ``job``, which takes about ``seconds``, and kill it at a random moment or when it writes; whether it was
    killed before its end."""
    began = time.monotonic()
    child = start(job, folder)
    moment, late = began + chance.uniform(0.05, 0.95) * seconds, began + 4 * job.seconds + 60
    code = None
    while code is None and time.monotonic() < (late if at_writing else moment):
        if at_writing and next(writing(job, folder), None):
            code = finished(child, chance.uniform(0, 0.03))
            break
        code = finished(child, 0.002)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return code is None


@dataclass
class Trial:
    """What came of a job that was to be killed: whether it was in time, what is wrong, and how long it takes [s]."""

    killed: bool
    wrong: list[str]
    seconds: float


def trial(job: Job, folder: Path, truth: Path, seconds: float, at_writing: bool, chance: random.Random) -> Trial:
    """Lose, kill and make ``job`` again."""
    for output in job.outputs:
        (folder / output).unlink(missing_ok=True)
    killed = kill(job, folder, seconds, at_writing, chance)
    wrong = [
        f"{output} is half written" for output in job.outputs
        if (folder / output).exists() and not alike(folder / output, truth / output)
    ]  # fmt: skip
    begun, child = time.monotonic(), start(job, folder)
    code = finished(child, LATEST)
    took = time.monotonic() - begun
    if code is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return Trial(killed, [*wrong, "it does not end"], took)
    if code:
        return Trial(killed, [*wrong, f"it ends with {code}: {(folder / job.log).read_text()[-400:]}"], took)
    for output in job.outputs:
        if not (folder / output).exists():
            wrong.append(f"{output} is missing")
        elif not alike(folder / output, truth / output):
            wrong.append(f"{output} differs")
    return Trial(killed, [*wrong, *(f"{left} is left" for left in writing(job, folder))], took)


def finished_run(run: str, top: Path, made: list[Job]) -> Run:
    """``run`` below ``top`` with what its jobs ``made``, for the killing of drivers."""
    files = defaultdict(list)
    for job in made:
        files[job.rule].append(job.outputs)
    return Run(run, partial(driver, run, top / run), files, float(np.median([job.seconds for job in made])))


def preload() -> None:
    """Load what any job may, once for all."""
    import fluxatlas

    for module in pkgutil.walk_packages(fluxatlas.__path__, "fluxatlas."):
        importlib.import_module(module.name)


def campaign(every: list[Job], top: Path, count: int, seed: int, until: float) -> int:
    """Kill ``count`` jobs, rules in turn; print a line for each fault and a table; the number of faults."""
    chance = random.Random(seed)
    by_rule = defaultdict(list)
    for job in every:
        by_rule[job.run, job.rule].append(job)
    kills: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    usual: dict[Job, float] = {}
    faults, done, tried = 0, 0, 0
    while done < count and time.time() < until:
        for rule in chance.sample(sorted(by_rule), len(by_rule)):
            job = chance.choice(by_rule[rule])
            tried += 1
            places = top / job.run, top / f"{job.run}_truth"
            found = trial(job, *places, usual.get(job, job.seconds / 3), tried % 2 == 0, chance)
            usual[job] = found.seconds
            for output in job.outputs:  # the next job finds what it knows: what is made again is dated anew
                shutil.copy2(places[1] / output, places[0] / output)
            done, faults = done + found.killed, faults + bool(found.wrong)
            row = kills[f"{job.run}: {job.stage}"]
            row[0] += found.killed
            row[1] += found.killed and tried % 2 == 0
            row[2] += bool(found.wrong)
            for text in found.wrong:
                print(f"FAULT {job.run} {job.rule}: {text}", flush=True)
            if tried % 10 == 0:
                print(f"{time.strftime('%H:%M:%S')} {done} kills, {faults} faults", flush=True)
            if done >= count or time.time() > until:
                break
    print("| run and stage | kills | of them while it wrote | faults |\n|---|---|---|---|")
    for name, (killed, at_writing, bad) in sorted(kills.items()):
        print(f"| {name} | {killed} | {at_writing} | {bad} |")
    print(f"{done} kills, {faults} faults; {tried - done} jobs had ended before")
    return faults


def main() -> None:
    """Make the runs and kill their jobs."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--folder", type=Path, required=True, help="for the runs, which are kept and used again")
    words.add_argument("--kills", type=int, default=200)
    words.add_argument("--drivers", type=int, default=20, help="drivers that are killed after the jobs")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--minutes", type=float, default=600.0, help="begin no kill after this time")
    words.add_argument("--run", choices=sorted(RUNS), nargs="+", default=sorted(RUNS))
    given = words.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    every: list[Job] = []
    for run in given.run:
        truth, work = given.folder / f"{run}_truth", given.folder / run
        make(run, truth)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(truth, work)
        every += jobs(run, truth)
    preload()
    until = time.time() + 60 * given.minutes
    faults = campaign(every, given.folder, given.kills, given.seed, until)
    runs = [finished_run(run, given.folder, [job for job in every if job.run == run]) for run in given.run]
    faults += kill_drivers(runs, given.folder, given.drivers, random.Random(given.seed), until)
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
