"""``fluxatlas plan``: jobs, time, memory and disk of a run before it starts.

Work is counted from the configuration; what one unit of work costs is read from ``resources/calibration.csv``, measured
on the machine named there. Time is what one core of that machine needs; expect a factor of two either way elsewhere.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

from .paths import RESOURCES
from .run import Run


@dataclass(frozen=True)
class Cost:
    """What one job and one unit of work of a stage cost: core-seconds, peak memory [MB], bytes on disk."""

    unit: str
    seconds_per_job: float
    seconds_per_unit: float
    memory_mb: float
    bytes_per_unit: float


@dataclass(frozen=True)
class StagePlan:
    """What a stage will take: number of jobs, core-hours, memory of one job [MB], disk [GB]."""

    stage: str
    jobs: int
    core_hours: float
    memory_mb: float
    disk_gb: float
    longest_job_hours: float


def calibration() -> dict[str, Cost]:
    """Cost per stage from ``resources/calibration.csv``."""
    lines = (RESOURCES / "calibration.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        row["stage"]: Cost(row["unit"], *(float(row[key]) for key in list(row)[2:]))  # columns in the order of Cost
        for row in rows
    }


def work(run: Run) -> dict[str, tuple[int, float]]:
    """Jobs and units of work per stage."""
    config = run.config
    cells = sum(run.land.values())
    tiles, years, members = len(run.tiles), len(run.years), len(run.members)
    forcing_years = len(run.forcing_years)
    degrees = tiles * config.grid.tile_size**2
    days = 365.25
    epochs = config.train.pretrain_epochs
    variables = len(run.variables)
    baselines = len(config.train.baselines)
    wider = (config.train.hidden / 32) ** 0.93  # measured between 32 and 64 hidden units
    spun = len(config.period.spinup_sequence)
    made = forcing_years + 4 if run.is_synthetic else 0
    return {
        "ingest": (forcing_years + 1 + made, degrees * forcing_years),
        "regrid": (tiles + 1, cells),
        "synthesize": (1, config.synthesize.site_days),
        "train": (2 * members + baselines + 1, members * config.synthesize.site_days * epochs * wider),
        "infer": (tiles * (years + 1), cells * days * (years + spun) * members * wider),
        "products": (variables * years * 2 + 2, cells * days * years * variables),
        "evaluate": (5 if run.is_synthetic else 3, 0),
        "report": (len(run.figures) + 1, 0),
    }


def plan(run: Run) -> list[StagePlan]:
    """The cost of each stage of ``run``."""
    costs = calibration()
    rows = []
    for stage, (jobs, units) in work(run).items():
        cost = costs[stage]
        seconds = jobs * cost.seconds_per_job + units * cost.seconds_per_unit
        longest = (cost.seconds_per_job + units / jobs * cost.seconds_per_unit) / 3600
        memory = _inference_memory(run) if stage == "infer" else cost.memory_mb
        stored = sum(run.land.values()) * 365.25 * len(run.years) if stage == "infer" else units
        rows.append(StagePlan(stage, jobs, seconds / 3600, memory, stored * cost.bytes_per_unit / 1e9, longest))
    return rows


def _inference_memory(run: Run) -> float:
    """Predicted peak memory [MB] of the largest tile-year; the same number that inference checks before it starts."""
    from .infer.memory import predict

    size, train = run.config.grid.tile_size, run.config.train
    return (
        predict(
            tile_cells=(size * run.grid.per_degree) ** 2,
            land_cells=max(run.land.values()),
            members=train.members,
            hidden=train.hidden,
            layers=train.layers,
            block=run.config.infer.block_cells,
            time_chunk=run.config.infer.time_chunk,
            piece_cells=(size * 10 + 4) ** 2,  # of 0.1 degree, with the halo
            outputs=len(run.system.outputs) + 2,
            workers=run.config.infer.workers,
        )
        / 1e6
    )


def wall_hours(rows: list[StagePlan], cores: int) -> float:
    """Expected wall time on ``cores`` cores: stages one after the other, each no shorter than its longest job."""
    return sum(max(row.core_hours / min(cores, row.jobs), row.longest_job_hours) for row in rows)


def table(run: Run, cores: int) -> str:
    """The plan as text."""
    rows = plan(run)
    lines = [run.describe(), "", f"{'stage':<12}{'jobs':>8}{'core-hours':>12}{'MB a job':>10}{'disk GB':>10}"]
    lines += [f"{r.stage:<12}{r.jobs:>8,}{r.core_hours:>12.2f}{r.memory_mb:>10,.0f}{r.disk_gb:>10.2f}" for r in rows]
    lines.append(
        f"{'sum':<12}{sum(r.jobs for r in rows):>8,}{sum(r.core_hours for r in rows):>12.2f}"
        f"{max(r.memory_mb for r in rows):>10,.0f}{sum(r.disk_gb for r in rows):>10.2f}"
    )
    hours = wall_hours(rows, cores)
    lines += ["", f"about {_duration(hours)} on {cores} cores like those of resources/calibration.csv"]
    return "\n".join(lines)


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
