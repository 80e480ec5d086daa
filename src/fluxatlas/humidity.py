"""Humidity of the air: the one home of saturation, vapour pressure and specific humidity.

Saturation vapour pressure over water follows the ECMWF IFS documentation (Part IV, eq. 7.5; constants of Buck 1981,
doi:10.1175/1520-0450(1981)020<1527:NEFCVP>2.0.CO;2) [R-]; it is also how ERA5 defines its dew point. It is within
0.15 % of the WMO reference from 0 to 30 degC. Compiled kernels write the same formulas with these constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

EPSILON = 0.621981
"""Ratio of the gas constants of dry air and water vapour, 287.0597 / 461.5250 (IFS)."""
TRIPLE_PRESSURE = 611.21
"""Saturation vapour pressure [Pa] at :data:`TRIPLE_POINT`."""
TRIPLE_POINT = 273.16
"""K."""
SATURATION_SLOPE = 17.502
SATURATION_OFFSET = 32.19
"""K."""


def saturation_vapour_pressure(temperature: Array) -> Array:
    """Saturation vapour pressure over water [Pa] at ``temperature`` [K], any shape."""
    return TRIPLE_PRESSURE * np.exp(SATURATION_SLOPE * (temperature - TRIPLE_POINT) / (temperature - SATURATION_OFFSET))


def vapour_pressure(huss: Array, pressure: Array) -> Array:
    """Vapour pressure [Pa] from specific humidity [1] and air pressure [Pa]."""
    return huss * pressure / (EPSILON + (1 - EPSILON) * huss)


def huss_from_vapour_pressure(vapour_pressure: Array, pressure: Array) -> Array:
    """Specific humidity [1] from vapour pressure [Pa] and air pressure [Pa]."""
    return EPSILON * vapour_pressure / (pressure - (1 - EPSILON) * vapour_pressure)


def huss_from_dew_point(dew_point: Array, pressure: Array) -> Array:
    """Specific humidity [1] from dew point [K] and air pressure [Pa]."""
    return huss_from_vapour_pressure(saturation_vapour_pressure(dew_point), pressure)


def huss_from_relative_humidity(relative_humidity: Array | float, temperature: Array, pressure: Array) -> Array:
    """Specific humidity [1] from relative humidity over water [%], temperature [K] and air pressure [Pa]."""
    vapour_pressure = 0.01 * relative_humidity * saturation_vapour_pressure(temperature)
    return huss_from_vapour_pressure(vapour_pressure, pressure)


def huss_from_vpd(deficit: Array, temperature: Array, pressure: Array) -> Array:
    """Specific humidity [1] from vapour pressure deficit [Pa] (at least dry), temperature [K] and air pressure [Pa]."""
    vapour_pressure = np.maximum(saturation_vapour_pressure(temperature) - deficit, 0)
    return huss_from_vapour_pressure(vapour_pressure, pressure)
