"""Slow drivers as functions ``(dates, lat, layers, series) -> (time, cell)``; see :mod:`fluxatlas.drivers`.

Atmospheric CH4 is the annual global mean with the latitude gradient and season of the science notes (derived from
recalled offsets; effect on uptake about 4 % and 1 %). CO2 is the annual global mean. Leaf area index is the monthly
climatology of the attributes, interpolated through mid-month. Radiation above the atmosphere is astronomy. Fields
have a calendar of their own, half a year ahead in the south.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..astronomy import extraterrestrial_radiation
from ..errors import InputError
from .crop.choices import HALF_YEAR

if TYPE_CHECKING:
    from ..gases import AnnualSeries

FloatArray = npt.NDArray[np.floating[Any]]
Layers = Mapping[str, npt.ArrayLike]


def latitude_offset(lat: npt.ArrayLike) -> FloatArray:
    """Annual mean of CH4 at latitude ``lat`` [degrees north] less that of the globe [1e-9], as in :func:`ch4`."""
    sine = np.sin(np.deg2rad(np.asarray(lat, float)))
    return np.asarray(70 * sine + 15 * (sine**2 - 1 / 3))


def ch4(dates: pd.DatetimeIndex, lat: npt.ArrayLike, layers: Layers, series: AnnualSeries) -> FloatArray:
    """Dry-air mole fraction of CH4 [1e-9], shape (time, cell), for latitudes ``lat`` [degrees north].

    Raises :class:`InputError` for a date outside the years of ``series``.
    """
    annual = series.at(dates)[:, None]
    latitude = np.asarray(lat, float)[None, :]
    sine = np.sin(np.deg2rad(latitude))
    amplitude = np.where(latitude > 45, 20.0, np.where(latitude >= 0, 12.0, 13.0))
    peak = np.where(latitude > 45, 30.0, np.where(latitude >= 0, 60.0, 265.0))
    day_of_year = dates.day_of_year.to_numpy(float)[:, None]
    season = amplitude * np.cos(2 * np.pi * (day_of_year - peak) / 365.0)
    return annual + 70 * sine + 15 * (sine**2 - 1 / 3) + season


def co2(dates: pd.DatetimeIndex, lat: npt.ArrayLike, layers: Layers, series: AnnualSeries) -> FloatArray:
    """Dry-air mole fraction of CO2 [1e-6], shape (time, cell): the annual global mean everywhere.

    Raises :class:`InputError` for a date outside the years of ``series``.
    """
    return np.repeat(series.at(dates)[:, None], np.size(lat), axis=1)


def rsdt(dates: pd.DatetimeIndex, lat: npt.ArrayLike, layers: Layers, series: None = None) -> FloatArray:
    """Radiation above the atmosphere [W m-2], shape (time, cell): what the sun can give on that day."""
    return extraterrestrial_radiation(lat, dates)


def field_day(dates: pd.DatetimeIndex, lat: npt.ArrayLike, layers: Layers, series: None = None) -> FloatArray:
    """Day of the year of fields [d], shape (time, cell)."""
    return _of_fields(dates, lat, lambda days: days.day_of_year.to_numpy(float))


def even_year(dates: pd.DatetimeIndex, lat: npt.ArrayLike, layers: Layers, series: None = None) -> FloatArray:
    """Whether (1 or 0) the year of fields is even, shape (time, cell): whose turn it is in a rotation of two crops."""
    return _of_fields(dates, lat, lambda days: 1.0 - days.year.to_numpy(float) % 2)


def _of_fields(dates: pd.DatetimeIndex, lat: npt.ArrayLike, of: Callable[[pd.DatetimeIndex], FloatArray]) -> FloatArray:
    ahead = of(dates + pd.Timedelta(days=HALF_YEAR))
    return np.where(np.asarray(lat, float) < 0, ahead[:, None], of(dates)[:, None])


def lai(dates: pd.DatetimeIndex, lat: npt.ArrayLike, layers: Layers, series: None = None) -> FloatArray:
    """Leaf area index [1], shape (time, cell), from the climatology ``layers['lai']`` of shape (12, cell).

    Raises :class:`InputError` for another number of months.
    """
    climatology = np.asarray(layers["lai"], float)
    if climatology.shape[0] != 12:
        raise InputError(f"the LAI climatology has {climatology.shape[0]} months", hint="give twelve")
    position = dates.month.to_numpy() - 1 + (dates.day.to_numpy() - 0.5) / dates.days_in_month.to_numpy() - 0.5
    lower = np.floor(position).astype(int)
    weight = (position - lower)[:, None]
    return climatology[lower % 12] * (1 - weight) + climatology[(lower + 1) % 12] * weight
