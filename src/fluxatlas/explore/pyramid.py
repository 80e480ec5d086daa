"""An array at every level of a pyramid, written block by block: no level is ever in memory as a whole.

Cells of the next level are four cells of this one: their mean by area, or their most common class. The sums go up from
the finest cells, so that a large cell is the mean of what lies in it and not a mean of means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .source import Lattice, StoreLayer

SIDE = 256
"""Edge of a block (and of a file of the store) in cells."""

Array = npt.NDArray[Any]


def shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of each level, from the finest to the first that is one block."""
    found = [shape]
    while max(found[-1]) > SIDE:
        found.append((-(-found[-1][0] // 2), -(-found[-1][1] // 2)))
    return found


def write(layer: StoreLayer, lattice: Lattice, arrays: Sequence[Any], times: slice) -> None:
    """Write ``times`` of ``layer`` to its ``arrays``, (time, lat, lon) or (lat, lon), finest first."""
    top = len(arrays) - 1
    rows, columns = arrays[top].shape[-2:]
    for row in range(-(-rows // SIDE)):
        for column in range(-(-columns // SIDE)):
            _block(layer, lattice, arrays, times, (top, row, column))


def _block(
    layer: StoreLayer, lattice: Lattice, arrays: Sequence[Any], times: slice, place: tuple[int, int, int]
) -> list[Array] | None:
    """Write a block and those below it; sums over cells of the next level, None where there is no value at all."""
    level, row, column = place
    array = arrays[level]
    rows, columns = (
        slice(SIDE * n, min(SIDE * (n + 1), size)) for n, size in zip((row, column), array.shape[-2:], strict=True)
    )
    raw: Array | None
    if level == 0:
        raw = layer.read(times, rows, columns)
        sums = _start(layer, raw, np.cos(np.deg2rad(lattice.centres()[0][rows])))
    else:
        children = {
            (i, j): _block(layer, lattice, arrays, times, (level - 1, 2 * row + i, 2 * column + j))
            for i in (0, 1)
            for j in (0, 1)
            if _exists(arrays[level - 1], 2 * row + i, 2 * column + j)
        }
        sums = _gather(children, (rows.stop - rows.start, columns.stop - columns.start))
        raw = None if sums is None else _finish(layer, sums)
    if sums is None or raw is None:
        return None
    if array.ndim == 3:
        array[times, rows, columns] = raw
    else:
        array[rows, columns] = raw[0]
    return [_halve(part) for part in sums]


def _exists(array: Any, row: int, column: int) -> bool:
    rows, columns = array.shape[-2:]
    return bool(SIDE * row < rows and SIDE * column < columns)


def _start(layer: StoreLayer, raw: Array, area: Array) -> list[Array] | None:
    """Sums of single cells: value by area and area; for classes the area of each."""
    missing = layer.missing(raw)
    if missing.all():
        return None
    weight = np.broadcast_to(area[:, None].astype(np.float32), raw.shape)
    if layer.classes:
        return [np.where(raw == value, weight, np.float32(0)) for value in layer.classes]
    weight = np.where(missing, np.float32(0), weight)
    return [np.where(missing, np.float32(0), raw.astype(np.float32)) * weight, weight]


def _finish(layer: StoreLayer, sums: Sequence[Array]) -> Array:
    """Values as they are stored, from sums."""
    if layer.classes:
        stacked = np.stack(sums)
        found = np.asarray(layer.classes)[stacked.argmax(axis=0)]
        return np.where(stacked.max(axis=0) > 0, found, layer.fill).astype(layer.dtype)
    total, weight = sums
    mean = total / np.where(weight > 0, weight, 1)
    if np.dtype(layer.dtype).kind in "iu":
        mean = np.rint(mean)
    return np.where(weight > 0, mean, layer.fill).astype(layer.dtype)


def _halve(cells: Array) -> Array:
    """Sums of four cells each; at an odd edge of two, or of one."""
    rows, columns = cells.shape[1:]
    even = np.pad(cells, ((0, 0), (0, rows % 2), (0, columns % 2)))
    halved: Array = even[:, 0::2, 0::2] + even[:, 1::2, 0::2] + even[:, 0::2, 1::2] + even[:, 1::2, 1::2]
    return halved


def _gather(children: dict[tuple[int, int], list[Array] | None], shape: tuple[int, int]) -> list[Array] | None:
    """The sums of up to four blocks side by side."""
    known = {place: sums for place, sums in children.items() if sums is not None}
    if not known:
        return None
    like = next(iter(known.values()))
    whole = [np.zeros((like[0].shape[0], *shape), np.float32) for _ in like]
    half = SIDE // 2
    for (i, j), sums in known.items():
        for target, part in zip(whole, sums, strict=True):
            target[:, half * i : half * i + part.shape[1], half * j : half * j + part.shape[2]] = part
    return whole
