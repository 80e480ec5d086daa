"""Maps and catalogue: valid for outside tools, georeferenced as the grid, equal to means made by xarray."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from pystac.errors import STACValidationError
from pystac.validation import JsonSchemaSTACValidator
from rio_cogeo import cog_validate
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.products import cog
from fluxatlas.products.cog import write_maps
from fluxatlas.products.daily import write_daily
from fluxatlas.products.stac import write_catalog
from stage_files import make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("maps"), years=(2001,))


@pytest.fixture(scope="module")
def daily(world):
    path = world.root / "products" / "daily" / "ch4ox_2001.nc"
    write_daily(path, "ch4ox", 2001, world.flux, world.attributes, system="soil_methane_sink")
    return path


@pytest.fixture(scope="module")
def maps(world, daily):
    return sorted(write_maps(daily, "ch4ox", 2001, world.root / "products" / "cog"), key=lambda path: path.stem)


def _expected(daily):
    with xr.open_dataset(daily, engine="netcdf4") as data:
        monthly = data.ch4ox.resample(time="MS").mean()
        return [data.ch4ox.mean("time").to_numpy(), *monthly.to_numpy()]


def test_means_are_those_of_xarray(daily, maps) -> None:
    assert [path.stem for path in maps] == ["ch4ox_2001", *(f"ch4ox_2001-{month:02d}" for month in range(1, 13))]
    for path, expected in zip(maps, _expected(daily), strict=True):
        with rasterio.open(path) as data:
            np.testing.assert_allclose(data.read(1), expected, rtol=1e-6)


def test_maps_are_valid_and_lie_on_the_grid(world, daily, maps) -> None:
    for path in maps:
        assert cog_validate(path, strict=True) == (True, [], [])
        with rasterio.open(path) as data:
            assert data.crs.to_epsg() == 4326 and np.isnan(data.nodata) and data.overviews(1) == [2]
            assert data.bounds == (-130, 30, -110, 50)
            assert data.compression.name == "deflate" and data.units == ("mg m-2 d-1",)
            x, y = data.xy(np.arange(data.height), np.arange(data.width))
            np.testing.assert_allclose(x, world.lon, atol=1e-9)
            np.testing.assert_allclose(y, world.lat, atol=1e-9)
            assert (np.isfinite(data.read(1)) == world.active).all()
            coarse = data.read(1, out_shape=(data.height // 2, data.width // 2))
            blocks = data.read(1).reshape(data.height // 2, 2, data.width // 2, 2)
            whole = np.isfinite(blocks).all(axis=(1, 3))
            np.testing.assert_allclose(coarse[whole], blocks.mean(axis=(1, 3))[whole], rtol=1e-5)


def test_int16_maps_carry_scale_and_offset(daily, tmp_path) -> None:
    (path,) = write_maps(daily, "ch4ox", 2001, tmp_path, ProductsBlock(map_type="int16", monthly=False))
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as data:
        assert data.dtypes == ("int16",) and data.nodata == -32768
        values = data.read(1, masked=True) * data.scales[0] + data.offsets[0]
        np.testing.assert_allclose(values.filled(np.nan), _expected(daily)[0], atol=0.00025 + 1e-9)


def test_compression_is_that_of_the_settings_for_maps_and_daily_files_alike(world, tmp_path) -> None:
    for compression, of_maps in (("zlib", "deflate"), ("zstd", "zstd")):
        block = ProductsBlock(compression=compression, monthly=False)
        path = tmp_path / compression / "ch4ox_2001.nc"
        path.parent.mkdir()
        write_daily(path, "ch4ox", 2001, world.flux, world.attributes, block, system="soil_methane_sink")
        (map_,) = write_maps(path, "ch4ox", 2001, tmp_path / compression, block)
        with rasterio.open(map_) as data, xr.open_dataset(path, engine="netcdf4") as days:
            assert data.compression.name == of_maps and days["ch4ox"].encoding[compression]
            np.testing.assert_allclose(data.read(1), days["ch4ox"].mean("time"), rtol=1e-6)


def test_a_map_that_the_disk_did_not_take_is_not_kept(daily, tmp_path, monkeypatch) -> None:
    whole = cog._to_cog
    for share in (0.0, 0.5, 0.9):  # GDAL closes it without a word

        def fill(plain, target, values, settings, share=share):
            whole(plain, target, values, settings)
            kept = target.read_bytes()
            target.write_bytes(kept[: int(share * len(kept))])

        monkeypatch.setattr(cog, "_to_cog", fill)
        with pytest.raises(FluxAtlasError, match=r"cannot be read back|does not hold") as caught:
            write_maps(daily, "ch4ox", 2001, tmp_path)
        assert str(tmp_path / "ch4ox_2001") in str(caught.value) and "disk is full" in str(caught.value)
        assert not list(tmp_path.iterdir())


def test_a_valid_map_with_another_value_is_not_kept(daily, tmp_path, monkeypatch) -> None:
    whole = cog._to_cog

    def change(plain, target, values, settings):
        with rasterio.open(plain, "r+") as file:
            other = file.read(1)
            row, column = np.argwhere(np.isfinite(other))[0]
            other[row, column] = np.nextafter(other[row, column], np.float32(np.inf))
            file.write(other, 1)
        whole(plain, target, values, settings)
        assert cog_validate(target, strict=True)[0]

    monkeypatch.setattr(cog, "_to_cog", change)
    with pytest.raises(FluxAtlasError, match="the map does not hold what was written"):
        write_maps(daily, "ch4ox", 2001, tmp_path, ProductsBlock(monthly=False))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
def test_gdalinfo_reads_the_map(maps) -> None:
    info = json.loads(subprocess.run(["gdalinfo", "-json", maps[0]], capture_output=True, check=True).stdout)
    assert info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    assert info["bands"][0]["unit"] == "mg m-2 d-1"


def test_another_variable_or_year_or_no_data_is_refused(world, daily, tmp_path) -> None:
    with pytest.raises(InputError, match="no variable 'fch4'"):
        write_maps(daily, "fch4", 2001, tmp_path)
    with pytest.raises(InputError, match="not the year 2002"):
        write_maps(daily, "ch4ox", 2002, tmp_path)
    sea = make_world(tmp_path, bbox=(-150, 30, -140, 40), years=(2001,))
    write_daily(tmp_path / "ch4ox_2001.nc", "ch4ox", 2001, sea.flux, sea.attributes, system="soil_methane_sink")
    with pytest.raises(InputError, match="every value is missing"):
        write_maps(tmp_path / "ch4ox_2001.nc", "ch4ox", 2001, tmp_path / "cog", ProductsBlock(monthly=False))
    assert not list((tmp_path / "cog").glob("*.tif"))


def test_the_catalogue_is_valid_and_finds_every_file(world, daily, maps) -> None:
    output = world.root / "products" / "stac" / "catalog.json"
    write_catalog(output, [daily], maps, run="test", system="soil_methane_sink")
    catalog = pystac.Catalog.from_file(str(output))
    items = list(catalog.get_items(recursive=True))
    assert [item.id for item in items] == ["soil_methane_sink-test-2001"]
    validator = JsonSchemaSTACValidator()
    for part in (catalog, *catalog.get_children(), *items):
        assert validator.validate_core(part.to_dict(), part.STAC_OBJECT_TYPE, "1.1.0")
        on_disk = json.loads(Path(part.get_self_href()).read_text())
        assert on_disk["links"] and all(
            link["href"].startswith("./") or ".." in link["href"] for link in on_disk["links"]
        )
    broken = {**items[0].to_dict(), "geometry": "nowhere"}
    with pytest.raises(STACValidationError):
        validator.validate_core(broken, pystac.STACObjectType.ITEM, "1.1.0")
    assert len(items[0].assets) == 14
    for asset in items[0].assets.values():
        assert not asset.href.startswith("/")
        assert Path(asset.get_absolute_href()).is_file()
    assert items[0].bbox == [-130, 30, -110, 50]
    # what stands on the item would hold for the daily files too, which are no rasters
    assert not [key for key in items[0].properties if key.startswith("proj:")]
    for key, asset in items[0].assets.items():
        found = asset.to_dict()
        assert ("proj:shape" in found) == ("proj:transform" in found) == (not key.endswith("_daily"))
        assert key.endswith("_daily") or found["proj:shape"] == [40, 40]


def test_a_catalogue_that_was_moved_still_finds_its_files(world, daily, maps, tmp_path) -> None:
    write_catalog(world.root / "products" / "stac" / "catalog.json", [daily], maps, system="soil_methane_sink")
    shutil.copytree(world.root / "products", tmp_path / "moved")
    (item,) = pystac.Catalog.from_file(str(tmp_path / "moved/stac/catalog.json")).get_items(recursive=True)
    href = item.assets["ch4ox_2001-07"].get_absolute_href()
    assert href.startswith(str(tmp_path))
    with rasterio.open(href) as data:
        assert data.width == 40


def test_files_that_are_no_products_are_refused(daily, maps, tmp_path) -> None:
    with pytest.raises(InputError, match="no daily file"):
        write_catalog(tmp_path / "catalog.json", [], system="soil_methane_sink")
    with pytest.raises(InputError, match="not that of a product"):
        write_catalog(tmp_path / "catalog.json", [tmp_path / "map.tif"], system="soil_methane_sink")
    with pytest.raises(InputError, match="file not found"):
        write_catalog(tmp_path / "catalog.json", [tmp_path / "ch4ox_1999.nc"], system="soil_methane_sink")
    shutil.copy(maps[0], tmp_path / "ch4ox_2005.tif")
    with pytest.raises(InputError, match="a map of 2005"):
        write_catalog(tmp_path / "catalog.json", [daily], [tmp_path / "ch4ox_2005.tif"], system="soil_methane_sink")


def test_the_commands_make_all_products(world, tmp_path) -> None:
    attributes = [part for path in world.attributes for part in ("--attributes", str(path))]
    flux = [part for path in world.flux for part in ("--flux", str(path))]
    settings = ["--settings", '{"monthly": false, "compression": "zstd"}']
    daily = tmp_path / "daily" / "fch4_2001.nc"
    system = ["--system", "soil_methane_sink"]
    for arguments in (
        ["daily", *system, "--variable", "fch4", "--year", "2001", *flux, *attributes, "--output", str(daily)],
        ["cog", "--daily", str(daily), "--variable", "fch4", "--year", "2001", "--output-dir", str(tmp_path / "cog")],
        [
            "stac",
            *system,
            "--daily",
            str(daily),
            "--map",
            f"{tmp_path}/cog/fch4_2001.tif",
            "--output",
            f"{tmp_path}/stac/catalog.json",
        ],
        ["budget", *system, *flux, *attributes, "--output", str(tmp_path / "budget.csv")],
    ):
        result = CliRunner().invoke(app, ["products", *arguments, *settings], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == [
        "budget.csv",
        "budget.parquet",
        "cog/fch4_2001.tif",
        "daily/fch4_2001.nc",
        "stac/catalog.json",
        "stac/soil_methane_sink-fluxatlas/collection.json",
        "stac/soil_methane_sink-fluxatlas/soil_methane_sink-fluxatlas-2001/soil_methane_sink-fluxatlas-2001.json",
    ]
