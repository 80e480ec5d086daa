"""The published layout of X-MethaneWet: towers in one table; years of half-degree cells in months of 31 days."""

import datetime
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import InputError
from fluxatlas.ingest import simulated_year as years
from fluxatlas.ingest.sites import xmethanewet
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.inspect.registry import inspect_path

ROWS = 6
"""Rows of the globe in these tests, 30 degrees each; the layout has 360."""
NMOL = 16.043e-6 * 86400
"""mg m-2 d-1 in 1 nmol m-2 s-1."""
LIST = "SITE_ID,SITE_NAME,LOCATION_LAT,LOCATION_LONG,LOCATION_ELEV,IGBP\nUS-Myb,Mayberry,38.05,-121.765,-1,WET\n"
HEAD = ",TIMESTAMP,Site,FCH4_F,FCH4_F_ANNOPTLM,NEE_F,TA_F,VPD_F,P_F\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(years, "ROWS", ROWS)
    monkeypatch.setattr(years, "BLOCK", 4)


def number(day: datetime.date, row: int, column: int) -> float:
    """A temperature that tells its day and its cell."""
    return day.timetuple().tm_yday / 10 + row - column / 100


def write(path: Path, values: np.ndarray, name: str) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        for size, dimension in zip(values.shape, ("a", "b", "c", "d"), strict=False):
            file.createDimension(dimension, size)
        file.createVariable(name, "f4", ("a", "b", "c", "d")[: values.ndim], zlib=True)[:] = values
    return path


def packed(padding: float) -> np.ndarray:
    """(row, column, month, day) of :func:`number` in 1999, with ``padding`` on days that there are not."""
    values = np.full((ROWS, 2 * ROWS, 12, 31), padding, np.float32)
    for row in range(ROWS):
        for column in range(2 * ROWS):
            for later in range(365):
                day = datetime.date(1999, 1, 1) + datetime.timedelta(later)
                values[row, column, day.month - 1, day.day - 1] = number(day, row, column)
    return values


