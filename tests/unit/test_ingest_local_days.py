"""Days of local solar time from hours in UTC, against hours shifted cell by cell with pandas, across years."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.inputs import closing_inputs, neighbour_inputs, opening_inputs
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.steps import solar_shift
from ingest_raw import LAT, era5_land, hourly_truth, write_months

LON = np.array([-172.0, -86.0, 0.0, 86.0, 172.0])
BOX = (-180.0, 40.1, 179.9, 41.2)


def test_the_shift_is_the_rounded_solar_time() -> None:
    np.testing.assert_array_equal(
        solar_shift([-180, -123, -7.4, 0, 7.4, 7.6, 82.5, 172.6, 188], 1), [-12, -8, 0, 0, 0, 1, 6, 12, -11]
    )
    np.testing.assert_array_equal(solar_shift([-123, 0, 60], 3), [-3, 0, 1])


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    return hourly_truth("2000-12-30", "2001-01-04T01", LAT, LON)


@pytest.mark.parametrize("name", ["era5_land", "era5"])
def test_local_days(tmp_path: Path, truth: xr.Dataset, name: str) -> None:
    files = write_months(era5_land(truth) if name == "era5_land" else truth, tmp_path)
    source = MappedSource(load_mapping(name), files, day="local")
    days = source.days(np.datetime64("2000-12-31"), np.datetime64("2001-01-03"), BOX)
    assert source.attrs["day_definition"].startswith("day of local solar time")
    for column, lon in enumerate(days.lon.values):
        lon = (lon + 180) % 360 - 180
        cell = truth.sel(longitude=lon).isel(latitude=1)
        shift = pd.Timedelta(hours=round(lon / 15))
        local = cell[["t2m", "sp"]].to_dataframe()[["t2m", "sp"]]
        local.index = local.index + shift
        ends = cell[["tp", "ssrd"]].to_dataframe()[["tp", "ssrd"]]
        ends.index = ends.index + shift - pd.Timedelta(hours=1)
        period = slice("2000-12-31", "2001-01-02")
        found = days.isel(lat=1, lon=column)
        np.testing.assert_allclose(found.tas, local.t2m.resample("1D").mean()[period], rtol=1e-6)
        np.testing.assert_allclose(found.tasmax, local.t2m.resample("1D").max()[period], rtol=1e-6)
        np.testing.assert_allclose(found.pr * 86.4, ends.tp.resample("1D").sum()[period], rtol=2e-5, atol=1e-9)
        np.testing.assert_allclose(found.rsds * 86400, ends.ssrd.resample("1D").sum()[period], rtol=1e-5)


def test_steps_before_and_after_are_needed(tmp_path: Path, truth: xr.Dataset) -> None:
    source = MappedSource(load_mapping("era5_land"), write_months(era5_land(truth), tmp_path), day="local")
    with pytest.raises(InputError, match=r"missing, the first at 2000-12-29 1\d:00"):
        source.days(np.datetime64("2000-12-30"), np.datetime64("2000-12-31"), BOX, ["tas"])


def test_daily_sources_keep_their_days(tmp_path: Path, truth: xr.Dataset) -> None:
    files = write_months(era5_land(truth), tmp_path)
    with pytest.raises(ConfigError, match="cannot be regrouped"):
        MappedSource(load_mapping("gridmet").model_copy(update={"day": "utc"}), files, day="local")


def test_the_files_of_the_neighbouring_years() -> None:
    settings = {"source": "era5_land", "path": "{year}_{month}.nc", "elevation": "z.nc", "day": "local"}
    block = ForcingBlock.model_validate_json(json.dumps(settings))
    assert neighbour_inputs(block, 2001) == ["2000_12.nc", "2002_01.nc"]
    hourly = block.model_copy(update={"path": "{year}/{doy}/A{year}{month}{day}.{hour}00.nc"})
    assert opening_inputs(hourly, 2001)[0] == "2000/366/A20001231.1100.nc"
    assert closing_inputs(hourly, 2001)[-1] == "2002/001/A20020101.1200.nc"
    monthly = ForcingBlock.model_validate(
        {
            "source": "mapping",
            "mapping": "terraclimate",
            "path": ["ppt_{year}.nc", "tmax_{year}.nc"],
            "elevation": "z.nc",
        }
        | {"opening": "always", "closing": "always", "first_year": 1958, "last_year": 2023}
    )
    assert neighbour_inputs(monthly, 2000) == ["ppt_1999.nc", "tmax_1999.nc", "ppt_2001.nc", "tmax_2001.nc"]
    assert neighbour_inputs(monthly, 1958) == ["ppt_1959.nc", "tmax_1959.nc"]
    assert neighbour_inputs(monthly, 2023) == ["ppt_2022.nc", "tmax_2022.nc"]
