"""``fluxatlas init``: files that are shown become a configuration that ``check`` accepts; what lacks is named."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

import ingest_layouts
import static_layouts
from fluxatlas.check.run import look as check
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.errors import FluxAtlasError
from fluxatlas.init.patterns import patterns
from fluxatlas.init.run import InitRequest, init
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.inspect.report import Report, TimeSummary

DEGREES = (-10.0, 36.0, -6.0, 40.0)  # west, south, east, north of everything that is written here
ATTRIBUTES = {"sand": 40, "clay": 20, "soc": 10, "bdod": 1300, "phh2o": 6, "cropFrac": 10, "ndep": 5, "lai": 1}


def _weather(folder: Path) -> None:
    """A year of daily weather in a file per variable, and the altitude of its grid."""
    lat, lon = np.arange(39.875, 36, -0.25), np.arange(-9.875, -6, 0.25)
    days = pd.date_range("2001-01-01", "2001-12-31")
    truth = ingest_layouts.weather(days.size, lat, lon)
    units = {"pr": "kg m-2 s-1", "rsds": "W m-2", "rlds": "W m-2", "huss": "1", "ps": "Pa", "sfcWind": "m s-1"}
    folder.mkdir()
    for name, values in truth.items():
        field = ("time", "lat", "lon"), values.astype(np.float32), {"units": units.get(name, "K")}
        data = xr.Dataset({name: field}, {"time": days, "lat": lat, "lon": lon})
        data.to_netcdf(folder / f"{name}_2001.nc", encoding={"time": {"units": "days since 1990-01-01"}})
    ingest_layouts.elevation(folder / "orog.nc", lat, lon)


def _static(folder: Path) -> None:
    """Soil of SoilGrids, altitude, leaf area, nitrogen and land cover over the same area."""
    west, _, _, north = DEGREES
    maps = {"sand": 400, "clay": 200, "soc": 120, "bdod": 130, "phh2o": 62}
    for layer, value in maps.items():
        for depth in ("0-5cm", "5-15cm", "15-30cm"):
            static_layouts.soilgrids(
                folder / "soil" / f"{layer}_{depth}_mean.tif", lambda lat, lon, v=value: v + 0 * lat, 10_000.0, DEGREES
            )
    shape = (16, 16)
    static_layouts.write_tif(folder / "elevation.tif", np.full((32, 32), 150, np.float32), west, north, 8, units=("m",))
    lai = np.full((12, *shape), 1.5, np.float32)
    static_layouts.write_tif(folder / "lai_monthly.tif", lai, west, north, 4)
    static_layouts.write_tif(folder / "ndep_2000.tif", np.full(shape, 5, np.float32), west, north, 4)
    classes = np.full(shape, 130, np.uint8)
    classes[::2] = 10
    static_layouts.write_tif(folder / "landcover_2001.tif", classes, west, north, 4, nodata=0)


def _sites(folder: Path) -> None:
    folder.mkdir()
    days = pd.date_range("2001-05-01", periods=40).strftime("%Y-%m-%dT12:00:00")
    head = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n"
    rows = "".join(f"one,37.6,-7.5,200,GRA,{day},-1,mg CH4 m-2 d-1,upward_positive\n" for day in days)
    (folder / "chambers.csv").write_text(head + rows)
    table = {"site": "one", **ATTRIBUTES}
    (folder / "soil_of_sites.csv").write_text(",".join(table) + "\n" + ",".join(map(str, table.values())) + "\n")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of daily weather, static layers, a table of sites and a file that is none of these."""
    folder = tmp_path_factory.mktemp("shown") / "data"
    folder.mkdir()
    _weather(folder / "weather")
    _static(folder / "static")
    _sites(folder / "sites")
    (folder / "notes.txt").write_text("call the office on Monday\n")
    return folder


@pytest.fixture(scope="module")
def written(shown: Path) -> tuple[Path, str]:
    """The configuration made of that folder, and what was said."""
    output = shown.parent / "my_region.yaml"
    return output, init(InitRequest([shown], output, system="soil_methane_sink"))


