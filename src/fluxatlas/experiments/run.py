"""One experiment: train on what a fold leaves, predict what it hides, and keep a row of sums for each site."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..config.experiments import split_model
from ..config.settings import read_settings
from ..config.train import TrainBlock
from ..errors import InputError
from ..evaluate.scales import seasonal
from ..loading import load_object
from ..systems import Phase, System
from ..train.corrected import CORRECTION, corrected
from ..train.data import FloatArray, SequenceSet
from ..train.finetune import finetune
from ..train.member import Member
from ..train.phases import phases_of
from ..train.predict import predict
from ..train.pretrain import new_network, split_samples
from ..train.reweight import importance
from ..train.sites import SiteData
from .folds import Fold, make_folds
from .grid import SCRATCH, Experiment, Permutation
from .permutation import permuted_sets
from .references import DRIVEN, REFERENCES, Predictor, reference

COLUMNS = (
    *("split", "share", "model", "transfer", "number", "fold", "towers", "effective_samples", "seconds"),
    *("target", "site", "cluster", "n", "observed_mean", "predicted_mean", "observed_variance", "squared_error"),
    *("months", "cycle_variance", "cycle_squared_error"),
)
"""Columns of a result: ``observed_variance`` and ``squared_error`` are means over the days of a site, those of the
cycle sums over calendar months; ``towers``: number of sites that were learnt from; ``seconds``: of the whole fold."""
BROKEN = " broken"
"""What follows the name of an identity where a target would stand, in rows about the days that break it."""
PERMUTED = ("permuted", "over", "draw")
"""Further columns where drivers were permuted: the group (empty where none was), over what, and number of the draw."""
Model = Callable[[Sequence[SequenceSet]], list[dict[str, FloatArray]]]
"""Outputs (time, site) by name, of each set."""


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
    truth: pd.DataFrame | None = None,
    hidden: Sequence[str] = (),
    permutation: Permutation | None = None,
) -> pd.DataFrame:
    """All folds of an experiment, a row per site and fold (:data:`COLUMNS`).

    ``target`` is the output that is judged and the folds are made of (empty: the first flux of the system); networks
    learn from all that the sites of a fold measure, references from the target alone.

    ``start`` is the network that has learnt from ``samples``; None for references and :data:`SCRATCH`. Networks are not
    told the parameters of the process model. ``hidden`` outputs, which no site measures, are judged against the
    ``truth`` (``site, time, variable, value``) of the same sites on all days that a fold hides; of the references the
    process model alone makes them. What breaks an identity of the system has rows of its own, the share of days as
    ``predicted_mean``. With a ``permutation`` there are rows of the target besides with groups of drivers
    permuted (:data:`PERMUTED`), of all models that see drivers. Raises :class:`ConfigError` for an unknown model, and
    as :func:`fluxatlas.experiments.folds.make_folds`, :func:`true_values` and fine-tuning.
    """
    target = target or system.flux
    sites, rows = with_weather(sites, target), []
    known: dict[str, Predictor] = {}
    true = {name: true_values(truth, name, sites) for name in hidden}
    if one.model in REFERENCES:
        makes = (target, *hidden) if one.model == "process" else (target,)
        known = {name: reference(one.model, sites, system, name) for name in makes}
    else:
        cell, flat, _ = split_model(one.model)
        own: dict[str, Any] = {"cell": cell, "code": 0} | ({"knowledge": {}} if flat else {})
        settings = read_settings(TrainBlock, settings.model_dump_json(), **own)
    made = make_folds(sites, target, one.split, float(one.share), folds, settings, one.number)
    for number, fold in enumerate(made):
        begun = time.monotonic()
        model = fitted(one, fold, samples, sites, system, settings, grid, start, known)
        found = model(sites.sets)
        about: dict[str, Any] = {"split": one.split, "share": one.share, "model": one.model, "transfer": one.transfer}
        about |= {"number": one.number, "fold": number, "towers": len(fold.towers)}
        about |= {"effective_samples": np.nan if known else effective_samples(one, fold, samples, system, settings)}
        about |= {"seconds": time.monotonic() - begun}
        for name in (target, *(name for name in hidden if name in found[0])):
            of_site = site_rows(sites, name, fold, [one[name] for one in found], true.get(name))
            rows += [about | {"target": name} | row for row in of_site]
        for name, broken in checks(found, system).items():
            of_site = site_rows(sites, name, fold, broken, [np.zeros_like(one) for one in broken])
            rows += [about | {"target": name} | row for row in of_site]
        if permutation and permutation.draws and (not known or one.model in DRIVEN):
            for row in permuted_rows(model, permutation, sites, target, fold, system, settings.seed + one.number):
                rows.append(about | {"target": target} | row)
    further = PERMUTED if permutation and permutation.draws else ()
    return pd.DataFrame(rows, columns=[*COLUMNS, *further])


def checks(found: Sequence[Mapping[str, FloatArray]], system: System) -> dict[str, list[FloatArray]]:
    """By name of an identity (``NetworkParts.checks``) 1 on days (time, site) on which the outputs ``found`` break it,
    0 on others, NaN without outputs; none where an output is lacking."""
    made = {}
    for name, check in load_object(system.network).checks.items():
        try:
            broken = [np.where(np.isfinite(one[system.flux]), check(one), np.nan) for one in found]
        except KeyError:
            continue
        made[name + BROKEN] = [days.astype(np.float32) for days in broken]
    return made


def permuted_rows(
    model: Model, permutation: Permutation, sites: SiteData, target: str, fold: Fold, system: System, seed: int
) -> Iterator[dict[str, Any]]:
    """Sums over what ``fold`` hides, as :func:`site_rows`, for each group of drivers, way and draw."""
    tested = [np.asarray(mask.any(axis=0)) for mask in fold.hidden]
    for group, over, draw, parts in permuted_sets(sites.sets, permutation, system, seed):
        found = model([part.only(mask) for part, mask in zip(parts, tested, strict=True)])
        for row in site_rows(sites, target, fold, [values[target] for values in found]):
            yield {"permuted": group, "over": over, "draw": draw} | row


def predictions(
    one: Experiment,
    fold: Fold,
    sites: SiteData,
    samples: SequenceSet,
    system: System,
    settings: TrainBlock,
    grid: str,
    start: Member | None = None,
    known: Mapping[str, Predictor] | None = None,
) -> list[dict[str, FloatArray]]:
    """Outputs (time, site) of each set, by a model that has seen what ``fold`` does not hide; ``known`` makes those of
    a reference."""
    return fitted(one, fold, samples, sites, system, settings, grid, start, known)(sites.sets)


def fitted(
    one: Experiment,
    fold: Fold,
    samples: SequenceSet,
    sites: SiteData,
    system: System,
    settings: TrainBlock,
    grid: str,
    start: Member | None = None,
    known: Mapping[str, Predictor] | None = None,
) -> Model:
    """The model of :func:`predictions`, which can be asked with other drivers."""
    if known:
        asked = {name: predictor(fold.unused, settings.seed + one.number) for name, predictor in known.items()}

        def referred(parts: Sequence[SequenceSet]) -> list[dict[str, FloatArray]]:
            made = {name: values(parts) for name, values in asked.items()}
            return [{name: values[k] for name, values in made.items()} for k in range(len(parts))]

        return referred
    member, block, phases = prepared(one, samples, system, settings, grid, start)
    tuned, _, _ = finetune(member, samples, sites, block, one.number, phases=phases, split=fold.split)
    return lambda parts: [predict(tuned.network, part) for part in parts]


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


def true_values(truth: pd.DataFrame | None, name: str, sites: SiteData) -> list[FloatArray]:
    """What is true of the output ``name`` (time, site) at each set, NaN on days that the table ``truth`` lacks.

    Raises :class:`InputError` where it says nothing of ``name`` at any of the sites.
    """
    if truth is None:
        raise InputError(f"no truth of '{name}' is given", hint="give --truth, or take the output off --hidden")
    own = truth[truth["variable"] == name]
    wide = own.assign(time=pd.to_datetime(own["time"])).pivot(index="time", columns="site", values="value")
    found = [wide.reindex(index=part.dates, columns=list(part.sites)).to_numpy(np.float32) for part in sites.sets]
    if not any(np.isfinite(values).any() for values in found):
        raise InputError(f"the truth says nothing of '{name}' at these sites", hint="make the file of the truth again")
    return found


def site_rows(
    sites: SiteData,
    flux: str,
    fold: Fold,
    found: Sequence[FloatArray],
    true: Sequence[FloatArray] | None = None,
) -> Iterator[dict[str, Any]]:
    """Sums over what ``fold`` hides, a row per site with an observation (or what is ``true``) and a prediction."""
    judges = true or [part.targets[flux] for part in sites.sets]
    for part, hidden, judge, predicted in zip(sites.sets, fold.hidden, judges, found, strict=True):
        there = hidden & np.isfinite(judge) & np.isfinite(predicted)
        for site in np.flatnonzero(there.any(axis=0)):
            used = there[:, site]
            days = pd.DataFrame(
                {"observed": judge[used, site], "predicted": predicted[used, site]},
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
