"""The sun by FAO-56 (Allen et al. 1998, eq. 21 to 25, 32): declination, distance, noon, length and light of the day."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.floating[Any]]

SOLAR_CONSTANT = 1366.7
"""W m-2: 0.0820 MJ m-2 min-1."""


def declination(dates: pd.DatetimeIndex) -> FloatArray:
    """Declination of the sun [rad], shape (time,)."""
    return np.asarray(0.409 * np.sin(2 * np.pi * dates.day_of_year.to_numpy(float) / 365.0 - 1.39))


def inverse_distance(dates: pd.DatetimeIndex) -> FloatArray:
    """Inverse relative distance between earth and sun [1], which multiplies the solar constant, shape (time,)."""
    return np.asarray(1.0 + 0.033 * np.cos(2 * np.pi * dates.day_of_year.to_numpy(float) / 365.0))


def equation_of_time(dates: pd.DatetimeIndex) -> FloatArray:
    """Hours that the sun is ahead of a clock of its own mean time (eq. 32, 33), shape (time,)."""
    turn = 2 * np.pi * (dates.day_of_year.to_numpy(float) - 81.0) / 364.0
    return np.asarray(0.1645 * np.sin(2 * turn) - 0.1255 * np.cos(turn) - 0.025 * np.sin(turn))


def _sunset(dates: pd.DatetimeIndex, lat: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Hour angle of sunset (time, cell), declination (time, 1) and latitude (1, cell), all in radians."""
    tilt, latitude = declination(dates)[:, None], np.deg2rad(np.atleast_1d(np.asarray(lat, float)))[None, :]
    return np.arccos(np.clip(-np.tan(latitude) * np.tan(tilt), -1.0, 1.0)), tilt, latitude


def daylight_fraction(dates: pd.DatetimeIndex, lat: npt.ArrayLike) -> FloatArray:
    """Fraction of the day [1] with the sun above the horizon, shape (time, cell), at ``lat`` [degrees north]."""
    return _sunset(dates, lat)[0] / np.pi


def extraterrestrial_radiation(lat: npt.ArrayLike, dates: pd.DatetimeIndex) -> FloatArray:
    """Daily mean radiation above the atmosphere [W m-2], shape (time, cell), for ``lat`` [degrees north]."""
    sunset, tilt, latitude = _sunset(dates, lat)
    height = sunset * np.sin(latitude) * np.sin(tilt) + np.cos(latitude) * np.cos(tilt) * np.sin(sunset)
    return np.maximum(0.0, SOLAR_CONSTANT / np.pi * inverse_distance(dates)[:, None] * height)
