"""Hours out of daily knots: solar geometry, diurnal course, radiation, vapour; compiled with numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.floating[Any]]

SOLAR_CONSTANT = 1361.0
"""W m-2."""
STEFAN_BOLTZMANN = 5.670374e-8
_HALF_HOUR = np.pi / 24
_jit = numba.njit(cache=True, error_model="numpy")


@dataclass(frozen=True)
class Sun:
    """Declination and distance of the sun for a list of days."""

    table: Array  # (day, 3): sine and cosine of the declination, flux at the top of the atmosphere [W m-2]

    @classmethod
    def of(cls, days: pd.DatetimeIndex) -> Sun:
        """Declination and distance after FAO-56 (Allen et al., 1998), one value per day."""
        turn = 2 * np.pi * days.dayofyear.to_numpy(float) / 365
        declination = 0.409 * np.sin(turn - 1.39)
        flux = SOLAR_CONSTANT * (1 + 0.033 * np.cos(turn))
        return cls(np.stack([np.sin(declination), np.cos(declination), flux], axis=1))

    def daily_top(self, lat: Array) -> Array:
        """Daily mean radiation at the top of the atmosphere [W m-2], shape (day, cell)."""
        phi = np.deg2rad(lat)
        a = np.sin(phi) * self.table[:, :1]
        b = np.cos(phi) * self.table[:, 1:2]
        sunset = np.arccos(np.clip(-a / np.maximum(b, 1e-12), -1, 1))
        return self.table[:, 2:] * (sunset * a + np.sin(sunset) * b) / np.pi


def clearness(cloud: Array, elevation: Array) -> Array:
    """Share of the radiation at the top of the atmosphere that reaches the ground under ``cloud`` (0..1)."""
    return np.minimum(0.74 + 2.5e-5 * elevation, 0.82) * (1 - 0.72 * cloud**1.6)


@_jit
def _sun_hour(a: float, b: float, sunset: float, middle: float) -> float:
    """Mean of the positive part of a + b cos(h) over the hour around hour angle ``middle`` (-pi..pi)."""
    total = 0.0
    for turn in range(-1, 2):  # the interval may cross midnight
        low = max(middle + turn * 2 * np.pi - _HALF_HOUR, -sunset)
        high = min(middle + turn * 2 * np.pi + _HALF_HOUR, sunset)
        if high > low:
            total += a * (high - low) + b * (np.sin(high) - np.sin(low))
    return max(total / (2 * _HALF_HOUR), 0.0)


@_jit
def _vapour_pressure(temperature: float) -> float:
    """Saturation vapour pressure over water [Pa] at ``temperature`` [degC] (Magnus form)."""
    return 611.2 * np.exp(17.62 * temperature / (243.12 + temperature))


@_jit
def _hour(
    k: Array, day: int, n: int, hour: int, lon: float, a: float, b: float, sunset: float, flux: float, z: float
) -> tuple[float, float, float, float, float, float, float, float]:
    """Weather of one hour: temperature, dew point [degC], vapour pressure [Pa], short-wave and long-wave [W m-2],
    pressure [Pa], wind towards east and north [m s-1]."""
    position = (hour - 12) / 24
    before = day - 1 if position < 0 else day
    w = position + 1 if position < 0 else position
    temperature = k[0, before, n] * (1 - w) + k[0, before + 1, n] * w
    spread = k[1, before, n] * (1 - w) + k[1, before + 1, n] * w
    depression = k[2, before, n] * (1 - w) + k[2, before + 1, n] * w
    cloud = k[3, before, n] * (1 - w) + k[3, before + 1, n] * w
    pressure = k[4, before, n] * (1 - w) + k[4, before + 1, n] * w

    angle = 2 * np.pi * hour / 24 - np.pi + lon  # 0 at local solar noon
    course = np.cos(angle - 2 * np.pi * 2.5 / 24)  # the warmest time is 2.5 h after noon
    shape = 0.5 * (course + 0.25 * (2 * course * course - 1))  # range 1, mean 0
    dew = temperature - 0.375 * spread - depression
    temperature += spread * shape
    dew = min(dew, temperature - 0.05)
    vapour = _vapour_pressure(dew)

    middle = angle + _HALF_HOUR
    middle -= 2 * np.pi * np.round(middle / (2 * np.pi))
    top = flux * _sun_hour(a, b, sunset, middle)
    low_sun = 1 - 0.35 * np.exp(-top / (0.12 * flux))
    shortwave = top * min(0.74 + 2.5e-5 * z, 0.82) * (1 - 0.72 * cloud**1.6) * low_sun
    kelvin = temperature + 273.15
    emissivity = min(1.24 * (0.01 * vapour / kelvin) ** (1.0 / 7.0) * (1 + 0.22 * cloud * cloud), 1.0)
    longwave = emissivity * STEFAN_BOLTZMANN * kelvin**4

    gust = 0.85 + 0.2 * course
    west = gust * (k[5, before, n] * (1 - w) + k[5, before + 1, n] * w)
    south = gust * (k[6, before, n] * (1 - w) + k[6, before + 1, n] * w)
    return temperature, dew, vapour, shortwave, longwave, pressure, west, south


@_jit
def _geometry(lat: float, sine: float, cosine: float) -> tuple[float, float, float]:
    """a, b and the sunset hour angle, so that the sine of the sun's height is a + b cos(h)."""
    phi = np.deg2rad(lat)
    a, b = np.sin(phi) * sine, max(np.cos(phi) * cosine, 1e-12)
    return a, b, np.arccos(min(max(-a / b, -1.0), 1.0))


