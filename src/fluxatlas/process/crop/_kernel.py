"""The compiled day loop of the crop: management, development, growth, soil carbon and the budget, cells innermost."""

from __future__ import annotations

import math
from collections import namedtuple

from numba import njit

from .._vector import INNER, KERNEL, cached, clip, exp, maximum, minimum, where
from ..evapotranspiration import vapour_pressure
from . import canopy, soil
from .crops import FALLOW, STEPS

DRIVERS = (
    "tas", "tasmin", "tasmax", "rsds", "huss", "ps", "co2", "tsl05", "tsl15", "swc05", "swc15", "swc45", "gpp",
)  # fmt: skip
"""Daily drivers (T, N) in canonical units; ``gpp`` is NaN where the model makes its own."""
OUTPUTS = (
    "gpp", "ra", "rh", "reco", "nee", "lai", "grain", "straw", "seed", "cveg", "clitter", "csoil", "stage",
)  # fmt: skip
"""Daily outputs in the order of the rows of ``daily``."""
PLANT = (
    "light_use", "base_temperature", "emergence_sum", "anthesis_sum", "maturity_sum", "sowing_day", "harvest_day",
    "vpd_start", "vpd_end", "seed_carbon", "start", "full", "hot", "end", "m_leaf", "m_stem", "m_root", "m_grain",
    "y_leaf", "y_stem", "y_root", "y_grain", "remobilised", "co2_slope", "winter",
)  # fmt: skip
"""What is different between crops, per cell."""
FIELD = (
    "extinction", "leaf_area_factor", "root_factor", "root_turnover", "grain_removed", "straw_removed", "irrigated",
    "tillage_day", "tillage_share", "dpm_rate", "rpm_rate", "bio_rate", "hum_rate", "surface_factor",
    "structural_rate", "easy", "cover_factor", "q10_log", "respired", "theta_wp", "theta_fc", "phi",
)  # fmt: skip
"""What is fixed for a cell, whatever grows there."""
POOLS = (
    "leaf", "stem", "root", "grain", "dead", "metabolic", "structural", "dpm", "rpm", "bio", "hum", "iom",
)  # fmt: skip
"""Carbon [g m-2]."""
DOUBLING = 0.1 * math.log(2.0)
"""Exponent per K of a rate that doubles with 10 K."""
WORK = (
    "tas", "tasmin", "day_temperature", "light", "vpd", "co2", "surface_soil", "soil", "top", "deep", "wet", "given",
    "above", "day_length", "rsds", "growing", "pace", "fr", "fl", "fs", "age", "area", "gpp", "ra", "rh", "lai",
    "exported", "straw", "seed", "before", "wilted",
)  # fmt: skip
NONE, SOWN, GROWING, RIPE = 0, 1, 2, 3
_WINTER, _SOWING = PLANT.index("winter"), PLANT.index("sowing_day")
LATEST = 60
"""Days after the sowing day within which a crop is still sown."""

Drivers = namedtuple("Drivers", DRIVERS)  # type: ignore[misc]
Plant = namedtuple("Plant", (*PLANT, "block"))  # type: ignore[misc]
"""Rows of ``block`` (PLANT, N), the parameters of what grows in each cell."""
CODES = ("warmth", "southern", "waits")
Field = namedtuple("Field", (*FIELD, *CODES))  # type: ignore[misc]
Pools = namedtuple("Pools", POOLS)  # type: ignore[misc]
Stand = namedtuple("Stand", ("crop", "season", "life", "stage", "warmed", "cold"))  # type: ignore[misc]
"""What stands in the field: code of the crop, year of its harvest, phase of life, stage, thermal time, days of cold."""
Work = namedtuple("Work", WORK)  # type: ignore[misc]


