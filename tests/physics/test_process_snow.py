"""Snow that compacts under its own weight: against the exact equation and measured densities of snow classes."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from fluxatlas.process import SimulationResult, parameters, simulate
from fluxatlas.process.snow import GREATEST_DENSITY, compacted_density
from fluxatlas.theta import draw
from process_weather import one_soil

CLASSES = {
    # winter: water [kg m-2], air [degC], days; Sturm et al. (2010, doi:10.1175/2010JHM1202.1), table 4 [V]:
    # greatest and first density [g cm-3], growth per cm of depth and per day
    "maritime": ((1900.0, -2.0, 180), (0.5979, 0.2578, 0.0010, 0.0038)),
    "alpine": ((700.0, -6.0, 170), (0.5975, 0.2237, 0.0012, 0.0038)),
    "prairie": ((100.0, -8.0, 110), (0.5940, 0.2332, 0.0016, 0.0031)),
    "tundra": ((120.0, -25.0, 180), (0.3630, 0.2425, 0.0029, 0.0049)),
}


def winter(water: float, celsius: float, days: int, **given: float) -> SimulationResult:
    """A loam under steady snowfall from mid-October; the parameters not given are defaults."""
    dates, one = pd.date_range("2001-10-15", periods=days), np.ones((days, 1))
    forcing = {"tas": 273.15 + celsius, "pr": water / days / 86400, "rsds": 40.0, "rlds": 220.0, "huss": 0.001}
    forcing |= {"ps": 9.0e4, "lai": 1.0, "ch4": 1900.0}
    drivers = {name: value * one for name, value in forcing.items()}
    return simulate(drivers, one_soil(), given, lat=np.array([60.0]), dates=dates)


@pytest.mark.parametrize("name", CLASSES)
def test_density_at_the_end_of_winter_is_that_of_measured_snow(name) -> None:
    (water, celsius, days), (most, first, by_depth, by_day) = CLASSES[name]
    end = winter(water, celsius, days)
    depth = float(end["snd"][-1, 0])
    day = (pd.Timestamp("2001-10-15") + pd.Timedelta(days=days) - pd.Timestamp("2001-12-31")).days
    measured = 1000 * ((most - first) * (1 - np.exp(-by_depth * 100 * depth - by_day * day)) + first)
    assert float(end["snw"][-1, 0]) / depth == pytest.approx(
        measured, rel=0.18 if name == "tundra" else 0.1
    )  # wind packs


def test_a_maritime_mountain_winter_is_no_tower_of_snow() -> None:
    end = winter(1900.0, -2.0, 180)
    assert 3.8 < float(end["snd"][-1, 0]) < 5.0  # m; 10 m without compaction
    loose = winter(1900.0, -2.0, 180, snow_viscosity=4.0e7)
    assert float(loose["snd"][-1, 0]) > float(end["snd"][-1, 0])


def test_compaction_follows_its_equation() -> None:
    for density, snw, celsius in (
        (110.0, 50.0, -3.0),
        (250.0, 400.0, -10.0),
        (400.0, 1900.0, 0.0),
        (200.0, 900.0, 5.0),
    ):
        viscosity, days = 1.5e7, 20

        def rate(_, y, snw=snw, celsius=celsius, viscosity=viscosity):
            return y * 9.81 * snw / (2 * viscosity * np.exp(0.018 * y - 0.081 * min(celsius, 0.0))) * 86400

        exact = solve_ivp(rate, (0, days), [density], rtol=1e-8).y[0, -1]
        found = density
        for _ in range(days):
            found = compacted_density(found, snw, celsius, viscosity)
        assert found == pytest.approx(min(exact, GREATEST_DENSITY), rel=0.02)


def test_compaction_never_loosens_and_ends() -> None:
    rng = np.random.default_rng(0)
    density, snw = rng.uniform(60, 600, 1000), rng.uniform(0, 3000, 1000)
    after = compacted_density(density, snw, rng.uniform(-60, 10, 1000), rng.uniform(5e6, 4e7, 1000))
    assert (after >= density).all() and (after <= np.maximum(density, GREATEST_DENSITY)).all()
    assert compacted_density(200.0, 0.0, -5.0, 1.5e7) == pytest.approx(200.0)


def test_the_prior_covers_measured_densities() -> None:
    (water, celsius, days), _ = CLASSES["maritime"]
    draws = draw(parameters.SOIL.priors(), {}, 60, np.random.default_rng(3)).values
    ends = []
    for index in range(60):
        p = {name: values[index] for name, values in draws.items() if name.startswith("snow_") and "below" not in name}
        end = winter(water, celsius, days, **p)
        ends.append(float(end["snw"][-1, 0] / end["snd"][-1, 0]))
    low, high = np.percentile(ends, [5, 95])
    assert low < 420 < 460 < high and low > 350 and high < 520
