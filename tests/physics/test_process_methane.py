"""Methane against printed numbers, analytic solutions and a direct linear solve."""

import numpy as np
import pytest

from fluxatlas.process import CHOICES, methane
from fluxatlas.process.hydraulics import KPA_PER_M, cosby_b, cosby_psi_sat
from fluxatlas.process.methane_column import NODE_CENTRES, NODE_THICKNESS, NODES
from methane_sweep import column_profile

# T, theta, clay, sand, ppb -> phi, D cm2/s, r_T, psi kPa, r_SM, k s-1, J mg m-2 d-1 (Curry 2007; science notes 1.8)
CURRY = [
    (20, 0.10, 10, 60, 1800, "0.4134", "0.03677", "3.487", "723.3", "0.8308", "1.457e-4", "2.444"),
    (20, 0.20, 20, 40, 1800, "0.4386", "0.02155", "3.487", "265.8", "0.9632", "1.689e-4", "2.015"),
    (20, 0.35, 20, 40, 1800, "0.4386", "0.002994", "3.487", "8.80", "1", "1.754e-4", "0.7652"),
    (5, 0.20, 20, 40, 1800, "0.4386", "0.01995", "1.413", "265.8", "0.9632", "6.848e-5", "1.234"),
    (-5, 0.20, 20, 40, 1800, "0.4386", "0.01888", "0.250", "265.8", "0.9632", "1.211e-5", "0.505"),
    (30, 0.05, 10, 70, 1900, "0.4008", "0.05056", "3.997", "10530", "0.4438", "8.922e-5", "2.368"),
    (25, 0.30, 40, 30, 1900, "0.4512", "0.01051", "4.048", "132.4", "1", "2.036e-4", "1.630"),
]


def curry_air_diffusivity(celsius: np.ndarray) -> np.ndarray:
    """CH4 in air [m2 s-1] as in Ridgwell et al. (1999) and Curry (2007), without pressure."""
    return 0.196e-4 * (1.0 + 0.0055 * celsius)


def curry_2007(
    celsius: np.ndarray, theta: np.ndarray, clay: np.ndarray, sand: np.ndarray, ch4: np.ndarray
) -> dict[str, np.ndarray]:
    """Curry (2007) for the surface layer, put together of the formulas of the package; units are those of the paper."""
    phi, b = 0.489 - 0.00126 * sand, cosby_b(clay)  # porosity of Cosby et al. (1984)
    logged = methane.log_suction(theta, phi, b, np.log(cosby_psi_sat(sand) * KPA_PER_M))
    free = 1e4 * curry_air_diffusivity(celsius)
    diffusivity = free * phi ** (4 / 3) * (np.maximum(phi - theta, 0.0) / phi) ** (1.5 + 3.0 / b)
    warm = methane.temperature_response(celsius, np.zeros_like(phi, int), np.log(2.0), 27.0, -5.0)
    moist = methane.drought_response(logged, np.log(200.0), np.log(1e5), 0.8)
    rate = 5.03e-5 * warm * moist
    uptake = 586.7 * ch4 * 1e-3 * np.sqrt(diffusivity * rate)
    found = {"phi": phi, "diffusivity": diffusivity, "temperature": warm, "suction": np.exp(logged), "moisture": moist}
    return {**found, "rate": rate, "uptake": uptake}


def memo_uptake(c0: float, diffusivity: float, rate: float, depth: float = np.inf, production: float = 0.0) -> float:
    """MeMo's uptake [mg m-2 d-1] of a layer whose CH4 [mg m-3] is used up at ``depth`` [m], less ``production``."""
    reach = depth * np.sqrt(rate / diffusivity)
    return float(86400.0 * (c0 - production / rate) * np.sqrt(diffusivity * rate) / np.tanh(reach))


def half_digit(printed: str) -> float:
    """Half a unit of the last printed digit."""
    mantissa, _, power = printed.partition("e")
    decimals = len(mantissa.partition(".")[2])
    digits = 10.0 if printed == "10530" else 1.0
    return 0.501 * digits * 10.0 ** (float(power or 0) - decimals)


@pytest.mark.parametrize("vector", CURRY)
def test_curry_2007_reproduces_the_printed_vectors(vector: tuple) -> None:
    celsius, theta, clay, sand, ch4, *printed = vector
    result = curry_2007(*(np.array([float(x)]) for x in (celsius, theta, clay, sand, ch4)))
    names = ("phi", "diffusivity", "temperature", "suction", "moisture", "rate", "uptake")
    for name, text in zip(names, printed, strict=True):
        assert result[name][0] == pytest.approx(float(text), abs=half_digit(text)), name


