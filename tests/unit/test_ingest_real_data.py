"""Real files: Livneh 2008, six days of ERA5, and ERA5 daily values made by xclim as an independent computation."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from fluxatlas import humidity
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.elevation import read_orog
from fluxatlas.ingest.source import open_source, recognise
from ingest_raw import open_forcing

ARIZONA = (-110.2, 31.6, -109.8, 31.9)
EIFEL = (5.0, 49.0, 7.5, 52.0)
JANUARY = np.datetime64("2015-01-01")


def existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no real data: {path} does not exist")
    return path


@pytest.fixture(scope="module")
def livneh(data_dir: Path) -> Path:
    folder = "gridded_met/UW-Hydro_VIC_sample_data/WalnutGulch/forcings"
    return existing(data_dir / folder / "livneh_NAmerExt_15Oct2014.WalnutGulch.2008.nc")


@pytest.fixture(scope="module")
def reskit(data_dir: Path) -> Path:
    return existing(data_dir / "gridded_met/FZJ-IEK3-VSA_RESKit/era5-like")


class TestLivneh:
    @pytest.fixture(scope="class")
    def days(self, livneh: Path) -> xr.Dataset:
        return open_forcing("livneh", [livneh]).daily(2008, ARIZONA)

    @pytest.fixture(scope="class")
    def steps(self, livneh: Path) -> pd.DataFrame:
        """All 3-hourly values of the cell at 31.71875 N, 110.03125 W."""
        with xr.open_dataset(livneh) as raw:
            return raw.sel(lat=31.71875, lon=-110.03125).to_dataframe()

    def test_daily_values_against_pandas(self, days: xr.Dataset, steps: pd.DataFrame) -> None:
        cell = days.sel(lat=31.71875, lon=-110.03125).to_dataframe()
        daily = steps.resample("1D")
        expected = {
            "tas": daily["temp"].mean() + 273.15,
            "tasmin": daily["temp"].min() + 273.15,
            "tasmax": daily["temp"].max() + 273.15,
            "pr": daily["prec"].sum() / 86400,
            "rsds": daily["shortwave"].mean(),
            "rlds": daily["longwave"].mean(),
            "ps": daily["air_pressure"].mean() * 1000,
            "sfcWind": daily["wind"].mean(),
        }
        assert len(cell) == 366
        for name, series in expected.items():
            np.testing.assert_allclose(cell[name], series, rtol=2e-6, err_msg=name)

    def test_humidity_agrees_with_the_relative_humidity_of_the_file(
        self, days: xr.Dataset, steps: pd.DataFrame
    ) -> None:
        pressure, t = steps["air_pressure"] * 1000, steps["temp"] + 273.15
        huss = humidity.huss_from_relative_humidity(steps["rel_humid"], t, pressure).resample("1D").mean()
        cell = days.sel(lat=31.71875, lon=-110.03125)
        np.testing.assert_allclose(cell.huss, huss, rtol=0.02)

    def test_precipitation_is_conserved(self, days: xr.Dataset, livneh: Path) -> None:
        with xr.open_dataset(livneh) as raw:
            np.testing.assert_allclose(
                days.pr.sum("time", dtype=float) * 86400, raw.prec.sum("time").sortby("lat", ascending=False), rtol=1e-6
            )

    def test_wrong_labels_are_overridden_and_said_so(self, livneh: Path, days: xr.Dataset) -> None:
        attrs = open_forcing("livneh", [livneh]).attrs
        overrides = json.loads(attrs["unit_overrides"])
        assert set(overrides) == {"wind", "prec"}
        assert overrides["wind"].startswith("'m s-1' instead of the label 'mm s-1'")
        assert attrs["day_definition"] == "local day of the source"
        assert 2.5 < float(days.sfcWind.mean()) < 3.2

    def test_the_local_day_is_real(self, steps: pd.DataFrame) -> None:
        """Radiation is symmetric about local noon, 09-12 and 12-15; in UTC it would peak near 19."""
        by_hour = steps["shortwave"].groupby(steps.index.hour).mean()
        assert by_hour[9] == pytest.approx(by_hour[12], rel=0.01)
        assert by_hour[0] < 1

    def test_elevation_of_the_domain_file(self, livneh: Path) -> None:
        domain = livneh.parents[1] / "parameters/domain.WalnutGulch.0.0625_deg.nc"
        orog = read_orog(domain, open_forcing("livneh", [livneh]).grid.window(ARIZONA))
        assert orog.shape == (3, 5)
        assert (orog.min().round(), orog.max().round()) == (1226, 1635)

    def test_recognised(self, livneh: Path) -> None:
        assert recognise([livneh]) == "livneh"


class TestERA5:
    """Files as RESKit keeps them: one per variable, int16, cut by CDO; radiation and wind already processed."""

    @pytest.fixture
    def source(self, reskit: Path, tmp_path: Path):
        interval, instant = {"time": "interval"}, {"time": "instant"}
        mapping = {
            "title": "ERA5 as processed by RESKit",
            "citation": "Hersbach et al. (2020), doi:10.1002/qj.3803",
            "step_hours": 1,
            "stamp": "end",
            "raw": {"t2m": instant, "d2m": instant, "sp": instant, "ws10": instant, "ssrd": interval},
            "variables": {
                "tas": {"of": "t2m"},
                "tasmin": {"of": "t2m"},
                "tasmax": {"of": "t2m"},
                "huss": {"of": ["d2m", "sp"], "rule": "huss_from_dew_point"},
                "ps": {"of": "sp"},
                "sfcWind": {"of": "ws10"},
                "rsds": {"of": "ssrd"},
            },
        }
        (tmp_path / "reskit.yaml").write_text(yaml.safe_dump(mapping))
        names = ["2m_temperature", "2m_dewpoint_temperature", "surface_pressure", "10m_wind_speed.processed"]
        names.append("surface_solar_radiation_downwards.processed")
        block = ForcingBlock(source="mapping", path="x", elevation="x", mapping=str(tmp_path / "reskit.yaml"))
        return open_source(block, [reskit / f"{name}.nc" for name in names])

    def test_five_whole_days(self, source, reskit: Path) -> None:
        days = source.days(JANUARY, JANUARY + 5, EIFEL)
        assert dict(days.sizes) == {"time": 5, "lat": 13, "lon": 11}
        with xr.open_dataset(reskit / "2m_temperature.nc") as raw:
            hours = raw.t2m.sel(time=slice("2015-01-01", "2015-01-05")).resample(time="1D")
            np.testing.assert_allclose(days.tas, hours.mean(), rtol=1e-6)
            np.testing.assert_allclose(days.tasmin, hours.min(), rtol=1e-6)
        with xr.open_dataset(reskit / "surface_solar_radiation_downwards.processed.nc") as raw:
            ending = raw.ssrd.isel(time=slice(1, 121)).values.reshape(5, 24, 13, 11)
            np.testing.assert_allclose(days.rsds, ending.mean(axis=1), rtol=1e-5)

    def test_an_incomplete_day_is_refused(self, source) -> None:
        with pytest.raises(InputError, match="the data end at 2015-01-06 19:00"):
            source.days(JANUARY, JANUARY + 6, EIFEL, ["tas"])
        with pytest.raises(InputError, match=r"of 8760 steps of .t2m. .* are missing"):
            source.daily(2015, EIFEL, ["tas"])

    def test_radiation_that_is_already_a_rate_is_averaged(self, source) -> None:
        assert float(source.days(JANUARY, JANUARY + 5, EIFEL, ["rsds"]).rsds.max()) < 100


def test_humidity_against_xclim(data_dir: Path) -> None:
    """xclim derived relative humidity from temperature and dew point with the formula of Sonntag (1990)."""
    path = existing(data_dir / "gridded_met/Ouranosinc_xclim-testdata/daily_surface_cancities_1990-1993.nc")
    with xr.open_dataset(path) as cities:
        warm = cities.tdps.values > 275
        vapour = humidity.saturation_vapour_pressure(cities.tdps.values)
        hurs = vapour / humidity.saturation_vapour_pressure(cities.tas.values)
        assert warm.sum() > 2000
        np.testing.assert_allclose(hurs[warm], cities.hurs.values[warm], rtol=3e-3)


def test_points_are_no_grid(data_dir: Path) -> None:
    path = existing(data_dir / "gridded_met/Ouranosinc_xclim-testdata/daily_surface_cancities_1990-1993.nc")
    with pytest.raises(InputError, match="no coordinate called latitude or lat"):
        recognise([path])
