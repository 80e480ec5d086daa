"""What hours, months and local days add up to, whatever the period: totals of the days are totals of the source."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import ingest_layouts as layouts
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.monthly import MonthlySource
from ingest_raw import LAT, era5_land, hourly_truth, write_months

BOX = (-124.2, 40.1, -122.9, 41.2)
AMOUNTS = {"pr": ("tp", 86.4), "rsds": ("ssrd", 86400.0), "rlds": ("strd", 86400.0)}
"""Raw amounts and the factor from the daily mean to the daily total in their unit."""
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: an example writes files."""
STARTS = st.dates(pd.Timestamp("1995-01-01").date(), pd.Timestamp("2005-12-31").date())
ENDS = st.sampled_from(["2000-02-28", "1999-12-30", "2001-02-27", "2000-12-30", "2001-04-29", "2004-02-27"])
FIRST_DAYS = st.one_of(ENDS, STARTS.map(str))


def hourly_files(first: str, days: int, convention: str, seed: int, folder: Path) -> tuple[xr.Dataset, list[Path]]:
    """Hourly truth around the days and its files, one per month, in the convention of a provider."""
    start, stop = np.datetime64(first) - 1, np.datetime64(first) + days + 1
    truth = hourly_truth(str(start), f"{stop}T14", LAT[:2], np.array([-172.5, -37.5, 97.5]), seed)
    return truth, write_months(era5_land(truth) if convention == "era5_land" else truth, folder)


@pytest.mark.parametrize("convention", ["era5_land", "era5"])
@settings(max_examples=6, deadline=None, phases=PHASES)
@given(first=FIRST_DAYS, days=st.integers(1, 6), seed=st.integers(0, 99))
def test_hours_add_up_to_days_across_months_and_years(convention: str, first: str, days: int, seed: int) -> None:
    """The hours that end after 00 UTC of a day and up to 00 UTC of the next one make its total."""
    with TemporaryDirectory() as folder:
        truth, files = hourly_files(first, days, convention, seed, Path(folder))
        start = np.datetime64(first)
        found = MappedSource(load_mapping(convention), files).days(start, start + days, (-130, 40, 100, 42))
        for name, (raw, factor) in AMOUNTS.items():
            for day in range(days):
                begin = start + day
                hours = truth[raw].sel(time=slice(begin + np.timedelta64(1, "h"), begin + np.timedelta64(24, "h")))
                assert hours.sizes["time"] == 24
                total = hours.sum("time")
                np.testing.assert_allclose(
                    found[name][day] * factor, total, rtol=2e-5, atol=2e-5 * float(total.max()) + 1e-9, err_msg=name
                )


@pytest.mark.parametrize("convention", ["era5_land", "era5"])
@settings(max_examples=5, deadline=None, phases=PHASES)
@given(first=FIRST_DAYS, days=st.integers(2, 6), seed=st.integers(0, 99))
def test_local_days_only_move_what_falls(convention: str, first: str, days: int, seed: int) -> None:
    """Over the whole period the local days of a cell hold exactly the hours of its shifted period, each once."""
    with TemporaryDirectory() as folder:
        truth, files = hourly_files(first, days, convention, seed, Path(folder))
        start = np.datetime64(first)
        source = MappedSource(load_mapping(convention), files, day="local")
        found = source.days(start, start + days, (-130, 40, 100, 42))
        for name, (raw, factor) in AMOUNTS.items():
            for column, lon in enumerate(found.lon.values):
                ahead = int(np.floor(((lon + 180) % 360 - 180) / 15 + 0.5))
                begin = start - np.timedelta64(ahead, "h")
                end = begin + np.timedelta64(24 * days, "h")
                hours = truth[raw].isel(longitude=column).sel(time=slice(begin + np.timedelta64(1, "h"), end))
                assert hours.sizes["time"] == 24 * days
                total = hours.sum("time")
                np.testing.assert_allclose(
                    found[name][:, :, column].sum("time") * factor,
                    total,
                    rtol=5e-5,
                    atol=5e-5 * float(total.max()) + 1e-9,
                    err_msg=f"{name} at {lon}",
                )


@settings(max_examples=5, deadline=None, phases=PHASES)
@given(first=st.dates(pd.Timestamp("1958-01-01").date(), pd.Timestamp("2020-12-01").date()), seed=st.integers(0, 99))
def test_months_are_conserved(first: object, seed: int) -> None:
    """Means (temperature, radiation, wind) and totals (rain) of every month are those of the file, in any month."""
    months = pd.date_range(pd.Timestamp(first).normalize().replace(day=1), periods=4, freq="MS")
    truth = layouts.weather(months.size, seed=seed)
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = layouts.terraclimate(folder, months, truth)
        relief, _ = layouts.elevation(folder / "elevation.nc")
        source = MonthlySource(load_mapping("terraclimate"), files, elevation=relief)
        start, stop = (np.datetime64(m, "D") for m in (months[0], months[-1] + pd.offsets.MonthBegin()))
        found = source.days(start, stop, layouts.BOX)
    assert found.sizes["time"] == months.days_in_month.to_numpy().sum()
    back = found.astype(np.float64).groupby(found.time.dt.strftime("%Y-%m")).mean()
    for key, step in {"tasmin": 0.01, "tasmax": 0.01, "rsds": 0.1, "sfcWind": 0.01}.items():
        np.testing.assert_allclose(back[key], truth[key], atol=0.51 * step, rtol=1e-6, err_msg=key)
    totals = found.pr.astype(np.float64).groupby(found.time.dt.strftime("%Y-%m")).sum() * 86400
    wanted = truth["pr"] * 86400 * months.days_in_month.to_numpy()[:, None, None]
    np.testing.assert_allclose(totals, wanted, atol=0.051, rtol=1e-5)
