"""Weather of the synthetic Earth: hourly and daily, from the same daily knots.

For every point and UTC day a handful of *knots* (mean temperature, diurnal range, dew-point depression, cloud cover,
pressure, wind, rain amount and its centre) follow from the climatology and from random fields that are correlated in
space and time (:mod:`.waves`). A compiled kernel (:mod:`.hours`) makes the hours of a day out of them: temperature
follows the sun, radiation follows solar geometry and cloud, long-wave radiation follows temperature, vapour and
cloud (Brutsaert, 1975, doi:10.1029/WR011i005p00742). Rain is an occurrence chain (a thresholded autoregressive field)
with gamma amounts on wet days. Nothing depends on the extent or the period of a request.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammaincinv, log_ndtr, ndtr, ndtri

from . import hours
from .climate import Climate
from .waves import Waves

Array = npt.NDArray[np.floating[Any]]

ORIGIN = pd.Timestamp("2000-01-01")
GAMMA_SHAPE = 0.8
"""Shape of the gamma distribution of amounts on wet days."""

HOURLY = ("t2m", "d2m", "tp", "ssrd", "strd", "sp", "u10", "v10")
"""Hourly variables: instants at the full hour in K, K, Pa, m s-1; ``tp`` [mm], ``ssrd`` and ``strd`` [W m-2] are the
sum and means of the hour that follows."""
DAILY = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind", "vpd")
"""Daily variables in canonical units; days are UTC days."""


@lru_cache(maxsize=8)
def _fields(seed: int) -> dict[str, Waves]:
    def moving(name: str, scales: list[tuple[float, float]], taus: list[float]) -> Waves:
        return Waves(seed, f"weather.{name}", scales, count=150, taus=taus)

    return {
        "synoptic": moving("synoptic", [(900, 1.0)], [2.5]),
        "warmth": moving("warmth", [(700, 0.6), (1500, 0.4)], [4.0, 20.0]),
        "rain": moving("rain", [(300, 0.75), (60, 0.25)], [1.2, 0.6]),
        "centre": moving("centre", [(300, 1.0)], [0.7]),
        "cloud": moving("cloud", [(250, 1.0)], [1.0]),
        "vapour": moving("vapour", [(600, 1.0)], [3.0]),
        "west": moving("west", [(600, 1.0)], [1.5]),
        "south": moving("south", [(600, 1.0)], [1.5]),
    }


@dataclass(frozen=True)
class Knots:
    """Daily values at 12 UTC that the hours are made from; each of shape (day, cell)."""

    temperature: Array  # daily mean [degC]
    range: Array  # diurnal range [K]
    depression: Array  # depression of the dew point below the daily minimum temperature [K]
    cloud: Array  # 0..1
    pressure: Array  # surface pressure [Pa]
    west: Array  # wind towards the east [m s-1]
    south: Array  # wind towards the north [m s-1]
    rain: Array  # amount of the UTC day [mm]
    centre: Array  # hour of the day around which it rains
    width: Array  # half-width of the rain in hours

    def packed(self) -> Array:
        """All knots as one array of shape (cell, day, 10), float64."""
        return np.ascontiguousarray(np.stack([getattr(self, f.name).T for f in fields(self)], axis=-1), np.float64)


def rain_amount(latent: Array, wet_share: Array, wet_mean: Array) -> Array:
    """Daily rain [mm]: 0 below the threshold that leaves ``wet_share`` wet days, gamma amounts above it.

    ``latent`` is standard normal. The amount grows from 0 at the threshold, so that rain areas have soft edges.
    """
    excess = np.maximum(np.log(wet_share) - log_ndtr(-latent), 0.0)  # exponentially distributed on wet days
    return _gamma_of_exponential(excess) * wet_mean


@lru_cache(maxsize=1)
def _gamma_table() -> tuple[Array, Array]:
    root = np.linspace(0, 6, 4001)
    return root, gammaincinv(GAMMA_SHAPE, -np.expm1(-(root**2))) / GAMMA_SHAPE


def _gamma_of_exponential(excess: Array) -> Array:
    """Map a unit exponential variate to a gamma variate of mean 1 by equal probability."""
    root, amount = _gamma_table()
    return np.interp(np.sqrt(excess), root, amount)


def knots(seed: int, place: Climate, days: pd.DatetimeIndex) -> Knots:
    """The daily knots at ``place`` for UTC ``days``; each field of shape (day, cell)."""
    time = (days - ORIGIN).days.to_numpy(float)
    z = {name: waves.series(place.lat, place.lon, time) for name, waves in _fields(seed).items()}
    sun = hours.Sun.of(days)
    turn = 2 * np.pi * (days.day_of_year.to_numpy(float)[:, None] - place.peak) / 365.25
    summer = np.cos(turn)  # 1 at the warmest time of the year, -1 half a year later
    sine = np.abs(np.sin(np.deg2rad(place.lat)))

    latent = 0.6 * z["synoptic"] + 0.8 * z["rain"]
    wet_share = np.clip(place.wet_share * (1 + place.rain_season * summer), 0.004, 0.9)
    rain = rain_amount(latent, wet_share, place.wet_mean)
    wet = -np.expm1(-rain / 3.0)

    clear = 1.3 * ndtri(np.clip(0.22 + 0.75 * wet_share**0.7, 0.05, 0.9))
    cloud = ndtr(1.2 * (0.7 * latent + 0.714 * z["cloud"] + clear))
    cloud = cloud + (1 - cloud) * 0.9 * wet

    spread = (1.4 + 4.2 * sine) * (0.6 + 0.4 * place.inland) * (1 - 0.25 * summer)
    warmth = (0.7746 * z["warmth"] + 0.3 * z["vapour"]) / np.sqrt(0.6 + 0.09)
    mean = place.temperature + place.amplitude * summer + spread * warmth - 2.5 * (cloud - 0.5) * summer
    clear_sky = sun.daily_top(place.lat) * hours.clearness(cloud, place.elevation)
    diurnal = 1.5 + 0.045 * clear_sky * (0.35 + 0.35 * place.inland + 0.45 * place.dryness)

    depression = (0.8 + 11 * place.dryness * (0.65 + 0.35 * summer)) * np.exp(0.35 * z["vapour"]) * (1 - 0.85 * wet)
    virtual = 273.15 + mean + 0.5 * 0.0065 * place.elevation
    sea_level = 101_325 - 350 * (0.4 + 1.8 * sine) * (0.6 * latent + 0.8 * z["synoptic"])
    zonal = np.where(sine > 0.45, 2.5, -2.0)
    exposed = 0.8 + 0.25 * (1 - place.inland) + 0.1 * place.elevation / 1000
    return Knots(
        temperature=mean,
        range=diurnal,
        depression=depression,
        cloud=cloud,
        pressure=sea_level * np.exp(-9.80665 * place.elevation / (287.05 * virtual)),
        west=exposed * (zonal + 2.6 * z["west"]),
        south=exposed * 2.6 * z["south"],
        rain=rain,
        centre=24 * ndtr(z["centre"]),
        width=2.0 + 9.0 * wet,
    )


def _padded(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The days with one more on either side, between whose knots the hours are interpolated."""
    return pd.date_range(days[0] - pd.Timedelta(days=1), days[-1] + pd.Timedelta(days=1), freq="D")


