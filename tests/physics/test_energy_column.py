"""Surface energy and two-layer bucket: budgets, published numbers, golden ranges of six climates, error paths."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from energy_cases import CASES, DATES, run
from fluxatlas.errors import InputError
from fluxatlas.process.energy import canopy
from fluxatlas.process.energy.canopy import SWITCH, TOP
from fluxatlas.process.energy.column import TABLE, EnergyState, SimulationResult, simulate
from fluxatlas.process.energy.retention import GAP, drained_saturation, retained, soil_limits
from fluxatlas.process.energy.vegetation import CLASSES, NAMES

SOIL = {"sand": np.array([40.0]), "clay": np.array([20.0]), "soc": np.array([14.5])}


@pytest.fixture(scope="module")
def runs() -> dict[str, SimulationResult]:
    return {name: run(case) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_climates_lie_in_the_golden_ranges(name: str, runs: dict[str, SimulationResult]) -> None:
    daily, want = runs[name].daily, CASES[name].expected
    radiation, latent, sensible = (float(daily[key].mean()) for key in ("rns", "hfls", "hfss"))
    assert radiation == pytest.approx(want[0], rel=0.1)
    assert latent == pytest.approx(want[1], rel=0.2)
    assert sensible == pytest.approx(want[2], abs=9.0)
    assert float(daily["evspsbl"].mean()) * 86400 * 365 == pytest.approx(want[3], rel=0.2)
    assert float(daily["gpp"].mean()) * 365 == pytest.approx(want[4], rel=0.2)
    assert float(daily["swc05"].mean()) == pytest.approx(want[5], abs=0.05)


def test_energy_and_water_close(runs: dict[str, SimulationResult]) -> None:
    for name, result in runs.items():
        assert np.abs(result.residuals["water"]).max() < 1e-9, name
        daily = {key: values.astype(float) for key, values in result.daily.items()}
        left = daily["rns"] - daily["hfdsl"] - daily["hfls"] - daily["hfss"]
        assert np.abs(left).max() < 1e-4  # round-off of float32
        rain = 86400 * CASES[name].weather()["pr"].sum()
        out = 86400 * (daily["evspsbl"] + daily["mrro"]).sum()
        stored = TOP * daily["swc05"] + 950.0 * daily["swc45"] + daily["snw"]
        assert rain - out == pytest.approx(float(stored[-1, 0] - stored[0, 0]), abs=0.02 * rain)


def test_water_stays_between_its_bounds(runs: dict[str, SimulationResult]) -> None:
    for name, result in runs.items():
        soil = soil_limits(dict(zip(("sand", "clay", "soc"), CASES[name].soil, strict=True)))
        assert (result["swc05"] >= 0.5 * soil["swcwp"] - 1e-6).all() and (
            result["swc05"] <= soil["swcsat"] + 1e-6
        ).all()
        assert (result["swc45"] >= soil["swcwp"] - 1e-6).all() and (result["swc45"] <= soil["swcsat"] + 1e-6).all()
        available = result["rns"] - result["hfdsl"]
        again = result["evapfrac"] * np.maximum(available, SWITCH)
        kept = (result["evapfrac"] > -1) & (result["evapfrac"] < 3)
        np.testing.assert_allclose(again[kept], result["hfls"][kept], atol=1e-3)


def test_the_run_goes_on_from_a_state_as_if_it_had_not_stopped() -> None:
    case = CASES["prairie GRA"]
    weather = case.weather()
    whole = simulate(weather, SOIL, dates=DATES)
    first = simulate({k: v[:400] for k, v in weather.items()}, SOIL, dates=DATES[:400])
    second = simulate({k: v[400:] for k, v in weather.items()}, SOIL, dates=DATES[400:], state=first.state)
    np.testing.assert_array_equal(np.concatenate([first["hfls"], second["hfls"]]), whole["hfls"])


def test_texture_gives_the_published_water_contents() -> None:
    # Saxton & Rawls 2006, table 3, 2.5 % organic matter: wilting point, field capacity, saturation [%], Ks [mm h-1]
    published = {(88, 5): (5, 10, 46, 108.1), (40, 20): (14, 28, 46, 15.5), (65, 10): (8, 18, 45, 50.3),
                 (20, 15): (11, 31, 48, 16.1), (30, 35): (22, 36, 48, 4.3), (25, 50): (30, 42, 50, 1.1)}  # fmt: skip
    for (sand, clay), row in published.items():
        soil = soil_limits({"sand": [sand], "clay": [clay], "soc": [25 / 1.724]})
        found = [100 * soil[name][0] for name in ("swcwp", "swcfc", "swcsat")]
        np.testing.assert_allclose(found, row[:3], atol=1.0)
        assert soil["k_sat"][0] / 24 == pytest.approx(row[3], rel=0.12)


def test_limits_are_ordered_over_all_soils() -> None:
    rng = np.random.default_rng(0)
    sand = rng.uniform(0, 100, 3000)
    given = {"sand": sand, "clay": rng.uniform(0, 1, 3000) * (100 - sand), "soc": rng.uniform(0, 500, 3000)}
    for factor in (0.7, 1.0, 1.4):
        soil = retained(soil_limits(given), np.full(3000, factor))
        assert (soil["swcwp"] > 0).all() and (soil["swcwp"] < soil["swcfc"]).all()
        assert (soil["swcfc"] <= soil["swcsat"] - GAP + 1e-12).all() and (soil["swcsat"] <= 0.9).all()
        assert np.isfinite(soil["k_sat"]).all() and (soil["k_sat"] > 0).all()


def test_leaves_evaporate_as_the_textbook_says() -> None:
    # Penman-Monteith in its usual form, slope and psychrometric constant in Pa K-1
    celsius, kpa, vpd, air, stomata, energy = 20.0, 100.0, 1.2, 0.03, 0.006, 250.0
    slope = 4098 * 610.8 * np.exp(17.27 * 20 / 257.3) / 257.3**2
    psychrometric = 0.665 * 100
    density = 100000 / (287.05 * 293.15)
    top = slope * energy + density * 1013 * 1200 * air
    expected = top / (slope + psychrometric * (1 + air / stomata))
    ratio = canopy.slope_ratio(celsius, kpa)
    assert canopy.penman_monteith(energy, ratio, celsius, kpa, vpd, air, stomata) == pytest.approx(expected, rel=1e-3)
    assert slope / 1000 == pytest.approx(0.1447, abs=2e-4)  # FAO-56, table 2.4
    assert canopy.saturation(20.0) == pytest.approx(2.338, abs=1e-3)  # FAO-56, table 2.3


def test_rain_on_leaves_is_caught_first_and_never_more_than_it_rains() -> None:
    rain = np.linspace(0, 40, 81)
    caught = canopy.interception(rain, 4.0, 0.1, 0.06)
    assert (np.diff(caught) > 0).all() and (caught <= rain).all() and caught[0] == 0
    assert caught[1] == pytest.approx((1 - np.exp(-0.8)) * rain[1])  # below saturation: the covered share


def test_assimilation_grows_with_light_and_leaves_and_ends_in_dry_air() -> None:
    row = CLASSES["DBF"]
    fixed = (row["quantum_yield"], row["co2_slope"], row["carboxylation"], row["light_extinction"], row["vpd_low"],
             row["vpd_high"])  # fmt: skip
    light = canopy.assimilation(np.linspace(1, 350, 50), 15.0, 390.0, 4.0, 0.5, *fixed)
    leaves = canopy.assimilation(200.0, 15.0, 390.0, np.linspace(0.1, 6, 50), 0.5, *fixed)
    assert (np.diff(light) > 0).all() and (np.diff(leaves) > 0).all()
    assert canopy.assimilation(200.0, 25.0, 390.0, 4.0, 6.4, *fixed) == 0
    assert canopy.assimilation(0.0, 15.0, 390.0, 4.0, 0.5, *fixed) == 0
    whole = canopy.assimilation(200.0, 15.0, 390.0, 5.0, 0.5, *fixed)
    # the sum over layers of leaves, each with the light that reaches it, is the closed form
    depth = (np.arange(20000) + 0.5) * 5.0 / 20000
    par = canopy.PAR * 200.0 * np.exp(-fixed[3] * depth)
    most = fixed[2] * np.exp(0.031 * -10.0) / (1 + np.exp(0.115 * -26.0))
    leaf = most * fixed[0] * fixed[1] * par * 390 / (
        most * fixed[1] * 390 + most * fixed[0] * par + fixed[0] * fixed[1] * par * 390
    )  # fmt: skip
    assert whole == pytest.approx(leaf.mean() * 5.0, rel=1e-4)


def test_published_classes_lie_in_the_bounds_of_the_table() -> None:
    rows = TABLE.rows()
    for name in NAMES:
        values = [row[name] for row in CLASSES.values()]
        assert rows.at[name, "lower"] <= min(values) and max(values) <= rows.at[name, "upper"], name


def test_a_day_without_water_is_the_exact_solution() -> None:
    def ends(slope: Callable[[float], float], start: float) -> float:
        return float(solve_ivp(lambda _, w: [slope(w[0])], (0, 1), [start], rtol=1e-10, atol=1e-13).y[0, -1])

    for rate, exponent in ((2.6, 9.0), (0.03, 12.0), (0.001, 38.0)):
        for share in (0.3, 0.7, 1.0):
            left = ends(lambda s, a=rate, n=exponent: -a * s**n, share)
            assert drained_saturation(share, rate, exponent) == pytest.approx(left, abs=1e-8)
    for wanted in (0.01, 0.12):
        for water in (0.03, 0.05, 0.2, 0.3, 0.45):
            dry = ends(lambda w, e=wanted: -e * float(canopy.bare_stress(w, 0.1, 0.28)), water)
            assert canopy.bare_loss(water, 0.1, 0.28, wanted) == pytest.approx(water - dry, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_more_rain_never_leaves_a_drier_soil(name: str) -> None:
    rng, cells, rows = np.random.default_rng(7), 300, TABLE.rows()
    sand = rng.uniform(3, 95, cells)
    soil = {"sand": sand, "clay": rng.uniform(0.03, 0.95, cells) * (100 - sand), "soc": rng.uniform(2, 60, cells)}
    theta = {key: rng.uniform(rows.at[key, "lower"], rows.at[key, "upper"], cells) for key in TABLE.names}
    weather = {key: np.repeat(values[:730], cells, axis=1) for key, values in CASES[name].weather().items()}
    wetter = weather | {"pr": 1.25 * weather["pr"]}
    less, more = (simulate(given, soil, theta, dates=DATES[:730], spinup_years=1) for given in (weather, wetter))
    for key in ("swc05", "swc45"):
        assert (more[key] - less[key]).min() > -1e-6
        assert (more[key] - less[key]).max() > 1e-3


def test_bad_input_is_refused() -> None:
    weather = CASES["prairie GRA"].weather()
    with pytest.raises(InputError, match="driver co2 is missing"):
        simulate({k: v for k, v in weather.items() if k != "co2"}, SOIL, dates=DATES)
    with pytest.raises(InputError, match=r"'pr' has shape \(10, 1\)"):
        simulate({**weather, "pr": weather["pr"][:10]}, SOIL, dates=DATES)
    hole = weather["tas"].copy()
    hole[3, 0] = np.nan
    with pytest.raises(InputError, match="'tas' is nan on 2001-01-04 in cell 0"):
        simulate({**weather, "tas": hole}, SOIL, dates=DATES)
    with pytest.raises(InputError, match="attribute 'clay' is missing"):
        simulate(weather, {"sand": SOIL["sand"], "soc": SOIL["soc"]}, dates=DATES)
    with pytest.raises(InputError, match=r"'melt_factor' is 70, outside 2"):
        simulate(weather, SOIL, {"melt_factor": 70.0}, dates=DATES)
    with pytest.raises(InputError, match="the state has shapes"):
        simulate(weather, SOIL, dates=DATES, state=EnergyState(*(np.zeros(2) for _ in range(3))))
    with pytest.raises(InputError, match="spinup_years is -1"):
        simulate(weather, SOIL, dates=DATES, spinup_years=-1)
