"""The command ``fluxatlas inspect``: exit codes, screen, JSON schema, plot, and formats made on the spot."""

import json
import re
import zipfile
from itertools import pairwise
from pathlib import Path

import jsonschema
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.ingest.sites import fluxnet
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.inspect import registry
from fluxatlas.inspect.commands import run
from fluxatlas.inspect.draw import draw
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.inspect.report import MappingRow, Report, SpaceSummary, VariableSummary
from fluxatlas.paths import REPOSITORY, RESOURCES
from ingest_layouts import gridmet, mswx, nldas2, terraclimate
from ingest_layouts import weather as weather_of
from ingest_raw import era5_land, hourly_truth, write_geopotential

CHAMBERS = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n" + "".join(
    f"AA-One,48.1,11.6,520,ENF,2001-06-{d:02d}T{h:02d}:00Z,{-0.8 - 0.01 * d - 0.003 * h},mg CH4 m-2 d-1,"
    "upward_positive\n"
    for d in range(1, 21)
    for h in range(0, 24, 2)
)
TEXT = {"type": "string"}
NUMBER = {"type": ["number", "null"]}
SCHEMA = {
    "type": "object",
    "required": [
        *("schema_version", "path", "format", "product", "version", "status", "usable", "verdict", "reader"),
        *("time", "space", "variables", "findings", "mapping", "uses", "details"),
    ],
    "additionalProperties": False,
    "properties": {
        "schema_version": {"const": 1},
        **dict.fromkeys(("path", "format", "product", "version", "verdict", "reader"), TEXT),
        "status": {"enum": ["usable", "part", "no_reader", "not_input", "unusable", "unrecognised"]},
        "usable": {"type": "boolean"},
        "details": {"type": "object"},
        "time": {"type": ["object", "null"], "required": ["start", "end", "step", "n", "calendar", "zone", "gaps"]},
        "space": {"type": ["object", "null"], "required": ["kind", "bbox", "shape", "cell", "crs", "sites"]},
        "variables": {
            "type": "array",
            "items": {
                "required": ["name", "units", "units_from", "kind", "shape", "n", "missing", "sampled"],
                "properties": dict.fromkeys(("minimum", "median", "maximum"), NUMBER),
            },
        },
        "findings": {
            "type": "array",
            "items": {
                "required": ["level", "code", "message", "variable"],
                "properties": {"level": {"enum": ["note", "warning", "error"]}, "code": {"pattern": "^[a-z0-9-]+$"}},
            },
        },
        "uses": {
            "items": {
                "additionalProperties": False,
                "required": ["key", "options"],
                "properties": {"key": {"type": "string"}, "options": {"type": "object"}},
            }
        },
        "mapping": {
            "type": "array",
            "items": {"required": ["canonical", "source", "units", "conversion", "override"]},
        },
    },
}


@pytest.fixture
def chambers(tmp_path: Path) -> Path:
    path = tmp_path / "chambers.csv"
    path.write_text(CHAMBERS, encoding="utf-8")
    return path


@pytest.fixture
def weather(tmp_path: Path) -> Path:
    """Three days of hourly air temperature on a grid, as a CF file."""
    time = pd.date_range("2001-01-01", periods=72, freq="h")
    lat, lon = np.arange(50, 48, -0.5), np.arange(5, 7.5, 0.5)
    values = 280 + np.random.default_rng(2).normal(0, 3, (72, lat.size, lon.size))
    path = tmp_path / "tas.nc"
    xr.Dataset(
        {"tas": (("time", "lat", "lon"), values, {"units": "K", "standard_name": "air_temperature"})},
        {"time": time, "lat": lat, "lon": lon},
    ).to_netcdf(path)
    return path


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    return result.exit_code, result.stdout


def test_a_usable_file_exits_with_0(chambers: Path) -> None:
    code, text = invoke(chambers)
    assert code == 0
    assert "can be used as input: ingest makes 20 days of fch4 of it" in text
    assert "fch4 <- flux" in text


def test_exit_code_1_as_soon_as_one_file_cannot_be_used(chambers: Path, tmp_path: Path) -> None:
    other = tmp_path / "LICENSE"
    other.write_text("MIT License\nCopyright (c) nobody\n", encoding="utf-8")
    code, text = invoke(chambers, other)
    assert code == 1
    assert "2 files: 1 can be used as input, 1 cannot" in text
    assert str(chambers) in text
    assert str(other) in text


