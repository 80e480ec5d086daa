"""ERA5-Land and ERA5 to daily values, against the hourly truth the files were made from and xarray's own resampling."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import InputError
from fluxatlas.ingest.source import recognise
from ingest_raw import LAT, LON, accumulate, era5_land, hourly_truth, open_forcing, write_months

BOX = (-124.2, 40.1, -122.9, 41.2)
START, STOP = np.datetime64("2000-12-30"), np.datetime64("2001-01-03")


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    return hourly_truth("2000-12-30", "2001-01-03T01")


def amounts(truth: xr.Dataset, name: str) -> np.ndarray:
    """Daily totals from the hourly amounts: hours 01..24 of each day."""
    shifted = truth[name].assign_coords(time=truth.time - np.timedelta64(1, "h"))
    return shifted.sel(time=slice("2000-12-30", "2001-01-02T23")).resample(time="1D").sum().values


def check(days: xr.Dataset, truth: xr.Dataset) -> None:
    hours = truth.isel(time=slice(0, -1))
    np.testing.assert_allclose(days.tas, hours.t2m.resample(time="1D").mean(), rtol=1e-6)
    np.testing.assert_allclose(days.tasmin, hours.t2m.resample(time="1D").min(), rtol=1e-6)
    np.testing.assert_allclose(days.tasmax, hours.t2m.resample(time="1D").max(), rtol=1e-6)
    np.testing.assert_allclose(days.ps, hours.sp.resample(time="1D").mean(), rtol=1e-6)
    speed = np.sqrt(hours.u10**2 + hours.v10**2)
    np.testing.assert_allclose(days.sfcWind, speed.resample(time="1D").mean(), rtol=1e-5)
    np.testing.assert_allclose(days.pr * 86400 / 1000, amounts(truth, "tp"), rtol=3e-6, atol=1e-9)
    np.testing.assert_allclose(days.rsds * 86400, amounts(truth, "ssrd"), rtol=1e-6)
    np.testing.assert_allclose(days.rlds * 86400, amounts(truth, "strd"), rtol=1e-6)


def test_accumulations_add_up_across_the_month_and_year_end(tmp_path: Path, truth: xr.Dataset) -> None:
    files = write_months(era5_land(truth), tmp_path)
    assert [f.name for f in files] == ["2000_12.nc", "2001_01.nc"]
    source = open_forcing("era5_land", files[:1], files[1:])
    days = source.days(START, STOP, BOX)
    check(days, truth)
    assert days.tas.dims == ("time", "lat", "lon")
    assert days.tas.dtype == np.float32


def test_era5_holds_amounts_per_hour(tmp_path: Path, truth: xr.Dataset) -> None:
    check(open_forcing("era5", write_months(truth, tmp_path), []).days(START, STOP, BOX), truth)


def test_the_year_end_needs_the_next_file(tmp_path: Path, truth: xr.Dataset) -> None:
    files = write_months(era5_land(truth), tmp_path)
    with pytest.raises(InputError, match=r"missing, the first at 2001-01-01 00:00(.|\n)*--next-input"):
        open_forcing("era5_land", files[:1], []).days(START, np.datetime64("2001-01-01"), BOX, ["pr"])


def test_the_other_kind_of_accumulation_is_noticed(tmp_path: Path, truth: xr.Dataset) -> None:
    (tmp_path / "land").mkdir()
    hourly, since_midnight = write_months(truth, tmp_path), write_months(era5_land(truth), tmp_path / "land")
    with pytest.raises(InputError, match=r"falls by(.|\n)*'era5'"):
        open_forcing("era5_land", hourly, []).days(START, STOP, BOX, ["rsds"])
    with pytest.raises(InputError, match=r"never falls(.|\n)*'era5_land'"):
        open_forcing("era5", since_midnight, []).days(START, STOP, BOX, ["rsds"])


@pytest.mark.parametrize("layout", ["valid_time", "lon360", "ascending", "packed", "split_by_variable"])
def test_every_layout_gives_the_same_days(tmp_path: Path, truth: xr.Dataset, layout: str) -> None:
    raw = era5_land(truth)
    if layout == "valid_time":
        raw = raw.assign_coords(number=0, expver=("time", np.full(raw.sizes["time"], "0001")))
        files = write_months(raw, tmp_path, lambda d: d.rename(time="valid_time"))
    elif layout == "lon360":
        files = write_months(raw.assign_coords(longitude=raw.longitude + 360), tmp_path)
    elif layout == "ascending":
        files = write_months(raw.sortby("latitude"), tmp_path)
    elif layout == "packed":
        files = [tmp_path / "packed.nc"]
        encoding = {n: {"dtype": "int16", "_FillValue": -32767, **packing(raw[n])} for n in raw.data_vars}
        raw.to_netcdf(files[0], encoding=encoding)
    else:
        groups = (["t2m", "d2m", "sp", "u10", "v10"], ["tp"], ["ssrd", "strd"])
        for number in range(len(groups)):
            (tmp_path / str(number)).mkdir()
        files = [f for i, group in enumerate(groups) for f in write_months(raw[group], tmp_path / str(i))]
    days = open_forcing("era5_land", files, []).days(START, STOP, BOX)
    if layout == "packed":
        np.testing.assert_allclose(days.pr * 86.4, amounts(truth, "tp"), atol=float(raw.tp.max()) / 3e4)
        assert float(days.pr.min()) >= 0
    else:
        check(days, truth)
    np.testing.assert_array_equal(days.lat, LAT)
    np.testing.assert_array_equal(days.lon, LON)


def packing(array: xr.DataArray) -> dict[str, float]:
    low, high = float(array.min()), float(array.max())
    return {"scale_factor": (high - low) / 65000, "add_offset": (high + low) / 2}


def test_final_values_win_over_preliminary_ones(tmp_path: Path, truth: xr.Dataset) -> None:
    raw = era5_land(truth)
    final = raw.where(raw.time < np.datetime64("2001-01-02"))
    preliminary = raw.where(raw.time >= np.datetime64("2001-01-02")) + 0.0
    for name in raw.data_vars:
        preliminary[name].attrs = final[name].attrs = raw[name].attrs
    mixed = xr.concat([final, preliminary], xr.IndexVariable("expver", [1, 5])).transpose("time", "expver", ...)
    check(open_forcing("era5_land", write_months(mixed, tmp_path), []).days(START, STOP, BOX), truth)


def test_tiny_negative_precipitation_is_clipped_and_counted(tmp_path: Path, truth: xr.Dataset) -> None:
    dry = truth.copy(deep=True)
    dry["tp"][:] = 0.0
    dry["tp"][30, 1, 2] = -1e-9
    source = open_forcing("era5_land", write_months(era5_land(dry), tmp_path), [])
    days = source.days(START, STOP, BOX, ["pr"])
    assert source.clipped["pr"] == 1
    assert float(days.pr.min()) == 0.0
    dry["tp"][30, 1, 2] = -1e-3
    (tmp_path / "wrong").mkdir()
    with pytest.raises(InputError, match=r"falls by|outside"):
        open_forcing("era5_land", write_months(era5_land(dry), tmp_path / "wrong"), []).days(START, STOP, BOX, ["pr"])


def test_blocks_of_any_length_give_the_same_days(
    tmp_path: Path, truth: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_months(era5_land(truth), tmp_path)
    whole = open_forcing("era5_land", files, []).days(START, STOP, BOX)
    monkeypatch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)
    source = open_forcing("era5_land", files, [])
    assert source.block_days(source.grid.window(BOX)) == 1
    xr.testing.assert_identical(source.days(START, STOP, BOX), whole)


def test_recognised_by_names_and_resolution(tmp_path: Path, truth: xr.Dataset) -> None:
    coarse = write_months(truth, tmp_path)
    fine = tmp_path / "fine"
    fine.mkdir()
    tenth = truth.assign_coords(
        latitude=LAT[0] - 0.1 * np.arange(LAT.size), longitude=LON[0] + 0.1 * np.arange(LON.size)
    )
    assert recognise(coarse) == "era5"
    assert recognise(write_months(tenth, fine)) == "era5_land"
    assert recognise(write_months(truth[["t2m"]], fine)) is None


def test_the_helper_accumulates_like_era5_land() -> None:
    """The fixture itself: a constant 1 per hour reads 1..24 from 01 to 24 UTC."""
    ones = xr.ones_like(hourly_truth("2001-01-01T01", "2001-01-02T01").tp)
    np.testing.assert_array_equal(accumulate(ones)[:, 0, 0], np.arange(1, 25))


def test_an_archive_may_begin_within_its_first_day(tmp_path: Path, truth: xr.Dataset) -> None:
    """ERA5-Land begins at 01 UTC: with the year stated, 01 UTC stands for 00 UTC; amounts lack nothing."""
    path = tmp_path / "a.nc"
    era5_land(truth).isel(time=slice(1, None)).astype(np.float32, keep_attrs=True).to_netcdf(path)
    first = truth.time.values[0].astype("datetime64[D]")
    year = int(str(first)[:4])
    with pytest.raises(InputError, match=f"if the archive begins then, state forcing.first_year: {year}"):
        open_forcing("era5_land", [path]).days(first, first + 2, BOX)
    with pytest.raises(InputError, match="missing"):
        open_forcing("era5_land", [path], first_year=year - 1).days(first, first + 2, BOX)
    source = open_forcing("era5_land", [path], first_year=year)
    days = source.days(first, first + 2, BOX)
    whole = open_forcing("era5_land", write_months(era5_land(truth), tmp_path)).days(first, first + 2, BOX)
    np.testing.assert_allclose(days.pr, whole.pr, rtol=1e-6)
    np.testing.assert_allclose(days.tas[1], whole.tas[1], rtol=1e-6)
    np.testing.assert_allclose(days.tas[0] - whole.tas[0], (truth.t2m[1] - truth.t2m[0]) / 24, atol=1e-4)
    assert "1 of t2m" in source.attrs["repeated_first_steps"] and "tp" not in source.attrs["repeated_first_steps"]
    assert "repeated_first_steps" not in open_forcing("era5_land", [path]).attrs
