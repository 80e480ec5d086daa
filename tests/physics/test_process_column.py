"""The coupled column over a year of random weather: budgets, bounds, identities and plausible numbers."""

import numpy as np
import pandas as pd
import pytest

from fluxatlas.process import (
    CHOICES,
    MethaneStructure,
    SimulationResult,
    methane,
    parameters,
    simulate,
    simulate_soil,
    soil_properties,
)
from fluxatlas.process.heat import THICKNESS, liquid_share
from fluxatlas.process.hydraulics import retained
from fluxatlas.process.methane_column import NODE_CENTRES, NODE_LAYER
from fluxatlas.process.water import DENSITY, LAYERS, root_fractions
from fluxatlas.process.water import LAYERS as WATER_LAYERS
from fluxatlas.systems import get_system
from fluxatlas.theta import draw
from fluxatlas.variables import check_range
from methane_sweep import column_profile
from process_weather import one_soil, soils, weather

CELLS, DAYS = 300, 365
LAT = np.linspace(-55, 78, CELLS)
FORCING, DATES = weather(DAYS, LAT)
ATTRIBUTES = soils(CELLS)
PARAMETERS = draw(parameters.SOIL.priors(), {}, CELLS, np.random.default_rng(1)).values
STRUCTURE = MethaneStructure(**draw({}, CHOICES, CELLS, np.random.default_rng(2)).forms)


