"""Leaf area on tiles: projected composites, parts in several files, edges of the globe, the layer that it becomes."""

import json
import tracemalloc
from datetime import date

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.lai import LaiSeries
from fluxatlas.config.static import Layer, StaticBlock
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.attributes import build
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.lai import read_lai
from fluxatlas.regrid.layers import read_layer
from fluxatlas.systems import get_system
from lai_composites import (
    CLOUDY,
    COWEETA,
    FRAME,
    GOOD,
    LAI_FILE,
    NOT_PRODUCED,
    PIXELS,
    netcdf,
    pair,
    series,
    starts,
    tif,
    year,
)

SINUSOIDAL = "+proj=sinu +R=6371007.181 +units=m +no_defs"
METRES = 463.312716528 * 4
"""Four pixels of 500 m, to keep the files small."""


def _sinusoidal(north: float, west: float, rows: int, columns: int):
    """Latitude and longitude [degrees] of pixel centres of the sinusoidal grid, by its formula."""
    y, x = north - METRES * (np.arange(rows) + 0.5), west + METRES * (np.arange(columns) + 0.5)
    lat = np.rad2deg(y / 6371007.181)
    return lat[:, None], np.rad2deg(x[None, :] / 6371007.181 / np.cos(np.deg2rad(lat[:, None])))


def test_sinusoidal_tiles_are_decoded_before_they_are_averaged(tmp_path) -> None:
    """A field of longitude and latitude in two tiles; a third of the pixels is cloudy, with a leaf area of 10."""
    rng = np.random.default_rng(5)
    top, left, middle = 37.4, -8.6, -7.45
    north = np.deg2rad(top) * 6371007.181
    edge = [np.deg2rad(lon) * 6371007.181 * np.cos(np.deg2rad(36.5)) for lon in (left, middle)]
    for day in starts(2009, 8):
        for i, (west, columns) in enumerate(((edge[0], round((edge[1] - edge[0]) / METRES)), (edge[1], 70))):
            west = edge[0] + METRES * round((west - edge[0]) / METRES)
            lat, lon = _sinusoidal(north, west, 100, columns)
            lai = np.round(20 + 20 * (lat - 36) + 30 * (lon + 8)).clip(0, 100)
            bad = rng.random(lai.shape) < 0.33
            grid = {"crs": SINUSOIDAL, "west": west, "north": north, "pixel": METRES}
            stamp = f"A{day:%Y%j}.h17v0{i}.061"
            tif(tmp_path / f"MCD15A2H.{stamp}_Lai_500m.tif", np.where(bad, 100, lai).astype(np.uint8), **grid)
            tif(tmp_path / f"MCD15A2H.{stamp}_FparLai_QC.tif", np.where(bad, CLOUDY, GOOD).astype(np.uint8), **grid)
    found = read_lai(series(tmp_path), FRAME)
    truth = 0.1 * (20 + 20 * (FRAME.lat[:, None] - 36) + 30 * (FRAME.lon[None, :] + 8))
    known = np.isfinite(found.values).all(axis=0)
    assert known.mean() > 0.95
    error = (found.values - truth)[:, known]
    assert np.abs(error).max() < 0.1 and abs(error.mean()) < 0.01  # tenths; pixels of 2 km in cells of 4 km
    assert 60 < found.share.mean() < 70