@njit(**INNER)
def _load(n, offset, day, drivers, field, sky, w):  # type: ignore[no-untyped-def]
    """What a day's weather and soil mean for plants and soil life."""
    for i in range(n):
        j = offset + i
        w.tas[i] = drivers.tas[day, j] - 273.15
        w.tasmin[i] = drivers.tasmin[day, j] - 273.15
        w.day_temperature[i] = canopy.daytime(drivers.tasmin[day, j], drivers.tasmax[day, j]) - 273.15
        w.rsds[i] = drivers.rsds[day, j]
        w.co2[i] = drivers.co2[day, j]
        w.given[i] = drivers.gpp[day, j]
        w.surface_soil[i] = drivers.tsl05[day, j] - 273.15
        w.soil[i] = drivers.tsl15[day, j] - 273.15
        w.vpd[i] = vapour_pressure(float(drivers.huss[day, j]), float(drivers.ps[day, j]))
        w.above[i] = sky[0, i]
        w.day_length[i] = sky[1, i]
    for i in range(n):
        w.vpd[i] = canopy.deficit(w.day_temperature[i], w.vpd[i])
    for i in range(n):
        j = offset + i
        wilting, capacity, least = field.theta_wp[i], field.theta_fc[i], 0.5 * field.irrigated[i]
        held = 1.0 / (capacity - wilting)
        first, second, third = float(drivers.swc05[day, j]), float(drivers.swc15[day, j]), float(drivers.swc45[day, j])
        a = clip((first - wilting) * held, 0.0, 1.0)
        b = clip((second - wilting) * held, 0.0, 1.0)
        c = clip((third - wilting) * held, 0.0, 1.0)
        w.top[i] = maximum((a + 2.0 * b) / 3.0, least)
        w.deep[i] = maximum((a + 2.0 * b + 9.0 * c) / 12.0, least)
        w.wet[i] = ((first + 2.0 * second) / 3.0 - capacity) / maximum(field.phi[i] - capacity, 0.01)


@njit(**INNER)
def _harvest(i, field, pools, w):  # type: ignore[no-untyped-def]
    """Take what leaves the field, and leave the rest on and in the ground."""
    w.exported[i] = field.grain_removed[i] * pools.grain[i]
    shoot = pools.stem[i] + pools.leaf[i] + pools.dead[i]
    w.straw[i] = field.straw_removed[i] * shoot
    left = shoot - w.straw[i] + pools.grain[i] - w.exported[i]
    easy = field.easy[i]
    pools.metabolic[i] += easy * left
    pools.structural[i] += (1.0 - easy) * left
    pools.dpm[i] += easy * pools.root[i]
    pools.rpm[i] += (1.0 - easy) * pools.root[i]
    pools.stem[i], pools.leaf[i], pools.dead[i], pools.grain[i], pools.root[i] = 0.0, 0.0, 0.0, 0.0, 0.0


@njit(**INNER)
def _manage(n, day_of_year, year, plan, sets, plant, field, pools, stand, w):  # type: ignore[no-untyped-def]
    """Harvest, sowing and tillage of one day; day and year are those of the north and of the south."""
    for i in range(n):
        today, season = day_of_year[field.southern[i]], year[field.southern[i]]
        w.exported[i], w.straw[i], w.seed[i] = 0.0, 0.0, 0.0
        life = stand.life[i]
        if life != NONE:
            late = season > stand.season[i] or (season == stand.season[i] and today >= plant.harvest_day[i])
            if late or (life == RIPE and plant.winter[i] > 0.5 and field.waits[i] == 0):
                _harvest(i, field, pools, w)
                stand.life[i], stand.crop[i], stand.stage[i] = NONE, FALLOW, 0.0
                life = NONE
        if life == NONE:
            for ahead in range(2):
                crop, coming = plan[season + ahead, i], season + ahead
                if crop == FALLOW or coming <= stand.season[i] or (sets[crop, _WINTER, i] > 0.5) != (ahead == 1):
                    continue
                sowing = sets[crop, _SOWING, i]
                if sowing <= today < sowing + LATEST:
                    stand.crop[i], stand.season[i], stand.life[i] = crop, coming, SOWN
                    stand.warmed[i], stand.cold[i], stand.stage[i] = 0.0, 0.0, 0.0
                    adopt(i, crop, sets, plant)
                    break
        if today == int(field.tillage_day[i]):
            share = field.tillage_share[i]
            pools.dpm[i] += share * pools.metabolic[i]
            pools.rpm[i] += share * pools.structural[i]
            pools.metabolic[i] *= 1.0 - share
            pools.structural[i] *= 1.0 - share


