"""Filling of cells without data near the coast, so that land cells of a finer grid on the shore have forcing.

A cell without data becomes the mean of its valid neighbours (of eight); this is repeated, ring by ring. The result of a
cell depends only on cells within as many cells as there are rings, so it does not depend on how the source is cut.
The same means are taken of every variable and of the altitude, which therefore stay consistent with each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


class CoastFill:
    """Fill around ``valid`` (lat, lon) cells with ``rings`` repetitions.

    ``filled`` (lat, lon) marks the cells that get values; ``count`` is their number.
    """

    def __init__(self, valid: npt.NDArray[np.bool_], rings: int) -> None:
        self.valid = valid
        self._rings: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]] = []
        known = valid.copy()
        rows, columns = valid.shape
        for _ in range(rings):
            target_row, target_column = np.nonzero(~known & (_neighbour_count(known) > 0))
            if not target_row.size:
                break
            row = target_row + np.array([n[0] for n in NEIGHBOURS])[:, None]
            column = target_column + np.array([n[1] for n in NEIGHBOURS])[:, None]
            inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            row, column = row.clip(0, rows - 1), column.clip(0, columns - 1)
            use = inside & known[row, column]
            self._rings.append((target_row * columns + target_column, row * columns + column, use))
            known[target_row, target_column] = True
        self.filled = known & ~valid

    @property
    def count(self) -> int:
        return int(self.filled.sum())

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``values`` (..., lat, lon) with filled cells; cells neither valid nor filled are NaN."""
        if self.valid.all():
            return values
        result = np.where(self.valid, values, values.dtype.type(np.nan))
        flat = result.reshape(*values.shape[:-2], -1)
        for targets, neighbours, use in self._rings:
            total = np.zeros((*flat.shape[:-1], targets.size))
            for cells, wanted in zip(neighbours, use, strict=True):
                total += np.where(wanted, flat[..., cells], 0)
            flat[..., targets] = total / use.sum(axis=0)
        return result


def _neighbour_count(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    padded = np.pad(known, 1).astype(np.int64)
    rows, columns = known.shape
    return sum(  # type: ignore[return-value]
        padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] for i, j in NEIGHBOURS
    )
