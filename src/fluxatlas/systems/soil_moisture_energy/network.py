"""What is special about the network of soil moisture and energy: heads that close the balance, and bounds.

| output | form |
|---|---|
| ``swc05``, ``swc45`` | from air-dry (half the wilting point) or wilting point to saturation; field capacity at 0 |
| ``rns``, ``hfdsl`` | radiation and ground heat of the process model, plus what the network learns |
| ``evapfrac`` | between -0.5 and 3 |

| head | |
|---|---|
| ``fraction`` | ``hfls = evapfrac max(rns - hfdsl, 20)``, ``hfss`` the rest: closes by construction |
| ``projection`` | four free fluxes, moved onto the balance by their variances: closes by construction |
| ``open`` | four free fluxes: with the knowledge term ``closure`` a soft penalty, without it none; ablations |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...process.energy import canopy_torch as physics
from ...process.energy.canopy import SWITCH
from ...process.projection_torch import project
from ..protocols import Bound, Head, NetworkParts
from . import knowledge

FRACTION = (-0.5, 3.0)
MIDDLE = math.log((0.5 - FRACTION[0]) / (FRACTION[1] - 0.5))
"""Raw output at which the fraction is one half, with the opposite sign."""
RADIATION, GROUND = 10.0, 5.0
"""Step [W m-2] of net radiation and ground heat per unit that the network learns."""
BALANCE = ((1.0, -1.0, -1.0, -1.0),)
"""``rns - hfdsl - hfls - hfss = 0``."""
ORDER = ("rns", "hfdsl", "hfls", "hfss")
ERRORS = {"rns": (5.0, 0.05), "hfdsl": (4.0, 0.2), "hfls": (6.0, 0.15), "hfss": (6.0, 0.12)}
"""Standard deviation ``a + b |F|`` [W m-2] of each flux, which says how far the projection moves it (our choice)."""


def water(air_dry: float) -> Bound:
    """The bound of a layer that dries to ``air_dry`` times the wilting point."""

    def bound(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
        wilting, capacity, full = physics.retained(known, known["retention_factor"])
        least = air_dry * wilting
        centre = torch.logit((capacity - least) / (full - least), 0.01)
        return least + (full - least) * torch.sigmoid(centre + raw)

    return bound


def radiation(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Net radiation [W m-2] with the albedo of the place, corrected by the network."""
    rsds, rlds, tas, snw, lai = (known[name] for name in ("rsds", "rlds", "tas", "snw", "lai"))
    return physics.net_radiation(rsds, rlds, tas, snw, lai, known["albedo"], known["snow_albedo"]) + RADIATION * raw


def ground(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Heat into the ground [W m-2] as a share of net radiation, corrected by the network."""
    return physics.ground_heat(known["rns"], known["lai"], known["ground_share"]) + GROUND * raw


def fraction_bound(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Evaporative fraction [1] inside :data:`FRACTION`, 0.5 at 0."""
    low, high = FRACTION
    return low + (high - low) * torch.sigmoid(raw + MIDDLE)


def fraction(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Latent heat as a fraction of the available energy, sensible heat the rest."""
    available = known["rns"] - known["hfdsl"]
    latent = known["evapfrac"] * available.clamp_min(SWITCH)
    return _with_water({"hfls": latent, "hfss": available - latent}, known)


def projection(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Four fluxes moved onto the balance, each by its variance."""
    values = torch.stack([known[name] for name in ORDER], dim=-1)
    constant, relative = (values.new_tensor([ERRORS[name][k] for name in ORDER]) for k in (0, 1))
    closed = project(values, (constant + relative * values.detach().abs()) ** 2, BALANCE)
    return _with_water(dict(zip(ORDER, closed.unbind(dim=-1), strict=True)), known)


def open_balance(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The four fluxes as the network gives them. An ablation, not for products."""
    return _with_water({"hfls": known["hfls"], "hfss": known["hfss"]}, known)


def _with_water(fluxes: dict[str, Tensor], known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return fluxes | {"evspsbl": fluxes["hfls"] / physics.latent_heat(known["tas"])}


_READS = ("rns", "hfdsl", "tas")
_MAKES = ("hfls", "hfss", "evspsbl")
_FREE = ("hfls", "hfss")

PARTS = NetworkParts(
    heads={
        "fraction": Head(fraction, (*_READS, "evapfrac"), _MAKES),
        "projection": Head(projection, (*_READS, *_FREE), (*_MAKES, "rns", "hfdsl"), outputs=_FREE),
        "open": Head(open_balance, (*_READS, *_FREE), _MAKES, outputs=_FREE),
    },
    bounds={
        "swc05": water(0.5),
        "swc45": water(1.0),
        "rns": radiation,
        "hfdsl": ground,
        "evapfrac": fraction_bound,
    },
    knowledge={
        "closure": knowledge.closure_term,
        "equilibrium": knowledge.equilibrium_term,
        "wetting": knowledge.wetting_term,
        "dry_down": knowledge.dry_down_term,
        "antecedent": knowledge.antecedent_term,
    },
)
