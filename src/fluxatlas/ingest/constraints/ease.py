"""The global EASE-Grid 2.0: a cylindrical equal-area grid on WGS84, whose rows and columns are parallels and meridians.

Therefore regridding to latitude and longitude is separable and exact. Edges of the grids: Brodzik et al. (2012, 2014),
doi:10.3390/ijgi1010032, doi:10.3390/ijgi3031154 [V: NSIDC's grid parameter definitions].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Array = npt.NDArray[np.float64]

HALF_WIDTH = 17_367_530.4451615
"""Distance [m] from the prime to the 180th meridian on the map."""
GRIDS = {
    "36 km": (406, 964),
    "25 km": (584, 1388),
    "9 km": (1624, 3856),
    "3 km": (4872, 11568),
    "1 km": (14616, 34704),
}
"""Rows and columns of the global grids."""
NEAR = 0.1
"""Largest deviation of a coordinate from the centre of its cell, in cells (files hold single precision)."""


@dataclass(frozen=True, eq=False)
class EaseWindow:
    """A block of a global EASE-Grid: edges of its rows (north to south) and columns (west to east) in degrees."""

    name: str
    lat_edges: Array
    lon_edges: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.lat_edges.size - 1, self.lon_edges.size - 1


@cache
def edges(name: str) -> tuple[Array, Array]:
    """Edges [degrees] of the rows, north to south, and of the columns, west to east, of the grid called ``name``."""
    import pyproj

    rows, columns = GRIDS[name]
    size = 2 * HALF_WIDTH / columns
    to_degrees = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    y = (0.5 * rows - np.arange(rows + 1)) * size
    _, lat = to_degrees.transform(np.zeros(rows + 1), y)
    return np.asarray(lat), np.linspace(-180.0, 180.0, columns + 1)


def window_of(lat: Array, lon: Array, path: Path) -> EaseWindow:
    """The block of a grid whose cells have the centres ``lat`` and ``lon`` (row, column), NaN where a file has none.

    Raises :class:`InputError` where the centres lie on none of the grids.
    """
    for name, (rows, columns) in GRIDS.items():
        row_edges, column_edges = edges(name)
        first_row = _first(lat, row_edges, 0) if lat.shape[0] <= rows else None
        first_column = _first(lon, column_edges, 1) if lat.shape[1] <= columns else None
        if first_row is None or first_column is None:
            continue
        if (
            first_row < 0
            or first_column < 0
            or first_row + lat.shape[0] > rows
            or first_column + lat.shape[1] > columns
        ):
            continue
        return EaseWindow(
            name,
            row_edges[first_row : first_row + lat.shape[0] + 1],
            column_edges[first_column : first_column + lat.shape[1] + 1],
        )
    raise InputError(
        f"its {lat.shape[0]} x {lat.shape[1]} coordinates are those of no global EASE-Grid 2.0 ({', '.join(GRIDS)})",
        where=str(path),
        hint="give the provider's global files (not the polar grids), or regrid to latitude and longitude first",
    )


def window_by_shape(shape: tuple[int, int], path: Path) -> EaseWindow:
    """The whole grid of ``shape``, for files without coordinates; raises :class:`InputError` for another shape."""
    name = next((n for n, size in GRIDS.items() if size == shape), None)
    if name is None:
        raise InputError(
            f"the file has no coordinates and {shape[0]} x {shape[1]} cells, which is not a global EASE-Grid 2.0",
            where=str(path),
            hint="give the provider's global files",
        )
    return EaseWindow(name, *edges(name))


def degrees(x: Array, y: Array) -> tuple[Array, Array]:
    """Latitude and longitude of map coordinates [m] of the projection, as (row, column) arrays."""
    import pyproj

    to_degrees = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*np.meshgrid(x, y))
    return np.asarray(lat), np.asarray(lon)


def _first(centres: Array, border: Array, axis: int) -> int | None:
    """Number of the first row or column, if all ``centres`` lie in the middle of the cells that follow one another."""
    known = np.isfinite(centres)
    if not known.any():
        return None
    place = np.interp(centres[known], *_ascending(border))
    middle = 0.5 * (border[:-1] + border[1:])
    offset = place - np.nonzero(known)[axis]
    first = round(float(np.median(offset)) - 0.5)
    number = np.nonzero(known)[axis] + first
    if number.min() < 0 or number.max() >= middle.size:
        return None
    width = np.abs(np.diff(border))[number]
    return first if np.all(np.abs(centres[known] - middle[number]) <= NEAR * width) else None


def _ascending(border: Array) -> tuple[Array, Array]:
    numbers = np.arange(border.size, dtype=np.float64)
    return (border, numbers) if border[0] < border[-1] else (border[::-1], numbers[::-1])
