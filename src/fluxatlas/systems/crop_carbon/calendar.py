"""Whose turn it is in a field, and when that crop is harvested: what the network is told, as tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from . import CROPS, ROTATIONS


def crop_of(known: Mapping[str, Tensor]) -> Tensor:
    """Position in :data:`CROPS` of the crop that is harvested in the year of the field, (time, cell).

    ``known``: ``evenyear`` (time, cell) and ``rotation``, its code, one number or (cell,).
    """
    even, rotation = known["evenyear"] > 0.5, torch.as_tensor(known["rotation"])
    turns = rotation.new_tensor([[CROPS.index(one) for one in turn] for turn in ROTATIONS.values()]).long()
    first, second = turns[rotation.long()].unbind(dim=-1)
    return torch.where(even, first, second)


def harvest_day(known: Mapping[str, Tensor]) -> Tensor:
    """Day of the year of the field on which the crop of the year is harvested [d], (time, cell)."""
    crop = crop_of(known)
    days = torch.stack([torch.as_tensor(known[f"{name}_harvest_day"]).expand(crop.shape) for name in CROPS])
    return days.gather(0, crop[None])[0]
