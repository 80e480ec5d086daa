"""Model calendars converted to the standard one: a stated rule for the days in which they differ, and their count.

Times of a source are kept as ``datetime64[s]`` *codes*. In the standard calendar a code is the moment itself; in a
model calendar it counts the seconds of that calendar, so that the step after the end of February is where the calendar
has it. :func:`source_times` gives the code from which a moment of the standard calendar takes its value; the offset
from the start of a step to its stamp is added to the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.datetime64]

STANDARD = ("standard", "gregorian", "proleptic_gregorian")
ALIASES = {"365_day": "noleap", "366_day": "all_leap"}
RULES = {
    "noleap": "29 February repeats 28 February",
    "all_leap": "29 February is left out in years that have none",
    "julian": "dates are kept as they are labelled; a 29 February that the standard calendar lacks is left out",
    "360_day": "day i of a year of n days takes day floor((i + 1/2) * 360 / n) of the source, days counted from 0",
}
"""What is done for each calendar that can be used beside the standard one; it goes into the provenance."""
DAY = 86400
END_OF_FEBRUARY = 59
"""Number of 29 February among the days of a year, counted from 0."""


def encode(dates: Iterable[Any], calendar: str, *, monthly: bool = False) -> Times:
    """Codes of cftime ``dates`` of a calendar in :data:`RULES`; ``monthly``: the first of their month, standard."""
    if monthly:
        return np.array([f"{date.year:04d}-{date.month:02d}-01" for date in dates], dtype="datetime64[s]")
    seconds = [
        (_before(date.year, calendar) + date.dayofyr - 1) * DAY + 3600 * date.hour + 60 * date.minute + date.second
        for date in dates
    ]
    return np.array(seconds, np.int64).astype("datetime64[s]")


def source_times(moments: Times, calendar: str) -> Times:
    """Code of the source moment for each of ``moments`` of the standard calendar; the time of day is kept."""
    if calendar not in RULES:
        return moments.astype("datetime64[s]")
    day = moments.astype("datetime64[D]")
    first = day.astype("datetime64[Y]").astype("datetime64[D]")
    year = day.astype("datetime64[Y]").astype(np.int64) + 1970
    following = (day.astype("datetime64[Y]") + 1).astype("datetime64[D]")
    number, length = (day - first).astype(np.int64), (following - first).astype(np.int64)
    if calendar == "360_day":
        number = ((2 * number + 1) * 180) // length
    else:
        leap = length == 366
        has = {"noleap": np.zeros_like(leap), "all_leap": np.ones_like(leap), "julian": year % 4 == 0}[calendar]
        number = number + ((number >= END_OF_FEBRUARY) & has & ~leap) - ((number >= END_OF_FEBRUARY) & ~has & leap)
    seconds = (_before(year, calendar) + number) * DAY
    return (seconds + (moments.astype("datetime64[s]") - day.astype("datetime64[s]")).astype(np.int64)).astype(
        "datetime64[s]"
    )


def label(code: np.datetime64, calendar: str) -> str:
    """The date and time to the minute that ``code`` stands for, as ``calendar`` writes it."""
    if calendar not in RULES:
        return str(code.astype("datetime64[m]")).replace("T", " ")
    import cftime

    since = int(code.astype("datetime64[s]").astype(np.int64)) - _before(1900, calendar) * DAY
    return str(cftime.num2date(since, "seconds since 1900-01-01", calendar).strftime("%Y-%m-%d %H:%M"))


def dates(codes: Times, calendar: str) -> Times:
    """The dates that ``codes`` stand for as ``calendar`` writes them; NaT for those that the standard one lacks."""
    if calendar not in RULES:
        return codes

    def date(text: str) -> np.datetime64:
        try:
            return np.datetime64(text, "s")
        except ValueError:
            return np.datetime64("NaT", "s")

    return np.array([date(label(code, calendar)) for code in codes], "datetime64[s]")


def left_out(codes: Times, calendar: str) -> npt.NDArray[np.bool_]:
    """Which ``codes`` lie in a 29 February that the standard calendar lacks, its first and last moment included."""
    if calendar not in ("all_leap", "julian"):
        return np.zeros(codes.shape, bool)
    seconds = codes.astype("datetime64[s]").astype(np.int64)
    days = seconds // DAY
    year = (days / {"all_leap": 366, "julian": 365.25}[calendar]).astype(np.int64)
    year -= _before(year, calendar) > days
    year += _before(year + 1, calendar) <= days
    lacks = (year % 4 != 0) | ((year % 100 == 0) & (year % 400 != 0))
    has = calendar == "all_leap" or year % 4 == 0
    into = seconds - (_before(year, calendar) + END_OF_FEBRUARY) * DAY
    return np.asarray(lacks & has & (into >= 0) & (into <= DAY))


def repeated_days(start: np.datetime64, stop: np.datetime64, calendar: str) -> int:
    """Days ``start`` <= day < ``stop`` whose values are those of the day before."""
    days = np.arange(start, stop, dtype="datetime64[D]").astype("datetime64[s]")
    return days.size - np.unique(source_times(days, calendar)).size


def _before(year: Any, calendar: str) -> Any:
    """Days of a model calendar from the start of its year 0 to that of ``year`` (one or an array)."""
    if calendar == "julian":
        return 365 * year + (year + 3) // 4
    return {"noleap": 365, "all_leap": 366, "360_day": 360}[calendar] * year
