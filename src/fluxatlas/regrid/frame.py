"""The target cells of one piece of work: a tile, with a margin where neighbours matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..grid import Grid, Tile

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """Cells of a grid: centres ``lat`` (north to south), ``lon`` (west to east) and the cell size ``step`` [degrees].

    Longitudes of a margin count on beyond ±180. ``inner`` are the rows and columns of the tile without its margin.
    """

    lat: Array
    lon: Array
    step: float
    inner: tuple[slice, slice]

    @classmethod
    def around(cls, tile: Tile, margin: int = 0) -> Frame:
        """The cells of ``tile`` and ``margin`` cells around it; the poles cut the margin off."""
        n, (rows, _) = tile.grid.per_degree, tile.grid.shape
        first, last = max(tile.rows.start - margin, 0), min(tile.rows.stop + margin, rows)
        lat = 90.0 - (np.arange(first, last) + 0.5) / n
        lon = -180.0 + (np.arange(tile.columns.start - margin, tile.columns.stop + margin) + 0.5) / n
        top = tile.rows.start - first
        inner = slice(top, top + tile.shape[0]), slice(margin, margin + tile.shape[1])
        return cls(lat, lon, tile.grid.resolution, inner)

    @classmethod
    def of_cell(cls, grid: Grid, lat: float, lon: float, margin: int) -> Frame:
        """The cell of ``grid`` that holds a place, with ``margin`` cells around it."""
        n, (row, column) = grid.per_degree, grid.index(lat, lon)
        first, last = max(row - margin, 0), min(row + margin + 1, grid.shape[0])
        lats = 90.0 - (np.arange(first, last) + 0.5) / n
        lons = -180.0 + (np.arange(column - margin, column + margin + 1) + 0.5) / n
        inner = slice(row - first, row - first + 1), slice(margin, margin + 1)
        return cls(lats, lons, grid.resolution, inner)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.lat), len(self.lon)

    def crop(self, values: Array) -> Array:
        """``values`` (..., rows, columns) of the frame without its margin."""
        return values[(..., *self.inner)]
