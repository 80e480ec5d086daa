"""Development and photosynthesis of a crop: light-use efficiency under stresses, thermal time, cold and day length.

Science notes 5.2 and 5.3; Monteith (1977, doi:10.1098/rstb.1977.0140) for the light-use form [R]. Carbon in g m-2,
temperature in degC, vapour pressure deficit in kPa.
"""

from __future__ import annotations

from typing import Any

from .._vector import clip, exp, formula, log, maximum, minimum, where
from ..evapotranspiration import saturation_pressure

LIGHT = 0.48 * 0.0864
"""Photosynthetically active MJ m-2 d-1 per W m-2 of shortwave radiation."""
WARMEST = 30.0
"""Temperature above which development is no faster [degC]."""
CLEAR = 0.75
"""Transmissivity of a clear sky."""
COLD_DAYS = (14.0, 70.0)
"""Days of cold before which winter crops do not develop, and after which cold is no longer needed."""


@formula
def thermal_time(tas: Any, base: Any) -> Any:
    """Thermal time of one day [K d] above ``base``."""
    return maximum(minimum(tas, WARMEST) - base, 0.0)


@formula
def cold_weight(tas: Any) -> Any:
    """What a day at ``tas`` counts towards vernalisation: 1 from 3 to 10 degC, 0 below -4 and above 17 degC."""
    return minimum(clip((tas + 4.0) / 7.0, 0.0, 1.0), clip((17.0 - tas) / 7.0, 0.0, 1.0))


@formula
def winter_pace(cold: Any, day_length: Any, stage: Any) -> Any:
    """Factor of a winter crop's thermal time: vernalisation up to stage 0.3, day length [h] up to anthesis."""
    chilled = clip((cold - COLD_DAYS[0]) / (COLD_DAYS[1] - COLD_DAYS[0]), 0.0, 1.0)
    lit = clip((day_length - 8.0) / 6.0, 0.0, 1.0)
    return where(stage < 0.3, chilled, 1.0) * where(stage < 1.0, lit, 1.0)


@formula
def daytime(tasmin: Any, tasmax: Any) -> Any:
    """Temperature of the daylight hours."""
    return 0.75 * tasmax + 0.25 * tasmin


@formula
def deficit(celsius: Any, vapour: Any) -> Any:
    """Vapour pressure deficit [kPa] at ``celsius`` with the ``vapour`` pressure [Pa]."""
    return maximum(saturation_pressure(celsius) - vapour, 0.0) * 1e-3


@formula
def warmth_response(celsius: Any, start: Any, full: Any, hot: Any, end: Any) -> Any:
    """Response to temperature [1]: a trapezoid."""
    return minimum(clip((celsius - start) / (full - start), 0.0, 1.0), clip((end - celsius) / (end - hot), 0.0, 1.0))


@formula
def frost_response(tasmin: Any) -> Any:
    """Response to the minimum temperature [1]."""
    return clip((tasmin + 3.0) / 6.0, 0.0, 1.0)


@formula
def dryness_response(vpd: Any, start: Any, end: Any) -> Any:
    """Response to the vapour pressure deficit [1], at least 0.1."""
    return clip(1.0 - (vpd - start) / (end - start), 0.1, 1.0)


@formula
def water_response(top: Any, root: Any) -> Any:
    """Response to plant-available water [1], as shares of the capacity of the top layer and of the root zone."""
    return clip((0.3 * top + 0.7 * root) / 0.5, 0.0, 1.0)


@formula
def cloud_response(rsds: Any, above: Any) -> Any:
    """Gain under diffuse light [1], from radiation at the surface and ``above`` the atmosphere, same unit."""
    return 1.0 + 0.35 * (clip(1.0 - rsds / maximum(above, 1.0) / CLEAR, 0.0, 1.0) - 0.3)


@formula
def carbon_dioxide_response(co2: Any, slope: Any) -> Any:
    """Gain over 400e-6 of CO2 [1]."""
    return 1.0 + slope * log(co2 / 400.0)


@formula
def absorbed(rsds: Any, lai: Any, extinction: Any) -> Any:
    """Photosynthetically active radiation that leaves absorb [MJ m-2 d-1] of ``rsds`` [W m-2]."""
    return LIGHT * rsds * (1.0 - exp(-extinction * lai))


@formula
def leaf_death(stage: Any, pace: Any, lai: Any, water: Any, frozen: Any) -> Any:
    """Share of the leaves that dies in a day: of age (``pace`` is thermal time over that from anthesis to maturity),
    shade, drought or, ``frozen`` being one, frost."""
    aged = where(stage > 1.2, 2.2 * (stage - 1.2) * pace, 0.0)
    shaded = 0.02 * maximum(lai - 5.0, 0.0)
    dry = where(water < 0.5, 0.02 * (1.0 - 2.0 * water), 0.0)
    return minimum(maximum(maximum(aged, shaded), maximum(dry, 0.02 * frozen)), 1.0)
