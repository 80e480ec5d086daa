"""Jobs, work, memory and disk of a run, counted from its configuration."""

from __future__ import annotations

import calendar
import math
from dataclasses import dataclass

from ..errors import FluxAtlasError
from ..experiments.grid import SCRATCH
from ..grid import Tile
from ..loading import load_object
from ..run import Run
from ..train.states import NetworkShape
from .costs import calibration
from .learning import PREDICTED, SIMULATED_DAY, all_jobs, cost, network_costs, of_model, site_days

STUDENT = 2.3 / (6.5 / 5)
"""Cost of a tile-year with a student, of that with one member: it has one recurrent sub-module more
(benchmarks/results/student.md, five members in the fused engine)."""
STUDENT_STEP = 339 / 1600 / (6.5 / (5 * 672_695))
"""Cell-days of inference with one member that one step of a student's learning costs (same source)."""

UNDRIVEN = ("mean", "season")
"""References that see no drivers."""
TREE_DAY = 2e-6
"""Core-seconds per site-day of a permuted prediction by trees with their running means."""

SOURCE_STEPS = {"era5_land": (0.1, 1.0), "era5": (0.25, 1.0), "livneh": (0.0625, 24.0)}
"""Cell size [degrees] and step [hours] of the sources whose grid is known."""


@dataclass(frozen=True)
class StageWork:
    """Jobs and units of work of a stage; ``carriers`` are the jobs that do these units, ``steps`` those that wait for
    one another in the longest chain, and ``heavy`` the carriers among these, or ``chained`` its units where they
    differ."""

    jobs: int
    units: float
    carriers: int
    steps: int
    heavy: int
    chained: float | None = None

    @property
    def chain(self) -> float:
        """Units of the longest chain."""
        return self.heavy * self.units / max(self.carriers, 1) if self.chained is None else self.chained


@dataclass(frozen=True)
class StagePlan:
    """What a stage will take: number of jobs, core-hours, memory of one job [MB], disk [GB], and the core-hours of its
    longest chain of ``steps`` jobs that wait for one another."""

    stage: str
    jobs: int
    core_hours: float
    memory_mb: float
    disk_gb: float
    chain_hours: float
    steps: int


def work(run: Run) -> dict[str, StageWork]:
    """What there is to do, by stage."""
    config = run.config
    cells = sum(run.land.values())
    tiles, years, members = len(run.tiles), len(run.years), len(run.members)
    forcing_years, days = len(run.forcing_years), 365.25
    step, hours = source_steps(run)
    source_cells = tiles * (config.grid.tile_size / step) ** 2
    variables, baselines = len(run.published), len(config.train.baselines)
    inferred = network_costs(run)[0]
    spun = len(run.period.spinup_sequence)
    made = len(run.constraints) + len(run.atmosphere) + len(run.absent_forcing)
    if run.is_synthetic:
        made += forcing_years + 3 + run.has_synthetic_sites + bool(run.synthetic_inversions)
    own = not config.train.members_from
    held = 2 * bool(run.regional) if own else bool(run.compared_years)
    mapped = tiles if run.region_files else 0
    student, phases = bool(run.student), len(run.phases)
    networks = STUDENT if student else members
    taught = config.infer.student_steps * STUDENT_STEP if student else 0
    sampled = int(own or student)
    learnt, in_turn = all_jobs(run) if own else (0.0, 0.0)
    yearly = variables * years
    return {
        "ingest": StageWork(
            forcing_years + 1 + made, source_cells * forcing_years / hours, forcing_years, 1 + run.is_synthetic, 1
        ),
        "regrid": StageWork(tiles + sampled + mapped, cells, tiles, 1 + sampled, 1),
        "synthesize": StageWork(sampled, sampled * config.synthesize.site_days, 1, sampled, sampled),
        "train": StageWork(
            own * ((2 + phases) * members + baselines + 1) + held, learnt, members, (3 + phases) * own, own, in_turn
        ),
        "infer": StageWork(
            tiles * (years + 1) + years + student,
            cells * days * (years + spun) * networks * inferred + taught,
            tiles * (years + spun),
            years + 1 + student,
            years + spun,
        ),
        "products": StageWork(
            yearly * (2 + bool(config.products.ease_grid)) + 2 * run.has_maps, cells * days * yearly, yearly, 3, 1
        ),
        "evaluate": StageWork(len(run.tables) + int(run.has_truth), 0, 1, 1, 0),
        "report": StageWork(len(run.figures) + 2, 0, 1, 3, 0),
    }


