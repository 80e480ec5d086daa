"""The system of crop carbon: closure, signs and harvests of its network, and the process model that it learns from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import crop_cases as cases
from fluxatlas.drivers import slow_drivers
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.process.crop.field import CropStructure, grow
from fluxatlas.systems import get_system
from fluxatlas.systems.crop_carbon import knowledge
from fluxatlas.systems.crop_carbon.calendar import crop_of
from fluxatlas.systems.crop_carbon.network import MOST, harvest
from fluxatlas.systems.crop_carbon.process import MODEL, priors
from fluxatlas.systems.crop_carbon.truth import TRUTH
from fluxatlas.theta import draw
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.variables import check_range

SYSTEM = get_system("crop_carbon")
CELLS = 24
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
    made = world["made"]
    event = made["residue"] > 0
    assert (event.sum(axis=0) == 3).all()
    for cell in range(CELLS):
        last = np.flatnonzero(event[:, cell])[-1]
        fixed = (made["gpp"] - made["ra"])[: last + 1, cell]
        grew = made["cveg"][0, cell] + fixed[1:].sum()
        taken = (made["harvest"] + made["residue"])[:, cell].sum()
        assert taken == pytest.approx(grew, rel=1e-9)
    for name in SYSTEM.simulated:
        check_range(made[name], name, where="process model")


def test_production_that_is_given_is_taken_while_a_crop_grows(world: dict[str, Any]) -> None:
    made, soil = world["made"], MODEL.attributes_of(world["statics"])
    gpp = np.where(np.arange(len(made["gpp"]))[:, None] % 2 == 0, np.float32(3.0), np.float32(np.nan))
    drivers = {**world["drivers"], "gpp": np.repeat(gpp, CELLS, axis=1)}
    where = {"lat": LAT, "dates": world["dates"], "theta": world["theta"]}
    found = MODEL.simulate(drivers, soil, **where, spinup_years=2)
    growing = (made["gpp"] > 0) & (found["gpp"] > 0)
    assert growing[::2].any() and (found["gpp"][::2][growing[::2]] == 3.0).all()
    assert (found["gpp"][1::2][growing[1::2]] != 3.0).any()
    np.testing.assert_allclose(found["nee"], found["ra"] + found["rh"] - found["gpp"], atol=1e-12)


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
    assert shapes["yield_total"] == (1, CELLS, 2)
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
    network, other = network_for(world, "soft").train(), network_for(world, "soft")
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    few = {kind: {k: v[..., :6][-400:] for k, v in world[kind].items()} for kind in ("drivers", "statics")}
    few["theta"] = world["theta"].take(slice(0, 6))
    outputs, _ = run(network, few)
    known = tensors({**few["drivers"], **few["statics"]})
    found = Knowledge.of(SYSTEM, "finetune", head="soft")
    assert "balance" not in Knowledge.of(SYSTEM, "pretrain", head="hard").weights
    assert found.evaluate(network, outputs, known)["preserved"] == 0
    with_reference = replace(found, reference=other, phased=frozenset(["preserved"]))
    terms = with_reference.evaluate(network, outputs, known, tensors(theta_of(few)))
    parts = dict.fromkeys(("balance", "fallow", "preserved"), ("plants", "soil"))
    for name, term in terms.items():
        assert term.requires_grad and torch.isfinite(term), name
        network.zero_grad()
        term.backward(retain_graph=True)
        for part in parts.get(name, ()):
            given = [one.grad for one in network.parts[part].parameters() if one.grad is not None]
            if name != "fallow" or part == "plants":
                assert sum(float(one.abs().sum()) for one in given) > 0, (name, part)
            assert all(torch.isfinite(one).all() for one in given)
    assert min(float(terms[name].detach()) for name in parts) > 0
    same = replace(found, reference=network_for(world, "soft"))
    assert float(same.evaluate(network, outputs, known)["preserved"].detach()) == 0.0


def test_plants_do_not_respire_in_a_bare_field(world: dict[str, Any]) -> None:
    day = torch.tensor([[100.0], [118.0], [200.0], [310.0], [330.0]])
    ra = torch.tensor([[1.0], [2.0], [5.0], [3.0], [7.0]], requires_grad=True)
    maize = torch.zeros(5, 1, dtype=torch.long)
    assert float(knowledge.fallow(ra, day, maize).detach()) == pytest.approx((1 + 7) / 2)  # 113 to 320
    assert float(knowledge.fallow(ra, day, maize + 2).detach()) == 0  # wheat stands over winter
    between = torch.tensor([[260.0], [261.5], [264.0]])
    assert float(knowledge.fallow(torch.ones(3, 1), between, torch.full((3, 1), 2))) == 1.0  # from 260 to 263
    soybean = knowledge.fallow(ra, day, maize + 1)
    soybean.backward()
    assert float(soybean.detach()) == pytest.approx((1 + 2 + 3 + 7) / 4)  # 126 to 305
    assert ra.grad is not None and ra.grad.flatten().tolist() == [0.25, 0.25, 0.0, 0.25, 0.25]
    known = tensors({**world["drivers"], **theta_of(world)})
    made = torch.as_tensor(world["made"]["ra"])
    assert knowledge.fallow(made, known["fieldday"], crop_of(known)) == 0  # in all draws, north and south


def test_a_fall_counts_relative_to_the_greatest_value() -> None:
    curve = torch.tensor([[1.0, 4.0], [3.0, 3.0], [2.0, 4.0]], requires_grad=True)
    found = knowledge.falls(curve)
    found.backward()
    assert float(found.detach()) == pytest.approx((1 / 3 + 1 / 4) / 2)
    # d/dx of (3 - 2) / 3 in the first cell, (4 - 3) / 4 in the second, each a half; the first 4 and the last are ties
    assert curve.grad is not None and curve.grad[2, 0] == pytest.approx(-1 / 6)
    assert knowledge.falls(torch.tensor([[1.0], [1.0], [2.0]])) == 0


def test_a_kept_response_costs_nothing() -> None:
    old = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    least = torch.tensor([0.8, 0.9])
    assert knowledge.departs(3.0 * old - 1.0, old, least) == 0  # linear; the second was flat and asks for nothing
    assert float(knowledge.departs(-old, old, least)) == pytest.approx(1.8)
    assert knowledge.drifts(old[:, 0], old[:, 0]) == 0
    shifted = old[:, 0] + 0.5  # R2 = 1 - 0.25 / 1.25
    assert float(knowledge.drifts(shifted, old[:, 0])) == pytest.approx(0.99 - 0.8, abs=1e-6)


def test_the_generator_obeys_the_responses(world: dict[str, Any]) -> None:
    """In all draws: more soil carbon respires more, more production yields more, and no harvest takes half of it."""
    theta, soil = world["theta"], MODEL.attributes_of(world["statics"])
    forms = {**theta.forms, "rotation": np.array([0, 1, 3, 4, 5])[theta.forms["rotation"]]}
    forms["winter_harvest"] = np.ones(CELLS, int)

    def grown(factor: float, carbon: float) -> Any:
        given = {**world["drivers"], **{k: v for k, v in world["made"].items() if k[:3] in ("tsl", "swc")}}
        given["gpp"] = factor * world["made"]["gpp"]
        site = {**soil, "soc": carbon * soil["soc"]}
        where = {"lat": LAT, "dates": world["dates"], "structure": CropStructure(**forms), "spinup_years": 2}
        return grow(given, site, theta.values, **where)

    less, same, more, rich = (grown(*case) for case in ((0.8, 1.0), (1.0, 1.0), (1.2, 1.0), (1.0, 1.3)))
    yields = torch.as_tensor(np.stack([(one["grain"] + one["straw"]).sum(axis=0) for one in (less, same, more)]))
    assert (yields > 0).all() and knowledge.falls(yields) == 0
    soils = torch.as_tensor(np.stack([one["rh"].mean(axis=0) for one in (same, rich)]))
    assert knowledge.falls(soils) == 0
    made, season = world["made"], np.zeros(CELLS)
    for day in range(len(world["dates"])):
        season += made["gpp"][day]
        taken = made["residue"][day] > 0
        if day > 365:  # a whole season, also in the south
            assert (made["harvest"][day][taken] < MOST["half"] * season[taken]).all()
        season[taken] = 0.0


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