def test_json_follows_the_schema(chambers: Path, weather: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.nc"
    code, text = invoke(chambers, weather, missing, "--json")
    assert code == 1
    reports = json.loads(text)
    for report in reports:
        jsonschema.validate(report, SCHEMA)
    assert [report["usable"] for report in reports] == [True, True, False]
    assert "file not found" in reports[2]["verdict"]


def test_a_folder_stands_for_its_files(chambers: Path, weather: Path) -> None:
    code, text = invoke(chambers.parent)
    assert code == 0
    assert "2 files: 2 can be used as input, 0 cannot" in text


def test_the_mapping_of_a_site_file_is_what_its_reader_did(tmp_path: Path) -> None:
    """Two sensors of unknown depth, of which the first counts; the factor of the flux is that of the notes."""
    start = pd.date_range("2011-05-01", periods=96, freq="30min")
    text = "# Site: US-Tst\n# Version: 1-5\nTIMESTAMP_START,TIMESTAMP_END,FCH4,TS_1_1_1,TS_1_2_1,CO2\n"
    text += "".join(f"{t:%Y%m%d%H%M},{t:%Y%m%d%H%M},{-1.5 - 0.01 * i},12,11,410\n" for i, t in enumerate(start))
    path = tmp_path / "AMF_US-Tst_BASE_HH_1-5.csv"
    path.write_text(text, encoding="utf-8")
    report = inspect_path(path)
    rows = {row.canonical: (row.source, row.units, row.conversion) for row in report.mapping}
    assert rows == {
        "fch4": (["FCH4"], "nmol m-2 s-1", "* 1.3861"),
        "tsl05": (["TS_1_1_1"], "degC", "+ 273.15"),
    }
    assert [v.name for v in report.variables] == ["FCH4", "TS_1_1_1", "TS_1_2_1"]  # what the reader looks at


def test_cf_grid_gets_a_mapping_that_is_checked(weather: Path) -> None:
    report = inspect_path(weather)
    assert (report.format, report.status) == ("netcdf-grid", "part")
    assert {row.canonical for row in report.mapping} == {"tas", "tasmin", "tasmax"}
    assert "read 2001-01-02" in report.verdict
    assert "of: tas" in report.details["proposed_mapping"]


def test_plot_is_written(weather: Path, tmp_path: Path) -> None:
    output = tmp_path / "plot.png"
    assert invoke(weather, "--plot", output)[0] == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="draws one file"):
        run([weather, weather], plot=output, as_json=False, everything=False)


def test_nothing_to_draw_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# Title\n\nSome words that say what this is about.\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["inspect", str(path), "--plot", str(tmp_path / "x.png")])
    assert "nothing to draw" in str(result.exception)
    assert not (tmp_path / "x.png").exists()


BAD: list[tuple[str, bytes, str]] = [
    ("empty.csv", b"", "file is empty"),
    ("zeros.nc", b"\x00" * 300, "file is empty"),
    ("noise.bin", bytes(range(1, 256)) * 3 + b"\x00", "not recognised"),
    ("FLX_XX-Abc_FLUXNET2015_FULLSET_DD_2001-2002_1-1.csv", b"TIMESTAMP,TA_F,P_F\n2001,3,4\n", "digits"),
    ("FLX_XX-Abc_FLUXNET2015_FULLSET_DD_2001-2002_1-1.csv", b"TIMESTAMP,TA_F,P_F\n", "no rows"),
    ("broken.nc", b"CDF\x01\x00\x00", "NetCDF"),
    ("broken.tif", b"II*\x00\x08\x00\x00\x00", "raster"),
    ("broken.zip", b"PK\x03\x04 not a zip", "zip"),
    ("broken.rds", b"\x1f\x8b\x08\x00 broken", "R data"),
    ("words.txt", b"a;b\n1;2", "kind that no reader takes"),
    ("broken.geojson", b'{"type": "FeatureCollection", "features": [', "vector"),
]


