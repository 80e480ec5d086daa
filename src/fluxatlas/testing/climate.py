"""Climatology of the synthetic Earth: how mean temperature, its season, rain and dryness follow from the place.

The formulas are ours; they aim at plausible climates (warm tropics, dry subtropics, wet windward slopes, winter rain
on west coasts at mid-latitudes), not at the climate of any real place.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .land import inland
from .terrain import elevation as terrain
from .waves import Waves

Array = npt.NDArray[np.floating[Any]]

LAPSE_RATE = 0.0062
"""Decrease of temperature with altitude [K m-1]."""


@dataclass(frozen=True)
class Climate:
    """Climatology of points; every field has shape (cell,)."""

    lat: Array
    lon: Array
    elevation: Array  # m
    inland: Array  # 0 at the coast, 1 deep inland
    temperature: Array  # annual mean [degC] at the point's altitude
    amplitude: Array  # half the annual range of monthly temperature [K]
    peak: Array  # day of the year of the temperature maximum
    rain: Array  # annual precipitation [mm]
    wet_share: Array  # mean share of wet days
    wet_mean: Array  # mean amount of a wet day [mm]
    rain_season: Array  # -1 (rain in winter) .. 1 (rain in summer)
    dryness: Array  # 0 (rain exceeds what the air can take up) .. 1 (desert)

    def take(self, index: Any) -> Climate:
        """The climate of some of the points."""
        return Climate(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@lru_cache(maxsize=8)
def _fields(seed: int) -> dict[str, Waves]:
    return {
        "warmth": Waves(seed, "climate.warmth", [(1500, 1.0)], count=80),
        "moisture": Waves(seed, "climate.moisture", [(700, 0.8), (150, 0.2)], count=80),
    }


def climate(seed: int, lat: npt.ArrayLike, lon: npt.ArrayLike, elevation: npt.ArrayLike | None = None) -> Climate:
    """The climatology at points in degrees; ``elevation`` [m] defaults to the terrain at the points."""
    lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
    height = terrain(seed, lat, lon) if elevation is None else np.atleast_1d(np.asarray(elevation, float))
    far = inland(lat, lon, 2.5)
    sine = np.abs(np.sin(np.deg2rad(lat)))
    field = {name: waves.at(lat, lon) for name, waves in _fields(seed).items()}
    temperature = 28 - 42 * sine**2.3 + 1.2 * field["warmth"] - LAPSE_RATE * height
    amplitude = (1 + 20 * sine**1.5) * (0.38 + 0.62 * far)
    peak = np.where(lat >= 0, 200.0, 17.5) + 18 * (1 - far)
    rain = _annual_rain(seed, lat, lon, height, far, field["moisture"])
    wet_mean = 4.0 + 0.004 * rain
    return Climate(
        lat=lat,
        lon=lon,
        elevation=height,
        inland=far,
        temperature=temperature,
        amplitude=amplitude,
        peak=peak,
        rain=rain,
        wet_share=np.clip(rain / 365.25 / wet_mean, 0.01, 0.75),
        wet_mean=wet_mean,
        rain_season=_rain_season(lat, far),
        dryness=np.clip(1 - rain / (55 * np.maximum(temperature + 6, 2)), 0, 1),
    )


def _annual_rain(seed: int, lat: Array, lon: Array, height: Array, far: Array, moisture: Array) -> Array:
    """Annual precipitation [mm]: zonal belts, moist air from the sea, lifting and rain shadow of the terrain."""
    zonal = 260 + 1700 * np.exp(-((lat / 12) ** 2)) + 620 * np.exp(-(((np.abs(lat) - 50) / 14) ** 2))
    westerly = np.where(np.abs(lat) > 27, -1.0, 1.0)  # the wind comes from the west outside the tropics
    upwind = np.mean(
        [
            terrain(seed, lat, (lon + westerly * km / (111.2 * np.cos(np.deg2rad(lat))) + 180) % 360 - 180)
            for km in (40, 80, 140)
        ],
        axis=0,
    )
    lifting = np.clip((height - upwind) / 1000, -1.6, 1.6)
    return np.clip(zonal * np.exp(0.4 * moisture + 0.45 * lifting) * (1.25 - 0.6 * far), 25, 6000)


def _rain_season(lat: Array, far: Array) -> Array:
    """Winter rain near coasts around 37 degrees, summer rain in the tropics and far inland."""
    winter = np.exp(-(((np.abs(lat) - 37) / 8) ** 2)) * (1 - far) * 1.5
    return np.clip(0.55 - 1.4 * np.clip(winter, 0, 1), -0.85, 0.7)
