"""Filling of cells without data near the coast, so that land cells of a finer grid on the shore have forcing.

A cell without data becomes the mean of its valid neighbours (of eight); this is repeated, ring by ring. The result of a
cell depends only on cells within as many cells as there are rings, so it does not depend on how the source is cut.
The same means are taken of every variable and of the altitude, which therefore stay consistent with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


@dataclass(frozen=True, eq=False)
class _Ring:
    """Cells (flat positions) that are filled together, those with most neighbours first.

    ``neighbours[k]`` are the ``k``-th valid neighbours of the first cells, those that have so many.
    """

    cells: IntArray
    neighbours: list[IntArray]
    count: npt.NDArray[np.float64]


class CoastFill:
    """Fill around ``valid`` (lat, lon) cells with ``rings`` repetitions.

    ``filled`` (lat, lon) marks the cells that get values; ``count`` is their number.
    """

    def __init__(self, valid: npt.NDArray[np.bool_], rings: int) -> None:
        self.valid = valid
        self._invalid = ~valid
        self._rings: list[_Ring] = []
        known = valid.copy()
        for _ in range(rings):
            cells = np.flatnonzero(_beside(known) & ~known)
            if not cells.size:
                break
            self._rings.append(_ring(cells, known))
            known.reshape(-1)[cells] = True
        self.filled = known & ~valid

    @property
    def count(self) -> int:
        return int(self.filled.sum())

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``values`` (..., lat, lon) with filled cells; cells neither valid nor filled are NaN."""
        if self.valid.all():
            return values
        return self.into(np.empty(values.shape, values.dtype), values)

    def into(self, result: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """As a call, but written to ``result``: contiguous, of the shape of ``values``; it is returned."""
        np.copyto(result, values)
        np.copyto(result, np.nan, where=self._invalid)
        for field in result.reshape(-1, self.valid.size, copy=False):
            for ring in self._rings:
                total = field.take(ring.neighbours[0]).astype(np.float64)
                for cells in ring.neighbours[1:]:
                    total[: cells.size] += field.take(cells)
                field[ring.cells] = total / ring.count
        return result


def _beside(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The cells that are ``known`` or have a known neighbour."""
    rows = known.copy()
    rows[1:] |= known[:-1]
    rows[:-1] |= known[1:]
    result = rows.copy()
    result[:, 1:] |= rows[:, :-1]
    result[:, :-1] |= rows[:, 1:]
    return result


def _ring(cells: IntArray, known: npt.NDArray[np.bool_]) -> _Ring:
    """The ring of ``cells`` (flat positions) beside ``known`` (lat, lon) ones."""
    offsets = np.array(NEIGHBOURS).T[:, :, None]
    row, column = np.stack(np.divmod(cells, known.shape[1]))[:, None] + offsets
    use = (row >= 0) & (row < known.shape[0]) & (column >= 0) & (column < known.shape[1])
    use[use] = known[row[use], column[use]]
    count = use.sum(axis=0)
    order = np.argsort(-count, kind="stable")
    use, beside = use[:, order], (row * known.shape[1] + column)[:, order]
    number = use.cumsum(axis=0) * use
    neighbours = [beside.T[rank == number.T] for rank in range(1, count.max() + 1)]
    return _Ring(cells[order], neighbours, count[order].astype(np.float64))
