"""The product on EASE-Grid 2.0: sums are kept, means are those of points drawn in each cell, the grid is NSIDC's."""

from pathlib import Path

import netCDF4
import numpy as np
import pyproj
import pystac
import pytest
import rioxarray  # noqa: F401  the accessor
import xarray as xr
from pystac.validation import JsonSchemaSTACValidator
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.ingest.constraints.ease import edges, window_of
from fluxatlas.products import ease
from fluxatlas.products.ease import write_ease
from fluxatlas.products.stac import write_catalog
from fluxatlas.systems import get_system
from tiny_product import product

SYSTEM = get_system("net_ecosystem_exchange")


def made(folder: Path, grid: str = "9 km", **changes: object) -> tuple[xr.Dataset, xr.Dataset]:
    """The tiny product of 3 x 4 cells of half a degree and the same on EASE-Grid 2.0."""
    data = product(folder, SYSTEM.name, "nee", 2001, days=3, **changes)
    output = folder / "products" / "ease" / "nee_2001.nc"
    write_ease(output, folder / "products/daily/nee_2001.nc", "nee", 2001, SYSTEM, ProductsBlock(ease_grid=grid))
    with xr.open_dataset(output, engine="netcdf4") as found:
        return data, found.load()


@pytest.mark.parametrize("grid", ["36 km", "9 km", "3 km"])
def test_sums_are_those_of_the_product_day_by_day(tmp_path: Path, grid: str) -> None:
    data, found = made(tmp_path, grid)
    area = data["areacella"] * data["sftlf"] / 100
    for name in ("nee", "nee_sd"):
        before = (data[name] * area).sum(("lat", "lon")).to_numpy()
        after = (found[name].astype(float) * found["areacella"].astype(float)).sum(("y", "x")).to_numpy()
        np.testing.assert_allclose(after, before, rtol=2e-6)
    seen = float(area.where(data["nee"].notnull().any("time")).sum())
    assert float(found["areacella"].astype(float).sum()) == pytest.approx(seen, rel=1e-6)


def test_blocks_change_nothing(tmp_path: Path, monkeypatch) -> None:
    _, whole = made(tmp_path / "a")
    monkeypatch.setattr(ease, "EDGE", (1, 2))
    monkeypatch.setattr(ease, "DAYS", 2)
    _, parts = made(tmp_path / "b")
    xr.testing.assert_allclose(whole, parts, rtol=1e-6)


def test_means_are_those_of_points_drawn_in_each_cell(tmp_path: Path) -> None:
    data, found = made(tmp_path, "36 km")
    to_degrees, half = pyproj.Transformer.from_crs(6933, 4326, always_xy=True), 36032.220840584 / 2
    inner = np.linspace(-half, half, 300, endpoint=False) + half / 300
    checked = 0
    for row, y in enumerate(found["y"].to_numpy()):
        for column, x in enumerate(found["x"].to_numpy()):
            lon, lat = to_degrees.transform(*np.meshgrid(x + inner, y + inner))
            i, j = np.floor((51.0 - lat) / 0.5).astype(int), np.floor((lon - 9.0) / 0.5).astype(int)
            inside = (i >= 0) & (i < 3) & (j >= 0) & (j < 4)
            value = np.where(inside, data["nee"].to_numpy()[0][i.clip(0, 2), j.clip(0, 3)], np.nan)
            weight = data["sftlf"].to_numpy()[i.clip(0, 2), j.clip(0, 3)]
            there = np.isfinite(value)
            if there.sum() > 3000:
                mean = np.average(value[there], weights=weight[there])
                assert float(found["nee"][0, row, column]) == pytest.approx(mean, abs=0.03), (row, column)
                checked += 1
    assert checked > 20


def test_the_grid_is_that_of_nsidc_and_other_tools_find_it(tmp_path: Path) -> None:
    _, found = made(tmp_path)
    size, left, top = 9008.055210146, -17367530.4451615, 7314540.8306386  # EASE2_M09km
    np.testing.assert_allclose(((found["x"] - left) / size - 0.5) % 1 % 0.999999, 0, atol=1e-4)
    np.testing.assert_allclose(((top - found["y"]) / size - 0.5) % 1 % 0.999999, 0, atol=1e-4)
    with xr.open_dataset(tmp_path / "products/ease/nee_2001.nc", decode_coords="all", engine="netcdf4") as read:
        assert read.rio.crs.to_epsg() == 6933
        step = read.rio.transform()
        assert (step.a, step.e) == pytest.approx((size, -size), rel=1e-6)
    lon, lat = pyproj.Transformer.from_crs(6933, 4326, always_xy=True).transform(*np.meshgrid(found["x"], found["y"]))
    assert window_of(lat, lon, Path("x")).name == "9 km"  # what reads SMAP takes it for that grid
    assert edges("1 km")[0][0] == pytest.approx(85.0445664, abs=1e-6) and len(edges("1 km")[1]) == 34705
    assert found["nee"].attrs["grid_mapping"] == "crs" and found["areacella"].attrs["units"] == "m2"
    assert found.attrs["summary"].startswith("Means by area on EASE-Grid 2.0, 9 km")
    assert "EASE-Grid 2.0, 9 km" in found.attrs["title"] and found.attrs["id"].endswith("_ease_9km")
    assert "geospatial_lat_min" in found.attrs and "geospatial_lat_resolution" not in found.attrs


