"""The carbon model: closure, identities, published numbers and the balance it starts from."""

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.process import SimulationResult
from fluxatlas.process.carbon import model
from fluxatlas.process.carbon.choices import CHOICES
from fluxatlas.process.carbon.photosynthesis import (
    CARBON,
    MOL_PER_MJ,
    colimited,
    compensation_point,
    inner_co2,
    michaelis_menten,
    pmodel,
    quantum_yield,
    viscosity,
)
from fluxatlas.process.carbon.respiration import exponential, lloyd_taylor, rothc, water_ramp, water_skopp
from fluxatlas.theta import draw
from fluxatlas.variables import check_range
from process_weather import soils, weather

CELLS, DAYS = 120, 365
LAT = np.linspace(-50, 72, CELLS)
WEATHER, DATES = weather(DAYS, LAT)
FORCING = {**WEATHER, "co2": np.full((DAYS, CELLS), 390.0, np.float32)}
SOIL = soils(CELLS)
THETA = draw(model.priors(), CHOICES, CELLS, np.random.default_rng(3))


def run(given: dict | None = None, structure: dict | None = None, spinup_years: int = 1, **changed) -> SimulationResult:
    """The year with other drivers."""
    forcing = {**FORCING, **changed}
    return model.simulate(forcing, SOIL, given, lat=LAT, dates=DATES, structure=structure, spinup_years=spinup_years)


@pytest.fixture(scope="module")
def prior() -> SimulationResult:
    """A draw from the prior in each cell, parameters and structure."""
    return run(dict(THETA.values), dict(THETA.forms))


@pytest.fixture(scope="module")
def default() -> SimulationResult:
    return run({"stock": 1.0}, spinup_years=3)


def test_carbon_closes_every_day(prior: SimulationResult) -> None:
    assert np.abs(prior.residuals["carbon"]).max() < 1e-9  # g m-2 of up to 1e5
    assert np.abs(prior.residuals["water"]).max() < 1e-9


def test_identities_hold_exactly(prior: SimulationResult) -> None:
    np.testing.assert_array_equal(prior["nee"], prior["reco"] - prior["gpp"])
    np.testing.assert_array_equal(prior["reco"], prior["ra"] + prior["rh"])
    for name in ("gpp", "ra", "rh", "reco", "nee"):
        check_range(prior[name], name, where="carbon")
    assert (prior["gpp"] > 0).any() and min(values.min() for values in prior.state.values()) >= 0


def test_what_the_pools_gain_is_what_the_air_loses() -> None:
    """Two runs from one start, which the first 365 days decide: what the longer one adds to the pools."""
    longer = {name: np.concatenate([values, values[:90]]) for name, values in FORCING.items()}
    dates = DATES.append(DATES[:90] + (DATES[-1] - DATES[0]) + np.timedelta64(1, "D"))
    ends = [
        model.simulate({k: v[:days] for k, v in longer.items()}, SOIL, lat=LAT, dates=dates[:days], spinup_years=0)
        for days in (365, 455)
    ]
    gained = sum(ends[1].state.values()) - sum(ends[0].state.values())
    lost = ends[1]["nee"][365:].sum(axis=0, dtype=float)
    np.testing.assert_allclose(gained, -lost, atol=1e-3)  # outputs are single precision


def test_the_start_is_in_balance_with_the_year(default: SimulationResult) -> None:
    year = {name: default[name].sum(axis=0, dtype=float) for name in ("nee", "gpp", "ra")}
    grows = year["gpp"] > 200
    assert grows.sum() > 100
    assert np.abs(year["nee"] / year["gpp"])[grows].max() < 0.03  # the semi-analytical start against the run itself
    share = (year["ra"] / year["gpp"])[grows]
    assert 0.4 < np.median(share) < 0.6  # half of production (Waring et al. 1998)


