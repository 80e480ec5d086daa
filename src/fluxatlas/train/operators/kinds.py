"""The kinds of observation operators, named in :data:`fluxatlas.systems.Support`: one function makes each.

Arrays have one entry per observation (n,). ``cell`` numbers the columns of the outputs; -1 stands for a place that the
outputs do not hold. ``spans`` are days of the outputs' axis. Values and outputs have the unit of the variable, sums of
days that unit times d.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ...errors import InputError
from ...systems import Support
from .linear import Entries, Operator
from .spans import FloatArray, IntArray, Points, Spans, aligned, ragged

Reduce = Literal["mean", "sum"]


def day(variable: str, time: npt.ArrayLike, cell: npt.ArrayLike) -> Operator:
    """One cell on one day, by its number ``time`` on the axis (-1: not on it)."""
    return _points("day", variable, time, cell)


def interval(variable: str, spans: Spans, cell: npt.ArrayLike) -> Operator:
    """The mean of one cell over the days of ``spans``, such as a month or the years of a mean of the literature."""
    return _reduced("interval", variable, spans, np.asarray(cell, np.int64), "mean")


def year_sum(variable: str, dates: pd.DatetimeIndex, year: npt.ArrayLike, cell: npt.ArrayLike) -> Operator:
    """The sum of one cell over a calendar year, such as a yield; ``dates`` are those of the outputs."""
    return _reduced("year_sum", variable, Spans.years(dates, year), np.asarray(cell, np.int64), "sum")


def area_mean(variable: str, spans: Spans, area: npt.ArrayLike, points: Points, reduce: Reduce = "mean") -> Operator:
    """The mean over the points of an ``area`` (n,), weighted by theirs, of the mean or sum over ``spans``.

    A county's yield is the sum over the year (``Spans.years``) at points weighted by the area of the crop.
    """
    return _regional("area_mean", variable, spans, np.asarray(area, np.int64), points, reduce, "mean", 1.0)


def region_month(
    variable: str,
    dates: pd.DatetimeIndex,
    month: Any,
    region: npt.ArrayLike,
    points: Points,
    reduce: Reduce = "sum",
    factor: float = 1.0,
) -> Operator:
    """Total of a ``region`` (n,) over a calendar ``month`` (n,; one of its days): sum over points of area times the sum
    over days, times ``factor`` (of the unit); or, to ``reduce`` to the mean, the mean over area and days.

    With ``points.draw`` it is an estimate from a few of them; see :class:`ObservationSet` for two draws.
    """
    spans = Spans.months(dates, month)
    return _regional("region_month", variable, spans, np.asarray(region, np.int64), points, reduce, reduce, factor)


def anomaly(
    variable: str,
    time: npt.ArrayLike,
    cell: npt.ArrayLike,
    dates: pd.DatetimeIndex | None = None,
    rank: bool = False,
) -> Operator:
    """Departure of one cell on one day from the mean of its observed days, of both sides alike; or its ``rank``.

    With the ``dates`` of the outputs the mean is that of the calendar month over all years: the season goes too. Ranks
    (0 to 1, smooth: see ``linear.SOFTNESS``) compare products whose range is not that of the outputs.
    """
    found = _points("anomaly", variable, time, cell)
    number, cells = np.asarray(time, np.int64), np.asarray(cell, np.int64)
    group = np.clip(cells, 0, None) * 12
    if dates is not None:
        group = group + np.where(number >= 0, dates.month.to_numpy()[number] - 1, 0)
    group = np.unique(group, return_inverse=True)[1]
    return _with(found, group=torch.as_tensor(group), relative="rank" if rank else "departure")


def chamber(
    variable: str, time: npt.ArrayLike, cell: npt.ArrayLike, chambers: npt.ArrayLike, prior_sd: float
) -> Operator:
    """One chamber on one day: its site plus an effect of the chamber, the entry ``chambers`` (n,) of a tensor that is
    given when the operator is applied; ``prior_sd`` is the standard deviation between chambers of a site.

    A site's own series is thereby free of which chamber ran on which day. Raises :class:`InputError` for a
    ``prior_sd`` that is not positive: level and effects could not be distinguished.
    """
    if not prior_sd > 0 or not np.isfinite(prior_sd):
        raise InputError(f"the standard deviation between chambers is {prior_sd:g}", hint="give a positive number")
    numbers = np.asarray(chambers, np.int64)
    found = _points("chamber", variable, time, cell)
    aligned(time=np.asarray(time), chambers=numbers)
    if numbers.min(initial=0) < 0:
        raise InputError(f"there is no chamber {numbers.min()}", hint="number chambers from 0")
    return _with(found, chamber=torch.as_tensor(numbers), prior_sd=float(prior_sd))


def _with(operator: Operator, **changes: Any) -> Operator:
    return Operator(**{**operator.__dict__, **changes})


def _points(kind: Support, variable: str, time: npt.ArrayLike, cell: npt.ArrayLike) -> Operator:
    """Single days of single cells."""
    times, cells = np.asarray(time, np.int64), np.asarray(cell, np.int64)
    aligned(time=times, cell=cells)
    covered = (times >= 0) & (cells >= 0)
    row = np.flatnonzero(covered)
    entries = Entries.of(times, cells) if covered.all() else Entries.of(times[row], cells[row], row, np.ones(row.size))
    return Operator(kind, times.size, {variable: entries}, _covered(covered))


def _reduced(kind: Support, variable: str, spans: Spans, cell: IntArray, reduce: Reduce) -> Operator:
    """Means or sums of single cells over spans of days."""
    aligned(first=spans.first, cell=cell)
    covered = (cell >= 0) & (spans.length > 0)
    row = np.flatnonzero(covered)
    entries = _expand(spans, row, cell[row], np.ones(row.size), reduce)
    return Operator(kind, cell.size, {variable: entries}, _covered(covered))


def _regional(
    kind: Support,
    variable: str,
    spans: Spans,
    region: IntArray,
    points: Points,
    days: Reduce,
    area: Reduce,
    factor: float,
) -> Operator:
    """Means or sums over spans of days, of means or sums over the points of regions."""
    aligned(first=spans.first, region=region)
    known = np.where((region >= 0) & (region < points.total.size) & (spans.length > 0), region, -1)
    row, point = points.of_regions(known)
    weight = points.area[point] * factor
    if area == "mean":
        weight = weight / points.total[points.region[point]]
    covered = np.bincount(row, minlength=region.size) > 0
    return Operator(
        kind, region.size, {variable: _expand(spans, row, points.cell[point], weight, days)}, _covered(covered)
    )


def _expand(spans: Spans, row: IntArray, cell: IntArray, weight: FloatArray, reduce: Reduce) -> Entries:
    """Entries of every day of the span of observation ``row``, all (entry,)."""
    length = spans.length[row]
    number, place = ragged(length)
    share = weight / length if reduce == "mean" else weight
    return Entries.of(spans.first[row][number] + place, cell[number], row[number], share[number])


def _covered(covered: npt.NDArray[np.bool_]) -> torch.Tensor | None:
    return None if covered.all() else torch.as_tensor(covered)