@njit(**INNER)
def adopt(i, crop, sets, plant):  # type: ignore[no-untyped-def]
    """The parameters of ``crop`` become those of the cell."""
    for k in range(sets.shape[1]):
        plant.block[k, i] = sets[crop, k, i]


@njit(**INNER)
def _develop(n, table, plant, field, pools, stand, w):  # type: ignore[no-untyped-def]
    """Emergence, stage of development and what follows from the stage alone."""
    for i in range(n):
        w.growing[i], w.pace[i] = 0.0, 0.0
        w.fr[i], w.fl[i], w.fs[i], w.age[i], w.area[i] = 0.0, 0.0, 0.0, 0.0, 0.0
        life = stand.life[i]
        if life in (NONE, RIPE):
            continue
        warm = canopy.thermal_time(w.tas[i], plant.base_temperature[i])
        if plant.winter[i] > 0.5:
            stand.cold[i] += canopy.cold_weight(w.tas[i])
        rows = table[stand.crop[i]]
        if life == SOWN:
            stand.warmed[i] += warm
            if stand.warmed[i] < plant.emergence_sum[i]:
                continue
            stand.life[i] = GROWING
            w.seed[i] = plant.seed_carbon[i]
            below = minimum(rows[0, 0] * field.root_factor[i], 1.0)
            pools.root[i] += below * w.seed[i]
            pools.leaf[i] += (1.0 - below) * rows[1, 0] * w.seed[i]
            pools.stem[i] += (1.0 - below) * (1.0 - rows[1, 0]) * w.seed[i]
        else:
            speed = canopy.winter_pace(stand.cold[i], w.day_length[i], stand.stage[i]) if plant.winter[i] > 0.5 else 1.0
            whole = plant.anthesis_sum[i] if stand.stage[i] < 1.0 else plant.maturity_sum[i]
            stand.stage[i] = minimum(stand.stage[i] + speed * warm / whole, 2.0)
            if stand.stage[i] >= 2.0:
                stand.life[i] = RIPE
                continue
        w.growing[i] = 1.0
        w.pace[i] = warm / plant.maturity_sum[i]
        at = stand.stage[i] * (STEPS / 2)
        k = int(at)
        share = at - k
        w.fr[i] = minimum((rows[0, k] + share * (rows[0, k + 1] - rows[0, k])) * field.root_factor[i], 1.0)
        w.fl[i] = rows[1, k] + share * (rows[1, k + 1] - rows[1, k])
        w.fs[i] = rows[2, k] + share * (rows[2, k + 1] - rows[2, k])
        w.age[i] = rows[3, k] + share * (rows[3, k + 1] - rows[3, k])
        w.area[i] = (rows[4, k] + share * (rows[4, k + 1] - rows[4, k])) * field.leaf_area_factor[i]


@njit(**INNER)
def _photosynthesise(n, plant, field, pools, w):  # type: ignore[no-untyped-def]
    """Gross primary production [g m-2 d-1] of what grows."""
    for i in range(n):
        w.lai[i] = w.area[i] * pools.leaf[i]
        w.light[i] = canopy.absorbed(w.rsds[i], w.lai[i], field.extinction[i])
        w.wilted[i] = canopy.water_response(w.top[i], w.deep[i])
    for i in range(n):
        made = plant.light_use[i] * w.light[i] * w.age[i] * w.wilted[i]
        made *= canopy.warmth_response(w.day_temperature[i], plant.start[i], plant.full[i], plant.hot[i], plant.end[i])
        made *= canopy.frost_response(w.tasmin[i])
        made *= canopy.dryness_response(w.vpd[i], plant.vpd_start[i], plant.vpd_end[i])
        made *= canopy.carbon_dioxide_response(w.co2[i], plant.co2_slope[i]) * canopy.cloud_response(
            w.rsds[i], w.above[i]
        )
        made = where(w.given[i] == w.given[i], w.given[i], made)
        w.gpp[i] = w.growing[i] * maximum(made, 0.0)