def test_young_stands_take_up_carbon(default: SimulationResult) -> None:
    young = run({"stock": 0.6}, spinup_years=3)
    assert (young["nee"].sum(axis=0) < default["nee"].sum(axis=0) + 1e-3).all()


def test_the_p_model_has_published_numbers() -> None:
    """Printed by the example of the R package rpmodel for 20 degC, 1000 Pa, 400e-6 and sea level [R+]."""
    ca = 400e-6 * 101325
    assert compensation_point(20.0, 101325.0) == pytest.approx(3.339251, rel=1e-3)
    assert michaelis_menten(20.0, 101325.0) == pytest.approx(46.09928, rel=1e-3)
    assert viscosity(20.0) == pytest.approx(1.125361, rel=3e-3)  # Vogel here, Huber et al. there
    inner = inner_co2(20.0, 101325.0, ca, 1000.0, 146.0)
    assert inner / ca == pytest.approx(0.694352, rel=2e-3)
    m = (inner - 3.339251) / (inner + 2 * 3.339251)
    assert m == pytest.approx(0.7123038, rel=2e-3)
    assert colimited(inner, 3.339251) == pytest.approx(m * np.sqrt(1 - (0.41 / m) ** (2 / 3)), rel=1e-9)
    one = pmodel(1.0 / MOL_PER_MJ, 20.0, 101325.0, 400.0, 1000.0, 0.05 / quantum_yield(20.0), 146.0)
    assert one == pytest.approx(0.05 * CARBON * colimited(inner, compensation_point(20.0, 101325.0)), rel=1e-9)


def test_responses_of_decay() -> None:
    for response in (lloyd_taylor, rothc, lambda t: exponential(t, 2.0)):
        assert response(15.0) == pytest.approx(1.0)
    assert 47.91 / (1 + np.exp(106.06 / (9.25 + 18.27))) * rothc(15.0) / rothc(9.25) == pytest.approx(
        47.91 / (1 + np.exp(106.06 / (15 + 18.27)))
    )
    assert rothc(-6.0) == 0 and exponential(-10.0, 2.0) == 0
    assert lloyd_taylor(10.0) == pytest.approx(np.exp(308.56 * (1 / 61.02 - 1 / 56.02)))
    assert exponential(25.0, 2.0) == pytest.approx(2.0)
    assert water_ramp(0.0, 0.2) == 0.2 and water_ramp(0.55, 0.2) == 1.0
    assert water_skopp(0.6, 0.6, 0.2) == pytest.approx(1.0) and water_skopp(1.0, 0.6, 0.2) == pytest.approx(0.05)


@pytest.mark.parametrize("form", range(3))
def test_production_answers_light_and_carbon_dioxide(form: int) -> None:
    chosen = {"light_use": np.full(CELLS, form)}
    normal = run(structure=chosen, spinup_years=0)["gpp"]
    assert (run(structure=chosen, spinup_years=0, rsds=0 * FORCING["rsds"])["gpp"] == 0).all()
    richer = run(structure=chosen, spinup_years=0, co2=FORCING["co2"] + 200)["gpp"]
    lit = normal > 0.5
    gain = richer[lit] / normal[lit]
    assert 1.05 < np.median(gain) < 1.4  # experiments at 550e-6: about a quarter more (Norby et al. 2005)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": {"lite_use": 0}}, "unknown structural choice 'lite_use'"),
        ({"structure": {"light_use": 3}}, r"codes 3\.\.3"),
        ({"given": {"leaf_chare": 0.3}}, "unknown parameter 'leaf_chare'; did you mean 'leaf_share'"),
        ({"given": {"leaf_share": 0.9}}, "'leaf_share' is 0.9, outside"),
        ({"co2": None}, "driver 'co2'"),
    ],
)
def test_bad_input_is_refused(changes: dict, message: str) -> None:
    if "co2" in changes:
        changes = {"co2": np.full((DAYS, CELLS), np.nan, np.float32)}
    with pytest.raises(InputError, match=message):
        run(**{"spinup_years": 0, **changes})
