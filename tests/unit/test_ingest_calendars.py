"""Model calendars: which source day a day takes, against cftime; accumulations and end stamps across 29 February."""

from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray as xr

from fluxatlas.calendars import RULES, encode, label, repeated_days, source_times
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from ingest_layouts import BOX, all_days, cf_daily, weather
from ingest_raw import LAT, LON, accumulate

YEARS = (1900, 1999, 2000, 2001, 2100)


def days_of(year: int) -> np.ndarray:
    return np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")


@pytest.mark.parametrize("calendar", RULES)
def test_codes_count_the_seconds_of_their_calendar(calendar: str) -> None:
    """cftime, an independent implementation, counts the same differences and writes the same dates."""
    dates = [d for year in YEARS for d in all_days(calendar, year, year)]
    codes = encode(dates, calendar).astype(np.int64)
    np.testing.assert_array_equal(codes - codes[0], cftime.date2num(dates, f"seconds since {dates[0]}", calendar))
    for code, date in list(zip(codes, dates, strict=True))[::50]:
        assert label(np.datetime64(int(code), "s"), calendar) == date.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize("calendar", ["noleap", "all_leap", "julian"])
@pytest.mark.parametrize("year", YEARS)
def test_a_day_keeps_its_date(calendar: str, year: int) -> None:
    moments = days_of(year).astype("datetime64[s]") + np.timedelta64(7 * 3600, "s")
    found = [label(code, calendar) for code in source_times(moments, calendar)]
    expected = [str(m).replace("T", " ")[:16] for m in moments]
    if calendar == "noleap":
        expected = [text.replace("-02-29", "-02-28") for text in expected]
    assert found == expected
    leap = len(expected) == 366
    assert repeated_days(days_of(year)[0], days_of(year)[-1] + 1, calendar) == (calendar == "noleap" and leap)


@pytest.mark.parametrize("year", YEARS)
def test_a_year_of_360_days_is_stretched_over_all_days(year: int) -> None:
    days = days_of(year)
    codes = source_times(days.astype("datetime64[s]"), "360_day")
    assert np.unique(codes).size == 360
    assert label(codes[0], "360_day") == f"{year}-01-01 00:00"
    assert label(codes[-1], "360_day") == f"{year}-12-30 00:00"
    assert (np.diff(codes) >= np.timedelta64(0)).all()


def daily_files(folder: Path, calendar: str, year: int) -> tuple[list[Path], dict[str, np.ndarray], list]:
    dates = all_days(calendar, year, year)
    truth = weather(len(dates))
    return cf_daily(folder, dates, truth), truth, dates


@pytest.mark.parametrize("calendar", ["all_leap", "366_day", "julian", "noleap", "365_day", "proleptic_gregorian"])
@pytest.mark.parametrize("year", [2000, 2001])
def test_daily_files(calendar: str, year: int, tmp_path: Path) -> None:
    files, truth, dates = daily_files(tmp_path, calendar, year)
    source = MappedSource(load_mapping("isimip"), files)
    found = source.daily(year, BOX, ["tas", "pr"])
    places = {(d.month, d.day): k for k, d in enumerate(dates)}
    repeated = places.get((2, 29), places[2, 28])
    wanted = [places.get((t.month, t.day), repeated) for t in found.time.dt.date.values]
    np.testing.assert_allclose(found.tas, truth["tas"][wanted], rtol=1e-6)
    np.testing.assert_allclose(found.pr, truth["pr"][wanted], rtol=1e-6)
    assert source.attrs["source_calendar"].split(":")[0] in (calendar, "noleap", "all_leap", "standard")


SIX_HOURS = 6 * 3600


def subdaily(calendar: str, first: str, last: str) -> xr.Dataset:
    """Six-hourly means and amounts stamped at the end of their step, in ``calendar``."""
    times = xr.date_range(first, last, freq="6h", calendar=calendar, use_cftime=True)[1:]
    rng = np.random.default_rng(2)
    shape = (times.size, LAT.size, LON.size)
    fields = {"T": (rng.normal(280, 5, shape), "K"), "rain": (rng.gamma(0.3, 2.0, shape), "mm")}
    dims = ("time", "lat", "lon")
    data = {n: (dims, v, {"units": u}) for n, (v, u) in fields.items()}
    return xr.Dataset(data, {"time": times, "lat": LAT, "lon": LON})


