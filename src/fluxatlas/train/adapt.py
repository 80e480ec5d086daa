"""From a pretrained network to a member of the ensemble: as much is learnt from sites as they can teach.

How much that is, is a rung of the ladder (:mod:`fluxatlas.train.rungs`), named or chosen.

Folds are for evaluation: the predictions of a fold come from parameters (and weights) that have not seen it. The member
itself learns from all sites: members differ in their seed, in the structure of the process model, in the blocks of
sites drawn with replacement, and in their draw from what is then known of the parameters.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..config.train import TrainBlock
from ..errors import ConfigError
from ..files import commit
from . import applicability, rungs
from .calibrated import (
    Predicted,
    Structured,
    bootstrap,
    calibrate_sites,
    parameter_table,
    predict_places,
    structure_of,
)
from .calibration import Posterior
from .data import FloatArray, SequenceSet
from .finetune import Split, hidden_sites, say_beyond, split_sites
from .ladder import Climb
from .local import network_local
from .member import Member
from .networks import HierarchicalNetwork
from .phases import phases_apart
from .places import Effective, effective
from .predict import table
from .pretrain import split_samples
from .regional import RegionalData
from .sites import SiteData

INTERVALS = (
    *("member", "site", "target", "unit", "seen", "n", "observed_mean", "predicted_mean", "low", "high"),
    *("mean_inside", "days_inside"),
)
"""Columns of the table of intervals."""
HISTORY = ("phase", "epoch", "total", "validation", "best", "seconds")


@dataclass(frozen=True)
class Adapted:
    """A member and what is known of it: ``history`` of its weights (empty where none moved), ``predictions`` and
    ``intervals`` of the folds that it has not seen, ``parameters`` before and after. With ``train.local_days`` there
    are predictions of the model ``network_local`` too (:mod:`.local`)."""

    member: Member
    history: pd.DataFrame
    predictions: pd.DataFrame
    intervals: pd.DataFrame
    parameters: pd.DataFrame


def adapt(
    pretrained: Member,
    samples: SequenceSet,
    sites: SiteData,
    settings: TrainBlock,
    member: int,
    checkpoint: str | Path | None = None,
    meta: dict[str, Any] | None = None,
    label: str = "network",
    regional: RegionalData | None = None,
    trained: HierarchicalNetwork | None = None,
) -> Adapted:
    """Make member number ``member`` of ``pretrained`` on the rung ``settings.ladder``, or on the one that is chosen.

    ``predictions`` are those of the model called ``label``; where the member has several folds
    (:meth:`~fluxatlas.config.train.TrainBlock.folds_of`), each is learnt for by itself, and the member has the weights
    that were trained without the first. With ``regional`` the parameters of the member are those
    of the sites outside of its fold, which its points were told: its sums are the ones that training compared.
    ``trained`` is what phases in jobs of their own have made (:func:`train_phase`); nothing is trained then.

    Raises what :func:`fluxatlas.train.finetune.split_sites`, :func:`fluxatlas.train.calibration.calibrate` and
    :func:`fluxatlas.train.rungs.choose` do, and :class:`ConfigError` for ``regional`` on a rung other than ``network``.
    """
    system, seed = pretrained.system, settings.seed + member
    _refuse_regional(regional, settings)
    model = Structured(system, structure_of(samples, system, member, settings.seed))
    say_beyond(pretrained.network, sites)
    materials = rungs.RungMaterials(pretrained, samples, sites, settings, model, member, regional)
    training, held_out = split_samples(samples, settings, seed)
    first, *rest = settings.folds_of(member)
    learnt = _without(first, materials, held_out, checkpoint, meta, trained)
    tables, unseen = [_fold(learnt, sites, model, settings, member, label)], learnt.split
    told = [_told_days(learnt, sites, model, settings, member)]
    for fold in rest:
        aside = Path(checkpoint).with_suffix(f".fold_{fold}.pt") if checkpoint else None
        other = _without(fold, materials, held_out, aside, meta)
        tables.append(_fold(other, sites, model, settings, member, label))
        told.append(_told_days(other, sites, model, settings, member))
        both = zip(unseen.hidden, other.split.hidden, strict=True)
        unseen = replace(unseen, hidden=tuple(one | two for one, two in both))
    predictions, intervals = _unseen_first(tables)
    predictions = pd.concat([predictions, *(frame for frame in told if len(frame))], ignore_index=True)
    posterior, bound = learnt.posterior, learnt.told
    whole = posterior
    if learnt.rung not in rungs.UNCALIBRATED and bound is None:
        weights = bootstrap(sites.sets, member, settings.seed)
        whole = calibrate_sites(sites.sets, model, weights)
        _say(f"member {member}, of all sites", whole)
    found = effective(learnt.network, held_out, model, _drawn(whole, settings, member), seed)
    if bound is not None:
        found = replace(found, u=bound)
    about: dict[str, Any] = {"ladder": learnt.rung}
    about |= {} if learnt.chosen is None else {"climb": learnt.chosen.described}
    about |= {} if regional is None else {"constraint": dict(regional.target.about)}
    own = _member(pretrained, learnt.network, model, found, training, sites, unseen, member, {**about, **(meta or {})})
    return Adapted(own, learnt.history, predictions, intervals, parameter_table(whole, model).assign(member=member))


@dataclass(frozen=True)
class _Learnt:
    """What the sites outside of one fold have taught: the ``rung``, how it was ``chosen``, parameters and weights.

    ``told`` (k,) are the parameters of the points of regions, None without these.
    """

    split: Split
    rung: str
    chosen: Climb | None
    posterior: Posterior
    network: HierarchicalNetwork
    history: pd.DataFrame
    told: FloatArray | None


def _without(
    fold: int,
    materials: rungs.RungMaterials,
    held_out: SequenceSet,
    checkpoint: str | Path | None,
    meta: dict[str, Any] | None,
    trained: HierarchicalNetwork | None = None,
) -> _Learnt:
    """Learn from the sites outside of ``fold``; ``held_out`` are samples."""
    settings, sites, model, member = materials.settings, materials.sites, materials.model, materials.member
    pretrained, seed, regional = materials.pretrained, settings.seed + member, materials.regional
    split = split_sites(sites, pretrained.system.flux, settings, fold, seed)
    chosen = rungs.choose(materials, split.hidden) if settings.ladder == rungs.CLIMB else None
    rung = chosen.chosen if chosen else settings.ladder
    posterior = materials.posterior(rung, split.hidden)
    network, history = trained or pretrained.network, pd.DataFrame(columns=list(HISTORY))
    if rung not in rungs.UNCALIBRATED:
        _say(f"member {member}, without fold {fold}", posterior)
    bound = None
    if regional is not None:
        bound = effective(network, held_out, model, _drawn(posterior, settings, member), seed).u
        own = _everywhere(regional, bound, model).measured(network, settings.warmup_days)
        materials = replace(materials, regional=own)
    if trained is None and rung in rungs.TRAINED:
        tuned, history = materials.weights(rung, posterior, split, checkpoint=checkpoint, meta=meta)
        network = tuned.network
    return _Learnt(split, rung, chosen, posterior, network, history, bound)


def _refuse_regional(regional: RegionalData | None, settings: TrainBlock) -> None:
    if regional is not None and settings.ladder != "network":
        hint = "set train.ladder: network, or leave the constraint out"
        raise ConfigError("sums of regions hold weights, and none are trained", where="train.ladder", hint=hint)


def train_phase(
    before: Member,
    pretrained: Member,
    samples: SequenceSet,
    sites: SiteData,
    settings: TrainBlock,
    member: int,
    number: int,
    checkpoint: str | Path | None = None,
    meta: dict[str, Any] | None = None,
) -> tuple[Member, pd.DataFrame]:
    """Phase ``number`` (from 0) of the strategy alone, on the rung ``weights``, from what the phase ``before`` left.

    ``pretrained`` is what the first began with. Returns the network and a row per epoch with every term of the loss.
    Phase by phase gives what :func:`adapt` trains at once, bit by bit. Raises :class:`ConfigError` for a number that
    the strategy does not have or on another rung, and as :func:`adapt`.
    """
    system, phases = pretrained.system, phases_apart(pretrained.system, settings)
    if number >= len(phases):
        what = f"phase {number + 1} is asked for, and {len(phases) or 'none'} can be made alone"
        hint = "phases are jobs of their own with train.ladder: weights and a strategy of two phases or more"
        raise ConfigError(what, where="train.strategy", hint=hint)
    split = split_sites(sites, system.flux, settings, member, settings.seed + member)
    model = Structured(system, structure_of(samples, system, member, settings.seed))
    materials = rungs.RungMaterials(before, samples, sites, settings, model, member)
    posterior = materials.posterior("weights", split.hidden)
    origin, own = pretrained.network, {"phase": phases[number].name, **(meta or {})}
    return materials.weights("weights", posterior, split, checkpoint, own, only=number, origin=origin)


def _drawn(posterior: Posterior, settings: TrainBlock, member: int) -> FloatArray:
    """Parameters (k,) that all places share: the middle for the first member, a draw for the others."""
    if member == 0:
        return np.asarray(np.sqrt(1 - posterior.between) * posterior.mean)
    return np.asarray(posterior.draw_shared(1, np.random.default_rng([settings.seed, member, 19]))[0])


def _everywhere(regional: RegionalData, u: FloatArray, model: Structured) -> RegionalData:
    """``regional`` with the parameters ``u`` (k,) told to all of its points."""
    count = len(regional.series.sites)
    values = model.theta(np.broadcast_to(u, (count, u.size))).all()
    theta = {name: np.asarray(one, np.float32) for name, one in values.items()}
    return replace(regional, series=replace(regional.series, theta=theta))


def _say(what: str, posterior: Posterior) -> None:
    said = "" if posterior.converged else f"; {posterior.message}"
    text = f"{what}: {len(posterior.names)} parameters calibrated at {len(posterior.sites)} sites{said}"
    print(text, file=sys.stderr, flush=True)


def _fold(
    learnt: _Learnt, sites: SiteData, model: Structured, settings: TrainBlock, member: int, label: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and intervals at all sites."""
    frames, rows = [], []
    for data, hidden in zip(sites.sets, learnt.split.hidden, strict=True):
        seed = settings.seed + member
        found: Predicted = predict_places(learnt.network, data, learnt.posterior, model, seed, hidden)
        frames.append(table(label, member, data, found.mean, hidden, (found.low, found.high)))
        rows += found.rows
    intervals = pd.DataFrame(rows).assign(member=member)
    return pd.concat(frames, ignore_index=True), intervals.reindex(columns=list(INTERVALS))