def plan(run: Run) -> list[StagePlan]:
    """The cost of each stage of ``run``."""
    costs = calibration(run).costs
    rows = []
    for stage, todo in work(run).items():
        price = costs[stage]
        seconds = todo.jobs * price.seconds_per_job + todo.units * price.seconds_per_unit
        chain = todo.steps * price.seconds_per_job
        chain += todo.chain * price.seconds_per_unit
        memory = _inference_memory(run) if stage == "infer" else price.memory_mb
        gigabytes = _stored(run, stage, todo) * price.bytes_per_unit / 1e9
        rows.append(StagePlan(stage, todo.jobs, seconds / 3600, memory, gigabytes, chain / 3600, todo.steps))
    return rows


def _stored(run: Run, stage: str, todo: StageWork) -> float:
    """Units of what a stage keeps on disk: fluxes whatever ran for them, and daily forcing whatever its steps were."""
    if stage == "infer":
        return _inferred(run)
    return todo.units * source_steps(run)[1] if stage == "ingest" else todo.units


def benchmark(run: Run) -> tuple[int, float]:
    """Jobs and core-hours of `snakemake benchmark`, beside what it shares with the run: pretraining of each cell and
    seed, and the steps of every experiment in each of its folds."""
    price, block = calibration(run).costs["train"], run.config.experiments
    starts = {(one.model, one.number) for one in run.experiments if one.transfer != SCRATCH}
    seconds = sum(cost(run, "experiment_start", price, model) for model, _ in starts)
    seconds += sum(cost(run, "experiment", price, one.model, one.split) for one in run.experiments)
    drawn = 1 + bool(block.hidden)
    return len(starts) + len(run.experiments) + drawn, (seconds + drawn * price.seconds_per_job) / 3600


def permutations(run: Run) -> float | None:
    """Core-hours of what `snakemake benchmark` does more for `snakemake importance`: each group of drivers is permuted
    two ways and all test days are predicted again. None where the days of the sites are not known yet."""
    block, costs = run.config.experiments, calibration(run).costs
    if not block.importance_draws:
        return 0.0
    days = site_days(run)
    if days is None:
        return None
    learnt, seconds = costs["train"].seconds_per_unit, 0.0
    for one in run.experiments:
        if one.model in block.models:
            seconds += PREDICTED * learnt * of_model(run, one.model)
        elif one.model not in UNDRIVEN:
            seconds += SIMULATED_DAY if one.model == "process" else TREE_DAY
    groups = len(block.importance_groups or run.system.permutable)
    return 2 * groups * block.importance_draws * days * seconds / 3600


def comparison_jobs(run: Run) -> int:
    """Jobs of `snakemake comparison` beside what it shares with the run: pairs, triples and the page."""
    pairs, triples = (len(run.compared(what, refuse=False)) for what in ("pairs", "triples"))
    return pairs + triples + 1 if pairs else 0


def _inferred(run: Run) -> float:
    """Cell-days of the files of inference, more by what they hold of each member."""
    fluxes = len(run.system.flux_names)
    kept = len(run.members) if run.config.infer.daily_members else 0
    more = kept * fluxes / (len(run.system.outputs) + fluxes)
    return sum(run.land.values()) * 365.25 * len(run.years) * (1 + more)


def _inference_memory(run: Run) -> float:
    """Predicted peak memory [MB] of the largest tile-year; the same number that inference checks before it starts."""
    from ..infer.memory import of_tile

    train, step, shape = run.config.train, source_steps(run)[0], _network_shape(run)
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


def source_steps(run: Run) -> tuple[float, float]:
    """Cell size [degrees] and step [hours] of the forcing, at most a day: known for its source, else read from its
    first file; 0.1 degree and an hour where there is none."""
    import numpy as np

    from ..axes import LAT
    from ..files import open_netcdf

    if run.is_synthetic:
        return run.config.synthetic_earth.resolution, 1.0
    known, hours = SOURCE_STEPS.get(run.config.forcing.source, (0.1, 1.0))
    if run.config.forcing.source in SOURCE_STEPS:
        return known, hours
    try:
        with open_netcdf(run.forcing_files(run.forcing_years[0])[0]) as data:
            lat = next(data[name] for name in LAT if name in data.variables and data[name].ndim == 1)
            known = float(np.abs(np.diff(lat.to_numpy())).min())
            if "time" in data.variables and data["time"].size > 1:
                between = np.diff(data["time"].to_numpy()[:2])[0]
                hours = min(24.0, float(between / np.timedelta64(1, "h")))
    except (FluxAtlasError, StopIteration, ValueError, IndexError, TypeError):
        pass
    return known, hours


def twins(run: Run) -> tuple[int, float]:
    """Jobs of `snakemake twin` and the core-hours that they take at most: each world is a run like this one.

    Nothing where there are no twins: the sites are not those of a made-up world, or members come from elsewhere.
    """
    if not run.has_synthetic_sites or run.config.train.members_from:
        return 0, 0.0
    worlds = 2 * len(run.twin_seeds)
    return worlds + 1, worlds * sum(row.core_hours for row in plan(run))
