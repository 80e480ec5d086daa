"""``fluxatlas plan``: jobs, time, memory and disk of a run before it starts.

Work is counted from the configuration; what one unit of work costs is read from ``resources/calibration.csv``, measured
on the machine named there. Time is what one core of that machine needs; expect a factor of two either way elsewhere.
"""

from __future__ import annotations

import calendar
import csv
import math
from dataclasses import dataclass

from .config.experiments import split_model
from .errors import FluxAtlasError
from .experiments.grid import SCRATCH
from .grid import Tile
from .loading import load_object
from .paths import RESOURCES
from .run import Run
from .train.states import NetworkShape

CELL_COSTS = {
    "gru": (1.0, 1.0),
    "lstm": (1.0, 0.3),
    "ea_lstm": (1.0, 0.3),
    "tcn": (3.0, 0.6),
    "transformer": (23.0, 4.0),
    "itransformer": (26.0, 8.5),
    "informer": (12_000.0, 1_700.0),
    "pyraformer": (6_000.0, 900.0),
}
"""Cost of inference and of training with each cell, of those with the GRU: benchmarks/results/cells.md; of the last two
beside the Transformer, with a window of a year."""

STUDENT = 2.3 / (6.5 / 5)
"""Cost of a tile-year with a student, of that with one member: it has one recurrent sub-module more
(benchmarks/results/student.md, five members in the fused engine)."""
STUDENT_STEP = 339 / 1600 / (6.5 / (5 * 672_695))
"""Cell-days of inference with one member that one step of a student's learning costs (same source)."""

SOURCE_STEPS = {"era5_land": 0.1, "era5": 0.25, "livneh": 0.0625}
"""Cell size [degrees] of the sources whose grid is known."""


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
    inferred, trained = (wider * cost for cost in cell_costs(config.train.cell, config.train.window_days))
    spun = len(config.period.spinup_sequence)
    made = len(run.constraints) + len(run.atmosphere) + len(run.absent_forcing)
    if run.is_synthetic:
        made += forcing_years + 3 + run.has_synthetic_sites + bool(run.synthetic_inversions)
    own = not config.train.members_from
    held = 2 * bool(run.regional) if own else bool(run.compared_years)
    mapped = tiles if run.region_files else 0
    student = bool(run.student)
    networks = STUDENT if student else members
    taught = config.infer.student_steps * STUDENT_STEP if student else 0
    sampled = int(own or student)
    pretrained = members * config.synthesize.site_days * epochs * trained
    return {
        "ingest": (forcing_years + 1 + made, degrees * forcing_years),
        "regrid": (tiles + sampled + mapped, cells),
        "synthesize": (sampled, sampled * config.synthesize.site_days),
        "train": (own * (2 * members + baselines + 1) + held, own * pretrained),
        "infer": (tiles * (years + 1) + years + student, cells * days * (years + spun) * networks * inferred + taught),
        "products": (variables * years * 2 + 2, cells * days * years * variables),
        "evaluate": (len(run.tables) + int(run.has_truth), 0),
        "report": (len(run.figures) + 2, 0),
    }


def cell_costs(cell: str, window: int) -> tuple[float, float]:
    """Cost of inference and of training with ``cell``, of those with the GRU; encoders of whole windows cost by the
    square of the ``window`` [days]."""
    shorter = (window / 365) ** 2 if cell in ("informer", "pyraformer") else 1.0
    inference, training = CELL_COSTS[cell]
    return shorter * inference, shorter * training


def plan(run: Run) -> list[StagePlan]:
    """The cost of each stage of ``run``."""
    costs = calibration()
    rows = []
    for stage, (jobs, units) in work(run).items():
        cost = costs[stage]
        seconds = jobs * cost.seconds_per_job + units * cost.seconds_per_unit
        longest = (cost.seconds_per_job + units / max(jobs, 1) * cost.seconds_per_unit) / 3600
        memory = _inference_memory(run) if stage == "infer" else cost.memory_mb
        stored = _stored(run) if stage == "infer" else units
        rows.append(StagePlan(stage, jobs, seconds / 3600, memory, stored * cost.bytes_per_unit / 1e9, longest))
    return rows


def benchmark(run: Run) -> tuple[int, float]:
    """Jobs and core-hours of `snakemake benchmark`, beside what it shares with the run: pretraining of each cell and
    seed, and the steps of every experiment in each of its folds."""
    train, block, cost = run.config.train, run.config.experiments, calibration()["train"]
    step = train.batch * (train.sequence_days + train.warmup_days)
    starts = {(one.model, one.number) for one in run.experiments if one.transfer != SCRATCH}
    wider = (train.hidden / 32) ** 0.93
    days = (
        sum(cell_costs(split_model(model)[0], train.window_days)[1] for model, _ in starts)
        * run.config.synthesize.site_days
        * train.pretrain_epochs
    )
    for one in run.experiments:
        folds = block.folds if one.split == "space" else 1
        if one.model in block.models:
            cell = split_model(one.model)[0]
            days += step * train.finetune_steps * folds * cell_costs(cell, train.window_days)[1]
    jobs = len(starts) + len(run.experiments) + 1 + bool(block.hidden)
    return jobs, (jobs * cost.seconds_per_job + wider * days * cost.seconds_per_unit) / 3600