def test_parts_of_a_cell_in_two_files_add_up(tmp_path) -> None:
    """Whole against halves that meet inside a target cell, in folders of their own with the same names."""
    rng = np.random.default_rng(7)
    cut = 21
    for day in starts(2009, 8):
        lai = rng.integers(5, 60, (PIXELS, PIXELS))
        byte = rng.choice([GOOD, CLOUDY], lai.shape)
        for folder, part, west in (
            ("whole", slice(0, PIXELS), 0),
            ("a", slice(0, cut), 0),
            ("b", slice(cut, PIXELS), cut),
        ):
            stamp, grid = f"doy{day:%Y%j}000000_aid0001.tif", {"west": -8 + west / PIXELS}
            tif(tmp_path / folder / f"MCD15A2H.061_Lai_500m_{stamp}", lai[:, part].astype(np.uint8), **grid)
            tif(tmp_path / folder / f"MCD15A2H.061_FparLai_QC_{stamp}", byte[:, part].astype(np.uint8), **grid)
    one = read_lai(series(tmp_path / "whole"), FRAME)
    two = read_lai(LaiSeries(path=[str(tmp_path / "a"), str(tmp_path / "b")]), FRAME)
    np.testing.assert_allclose(two.values, one.values, rtol=1e-5)
    np.testing.assert_allclose(two.share, one.share, rtol=1e-5)


