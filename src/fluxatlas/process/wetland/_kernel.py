"""The compiled day loop of wetland columns; cells innermost."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .._vector import INNER, KERNEL, cached, clip, exp, maximum, minimum, where
from ..evapotranspiration import net_radiation, potential_evapotranspiration
from ..snow import snowfall_share
from . import rates as r
from .choices import BUBBLES, MASS, PLANTS

LAYERS, DZ = 30, 0.05
STEPS = 4
"""Steps of methane in a day."""
HOURS = 24.0 / STEPS
DRIVERS = ("tas", "pr", "rsds", "rlds", "ps", "lai", "ch4")
OUTPUTS = (
    "ch4wetdif", "ch4wetpla", "ch4wetebu", "ch4wetupt", "fch4wet", "ch4wetprod", "ch4wetcons", "tsl05", "tsl15",
    "tsl45", "wth", "snw", "evspsbl",
)  # fmt: skip
"""Daily variables in the order of the rows of ``daily``."""
BUDGETS = ("methane", "water")
NMOL = 86400e-6  # mmol m-2 d-1 per nmol m-2 s-1
LOWEST, ABOVE_SILL = -1.2, 0.3
"""Deepest water table and highest above its sill [m]."""
INSULATING = 10.0  # kg m-2 of snow
WARM, COLD = 2.0, 0.0  # degC above which it rains and below which it snows

_ROWS = (
    "input", "lost", "drained", "h", "surface", "air", "made", "oxidised", "diffusion", "plants", "bubbles", "uptake",
    "risen", "escaping", "dry", "lid", "carrying", "supplied", "stored",
)  # fmt: skip
_LAYERS = ("share", "production", "oxidation", "plant", "conductance", "sink", "pivot", "upper", "new")
Rows: Any = namedtuple("Rows", (*_ROWS, "drivers"))  # type: ignore[misc]
Layers: Any = namedtuple("Layers", _LAYERS)  # type: ignore[misc]
Fixed: Any = namedtuple(
    "Fixed", ("ph", "warming", "oxidising", "lumping", "organic", "rooted", "upper", "pivot", "lumped")
)


class WetlandState(NamedTuple):
    """What a day hands to the next: methane [mmol m-3], temperature [degC] and exposure to lack of air [1] of shape
    (layer, N); water above that of a table at the surface [mm], snow [kg m-2], net primary production of the last month
    [g m-2 d-1] and the lumped flux [mmol m-2 d-1] of shape (N,)."""

    methane: Any
    temperature: Any
    exposure: Any
    water: Any
    snw: Any
    npp: Any
    lumped: Any


def work_rows(n: int) -> tuple[Rows, Layers]:
    """Work arrays for ``n`` cells."""
    rows = Rows(*(np.zeros(n) for _ in _ROWS), np.zeros((len(DRIVERS), n)))  # type: ignore[call-arg]
    return rows, Layers(*(np.zeros((LAYERS + 1, n)) for _ in _LAYERS))  # type: ignore[call-arg]


@njit(**INNER)
def _widen(n, values, into):  # type: ignore[no-untyped-def]
    for i in range(n):
        into[i] = values[i]


@njit(**INNER)
def _water_step(n, f, state, p, w):  # type: ignore[no-untyped-def]
    """Snow, water table [m] and surface temperature of a day; production of plants."""
    for i in range(n):
        celsius = f[0, i] - 273.15
        fallen = 86400.0 * f[1, i]
        frozen = fallen * snowfall_share(celsius, COLD, WARM)
        lying = state.snw[i] + frozen
        melt = minimum(lying, p.melt_factor[i] * maximum(celsius, 0.0))
        state.snw[i] = lying - melt
        w.input[i] = (fallen - frozen + melt) * (1.0 + p.runon[i])
        h = r.water_height(state.water[i], p.specific_yield[i])
        radiation = net_radiation(f[2, i], f[3, i], f[0, i], p.albedo[i])
        wanted = potential_evapotranspiration(maximum(radiation, 0.0), celsius, f[4, i], p.priestley_taylor[i])
        wanted *= p.evaporation_factor[i] * clip(1.0 + h / 0.5, 0.15, 1.0)
        stored = state.water[i] + w.input[i]
        lowest = 1000.0 * LOWEST * p.specific_yield[i]
        w.lost[i] = minimum(wanted, maximum(stored - lowest, 0.0))
        stored -= w.lost[i]
        leaving = minimum(r.outflow(h, p.outflow_rate[i], p.sill_height[i]), maximum(stored - lowest, 0.0))
        most = 1000.0 * (p.sill_height[i] + ABOVE_SILL)
        w.drained[i] = maximum(leaving, stored - most)
        state.water[i] = stored - w.drained[i]
        w.h[i] = r.water_height(state.water[i], p.specific_yield[i])
        covered = where(state.snw[i] > INSULATING, where(celsius < 0.0, 1.0, 0.0), 0.0)
        w.surface[i] = where(covered > 0.0, p.snow_insulation[i] * celsius, celsius + p.surface_offset[i])
        npp = r.productivity(f[2, i], celsius, f[5, i], p.light_use[i])
        state.npp[i] += (npp - state.npp[i]) / 30.0
        w.air[i] = r.air_concentration(f[6, i], f[4, i], f[0, i])


@njit(**INNER)
def _heat_step(n, temperature, fixed, p, w):  # type: ignore[no-untyped-def]
    """One implicit day of conduction with the factors of :func:`heat_factors`."""
    for i in range(n):
        g = p.heat_diffusivity[i] / (DZ * DZ)
        temperature[0, i] = (temperature[0, i] + 2.0 * g * w.surface[i]) * fixed.pivot[0, i]
    for layer in range(1, LAYERS):
        for i in range(n):
            g = p.heat_diffusivity[i] / (DZ * DZ)
            temperature[layer, i] = (temperature[layer, i] + g * temperature[layer - 1, i]) * fixed.pivot[layer, i]
    for layer in range(LAYERS - 2, -1, -1):
        for i in range(n):
            temperature[layer, i] += fixed.upper[layer, i] * temperature[layer + 1, i]


@njit(**INNER)
def _rates(n, state, p, fixed, w, k):  # type: ignore[no-untyped-def]
    """Rates of a day in each layer, and conductances [m h-1] between layers."""
    for i in range(n):
        size = r.growth(0.5 * (state.temperature[9, i] + state.temperature[10, i]), p.growth_temperature[i])
        w.carrying[i] = size * p.plant_rate[i] * p.plant_transport[i]
        w.supplied[i] = p.production_rate[i] * fixed.ph[i] * r.supply(state.npp[i], p.least_supply[i])
        w.lid[i] = maximum(w.h[i], 0.0) / r.water_diffusivity(w.surface[i])
        w.escaping[i] = 1.0 - exp(-p.bubble_rate[i] * HOURS)
        w.dry[i] = maximum(-w.h[i] / DZ + 0.5, 0.0)
    for layer in range(LAYERS):
        top = layer * DZ
        exposure, temperature = state.exposure, state.temperature
        for i in range(n):
            k.share[layer, i] = r.saturated(w.h[i], top, DZ)
        for i in range(n):
            share, a = k.share[layer, i], exposure[layer, i]
            exposure[layer, i] = a + share * (1.0 - a) / p.anaerobic_days[i] - (1.0 - share) * a / p.aerobic_days[i]
        for i in range(n):
            k.production[layer, i] = w.supplied[i] * fixed.organic[layer, i] * r.reduced(exposure[layer, i])
        for i in range(n):
            celsius = temperature[layer, i]
            alive = where(celsius > 0.0, k.share[layer, i], 0.0)
            k.production[layer, i] *= alive * r.q10(fixed.warming[i], celsius, r.REFERENCE)
        for i in range(n):
            celsius = temperature[layer, i]
            alive = where(celsius > 0.0, 1.0 - k.share[layer, i], 0.0)
            warm = r.q10(fixed.oxidising[i], celsius, r.OXIDATION_REFERENCE)
            k.oxidation[layer, i] = p.oxidation_rate[i] * alive * warm
        for i in range(n):
            k.plant[layer, i] = w.carrying[i] * fixed.rooted[layer, i]
        for i in range(n):
            resistance = r.layer_resistance(k.share[layer, i], temperature[layer, i], p.coarse_pores[i], DZ)
            k.upper[layer, i] = 0.5 * resistance
        for i in range(n):
            k.conductance[layer, i] = 3600.0 / (w.lid[i] + k.upper[layer, i])
            w.lid[i] = k.upper[layer, i]
        for i in range(n):
            w.made[i] += 24.0 * DZ * k.production[layer, i]


@njit(**INNER)
def _solve(n, c, p, w, k):  # type: ignore[no-untyped-def]
    """Diffusion with linear sinks over :data:`HOURS`, implicit; writes ``new``, the sink of oxidation in ``sink``.

    Loops touch few arrays each: beyond a handful LLVM does not check that they are apart, and works on single cells.
    """
    new, upper, sink, pivot = k.new, k.upper, k.sink, k.pivot
    for i in range(n):
        upper[LAYERS, i] = 0.0
        new[LAYERS, i] = w.air[i]
    for layer in range(LAYERS):
        above = layer - 1 if layer > 0 else LAYERS  # the row that stands for the air
        for i in range(n):
            sink[layer, i] = k.oxidation[layer, i] / (p.oxidation_half[i] + c[layer, i])
        for i in range(n):
            loss = DZ * (1.0 / HOURS + sink[layer, i] + k.plant[layer, i])
            lateral = k.conductance[layer, i] * (1.0 - upper[above, i]) + k.conductance[layer + 1, i]
            pivot[layer, i] = 1.0 / (loss + lateral)
        for i in range(n):
            upper[layer, i] = k.conductance[layer + 1, i] * pivot[layer, i]
        for i in range(n):
            gained = DZ * (c[layer, i] / HOURS + k.production[layer, i])
            new[layer, i] = (gained + k.conductance[layer, i] * new[above, i]) * pivot[layer, i]
    for layer in range(LAYERS - 2, -1, -1):
        for i in range(n):
            new[layer, i] += upper[layer, i] * new[layer + 1, i]


@njit(**INNER)
def _methane_step(n, c, p, w, k):  # type: ignore[no-untyped-def]
    """One step of :data:`HOURS`: diffusion and sinks, then bubbles.

    The sink of oxidation is linear with the concentration before; fluxes are those of the solution, so that mass is
    kept to round-off, and bubbles move after them: into the air where the table is in the upper half of the top layer
    or above, into the lowest dry layer elsewhere.
    """
    _solve(n, c, p, w, k)
    new = k.new
    for i in range(n):
        w.risen[i] = 0.0
        surface = HOURS * k.conductance[0, i] * (new[0, i] - w.air[i])
        w.diffusion[i] += maximum(surface, 0.0)
        w.uptake[i] += maximum(-surface, 0.0)
    risen = k.upper
    for layer in range(LAYERS):
        for i in range(n):
            loss = k.sink[layer, i] + p.plant_oxidation[i] * k.plant[layer, i]
            w.oxidised[i] += HOURS * DZ * new[layer, i] * loss
        for i in range(n):
            w.plants[i] += HOURS * DZ * new[layer, i] * k.plant[layer, i] * (1.0 - p.plant_oxidation[i])
        for i in range(n):
            above = maximum(new[layer, i] - p.bubble_threshold[i], 0.0)
            risen[layer, i] = k.share[layer, i] * w.escaping[i] * above
        for i in range(n):
            c[layer, i] = new[layer, i] - risen[layer, i]
        for i in range(n):
            w.risen[i] += DZ * risen[layer, i]
    for i in range(n):
        w.bubbles[i] += where(w.dry[i] < 1.0, w.risen[i], 0.0)
    for layer in range(LAYERS):
        for i in range(n):
            here = where(w.dry[i] >= layer + 1.0, where(w.dry[i] < layer + 2.0, 1.0, 0.0), 0.0)
            c[layer, i] += here * w.risen[i] / DZ


@njit(**INNER)
def _lumped_step(n, state, p, fixed, w):  # type: ignore[no-untyped-def]
    """Replaces the methane of a day where the scheme is the lumped one."""
    for i in range(n):
        celsius = 0.5 * (state.temperature[3, i] + state.temperature[4, i])
        now = NMOL * r.lumped_flux(celsius, w.h[i], p.lumped_rate[i], fixed.lumping[i], p.lumped_depth[i])
        state.lumped[i] += (now - state.lumped[i]) * (1.0 - exp(-1.0 / p.lumped_days[i]))
        flux, one = state.lumped[i], fixed.lumped[i]
        w.plants[i] = where(one > 0.0, PLANTS * flux, w.plants[i])
        w.bubbles[i] = where(one > 0.0, BUBBLES * flux, w.bubbles[i])
        w.diffusion[i] = where(one > 0.0, (1.0 - PLANTS - BUBBLES) * flux, w.diffusion[i])
        w.made[i] = where(one > 0.0, flux, w.made[i])
        w.uptake[i] = where(one > 0.0, 0.0, w.uptake[i])
        w.oxidised[i] = where(one > 0.0, 0.0, w.oxidised[i])


@njit(**INNER)
def _storage(n, state, into):  # type: ignore[no-untyped-def]
    """Methane of the column [mmol m-2]."""
    for i in range(n):
        into[i] = 0.0
    for layer in range(LAYERS):
        for i in range(n):
            into[i] += DZ * state.methane[layer, i]


@njit(**INNER)
def _write(n, offset, fallen, runon, state, fixed, w, daily, residuals, day, before):  # type: ignore[no-untyped-def]
    """Fluxes of a day and what is left of its budgets."""
    out, left = daily[:, day, offset : offset + n], residuals[:, day, offset : offset + n]
    _storage(n, state, w.stored)
    t = state.temperature
    for i in range(n):
        flux = w.diffusion[i] + w.plants[i] + w.bubbles[i] - w.uptake[i]
        out[0, i], out[1, i], out[2, i] = MASS * w.diffusion[i], MASS * w.plants[i], MASS * w.bubbles[i]
        out[3, i], out[4, i] = MASS * w.uptake[i], MASS * flux
        out[5, i], out[6, i] = MASS * w.made[i], MASS * w.oxidised[i]
        out[7, i] = 0.5 * (t[0, i] + t[1, i]) + 273.15
        out[8, i] = 0.5 * (t[2, i] + t[3, i]) + 273.15
        out[9, i] = 0.5 * (t[8, i] + t[9, i]) + 273.15
        out[10, i], out[11, i], out[12, i] = w.h[i], state.snw[i], w.lost[i] / 86400.0
        change = where(fixed.lumped[i] > 0.0, 0.0, w.stored[i] - before[0, i])
        left[0, i] = w.made[i] - w.oxidised[i] - flux - change
        given = fallen[i] * 86400.0 + runon[i] / (1.0 + runon[i]) * w.input[i]
        left[1, i] = before[1, i] + given - w.lost[i] - w.drained[i] - state.water[i] - state.snw[i]


@cached
@njit(**KERNEL)
def run_block(offset, n, steps, drivers, fixed, p, state, w, k, before, daily, residuals, record):  # type: ignore[no-untyped-def]
    """Advance a block of ``n`` cells, which begins at cell ``offset`` of ``drivers`` (driver, time, cell), by ``steps``
    days; ``daily`` and ``residuals`` are written if ``record``."""
    f = w.drivers
    for day in range(steps):
        for row in range(f.shape[0]):
            _widen(n, drivers[row, day, offset : offset + n], f[row])
        for i in range(n):
            before[1, i] = state.water[i] + state.snw[i]
            w.made[i] = 0.0
            w.oxidised[i] = 0.0
            w.diffusion[i] = 0.0
            w.plants[i] = 0.0
            w.bubbles[i] = 0.0
            w.uptake[i] = 0.0
        _storage(n, state, before[0])
        _water_step(n, f, state, p, w)
        _heat_step(n, state.temperature, fixed, p, w)
        _rates(n, state, p, fixed, w, k)
        for _step in range(STEPS):
            _methane_step(n, state.methane, p, w, k)
        _lumped_step(n, state, p, fixed, w)
        if record:
            _write(n, offset, f[1], p.runon, state, fixed, w, daily, residuals, day, before)
