"""Knowledge of soil moisture and energy in physical units; every term is zero where it is obeyed.

Bounds after the science notes, section 7 [D]; tests hold them to the process model, which obeys them all.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from ...constants import LATENT_HEAT
from ...process.energy import canopy_torch as physics
from ...process.energy.canopy import TOP
from ..protocols import KnowledgeProbe

DRY_DAY = 0.1 / 86400.0  # kg m-2 s-1
WETTER = 1.25
"""Factor on all rain of the probe of the antecedent term."""


def closure(rns: Tensor, hfls: Tensor, hfss: Tensor, hfdsl: Tensor, scale: float = 20.0) -> Tensor:
    """Mean square of what is left of the balance [W m-2], per ``scale``."""
    return ((rns - hfls - hfss - hfdsl) / scale).square().mean()


def equilibrium(hfls: Tensor, available: Tensor, ratio: Tensor, pr: Tensor, allowance: float = 60.0) -> Tensor:
    """Mean excess of ``hfls`` over 1.6 times the equilibrium rate of the ``available`` energy, an ``allowance`` for dry
    air from elsewhere and a quarter of the rain ``pr`` from wet leaves, and of dew beyond 25 W m-2; in units of
    20 W m-2. ``ratio``: slope over psychrometric constant."""
    most = 1.6 * ratio / (ratio + 1.0) * relu(available) + allowance + 0.25 * LATENT_HEAT * pr
    return ((relu(hfls - most) + relu(-25.0 - hfls)) / 20.0).mean()


def wetting(swc: Tensor, pr: Tensor, snw: Tensor, rise: float = 2.0) -> Tensor:
    """Mean gain of the top layer [mm d-1] beyond what falls, melts and rises from below (``rise``); (time, cell)."""
    gained = TOP * (swc[1:] - swc[:-1])
    given = 86400.0 * pr[1:] + relu(snw[:-1] - snw[1:]) + rise
    return relu(gained - given).mean()


def dry_down(swc: Tensor, pr: Tensor, snw: Tensor, rns: Tensor, capacity: Tensor, slack: float = 1.0) -> Tensor:
    """Mean loss of the top layer [mm d-1] on days without rain and snow, below field ``capacity``, beyond what the net
    radiation ``rns`` can evaporate and ``slack``; (time, cell)."""
    lost = TOP * (torch.minimum(swc[:-1], capacity) - torch.minimum(swc[1:], capacity))
    energy = 86400.0 * relu(rns[1:]) / LATENT_HEAT
    dry = (pr[1:] < DRY_DAY) & (snw[:-1] < 0.1)
    return (relu(lost - energy - slack) * dry).sum() / dry.sum().clamp_min(1)


def antecedent(swc: Tensor, wetter: Tensor) -> Tensor:
    """Mean water content by which a soil with more rain all along, ``wetter``, is drier; in units of 0.05."""
    return (relu(swc - wetter) / 0.05).mean()


def closure_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`closure` of the batch."""
    made = probe.outputs
    return closure(made["rns"], made["hfls"], made["hfss"], made["hfdsl"])


def equilibrium_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`equilibrium` of the batch."""
    made, known = probe.outputs, probe.known
    ratio = physics.slope_ratio(known["tas"], known["ps"])
    return equilibrium(made["hfls"], made["rns"] - made["hfdsl"], ratio, known["pr"])


def wetting_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`wetting` of the batch."""
    return wetting(probe.outputs["swc05"], probe.known["pr"], probe.outputs["snw"])


def dry_down_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`dry_down` of the batch."""
    made, known = probe.outputs, probe.known
    own = made["rns"].new_tensor(probe.network.theta["retention_factor"])
    capacity = physics.retained(known, probe.theta.get("retention_factor", own))[1]
    return dry_down(made["swc05"], known["pr"], made["snw"], made["rns"], capacity)


def antecedent_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`antecedent` of the first sites of the batch, run again beside themselves with more rain."""
    network, known = probe.network, probe.known
    cells = min(probe.sites, known["pr"].shape[1])
    names = (*network.system.forcing, *network.system.slow_drivers)
    drivers = {name: known[name][:, :cells].repeat(1, 2) for name in names}
    factor = torch.cat([drivers["pr"].new_ones(cells), drivers["pr"].new_full((cells,), WETTER)])
    drivers["pr"] = drivers["pr"] * factor
    statics = {name: known[name][:cells].repeat(2) for name in network.system.statics}
    theta = {name: values[:cells].repeat(2) for name, values in probe.theta.items()}
    outputs, _ = network(drivers, statics, theta=theta)
    return sum(antecedent(*outputs[name].split(cells, dim=1)) for name in ("swc05", "swc45"))  # type: ignore[return-value]
