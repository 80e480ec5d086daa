"""The synthetic Earth's fields: the same value wherever and whenever it is asked for, and plausible places."""

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.testing import SyntheticEarth, land, surface
from fluxatlas.testing.waves import Waves
from fluxatlas.testing.weather import daily as daily_weather

LAT, LON = (a.ravel() for a in np.meshgrid(np.linspace(39.9, 36.1, 12), np.linspace(-123.9, -120.1, 12), indexing="ij"))
DATES = pd.date_range("2000-12-20", "2001-01-20")


@pytest.fixture(scope="module")
def earth() -> SyntheticEarth:
    return SyntheticEarth(SyntheticEarthBlock(seed=73))


def _weather(earth: SyntheticEarth) -> dict[str, np.ndarray]:
    return daily_weather(earth.seed, earth.climate(LAT, LON), DATES)


def test_same_seed_same_world_other_seed_other_world(earth: SyntheticEarth) -> None:
    again = _weather(SyntheticEarth(SyntheticEarthBlock(seed=73)))
    for name, values in _weather(earth).items():
        np.testing.assert_array_equal(values, again[name])
    other = _weather(SyntheticEarth(SyntheticEarthBlock(seed=74)))
    assert np.abs(other["tas"] - again["tas"]).mean() > 1


def test_a_part_of_the_points_and_days_equals_the_part_of_the_whole(earth: SyntheticEarth) -> None:
    pick, days = np.array([3, 50, 77, 143]), slice(7, 19)
    whole = _weather(earth)
    part = daily_weather(earth.seed, earth.climate(LAT[pick], LON[pick]), DATES[days])
    for name, values in part.items():
        np.testing.assert_allclose(values, whole[name][days][:, pick], rtol=1e-4, atol=1e-5 * np.ptp(whole[name]))
    np.testing.assert_array_equal(earth.land_cover(LAT[pick], LON[pick]), earth.land_cover(LAT, LON)[pick])
    np.testing.assert_allclose(earth.elevation(LAT[pick], LON[pick]), earth.elevation(LAT, LON)[pick], rtol=1e-6)


def test_a_field_has_the_covariance_it_promises() -> None:
    """Against exp(-d^2 / 2 L^2) in space and exp(-|dt| / tau) in time, over many independent fields."""
    distance, lag, length, tau = 200.0, 1.5, 300.0, 2.0
    lat, lon = np.array([10.0, 10.0 + distance / 111.195]), np.array([20.0, 20.0])
    values = np.stack(
        [Waves(s, "x", [(length, 1.0)], taus=[tau]).series(lat, lon, [7.0, 7.0 + lag]) for s in range(900)]
    )
    here, there, later = values[:, 0, 0], values[:, 0, 1], values[:, 1, 0]
    assert here.std() == pytest.approx(1, abs=0.08)
    assert np.mean(here * there) == pytest.approx(np.exp(-(distance**2) / (2 * length**2)), abs=0.1)
    assert np.mean(here * later) == pytest.approx(np.exp(-lag / tau), abs=0.1)


def test_land_is_where_it_is_on_the_real_earth() -> None:
    """Known places: Sacramento, the Pacific, London, Alice Springs, the Atlantic, Greenland."""
    lat, lon = [38.58, 37.0, 51.5, -23.5, 0.0, 71.0], [-121.49, -125.0, -0.13, 134.0, -30.0, -42.0]
    np.testing.assert_array_equal(land.is_land(lat, lon), [True, False, True, True, False, True])


def test_distance_from_the_sea_grows_inland() -> None:
    assert land.inland([38.0], [-130.0], 2.5)[0] == 0
    steps = land.inland(np.full(4, 39.0), [-123.0, -120.0, -115.0, -105.0], 2.5)
    assert (np.diff(steps) > 0).all() and steps[-1] > 0.95


def test_mountains_are_colder_and_windward_slopes_wetter(earth: SyntheticEarth) -> None:
    low, high = (earth.climate([38.9], [-121.0], [z]) for z in (0.0, 2000.0))
    assert low.temperature[0] - high.temperature[0] == pytest.approx(12.4)
    assert high.rain[0] > 1.3 * low.rain[0]


def test_soils_are_possible_on_land_and_missing_on_sea(earth: SyntheticEarth) -> None:
    rng = np.random.default_rng(1)
    lat, lon = np.rad2deg(np.arcsin(rng.uniform(-0.85, 0.98, 1500))), rng.uniform(-180, 180, 1500)
    soil = earth.soils(lat, lon)
    on_land = land.is_land(lat, lon)
    limits = {"sand": (0, 100), "clay": (0, 100), "soc": (0, 580), "bdod": (150, 1900), "phh2o": (3.5, 9.5)}
    for name, (low, high) in limits.items():
        assert np.isnan(soil[name][~on_land]).all()
        assert ((soil[name][on_land] >= low) & (soil[name][on_land] <= high)).all(), name
    assert np.nanmax(soil["sand"] + soil["clay"]) <= 100


def test_cover_follows_the_climate(earth: SyntheticEarth) -> None:
    def share(lat: float, classes: tuple[int, ...], lons: tuple[float, float]) -> float:
        rng = np.random.default_rng(2)
        cover = earth.land_cover(lat + rng.uniform(-3, 3, 400), rng.uniform(*lons, 400))
        cover = cover[cover != 210]
        return float(np.isin(cover, classes).mean())

    assert share(23, (120, 150, 200), (0, 30)) > 0.8  # desert and shrubs in the dry subtropics
    assert share(0, (50,), (14, 28)) > 0.4  # evergreen trees at the equator
    assert share(60, (60, 70), (60, 120)) > 0.4  # boreal forest
    assert share(75, (150, 220), (-60, -30)) > 0.7  # the high Arctic
    assert set(np.unique(earth.land_cover(LAT, LON))) <= set(surface.LEGEND)


def test_leaves_follow_cover_and_season(earth: SyntheticEarth) -> None:
    place = earth.climate([48.0, 48.0, 48.0], [20.0, 20.0, 20.0], [300.0, 300.0, 300.0])
    lai = surface.leaf_area(place, np.array([60, 70, 210], np.uint8))
    assert lai.shape == (12, 3) and (lai[:, 2] == 0).all()
    assert lai[6, 0] > 3 * lai[0, 0] and lai[6, 1] < 2.5 * lai[0, 1]
