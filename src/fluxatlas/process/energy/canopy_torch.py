"""Pieces of :mod:`.canopy` and :mod:`.retention` as differentiable torch functions; parity is tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...constants import FREEZING, STEFAN_BOLTZMANN
from ..evapotranspiration import EMISSIVITY
from ..snow import PATCHY
from .retention import GAP


def net_radiation(rsds: Tensor, rlds: Tensor, tas: Tensor, snw: Tensor, lai: Tensor, bare: Any, snow: Any) -> Tensor:
    """Net radiation [W m-2] of ground of albedo ``bare`` under ``snw`` [kg m-2] of albedo ``snow``; ``tas`` [K]."""
    cover = snw / (snw + PATCHY)
    albedo = bare + (snow - bare) * cover * torch.exp(-0.5 * lai)
    return (1.0 - albedo) * rsds + EMISSIVITY * (rlds - STEFAN_BOLTZMANN * tas**4)


def ground_heat(rns: Tensor, lai: Tensor, share: Any) -> Tensor:
    """Heat into the ground [W m-2]; see :func:`.canopy.ground_heat`."""
    return share * rns * torch.exp(-0.5 * lai)


def latent_heat(tas: Tensor) -> Tensor:
    """Latent heat of vaporisation [J kg-1] at ``tas`` [K]."""
    return 1e6 * (2.501 - 0.002361 * (tas - FREEZING))


def slope_ratio(tas: Tensor, ps: Tensor) -> Tensor:
    """Slope of the saturation vapour pressure over the psychrometric constant [1]; ``tas`` [K], ``ps`` [Pa]."""
    celsius = tas - FREEZING
    pressure = 0.6108 * torch.exp(17.27 * celsius / (celsius + 237.3))
    return 4098.0 * pressure / (celsius + 237.3) ** 2 / (0.665e-6 * ps)


def retained(known: Mapping[str, Tensor], factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Water content [1] (cell,) at wilting point, field capacity and saturation; see :func:`.retention.retained`."""
    full = known["swcsat"]
    capacity = torch.minimum(known["swcfc"] * factor, full - GAP)
    return torch.minimum(known["swcwp"] * factor, capacity - GAP / 2), capacity, full
