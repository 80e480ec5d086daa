"""What the jobs of training cost, counted in optimiser steps: pretraining, phases, fine-tuning, baselines, experiments.

The unit is a site-day that a GRU of 32 units learns from once, in pretraining; :func:`cost` is that of a job.
"""

from __future__ import annotations

import math
from pathlib import Path

from ..config.experiments import split_model
from ..config.train import TrainBlock
from ..errors import FluxAtlasError
from ..files import unreadable
from ..run import Run
from ..systems import Phase
from ..train.phases import REGIONAL, phases_of
from .costs import Cost, shipped

CELL_COSTS = {
    "gru": (1.0, 1.0),
    "lstm": (1.0, 0.3),
    "ea_lstm": (1.0, 0.3),
    "tcn": (3.0, 0.6),
    "transformer": (23.0, 4.0),
    "itransformer": (26.0, 8.5),
    "informer": (12_000.0, 1_700.0),
    "pyraformer": (6_000.0, 900.0),
    "faulty_tcn": (3.0, 1.0),
    "faulty_transformer": (3.0, 1.0),
}
"""Cost of inference and of training with each cell, of those with the GRU: benchmarks/results/cells.md; of Informer and
Pyraformer beside the Transformer, with a window of a year; the faulty ones, of experiments, are guessed."""

PREDICTED = 1 / 3
"""Cost of a day that a network predicts, of one that it learns from, where errors go back through it too [D]."""
SIMULATED_DAY = 4e-7
"""Core-seconds per site-day of a prediction by the process model."""
CALIBRATED_DAY = 2e-3
"""Core-seconds per site-day of two calibrations of one member (without a fold, and of all sites) [D: nine sites]."""
FITTED_DAY = 1e-4
"""Core-seconds per site-day and fold of what scikit-learn fits to days [D: 80,718 site-days]."""
INNER_FITS, INNER_DAYS = {"chosen": 9, "stacked": 9}, 20_000
"""Trees that are fitted to a part of the days, so many at most, of which inner folds choose."""
WHOLE_FITS = {"stacked": 3}
"""Trees that are fitted to all days then; one of all else."""
CLIMBED = 6
"""Fits of every rung where the ladder is climbed: without each part of the clusters, and the last one."""
UNKNOWN_SITES, UNKNOWN_YEARS = 50, 10
"""Sites, and years at each at most, that a plan counts with before the sites were read."""


def cell_costs(cell: str, window: int) -> tuple[float, float]:
    """Cost of inference and of training with ``cell``, of those with the GRU; encoders of whole windows cost by the
    square of the ``window`` [days]."""
    shorter = (window / 365) ** 2 if cell in ("informer", "pyraformer") else 1.0
    inference, training = CELL_COSTS[cell]
    return shorter * inference, shorter * training


def network_costs(run: Run) -> tuple[float, float]:
    """Cost of inference and of training with the networks of ``run``, of those with the GRU of 32 hidden units."""
    wider = _wider(run.config.train)
    inferred, trained = cell_costs(run.config.train.cell, run.config.train.window_days)
    return wider * inferred, wider * trained


def _wider(train: TrainBlock) -> float:
    return float((train.hidden / 32) ** 0.93)  # measured between 32 and 64 hidden units


def site_days(run: Run) -> int | None:
    """Days of weather of all sites, None before they are read: those of a made-up world are known from the start.

    Raises :class:`InputError` where their table is damaged.
    """
    if run.has_synthetic_sites:
        return run.config.synthetic_earth.towers * len(run.years) * 365
    from pyarrow import ArrowException, parquet

    path = Path(run.paths("regrid", "sites_forcing.parquet"))
    try:
        return int(parquet.read_metadata(path).num_rows) if path.is_file() else None
    except (OSError, ArrowException) as problem:
        raise unreadable(problem, path, "cannot be read as Parquet") from problem


def counted_days(run: Run) -> int:
    """Days of weather of all sites as :func:`site_days`, or as many as are counted with before they are read."""
    try:
        days = site_days(run)
    except FluxAtlasError:  # said where the plan itself is made
        days = None
    years = min(len(run.years) or UNKNOWN_YEARS, UNKNOWN_YEARS)  # a run at sites alone has those of its sites
    return UNKNOWN_SITES * years * 365 if days is None else days


def observed_variables(run: Run) -> int:
    """Variables of which days at sites are at hand: scikit-learn fits each by itself. All that the system's sites
    measure, before the sites are read or where their table cannot be."""
    from pyarrow import ArrowException, compute, parquet

    path, measured = Path(run.paths("ingest", "sites", "observations.parquet")), run.system.measured
    try:
        seen = compute.unique(parquet.read_table(path, columns=["variable"])["variable"]).to_pylist()
    except (OSError, ArrowException):  # a damaged table is said by the step that reads it
        return len(measured)
    return max(1, len(set(measured) & set(seen)))


def cost(run: Run, rule: str, price: Cost, name: str = "", split: str = "space") -> float:
    """Core-seconds of a job of ``rule``: ``pretrain``, ``phase``, ``finetune`` (of the member ``name``; without one of
    that with most folds), ``baseline`` (called ``name``), ``experiment`` (with its ``split``: one of space has folds)
    and ``experiment_start`` (of the model ``name``)."""
    learnt, other = _job(run, rule, name, split)
    return price.seconds_per_job + learnt * price.seconds_per_unit + other


def all_jobs(run: Run) -> tuple[float, float]:
    """Work of all jobs of training, and of the longest chain of them: pretraining, phases, fine-tuning.

    In units, where what is not a network counts as much as takes the same time by the shipped costs.
    """
    train, begun = run.config.train, _unit(run, "pretrain") + len(run.phases) * _unit(run, "phase")
    tuned = [_unit(run, "finetune", str(member)) for member in range(train.members)]
    compared = sum(_unit(run, "baseline", name) for name in train.baselines)
    return train.members * begun + sum(tuned) + compared, begun + max(tuned)


