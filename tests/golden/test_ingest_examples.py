"""Every example configuration of a gridded format runs through ingest on stand-in files under the names it gives."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import ingest_layouts as layouts
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.ingest.elevation import read_orog
from fluxatlas.ingest.inputs import forcing_inputs, neighbour_inputs
from fluxatlas.ingest.source import open_source
from fluxatlas.paths import REPOSITORY
from fluxatlas.systems import get_system
from ingest_raw import LAT, LON, LONG, era5_land, hourly_truth, write_geopotential, write_grib

EXAMPLES = REPOSITORY / "config" / "examples"
NAMES = get_system("soil_methane_sink").forcing
YEAR = pd.date_range("2001-01-01", "2001-12-31")


def gridmet(data: Path) -> None:
    layouts.gridmet(data / "gridmet", YEAR, layouts.weather(YEAR.size))


def terraclimate(data: Path) -> None:
    months = pd.date_range("2000-01-01", "2002-12-01", freq="MS")
    layouts.terraclimate(data / "terraclimate", months, layouts.weather(months.size))


def isimip(data: Path) -> None:
    dates = [cftime.datetime(d.year, d.month, d.day, calendar="standard") for d in YEAR]
    truth = layouts.weather(YEAR.size)
    truth["sfcwind"] = truth.pop("sfcWind")
    for path in layouts.cf_daily(data / "isimip", dates, truth, {"sfcwind": ("m s-1", truth["sfcwind"])}):
        path.rename(path.with_name(f"gswp3-w5e5_obsclim_{path.name.split('_')[0]}_global_daily_2001_2010.nc"))


def cmip(data: Path) -> None:
    truth = layouts.weather(365)
    psl = ("Pa", truth["ps"] + 6000)
    layouts.cf_daily(data / "cmip6", layouts.all_days("noleap", 2001, 2001), truth, {"ps": ("Pa", None), "psl": psl})


def hourly(start: str, stop: str) -> xr.Dataset:
    return hourly_truth(start, stop).astype(np.float32, keep_attrs=True)


def era5_cloud(data: Path) -> None:
    """ARCO-ERA5: long names, longitudes 0-360, further variables on levels; chunks larger than its single hours."""
    store = hourly("2000-12-31", "2002-01-02T01").rename(LONG)
    store = store.assign_coords(longitude=store.longitude + 360, level=np.array([500, 1000]))
    store["temperature"] = store["2m_temperature"].expand_dims(level=store.level).transpose("time", "level", ...)
    store.chunk(time=744).to_zarr(data / "era5.zarr", consolidated=True)


def nldas2(data: Path) -> None:
    hours = pd.date_range("2001-12-30", "2002-01-01", freq="h")
    for path, hour in zip(layouts.nldas2(data / "nldas2", hours, layouts.weather(hours.size)), hours, strict=True):
        place = path.parent / f"{hour:%Y}" / f"{hour:%j}"
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)


def mswx(data: Path) -> None:
    layouts.mswx(data, pd.date_range("2001-12-30", "2001-12-31"), layouts.weather(2))


def era5_land_zip(data: Path) -> None:
    raw = era5_land(hourly("2001-12-30", "2002-01-01T01")).rename(time="valid_time").assign_coords(number=0)
    raw = raw.assign_coords(expver=("valid_time", np.full(raw.valid_time.size, "0001")))
    for month, part in raw.groupby(raw.valid_time.dt.strftime("%Y_%m")):
        with zipfile.ZipFile(data / "era5_land" / f"{month}.zip", "w") as archive:
            for kind, names in (("instant", ["t2m", "d2m", "sp", "u10", "v10"]), ("accum", ["tp", "ssrd", "strd"])):
                member = data / f"{kind}.nc"
                part[names].to_netcdf(member, engine="netcdf4")
                archive.write(member, f"data_stream-oper_stepType-{kind}.nc")


def era5_grib(data: Path) -> None:
    raw = hourly("2001-12-30", "2002-01-01T01")
    for month, part in raw.groupby(raw.time.dt.strftime("%Y_%m")):
        write_grib(part, data / "era5" / f"{month}.grib")


WHOLE_YEAR: dict[str, Callable[[Path], None]] = {
    "gridmet": gridmet,
    "terraclimate": terraclimate,
    "isimip": isimip,
    "cmip": cmip,
    "era5_cloud": era5_cloud,
}
LAST_DAYS: dict[str, Callable[[Path], None]] = {
    "nldas2": nldas2,
    "mswx": mswx,
    "era5_land_zip": era5_land_zip,
    "era5_grib": era5_grib,
}


def prepare(example: str, write: Callable[[Path], None], folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The forcing block of an example, with its files below ``folder``."""
    monkeypatch.chdir(folder)
    block = load(EXAMPLES / f"forcing_{example}.yaml").forcing
    paths = (block.path,) if isinstance(block.path, str) else block.path
    for name in (block.elevation, *paths):
        plain = [part for part in Path(name).parent.parts if "{" not in part]
        Path(*plain).mkdir(parents=True, exist_ok=True)
    write(folder / "data")
    relief = Path(block.elevation)
    if "geopotential" in relief.name:
        write_geopotential(relief, LAT, LON)
    elif "NLDAS" in relief.name:
        layouts.nldas_elevation(relief)
    else:
        layouts.elevation(relief)
    return block


