"""Land and sea at 1/120 degree: the mask of the package ``global-land-mask``, read in a small-memory way.

The package's own module unpacks the whole mask on import: 933 MB and several seconds. Here its data file is unpacked
from the north down to the southernmost row that was asked for, and kept as bits: 117 MB for the globe, a third of that
and of the time for the latitudes of the Mediterranean.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from .errors import InputError

PER_DEGREE = 120
ROWS, COLUMNS = 180 * PER_DEGREE, 360 * PER_DEGREE
_BAND = 60
"""Rows unpacked at a time."""


class LandMask:
    """The mask as bits (1 = sea), shape (rows north to south, columns west to east / 8), unpacked as far as needed.

    Raises :class:`InputError` where the package is not installed or its file has another shape.
    """

    def __init__(self) -> None:
        spec = find_spec("global_land_mask")
        if spec is None or spec.origin is None:
            raise InputError("the package global-land-mask is not installed", hint="pip install global-land-mask")
        archive = Path(spec.origin).parent / "globe_combined_mask_compressed.npz"
        self._stream = zipfile.ZipFile(archive).open("mask.npy")  # noqa: SIM115 - read on as needed
        np.lib.format.read_magic(self._stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(self._stream)
        if shape != (ROWS, COLUMNS):
            raise InputError(f"the land mask has shape {shape}", where=str(archive), hint="use global-land-mask 1.x")
        self._bits = np.empty((ROWS, COLUMNS // 8), np.uint8)
        self._known, self._lock = 0, Lock()

    def sea(self, rows: int = ROWS) -> npt.NDArray[np.uint8]:
        """The bits, of which at least the first ``rows`` rows are unpacked."""
        with self._lock:
            while self._known < rows:
                band = np.frombuffer(self._stream.read(_BAND * COLUMNS), np.uint8).reshape(_BAND, COLUMNS)
                self._bits[self._known : self._known + _BAND] = np.packbits(band, axis=1)
                self._known += _BAND
        return self._bits


@lru_cache(maxsize=1)
def land_mask() -> LandMask:
    """The one mask of this process."""
    return LandMask()


def is_land(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each point in degrees lies on land (lakes count as land, as in the package).

    ``lat`` and ``lon`` broadcast; longitudes may count on beyond ±180; a point on an edge belongs to the cell south
    or east. Raises what :class:`LandMask` does.
    """
    row = np.clip(np.floor((90 - np.asarray(lat, float)) * PER_DEGREE).astype(np.int64), 0, ROWS - 1)
    column = np.floor((np.asarray(lon, float) + 180) * PER_DEGREE).astype(np.int64) % COLUMNS
    bits = land_mask().sea(int(row.max(initial=-1)) + 1)
    return ((bits[row, column // 8] >> (7 - column % 8)) & 1) == 0