def test_relative_diffusivities_of_the_table() -> None:
    printed = {
        "curry": (0.147, 0.034),
        "millington_quirk": (0.089, 0.0089),
        "moldrup_wlr": (0.073, 0.013),
        "buckingham_burdine_campbell": (0.071, 0.012),
        "millington_1959": (0.201, 0.080),
        "penman": (0.198, 0.099),
        "campbell": (0.056, 0.011),
    }
    for name, values in printed.items():
        code = np.array([CHOICES["diffusivity"].index(name)])
        one = np.ones(1)
        factor, exponent = methane.diffusivity_coefficients(code, 0.45 * one, 5.0 * one, 40.0 * one, 20.0 * one)
        for eps, value in zip((0.30, 0.15), values, strict=True):
            assert methane.soil_diffusivity(factor, exponent, eps, 1.0)[0] == pytest.approx(value, rel=0.045), name


def test_tem_diffusivity_depends_on_texture_alone() -> None:
    one = np.ones(1)
    factor, exponent = methane.diffusivity_coefficients(np.array([7]), 0.45 * one, 5 * one, 40.0 * one, 20.0 * one)
    expected = 0.66 * (0.45 * 0.4 + 0.20 * 0.4 + 0.14 * 0.2)
    for eps in (0.05, 0.4):
        assert methane.soil_diffusivity(factor, exponent, eps, 1.0)[0] == pytest.approx(expected)


def test_air_concentration_and_diffusivity() -> None:
    for celsius, printed in ((0, 1.360), (15, 1.289), (25, 1.246)):
        assert methane.air_concentration(1900.0, 101325.0, celsius + 273.15, 0.0) == pytest.approx(printed, abs=6e-4)
    for celsius, printed in ((0.0, -0.004), (30.0, 0.03)):
        ratio = methane.free_air_diffusivity(celsius + 273.15, 101325.0) / curry_air_diffusivity(celsius)
        assert ratio - 1 == pytest.approx(printed, abs=5e-3)
    humid = methane.air_concentration(1900.0, 101325.0, 303.15, 0.02) / methane.air_concentration(
        1900.0, 101325.0, 303.15, 0.0
    )
    assert 0.965 < humid < 0.972  # 1 - e/P with e = 3.2 kPa


def test_temperature_responses() -> None:
    grid = np.arange(-20.0, 60.0, 0.01)

    def response(code: int) -> np.ndarray:
        return methane.temperature_response(grid, code, np.log(2.0), 27.0, -5.0)

    curry, memo, optimum = response(0), response(1), response(2)
    assert curry.max() == pytest.approx(4.12, abs=5e-3) and grid[curry.argmax()] == pytest.approx(27.25, abs=0.02)
    assert memo.max() == pytest.approx(3.50, abs=5e-3) and grid[memo.argmax()] == pytest.approx(28.0, abs=0.05)
    assert np.interp(-5, grid, curry) == pytest.approx(0.25, abs=1e-3)
    assert np.interp(-5, grid, memo) == pytest.approx(0.0067, abs=1e-4)
    assert np.interp(20, grid, optimum) / np.interp(10, grid, optimum) == pytest.approx(2.0)
    assert grid[optimum.argmax()] == pytest.approx(27.0, abs=0.02)
    assert (optimum[grid <= -5.01] == 0).all() and (optimum[grid > 42.01] == 0).all()
    assert (curry[grid < -10.01] == 0).all() and (curry[grid > 43.31] == 0).all()


def test_wetness_responses_have_one_optimum() -> None:
    theta = np.linspace(0.001, 0.45, 500)
    assert (methane.wetness_response(theta, 0.45, 0, 0.3) == 1).all()
    bell = methane.wetness_response(theta, 0.45, 1, 0.3)
    assert bell[theta <= 0.2].min() == 1 and np.interp(0.4, theta, bell) == pytest.approx(np.exp(-0.5), abs=1e-4)
    parabola = methane.wetness_response(theta, 0.45, 2, 0.3)
    assert theta[parabola.argmax()] / 0.45 == pytest.approx(0.3, abs=0.003)
    assert parabola.max() == pytest.approx(1.0, abs=1e-4) and parabola[-1] == pytest.approx(0.0, abs=1e-12)


def test_site_factor() -> None:
    p = {"nitrogen_sensitivity": 0.0068, "nitrogen_threshold": 27.0, "ph_optimum": 5.8, "ph_width": 1.5}
    p["crop_reduction"] = 0.75
    assert methane.site_factor(20.0, 5.8, 0.0, p) == pytest.approx(1.0)
    assert methane.site_factor(127.0, 5.8, 0.0, p) == pytest.approx(np.exp(-0.68))
    assert methane.site_factor(0.0, 5.8, 100.0, p) == pytest.approx(0.25)
    assert methane.site_factor(0.0, 11.0, 0.0, p) == pytest.approx(0.4)


