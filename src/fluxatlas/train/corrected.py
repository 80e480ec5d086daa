"""A network whose flux is corrected by another one: residual learning and stacking.

The network that has learnt from simulations is frozen. A sequence cell over all drivers and statics learns beside it

- ``residual``: what the frozen flux lacks, ``F = F0 + s g(x)``; or
- ``stacking``: the flux itself, with the frozen one among its inputs, ``F = s g(x, F0 / s)`` (as in Smith et al.
  2026, EarthArXiv X5377D),

where ``s`` is the standard deviation of the simulated flux. Both start as the frozen network: ``g`` reads zero, or the
frozen flux alone. Weight decay draws a residual back to it. Parts of the flux stay those of the frozen network, so that
identities between them and the corrected flux do not hold: for comparisons, not for products.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..systems import Submodule
from .data import SequenceSet
from .member import Member
from .networks import HierarchicalNetwork
from .networks.hierarchy import RecurrentPart, Series

CORRECTION = "correction"


class Corrected(nn.Module):
    """``base``, frozen, with a correction of the first flux of its system.

    ``stacked``: the correction reads the frozen flux and makes the whole. ``unit``: ``s`` above, in the canonical unit.
    The interface is that of :class:`HierarchicalNetwork` as far as training and prediction use it.
    """

    def __init__(self, base: HierarchicalNetwork, unit: float, stacked: bool) -> None:
        super().__init__()
        self.system, self.submodules, self.stacked = base.system, base.submodules, stacked
        self.base = base.requires_grad_(False).eval()
        drivers = tuple(dict.fromkeys(name for part in base.submodules for name in part.drivers))
        statics = tuple(dict.fromkeys(name for part in base.submodules for name in part.statics))
        self.about = Submodule(CORRECTION, drivers, (), statics, (self.system.flux,))
        part = RecurrentPart(len(drivers) + stacked, len(statics), 1, replace(base.architecture, code=0))
        with torch.no_grad():
            part.readout.weight.zero_()
            if stacked:  # the frozen flux stands first among the features
                part.readout.weight[0, part.cell.width] = 1.0
        self.parts = nn.ModuleDict({CORRECTION: part})
        self.told: Any = nn.ModuleDict()
        self.past: Any = nn.ModuleDict()
        self.register_buffer("unit", torch.tensor(float(unit)))

    @property
    def scaler(self) -> Any:
        """That of the frozen network."""
        return self.base.scaler

    def train(self, mode: bool = True) -> Corrected:
        """As of any module; the frozen network stays in evaluation."""
        super().train(mode)
        self.base.eval()
        return self

    def forward(
        self, drivers: Series, statics: Series, state: Series | None = None, **given: Any
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As :meth:`HierarchicalNetwork.forward`; the state of the correction is kept beside that of the frozen one."""
        outputs, carried = self.base(drivers, statics, state, **given)
        name, unit = self.system.flux, cast(Tensor, self.unit)
        features = self.base.features(self.about, {**drivers, **statics})
        if self.stacked:
            features = torch.cat([outputs[name][..., None] / unit, features], dim=-1)
        raw, carried[CORRECTION] = self.parts[CORRECTION](features, (state or {}).get(CORRECTION))
        whole = unit * raw[..., 0]
        outputs[name] = whole if self.stacked else outputs[name] + whole
        return outputs, carried


def corrected(start: Member, samples: SequenceSet, stacked: bool, seed: int) -> Member:
    """``start`` with an untrained correction; its weights are drawn from ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unit = float(np.nanstd(samples.targets[start.system.flux])) or 1.0
        network: Any = Corrected(start.network, unit, stacked)
    return Member(network, start.grid, start.applicability, dict(start.meta))