def test_packed_values_are_unpacked(tmp_path: Path) -> None:
    data, plain = made(tmp_path)
    path = tmp_path / "products/daily/nee_2001.nc"
    packing = {"dtype": "i2", "scale_factor": 0.001, "add_offset": 0.5, "_FillValue": -32768}
    data.to_netcdf(path, encoding={"nee": packing, "applicable": {"dtype": "i1", "_FillValue": -128}})
    output = tmp_path / "packed.nc"
    write_ease(output, path, "nee", 2001, SYSTEM, ProductsBlock(ease_grid="9 km"))
    with xr.open_dataset(output, engine="netcdf4") as packed:
        np.testing.assert_allclose(packed["nee"], plain["nee"], atol=6e-4)


def test_what_cannot_be_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    product(tmp_path, SYSTEM.name, "nee", 2001, days=3)
    path, output = tmp_path / "products/daily/nee_2001.nc", tmp_path / "o.nc"
    nine = ProductsBlock(ease_grid="9 km")
    with pytest.raises(ConfigError, match=r"no EASE-Grid 2.0 is named"):
        write_ease(output, path, "nee", 2001, SYSTEM, ProductsBlock())
    with pytest.raises(InputError, match="no variable 'gpp'"):
        write_ease(output, path, "gpp", 2001, SYSTEM, nine)
    with pytest.raises(InputError, match="no layer 'uplandFrac', which is part of the area of a flux"):
        write_ease(output, path, "nee", 2001, get_system("soil_methane_sink"), nine)
    with netCDF4.Dataset(path, "a") as file:
        file["lat_bnds"][:] = file["lat_bnds"][:] + 38.0
    with pytest.raises(InputError, match=r"no cell of EASE-Grid 2.0 lies between 87.5 and 89 N"):
        write_ease(output, path, "nee", 2001, SYSTEM, nine)
    assert not output.exists()


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    product(tmp_path, SYSTEM.name, "nee", 2001, days=2)
    words = ["--daily", str(tmp_path / "products/daily/nee_2001.nc"), "--variable", "nee", "--year", "2001"]
    words += ["--output", str(tmp_path / "o.nc"), "--system", SYSTEM.name, "--settings", '{"ease_grid": "36 km"}']
    done = CliRunner().invoke(app, ["products", "ease", *words])
    assert done.exit_code == 0, done.output
    assert "cells of EASE-Grid 2.0, 36 km" in done.output


def test_the_catalogue_lists_the_files_beside_those_of_the_product(tmp_path: Path) -> None:
    made(tmp_path)
    daily, on_ease = tmp_path / "products/daily/nee_2001.nc", tmp_path / "products/ease/nee_2001.nc"
    words = ["--daily", str(daily), "--ease", str(on_ease), "--system", SYSTEM.name]
    done = CliRunner().invoke(
        app, ["products", "stac", *words, "--output", str(tmp_path / "products/stac/catalog.json")]
    )
    assert done.exit_code == 0, done.output
    (item,) = pystac.Catalog.from_file(str(tmp_path / "products/stac/catalog.json")).get_items(recursive=True)
    asset = item.assets["nee_daily_ease"]
    assert Path(asset.get_absolute_href()).resolve() == on_ease.resolve()
    assert asset.title.endswith("daily, on EASE-Grid 2.0, 9 km (EPSG:6933)") and asset.roles == ["data"]
    assert JsonSchemaSTACValidator().validate_core(item.to_dict(), item.STAC_OBJECT_TYPE, "1.1.0")
    assert set(item.assets) == {"nee_daily", "nee_daily_ease"}
    (tmp_path / "nee_2007.nc").write_bytes(on_ease.read_bytes())
    with pytest.raises(InputError, match="a file on EASE-Grid of 2007, but no daily file of that year"):
        write_catalog(tmp_path / "c.json", [daily], system=SYSTEM.name, ease=[tmp_path / "nee_2007.nc"])
    assert not (tmp_path / "c.json").exists()
