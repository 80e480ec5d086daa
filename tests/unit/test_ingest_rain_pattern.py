"""``forcing.rain_pattern``: months of rain fall on the days of a finer source, and every monthly total is kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

import ingest_layouts as layouts
from fluxatlas.config.forcing import ForcingBlock, RainPattern
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.ingest.inputs import pattern_inputs
from fluxatlas.ingest.source import Source, open_source
from ingest_layouts import BOX, LAT, LON, weather

MONTHS = pd.date_range("2000-11-01", "2001-04-01", freq="MS")
FIRST, LAST = np.datetime64("2001-01-01"), np.datetime64("2001-03-01")
BLOCK = ForcingBlock.model_validate(
    {
        "source": "mapping",
        "mapping": "terraclimate",
        "path": "x",
        "elevation": "x",
        "rain_pattern": {"mapping": "isimip", "path": "pr_{year}.nc"},
    }
)


@pytest.fixture
def months(tmp_path: Path) -> tuple[list[Path], np.ndarray]:
    truth = weather(MONTHS.size)
    truth["pr"] += 1e-5
    return layouts.terraclimate(tmp_path, MONTHS, truth), truth["pr"][2:4]


@pytest.fixture
def days(tmp_path: Path) -> tuple[list[Path], np.ndarray]:
    """Daily rain, dry in one cell all January."""
    rain = np.random.default_rng(4).gamma(0.15, 1e-4, (365, *layouts.weather(1)["pr"].shape[1:]))
    rain[:31, 2, 3] = 0
    dates = layouts.all_days("standard", 2001, 2001)
    return layouts.cf_daily(tmp_path, dates, {"pr": rain}), rain[:59]


def source_of(files: list[Path], pattern: list[Path], block: ForcingBlock = BLOCK) -> Source:
    return open_source(block, files, pattern=pattern)


def test_totals_of_months_are_kept_and_the_days_are_those_of_the_pattern(months, days) -> None:
    (files, means), (pattern, rain) = months, days
    source = source_of(files, pattern)
    found = source.days(FIRST, LAST, BOX, ["pr"]).pr.values.astype(float)
    for month, span in enumerate((slice(0, 31), slice(31, 59))):
        length = span.stop - span.start
        total = np.round(means[month] * 86400 * length, 1)  # as the file packs it
        np.testing.assert_allclose(found[span].sum(axis=0) * 86400, total, rtol=2e-6, atol=1e-6)
        shape = rain[span] / np.where(rain[span].sum(axis=0) > 0, rain[span].sum(axis=0), np.nan)
        wet = np.isfinite(shape[0])
        np.testing.assert_allclose(found[span][:, wet] * 86400, (shape * total)[:, wet], rtol=1e-5, atol=1e-5)
    assert set(np.flatnonzero(found[:31, 2, 3])) <= set(range(1, 31, 3))  # dry in the pattern: every third day
    said = "precipitation on the days of W5E5 / ISIMIP3 daily climate, or else in equal amounts on every third day"
    assert said in source.attrs["disaggregation"]


def test_a_pattern_on_a_coarser_grid_that_covers_a_part(months, tmp_path: Path) -> None:
    """Cells take the nearest cell of the pattern; those it does not reach get rain on every third day."""
    files, means = months
    lat, lon = np.array([41.25, 40.75]), np.array([-124.25, -123.75])
    rain = np.zeros((31, 2, 2))
    rain[4], rain[20, 1, 1] = 1e-4, 3e-4
    dims = ("time", "lat", "lon")
    time = pd.date_range("2001-01-01", periods=31)
    xr.Dataset({"pr": (dims, rain, {"units": "kg m-2 s-1"})}, {"time": time, "lat": lat, "lon": lon}).to_netcdf(
        tmp_path / "pattern.nc"
    )
    source = source_of(files, [tmp_path / "pattern.nc"])
    found = source.days(FIRST, np.datetime64("2001-02-01"), BOX, ["pr"]).pr.values.astype(float)
    np.testing.assert_allclose(
        found.mean(axis=0), np.round(means[0] * 86400 * 31, 1) / 31 / 86400, rtol=2e-6, atol=1e-12
    )
    days = {(i, j): np.flatnonzero(found[:, i, j]).tolist() for i in range(LAT.size) for j in range(LON.size)}
    assert days[0, 0] == [4]  # 41.0 N, 124.0 W
    assert days[1, 1] == [4, 20]  # 40.75 N, 123.75 W
    assert found[20, 1, 1] / found[4, 1, 1] == pytest.approx(3)
    assert days[3, 4] == list(range(1, 31, 3))  # 40.25 N, 123.0 W: out of reach


def test_what_a_pattern_cannot_be(months, days, tmp_path: Path) -> None:
    (files, _), (pattern, _) = months, days
    shorter = tmp_path / "shorter.nc"
    with xr.open_dataset(pattern[0]) as data:
        data.isel(time=slice(0, 30)).to_netcdf(shorter)
    with pytest.raises(InputError, match=r"1 of 31 steps of 'pr' .* missing, the first at 2001-01-31"):
        source_of(files, [shorter]).days(FIRST, LAST, BOX, ["pr"])
    with pytest.raises(InputError, match="no raw file is given"):
        source_of(files, [])
    daily = BLOCK.model_copy(update={"mapping": "isimip"})
    with pytest.raises(ConfigError, match=r"is not monthly(.|\n)*forcing.rain_pattern"):
        source_of(pattern, pattern, daily)
    monthly = BLOCK.model_copy(update={"rain_pattern": RainPattern(mapping="terraclimate", path="x")})
    with pytest.raises(ConfigError, match="has no daily precipitation"):
        source_of(files, files, monthly)
    with pytest.raises(ValidationError, match="needs: mapping"):
        RainPattern(path="x")


def test_the_files_of_a_pattern() -> None:
    assert pattern_inputs(None, 2001) == []
    assert pattern_inputs(BLOCK.rain_pattern, 2001) == ["pr_2001.nc"]
    land = RainPattern(source="era5_land", path="{year}_{month}.nc")
    found = pattern_inputs(land, 2001)
    assert (found[0], found[-1], len(found)) == ("2001_01.nc", "2002_01.nc", 13)
