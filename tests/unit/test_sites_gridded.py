"""Gridded products in place of what sites measured: the right cell, unit, days and steps, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.sites import GriddedInput
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites.gridded import at_sites
from fluxatlas.ingest.sites.periods import period_table
from fluxatlas.ingest.sites.records import observations
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
    observed, longer = at_sites(given, SITES, TOWER, period_table())
    assert longer.empty and observed["site"].isin(["a", "b"]).all()
    here = observed[observed["variable"] == "gpp"].set_index(["site", "time"])["value"].unstack("time")
    # row 2 and column 4 hold site a, row 1 and column 715 site b (west); 1e-8 kg m-2 s-1 are 0.864 g m-2 d-1
    assert here.loc["a"].tolist() == pytest.approx([0.864 * (2 * k + 0.004) for k in (1, 2, 3)])
    assert here.loc["b"].tolist() == pytest.approx([0.864 * (k + 0.715) for k in (1, 2, 3)])
    assert observed.loc[observed["variable"] == "nee", "value"].tolist() == [-1.0]


def test_longer_steps_are_means_until_the_next_and_gaps_are_none(tmp_path: Path) -> None:
    days = pd.DatetimeIndex(["2004-01-01", "2004-01-09", "2004-01-17", "2004-03-01"])
    path = write(tmp_path / "gpp.nc", days, np.array([1.75, 2.25]))
    observed, longer = at_sites({"gpp": GriddedInput(path=[str(path)], variable="GPP")}, SITES, TOWER, period_table())
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
        at_sites({"gpp": GriddedInput.model_validate(given)}, SITES, TOWER, period_table())


def test_a_step_that_occurs_twice_and_no_site_are_refused(tmp_path: Path) -> None:
    days = pd.date_range("2004-01-01", periods=3)
    paths = [str(write(tmp_path / f"{n}.nc", days, np.array([1.75, 2.25]))) for n in (1, 2)]
    with pytest.raises(InputError, match="a time occurs twice"):
        at_sites({"gpp": GriddedInput(path=paths, variable="GPP")}, SITES, TOWER, period_table())
    with pytest.raises(InputError, match="no site has a value of 'gpp'"):
        at_sites({"gpp": GriddedInput(path=paths[:1], variable="GPP")}, SITES[2:], TOWER, period_table())
