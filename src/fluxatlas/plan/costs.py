"""What a unit of work costs: as shipped in ``resources/calibration.csv``, or as measured on the user's machine.

``fluxatlas plan --calibrate`` (:mod:`~fluxatlas.plan.calibrate`) keeps what it measured among the results of the run.
Only the run times that rules ask the scheduler for depend on it (:mod:`~fluxatlas.plan.limits`): it changes no result
and wakes no job.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text
from ..hashes import settings_hash
from ..paths import RESOURCES
from ..run import Run

SHIPPED = RESOURCES / "calibration.csv"
NETWORK = ("cell", "hidden", "layers", "window_days", "code", "head", "options", "sequence_days", "warmup_days",
           "batch", "device")  # fmt: skip
"""Leaves of the block ``train`` that the speed of a network depends on."""
INFER = ("engine", "regrid", "block_cells", "time_chunk")
"""Leaves of the block ``infer`` that the speed of inference depends on."""


@dataclass(frozen=True)
class Cost:
    """What one job and one unit of work of a stage cost: core-seconds, peak memory [MB], bytes on disk."""

    unit: str
    seconds_per_job: float
    seconds_per_unit: float
    memory_mb: float
    bytes_per_unit: float


@dataclass(frozen=True)
class Speed:
    """What was measured on a machine: processor seconds of the start of a job that loads torch (``start``), of the two
    Snakemake processes in an allocation (``snakemake``), and of a unit of work of each of ``stages``."""

    start: float
    snakemake: float
    stages: dict[str, float]
    machine: str = ""
    made: str = ""


REFERENCE = Speed(start=2.9, snakemake=4.0, stages={})
"""The machine of the shipped costs per job."""


@dataclass(frozen=True)
class Calibration:
    """The costs by stage that hold for a run, core-seconds of Snakemake in an allocation, and where they are from."""

    costs: dict[str, Cost]
    snakemake: float
    origin: str


def shipped() -> dict[str, Cost]:
    """Cost per stage from ``resources/calibration.csv``."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        row["stage"]: Cost(row["unit"], *(float(row[key]) for key in list(row)[2:]))  # columns in the order of Cost
        for row in rows
    }


def signature(run: Run) -> str:
    """What a calibration was made for: system, grid, networks and how they are evaluated."""
    train = run.config.train.model_dump(mode="json")
    infer = run.config.infer.model_dump(mode="json", include=set(INFER))
    network = {name: train[name] for name in NETWORK}
    return settings_hash([run.system.key, run.config.grid.name, network, len(run.members), infer])


def place(run: Run) -> Path:
    """Where the calibration of ``run`` lies."""
    return Path(run.paths("check", "calibration.json"))


def keep(run: Run, speed: Speed) -> Path:
    """Write what was measured to where the next plan finds it."""
    path = place(run)
    write_text(path, json.dumps({"for": signature(run), **asdict(speed)}, indent=1) + "\n")
    return path


def applied(speed: Speed) -> dict[str, Cost]:
    """The shipped costs with what was measured in their place; what was not goes with the start of a command."""
    slower = speed.start / REFERENCE.start
    return {
        stage: replace(
            cost,
            seconds_per_job=slower * cost.seconds_per_job,
            seconds_per_unit=speed.stages.get(stage, slower * cost.seconds_per_unit),
        )
        for stage, cost in shipped().items()
    }


def calibration(run: Run) -> Calibration:
    """The costs for ``run``: those measured with ``--calibrate`` where they are of its networks, else those shipped.

    Raises :class:`InputError` for a file that cannot be read.
    """
    path = place(run)
    usual = Calibration(shipped(), REFERENCE.snakemake, "of resources/calibration.csv, measured on another machine")
    if not path.exists():
        return usual
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        speed = Speed(**{name: value for name, value in found.items() if name != "for"})
        costs = applied(speed)
        same = found["for"] == signature(run)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        hint = "delete it, or make it again with `fluxatlas plan --calibrate`"
        raise InputError("this is not a calibration", where=str(path), hint=hint) from None
    if not same:
        again = "the calibration of this run is of another network: make it again with `fluxatlas plan --calibrate`"
        return replace(usual, origin=f"{usual.origin}; {again}")
    measured = ", ".join(speed.stages) or "the start of a command alone"
    origin = f"of this calibration: {path} ({speed.machine}, {speed.made}; measured: {measured})"
    return Calibration(costs, speed.snakemake, origin)
