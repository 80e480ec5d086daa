"""Means of fluxes over periods, such as months, at sites: read beside days, and what predictions of days say of them.

Sums over calendar years, such as yields, are read as means too; where the system observes them as ``year_sum``, they
are compared as sums in units of their errors. At one site a flux is known by days or by periods, never by both at once:
a period in which a day was observed is left out, and of two that overlap the second. A period counts as many times as
it has days ([decision 12](docs/decisions/0012-a-period-weighs-its-days.md)).
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import counted
from ..files import read_made
from ..systems import System
from .data import FloatArray, SequenceSet
from .operators import ObservationSet, Spans, interval, year_sum
from .sequence_length import refuse_length

COLUMNS = ("site", "start", "end", "variable", "value", "sd")
YEARLY = "year_sum"
SUNLIT = ("gpp",)
"""Fluxes that are in proportion to sunlight; respiration and net exchange are not."""
Mask = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Means:
    """The periods of one variable of a set that count (n,): site number, first day, day after the last, value, sd."""

    variable: str
    site: IntArray
    first: IntArray
    stop: IntArray
    value: FloatArray
    sd: FloatArray

    @property
    def days(self) -> IntArray:
        """Length of each [d]."""
        return self.stop - self.first

    def of(self, values: FloatArray) -> FloatArray:
        """Means (n, ...) of ``values`` (time, site, ...) over the periods; NaN where a day is."""
        spans = zip(self.site, self.first, self.stop, strict=True)
        found = [values[begin:end, site].mean(axis=0, dtype=np.float64) for site, begin, end in spans]
        return np.array(found, float).reshape(len(self.site), *values.shape[2:])

    def share(self, mask: Mask) -> FloatArray:
        """Share (n,) of the days of each on which ``mask`` (time, site) holds."""
        return self.of(mask.astype(float))

    def onto(self, values: FloatArray, series: FloatArray) -> FloatArray:
        """``series`` (time, site) with ``values`` (n,) on all days of each period."""
        found = np.array(series)
        for site, begin, end, value in zip(self.site, self.first, self.stop, values, strict=True):
            found[begin:end, site] = value
        return found


def means(data: SequenceSet) -> Iterator[Means]:
    """The periods of each variable of ``data``; of sums over years their means."""
    for one in data.periods:
        if one.operator.kind in ("interval", YEARLY):
            rows = one.rows.numpy()
            site, first, stop = (part[rows] for part in one.extent)
            share = 1.0 / (stop - first) if one.operator.kind == YEARLY else np.ones(len(rows))
            value, sd = (np.asarray(part.numpy()[rows] * share, np.float32) for part in (one.raw, one.sd))
            yield Means(one.operator.variable, site, first, stop, value, sd)


def in_days(data: SequenceSet, variable: str) -> FloatArray:
    """Days (time, site) of ``variable`` as observed, and on those of its periods their mean: of :data:`SUNLIT` in
    proportion to sunlight (``rsds``), which keeps the mean, of others on each day."""
    if variable not in SUNLIT:
        return spread(data, variable)
    found = np.array(data.targets.get(variable, np.full((len(data.dates), len(data.sites)), np.nan, np.float32)))
    light = data.drivers["rsds"]
    for one in means(data):
        if one.variable == variable:
            usual = one.onto(one.of(light), np.full_like(found, np.nan))
            share = np.divide(light, usual, out=np.ones_like(found), where=usual > 0)
            days = one.onto(one.value, np.full_like(found, np.nan)) * share
            found = np.where(np.isfinite(days), days, found).astype(np.float32)
    return found


def spread(data: SequenceSet, variable: str) -> FloatArray:
    """Days (time, site) of ``variable`` as observed, and the means of its periods on each of their days."""
    found = data.targets.get(variable, np.full((len(data.dates), len(data.sites)), np.nan, np.float32))
    for one in means(data):
        if one.variable == variable:
            found = one.onto(one.value, found)
    return found


def read_means(path: str | Path | None, system: System) -> pd.DataFrame:
    """The periods of the fluxes of ``system`` in ``periods.parquet``, in :data:`COLUMNS`; empty without ``path``.

    Raises :class:`InputError` for an absent file or column.
    """
    if path is None:
        return pd.DataFrame(columns=list(COLUMNS))
    table = read_made(path, COLUMNS, by="`ingest sites`")
    wanted = table["variable"].isin([name for name in system.flux_names if name in system.simulated])
    rows = table.loc[wanted & np.isfinite(table["value"]), list(COLUMNS)].reset_index(drop=True)
    rows["site"] = rows["site"].astype(str)
    return rows


def with_means(data: SequenceSet, rows: pd.DataFrame, yearly: Collection[str] = ()) -> SequenceSet:
    """``data`` with the periods ``rows`` (:func:`read_means`) of its sites that lie wholly within weather.

    Calendar years of the variables ``yearly`` become sums. What is left out, and why, is said on stderr.
    """
    rows = rows[rows["site"].isin(data.sites)].reset_index(drop=True)
    if rows.empty:
        return data
    position = {site: number for number, site in enumerate(data.sites)}
    targets, sd, found = {**data.targets}, {**data.sd}, []
    reasons = dict.fromkeys(("no weather on all of its days", "days of it were observed", "it overlaps another"), 0)
    for name, part in rows.groupby("variable"):
        variable = str(name)
        nothing = np.full((len(data.dates), len(data.sites)), np.nan, np.float32)
        targets.setdefault(variable, nothing)
        sd.setdefault(variable, nothing)
        part = part.sort_values(["site", "start", "end"])
        spans = Spans.between(data.dates, part["start"], part["end"])
        cell = part["site"].map(position).to_numpy(np.int64)
        why = _refused(data, targets[variable], cell, spans)
        for number, reason in enumerate(reasons):
            reasons[reason] += int((why == number).sum())
        whole = _is_year(part) & (variable in yearly)
        for kind, yearly_sum in ((whole, True), (~whole, False)):
            keep = (why < 0) & kind
            if keep.any():
                found.append(_observed(data, variable, part, cell, spans, keep, yearly_sum))
    used = sum(one.size for one in found)
    out = "; ".join(f"left out, {reason}: {count}" for reason, count in reasons.items() if count)
    sites = len({int(site) for one in found for site in one.cluster})
    print(f"{counted(used, 'period')} at {counted(sites, 'site')}; {out}".rstrip("; "), file=sys.stderr, flush=True)
    return replace(data, targets=targets, sd=sd, periods=tuple(found))


def _is_year(rows: pd.DataFrame) -> Mask:
    """Which periods are whole calendar years."""
    start, end = (pd.DatetimeIndex(rows[name]) for name in ("start", "end"))
    return np.asarray((start.dayofyear == 1) & (end.dayofyear == 1) & (end.year == start.year + 1))


def _observed(
    data: SequenceSet, variable: str, rows: pd.DataFrame, cell: npt.NDArray[Any], spans: Spans, keep: Mask, yearly: bool
) -> ObservationSet:
    """The ``rows`` to ``keep`` as a set, of sums or of means."""
    kept, where = Spans(spans.first[keep], spans.stop[keep]), cell[keep]
    if yearly:
        operator = year_sum(variable, data.dates, pd.DatetimeIndex(rows["start"]).year.to_numpy()[keep], where)
    else:
        operator = interval(variable, kept, where)
    times = kept.length.astype(np.float32) if yearly else np.float32(1)
    value, sd = (rows[name].to_numpy(np.float32)[keep] * times for name in ("value", "sd"))
    return ObservationSet.of(operator, value, sd, weight=kept.length.astype(np.float32), cluster=where)


def _refused(data: SequenceSet, observed: FloatArray, cell: npt.NDArray[Any], spans: Spans) -> IntArray:
    """Why a period (n,) is not used: 0 no weather, 1 observed days, 2 overlap with one before; -1: it is used."""
    held = np.zeros(observed.shape, bool)
    for site, start, stop in data.segments:
        held[start:stop, site] = True
    why, taken = np.full(cell.size, -1), np.zeros(observed.shape, bool)
    for number, (site, first, stop) in enumerate(zip(cell, spans.first, spans.stop, strict=True)):
        days = slice(first, stop)
        if first == stop or not held[days, site].all():
            why[number] = 0
        elif np.isfinite(observed[days, site]).any():
            why[number] = 1
        elif taken[days, site].any():
            why[number] = 2
        else:
            taken[days, site] = True
    return why


def refuse_long(sets: Sequence[SequenceSet], sequence_days: int) -> None:
    """Raise :class:`ConfigError` where a period is as long as a training sequence, which would never hold it."""
    longest = max((int(one.days.max(initial=0)) for data in sets for one in means(data)), default=0)
    refuse_length(longest, sequence_days)


def predicted_means(data: SequenceSet, predicted: Mapping[str, FloatArray]) -> Iterator[tuple[Means, FloatArray]]:
    """The periods of each variable and what ``predicted`` (time, site) is over them (n,)."""
    for one in means(data):
        if one.variable in predicted and one.variable not in data.overrides:
            yield one, one.of(predicted[one.variable])


def mean_square(data: SequenceSet, site: int, variable: str, predicted: FloatArray) -> float:
    """Mean squared error of ``predicted`` (time,) at site number ``site``; a period counts with each of its days."""
    apart = (predicted - data.targets[variable][:, site]).astype(np.float64)
    apart = apart[np.isfinite(apart)]
    total, days = float(apart @ apart), apart.size
    for one in means(data):
        mine = (one.site == site) & (one.variable == variable)
        spans = zip(one.first[mine], one.stop[mine], strict=True)
        error = np.array([predicted[begin:end].mean(dtype=np.float64) for begin, end in spans]) - one.value[mine]
        known = np.isfinite(error)
        total += float(one.days[mine][known] @ error[known] ** 2)
        days += int(one.days[mine][known].sum())
    return total / days if days else float("nan")
