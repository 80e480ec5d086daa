"""Methane under measured soil profiles against the one-column solver and against the whole column."""

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.process import CHOICES, MethaneStructure, methane, methane_under, parameters, simulate, soil_properties
from fluxatlas.process.methane_column import NODE_CENTRES
from fluxatlas.theta import draw
from methane_sweep import column_profile
from process_weather import one_soil, soils, weather

DAYS, CELLS = 365, 40
LAT = np.linspace(-50, 65, CELLS)


def _profiles(tsl: float, swc: float, shape: tuple[int, int] = (1, 1)) -> dict[str, np.ndarray]:
    soil = {f"tsl{z}": np.full(shape, tsl) for z in ("05", "15", "45")}
    soil |= {f"swc{z}": np.full(shape, swc) for z in ("05", "15", "45")}
    return soil | {"snw": np.zeros(shape), "snd": np.zeros(shape)}


def _drivers(shape: tuple[int, int] = (1, 1)) -> dict[str, np.ndarray]:
    return {n: np.full(shape, v) for n, v in {"tas": 288.0, "ps": 9.5e4, "huss": 0.007, "ch4": 1900.0}.items()}


def test_a_uniform_soil_is_the_column_solved_by_itself() -> None:
    p, attributes = parameters.SOIL.defaults(1), one_soil()
    soil = soil_properties(attributes)
    found = methane_under(_profiles(285.15, 0.2), _drivers(), attributes, {})
    eps = methane.air_filled_porosity(soil["phi"], 0.2, 1.0)
    factor, exponent = methane.diffusivity_coefficients(
        np.zeros(1, int), soil["phi"], soil["b"], attributes["sand"], attributes["clay"]
    )
    diffusivity = methane.soil_diffusivity(factor, exponent, eps, methane.free_air_diffusivity(285.15, 9.5e4))
    suction = methane.log_suction(0.2, soil["phi"], soil["b"], np.log(soil["psi_sat"] * 9.81))
    rate = p["oxidation_rate"] * methane.site_factor(5.0, 6.0, 0.0, p)
    rate = rate * methane.rate_profile(np.zeros(1, int), NODE_CENTRES, p["oxidation_depth"], p["oxidation_width"])[:, 0]
    rate = rate * methane.drought_response(suction, np.log(200.0), np.log(1e5), p["suction_shape"])
    rate = rate * methane.temperature_response(12.0, np.zeros(1, int), np.log(1.9), 27.0, -5.0)
    made = p["production_rate"] / 3600 * np.exp(-NODE_CENTRES / p["production_depth"])
    made = made * methane.production_response(12.0, 0.2, soil["phi"], np.log(2.5), p["production_dry"])
    c0 = methane.air_concentration(1900.0, 9.5e4, 288.0, 0.007)
    litter = p["litter_depth"] / (methane.LITTER_DIFFUSIVITY * methane.free_air_diffusivity(288.0, 9.5e4))
    _, net = column_profile(np.full(NODE_CENTRES.size, diffusivity[0]), rate, c0, made, float(litter[0]))
    assert -float(found["fch4"][0, 0]) == pytest.approx(net, rel=1e-6)
    assert float(found["ch4ox"][0, 0] - found["ch4prod"][0, 0]) == pytest.approx(net, rel=1e-6)


def test_the_profiles_of_the_whole_column_give_its_fluxes() -> None:
    forcing, dates = weather(DAYS, LAT)
    attributes, theta = soils(CELLS), draw(parameters.SOIL.priors(), CHOICES, CELLS, np.random.default_rng(4))
    drawn, structure = theta.values, MethaneStructure(**theta.forms)
    whole = simulate(forcing, attributes, drawn, lat=LAT, dates=dates, structure=structure, spinup_years=1)
    found = methane_under(whole.daily, forcing, attributes, drawn, structure)
    for name in ("ch4ox", "fch4"):
        r = np.corrcoef(found[name].ravel(), whole[name].ravel())[0, 1]
        assert r > 0.99  # three depths instead of eight layers
    bias = found["fch4"].mean() / whole["fch4"].mean() - 1
    assert abs(bias) < 0.03


def test_days_with_anything_missing_are_missing() -> None:
    soil = _profiles(285.0, 0.2, (3, 2))
    soil["swc15"][1, 0] = np.nan
    found = methane_under(soil, _drivers((3, 2)), {k: v.repeat(2) for k, v in one_soil().items()}, {})
    assert np.isnan(found["fch4"]).tolist() == [[False, False], [True, False], [False, False]]
    assert found["fch4"][0, 0] == found["fch4"][2, 1]


def test_profiles_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match="the profiles have shape"):
        methane_under(_profiles(285.0, 0.2, (4, 1)), _drivers((3, 1)), one_soil(), {})