@pytest.mark.parametrize(("name", "data", "words"), BAD, ids=[f"{b[0][:12]}-{b[2][:12]}" for b in BAD])
def test_bad_files_get_one_clear_verdict(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    report = inspect_path(path)
    assert not report.usable
    assert "internal" not in report.codes()
    assert words in report.verdict + " ".join(f.message for f in report.findings)


def test_latin_1_text_is_said_and_read(tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    path.write_bytes("name,lat,lon,value\nHöhe,48.1,11.6,3\nTal,48.2,11.7,4\n".encode("latin-1"))
    report = inspect_path(path)
    assert any(f.code == "not-utf8" and "0xf6 on line 2" in f.message for f in report.findings)


def test_a_missing_time_is_refused_with_its_row(chambers: Path) -> None:
    chambers.write_text(CHAMBERS.replace("2001-06-01T04:00Z", ""), encoding="utf-8")
    report = inspect_path(chambers)
    assert report.status == "unusable"
    assert "in row 3 of column 'datetime_utc' is not a time" in report.verdict


def test_duplicated_and_unordered_rows_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    days = pd.date_range("2001-01-01", periods=30).strftime("%Y-%m-%d").to_list()
    days[7], days[20] = days[6], days[18]
    path.write_text("date,TA\n" + "".join(f"{d},{i % 7}\n" for i, d in enumerate(days)), encoding="utf-8")
    assert {"time-duplicated", "time-unordered", "time-gap"} <= inspect_path(path).codes()


def test_zarr_is_recognised(weather: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.zarr"
    with xr.open_dataset(weather) as dataset:
        dataset.to_zarr(store)
    report = inspect_path(store)
    assert report.format == "zarr-grid"
    assert {row.canonical for row in report.mapping} == {"tas", "tasmin", "tasmax"}
    assert report.status == "part"


def test_zip_lists_what_it_holds(chambers: Path, tmp_path: Path) -> None:
    packed = tmp_path / "archive.zip"
    with zipfile.ZipFile(packed, "w") as target:
        target.write(chambers, "data/chambers.csv")
    report = inspect_path(packed)
    assert report.status == "no_reader"
    assert report.details["contents"][0].startswith("data/chambers.csv: chambers")


@pytest.mark.parametrize(("calendar", "expected"), [("noleap", "calendar"), ("360_day", "calendar"), ("standard", "")])
def test_calendar(tmp_path: Path, calendar: str, expected: str) -> None:
    path = tmp_path / "t.nc"
    attrs = {"units": "days since 2001-01-01", "calendar": calendar}
    xr.Dataset(
        {"tas": (("time", "lat", "lon"), 280 + np.random.default_rng(0).random((400, 2, 2)), {"units": "K"})},
        {"time": ("time", np.arange(400), attrs), "lat": [50.0, 49.5], "lon": [5.0, 5.5]},
    ).to_netcdf(path)
    report = inspect_path(path)
    assert ("calendar" in report.codes()) is bool(expected)
    assert report.time is not None
    assert report.time.calendar == calendar


def test_every_finding_is_documented() -> None:
    source = Path(registry.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    used = set(re.findall(r'\.(?:warn|note|error)\(\s*"([a-z0-9-]+)"', code))
    used |= set(re.findall(r'\("(?:note|warning|error)", "([a-z0-9-]+)"', code))
    page = (REPOSITORY / "docs" / "inspect.md").read_text(encoding="utf-8")
    assert len(used) > 40
    assert sorted(name for name in used if f"`{name}`" not in page) == []
    rows = page.partition("## Findings")[2].partition("## JSON")[0].split("\n|")[2:]
    codes = {name for row in rows for name in re.findall("`([a-z0-9-]+)`", row.partition(" | ")[0])}
    kinds = (RESOURCES / "table_kinds.yaml").read_text(encoding="utf-8")
    code += (source.parent / "ingest" / "sites" / "magnitude.py").read_text(encoding="utf-8")
    assert sorted(name for name in codes if f'"{name}"' not in code and name not in kinds) == []


def test_every_format_is_documented() -> None:
    source = Path(registry.__file__).parent / "formats"
    code = "\n".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    used = set(re.findall(r'Report\(str\(probe\.path\), "([a-z0-9-]+)"', code))
    used |= set(re.findall(r'Kind\("[a-z0-9_]+", "([a-z0-9-]+)"', code))
    used |= set(re.findall(r'report\.format(?:, report\.product)? = "([a-z0-9-]+)"', code))
    page = (REPOSITORY / "docs" / "inspect.md").read_text(encoding="utf-8")
    known = {"netcdf", "zarr", "fluxnet", "pangaea", "folder"}  # names only until the layout is known
    assert sorted(name for name in used - known if f"`{name}`" not in page) == []


class TestLayoutsOfProviders:
    def test_era5_land_in_both_generations_and_as_a_zip(self, tmp_path: Path) -> None:
        raw = era5_land(hourly_truth("2001-01-01", "2001-01-05"))
        raw.to_netcdf(tmp_path / "old.nc")
        raw.rename(time="valid_time").to_netcdf(tmp_path / "new.nc")
        for name in ("old.nc", "new.nc"):
            report = inspect_path(tmp_path / name)
            assert report.status == "usable", report.verdict
            assert report.reader == "forcing: {source: era5_land}"
            rows = {row.canonical: row for row in report.mapping}
            assert "differenced since 00 UTC" in rows["pr"].conversion
            assert "grid-of-another" in report.codes()  # cells of 0.25 degrees with accumulations since 00 UTC
        raw[["tp", "ssrd", "strd"]].to_netcdf(tmp_path / "accum.nc")
        raw.drop_vars(["tp", "ssrd", "strd"]).to_netcdf(tmp_path / "instant.nc")
        with zipfile.ZipFile(tmp_path / "both.zip", "w") as target:
            for member in ("accum.nc", "instant.nc"):
                target.write(tmp_path / member, member)
        assert inspect_path(tmp_path / "both.zip").status == "usable"

    def test_one_file_per_variable_and_month_and_step(self, tmp_path: Path) -> None:
        days, months = pd.date_range("2001-01-01", "2001-01-20"), pd.date_range("2001-01-01", periods=12, freq="MS")
        hours = pd.date_range("2001-01-01", periods=3, freq="h")
        for maker, times, made in (
            (gridmet, days, ["tasmax"]),
            (terraclimate, months, ["tasmax"]),
            (mswx, days[:2], ["tas"]),
            (nldas2, hours, ["tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind"]),
        ):
            folder = tmp_path / maker.__name__
            folder.mkdir()
            report = inspect_path(maker(folder, times, weather_of(len(times)))[0])
            assert report.status == "part", report.verdict
            assert maker.__name__ in report.reader
            assert [row.canonical for row in report.mapping] == made

    def test_geopotential_is_the_elevation_of_a_forcing(self, tmp_path: Path) -> None:
        write_geopotential(tmp_path / "z.nc")
        report = inspect_path(tmp_path / "z.nc")
        assert (report.status, report.reader) == ("usable", "forcing.elevation")


def _release(path: Path, flux: float) -> Path:
    days = pd.date_range("2018-01-01", "2018-12-31")
    season = flux + np.sin(np.arange(days.size) / 58)
    table = pd.DataFrame({"TIMESTAMP": days.strftime("%Y%m%d"), "NEE_VUT_REF": season, "NEE_VUT_REF_QC": 1.0})
    table.to_csv(path, index=False)
    return path


def test_two_releases_of_a_site_are_judged_as_ingest_judges_them(tmp_path, capsys) -> None:
    one = _release(tmp_path / "FLX_US-Abc_FLUXNET2015_FULLSET_DD_2018-2018_1-4.csv", -1.0)
    two = _release(tmp_path / "FLX_US-Abc_FLUXNET2015_FULLSET_DD_2018-2018_2-4.csv", -2.0)
    assert inspect_path(one).usable and inspect_path(two).usable
    assert run([tmp_path], plot=None, as_json=False, everything=False) == 1
    said = " ".join(capsys.readouterr().out.split())
    refusal = "two files of one site contradict each other on 2018-01-01 in column 'NEE_VUT_REF'"
    assert "2 files: 0 can be used as input, 2 cannot together US-Abc: 2 files (fluxnet): cannot be used toge" in said
    assert said.count(refusal) == 5 and "usable alone, but not beside" in said
    entry = SiteEntry.model_validate(
        {"source": "fluxnet", "path": [str(one), str(two)], "sites": [{"site": "US-Abc", "lat": 40, "lon": -100}]}
    )
    with pytest.raises(InputError, match=refusal):
        fluxnet.read(entry.path, entry, QcRules(), Ledger())


def test_files_of_a_folder_are_told_what_they_make_together_and_what_lacks(tmp_path, capsys) -> None:
    _release(tmp_path / "FLX_US-Abc_FLUXNET2015_FULLSET_DD_2018-2018_1-4.csv", -1.0)
    monthly = pd.DataFrame({"TIMESTAMP": [f"2017{month:02d}" for month in range(1, 13)], "NEE_VUT_REF": -1.0})
    monthly.assign(NEE_VUT_REF_QC=1.0).to_csv(
        tmp_path / "FLX_US-Abc_FLUXNET2015_FULLSET_MM_2017-2017_1-4.csv", index=False
    )
    assert CliRunner().invoke(app, ["inspect", str(tmp_path), "--json"]).exit_code == 0
    said = CliRunner().invoke(app, ["inspect", str(tmp_path)]).output
    made = "US-Abc: 2 files (fluxnet): ingest makes 365 days of nee of them, and 12 means over longer than a day"
    assert made in said and "still lacking" in said
    lacks = (
        "net_ecosystem_exchange: forcing; forcing.elevation; static.layers: orog, lai, sand, clay, soc, bdod, cropFrac"
    )
    assert lacks in said and "sites.entries" not in said.split("net_ecosystem_exchange: ")[1].split("\n")[0]


def test_a_plot_has_fluxes_and_soil_first_on_one_axis_of_time(tmp_path, monkeypatch) -> None:
    """Seven columns for six places: the second sensor of a quantity gives way; a gap of 40 days breaks the line."""
    days = np.arange(np.datetime64("2018-01-01"), np.datetime64("2018-12-31")).astype("datetime64[s]")
    names = {
        "TA": "tas",
        "NETRAD": "rns",
        "SWC_1": "swc05",
        "TS_1": "tsl05",
        "TS_2": "tsl15",
        "NEE": "nee",
        "FCH4": "fch4",
    }
    report = Report("x.csv", "fluxnet-daily", "FLUXNET")
    for number, (name, canonical) in enumerate(names.items()):
        report.variables.append(VariableSummary(name, canonical=canonical))
        kept = np.r_[0:100, 140 : len(days) - 30 * number]
        report.series.setdefault("lines", {})[name] = (days[kept], np.sin(kept / 30.0))
    figures: list[Figure] = []
    monkeypatch.setattr(plt, "close", figures.append)
    draw(report, tmp_path / "x.png")
    axes = figures[0].axes
    assert [axis.get_title(loc="left") for axis in axes] == ["FCH4", "NEE", "SWC_1", "TS_1", "TA", "NETRAD"]
    assert len({axis.get_xlim() for axis in axes}) == 1
    figures[0].canvas.draw()
    boxes = [label.get_window_extent() for label in axes[-1].get_xticklabels() if label.get_text()]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert all(int(np.isnan(np.asarray(axis.lines[0].get_ydata(), float)).sum()) == 1 for axis in axes)


def test_rain_of_a_forcing_is_drawn_before_its_pressure(tmp_path, monkeypatch) -> None:
    """What a mapping calls by our names ranks as what its own names say."""
    days = np.arange(np.datetime64("2018-06-01"), np.datetime64("2018-07-01")).astype("datetime64[s]")
    names = ("temp", "vapor_pressure", "air_pressure", "wind", "rel_humid", "longwave", "prec", "shortwave")
    report = Report("x.nc", "netcdf-forcing", "Livneh")
    report.series["lines"] = {name: (days, np.arange(30.0)) for name in names}
    report.mapping = [MappingRow("tas", ["temp"]), MappingRow("pr", ["prec"]), MappingRow("rsds", ["shortwave"])]
    figures: list[Figure] = []
    monkeypatch.setattr(plt, "close", figures.append)
    draw(report, tmp_path / "x.png")
    titles = [axis.get_title(loc="left") for axis in figures[0].axes]
    assert titles == ["temp", "prec", "shortwave", "vapor_pressure", "air_pressure", "wind"]
    figures[0].canvas.draw()
    labels = [label for label in figures[0].axes[-1].get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) > 2 and all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_numbers_of_a_plot_have_no_offset(tmp_path, monkeypatch) -> None:
    space = SpaceSummary("grid", [0.0, 0.0, 1.0, 1.0], [2, 2], [0.5, 0.5])
    report = Report("x.tif", "geotiff", "layer", space=space)
    report.series["map"] = ("band 1", 0.369 + 1e-6 * np.arange(4.0).reshape(2, 2))
    figures: list[Figure] = []
    monkeypatch.setattr(plt, "close", figures.append)
    draw(report, tmp_path / "x.png")
    figures[0].canvas.draw()
    bar = figures[0].axes[-1].child_axes[0] if figures[0].axes[-1].child_axes else figures[0].axes[-1]
    assert bar.yaxis.get_offset_text().get_text() == ""
    assert any(label.get_text().startswith("0.369") for label in bar.get_yticklabels())
