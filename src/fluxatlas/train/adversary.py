"""Gradient reversal: what the network remembers of synthetic and of observed series is made alike.

A classifier learns to tell by the memory of the last recurrent sub-module which kind a series is; the gradient that
reaches the network through it is turned (Ganin et al. 2016, arXiv:1505.07818), so that the network learns what the
classifier cannot use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..errors import ConfigError
from .data import Batch
from .networks import HierarchicalNetwork
from .phases import ADVERSARY

UNITS = 16


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return -gradient


def reverse(values: Tensor) -> Tensor:
    """``values``, whose gradient is turned."""
    found: Tensor = _Reversed.apply(values)  # type: ignore[no-untyped-call]
    return found


class Adversary(nn.Module):
    """The classifier, and the term ``adversary`` over pairs of an observed and a synthetic :class:`Batch`.

    Raises :class:`ConfigError` for a network that remembers nothing.
    """

    stage = ADVERSARY

    def __init__(self, network: HierarchicalNetwork, seed: int) -> None:
        super().__init__()
        parts: Any = network.parts
        recurrent = [name for name, part in parts.items() if hasattr(part, "cell")]
        if not recurrent:
            raise ConfigError("no sub-module has a memory to compare", hint="take another strategy than adversarial")
        self.node = recurrent[-1]
        width = parts[self.node].cell.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.classifier = nn.Sequential(nn.Linear(width, UNITS), nn.ReLU(), nn.Linear(UNITS, 1))

    def memory(self, network: HierarchicalNetwork, batch: Batch) -> Tensor:
        """Mean memory (cell, unit) over the days of ``batch`` that count."""
        seen: list[Tensor] = []
        parts: Any = network.parts
        handle = parts[self.node].cell.register_forward_hook(lambda _module, _inputs, found: seen.append(found[0]))
        try:
            network(batch.drivers, batch.statics, overrides=batch.overrides, modules=batch.modules, theta=batch.theta)
        finally:
            handle.remove()
        return seen[0][batch.warmup :].mean(dim=0)

    def weights(self) -> dict[str, float]:
        """The term counts in phases that give it a weight."""
        return {ADVERSARY: 0.0}

    def terms(self, network: HierarchicalNetwork, batch: tuple[Batch, Batch], probe: bool = True) -> dict[str, Tensor]:
        """Mean cross-entropy of the classifier, both kinds weighing the same; the network's gradient is turned."""
        losses = []
        for kind, one in enumerate(batch):
            logit = self.classifier(reverse(self.memory(network, one)))
            losses.append(binary_cross_entropy_with_logits(logit, torch.full_like(logit, float(kind))))
        return {ADVERSARY: 0.5 * (losses[0] + losses[1])}

    def total(self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        """Weighted term."""
        return (weights or self.weights())[ADVERSARY] * terms[ADVERSARY]

    def observations(self, batch: tuple[Batch, Batch]) -> int:
        """None: it is not part of a validation score."""
        return 0