def test_a_folder_becomes_a_configuration_that_check_accepts(shown: Path, written: tuple[Path, str]) -> None:
    output, _ = written
    config = load(output)
    assert config.forcing.path == tuple(f"{shown}/weather/{name}_{{year}}.nc" for name in sorted(
        ("huss", "pr", "ps", "rlds", "rsds", "sfcWind", "tas", "tasmax", "tasmin")
    ))  # fmt: skip
    assert config.forcing.elevation == f"{shown}/weather/orog.nc"
    assert config.static.soil and config.static.soil.provider == "soilgrids" and config.static.soil.depth == (0, 30)
    assert set(config.static.layers) == {"orog", "lai", "ndep"}
    assert config.static.layers["orog"].path == f"{shown}/static/elevation.tif"  # finer than that of the weather
    assert config.static.landcover and config.static.landcover.legend == "esa_cci"
    (entry,) = config.sites.entries
    assert (entry.source, entry.path) == ("chambers", [f"{shown}/sites/chambers.csv"])
    assert entry.attributes == f"{shown}/sites/soil_of_sites.csv"
    assert config.domain.bbox == (-9, 37, -7, 39)
    assert (config.period.start, config.period.end, config.period.spinup) == (2001, 2001, "repeat")
    findings, _ = check(output)
    assert not findings.problems, "\n".join(map(str, findings.problems))


def test_what_it_says(written: tuple[Path, str]) -> None:
    output, said = written
    lines = said.splitlines()
    assert lines[0].startswith(f"wrote {output} from ") and lines[-1] == f"next: fluxatlas check {output}"
    assert any("notes.txt: " in line for line in lines[lines.index("not used") :])
    lacking = lines[lines.index("nothing is missing at first sight") + 1 : -1]
    assert not lacking, lacking
    text = output.read_text()
    assert text.count("\n# ") >= 8 and "Whole years of the weather that was shown: 2001." in text


def test_an_existing_file_is_kept(shown: Path, written: tuple[Path, str]) -> None:
    output, _ = written
    before = output.read_bytes()
    done = CliRunner().invoke(app, ["init", str(shown), "--output", str(output), "--system", "soil_methane_sink"])
    assert done.exit_code == 1 and "the file exists" in str(done.exception) and "--force" in str(done.exception)
    assert output.read_bytes() == before


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(FluxAtlasError, match="this is a folder, not a file"):
        init(InitRequest([], tmp_path, "soil_methane_sink", "-9,37,-8,38", "2001", force=True))


def test_force_writes_over_it_and_nothing_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("call the office on Monday\n")
    output = tmp_path / "c.yaml"
    with pytest.raises(FluxAtlasError, match="none of these can be used as input") as problem:
        init(InitRequest([tmp_path], output, "soil_methane_sink", "-9,37,-8,38", "2001"))
    assert "notes.txt" in str(problem.value) and not output.exists()
    output.write_text("mine")
    init(InitRequest([], output, "soil_methane_sink", "-9,37,-8,38", "2001", force=True))
    assert load(output).domain.bbox == (-9, 37, -8, 38)


def test_without_files_everything_is_named_as_lacking(tmp_path: Path) -> None:
    said = init(InitRequest([], tmp_path / "c.yaml", "net_ecosystem_exchange", "-9,37,-8,38", "2001-2003"))
    lacking = said[said.index("still lacks") :]
    for part in ("forcing: daily tas", "forcing.elevation", "sand, clay", "orog: a digital elevation", "sites.entries"):
        assert part in lacking, said
    assert load(tmp_path / "c.yaml").period.years == range(2001, 2004)


def test_what_nobody_knows_is_asked_for_in_one_message(tmp_path: Path) -> None:
    _sites(tmp_path / "sites")
    with pytest.raises(FluxAtlasError) as problem:
        init(InitRequest([tmp_path / "sites"], tmp_path / "c.yaml"))
    for option in ("--system NAME (soil_methane_sink, ", "--domain W,S,E,N", "--period 2001-2005"):
        assert option in str(problem.value)
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": "5,6,7"}, "not a domain"),
        ({"domain": "9,37,-8,38"}, "empty or beyond the globe"),
        ({"period": "2005-2001"}, "not a period"),
        ({"system": "soil_methan_sink"}, "did you mean 'soil_methane_sink'"),
        ({"files": [Path("nowhere")]}, "no such file or folder"),
        ({"domain": "-40,30,-39,31"}, "holds no land"),
        ({"output": Path("c.txt")}, "ends in .yaml"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    given = {"files": [], "output": tmp_path / "c.yaml", "system": "soil_methane_sink", "domain": "-9,37,-8,38"}
    with pytest.raises(FluxAtlasError, match=message):
        init(InitRequest(**{**given, "period": "2001", **options}))
    assert not (tmp_path / "c.yaml").exists()


def test_a_terminal_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["nothing", "crop_carbon", "-9,37,-8,38", "2001"])
    monkeypatch.setattr("fluxatlas.init.run.sys", SimpleNamespace(**dict.fromkeys(
        ("stdin", "stderr"), SimpleNamespace(isatty=lambda: True)
    )))  # fmt: skip
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    init(InitRequest([], tmp_path / "c.yaml"))
    assert load(tmp_path / "c.yaml").system == "crop_carbon"


