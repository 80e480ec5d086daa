"""Soil heat against analytic solutions: half space, annual wave, Stefan's frost depth; conductivity and snow."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import erfc

from fluxatlas.constants import LATENT_HEAT
from fluxatlas.process import simulate
from fluxatlas.process.evapotranspiration import net_radiation
from fluxatlas.process.heat import (
    CENTRES,
    DAY,
    LATENT,
    LAYERS,
    THICKNESS,
    heat_step,
    liquid_share,
    soil_conductivity,
    surface_temperature,
)
from fluxatlas.process.snow import snow_conductivity, snowfall_share
from process_weather import one_soil

CONDUCTIVITY, CAPACITY = 1.0, 2.0e6


def run(surface: np.ndarray, start: float, latent: float = 0.0, capacity: float = CAPACITY) -> np.ndarray:
    """Temperatures (day, layer) of a uniform soil below a given surface temperature; the budget must close each day."""
    temperature = np.full((LAYERS, 1), start)
    heat = np.full((LAYERS, 1), capacity) * THICKNESS[:, None]
    melt = np.full((LAYERS, 1), latent) * THICKNESS[:, None]
    resistance = np.full((LAYERS, 1), 0.5 / CONDUCTIVITY) * THICKNESS[:, None]
    conductance = 1.0 / resistance[0]
    work, residual = np.zeros((5 * LAYERS + 1, 1)), np.zeros(1)
    result = []
    for value in surface:
        before = temperature.copy()
        heat_step(1, np.array([value]), conductance, temperature, heat, melt, resistance, work, residual)
        gained = (heat * (temperature - before) + melt * (liquid_share(temperature) - liquid_share(before))).sum()
        entered = DAY * conductance[0] * (value - temperature[0, 0])
        assert gained == pytest.approx(entered, abs=1e-9 * (abs(entered) + heat.sum()))
        assert abs(residual[0]) < 1e-9 * (abs(entered) + heat.sum())
        result.append(temperature[:, 0].copy())
    return np.array(result)


def test_a_step_of_the_surface_enters_as_the_error_function() -> None:
    days = 30
    temperatures = run(np.full(days, 10.0), 0.0)
    reach = 2 * np.sqrt(CONDUCTIVITY / CAPACITY * DAY * days)
    upper = CENTRES < 1.6
    np.testing.assert_allclose(temperatures[-1, upper], 10 * erfc(CENTRES[upper] / reach), atol=0.25)


def test_the_annual_wave_is_damped_and_delayed() -> None:
    years, period = 6, 365
    day = np.arange(years * period) + 1
    temperatures = run(10 * np.sin(2 * np.pi * day / period), 0.0)[-period:]
    depth = np.sqrt(CONDUCTIVITY / CAPACITY * period * DAY / np.pi)
    wave = 2 * (temperatures * np.exp(-2j * np.pi * day[-period:, None] / period)).mean(axis=0) * 1j
    upper = CENTRES < 1.6
    exact = 10 * np.exp(-CENTRES[upper] / depth * (1 + 1j))
    np.testing.assert_allclose(np.abs(wave[upper]), np.abs(exact), rtol=0.05)
    np.testing.assert_allclose(np.angle(wave[upper]), np.angle(exact), atol=0.06)
    assert np.abs(temperatures.mean()) < 0.3


def test_frost_grows_as_stefan_says() -> None:
    days, theta = 90, 0.3
    temperatures = run(np.full(days, -10.0), 0.0, LATENT * theta, capacity=1e3)
    frozen = ((1 - liquid_share(temperatures)) * THICKNESS).sum(axis=1)
    for day in (20, 50, 90):
        stefan = np.sqrt(2 * CONDUCTIVITY * 9.5 * day * DAY / (LATENT * theta))  # front at the middle of -1..0 degC
        assert frozen[day - 1] == pytest.approx(stefan, rel=0.1)


def test_freezing_and_thawing_hold_the_temperature_near_zero() -> None:
    surface = np.concatenate([np.full(60, -8.0), np.full(60, 8.0)])
    wet, dry = run(surface, 3.0, LATENT * 0.4), run(surface, 3.0)
    for layer in (3, 5):

        def near(t: np.ndarray, layer: int = layer) -> int:
            return int(((t[:, layer] <= 0) & (t[:, layer] >= -1)).sum())

        assert near(wet) > 3 * near(dry)
    assert wet.min() >= -8 and wet.max() <= 8  # no overshoot


def test_random_forcing_never_overshoots_and_always_closes() -> None:
    rng = np.random.default_rng(0)
    surface = rng.normal(-0.5, 6.0, 800)
    temperatures = run(surface, 0.5, LATENT * 0.35)
    assert temperatures.min() >= surface.min() and temperatures.max() <= surface.max()


def test_conductivity_runs_from_dry_to_saturated() -> None:
    arguments = (0.45, 0.25, 1.5, 2.4)
    assert soil_conductivity(0.45, 1.0, *arguments, 1.0) == pytest.approx(1.5)
    assert soil_conductivity(0.45, 0.0, *arguments, 1.0) == pytest.approx(2.4)
    assert soil_conductivity(0.001, 1.0, *arguments, 1.0) == pytest.approx(0.25)
    assert soil_conductivity(0.225, 1.0, *arguments, 1.0) == pytest.approx(0.25 + (1 + np.log10(0.5)) * 1.25)


def test_snow_formulas() -> None:
    assert snow_conductivity(917.0) == pytest.approx(2.22 * 0.917**1.88)
    assert [snowfall_share(t, -1.0, 3.0) for t in (-2.0, 1.0, 4.0)] == [1.0, 0.5, 0.0]


def test_the_ground_under_leaves_is_cooler_than_the_air_and_dry_bare_soil_is_warmer() -> None:
    def surface(radiation: float, sensible: float, lai: float, snw: float = 0.0, celsius: float = 20.0) -> float:
        return surface_temperature(celsius, radiation, sensible, lai, snw, 3.0, 0.8, 0.2)

    assert surface(150.0, 100.0, 0.0) == pytest.approx(23.2)
    assert surface(150.0, 0.0, 0.0) == pytest.approx(20.2)  # what evaporates does not warm
    assert surface(150.0, 100.0, 50.0) == pytest.approx(19.0)
    assert surface(-40.0, -40.0, 50.0) == pytest.approx(20.52)  # a canopy keeps warmth in
    assert surface(150.0, 100.0, 0.0, snw=1e9, celsius=5.0) == pytest.approx(0.0, abs=1e-6)


def test_a_spin_up_brings_the_deep_soil_to_the_mean_of_the_surface() -> None:
    """Without frost and snow the annual mean is that of the surface at all depths, whatever the first guess."""
    days = pd.date_range("2001-01-01", periods=365)
    season = np.cos(2 * np.pi * (np.arange(365) - 200) / 365)[:, None]
    one = np.ones((365, 1))
    forcing = {"tas": 290.0 + 6 * season, "pr": 3e-5 * one, "rsds": 200 * one, "rlds": 340 * one, "huss": 0.008 * one}
    forcing |= {"ps": 1e5 * one, "lai": 0 * one, "ch4": 1900 * one}
    given = {"surface_warming": 2.0, "litter_depth": 0.0}
    found = {}
    for years in (2, 80):
        result = simulate(forcing, one_soil(), given, lat=np.array([30.0]), dates=days, spinup_years=years)
        found[years] = result["tsl45"].mean(), result.state.temperature[-1, 0]
    radiation = net_radiation(200.0, 340.0, forcing["tas"], 0.2)
    sensible = radiation - LATENT_HEAT * result["evspsbl"]
    mean = surface_temperature(forcing["tas"], radiation, sensible, 0.0, 0.0, 2.0, 0.4, 0.0).mean()
    assert found[80][0] == pytest.approx(mean, abs=0.08) and found[2][0] == pytest.approx(mean, abs=0.1)
    assert found[2][1] == pytest.approx(found[80][1], abs=0.15)  # the first guess is 3 K off