def _told_days(learnt: _Learnt, sites: SiteData, model: Structured, settings: TrainBlock, member: int) -> pd.DataFrame:
    """Predictions at the sites that were left out, told ``train.local_days`` of their own days; empty for none."""
    if not settings.local_days:
        return pd.DataFrame()
    hidden, seed = learnt.split.hidden, settings.seed + member
    return network_local(learnt.network, sites, hidden, learnt.posterior, model, seed, settings.local_days, member)


def _unseen_first(tables: list[tuple[pd.DataFrame, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One table of predictions and of intervals of those of several folds of a member: what one fold hides is as that
    fold predicts it, all else as the first does."""
    (first, intervals), *rest = tables
    if not rest:
        return first, intervals
    unseen = [frame[frame["split"] == "test"] for frame, _ in rest]
    whole = pd.concat([first, *unseen], ignore_index=True)
    whole = whole.drop_duplicates(["site", "time", "variable", "days"], keep="last", ignore_index=True)
    own, later = first.loc[first["split"] == "test", "site"], pd.concat(unseen)["site"]
    kept = [intervals[(intervals["seen"] == 1) | intervals["site"].isin(own) | ~intervals["site"].isin(later)]]
    for frame, (_, rows) in zip(unseen, rest, strict=True):
        kept.append(rows[(rows["seen"] == 0) & rows["site"].isin(frame["site"])])
    return whole, pd.concat(kept, ignore_index=True)


def _member(
    pretrained: Member,
    network: HierarchicalNetwork,
    model: Structured,
    found: Effective,
    training: SequenceSet,
    sites: SiteData,
    split: Split,
    member: int,
    meta: dict[str, Any],
) -> Member:
    """``network`` bound to the effective parameters, with what it must say of itself."""
    theta = {name: float(values[0]) for name, values in model.theta(found.u[None]).all().items()}
    bound = network.bind(theta).eval()
    described = {**pretrained.meta, "stage": "adapt", "member": member, "commit": commit(), **meta}
    described |= {
        "sites": sites.places([np.zeros_like(mask) for mask in split.hidden]),
        "hidden_sites": hidden_sites(sites, split),
        "theta": theta,
        "mean_over_places": found.ratio,
        "places": {name: list(line) for name, line in found.spread.items()},
    }
    index = applicability.fit(bound, training, model.system, [*sites.sets])
    unbound = network if network.architecture.code else None
    return Member(bound, pretrained.grid, index, described, unbound)
