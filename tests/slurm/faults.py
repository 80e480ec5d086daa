"""Faults of a cluster tried on the tiny chain: what the user sees, what is repeated, whether the files are the same.

Each fault hits the job of one tile-year; the tile-year was deleted, so that nothing else has to be made.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import one_host
from drivers import data_files, nodes, snakemake, values

TARGET = "results/tiny/infer/N37W008/2001.nc"
MADE = (TARGET, "results/tiny/infer/N37W008/2001_state.nc")
WORK = b"fluxatlas\0infer\0tile\0"


@dataclass
class Driver:
    """A start of Snakemake with its screen, and the jobs that SLURM has of it."""

    work: Path
    options: list[str]
    screen: Path = field(init=False)

    def __post_init__(self) -> None:
        self.screen = self.work / "screen.log"
        with self.screen.open("w") as log:
            command = snakemake(self.work, TARGET, *self.options)
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        one_host.until("a job in the queue", 240, lambda: bool(self.jobs()) or self.process.poll() is not None)

    def said(self) -> str:
        return self.screen.read_text()

    def name(self) -> str:
        found = re.search(r"SLURM run ID: (\S+)", self.said())
        return found[1] if found else "-"

    def jobs(self) -> list[list[str]]:
        """Id, state and node of each job of this start that is in the queue."""
        form = ("--noheader", "--name", self.name(), "--format", "%i %T %N")
        return [line.split() for line in one_host.run("squeue", "--me", *form).splitlines()]

    def attempts(self) -> list[str]:
        """State, memory and time limit of every attempt, oldest first, also of those that SLURM itself began again."""
        form = ("--noheader", "--parsable2", "--allocations", "--duplicates", "--format", "State,ReqMem,Timelimit")
        rows = one_host.run("sacct", *form, "--name", self.name()).splitlines()
        return [" ".join([row.split("|")[0].split()[0], *row.split("|")[1:]]) for row in rows]


def processes(matching: Callable[[Path], bool]) -> list[int]:
    """Processes of this host whose folder below /proc is ``matching``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if matching(folder):
                found.append(int(folder.name))
    return found


def at_work(driver: Driver) -> int:
    """Wait until the job computes; its process."""

    def computing(folder: Path) -> bool:
        return WORK in (folder / "cmdline").read_bytes() and (folder / "cwd").resolve() == driver.work.resolve()

    one_host.until("the job to compute", 240, lambda: bool(processes(computing)) or driver.process.poll() is not None)
    return processes(computing)[0]


def cancelled(driver: Driver) -> None:
    at_work(driver)
    one_host.run("scancel", driver.jobs()[0][0])


def over_time(driver: Driver) -> None:
    """The job hangs, as on a file system that does not answer, and its limit is one minute."""
    os.kill(at_work(driver), signal.SIGSTOP)
    one_host.run("scontrol", "update", f"jobid={driver.jobs()[0][0]}", "timelimit=1")


def over_memory(driver: Driver) -> None:
    """The job waits until its memory was lowered to less than it needs."""
    one_host.run("scontrol", "update", f"jobid={driver.jobs()[0][0]}", "minmemorynode=250")
    nodes("resume")


def node_down(driver: Driver) -> None:
    """The node of the job loses its power: its daemon and all processes of the job end at once."""
    at_work(driver)
    job, _, node = driver.jobs()[0]
    mark = f"\0SLURM_JOB_ID={job}\0".encode()
    daemon = int((one_host.HOME / f"slurmd.{node}.pid").read_text())
    os.kill(daemon, signal.SIGKILL)
    steps = processes(lambda folder: f"slurmstepd: [{job}.".encode() in (folder / "cmdline").read_bytes())
    for process in [*steps, *processes(lambda folder: mark in b"\0" + (folder / "environ").read_bytes())]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    one_host.until("the job to have left its node", 180, lambda: all(row[-1] != node for row in driver.jobs()))
    one_host.start_node(node)


def driver_killed(driver: Driver) -> None:
    """The driver is killed while its job computes; the job is waited for, and the same command is given again."""
    at_work(driver)
    driver.process.send_signal(signal.SIGKILL)
    driver.process.wait()
    one_host.until("an empty queue", 300, lambda: not driver.jobs())


FAULTS = {
    "job cancelled (`scancel`)": cancelled,
    "over its time": over_time,
    "over its memory": over_memory,
    "node down": node_down,
    "driver killed": driver_killed,
}


def stamps(work: Path) -> dict[str, int]:
    """When each data file of the run was written."""
    return {name: (work / name).stat().st_mtime_ns for name in data_files(work)}


def trial(work: Path, options: list[str], truth: Path, fault: str) -> list[str]:
    """A row of the table: the fault, the user's screen, the attempts that SLURM counted, and the files."""
    for name in MADE:
        (work / name).unlink()
    before, act = stamps(work), FAULTS[fault]
    if act is over_memory:
        nodes("drain")
    driver = Driver(work, options)
    act(driver)
    attempts = []
    if act is driver_killed:
        attempts = driver.attempts()
        subprocess.run([*snakemake(work, TARGET, *options), "--unlock"], capture_output=True, check=True)
        driver = Driver(work, options)
    if driver.process.wait() != 0:
        raise SystemExit(f"{fault}: the run did not recover:\n{driver.said()}")
    seen = re.findall(r"SLURM status is: '(\w+)'|(?:cause:  )(.*)", driver.said())
    told = "; ".join(dict.fromkeys(status or cause for status, cause in seen)) or "nothing"
    told = "after --unlock: nothing to be done" if "Nothing to be done" in driver.said() else told
    after = stamps(work)
    woken = [name for name in before if before[name] != after[name]]
    assert not woken, f"{fault}: {woken} were made again beside what was lost"
    same = all(values(work / name) == values(truth / name) for name in MADE)
    return [fault, told, "; ".join([*attempts, *driver.attempts()]), "identical" if same else "DIFFERENT"]


def table(rows: list[list[str]]) -> str:
    """The rows as a Markdown table."""
    head = ["fault", "on the screen", "attempts (state, memory, time limit)", "files"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
