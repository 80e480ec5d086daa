"""A source of monthly values: canonical variables are made month by month and then converted to days."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables as table
from .archive import Times
from .coordinates import FloatArray, GridWindow, IntArray
from .disaggregation import REACH, interpolate, split_rain
from .mapping import MappedSource
from .quantities import is_amount, scaled

Values = npt.NDArray[np.float32]
PER_MONTH = re.compile(r"\s*(/|per)\s*(month|mon|mo)$|[\s.]+(month|mon|mo)\W{0,3}-1\)?$", re.IGNORECASE)
RAIN = ("pr",)
"""Variables that come in events and are not interpolated."""


class MonthlySource(MappedSource):
    """A :class:`MappedSource` of calendar months; a rule is applied to the months, then the result becomes daily.

    Two neighbouring months on each side shape the days of a month; beyond the files the last one is repeated. The rain
    of a month falls as on the days of ``rain_pattern`` in the nearest of its cells, where it has rain in that month.
    """

    _reach = np.timedelta64(31 * (REACH + 1), "D")

    def __init__(self, *arguments: Any, rain_pattern: MappedSource | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rain_pattern = rain_pattern

    @property
    def attrs(self) -> dict[str, str]:
        """As of :class:`MappedSource`, and how the days were made."""
        smooth = "mean-preserving interpolation of monthly means (Rymes and Myers 2001)"
        rain = "precipitation in equal amounts on every third day of a month"
        if self.rain_pattern is not None:
            rain = f"precipitation on the days of {self.rain_pattern.mapping.title}, or else {rain[14:]}"
        return {**super().attrs, "disaggregation": f"{smooth}; {rain}"}

    @property
    def described(self) -> str:
        """As of :class:`MappedSource`, with the mapping of ``rain_pattern``."""
        return super().described + (self.rain_pattern.described if self.rain_pattern is not None else "")

    def _check_times(self, raw: str, start: np.datetime64, stop: np.datetime64, window: GridWindow) -> None:
        self.archive.locate(self.mapping.fields[raw], _months(start, stop))

    def _limit(self, day: np.datetime64) -> np.datetime64:
        return (day.astype("datetime64[M]") + 1).astype("datetime64[D]")

    def _values(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, names: Sequence[str]
    ) -> Iterator[tuple[str, Values]]:
        month = start.astype("datetime64[M]")
        around = _months(month - REACH, month + REACH + 1)
        days = slice(*((d - month.astype("datetime64[D]")).astype(int) for d in (start, stop)))
        for name in names:
            fields = [self.mapping.fields[raw] for raw in self.mapping.raw_of(name)]
            there = np.logical_and.reduce([self.archive.available(f, around) for f in fields]) if fields else None
            known = around if there is None else _connected(around, there)
            lengths = tuple(int(n) for n in pd.DatetimeIndex(known).days_in_month)
            means = self._monthly(name, known, window)
            at = int(np.flatnonzero(known == month.astype("datetime64[s]"))[0])
            if name in RAIN:
                made = split_rain(means[at], lengths[at], self._pattern(month, window))
            else:
                made = interpolate(means, lengths, at, *table.get(name).valid)
            yield name, made[days].astype(np.float32)

    def _pattern(self, month: np.datetime64, window: GridWindow) -> Values | None:
        """Precipitation (day, lat, lon) of the finer source in ``month``; NaN where none of its cells is near."""
        if self.rain_pattern is None:
            return None
        height, width = window.cell
        box = (
            float(window.lon.min()) - 0.5 * width,
            max(float(window.lat.min()) - 0.5 * height, -90.0),
            float(window.lon.max()) + 0.5 * width,
            min(float(window.lat.max()) + 0.5 * height, 90.0),
        )
        first, last = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
        found = self.rain_pattern.days(first, last, box, ["pr"])
        rows, far_rows = _nearest(found["lat"].values, window.lat, self.rain_pattern.grid.cell[0])
        columns, far_columns = _nearest(found["lon"].values, window.lon, self.rain_pattern.grid.cell[1])
        pattern = found["pr"].values[:, rows[:, None], columns[None, :]]
        return np.where(far_rows[:, None] | far_columns[None, :], np.float32(np.nan), pattern)

    def _monthly(self, name: str, months: Times, window: GridWindow) -> Values:
        """Monthly means (month, lat, lon) of canonical ``name`` in canonical units."""
        made = self.mapping.variables[name]
        where = self._where(name, months[0], months[-1])
        raws = {raw: self.archive.read(self.mapping.fields[raw], months, window) for raw in self.mapping.raw_of(name)}
        if made.rule is not None:
            middle = pd.DatetimeIndex(months) + pd.Timedelta(days=14)
            return np.broadcast_to(self._by_rule(name, raws, middle, window, where), (months.size, *window.shape))
        (raw,) = made.sources
        values, units = raws[raw], self._unit(raw)[0]
        units = PER_MONTH.sub("", units)  # of the month at hand, not of a mean one
        if is_amount(units, name):
            values = values / pd.DatetimeIndex(months).days_in_month.to_numpy(np.float32)[:, None, None]
            units = f"{units} d-1"
        return scaled(values, units, name, where)


def _nearest(held: FloatArray, wanted: FloatArray, size: float) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Positions in ``held`` nearest to ``wanted``, and which of these are farther away than half a ``size``."""
    place = np.abs(held[None, :] - wanted[:, None]).argmin(axis=1)
    return place, np.abs(held[place] - wanted) > 0.5 * size + 1e-6


def _months(start: np.datetime64, stop: np.datetime64) -> Times:
    """First moments of the months that hold the days ``start`` <= day < ``stop``."""
    last = (stop.astype("datetime64[s]") - 1).astype("datetime64[M]")
    return np.arange(start.astype("datetime64[M]"), last + 1).astype("datetime64[s]")


def _connected(around: Times, there: npt.NDArray[np.bool_]) -> Times:
    """The unbroken run of months that are ``there`` around the middle one."""
    first = last = around.size // 2
    while first > 0 and there[first - 1]:
        first -= 1
    while last + 1 < around.size and there[last + 1]:
        last += 1
    return around[first : last + 1]
