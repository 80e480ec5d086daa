"""The synthetic Earth: one object from which everything about the made-up world can be asked.

Weather at points is made by :mod:`fluxatlas.testing.weather` of its seed and climate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.synthetic_earth import SyntheticEarthBlock
from . import surface, terrain
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
