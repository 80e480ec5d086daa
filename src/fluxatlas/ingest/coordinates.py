"""The regular latitude-longitude grid of a source, and windows of it in canonical order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BBox = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

TOLERANCE = 0.01
"""Largest accepted deviation of a coordinate from regular spacing, in cells."""


def regular_axis(values: npt.ArrayLike, axis: str, where: str) -> FloatArray:
    """``values`` cleaned of round-off, in file order; a jump of 360 degrees in longitude is undone.

    Raises :class:`InputError` for fewer than two values, NaN, a latitude beyond the poles or irregular spacing.
    """
    hint = "regrid the files to a regular latitude-longitude grid first"
    try:
        given = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{axis} is not a series of numbers", where=where, hint=hint) from None
    if given.ndim != 1 or given.size < 2 or not np.isfinite(given).all():
        raise InputError(f"{axis} is not a series of at least two numbers", where=where, hint=hint)
    if axis == "lat" and np.abs(given).max() > 90 + 1e-6:
        raise InputError(f"latitude {given[np.abs(given).argmax()]:g} lies beyond the pole", where=where, hint=hint)
    if axis == "lon":
        given = np.unwrap(given, period=360.0)
    step = (given[-1] - given[0]) / (given.size - 1)
    even = np.linspace(given[0], given[-1], given.size)
    off = np.abs(given - even)
    if step == 0 or off.max() > TOLERANCE * abs(step):
        worst = int(off.argmax())
        raise InputError(
            f"{axis} is not evenly spaced: {given[worst]:g} should be {even[worst]:g}", where=where, hint=hint
        )
    return np.asarray(np.round(even, 6), np.float64)


@dataclass(frozen=True, eq=False)
class SourceGrid:
    """Cell centres of a source in the order of its files; ``lat`` (rows) and ``lon`` (columns) in degrees."""

    lat: FloatArray
    lon: FloatArray

    def positions(self, other: SourceGrid) -> tuple[IntArray, IntArray] | None:
        """Rows and columns at which ``other`` has the cells of this grid, to within a hundredth of a cell.

        Either may run in the other direction, and longitudes may be those of another turn; ``None`` where the cells
        are not the same.
        """
        rows, columns = _places(self.lat, other.lat), _places(self.lon, other.lon)
        columns = _places(self.lon, other.lon, 360.0) if columns is None else columns
        return None if rows is None or columns is None else (rows, columns)

    @property
    def text(self) -> str:
        """Shape and extent for a message."""
        return (
            f"{self.lat.size} x {self.lon.size} cells, {self.lat[0]:g} to {self.lat[-1]:g} N and {self.lon[0]:g} to "
            f"{self.lon[-1]:g} E"
        )

    @property
    def cell(self) -> tuple[float, float]:
        """Height and width of a cell in degrees."""
        return abs(float(self.lat[1] - self.lat[0])), abs(float(self.lon[1] - self.lon[0]))

    def window(self, bbox: BBox, margin: int = 0) -> GridWindow:
        """The cells that overlap ``bbox``, and ``margin`` more on each side where the source has them.

        Longitudes count on beyond 180 degrees where the box does, so that they always increase.
        Raises :class:`InputError` if no cell overlaps the box.
        """
        west, south, east, north = bbox
        height, width = self.cell
        rows = np.flatnonzero(_overlap(self.lat, height, south, north, margin))
        rows = rows[np.argsort(-self.lat[rows])]
        unwrapped = self.lon[None, :] + 360.0 * np.arange(-2, 3)[:, None]
        turn, columns = np.nonzero(_overlap(unwrapped, width, west, east, margin))
        lon = unwrapped[turn, columns]
        order = np.argsort(lon)
        order = order[np.append(True, np.diff(lon[order]) > 0.5 * width)] if lon.size else order
        window = GridWindow(rows, columns[order], self.lat[rows], np.round(lon[order], 6), self.cell)
        if 0 in window.shape or 0 in window.part(bbox, 0).shape:
            raise InputError(
                f"the source covers {self.lat.min():g}..{self.lat.max():g} N, {self.lon.min():g}..{self.lon.max():g} E "
                f"and not the box {west:g}..{east:g} E, {south:g}..{north:g} N",
                hint="choose a domain inside the source",
            )
        return window


def _places(wanted: FloatArray, held: FloatArray, period: float = 0.0) -> IntArray | None:
    """Positions in the even axis ``held`` of the values ``wanted``, all of them, or ``None``."""
    step = held[1] - held[0]
    away = wanted - held[0]
    if period:
        away = np.mod(away * np.sign(step) + 0.5 * abs(step), period) * np.sign(step) - 0.5 * step
    place = np.rint(away / step).astype(np.int64)
    fits = np.abs(away - place * step) <= TOLERANCE * abs(step)
    if wanted.size != held.size or not fits.all() or not np.array_equal(np.sort(place), np.arange(held.size)):
        return None
    return place


def _overlap(centres: FloatArray, size: float, low: float, high: float, margin: int) -> npt.NDArray[np.bool_]:
    """Whether cells of ``size`` around ``centres`` overlap low..high, or are within ``margin`` cells of it."""
    reach = (0.5 + margin) * size - 1e-6
    return (centres > low - reach) & (centres < high + reach)


@dataclass(frozen=True, eq=False)
class GridWindow:
    """A block of a source grid, north to south and west to east.

    ``rows`` and ``columns`` are positions in the file, ``lat`` and ``lon`` the cell centres and ``cell`` the height and
    width of a cell in degrees.
    """

    rows: IntArray
    columns: IntArray
    lat: FloatArray
    lon: FloatArray
    cell: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.size, self.columns.size

    @cached_property
    def _runs(self) -> list[IntArray]:
        return np.split(self.columns, np.flatnonzero(np.abs(np.diff(self.columns)) > 1) + 1)

    def read(
        self,
        read: Callable[[slice, slice], npt.NDArray[Any]],
        into: npt.NDArray[Any] | None = None,
        put: Callable[[npt.NDArray[Any], npt.NDArray[Any]], None] = np.copyto,
    ) -> npt.NDArray[Any]:
        """The window of an array (..., lat, lon) of which ``read(rows, columns)`` returns a block.

        It is written to ``into`` by ``put`` if that is given and has the shape of the result.
        """
        rows = _hull(self.rows)
        if len(self._runs) > 1 and np.ptp(self.columns) < 2 * self.columns.size:  # across the seam: read once, then cut
            columns = _hull(self.columns)
            block = read(rows, columns)
            parts = [block[..., _steps(run - columns.start)] for run in self._runs]
        else:
            parts = [read(rows, _hull(run))[..., _steps(run - run.min())] for run in self._runs]
        parts = [part[..., _steps(self.rows - rows.start), :] for part in parts]
        if into is None or into.shape != (*parts[0].shape[:-1], self.columns.size):
            return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        edges = np.cumsum([0, *(part.shape[-1] for part in parts)])
        for first, last, part in zip(edges[:-1], edges[1:], parts, strict=True):
            put(into[..., first:last], part)
        return into

    def slices(self, bbox: BBox, margin: int) -> tuple[slice, slice]:
        """Rows and columns of this window that overlap ``bbox`` plus ``margin`` cells; empty slices if none do."""
        west, south, east, north = bbox
        rows = np.flatnonzero(_overlap(self.lat, self.cell[0], south, north, margin))
        columns = np.flatnonzero(_overlap(self.lon, self.cell[1], west, east, margin))
        return _span(rows), _span(columns)

    def part(self, bbox: BBox, margin: int) -> GridWindow:
        """The cells of this window that overlap ``bbox`` plus ``margin`` cells on each side."""
        rows, columns = self.slices(bbox, margin)
        return GridWindow(self.rows[rows], self.columns[columns], self.lat[rows], self.lon[columns], self.cell)


def _hull(index: IntArray) -> slice:
    return slice(int(index.min()), int(index.max()) + 1)


def _steps(index: IntArray) -> slice | IntArray:
    """``index`` as a slice, which copies nothing, where it counts up or down by one."""
    if index.size > 1 and (np.diff(index) == -1).all():
        return slice(int(index[0]), int(index[-1]) - 1 if index[-1] else None, -1)
    return slice(int(index[0]), int(index[-1]) + 1) if (np.diff(index) == 1).all() else index


def _span(index: IntArray) -> slice:
    return slice(int(index[0]), int(index[-1]) + 1) if index.size else slice(0, 0)


def surrounding(boxes: Sequence[BBox]) -> BBox:
    """The smallest box around ``boxes``."""
    west, south, east, north = zip(*boxes, strict=True)
    return float(min(west)), float(min(south)), float(max(east)), float(max(north))
