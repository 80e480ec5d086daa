"""Slow drivers: daily series that come from tables and climatologies instead of the weather.

Atmospheric CH4 is the annual global marine mean (``resources/ch4_annual.csv``, or a file as NOAA GML distributes it)
interpolated through 1 July, with the latitude gradient and season of the science notes (derived from recalled offsets;
effect on uptake about 4 % and 1 %).
Leaf area index is the monthly climatology of the attributes, interpolated through mid-month.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import InputError
from .paths import RESOURCES

FloatArray = npt.NDArray[np.floating[Any]]


@lru_cache
def _annual_ch4(path: str) -> tuple[FloatArray, FloatArray]:
    if not path:
        table = pd.read_csv(RESOURCES / "ch4_annual.csv", comment="#")
        return table["year"].to_numpy(float), table["ch4"].to_numpy(float)
    from .ingest.atmosphere import read_series

    series = read_series(path)
    if series.gas != "ch4":
        raise InputError(f"is of {series.gas.upper()}, not of CH4", where=path, hint="give ch4_mm_gl.csv (forcing.ch4)")
    if series.site:
        hint = "make it a global mean with `fluxatlas ingest atmosphere` (forcing.ch4 does), or give ch4_mm_gl.csv"
        raise InputError(f"is of the station {series.site}, not of the globe", where=path, hint=hint)
    means = series.annual()
    if means.empty:
        raise InputError("holds no complete year", where=path, hint="give a longer series of CH4 (forcing.ch4)")
    return means.index.to_numpy(float), means.to_numpy(float)


def latitude_offset(lat: npt.ArrayLike) -> FloatArray:
    """Annual mean of CH4 at latitude ``lat`` [degrees north] less that of the globe [1e-9], as in :func:`methane`."""
    sine = np.sin(np.deg2rad(np.asarray(lat, float)))
    return np.asarray(70 * sine + 15 * (sine**2 - 1 / 3))


def methane(dates: pd.DatetimeIndex, lat: npt.ArrayLike, series: str = "") -> FloatArray:
    """Dry-air mole fraction of CH4 [1e-9], shape (time, cell), for latitudes ``lat`` [degrees north].

    ``series`` is a file of global means (see :mod:`fluxatlas.ingest.atmosphere`) to use instead of the own table.
    Raises :class:`InputError` for a date outside the table (1984 to 2023) or the complete years of ``series``, and as
    :func:`fluxatlas.ingest.atmosphere.read_series`.
    """
    years, values = _annual_ch4(series)
    if dates.year.min() < years[0] or dates.year.max() > years[-1]:
        raise InputError(
            f"no atmospheric CH4 for {dates.min():%Y}-{dates.max():%Y}",
            where=series or "resources/ch4_annual.csv",
            hint=f"choose years within {years[0]:.0f}-{years[-1]:.0f} or give a longer series (forcing.ch4)",
        )
    day_of_year = dates.dayofyear.to_numpy(float)
    length = np.where(dates.is_leap_year, 366.0, 365.0)
    decimal_year = dates.year.to_numpy(float) + (day_of_year - 0.5) / length
    annual = np.interp(decimal_year, years + 0.5, values)[:, None]
    latitude = np.asarray(lat, float)[None, :]
    sine = np.sin(np.deg2rad(latitude))
    amplitude = np.where(latitude > 45, 20.0, np.where(latitude >= 0, 12.0, 13.0))
    peak = np.where(latitude > 45, 30.0, np.where(latitude >= 0, 60.0, 265.0))
    season = amplitude * np.cos(2 * np.pi * (day_of_year[:, None] - peak) / 365.0)
    return annual + 70 * sine + 15 * (sine**2 - 1 / 3) + season


def leaf_area(dates: pd.DatetimeIndex, monthly: npt.ArrayLike) -> FloatArray:
    """Leaf area index, shape (time, cell), from a climatology ``monthly`` of shape (12, cell)."""
    climatology = np.asarray(monthly, float)
    if climatology.shape[0] != 12:
        raise InputError(f"the LAI climatology has {climatology.shape[0]} months", hint="give twelve")
    position = dates.month.to_numpy() - 1 + (dates.day.to_numpy() - 0.5) / dates.days_in_month.to_numpy() - 0.5
    lower = np.floor(position).astype(int)
    weight = (position - lower)[:, None]
    return climatology[lower % 12] * (1 - weight) + climatology[(lower + 1) % 12] * weight


def slow_drivers(
    dates: pd.DatetimeIndex, lat: npt.ArrayLike, lai_monthly: npt.ArrayLike, ch4: str = ""
) -> dict[str, FloatArray]:
    """All slow drivers of the systems as float32 arrays of shape (time, cell); ``ch4`` as ``series`` of
    :func:`methane`."""
    return {
        "lai": leaf_area(dates, lai_monthly).astype(np.float32),
        "ch4": methane(dates, lat, ch4).astype(np.float32),
    }
