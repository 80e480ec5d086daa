"""One experiment: train on what a fold leaves, predict what it hides, and keep a row of sums for each site."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..config.settings import read_settings
from ..config.train import TrainBlock
from ..errors import InputError
from ..evaluate.scales import seasonal
from ..systems import Phase, System
from ..train.corrected import CORRECTION, corrected
from ..train.data import FloatArray, SequenceSet
from ..train.finetune import finetune
from ..train.member import Member
from ..train.predict import predict
from ..train.pretrain import new_network, split_samples
from ..train.reweight import importance
from ..train.sites import SiteData
from ..train.strategies import phases_of
from .folds import Fold, make_folds
from .grid import SCRATCH, Experiment
from .references import REFERENCES, Predictor, reference

COLUMNS = (
    *("split", "share", "model", "transfer", "number", "fold", "towers", "effective_samples", "seconds"),
    *("target", "site", "cluster", "n", "observed_mean", "predicted_mean", "observed_variance", "squared_error"),
    *("months", "cycle_variance", "cycle_squared_error"),
)
"""Columns of a result: ``observed_variance`` and ``squared_error`` are means over the days of a site, those of the
cycle sums over calendar months; ``towers``: number of sites that were learnt from; ``seconds``: of the whole fold."""


def with_weather(sites: SiteData, target: str) -> SiteData:
    """The sites that the whole network can run at; raises :class:`InputError` where none has ``target``."""
    sets = tuple(part for part in sites.sets if part.modules is None and target in part.targets)
    if not sets or not SiteData(sets).count(target).any():
        raise InputError(f"no site has weather and '{target}'", hint="experiments need sites with meteorology")
    return SiteData(sets)


def run_experiment(
    one: Experiment,
    sites: SiteData,
    samples: SequenceSet,
    system: System,
    settings: TrainBlock,
    folds: int,
    grid: str,
    start: Member | None = None,
    target: str = "",
) -> pd.DataFrame:
    """All folds of an experiment, a row per site and fold (:data:`COLUMNS`).

    ``target`` is the output that is judged and the folds are made of (empty: the first flux of the system); networks
    learn from all that the sites of a fold measure, references from the target alone.

    ``start`` is the network that has learnt from ``samples``; None for references and :data:`SCRATCH`. Networks are not
    told the parameters of the process model. Raises :class:`ConfigError` for an unknown model, and as
    :func:`fluxatlas.experiments.folds.make_folds` and fine-tuning.
    """
    target = target or system.flux
    sites, rows, known = with_weather(sites, target), [], None
    if one.model in REFERENCES:
        known = reference(one.model, sites, system, target)
    else:
        settings = read_settings(TrainBlock, settings.model_dump_json(), cell=one.model, code=0)
    made = make_folds(sites, target, one.split, float(one.share), folds, settings, one.number)
    for number, fold in enumerate(made):
        begun = time.monotonic()
        found = predictions(one, fold, sites, samples, system, settings, grid, start, known, target)
        about: dict[str, Any] = {"split": one.split, "share": one.share, "model": one.model, "transfer": one.transfer}
        about |= {"number": one.number, "fold": number, "towers": len(fold.towers), "target": target}
        about |= {"effective_samples": np.nan if known else effective_samples(one, fold, samples, system, settings)}
        about |= {"seconds": time.monotonic() - begun}
        rows += [about | row for row in site_rows(sites, target, fold, found)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def predictions(
    one: Experiment,
    fold: Fold,
    sites: SiteData,
    samples: SequenceSet,
    system: System,
    settings: TrainBlock,
    grid: str,
    start: Member | None = None,
    known: Predictor | None = None,
    target: str = "",
) -> list[FloatArray]:
    """The ``target`` (time, site) of each set, by a model that has seen what ``fold`` does not hide; ``known`` makes
    that of a reference."""
    if known:
        return known(fold.unused, settings.seed + one.number)
    member, block, phases = prepared(one, samples, system, settings, grid, start)
    tuned, _, _ = finetune(member, samples, sites, block, one.number, phases=phases, split=fold.split)
    return [predict(tuned.network, part)[target or system.flux] for part in sites.sets]


def prepared(
    one: Experiment, samples: SequenceSet, system: System, settings: TrainBlock, grid: str, start: Member | None
) -> tuple[Member, TrainBlock, tuple[Phase, ...]]:
    """What fine-tuning begins with, its settings and its phases; all transfers make the same number of steps.

    Weights that begin at random learn at the rate of pretraining.
    """
    steps, seed = settings.finetune_steps, settings.seed + one.number
    fast = settings.model_copy(update={"finetune_rate": settings.pretrain_rate})
    if one.transfer == SCRATCH:
        member = Member(new_network(system, settings, split_samples(samples, settings, seed)[0], seed), grid)
        return member, fast, (Phase("sites", steps=steps, synthetic=0.0),)
    if start is None:
        raise InputError(f"transfer '{one.transfer}' begins with a pretrained network", hint="give --start")
    if one.transfer in ("residual", "stacking"):
        member = corrected(start, samples, one.transfer == "stacking", seed)
        return member, fast, (Phase(CORRECTION, steps=steps, synthetic=0.0),)
    phases = phases_of(system, TrainBlock.model_validate(settings.model_dump() | {"strategy": one.transfer}))
    alone: dict[str, Any] = {"synthetic": 0.0} if one.transfer in ("finetune", "l2sp") else {}
    each = -(-steps // len(phases))
    return start, settings, tuple(replace(phase, steps=each, **alone) for phase in phases)


def effective_samples(one: Experiment, fold: Fold, samples: SequenceSet, system: System, settings: TrainBlock) -> float:
    """Effective number of synthetic series in re-weighting; NaN for other transfers."""
    if one.transfer != "reweighted":
        return float("nan")
    synthetic = split_samples(samples, settings, settings.seed + one.number)[0]
    return importance(synthetic, fold.split.training, system)[1]


def site_rows(sites: SiteData, flux: str, fold: Fold, found: Sequence[FloatArray]) -> Iterator[dict[str, Any]]:
    """Sums over what ``fold`` hides, a row per site with an observation and a prediction."""
    for part, hidden, predicted in zip(sites.sets, fold.hidden, found, strict=True):
        there = hidden & np.isfinite(part.targets[flux]) & np.isfinite(predicted)
        for site in np.flatnonzero(there.any(axis=0)):
            used = there[:, site]
            days = pd.DataFrame(
                {"observed": part.targets[flux][used, site], "predicted": predicted[used, site]},
                index=part.dates[used],
                dtype=float,
            )
            cycle = seasonal(days)
            yield {
                "site": part.sites[site],
                "cluster": int(part.block[site]),
                "n": len(days),
                "observed_mean": days["observed"].mean(),
                "predicted_mean": days["predicted"].mean(),
                "observed_variance": days["observed"].var(ddof=0),
                "squared_error": ((days["predicted"] - days["observed"]) ** 2).mean(),
                "months": len(cycle),
                "cycle_variance": float((cycle["observed"] ** 2).sum()),
                "cycle_squared_error": float(((cycle["predicted"] - cycle["observed"]) ** 2).sum()),
            }
