"""What a file of a static layer is to the readers: cell centres, and windows of raw values around the target.

Only the window around the target is read, in strips of target rows, so that memory does not grow with the size of the
file. Longitudes may run in -180..180 or 0..360; a global file is read across its own edge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import GridError
from ..weights import regular
from .frame import Frame

Array = npt.NDArray[Any]
VALUES_AT_ONCE = 4_000_000
"""Source values in memory at a time (a strip has at least two rows of target cells)."""
HALO = 2
"""Source cells read around a window, for interpolation."""
PLACES, SIDE = 8, 32
"""A sample of a file: so many windows along each axis, of so many cells."""


class LayerSource(ABC):
    """An open file: its cell centres ``lat`` (either direction) and ``lon`` (ascending), and windows of raw values.

    ``nodata`` is the code of missing values, None where they are NaN already. ``units`` and ``packing`` (factor and
    offset of the raw values) are what the file states.
    """

    path: str
    units: str = ""
    packing: tuple[float, float] = (1.0, 0.0)
    lat: Array
    lon: Array
    bands: int
    nodata: float | None

    @abstractmethod
    def read(self, rows: slice, columns: npt.NDArray[np.int64]) -> Array:
        """Raw values (bands, ny, nx); ``columns`` are positions, contiguous but for the jump across the file's edge."""

    def windows(self, frame: Frame) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Strips of ``frame`` with what the file holds around them: target rows, raw values, latitudes, longitudes.

        Strips that the file does not reach are left out.
        """
        half = 0.5 * frame.step
        columns, lon = _columns(self.lon, frame.lon[0] - half, frame.lon[-1] + half)
        if len(columns) < 2:
            return
        per_row = max(1.0, frame.step / abs(self.lat[1] - self.lat[0])) * len(columns) * self.bands
        strips = int(np.clip(np.ceil(len(frame.lat) * per_row / VALUES_AT_ONCE), 1, len(frame.lat) // 2))
        cuts = np.linspace(0, len(frame.lat), strips + 1).astype(int).tolist()
        for strip in (slice(top, bottom) for top, bottom in pairwise(cuts)):
            rows = _rows(self.lat, frame.lat[strip].min() - half, frame.lat[strip].max() + half)
            if rows.stop - rows.start >= 2:
                yield strip, self.read(rows, columns), self.lat[rows], lon

    def sample(self) -> Array:
        """Raw values (n,) of windows spread over the whole file, all bands; the whole file where it is small."""
        rows, columns = (_spread(len(axis)) for axis in (self.lat, self.lon))
        return np.concatenate([self.read(row, np.arange(len(self.lon))[c]).ravel() for row in rows for c in columns])

    def _without_repeat(self, lon: Array) -> Array:
        """``lon`` without its last column where that is the first one again (-180 and 180, as gridline grids have)."""
        step = (lon[-1] - lon[0]) / (len(lon) - 1)
        return lon[:-1] if abs(lon[-1] - lon[0] - 360.0) < 0.01 * step else lon

    def inside(self, frame: Frame) -> bool:
        """Whether the whole file lies inside ``frame``."""
        half = 0.5 * frame.step
        rows = frame.lat.min() - half <= self.lat.min() and self.lat.max() <= frame.lat.max() + half
        return bool(rows and frame.lon[0] - half <= self.lon[0] and self.lon[-1] <= frame.lon[-1] + half)

    @property
    def extent(self) -> str:
        """Where the cell centres lie, to tell a person."""
        return f"{self.lat.min():g} to {self.lat.max():g} N, {self.lon[0]:g} to {self.lon[-1]:g} E"


def axis(centres: Array, name: str, path: str) -> Array:
    """Cell centres of a regular axis, freed from rounding noise (also that of single precision) and from one jump of
    360 degrees; raises :class:`GridError` that names the file."""
    values = np.asarray(centres, float)
    if values.ndim == 1 and len(values) > 2 and np.isfinite(values).all():
        steps = np.diff(values)
        if name == "lon" and (np.abs(steps) > 180).sum() == 1:
            values = np.rad2deg(np.unwrap(np.deg2rad(values)))
        line = np.linspace(values[0], values[-1], len(values))
        noise = 2.0 * float(np.spacing(np.float32(np.abs(values).max())))
        values = line if np.abs(values - line).max() <= noise and abs(steps.mean()) > 4 * noise else values
    try:
        return regular(values, name)
    except GridError as problem:
        raise GridError(problem.what, where=path, hint=problem.hint) from None


def _spread(n: int) -> list[slice]:
    """:data:`PLACES` slices of :data:`SIDE` spread over ``n`` cells, without overlap; fewer where they fill ``n``."""
    starts = np.linspace(0, max(n - SIDE, 0), min(PLACES, -(-n // SIDE))).astype(int).tolist()
    return [slice(start, min(start + SIDE, after)) for start, after in pairwise([*starts, n])]


def _rows(lat: Array, low: float, high: float) -> slice:
    """Rows of ``lat`` (either direction) between two latitudes with :data:`HALO`; empty where there are none."""
    half = 0.5 * abs(lat[1] - lat[0])
    inside = np.flatnonzero((lat > low - half) & (lat < high + half))
    if not len(inside):
        return slice(0, 0)
    return slice(max(int(inside[0]) - HALO, 0), min(int(inside[-1]) + 1 + HALO, len(lat)))


def _columns(lon: Array, low: float, high: float) -> tuple[npt.NDArray[np.int64], Array]:
    """Columns of the ascending ``lon`` between two longitudes with :data:`HALO`, and their unwrapped longitudes."""
    step, n = (lon[-1] - lon[0]) / (len(lon) - 1), len(lon)
    turn = 360.0 * np.round(
        (0.5 * (low + high) - 0.5 * (lon[0] + lon[-1])) / 360.0
    )  # the file's copy around the target
    first, last = (int(np.floor((edge - turn - lon[0]) / step + 0.5)) for edge in (low, high))
    column = np.arange(first - HALO, last + HALO + 1)
    if abs(n * step - 360.0) > 0.5 * step:  # not a whole circle of latitude
        column = column[(column >= 0) & (column < n)]
    return column % n, lon[0] + turn + column * step