@pytest.mark.parametrize(
    ("names", "first", "last", "pattern", "years"),
    [
        ([*(f"2001_{m:02}.nc" for m in range(1, 13)), "2002_01.nc"], ("2001-01-01", "2001-01-31"),
         ("2002-01-01", "2002-01-31"), "{year}_{month}.nc", [2001]),
        ([f"{y}/w_{y}.nc" for y in (2001, 2002)], ("2001-01-01", "2001-12-31"), ("2002-01-01", "2002-12-31"),
         "{year}/w_{year}.nc", [2001, 2002]),
        ([f"v_{y}0101-{y}1231.nc" for y in (2001, 2002)], ("2001-01-01", "2001-12-31"), ("2002-01-01", "2002-12-31"),
         "v_{year}0101-{year}1231.nc", [2001, 2002]),
        ([f"d/{d:%Y%j}.nc" for d in pd.date_range("2001-01-01", "2001-12-31")], ("2001-01-01", "2001-01-01"),
         ("2001-12-31", "2001-12-31"), "d/{year}{doy}.nc", [2001]),
        ([f"A{d:%Y%m%d}.{d:%H}00.020.nc" for d in pd.date_range("2001-01-01", "2001-12-31 23:00", freq="h")],
         ("2001-01-01", "2001-01-01"), ("2001-12-31 23:00", "2001-12-31 23:00"),
         "A{year}{month}{day}.{hour}00.020.nc", [2001]),
        (["2001_01.nc"], ("2001-01-01", "2001-01-31"), ("2001-01-01", "2001-01-31"), "{year}_01.nc", [2001]),
    ],
)  # fmt: skip
def test_names_become_patterns(names, first, last, pattern: str, years: list[int]) -> None:
    reports = {key: Report("x", time=TimeSummary(*span)) for key, span in (("first", first), ("last", last))}
    found = patterns(SimpleNamespace(paths=tuple(map(Path, names)), below=Path(), **reports))
    assert found == ([pattern], years)


def test_a_file_of_several_years_is_named_as_it_is() -> None:
    report = Report("x", time=TimeSummary("1990-01-01", "1993-12-31", "1 d"))
    shown = SimpleNamespace(paths=(Path("w_1990-1993.nc"),), below=Path(), first=report, last=report)
    assert patterns(shown) == (["w_1990-1993.nc"], [1990, 1991, 1992, 1993])


def test_real_weather(data_dir: Path, tmp_path: Path) -> None:
    """A year of Livneh with the domain file of VIC: source, altitude, area and year are told by the files."""
    folder = data_dir / "gridded_met/UW-Hydro_VIC_sample_data/WalnutGulch"
    files = [folder / "forcings", folder / "parameters/domain.WalnutGulch.0.0625_deg.nc"]
    init(InitRequest(files, tmp_path / "wg.yaml", "soil_methane_sink"))
    config = load(tmp_path / "wg.yaml")
    assert config.forcing.source == "livneh" and config.forcing.path.endswith(".WalnutGulch.{year}.nc")
    assert config.forcing.elevation == str(files[1]) == config.static.layers["orog"].path
    assert list(config.period.years) == [2008]
    assert config.domain.bbox == pytest.approx((-110.156, 31.656, -109.906, 31.781), abs=0.01)


def test_every_use_of_a_report_is_in_its_json(shown: Path) -> None:
    report = inspect_path(shown / "static" / "landcover_2001.tif").as_dict()
    assert report["uses"] == [{"key": "static.landcover", "options": {"legend": "esa_cci"}}]
    assert yaml.safe_load(yaml.safe_dump(report["uses"])) == report["uses"]
