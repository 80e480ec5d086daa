"""Whose turn it is in a field, and when that crop is sown and harvested: what the network is told, as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from . import ROTATIONS


def is_maize(known: Mapping[str, Tensor]) -> Tensor:
    """Whether the crop that is harvested in the year of the field is maize (else soybean), (time, cell)."""
    even, rotation = known["evenyear"] > 0.5, known["rotation"]
    first, second, maize = (rotation == ROTATIONS.index(name) for name in ("maize_soybean", "soybean_maize", "maize"))
    return maize | (first & even) | (second & ~even)


def harvest_day(known: Mapping[str, Tensor]) -> Tensor:
    """Day of the year of the field on which the crop of the year is harvested [d], (time, cell)."""
    return torch.where(is_maize(known), known["maize_harvest_day"], known["soybean_harvest_day"])


def sowing_day(known: Mapping[str, Tensor]) -> Tensor:
    """Day of the year of the field on which the crop of the year is sown [d], (time, cell)."""
    return torch.where(is_maize(known), known["maize_sowing_day"], known["soybean_sowing_day"])
