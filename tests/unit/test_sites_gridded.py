"""Gridded products in place of what sites measured: the right cell, unit, days and steps, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.sites import GriddedInput
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites.gridded import _ends, at_sites
from fluxatlas.ingest.sites.periods import period_table
from fluxatlas.ingest.sites.records import Ledger, observations
from fluxatlas.train.site_periods import COLUMNS

SITES = pd.DataFrame({"site": ["a", "b", "far"], "lat": [48.26, 48.74, 10.0], "lon": [2.26, -2.2, 2.3]})
TOWER = observations(
    [pd.DataFrame({"time": pd.to_datetime(["2004-01-01"] * 2), "variable": ["gpp", "nee"], "value": [9.0, -1.0],
                   "sd": 0.3, "qc": 1.0, "n": 1.0, "origin": "measured"})]
).assign(site="a")  # fmt: skip


def write(path: Path, days: pd.DatetimeIndex, lon: np.ndarray, units: str = "kg m-2 s-1", name: str = "GPP") -> Path:
    """1e-8 kg m-2 s-1 times row and 1 + time, plus a thousandth of it for each column."""
    lat = np.array([48.75, 48.25])
    values = (np.arange(2)[None, :, None] + 1) * (1.0 + np.arange(len(days)))[:, None, None] + 1e-3 * np.arange(
        len(lon)
    )
    axes = {"time": days, "latitude": lat, "longitude": lon}
    field = xr.DataArray(1e-8 * values, axes, ("time", "latitude", "longitude"), attrs={"units": units})
    field[0, 0, 0] = np.nan
    xr.Dataset({name: field}).to_netcdf(path)
    return path


def test_days_are_those_of_the_cell_that_holds_the_site(tmp_path: Path) -> None:
    days = pd.date_range("2004-01-01", periods=3)
    path = write(tmp_path / "gpp.nc", days, np.arange(0.25, 360, 0.5))
    given = {"gpp": GriddedInput(path=[str(path)], variable="GPP")}
    observed, longer = at_sites(given, SITES, TOWER, period_table(), Ledger())
    assert longer.empty and observed["site"].isin(["a", "b"]).all()
    here = observed[observed["variable"] == "gpp"].set_index(["site", "time"])["value"].unstack("time")
    # row 2 and column 4 hold site a, row 1 and column 715 site b (west); 1e-8 kg m-2 s-1 are 0.864 g m-2 d-1
    assert here.loc["a"].tolist() == pytest.approx([0.864 * (2 * k + 0.004) for k in (1, 2, 3)])
    assert here.loc["b"].tolist() == pytest.approx([0.864 * (k + 0.715) for k in (1, 2, 3)])
    assert observed.loc[observed["variable"] == "nee", "value"].tolist() == [-1.0]


@pytest.mark.parametrize("step", [0.5, 2.0])
@pytest.mark.parametrize("first", [0.0, -180.0])
def test_no_place_falls_between_the_ends_of_the_axis(tmp_path: Path, step: float, first: float) -> None:
    """Cells are told by the angle between middle and site, at most half a cell, on both sides of both seams."""
    lon = np.arange(first + step / 2, first + 360, step)
    east = np.array([-0.1, -0.2, -0.769, 0.1, 179.9, -179.9, 180.0])
    sites = pd.DataFrame({"site": list("abcdefg"), "lat": 48.26, "lon": east})
    path = write(tmp_path / "gpp.nc", pd.date_range("2004-01-01", periods=2), lon)
    given = {"gpp": GriddedInput(path=[str(path)], variable="GPP")}
    observed, _ = at_sites(given, sites, TOWER.iloc[:0], period_table(), Ledger())
    day = observed[observed["time"] == "2004-01-01"].set_index("site")["value"]
    column = np.rint((day.to_numpy() / 0.864 - 2) * 1e3).astype(int)
    apart = np.angle(np.exp(1j * np.deg2rad(lon[column] - east)), deg=True)
    assert list(day.index) == list("abcdefg") and np.abs(apart).max() <= step / 2 + 1e-6


def test_days_stay_days_where_one_is_absent_and_what_they_replace_is_counted(tmp_path: Path) -> None:
    days = pd.date_range("2004-01-01", periods=9).delete(4)
    path = write(tmp_path / "gpp.nc", days, np.array([1.75, 2.25]))
    ledger = Ledger()
    ledger.read("a", "gpp", 3)
    monthly = period_table(site="a", lat=48.26, lon=2.26, start=[pd.Timestamp("2003-01-01")],
                           end=[pd.Timestamp("2003-02-01")], variable="gpp", value=1.0, sd=0.1, qc=1.0,
                           source="fluxnet")  # fmt: skip
    given = {"gpp": GriddedInput(path=[str(path)], variable="GPP")}
    observed, longer = at_sites(given, SITES, TOWER, monthly, ledger)
    assert longer.empty and (observed["variable"] == "gpp").sum() == len(days)
    assert observed.equals(observed.sort_values(["site", "variable", "time"], ignore_index=True))
    counts = ledger.as_dict()["a"]
    assert counts["variables"]["gpp"]["days"]["dropped"] == {"taken from a gridded product": 1}
    assert counts["variables"]["gpp"]["days"]["kept"] == 2
    assert counts["notes"] == ["1 period of gpp: taken from a gridded product instead"]


def test_steps_end_with_the_next_or_as_usual_and_months_with_the_month() -> None:
    def ends(*days: str) -> list[str]:
        return [str(day) for day in _ends(np.array(days, "M8[D]"))]

    months = ends("2002-12-01", "2003-01-01", "2003-02-01", "2003-04-01", "2004-03-01", "2004-04-01")
    assert months == ["2003-01-01", "2003-02-01", "2003-03-01", "2003-05-01", "2004-04-01", "2004-05-01"]
    assert ends("2004-02-01", "2004-03-01", "2004-04-01")[-1] == "2004-05-01"
    assert ends("2003-01-01", "2004-01-01") == ["2004-01-01", "2005-01-01"]
    # composites of eight days: the last of a year is shorter, one is absent after the second
    assert ends("2003-12-19", "2003-12-27", "2004-01-01", "2004-01-09", "2004-01-25") == [
        "2003-12-27", "2004-01-01", "2004-01-09", "2004-01-17", "2004-02-02"]  # fmt: skip
    assert _ends(np.array(["2004-01-01", "2004-01-02", "2004-01-03", "2004-02-01"], "M8[D]")) is None


def test_axes_are_read_as_in_forcing(tmp_path: Path) -> None:
    """Other names of axes and dimensions of one; radians and further dimensions are refused by name."""
    path = write(tmp_path / "gpp.nc", pd.date_range("2004-01-01", periods=3), np.array([1.75, 2.25]))
    with xr.open_dataset(path) as data:
        plain = data.load()
    named = {"latitude": "nav_lat", "longitude": "nav_lon", "time": "date"}

    def days(changed: xr.Dataset) -> pd.DataFrame:
        changed.to_netcdf(tmp_path / "changed.nc")
        given = {"gpp": GriddedInput(path=[str(tmp_path / "changed.nc")], variable="GPP")}
        return at_sites(given, SITES, TOWER, period_table(), Ledger())[0]

    expected = days(plain)
    assert len(expected) == 4 and days(plain.rename(named)).equals(expected)
    assert days(plain.expand_dims(band=[1])).equals(expected)
    with pytest.raises(InputError, match="'GPP' has the extra dimension band"):
        days(plain.expand_dims(band=[1, 2]))
    units = {axis: plain[axis].assign_attrs(units="radians") for axis in ("latitude", "longitude")}
    with pytest.raises(InputError, match="lat is in 'radians', degrees are needed"):
        days(plain.assign_coords(units))
    with pytest.raises(InputError, match="lon is not evenly spaced"):
        days(xr.concat([plain, plain.assign_coords(longitude=[9.0, 9.5])], "longitude", join="outer"))


def test_longer_steps_are_means_until_the_next_and_gaps_are_none(tmp_path: Path) -> None:
    days = pd.DatetimeIndex(["2004-01-01", "2004-01-09", "2004-01-17", "2004-03-01"])
    path = write(tmp_path / "gpp.nc", days, np.array([1.75, 2.25]))
    observed, longer = at_sites(
        {"gpp": GriddedInput(path=[str(path)], variable="GPP")}, SITES, TOWER, period_table(), Ledger()
    )
    assert set(COLUMNS) <= set(longer) and observed["variable"].tolist() == ["nee"]
    assert longer["site"].unique().tolist() == ["a"]
    lengths = (longer["end"] - longer["start"]).dt.days.tolist()
    assert lengths == [8, 8, 8, 8]  # the usual step, also before a gap and at the end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variable": "GPPX"}, r"no variable 'GPPX'; did you mean|no variable 'GPPX'.*GPP"),
        ({"units": "K"}, "'K' cannot be converted to 'g m-2 d-1'"),
        ({"path": ["/nothing/*.nc"]}, "no file matches"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path / "gpp.nc", pd.date_range("2004-01-01", periods=3), np.array([1.75, 2.25]))
    given = {"path": [str(path)], "variable": "GPP", **change}
    with pytest.raises(InputError, match=message):
        at_sites({"gpp": GriddedInput.model_validate(given)}, SITES, TOWER, period_table(), Ledger())


def test_a_step_that_occurs_twice_and_no_site_are_refused(tmp_path: Path) -> None:
    days = pd.date_range("2004-01-01", periods=3)
    paths = [str(write(tmp_path / f"{n}.nc", days, np.array([1.75, 2.25]))) for n in (1, 2)]
    with pytest.raises(InputError, match="a time occurs twice"):
        at_sites({"gpp": GriddedInput(path=paths, variable="GPP")}, SITES, TOWER, period_table(), Ledger())
    with pytest.raises(InputError, match="no site has a value of 'gpp'"):
        at_sites({"gpp": GriddedInput(path=paths[:1], variable="GPP")}, SITES[2:], TOWER, period_table(), Ledger())
