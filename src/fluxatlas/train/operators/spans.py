"""Where observations lie: their days on the axis of the outputs, and the points that make up a region."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]


class Spans(NamedTuple):
    """Days ``first`` to ``stop - 1`` (n,) of the outputs' axis that each observation is about.

    A span that the axis does not hold wholly has ``first`` equal to ``stop``: it cannot be compared.
    """

    first: IntArray
    stop: IntArray

    @classmethod
    def days(cls, time: npt.ArrayLike) -> Spans:
        """Single days by their number on the axis (n,); -1 for days that are not on it."""
        number = np.asarray(time, np.int64)
        return cls(number, np.where(number >= 0, number + 1, number))

    @classmethod
    def between(cls, dates: pd.DatetimeIndex, start: Any, end: Any) -> Spans:
        """From the day ``start`` to the day before ``end`` (both (n,), dates) on the daily axis ``dates``.

        Raises :class:`InputError` where ``dates`` has gaps, or a span ends before it starts.
        """
        if len(dates) and (dates[-1] - dates[0]).days != len(dates) - 1:
            raise InputError("the days of the outputs have gaps", hint="give outputs on every day of their span")
        begin, after = (np.asarray(pd.DatetimeIndex(when).normalize(), "datetime64[D]") for when in (start, end))
        if begin.shape != after.shape:
            raise InputError(f"{begin.size} starts and {after.size} ends of periods", hint="give one of each")
        if (after <= begin).any():
            worst = np.flatnonzero(after <= begin)[0]
            raise InputError(
                f"a period starts on {begin[worst]} and ends before {after[worst]}",
                hint="'end' is the first day after the period",
            )
        origin = np.datetime64(dates[0], "D") if len(dates) else np.datetime64("1970-01-01")
        first, stop = (begin - origin).astype(np.int64), (after - origin).astype(np.int64)
        held = ~(np.isnat(begin) | np.isnat(after)) & (first >= 0) & (stop <= len(dates))
        return cls(np.where(held, first, 0), np.where(held, stop, 0))

    @classmethod
    def years(cls, dates: pd.DatetimeIndex, year: npt.ArrayLike) -> Spans:
        """Calendar years (n,) on the daily axis ``dates``."""
        whole = np.asarray(year, np.int64) - 1970
        return cls.between(dates, whole.astype("datetime64[Y]"), (whole + 1).astype("datetime64[Y]"))

    @classmethod
    def months(cls, dates: pd.DatetimeIndex, month: Any) -> Spans:
        """Calendar months, each given by one of its days (n,), on the daily axis ``dates``."""
        whole = np.asarray(pd.DatetimeIndex(month), "datetime64[M]")
        return cls.between(dates, whole, whole + 1)

    @property
    def length(self) -> IntArray:
        """Days of each span (n,); 0 where it cannot be compared."""
        return self.stop - self.first


@dataclass(frozen=True, eq=False)
class Points:
    """Points that stand for regions: ``region`` (point,) numbered from 0, ``cell`` (point,) of the outputs and ``area``
    (point,) that each stands for.

    ``total`` (region,) is the area that means are taken over: that of all points, also where a few of them are drawn.
    """

    region: IntArray
    cell: IntArray
    area: FloatArray
    total: FloatArray

    @classmethod
    def of(cls, region: npt.ArrayLike, cell: npt.ArrayLike, area: npt.ArrayLike) -> Points:
        """All points of the regions, sorted by region; points without region (-1) or area are left out.

        Raises :class:`InputError` for an area that is negative or not a number, and for arrays of unequal length.
        """
        numbers, cells, areas = np.asarray(region, np.int64), np.asarray(cell, np.int64), np.asarray(area, float)
        aligned(region=numbers, cell=cells, area=areas)
        if not (areas >= 0).all():
            raise InputError("an area is negative or not a number", hint="areas of points are in m2, or shares")
        use = np.flatnonzero((numbers >= 0) & (areas > 0))
        use = use[np.argsort(numbers[use], kind="stable")]
        numbers, cells, areas = numbers[use], cells[use], areas[use]
        return cls(numbers, cells, areas, np.bincount(numbers, areas).astype(np.float64))

    def draw(self, size: int, rng: np.random.Generator) -> Points:
        """At most ``size`` points of each region, drawn alike and without replacement, their area scaled up.

        The sum over the drawn points is an unbiased estimate of that over all. Its square is not: see
        :class:`~fluxatlas.train.operators.ObservationSet` on two draws. Raises :class:`InputError` for no points.
        """
        if size < 1:
            raise InputError(f"{size} points cannot be drawn", hint="draw at least one point of each region")
        order = np.lexsort((rng.random(self.region.size), self.region))
        count = np.bincount(self.region, minlength=self.total.size)
        place = np.arange(order.size) - (np.cumsum(count) - count)[self.region]
        chosen = np.sort(order[place < size])
        scale = count / np.clip(np.minimum(count, size), 1, None)
        region = self.region[chosen]
        return replace(self, region=region, cell=self.cell[chosen], area=self.area[chosen] * scale[region])

    def of_regions(self, wanted: IntArray) -> tuple[IntArray, IntArray]:
        """For each of ``wanted`` (n,) regions its points: (entry,) positions in ``wanted``, and in the points."""
        count = np.bincount(self.region, minlength=max(self.total.size, int(wanted.max(initial=-1)) + 1))
        begin = np.cumsum(count) - count
        number = np.where(wanted >= 0, count[wanted], 0)
        row, place = ragged(number)
        return row, begin[wanted][row] + place


def ragged(count: IntArray) -> tuple[IntArray, IntArray]:
    """For rows of ``count`` (n,) entries the row of each entry and its place within it, both (entry,)."""
    row = np.repeat(np.arange(count.size), count)
    return row, np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)


def aligned(**arrays: npt.NDArray[Any]) -> None:
    """Raise :class:`InputError` where ``arrays`` are not all one-dimensional and of one length."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        told = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
        raise InputError(f"observations need arrays of one length: {told}", hint="give one entry per observation")
