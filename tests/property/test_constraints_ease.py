"""EASE-Grid 2.0 against published edges, an independent formula and real cells; regridding conserves on the sphere."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import constraint_files as made
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.constraints.cells import CellAxes, CellMean
from fluxatlas.ingest.constraints.ease import GRIDS, HALF_WIDTH, degrees, edges, window_by_shape, window_of
from fluxatlas.ingest.constraints.soil_moisture import GLOBE


def test_edges_are_those_that_nsidc_publishes() -> None:
    for name, north, size in (
        ("36 km", 85.0445664, 36032.220840),
        ("25 km", 84.439790, 25025.26),
        ("9 km", 85.0445664, 9008.055210),
    ):
        rows, columns = edges(name)
        assert rows[0] == pytest.approx(north, abs=1e-6) and rows[-1] == pytest.approx(-north, abs=1e-6)
        assert (columns[0], columns[-1]) == (-180.0, 180.0)
        assert 2 * HALF_WIDTH / GRIDS[name][1] == pytest.approx(size, abs=1e-3)


@pytest.mark.parametrize("name", GRIDS)
def test_centres_by_an_independent_series_lie_in_the_middle_of_the_cells(name: str) -> None:
    lat, lon = made.ease_centres(name)
    rows, columns = edges(name)
    assert ((lat < rows[:-1]) & (lat > rows[1:])).all()
    middle = 0.5 * (rows[:-1] + rows[1:])
    tropics = np.abs(lat) < 40
    np.testing.assert_allclose(lat[tropics], middle[tropics], atol=1e-3)
    np.testing.assert_allclose(lon, 0.5 * (columns[:-1] + columns[1:]), atol=1e-9)


def test_real_smap_cells_over_hawaii_are_cells_of_the_36_km_grid(data_dir: Path) -> None:
    folder = data_dir / "soil_moisture/awst-austria_qa4sm/SMAP/SMAP_V5_PM/netcdf"
    if not folder.exists():
        pytest.skip(f"no real data: {folder} does not exist")
    lat, lon = made.ease_centres("36 km")
    for name in ("0165.nc", "0166.nc"):
        with netCDF4.Dataset(folder / name) as file:
            held, across = np.asarray(file["lat"][:]), np.asarray(file["lon"][:])
        assert np.abs(held[:, None] - lat[None]).min(axis=1).max() < 1e-4
        assert np.abs(across[:, None] - lon[None]).min(axis=1).max() < 1e-4


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["36 km", "9 km"]),
    row=st.integers(0, 380),
    column=st.integers(0, 930),
    size=st.integers(3, 24),
    seed=st.integers(0, 10),
)
def test_a_block_with_few_coordinates_is_placed(name: str, row: int, column: int, size: int, seed: int) -> None:
    lat, lon = made.ease_centres(name)
    known = np.random.default_rng(seed).random((size, size)) < 0.4
    known[0, 0] = True
    block = np.where(known, lat[row : row + size, None], np.nan).astype(np.float32).astype(float)
    across = np.where(known, lon[None, column : column + size], np.nan).astype(np.float32).astype(float)
    found = window_of(block, across, Path("x.h5"))
    assert found.name == name
    np.testing.assert_array_equal(found.lat_edges, edges(name)[0][row : row + size + 1])
    np.testing.assert_array_equal(found.lon_edges, edges(name)[1][column : column + size + 1])


def test_other_grids_are_refused() -> None:
    lat, lon = np.meshgrid(np.linspace(60, 50, 11), np.linspace(0, 10, 11), indexing="ij")
    for rows, columns in ((lat, lon), (lat + 0.3, lon), (np.full_like(lat, np.nan), lon)):
        with pytest.raises(InputError, match="no global EASE-Grid"):
            window_of(rows, columns, Path("x.h5"))
    with pytest.raises(InputError, match="no coordinates and 7 x 5 cells"):
        window_by_shape((7, 5), Path("x.h5"))
    assert window_by_shape((406, 964), Path("x.h5")).name == "36 km"


def test_map_coordinates_of_a_real_granule() -> None:
    # x, y of SMAP_L4_SM_aup_20220103T000000: rows 114.., columns 200.. of the 9 km grid [V: a test file of NASA's]
    lat, lon = degrees(np.array([-15561416.159668, -15552408.104004]), np.array([6283118.82568359, 6274110.77001953]))
    found = window_of(lat, lon, Path("x.h5"))
    np.testing.assert_array_equal(found.lat_edges, edges("9 km")[0][114:117])
    np.testing.assert_array_equal(found.lon_edges, edges("9 km")[1][200:203])


def _areas(cells: CellAxes) -> np.ndarray:
    sines = np.abs(np.diff(np.sin(np.deg2rad(cells.lat_edges))))
    return sines[:, None] * np.diff(cells.lon_edges)[None]


def test_the_integral_is_kept_exactly() -> None:
    rows, columns = edges("36 km")
    source = CellAxes(rows, columns)
    values = np.random.default_rng(3).random(source.lat.shape + source.lon.shape)
    target = CellAxes.of_grid(get_grid("0.5deg"), (-180.0, -85.0, 180.0, 85.0))
    found = CellMean(source, target, 0.0)(values).astype(np.float64)
    assert np.isfinite(found).all()
    # what lies beyond 85 degrees in the outermost row of the source, exactly
    outer = np.array([np.sin(np.deg2rad(rows[0])) - np.sin(np.deg2rad(85.0)), 0])[0] * np.diff(columns)
    lost = (values[0] * outer).sum() + (values[-1] * outer).sum()
    assert (found * _areas(target)).sum() == pytest.approx((values * _areas(source)).sum() - lost, rel=1e-7)
    constant = CellMean(source, target, 0.0)(np.full_like(values, 0.3))
    np.testing.assert_allclose(constant, 0.3, rtol=1e-6)


def test_missing_cells_do_not_weigh_and_poor_cells_are_missing() -> None:
    source = CellAxes(np.array([2.0, 1.0, 0.0]), np.array([0.0, 1.0, 2.0]))
    target = CellAxes(np.array([2.0, 0.0]), np.array([0.0, 2.0]))
    values = np.array([[0.2, np.nan], [np.nan, np.nan]])
    assert CellMean(source, target, 0.2)(values)[0, 0] == pytest.approx(0.2)
    assert np.isnan(CellMean(source, target, 0.5)(values)[0, 0])
    values = np.array([[0.2, np.nan], [0.4, np.nan]])
    upper, lower = np.sin(np.deg2rad(2)) - np.sin(np.deg2rad(1)), np.sin(np.deg2rad(1))
    expected = (0.2 * upper + 0.4 * lower) / (upper + lower)
    assert CellMean(source, target, 0.5)(values)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_cells_of_a_box_and_beyond() -> None:
    target = CellAxes.of_grid(get_grid("0.25deg"), (-8.1, 35.9, -4, 40))
    assert (target.lon_edges[0], target.lon_edges[-1]) == (-8.25, -4.0)
    assert (target.lat_edges[0], target.lat_edges[-1]) == (40.0, 35.75)
    assert CellAxes.of_grid(get_grid("0.5deg"), GLOBE).lat.size == 360
    rows, columns = edges("36 km")
    polar = CellAxes.of_grid(get_grid("0.25deg"), (0.0, 84.0, 10.0, 90.0))
    found = CellMean(CellAxes(rows, columns), polar, 0.5)(np.full((406, 964), 0.3))
    assert np.isnan(found[polar.lat > 85.05]).all() and np.isfinite(found[polar.lat < 84.9]).all()
    with pytest.raises(InputError, match="none of the wanted cells"):
        CellMean(CellAxes(rows[:5], columns[:5]), target, 0.5)
