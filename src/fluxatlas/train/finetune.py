"""Fine-tuning: a pretrained network meets observations, without those of its own fold."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..config.train import TrainBlock
from ..errors import InputError
from ..files import commit, settings_hash
from .data import SequenceSet, Window
from .knowledge import Knowledge
from .loop import Mixture, Schedule, Trainer
from .losses import Objective
from .member import Member
from .networks import HierarchicalNetwork
from .pretrain import device_of, split_samples
from .scaler import FAR
from .sites import SiteData
from .splits import folds, hold_out, time_folds

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
    fold %= count
    of_fold = _fold_masks(data, flux, settings, count)
    hidden = tuple(mask == fold for mask in of_fold)
    kept = [without(part, mask) for part, mask in zip(data.sets, hidden, strict=True)]
    alive = np.concatenate([np.isfinite(part.targets[flux]).any(axis=0) for part in kept])
    if not alive.any():
        raise InputError(f"no observation of '{flux}' is left to train on", hint="check the observations and the folds")
    out = np.zeros(len(alive), bool)
    out[alive] = hold_out(data.block[alive], settings.validation_share, seed)
    out = np.isin(data.block, data.block[out])
    training, validation, begin = [], [], 0
    for part in kept:
        mine = out[begin : begin + len(part.sites)]
        begin += len(part.sites)
        training.append(_weighted(part.only(~mine), flux))
        validation.append(_weighted(part.only(mine), flux))
    return Split(hidden, tuple(training), tuple(validation))


def _fold_masks(data: SiteData, flux: str, settings: TrainBlock, count: int) -> list[npt.NDArray[np.int64]]:
    """Fold number (time, site) of every day of every set."""
    if settings.split == "time":
        return [
            time_folds(np.any([np.isfinite(values) for values in part.targets.values()], axis=0), count)
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


def _weighted(data: SequenceSet, flux: str) -> SequenceSet:
    """Each site weighs one over the square root of its observed days, so that long towers do not dominate."""
    days = np.isfinite(data.targets[flux]).sum(axis=0)
    return replace(data, weight=1.0 / np.sqrt(np.maximum(days, 1)))


def rehearsed(
    objectives: tuple[Objective, Objective],
    sites: Sequence[SequenceSet],
    samples: SequenceSet,
    settings: TrainBlock,
    device: str,
) -> Callable[[np.random.Generator], Sequence[Callable[[], Mixture]]]:
    """Steps that mix windows of ``sites`` with synthetic ones; ``objectives`` are those of sites and of samples."""
    share = settings.rehearsal
    from_sites = max(1, round((1 - share) * settings.batch))
    from_samples = max(1, round(share * settings.batch)) if share > 0 else 0

    def steps(rng: np.random.Generator) -> list[Callable[[], Mixture]]:
        synthetic = samples.windows(settings.sequence_days, rng)
        found: list[Callable[[], Mixture]] = []
        for part in sites:
            windows = part.windows(settings.sequence_days, rng)
            for begin in range(0, len(windows), from_sites):
                chosen = rng.choice(len(synthetic), min(from_samples, len(synthetic)), replace=False)
                group = windows[begin : begin + from_sites]
                found.append(partial(make, part, group, [synthetic[index] for index in chosen]))
        return [found[index] for index in rng.permutation(len(found))]

    def make(part: SequenceSet, group: list[Window], synthetic: list[Window]) -> Mixture:
        observed = objectives[0], part.batch(group, settings.warmup_days, device)
        if not synthetic:
            return [(1.0, *observed)]
        return [(1 - share, *observed), (share, objectives[1], samples.batch(synthetic, settings.warmup_days, device))]

    return steps


def finetune(
    pretrained: Member,
    samples: SequenceSet,
    sites: SiteData,
    settings: TrainBlock,
    member: int,
    checkpoint: str | Path | None = None,
    meta: dict[str, Any] | None = None,
    frozen_stage: bool = True,
) -> tuple[Member, pd.DataFrame, Split]:
    """Fine-tune the weights of ``pretrained`` as member number ``member``; returns it, the history and what was hidden.

    The phases are those of the system (``System.phases``); without ``frozen_stage`` all sub-modules learn at once at
    the full rate. The weights of the best validation score are kept; they may be the pretrained ones.
    """
    system, seed, device = pretrained.system, settings.seed + member, device_of(settings)
    split = split_sites(sites, system.flux, settings, member, seed)
    network = copy.deepcopy(pretrained.network).to(device)
    objectives = (
        Objective(system, "finetune", Knowledge.of(system, "finetune", settings.knowledge, settings.head)),
        Objective(system, "pretrain", Knowledge.of(system, "pretrain", settings.knowledge, settings.head)),
    )
    synthetic = split_samples(samples, settings, seed)[0]

    def validate() -> Any:
        for part in split.validation:
            for batch in part.batches(64, settings.sequence_days, settings.warmup_days, None, device):
                yield [(1.0, objectives[0], batch)]

    epochs, rate = settings.finetune_epochs, settings.finetune_rate
    frozen = [Schedule(phase.name, epochs, phase.rate * rate, phase.learns or None) for phase in system.phases]
    trainer = Trainer(
        network=network,
        phases=frozen if frozen_stage else [Schedule("all", epochs, rate, keep_start=False)],
        batches=rehearsed(objectives, split.training, synthetic, settings, device),
        validate=validate,
        seed=seed,
        patience=settings.patience,
        clip=settings.clip,
        weight_decay=settings.weight_decay,
        checkpoint=Path(checkpoint) if checkpoint else None,
        signature=settings_hash([settings.model_dump(), meta, member, pretrained.meta]),
        label=f"member {member}:",
    )
    history = trainer.run()
    network.to("cpu").eval()
    described = {**pretrained.meta, "stage": "finetune", "member": member, "commit": commit(), **(meta or {})}
    described["sites"] = sites.places(split.hidden)
    described["hidden_sites"] = hidden_sites(sites, split)
    return Member(network, pretrained.grid, pretrained.applicability, described), history, split


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
