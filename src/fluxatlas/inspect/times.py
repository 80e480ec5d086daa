"""Judging times: step, gaps, repeated and unordered times, and days that are shifted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .report import Gap, Report, TimeSummary

Times = npt.NDArray[np.datetime64]
MOST_GAPS = 20
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def judge(report: Report, times: npt.ArrayLike, *, zone: str = "", instants: bool = False) -> None:
    """Fill ``report.time`` from ``times`` (datetime64, any order, NaT allowed) and add what is suspicious.

    ``instants`` says that a daily value may rightly be stamped at any hour.
    """
    stamps = np.asarray(times, "datetime64[s]").ravel()
    unknown = int(np.isnat(stamps).sum())
    if unknown:
        report.warn("time-missing", f"{unknown:,} of {stamps.size:,} rows have no readable time")
    stamps = stamps[~np.isnat(stamps)]
    if not stamps.size:
        return
    if report.time is None:
        report.time = TimeSummary()
    summary = report.time
    ordered = np.unique(stamps)
    summary.start, summary.end, summary.n = text(ordered[0]), text(ordered[-1]), int(stamps.size)
    summary.zone = summary.zone or zone
    if ordered.size < stamps.size:
        first = ordered[np.unique(stamps, return_counts=True)[1] > 1][0]
        n = stamps.size - ordered.size
        report.warn("time-duplicated", f"{n:,} times occur more than once, the first at {text(first)}")
    if (np.diff(stamps.astype(np.int64)) < 0).any():
        at = int(np.flatnonzero(np.diff(stamps.astype(np.int64)) < 0)[0])
        report.warn("time-unordered", f"times are not in order: {text(stamps[at + 1])} follows {text(stamps[at])}")
    if ordered.size > 1:
        _step(report, summary, ordered)
        _hour(report, summary, ordered, instants)
    _year(report, ordered)


def _step(report: Report, summary: TimeSummary, ordered: Times) -> None:
    """Step and gaps of ordered times without repetition."""
    if _monthly(ordered):
        months = ordered.astype("datetime64[M]").astype(np.int64)
        deltas, unit = np.diff(months), int(np.bincount(np.diff(months)).argmax())
        summary.step = "1 year" if unit == 12 else "1 month" if unit == 1 else f"{unit} months"
    else:
        deltas = np.diff(ordered).astype(np.int64)
        values, counts = np.unique(deltas, return_counts=True)
        unit = int(values[counts.argmax()])
        if counts.max() < 0.5 * deltas.size:
            summary.step = "irregular"
            return
        summary.step = duration(unit)
    composite = unit in (4 * 86400, 8 * 86400, 16 * 86400)  # composites of satellites start anew every year
    short = np.flatnonzero(deltas < unit) if not composite else np.array([], np.int64)
    wide = np.flatnonzero(deltas > 1.5 * unit)
    steps = np.round(deltas[wide] / unit).astype(np.int64) - 1
    summary.missing_steps = int(steps.sum())
    order = np.argsort(-steps, kind="stable")[:MOST_GAPS]
    summary.gaps = [Gap(text(ordered[wide[i]]), text(ordered[wide[i] + 1]), int(steps[i])) for i in sorted(order)]
    if wide.size:
        longest = summary.gaps[int(np.argmax([gap.steps for gap in summary.gaps]))]
        report.warn(
            "time-gap",
            f"{wide.size:,} gaps with {summary.missing_steps:,} missing steps; the longest has {longest.steps:,}: "
            f"{longest.after} to {longest.before}",
        )
    if short.size and summary.step not in ("1 month", "1 year"):
        first = text(ordered[short[0] + 1])
        report.warn("time-irregular", f"{short.size:,} steps are shorter than {summary.step}, the first at {first}")


def _monthly(ordered: Times) -> bool:
    """Whether all times lie in different months and most of them in consecutive months or years on one day."""
    months = ordered.astype("datetime64[M]").astype(np.int64)
    steps = np.diff(months)
    days = (ordered.astype("datetime64[D]") - ordered.astype("datetime64[M]")).astype(np.int64)
    return bool((steps > 0).all() and steps.max(initial=0) < 6000 and np.ptp(days) <= 3)


def _hour(report: Report, summary: TimeSummary, ordered: Times, instants: bool) -> None:
    """Daily values that are not stamped at 00:00: another day's definition, or one instant of the day."""
    if summary.step != "1 d" or instants:
        return
    seconds = (ordered - ordered.astype("datetime64[D]")).astype(np.int64)
    hour = int(np.median(seconds))
    if hour:
        clock = f"{hour // 3600:02d}:{hour % 3600 // 60:02d}"
        report.warn(
            "time-shifted-day",
            f"daily values are stamped {clock}: a shifted day, or one instant instead of a daily mean",
        )


def _year(report: Report, ordered: Times) -> None:
    years = ordered[[0, -1]].astype("datetime64[Y]").astype(np.int64) + 1970
    if years[0] < 1700 or years[1] > 2110:
        report.warn(
            "time-implausible", f"times run from {text(ordered[0])} to {text(ordered[-1])}: check the time unit"
        )


def duration(seconds: int) -> str:
    """``1 d``, ``30 min``, ``3 h``."""
    for size, name in _UNITS:
        if seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def text(moment: np.datetime64) -> str:
    """A time without what is zero in it."""
    shown = str(moment.astype("datetime64[m]")).replace("T", " ")
    return shown.removesuffix(" 00:00")
