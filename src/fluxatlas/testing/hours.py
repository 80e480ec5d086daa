"""Hours out of daily knots: solar geometry, diurnal course, radiation, vapour; compiled with numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

from ..astronomy import declination, inverse_distance
from ..constants import STEFAN_BOLTZMANN
from ..humidity import EPSILON, SATURATION_OFFSET, SATURATION_SLOPE, TRIPLE_POINT, TRIPLE_PRESSURE

Array = npt.NDArray[np.floating[Any]]

SOLAR_CONSTANT = 1361.0
"""W m-2."""
_HALF_HOUR = np.pi / 24
_jit = numba.njit(cache=True, error_model="numpy")


@dataclass(frozen=True)
class Sun:
    """Declination and distance of the sun for a list of days."""

    table: Array  # (day, 3): sine and cosine of the declination, flux at the top of the atmosphere [W m-2]

    @classmethod
    def of(cls, days: pd.DatetimeIndex) -> Sun:
        """Declination and distance after FAO-56 (Allen et al., 1998), one value per day."""
        tilt = declination(days)
        return cls(np.stack([np.sin(tilt), np.cos(tilt), SOLAR_CONSTANT * inverse_distance(days)], axis=1))

    def daily_top(self, lat: Array) -> Array:
        """Daily mean radiation at the top of the atmosphere [W m-2], shape (day, cell)."""
        phi = np.deg2rad(lat)
        a = np.sin(phi) * self.table[:, :1]
        b = np.cos(phi) * self.table[:, 1:2]
        sunset = np.arccos(np.clip(-a / np.maximum(b, 1e-12), -1, 1))
        return self.table[:, 2:] * (sunset * a + np.sin(sunset) * b) / np.pi


def clearness(cloud: Array, elevation: Array) -> Array:
    """Share of the radiation at the top of the atmosphere that reaches the ground under ``cloud`` (0..1)."""
    return np.minimum(0.74 + 2.5e-5 * elevation, 0.82) * (1 - 0.72 * cloud * np.sqrt(cloud))


@_jit
def _sun_hour(a: float, b: float, sunset: float, middle: float) -> float:
    """Mean of the positive part of a + b cos(h) over the hour around hour angle ``middle`` (-pi..pi)."""
    off = abs(middle)
    if off + _HALF_HOUR <= sunset:
        return a + b * np.cos(middle) * np.sin(_HALF_HOUR) / _HALF_HOUR
    if off - _HALF_HOUR >= sunset and off + _HALF_HOUR <= 2 * np.pi - sunset:
        return 0.0
    total = 0.0
    for turn in range(-1, 2):  # the interval may cross midnight
        low = max(middle + turn * 2 * np.pi - _HALF_HOUR, -sunset)
        high = min(middle + turn * 2 * np.pi + _HALF_HOUR, sunset)
        if high > low:
            total += a * (high - low) + b * (np.sin(high) - np.sin(low))
    return max(total / (2 * _HALF_HOUR), 0.0)


@_jit
def _vapour_exponent(temperature: float) -> float:
    """Logarithm of the saturation vapour pressure over :data:`TRIPLE_PRESSURE` at ``temperature`` [degC].

    The formula is that of :mod:`fluxatlas.humidity`, so that ingest finds the humidity that the weather has.
    """
    return SATURATION_SLOPE * (temperature + 273.15 - TRIPLE_POINT) / (temperature + 273.15 - SATURATION_OFFSET)


@_jit
def _clock(lon: float, course: Array, middle: Array) -> None:
    """Fill for each UTC hour the diurnal course of temperature at its start and the hour angle of its middle."""
    for hour in range(24):
        angle = 2 * np.pi * hour / 24 - np.pi + np.deg2rad(lon)  # 0 at local solar noon
        course[hour] = np.cos(angle - 2 * np.pi * 2.5 / 24)  # the warmest time is 2.5 h after noon
        angle += _HALF_HOUR
        middle[hour] = angle - 2 * np.pi * np.round(angle / (2 * np.pi))


@_jit
def _fill_day(
    k: Array, day: int, sun: Array, sine: float, cosine: float, z: float, course: Array, middle: Array, out: Array
) -> None:
    """Fill ``out`` (24, 9): temperature, dew point [degC], rain [mm], short- and long-wave [W m-2], pressure [Pa],
    wind to the east and north [m s-1], vapour pressure [Pa], from the knots ``k`` (day, 10) of one cell."""
    a, b = sine * sun[day, 0], max(cosine * sun[day, 1], 1e-12)
    sunset = np.arccos(min(max(-a / b, -1.0), 1.0))
    clear = min(0.74 + 2.5e-5 * z, 0.82)
    rain, centre, width = k[day, 7], k[day, 8], k[day, 9]
    shares = 0.0
    for hour in range(24):
        out[hour, 2] = max(0.0, 1 - abs(hour + 0.5 - centre) / width)
        shares += out[hour, 2]
    for hour in range(24):
        before = day - 1 if hour < 12 else day
        w = ((hour + 12) % 24) / 24
        mean = k[before, 0] * (1 - w) + k[before + 1, 0] * w
        spread = k[before, 1] * (1 - w) + k[before + 1, 1] * w
        depression = k[before, 2] * (1 - w) + k[before + 1, 2] * w
        cloud = k[before, 3] * (1 - w) + k[before + 1, 3] * w
        c = course[hour]
        temperature = mean + 0.5 * spread * (c + 0.25 * (2 * c * c - 1))  # the range is `spread`, the mean 0
        dew = min(mean - 0.375 * spread - depression, temperature - 0.05)
        exponent = _vapour_exponent(dew)
        vapour = TRIPLE_PRESSURE * np.exp(exponent)

        top = sun[day, 2] * _sun_hour(a, b, sunset, middle[hour])
        shortwave = 0.0
        if top > 0:
            low_sun = 1 - 0.35 * np.exp(-top / (0.12 * sun[day, 2]))
            shortwave = top * clear * (1 - 0.72 * cloud * np.sqrt(cloud)) * low_sun
        kelvin = temperature + 273.15
        emissivity = (
            1.24 * np.exp((exponent + np.log(0.01 * TRIPLE_PRESSURE / kelvin)) / 7) * (1 + 0.22 * cloud * cloud)
        )
        square = kelvin * kelvin
        gust = 0.85 + 0.2 * c

        out[hour, 0], out[hour, 1], out[hour, 8] = temperature, dew, vapour
        out[hour, 2] *= rain / shares
        out[hour, 3], out[hour, 4] = shortwave, min(emissivity, 1.0) * STEFAN_BOLTZMANN * square * square
        out[hour, 5] = k[before, 4] * (1 - w) + k[before + 1, 4] * w
        out[hour, 6] = gust * (k[before, 5] * (1 - w) + k[before + 1, 5] * w)
        out[hour, 7] = gust * (k[before, 6] * (1 - w) + k[before + 1, 6] * w)


@_jit
def fill_hours(k: Array, sun: Array, lat: Array, lon: Array, z: Array, out: Array) -> None:
    """Fill ``out`` (8 variables, 24 * day, cell) from knots ``k`` (cell, day, 10) with one more day on either side."""
    hours, course, middle = np.empty((24, 9)), np.empty(24), np.empty(24)
    for n in range(k.shape[0]):
        _clock(lon[n], course, middle)
        sine, cosine = np.sin(np.deg2rad(lat[n])), np.cos(np.deg2rad(lat[n]))
        for day in range(1, k.shape[1] - 1):
            _fill_day(k[n], day, sun, sine, cosine, z[n], course, middle, hours)
            for hour in range(24):
                row = 24 * (day - 1) + hour
                for variable in range(8):
                    out[variable, row, n] = hours[hour, variable]
                out[0, row, n] += 273.15
                out[1, row, n] += 273.15


@_jit
def fill_days(k: Array, sun: Array, lat: Array, lon: Array, z: Array, out: Array) -> None:
    """Fill ``out`` (10 variables, day, cell) with daily means, extremes and sums of the hours."""
    hours, course, middle = np.empty((24, 9)), np.empty(24), np.empty(24)
    for n in range(k.shape[0]):
        _clock(lon[n], course, middle)
        sine, cosine = np.sin(np.deg2rad(lat[n])), np.cos(np.deg2rad(lat[n]))
        for day in range(1, k.shape[1] - 1):
            _fill_day(k[n], day, sun, sine, cosine, z[n], course, middle, hours)
            low, high, mean, shortwave, longwave = 1e9, -1e9, 0.0, 0.0, 0.0
            humidity, pressure, wind, deficit = 0.0, 0.0, 0.0, 0.0
            for hour in range(24):
                temperature, vapour = hours[hour, 0], hours[hour, 8]
                low, high = min(low, temperature), max(high, temperature)
                mean += temperature
                shortwave += hours[hour, 3]
                longwave += hours[hour, 4]
                humidity += EPSILON * vapour / (hours[hour, 5] - (1 - EPSILON) * vapour)
                pressure += hours[hour, 5]
                wind += np.sqrt(hours[hour, 6] * hours[hour, 6] + hours[hour, 7] * hours[hour, 7])
                deficit += TRIPLE_PRESSURE * np.exp(_vapour_exponent(temperature)) - vapour
            out[0, day - 1, n], out[1, day - 1, n], out[2, day - 1, n] = mean / 24 + 273.15, low + 273.15, high + 273.15
            out[3, day - 1, n] = k[n, day, 7] / 86400
            out[4, day - 1, n], out[5, day - 1, n], out[6, day - 1, n] = shortwave / 24, longwave / 24, humidity / 24
            out[7, day - 1, n], out[8, day - 1, n], out[9, day - 1, n] = pressure / 24, wind / 24, deficit / 24
