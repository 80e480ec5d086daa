"""The regridded forcing of a tile on disk equals what inference makes on the fly; its command and its errors."""

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401 (adds .rio)
import xarray as xr
from typer.testing import CliRunner

from fluxatlas import variables
from fluxatlas.cli import app
from fluxatlas.errors import GridError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid import TileRegridder, materialise

GRID = get_grid("4km")
TILE = GRID.tile("N65W180", 1)  # its halo in the west lies beyond the date line
DAYS = pd.date_range("2001-03-01", "2001-03-05")
RANGES = {"tas": (260, 290), "pr": (0, 1e-4), "rlds": (200, 350), "huss": (5e-4, 9e-3), "ps": (8e4, 1e5)}


@pytest.fixture
def world(tmp_path):
    rng = np.random.default_rng(5)
    lat, lon = 66.5 - 0.25 * np.arange(8), -180.5 + 0.25 * np.arange(8)
    shape = (len(DAYS), 8, 8)
    data = {name: (("time", "lat", "lon"), rng.uniform(*span, shape)) for name, span in RANGES.items()}
    data["orog"] = (("lat", "lon"), rng.uniform(0, 900, (8, 8)))
    piece = xr.Dataset(data, {"time": DAYS, "lat": lat, "lon": lon})
    piece.to_netcdf(tmp_path / "piece.nc")
    layers = {
        "active": (("lat", "lon"), rng.integers(0, 2, TILE.shape).astype("int8")),
        "orog": (("lat", "lon"), rng.uniform(0, 2000, TILE.shape)),
    }
    attributes = xr.Dataset(layers, {"lat": TILE.lat, "lon": TILE.lon})
    attributes.to_netcdf(tmp_path / "attributes.nc")
    return tmp_path, piece, attributes


def _write(folder, method="bilinear", tile=TILE):
    materialise.write(tile, folder / "piece.nc", folder / "attributes.nc", folder / "out.nc", method)
    return xr.load_dataset(folder / "out.nc")


@pytest.mark.parametrize("method", ["bilinear", "conservative"])
def test_it_holds_what_the_regridder_makes(world, method) -> None:
    folder, piece, attributes = world
    found = _write(folder, method)
    index = np.flatnonzero(attributes["active"].to_numpy() == 1)
    orog = piece["orog"].to_numpy(), attributes["orog"].to_numpy()
    regridder = TileRegridder(piece.lat, piece.lon, TILE, method=method, source_orog=orog[0], target_orog=orog[1])
    expected = regridder.downscale({name: piece[name].to_numpy() for name in RANGES}, index)
    for name in RANGES:
        values = found[name].to_numpy().reshape(len(DAYS), -1)
        step = variables.get(name).packing[0]
        np.testing.assert_allclose(values[:, index], expected[name], atol=0.51 * step, err_msg=name)
        assert np.isnan(np.delete(values, index, axis=1)).all()
        assert found[name].attrs["units"] == variables.get(name).units
    np.testing.assert_array_equal(found["time"], DAYS)
    np.testing.assert_array_equal(found["lat"], TILE.lat)
    assert found.attrs["fluxatlas_stage"] == "regrid forcing" and '"piece"' in found.attrs["fluxatlas_inputs"]


def test_a_gis_finds_its_place(world) -> None:
    """The reader that users have: coordinate system, bounds and size of a cell; values stay packed."""
    folder, _, _ = world
    _write(folder)
    with xr.open_dataset(folder / "out.nc", decode_coords="all") as found:
        for held in (found, found["tas"]):
            assert held.rio.crs.to_epsg() == 4326
            assert held.rio.bounds() == pytest.approx(TILE.bbox)
            assert held.rio.resolution() == pytest.approx((1 / 24, -1 / 24))
        assert found["tas"].encoding["dtype"] == "int16"


def test_what_does_not_belong_together_is_refused(world) -> None:
    folder, _, _ = world
    with pytest.raises(InputError, match="unknown method 'nearest'"):
        _write(folder, "nearest")
    for tile in (GRID.tile("N65E179", 1), get_grid("1km").tile("N65W180", 1)):
        with pytest.raises(InputError, match=f"not the attributes of tile {tile}"):
            _write(folder, tile=tile)
    far = xr.load_dataset(folder / "piece.nc").assign_coords(lat=np.arange(8.0))
    far.to_netcdf(folder / "piece.nc")
    with pytest.raises(GridError, match="lies outside the source"):
        _write(folder)
    assert not (folder / "out.nc").exists()


def test_the_command_writes_and_reports(world) -> None:
    folder, _, _ = world
    arguments = ["regrid", "forcing", "--grid", "4km", "--tile-size", "1", "--forcing", str(folder / "piece.nc")]
    arguments += ["--attributes", str(folder / "attributes.nc"), "--output", str(folder / "deep" / "out.nc")]
    done = CliRunner().invoke(app, [*arguments, "--tile", "N65W180"])
    assert done.exit_code == 0, done.output
    assert set(xr.load_dataset(folder / "deep" / "out.nc", decode_coords="all").data_vars) == set(RANGES)
    wrong = CliRunner().invoke(app, [*arguments, "--tile", "N65W18"])
    assert isinstance(wrong.exception, GridError) and "is not a tile name" in str(wrong.exception)
    absent = CliRunner().invoke(app, [*arguments, "--tile", "N65W180", "--forcing", str(folder / "none.nc")])
    assert isinstance(absent.exception, InputError) and "none.nc" in str(absent.exception)