@pytest.mark.parametrize("example", WHOLE_YEAR)
def test_a_year_is_cut_into_pieces(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = prepare(example, WHOLE_YEAR[example], tmp_path, monkeypatch)
    arguments = ["--settings", block.model_dump_json(), "--year", "2001", "--grid", "4km", "--tile-size", "1"]
    arguments += ["--tile", "N40W124", "--output-dir", "pieces"]
    for option, files in (("--input", forcing_inputs(block, 2001)), ("--next-input", neighbour_inputs(block, 2001))):
        assert all(Path(file).exists() for file in files)
        arguments += [word for file in files for word in (option, file)]
    result = CliRunner().invoke(
        app, ["ingest", "forcing", "--system", "soil_methane_sink", *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    with xr.open_dataset("pieces/N40W124/2001.nc") as piece:
        assert piece.sizes["time"] == 365
        assert set(NAMES) <= set(piece.data_vars)
        assert not any(bool(piece[name].isnull().any()) for name in NAMES)
        assert piece.attrs["source"]
        assert json.loads(piece.attrs["unit_overrides"]) == {}
        assert ("disaggregation" in piece.attrs) == (example == "terraclimate")
        assert piece.attrs["source_calendar"].startswith("noleap" if example == "cmip" else "standard")


@pytest.mark.parametrize("example", LAST_DAYS)
def test_the_last_days_of_a_year(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives of many files: only those of the last days are made, and the one after the year."""
    if example == "era5_grib":
        pytest.importorskip("eccodes", reason="ecCodes is not installed")
    block = prepare(example, LAST_DAYS[example], tmp_path, monkeypatch)
    files = [file for file in forcing_inputs(block, 2001) if Path(file).exists()]
    closing = neighbour_inputs(block, 2001)
    assert all(Path(file).exists() for file in closing)
    source = open_source(block, files, closing)
    days = source.days(np.datetime64("2001-12-30"), np.datetime64("2002-01-01"), layouts.BOX)
    orog = read_orog(block.elevation, source.grid.window(layouts.BOX), block.elevation_variable)
    np.testing.assert_allclose(orog, 100.0 * (np.arange(4)[:, None] + np.arange(5)), atol=1e-3)
    assert set(NAMES) <= set(days.data_vars)
    assert not any(bool(days[name].isnull().any()) for name in NAMES)


def test_every_example_of_forcing_is_tested() -> None:
    found = {path.stem.removeprefix("forcing_") for path in EXAMPLES.glob("forcing_*.yaml")}
    assert found == {*WHOLE_YEAR, *LAST_DAYS}
