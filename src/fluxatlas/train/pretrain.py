"""Pretraining: a network learns the process model from synthetic samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..config.train import TrainBlock
from ..errors import ConfigError
from ..files import commit, settings_hash
from ..systems import System
from . import applicability
from .data import SequenceSet
from .knowledge import Knowledge
from .loop import Mixture, Schedule, Trainer
from .losses import Objective
from .member import Member
from .networks import Architecture, HierarchicalNetwork
from .splits import hold_out


def device_of(settings: TrainBlock) -> str:
    """The device to train on; raises :class:`ConfigError` where a GPU is asked for and there is none."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device is 'cuda', but there is no GPU", hint="use device: auto or cpu")
    return "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"


def new_network(system: System, settings: TrainBlock, samples: SequenceSet, seed: int) -> HierarchicalNetwork:
    """A network with random weights and a scaler fitted to ``samples``."""
    torch.manual_seed(seed)
    architecture = Architecture(
        cell=settings.cell,
        hidden=settings.hidden,
        layers=settings.layers,
        dropout=settings.dropout,
        window=settings.window_days,
        code=settings.code if system.told else 0,
        head=settings.head,
        options=settings.options,
    )
    network = HierarchicalNetwork(system, architecture)
    network.scaler.fit(samples.values())
    return network


def split_samples(samples: SequenceSet, settings: TrainBlock, seed: int) -> tuple[SequenceSet, SequenceSet]:
    """Training and validation samples; whole spatial blocks are held out."""
    out = hold_out(samples.block, settings.validation_share, seed)
    return samples.only(~out), samples.only(out)


def handing(samples: SequenceSet, names: Sequence[str]) -> SequenceSet:
    """``samples`` that hand the outputs ``names`` of sub-modules on instead of teaching them."""
    return replace(samples, overrides={name: samples.targets[name] for name in names})


def single(
    objective: Objective, data: SequenceSet, settings: TrainBlock, device: str
) -> Callable[[Any], Sequence[Any]]:
    """Steps over one set of sequences alone, for :class:`Trainer`; every second one hands on ``measured_inputs``.

    Which of the two a pass begins with is drawn, so that a short pass learns both in the end and a resumed run the
    same; without draws, as for validation, each group of sequences is there both ways.
    """
    sets = (data, handing(data, settings.measured_inputs)) if settings.measured_inputs else (data,)

    def steps(rng: np.random.Generator | None) -> list[Callable[[], Mixture]]:
        windows = data.windows(settings.sequence_days, rng)
        groups = [windows[begin : begin + settings.batch] for begin in range(0, len(windows), settings.batch)]
        if rng is None:
            return [partial(make, own, group) for group in groups for own in sets]
        begin = int(rng.integers(len(sets))) if len(sets) > 1 else 0
        return [partial(make, sets[(begin + number) % len(sets)], group) for number, group in enumerate(groups)]

    def make(own: SequenceSet, group: list[Any]) -> Mixture:
        return [(1.0, objective, own.batch(group, settings.warmup_days, device))]

    return steps


def pretrain(
    samples: SequenceSet,
    system: System,
    settings: TrainBlock,
    member: int,
    grid: str,
    checkpoint: str | Path | None = None,
    meta: dict[str, Any] | None = None,
) -> tuple[Member, pd.DataFrame]:
    """Train member number ``member`` on ``samples``; returns it and the history, a row per epoch.

    The scaler and the applicability index are fitted to the training part. Same seed, same data: same weights, also
    when resumed from ``checkpoint``.
    """
    seed, device = settings.seed + member, device_of(settings)
    training, validation = split_samples(samples, settings, seed)
    network = new_network(system, settings, training, seed).to(device)
    objective = Objective(system, "pretrain", Knowledge.of(system, "pretrain", settings.knowledge, settings.head))
    validate = single(objective, validation, settings, device)
    decay = settings.rate_decay, settings.rate_decay_epochs
    trainer = Trainer(
        network=network,
        phases=[Schedule("pretrain", settings.pretrain_epochs, settings.pretrain_rate, keep_start=False, decay=decay)],
        batches=single(objective, training, settings, device),
        validate=lambda phase: (make() for make in validate(None)),
        seed=seed,
        patience=settings.patience,
        clip=settings.clip,
        weight_decay=settings.weight_decay,
        checkpoint=Path(checkpoint) if checkpoint else None,
        signature=settings_hash([settings.model_dump(), meta, member]),
        label=f"member {member}:",
    )
    history = trainer.run()
    network.to("cpu").eval()
    described = {"stage": "pretrain", "member": member, "commit": commit(), **(meta or {})}
    described |= {"span": samples.span, "site_days": samples.site_days}
    return Member(network, grid, applicability.fit(network, training, system), described), history
