"""The grid: areas, tiles, names, snapping."""

import numpy as np
import pytest

from fluxatlas.errors import GridError
from fluxatlas.grid import EARTH_RADIUS, GRIDS, Tile, get_grid


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_areas_sum_to_the_sphere(name: str) -> None:
    grid = get_grid(name)
    total = grid.cell_area().sum() * grid.shape[1]
    assert total == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)


def test_area_of_a_cell_against_the_wgs84_ellipsoid() -> None:
    # 1/24 degree cell at 45 N on WGS84: pyproj's geodesic polygon area, an independent tool
    from pyproj import Geod

    grid = get_grid("4km")
    row, column = grid.index(45.01, 10.01)
    lat = grid.lat_bounds(slice(row, row + 1))
    lon = grid.lon_bounds(slice(column, column + 1))
    ring = [(lon[0], lat[0]), (lon[1], lat[0]), (lon[1], lat[1]), (lon[0], lat[1])]
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(*zip(*ring, strict=True))
    assert grid.cell_area(slice(row, row + 1))[0] == pytest.approx(abs(area), rel=5e-3)


def test_tiles_cover_the_globe_once() -> None:
    grid = get_grid("0.5deg")
    seen = np.zeros(grid.shape, int)
    for tile in grid.tiles(30):
        seen[tile.rows, tile.columns] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("size", [1, 2, 10, 30])
def test_tile_names_round_trip_and_coordinates_lie_inside(size: int) -> None:
    grid = get_grid("0.25deg")
    for tile in grid.tiles(size, (-125, -41, 3, 41)):
        assert Tile.parse(grid, tile.name, size) == tile
        west, south, east, north = tile.bbox
        assert tile.lat.min() > south and tile.lat.max() < north and tile.lon.min() > west and tile.lon.max() < east
        assert tile.lat[0] > tile.lat[-1] and len(tile.lat) == size * 4


def test_tiles_of_a_box_that_ends_on_an_edge_exclude_the_next_tile() -> None:
    names = [tile.name for tile in get_grid("4km").tiles(2, (-124, 36, -120, 40))]
    assert names == ["N38W124", "N38W122", "N36W124", "N36W122"]


def test_index_finds_the_cell_whose_bounds_hold_the_point() -> None:
    grid, rng = get_grid("4km"), np.random.default_rng(0)
    for lat, lon in zip(rng.uniform(-90, 90, 200), rng.uniform(-180, 180, 200), strict=True):
        row, column = grid.index(lat, lon)
        north, south = grid.lat_bounds(slice(row, row + 1))
        west, east = grid.lon_bounds(slice(column, column + 1))
        assert south <= lat <= north and west <= lon <= east


def test_snap_accepts_centres_and_refuses_what_is_off() -> None:
    grid = get_grid("4km")
    rows = np.array([0, 17, 4319])
    assert (grid.snap(grid.lat()[rows].astype("float32"), "lat") == rows).all()
    with pytest.raises(GridError, match=r"lat .* is 0\.\d+ cells off the 4km grid"):
        grid.snap(grid.lat()[rows] + 0.01, "lat")
    with pytest.raises(GridError):
        grid.snap([np.nan], "lon")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: get_grid("4k"), "did you mean '4km'"),
        (lambda: get_grid("4km").tile("N31W110", 10), "does not lie on the lattice"),
        (lambda: get_grid("4km").tile("31N110W", 1), "is not a tile name"),
        (lambda: get_grid("4km").tiles(7), "does not divide"),
        (lambda: get_grid("4km").index(91, 0), "not a point"),
    ],
)
def test_wrong_names_are_refused(call, message: str) -> None:
    with pytest.raises(GridError, match=message):
        call()
