"""The synthetic Earth: one object from which everything about the made-up world can be asked.

>>> earth = SyntheticEarth(SyntheticEarthBlock(seed=1))  # doctest: +SKIP
>>> earth.weather_daily([38.5], [-121.5], dates=pd.date_range("2000-01-01", "2000-12-31"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.synthetic_earth import SyntheticEarthBlock
from ..errors import InputError
from . import surface, terrain, weather
from .climate import Climate, climate

Array = npt.NDArray[np.floating[Any]]


class SyntheticEarth:
    """A world made from a seed. The value at a point and time depends on the seed, the point and the time alone."""

    def __init__(self, settings: SyntheticEarthBlock | None = None) -> None:
        self.settings = settings or SyntheticEarthBlock()
        self.seed = self.settings.seed

    def elevation(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Array:
        """Altitude [m] at points in degrees, shape (cell,); 0 on sea."""
        return terrain.elevation(self.seed, lat, lon)

    def climate(self, lat: npt.ArrayLike, lon: npt.ArrayLike, elevation: npt.ArrayLike | None = None) -> Climate:
        """Climatology at points; ``elevation`` [m] defaults to the terrain."""
        return climate(self.seed, lat, lon, elevation)

    def soils(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> dict[str, Array]:
        """Soil properties at points in the units of the variable table, each of shape (cell,); NaN over sea."""
        return surface.soils(self.seed, self.climate(lat, lon))

    def land_cover(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Land-cover class at points, shape (cell,); see :data:`fluxatlas.testing.surface.LEGEND`."""
        place = self.climate(lat, lon)
        return surface.land_cover(self.seed, place.lat, place.lon, place)

    def weather_hourly(
        self, lat: npt.ArrayLike, lon: npt.ArrayLike, elevation: npt.ArrayLike | None = None, *, dates: pd.DatetimeIndex
    ) -> dict[str, Array]:
        """Hourly weather for the UTC days ``dates``: :data:`weather.HOURLY` -> (24 * day, cell) float32."""
        return weather.hourly(self.seed, self.climate(lat, lon, elevation), _consecutive(dates))

    def weather_daily(
        self, lat: npt.ArrayLike, lon: npt.ArrayLike, elevation: npt.ArrayLike | None = None, *, dates: pd.DatetimeIndex
    ) -> dict[str, Array]:
        """Daily weather for the UTC days ``dates``: :data:`weather.DAILY` -> (day, cell) float32, canonical units.

        Equal to what :meth:`weather_hourly` gives after averaging; raises :class:`InputError` for days with gaps.
        """
        return weather.daily(self.seed, self.climate(lat, lon, elevation), _consecutive(dates))


def _consecutive(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    whole = pd.DatetimeIndex(dates)
    if len(whole) == 0 or not (whole == whole.normalize()).all() or (np.diff(whole.asi8) <= 0).any():
        raise InputError("the dates are not increasing whole days", hint="use pandas.date_range(first, last)")
    if len(whole) != (whole[-1] - whole[0]).days + 1:
        raise InputError("the dates have gaps", hint="ask for consecutive days and select afterwards")
    return whole
