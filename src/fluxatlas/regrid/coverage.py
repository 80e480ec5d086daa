"""The exact share of each cell of a grid that a polygon covers.

Edges of polygons are straight lines in longitude and latitude (RFC 7946, section 3.1.1 [V]). By Green's theorem the
area of a polygon on the sphere is the sum over its edges of the integral of longitude over d sin(latitude). Each edge
is cut at the lines of the grid; its piece in a cell adds the area between the edge and the cell's eastern side, and the
height of the piece counts for all cells further east in that row. No polygon is clipped, nothing is sampled: shares are
exact to round-off, whatever the size of cells and polygons [D].
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import shapely

Array = npt.NDArray[np.float64]

ROUND_OFF = 1e-9
"""Shares nearer than this to 0 or 1 are 0 or 1."""


def coverage(shape: Any, lat_edges: Array, lon_edges: Array) -> Array:
    """Share [0-1] of each cell covered by a valid polygon or multipolygon, (rows, columns), by area on the sphere.

    ``lat_edges`` (rows + 1) either way, ``lon_edges`` (columns + 1) ascending, degrees; ``shape`` in the same range of
    longitudes as the grid (a copy 360 degrees away is not seen).
    """
    flipped = lat_edges[0] > lat_edges[-1]
    south_to_north = np.ascontiguousarray(np.deg2rad(lat_edges[::-1] if flipped else lat_edges))
    columns = np.ascontiguousarray(lon_edges, dtype=np.float64)
    partial = np.zeros((len(lat_edges) - 1, len(lon_edges) - 1))
    height = np.zeros((len(lat_edges) - 1, len(lon_edges)))
    for polygon in shapely.get_parts(shape):
        rings = shapely.get_rings(polygon)
        for ring, is_counterclockwise, is_outer in zip(
            rings, shapely.is_ccw(rings), np.arange(len(rings)) == 0, strict=True
        ):
            lon, lat = shapely.get_coordinates(ring).T
            sign = 1.0 if is_counterclockwise == is_outer else -1.0
            _add_ring(np.ascontiguousarray(lon), np.deg2rad(lat), sign, columns, south_to_north, partial, height)
    width, band = np.diff(columns), np.diff(np.sin(south_to_north))
    share = (partial + np.cumsum(height, axis=1)[:, :-1] * width) / (width * band[:, None])
    share[np.abs(share) < ROUND_OFF] = 0.0
    share[np.abs(share - 1.0) < ROUND_OFF] = 1.0
    return share[::-1] if flipped else share


@numba.njit(cache=True, nogil=True)
def _add_ring(lon: Any, lat: Any, sign: float, columns: Any, rows: Any, partial: Any, height: Any) -> None:
    """Add the edges of one ring; ``lat`` and ``rows`` in radians, ``lon`` and ``columns`` in degrees, ascending."""
    for k in range(len(lon) - 1):
        x0, y0, x1, y1 = lon[k], lat[k], lon[k + 1], lat[k + 1]
        way = -sign
        if y0 > y1:
            x0, y0, x1, y1, way = x1, y1, x0, y0, sign
        if y0 == y1 or y1 <= rows[0] or y0 >= rows[-1]:
            continue
        slope = (x1 - x0) / (y1 - y0)
        i = max(np.searchsorted(rows, y0, side="right") - 1, 0)
        while i < len(rows) - 1 and rows[i] < y1:
            low, high = max(y0, rows[i]), min(y1, rows[i + 1])
            if high > low:
                xa = x0 if low == y0 else x0 + slope * (low - y0)
                xb = x1 if high == y1 else x0 + slope * (high - y0)
                _add_in_row(xa, low, xb, high, way, columns, partial[i], height[i])
            i += 1


@numba.njit(cache=True, nogil=True)
def _add_in_row(
    xa: float, ya: float, xb: float, yb: float, way: float, columns: Any, partial: Any, height: Any
) -> None:
    """Add a piece of an edge that lies in one row and goes north, ``way`` -1 (interior west of it) or 1."""
    n = len(columns) - 1
    step = 1 if xb >= xa else -1
    x, y = xa, ya
    while True:
        j = _column(columns, x, step)
        if (step > 0 and j >= n) or (step < 0 and j < 0):  # nothing more to come inside
            x_end, y_end = xb, yb
        else:
            bound = columns[0] if j < 0 else (columns[n] if j >= n else columns[j + 1 if step > 0 else j])
            beyond = (xb > bound) if step > 0 else (xb < bound)
            x_end = bound if beyond else xb
            y_end = min(max(ya + (bound - xa) * (yb - ya) / (xb - xa), y), yb) if beyond else yb
        rise = 2.0 * np.cos(0.5 * (y + y_end)) * np.sin(0.5 * (y_end - y))
        if j < 0:
            height[0] += way * rise
        elif j < n:
            partial[j] -= way * _west_of(columns[j + 1], x, y, x_end, y_end, rise)
            height[j + 1] += way * rise
        if x_end == xb:
            return
        x, y = x_end, y_end


@numba.njit(cache=True, nogil=True)
def _column(columns: Any, x: float, step: int) -> int:
    """Column of ``x`` for a line that goes east (1) or west (-1); -1 or n where it lies outside."""
    if step > 0:
        return int(np.searchsorted(columns, x, side="right")) - 1
    return int(np.searchsorted(columns, x, side="left")) - 1


@numba.njit(cache=True, nogil=True)
def _west_of(east: float, xa: float, ya: float, xb: float, yb: float, rise: float) -> float:
    """Integral of (x - ``east``) over d sin(y) along a straight line from (xa, ya) to (xb, yb); ``rise`` of sin(y)."""
    h = 0.5 * (yb - ya)
    bend = -h * h / 3.0 + h**4 / 30.0 if h < 1e-2 else np.cos(h) - np.sin(h) / h
    return (0.5 * (xa + xb) - east) * rise + (xb - xa) * np.sin(0.5 * (ya + yb)) * bend
