"""Regridding: conservation, exactness, seams, and agreement with CDO."""

import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.errors import GridError
from fluxatlas.grid import Tile, get_grid
from fluxatlas.regrid import TileRegridder
from fluxatlas.regrid.apply import RowTaps, apply, regrid
from fluxatlas.weights import axis_weights, cell_taps, edges, regular

GRID = get_grid("4km")


def _axis(start: float, step: float, n: int) -> np.ndarray:
    return start + step * np.arange(n)


def _smooth(lat: np.ndarray, lon: np.ndarray, days: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    field = 280 + 10 * np.sin(np.deg2rad(7 * lat))[:, None] + 5 * np.cos(np.deg2rad(11 * lon))[None, :]
    return (field + rng.normal(0, 3, (days, len(lat), len(lon)))).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    step=st.floats(0.05, 2.0),
    ratio=st.floats(0.1, 6.0),
    south=st.floats(-60, 10),
    flip=st.booleans(),
    method=st.sampled_from(["conservative", "bilinear"]),
)
def test_weights_sum_to_one_and_are_not_negative(step, ratio, south, flip, method) -> None:
    source = _axis(south, step, 40)[:: -1 if flip else 1]
    fine = step / ratio
    target = np.arange(source.min() + fine, source.max() - fine, fine)[:50]
    if len(target) < 2:
        return
    weights = axis_weights(source, target, "lat", method)
    np.testing.assert_allclose(weights.weight.sum(1), 1.0, atol=1e-12)
    assert (weights.weight >= 0).all()


@settings(max_examples=40, deadline=None)
@given(
    per_source=st.integers(2, 9), per_target=st.integers(2, 9), seed=st.integers(0, 1000), south=st.integers(-80, 70)
)
def test_conservative_keeps_the_area_integral_on_the_sphere(per_source, per_target, seed, south) -> None:
    def axes(n):
        return south + (np.arange(10 * n) + 0.5) / n, (np.arange(12 * n) + 0.5) / n

    def area(lat):
        return np.abs(np.diff(np.sin(np.deg2rad(edges(lat, "lat")))))

    lat, lon = axes(per_source)
    field = np.random.default_rng(seed).normal(10, 3, (1, len(lat), len(lon)))
    new_lat, new_lon = axes(per_target)
    out = regrid(field, lat, lon, new_lat, new_lon, "conservative")
    before = (field[0] * area(lat)[:, None]).sum() / per_source
    after = (out[0] * area(new_lat)[:, None]).sum() / per_target
    assert after == pytest.approx(before, rel=1e-6)


def test_bilinear_reproduces_a_linear_field() -> None:
    lat, lon = _axis(40, -0.25, 20), _axis(-10, 0.25, 24)
    field = (2 * lat[:, None] + 3 * lon[None, :])[None]
    new_lat, new_lon = _axis(39.9, -0.1, 30), _axis(-9.9, 0.1, 30)
    out = regrid(field, lat, lon, new_lat, new_lon, "bilinear")
    np.testing.assert_allclose(out[0], 2 * new_lat[:, None] + 3 * new_lon[None, :], rtol=1e-6)


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
def test_missing_cells_are_left_out_and_never_invented(method) -> None:
    lat, lon = _axis(40, -0.25, 20), _axis(-10, 0.25, 24)
    field = np.full((2, 20, 24), 7.0)
    field[:, 5:9, 5:9] = np.nan
    out = regrid(field, lat, lon, _axis(39.9, -0.05, 60), _axis(-9.9, 0.05, 60), method)
    assert np.nanmax(np.abs(out - 7.0)) < 1e-5
    hole = regrid(np.isnan(field).astype(float), lat, lon, _axis(39.9, -0.05, 60), _axis(-9.9, 0.05, 60), method)
    np.testing.assert_array_equal(np.isnan(out), hole > 1 - 1e-6)


