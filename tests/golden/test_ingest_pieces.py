"""Forcing pieces on disk: dtype, packing, attributes, order, halo, filling, seams, and what the command writes."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from fluxatlas import variables
from fluxatlas.cli import app
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.pieces import PieceOptions, pack, write_pieces
from fluxatlas.systems import get_system
from ingest_raw import era5_land, hourly_truth, open_forcing, write_geopotential, write_months

LAT, LON = np.arange(44.0, 37.9, -0.5), np.arange(-126.0, -118.9, 0.5)
NAMES = get_system("soil_methane_sink").forcing
TILES = [get_grid("4km").tile(name, 2) for name in ("N40W124", "N40W122")]
OPTIONS = PieceOptions(halo=1, fill_cells=1)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """ERA5-Land for 2001 and the first hour of 2002; the two western columns and one cell inland are sea."""
    folder = tmp_path_factory.mktemp("raw")
    truth = hourly_truth("2001-01-01", "2002-01-01T01", LAT[:1], LON[:1])
    ending = truth.time - np.timedelta64(1, "h")
    one = era5_land(truth.assign(tp=(truth.tp * (ending.dt.dayofyear % 3 == 0)).assign_attrs(truth.tp.attrs)))
    slope = xr.DataArray(
        1 + 0.002 * np.arange(LAT.size)[:, None] + 0.001 * np.arange(LON.size), dims=("latitude", "longitude")
    )
    whole = one.isel(latitude=0, longitude=0, drop=True) * slope
    for name in one.data_vars:
        whole[name].attrs = one[name].attrs
    whole = whole.assign_coords(latitude=LAT, longitude=LON).transpose("time", "latitude", "longitude")
    land = (whole.longitude > -123.9) & ~((whole.longitude == -121.0) & (whole.latitude == 41.0))
    return write_months(whole.where(land), folder), write_geopotential(folder / "geopotential.nc", LAT, LON)


@pytest.fixture(scope="module")
def pieces(raw: tuple[list[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    files, relief = raw
    folder = tmp_path_factory.mktemp("forcing")
    source = open_forcing("era5_land", files[:12], files[12:])
    paths = write_pieces(source, 2001, TILES, NAMES, folder, elevation=relief, options=OPTIONS, attrs={"made": "here"})
    assert [p.relative_to(folder).as_posix() for p in paths] == ["N40W124/2001.nc", "N40W122/2001.nc"]
    return {path.parent.name: path for path in paths}


def test_layout_packing_and_attributes(pieces: dict[str, Path]) -> None:
    with netCDF4.Dataset(pieces["N40W122"]) as file:
        assert {name: dim.size for name, dim in file.dimensions.items()} == {"time": 365, "lat": 7, "lon": 7}
        assert set(file.variables) == {*NAMES, "orog", "time", "lat", "lon"}
        for name in NAMES:
            made, row = file[name], variables.get(name)
            assert made.dtype == np.int16
            assert made.dimensions == ("time", "lat", "lon")
            assert (made.scale_factor, made.add_offset) == row.packing
            assert made._FillValue == variables.FILL
            assert made.units == row.units
            assert made.standard_name == row.standard_name
            assert made.cell_methods == f"time: {row.time}"
            assert made.filters()["zstd"]
            assert made.filters()["shuffle"]
            assert made.chunking() == [73, 7, 7]
        assert file["orog"].dtype == np.float32
        assert file["orog"].units == "m"
        assert file["time"].units == "days since 2001-01-01 00:00:00"
        assert file["time"].calendar == "standard"
        assert (file.Conventions, file.made, file.day_definition) == ("CF-1.11", "here", "UTC day")
        assert json.loads(file.unit_overrides) == {}
        assert file.clipped_pr == 0


def test_halo_and_order(pieces: dict[str, Path]) -> None:
    with xr.open_dataset(pieces["N40W122"]) as piece:
        np.testing.assert_array_equal(piece.lat, np.arange(42.5, 39.4, -0.5))
        np.testing.assert_array_equal(piece.lon, np.arange(-122.5, -119.4, 0.5))
        assert str(piece.time.values[0])[:10] == "2001-01-01"
        assert str(piece.time.values[-1])[:10] == "2001-12-31"


def test_values_are_the_days_to_half_a_packing_step(raw: tuple[list[Path], Path], pieces: dict[str, Path]) -> None:
    files, _ = raw
    days = open_forcing("era5_land", files[:12], files[12:]).daily(2001, (-123.2, 39.6, -121.3, 41.9))
    with xr.open_dataset(pieces["N40W124"]) as piece:
        for name in NAMES:
            scale, _ = variables.get(name).packing
            stored = piece[name].sel(lat=days.lat, lon=days.lon)
            assert float(np.abs(stored - days[name]).max()) <= 0.5001 * scale
        year = piece.pr.sel(lat=days.lat, lon=days.lon).sum("time")
        np.testing.assert_allclose(year, days.pr.sum("time"), rtol=1e-3)
        assert float(piece.pr.min()) == 0.0


def test_coast_is_filled_and_counted(pieces: dict[str, Path]) -> None:
    with xr.open_dataset(pieces["N40W124"]) as piece:
        np.testing.assert_array_equal(piece.lon, np.arange(-124.5, -121.4, 0.5))
        assert (piece.valid_cells, piece.filled_cells) == (35, 7)
        sea, coast = piece.isel(lon=0), piece.isel(lon=1)
        assert all(bool(sea[name].isnull().all()) for name in (*NAMES, "orog"))
        inland = piece.tas.isel(lon=2)
        expected = (inland.values[:, :-2] + inland.values[:, 1:-1] + inland.values[:, 2:]) / 3
        np.testing.assert_allclose(coast.tas.values[:, 1:-1], expected, atol=0.006)
        np.testing.assert_allclose(coast.orog.values[1:-1], piece.orog.isel(lon=2).values[1:-1], atol=1e-3)
    with xr.open_dataset(pieces["N40W122"]) as piece:
        assert (piece.valid_cells, piece.filled_cells) == (48, 1)
        assert not bool(piece.tas.isnull().any())


def test_a_tile_alone_and_inside_a_larger_one_is_the_same(
    raw: tuple[list[Path], Path], pieces: dict[str, Path], tmp_path: Path
) -> None:
    files, relief = raw
    for name, size in (("N40W122", 2), ("N40W125", 5)):
        tile = get_grid("4km").tile(name, size)
        source = open_forcing("era5_land", files[:12], files[12:])
        (path,) = write_pieces(source, 2001, [tile], ("tas", "pr"), tmp_path, elevation=relief, options=OPTIONS)
        with xr.open_dataset(path) as other, xr.open_dataset(pieces["N40W122"]) as piece:
            for variable in ("tas", "pr", "orog"):
                both = xr.align(other[variable], piece[variable], join="inner")
                assert both[0].size >= 0.85 * piece[variable].size
                np.testing.assert_array_equal(*both)


def test_a_tile_of_ocean_is_allowed_beside_land(raw: tuple[list[Path], Path], tmp_path: Path) -> None:
    files, relief = raw
    tiles = [get_grid("4km").tile(name, 1) for name in ("N40W126", "N40W123")]
    source = open_forcing("era5_land", files[:12], files[12:])
    sea, land = write_pieces(
        source, 2001, tiles, ["tas"], tmp_path, elevation=relief, options=PieceOptions(fill_cells=0, halo=1)
    )
    with xr.open_dataset(sea) as a, xr.open_dataset(land) as b:
        assert (a.valid_cells, a.filled_cells) == (0, 0)
        assert bool(a.tas.isnull().all())
        assert b.valid_cells == b.tas[0].size


def test_nothing_is_left_when_the_year_is_incomplete(raw: tuple[list[Path], Path], tmp_path: Path) -> None:
    files, relief = raw
    with pytest.raises(InputError, match="missing, the first at 2001-11-01 00:00"):
        write_pieces(
            open_forcing("era5_land", [*files[:10], files[11]], files[12:]),
            2001,
            TILES,
            NAMES,
            tmp_path,
            elevation=relief,
        )
    with pytest.raises(InputError, match="covers"):
        far = get_grid("4km").tile("N00E010", 10)
        write_pieces(
            open_forcing("era5_land", files[:12], files[12:]), 2001, [*TILES, far], NAMES, tmp_path, elevation=relief
        )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_command_writes_the_same_pieces(
    raw: tuple[list[Path], Path], pieces: dict[str, Path], tmp_path: Path
) -> None:
    files, relief = raw
    settings = {
        "source": "era5_land",
        "path": "x",
        "elevation": str(relief),
        "halo": 1,
        "fill_cells": 1,
        "compression": "zlib",
    }
    arguments = ["--settings", json.dumps(settings), "--year", "2001", "--grid", "4km", "--tile-size", "2"]
    arguments += [word for tile in TILES for word in ("--tile", tile.name)]
    arguments += [word for file in files[:12] for word in ("--input", str(file))]
    arguments += ["--next-input", str(files[12]), "--output-dir", str(tmp_path)]
    result = CliRunner().invoke(
        app, ["ingest", "forcing", "--system", "soil_methane_sink", *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0
    for name, path in pieces.items():
        with xr.open_dataset(tmp_path / name / "2001.nc") as made, xr.open_dataset(path) as expected:
            xr.testing.assert_equal(made, expected)
            assert made.tas.encoding["zlib"]
            assert made.attrs["fluxatlas_stage"] == "ingest"
            assert str(relief) in json.loads(made.attrs["fluxatlas_inputs"])


def test_packing_keeps_zero_exact_and_missing_missing() -> None:
    packed = pack(np.array([0.0, np.nan, 1e-4], np.float32), "pr")
    scale, offset = variables.get("pr").packing
    assert packed[0] * scale + offset == 0.0
    assert np.float32(packed[0]) * np.float32(scale) + np.float32(offset) == 0.0
    assert packed[1] == variables.FILL
    assert packed[2] * scale + offset == pytest.approx(1e-4, abs=scale / 2)
    assert pack(np.array([1850.0]), "ch4").dtype == np.float32
