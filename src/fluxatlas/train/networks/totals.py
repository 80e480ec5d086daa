"""Sums over days between events, exact and carried from block to block of days: what stands in a field at harvest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ...systems.base import Total


def run_totals(
    totals: Sequence[Total],
    events: Mapping[str, Callable[[Mapping[str, Tensor]], Tensor]],
    known: Mapping[str, Tensor],
    state: Tensor | None = None,
) -> tuple[dict[str, Tensor], Tensor]:
    """What each of ``totals`` releases by day (time, cell), by name, and the state (1, cell, total) after the last day;
    without a ``state`` nothing was summed before."""
    ends = torch.stack([events[total.event](known) for total in totals], dim=-1)
    net = torch.stack([_net(total, known) for total in totals], dim=-1)
    last = torch.zeros_like(net[0]) if state is None else state[0]
    released = []
    for day, end in zip(net.unbind(dim=0), ends.unbind(dim=0), strict=True):
        reached = last + day
        released.append(reached * end)
        last = reached * (1.0 - end)
    found = torch.stack(released)
    return {total.name: found[..., k] for k, total in enumerate(totals)}, last[None]


def _net(total: Total, known: Mapping[str, Tensor]) -> Tensor:
    net = torch.stack([known[name] for name in total.gains]).sum(dim=0)
    for name in total.losses:
        net = net - known[name]
    return net