def _cdo(tmp_path, operator, field, lat, lon, target_lat, target_lon):
    """``field`` (time, lat, lon) regridded by CDO to a regular grid."""
    if not shutil.which("cdo"):
        pytest.skip("CDO is not installed (Debian: apt-get install cdo)")
    coords = {
        "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        "time": np.arange(len(field)),
    }
    data = xr.Dataset({"x": (("time", "lat", "lon"), field.astype("f8"))}, coords)
    data.to_netcdf(tmp_path / "in.nc", encoding={"x": {"_FillValue": -9e33}})
    (tmp_path / "grid").write_text(
        f"gridtype=lonlat\nxsize={len(target_lon)}\nysize={len(target_lat)}\n"
        f"xfirst={target_lon[0]:.12f}\nxinc={target_lon[1] - target_lon[0]:.14f}\n"
        f"yfirst={target_lat[0]:.12f}\nyinc={target_lat[1] - target_lat[0]:.14f}\n"
    )
    command = ["cdo", "-s", "-b", "F64", f"{operator},{tmp_path}/grid", f"{tmp_path}/in.nc", f"{tmp_path}/out.nc"]
    subprocess.run(command, check=True, capture_output=True)
    with xr.open_dataset(tmp_path / "out.nc") as out:
        return out["x"].to_numpy()


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
@pytest.mark.parametrize("missing", [False, True])
def test_rows_and_lists_of_cells_have_the_same_numbers(method, missing) -> None:
    tile = GRID.tile("N36W008", 2)
    lat, lon = _axis(38.55, -0.1, 32), _axis(-8.55, 0.1, 32)
    field = _smooth(lat, lon)
    if missing:
        field[:, 5:9, 7:20], field[1, 20, 20] = np.nan, np.nan
    weights = axis_weights(lat, tile.lat, "lat", method), axis_weights(lon, tile.lon, "lon", method)
    every, rng = np.arange(48 * 48), np.random.default_rng(1)
    block = every.reshape(48, 48)[3:7, 10:].ravel()
    for cells in (every, np.sort(rng.choice(every, 1500, replace=False)), block, every[1000:1040]):
        rows = RowTaps.of(*weights, cells)
        assert rows is not None
        taps = cell_taps(*weights, 48, 32, cells)
        by_list = apply(field, taps)
        np.testing.assert_allclose(apply(field, taps, rows), by_list, rtol=2e-7)
        assert cells is not every or np.isnan(by_list).any() == missing
    backwards, twice = every.reshape(48, 48)[3:5, ::-1].ravel(), np.repeat(every[:48], 2)
    for cells in (rng.permutation(every), every[::9], every[:0], backwards, twice):
        assert RowTaps.of(*weights, cells) is None


@pytest.mark.parametrize(("method", "operator"), [("conservative", "remapcon"), ("bilinear", "remapbil")])
@pytest.mark.parametrize("step", [0.25, 0.1])
def test_agrees_with_cdo(tmp_path, method, operator, step) -> None:
    tile = GRID.tile("N36W008", 2)
    lat, lon = _axis(38.6 - step / 2, -step, int(3.2 / step)), _axis(-8.6 + step / 2, step, int(3.2 / step))
    field = _smooth(lat, lon)
    expected = _cdo(tmp_path, operator, field, lat, lon, tile.lat, tile.lon)
    out = TileRegridder(lat, lon, tile, method=method).cells("x", field, np.arange(48 * 48)).reshape(-1, 48, 48)
    assert np.abs(out - expected).max() < 1e-5 * field.std()


@pytest.mark.parametrize(("step", "target_step"), [(0.1, 0.5), (0.25, 0.3), (1.0, 0.25)])
def test_conservative_agrees_with_cdo_to_coarser_and_finer_grids_with_missing_cells(
    tmp_path, step, target_step
) -> None:
    lat, lon = _axis(66 - step / 2, -step, int(12 / step)), _axis(2 + step / 2, step, int(12 / step))
    field = _smooth(lat, lon)
    field[:, 3:5, 4:9] = np.nan
    target = _axis(65, -target_step, int(9 / target_step)), _axis(3.0, target_step, int(9 / target_step))
    expected = _cdo(tmp_path, "remapcon", field, lat, lon, *target)
    out = regrid(field, lat, lon, *target, "conservative")
    np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
    assert np.nanmax(np.abs(out - expected)) < 1e-5 * np.nanstd(field)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), method=st.sampled_from(["conservative", "bilinear"]), fine=st.booleans())
def test_cells_and_whole_fields_have_the_same_numbers(seed, method, fine) -> None:
    """Lists of cells and whole fields go through different kernels; holes differ from day to day."""
    rng = np.random.default_rng(seed)
    lat, lon = _axis(41, -0.25, 20), _axis(-10, 0.25, 20)
    step = 0.06 if fine else 0.7
    target = _axis(40.5, -step, int(3.5 / step)), _axis(-9.5, step, int(3.5 / step))
    field = _smooth(lat, lon, 4)
    field[rng.random(field.shape) < 0.3] = np.nan
    whole = regrid(field, lat, lon, *target, method)
    y, x = axis_weights(lat, target[0], "lat", method), axis_weights(lon, target[1], "lon", method)
    cells = rng.permutation(len(target[0]) * len(target[1]))[:50]
    some = apply(field, cell_taps(y, x, len(target[1]), len(lon), cells))
    np.testing.assert_allclose(some, whole.reshape(4, -1)[:, cells], rtol=2e-7)


def test_a_day_with_a_hole_changes_no_other_day() -> None:
    lat, lon = _axis(41, -0.25, 20), _axis(-10, 0.25, 20)
    tile = GRID.tile("N37W009", 1)
    field = _smooth(lat, lon, 3)
    regridder, cells = TileRegridder(lat, lon, tile), np.arange(24 * 24)
    before = regridder.cells("x", field, cells)
    field[1, 8:15, 3:8] = np.nan
    after = regridder.cells("x", field, cells)
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert np.isnan(after[1]).any() and not np.isnan(after[1]).all()


