"""The real land mask of the synthetic Earth and what follows from it: land shares and distance from the sea.

The mask is the one of the package ``global-land-mask`` (1/120 degree). It is read from the package's data file in
slices and kept as bits: 117 MB of memory instead of the 933 MB of ``global_land_mask.globe``.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from ..errors import InputError

PER_DEGREE = 120
_ROWS, _COLUMNS = 180 * PER_DEGREE, 360 * PER_DEGREE
_BAND = 60

Array = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=1)
def _sea_bits() -> npt.NDArray[np.uint8]:
    """The mask (1 = sea) as packed bits, shape (rows north to south, columns west to east / 8)."""
    spec = find_spec("global_land_mask")
    if spec is None or spec.origin is None:
        raise InputError("the package global-land-mask is not installed", hint="pip install global-land-mask")
    archive = Path(spec.origin).parent / "globe_combined_mask_compressed.npz"
    bits = np.empty((_ROWS, _COLUMNS // 8), np.uint8)
    with zipfile.ZipFile(archive) as packed, packed.open("mask.npy") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
        if shape != (_ROWS, _COLUMNS):
            raise InputError(f"the land mask has shape {shape}", where=str(archive), hint="use global-land-mask 1.x")
        for row in range(0, _ROWS, _BAND):
            band = np.frombuffer(stream.read(_BAND * _COLUMNS), np.uint8).reshape(_BAND, _COLUMNS)
            bits[row : row + _BAND] = np.packbits(band, axis=1)
    return bits


def is_land(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each point in degrees lies on land (lakes count as land, as in the package)."""
    row = np.clip(np.floor((90 - np.asarray(lat, float)) * PER_DEGREE).astype(np.int64), 0, _ROWS - 1)
    column = np.floor((np.asarray(lon, float) + 180) * PER_DEGREE).astype(np.int64) % _COLUMNS
    byte = _sea_bits()[row, column // 8]
    return ((byte >> (7 - column % 8)) & 1) == 0


@lru_cache(maxsize=1)
def _half_degree() -> Array:
    """Land share of 0.5 degree cells, shape (360, 720)."""
    sample = np.arange(5, _COLUMNS, 12)
    sea = np.unpackbits(_sea_bits()[5::12], axis=1)[:, sample]
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
