"""The compiled day loop of the soil column: calls the steps of each process in order and writes the outputs."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

from ..constants import LATENT_HEAT
from . import heat, methane_column, snow, water
from ._validate import Drivers
from ._vector import INNER, KERNEL, cached, clip, maximum
from .heat import CENTRES, THICKNESS, surface_conductance, surface_temperature
from .methane_column import NODES

HEAT_AND_WATER = ("tsl05", "tsl15", "tsl45", "snw", "snd", "swc05", "swc15", "swc45", "evspsbl", "mrro")
OUTPUTS = (*HEAT_AND_WATER, "difs", "oxk", "ch4prod", "ch4ox", "fch4")
"""Daily variables in the order of the rows of ``daily``."""
SPIN, SOIL, FULL = 0, 1, 2
"""What :func:`run_block` writes: nothing; heat and water, then the water within reach of roots; all outputs."""
BUDGETS = ("energy", "water", "methane")

_UPPER = np.array([1, 3, 5])
"""Layer whose centre lies at or above 5, 15 and 45 cm; the value there is interpolated to the next layer."""
_WEIGHT = np.array(
    [(z - CENTRES[k]) / (CENTRES[k + 1] - CENTRES[k]) for z, k in zip((0.05, 0.15, 0.45), (1, 3, 5), strict=True)]
)
_ROWS = (
    "rain", "melt", "calved", "runoff", "radiation", "potential", "flux", "evaporated", "snd", "surface", "conductance",
    "air", "snow_resistance", "difs", "oxk", "ch4ox", "ch4prod",
)  # fmt: skip
_BLOCKS = {
    "drivers": len(Drivers._fields), "residual": len(BUDGETS), "scratch": 5 * heat.LAYERS + 1,
    "capacity": heat.LAYERS, "latent": heat.LAYERS, "resistance": heat.LAYERS, "mean": heat.LAYERS,
    "half": methane_column.LAYERS, "oxidation": methane_column.LAYERS, "source": methane_column.LAYERS,
    "downward": NODES, "returned": NODES,
}  # fmt: skip
Rows = namedtuple("Rows", (*_ROWS, *_BLOCKS))  # type: ignore[misc]
"""Work arrays of a block of cells: one value, or one row per layer or node, for each cell."""


def work_rows(n: int) -> Rows:
    """Work arrays for ``n`` cells."""
    return Rows(*(np.zeros(n) for _ in _ROWS), *(np.zeros((rows, n)) for rows in _BLOCKS.values()))


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


@njit(**INNER)
def _stored(n, soil_water, snw, into, sign):  # type: ignore[no-untyped-def]
    """Add ``sign`` times the water of soil and snow [kg m-2] to ``into``."""
    for layer in range(_WATER):
        for i in range(n):
            into[i] += sign * soil_water[layer, i] * THICKNESS[layer] * 1000.0
    for i in range(n):
        into[i] += sign * snw[i]


@njit(**INNER)
def _boundary(n, f, p, radiation, evaporated, snw, density, resistance, surface, conductance):  # type: ignore[no-untyped-def]
    """Upper boundary of the heat step."""
    for i in range(n):
        celsius, sensible = f.tas[i] - 273.15, radiation[i] - LATENT_HEAT * evaporated[i] / 86400.0
        warm, cool, offset = p.surface_warming[i], p.canopy_cooling[i], p.surface_offset[i]
        surface[i] = surface_temperature(celsius, radiation[i], sensible, f.lai[i], snw[i], warm, cool, offset)
        first = 0.5 * THICKNESS[0] / resistance[0, i]
        conductance[i] = surface_conductance(snw[i], density[i], p.litter_depth[i], first)


@njit(**INNER)
def _load(n, offset, drivers, work, day):  # type: ignore[no-untyped-def]
    """Copy the drivers of a day into double precision."""
    _widen(n, drivers.tas[day, offset : offset + n], work[0])
    _widen(n, drivers.pr[day, offset : offset + n], work[1])
    _widen(n, drivers.rsds[day, offset : offset + n], work[2])
    _widen(n, drivers.rlds[day, offset : offset + n], work[3])
    _widen(n, drivers.huss[day, offset : offset + n], work[4])
    _widen(n, drivers.ps[day, offset : offset + n], work[5])
    _widen(n, drivers.lai[day, offset : offset + n], work[6])
    _widen(n, drivers.ch4[day, offset : offset + n], work[7])


@njit(**INNER)
def _widen(n, values, into):  # type: ignore[no-untyped-def]
    for i in range(n):
        into[i] = values[i]


@njit(**INNER)
def _write_soil(n, offset, state, rows, daily, residuals, day):  # type: ignore[no-untyped-def]
    """Write heat and water of a day in canonical units."""
    out, left = daily[:, day, offset : offset + n], residuals[:, day, offset : offset + n]
    for i in range(n):
        rows.snd[i] = state.snw[i] / state.density[i]
    for k in range(3):
        upper, weight = _UPPER[k], _WEIGHT[k]
        for i in range(n):
            above, below = state.temperature[upper, i], state.temperature[upper + 1, i]
            out[k, i] = above + weight * (below - above) + 273.15
            above, below = state.water[upper, i], state.water[upper + 1, i]
            out[5 + k, i] = above + weight * (below - above)
    for k in range(2):
        for i in range(n):
            left[k, i] = rows.residual[k, i]
    for i in range(n):
        out[3, i] = state.snw[i]
        out[4, i] = rows.snd[i]
        out[8, i] = rows.evaporated[i] / 86400.0
        out[9, i] = rows.runoff[i] / 86400.0


@njit(**INNER)
def _write_reach(n, offset, water, soil, roots, daily, day):  # type: ignore[no-untyped-def]
    """Write the share of the available water that is there, each layer weighted by its roots."""
    out = daily[10, day, offset : offset + n]
    for i in range(n):
        out[i] = 0.0
    for layer in range(_WATER):
        for i in range(n):
            span = maximum(soil.theta_fc[i] - soil.theta_wp[i], 1e-6)
            out[i] += roots[layer, i] * clip((water[layer, i] - soil.theta_wp[i]) / span, 0.0, 1.0)


@njit(**INNER)
def _write_methane(n, offset, rows, daily, residuals, day):  # type: ignore[no-untyped-def]
    """Write methane of a day in canonical units."""
    out, left = daily[:, day, offset : offset + n], residuals[2, day, offset : offset + n]
    for i in range(n):
        out[10, i] = rows.difs[i]
        out[11, i] = rows.oxk[i]
        out[12, i] = rows.ch4prod[i]
        out[13, i] = rows.ch4ox[i]
        out[14, i] = rows.ch4prod[i] - rows.ch4ox[i]
        left[i] = rows.residual[2, i]


@njit(**INNER)
def _water_day(n, f, state, rows, soil, p, roots):  # type: ignore[no-untyped-def]
    """Snow, evapotranspiration and soil water of one day."""
    snow_step(n, f.pr, f.tas, state.snw, state.density, p, rows.rain, rows.melt, rows.calved)
    demand_step(n, f, p, rows.radiation, rows.potential)
    infiltration_step(
        n, f.lai, rows.rain, rows.melt, rows.potential, state.temperature, state.water, soil, p, rows.flux, rows.runoff,
        rows.evaporated,
    )  # fmt: skip
    for i in range(n):
        rows.runoff[i] += rows.calved[i]
    uptake_step(
        n,
        f.lai,
        state.snw,
        rows.potential,
        state.temperature,
        state.water,
        soil,
        roots,
        p,
        rows.scratch,
        rows.evaporated,
    )
    drainage_step(n, state.temperature, state.water, soil, p, rows.flux, rows.runoff)


@njit(**INNER)
def _heat_day(n, f, state, rows, soil, p):  # type: ignore[no-untyped-def]
    """Soil temperature of one day."""
    heat_coefficients(
        n, state.temperature, state.water, soil, p.conductivity_factor, rows.capacity, rows.latent, rows.resistance
    )
    _boundary(
        n, f, p, rows.radiation, rows.evaporated, state.snw, state.density, rows.resistance, rows.surface,
        rows.conductance,
    )  # fmt: skip
    heat_step(
        n, rows.surface, rows.conductance, state.temperature, rows.capacity, rows.latent, rows.resistance, rows.scratch,
        rows.residual[0],
    )  # fmt: skip


@njit(**INNER)
def _methane_day(n, f, state, rows, soil, p, column):  # type: ignore[no-untyped-def]
    """Methane of one day and its budget."""
    for i in range(n):
        rows.snd[i] = state.snw[i] / state.density[i]
    layer_step(n, f.ps, state.temperature, state.water, soil, p, column, rows.half, rows.oxidation, rows.source)
    sweep(n, rows.half, rows.oxidation, rows.source, column.rate, column.production, rows.downward, rows.returned)
    effective(
        n, f, p, state.snw, rows.snd, rows.half, rows.downward, rows.returned, rows.air, rows.snow_resistance,
        rows.difs, rows.oxk, rows.ch4ox, rows.ch4prod,
    )  # fmt: skip
    balance(
        n, f, p, rows.air, rows.snow_resistance, rows.half, rows.oxidation, rows.source, column.rate, column.production,
        rows.downward, rows.returned, rows.ch4ox, rows.ch4prod, rows.scratch, rows.residual[2],
    )  # fmt: skip


@cached
@njit(**KERNEL)
def methane_day(n, f, state, rows, soil, p, column):  # type: ignore[no-untyped-def]
    """Methane of one day in ``n`` cells of a given ``state``; the results stand in ``rows``."""
    _methane_day(n, f, state, rows, soil, p, column)


@cached
@njit(**KERNEL)
def run_block(offset, n, steps, drivers, soil, p, roots, column, state, rows, daily, residuals, record):  # type: ignore[no-untyped-def]
    """Advance a block of ``n`` cells by ``steps`` days.

    All but ``drivers``, ``daily`` and ``residuals`` hold the block alone; those three hold all cells, of which the
    block begins at ``offset``. ``record`` is :data:`SPIN`, :data:`SOIL` (without methane, ``daily`` and ``residuals``
    hold what is written alone) or :data:`FULL`. With :data:`SPIN` ``rows.mean`` receives the mean temperature of each
    layer.
    """
    rows.mean[:] = 0.0
    w = rows.drivers
    f = Drivers(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
    for day in range(steps):
        _load(n, offset, drivers, w, day)
        for i in range(n):
            rows.residual[1, i] = f.pr[i] * 86400.0
        _stored(n, state.water, state.snw, rows.residual[1], 1.0)
        _water_day(n, f, state, rows, soil, p, roots)
        _stored(n, state.water, state.snw, rows.residual[1], -1.0)
        for i in range(n):
            rows.residual[1, i] -= rows.evaporated[i] + rows.runoff[i]
        _heat_day(n, f, state, rows, soil, p)
        if record == FULL:
            _methane_day(n, f, state, rows, soil, p, column)
            _write_methane(n, offset, rows, daily, residuals, day)
        if record == SOIL:
            _write_reach(n, offset, state.water, soil, roots, daily, day)
        if record != SPIN:
            _write_soil(n, offset, state, rows, daily, residuals, day)
        else:
            for layer in range(heat.LAYERS):
                for i in range(n):
                    rows.mean[layer, i] += state.temperature[layer, i] / steps