@_jit
def _rain_share(hour: int, centre: float, width: float) -> float:
    return max(0.0, 1 - abs(hour + 0.5 - centre) / width)


@_jit
def fill_hours(
    k: Array, rain: Array, centre: Array, width: Array, sun: Array, lat: Array, lon: Array, z: Array, out: Array
) -> None:
    """Fill ``out`` (8 variables, 24 * day, cell) from knots with one more day on either side."""
    for day in range(1, k.shape[1] - 1):
        for n in range(k.shape[2]):
            a, b, sunset = _geometry(lat[n], sun[day, 0], sun[day, 1])
            shares = 0.0
            for hour in range(24):
                shares += _rain_share(hour, centre[day, n], width[day, n])
            for hour in range(24):
                values = _hour(k, day, n, hour, np.deg2rad(lon[n]), a, b, sunset, sun[day, 2], z[n])
                row = 24 * (day - 1) + hour
                out[0, row, n] = values[0] + 273.15
                out[1, row, n] = values[1] + 273.15
                out[2, row, n] = rain[day, n] * _rain_share(hour, centre[day, n], width[day, n]) / shares
                out[3, row, n] = values[3]
                out[4, row, n] = values[4]
                out[5, row, n] = values[5]
                out[6, row, n] = values[6]
                out[7, row, n] = values[7]


@_jit
def fill_days(
    k: Array, rain: Array, centre: Array, width: Array, sun: Array, lat: Array, lon: Array, z: Array, out: Array
) -> None:
    """Fill ``out`` (10 variables, day, cell) with daily means, extremes and sums of the hours."""
    for day in range(1, k.shape[1] - 1):
        for n in range(k.shape[2]):
            a, b, sunset = _geometry(lat[n], sun[day, 0], sun[day, 1])
            total = np.zeros(7)
            low, high = 1e9, -1e9
            for hour in range(24):
                values = _hour(k, day, n, hour, np.deg2rad(lon[n]), a, b, sunset, sun[day, 2], z[n])
                low, high = min(low, values[0]), max(high, values[0])
                total[0] += values[0]
                total[1] += values[3]
                total[2] += values[4]
                total[3] += 0.622 * values[2] / (values[5] - 0.378 * values[2])
                total[4] += values[5]
                total[5] += np.sqrt(values[6] ** 2 + values[7] ** 2)
                total[6] += _vapour_pressure(values[0]) - values[2]
            total /= 24
            out[0, day - 1, n] = total[0] + 273.15
            out[1, day - 1, n] = low + 273.15
            out[2, day - 1, n] = high + 273.15
            out[3, day - 1, n] = rain[day, n] / 86400
            for variable in range(1, 7):
                out[variable + 3, day - 1, n] = total[variable]
