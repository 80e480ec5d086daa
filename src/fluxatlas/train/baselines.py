"""What the ensemble is compared with, trained on the same folds and predicting the same sites.

| model | what it is |
|---|---|
| ``process`` | the process model with its default parameters, no training |
| ``trees`` | gradient-boosted trees on drivers, their running means and statics, trained on observations alone |
| ``ridge`` | ridge regression on what the trees are given |
| ``season`` | the mean season of the sites that were seen (of the site itself where a part of it was seen) |
| ``calibrated``, ``residual_trees``, ``log_trees``, ``chosen``, ``stacked`` | :mod:`.remedies` for few sites |
| ``own_season`` | the mean season of the site's whole record: a bound, since it has seen what it predicts |
| ``process_local``, ``mean_local`` | :mod:`.local`: told some days of the site |
| ``network_no_pretraining`` | the same network, trained on observations alone |
| ``network_no_knowledge`` | the same network, pretrained and fine-tuned without knowledge terms |
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd

from ..config.train import Local, TrainBlock
from ..systems import System
from .adapt import adapt
from .climatology import climatology
from .data import FloatArray, SequenceSet
from .finetune import Mask, finetune, split_sites, without
from .learners import Learner, Predictor, Rows, boosted_trees, ridge_regression
from .local import local_baseline
from .member import Member
from .predict import site_table, table
from .pretrain import new_network, pretrain
from .regional import RegionalData
from .remedies import REMEDIES, learners
from .simulation import simulated
from .site_periods import means
from .sites import SiteData

RUNNING_MEANS = (7, 30, 90)
"""Days of the running means the trees are given."""

LEAST_OBSERVATIONS = 30
"""Observed days below which nothing is learnt of a variable."""


def run_baselines(
    samples: SequenceSet,
    sites: SiteData,
    system: System,
    settings: TrainBlock,
    grid: str,
    regional: RegionalData | None = None,
) -> list[pd.DataFrame]:
    """Prediction tables of the baselines named in ``settings``, each for every fold (``process`` once, as member 0).

    ``regional`` are the region-months that the network without knowledge terms is held to, as the ensemble is.
    """
    makers: dict[str, Callable[[], list[pd.DataFrame]]] = {
        "process": lambda: process_model(sites, system),
        "trees": lambda: trees(sites, system, settings),
        "ridge": lambda: ridge(sites, system, settings),
        "season": lambda: season(sites, system, settings),
        "own_season": lambda: own_season(sites, system),
        **{name: partial(remedy, name, sites, system, settings) for name in REMEDIES},
        **{name: partial(local_baseline, name, sites, system, settings.local_days) for name in get_args(Local)},
        "no_pretraining": lambda: no_pretraining(samples, sites, system, settings, grid),
        "no_knowledge": lambda: no_knowledge(samples, sites, system, settings, grid, regional),
    }
    found: list[pd.DataFrame] = []
    for name in settings.baselines:
        print(f"baseline {name}", file=sys.stderr, flush=True)
        found += makers[name]()
    return found


def tree_features(data: SequenceSet, system: System, given: Sequence[str] = ()) -> tuple[FloatArray, list[str]]:
    """Predictors (time, site, feature) and their names; NaN where a site has no such driver (trees cope).

    ``given``: what sites hand on (``train.measured_inputs``). Sites without weather hand on the profiles that they
    measured, which network and process model run under.
    """
    shape = (len(data.dates), len(data.sites))
    columns: list[FloatArray] = []
    names: list[str] = []
    for name in (*system.forcing, *system.slow_drivers):
        values = data.drivers.get(name, np.full(shape, np.nan, np.float32))
        frame = pd.DataFrame(values)
        for days in (1, *RUNNING_MEANS):
            columns.append(frame.rolling(days, min_periods=1).mean().to_numpy(np.float32) if days > 1 else values)
            names.append(name if days == 1 else f"{name}_{days}d")
    profiles = [name for profile in system.profiles for name in profile]
    for name in dict.fromkeys((*given, *profiles)):
        columns.append(data.overrides.get(name, np.full(shape, np.nan, np.float32)))
        names.append(name)
    for name in system.statics:
        columns.append(np.broadcast_to(data.statics[name], shape))
        names.append(name)
    return np.stack(columns, axis=-1), names


def trees(sites: SiteData, system: System, settings: TrainBlock) -> list[pd.DataFrame]:
    """Gradient-boosted trees for the flux and the observed outputs, per fold."""
    return _by_fold("trees", boosted_trees, sites, system, settings)


def ridge(sites: SiteData, system: System, settings: TrainBlock) -> list[pd.DataFrame]:
    """Ridge regression for the same variables on the same predictors and weights, per fold; its strength is chosen by
    leaving blocks of training sites out."""
    return _by_fold("ridge", ridge_regression, sites, system, settings)


def remedy(name: str, sites: SiteData, system: System, settings: TrainBlock) -> list[pd.DataFrame]:
    """The learner of :mod:`.remedies` called ``name`` per fold, for each variable beside what the process model says of
    it. Days do not weigh by their stated errors."""
    predictors = [tree_features(data, system, settings.measured_inputs)[0] for data in sites.sets]
    made = [simulated(data, system) for data in sites.sets]
    found: list[pd.DataFrame] = []
    for variable in dict.fromkeys((system.flux, *system.outputs)):
        own = [remedy_features(one, of, variable) for one, of in zip(predictors, made, strict=True)]
        learner = remedy_learner(name, system, variable)
        found += _folds(name, learner, (variable,), own, sites, system, settings, even=True)
    return found


def remedy_features(features: FloatArray, made: Mapping[str, FloatArray], variable: str) -> FloatArray:
    """Predictors of a remedy for ``variable``: ``features`` (time, site, feature) of :func:`tree_features` and, last,
    what the process model says of it (``made``, time, site); NaN where that says nothing."""
    last = made.get(variable, np.full(features.shape[:2], np.nan, np.float32))
    return np.concatenate([features, last[..., None]], axis=-1)


def remedy_learner(name: str, system: System, variable: str) -> Learner:
    """The learner of :mod:`.remedies` called ``name`` for ``variable``."""
    return learners(flux_scale(system, variable) or 1.0)[name]


def season(sites: SiteData, system: System, settings: TrainBlock) -> list[pd.DataFrame]:
    """:func:`~fluxatlas.train.climatology.climatology` by month of what each fold has seen."""
    found: list[pd.DataFrame] = []
    for fold in settings.rounds:
        split = split_sites(sites, system.flux, settings, fold, settings.seed + fold)
        found += _seasons("season", fold, sites, system, split.hidden, split.hidden)
    return found


def own_season(sites: SiteData, system: System) -> list[pd.DataFrame]:
    """The mean of each calendar month of the site's whole record. It has seen every day that it predicts; its rows are
    ``test`` so that the bound stands beside the models on the same days."""
    every = [np.ones((len(data.dates), len(data.sites)), bool) for data in sites.sets]
    return _seasons("own_season", 0, sites, system, [~mask for mask in every], every)


def _seasons(
    model: str, member: int, sites: SiteData, system: System, unused: Sequence[Mask], hidden: Sequence[Mask]
) -> list[pd.DataFrame]:
    """Tables of the mean seasons made of what is not ``unused``."""
    observed = {name for data in sites.sets for name in data.targets}
    wanted = [name for name in dict.fromkeys((system.flux, *system.outputs)) if name in observed]
    made = {name: climatology(sites, name, unused, seasonal=True) for name in wanted}
    return [
        table(model, member, data, {name: made[name][number] for name in wanted}, hidden[number])
        for number, data in enumerate(sites.sets)
    ]


def _by_fold(model: str, learner: Learner, sites: SiteData, system: System, settings: TrainBlock) -> list[pd.DataFrame]:
    features = [tree_features(data, system, settings.measured_inputs)[0] for data in sites.sets]
    wanted = tuple(dict.fromkeys((system.flux, *system.outputs)))
    return _folds(model, learner, wanted, features, sites, system, settings)


def _folds(
    model: str,
    learner: Learner,
    wanted: tuple[str, ...],
    features: list[FloatArray],
    sites: SiteData,
    system: System,
    settings: TrainBlock,
    even: bool = False,
) -> list[pd.DataFrame]:
    """Tables of what ``learner`` makes of ``features`` (see :func:`learned`), per fold and set."""
    found: list[pd.DataFrame] = []
    for fold in settings.rounds:
        split = split_sites(sites, system.flux, settings, fold, settings.seed + fold)
        models = learned(wanted, features, sites, split.hidden, system, settings.seed + fold, learner, even)
        for data, inputs, hidden in zip(sites.sets, features, split.hidden, strict=True):
            found.append(table(model, fold, data, applied(models, inputs, data), hidden))
    return found


def learned(
    names: Sequence[str],
    features: list[FloatArray],
    sites: SiteData,
    hidden: Sequence[Mask],
    system: System,
    seed: int,
    learner: Learner,
    even: bool = False,
) -> dict[str, Predictor]:
    """What a ``learner`` made of what is not ``hidden`` (time, site), by those of the variables ``names`` that there is
    enough to learn from; ``features`` are those of :func:`tree_features` for each set. See :func:`applied`.

    A period is learnt from the means of the predictors over its days. ``even``: rows weigh as their days over the root
    of the days of their cluster. Else it is that of the site, and the stated errors of sites count, which grow with
    their fluxes (:meth:`SequenceSet.steady`)."""
    made = {name: _rows(name, features, sites, hidden, system, even) for name in names}
    return {name: learner(rows, seed) for name, rows in made.items() if rows is not None}


def applied(models: Mapping[str, Predictor], inputs: FloatArray, data: SequenceSet) -> dict[str, FloatArray]:
    """Predictions (time, site) on days that are observed from ``inputs`` (time, site, feature), NaN elsewhere.

    A period is predicted from the means of the predictors over its days, and that stands on each of them."""
    return {name: _apply(model, inputs, data, name) for name, model in models.items() if name in data.targets}


def flux_scale(system: System, variable: str) -> float | None:
    """From where ``variable`` is compressed, in its unit; None for what is not a flux of ``system``."""
    return next((flux.scale for flux in system.fluxes if flux.variable == variable), None)


def _rows(
    name: str, features: list[FloatArray], sites: SiteData, unseen: Sequence[Mask], system: System, even: bool = False
) -> Rows | None:
    """What there is to learn ``name`` from; None for fewer than :data:`LEAST_OBSERVATIONS` days."""
    scale = flux_scale(system, name)
    parts: list[tuple[Any, ...]] = []
    for data, inputs, hidden in zip(sites.sets, features, unseen, strict=True):
        if name not in data.targets:
            continue
        seen = without(data, hidden).steady()
        use = np.isfinite(seen.targets[name])
        longer = [(one, one.share(hidden) == 0) for one in means(data) if one.variable == name]
        days = use.sum(axis=0) + sum(np.bincount(p.site[k], p.days[k], len(data.sites)) for p, k in longer)
        when, site = np.nonzero(use)
        sd = seen.sd[name][when, site] if name in data.sd else np.zeros(len(when), np.float32)
        found = [(inputs[use], data.targets[name][use], sd, np.ones(len(when)), site)]
        found += [(p.of(inputs)[k], p.value[k], p.sd[k], p.days[k], p.site[k]) for p, k in longer]
        for predictors, values, errors, size, place in found:
            precise = 1.0 if scale is None else scale**2 / (scale**2 + np.nan_to_num(errors) ** 2)
            parts.append((predictors, values, precise * size / np.sqrt(days[place]), data.block[place], size))
    if sum(len(part[1]) for part in parts) < LEAST_OBSERVATIONS:  # days and periods alike
        return None
    predictors, values, weights, block, days = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if even:
        _, number = np.unique(block, return_inverse=True)
        weights = days / np.sqrt(np.bincount(number, days)[number])
    return predictors, values, weights, block


def _apply(model: Predictor, inputs: FloatArray, data: SequenceSet, name: str) -> FloatArray:
    """Predictions on observed days and on those of periods, NaN elsewhere."""
    use = np.isfinite(data.targets[name])
    found = np.full(use.shape, np.nan, np.float32)
    if use.any():
        found[use] = model(inputs[use])
    for one in means(data):
        if one.variable == name and len(one.value):
            found = one.onto(model(one.of(inputs)), found)
    return found


def no_pretraining(
    samples: SequenceSet, sites: SiteData, system: System, settings: TrainBlock, grid: str
) -> list[pd.DataFrame]:
    """The network from random weights, trained on observations alone for as many epochs as fine-tuning and more rate.

    The scaler is fitted to the samples (it only sets ranges); there is no rehearsal.
    """
    alone = settings.model_copy(
        update={
            "rehearsal": 0.0,
            "code": 0,
            "finetune_rate": settings.pretrain_rate,
            "finetune_epochs": 2 * settings.finetune_epochs,
        }
    )
    found = []
    for member in settings.rounds:
        start = Member(new_network(system, settings, samples, settings.seed + member), grid)
        trained, _, split = finetune(start, samples, sites, alone, member, frozen_stage=False)
        found.append(site_table("network_no_pretraining", member, trained.network, sites, split.hidden))
    return found


def no_knowledge(
    samples: SequenceSet,
    sites: SiteData,
    system: System,
    settings: TrainBlock,
    grid: str,
    regional: RegionalData | None = None,
) -> list[pd.DataFrame]:
    """The network without knowledge terms: one pretraining (it sees no observation), fine-tuned for every fold."""
    without_terms = {term.name: 0.0 for term in system.terms(settings.head)}
    plain = settings.model_copy(update={"knowledge": without_terms, "local_days": 0})  # days are for the ensemble
    start, _ = pretrain(samples, system, plain, 0, grid)
    found = []
    for member in range(settings.members):
        made = adapt(start, samples, sites, plain, member, label="network_no_knowledge", regional=regional)
        found.append(made.predictions)
    return found


def process_model(sites: SiteData, system: System) -> list[pd.DataFrame]:
    """The process model with default parameters and structure, spun up twice; under measured profiles at sites without
    meteorology.

    Every observation is ``test``: the model has seen none.
    """
    found = []
    for data in sites.sets:
        unseen = np.ones((len(data.dates), len(data.sites)), bool)
        found.append(table("process", 0, data, simulated(data, system), unseen))
    return found
