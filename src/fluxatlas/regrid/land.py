"""Which tiles hold land, from the table ``resources/land_cells_4km.csv``; imports nothing heavy."""

from __future__ import annotations

from functools import lru_cache

from ..grid import Grid
from ..paths import RESOURCES

_TABLE_CELLS_PER_DEGREE = 24


@lru_cache
def _counts() -> list[list[int]]:
    """Land cells of the 4 km grid per box of one degree: 180 rows from north to south, 360 columns from 180 W."""
    lines = (RESOURCES / "land_cells_4km.csv").read_text(encoding="utf-8").splitlines()
    return [[int(count) for count in line.split(",")] for line in lines if not line.startswith("#")]


def land_tiles(grid: Grid, size: int, bbox: tuple[float, float, float, float] | None = None) -> list[tuple[str, int]]:
    """Tiles of ``size`` degrees that hold land inside ``bbox`` (west, south, east, north), with their land cells.

    Counts are exact for whole degrees of the 4 km grid; for another grid they are scaled by the number of cells, and
    for a box that cuts a degree by the share of it inside.
    """
    west, south, east, north = bbox or (-180.0, -90.0, 180.0, 90.0)
    scale = (grid.per_degree / _TABLE_CELLS_PER_DEGREE) ** 2
    found = []
    for tile in grid.tiles(size, (west, south, east, north)):
        cells = 0.0
        for lat in range(tile.south, tile.south + size):
            height = min(lat + 1, north) - max(lat, south)
            for lon in range(tile.west, tile.west + size):
                width = min(lon + 1, east) - max(lon, west)
                if height > 0 and width > 0:
                    cells += _counts()[89 - lat][lon + 180] * height * width
        if cells > 0:
            found.append((tile.name, max(1, round(cells * scale))))
    return found
