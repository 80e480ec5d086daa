"""Slow drivers: atmospheric methane and leaf area."""

import numpy as np
import pandas as pd
import pytest

from fluxatlas.drivers import leaf_area, methane, slow_drivers
from fluxatlas.errors import InputError


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
    series = pd.Series(leaf_area(dates, monthly)[:, 0], dates)
    assert series["2001-04-15"] == pytest.approx(4.0, abs=0.05)
    assert abs(series["2002-01-01"] - series["2001-12-31"]) < 0.5
    assert np.abs(series.diff().dropna()).max() < 12 / 28
    with pytest.raises(InputError, match="11 months"):
        leaf_area(dates, monthly[:11])


def test_shapes() -> None:
    out = slow_drivers(pd.date_range("2001-01-01", periods=5), [10.0, 20.0], np.ones((12, 2)))
    assert {name: (value.shape, value.dtype.name) for name, value in out.items()} == {
        "lai": ((5, 2), "float32"),
        "ch4": ((5, 2), "float32"),
    }
