"""Judging times: step, gaps, repeated and unordered times, and days that are shifted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..calendars import RULES, label
from ..errors import counted
from .report import Gap, Report, TimeSummary

Times = npt.NDArray[np.datetime64]
MOST_GAPS = 20
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def judge(
    report: Report, times: npt.ArrayLike, *, zone: str = "", calendar: str = "standard", centred: bool = False
) -> None:
    """Fill ``report.time`` from ``times`` (datetime64, any order, NaT allowed) and add what is suspicious.

    They are codes of :mod:`fluxatlas.calendars` in another ``calendar``; ``centred``: values may be stamped in the
    middle of their steps.
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
    summary.calendar = calendar

    def text(moment: np.datetime64) -> str:
        return shown(moment, calendar)

    ordered = np.unique(stamps)
    summary.start, summary.end, summary.n = text(ordered[0]), text(ordered[-1]), int(stamps.size)
    summary.zone = summary.zone or zone
    if ordered.size < stamps.size:
        first = ordered[np.unique(stamps, return_counts=True)[1] > 1][0]
        n = stamps.size - ordered.size
        report.warn(
            "time-duplicated", f"{counted(n, 'time occurs', 'times occur')} more than once, the first at {text(first)}"
        )
    if (np.diff(stamps.astype(np.int64)) < 0).any():
        at = int(np.flatnonzero(np.diff(stamps.astype(np.int64)) < 0)[0])
        report.warn("time-unordered", f"times are not in order: {text(stamps[at + 1])} follows {text(stamps[at])}")
    if ordered.size > 1:
        _step(report, summary, ordered)
        _hour(report, summary, ordered, centred)
    if not "1700" <= summary.start <= "2111" or not "1700" <= summary.end < "2111":
        said = f"times run from {summary.start} to {summary.end}: check the time unit"
        report.warn("time-implausible", said)


def _step(report: Report, summary: TimeSummary, ordered: Times) -> None:
    """Step and gaps of ordered times without repetition."""
    months = _months(ordered, summary.calendar)
    if months.size:
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
    text = [shown(moment, summary.calendar) for moment in ordered[[*wide, *(wide + 1), *(short[:1] + 1)]]]
    summary.gaps = [Gap(text[i], text[wide.size + i], int(steps[i])) for i in sorted(order)]
    if wide.size:
        longest = summary.gaps[int(np.argmax([gap.steps for gap in summary.gaps]))]
        lost = counted(summary.missing_steps, "missing step")
        report.warn(
            "time-gap",
            f"{counted(wide.size, 'gap')} with {lost}; the longest has {longest.steps:,}: "
            f"{longest.after} to {longest.before}",
        )
    if short.size and summary.step not in ("1 month", "1 year"):
        said = f"{short.size:,} steps are shorter than {summary.step}, the first at {text[-1]}"
        report.warn("time-irregular", said)


def _months(ordered: Times, calendar: str) -> npt.NDArray[np.int64]:
    """Numbers of the months that times lie in, if all lie in different ones, most of them on one day; else nothing."""
    if np.median(np.diff(ordered).astype(np.int64)) < 27 * 86400:
        return np.array([], np.int64)
    if calendar in RULES:
        parts = np.array([label(moment, calendar)[:10].split("-") for moment in ordered], np.int64)
        months, days = parts[:, 0] * 12 + parts[:, 1], parts[:, 2]
    else:
        months = ordered.astype("datetime64[M]").astype(np.int64)
        days = (ordered.astype("datetime64[D]") - ordered.astype("datetime64[M]")).astype(np.int64)
    steps = np.diff(months)
    fits = (steps > 0).all() and steps.max(initial=0) < 6000 and np.ptp(days) <= 3
    return months if fits else months[:0]


def _hour(report: Report, summary: TimeSummary, ordered: Times, centred: bool) -> None:
    """Daily values that are not stamped at 00:00: another day's definition, or one instant of the day."""
    hour = int(np.median(ordered.astype(np.int64) % 86400))
    if summary.step != "1 d" or not hour or (centred and hour == 43200):
        return
    clock = f"{hour // 3600:02d}:{hour % 3600 // 60:02d}"
    said = f"daily values are stamped {clock}: a shifted day, or one instant instead of a daily mean"
    report.warn("time-shifted-day", said)


def duration(seconds: int) -> str:
    """``1 d``, ``30 min``, ``3 h``."""
    for size, name in _UNITS:
        if seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def shown(moment: np.datetime64, calendar: str = "standard") -> str:
    """A time as its calendar writes it, without what is zero in it."""
    return label(moment, calendar).removesuffix(" 00:00")