@pytest.mark.parametrize(("reach", "ratio"), [(0.11, 0.988), (0.16, 0.988), (0.04, 0.980), (0.39, 0.966)])
def test_layers_against_the_half_space(reach: float, ratio: float) -> None:
    diffusivity = 2.0e-6
    rate = diffusivity / reach**2
    exact = 86400 * 1.3 * np.sqrt(diffusivity * rate)
    profile, uptake = column_profile(np.full(NODES, diffusivity), np.full(NODES, rate), 1.3)
    assert uptake / exact == pytest.approx(ratio, abs=4e-3)
    near = 1.2 * reach > NODE_CENTRES
    np.testing.assert_allclose(profile[near], 1.3 * np.exp(-NODE_CENTRES[near] / reach), atol=0.03)


def test_layers_with_production_against_the_half_space() -> None:
    diffusivity, rate, production = 2.0e-6, 1.0e-4, 2.0e-5
    _, net = column_profile(np.full(NODES, diffusivity), np.full(NODES, rate), 1.3, production)
    assert net == pytest.approx(memo_uptake(1.3, diffusivity, rate, production=production), rel=0.02)
    _, net = column_profile(np.full(NODES, diffusivity), np.full(NODES, rate), 1.3, 10 * production)
    assert net < 0  # a net source


def test_memo_is_curry_for_a_deep_layer() -> None:
    diffusivity, rate = 2.0e-6, 1.0e-4
    deep = 86400 * 1.3 * np.sqrt(diffusivity * rate)
    for reach, factor in ((1.0, 1.313), (2.0, 1.037), (3.0, 1.005)):
        depth = reach * np.sqrt(diffusivity / rate)
        assert memo_uptake(1.3, diffusivity, rate, depth) / deep == pytest.approx(factor, abs=6e-4)


def direct_solution(d: np.ndarray, k: np.ndarray, p: np.ndarray, c0: float, resistance: float) -> np.ndarray:
    """Concentrations from the full matrix of the finite-volume equations."""
    dz, half = NODE_THICKNESS, 0.5 * NODE_THICKNESS / d
    between = 1.0 / (half[:-1] + half[1:])
    top = 1.0 / (resistance + half[0])
    matrix = np.diag(k * dz)
    matrix[0, 0] += top
    for i, g in enumerate(between):
        matrix[i : i + 2, i : i + 2] += g * np.array([[1, -1], [-1, 1]])
    right = p * dz
    right[0] += top * c0
    return np.linalg.solve(matrix, right)


def test_sweep_equals_a_direct_solve_and_conserves_mass() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        d, k = 10.0 ** rng.uniform(-9, -5, NODES), 10.0 ** rng.uniform(-7, -3, NODES)
        p = 10.0 ** rng.uniform(-8, -4, NODES)
        resistance = rng.uniform(0, 1e5)
        profile, net = column_profile(d, k, 1.3, p, resistance)
        np.testing.assert_allclose(profile, direct_solution(d, k, p, 1.3, resistance), rtol=1e-9)
        gross = 86400 * ((k * profile + p) * NODE_THICKNESS).sum()
        assert net == pytest.approx(86400 * ((k * profile - p) * NODE_THICKNESS).sum(), abs=1e-9 * gross)


def test_concentration_falls_with_depth_and_uptake_rises_with_rate_and_diffusivity() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        d, k = 10.0 ** rng.uniform(-8, -5, NODES), 10.0 ** rng.uniform(-7, -3, NODES)
        profile, uptake = column_profile(d, k, 1.3)
        assert (np.diff(profile) <= 0).all() and profile[-1] >= 0 and profile[0] <= 1.3
        assert column_profile(d, 1.1 * k, 1.3)[1] > uptake
        assert column_profile(1.1 * d, k, 1.3)[1] > uptake
        assert column_profile(d, k, 1.3, 0.0, 1e4)[1] < uptake
        assert column_profile(d, k, 2.6)[1] == pytest.approx(2 * uptake)


def test_production_goes_on_in_dry_soil_by_a_share_and_is_whole_in_saturated_soil() -> None:
    q10 = np.log(2.5)
    assert methane.production_response(15.0, 0.45, 0.45, q10, 0.1) == pytest.approx(1.0)
    assert methane.production_response(15.0, 0.10, 0.45, q10, 0.1) == pytest.approx(0.1)
    assert methane.production_response(25.0, 0.10, 0.45, q10, 0.1) == pytest.approx(0.25)
    assert methane.production_response(15.0, 0.8 * 0.45, 0.45, q10, 0.1) == pytest.approx(0.1 + 0.9 * 0.25)
