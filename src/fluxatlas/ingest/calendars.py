"""Model calendars brought to the standard one: a stated rule for the days that a calendar lacks, and their count.

Times of such a source are kept as ``datetime64`` codes in which every source day has a code of its own: its date in
``noleap``, its place in the year (1 January plus k days) in ``360_day``. :func:`source_times` gives the code from which
a moment of the standard calendar takes its value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.datetime64]

STANDARD = ("standard", "gregorian", "proleptic_gregorian")
ALIASES = {"365_day": "noleap"}
RULES = {
    "noleap": "29 February repeats 28 February",
    "360_day": "day i of a year of n days takes day floor((i + 1/2) * 360 / n) of the source, days counted from 0",
}
"""What is done for each calendar that can be used beside the standard one; it goes into the provenance."""


def encode(dates: Iterable[Any], calendar: str, *, monthly: bool = False) -> Times:
    """Codes of cftime ``dates`` of a calendar in :data:`RULES`; ``monthly``: the first of their month."""
    codes = []
    for date in dates:
        if monthly:
            codes.append(np.datetime64(f"{date.year:04d}-{date.month:02d}-01", "s"))
            continue
        if calendar == "noleap":
            day = np.datetime64(f"{date.year:04d}-{date.month:02d}-{date.day:02d}", "s")
        else:
            day = np.datetime64(f"{date.year:04d}-01-01", "s") + np.timedelta64(
                (30 * (date.month - 1) + date.day - 1) * 86400, "s"
            )
        codes.append(day + np.timedelta64(3600 * date.hour + 60 * date.minute + date.second, "s"))
    return np.array(codes, dtype="datetime64[s]")


def source_times(moments: Times, calendar: str) -> Times:
    """Code of the source moment for each of ``moments`` of the standard calendar; the time of day is kept."""
    if calendar not in RULES:
        return moments
    day = moments.astype("datetime64[D]")
    year = day.astype("datetime64[Y]")
    first = year.astype("datetime64[D]")
    number = (day - first).astype(np.int64)
    length = ((year + 1).astype("datetime64[D]") - first).astype(np.int64)
    if calendar == "360_day":
        number = ((2 * number + 1) * 180) // length
    else:
        number = np.where((length == 366) & (number == 59), 58, number)  # 29 February is day 59 counted from 0
    source = (first + number).astype("datetime64[s]")
    return source + (moments.astype("datetime64[s]") - day.astype("datetime64[s]"))


def repeated_days(start: np.datetime64, stop: np.datetime64, calendar: str) -> int:
    """Days ``start`` <= day < ``stop`` whose values are those of the day before."""
    days = np.arange(start, stop, dtype="datetime64[D]").astype("datetime64[s]")
    return days.size - np.unique(source_times(days, calendar)).size