PIECE_LAT, PIECE_LON = _axis(37.95, -0.1, 40), _axis(-8.95, 0.1, 40)  # float32 cannot hold them exactly
FIELDS = {"tas": _smooth(PIECE_LAT, PIECE_LON), "ps": 90000 + _smooth(PIECE_LAT, PIECE_LON)}
FIELDS |= {"rlds": _smooth(PIECE_LAT, PIECE_LON), "huss": np.full_like(FIELDS["tas"], 0.004)}
SOURCE_OROG = np.abs(_smooth(PIECE_LAT, PIECE_LON, 1)[0]) * 3


def _orog(tile) -> np.ndarray:
    lat, lon = np.meshgrid(tile.lat, tile.lon, indexing="ij")
    return 900 + 800 * np.sin(13 * lat) * np.cos(11 * lon)


def _downscaled(tile, method, north, south, west, east, dtype):
    """Everything downscaled to ``tile`` from a piece with so many source cells around it, coordinates in ``dtype``."""
    top, left = (np.flatnonzero(axis)[0] for axis in (tile.bbox[3] > PIECE_LAT, tile.bbox[0] < PIECE_LON))
    rows = slice(top - north, top + 10 * tile.size + south)
    columns = slice(left - west, left + 10 * tile.size + east)
    regridder = TileRegridder(
        PIECE_LAT[rows].astype(dtype),
        PIECE_LON[columns].astype(dtype),
        tile,
        method=method,
        source_orog=SOURCE_OROG[rows, columns],
        target_orog=_orog(tile),
    )
    piece = {name: values[:, rows, columns] for name, values in FIELDS.items()}
    out = regridder.downscale(piece, np.arange(tile.shape[0] * tile.shape[1]))
    return {name: values.reshape(-1, *tile.shape) for name, values in out.items()}


@settings(max_examples=15, deadline=None)
@given(
    halo=st.lists(st.integers(1, 5), min_size=4, max_size=4),
    method=st.sampled_from(["conservative", "bilinear"]),
    dtype=st.sampled_from(["f4", "f8"]),
    corner=st.sampled_from([("N36W008", 0, 0), ("N36W007", 0, 24), ("N35W008", 24, 0), ("N35W007", 24, 24)]),
)
def test_a_tile_equals_the_crop_of_a_larger_tile(halo, method, dtype, corner) -> None:
    """Bit for bit, whatever the size of the piece, and even where its coordinates carry the noise of float32."""
    name, top, left = corner
    large = _downscaled(Tile(GRID, 35, -8, 2), method, 2, 2, 2, 2, "f8")
    small = _downscaled(GRID.tile(name, 1), method, *halo, dtype)
    for variable in FIELDS:
        crop = large[variable][:, top : top + 24, left : left + 24]
        np.testing.assert_array_equal(small[variable], crop, err_msg=variable)


def test_a_piece_without_its_neighbours_is_refused_and_says_where() -> None:
    tile = GRID.tile("N36W008", 2)
    lat, lon = _axis(37.5, -0.25, 8), _axis(-8.375, 0.25, 14)
    regridder = TileRegridder(lat, lon, tile)
    with pytest.raises(GridError, match=r"target cell at lat 37\.9.*outside the source"):
        regridder.cells("tas", np.zeros((1, 8, 14)), np.arange(48 * 48))
    inside = np.flatnonzero((tile.lat[:, None] < 37.4) & (tile.lat[:, None] > 35.9) & (tile.lon[None, :] < 0))
    assert np.isfinite(regridder.cells("tas", np.ones((1, 8, 14)), inside)).all()


def test_irregular_axes_are_refused() -> None:
    with pytest.raises(GridError, match="not regular"):
        axis_weights([1.0, 2.0, 4.0], [1.5, 1.6], "lat", "bilinear")
    with pytest.raises(GridError, match="at least two"):
        axis_weights([1.0], [1.5, 1.6], "lat", "conservative")


@pytest.mark.parametrize("step", [0.1, 0.25, 0.625, 1 / 24, 1 / 120, 1 / 16, 2.5])
def test_coordinates_are_freed_from_rounding_noise(step) -> None:
    exact = (np.arange(50) + 0.5) * step + round(7 / step) * step
    for noisy in (exact.astype("f4"), exact.astype("f4")[::-1], np.round(exact, 5)):
        wanted = exact[::-1] if noisy[0] > noisy[-1] else exact
        np.testing.assert_allclose(regular(noisy, "lon"), wanted, rtol=1e-13)


def test_an_odd_step_is_kept_as_it_is() -> None:
    odd = 3.0123 + 0.089831528 * np.arange(30)
    np.testing.assert_allclose(regular(odd, "lat"), odd, rtol=1e-9)