@pytest.mark.parametrize("padding", [np.nan, 8.8, -9999.0, 1e30])
def test_every_day_of_a_year_is_where_it_belongs_whatever_pads_the_months(tmp_path: Path, padding: float) -> None:
    values = packed(padding)
    values[2, 3, 6, 4] = -9999
    path, out = write(tmp_path / "daily_ecmwf_TAIR_1999.nc", values, "whatever"), tmp_path / "tas.nc"
    result = CliRunner().invoke(app, ["ingest", "simulated-year", "--input", str(path), "--output", str(out)])
    assert result.exit_code == 0, result.output
    with xr.open_dataset(out, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as made:
        found = made["tas"].load()
    assert found.sizes == {"time": 365, "lat": ROWS, "lon": 2 * ROWS} and found.attrs["units"] == "K"
    assert found["lat"].values[[0, -1]].tolist() == [75, -75] and found["lon"].values[0] == -165
    assert np.isnan(found.values).sum() == 1 and np.isnan(found.sel(lat=-15, lon=-75).values[185])
    for later in (0, 58, 59, 120, 364):
        day = datetime.date(1999, 1, 1) + datetime.timedelta(later)
        assert found["time"].values[later].strftime("%Y-%m-%d") == day.isoformat()
        assert found.sel(lat=45, lon=15).values[later] == pytest.approx(number(day, 4, 6) + 273.15, abs=1e-4)


def test_a_leap_year_has_no_29_february(tmp_path: Path) -> None:
    data = years.read_year(write(tmp_path / "daily_ecmwf_VAPR_2000.nc", packed(50.0) + 1, "v"))
    assert data.name == "vp" and data.sizes["time"] == 365
    stamps = data["time"].dt.strftime("%m-%d").values
    assert "02-29" not in stamps and stamps[59] == "03-01"
    assert data.values[59, -1, 0] == pytest.approx(100 * number(datetime.date(1999, 3, 1), 0, 0) + 100)


def test_emission_keeps_its_sign_or_is_turned(tmp_path: Path) -> None:
    values = packed(0.0)
    path = write(tmp_path / "CH4_emission_intensity_1999.nc", -values, "CH4_emission")
    with pytest.raises(InputError, match=r"(?s)emission is counted negative.*--downward"):
        years.read_year(path)
    turned = years.read_year(path, downward=True)
    assert turned.name == "fch4wet" and turned.attrs["units"] == "mg m-2 d-1"
    assert turned.values[0, -1, 0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("file", "name", "change", "said"),
    [
        ("daily_ecmwf_TAIR_1999.nc", "v", lambda v: v[:, :, :, :30], "not one variable has the shape"),
        ("daily_ecmwf_TAIR_1999.nc", "v", lambda v: v[:, :6], "not one variable has the shape"),
        ("CH4_emission_intensity_1999.nc", "CH4", lambda v: v, "'CH4_emission' is missing"),
        ("CH4_emission_intensity_1999.nc", "CH4_emission", lambda v: v[..., 0], "has the shape"),
        ("daily_ecmwf_WIND_1999.nc", "v", lambda v: v, "the name is not that of a year of the simulation"),
        ("daily_ecmwf_TAIR_1999.nc", "v", lambda v: v * np.nan, "the year holds no value"),
        ("daily_ecmwf_TAIR_1999.nc", "v", lambda v: v + 273.15, "possible are"),
    ],
)
def test_what_is_wrong_is_one_message_and_nothing_is_written(
    tmp_path: Path, file: str, name: str, change, said: str
) -> None:
    path, out = write(tmp_path / file, change(packed(9.0)), name), tmp_path / "out.nc"
    with pytest.raises(InputError, match=said) as problem:
        years.convert(path, out)
    assert str(path) in str(problem.value) and "do:" in str(problem.value) and not out.exists()


def test_inspect_says_what_a_year_is(tmp_path: Path) -> None:
    report = inspect_path(write(tmp_path / "CH4_emission_intensity_1999.nc", packed(0.0), "CH4_emission"))
    assert (report.format, report.status) == ("xmethanewet-year", "part") and "simulated-year" in report.reader
    assert [row.canonical for row in report.mapping] == ["fch4wet"]
    unknown = inspect_path(write(tmp_path / "daily_ecmwf_WIND_1999.nc", packed(0.0), "v"))
    assert unknown.status == "no_reader" and "daily_ecmwf_{PREC" in unknown.verdict


def towers(folder: Path, rows: str, **rules: float) -> tuple[list, Ledger]:
    (folder / "FLUXNET_CH4_2024.csv").write_text(LIST)
    path = folder / "FLUXNET_T1_DD.csv"
    path.write_text(HEAD + rows)
    entry = SiteEntry(source="xmethanewet", path=[str(path)], metadata=str(folder / "FLUXNET_CH4_2024.csv"))
    ledger = Ledger()
    return xmethanewet.read([str(path)], entry, QcRules(limits={"fch4": (-200, 2500)}, **rules), ledger), ledger


ROWS_OF_A_TOWER = (
    "0,20150101,US.Myb,100,90,-1,3,2,0\n1,20150102,US.Myb,,80,-1,3,2,0\n2,20150103,US.Myb,-9999,-9999,,,,\n"
)


def test_towers_get_the_name_of_the_list_and_holes_only_when_asked(tmp_path: Path) -> None:
    (record,), ledger = towers(tmp_path, ROWS_OF_A_TOWER)
    assert (record.name, record.site["lat"], record.site["igbp"]) == ("US-Myb", 38.05, "WET")
    assert record.observations["value"].tolist() == pytest.approx([100 * NMOL])
    assert "1 gap-filled" in ledger.sentence("US-Myb", "FCH4_F_ANNOPTLM") and record.forcing is None
    assert any("does not say which" in line for line in ledger.told())
    (record,), _ = towers(tmp_path, ROWS_OF_A_TOWER, min_qc=0)
    assert record.observations["value"].tolist() == pytest.approx([100 * NMOL, 80 * NMOL])
    assert record.observations["qc"].tolist() == [1, 0]


def test_a_tower_that_is_not_in_the_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no coordinates for site 'US-Tw1'"):
        towers(tmp_path, ROWS_OF_A_TOWER.replace("Myb", "Tw1"))


def test_inspect_knows_the_table_of_towers(tmp_path: Path) -> None:
    towers(tmp_path, ROWS_OF_A_TOWER.replace("100", "10"))
    report = inspect_path(tmp_path / "FLUXNET_T1_DD.csv")
    assert report.format == "xmethanewet-towers" and report.usable and "xmethanewet" in report.reader