def mapping_of(kind: str):
    """A mapping of the six-hourly set whose rain is per step ('interval') or since 00 UTC ('accumulated')."""
    base = load_mapping("era5")
    content = base.model_dump(mode="json")
    content |= {"step_hours": 6, "stamp": "end", "raw": {"T": {"time": "interval"}, "rain": {"time": kind}}}
    content |= {"variables": {"tas": {"of": "T"}, "pr": {"of": "rain"}}}
    return type(base).model_validate(content)


@pytest.mark.parametrize("kind", ["interval", "accumulated"])
@pytest.mark.parametrize(
    ("calendar", "doubled"), [("noleap", {"02-29": "02-28"}), ("all_leap", {}), ("julian", {}), ("standard", {})]
)
def test_end_stamps_and_accumulations_across_february(
    kind: str, calendar: str, doubled: dict[str, str], tmp_path: Path
) -> None:
    """The last step of 28 February ends where the calendar has it; each day's total is that of its source day."""
    truth = subdaily(calendar, "2000-02-25", "2000-03-04")
    raw = truth
    if kind == "accumulated":
        days = (truth.time.size // 4) * 4
        since = truth.rain.values[:days].reshape(-1, 4, *truth.rain.shape[1:]).cumsum(axis=1)
        raw = truth.assign(rain=(truth.rain.dims, since.reshape(truth.rain.shape), truth.rain.attrs))
    raw.to_netcdf(tmp_path / "raw.nc")
    source = MappedSource(mapping_of(kind), [tmp_path / "raw.nc"])
    found = source.days(np.datetime64("2000-02-25"), np.datetime64("2000-03-03"), BOX)
    starts = [d - np.timedelta64(6, "h").astype("timedelta64[s]").item() for d in truth.time.values]
    names = np.array([d.strftime("%m-%d") for d in starts])
    for day in found.time.values:
        name = str(day)[5:10]
        mine = names == doubled.get(name, name)
        assert mine.sum() == 4
        total = truth.rain.values[mine].sum(axis=0)
        np.testing.assert_allclose(found.pr.sel(time=day) * 86400, total, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.tas.sel(time=day), truth["T"].values[mine].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("year", [2000, 2001])
def test_the_total_of_a_year_of_360_days(year: int, tmp_path: Path) -> None:
    """Every source day is used once or twice, and the year with its repeated days adds up to what is stated."""
    truth = subdaily("360_day", f"{year}-01-01", f"{year + 1}-01-02")
    truth.to_netcdf(tmp_path / "raw.nc")
    source = MappedSource(mapping_of("interval"), [tmp_path / "raw.nc"])
    found = source.daily(year, BOX, ["pr"])
    totals = truth.rain.values[: 360 * 4].reshape(360, 4, LAT.size, LON.size).sum(axis=1)
    length = found.sizes["time"]
    used = np.bincount(np.floor((np.arange(length) + 0.5) * 360 / length).astype(int), minlength=360)
    assert set(used) == {1, 2}
    np.testing.assert_allclose(
        found.pr.sum("time", dtype=float) * 86400, (totals * used[:, None, None]).sum(axis=0), rtol=1e-5
    )
    assert source.repeated_days == length - 360


def test_days_of_local_time_on_a_calendar_without_leap_days(tmp_path: Path) -> None:
    truth = subdaily("noleap", "2000-02-24", "2000-03-05")
    truth.to_netcdf(tmp_path / "raw.nc")
    source = MappedSource(mapping_of("interval"), [tmp_path / "raw.nc"], day="local")
    found = source.days(np.datetime64("2000-02-27"), np.datetime64("2000-03-02"), BOX)
    ends = np.array([d.strftime("%m-%d %H") for d in truth.time.values])
    # six-hour steps at 124 W: the local day begins with the step that ends at 12 UTC
    wanted = ["02-27 12", "02-27 18", "02-28 00", "02-28 06"]
    mine = np.isin(ends, wanted)
    np.testing.assert_allclose(found.pr[0] * 86400, truth.rain.values[mine].sum(axis=0), rtol=1e-5)
    assert np.isfinite(found.pr).all()
    assert accumulate(truth.rain.assign_coords(time=np.arange(truth.time.size).astype("datetime64[h]"))).size
