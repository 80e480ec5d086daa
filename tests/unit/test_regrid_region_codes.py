"""Shares of cells in the regions of code maps: TransCom-like NetCDF files, GeoTIFFs in any projection, bad input."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from fluxatlas.config.regions import RegionMap
from fluxatlas.errors import GridError, InputError
from fluxatlas.grid import EARTH_RADIUS, get_grid
from fluxatlas.regrid.regions import bounds, cell_area, region_shares, shares_between

LAT, LON = np.arange(-89.5, 90), np.arange(-179.5, 180)


def transcom(folder: Path, codes=None, lat=LAT, lon=LON, name="regions.nc", **attrs) -> RegionMap:
    """A file like CarbonTracker's: codes of 1 degree; 1 is a box over the date line, 2 the tropics of one half."""
    if codes is None:
        codes = np.zeros((len(lat), len(lon)), np.int32)
        east = np.abs((np.asarray(lon) - 180) % 360 - 180)
        codes[np.ix_((lat > 40) & (lat < 70), east > 160)] = 1
        codes[np.ix_(np.abs(lat) < 20, (np.asarray(lon) % 360) < 180)] = 2
    data = xr.Dataset(
        {"transcom_regions": (("latitude", "longitude"), codes, attrs)}, {"latitude": lat, "longitude": lon}
    )
    data.to_netcdf(folder / name)
    return RegionMap(path=str(folder / name))


def tiff(
    folder: Path, codes: np.ndarray, west=0.0, north=10.0, step=1.0, name="map.tif", crs="EPSG:4326", **more
) -> RegionMap:
    profile = {"driver": "GTiff", "width": codes.shape[1], "height": codes.shape[0], "count": 1, "dtype": codes.dtype}
    with rasterio.open(
        folder / name, "w", crs=crs, transform=from_origin(west, north, step, step), **profile, **more
    ) as out:
        out.write(codes, 1)
    return RegionMap(path=str(folder / name))


FLAGS = {"flag_values": np.array([0, 1, 2], "i4"), "flag_meanings": "Ocean North_Pacific Tropics"}


def test_a_map_on_its_own_grid_gives_whole_cells(tmp_path) -> None:
    found = region_shares(transcom(tmp_path), LAT, LON)
    assert found.names == ("region 1", "region 2") and set(np.unique(found.share)) == {0, 1}
    cells = cell_area(bounds(LAT, "lat"), bounds(LON, "lon"))
    true = EARTH_RADIUS**2 * np.deg2rad(40) * (np.sin(np.deg2rad(70)) - np.sin(np.deg2rad(40)))
    assert found.total(cells)[0] == pytest.approx(true)


@pytest.mark.parametrize("step", [0.5, 4.0, 2.5])
def test_areas_are_kept_on_any_grid_and_in_either_convention_of_longitude(tmp_path, step) -> None:
    cells = cell_area(bounds(LAT, "lat"), bounds(LON, "lon"))
    true = region_shares(transcom(tmp_path), LAT, LON).total(cells)
    turned = transcom(tmp_path, lat=LAT[::-1], lon=np.arange(0.5, 360), name="turned.nc")
    lat = np.arange(90 - step / 2, -90, -step)
    for source in (transcom(tmp_path), turned):
        for lon in (np.arange(-180 + step / 2, 180, step), np.arange(step / 2, 360, step)):
            found = region_shares(source, lat, lon)
            np.testing.assert_allclose(found.total(cell_area(bounds(lat, "lat"), bounds(lon, "lon"))), true, rtol=1e-9)
            assert found.share.sum(axis=0).max() <= 1 + 1e-12
    shifted = np.arange(-180, 180, 5.0)  # cells across the date line, half cells at the poles
    found = region_shares(turned, np.linspace(-90, 90, 46), shifted)
    area = cell_area(bounds(np.linspace(-90, 90, 46), "lat"), bounds(shifted, "lon"))
    np.testing.assert_allclose(found.total(area), true, rtol=1e-9)


def test_tiles_of_a_finer_grid_join_without_seam(tmp_path) -> None:
    source, grid = transcom(tmp_path), get_grid("0.25deg")
    tiles = [grid.tile(name, 10) for name in ("N60E170", "N60W180", "N40E160")]
    for tile in tiles:
        found = shares_between(source, grid.lat_bounds(tile.rows), grid.lon_bounds(tile.columns))
        inside = (np.abs(tile.lon) > 160)[None, :] & ((tile.lat > 40) & (tile.lat < 70))[:, None]
        np.testing.assert_allclose(found.share[0], inside.astype(float), atol=1e-12)


def test_names_come_from_flags_or_a_table_and_zero_only_counts_with_a_name(tmp_path) -> None:
    assert region_shares(transcom(tmp_path, **FLAGS), LAT, LON).names == ("North_Pacific", "Ocean", "Tropics")
    (tmp_path / "names.csv").write_text("# TransCom\ncode,name\n1,Boreal\n", encoding="utf-8")
    source = transcom(tmp_path).model_copy(update={"names": str(tmp_path / "names.csv")})
    found = region_shares(source, LAT, LON)
    assert found.names == ("Boreal", "region 2") and found.notes == ("codes without a name: [2]",)
    (tmp_path / "names.csv").write_text("code,name\n1,Land\n2,Land\n", encoding="utf-8")
    assert region_shares(source, LAT, LON).names == ("Land",)
    kept = region_shares(transcom(tmp_path, **FLAGS).model_copy(update={"nodata": 1}), LAT, LON)
    assert kept.names == ("Ocean", "Tropics")


