"""Dates of leaf-area composites: where they stand in names, what window they open, how it lies across months."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from ..errors import InputError

DAY = timedelta(days=1)
PATTERNS = (
    (r"doy(\d{4})(\d{3})(?:\d{6})?(?!\d)", "j"),
    (r"(?<![A-Za-z0-9])A(\d{4})(\d{3})(?!\d)", "j"),
    (r"(?<!\d)(\d{4})[-_.](\d{2})[-_.](\d{2})(?!\d)", "md"),
    (r"(?<!\d)((?:19|20)\d{2})(\d{2})(\d{2})(?:T?\d{4}|T?\d{6})?(?!\d)", "md"),
    (r"(?<!\d)((?:19|20)\d{2})[-_.]?(\d{3})(?!\d)", "j"),
    (r"(?<!\d)((?:19|20)\d{2})[-_.]?(\d{2})(?!\d)", "m"),
)
"""Ways to write a date in a name, the most telling first (AppEEARS, granules, ISO, digits, year and day, month)."""
CODES = {"%Y": r"(?P<Y>\d{4})", "%j": r"(?P<j>\d{3})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})"}


def date_in(name: str, date_format: str, window: str) -> date | None:
    """The date in ``name``, by ``date_format`` or the first of :data:`PATTERNS` that occurs; None where there is none.

    A month alone counts only where composites are monthly. Raises :class:`InputError` for a date that does not exist
    and where a name holds several.
    """
    if date_format:
        pattern = "".join(CODES.get(part, re.escape(part)) for part in re.split(r"(%[Yjmd])", date_format))
        try:
            found = {_date({"d": "01", **match.groupdict()}, name) for match in re.finditer(pattern, name)}
        except re.error:
            hint = "use each of %Y, %j, %m, %d once"
            raise InputError(f"'{date_format}' is not a date format", where="date_format", hint=hint) from None
        return _single(found, name)
    for pattern, kind in PATTERNS:
        if kind == "m" and window != "month":
            continue
        parts = [match.groups() for match in re.finditer(pattern, name)]
        found = {_date({"d": "01", **dict(zip(("Y", *kind), groups, strict=False))}, name) for groups in parts}
        if found:
            return _single(found, name)
    return None


def _single(found: set[date], name: str) -> date | None:
    if len(found) > 1:
        hint = "say where the date stands with 'date_format', such as 'LAI_%Y%j'"
        raise InputError(f"the name holds several dates: {', '.join(map(str, sorted(found)))}", where=name, hint=hint)
    return next(iter(found), None)


def _date(parts: dict[str, str], name: str) -> date:
    text, code = (parts["Y"] + parts["j"], "%Y%j") if "j" in parts else (parts["Y"] + parts["m"] + parts["d"], "%Y%m%d")
    try:
        found = datetime.strptime(text, code).date()
    except ValueError:
        found = None
    if found is None or found.year != int(parts["Y"]):  # day 366 of a common year
        hint = "rename the file, or say where the date stands with 'date_format'"
        raise InputError(f"'{text}' in the name is not a date", where=name, hint=hint)
    return found


def window_of(day: date, window: str, where: str) -> tuple[date, date]:
    """First day of the composite of ``day`` and the day after its last.

    Windows of n days start on 1 January, every n days; the last of a year ends with it. Raises :class:`InputError` for
    a ``day`` that opens none of them. Other windows are those that hold ``day``.
    """
    month = day.replace(day=1)
    following = month + timedelta(days=monthrange(day.year, day.month)[1])
    if window.endswith("_days"):
        length, number = int(window.removesuffix("_days")), day.timetuple().tm_yday - 1
        if number % length:
            hint = "check the date, 'product' and 'window' of static.lai_series"
            what = f"{day} (day {number + 1} of the year) opens no composite of {length} days"
            raise InputError(what, where=where, hint=hint)
        return day, min(day + length * DAY, date(day.year + 1, 1, 1))
    if window == "month":
        return month, following
    starts = [month.replace(day=d) for d in ((1, 16) if window == "half_month" else (1, 11, 21))] + [following]
    opened = max(i for i, start in enumerate(starts) if start <= day)
    return starts[opened], starts[opened + 1]


def half_months(days: Iterable[date]) -> dict[date, date]:
    """GIMMS file dates to the first day of their half-month: ``YYYYMM01`` and ``YYYYMM02`` number the halves.

    Days other than 1 and 2 are days of the month.
    """
    return {day: day.replace(day=16) if day.day == 2 else day for day in days}


def days_by_month(start: date, end: date) -> dict[int, int]:
    """Days of a window (``end`` is the day after) in each month it touches, months 1-12."""
    out: dict[int, int] = {}
    for i in range((end - start).days):
        month = (start + i * DAY).month
        out[month] = out.get(month, 0) + 1
    return out


def expected(first: date, last: date, window: str) -> list[date]:
    """Starts of all windows from the one of ``first`` to the one of ``last``."""
    out, day = [], first
    while day <= last:
        start, end = window_of(day, window, "")
        out.append(start)
        day = end
    return out


def check_dates(held: set[date], years: tuple[int, int] | None, window: str, minimum: float, where: str) -> str:
    """``held`` of the composites there should be, in words; raises :class:`InputError` for less than ``minimum`` %.

    They should be all of ``years``, or without them all from the first to the last.
    """
    first, last = (date(years[0], 1, 1), date(years[1], 12, 31)) if years else (min(held), max(held))
    wanted = expected(first, last, window)
    lacking = [day for day in wanted if day not in held]
    text = f"{len(wanted) - len(lacking)} of {len(wanted)} composites of {first} to {last}"
    if 100 * (len(wanted) - len(lacking)) < minimum * len(wanted):
        shown = ", ".join(map(str, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
        hint = "get the missing dates, choose other 'years', or lower 'minimum_dates' knowingly"
        raise InputError(f"only {text} are there; missing: {shown}", where=where, hint=hint)
    return text
