"""The judgements of ``fluxatlas inspect`` on made-up values, times and positions whose defects are known."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.inspect import checks, places, times
from fluxatlas.inspect.checks import CheckedVariable
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.inspect.report import Report
from ingest_layouts import LAT, LON, all_days, cf_daily

DAYS = np.arange(400)
SEASON = 283.0 + 10 * np.sin(2 * np.pi * DAYS / 365) + np.random.default_rng(3).normal(0, 1, DAYS.size)


def judged(values: np.ndarray, name: str = "x", **known: object) -> tuple[Report, CheckedVariable]:
    report, column = Report("file"), CheckedVariable(name, np.asarray(values, float), **known)  # type: ignore[arg-type]
    checks.judge(report, column)
    return report, column


def messages(report: Report, code: str) -> list[str]:
    return [f.message for f in report.findings if f.code == code]


class TestValues:
    def test_clean_values_give_no_finding(self) -> None:
        report, _ = judged(SEASON, units="K", canonical="tas")
        assert report.findings == []
        summary = report.variables[0]
        assert (summary.n, summary.missing) == (400, 0)
        assert (summary.minimum, summary.maximum) == (SEASON.min(), SEASON.max())
        assert summary.median == np.median(SEASON)

    @pytest.mark.parametrize("code", [-9999.0, -6999.0, 1e20, -999.0])
    def test_missing_code_is_named_and_left_out(self, code: float) -> None:
        values = SEASON.copy()
        values[::40] = code
        report, _ = judged(values, canonical="tas")
        assert messages(report, "missing-code")[0].endswith(f"{code:g} (10 of 400)")
        assert report.variables[0].missing == 10
        assert report.variables[0].minimum == np.delete(SEASON, np.s_[::40]).min()
        assert "out-of-range" not in report.codes()

    def test_a_code_inside_the_range_of_the_data_is_no_code(self) -> None:
        report, _ = judged(np.linspace(-2000, 2000, 4001), "depth")
        assert "missing-code" not in report.codes()

    def test_scaled_missing_code(self) -> None:
        values = np.random.default_rng(1).normal(-1.2, 0.3, 500)
        values[::10] = -9999 / 1000 / 12 * 1e9 / 3600  # a code in mg C m-2 h-1 brought to nmol m-2 s-1
        report, _ = judged(values, canonical="fch4", factor=1.38612)
        assert messages(report, "scaled-missing-code")[0].startswith("50 values are exactly -231458.33")

    @pytest.mark.parametrize(
        ("values", "label", "said", "factor", "offset", "canonical"),
        [
            (SEASON - 273.15, "K", "degC", 1.0, 0.0, "tas"),
            (SEASON, "degC", "K", 1.0, 273.15, "tas"),
            (np.full(400, 1013.0) + DAYS * 0.01, "Pa", "hPa", 1.0, 0.0, "ps"),
            (np.full(400, 101.3) + DAYS * 0.001, "Pa", "kPa", 1.0, 0.0, "ps"),
            (2 + np.sin(DAYS) ** 2, "mm s-1", "m s-1", 1e-3, 0.0, "sfcWind"),
        ],
    )
    def test_unit_by_magnitude(
        self, values: np.ndarray, label: str, said: str, factor: float, offset: float, canonical: str
    ) -> None:
        report, _ = judged(values, units=label, canonical=canonical, factor=factor, offset=offset)
        (message,) = messages(report, "unit-by-magnitude")
        assert f"'{label}'" in message
        assert message.endswith(f"that of {said}")

    def test_percent_and_fraction(self) -> None:
        wet = 0.3 + 0.1 * np.sin(DAYS / 20)
        assert "percent-not-fraction" in judged(100 * wet, canonical="swc05")[0].codes()
        assert "fraction-not-percent" in judged(wet, canonical="swc05", factor=0.01)[0].codes()
        assert judged(wet, canonical="swc05")[0].codes() == set()
        assert judged(100 * wet, canonical="swc05", factor=0.01)[0].codes() == set()
        mixed = np.where(DAYS % 40 == 0, 100 * wet, wet)
        assert "10 (2.5 %) like percent" in messages(judged(mixed, canonical="swc05")[0], "mixed-units")[0]
        logger = np.where(DAYS < 130, wet, 100 * wet)  # another one since then
        for factor in (1.0, 0.01):
            said = messages(judged(logger, canonical="swc05", factor=factor)[0], "mixed-units")
            assert "130 values (32 %) look like fractions" in said[0]
        frozen = np.r_[np.linspace(0.8, 0.9, 150), np.linspace(1.1, 2.4, 10), np.linspace(20, 30, 205)]  # percent
        assert judged(frozen, canonical="swc05", factor=0.01)[0].codes() == set()
        beside = np.r_[np.linspace(0.1, 0.4, 150), np.linspace(1.1, 2.4, 10), np.linspace(20, 30, 205)]
        assert "up to 30), 10 between" in messages(judged(beside, canonical="swc05")[0], "mixed-units")[0]
        desert = 100 * np.exp(np.linspace(np.log(0.002), np.log(0.3), DAYS.size))  # dry, wet and all between
        assert judged(desert, canonical="swc05", factor=0.01)[0].codes() == set()

    def test_out_of_range_names_the_worst(self) -> None:
        values = SEASON - 273.15
        values[[7, 9]] = 227.2, 301.3
        report, _ = judged(values, units="degC", canonical="tsl05", offset=273.15)
        assert "2 of 400 values" in messages(report, "out-of-range")[0]
        assert messages(report, "out-of-range")[0].endswith("worst 301.3")

    def test_tiny_negative_precipitation_is_a_note(self) -> None:
        rain = np.where(DAYS % 3 == 0, 3e-5, 0.0)
        rain[5] = -5e-10
        report, _ = judged(rain, units="kg m-2 s-1", canonical="pr")
        assert "1 tiny negative values down to -5e-10" in messages(report, "tiny-negative")[0]
        assert "out-of-range" not in report.codes()

    @pytest.mark.parametrize(("lowest", "noise"), [(-5.0, False), (-0.4, True)])
    def test_what_is_noise_is_what_ingest_sets_to_zero(self, tmp_path: Path, lowest: float, noise: bool) -> None:
        """Daily radiation down to -0.5 W m-2 is set to zero; below, ingest refuses the file, and inspect says so."""
        values = np.random.default_rng(2).uniform(100, 250, (3, len(LAT), len(LON)))
        values[1, 2, 2] = lowest
        (path,) = cf_daily(tmp_path, all_days("standard", 2001, 2001)[:3], {"rsds": values})
        source = MappedSource(load_mapping("cmip_day"), [path])
        box = (LON.min(), LAT.min(), LON.max(), LAT.max())
        try:
            days = source.days(np.datetime64("2001-01-01"), np.datetime64("2001-01-04"), box, ["rsds"])
            accepted = bool(days.rsds.min() == 0)
        except FluxAtlasError as problem:
            accepted = "lie outside" not in problem.what
        report = inspect_path(path)
        assert accepted is noise
        assert ("tiny-negative" in report.codes()) is noise
        assert ("out-of-range" in report.codes()) is not noise

    @pytest.mark.parametrize(("subdaily", "code"), [(True, "tiny-negative"), (False, "out-of-range")])
    def test_the_offset_of_a_sensor_at_night_is_noise_of_steps_only(self, subdaily: bool, code: str) -> None:
        sun = np.where(DAYS % 2 == 0, 200.0, -5.0)
        report, _ = judged(sun, canonical="rsds", subdaily=subdaily, clipped=False)
        assert code in report.codes()

    def test_constant_run_and_constant(self) -> None:
        values = SEASON.copy()
        values[100:140] = 280.0
        assert messages(judged(values, canonical="tas")[0], "constant-run") == [
            "40 values in a row are 280 (from value 101 on)"
        ]
        assert "0 where it was not measured" in messages(judged(np.zeros(400))[0], "constant")[0]
        dry = np.where(DAYS < 200, 0.0, 2e-5 + DAYS * 1e-8)
        assert "constant-run" not in judged(dry, canonical="pr")[0].codes()

    def test_spike(self) -> None:
        values = SEASON.copy()
        values[200] += 45
        assert "spikes" in judged(values, canonical="tas")[0].codes()

    def test_nothing_at_all(self) -> None:
        report, _ = judged(np.full(20, np.nan))
        assert messages(report, "all-missing") == ["holds no value at all (20 missing)"]


def stamps(start: str, n: int, step: str) -> np.ndarray:
    length, unit = int(step[:-1]), step[-1]
    return np.datetime64(start, "s") + np.arange(n) * np.timedelta64(length, unit)


class TestTimes:
    def judged(self, values: np.ndarray) -> Report:
        report = Report("file")
        times.judge(report, values)
        return report

    @pytest.mark.parametrize(
        ("start", "n", "step", "said"),
        [("2001-01-01", 50, "1D", "1 d"), ("2001-01-01", 99, "3h", "3 h"), ("2001-01-01", 99, "30m", "30 min")],
    )
    def test_step(self, start: str, n: int, step: str, said: str) -> None:
        report = self.judged(stamps(start, n, step))
        assert report.time is not None
        assert (report.time.step, report.time.n, report.time.missing_steps) == (said, n, 0)
        assert report.findings == []

    def test_months_and_years(self) -> None:
        months = np.arange("1999-01", "2003-01", dtype="datetime64[M]")
        for values, said in ((months, "1 month"), (months[::12], "1 year")):
            report = self.judged(values)
            assert report.time is not None
            assert report.time.step == said
            assert report.findings == []
        gap = self.judged(np.delete(months, [5, 6]))
        assert gap.time is not None
        assert gap.time.missing_steps == 2

    def test_gap(self) -> None:
        report = self.judged(np.delete(stamps("2001-01-01", 60, "1D"), range(20, 25)))
        assert report.time is not None
        (gap,) = report.time.gaps
        assert (gap.after, gap.before, gap.steps) == ("2001-01-20", "2001-01-26", 5)
        assert report.time.missing_steps == 5

    def test_duplicated_unordered_missing(self) -> None:
        days = stamps("2001-01-01", 30, "1D")
        assert "2001-01-05" in messages(self.judged(np.insert(days, 5, days[4])), "time-duplicated")[0]
        swapped = days.copy()
        swapped[[10, 11]] = swapped[[11, 10]]
        assert messages(self.judged(swapped), "time-unordered") == [
            "times are not in order: 2001-01-11 follows 2001-01-12"
        ]
        days[3] = np.datetime64("NaT")
        assert "1 of 30" in messages(self.judged(days), "time-missing")[0]

    def test_shifted_day(self) -> None:
        assert "06:00" in messages(self.judged(stamps("2001-01-01T06", 30, "1D")), "time-shifted-day")[0]

    @pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
    @pytest.mark.parametrize("months", [False, True])
    def test_means_stamped_in_their_middle_are_no_shifted_days(
        self, tmp_path: Path, calendar: str, months: bool
    ) -> None:
        """Noon stamps with bounds (CMIP) over a leap year, in calendars without its 29 February too; nothing is amiss.

        Without bounds and without a word that they are means, noon may be one instant.
        """
        dates = all_days(calendar, 2003, 2004)
        dates = [d for d in dates if d.day == 1] if months else dates
        values = 280 + np.random.default_rng(1).normal(0, 3, (len(dates), len(LAT), len(LON)))
        (path,) = cf_daily(tmp_path, dates, {"tas": values})
        report = inspect_path(path)
        assert report.time is not None
        assert report.time.step == ("1 month" if months else "1 d")
        assert (report.time.start[:10], report.time.end[:7]) == ("2003-01-01", "2004-12")
        odd = {code for code in report.codes() if code.startswith("time-")}
        assert odd == set() and report.time.missing_steps == 0, report.findings
        if not months:
            with xr.open_dataset(path, decode_times=False) as data:
                bare = data.drop_vars("time_bnds").load()
            del bare["time"].attrs["bounds"]
            bare.to_netcdf(tmp_path / "bare.nc")
            assert "time-shifted-day" in inspect_path(tmp_path / "bare.nc").codes()
            bare["tas"].attrs["cell_methods"] = "area: mean time: mean"
            bare.to_netcdf(tmp_path / "mean.nc")
            assert "time-shifted-day" not in inspect_path(tmp_path / "mean.nc").codes()

    def test_implausible_years(self) -> None:
        assert "time-implausible" in self.judged(stamps("1012-01-01", 30, "1D")).codes()


class TestPlaces:
    def judged(self, lat: float, lon: float) -> Report:
        report = Report("file")
        places.judge(report, [lat], [lon], ["site"])
        return report

    def test_land_is_fine(self) -> None:
        report = self.judged(51.08, 10.45)
        assert report.findings == []
        assert report.space is not None
        assert report.space.kind == "point"

    @pytest.mark.parametrize(
        ("lat", "lon", "guess"),
        [(45.2041, 68.7402 - 110, ""), (31.74, 110.05 - 180, ""), (-51.08, 10.45, "latitude"), (53.0, -20.0, "")],
    )
    def test_sea(self, lat: float, lon: float, guess: str) -> None:
        (message,) = messages(self.judged(lat, lon), "position-in-sea")
        assert guess in message

    def test_mirrored_longitude_is_guessed(self) -> None:
        (message,) = messages(self.judged(61.85, -24.29), "position-in-sea")  # FI-Hyy with the wrong sign
        assert "mirrored in longitude" in message

    def test_impossible_position(self) -> None:
        assert "exchanged" in messages(self.judged(138.76, 35.44), "position-impossible")[0]
