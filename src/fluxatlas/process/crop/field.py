"""Fields of many cells at once: the crop on given soil (:func:`grow`), or on the column of heat and water too
(:func:`simulate`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...astronomy import daylight_fraction, extraterrestrial_radiation
from ...errors import InputError
from .. import column
from .._validate import checked, validated_site
from ..parameters import SOIL, ParameterTable
from ..structure import Choice, codes_of
from . import canopy
from . import soil as soil_carbon
from ._kernel import (
    CODES,
    DRIVERS,
    FIELD,
    OUTPUTS,
    PLANT,
    POOLS,
    WORK,
    Drivers,
    Field,
    Plant,
    Pools,
    Stand,
    Work,
    run_block,
)
from .choices import CHOICES, HALF_YEAR
from .crops import CROPS, FALLOW, crop_plan, tables

FloatArray = npt.NDArray[np.floating[Any]]

TABLE = ParameterTable("crop")
"""Parameters of the crop; those of the column are in :data:`fluxatlas.process.parameters.SOIL`."""
BLOCK = 256
RIPE_BY, RIPE_SHARE, RIPE_SCALE = 262, 0.95, (0.7, 1.15)
"""A local variety needs this share of the mean thermal time from sowing to this day; its scale lies in this range."""


@dataclass(frozen=True)
class CropStructure:
    """Structure of the crop model; every field is a name of :data:`~.choices.CHOICES` or codes of shape (N,)."""

    rotation: Choice = "maize_soybean"
    varieties: Choice = "local"
    warmth: Choice = "rothc"
    retention: Choice = "clay"
    winter_harvest: Choice = "ripe"

    def codes(self, n: int) -> dict[str, npt.NDArray[np.int64]]:
        """The code of every choice as arrays (n,); raises :class:`InputError` for a bad name, code or shape."""
        return codes_of(CHOICES, {field.name: getattr(self, field.name) for field in fields(self)}, n)


class CropState(NamedTuple):
    """What a day hands to the next, arrays of N cells.

    ``pools`` [g m-2] (POOLS, N); ``crop`` its code (-1: none), ``season`` the year of its harvest (in the south that of
    the day half a year later), ``life`` 0 none, 1 sown, 2 growing, 3 ripe; ``stage`` of development, ``warmed`` thermal
    time since sowing [K d], ``cold`` days of cold; ``scale`` (2, N) of the thermal times of maize and soybean.
    """

    pools: npt.NDArray[np.float64]
    crop: npt.NDArray[np.int64]
    season: npt.NDArray[np.int64]
    life: npt.NDArray[np.int64]
    stage: npt.NDArray[np.float64]
    warmed: npt.NDArray[np.float64]
    cold: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    def copy(self) -> CropState:
        """An independent copy."""
        return CropState(*(part.copy() for part in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class FieldResult:
    """What :func:`grow` and :func:`simulate` give.

    daily: float64 arrays (T, N) by name: ``gpp, ra, rh, reco, nee, grain, straw, seed`` [g m-2 d-1], ``cveg, clitter,
    csoil`` [g m-2] at the end of the day, ``lai`` and ``stage`` [1]. ``grain`` and ``straw`` leave the field on the day
    of harvest. residual: closure of the carbon budget [g m-2] (T, N). state: at the end of the last day.
    ground: that of the column, where it was run.
    """

    daily: dict[str, FloatArray]
    residual: FloatArray
    state: CropState
    ground: column.ColumnState | None = None

    def __getitem__(self, name: str) -> FloatArray:
        return self.daily[name]


def grow(
    drivers: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    parameters: Mapping[str, npt.ArrayLike],
    *,
    lat: npt.ArrayLike,
    dates: pd.DatetimeIndex,
    structure: CropStructure | None = None,
    crops: npt.ArrayLike | None = None,
    spinup_years: int = 0,
    state: CropState | None = None,
) -> FieldResult:
    """Run crop and soil carbon over the days of ``drivers``.

    Parameters
    ----------
    drivers: daily (T, N) in canonical units: ``tas, tasmin, tasmax, rsds, huss, ps, co2``, soil temperature ``tsl05,
        tsl15`` and water ``swc05, swc15, swc45``; ``gpp`` [g m-2 d-1], where it is not NaN, replaces the model's own
        while a crop grows. Others are ignored.
    attributes: ``sand, clay, soc, bdod`` of shape (N,).
    parameters: numbers or arrays (N,) by name, of the crop or of the column (field capacity); others by default.
    lat: latitude (N,) [degrees north]. dates: the T days.
    structure: forms of the model, one for all or by cell.
    crops: code of the crop that is harvested in each calendar year of ``dates`` and the year after (Y + 1, N), -1 for
        none; without it that of the rotation. Spin-up goes through the rotation backwards, or through ``crops`` again.
    spinup_years: how often the first 365 days are run before the first day. state: start from here instead.

    Raises :class:`InputError` for an absent or misshapen driver or attribute, a value that is not finite (named with
    its day and cell), an unknown parameter, structure or crop, or a value outside its bounds.
    """
    if spinup_years < 0:
        raise InputError(f"spinup_years is {spinup_years}", hint="give zero or more")
    latitude = np.asarray(lat, float)
    n = latitude.size
    given = _drivers(drivers, dates, n)
    site = validated_site(attributes, n, ("sand", "clay", "soc", "bdod"))
    codes = (structure or CropStructure()).codes(n)
    values = {**TABLE.complete(_of(TABLE, parameters), n), **SOIL.complete(_of(SOIL, parameters), n)}
    _known(parameters)
    calendar = _Calendar(dates, latitude)
    first, plan = _plan(crops, codes["rotation"], calendar, spinup_years, n)
    start = state.copy() if state is not None else _first_state(site, n)
    if any(part.shape[-1:] != (n,) for part in start):
        raise InputError(f"the state has shapes {[part.shape for part in start]}", hint=f"give {n} cells of each")
    if state is None:
        start.scale[:] = _varieties(given, values, codes["varieties"], calendar)
    start.season[:] -= first
    sets, field = _sets(values, start.scale), _field(site, values, codes, calendar)
    daily, residual = np.empty((len(OUTPUTS), len(dates), n)), np.empty((len(dates), n))
    for offset in range(0, n, BLOCK):
        cut = slice(offset, min(offset + BLOCK, n))
        _run(cut, given, calendar, calendar.year - first, plan, sets, field, start, spinup_years, daily, residual)
    start.season[:] += first
    return FieldResult(dict(zip(OUTPUTS, daily, strict=True)), residual, start)


def simulate(
    forcing: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    parameters: Mapping[str, npt.ArrayLike],
    *,
    lat: npt.ArrayLike,
    dates: pd.DatetimeIndex,
    structure: CropStructure | None = None,
    crops: npt.ArrayLike | None = None,
    spinup_years: int = 0,
    passes: int = 2,
) -> FieldResult:
    """:func:`grow` on the soil temperature and water of the column under the same ``forcing``.

    ``forcing`` also holds ``pr, rlds`` and ``lai`` (the first pass's; without it 1). In each further of the ``passes``
    the column has the leaf area of the crop before it, so that a field dries as its own crop drinks. ``daily`` has
    ``tsl05, tsl15, swc05, swc15, swc45`` and ``evspsbl`` too, in canonical units. Arguments and errors otherwise as
    :func:`grow`; a run with a given state is :func:`grow`'s.
    """
    leaves = forcing.get("lai", np.ones((len(dates), np.size(lat))))
    for _ in range(max(passes, 1)):
        ground = column.simulate_soil(
            {**forcing, "lai": leaves}, attributes, _of(SOIL, parameters), lat=lat, dates=dates,
            spinup_years=spinup_years,
        )  # fmt: skip
        found = grow(
            {**forcing, **ground.daily}, attributes, parameters, lat=lat, dates=dates, structure=structure, crops=crops,
            spinup_years=spinup_years,
        )  # fmt: skip
        leaves = found["lai"]
    soils = {name: ground[name] for name in ("tsl05", "tsl15", "swc05", "swc15", "swc45", "evspsbl")}
    return FieldResult({**found.daily, **soils}, found.residual, found.state, ground.state)


def _of(table: ParameterTable, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in given.items() if name in table.names}


def _known(given: Mapping[str, Any]) -> None:
    """Let the table of the crop refuse what no table has."""
    unknown = {name: values for name, values in given.items() if name not in TABLE.names and name not in SOIL.names}
    TABLE.complete(unknown, 1)


class _Calendar:
    """Days of the sun and of the fields: ``managed`` and ``year`` (2, T) are those of north and south."""

    def __init__(self, dates: pd.DatetimeIndex, lat: npt.NDArray[np.float64]) -> None:
        ahead = dates + pd.Timedelta(days=HALF_YEAR)
        self.day_of_year = dates.day_of_year.to_numpy(np.int64)
        self.managed = np.stack([self.day_of_year, ahead.day_of_year.to_numpy(np.int64)])
        self.year = np.stack([dates.year.to_numpy(np.int64), ahead.year.to_numpy(np.int64)])
        self.calendar_years = np.unique(dates.year)
        self.southern = (lat < 0).astype(np.int64)
        every = pd.date_range("2000-01-01", "2000-12-31")
        self.sky = np.ascontiguousarray(
            np.stack([extraterrestrial_radiation(lat, every), 24.0 * daylight_fraction(every, lat)], axis=1)
        )


def _drivers(given: Mapping[str, npt.ArrayLike], dates: pd.DatetimeIndex, n: int) -> Any:
    """The drivers the kernel reads, float32, checked; ``gpp`` may be absent or have gaps."""
    shape = (len(dates), n)
    found = {name: checked(given, name, shape, dates) for name in DRIVERS if name != "gpp"}
    gpp = np.asarray(given.get("gpp", np.full(shape, np.nan)), np.float32)
    checked({"gpp": np.where(np.isnan(gpp), 0, gpp)}, "gpp", shape, dates)
    if (gpp < 0).any():
        day, cell = np.argwhere(gpp < 0)[0]
        raise InputError(
            f"driver 'gpp' is {gpp[day, cell]:g} on {dates[day]:%Y-%m-%d} in cell {cell}",
            where="drivers",
            hint="uptake is positive; set what is below zero to zero or to NaN (the model's own)",
        )
    return {**{name: np.ascontiguousarray(array) for name, array in found.items()}, "gpp": np.ascontiguousarray(gpp)}


def _plan(
    crops: npt.ArrayLike | None, rotation: npt.NDArray[np.int64], calendar: _Calendar, spinup: int, n: int
) -> tuple[int, npt.NDArray[np.int64]]:
    """First year of the plan and the code of the crop harvested in each year (Y, N)."""
    years = calendar.calendar_years
    first, last = int(years[0]) - spinup - 1, int(years[-1]) + 2
    if crops is None:
        return first, np.ascontiguousarray(crop_plan(rotation, np.arange(first, last + 1)))
    plan = np.asarray(crops)
    if plan.shape != (len(years) + 1, n) or not np.issubdtype(plan.dtype, np.integer):
        raise InputError(
            f"'crops' has shape {plan.shape} and type {plan.dtype}",
            where="crops",
            hint=f"give integer codes of shape {(len(years) + 1, n)}: the years of the dates and the year after",
        )
    if plan.min() < FALLOW or plan.max() >= len(CROPS):
        raise InputError(
            f"'crops' has codes {plan.min()}..{plan.max()}",
            where="crops",
            hint=f"-1 for none, then {', '.join(f'{k} {crop.name}' for k, crop in enumerate(CROPS))}",
        )
    position = np.arange(first, last + 1) - int(years[0])
    again = np.where(position < 0, position % len(years), np.minimum(position, len(years)))
    return first, np.ascontiguousarray(plan[again].astype(np.int64))


def _first_state(site: Mapping[str, Any], n: int) -> CropState:
    """Bare ground over the pools that belong to the soil's carbon."""
    pools = np.zeros((len(POOLS), n))
    carbon = soil_carbon.first_pools(soil_carbon.stock(site["soc"], site["bdod"]), site["clay"])
    for name, pool in carbon.items():
        pools[POOLS.index(name)] = pool
    none, never = np.full(n, FALLOW, np.int64), np.full(n, np.iinfo(np.int32).min, np.int64)
    stage, warmed, cold = np.zeros((3, n))
    return CropState(pools, none, never, np.zeros(n, np.int64), stage, warmed, cold, np.ones((2, n)))


def _varieties(given: Any, values: Any, code: npt.NDArray[np.int64], calendar: _Calendar) -> FloatArray:
    """Factor of the thermal times of maize and soybean (2, N) that lets them ripen in the place's own seasons."""
    n = code.size
    scale = np.ones((2, n))
    labels = np.unique(calendar.year)
    for k, crop in enumerate(CROPS[:2]):
        base, sowing = values[f"{crop.name}_base_temperature"], values[f"{crop.name}_sowing_day"]
        total, seasons = np.zeros(n), np.zeros(n)
        for side in (0, 1):
            here = np.flatnonzero(calendar.southern == side)
            for label in labels if here.size else ():
                rows = np.flatnonzero((calendar.year[side] == label) & (calendar.managed[side] <= RIPE_BY))
                if rows.size < RIPE_BY - 1:
                    continue
                celsius = given["tas"][np.ix_(rows, here)] - 273.15
                warm = canopy.thermal_time(celsius, base[here])
                total[here] += (warm * (calendar.managed[side][rows, None] >= sowing[here])).sum(axis=0)
                seasons[here] += 1
        needed = sum(values[f"{crop.name}_{part}_sum"] for part in ("emergence", "anthesis", "maturity"))
        mean = np.where(seasons > 0, total / np.maximum(seasons, 1), needed / RIPE_SHARE)
        rest = needed - values[f"{crop.name}_emergence_sum"]
        local = (RIPE_SHARE * mean - values[f"{crop.name}_emergence_sum"]) / rest
        scale[k] = np.where(code == 0, np.clip(local, *RIPE_SCALE), 1.0)
    return scale


def _sets(values: Mapping[str, Any], scale: FloatArray) -> FloatArray:
    """Parameters of each crop (crop, PLANT, N)."""
    n = scale.shape[1]
    sets = np.empty((len(CROPS), len(PLANT), n))
    for k, crop in enumerate(CROPS):
        organs = ("leaf", "stem", "root", "grain")
        made = {name: values[f"{crop.name}_{name}"] for name in PLANT if f"{crop.name}_{name}" in values}
        made |= {
            edge: celsius + values["temperature_shift"]
            for edge, celsius in zip(("start", "full", "hot", "end"), crop.warmth, strict=True)
        }
        made |= {f"m_{o}": v * values["maintenance_factor"] for o, v in zip(organs, crop.maintenance, strict=True)}
        made |= {f"y_{o}": v + values["efficiency_shift"] for o, v in zip(organs, crop.efficiency, strict=True)}
        made["remobilised"] = crop.remobilised * values["remobilisation_factor"]
        made["co2_slope"] = values["co2_response"] * crop.c3
        made["winter"] = np.full(n, float(crop.winter))
        if k < len(scale):
            made["anthesis_sum"], made["maturity_sum"] = (
                made[f"{part}_sum"] * scale[k] for part in ("anthesis", "maturity")
            )
        for row, name in enumerate(PLANT):
            sets[k, row] = made[name]
    return sets


def _field(site: Any, values: Any, codes: Mapping[str, Any], calendar: _Calendar) -> Any:
    """What is fixed for each cell."""
    properties = column.soil_of(site, values)
    made: dict[str, Any] = {name: values[name] for name in FIELD if name in values}
    made["easy"] = values["residue_ratio"] / (1.0 + values["residue_ratio"])
    made["q10_log"] = np.log(values["soil_q10"])
    made["respired"] = np.where(codes["retention"] == 0, soil_carbon.respired(site["clay"]), 1.0 - values["carbon_use"])
    made |= {name: getattr(properties, name) for name in ("theta_wp", "theta_fc", "phi")}
    made |= {"warmth": codes["warmth"], "southern": calendar.southern, "waits": codes["winter_harvest"]}
    return Field(*(np.ascontiguousarray(made[name]) for name in (*FIELD, *CODES)))


def _run(
    cut: slice, given: Any, calendar: _Calendar, year: Any, plan: Any, sets: Any, field: Any, state: CropState,
    spinup: int, daily: Any, residual: Any,
) -> None:  # fmt: skip
    """Spin up and run one block of cells; writes ``daily``, ``residual`` and ``state``."""
    n, steps = cut.stop - cut.start, len(calendar.day_of_year)
    block = np.zeros((len(PLANT), n))
    plant: Any = Plant(*block, block)  # type: ignore[call-arg]
    pools = Pools(*np.array(state.pools[:, cut], order="C"))
    stand = Stand(
        *(np.array(part[cut]) for part in (state.crop, state.season, state.life, state.stage, state.warmed, state.cold))
    )
    work = Work(*np.zeros((len(WORK), n)))
    static = (
        Drivers(**given), calendar.day_of_year, calendar.managed, year, np.ascontiguousarray(calendar.sky[..., cut]),
        np.ascontiguousarray(plan[:, cut]), np.ascontiguousarray(sets[..., cut]), tables(), plant,
        Field(*(np.ascontiguousarray(part[cut]) for part in field)), pools, stand, work, daily, residual,
    )  # fmt: skip
    for left in range(spinup, 0, -1):
        run_block(cut.start, n, min(steps, 365), -left, *static, False)
    run_block(cut.start, n, steps, 0, *static, True)
    state.pools[:, cut] = np.stack(pools)
    for whole, part in zip(state[1:7], stand, strict=True):
        whole[cut] = part