def hourly(seed: int, place: Climate, days: pd.DatetimeIndex) -> dict[str, Array]:
    """Hourly weather for consecutive UTC ``days``: :data:`HOURLY` -> float32 array of shape (24 * day, cell)."""
    padded = _padded(days)
    out = np.empty((len(HOURLY), 24 * len(days), place.lat.size), np.float32)
    made = knots(seed, place, padded).packed()
    hours.fill_hours(made, hours.Sun.of(padded).table, place.lat, place.lon, place.elevation, out)
    return dict(zip(HOURLY, out, strict=True))


def daily(seed: int, place: Climate, days: pd.DatetimeIndex, chunk: int = 512) -> dict[str, Array]:
    """Daily weather for consecutive UTC ``days``: :data:`DAILY` -> float32 array of shape (day, cell).

    Equal to means, extremes and sums of :func:`hourly`; ``chunk`` cells are worked on at a time.
    """
    padded = _padded(days)
    sun = hours.Sun.of(padded)
    out = np.empty((len(DAILY), len(days), place.lat.size), np.float32)
    for start in range(0, place.lat.size, chunk):
        index = slice(start, start + chunk)
        part = place.take(index)
        made = knots(seed, part, padded).packed()
        block = np.empty((len(DAILY), len(days), part.lat.size), np.float32)
        hours.fill_days(made, sun.table, part.lat, part.lon, part.elevation, block)
        out[:, :, index] = block
    return dict(zip(DAILY, out, strict=True))