@njit(**INNER)
def _grow(n, plant, field, pools, stand, w):  # type: ignore[no-untyped-def]
    """Respiration, allocation, remobilisation and death of one day; carbon is conserved to round-off."""
    for i in range(n):
        stage, warm = stand.stage[i], exp((w.tas[i] - 25.0) * DOUBLING)
        slow = 1.0 - 1.5 * clip(stage - 1.5, 0.0, 0.5)
        living = plant.m_leaf[i] * pools.leaf[i] + plant.m_stem[i] * pools.stem[i]
        living += plant.m_root[i] * pools.root[i] + plant.m_grain[i] * pools.grain[i]
        needed = w.growing[i] * slow * warm * living
        lacking = maximum(needed - w.gpp[i], 0.0)
        from_stem = minimum(0.9 * pools.stem[i], lacking)
        from_leaf = minimum(0.5 * pools.leaf[i], lacking - from_stem)
        maintenance = where(lacking > 0.0, w.gpp[i] + from_stem + from_leaf, needed)
        available = maximum(w.gpp[i] - needed, 0.0)
        shoot = 1.0 - w.fr[i]
        to_leaf, to_stem, to_root = available * shoot * w.fl[i], available * shoot * w.fs[i], available * w.fr[i]
        to_grain = maximum(available - to_leaf - to_stem - to_root, 0.0)
        growth = to_leaf * (1.0 - plant.y_leaf[i]) + to_stem * (1.0 - plant.y_stem[i])
        growth += to_root * (1.0 - plant.y_root[i]) + to_grain * (1.0 - plant.y_grain[i])
        stem = pools.stem[i] - from_stem + to_stem * plant.y_stem[i]
        moved = w.growing[i] * where(stage >= 1.0, minimum(plant.remobilised[i] * w.pace[i], 1.0), 0.0) * stem
        frozen = where(w.tasmin[i] < -8.0, plant.winter[i], 0.0)
        dying = w.growing[i] * canopy.leaf_death(stage, w.pace[i], w.lai[i], w.wilted[i], frozen)
        leaf = pools.leaf[i] - from_leaf + to_leaf * plant.y_leaf[i]
        pools.dead[i] += dying * leaf
        pools.leaf[i] = leaf - dying * leaf
        pools.stem[i] = stem - moved
        pools.grain[i] += to_grain * plant.y_grain[i] + moved * plant.y_grain[i]
        root = pools.root[i] + to_root * plant.y_root[i]
        shed = w.growing[i] * minimum(field.root_turnover[i] * exp((w.soil[i] - 20.0) * DOUBLING), 1.0)
        pools.root[i] = root - shed * root
        pools.dpm[i] += field.easy[i] * shed * root
        pools.rpm[i] += (1.0 - field.easy[i]) * shed * root
        w.ra[i] = maintenance + growth + moved * (1.0 - plant.y_grain[i])


@njit(**INNER)
def _decompose(n, field, pools, stand, w):  # type: ignore[no-untyped-def]
    """Respiration of litter and soil of one day."""
    for i in range(n):
        wet = soil.moisture(w.top[i], w.wet[i])
        form, logarithm = field.warmth[i], field.q10_log[i]
        covered = where(stand.life[i] >= GROWING, field.cover_factor[i], 1.0)
        response = soil.warmth(w.soil[i], form, logarithm) * wet * covered
        above = soil.warmth(w.surface_soil[i], form, logarithm) * wet * field.surface_factor[i]
        metabolic = soil.lost(pools.metabolic[i], field.dpm_rate[i], above)
        structural = soil.lost(pools.structural[i], field.structural_rate[i], above)
        dpm = soil.lost(pools.dpm[i], field.dpm_rate[i], response)
        rpm = soil.lost(pools.rpm[i], field.rpm_rate[i], response)
        bio = soil.lost(pools.bio[i], field.bio_rate[i], response)
        hum = soil.lost(pools.hum[i], field.hum_rate[i], response)
        whole = metabolic + structural + dpm + rpm + bio + hum
        w.rh[i] = field.respired[i] * whole
        stays = whole - w.rh[i]
        pools.metabolic[i] -= metabolic
        pools.structural[i] -= structural
        pools.dpm[i] -= dpm
        pools.rpm[i] -= rpm
        pools.bio[i] += soil.BIOMASS * stays - bio
        pools.hum[i] += (1.0 - soil.BIOMASS) * stays - hum