def test_memory_depends_on_the_target_alone(tmp_path) -> None:
    """Six times the dates and four times the pixels (of which most lie outside the frame)."""
    small = Frame(FRAME.lat[:6], FRAME.lon[:6], FRAME.step, (slice(0, 6), slice(0, 6)))
    peaks = []
    for count, pixels in ((16, 240), (96, 480)):
        days = (starts(2009, 4) + starts(2010, 4))[:count]
        data = np.full((count, pixels, pixels), 20, np.uint8)
        path = netcdf(tmp_path / f"{count}.nc", days, data, np.zeros_like(data))
        read_lai(series(path), small)
        tracemalloc.start()
        read_lai(series(path), small)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    window = 16 * (480 // 4 + 8) ** 2 * 8  # dates at a time, a quarter degree and its halo, float64
    assert peaks[1] < 12 * window and peaks[1] < 96 * 480**2  # less than the bytes of leaf area alone
    assert peaks[1] < 5 * peaks[0]  # the window has four times the pixels


def test_the_tile_takes_it_as_its_leaf_area(tmp_path) -> None:
    year(tmp_path, lai=35)
    constants = {"orog": 200.0, "sand": 40.0, "clay": 20.0, "soc": 20.0, "bdod": 1300.0, "phh2o": 6.0, "ndep": 0.5}
    layers = {name: {"constant": value, "reason": "made up for a test"} for name, value in constants.items()}
    layers["cropFrac"] = {"constant": 0.0, "reason": "made up for a test"}
    block = StaticBlock.model_validate({"layers": layers, "lai_series": {"path": str(tmp_path)}})
    tile = get_grid("4km").tile("N36W008", 1)
    found = build(block, tile, get_system("soil_methane_sink"), (-180, -90, 180, 90))
    run = found["active"].to_numpy() == 1
    assert run.any()
    np.testing.assert_allclose(found["lai"].to_numpy()[:, run], 3.5, rtol=1e-6)
    assert "kept 46 of 46 composites" in found["lai"].attrs["comment"]
    assert found["lai"].attrs["source_files"].startswith("92 files")
    assert found.attrs["filled_cells"] == "none"


def test_the_real_files_of_coweeta_make_a_tile(data_dir) -> None:
    """Leaf area and land cover of one basin, as they were downloaded."""
    folder = data_dir.joinpath(*COWEETA)
    cover = folder / LAI_FILE.replace("LAI", "LULC")
    if not cover.exists():
        pytest.skip(f"no real file {cover.name}")
    constants = {"orog": 900.0, "sand": 50.0, "clay": 20.0, "soc": 30.0, "bdod": 1200.0, "phh2o": 5.0, "ndep": 10.0}
    layers = {name: {"constant": value, "reason": "made up for a test"} for name, value in constants.items()}
    landcover = {"path": str(cover), "variable": "LC_Type1", "select": {"time": 0}, "legend": "modis_igbp"}
    given = {"layers": layers, "landcover": landcover, "lai_series": {"path": str(folder / LAI_FILE)}, "fill_cells": 0}
    tile = get_grid("4km").tile("N35W084", 1)
    found = build(StaticBlock.model_validate(given), tile, get_system("soil_methane_sink"), (-180, -90, 180, 90))
    run = found["active"].to_numpy() == 1
    lai = found["lai"].to_numpy()[:, run]
    assert run.sum() >= 1 and np.isfinite(lai).all() and lai.min() > 0.4 and lai.max() < 7
    assert (lai[5:9].mean(axis=0) > 4 * lai[[0, 1, 11]].mean(axis=0)).all()  # leaves fall


@pytest.mark.parametrize("west", [0, -180])
@pytest.mark.parametrize("name", ["N50E179", "N50W180", "N10W001", "N89E010"])
def test_global_grids_across_their_edges(tmp_path, west: int, name: str) -> None:
    """One degree, monthly, the cosine of longitude: interpolated across the date line, Greenwich and at the pole."""
    lat, lon = 89.5 - np.arange(180.0), west + 0.5 + np.arange(360.0)
    wave = np.broadcast_to(2 + np.cos(np.deg2rad(lon)), (12, 180, 360)).astype(np.float32)
    days = np.array([np.datetime64(f"2010-{month:02d}-15") for month in range(1, 13)])
    data = {"lai": (("time", "latitude", "longitude"), wave, {"units": "m**2 m**-2"})}
    xr.Dataset(data, {"time": days, "latitude": lat, "longitude": lon}).to_netcdf(tmp_path / "lai.nc")
    frame = Frame.around(get_grid("4km").tile(name, 1), 3)
    found = read_lai(series(tmp_path / "lai.nc", product="other", window="month"), frame)
    truth = np.broadcast_to(2 + np.cos(np.deg2rad(frame.lon)), found.values.shape)
    np.testing.assert_allclose(found.values, truth, atol=1e-4)


def test_a_tile_of_sea_has_no_leaf_area_and_that_is_no_error(tmp_path) -> None:
    year(tmp_path, lai=254, quality=NOT_PRODUCED)
    found = read_lai(series(tmp_path), FRAME)
    assert np.isnan(found.values).all() and "kept 0 of 46" in found.summary
    year(tmp_path, lai=20, quality=NOT_PRODUCED)
    with pytest.raises(InputError, match=r"reject all 105,984 pixels: 105,984 scf"):
        read_lai(series(tmp_path), FRAME)


def test_a_tile_far_away_reads_nothing(tmp_path) -> None:
    pair(tmp_path, date(2009, 1, 1), 20, GOOD)
    far = Frame.around(get_grid("4km").tile("N10E020", 1))
    assert np.isnan(read_lai(series(tmp_path), far).values).all()


def test_the_command_writes_a_layer_that_can_be_read_again(tmp_path) -> None:
    year(tmp_path / "series", lai=np.arange(PIXELS)[:, None] * np.ones(PIXELS))
    call = ["regrid", "lai", "--grid", "4km", "--tile-size", "1", "--tile", "N36W008", "--settings"]
    settings = json.dumps({"path": str(tmp_path / "series" / "*.tif")})
    done = CliRunner().invoke(
        app, [*call, settings, "--output", str(tmp_path / "lai.nc"), "--plot", str(tmp_path / "lai.png")]
    )
    assert done.exit_code == 0, done.output
    assert "kept 46 of 46 composites" in done.output
    layer = read_layer("lai", Layer(path=str(tmp_path / "lai.nc")), FRAME)
    np.testing.assert_allclose(layer, read_lai(series(tmp_path / "series"), FRAME).values, rtol=1e-6)
    assert (tmp_path / "lai.png").read_bytes()[:4] == b"\x89PNG" and (tmp_path / "lai.png").stat().st_size > 20_000
    call[7] = "N10E020"
    done = CliRunner().invoke(app, [*call, settings, "--output", str(tmp_path / "far.nc")])
    assert isinstance(done.exception, InputError) and "no leaf area in tile N10E020" in str(done.exception)
    assert not (tmp_path / "far.nc").exists()
