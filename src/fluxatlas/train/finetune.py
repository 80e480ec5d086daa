"""Fine-tuning: a pretrained network meets observations, without those of its own fold."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..config.train import TrainBlock
from ..errors import InputError
from ..files import commit, settings_hash
from ..systems import Phase, System
from .data import SequenceSet
from .knowledge import Knowledge
from .loop import Schedule, Trainer
from .losses import Objective
from .member import Member
from .merged import merged
from .networks import HierarchicalNetwork
from .phases import ADVERSARY, phases_of
from .pretrain import device_of, split_samples
from .regional import RegionalData, RegionalObjective
from .scaler import FAR
from .site_periods import spread
from .sites import SiteData
from .splits import folds, hold_out, time_folds
from .strategies import PhaseMaterials, schedules

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """What one fold hides: ``hidden`` (time, site) of each set, and the training and validation part of each set."""

    hidden: tuple[Mask, ...]
    training: tuple[SequenceSet, ...]
    validation: tuple[SequenceSet, ...]


def split_sites(data: SiteData, flux: str, settings: TrainBlock, fold: int, seed: int) -> Split:
    """Hide fold number ``fold`` (modulo their number) and cut validation blocks from what is left.

    Raises :class:`InputError` where there are too few blocks, or where nothing observed of ``flux`` is left to learn.
    """
    count = settings.n_folds
    of_fold = _fold_masks(data, flux, settings, count)
    return split_rest(data, tuple(mask == fold % count for mask in of_fold), flux, settings, seed)


def split_rest(data: SiteData, hidden: tuple[Mask, ...], flux: str, settings: TrainBlock, seed: int) -> Split:
    """Cut validation blocks from what ``hidden`` (time, site) of each set leaves; raises as :func:`split_sites`."""
    kept = [without(part, mask) for part, mask in zip(data.sets, hidden, strict=True)]
    alive = np.concatenate([part.count(flux) > 0 for part in kept])
    if not alive.any():
        raise InputError(f"no observation of '{flux}' is left to train on", hint="check the observations and the folds")
    out = np.zeros(len(alive), bool)
    out[alive] = hold_out(data.block[alive], settings.validation_share, seed)
    out = np.isin(data.block, data.block[out])
    training, validation, begin = [], [], 0
    for part in kept:
        mine = out[begin : begin + len(part.sites)]
        begin += len(part.sites)
        training.append(weighted(part.only(~mine), flux))
        validation.append(weighted(part.only(mine), flux))
    return Split(hidden, tuple(training), tuple(validation))


def _fold_masks(data: SiteData, flux: str, settings: TrainBlock, count: int) -> list[npt.NDArray[np.int64]]:
    """Fold number (time, site) of every day of every set."""
    if settings.split == "time":
        return [
            time_folds(np.any([np.isfinite(spread(part, name)) for name in part.targets], axis=0), count)
            for part in data.sets
        ]
    of_site = folds(data.block, count, data.count(flux) + 1)
    masks, begin = [], 0
    for part in data.sets:
        mine = of_site[begin : begin + len(part.sites)]
        begin += len(part.sites)
        masks.append(np.broadcast_to(mine, (len(part.dates), len(mine))))
    return masks


def without(data: SequenceSet, hidden: Mask) -> SequenceSet:
    """The set without the observations where ``hidden`` (time, site)."""
    return data.observed(lambda _, values: np.where(hidden, np.float32(np.nan), values))


def weighted(data: SequenceSet, flux: str) -> SequenceSet:
    """Each site weighs one over the square root of its observations, so that long towers do not dominate; its days have
    one stated error (:meth:`SequenceSet.steady`)."""
    return replace(data.steady(), weight=1.0 / np.sqrt(np.maximum(data.count(flux), 1)))


def finetune(
    pretrained: Member,
    samples: SequenceSet,
    sites: SiteData,
    settings: TrainBlock,
    member: int,
    checkpoint: str | Path | None = None,
    meta: dict[str, Any] | None = None,
    frozen_stage: bool = True,
    phases: Sequence[Phase] | None = None,
    regional: RegionalData | None = None,
    split: Split | None = None,
    only: int | None = None,
    origin: HierarchicalNetwork | None = None,
) -> tuple[Member, pd.DataFrame, Split]:
    """Fine-tune the weights of ``pretrained`` as member number ``member``; returns it, the history and what was hidden.

    The ``phases`` are those of the strategy (``train.strategy``: by default those of the system) where none are given;
    without ``frozen_stage`` all sub-modules learn at once at the full rate. The weights of the best validation score
    are kept; they may be the pretrained ones. ``regional`` are region-months, for phases with that term; ``split``
    replaces that of the member. ``only``: the phase of this number alone, where ``pretrained`` is what the phase before
    left and ``origin`` what the first began with. This gives what all at once give, but for an adversary in two or more
    phases, which starts anew. Raises what :func:`split_sites` and :func:`~fluxatlas.train.strategies.schedules` do.
    """
    system, seed, device = pretrained.system, settings.seed + member, device_of(settings)
    split = split or split_sites(sites, system.flux, settings, member, seed)
    if settings.labels == "merged":
        split = replace(split, training=merged(split.training, system))
    network = copy.deepcopy(pretrained.network).to(device)
    began = None if origin is None else copy.deepcopy(origin).to(device)
    planned = phases_of(system, settings) if phases is None else tuple(phases)
    objectives = _objectives(system, settings, planned if only is None else planned[only : only + 1], began or network)
    synthetic = split_samples(samples, settings, seed)[0]
    atmosphere = None if regional is None else RegionalObjective(regional, settings.warmup_days)
    parts = split.training, split.validation
    with_data = PhaseMaterials(network, objectives, *parts, synthetic, settings, device, seed, atmosphere)
    about = regional and dict(regional.target.about)
    chosen = schedules(planned, with_data) if frozen_stage else [_at_once(settings)]
    trainer = Trainer(
        network=network,
        phases=chosen if only is None else chosen[only : only + 1],
        batches=with_data.batches(),
        validate=with_data.validate,
        seed=seed,
        patience=settings.patience,
        clip=settings.clip,
        weight_decay=settings.weight_decay,
        checkpoint=Path(checkpoint) if checkpoint else None,
        signature=settings_hash([settings.model_dump(), meta, member, pretrained.meta, repr(planned), only, about]),
        label=f"member {member}:",
        first=only or 0,
        origin=began,
        aside=with_data.adversary if frozen_stage and any(one.weighs(ADVERSARY) for one in planned) else None,
    )
    history = trainer.run()
    network.to("cpu").eval()
    described = {**pretrained.meta, "stage": "finetune", "member": member, "commit": commit(), **(meta or {})}
    described |= {"sites": sites.places(split.hidden), "hidden_sites": hidden_sites(sites, split)}
    described |= {} if about is None else {"constraint": about}
    return Member(network, pretrained.grid, pretrained.applicability, described), history, split


def _at_once(settings: TrainBlock) -> Schedule:
    rate, decay = settings.finetune_rate, (settings.rate_decay, settings.rate_decay_epochs)
    return Schedule("all", settings.finetune_epochs, rate, keep_start=False, decay=decay)


def _objectives(
    system: System, settings: TrainBlock, phases: Sequence[Phase], network: HierarchicalNetwork
) -> tuple[Objective, Objective]:
    """The objectives of sites and of samples; knowledge terms may look back at the ``network`` as it is now."""
    phased = frozenset(name for phase in phases for name in phase.terms if phase.weighs(name))
    before = copy.deepcopy(network).eval().requires_grad_(False)

    def made(stage: str) -> Objective:
        knowledge = Knowledge.of(system, stage, settings.knowledge, settings.head)
        return Objective(system, stage, replace(knowledge, phased=phased, reference=before if phased else None))

    return made("finetune"), made("pretrain")


def say_beyond(network: HierarchicalNetwork, sites: SiteData) -> None:
    """Name the sites with statics beyond the samples, which the network holds at their edge."""
    for part in sites.sets:
        far = network.beyond({name: torch.as_tensor(values) for name, values in part.statics.items()})
        for number, site in enumerate(part.sites):
            names = [name for name, mask in far.items() if mask[number]]
            if names:
                said = f"site {site}: {', '.join(names)} beyond {FAR:g} standard deviations of the samples, held there"
                print(said, file=sys.stderr, flush=True)


def hidden_sites(sites: SiteData, split: Split) -> list[str]:
    """Sites that are hidden on all days."""
    return [
        site
        for part, hidden in zip(sites.sets, split.hidden, strict=True)
        for site, gone in zip(part.sites, np.atleast_1d(hidden.all(axis=0)), strict=True)
        if gone
    ]
