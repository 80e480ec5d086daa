"""Six time scales of a site's daily series, from days to the mean of the site.

The scales are those of the benchmark FLUXtrapolation (2026; median and 90th percentile over sites), with days in the
place of its hours, and of FLUXCOM before it (Jung et al. 2011, doi:10.1029/2010JG001566). What exactly is averaged is
defined here; the benchmark's own definitions were not at hand, so that numbers are comparable in kind only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

WEEK_DAYS, MONTH_DAYS, YEAR_DAYS = 3, 5, 180
"""Fewest days for the mean of a week, of a calendar month (over all years) and of a year."""
CYCLE_MONTHS, FEWEST_YEARS = 6, 3
"""Fewest months of a seasonal cycle and fewest years of a variability between years."""


def daily(days: pd.DataFrame) -> pd.DataFrame:
    """The days themselves."""
    return days


def weekly(days: pd.DataFrame) -> pd.DataFrame:
    """Means of weeks, counted from 1 January of each year (the last has eight or nine days)."""
    return _means(days, [_dates(days).year, _week(days)], WEEK_DAYS)


def seasonal(days: pd.DataFrame) -> pd.DataFrame:
    """The mean seasonal cycle: means of calendar months over all years, less their own mean."""
    cycle = _means(days, _dates(days).month, MONTH_DAYS)
    return cycle - cycle.mean() if len(cycle) >= CYCLE_MONTHS else cycle[:0]


def anomaly(days: pd.DataFrame) -> pd.DataFrame:
    """Departures of weeks from the mean of the same week of all years, for weeks seen in at least two years."""
    weeks = weekly(days)
    same = weeks.groupby(level=1)
    return (weeks - same.transform("mean"))[same["observed"].transform("size") > 1]


def interannual(days: pd.DataFrame) -> pd.DataFrame:
    """Departures of the means of years from their own mean."""
    years = _means(days, _dates(days).year, YEAR_DAYS)
    return years - years.mean() if len(years) >= FEWEST_YEARS else years[:0]


def site_mean(days: pd.DataFrame) -> pd.DataFrame:
    """One row, the mean of all days."""
    return days.mean().to_frame().T


SCALES = {function.__name__: function for function in (daily, weekly, seasonal, anomaly, interannual, site_mean)}
"""Each takes the days of a site (index of days; columns ``observed``, ``predicted``; no gaps within a row) and gives
the pairs of its scale, none where the record is too short for it."""


def _dates(days: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(days.index)


def _week(days: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.minimum((_dates(days).day_of_year.to_numpy() - 1) // 7, 51)


def _means(days: pd.DataFrame, keys: Any, fewest: int) -> pd.DataFrame:
    groups = days.groupby(keys)
    return groups.mean()[groups.size() >= fewest]
