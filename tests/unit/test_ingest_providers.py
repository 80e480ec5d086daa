"""The shipped mappings on files in the layout of each provider, against the truth the files were made from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import ingest_layouts as layouts
from fluxatlas.errors import ConfigError, InputError, UnitError
from fluxatlas.humidity import saturation_vapour_pressure
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.monthly import MonthlySource
from fluxatlas.ingest.source import recognise
from ingest_layouts import BOX, LAT, LON, weather

PACKED = {
    "tas": 0.1,
    "tasmin": 0.051,
    "tasmax": 0.051,
    "pr": 0.051 / 86400,
    "rsds": 0.051,
    "huss": 6e-6,
    "sfcWind": 0.051,
}


def days_of(source: MappedSource, start: str, stop: str, *names: str) -> xr.Dataset:
    return source.days(np.datetime64(start), np.datetime64(stop), BOX, names or None)


class TestGridmet:
    DAYS = pd.date_range("2000-02-27", "2000-03-02")

    @pytest.fixture
    def made(self, tmp_path: Path) -> tuple[list[Path], dict[str, np.ndarray], Path, np.ndarray]:
        truth = weather(self.DAYS.size)
        return layouts.gridmet(tmp_path, self.DAYS, truth), truth, *layouts.elevation(tmp_path / "elev.nc")

    def test_values(self, made) -> None:
        files, truth, relief, metres = made
        source = MappedSource(load_mapping("gridmet"), files, elevation=relief)
        days = days_of(source, "2000-02-27", "2000-03-03")
        for name in ("tasmin", "tasmax", "pr", "rsds", "huss", "sfcWind"):
            np.testing.assert_allclose(days[name], truth[name], atol=PACKED[name], rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(days.tas, (truth["tasmin"] + truth["tasmax"]) / 2, atol=0.06)
        icao = {0: 101325.0, 500: 95461.0}  # ICAO standard atmosphere (Doc 7488)
        for altitude, pressure in icao.items():
            assert float(days.ps.values[0][metres == altitude][0]) == pytest.approx(pressure, rel=1e-4)
        assert 150 < float(days.rlds.min()) < float(days.rlds.max()) < 480
        assert source.attrs["day_definition"] == "local day of the source"

    def test_the_file_tells_minimum_from_maximum(self, made) -> None:
        files, _, relief, _ = made
        source = MappedSource(load_mapping("gridmet"), [f for f in files if "tmmn" not in f.name], elevation=relief)
        with pytest.raises(InputError, match=r"no variable 'tmmn' in files like \*tmmn_\*"):
            days_of(source, "2000-02-27", "2000-03-01", "tasmin")

    def test_altitude_is_needed(self, made) -> None:
        with pytest.raises(ConfigError, match="needs the altitude"):
            days_of(MappedSource(load_mapping("gridmet"), made[0]), "2000-02-27", "2000-03-01", "ps")

    def test_recognised(self, made) -> None:
        assert recognise(made[0]) == "gridmet"


def test_nldas2_hours_end_at_their_stamp(tmp_path: Path) -> None:
    hours = pd.date_range("2001-12-31T00", "2002-01-01T00", freq="h")
    truth = weather(hours.size)
    files = layouts.nldas2(tmp_path, hours, truth)
    assert recognise(files) == "nldas2"
    source = MappedSource(load_mapping("nldas2"), files[:-1], files[-1:])
    days = days_of(source, "2001-12-31", "2002-01-01")
    np.testing.assert_allclose(days.pr[0] * 86400, (truth["pr"][1:] * 3600).sum(0), rtol=1e-5)
    for name in ("tas", "rsds", "rlds", "huss", "ps", "sfcWind"):
        np.testing.assert_allclose(days[name][0], truth[name][:-1].mean(0), rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(days.tasmax[0], truth["tas"][:-1].max(0), rtol=1e-6)
    with pytest.raises(InputError, match="missing, the first at 2002-01-01 00:00"):
        days_of(MappedSource(load_mapping("nldas2"), files[:-1]), "2001-12-31", "2002-01-01", "pr")


def test_nldas2_of_the_older_version(tmp_path: Path) -> None:
    hours = pd.date_range("2001-12-31T00", "2002-01-01T00", freq="h")
    newer = layouts.nldas2(tmp_path, hours, weather(hours.size))
    older = layouts.nldas2_002(newer)
    assert recognise(older) == "nldas2"
    both = [days_of(MappedSource(load_mapping("nldas2"), f), "2001-12-31", "2002-01-01") for f in (newer, older)]
    xr.testing.assert_equal(*both)


def test_mswx_with_rain_of_mswep(tmp_path: Path) -> None:
    days = pd.date_range("2000-12-30", "2000-12-31")
    truth = weather(days.size)
    files = layouts.mswep(tmp_path, days, truth)
    assert recognise(files) == "mswx_mswep"
    found = days_of(MappedSource(load_mapping("mswx_mswep"), files), "2000-12-30", "2001-01-01")
    np.testing.assert_allclose(found.pr, truth["pr"], rtol=1e-6)


def test_mswx_one_file_per_variable_and_day(tmp_path: Path) -> None:
    days = pd.date_range("2000-12-30", "2000-12-31")
    truth = weather(days.size)
    files = layouts.mswx(tmp_path, days, truth)
    assert recognise(files) == "mswx"
    found = days_of(MappedSource(load_mapping("mswx"), files), "2000-12-30", "2001-01-01")
    for name, values in truth.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    lacking = [f for f in files if not (f.name == "2000366.nc" and "LWd" in f.parts)]
    with pytest.raises(InputError, match=r"1 of 2 steps of 'LWd' .* missing, the first at 2000-12-31"):
        days_of(MappedSource(load_mapping("mswx"), lacking), "2000-12-30", "2001-01-01")


class TestTerraclimate:
    MONTHS = pd.date_range("2000-11-01", "2002-02-01", freq="MS")

    @pytest.fixture
    def made(self, tmp_path: Path) -> tuple[list[Path], dict[str, np.ndarray], Path]:
        truth = weather(self.MONTHS.size)
        return layouts.terraclimate(tmp_path, self.MONTHS, truth), truth, layouts.elevation(tmp_path / "elev.nc")[0]

    def test_every_month_keeps_its_mean(self, made) -> None:
        files, truth, relief = made
        days = days_of(MonthlySource(load_mapping("terraclimate"), files, elevation=relief), "2001-01-01", "2002-01-01")
        assert days.sizes["time"] == 365
        months = days.resample(time="MS").mean()
        own = self.MONTHS.year == 2001
        for name, atol in {"tasmin": 0.0051, "tasmax": 0.0051, "rsds": 0.051, "sfcWind": 0.0051}.items():
            np.testing.assert_allclose(months[name], truth[name][own], atol=atol, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(
            days.pr.resample(time="MS").sum() * 86400,
            truth["pr"][own] * 86400 * self.MONTHS[own].days_in_month.to_numpy()[:, None, None],
            atol=0.051,
            rtol=1e-5,
        )
        vapour, pressure = truth["huss"][own] * 160e3, months.ps.values
        np.testing.assert_allclose(months.huss, 0.622 * vapour / (pressure - 0.378 * vapour), rtol=2e-3)
        assert float(days.rsds.min()) >= 0
        wet = (days.pr > 0).groupby("time.month").sum()
        assert set(np.unique(wet)) <= {0, 9, 10}

    def test_blocks_of_one_day_give_the_same(self, made, monkeypatch: pytest.MonkeyPatch) -> None:
        files, _, relief = made
        whole = days_of(
            MonthlySource(load_mapping("terraclimate"), files, elevation=relief), "2001-03-01", "2001-04-01"
        )
        monkeypatch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)
        single = MonthlySource(load_mapping("terraclimate"), files, elevation=relief)
        xr.testing.assert_identical(days_of(single, "2001-03-01", "2001-04-01"), whole)

    def test_neighbours_shape_january(self, made) -> None:
        files, _, relief = made
        alone = [f for f in files if "2001" in f.name]
        mapping = load_mapping("terraclimate")
        with_them = days_of(MonthlySource(mapping, files, elevation=relief), "2001-01-01", "2001-02-01", "tasmin")
        without = days_of(MonthlySource(mapping, alone, elevation=relief), "2001-01-01", "2001-02-01", "tasmin")
        assert float(np.abs(with_them - without).tasmin[0].max()) > 0.1
        np.testing.assert_allclose(with_them.tasmin.mean("time"), without.tasmin.mean("time"), rtol=1e-6)

    def test_a_missing_month_is_named(self, made, tmp_path: Path) -> None:
        files, _, relief = made
        path = next(f for f in files if f.name == "TerraClimate_ppt_2001.nc")
        with xr.open_dataset(path) as data:
            shorter = data.isel(time=[m for m in range(12) if m != 6]).load()
        shorter.to_netcdf(path)
        with pytest.raises(InputError, match=r"1 of 12 steps of 'ppt' .* missing, the first at 2001-07-01"):
            days_of(MonthlySource(load_mapping("terraclimate"), files, elevation=relief), "2001-01-01", "2002-01-01")


class TestCF:
    @pytest.mark.parametrize("noon", [True, False], ids=["noon", "midnight"])
    def test_isimip(self, tmp_path: Path, noon: bool) -> None:
        dates = layouts.all_days("proleptic_gregorian", 2000, 2000)[:62]
        truth = weather(len(dates))
        truth["sfcwind"] = truth.pop("sfcWind")
        files = layouts.cf_daily(tmp_path, dates, truth, {"sfcwind": ("m s-1", truth["sfcwind"])}, noon)
        found = days_of(MappedSource(load_mapping("isimip"), files), "2000-01-01", "2000-03-03")
        truth["sfcWind"] = truth.pop("sfcwind")
        for name, values in truth.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)

    @pytest.mark.parametrize(("unit", "factor"), [("%", 1.0), ("1", 0.01)])
    def test_humidity_from_hurs_in_percent_or_fraction(self, tmp_path: Path, unit: str, factor: float) -> None:
        dates = layouts.all_days("standard", 2000, 2000)[:2]
        truth = weather(2)
        saturated = 0.621981 * saturation_vapour_pressure(truth["tas"]) / truth["ps"]
        truth["huss"] = np.minimum(truth["huss"], 0.95 * saturated)
        vapour = truth["huss"] * truth["ps"] / (0.621981 + 0.378019 * truth["huss"])
        hurs = 100 * vapour / saturation_vapour_pressure(truth["tas"])
        files = layouts.cf_daily(tmp_path, dates, truth, {"huss": ("1", None), "hurs": (unit, factor * hurs)})
        found = days_of(MappedSource(load_mapping("isimip_hurs"), files), "2000-01-01", "2000-01-03")
        np.testing.assert_allclose(found.huss, truth["huss"], rtol=1e-5)

    def test_noleap_repeats_28_february_and_counts_it(self, tmp_path: Path) -> None:
        dates = layouts.all_days("noleap", 2000, 2000)
        truth = weather(365)
        relief, metres = layouts.elevation(tmp_path / "elev.nc")
        psl = truth["ps"] * (1 + 0.0065 * metres / truth["tas"]) ** (9.80665 / 287.05 / 0.0065)
        files = layouts.cf_daily(tmp_path, dates, truth, {"ps": ("Pa", None), "psl": ("Pa", psl)})
        source = MappedSource(load_mapping("cmip_day"), files, elevation=relief)
        found = source.daily(2000, BOX)
        assert found.sizes["time"] == 366
        index = [*range(59), 58, *range(59, 365)]
        for name, values in truth.items():
            np.testing.assert_allclose(found[name], values[index], rtol=2e-5, err_msg=name)
        assert source.repeated_days == 1
        assert source.attrs["source_calendar"] == "noleap: 29 February repeats 28 February"

    def test_360_day_years_are_stretched(self, tmp_path: Path) -> None:
        dates = layouts.all_days("360_day", 2000, 2001)
        truth = weather(720)
        files = layouts.cf_daily(tmp_path, dates, truth)
        source = MappedSource(load_mapping("isimip"), files)
        for year, offset, length in ((2000, 0, 366), (2001, 360, 365)):
            found = source.daily(year, BOX, ["tas", "pr"])
            index = offset + np.floor((np.arange(length) + 0.5) * 360 / length).astype(int)
            np.testing.assert_allclose(found.tas, truth["tas"][index], rtol=1e-6)
            assert set(index) == set(range(offset, offset + 360))
        assert source.repeated_days == 6 + 5

    def test_stamps_at_the_end_of_a_day_need_bounds(self, tmp_path: Path) -> None:
        """Files stamped with the end of each day: the time bounds put the values on the right day."""
        dates = layouts.all_days("standard", 2000, 2000)[:3]
        truth = weather(3)
        files = layouts.cf_daily(tmp_path, dates, truth)
        for path in files:
            with xr.open_dataset(path, decode_times=False) as data:
                late = data.load()
            late["time"] = late.time + 0.5
            late.time.attrs = {"units": "days since 1850-01-01", "calendar": "standard", "bounds": "time_bnds"}
            late.to_netcdf(path)
        found = days_of(MappedSource(load_mapping("isimip"), files), "2000-01-01", "2000-01-04")
        np.testing.assert_allclose(found.tas, truth["tas"], rtol=1e-6)

    def test_files_must_share_a_calendar(self, tmp_path: Path) -> None:
        truth = weather(5)
        (tmp_path / "other").mkdir()
        a = layouts.cf_daily(tmp_path, layouts.all_days("noleap", 2001, 2001)[:5], {"tas": truth["tas"]})
        b = layouts.cf_daily(tmp_path / "other", layouts.all_days("standard", 2001, 2001)[:5], {"pr": truth["pr"]})
        with pytest.raises(InputError, match="calendar 'standard' differs from 'noleap'"):
            MappedSource(load_mapping("isimip"), [*a, *b])

    def test_wrong_unit_gap_and_hole(self, tmp_path: Path) -> None:
        dates, truth = layouts.all_days("standard", 2001, 2001)[:5], weather(5)
        files = layouts.cf_daily(tmp_path, dates, truth, {"rsds": ("K", truth["rsds"])})
        with pytest.raises(UnitError, match="'K' cannot be converted to 'W m-2'"):
            days_of(MappedSource(load_mapping("isimip"), files), "2001-01-01", "2001-01-06", "rsds")
        with pytest.raises(InputError, match=r"1 of 6 steps of 'tas' .* missing.*the data end at 2001-01-05"):
            days_of(MappedSource(load_mapping("isimip"), files), "2001-01-01", "2001-01-07", "tas")
        truth["tas"][2, 1, 1] = np.nan
        files = layouts.cf_daily(tmp_path, dates, truth)
        with pytest.raises(InputError, match="missing on some days only"):
            days_of(MappedSource(load_mapping("isimip"), files), "2001-01-01", "2001-01-06", "tas")


def test_the_grid_of_the_layouts_is_that_of_the_tests() -> None:
    assert (LAT.size, LON.size) == (4, 5)
