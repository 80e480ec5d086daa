"""Water contents that bound a soil, and its saturated conductivity, from texture and organic matter.

Saxton & Rawls (2006, doi:10.2136/sssaj2005.0117) [R]: regressions on sand and clay (shares) and organic matter (%),
made for soils with at most 8 % of organic matter and 60 % of clay. Beyond that the inputs are held there and the order
wilting point < field capacity < saturation is kept [D].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._validate import soil_attributes
from .._vector import formula, power

FloatArray = npt.NDArray[np.float64]

ATTRIBUTES = ("sand", "clay", "soc")
ORGANIC_PER_CARBON = 1.724
"""Organic matter per organic carbon (van Bemmelen) [R+]."""
MOST_ORGANIC, MOST_CLAY = 8.0, 60.0
"""Limits of the regressions [%] [R]."""
GAP = 0.02
"""Least difference [1] between wilting point, field capacity and saturation [D]."""


def soil_limits(attributes: Mapping[str, npt.ArrayLike]) -> dict[str, FloatArray]:
    """``swcwp``, ``swcfc``, ``swcsat`` [1], ``k_sat`` [mm d-1] and ``exponent`` [1] of each soil, shape (N,).

    Reads ``sand``, ``clay`` [%] and ``soc`` [g kg-1], shape (N,). The exponent is ``3 + 2 / lambda`` of the
    unsaturated conductivity. Raises :class:`InputError` for an absent attribute, a value that is not finite or outside
    the variable table.
    """
    sand, clay, soc = soil_attributes(attributes, ATTRIBUTES)
    om = np.minimum(0.1 * soc * ORGANIC_PER_CARBON, MOST_ORGANIC)
    c = np.minimum(clay, MOST_CLAY) / 100.0
    s = np.minimum(sand, 100.0 - 100.0 * c) / 100.0
    wilting = 1.14 * _regression(s, c, om, (-0.024, 0.487, 0.006, 0.005, -0.013, 0.068, 0.031)) - 0.02
    t33 = _regression(s, c, om, (-0.251, 0.195, 0.011, 0.006, -0.027, 0.452, 0.299))
    capacity = t33 + 1.283 * t33**2 - 0.374 * t33 - 0.015
    drained = 1.636 * _regression(s, c, om, (0.278, 0.034, 0.022, -0.018, -0.027, -0.584, 0.078)) - 0.107
    wilting = np.maximum(wilting, GAP)
    capacity = np.maximum(capacity, wilting + GAP)
    saturation = np.clip(capacity + drained - 0.097 * s + 0.043, capacity + GAP, 0.9)
    slope = np.log(capacity / wilting) / np.log(1500.0 / 33.0)
    return {
        "swcwp": wilting,
        "swcfc": capacity,
        "swcsat": saturation,
        "k_sat": 24.0 * 1930.0 * (saturation - capacity) ** (3.0 - slope),
        "exponent": 3.0 + 2.0 / slope,
    }


def retained(limits: Mapping[str, FloatArray], factor: FloatArray) -> dict[str, FloatArray]:
    """``limits`` of a soil that holds ``factor`` times the water at wilting point and field capacity; saturation and
    conductivity stay. Field capacity stays :data:`GAP` below saturation, wilting point half that below it."""
    capacity = np.minimum(limits["swcfc"] * factor, limits["swcsat"] - GAP)
    return {**limits, "swcfc": capacity, "swcwp": np.minimum(limits["swcwp"] * factor, capacity - GAP / 2)}


@formula
def drained_saturation(share: Any, rate: Any, exponent: Any) -> Any:
    """Saturation [1] that gravity leaves after a day of a layer that is filled by ``share``, ``rate`` being its
    saturated conductivity over the water that it holds [d-1]: the solution of ``ds/dt = -rate s ** exponent``. A layer
    that was wetter in the morning is wetter in the evening."""
    less = exponent - 1.0
    return share * power(1.0 + less * rate * power(share, less), -1.0 / less)


def _regression(s: FloatArray, c: FloatArray, om: FloatArray, k: tuple[float, ...]) -> FloatArray:
    return k[0] * s + k[1] * c + k[2] * om + k[3] * s * om + k[4] * c * om + k[5] * s * c + k[6]
