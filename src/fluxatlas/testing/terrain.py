"""Terrain of the synthetic Earth: mountain belts, hills and coastal lowlands under the real coastline."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .land import inland, is_land
from .waves import Waves

Array = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=8)
def _fields(seed: int) -> dict[str, Waves]:
    return {
        "base": Waves(seed, "terrain.base", [(900, 1.0)]),
        "belt": Waves(seed, "terrain.belt", [(260, 1.0)]),
        "ridge": Waves(seed, "terrain.ridge", [(55, 1.0)]),
        "rough": Waves(seed, "terrain.rough", [(20, 0.62), (8, 0.26), (3.5, 0.12)], count=90),
    }


def _ramp(values: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    x = np.clip((values - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def elevation(seed: int, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Array:
    """Altitude [m] of points in degrees, shape (cell,); 0 on sea, at least 1 on land."""
    lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
    land = is_land(lat, lon)
    height = np.zeros(lat.size)
    if land.any():
        height[land] = np.maximum(_land_height(seed, lat[land], lon[land]), 1.0)
    return height


def _land_height(seed: int, lat: Array, lon: Array) -> Array:
    field = {name: waves.at(lat, lon) for name, waves in _fields(seed).items()}
    belt = _ramp(field["belt"], -0.3, 1.5)
    ridge = 1 - np.abs(field["ridge"])
    plain = 70 + 380 * _ramp(field["base"], -1.5, 2.0) + 60 * (0.3 + belt) * field["rough"]
    mountains = belt * (1300 + 900 * ridge + 420 * field["rough"])
    from_sea = 0.06 + 0.94 * _ramp(inland(lat, lon, 0.75), 0.0, 0.55)
    return from_sea * (plain + mountains)
