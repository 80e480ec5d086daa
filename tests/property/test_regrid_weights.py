"""Regridding: conservation, exactness, seams, and agreement with CDO."""

import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.errors import GridError
from fluxatlas.grid import get_grid
from fluxatlas.regrid import TileRegridder
from fluxatlas.regrid.apply import regrid
from fluxatlas.regrid.weights import axis_weights, edges

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
    south=st.floats(-60, 50),
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


@pytest.mark.parametrize(("method", "operator"), [("conservative", "remapcon"), ("bilinear", "remapbil")])
@pytest.mark.parametrize("step", [0.25, 0.1])
def test_agrees_with_cdo(tmp_path, method, operator, step) -> None:
    if not shutil.which("cdo"):
        pytest.skip("CDO is not installed (Debian: apt-get install cdo)")
    tile = GRID.tile("N36W008", 2)
    lat, lon = _axis(38.6 - step / 2, -step, int(3.2 / step)), _axis(-8.6 + step / 2, step, int(3.2 / step))
    field = _smooth(lat, lon)
    attrs = {"lat": {"units": "degrees_north"}, "lon": {"units": "degrees_east"}}
    coords = {"lat": ("lat", lat, attrs["lat"]), "lon": ("lon", lon, attrs["lon"])}
    xr.Dataset({"x": (("time", "lat", "lon"), field.astype("f8"))}, coords | {"time": [0, 1, 2]}).to_netcdf(
        tmp_path / "in.nc"
    )
    n, d = tile.shape[0], GRID.resolution
    (tmp_path / "grid").write_text(
        f"gridtype=lonlat\nxsize={n}\nysize={n}\nxfirst={tile.lon[0]:.12f}\nxinc={d:.14f}\n"
        f"yfirst={tile.lat[0]:.12f}\nyinc={-d:.14f}\n"
    )
    command = ["cdo", "-s", "-b", "F64", f"{operator},{tmp_path}/grid", f"{tmp_path}/in.nc", f"{tmp_path}/out.nc"]
    subprocess.run(command, check=True, capture_output=True)
    expected = xr.open_dataset(tmp_path / "out.nc")["x"].to_numpy()
    out = TileRegridder(lat, lon, tile, method=method).cells("x", field, np.arange(n * n)).reshape(-1, n, n)
    assert np.abs(out - expected).max() < 1e-5 * field.std()


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
def test_a_tile_equals_the_crop_of_a_larger_tile(method) -> None:
    lat, lon = _axis(41.125, -0.25, 30), _axis(-9.875, 0.25, 30)
    fields = {"tas": _smooth(lat, lon), "ps": 90000 + _smooth(lat, lon), "rlds": _smooth(lat, lon)}
    fields["huss"] = np.full_like(fields["tas"], 0.004)
    source_orog = np.abs(_smooth(lat, lon, 1)[0]) * 3
    small, large = GRID.tile("N36W006", 2), GRID.tile("N36W009", 3)
    overlap = GRID.tile("N36W006", 1)
    rng = np.random.default_rng(1)
    height = rng.uniform(0, 2000, (180 * 24, 40 * 24)).astype(np.float32)  # altitude by global row and column

    def run(tile, rows, columns):
        box = (slice(None), rows, columns)
        orog = height[tile.rows, tile.columns.start - 170 * 24 : tile.columns.stop - 170 * 24]
        piece = {name: values[box] for name, values in fields.items()}
        regridder = TileRegridder(
            lat[rows], lon[columns], tile, method=method, source_orog=source_orog[rows, columns], target_orog=orog
        )
        out = regridder.downscale(piece, np.arange(tile.shape[0] * tile.shape[1]))
        return {name: values.reshape(-1, *tile.shape) for name, values in out.items()}

    one = run(small, slice(10, 22), slice(13, 25))
    two = run(GRID.tile("N36W006", 1), slice(8, 24), slice(10, 24))
    del large
    top = overlap.rows.start - small.rows.start
    for name in fields:
        crop = one[name][:, top : top + 24, :24]
        np.testing.assert_array_equal(crop, two[name])


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
