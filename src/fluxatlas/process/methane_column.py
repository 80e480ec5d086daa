"""The methane column: steady diffusion, oxidation and production over the nodes of the first metre.

Finite volumes with half-cell resistances between centres. The system is linear, so uptake of atmospheric CH4 (no
production, air above) and release of produced CH4 (production, empty air above) are solved apart and add up: with
``Y`` the conductance of everything below a node and ``S`` the source it returns, one upward sweep gives both.
Resistances of litter and snow come in series. All terms are positive: nothing can oscillate or turn negative.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ._vector import INNER, maximum
from .heat import INTERFACES, THICKNESS, liquid_share
from .methane import (
    LITTER_DIFFUSIVITY,
    air_concentration,
    air_filled_porosity,
    drought_response,
    free_air_diffusivity,
    log_suction,
    production_response,
    snow_resistance,
    soil_diffusivity,
    temperature_response,
    wetness_response,
)

FloatArray = npt.NDArray[np.float64]

NODE_THICKNESS = np.array([0.01, 0.01, 0.02, 0.02, 0.04, 0.05, 0.05, 0.10, 0.20, 0.50])
NODE_CENTRES = np.cumsum(NODE_THICKNESS) - NODE_THICKNESS / 2
NODES = NODE_THICKNESS.size
NODE_LAYER = np.searchsorted(INTERFACES, NODE_CENTRES) - 1
"""Soil layer in which each node lies; nodes never cross an interface."""
LAYERS = int(NODE_LAYER[-1]) + 1
EFFECTIVE = 3
"""Layers (10 cm) over which the effective diffusivity is the harmonic mean."""
GREATEST_RATE = 5.0e-3
"""Greatest effective oxidation rate [s-1]; see :func:`effective`."""
DAY = 86400.0


class ColumnTerms(NamedTuple):
    """Static terms of the methane column, arrays of shape (N,) or (node, N) or (layer, N)."""

    factor: FloatArray
    exponent: FloatArray
    temperature: npt.NDArray[np.int64]
    moisture: npt.NDArray[np.int64]
    rate: FloatArray  # (node, N) oxidation rate before temperature and moisture [s-1]
    production: FloatArray  # (node, N) production in saturated soil at 15 degC [mg m-3 s-1]
    log_low: FloatArray
    log_high: FloatArray
    log_sat: FloatArray  # suctions in ln kPa
    log_oxidation_q10: FloatArray
    log_production_q10: FloatArray


@njit(**INNER)
def layer_step(n, ps, temperature, water, soil, p, column, half, oxidation, source):  # type: ignore[no-untyped-def]
    """Half the resistance per metre ``1 / (2 D)`` [s m-2] and the responses of oxidation and production of each
    layer.
    """
    for layer in range(LAYERS):
        for i in range(n):
            t, theta, phi = temperature[layer, i], water[layer, i], soil.phi[i]
            eps = air_filled_porosity(phi, theta, liquid_share(t))
            free = free_air_diffusivity(t + 273.15, ps[i])
            half[layer, i] = 0.5 / soil_diffusivity(column.factor[i], column.exponent[i], eps, free)
        for i in range(n):
            t, theta, phi = temperature[layer, i], water[layer, i], soil.phi[i]
            dry = log_suction(theta, phi, soil.b[i], column.log_sat[i])
            oxidation[layer, i] = drought_response(dry, column.log_low[i], column.log_high[i], p.suction_shape[i])
        for i in range(n):
            t, theta, phi = temperature[layer, i], water[layer, i], soil.phi[i]
            warm = temperature_response(
                t, column.temperature[i], column.log_oxidation_q10[i], p.oxidation_optimum[i], p.oxidation_minimum[i]
            )
            oxidation[layer, i] *= warm * wetness_response(theta, phi, column.moisture[i], p.wetness_optimum[i])
        for i in range(n):
            t, theta, phi = temperature[layer, i], water[layer, i], soil.phi[i]
            made = production_response(t, theta, phi, column.log_production_q10[i], p.production_dry[i])
            source[layer, i] = made * liquid_share(t)


@njit(**INNER)
def sweep(n, half, oxidation, source, rate, production, conductance, returned):  # type: ignore[no-untyped-def]
    """Conductance [m s-1] and returned source [mg m-2 s-1] seen from the centre of each node down, shape (node, N)."""
    for node in range(NODES - 1, -1, -1):
        layer, dz = NODE_LAYER[node], NODE_THICKNESS[node]
        for i in range(n):
            conductance[node, i] = rate[node, i] * oxidation[layer, i] * dz
            returned[node, i] = production[node, i] * source[layer, i] * dz
        if node < NODES - 1:
            below, below_dz = NODE_LAYER[node + 1], NODE_THICKNESS[node + 1]
            for i in range(n):
                apart = half[layer, i] * dz + half[below, i] * below_dz
                passed = 1.0 / (1.0 + apart * conductance[node + 1, i])
                conductance[node, i] += conductance[node + 1, i] * passed
                returned[node, i] += returned[node + 1, i] * passed


@njit(**INNER)
def effective(n, f, p, snw, snd, half, conductance, returned, air, snow, difs, oxk, ch4ox, ch4prod):  # type: ignore[no-untyped-def]
    """Fluxes [mg m-2 d-1] and the effective quantities that give the uptake exactly.

    ``ch4ox = 86400 C0 / (1 / sqrt(difs oxk) + snow)`` holds with ``difs`` [m2 s-1] the harmonic mean over 10 cm and
    ``oxk`` [s-1] what the equation then needs. Where a wet layer lies below an active one that would exceed
    :data:`GREATEST_RATE`; ``oxk`` is then that rate and ``difs`` is raised to what the equation needs.
    """
    for i in range(n):
        air[i] = air_concentration(f.ch4[i], f.ps[i], f.tas[i], f.huss[i])
        snow[i] = snow_resistance(snw[i], snd[i], f.tas[i], f.ps[i])
        litter = p.litter_depth[i] / (LITTER_DIFFUSIVITY * free_air_diffusivity(f.tas[i], f.ps[i]))
        top = litter + half[0, i] * NODE_THICKNESS[0]
        speed = conductance[0, i] / (1.0 + top * conductance[0, i])
        ch4ox[i] = DAY * air[i] * speed / (1.0 + snow[i] * speed)
        ch4prod[i] = DAY * returned[0, i] / (1.0 + (top + snow[i]) * conductance[0, i])
        column = 0.0
        for layer in range(EFFECTIVE):
            column += 2.0 * half[layer, i] * THICKNESS[layer]
        difs[i] = maximum(INTERFACES[EFFECTIVE] / column, speed * speed / GREATEST_RATE)
        oxk[i] = speed * speed / difs[i]


@njit(**INNER)
def balance(  # type: ignore[no-untyped-def]
    n, f, p, air, snow, half, oxidation, source, rate, production, conductance, returned, ch4ox, ch4prod, c, residual
):
    """Net uptake [mg m-2 d-1] less what the profile of concentration oxidises and produces, into ``residual``.

    ``c`` holds two work rows: concentration of the node above and resistance to it.
    """
    for i in range(n):
        litter = p.litter_depth[i] / (LITTER_DIFFUSIVITY * free_air_diffusivity(f.tas[i], f.ps[i]))
        c[0, i] = air[i]
        c[1, i] = snow[i] + litter
        residual[i] = ch4ox[i] - ch4prod[i]
    for node in range(NODES):
        layer, dz = NODE_LAYER[node], NODE_THICKNESS[node]
        for i in range(n):
            apart = c[1, i] + half[layer, i] * dz
            here = (c[0, i] + apart * returned[node, i]) / (1.0 + apart * conductance[node, i])
            used = rate[node, i] * oxidation[layer, i] * here - production[node, i] * source[layer, i]
            residual[i] -= DAY * used * dz
            c[0, i] = here
            c[1, i] = half[layer, i] * dz
