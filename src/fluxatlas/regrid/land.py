"""Which tiles hold land, from the table ``resources/land_cells_4km.csv``; imports nothing heavy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..grid import Grid
from ..paths import RESOURCES

Array = npt.NDArray[np.floating[Any]]

_TABLE_CELLS_PER_DEGREE = 24


@lru_cache
def _counts() -> Array:
    """Land cells of the 4 km grid per box of one degree: 180 rows from north to south, 360 columns from 180 W."""
    text = (RESOURCES / "land_cells_4km.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return np.fromstring(",".join(lines), sep=",").reshape(180, 360)


def land_tiles(grid: Grid, size: int, bbox: tuple[float, float, float, float] | None = None) -> list[tuple[str, int]]:
    """Tiles of ``size`` degrees that hold land inside ``bbox`` (west, south, east, north), with their land cells.

    Counts are exact for whole degrees of the 4 km grid; for another grid they are scaled by the number of cells, and
    for a box that cuts a degree by the share of it inside.
    """
    west, south, east, north = bbox or (-180.0, -90.0, 180.0, 90.0)
    top, left = 90.0 - np.arange(180), -180.0 + np.arange(360)
    height = np.clip(np.minimum(top, north) - np.maximum(top - 1, south), 0, 1)
    width = np.clip(np.minimum(left + 1, east) - np.maximum(left, west), 0, 1)
    cells = _counts() * height[:, None] * width[None, :]
    scale = (grid.per_degree / _TABLE_CELLS_PER_DEGREE) ** 2
    found = []
    for tile in grid.tiles(size, (west, south, east, north)):
        rows, columns = slice(90 - tile.south - size, 90 - tile.south), slice(tile.west + 180, tile.west + 180 + size)
        count = float(cells[rows, columns].sum())
        if count > 0:
            found.append((tile.name, max(1, round(count * scale))))
    return found
