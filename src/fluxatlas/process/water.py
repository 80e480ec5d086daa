"""Soil water over layers to 2 m: infiltration, runoff, evapotranspiration and drainage, one day at a time.

A cascade of layers: water above the porosity moves on at once, water above field capacity drains with a time
constant, the bottom drains freely. Rain on wet soil is shed by a power of the saturation (Bergstrom 1992, HBV) [R];
infiltration is limited by the saturated conductivity and by ice. Evaporation and roots stop at the air-dry and
wilting points. What comes in equals what goes out plus what stays, to round-off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from ._vector import INNER, exp, maximum, minimum, power
from .evapotranspiration import (
    net_radiation,
    potential_evapotranspiration,
    soil_limitation,
    transpiration_limitation,
    vegetation_share,
)
from .heat import INTERFACES, THICKNESS, liquid_share
from .snow import snow_cover

LAYERS = 8
"""Layers that exchange water, to 2 m; the deeper ones stay at field capacity."""
EVAPORATING = (0.4, 0.25, 0.2, 0.15)
"""Share of the demand of soil evaporation on each of the first layers (20 cm); each gives by its own wetness, so that a
dry crust does not end what comes from below (evaporating depth of 10-15 cm, Allen et al. 1998, FAO-56) [R+]."""
SHEDDING = 5
"""Layers (30 cm) whose saturation decides how much rain is shed."""
DRAINED = 0.30
"""Thickness [m] to which the drainage time belongs; thinner layers drain faster in proportion [D]."""
DENSITY = 1000.0  # kg m-3


def root_fractions(base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of the roots in each water layer, shape (layer, N), from the base B of Jackson et al. (1996)."""
    depth = 100.0 * INTERFACES[: LAYERS + 1, None]
    cumulative = 1.0 - base[None, :] ** depth
    return np.diff(cumulative, axis=0) / cumulative[-1]


@njit(**INNER)
def demand_step(n, f, p, radiation, potential):  # type: ignore[no-untyped-def]
    """Net radiation [W m-2] and potential evapotranspiration [kg m-2 d-1] of one day for ``n`` cells."""
    for i in range(n):
        radiation[i] = net_radiation(f.rsds[i], f.rlds[i], f.tas[i], p.albedo[i])
        potential[i] = potential_evapotranspiration(radiation[i], f.tas[i] - 273.15, f.ps[i], p.priestley_taylor[i])


@njit(**INNER)
def infiltration_step(n, lai, rain, melt, potential, temperature, water, soil, p, flux, runoff, evaporated):  # type: ignore[no-untyped-def]
    """Interception, runoff and infiltration of one day.

    Reads ``rain``, ``melt`` and ``potential`` [kg m-2 d-1]; writes ``flux`` (into the soil), ``runoff`` and
    ``evaporated`` (from leaves), and lowers ``potential`` by what the leaves took.
    """
    for i in range(n):
        held = minimum(minimum(rain[i], p.interception_capacity[i] * lai[i]), potential[i])
        evaporated[i] = held
        potential[i] -= held
        flux[i] = 0.0
    for layer in range(SHEDDING):
        for i in range(n):
            flux[i] += water[layer, i] * THICKNESS[layer]
    for i in range(n):
        arriving = rain[i] - evaporated[i] + melt[i]
        saturation = minimum(flux[i] / (soil.phi[i] * INTERFACES[SHEDDING]), 1.0)
        ice = (1.0 - liquid_share(temperature[0, i])) * water[0, i]
        most = soil.k_sat[i] * 86400.0 * DENSITY * maximum(1.0 - ice / soil.phi[i], 0.0)
        flux[i] = minimum(arriving * (1.0 - power(saturation, p.runoff_shape[i])), most)
        runoff[i] = arriving - flux[i]


@njit(**INNER)
def uptake_step(n, lai, snw, potential, temperature, water, soil, roots, p, demand, evaporated):  # type: ignore[no-untyped-def]
    """Soil evaporation and transpiration of one day [kg m-2 d-1], added to ``evaporated`` and taken from ``water``.

    ``demand`` is a work row of shape (2, N).
    """
    for i in range(n):
        share = vegetation_share(lai[i])
        demand[0, i] = potential[i] * (1.0 - share) * (1.0 - snow_cover(snw[i]))
        demand[1, i] = potential[i] * share
    for layer in range(LAYERS):
        mass = THICKNESS[layer] * DENSITY
        bare = EVAPORATING[layer] if layer < len(EVAPORATING) else 0.0
        for i in range(n):
            theta, liquid = water[layer, i], liquid_share(temperature[layer, i])
            limit = transpiration_limitation(theta, soil.theta_wp[i], soil.theta_fc[i], p.stress_threshold[i])
            wanted = demand[1, i] * roots[layer, i] * limit * liquid
            drawn = minimum(wanted, maximum(theta - soil.theta_wp[i], 0.0) * mass * liquid)
            wanted = demand[0, i] * bare * power(soil_limitation(theta, soil.theta_fc[i]), p.evaporation_shape[i])
            lost = minimum(wanted, maximum(theta - drawn / mass - soil.theta_dry[i], 0.0) * mass * liquid)
            water[layer, i] = theta - (drawn + lost) / mass
            evaporated[i] += drawn + lost


@njit(**INNER)
def drainage_step(n, temperature, water, soil, p, flux, runoff):  # type: ignore[no-untyped-def]
    """Let ``flux`` [kg m-2 d-1] run through the layers; what leaves the last one is added to ``runoff``."""
    for layer in range(LAYERS):
        mass = THICKNESS[layer] * DENSITY
        thin = min(THICKNESS[layer] / DRAINED, 1.0)
        for i in range(n):
            theta = water[layer, i] + flux[i] / mass
            overflow = maximum(theta - soil.phi[i], 0.0)
            theta -= overflow
            rate = 1.0 - exp(-1.0 / (thin * soil.drainage_days[i] * p.drainage_factor[i]))
            drained = maximum(theta - soil.theta_fc[i], 0.0) * rate * liquid_share(temperature[layer, i])
            water[layer, i] = theta - drained
            flux[i] = (overflow + drained) * mass
    for i in range(n):
        runoff[i] += flux[i]
