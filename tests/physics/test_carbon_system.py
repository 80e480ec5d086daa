"""Net ecosystem exchange: its knowledge terms, the balance of its head, and the truth of the synthetic Earth."""

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.drivers import slow_drivers
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.process.carbon import model
from fluxatlas.process.carbon.choices import CHOICES
from fluxatlas.process.carbon.respiration import exponential, lloyd_taylor, maintenance, rothc
from fluxatlas.systems import get_system
from fluxatlas.systems.net_ecosystem_exchange import knowledge
from fluxatlas.systems.net_ecosystem_exchange.process import MODEL
from fluxatlas.systems.net_ecosystem_exchange.truth import TRUTH
from fluxatlas.testing.earth import SyntheticEarth
from fluxatlas.testing.site_files import MISSING, _flux_columns
from fluxatlas.theta import draw
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.variables import check_range
from process_weather import soils, weather

SYSTEM = get_system("net_ecosystem_exchange")
CELSIUS = torch.tensor(knowledge.TEMPERATURES)
CELLS, DAYS = 8, 60
LAT = np.linspace(-40.0, 80.0, CELLS)
WEATHER, DATES = weather(DAYS, LAT)
DRIVERS = {
    **{name: WEATHER[name] for name in SYSTEM.forcing if name in WEATHER},
    "sfcWind": np.full((DAYS, CELLS), 3.0),
    **slow_drivers(SYSTEM.slow, DATES, LAT, {"lai": np.full((12, CELLS), 2.0)}, series_of(SYSTEM.slow)),
}
SOIL = {name: values for name, values in soils(CELLS).items() if name in SYSTEM.attributes}


def test_a_dark_day_has_no_production() -> None:
    rsdt, gpp = torch.tensor([[0.0, 0.0, 300.0]]), torch.tensor([[0.0, 1.0, 5.0]])
    assert float(knowledge.darkness(gpp, rsdt)) == pytest.approx(0.5)
    assert knowledge.darkness(gpp * (rsdt > 0), rsdt) == 0


def test_production_does_not_fall_with_light() -> None:
    x = torch.tensor(knowledge.RADIATION)[:, None]
    assert knowledge.light(x / (100 + x)) == 0
    assert float(knowledge.light(x.flip(0))) == pytest.approx(1 - 20 / 340)  # all of it, relative to the greatest


def test_respiration_has_a_plausible_q10() -> None:
    for q10, expected in ((1.4, 0.0), (3.0, 0.0), (5.0, 1.0), (0.8, 0.2)):
        found = float(knowledge.warmth(q10 ** ((CELSIUS[:, None] - 15) / 10), CELSIUS))
        assert found == pytest.approx(expected, abs=1e-4)


