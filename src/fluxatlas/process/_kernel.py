"""The compiled day loop of the soil column: calls the steps of each process in order and writes the outputs."""

from __future__ import annotations

import numpy as np
from numba import njit

from . import heat, methane_column, snow, water
from ._validate import Drivers
from ._vector import KERNEL
from .heat import CENTRES, THICKNESS, surface_conductance, surface_temperature
from .methane_column import NODES

OUTPUTS = (
    "tsl05", "tsl15", "tsl45", "snw", "snd", "swc05", "swc15", "swc45", "evspsbl", "difs", "oxk", "ch4prod",
    "ch4ox", "fch4", "mrro",
)  # fmt: skip
"""Daily variables in the order of the rows of ``daily``."""
BUDGETS = ("energy", "water", "methane")

_UPPER = np.array([1, 3, 5])
"""Layer whose centre lies at or above 5, 15 and 45 cm; the value there is interpolated to the next layer."""
_WEIGHT = np.array(
    [(z - CENTRES[k]) / (CENTRES[k + 1] - CENTRES[k]) for z, k in zip((0.05, 0.15, 0.45), (1, 3, 5), strict=True)]
)
_H, _M = heat.LAYERS, methane_column.LAYERS
_DAY, _ROW, _HEAT, _GAS = 0, 8, 24, 24 + 7 * _H + 1
WORK_ROWS = _GAS + 3 * _M + 2 * NODES
"""Rows of the work array: drivers of the day, one-row terms, heat, methane."""

snow_step, demand_step, infiltration_step = snow.snow_step, water.demand_step, water.infiltration_step
uptake_step, drainage_step, heat_coefficients, heat_step = (
    water.uptake_step,
    water.drainage_step,
    heat.heat_coefficients,
    heat.heat_step,
)
layer_step, sweep, effective, balance = (
    methane_column.layer_step,
    methane_column.sweep,
    methane_column.effective,
    methane_column.balance,
)
_WATER = water.LAYERS


@njit(**KERNEL)
def _stored(start, stop, soil_water, snw, into, sign):  # type: ignore[no-untyped-def]
    """Add ``sign`` times the water of soil and snow [kg m-2] to ``into``."""
    for layer in range(_WATER):
        for i in range(start, stop):
            into[i] += sign * soil_water[layer, i] * THICKNESS[layer] * 1000.0
    for i in range(start, stop):
        into[i] += sign * snw[i]


@njit(**KERNEL)
def _boundary(start, stop, f, p, radiation, snw, density, resistance, surface, conductance):  # type: ignore[no-untyped-def]
    """Upper boundary of the heat step."""
    for i in range(start, stop):
        surface[i] = surface_temperature(f.tas[i] - 273.15, radiation[i], f.lai[i], snw[i], p.surface_warming[i])
        first = 0.5 * THICKNESS[0] / resistance[0, i]
        conductance[i] = surface_conductance(snw[i], density[i], p.litter_depth[i], first)


@njit(**KERNEL)
def _write(start, stop, state, snd, evaporated, runoff, difs, oxk, ch4prod, ch4ox, out, day):  # type: ignore[no-untyped-def]
    """Write the outputs of a day in canonical units."""
    for k in range(3):
        upper, weight = _UPPER[k], _WEIGHT[k]
        for i in range(start, stop):
            above, below = state.temperature[upper, i], state.temperature[upper + 1, i]
            out[k, day, i] = above + weight * (below - above) + 273.15
            above, below = state.water[upper, i], state.water[upper + 1, i]
            out[5 + k, day, i] = above + weight * (below - above)
    for i in range(start, stop):
        out[3, day, i] = state.snw[i]
        out[4, day, i] = snd[i]
        out[8, day, i] = evaporated[i] / 86400.0
        out[14, day, i] = runoff[i] / 86400.0
    for i in range(start, stop):
        out[9, day, i] = difs[i]
        out[10, day, i] = oxk[i]
        out[11, day, i] = ch4prod[i]
        out[12, day, i] = ch4ox[i]
        out[13, day, i] = ch4prod[i] - ch4ox[i]


