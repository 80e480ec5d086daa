"""The rules by which a declared mapping derives a canonical variable; ``declaration.RULES`` names their arguments.

Arrays are (step, lat, lon). A rule in :data:`WITH_PLACE` also gets the latitudes (rows) and the date of each step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..constants import GRAVITY
from ..humidity import huss_from_dew_point, huss_from_relative_humidity, huss_from_vapour_pressure, huss_from_vpd

__all__ = [
    "huss_from_dew_point",
    "huss_from_relative_humidity",
    "huss_from_vapour_pressure",
    "huss_from_vpd",
    "mean_of_extremes",
    "ps_from_altitude",
    "ps_from_sea_level",
    "rlds_fao56",
    "wind_speed",
]

Array = npt.NDArray[np.floating[Any]]

WITH_PLACE = ("rlds_fao56",)
STANDARD_PRESSURE, STANDARD_TEMPERATURE, LAPSE_RATE = 101_325.0, 288.15, 0.0065
"""Sea-level pressure [Pa], temperature [K] and lapse rate [K m-1] of the ICAO standard atmosphere."""
GRAVITY_OVER_GAS_CONSTANT = GRAVITY / 287.05
"""g / R of dry air [K m-1]."""


def wind_speed(eastward: Array, northward: Array) -> Array:
    """Wind speed [m s-1] from its components [m s-1]."""
    return np.hypot(eastward, northward)


def mean_of_extremes(tasmin: Array, tasmax: Array) -> Array:
    """Daily mean temperature [K] as the middle of its extremes (Allen et al. 1998, FAO-56, eq. 9) [R+]."""
    return 0.5 * (tasmin + tasmax)


def ps_from_altitude(orog: Array) -> Array:
    """Air pressure [Pa] at altitude ``orog`` [m] in the standard atmosphere: no weather, no season."""
    exponent = GRAVITY_OVER_GAS_CONSTANT / LAPSE_RATE
    return STANDARD_PRESSURE * (1 - LAPSE_RATE * orog / STANDARD_TEMPERATURE) ** exponent


def ps_from_sea_level(psl: Array, tas: Array, orog: Array) -> Array:
    """Air pressure [Pa] at the surface from that at sea level [Pa], hypsometric with the standard lapse rate below."""
    exponent = GRAVITY_OVER_GAS_CONSTANT / LAPSE_RATE
    return psl * (1 + LAPSE_RATE * orog / tas) ** -exponent


def rlds_fao56(
    tasmin: Array, tasmax: Array, huss: Array, ps: Array, rsds: Array, *, lat: Array, dates: pd.DatetimeIndex
) -> Array:
    """Downward longwave [W m-2] for the net longwave of FAO-56 (Allen et al. 1998, eq. 39), where a source has none."""
    from ..process.evapotranspiration import fao56_longwave_down, fao56_net_longwave

    rows = np.repeat(lat, tasmin.shape[-1])
    low, high, humidity, pressure, sun = (
        np.broadcast_to(a, tasmin.shape).reshape(tasmin.shape[0], -1) for a in (tasmin, tasmax, huss, ps, rsds)
    )
    net = fao56_net_longwave(low, high, humidity, pressure, sun, rows, dates)
    down = fao56_longwave_down(net, 0.5 * (low + high))
    return down.reshape(tasmin.shape).astype(tasmin.dtype)
