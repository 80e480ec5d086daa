"""What is no input at all: pages, pointers, packed files, other formats; odd files stay cheap; unseen site files."""

import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin
from shapely.geometry import box

import constraint_files
import ingest_layouts
from fluxatlas.config.regions import RegionMap
from fluxatlas.inspect.draw import draw
from fluxatlas.inspect.registry import expand, inspect_path
from fluxatlas.regrid.regions import region_shares
from lai_composites import year as composites
from site_layouts import layouts

PAGE = "<!DOCTYPE html>\n<html><head><title>Earthdata Login</title></head><body>please log in</body></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 5242880\n"


@pytest.mark.parametrize(
    ("name", "content", "form", "said"),
    [
        ("tas_2001.nc", PAGE.encode(), "web-page", "web page ('Earthdata Login')"),
        ("sites.csv", b"\xef\xbb\xbf" + PAGE.encode(), "web-page", "needs a login"),
        ("tas_2001.nc", POINTER.encode(), "lfs-pointer", "5.0 MiB"),
        ("tas_2001.nc.gz", gzip.compress(b"CDF\x01", mtime=0), "gzip", "gunzip"),
        ("MCD15A2H.A2001.hdf", b"\x0e\x03\x13\x01" + bytes(100), "hdf4", "GeoTIFF or NetCDF"),
        ("table.parquet", b"PAR1" + bytes(50), "parquet", "as CSV"),
        ("sites.csv", "site,lat,lon\nA,1,2\n".encode("utf-16"), "utf-16", "UTF-8"),
    ],
)
def test_what_cannot_be_input_says_what_to_do(tmp_path: Path, name: str, content: bytes, form: str, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    report = inspect_path(tmp_path / name)
    assert (report.format, report.status) == (form, "unusable") and said in report.verdict


def test_pages_that_are_meant_to_be_pages_stay_documentation(tmp_path: Path) -> None:
    (tmp_path / "metadata.xml").write_text('<?xml version="1.0"?><metadata><title>x</title></metadata>')
    assert inspect_path(tmp_path / "metadata.xml").status == "not_input"


def test_a_zip_in_a_zip_is_only_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as packed:
        packed.writestr("a.csv", "x,y\n1,2\n")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.write(tmp_path / "inner.zip", "inner.zip")
    report = inspect_path(tmp_path / "outer.zip")
    assert report.status == "no_reader" and report.details["members"] == ["inner.zip"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_raster_on_a_grid_of_its_own_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A coordinate system that is tied to no place on the Earth is valid, and no map of the globe."""
    local = 'LOCAL_CS["plot",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    shape = {"width": 8, "height": 6, "count": 1, "dtype": "float32", "nodata": -1.0, "driver": "GTiff"}
    with rasterio.open(tmp_path / "clay.tif", "w", crs=local, transform=from_origin(0, 60, 10, 10), **shape) as file:
        file.write(np.ones((1, 6, 8), np.float32))
    report = inspect_path(tmp_path / "clay.tif")
    assert report.status == "unusable" and "internal" not in report.codes()
    assert "no way is known from its coordinate system to degrees" in report.verdict


def test_a_huge_raster_is_judged_in_little_memory(tmp_path: Path) -> None:
    grid = {"width": 216_000, "height": 108_000, "count": 1, "dtype": "int16", "crs": "EPSG:4326"}
    cells = from_origin(-180, 90, 1 / 600, 1 / 600)
    with rasterio.open(
        tmp_path / "sand.tif", "w", driver="GTiff", transform=cells, tiled=True, sparse_ok=True, BIGTIFF="YES", **grid
    ):
        pass  # 47 GB of int16, all sparse
    code = "import sys; from fluxatlas.inspect.registry import inspect_path; inspect_path(sys.argv[1]);"
    code += "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "sand.tif")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) * 1024 < 700e6  # not ru_maxrss, which a child inherits from a large parent


@pytest.mark.parametrize("layout", layouts().values(), ids=lambda layout: layout.name)
def test_every_layout_of_sites_that_ingest_reads_is_usable(tmp_path: Path, layout) -> None:
    for name, content in layout.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    reports = list(map(inspect_path, expand([tmp_path])))
    assert all(report.usable for report in reports), [(r.path, r.format, r.verdict) for r in reports]


INVERSIONS = ("gcb", "carbontracker", "carbontracker_3_hourly", "carbontracker_europe", "carbontracker_europe_regions")
INVERSIONS += ("cams", "carboscope", "oco2_mip", "gcas_2021", "gongga", "cms_flux", "fluxcom")


@pytest.mark.parametrize("kind", INVERSIONS)
def test_every_kind_of_inversion_goes_through_its_loader(tmp_path: Path, kind: str) -> None:
    files = getattr(constraint_files, kind)(tmp_path, constraint_files.known_flux())
    report = inspect_path(files[0])
    assert (report.format, report.status) == ("inversion", "usable"), report.verdict
    assert report.details["sign"] == "positive_to_atmosphere" and "constraints.sets" in report.reader


@pytest.mark.parametrize(("provider", "steps", "freq"), [("gridmet", 365, "D"), ("mswx", 3, "D"),
                         ("terraclimate", 12, "MS"), ("nldas2", 24, "h")])  # fmt: skip
def test_one_file_of_a_provider_is_part_of_a_forcing(tmp_path: Path, provider: str, steps: int, freq: str) -> None:
    times = pd.date_range("2001-01-01", periods=steps, freq=freq)
    files = getattr(ingest_layouts, provider)(tmp_path, times, ingest_layouts.weather(steps))
    report = inspect_path(files[0])
    assert (report.format, report.status) == ("netcdf-grid", "part"), report.verdict


def test_leaf_area_composites_are_no_land_cover(tmp_path: Path) -> None:
    composites(tmp_path)
    found = {("QC" in path.name): inspect_path(path) for path in sorted(tmp_path.iterdir())[:50]}
    assert {report.format for report in found.values()} == {"geotiff-leaf-area"}
    assert "quality bits" in found[True].verdict and "leaf-area composite of 2009-" in found[False].verdict


def test_maps_of_region_codes_are_regions(tmp_path: Path) -> None:
    codes = np.zeros((180, 360), np.int16)
    codes[:, 180:], codes[:90, :180] = 3, 7
    lat, lon = 89.5 - np.arange(180), -179.5 + np.arange(360)
    attrs = {"flag_values": np.array([3, 7], "i2"), "flag_meanings": "East North_West"}
    xr.Dataset({"transcom_regions": (("lat", "lon"), codes, attrs)}, {"lat": lat, "lon": lon}).to_netcdf(
        tmp_path / "t.nc"
    )
    report = inspect_path(tmp_path / "t.nc")
    assert (report.status, report.reader) == ("usable", "regions.maps")
    assert "East, North_West" in report.mapping[0].conversion
    with rasterio.open(
        tmp_path / "countries.tif", "w", driver="GTiff", width=360, height=180, count=1, dtype="int16",
        crs="EPSG:4326", transform=from_origin(-180, 90, 1, 1),
    ) as raster:  # fmt: skip
        raster.write(codes, 1)
    report = inspect_path(tmp_path / "countries.tif")
    assert (report.status, report.reader) == ("usable", "regions.maps"), report.verdict
    assert report.mapping[0].conversion == "region 3, region 7"


def test_every_vector_file_that_regions_can_be_is_known(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"ISO": ["AA", "BB"], "NAME": ["Aland", "Bland"]},
        geometry=[box(-10, 35, -7.5, 40), box(-7.5, 35, -5, 40)], crs="EPSG:4326",
    )  # fmt: skip
    frame.to_file(tmp_path / "countries.gpkg", layer="countries")
    frame.to_crs(3035).to_file(tmp_path / "projected.gpkg")
    frame.to_file(tmp_path / "countries.fgb", driver="FlatGeobuf")
    frame.to_file(tmp_path / "ne_countries.shp")
    with zipfile.ZipFile(tmp_path / "ne_countries.zip", "w") as packed:
        for part in tmp_path.glob("ne_countries.*"):
            if part.suffix != ".zip":
                packed.write(part, part.name)
    for layer in ("a", "b"):
        frame.to_file(tmp_path / "two.gpkg", layer=layer)
    formats = {"countries.gpkg": "geopackage", "projected.gpkg": "geopackage", "countries.fgb": "flatgeobuf"}
    for name, kind in {**formats, "ne_countries.zip": "shapefile-zip", "two.gpkg": "geopackage"}.items():
        report = inspect_path(tmp_path / name)
        assert (report.status, report.format) == ("usable", kind), (name, report.verdict)
        assert "field: NAME" in report.reader and ("layer: a" in report.reader) == (name == "two.gpkg")
        source = RegionMap(path=str(tmp_path / name), field="NAME", layer="a" if name == "two.gpkg" else "")
        found = region_shares(source, np.array([38.5, 37.5]), np.array([-9.5, -8.5]))  # what inspect promises holds
        assert found.names == ("Aland",)
    frame.assign(geometry=[box(-10, 35, -7, 40), box(-8, 35, -5, 40)]).to_file(tmp_path / "overlap.gpkg")
    report = inspect_path(tmp_path / "overlap.gpkg")
    assert report.status == "unusable" and "'Aland' and 'Bland' overlap" in report.verdict
    frame[["geometry"]].to_file(tmp_path / "nameless.gpkg")
    assert inspect_path(tmp_path / "nameless.gpkg").status == "no_reader"
    (tmp_path / "broken.gpkg").write_bytes((tmp_path / "countries.gpkg").read_bytes()[:5000])
    assert inspect_path(tmp_path / "broken.gpkg").status == "unusable"


@pytest.mark.parametrize("fill", [0, 255])
def test_a_map_of_classes_that_is_missing_almost_everywhere_is_still_one(tmp_path: Path, fill: int) -> None:
    """Data in one corner only, away from all places that are looked at; a code of no legend there is still seen."""
    codes = np.full((600, 600), fill, np.uint8)
    codes[:6, :6] = 130
    profile = {"driver": "GTiff", "width": 600, "height": 600, "count": 1, "dtype": "uint8", "nodata": fill}
    for name, code, status in (("lc.tif", 130, "usable"), ("other.tif", 131, "no_reader")):
        codes[:6, :6] = code
        with rasterio.open(
            tmp_path / name, "w", crs="EPSG:4326", transform=from_origin(-10, 40, 0.01, 0.01), **profile
        ) as raster:
            raster.write(codes, 1)
        report = inspect_path(tmp_path / name)
        assert (report.status, report.format) == (status, "geotiff-land-cover"), report.verdict


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
@pytest.mark.parametrize("size", [600, 3000])
def test_a_raster_is_judged_by_its_pixels_not_its_overviews(tmp_path: Path, driver: str, size: int) -> None:
    """Overviews of a default COG are cubic: between classes 10 and 210 they hold others, between 0 and 60 % all."""
    random = np.random.default_rng(3)
    codes = random.choice(np.array([10, 130, 210], np.uint8), (size, size))
    sand = random.choice(np.array([5, 60], np.int16), (size, size))
    place = {"crs": "EPSG:4326", "transform": from_origin(-10, 40, 0.001, 0.001), "width": size, "height": size}
    more = {"overview_resampling": "cubic"} if driver == "COG" else {}
    for name, values in (("cover.tif", codes), ("sand.tif", sand)):
        with rasterio.open(
            tmp_path / name, "w", driver=driver, count=1, dtype=values.dtype, nodata=0, **place, **more
        ) as raster:
            raster.write(values, 1)
    report = inspect_path(tmp_path / "cover.tif")
    assert (report.status, report.details["classes"]) == ("usable", [10, 130, 210]), report.verdict
    (sandy,) = inspect_path(tmp_path / "sand.tif").variables
    assert (sandy.minimum, sandy.maximum) == (5, 60)
    assert report.variables[0].sampled is (size == 3000)
    draw(report, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_pixels_that_a_mask_hides_are_missing(tmp_path: Path) -> None:
    """An alpha band or a mask inside the file says what is missing as nodata does."""
    codes, mask = np.full((60, 60), 130, np.uint8), np.full((60, 60), 255, np.uint8)
    codes[:20], mask[:20] = 7, 0  # 7 is of no legend
    place = {"crs": "EPSG:4326", "transform": from_origin(-10, 40, 0.01, 0.01), "width": 60, "height": 60}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(tmp_path / "lc.tif", "w", driver="GTiff", count=1, dtype="uint8", **place) as raster,
    ):
        raster.write(codes, 1)
        raster.write_mask(mask)
    report = inspect_path(tmp_path / "lc.tif")
    assert (report.status, report.details["classes"]) == ("usable", [130]), report.verdict
    assert report.details["missing_pixels"] == 1200


def raster(path: Path, values: np.ndarray, **more: object) -> Path:
    place = {"crs": "EPSG:4326", "transform": from_origin(-8, 40, 0.01, 0.01), "dtype": values.dtype, **more}
    height, width = values.shape
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=1, **place) as file:
        file.write(values, 1)
    return path


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("clay.tif", np.full((60, 60), -9999, np.float32), "no pixel that was looked at has a value"),
        ("elevation.tif", np.full((60, 60), 200 + 1j, np.complex64), "complex numbers"),
        ("sand_per_mille.tif", np.linspace(200, 600, 3600, dtype=np.float32).reshape(60, 60), r"outside [0, 100] %"),
        ("crop_frac.tif", np.linspace(0, 1, 3600, dtype=np.float32).reshape(60, 60), "fraction or percent?"),
    ],
)
def test_a_layer_of_which_nothing_can_be_made_is_not_called_usable(
    tmp_path: Path, name: str, values: np.ndarray, said: str
) -> None:
    report = inspect_path(raster(tmp_path / name, values, nodata=-9999 if name == "clay.tif" else None))
    assert report.status == "unusable" and said in report.verdict, report.verdict


def test_whole_numbers_of_soilgrids_are_recognised_under_another_name(tmp_path: Path) -> None:
    values = np.linspace(200, 600, 3600).astype(np.int16).reshape(60, 60)
    report = inspect_path(raster(tmp_path / "my_sand.tif", values))
    assert report.usable and report.uses[0].options == {"provider": "soilgrids"}


@pytest.mark.parametrize(("unit", "said"), [("none", "taken as %"), ("-", "taken as %"), ("%", "unit the file states")])
def test_a_label_that_is_no_unit_is_not_called_one(tmp_path: Path, unit: str, said: str) -> None:
    path = raster(tmp_path / "clay.tif", np.linspace(5, 60, 3600, dtype=np.float32).reshape(60, 60))
    with rasterio.open(path, "r+") as file:
        file.set_band_unit(1, unit)
    report = inspect_path(path)
    assert report.usable and said in str(report.mapping), report.mapping


def test_a_table_with_semicolons_is_told_what_its_readers_take(tmp_path: Path) -> None:
    rows = "".join(f"200101{day:02d};10,5;-1,5\n" for day in range(1, 29))
    (tmp_path / "FLX_XX-Abc_FLUXNET2015_FULLSET_DD_2001-2001_1-1.csv").write_text("TIMESTAMP;TA_F;NEE_VUT_REF\n" + rows)
    report = inspect_path(next(tmp_path.iterdir()))
    assert "separated by semicolons" in " ".join(finding.message for finding in report.findings)


@pytest.mark.parametrize("name", ["tas_2001.nc", "orog.nc"])
def test_coordinates_in_radians_are_not_taken_for_a_place_near_zero(tmp_path: Path, name: str) -> None:
    axes = {
        axis: (axis, np.deg2rad(values), {"units": "radians", "standard_name": standard})
        for axis, standard, values in (
            ("lat", "latitude", np.arange(40, 37, -0.5)),
            ("lon", "longitude", np.arange(3.0)),
        )
    }
    if name == "orog.nc":
        data = xr.Dataset({"orog": (("lat", "lon"), np.full((6, 3), 100.0), {"units": "m"})}, axes)
    else:
        days = pd.date_range("2001-01-01", periods=9)
        values = np.full((9, 6, 3), 280.0) + np.arange(3.0)
        data = xr.Dataset({"tas": (("time", "lat", "lon"), values, {"units": "K"})}, {"time": days, **axes})
    data.to_netcdf(tmp_path / name)
    report = inspect_path(tmp_path / name)
    assert not report.usable and "is in 'radians', degrees are needed" in report.verdict, report.verdict
