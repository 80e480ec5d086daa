"""The driver, the ``snakemake`` process itself, is killed while its jobs run; then what docs/cluster.md tells is done.

A few files are lost, Snakemake is asked for them and killed (SIGKILL) at a random moment, so that its job runs on. The
next start must refuse and name ``--unlock``; that is given, then the same command again. In every second trial the old
job is held (SIGSTOP) until the new driver has begun its own, so that two write the same file. In the end every file
must be that of the run, nothing may be left, and nothing to be made.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from same import alike

LATEST = 900.0
"""Seconds after which a start that goes on is a fault."""


def at_work(folder: Path) -> list[int]:
    """Processes of ``fluxatlas`` that run in ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ours = any(word.split(b"/")[-1] == b"fluxatlas" for word in words[:2])
            if ours and (entry / "cwd").resolve() == folder.resolve():
                found.append(int(entry.name))
    return found


def waited(reached: Callable[[], bool], seconds: float) -> bool:
    """Whether ``reached`` comes within ``seconds``."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@dataclass
class Trial:
    """Whether the driver was killed before its end, how many of its jobs ran on, whether one still ran beside those of
    the next driver, and what is wrong."""

    killed: bool
    left: int
    beside: bool
    wrong: list[str]


def said(command: Sequence[str]) -> tuple[int, str]:
    """Status and screen of a start."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LATEST, check=False
    )
    return done.returncode, done.stdout


def to_all(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def again(command: Sequence[str], folder: Path, old: Sequence[int]) -> tuple[bool, list[str]]:
    """Do what the documentation tells after a lost driver; whether one of its ``old`` jobs ran beside those of the new
    one, and what is wrong. Old jobs that are held go on when a new one is at work."""
    code, screen = said(command)
    wrong = [] if code and "--unlock" in screen else [f"not refused ({code}): {screen[-300:]}"]
    code, screen = said([*command, "--unlock"])
    if code:
        wrong.append(f"--unlock ends with {code}: {screen[-300:]}")
    log = folder / "next_driver.log"
    with (
        log.open("w") as screen_,
        subprocess.Popen(command, stdout=screen_, stderr=screen_, start_new_session=True) as it,
    ):
        waited(lambda: bool(set(at_work(folder)) - set(old)) or it.poll() is not None, LATEST)
        both = at_work(folder)
        beside = bool(set(both) & set(old)) and bool(set(both) - set(old))
        to_all(old, signal.SIGCONT)
        if not waited(lambda: it.poll() is not None, LATEST):
            it.kill()
            wrong.append("the next driver does not end")
    if it.returncode:
        wrong.append(f"the next start ends with {it.returncode}: {log.read_text()[-600:]}")
    log.unlink()
    return beside, wrong


def trial(command: Sequence[str], lost: Sequence[str], places: tuple[Path, Path], moment: float, hold: bool) -> Trial:
    """Lose files of a run, ask for them with ``command``, kill the driver ``moment`` [s] after its first job began, and
    go on; ``places`` are the folder of the run and that of what it must be."""
    work, truth = places
    for name in lost:
        (work / name).unlink(missing_ok=True)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as it:
        waited(lambda: bool(at_work(work)) or it.poll() is not None, LATEST)
        killed = not waited(lambda: it.poll() is not None, moment)
        it.send_signal(signal.SIGKILL)
    left = at_work(work)
    to_all(left if hold else [], signal.SIGSTOP)
    beside, wrong = again(command, work, left) if killed else (False, [])
    if not waited(lambda: not at_work(work), LATEST):
        wrong.append("a job of a lost driver does not end")
        to_all(at_work(work), signal.SIGKILL)
    code, screen = said([*command, "--dry-run"])
    if code or "Nothing to be done" not in screen:
        wrong.append(f"something is left to be made ({code}): {screen[-300:]}")
    return Trial(killed, len(left), beside, [*wrong, *restored(work, truth)])


def restored(work: Path, truth: Path) -> list[str]:
    """What of ``work`` is not as in ``truth``; afterwards it is, by date too."""
    wrong = []
    results = truth / "results"
    for kept in sorted(path for path in results.rglob("*") if path.is_file()):
        name = kept.relative_to(truth)
        if {"logs", "benchmarks", "check", "checkpoints"} & set(name.parts):
            continue
        made = work / name
        if made.exists() and made.stat().st_mtime_ns == kept.stat().st_mtime_ns:
            continue
        if not made.exists():
            wrong.append(f"{name} is missing")
        elif not alike(made, kept):
            wrong.append(f"{name} differs")
        shutil.copy2(kept, made)
    for path in (work / "results").rglob("*"):
        if ".part" in path.name or ".scratch" in path.name:
            wrong.append(f"{path.relative_to(work)} is left")
    return wrong


@dataclass(frozen=True)
class Run:
    """A finished run: its name, the ``command`` that makes files of it, the files of its jobs by rule, and about how
    long one of its jobs takes [s]."""

    name: str
    command: Callable[[Sequence[str]], list[str]]
    files: dict[str, list[tuple[str, ...]]]
    seconds: float


def campaign(runs: Sequence[Run], top: Path, count: int, chance: random.Random, until: float) -> int:
    """Kill ``count`` drivers, ``runs`` in turn; the number of faults."""
    done = faults = ran_on = beside = tried = 0
    while done < count and time.time() < until:
        run = runs[tried % len(runs)]
        tried += 1
        rules = chance.sample(sorted(run.files), min(3, len(run.files)))
        lost = [output for rule in rules for output in chance.choice(run.files[rule])]
        places = top / run.name, top / f"{run.name}_truth"
        moment = chance.uniform(0, 2.5 * run.seconds)
        found = trial(run.command(lost), lost, places, moment, hold=tried // len(runs) % 2 == 0)
        done, ran_on, beside = done + found.killed, ran_on + (found.left > 0), beside + found.beside
        faults += bool(found.wrong)
        for text in found.wrong:
            print(f"FAULT driver of {run.name} ({', '.join(rules)}): {text}", flush=True)
        print(f"{time.strftime('%H:%M:%S')} {done} drivers killed, {faults} faults", flush=True)
    print(
        f"{done} drivers killed, {ran_on} of them while a job was at work, which ran on; {beside} of these jobs beside"
        f" one of the next driver; {faults} faults; {tried - done} drivers had ended before"
    )
    return faults
