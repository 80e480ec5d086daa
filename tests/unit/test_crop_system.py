"""The system of crop carbon: closure, signs and harvests of its network, and the process model that it learns from."""

from typing import Any

import numpy as np
import pytest
import torch

import crop_cases as cases
from fluxatlas.drivers import slow_drivers
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.systems import get_system
from fluxatlas.systems.crop_carbon import knowledge
from fluxatlas.systems.crop_carbon.network import harvest
from fluxatlas.systems.crop_carbon.process import MODEL, priors
from fluxatlas.systems.crop_carbon.truth import TRUTH
from fluxatlas.theta import draw
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.variables import check_range

SYSTEM = get_system("crop_carbon")
CELLS = 12
LAT = np.where(np.arange(CELLS) % 3 == 2, -38.0, 40.0)


@pytest.fixture(scope="module")
def world() -> dict[str, Any]:
    """Three years, north and south: drivers, what the process model makes of draws of its prior, statics, theta."""
    forcing, dates = cases.weather(LAT, 3, 13.0, 12.0, 950.0)
    drivers = {**forcing, "sfcWind": np.full_like(forcing["tas"], 3.0)}
    slow = slow_drivers(SYSTEM.slow, dates, LAT, {}, series_of(SYSTEM.slow))
    theta = draw(priors(), SYSTEM.choices, CELLS, np.random.default_rng(4))
    soil = cases.soils(CELLS)
    soil["soc"] = np.linspace(6.0, 30.0, CELLS)
    made = MODEL.simulate({**drivers, **slow}, soil, lat=LAT, dates=dates, spinup_years=2, theta=theta)
    statics = {name: values for name, values in {**soil, **MODEL.derive(soil)}.items() if name in SYSTEM.statics}
    return {"drivers": {**drivers, **slow}, "made": made, "statics": statics, "theta": theta, "dates": dates}


def tensors(given: dict[str, Any], dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(np.asarray(values), dtype=dtype) for name, values in given.items()}


def network_for(world: dict[str, Any], head: str = "hard") -> HierarchicalNetwork:
    torch.manual_seed(0)
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=4, code=3, head=head))
    network.scaler.fit({**world["drivers"], **world["made"], **world["statics"]})
    return network.eval()


def run(network: HierarchicalNetwork, world: dict[str, Any], dtype: torch.dtype = torch.float32, **more: Any) -> Any:
    drivers, statics, theta = (tensors(part, dtype) for part in (world["drivers"], world["statics"], theta_of(world)))
    return network(drivers, statics, theta=theta, **more)


def events(world: dict[str, Any]) -> torch.Tensor:
    return harvest(tensors({**world["drivers"], **theta_of(world)}))


def theta_of(world: dict[str, Any]) -> dict[str, np.ndarray]:
    return world["theta"].all()


def test_what_grew_is_harvested_or_left(world: dict[str, Any]) -> None:
    """Over all harvests: the sum of production less respiration of plants until the last of them."""
    made, theta = world["made"], theta_of(world)
    event = made["residue"] > 0
    assert (event.sum(axis=0) == 3).all()
    for cell in range(CELLS):
        last = np.flatnonzero(event[:, cell])[-1]
        fixed = (made["gpp"] - made["ra"])[: last + 1, cell]
        grew = made["cveg"][0, cell] + fixed[1:].sum()
        taken = (made["harvest"] + made["residue"])[:, cell].sum()
        assert taken == pytest.approx(grew, rel=1e-9)
    assert {name: values for name, values in theta.items() if name.startswith("wheat")} == {}
    for name in SYSTEM.simulated:
        check_range(made[name], name, where="process model")


def test_the_network_harvests_when_the_process_model_does(world: dict[str, Any]) -> None:
    np.testing.assert_array_equal(events(world).numpy() == 1, world["made"]["residue"] > 0)


