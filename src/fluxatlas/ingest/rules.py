"""The rules by which a declared mapping derives a canonical variable; ``declaration.RULES`` names their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..humidity import huss_from_dew_point, huss_from_relative_humidity, huss_from_vapour_pressure, huss_from_vpd

__all__ = [
    "huss_from_dew_point",
    "huss_from_relative_humidity",
    "huss_from_vapour_pressure",
    "huss_from_vpd",
    "wind_speed",
]

Array = npt.NDArray[np.floating[Any]]


def wind_speed(eastward: Array, northward: Array) -> Array:
    """Wind speed [m s-1] from its components [m s-1]."""
    return np.hypot(eastward, northward)
