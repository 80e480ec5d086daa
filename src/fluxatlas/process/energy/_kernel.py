"""The compiled day loop of the energy and water of a surface; cells innermost."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .._vector import INNER, KERNEL, cached, clip, exp, maximum, minimum, where
from ..evapotranspiration import net_radiation, transpiration_limitation, vapour_pressure
from ..snow import snow_cover
from . import canopy as c
from .canopy import DEEP, SWITCH, TOP
from .retention import drained_saturation

OUTPUTS = ("swc05", "swc45", "snw", "evapfrac", "hfls", "hfss", "rns", "hfdsl", "gpp", "evspsbl", "mrro")
"""Daily variables in the order of the rows of ``daily``."""
BUDGETS = ("water",)
"""Energy has none: sensible heat is what the others leave."""

DRIVERS = ("tas", "pr", "rsds", "rlds", "huss", "ps", "sfcWind", "lai", "co2")
CARBON = 86400.0 * 12e-6
"""g C m-2 d-1 per umol m-2 s-1."""

_ROWS = (
    "celsius", "pressure", "vpd", "ratio", "rain", "melt", "radiation", "ground", "leaves", "bare", "gpp", "caught",
    "canopy_water", "soil_water", "runoff", "drained",
)  # fmt: skip
Rows: Any = namedtuple("Rows", (*_ROWS, "drivers"))  # type: ignore[misc]


class EnergyState(NamedTuple):
    """What a day hands to the next, arrays (N,): water of the two layers [1] and snow [kg m-2]."""

    top: Any
    deep: Any
    snw: Any


def work_rows(n: int) -> Rows:
    """Work arrays for ``n`` cells."""
    return Rows(*(np.zeros(n) for _ in _ROWS), np.zeros((len(DRIVERS), n)))  # type: ignore[call-arg]


@njit(**INNER)
def _widen(n, values, into):  # type: ignore[no-untyped-def]
    for i in range(n):
        into[i] = values[i]


@njit(**INNER)
def _radiation_step(n, f, state, p, r):  # type: ignore[no-untyped-def]
    """Air, snow and radiation of a day."""
    for i in range(n):
        celsius, kpa = f[0, i] - 273.15, 1e-3 * f[5, i]
        r.celsius[i], r.pressure[i] = celsius, kpa
        vapour = 1e-3 * vapour_pressure(f[4, i], f[5, i])
        r.vpd[i] = maximum(c.saturation(celsius) - vapour, 0.0)
        r.ratio[i] = c.slope_ratio(celsius, kpa)
        fallen = 86400.0 * f[1, i]
        frozen = where(celsius < 0.0, fallen, 0.0)
        r.rain[i] = fallen - frozen
        lying = state.snw[i] + frozen
        r.melt[i] = minimum(lying, p.melt_factor[i] * maximum(celsius, 0.0))
        state.snw[i] = lying - r.melt[i]
        albedo = c.surface_albedo(p.albedo[i], p.snow_albedo[i], snow_cover(state.snw[i]), f[7, i])
        r.radiation[i] = net_radiation(f[2, i], f[3, i], f[0, i], albedo)
        r.ground[i] = c.ground_heat(r.radiation[i], f[7, i], p.ground_share[i])


@njit(**INNER)
def _canopy_step(n, f, state, soil, p, r):  # type: ignore[no-untyped-def]
    """Assimilation, and the latent heat of leaves, whether water allows it or not, and of wet soil [W m-2]."""
    for i in range(n):
        celsius, kpa, vpd, lai, co2 = r.celsius[i], r.pressure[i], r.vpd[i], f[7, i], f[8, i]
        available = r.radiation[i] - r.ground[i]
        shade = exp(-p.radiation_extinction[i] * lai)
        air = c.aerodynamic_conductance(f[6, i], p.canopy_height[i])
        fed = transpiration_limitation(state.deep[i], soil.swcwp[i], soil.swcfc[i], p.stress_share[i])
        gross = fed * c.assimilation(
            f[2, i], celsius, co2, lai, vpd, p.quantum_yield[i], p.co2_slope[i], p.carboxylation[i],
            p.light_extinction[i], p.vpd_low[i], p.vpd_high[i],
        )  # fmt: skip
        r.gpp[i] = CARBON * gross
        stomata = c.stomatal_conductance(gross, co2, vpd, celsius, kpa, p.stomatal_slope[i], p.vpd_sensitivity[i])
        stomata *= p.conductance_factor[i]
        leaves = c.penman_monteith(available * (1.0 - shade), r.ratio[i], celsius, kpa, vpd, air, stomata)
        r.leaves[i] = where(gross > 0.0, leaves, 0.0)
        open_soil = 1.0 - snow_cover(state.snw[i])
        r.bare[i] = open_soil * c.soil_latent_heat(available * shade, r.ratio[i])
        r.caught[i] = c.interception(r.rain[i], lai, p.leaf_storage[i], p.wet_evaporation[i])


@njit(**INNER)
def _water_step(n, state, soil, p, r):  # type: ignore[no-untyped-def]
    """Infiltration, evaporation and drainage of a day [kg m-2 d-1]."""
    for i in range(n):
        wilting, capacity, full = soil.swcwp[i], soil.swcfc[i], soil.swcsat[i]
        heat = c.latent_heat(r.celsius[i])
        lost = TOP * c.bare_loss(state.top[i], wilting, capacity, 86400.0 * r.bare[i] / heat / TOP)
        top, deep = TOP * state.top[i] - lost, DEEP * state.deep[i]
        arriving = r.rain[i] - r.caught[i] + r.melt[i]
        entering = minimum(arriving, maximum(TOP * full - top, 0.0) + p.infiltration_share[i] * soil.k_sat[i])
        runoff = arriving - entering
        drawn = minimum(86400.0 * r.leaves[i] / heat, maximum(deep - DEEP * wilting, 0.0))
        top, deep = top + entering, deep - drawn
        moved = p.surface_drainage[i] * maximum(top - TOP * capacity, 0.0)
        moved = maximum(moved, top - TOP * full)
        top, deep = top - moved, deep + moved
        over = maximum(deep - DEEP * full, 0.0)
        deep -= over
        left = drained_saturation(deep / (DEEP * full), soil.k_sat[i] / (DEEP * full), soil.exponent[i])
        drained = deep - DEEP * full * left
        drained = minimum(drained, maximum(deep - DEEP * wilting, 0.0))
        deep -= drained
        rising = p.capillary[i] * TOP * maximum(deep / DEEP - top / TOP, 0.0)
        rising = minimum(rising, maximum(deep - DEEP * wilting, 0.0))
        state.top[i], state.deep[i] = (top + rising) / TOP, (deep - rising) / DEEP
        r.soil_water[i], r.canopy_water[i] = lost, drawn
        r.runoff[i], r.drained[i] = runoff + over, drained


@njit(**INNER)
def _write(n, offset, state, r, daily, residuals, day, before):  # type: ignore[no-untyped-def]
    """Fluxes of a day and what is left of its budgets."""
    out, left = daily[:, day, offset : offset + n], residuals[:, day, offset : offset + n]
    for i in range(n):
        water = r.caught[i] + r.soil_water[i] + r.canopy_water[i]
        available = r.radiation[i] - r.ground[i]
        latent = water * c.latent_heat(r.celsius[i]) / 86400.0
        sensible = available - latent
        out[0, i], out[1, i], out[2, i] = state.top[i], state.deep[i], state.snw[i]
        out[3, i] = clip(latent / maximum(available, SWITCH), -1.0, 3.0)
        out[4, i], out[5, i], out[6, i], out[7, i] = latent, sensible, r.radiation[i], r.ground[i]
        out[8, i], out[9, i] = r.gpp[i], water / 86400.0
        out[10, i] = (r.runoff[i] + r.drained[i]) / 86400.0
        after = TOP * state.top[i] + DEEP * state.deep[i] + state.snw[i]
        left[0, i] = before[i] - after - water - r.runoff[i] - r.drained[i]


@cached
@njit(**KERNEL)
def run_block(offset, n, steps, drivers, soil, p, state, rows, before, daily, residuals, record):  # type: ignore[no-untyped-def]
    """Advance a block of ``n`` cells, which begins at cell ``offset`` of ``drivers`` (driver, time, cell), by ``steps``
    days; ``daily`` and ``residuals`` are written if ``record``."""
    f = rows.drivers
    for day in range(steps):
        for k in range(f.shape[0]):
            _widen(n, drivers[k, day, offset : offset + n], f[k])
        for i in range(n):
            before[i] = TOP * state.top[i] + DEEP * state.deep[i] + state.snw[i] + 86400.0 * f[1, i]
        _radiation_step(n, f, state, p, rows)
        _canopy_step(n, f, state, soil, p, rows)
        _water_step(n, state, soil, p, rows)
        if record:
            _write(n, offset, state, rows, daily, residuals, day, before)