def test_terms_have_gradients_and_the_head_closes() -> None:
    torch.manual_seed(0)
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=4))
    simulated = MODEL.simulate(DRIVERS, SOIL, lat=LAT, dates=DATES, spinup_years=0)
    statics = {name: values for name, values in {**SOIL, **MODEL.derive(SOIL)}.items() if name in SYSTEM.statics}
    network.scaler.fit({**DRIVERS, **simulated, **statics})
    drivers, fixed = ({k: torch.as_tensor(v, dtype=torch.float32) for k, v in d.items()} for d in (DRIVERS, statics))
    outputs, _ = network(drivers, fixed)
    assert torch.equal(outputs["nee"], outputs["reco"] - outputs["gpp"])
    assert (outputs["gpp"] >= 0).all() and (outputs["reco"] >= 0).all()
    assert bool((drivers["rsdt"] < knowledge.DARK).any())  # the northernmost have polar night
    terms = Knowledge.of(SYSTEM, "pretrain").evaluate(network, outputs, {**drivers, **fixed})
    assert set(terms) == {"darkness", "light", "warmth"}
    with torch.no_grad():
        assert float(terms["darkness"]) > 0
    terms["darkness"].backward(retain_graph=True)
    gradient = network.parts["production"].readout.bias.grad
    assert gradient is not None and bool((gradient.abs() > 0).all())
    sum(terms.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_the_generator_obeys_the_terms() -> None:
    """In draws from the prior: production rises with light."""
    theta = draw(model.priors(), CHOICES, 60, np.random.default_rng(0))
    days, cells = 40, 60
    dates, lat = pd.date_range("2001-06-01", periods=days), np.full(cells, 45.0)
    like = np.ones((days, cells), np.float32)
    held = {"tas": 291.0, "tasmin": 286.0, "tasmax": 296.0, "pr": 3e-5, "rlds": 340.0, "huss": 0.009, "ps": 98000.0}
    held |= {"lai": 2.0, "co2": 380.0, "rsds": 200.0}
    soil = {name: values for name, values in soils(cells).items() if name in SYSTEM.attributes}

    def run(**changed: float) -> dict[str, np.ndarray]:
        given = {name: np.float32(value) * like for name, value in {**held, **changed}.items()}
        return model.simulate(given, soil, theta.values, lat=lat, dates=dates, structure=theta.forms).daily

    dim, bright = run(rsds=60.0), run(rsds=260.0)
    assert (bright["gpp"][0] >= 0.999 * dim["gpp"][0]).mean() > 0.95  # before the soil dries


def test_respiration_of_the_generator_has_a_q10_within_the_range() -> None:
    """Half maintenance, half decay in any form, the most and least sensitive of the prior."""
    bounds, celsius = model.priors(), CELSIUS.numpy()
    most, least = bounds["maintenance_acclimation"].upper, bounds["maintenance_acclimation"].lower
    decays = (bounds["soil_q10"].lower, bounds["soil_q10"].upper)
    for q10, share in ((bounds["maintenance_q10"].lower, most), (bounds["maintenance_q10"].upper, least)):
        plants = maintenance(celsius, celsius, q10, share)
        for decay in (lloyd_taylor(celsius), rothc(celsius), *(exponential(celsius, q) for q in decays)):
            reco = torch.as_tensor(plants + decay)[:, None]
            assert float(knowledge.warmth(reco, CELSIUS.double())) < 1e-6


@pytest.fixture(scope="module")
def hidden() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    monthly = {"lai": np.full((12, CELLS), 4.0)}
    fields = {name: rng.standard_normal(CELLS) for name in ("truth.lue", "truth.stock", "truth.disturbance")}
    return TRUTH.parameters(np.full(CELLS, 22.0), SOIL, monthly, fields.__getitem__, fields.__getitem__)


def test_the_truth_keeps_the_identity_and_towers_do_not_see_the_disturbance(hidden: dict[str, np.ndarray]) -> None:
    table = {name: values for name, values in hidden.items() if name != "disturbance"}
    bounds = model.priors()
    assert all((bounds[k].lower <= v).all() and (v <= bounds[k].upper).all() for k, v in table.items())
    disturbed = TRUTH.simulate(DRIVERS, SOIL, hidden, lat=LAT, dates=DATES)
    seen = TRUTH.simulate(DRIVERS, SOIL, {**hidden, "disturbance": np.zeros(CELLS)}, lat=LAT, dates=DATES)
    for run in (disturbed, seen):
        np.testing.assert_array_equal(run["nee"], run["reco"] - run["gpp"])
        for name in SYSTEM.simulated:
            check_range(run[name], name, where="truth")
    np.testing.assert_array_equal(disturbed["gpp"], seen["gpp"])
    assert (disturbed["nee"] - seen["nee"]).mean() > 0.05
    assert TRUTH.undisturbed == {"disturbance": 0.0}


def test_towers_partition_what_they_measure() -> None:
    """GPP of the files is respiration less exchange, as night-time partitioning has it, with one error in both."""
    rng = np.random.default_rng(1)
    reco, gpp = rng.uniform(1, 5, 400), rng.uniform(0, 9, 400)
    earth, gaps = SyntheticEarth(SyntheticEarthBlock()), np.arange(400) % 9 == 0
    columns = _flux_columns(earth, "XX-T01", {"nee": reco - gpp, "gpp": gpp, "reco": reco}, gaps)
    nee, made, partner = (columns[name] for name in ("NEE_VUT_REF", "GPP_NT_VUT_REF", "RECO_NT_VUT_REF"))
    assert (made[gaps] == MISSING).all() and (partner[gaps] == MISSING).all()
    np.testing.assert_allclose(made[~gaps], (partner - nee)[~gaps], atol=1e-4)
    assert np.std((made - gpp)[~gaps]) > np.std((partner - reco)[~gaps])
