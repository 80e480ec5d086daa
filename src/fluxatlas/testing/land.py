"""Real land in the synthetic Earth: land shares and distance from the sea, from the shared land mask."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from ..land_mask import COLUMNS, is_land, land_mask

__all__ = ["inland", "is_land"]

Array = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=1)
def _half_degree() -> Array:
    """Land share of 0.5 degree cells, shape (360, 720)."""
    sample = np.arange(5, COLUMNS, 12)
    sea = np.unpackbits(land_mask().sea()[5::12], axis=1)[:, sample]
    return 1.0 - sea.reshape(360, 5, 720, 5).mean(axis=(1, 3))


@lru_cache(maxsize=4)
def _smoothed(sigma: float) -> Array:
    return gaussian_filter(_half_degree(), sigma / 0.5, mode=("nearest", "wrap"))


def inland(lat: npt.ArrayLike, lon: npt.ArrayLike, sigma: float) -> Array:
    """How far a point is from the sea: 0 at a straight coast or on sea, towards 1 inland.

    The land share smoothed over ``sigma`` degrees, rescaled; shape (cell,).
    """
    rows, columns = (90 - np.asarray(lat, float)) / 0.5 - 0.5, (np.asarray(lon, float) + 180) / 0.5 - 0.5
    field = np.pad(_smoothed(sigma), ((0, 0), (1, 1)), mode="wrap")
    share = map_coordinates(field, np.stack([rows, columns + 1]), order=1, mode="nearest")
    return np.clip(2 * share - 1, 0, 1)
