"""The products as other people's tools read them: GDAL's and CDO's command lines against xarray's numbers."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import rioxarray
import xarray as xr

from fluxatlas.config.products import ProductsBlock
from fluxatlas.products.cog import write_maps
from fluxatlas.products.daily import write_daily
from stage_files import make_world

needs_gdal = pytest.mark.skipif(shutil.which("gdallocationinfo") is None, reason="the tools of GDAL are not installed")
needs_cdo = pytest.mark.skipif(shutil.which("cdo") is None, reason="CDO is not installed")

DAY = 200
"""Day of the year that is compared, counted from 1."""


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("outside"), years=(2001,))
    path = world.root / "daily" / "ch4ox_2001.nc"
    write_daily(path, "ch4ox", 2001, world.flux, world.attributes, system="soil_methane_sink")
    return path


@pytest.fixture(scope="module")
def seen(product):
    with xr.open_dataset(product, engine="netcdf4") as data:
        return data.load()


@pytest.fixture(scope="module")
def cell(seen):
    """A cell with data that is not in the middle, so that a flipped axis shows."""
    rows, columns = np.nonzero(np.isfinite(seen.ch4ox[0].to_numpy()))
    return int(rows[3]), int(columns[3])


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    assert "warning" not in done.stderr.lower() and "error" not in done.stderr.lower(), done.stderr
    return done.stdout


def _location(path, seen, cell, *options):
    lon, lat = (float(seen[name][index]) for name, index in (("lon", cell[1]), ("lat", cell[0])))
    return float(_run("gdallocationinfo", "-valonly", "-geoloc", *options, path, lon, lat))


def test_rioxarray_finds_product_and_map_in_the_same_place(product, seen, tmp_path) -> None:
    (path,) = write_maps(product, "ch4ox", 2001, tmp_path, ProductsBlock(monthly=False))
    with xr.open_dataset(product, decode_coords="all") as daily, rioxarray.open_rasterio(path, masked=True) as map_:
        assert daily.rio.crs.to_epsg() == daily["ch4ox"].rio.crs.to_epsg() == map_.rio.crs.to_epsg() == 4326
        assert daily["ch4ox"].rio.bounds() == pytest.approx(map_.rio.bounds())
        np.testing.assert_allclose(map_[0], daily["ch4ox"].mean("time"), rtol=2e-4, atol=1e-4)


@needs_gdal
@pytest.mark.parametrize("map_type", ["float32", "int16"])
def test_gdal_reads_a_map(product, seen, cell, tmp_path, map_type) -> None:
    (path,) = write_maps(product, "ch4ox", 2001, tmp_path, ProductsBlock(monthly=False, map_type=map_type))
    info = json.loads(_run("gdalinfo", "-json", path))
    (band,) = info["bands"]
    assert info["size"] == [40, 40] and info["geoTransform"] == pytest.approx([-130, 0.5, 0, 50, 0, -0.5])
    assert info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG" and len(band["overviews"]) == 1
    assert band["unit"] == "mg m-2 d-1" and band["description"].endswith("mean of 2001")
    assert info["metadata"][""]["TIFFTAG_IMAGEDESCRIPTION"] == band["description"]
    scale, offset = band.get("scale", 1.0), band.get("offset", 0.0)
    mean = seen.ch4ox.mean("time")
    assert _location(path, seen, cell) * scale + offset == pytest.approx(float(mean[cell]), abs=3e-4)
    assert band["maximum"] * scale + offset == pytest.approx(float(mean.max()), abs=1e-3)


@needs_gdal
def test_gdal_reads_the_daily_file(product, seen, cell) -> None:
    info = json.loads(_run("gdalinfo", "-json", f"NETCDF:{product}:ch4ox"))
    assert len(info["bands"]) == 365 and info["geoTransform"] == pytest.approx([-130, 0.5, 0, 50, 0, -0.5])
    band = info["bands"][0]
    assert (band["scale"], band["offset"], band["noDataValue"]) == (0.0005, 15, -32768)
    packed = _location(f"NETCDF:{product}:ch4ox", seen, cell, "-b", DAY)
    assert packed * band["scale"] + band["offset"] == pytest.approx(float(seen.ch4ox[DAY - 1][cell]), abs=1e-6)


@needs_cdo
def test_cdo_reads_the_daily_file(product, seen, cell) -> None:
    grid = _run("cdo", "-s", "griddes", product)
    assert "gridtype  = lonlat" in grid and "xsize     = 40" in grid
    dates = _run("cdo", "-s", "showdate", product).split()
    assert dates == [str(day)[:10] for day in seen.time.to_numpy()]
    names = _run("cdo", "-s", "showname", product).split()
    assert {"ch4ox", "ch4ox_sd", "uplandFrac", "dissimilarity", "point_density", "applicable"} == set(
        names
    )  # areacella: the grid's own
    row, column = cell[0] + 1, cell[1] + 1
    box = f"-selindexbox,{column},{column},{row},{row}"
    value = float(_run("cdo", "-s", "outputf,%.9g,1", box, f"-seltimestep,{DAY}", "-selname,ch4ox", product))
    assert value == pytest.approx(float(seen.ch4ox[DAY - 1][cell]), abs=1e-6)


@needs_cdo
def test_cdo_averages_over_the_area_of_the_cells_as_the_file_states_it(product, seen) -> None:
    """CDO weights by the area that ``cell_measures`` names, which it takes for a part of the grid."""
    means = _run("cdo", "-s", "outputf,%.9g,1", "-fldmean", "-timmean", "-selname,ch4ox", product)
    expected = seen.ch4ox.mean("time").weighted(seen.areacella.fillna(0)).mean()
    assert float(means) == pytest.approx(float(expected), rel=1e-5)