def run(days: slice = slice(None), cells: slice = slice(None), **options: object) -> SimulationResult:
    """Part of the year and cells of the ensemble."""
    codes = {name: code[cells] for name, code in STRUCTURE.codes(CELLS).items()}
    return simulate(
        {name: values[days, cells] for name, values in FORCING.items()},
        {name: values[cells] for name, values in ATTRIBUTES.items()},
        {name: values[cells] for name, values in PARAMETERS.items()},
        **{"lat": LAT[cells], "dates": DATES[days], "structure": MethaneStructure(**codes), **options},  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def year() -> SimulationResult:
    return run(spinup_years=2)


def test_outputs_are_those_of_the_system_and_within_the_table(year: SimulationResult) -> None:
    system = get_system("soil_methane_sink")
    assert set(year.daily) == {*system.intermediates, "ch4ox", "ch4prod", "fch4", "mrro"}
    for name, values in year.daily.items():
        assert values.shape == (DAYS, CELLS) and np.isfinite(values).all()
        check_range(values, name, where="simulate")


def test_the_year_has_snow_frost_and_drought(year: SimulationResult) -> None:
    assert (year["snw"].max(axis=0) > 20).sum() > 30
    assert (year["tsl05"].min(axis=0) < 271).sum() > 30
    assert (year["swc05"].max(axis=0) > 1.5 * year["swc05"].min(axis=0)).sum() > 30


def test_energy_closes(year: SimulationResult) -> None:
    assert np.abs(year.residuals["energy"]).max() < 1e-5  # J m-2 of some 1e6 that flow in a day


def test_water_closes(year: SimulationResult) -> None:
    assert np.abs(year.residuals["water"]).max() < 1e-9  # kg m-2 d-1


def test_methane_closes(year: SimulationResult) -> None:
    assert np.abs(year.residuals["methane"]).max() < 1e-12  # mg m-2 d-1


def test_heat_and_water_without_methane_are_the_same_to_the_last_bit(year: SimulationResult) -> None:
    soil = ("sand", "clay", "soc", "bdod")
    alone = simulate_soil(
        {name: values for name, values in FORCING.items() if name != "ch4"},
        {name: ATTRIBUTES[name] for name in soil},
        PARAMETERS,
        lat=LAT,
        dates=DATES,
        spinup_years=2,
    )
    assert set(alone.residuals) == {"energy", "water"} and "fch4" not in alone.daily
    for name in set(alone.daily) - {"reach"}:
        np.testing.assert_array_equal(alone[name], year[name])
    np.testing.assert_array_equal(alone.state.water, year.state.water)
    known = retained(soil_properties({name: ATTRIBUTES[name] for name in soil}), PARAMETERS["retention_factor"])
    span = known["theta_fc"] - known["theta_wp"]
    there = np.clip((alone.state.water[:WATER_LAYERS] - known["theta_wp"]) / span, 0, 1)
    share = (there * root_fractions(PARAMETERS["root_base"])).sum(axis=0)
    np.testing.assert_allclose(alone["reach"][-1], share, rtol=1e-6, atol=1e-9)


def test_water_of_the_outputs_closes_against_the_state() -> None:
    start = run(days=slice(0, 100), spinup_years=1)
    rest = run(days=slice(100, None), state=start.state)
    deep = DENSITY * THICKNESS[:LAYERS, None]
    stored = [(deep * r.state.water[:LAYERS]).sum(axis=0) + r.state.snw for r in (start, rest)]
    flows = (FORCING["pr"][100:].astype(float) - rest["evspsbl"] - rest["mrro"]).sum(axis=0) * 86400
    np.testing.assert_allclose(stored[1] - stored[0], flows, atol=1e-3)  # outputs are single precision


def test_water_stays_within_the_pores(year: SimulationResult) -> None:
    phi = soil_properties(ATTRIBUTES)["phi"]
    for name in ("swc05", "swc15", "swc45"):
        assert (year[name] >= 0).all() and (year[name] <= phi + 1e-7).all()
    assert (year.state.water[:8] <= phi + 1e-12).all() and (year.state.water > 0).all()


def test_fluxes_have_their_signs(year: SimulationResult) -> None:
    for name in ("ch4ox", "ch4prod", "evspsbl", "mrro", "snw", "snd", "oxk"):
        assert (year[name] >= 0).all(), name
    np.testing.assert_allclose(year["fch4"], year["ch4prod"] - year["ch4ox"], atol=1e-6)


def test_the_head_reproduces_the_layers(year: SimulationResult) -> None:
    forcing = {name: values.astype(float) for name, values in FORCING.items()}
    c0 = methane.air_concentration(forcing["ch4"], forcing["ps"], forcing["tas"], forcing["huss"])
    resistance = methane.snow_resistance(year["snw"], year["snd"], forcing["tas"], forcing["ps"])
    assert (resistance[year["snd"] == 0] == 0).all() and resistance.max() > 1e4
    with np.errstate(divide="ignore"):
        head = 86400 * c0 / (1 / np.sqrt(year["difs"].astype(float) * year["oxk"]) + resistance)
    np.testing.assert_allclose(head, year["ch4ox"], rtol=1e-6, atol=1e-12)  # outputs are single precision


def test_the_kernel_equals_the_plain_formulas() -> None:
    """The last day of some cells, rebuilt from the state with the NumPy functions and the one-column solver."""
    result = run(spinup_years=1)
    soil = retained(soil_properties(ATTRIBUTES), PARAMETERS["retention_factor"])
    codes = STRUCTURE.codes(CELLS)
    factor, exponent = methane.diffusivity_coefficients(
        codes["diffusivity"], soil["phi"], soil["b"], ATTRIBUTES["sand"], ATTRIBUTES["clay"]
    )
    p, day = PARAMETERS, {name: values[-1].astype(float) for name, values in FORCING.items()}
    profile = methane.rate_profile(codes["profile"], NODE_CENTRES, p["oxidation_depth"], p["oxidation_width"])
    site = methane.site_factor(ATTRIBUTES["ndep"], ATTRIBUTES["phh2o"], ATTRIBUTES["cropFrac"], p)
    t, theta = result.state.temperature[NODE_LAYER], result.state.water[NODE_LAYER]
    eps = methane.air_filled_porosity(soil["phi"], theta, liquid_share(t))
    d = methane.soil_diffusivity(factor, exponent, eps, methane.free_air_diffusivity(t + 273.15, day["ps"]))
    suction = methane.log_suction(theta, soil["phi"], soil["b"], np.log(soil["psi_sat"] * 9.81))
    k = p["oxidation_rate"] * site * profile
    k = k * methane.drought_response(suction, np.log(p["suction_low"]), np.log(p["suction_high"]), p["suction_shape"])
    k = k * methane.temperature_response(
        t, codes["temperature"], np.log(p["oxidation_q10"]), p["oxidation_optimum"], p["oxidation_minimum"]
    )
    k = k * methane.wetness_response(theta, soil["phi"], codes["moisture"], p["wetness_optimum"])
    made = p["production_rate"] / 3600 * np.exp(-NODE_CENTRES[:, None] / p["production_depth"])
    made = (
        made
        * methane.production_response(t, theta, soil["phi"], np.log(p["production_q10"]), p["production_dry"])
        * liquid_share(t)
    )
    c0 = methane.air_concentration(day["ch4"], day["ps"], day["tas"], day["huss"])
    above = methane.snow_resistance(result["snw"][-1], result["snd"][-1], day["tas"], day["ps"])
    above = above + p["litter_depth"] / (
        methane.LITTER_DIFFUSIVITY * methane.free_air_diffusivity(day["tas"], day["ps"])
    )
    for i in range(0, CELLS, 7):
        _, net = column_profile(d[:, i], k[:, i], c0[i], made[:, i], above[i])
        assert -result["fch4"][-1, i] == pytest.approx(net, rel=1e-6, abs=1e-6)


def test_a_cell_does_not_depend_on_its_neighbours(year: SimulationResult) -> None:
    alone = run(cells=slice(270, 273), spinup_years=2)  # beyond the first block
    for name, values in alone.daily.items():
        np.testing.assert_allclose(values, year[name][:, 270:273], rtol=2e-7, err_msg=name)


def test_a_run_can_be_continued() -> None:
    start = run(days=slice(0, 40)).state
    whole, first = run(days=slice(0, 80), state=start), run(days=slice(0, 40), state=start)
    second = run(days=slice(40, 80), state=first.state)
    for name in whole.daily:
        np.testing.assert_array_equal(second[name], whole[name][40:])


def test_uptake_rises_with_the_rate_and_falls_under_snow() -> None:
    forcing, dates = weather(DAYS, np.array([60.0]))
    options = {"lat": np.array([60.0]), "dates": dates}
    base = simulate(forcing, one_soil(), {}, **options)  # type: ignore[arg-type]
    faster = simulate(forcing, one_soil(), {"oxidation_rate": 8e-5}, **options)  # type: ignore[arg-type]
    active = base["ch4ox"] > 0
    assert (faster["ch4ox"] > base["ch4ox"])[active].all()
    snowy = base["snd"][:, 0] > 0.3
    speed = np.sqrt(base["difs"] * base["oxk"])[:, 0]
    c0 = methane.air_concentration(forcing["ch4"], forcing["ps"], forcing["tas"], forcing["huss"])[:, 0]
    assert snowy.any() and (base["ch4ox"][snowy, 0] < 0.999 * (86400 * c0 * speed)[snowy]).all()


def test_a_midlatitude_grassland_takes_up_what_is_measured() -> None:
    forcing, dates = weather(2 * DAYS, np.array([45.0]))
    result = simulate(forcing, one_soil(), {}, lat=np.array([45.0]), dates=dates, spinup_years=2)
    summer = (dates.month >= 6) & (dates.month <= 8)
    winter = (dates.month == 1) | (dates.month == 2)
    assert 0.2 < result["ch4ox"].mean() < 3
    assert result["ch4ox"][summer].mean() > result["ch4ox"][winter].mean()
    evaporated = result["evspsbl"].mean() * 86400 * 365
    assert 250 < evaporated < 1100  # kg m-2 yr-1
    assert np.ptp(result["tsl05"]) > np.ptp(result["tsl15"]) > np.ptp(result["tsl45"])
    assert result["tsl45"].mean() == pytest.approx(forcing["tas"].mean(), abs=4)


def test_saturated_warm_soil_is_a_source() -> None:
    forcing, dates = weather(200, np.array([5.0]))
    forcing["pr"] = np.full_like(forcing["pr"], 60 / 86400)
    forcing["rsds"] = np.full_like(forcing["rsds"], 60.0)
    result = simulate(
        forcing, one_soil(clay=50.0), {"production_rate": 1.0, "drainage_factor": 2.0}, lat=np.array([5.0]), dates=dates
    )
    assert result["fch4"][-50:].mean() > 0


def test_all_precipitation_stays_as_snow_in_the_cold_and_glaciers_stay_finite() -> None:
    forcing, dates = weather(DAYS, np.array([70.0]))
    forcing["tas"] = np.full_like(forcing["tas"], 250.0)
    forcing["pr"] = np.full_like(forcing["pr"], 20 / 86400)
    result = simulate(forcing, one_soil(), {}, lat=np.array([70.0]), dates=dates)
    np.testing.assert_allclose(result["snw"][:100, 0], 20 * np.arange(1, 101), rtol=1e-5)
    assert result["snw"].max() <= 3000 and result["mrro"][-1, 0] * 86400 == pytest.approx(20, rel=1e-5)
    density = result["snw"][:100, 0] / result["snd"][:100, 0]
    assert (np.diff(density) > 0).all() and density[0] == pytest.approx(110) and density[-1] < 350


def test_without_longwave_the_formula_of_fao56_serves() -> None:
    given = run(cells=slice(0, 20))
    forcing = {name: values[:, :20] for name, values in FORCING.items() if name != "rlds"}
    attributes = {name: values[:20] for name, values in ATTRIBUTES.items()}
    derived = simulate(forcing, attributes, {}, lat=LAT[:20], dates=DATES)
    assert np.isfinite(derived["fch4"]).all()
    assert derived["tsl05"].mean() == pytest.approx(given["tsl05"].mean(), abs=3)


def test_structures_mix_across_cells() -> None:
    forcing, dates = weather(60, np.array([45.0]))
    pair = {name: np.repeat(values, 2, axis=1) for name, values in forcing.items()}
    soil = {name: np.repeat(values, 2) for name, values in one_soil().items()}
    mixed = simulate(
        pair, soil, {}, lat=np.full(2, 45.0), dates=dates, structure=MethaneStructure(diffusivity=np.array([0, 3]))
    )
    for i, name in enumerate(("curry", "buckingham_burdine_campbell")):
        alone = simulate(forcing, one_soil(), {}, lat=np.array([45.0]), dates=dates, structure=MethaneStructure(name))
        np.testing.assert_allclose(mixed["ch4ox"][:, i], alone["ch4ox"][:, 0], rtol=1e-6)
    assert (mixed["ch4ox"][:, 0] > mixed["ch4ox"][:, 1]).all()


def test_inputs_are_left_alone() -> None:
    before = {name: values.copy() for name, values in FORCING.items()}
    state = run(days=slice(0, 5), cells=slice(0, 3)).state
    kept = state.copy()
    run(days=slice(5, 10), cells=slice(0, 3), state=state)
    assert all(np.array_equal(one, two) for one, two in zip(state, kept, strict=True))
    assert all(np.array_equal(before[name], FORCING[name]) for name in before)
    assert isinstance(DATES, pd.DatetimeIndex)
