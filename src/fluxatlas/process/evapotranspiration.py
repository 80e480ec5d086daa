"""Net radiation, potential evapotranspiration and its split into interception, soil evaporation and transpiration.

FAO-56 (Allen et al. 1998) for the energy terms, Priestley & Taylor (1972) for the potential rate, Lee & Pielke (1992)
form of the soil's limitation, all [R+]. Temperatures in degC here unless the name says ``kelvin``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..astronomy import extraterrestrial_radiation
from ..constants import FREEZING, LATENT_HEAT, STEFAN_BOLTZMANN
from ..humidity import EPSILON, SATURATION_OFFSET, SATURATION_SLOPE, TRIPLE_POINT, TRIPLE_PRESSURE
from ._vector import clip, exp, formula, maximum, minimum, sqrt

EMISSIVITY = 0.98
SECONDS = 86400.0
POLE = FREEZING - SATURATION_OFFSET  # K


@formula
def saturation_pressure(celsius: Any) -> Any:
    """Saturation vapour pressure over water [Pa]: :func:`fluxatlas.humidity.saturation_vapour_pressure` for kernels."""
    return TRIPLE_PRESSURE * exp(SATURATION_SLOPE * (celsius + FREEZING - TRIPLE_POINT) / (celsius + POLE))


@formula
def vapour_pressure(huss: Any, ps: Any) -> Any:
    """Vapour pressure [Pa] from specific humidity [1] and pressure [Pa]: that of ``fluxatlas.humidity`` for kernels."""
    return huss * ps / (EPSILON + (1.0 - EPSILON) * huss)


@formula
def net_radiation(rsds: Any, rlds: Any, kelvin: Any, albedo: Any) -> Any:
    """Net radiation of snow-free land [W m-2], positive into the surface, emitting at air temperature."""
    return (1.0 - albedo) * rsds + EMISSIVITY * (rlds - STEFAN_BOLTZMANN * kelvin * kelvin * kelvin * kelvin)


@formula
def potential_evapotranspiration(radiation: Any, celsius: Any, ps: Any, coefficient: Any) -> Any:
    """Priestley-Taylor evapotranspiration [kg m-2 d-1] of ``radiation`` [W m-2]; zero where it would condense."""
    slope = SATURATION_SLOPE * (TRIPLE_POINT - SATURATION_OFFSET) * saturation_pressure(celsius)
    slope = slope / ((celsius + POLE) * (celsius + POLE))
    psychrometric = 6.65e-4 * ps
    return maximum(0.0, coefficient * slope / (slope + psychrometric) * radiation * SECONDS / LATENT_HEAT)


@formula
def vegetation_share(lai: Any) -> Any:
    """Share of the potential rate that goes to transpiration [1]."""
    return 1.0 - exp(-0.5 * lai)


@formula
def soil_limitation(theta: Any, theta_fc: Any) -> Any:
    """Soil evaporation over its potential [1]: ``(1 - cos(pi x))^2 / 4`` with x = theta / field capacity up to one."""
    angle = 3.141592653589793 * (clip(theta / theta_fc, 0.0, 1.0) - 0.5)  # cos(pi x) = -sin(angle)
    s = angle * angle
    sine = angle * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0 * (1.0 - s / 110.0)))))
    return minimum(1.0, 0.25 * (1.0 + sine) * (1.0 + sine))


@formula
def transpiration_limitation(theta: Any, theta_wp: Any, theta_fc: Any, threshold: Any) -> Any:
    """Transpiration of a layer over its potential [1]: linear from wilting to ``threshold`` of the available water."""
    return clip((theta - theta_wp) / (threshold * maximum(theta_fc - theta_wp, 1e-6)), 0.0, 1.0)


def fao56_net_longwave(tasmin: Any, tasmax: Any, huss: Any, ps: Any, rsds: Any, lat: Any, dates: Any) -> Any:
    """Net longwave loss of FAO-56 [W m-2], shape (T, N), from temperatures [K], humidity, pressure and ``rsds``.

    The clear-sky radiation takes the altitude from the pressure (standard atmosphere).
    """
    altitude = 44331.0 * (1.0 - (np.asarray(ps) / 101325.0) ** 0.1903)
    clear = (0.75 + 2e-5 * altitude) * extraterrestrial_radiation(lat, dates)
    ratio = np.clip(np.divide(rsds, clear, out=np.full(clear.shape, 0.7), where=clear > 1.0), 0.3, 1.0)
    humid = 0.34 - 0.14 * sqrt(vapour_pressure(huss, ps) / 1000.0)
    emitted = STEFAN_BOLTZMANN * (np.asarray(tasmin, float) ** 4 + np.asarray(tasmax, float) ** 4) / 2
    return emitted * humid * (1.35 * ratio - 0.35)


def fao56_longwave_down(net: Any, kelvin: Any) -> Any:
    """The downward longwave [W m-2] that makes :func:`net_radiation` lose ``net`` [W m-2] at air temperature."""
    return STEFAN_BOLTZMANN * np.asarray(kelvin, float) ** 4 - net / EMISSIVITY
