"""Whether the clock of a tower is what its layout promises, standard time, as the sun tells it.

The highest radiation of a month at each step of the day is hardly touched by clouds; its centre is the sun's noon,
which the equation of time and the longitude give too. With summer time noon is an hour late from April to October, and
days begin at 23:00 of standard time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...astronomy import equation_of_time
from .daily import standard_offset
from .records import Ledger

FEWEST_DAYS = 10
"""Days of a month that its noon is told from."""
SUMMER = (0.6, 1.6)
"""Hours between the noons of November to February and of May to August that are those of summer time [D]: of the
towers of our tests, which keep standard time, they are below 0.3 h apart."""
OWN_ZONE, GUESSED_ZONE = 0.75, 2.5
"""Hours that noon may lie off a stated time zone, and off one that may be guessed from the longitude (western China
keeps a clock two hours ahead of that)."""


def judge(sun: pd.Series, site: dict[str, Any], ledger: Ledger) -> None:
    """Warn where the noons of ``sun``, shortwave radiation indexed by the start of regular steps of whole days, are not
    those of a standard clock at ``site`` (its ``lon`` and ``utc_offset``)."""
    name, column, lon, zone = str(site["site"]), str(sun.name), float(site["lon"]), float(site["utc_offset"])
    late = (noons_by_month(sun) - (zone - lon / 15.0)) % 24.0 - 12.0
    winter, summer = (late[late.index.isin(months)] for months in ((11, 12, 1, 2), (5, 6, 7, 8)))
    shift = float(summer.median() - winter.median()) if len(winter) and len(summer) else 0.0
    if SUMMER[0] < abs(shift) < SUMMER[1]:
        season = "May to August" if shift > 0 else "November to February"
        ledger.warn(
            name,
            f"its clock seems to have summer time: by {column} noon is {abs(shift):.1f} h later from {season}, when "
            "days are an hour off; give the file in standard time all year",
        )
        late = winter if shift > 0 else summer
    off = float(np.copysign(late.abs().median(), late.sum())) if len(late) else 0.0
    if abs(off) > (GUESSED_ZONE if zone == standard_offset(lon) else OWN_ZONE):
        ledger.warn(
            name,
            f"by {column} the sun's noon is {abs(off):.1f} h {'later' if off > 0 else 'earlier'} than by UTC{zone:+g}, "
            "so its days are shifted: check utc_offset and lon, or give the file in local standard time",
        )


def noons_by_month(sun: pd.Series) -> pd.Series:
    """The sun's noon [h of the clock, equation of time taken out] by month of the year, as ``sun`` tells it.

    Months with fewer than :data:`FEWEST_DAYS` days, with hardly any light, or whose light reaches over midnight are
    left out.
    """
    days = pd.DatetimeIndex(sun.index).normalize()
    per_day = int((days == days[0]).sum()) if len(days) else 0
    if per_day < 24 or len(days) % per_day:
        return pd.Series(dtype=float)
    rows = sun.to_numpy(float).reshape(-1, per_day)
    dates = days[::per_day]
    hours, found = (np.arange(per_day) + 0.5) * 24.0 / per_day, {}
    offset = equation_of_time(dates)
    for month in range(1, 13):
        mine = (dates.month == month) & np.isfinite(rows).all(axis=1) & (rows.min(axis=1) > -50.0)
        if mine.sum() < FEWEST_DAYS:
            continue
        course: npt.NDArray[np.float64] = np.quantile(rows[mine], 0.95, axis=0)
        course = np.where(course > 0.05 * course.max(), course, 0.0)
        if course.max() < 100.0:
            continue
        turned = np.exp(2j * np.pi * hours / 24.0) @ course / course.sum()
        if abs(turned) > 0.3:  # the light of all hours has no centre
            found[month] = np.angle(turned) / (2 * np.pi) * 24.0 % 24.0 + float(offset[mine].mean())
    return pd.Series(found, dtype=float)