@njit(**KERNEL)
def run_block(start, stop, steps, drivers, soil, p, roots, column, state, work, daily, residuals, record):  # type: ignore[no-untyped-def]
    """Advance cells ``start..stop`` by ``steps`` days; write ``daily`` and ``residuals`` if ``record``."""
    f = Drivers(work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7])
    rows = work[_ROW:_HEAT]
    rain, melt, runoff, radiation, potential, flux, evaporated, snd = (
        rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7],
    )  # fmt: skip
    surface, conductance, air, snow_r, difs, oxk, ch4ox, ch4prod = (
        rows[8], rows[9], rows[10], rows[11], rows[12], rows[13], rows[14], rows[15],
    )  # fmt: skip
    capacity, latent, resistance = work[_HEAT : _HEAT + _H], work[_HEAT + _H :], work[_HEAT + 2 * _H :]
    scratch = work[_HEAT + 3 * _H : _GAS]
    half, oxidation, source = work[_GAS : _GAS + _M], work[_GAS + _M :], work[_GAS + 2 * _M :]
    downward, returned = work[_GAS + 3 * _M :], work[_GAS + 3 * _M + NODES :]
    for day in range(steps):
        _load(start, stop, drivers, work, day)
        if record:
            residuals[1, day, start:stop] = 0.0
            _stored(start, stop, state.water, state.snw, residuals[1, day], 1.0)
        snow_step(start, stop, f.pr, f.tas, state.snw, state.density, p, rain, melt, surface)
        demand_step(start, stop, f, p, radiation, potential)
        infiltration_step(
            start, stop, f.lai, rain, melt, potential, state.temperature, state.water, soil, p, flux, runoff, evaporated
        )
        for i in range(start, stop):
            runoff[i] += surface[i]
        uptake_step(
            start,
            stop,
            f.lai,
            state.snw,
            potential,
            state.temperature,
            state.water,
            soil,
            roots,
            p,
            scratch,
            evaporated,
        )
        drainage_step(start, stop, state.temperature, state.water, soil, p, flux, runoff)
        heat_coefficients(
            start, stop, state.temperature, state.water, soil, p.conductivity_factor, capacity, latent, resistance
        )
        _boundary(start, stop, f, p, radiation, state.snw, state.density, resistance, surface, conductance)
        heat_step(
            start,
            stop,
            surface,
            conductance,
            state.temperature,
            capacity,
            latent,
            resistance,
            scratch,
            residuals[0, day],
        )
        if not record:
            continue
        _stored(start, stop, state.water, state.snw, residuals[1, day], -1.0)
        for i in range(start, stop):
            residuals[1, day, i] += f.pr[i] * 86400.0 - evaporated[i] - runoff[i]
            snd[i] = state.snw[i] / state.density[i]
        layer_step(start, stop, f.ps, state.temperature, state.water, soil, p, column, half, oxidation, source)
        sweep(start, stop, half, oxidation, source, column.rate, column.production, downward, returned)
        effective(start, stop, f, p, state.snw, snd, half, downward, returned, air, snow_r, difs, oxk, ch4ox, ch4prod)
        for i in range(start, stop):
            surface[i] = ch4ox[i] - ch4prod[i]
        balance(
            start, stop, p, f, air, snow_r, half, oxidation, source, column.rate, column.production, downward, returned,
            surface, residuals[2, day],
        )  # fmt: skip
        _write(start, stop, state, snd, evaporated, runoff, difs, oxk, ch4prod, ch4ox, daily, day)


@njit(**KERNEL)
def _load(start, stop, drivers, work, day):  # type: ignore[no-untyped-def]
    """Copy the drivers of a day into double precision."""
    for i in range(start, stop):
        work[0, i] = drivers.tas[day, i]
        work[1, i] = drivers.pr[day, i]
        work[2, i] = drivers.rsds[day, i]
        work[3, i] = drivers.rlds[day, i]
    for i in range(start, stop):
        work[4, i] = drivers.huss[day, i]
        work[5, i] = drivers.ps[day, i]
        work[6, i] = drivers.lai[day, i]
        work[7, i] = drivers.ch4[day, i]
