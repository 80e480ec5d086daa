"""The table of land tiles against the mask it was made from, and that reading it needs nothing heavy."""

import subprocess
import sys

import numpy as np
import pytest

from fluxatlas.grid import get_grid
from fluxatlas.land_mask import is_land
from fluxatlas.regrid.land import land_tiles

GRID = get_grid("4km")


@pytest.mark.parametrize("name", ["N36W008", "N36W006", "S34E018", "N64W022"])
def test_counts_are_those_of_the_mask_at_cell_centres(name) -> None:
    tile = GRID.tile(name, 2)
    counted = int(is_land(*np.meshgrid(tile.lat, tile.lon, indexing="ij")).sum())
    assert dict(land_tiles(GRID, 2))[name] == counted


def test_the_globe_has_its_known_share_of_land() -> None:
    """29.2 % of the sphere is land; the mask counts lakes and ice shelves as land too."""
    tiles = dict(land_tiles(GRID, 1))
    area = sum(cells * GRID.tile(name, 1).cell_area.mean() for name, cells in tiles.items())
    assert area / (4 * np.pi * 6_371_007.2**2) == pytest.approx(0.292, abs=0.01)


def test_larger_tiles_hold_the_land_of_the_smaller_ones() -> None:
    box = (-10, 30, 20, 50)
    totals = {size: sum(n for _, n in land_tiles(GRID, size, box)) for size in (1, 2, 5, 10)}
    assert len(set(totals.values())) == 1


def test_a_box_cuts_tiles_and_open_sea_holds_none() -> None:
    assert land_tiles(GRID, 2, (-40.0, 30.0, -36.0, 34.0)) == []
    whole, half = land_tiles(GRID, 1, (10, 20, 11, 21)), land_tiles(GRID, 1, (10, 20, 10.5, 21))
    assert (whole, half) == ([("N20E010", 576)], [("N20E010", 288)])


def test_another_grid_scales_the_counts() -> None:
    box = (10, 20, 11, 21)
    assert land_tiles(get_grid("1km"), 1, box) == [("N20E010", 14400)]
    assert land_tiles(get_grid("0.5deg"), 1, box) == [("N20E010", 4)]


def test_reading_the_table_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fluxatlas.regrid.land import land_tiles; from fluxatlas.grid import get_grid;"
        "land_tiles(get_grid('4km'), 10);"
        "print(sorted({'numba', 'xarray', 'pandas', 'rasterio', 'scipy', 'global_land_mask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
