"""The hierarchical network: gradients, state, overrides, and what it refuses."""

from __future__ import annotations

import pytest
import torch

import train_toy as toy
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.systems import Total
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.networks.cells import CELLS
from fluxatlas.train.networks.totals import run_totals
from fluxatlas.train.scaler import unbend


@pytest.fixture(scope="module")
def data():
    return toy.samples(n=3, days=50)


def network_for(data, **architecture) -> HierarchicalNetwork:
    torch.manual_seed(3)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=6, window=30, **architecture))
    network.scaler.fit(data.values())
    return network


def batch_of(data, warmup=0):
    return data.batch(data.windows(40), warmup)


HEADS = ({"head": "free"}, {"head": "diffusion_oxidation"})


@pytest.mark.parametrize("architecture", [*({"cell": cell} for cell in CELLS), {"layers": 2, "dropout": 0.1}, *HEADS])
def test_every_parameter_has_a_finite_gradient(data, architecture) -> None:
    network, batch = network_for(data, **architecture), batch_of(data)
    outputs, _ = network(batch.drivers, batch.statics)
    sum(
        (network.scaler.scale(k, v) if k in network.scaler.position else v).mean() for k, v in outputs.items()
    ).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        if name.endswith(("bias_ih_l0", "weight_ih_l0", "readout.weight")) or architecture.get("cell", "gru") not in (
            "gru",
            "lstm",
        ):
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("architecture", [*({"cell": cell} for cell in CELLS), {"layers": 2}, *HEADS])
def test_two_halves_with_carried_state_equal_one_run(data, architecture) -> None:
    network, batch = network_for(data, **architecture).eval(), batch_of(data)
    whole, last = network(batch.drivers, batch.statics)
    first, state = network({k: v[:17] for k, v in batch.drivers.items()}, batch.statics)
    second, end = network({k: v[17:] for k, v in batch.drivers.items()}, batch.statics, state)
    for name, values in whole.items():
        joined = torch.cat([first[name], second[name]])
        assert torch.allclose(joined, values, rtol=1e-5, atol=1e-6 * float(values.detach().abs().max())), name
    assert all(torch.allclose(end[name], last[name], atol=1e-5) for name in last)
    shapes = {name: (shape[0], batch.site.numel(), shape[1]) for name, shape in network.state_shapes.items()}
    assert {name: tuple(value.shape) for name, value in last.items()} == shapes
    remember = [part.name for part in network.submodules][: 3 if "head" in architecture else 2]  # physics does not
    assert list(shapes) == remember
    held = sum(first * last for first, last in network.state_shapes.values())
    assert network.shape.state == held or ("head" not in architecture and network.shape.state > held)


def test_a_total_is_released_on_the_day_of_an_event_and_begins_again() -> None:
    total = Total("store", ("in", "more"), ("out",), "full")
    known = {"in": torch.tensor([1.0, 2.0, 3.0, 4.0]), "more": torch.ones(4), "out": torch.tensor([0.0, 1.0, 0.0, 9.0])}
    known = {name: values[:, None].requires_grad_() for name, values in known.items()}
    events = {"full": lambda _: torch.tensor([0.0, 1.0, 0.0, 0.0])[:, None]}
    found, state = run_totals([total], events, known, torch.full((1, 1, 1), 10.0))
    assert found["store"].flatten().tolist() == [0.0, 10 + 2 + 2, 0.0, 0.0]
    assert state.flatten().tolist() == [4.0 - 4.0]
    found["store"].sum().backward()
    assert [known[name].grad.flatten().tolist() for name in ("in", "out")] == [[1, 1, 0, 0], [-1, -1, 0, 0]]
    with torch.no_grad():
        later, _ = run_totals([total], {"full": lambda _: torch.ones(4, 1)}, known, state)
    assert later["store"].flatten().tolist() == [2.0, 2.0, 4.0, -4.0]


