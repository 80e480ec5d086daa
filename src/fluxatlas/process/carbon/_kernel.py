"""The compiled day loop of the carbon of vegetation and soil."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
from numba import njit

from .._vector import INNER, KERNEL, cached, clip, exp, maximum, minimum, where
from ..evapotranspiration import saturation_pressure, vapour_pressure
from .photosynthesis import (
    LEAST_DEFICIT,
    PAR_SHARE,
    WATTS_TO_MJ,
    absorbed_share,
    chosen,
    co2_response,
    drought_parabola,
    drought_ramp,
    modis,
    pmodel,
    ramp,
    saturation,
    season_index,
)
from .respiration import (
    exponential,
    lloyd_taylor,
    maintenance,
    rothc,
    water_parabola,
    water_ramp,
    water_skopp,
)

DRIVERS = ("tas", "tasmin", "tasmax", "rsds", "huss", "ps", "lai", "co2", "tsl05", "tsl15", "swc15", "reach", "hours")
"""What a day needs, in order; ``hours`` is the length of the day [h], ``reach`` that of ``simulate_soil``."""
OUTPUTS = ("gpp", "ra", "rh")
POOLS = ("reserve", "leaf", "root", "wood", "litter_fast", "litter_slow", "soil_fast", "soil_slow", "soil_passive")
"""Pools of carbon [g m-2]; the last five decay."""
SOIL = 4
"""Position of the first pool that decays."""
MEANS = ("gpp", "maintenance", *POOLS[SOIL:])
"""Means over days: production, the factor of maintenance, and the daily loss [1] of each pool that decays."""
MEAN, SPIN, RECORD = 0, 1, 2
"""What :func:`run_block` does: means without pools, pools without output, output."""

Weather = namedtuple("Weather", DRIVERS)  # type: ignore[misc]
Fixed = namedtuple(  # type: ignore[misc]
    "Fixed", ("porosity", "leaf_loss", "root_loss", "wood_loss", "reserve_loss", "decay", "to_slow", "wood_share")
)
"""What follows from parameters and soil: daily losses of plant pools [1], ``decay`` (pool, N) of the others at 15 degC
[d-1], the share of the decayed microbial pool that becomes slow, and that of growth in wood."""
State = namedtuple("State", ("acclimated", "season", "pools"))  # type: ignore[misc]
"""Acclimated temperature [degC] and growing season [1] of shape (N,), ``pools`` (pool, N) [g m-2]."""
Rows = namedtuple("Rows", ("weather", "gpp", "keep", "loss", "ra", "rh", "before", "mean"))  # type: ignore[misc]


def work_rows(n: int) -> Any:
    """Work arrays for ``n`` cells; ``mean`` holds :data:`MEANS`."""
    gpp, keep, ra, rh, before = np.zeros((5, n))
    decaying = np.zeros((len(POOLS) - SOIL, n))
    return Rows(np.zeros((len(DRIVERS), n)), gpp, keep, decaying, ra, rh, before, np.zeros((len(MEANS), n)))


@njit(**INNER)
def _light_day(n, f, p, codes, state, gpp):  # type: ignore[no-untyped-def]
    """Acclimated temperature, growing season and production of a day."""
    for i in range(n):
        state.acclimated[i] += (f.tas[i] - 273.15 - state.acclimated[i]) / p.acclimation_days[i]
        today = season_index(f.tasmin[i] - 273.15, f.hours[i])
        state.season[i] += (today - state.season[i]) / p.season_days[i]
    for i in range(n):
        ahead = 0.25 * (f.tasmax[i] - f.tasmin[i])
        daytime = f.tas[i] - 273.15 + ahead
        deficit = maximum(saturation_pressure(daytime) - vapour_pressure(f.huss[i], f.ps[i]), LEAST_DEFICIT)
        off = where(codes.season[i] == 1, p.season_weight[i] * (1.0 - state.season[i]), 0.0)
        light = maximum(f.rsds[i], 0.0) * WATTS_TO_MJ * PAR_SHARE * absorbed_share(f.lai[i], p.extinction[i])
        light *= 1.0 - off
        warm = state.acclimated[i] + ahead
        first = pmodel(light, warm, f.ps[i], f.co2[i], deficit, p.quantum_factor[i], p.water_cost[i])
        first *= ramp(state.acclimated[i], p.cold_stop[i], p.frost_recovery[i])
        air = co2_response(f.co2[i], p.co2_sensitivity[i])
        second = modis(
            light, state.acclimated[i], air, deficit, p.light_use_efficiency[i], p.cold_stop[i], p.warm_full[i],
            p.heat_start[i], p.vpd_stop[i], p.vpd_full[i],
        )  # fmt: skip
        gpp[i] = chosen(codes.light_use[i], first, second, second * saturation(light, p.light_curvature[i]))
    for i in range(n):
        curved = drought_parabola(f.reach[i], p.drought_threshold[i], p.drought_floor[i])
        gpp[i] *= where(codes.drought[i] == 0, drought_ramp(f.reach[i], p.drought_threshold[i]), curved)


@njit(**INNER)
def _decay_day(n, f, p, codes, fixed, state, keep, loss):  # type: ignore[no-untyped-def]
    """Factor of maintenance, and what each pool that decays loses in a day [1]; litter is as warm as 5 cm."""
    for i in range(n):
        keep[i] = maintenance(
            f.tas[i] - 273.15, state.acclimated[i], p.maintenance_q10[i], p.maintenance_acclimation[i]
        )
    for i in range(n):
        wet = clip(f.swc15[i] / fixed.porosity[i], 0.0, 1.0)
        water = chosen(
            codes.wetness[i],
            water_ramp(f.reach[i], p.dry_decay[i]),
            water_parabola(wet, p.wetness_optimum[i], p.dry_decay[i]),
            water_skopp(wet, p.wetness_optimum[i], p.dry_decay[i]),
        )
        upper, lower = f.tsl05[i] - 273.15, f.tsl15[i] - 273.15
        form = codes.warmth[i]
        above = water * chosen(form, lloyd_taylor(upper), exponential(upper, p.soil_q10[i]), rothc(upper))
        below = water * chosen(form, lloyd_taylor(lower), exponential(lower, p.soil_q10[i]), rothc(lower))
        for pool in range(2):
            loss[pool, i] = 1.0 - exp(-fixed.decay[pool, i] * above)
        for pool in range(2, 5):
            loss[pool, i] = 1.0 - exp(-fixed.decay[pool, i] * below)


@njit(**INNER)
def _plant_day(n, gpp, keep, p, codes, fixed, pools, ra):  # type: ignore[no-untyped-def]
    """Respiration and growth of plants and their litter in a day; no more is respired than the reserve holds."""
    for i in range(n):
        living = p.leaf_maintenance[i] * pools[1, i] + p.root_maintenance[i] * pools[2, i]
        living = keep[i] * (living + p.wood_maintenance[i] * pools[3, i])
        by_share = codes.autotrophic[i] == 1
        reserve = pools[0, i] + gpp[i]
        held = where(by_share, p.plant_share[i] * gpp[i], minimum(living, reserve))
        grown = (reserve - held) * fixed.reserve_loss[i]
        growing = where(by_share, 0.0, p.growth_share[i] * grown)
        pools[0, i] = reserve - held - grown
        ra[i] = held + growing
        new = grown - growing
        leaf, root, wood = pools[1, i], pools[2, i], pools[3, i]
        shed, died, fallen = leaf * fixed.leaf_loss[i], root * fixed.root_loss[i], wood * fixed.wood_loss[i]
        pools[1, i] = leaf - shed + p.leaf_share[i] * new
        pools[2, i] = root - died + p.root_share[i] * new
        pools[3, i] = wood - fallen + fixed.wood_share[i] * new
        fast = p.litter_fast_share[i] * (shed + died)
        pools[4, i] += fast
        pools[5, i] += shed + died + fallen - fast


@njit(**INNER)
def _soil_day(n, loss, p, fixed, pools, rh):  # type: ignore[no-untyped-def]
    """Decay of a day: what is not passed on is respired."""
    for i in range(n):
        fast, slow = pools[4, i] * loss[0, i], pools[5, i] * loss[1, i]
        microbial, humus, passive = pools[6, i] * loss[2, i], pools[7, i] * loss[3, i], pools[8, i] * loss[4, i]
        kept = p.litter_efficiency[i] * slow
        to_microbes = p.litter_efficiency[i] * fast + (1.0 - p.lignin_share[i]) * kept
        to_slow = p.lignin_share[i] * kept + fixed.to_slow[i] * microbial
        to_passive = p.passive_share[i] * humus
        pools[4, i] -= fast
        pools[5, i] -= slow
        pools[6, i] += to_microbes - microbial
        pools[7, i] += to_slow - humus
        pools[8, i] += to_passive - passive
        rh[i] = fast + slow + microbial + humus + passive - to_microbes - to_slow - to_passive


@njit(**INNER)
def _stored(n, pools, into):  # type: ignore[no-untyped-def]
    """Carbon of all pools [g m-2]."""
    for i in range(n):
        into[i] = 0.0
    for pool in range(pools.shape[0]):
        for i in range(n):
            into[i] += pools[pool, i]


@njit(**INNER)
def _add_means(n, steps, rows):  # type: ignore[no-untyped-def]
    for i in range(n):
        rows.mean[0, i] += rows.gpp[i] / steps
        rows.mean[1, i] += rows.keep[i] / steps
    for pool in range(rows.loss.shape[0]):
        for i in range(n):
            rows.mean[2 + pool, i] += rows.loss[pool, i] / steps


@njit(**INNER)
def _write(n, offset, rows, pools, daily, residuals, day):  # type: ignore[no-untyped-def]
    """Fluxes of a day, and carbon gained by the pools plus what left to the air [g m-2]."""
    out, left = daily[:, day, offset : offset + n], residuals[day, offset : offset + n]
    for i in range(n):
        out[0, i] = rows.gpp[i]
        out[1, i] = rows.ra[i]
        out[2, i] = rows.rh[i]
        left[i] = rows.ra[i] + rows.rh[i] - rows.gpp[i] - rows.before[i]
    for pool in range(pools.shape[0]):
        for i in range(n):
            left[i] += pools[pool, i]


@njit(**INNER)
def _load(n, values, into):  # type: ignore[no-untyped-def]
    for i in range(n):
        into[i] = values[i]


@cached
@njit(**KERNEL)
def run_block(offset, n, steps, drivers, p, codes, fixed, state, rows, daily, residuals, mode):  # type: ignore[no-untyped-def]
    """Advance a block of ``n`` cells by ``steps`` days.

    ``drivers`` (driver, T, N), ``daily`` (output, T, N) and ``residuals`` (T, N) hold all cells, of which the block
    begins at ``offset``; the rest the block alone. ``mode`` is :data:`MEAN` (``rows.mean`` receives the means over the
    days; pools stay), :data:`SPIN` or :data:`RECORD`.
    """
    rows.mean[:] = 0.0
    w = rows.weather
    f = Weather(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12])  # type: ignore[call-arg]
    for day in range(steps):
        for k in range(w.shape[0]):
            _load(n, drivers[k, day, offset : offset + n], w[k])
        _light_day(n, f, p, codes, state, rows.gpp)
        _decay_day(n, f, p, codes, fixed, state, rows.keep, rows.loss)
        if mode == MEAN:
            _add_means(n, steps, rows)
        else:
            _stored(n, state.pools, rows.before)
            _plant_day(n, rows.gpp, rows.keep, p, codes, fixed, state.pools, rows.ra)
            _soil_day(n, rows.loss, p, fixed, state.pools, rows.rh)
        if mode == RECORD:
            _write(n, offset, rows, state.pools, daily, residuals, day)
