"""What lies behind a day: means of past drivers that forget at a rate that is learned and depends on the place.

The mean of a driver ``x`` is ``m[t] = k m[t - 1] + (1 - k) x[t]``, which is the sum over all past days of
``(1 - k) k^i x[t - i]``: the antecedent precipitation index of Kohler & Linsley (1951) [R] times ``1 - k``, so that it
keeps the unit of the driver. ``k = sigmoid(a + sum b s)`` of the scaled statics ``s`` of the place; ``b`` is 0 at
first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...systems.base import Memory


class Antecedent(nn.Module):
    """Means of the past of several drivers, one for each of ``memories``."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        super().__init__()
        self.memories = tuple(memories)
        kept = [math.exp(-1.0 / memory.days) for memory in memories]
        self.base = nn.Parameter(torch.tensor([math.log(k / (1.0 - k)) for k in kept]))
        self.slopes = nn.ParameterList(nn.Parameter(torch.zeros(len(memory.statics))) for memory in memories)

    def kept(self, fixed: Mapping[str, Tensor], cells: int) -> Tensor:
        """Share (cell, memory) of a mean that is left after a day, from scaled statics (cell,)."""
        found = []
        for base, slopes, memory in zip(self.base, self.slopes, self.memories, strict=True):
            logit = base.expand(cells)
            for slope, name in zip(slopes, memory.statics, strict=True):
                logit = logit + slope * fixed[name]
            found.append(torch.sigmoid(logit))
        return torch.stack(found, dim=-1)

    def forward(self, series: Tensor, kept: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means (time, cell, memory) of ``series``, same shape, and the state (1, cell, memory) after the last day;
        without a ``state`` nothing fell before."""
        means = (1.0 - kept) * series
        if state is not None:
            means = torch.cat([means[:1] + kept * state[0], means[1:]])
        back, power = 1, kept
        while back < len(means):  # day t then holds the sum over the 2 x back days up to it
            means = torch.cat([means[:back], means[back:] + power * means[:-back]])
            back, power = 2 * back, power * power
        return means, means[-1][None]
