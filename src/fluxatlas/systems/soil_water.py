"""The bound of soil water that systems on the soil column share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..process import methane_column_torch as column

FULL = torch.tensor(0.98)
"""Share of the pores that water fills in a soil that takes no more."""
LEAST_STEP = 0.5
"""Least step of water content on the logit scale, where field capacity is all but saturation."""


def water(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Water content [1] between 0 and the porosity: as its share of the pores at ``raw`` = -1, 0 and 2, on the logit
    scale and straight between, wilting point, field capacity and :data:`FULL`."""
    soil = column.retention(known)
    capacity, wilting, full = (
        torch.logit(share, 0.01) for share in (soil.theta_fc / known["phi"], soil.theta_wp / known["phi"], FULL)
    )
    drier, wetter = (capacity - wilting).clamp_min(LEAST_STEP), ((full - capacity) / 2).clamp_min(LEAST_STEP)
    return known["phi"] * torch.sigmoid(capacity + raw * torch.where(raw < 0, drier, wetter))
