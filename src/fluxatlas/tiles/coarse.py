"""Layers of many tiles on blocks of cells, a tile at a time: for pictures of domains too wide to draw every cell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .mosaic import Mosaic, TileResult

Field = Callable[[TileResult], npt.NDArray[np.float64]]
"""A layer (lat, lon) of a tile, NaN where missing."""


def means(mosaic: Mosaic, step: int, field: Field) -> npt.NDArray[np.float64]:
    """Means of ``field`` over blocks of ``step`` x ``step`` cells of the box, without the missing ones.

    NaN where a block has none. Blocks begin at the north-western corner; what does not fill one is cut off, as in
    :func:`fluxatlas.style.coarsen`. Only one tile is in memory as cells.
    """
    shape = mosaic.shape[0] // step, mosaic.shape[1] // step
    total, count = np.zeros(shape), np.zeros(shape, np.int64)
    for piece in mosaic.pieces:
        shared = mosaic.overlap(piece)
        if shared:
            (rows, columns), there = shared
            values = field(piece)[there]
            known = np.isfinite(values)
            place, starts = zip(*(_blocks(axis, step) for axis in (rows, columns)), strict=True)
            for whole, part in ((total, np.where(known, values, 0.0)), (count, known.astype(np.int64))):
                sums = np.add.reduceat(np.add.reduceat(part, starts[0], axis=0), starts[1], axis=1)
                inside = whole[place]  # cut at the last whole block
                inside += sums[: inside.shape[0], : inside.shape[1]]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def firsts(mosaic: Mosaic, step: int, field: Field) -> npt.NDArray[np.float64]:
    """``field`` at the north-western cell of each block of :func:`means`: for classes, which have no mean."""
    shape = mosaic.shape[0] // step, mosaic.shape[1] // step
    found = np.full(shape, np.nan)
    for piece in mosaic.pieces:
        shared = mosaic.overlap(piece)
        if shared:
            (rows, columns), there = shared
            offset = -rows.start % step, -columns.start % step
            values = field(piece)[there][offset[0] :: step, offset[1] :: step]
            first = -(-rows.start // step), -(-columns.start // step)
            inside = found[first[0] : first[0] + values.shape[0], first[1] : first[1] + values.shape[1]]
            inside[:] = values[: inside.shape[0], : inside.shape[1]]
    return found


def _blocks(cells: slice, step: int) -> tuple[slice, npt.NDArray[np.intp]]:
    """The blocks that ``cells`` of the box touch, and the places among ``cells`` at which each begins."""
    block = np.arange(cells.start, cells.stop) // step
    return slice(int(block[0]), int(block[-1]) + 1), np.flatnonzero(np.diff(block, prepend=-1))
