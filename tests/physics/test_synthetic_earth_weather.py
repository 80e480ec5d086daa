"""The synthetic Earth's weather against physics and statistics computed independently of it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fluxatlas import variables
from fluxatlas.humidity import huss_from_dew_point
from fluxatlas.testing import SyntheticEarth
from fluxatlas.testing.weather import GAMMA_SHAPE, rain_amount
from fluxatlas.testing.weather import daily as daily_weather
from fluxatlas.testing.weather import hourly as hourly_weather

# rain forest, savanna, desert, steppe, demo domain, taiga, high Arctic, southern subtropics, date line
LAT = np.array([0.0, 10.0, 23.0, 45.0, 38.5, 60.0, 78.0, -25.0, 66.0])
LON = np.array([22.0, 20.0, 10.0, 70.0, -121.5, 60.0, -40.0, -60.0, 179.9])


@pytest.fixture(scope="module")
def earth() -> SyntheticEarth:
    return SyntheticEarth()


@pytest.fixture(scope="module")
def year(earth: SyntheticEarth) -> dict[str, np.ndarray]:
    """Hourly weather of a leap year at the places, (8784, 9)."""
    return hourly_weather(earth.seed, earth.climate(LAT, LON), pd.date_range("2000-01-01", "2000-12-31"))


@pytest.fixture(scope="module")
def decade(earth: SyntheticEarth) -> dict[str, np.ndarray]:
    return daily_weather(earth.seed, earth.climate(LAT, LON), pd.date_range("1995-01-01", "2004-12-31"))


def top_of_atmosphere(hours: int) -> np.ndarray:
    """Mean flux [W m-2] of every hour of 2000 by midpoint rule at one-minute steps, Spencer (1971) geometry [R+].

    An independent algorithm: another series for declination and distance and no closed form of the hour.
    """
    out = np.zeros((hours, LAT.size))
    phi = np.deg2rad(LAT)
    for hour in range(hours):
        minute = hour * 60 + np.arange(60) + 0.5
        g = 2 * np.pi * (minute / 1440) / 366
        decl = (
            0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g) + 0.000907 * np.sin(2 * g)
        )[:, None]
        distance = (1.00011 + 0.034221 * np.cos(g) + 0.00128 * np.sin(g) + 0.000719 * np.cos(2 * g))[:, None]
        angle = 2 * np.pi * ((minute % 1440) / 1440)[:, None] - np.pi + np.deg2rad(LON)
        height = np.sin(phi) * np.sin(decl) + np.cos(phi) * np.cos(decl) * np.cos(angle)
        out[hour] = (1361.0 * distance * np.maximum(height, 0)).mean(axis=0)
    return out


def test_shortwave_never_exceeds_the_top_of_the_atmosphere(year: dict[str, np.ndarray]) -> None:
    top = top_of_atmosphere(8784)
    short = year["ssrd"]
    assert (short >= 0).all()
    assert (short <= 0.86 * top + 6.0).all()  # 6 W m-2: the sun's declination moves within a day, at sunrise
    assert short[top == 0].max() < 3.0  # dark at night, the same reason
    clear = np.quantile(short[top > 700] / top[top > 700], 0.95)
    assert 0.68 < clear < 0.82


def test_dew_point_is_below_temperature_at_every_hour(year: dict[str, np.ndarray]) -> None:
    assert (year["d2m"] <= year["t2m"]).all()
    wet = year["tp"] > 0.2
    gap = year["t2m"] - year["d2m"]
    assert gap[wet].mean() < 0.6 * gap[~wet].mean()  # moist air where it rains


def test_longwave_is_less_than_a_black_body_and_more_under_cloud(year: dict[str, np.ndarray]) -> None:
    emissivity = year["strd"] / (5.670374e-8 * year["t2m"].astype(float) ** 4)
    assert emissivity.max() <= 1.0001 and emissivity.min() > 0.35
    rainy = year["tp"] > 0.1
    assert emissivity[rainy].mean() > emissivity[~rainy].mean() + 0.05


def test_pressure_follows_the_hypsometric_equation(earth: SyntheticEarth) -> None:
    """The ratio of two pressures on one spot at different altitude, from its own mean virtual-free temperature."""
    dates = pd.date_range("2000-06-01", "2000-06-10")
    low, high = (daily_weather(earth.seed, earth.climate([40.0], [-105.0], [z]), dates) for z in (500.0, 2500.0))
    between = 0.5 * (low["tas"] + high["tas"])
    expected = np.exp(-9.80665 * 2000.0 / (287.05 * between))
    np.testing.assert_allclose(high["ps"] / low["ps"], expected, rtol=0.006)


def test_daily_weather_equals_the_aggregated_hours(earth: SyntheticEarth, year: dict[str, np.ndarray]) -> None:
    daily = daily_weather(earth.seed, earth.climate(LAT, LON), pd.date_range("2000-01-01", "2000-12-31"))
    by_day = {name: values.reshape(-1, 24, LAT.size).astype(float) for name, values in year.items()}
    expected = {
        "tas": by_day["t2m"].mean(axis=1),
        "tasmin": by_day["t2m"].min(axis=1),
        "tasmax": by_day["t2m"].max(axis=1),
        "pr": by_day["tp"].sum(axis=1) / 86400,
        "rsds": by_day["ssrd"].mean(axis=1),
        "rlds": by_day["strd"].mean(axis=1),
        "huss": huss_from_dew_point(by_day["d2m"], by_day["sp"]).mean(axis=1),
        "ps": by_day["sp"].mean(axis=1),
        "sfcWind": np.hypot(by_day["u10"], by_day["v10"]).mean(axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(daily[name], values, rtol=2e-5, atol=1e-9, err_msg=name)
        variables.check_range(daily[name], name, where="synthetic Earth")


def test_climate_zones_are_plausible(earth: SyntheticEarth, decade: dict[str, np.ndarray]) -> None:
    at_sea_level = 0.0065 * earth.elevation(LAT, LON)
    warm, rain = decade["tas"].mean(axis=0) - 273.15 + at_sea_level, decade["pr"].mean(axis=0) * 86400 * 365.25
    deficit = decade["vpd"].mean(axis=0)
    forest, savanna, desert, _, demo, taiga, arctic = range(7)
    assert 22 < warm[forest] < 31 and 8 < warm[demo] < 18 and -12 < warm[taiga] < 4 and warm[arctic] < -8
    assert rain[forest] > 1000 > rain[savanna] > rain[desert] and rain[desert] < 250
    assert deficit[desert] > 1.3 * deficit[forest] > 3 * deficit[taiga]
    assert (decade["rsds"].mean(axis=0)[[desert, taiga]] > [200, 85]).all()


def test_temperature_remembers_yesterday(decade: dict[str, np.ndarray]) -> None:
    """Lag-1 autocorrelation of anomalies from the seasonal cycle (mean and two harmonics, by least squares)."""
    tas = decade["tas"].astype(float)
    turn = 2 * np.pi * np.arange(len(tas))[:, None] / 365.25
    design = np.hstack([np.ones_like(turn), np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)])
    anomaly = tas - design @ np.linalg.lstsq(design, tas, rcond=None)[0]
    lag1 = [np.corrcoef(a[1:], a[:-1])[0, 1] for a in anomaly.T]
    assert min(lag1) > 0.5 and max(lag1) < 0.95


def test_rain_is_a_chain_with_the_promised_frequency(earth: SyntheticEarth, decade: dict[str, np.ndarray]) -> None:
    place = earth.climate(LAT, LON)
    wet = decade["pr"] > 0
    np.testing.assert_allclose(wet.mean(axis=0), place.wet_share, rtol=0.25, atol=0.02)
    after_wet = np.array([w[1:][w[:-1]].mean() for w in wet.T])
    after_dry = np.array([w[1:][~w[:-1]].mean() for w in wet.T])
    assert (after_wet > 1.4 * after_dry).all()


def test_amounts_of_wet_days_are_gamma() -> None:
    latent = np.random.default_rng(4).standard_normal(40_000)
    rain = rain_amount(latent, np.array(0.3), np.array(6.0))
    assert (rain > 0).mean() == pytest.approx(0.3, abs=0.01)
    amounts = rain[rain > 0]
    assert stats.kstest(amounts, stats.gamma(GAMMA_SHAPE, scale=6.0 / GAMMA_SHAPE).cdf).statistic < 0.015


@pytest.mark.parametrize("name", ["tas", "pr"])
def test_neighbours_are_alike_and_strangers_are_not(earth: SyntheticEarth, name: str) -> None:
    lon = -100 + np.array([0.0, 0.3, 2.0, 6.0, 25.0])
    dates = pd.date_range("2000-01-01", "2003-12-31")
    values = daily_weather(earth.seed, earth.climate(np.full(5, 45.0), lon, np.full(5, 300.0)), dates)[name]
    season = np.cos(2 * np.pi * (dates.dayofyear.to_numpy() - 200) / 365.25)
    anomaly = values - np.polynomial.polynomial.polyval(season, np.polynomial.polynomial.polyfit(season, values, 1)).T
    with_first = np.corrcoef(anomaly.T)[0, 1:]
    assert (np.diff(with_first) < 0.03).all() and with_first[0] > 0.85 and with_first[-1] < 0.3


def test_days_warm_with_the_sun(year: dict[str, np.ndarray]) -> None:
    """The warmest hour comes one to four hours after solar noon, and sunny days have the larger range."""
    demo = 4
    temperature = year["t2m"][:, demo].reshape(-1, 24)
    noon = 12 - LON[demo] / 15
    lag = (temperature[150:240].mean(axis=0).argmax() - noon) % 24
    assert 1 <= lag <= 4
    sun = year["ssrd"][:, demo].reshape(-1, 24).mean(axis=1)[150:240]
    assert np.corrcoef(np.ptp(temperature[150:240], axis=1), sun)[0, 1] > 0.5