def comparison_jobs(run: Run) -> int:
    """Jobs of `snakemake comparison` beside what it shares with the run: pairs, triples and the page."""
    pairs, triples = (len(run.compared(what, refuse=False)) for what in ("pairs", "triples"))
    return pairs + triples + 1 if pairs else 0


def _stored(run: Run) -> float:
    """Cell-days of the files of inference, more by what they hold of each member."""
    fluxes = len(run.system.flux_names)
    kept = len(run.members) if run.config.infer.daily_members else 0
    more = kept * fluxes / (len(run.system.outputs) + fluxes)
    return sum(run.land.values()) * 365.25 * len(run.years) * (1 + more)


def _inference_memory(run: Run) -> float:
    """Predicted peak memory [MB] of the largest tile-year; the same number that inference checks before it starts."""
    from .infer.memory import of_tile

    train, step, shape = run.config.train, source_step(run), _network_shape(run)
    days = 366 if any(calendar.isleap(year) for year in run.years) else 365
    largest = 0
    for name, land in run.land.items():
        tile = run.tile(name)
        largest = max(
            largest,
            of_tile(
                run.config.infer,
                run.system,
                tile_cells=tile.shape[0] * tile.shape[1],
                land_cells=land,
                piece_cells=_piece_cells(run, tile, step),
                days=days,
                members=train.members,
                shape=shape,
                student=bool(run.student),
            ),
        )
    return largest / 1e6


def _network_shape(run: Run) -> NetworkShape:
    """The shape of the networks that ``train`` makes."""
    train, parts = run.config.train, run.system.submodules
    variates = [len(part.drivers) + len(part.upstream) + len(part.memories) for part in parts]
    if train.cell in ("itransformer", "informer", "pyraformer"):  # the head may add variates; this loads torch
        heads = load_object(run.system.network).heads
        variates[-1] += len(heads[train.head or run.system.heads[0]].drivers)
    return NetworkShape(
        train.cell, train.hidden, train.layers, train.window_days, tuple(variates), sum(len(p.memories) for p in parts)
    )


def _piece_cells(run: Run, tile: Tile, step: float) -> int:
    """Source cells of ``step`` degrees in the forcing piece of a tile, with their halo; centres at multiples of it."""
    box, domain, halo = tile.bbox, run.config.domain.bbox, run.config.forcing.halo
    edges = (max(box[0], domain[0]), max(box[1], domain[1]), min(box[2], domain[2]), min(box[3], domain[3]))

    def cells(low: float, high: float) -> int:
        return math.ceil(high / step + 0.5 - 1e-6) - math.floor(low / step - 0.5 + 1e-6) - 1 + 2 * halo

    return cells(edges[1], edges[3]) * cells(edges[0], edges[2])


def source_step(run: Run) -> float:
    """Cell size [degrees] of the forcing: known for its source, else read from its first file, else 0.1."""
    import numpy as np

    from .axes import LAT
    from .files import open_netcdf

    if run.is_synthetic:
        return run.config.synthetic_earth.resolution
    if run.config.forcing.source in SOURCE_STEPS:
        return SOURCE_STEPS[run.config.forcing.source]
    try:
        with open_netcdf(run.forcing_files(run.forcing_years[0])[0]) as data:
            lat = next(data[name] for name in LAT if name in data.variables and data[name].ndim == 1)
            return float(np.abs(np.diff(lat.to_numpy())).min())
    except (FluxAtlasError, StopIteration, ValueError, IndexError):
        return 0.1


def wall_hours(rows: list[StagePlan], cores: int) -> float:
    """Expected wall time on ``cores`` cores: stages one after the other, each no shorter than its longest job."""
    return sum(max(row.core_hours / min(cores, row.jobs), row.longest_job_hours) for row in rows)


def twins(run: Run) -> tuple[int, float]:
    """Jobs of `snakemake twin` and the core-hours that they take at most: each world is a run like this one.

    Nothing where there are no twins: the sites are not those of a made-up world, or members come from elsewhere.
    """
    if not run.has_synthetic_sites or run.config.train.members_from:
        return 0, 0.0
    worlds = 2 * len(run.twin_seeds)
    return worlds + 1, worlds * sum(row.core_hours for row in plan(run))


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
    jobs, hours = benchmark(run)
    lines.append(f"`snakemake benchmark` (not part of the run): {jobs:,} jobs more, {hours:.2f} core-hours")
    if jobs := comparison_jobs(run):
        lines.append(f"`snakemake comparison` (not part of the run): {jobs:,} jobs more")
    jobs, core_hours = twins(run)
    if jobs:
        lines.append(f"`snakemake twin` (not part of the run): {jobs:,} jobs, at most {core_hours:.2f} core-hours")
    needed, allowed = next(r.memory_mb for r in rows if r.stage == "infer"), run.config.infer.memory_mb
    if needed > allowed:
        lines.append(f"infer.memory_mb is {allowed:,}: inference will refuse to start; set it to {needed:,.0f} or more")
    return "\n".join(lines)


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