def test_shares_of_a_finer_geotiff_are_counts_weighted_by_area(tmp_path) -> None:
    codes = np.random.default_rng(2).integers(1, 5, (40, 40)).astype(np.uint8)
    source = tiff(tmp_path, codes, step=0.25, nodata=4)
    found = region_shares(source, np.arange(9.5, 0, -1), np.arange(0.5, 10))
    weight = cell_area(10 - 0.25 * np.arange(41), 0.25 * np.arange(41))
    for code, share in zip((1, 2, 3), found.share, strict=True):
        part = ((codes == code) * weight).reshape(10, 4, 10, 4).sum(axis=(1, 3))
        np.testing.assert_allclose(share, part / weight.reshape(10, 4, 10, 4).sum(axis=(1, 3)), rtol=1e-12)
    assert found.names == ("region 1", "region 2", "region 3")


def test_beyond_its_edge_a_map_has_no_region(tmp_path) -> None:
    found = region_shares(
        tiff(tmp_path, np.full((10, 10), 7, np.uint8)), np.arange(-0.5, 12), np.arange(-1.25, 12, 2.5)
    )
    assert found.share[0, 1, 0] == 0 and found.share[0, 1, 2] == pytest.approx(1) and found.share[0, 0].max() == 0
    assert found.share[0, 5, 1] == pytest.approx(1.0) and found.share[0, 5, 5] == 0
    far = region_shares(
        tiff(tmp_path, np.full((10, 10), 7, np.uint8), name="far.tif"), np.arange(40, 50), np.arange(40, 50)
    )
    assert far.names == ()


def test_real_land_cover_in_degrees_and_in_metres_agree_on_water(data_dir) -> None:
    folder = data_dir / "static" / "FZJ-IEK3-VSA_RESKit"
    lat, lon = np.arange(50.525, 51, 0.05), np.arange(6.025, 6.5, 0.05)
    cover = region_shares(RegionMap(path=str(folder / "ESA_CCI_2018_clip.tif")), lat, lon)
    np.testing.assert_allclose(cover.share.sum(axis=0), 1, atol=1e-9)
    corine = region_shares(RegionMap(path=str(folder / "clc-aachen_clipped.tif")), lat, lon)  # EPSG:3035, 100 m
    assert corine.share.sum(axis=0).max() <= 1 + 1e-9 and len(corine.names) > 15
    cities = cover.share[cover.names.index("region 190")]
    towns = sum(
        corine.share[corine.names.index(f"region {code}")] for code in (1, 2, 3) if f"region {code}" in corine.names
    )
    both = corine.share.sum(axis=0) > 0.99
    assert both.sum() > 50 and np.corrcoef(cities[both], towns[both])[0, 1] > 0.8


def refused(source: RegionMap, text: str, hint: str = "", error=InputError) -> None:
    with pytest.raises(error, match=text) as caught:
        region_shares(source, LAT, LON)
    assert caught.value.where and hint in caught.value.hint and caught.value.hint


def test_files_that_are_no_maps_of_regions_are_refused(tmp_path) -> None:
    refused(RegionMap(path=str(tmp_path / "none.nc")), "file not found")
    refused(RegionMap(path=str(tmp_path / "none.tif")), "file not found")
    (tmp_path / "empty.nc").write_bytes(b"")
    refused(RegionMap(path=str(tmp_path / "empty.nc")), "file is empty")
    (tmp_path / "text.tif").write_text("no raster")
    refused(RegionMap(path=str(tmp_path / "text.tif")), "cannot be read as a raster")
    source = transcom(tmp_path)
    whole = Path(source.path).read_bytes()
    Path(source.path).write_bytes(whole[: len(whole) // 2])
    refused(source, "cannot be read")
    values = np.random.default_rng(0).normal(280, 5, (180, 360))
    refused(transcom(tmp_path, values, name="v.nc"), "which is not a region code", "nodata")
    refused(transcom(tmp_path, np.arange(64800).reshape(180, 360), name="n.nc"), "64,799 different codes")
    refused(transcom(tmp_path, name="f.nc", **{**FLAGS, "flag_meanings": "Ocean North"}), "3 flag_values but 2")
    refused(transcom(tmp_path).model_copy(update={"variable": "regions"}), "no variable 'regions'")
    uneven = transcom(tmp_path, lat=np.sin(np.linspace(-1.5, 1.5, 180)) * 89, name="u.nc")
    refused(uneven, "is not regular", error=GridError)


def test_the_variable_must_be_clear(tmp_path) -> None:
    source = transcom(tmp_path)
    with xr.open_dataset(source.path, engine="netcdf4") as data:
        data.load().assign(area=data["transcom_regions"] * 1.0).to_netcdf(tmp_path / "two.nc")
    refused(RegionMap(path=str(tmp_path / "two.nc")), "2 variables lie on latitude and longitude", "transcom_regions")
    chosen = RegionMap(path=str(tmp_path / "two.nc"), variable="transcom_regions")
    assert region_shares(chosen, LAT, LON).names == ("region 1", "region 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"code,name\n1,A\n1,B\n", "code '1'"),
        (b"code,name\nx,A\n", "code 'x'"),
        (b"code;name\n1;A\n", "code ''"),
        (b"code,name\n1,\n", "with name ''"),
        (b"code,name\n", "is empty"),
        (b"", "is empty"),
        (b"code,name\n1,C\xf4te\n", "not text in UTF-8"),
    ],
)
def test_tables_of_names_that_cannot_be_used_are_refused(tmp_path, text, message) -> None:
    (tmp_path / "names.csv").write_bytes(text)
    refused(transcom(tmp_path).model_copy(update={"names": str(tmp_path / "names.csv")}), message)


def test_a_projected_map_without_missing_value_is_refused(tmp_path) -> None:
    source = tiff(tmp_path, np.ones((9, 9), np.uint8), 4e6, 3e6, 1000.0, crs="EPSG:3035")
    refused(source, "projected and states no missing value", "nodata")