def _unit(run: Run, rule: str, name: str = "") -> float:
    learnt, other = _job(run, rule, name)
    return learnt + other / shipped()["train"].seconds_per_unit


def _job(run: Run, rule: str, name: str, split: str = "space") -> tuple[float, float]:
    """Units of what a network learns in a job, and core-seconds of what is not a network."""
    train, days = run.config.train, counted_days(run)
    trained = network_costs(run)[1]
    pretrained = run.config.synthesize.site_days * train.pretrain_epochs
    if rule == "pretrain":
        return pretrained * trained, 0.0
    if rule == "experiment_start":
        return pretrained * of_model(run, name), 0.0
    if rule == "experiment":
        folds = run.config.experiments.folds if split == "space" else 1
        if name not in run.config.experiments.models:
            return 0.0, folds * _fitted(name, days)
        steps = train.finetune_steps * train.batch * (train.sequence_days + train.warmup_days)
        return folds * (steps + PREDICTED * days) * of_model(run, name), 0.0
    if rule == "phase":
        return max(_phase(run, phase, days) for phase in phases_of(run.system, train)) * trained, 0.0
    if rule == "finetune":
        most = max(len(train.folds_of(member)) for member in ([int(name)] if name else range(train.members)))
        learnt, calibrated = _adapted(run, days, most, begun=bool(run.phases))
        told = most * days / train.n_folds if train.local_days else 0.0  # days of the sites that its folds hide
        return (learnt + PREDICTED * told) * trained, calibrated + told * CALIBRATED_DAY / 2
    return _baseline(run, name, days, pretrained * trained, trained)


def of_model(run: Run, model: str) -> float:
    """Cost of training with the network of ``model`` of the experiments, of that with the GRU of 32 hidden units."""
    train = run.config.train
    return _wider(train) * cell_costs(split_model(model)[0], train.window_days)[1]


def _baseline(run: Run, name: str, days: int, pretrained: float, trained: float) -> tuple[float, float]:
    """As :func:`_job` for the baseline ``name``, which is made for every fold."""
    train = run.config.train
    rounds = len(train.rounds)
    if name == "no_pretraining":
        passes = 2 * train.finetune_epochs * _pass(run, days, 0.0)
        return rounds * (passes + PREDICTED * days) * trained, 0.0
    if name == "no_knowledge":
        members = [_adapted(run, days, len(train.folds_of(member))) for member in range(train.members)]
        learnt, calibrated = (sum(parts) for parts in zip(*members, strict=True))
        return pretrained + learnt * trained, calibrated
    if name in ("process", "process_local"):
        return 0.0, days * SIMULATED_DAY
    if name == "mean_local":
        return 0.0, 0.0
    # a site's own season has seen all that it predicts
    return 0.0, (1 if name == "own_season" else rounds) * observed_variables(run) * _fitted(name, days)


def _fitted(name: str, days: int) -> float:
    """Core-seconds of a fold of what scikit-learn fits as the baseline or reference ``name``."""
    inner = INNER_FITS.get(name, 0) * min(2 / 3 * days, INNER_DAYS)
    return (WHOLE_FITS.get(name, 1) * days + inner) * FITTED_DAY


def _adapted(run: Run, days: int, folds: int, begun: int = 0) -> tuple[float, float]:
    """Site-days that a member learns from at the sites and predicts, without each of ``folds``, and core-seconds of its
    calibrations; ``begun`` folds are learnt for in phases that are jobs of their own."""
    train = run.config.train
    whole = train.ladder in ("network", "weights", "climb")
    learnt = sum(_phase(run, phase, days) for phase in phases_of(run.system, train)) if whole else 0.0
    if train.ladder in ("last", "climb"):
        learnt += train.finetune_epochs * _pass(run, days, train.rehearsal)
    calibrated = 0.0 if train.ladder in ("prior", "weights") else days * CALIBRATED_DAY * (folds + 1) / 2
    times = CLIMBED if train.ladder == "climb" else 1
    return times * (folds - begun) * learnt + folds * PREDICTED * days, times * calibrated


def _phase(run: Run, phase: Phase, days: int) -> float:
    """Site-days that a phase learns from: its steps, or passes over the sites; with the regions of a year in each."""
    train = run.config.train
    share = train.rehearsal if phase.synthetic is None else phase.synthetic
    steps = phase.steps
    if steps is None:
        steps = train.finetune_epochs * _steps(run, days, share)
    regions = 0.0
    if phase.weighs(REGIONAL) and run.regional:
        regions = steps * run.config.regional.points * (365 + train.warmup_days)
    return steps * _sequences(train, share) * train.sequence_days + regions


def _pass(run: Run, days: int, share: float) -> float:
    """Site-days of a pass over the sites, with the ``share`` of rehearsed samples, and of its validation."""
    train = run.config.train
    seen = _steps(run, days, share) * _sequences(train, share) * train.sequence_days
    return seen + PREDICTED * train.validation_share * days


def _steps(run: Run, days: int, share: float) -> int:
    """Steps of a pass over the sites; over the samples where those are all that is learnt from."""
    train = run.config.train
    days = run.config.synthesize.site_days if share == 1 else days
    per_step = max(1, round((share if share == 1 else 1 - share) * train.batch))
    return math.ceil(days / train.sequence_days / per_step)


def _sequences(train: TrainBlock, share: float) -> int:
    """Sequences of a step."""
    own = 0 if share == 1 else max(1, round((1 - share) * train.batch))
    return own + (max(1, round(share * train.batch)) if share else 0)