@njit(**INNER)
def _rest(n, w):  # type: ignore[no-untyped-def]
    """A day on which nothing grows in any cell."""
    for i in range(n):
        w.gpp[i], w.ra[i], w.lai[i] = 0.0, 0.0, 0.0


@njit(**INNER)
def _total(n, pools, into):  # type: ignore[no-untyped-def]
    """All carbon of plants, litter and soil."""
    for i in range(n):
        plants = pools.leaf[i] + pools.stem[i] + pools.root[i] + pools.grain[i] + pools.dead[i]
        litter = pools.metabolic[i] + pools.structural[i]
        into[i] = plants + litter + pools.dpm[i] + pools.rpm[i] + pools.bio[i] + pools.hum[i] + pools.iom[i]


@njit(**INNER)
def _write(n, pools, stand, w, out, residual):  # type: ignore[no-untyped-def]
    """Outputs and closure of the budget; ``residual`` holds the carbon of the evening when it comes."""
    for i in range(n):
        gpp, ra, rh = w.gpp[i], w.ra[i], w.rh[i]
        residual[i] -= w.before[i] + gpp - ra - rh - w.exported[i] - w.straw[i] + w.seed[i]
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = gpp, ra, rh, ra + rh, ra + rh - gpp
        out[5, i], out[6, i], out[7, i], out[8, i] = w.lai[i], w.exported[i], w.straw[i], w.seed[i]
    for i in range(n):
        out[9, i] = pools.leaf[i] + pools.stem[i] + pools.root[i] + pools.grain[i] + pools.dead[i]
        out[10, i] = pools.metabolic[i] + pools.structural[i]
        out[11, i] = pools.dpm[i] + pools.rpm[i] + pools.bio[i] + pools.hum[i] + pools.iom[i]
        out[12, i] = stand.stage[i]


@cached
@njit(**KERNEL)
def run_block(  # type: ignore[no-untyped-def]
    offset, n, steps, shift, drivers, day_of_year, managed, year, sky, plan, sets, table, plant, field, pools, stand, w,
    daily, residual, record,
):  # fmt: skip
    """Advance ``n`` cells from ``offset`` by ``steps`` days.

    ``drivers`` (T, all cells); ``day_of_year`` (T,) of the sun, ``managed`` and ``year`` (2, T) day and year of the
    fields in the north and south, ``year`` counted from the first of ``plan`` (Y, n) and moved by ``shift``; ``sky``
    (366, 2, n) radiation above the atmosphere and length of the day; ``sets`` (crop, PLANT, n). The rest holds the
    block. ``daily`` (OUTPUTS, T, all cells) and ``residual`` (T, all cells) are written if ``record``.
    """
    for i in range(n):
        if stand.crop[i] != FALLOW:
            adopt(i, stand.crop[i], sets, plant)
    here = year.copy()
    here += shift
    for day in range(steps):
        _total(n, pools, w.before)
        _load(n, offset, day, drivers, field, sky[day_of_year[day] - 1], w)
        _manage(n, managed[:, day], here[:, day], plan, sets, plant, field, pools, stand, w)
        _develop(n, table, plant, field, pools, stand, w)
        alive = False
        for i in range(n):
            alive |= w.growing[i] > 0.0
        if alive:
            _photosynthesise(n, plant, field, pools, w)
            _grow(n, plant, field, pools, stand, w)
        else:
            _rest(n, w)
        _decompose(n, field, pools, stand, w)
        if record:
            _total(n, pools, residual[day, offset : offset + n])
            _write(n, pools, stand, w, daily[:, day, offset : offset + n], residual[day, offset : offset + n])