@pytest.mark.parametrize("head", SYSTEM.heads)
def test_identities_hold_to_round_off(world: dict[str, Any], head: str) -> None:
    network = network_for(world, head).double()
    with torch.no_grad():
        made, _ = run(network, world, torch.float64)
    assert torch.equal(made["reco"], made["ra"] + made["rh"])
    assert all(bool((made[name] >= 0).all()) for name in ("gpp", "ra", "rh", "harvest", "residue"))
    closed = torch.equal(made["nee"], made["reco"] - made["gpp"])
    assert closed == (head == "hard")
    event = events(world)
    assert not ((made["harvest"] + made["residue"]) * (1 - event)).any()
    for cell in range(CELLS):
        days = torch.nonzero(event[:, cell]).flatten().tolist()
        for begin, end in zip([-1, *days], days, strict=False):
            grew = (made["gpp"] - made["ra"])[begin + 1 : end + 1, cell].sum().clamp_min(0.0)
            taken = made["harvest"][end, cell] + made["residue"][end, cell]
            assert float(taken - grew) == pytest.approx(0.0, abs=1e-9 * max(1.0, float(grew)))


def test_two_halves_with_carried_state_equal_one_run(world: dict[str, Any]) -> None:
    network, statics, theta = network_for(world), tensors(world["statics"]), tensors(theta_of(world))
    drivers = tensors(world["drivers"])
    with torch.no_grad():
        whole, last = network(drivers, statics, theta=theta)
        one, state = network({k: v[:400] for k, v in drivers.items()}, statics, theta=theta)
        two, end = network({k: v[400:] for k, v in drivers.items()}, statics, state, theta=theta)
    for name, values in whole.items():
        assert torch.allclose(torch.cat([one[name], two[name]]), values, rtol=1e-4, atol=1e-4), name
    shapes = {name: (shape[0], CELLS, shape[1]) for name, shape in network.state_shapes.items()}
    assert (
        {name: tuple(values.shape) for name, values in last.items()}
        == shapes
        == {name: tuple(values.shape) for name, values in end.items()}
    )
    assert shapes["yield_total"] == (1, CELLS, 1)
    assert network.shape.state == sum(first * length for first, length in network.state_shapes.values())


def test_the_balance_is_open_by_what_exceeds_one_percent() -> None:
    gpp, ra, rh = (torch.tensor([value]) for value in (10.0, 4.0, 2.0))
    nee = torch.tensor([-3.9], requires_grad=True)
    term = knowledge.balance(gpp, ra, rh, nee)
    term.backward()
    assert float(term.detach()) == pytest.approx(0.1 - 0.06, abs=1e-6) and nee.grad is not None
    assert float(nee.grad) == 1.0
    assert knowledge.balance(gpp, ra, rh, torch.tensor([-3.95])) == 0


def test_terms_of_both_heads_have_gradients(world: dict[str, Any]) -> None:
    network = network_for(world, "soft").train()
    outputs, _ = run(network, world)
    known = tensors({**world["drivers"], **world["statics"]})
    terms = Knowledge.of(SYSTEM, "pretrain", head="soft").evaluate(network, outputs, known, tensors(theta_of(world)))
    assert float(terms["balance"].detach()) > 0
    sum(terms.values()).backward()
    assert all(torch.isfinite(one.grad).all() for one in network.parameters() if one.grad is not None)
    assert "balance" not in Knowledge.of(SYSTEM, "pretrain", head="hard").weights


def test_the_truth_keeps_to_bounds_and_identities(world: dict[str, Any]) -> None:
    rng, soil = np.random.default_rng(1), MODEL.attributes_of(world["statics"])
    fields: dict[str, np.ndarray] = {}

    def waves(name: str) -> np.ndarray:
        return fields.setdefault(name, rng.standard_normal(CELLS))

    hidden = TRUTH.parameters(np.full(CELLS, 12.0), soil, {}, waves, waves)
    bounds = priors()
    assert all((bounds[k].lower <= v).all() and (v <= bounds[k].upper).all() for k, v in hidden.items())
    made = TRUTH.simulate(world["drivers"], soil, hidden, lat=LAT, dates=world["dates"])
    np.testing.assert_allclose(made["nee"], made["ra"] + made["rh"] - made["gpp"], atol=1e-12)
    for name in SYSTEM.simulated:
        check_range(made[name], name, where="truth")
