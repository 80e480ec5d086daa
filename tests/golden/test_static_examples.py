"""The examples of static layers become attributes of a tile, from stand-in files in the providers' layouts."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio.shutil
import xarray as xr
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.config.static import Layer, static_inputs
from fluxatlas.grid import get_grid
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.paths import REPOSITORY
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from lai_composites import CLOUDY, GOOD, PIXELS, pair, starts
from static_layouts import HWSD2_COLUMNS, around, hwsd1_table, netcdf, soilgrids, write_tif

EXAMPLES = REPOSITORY / "config" / "examples"
STATIC = Path("data/static")
TILES = {"lai_modis": "N40W124"}
YX = ("lat", "lon")


def common() -> None:
    """What both examples have: leaf area in tenths, January to December."""
    months = np.arange(1, 13, dtype=np.uint8)[:, None, None] * np.ones((1, 72, 72), np.uint8)
    write_tif(STATIC / "lai_monthly.tif", months, -10, 39, 24)


def write_soilgrids() -> None:
    """Values in stored units that grow with the number of the depth interval."""
    common()
    stored = {"sand": 10, "clay": 10, "soc": 10, "bdod": 1, "phh2o": 1}
    base = {"sand": 30, "clay": 20, "soc": 15, "bdod": 130, "phh2o": 60}
    for number, depth in enumerate(("0-5cm", "5-15cm", "15-30cm")):
        for name, factor in stored.items():
            value = factor * (base[name] + number)
            soilgrids(STATIC / "soilgrids" / f"{name}_{depth}_mean.tif", lambda lat, lon, v=value: 0 * lat + v)
    lat, lon = around(60, -10, 39, 3)
    surface = {"z": (YX, np.full((180, 180), 250.0), {"units": "meters"})}
    netcdf(STATIC / "ETOPO_2022_v1_60s_N90W180_surface.nc", surface, lat, lon)
    lat, lon = around(2)
    month = np.arange(12 * 121.0)
    for part, amount in (("nhx", 0.04), ("noy", 0.02)):
        field = np.full((month.size, len(lat), len(lon)), amount, np.float32)
        netcdf(STATIC / f"ndep-{part}_histsoc_monthly_1901_2021.nc",
               {part: (("time", *YX), field, {"units": "g m-2 month-1"})}, lat, lon, month,
               "months since 1901-1-1 00:00:00")  # fmt: skip
    lat, lon = around(4)
    wet = {"Fw": (("time", *YX), np.full((24, len(lat), len(lon)), 0.08, np.float32), {"units": "1"})}
    months = np.arange(24.0)
    netcdf(STATIC / "WAD2M_wetlands_2000-2020_025deg_Ver2.0.nc", wet, lat, lon, months, "months since 2000-01-01")
    lat, lon = around(120, -10, 39, 3)
    codes = np.full((1, 360, 360), 130, np.uint8)
    codes[:, :, 180:] = 10
    with netCDF4.Dataset(STATIC / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2001-v2.0.7cds.nc", "w") as file:
        for name, values in (("time", [11323.0]), ("lat", lat), ("lon", lon)):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file["time"].setncatts({"units": "days since 1970-01-01 00:00:00", "standard_name": "time"})
        cover = file.createVariable("lccs_class", "u1", ("time", *YX), fill_value=0)
        cover[:] = codes


def check_soilgrids(cells: xr.Dataset) -> None:
    """Upper 30 cm: 5, 10 and 15 cm of the three intervals, so the mean number of the interval is 40/30."""
    deeper = (10 + 2 * 15) / 30
    for name, value, rtol in (
        ("sand", 30 + deeper, 1e-3), ("clay", 20 + deeper, 1e-3), ("soc", 15 + deeper, 1e-3),
        ("bdod", (130 + deeper) * 10, 1e-3), ("phh2o", (60 + deeper) / 10, 1e-3), ("orog", 250.0, 1e-6),
        ("ndep", 0.06 * 12 * 10, 1e-4), ("wetlandFrac", 8.0, 1e-4),
    ):  # fmt: skip
        np.testing.assert_allclose(cells[name].to_numpy()[cells["run"]], value, rtol=rtol, err_msg=name)
    crop = cells["cropFrac"].to_numpy()
    assert set(np.round(crop[cells["run"]])) == {0, 100}


def write_hwsd() -> None:
    common()
    write_tif(STATIC / "elevation.tif", np.full((72, 72), 250.0, np.float32), -10, 39, 24)
    write_tif(STATIC / "ndep_2000.tif", np.full((72, 72), 7.0, np.float32), -10, 39, 24)
    codes = np.full((360, 360), 11, np.uint16)
    codes[:, 180:] = 12
    write_tif(STATIC / "HWSD2.tif", codes, -10, 39, 120, nodata=65535)
    layer = {"SEQUENCE": 1, "SHARE": 100, "BULK": 1.3, "PH_WATER": 6.5}
    soils = (
        {"HWSD2_SMU_ID": 11, "SAND": 50, "CLAY": 20, "ORG_CARBON": 1.5},
        {"HWSD2_SMU_ID": 12, "SAND": 20, "CLAY": 40, "ORG_CARBON": 3},
    )
    depths = ({"LAYER": "D1", "TOPDEP": 0, "BOTDEP": 20}, {"LAYER": "D2", "TOPDEP": 20, "BOTDEP": 40})
    rows = [layer | soil | depth for soil in soils for depth in depths]
    hwsd1_table(STATIC / "HWSD2_LAYERS.csv", rows, columns=HWSD2_COLUMNS)
    lat, lon = around(20, -10, 39, 3)
    percent = np.zeros((len(lat), len(lon), 17), np.uint8)
    percent[..., 12], percent[..., 11], percent[..., 8] = 50, 10, 40  # cropland, permanent wetland, woody savanna
    coords = {"lat": ("lat", lat), "lon": ("lon", lon)}
    layers = {"Majority_Land_Cover_Type_1_Percent": ((*YX, "Num_IGBP_Classes"), percent)}
    xr.Dataset(layers, coords).to_netcdf(STATIC / "MCD12C1.A2001001.061.nc")


def check_hwsd(cells: xr.Dataset) -> None:
    run = cells["run"].to_numpy()
    west, east = run & (cells["lon"].to_numpy() < -8.51), run & (cells["lon"].to_numpy() > -8.49)
    for name, one, other in (("sand", 50, 20), ("clay", 20, 40), ("soc", 15, 30)):  # % and, of carbon, g kg-1
        np.testing.assert_allclose(cells[name].to_numpy()[west], one, rtol=1e-3, err_msg=name)
        np.testing.assert_allclose(cells[name].to_numpy()[east], other, rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(cells["bdod"].to_numpy()[run], 1300, rtol=1e-3)
    np.testing.assert_allclose(cells["cropFrac"].to_numpy()[run], 50, rtol=1e-3)
    np.testing.assert_allclose(cells["wetlandFrac"].to_numpy()[run], 10, rtol=1e-3)


def write_lai_modis() -> None:
    """Leaf area is the month in tenths; false values under clouds in July; barren ground in the north."""
    shape = (72, 72)
    for name, value in (("elevation", 250), ("sand", 400), ("clay", 200), ("soc", 150), ("bdod", 130), ("phh2o", 60)):
        path = STATIC / f"{name}{'' if name == 'elevation' else '_0-5cm_mean'}.tif"
        write_tif(path, np.full(shape, value, np.int16), -125, 42, 24)
    write_tif(STATIC / "ndep_2000.tif", np.full(shape, 7.0, np.float32), -125, 42, 24)
    write_tif(STATIC / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2000.tif", np.full(shape, 130, np.uint8), -125, 42, 24, nodata=0)
    wide = np.ones((PIXELS, PIXELS), np.uint8)
    wide[: PIXELS // 2] = 0  # north of 40.5
    for day in starts(2003, 4):
        cloudy = day.month == 7 and day.day < 15
        values = np.where(wide == 1, 99 if cloudy else day.month, 253)
        where = {"west": -125.0, "north": 42.0, "pixel": 3 / PIXELS}
        pair(Path("data/lai"), day, values, CLOUDY if cloudy else GOOD, product="MCD15A3H.061", **where)


def check_lai_modis(cells: xr.Dataset) -> None:
    south = cells["lat"].to_numpy() < 40.4
    lai = cells["lai"].to_numpy()
    # July without its clouds of 4 to 15: three days of the composite of 30 June, and 16 to 31
    np.testing.assert_allclose(lai[6][south], (3 * 0.6 + 16 * 0.7) / 19, rtol=1e-3)
    np.testing.assert_allclose(lai[:, ~south & (cells["lat"].to_numpy() > 40.6)], 0, atol=1e-6)
    np.testing.assert_allclose(cells["sand"].to_numpy()[cells["run"]], 40, rtol=1e-3)


CASES = {
    "soilgrids": (write_soilgrids, check_soilgrids),
    "hwsd": (write_hwsd, check_hwsd),
    "lai_modis": (write_lai_modis, check_lai_modis),
}


@pytest.mark.parametrize("name", CASES)
def test_an_example_becomes_attributes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, check = CASES[name]
    monkeypatch.chdir(tmp_path)
    (STATIC / "soilgrids").mkdir(parents=True)
    make()
    block = load(EXAMPLES / f"static_{name}.yaml").static
    if block.lai_series:  # one year instead of twenty
        block = block.model_copy(update={"lai_series": block.lai_series.model_copy(update={"years": (2003, 2003)})})
    assert all(Path(path).is_file() for path in static_inputs(block)), static_inputs(block)
    words = [
        "regrid",
        "attributes",
        "--system",
        "soil_methane_sink",
        "--settings",
        block.model_dump_json(),
        "--grid",
        "4km",
        "--tile-size",
        "1",
    ]
    result = CliRunner().invoke(
        app, [*words, "--tile", TILES.get(name, "N37W009"), "--output", "cells.nc"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    with xr.open_dataset("cells.nc") as data:
        cells = data.load()
    cells["run"] = np.isfinite(cells["sand"]) & (cells["sftlf"] > 99)
    assert int(cells["run"].sum()) > 300
    if name != "lai_modis":
        np.testing.assert_allclose(cells["lai"].mean(("lat", "lon")), np.arange(1, 13) / 10, rtol=1e-3)
    check(cells.assign({axis: cells[axis].broadcast_like(cells["run"]) for axis in ("lat", "lon")}))


EXPECTED = {
    "*/soilgrids/*_mean.tif": ("usable", "geotiff", "SoilGrids 2.0"),
    "*_0-5cm_mean.tif": ("usable", "geotiff", "SoilGrids 2.0"),
    "*ETOPO*": ("usable", "netcdf-layers", "orog"),
    "*ndep-*": ("usable", "netcdf-layers", "ndep"),
    "*WAD2M*": ("usable", "netcdf-layers", "wetlandFrac"),
    "*ESACCI*.nc": ("usable", "netcdf-layers", "landcover"),
    "*ESACCI*.tif": ("usable", "geotiff-land-cover", "esa_cci"),
    "*MCD12C1*": ("usable", "netcdf-layers", "legend: modis_igbp"),
    "*lai_monthly.tif": ("usable", "geotiff", "layer lai"),
    "*elevation.tif": ("usable", "geotiff", "layer orog"),
    "*ndep_2000.tif": ("usable", "geotiff", "layer ndep"),
    "*HWSD2.tif": ("part", "geotiff", "mapping units"),
    "*HWSD2_LAYERS.csv": ("part", "soil-table", "2 mapping units"),
    "*FparLai_QC*": ("part", "geotiff-leaf-area", "quality bits"),
    "*Lai_500m*": ("part", "geotiff-leaf-area", "leaf-area composite of 2003"),
}


@pytest.mark.parametrize("name", CASES)
def test_inspect_knows_what_they_are(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (STATIC / "soilgrids").mkdir(parents=True)
    CASES[name][0]()
    paths = sorted(path for path in Path().rglob("*.*") if path.is_file())
    for path in paths if len(paths) < 40 else paths[::20] + sorted(STATIC.glob("*.tif")):
        status, kind, text = next(
            found for pattern, found in EXPECTED.items() if path.match(pattern.removeprefix("*/"))
        )
        report = inspect_path(path)
        assert (report.status, report.format) == (status, kind), (path, report.verdict)
        shown = f"{report.product} {report.verdict} {[row.conversion for row in report.mapping]}"
        assert text in shown, (path, shown)


def test_other_rasters_are_judged_as_geotiff_is(tmp_path: Path) -> None:
    """Virtual mosaics, ESRI grids with their companions and ERDAS files: read as the same altitude and soil."""
    high = write_tif(tmp_path / "elevation.tif", np.full((72, 72), 250.0, np.float32), -10, 39, 24)
    soilgrids(tmp_path / "sand_0-5cm_mean.tif", lambda lat, lon: 0 * lat + 400)
    rasterio.shutil.copy(tmp_path / "sand_0-5cm_mean.tif", tmp_path / "clay_0-5cm_mean.vrt", driver="VRT")
    for name, driver in (("relief_dem.asc", "AAIGrid"), ("relief_elev.img", "HFA"), ("hwsd.bil", "EHdr")):
        rasterio.shutil.copy(high, tmp_path / name, driver=driver)
        report = inspect_path(tmp_path / name)
        status, reader = ("part", "static.soil") if name == "hwsd.bil" else ("usable", "static.layers.orog")
        assert (report.status, report.format, report.reader) == (status, "raster", reader), (name, report.verdict)
    report = inspect_path(tmp_path / "clay_0-5cm_mean.vrt")
    assert (report.status, report.product) == ("usable", "SoilGrids 2.0"), report.verdict
    for name in ("hwsd.hdr", "hwsd.prj", "relief_dem.prj"):
        assert inspect_path(tmp_path / name).status == "not_input"
    frame = Frame.around(get_grid("4km").tile("N37W009", 1))
    for name in ("relief_dem.asc", "relief_elev.img"):
        np.testing.assert_allclose(read_layer("orog", Layer(path=str(tmp_path / name)), frame), 250.0)


def test_a_soil_map_in_unknown_units_is_refused_and_says_so(tmp_path: Path) -> None:
    """450 is no percentage of sand in any file that is not called as SoilGrids calls its own."""
    path = write_tif(tmp_path / "ph.tif", np.full((72, 72), 4500, np.int16), -10, 39, 24)
    report = inspect_path(path)
    assert report.status == "unusable" and "4500" in report.verdict


def test_every_example_of_static_layers_is_tested() -> None:
    found = {path.stem.removeprefix("static_") for path in EXAMPLES.glob("static_*.yaml")}
    assert found == set(CASES)
