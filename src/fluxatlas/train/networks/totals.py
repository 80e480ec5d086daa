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
    sums = net.double().cumsum(dim=0)  # differences of long sums
    if state is not None:
        sums = sums + state[0]
    days = torch.arange(1, len(net) + 1, device=net.device).reshape(-1, 1, 1)
    last = torch.where(ends > 0, days, 0)
    if len(net) > 1:  # of one day there is nothing to carry on, and ONNX knows no such operator
        last = last.cummax(dim=0).values
    before = torch.cat([torch.zeros_like(last[:1]), last[:-1]])  # 1 + day of the event before
    reached = (sums - torch.cat([torch.zeros_like(sums[:1]), sums]).gather(0, before)).to(net.dtype)
    found = reached * ends
    return {total.name: found[..., k] for k, total in enumerate(totals)}, (reached - found)[-1][None]


def _net(total: Total, known: Mapping[str, Tensor]) -> Tensor:
    net = torch.stack([known[name] for name in total.gains]).sum(dim=0)
    for name in total.losses:
        net = net - known[name]
    return net
