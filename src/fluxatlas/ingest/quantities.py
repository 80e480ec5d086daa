"""Units of raw values: scale and offset to the canonical unit, and whether a flux is an amount per step or a rate."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables as table
from ..errors import UnitError

Array = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=256)
def linear(units: str, name: str, where: str) -> tuple[float, float]:
    """Scale and offset from ``units`` to the canonical unit of ``name``; raises :class:`UnitError`."""
    zero, one = table.convert(np.array([0.0, 1.0]), units, name, where=where)
    return float(one - zero), float(zero)


def scaled(values: Array, units: str, name: str, where: str) -> Array:
    """``values`` in the canonical unit of ``name``; raises :class:`UnitError` where ``units`` does not convert."""
    scale, offset = linear(units, name, where)
    if (scale, offset) == (1.0, 0.0):
        return values
    return (values * scale + offset).astype(values.dtype)


def is_amount(units: str, name: str) -> bool:
    """Whether ``units`` of a flux is an amount per step and not a rate."""
    for candidate, amount in ((units, False), (f"{units} d-1", True)):
        try:
            linear(candidate, name, name)
        except UnitError:
            continue
        return amount
    return False