def test_overrides_replace_where_finite_and_pass_on(data) -> None:
    network, batch = network_for(data).eval(), batch_of(data)
    plain, _ = network(batch.drivers, batch.statics)
    warm = torch.full_like(plain["tsl05"], float("nan"))
    warm[10:] = 300.0
    changed, _ = network(batch.drivers, batch.statics, overrides={"tsl05": warm})
    assert torch.equal(changed["tsl05"][:10], plain["tsl05"][:10])
    assert (changed["tsl05"][10:] == 300.0).all()
    assert torch.equal(changed["swc05"][:10], plain["swc05"][:10])
    assert not torch.equal(changed["swc05"][10:], plain["swc05"][10:])


@pytest.mark.parametrize("head", toy.SYSTEM.heads)
def test_a_site_without_meteorology_runs_the_last_submodule_alone(data, head) -> None:
    network, batch = network_for(data, head=head).eval(), batch_of(data)
    plain, _ = network(batch.drivers, batch.statics)
    few = {name: batch.drivers[name] for name in ("lai", "ch4", "ps", "tas", "huss")}
    upstream = {name: plain[name] for part in toy.SYSTEM.submodules[:2] for name in part.outputs}
    alone, state = network(few, batch.statics, overrides=upstream, modules=("biogeochemistry",))
    assert torch.allclose(alone["fch4"], plain["fch4"], rtol=1e-6)
    assert set(state) == (set() if head == "column" else {"biogeochemistry"})


def test_absent_inputs_are_named(data) -> None:
    network, batch = network_for(data), batch_of(data)
    without = {name: values for name, values in batch.drivers.items() if name not in ("rlds", "tas")}
    with pytest.raises(InputError, match="'thermal' lacks tas, rlds"):
        network(without, batch.statics)
    few = {"lai": batch.drivers["lai"]}
    with pytest.raises(InputError, match="'biogeochemistry' lacks tsl05"):
        network(few, batch.statics, modules=("biogeochemistry",))
    full = {name: torch.ones_like(few["lai"]) for part in toy.SYSTEM.submodules for name in part.outputs}
    with pytest.raises(InputError, match="head 'column' lacks ch4"):
        network(few, batch.statics, overrides=full, modules=())
    with pytest.raises(InputError, match="head 'column' lacks ch4, ps, tas, huss"):
        network(few, batch.statics, overrides=full, modules=("biogeochemistry",))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "gruu"}, "did you mean 'gru'"),
        ({"head": "fre"}, "did you mean 'free'"),
        ({"options": {"diffusivty": "curry"}}, "did you mean 'diffusivity'"),
        ({"options": {"diffusivity": "cury"}}, "did you mean 'curry'"),
    ],
)
def test_unknown_parts_are_refused_with_the_nearest(wrong, message) -> None:
    with pytest.raises(ConfigError, match=message):
        HierarchicalNetwork(toy.SYSTEM, Architecture(**wrong))


def test_statics_beyond_the_samples_are_held_at_their_edge_and_named(data) -> None:
    network, batch = network_for(data), batch_of(data)
    part = network.submodules[-1]
    used = next(name for name in part.statics if name in ("sand", "phh2o", "soc"))
    index = network.scaler.position[used]
    centre, spread = float(network.scaler.mean[index]), float(network.scaler.spread[index])
    known = {**batch.drivers, **{name: torch.ones_like(batch.drivers["tas"]) for name in part.upstream}}

    def run(z: float) -> torch.Tensor:
        bent = torch.full_like(batch.statics[used], centre + z * spread)
        statics = {**batch.statics, used: unbend(used, bent)}
        assert bool(network.beyond(statics)[used].all()) == (abs(z) > 4)
        return network.features(part, {**known, **statics})

    assert torch.equal(run(40.0), run(4.001)) and torch.equal(run(-9.0), run(-4.001))
    assert not torch.equal(run(3.9), run(3.0))
