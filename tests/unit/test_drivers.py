"""Slow drivers: atmospheric methane and leaf area."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.drivers import slow_drivers
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.gases import AnnualSeries, gases
from fluxatlas.ingest.atmosphere import annual_series, series_of
from fluxatlas.process.slow import ch4, lai
from fluxatlas.systems import SlowDriver, get_system
from fluxatlas.systems.slow import CARBON_DIOXIDE, LEAF_AREA, METHANE


def methane(dates: pd.DatetimeIndex, lat: list[float]) -> np.ndarray:
    return ch4(dates, lat, {}, annual_series("ch4"))


def test_global_annual_mean_of_methane_matches_the_table() -> None:
    # area-weighted mean over latitude and year against NOAA's annual mean (the gradient integrates to zero)
    lat = np.linspace(-89.5, 89.5, 180)
    dates = pd.date_range("2005-01-01", "2005-12-31")
    weight = np.cos(np.deg2rad(lat))
    mean = (methane(dates, lat) * weight).sum(1).mean() / weight.sum()
    assert mean == pytest.approx(1774.23, abs=2.0)


def test_interpolar_difference_and_growth_lie_in_the_published_range() -> None:
    dates = pd.date_range("2010-01-01", "2010-12-31")
    north, south = methane(dates, [75.0, -75.0]).mean(0)
    assert 120 < north - south < 150
    early = methane(pd.date_range("1984-07-01", periods=1), [0.0])
    late = methane(pd.date_range("2022-07-01", periods=1), [0.0])
    assert float(late[0, 0] - early[0, 0]) == pytest.approx(1910.95 - 1644.84, abs=5)


def test_years_outside_the_table_are_refused() -> None:
    with pytest.raises(InputError, match="no atmospheric CH4 for 1979"):
        methane(pd.date_range("1979-01-01", periods=2), [0.0])


def test_leaf_area_hits_the_climatology_in_mid_month_and_is_continuous_over_new_year() -> None:
    monthly = np.arange(1.0, 13.0)[:, None]
    dates = pd.date_range("2001-01-01", "2002-01-31")
    series = pd.Series(lai(dates, [0.0], {"lai": monthly})[:, 0], dates)
    assert series["2001-04-15"] == pytest.approx(4.0, abs=0.05)
    assert abs(series["2002-01-01"] - series["2001-12-31"]) < 0.5
    assert np.abs(series.diff().dropna()).max() < 12 / 28
    with pytest.raises(InputError, match="11 months"):
        lai(dates, [0.0], {"lai": monthly[:11]})


def test_shapes() -> None:
    dates, slow = pd.date_range("2001-01-01", periods=5), get_system("soil_methane_sink").slow
    out = slow_drivers(slow, dates, [10.0, 20.0], {"lai": np.ones((12, 2))}, series_of(slow))
    assert {name: (value.shape, value.dtype.name) for name, value in out.items()} == {
        "lai": ((5, 2), "float32"),
        "ch4": ((5, 2), "float32"),
    }


def test_carbon_dioxide_is_the_annual_mean_at_1_july_and_linear_between() -> None:
    series = AnnualSeries("co2", (2000, 2001, 2002), (370.0, 372.0, 376.0), "made up")
    dates = pd.DatetimeIndex(["2001-07-02", "2002-01-01"])
    found = slow_drivers([CARBON_DIOXIDE], dates, [0.0, 50.0], {}, {"co2": series})["co2"]
    np.testing.assert_allclose(found, [[372.0, 372.0], [374.0, 374.0]], atol=0.01)


def test_series_come_from_options_or_tables_and_wrong_options_are_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "co2_annmean_gl.csv"
    path.write_text("# CO2\nyear,mean,unc\n2000,368.96,0.1\n2001,370.57,0.1\n")
    found = series_of([LEAF_AREA, METHANE, CARBON_DIOXIDE], [f"co2={path}"])
    assert found["co2"].values == (368.96, 370.57) and not found["co2"].carried and found["ch4"].carried
    assert series_of([CARBON_DIOXIDE])["co2"].carried
    monkeypatch.setitem(gases(), "co2", replace(gases()["co2"], table=None))
    for given, message in (
        ([], "a series of atmospheric CO2 is needed"),
        ([f"co2={path}", f"co2={path}"], "each gas once"),
        (["co2"], "expected gas=path"),
        ([f"co2={path}", "ch4=x.csv"], "not a series of this system"),
        ([f"co2={tmp_path / 'none.csv'}"], "file not found"),
    ):
        with pytest.raises((ConfigError, InputError), match=message):
            series_of([CARBON_DIOXIDE], given)


def test_a_slow_driver_names_what_it_lacks() -> None:
    dates = pd.date_range("2001-01-01", periods=2)
    both = SlowDriver("both", "fluxatlas.process.slow:lai", layers=("lai",), series="co2")
    with pytest.raises(InputError, match="slow driver 'both' lacks lai, co2"):
        slow_drivers([both], dates, [0.0], {}, {})
