"""The fused engine gives what torch gives, for every network that it takes, and steps aside for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

import infer_world as world
import toy_system
from fluxatlas import variables
from fluxatlas.errors import ConfigError
from fluxatlas.infer import engine, fused
from fluxatlas.infer.engine import FusedEngine, TorchEngine, make_engine
from fluxatlas.infer.pointwise import FIXED, NotPointwiseError, Recorder, assemble
from fluxatlas.infer.pointwise_kernel import ROW, carry_out
from fluxatlas.systems import SYSTEMS, get_system
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.scaler import bend

NETWORKS: dict[str, dict[str, Any]] = {
    "bound": {},
    "told": {"code": 5},
    "other parameters": {"code": 5, "theta": {"oxidation_rate": 0.9, "moisture": 2.0, "temperature": 1.0}},
    "odd width": {"hidden": 7},
    "two layers": {"layers": 2},
    "diffusion and oxidation": {"head": "diffusion_oxidation", "options": {"diffusivity": "moldrup_wlr"}},
    "no physics": {"head": "free"},
}


def member(folder: Path, **architecture: Any) -> Member:
    return Member.load(world.write_member(folder / "0.pt", 4, **architecture))


def inputs(days: int, cells: int, seed: int = 1) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Drivers with frost, drought and rain, and statics; float32."""
    rng = np.random.default_rng(seed)
    known = {k: np.asarray(v, np.float32) for k, v in world._scaler_data(rng).items()}
    known |= {k: np.full(365, 1850.0) for k in ("ch4",)}
    statics = {k: rng.choice(known[k].ravel(), cells).astype(np.float32) for k in world.SYSTEM.statics}
    names = (*world.SYSTEM.forcing, *world.SYSTEM.slow_drivers)
    return {k: rng.choice(known[k].ravel(), (days, cells)).astype(np.float32) for k in names}, statics


def assert_close(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].shape == values.shape and found[name].dtype == np.float32
        departure = np.sqrt(np.mean((found[name] - values.astype(float)) ** 2))
        assert departure <= 2e-5 * values.std() + 1e-7 * np.abs(values).max(), name


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_and_state_are_those_of_torch(tmp_path, network) -> None:
    own = member(tmp_path, **NETWORKS[network])
    mine, torchs = make_engine("fused", own), TorchEngine(own)
    state = other = None
    for days, cells in ((21, 70), (3, 70)):
        drivers, statics = inputs(days, cells, seed=days)
        found, state = mine.run(drivers, statics, state)
        wanted, other = torchs.run(drivers, statics, other)
        assert_close(found, wanted)
        assert_close(state, other)


@pytest.mark.parametrize("system", [*map(get_system, SYSTEMS), toy_system.TOY], ids=lambda one: one.name)
def test_every_system_is_taken_with_every_head(system) -> None:
    rng = np.random.default_rng(3)

    def values(name: str, *shape: int) -> np.ndarray:
        low, high = (min(max(limit, -1e3), 2e5) for limit in variables.get(name).valid)
        return (low + (high - low) * rng.uniform(0.3, 0.6, shape)).astype(np.float32)

    drivers = {name: values(name, 12, 66) for name in (*system.forcing, *system.slow_drivers)}
    statics = {name: values(name, 66) for name in system.statics}
    for head in system.heads:
        torch.manual_seed(1)
        network = HierarchicalNetwork(system, Architecture(hidden=8, head=head, code=4 if system.told else 0))
        for name, given in {**drivers, **statics}.items():
            bent = bend(name, torch.as_tensor(given, dtype=torch.float64))
            if name in network.scaler.position:
                network.scaler.mean[network.scaler.position[name]] = float(bent.mean())
                network.scaler.spread[network.scaler.position[name]] = float(bent.std()) + 1e-6
        own = Member(network, "4km")
        mine, torchs, state, other = FusedEngine(own), TorchEngine(own), None, None
        for days in (slice(0, 7), slice(7, 12)):
            part = {name: given[days] for name, given in drivers.items()}
            found, state = mine.run(part, statics, state)
            wanted, other = torchs.run(part, statics, other)
            assert_close(found, wanted)
            assert_close(state, other)


@pytest.mark.parametrize("cells", [1, 2, 63, 64, 65])
def test_blocks_of_any_size_give_the_same_bits(tmp_path, cells) -> None:
    own = FusedEngine(member(tmp_path))
    drivers, statics = inputs(9, 65)
    whole, state = own.run(drivers, statics, None)
    part, last = own.run(
        {k: v[:, :cells] for k, v in drivers.items()}, {k: v[:cells] for k, v in statics.items()}, None
    )
    for name, values in part.items():
        assert np.array_equal(values, whole[name][:, :cells]), name
    for name, values in last.items():
        assert np.array_equal(values, state[name][:, :cells]), name


def test_years_cut_into_pieces_give_the_same_bits(tmp_path) -> None:
    own = FusedEngine(member(tmp_path))
    drivers, statics = inputs(12, 5)
    whole, last = own.run(drivers, statics, None)
    state, found = None, []
    for days in (slice(0, 1), slice(1, 8), slice(8, 12)):
        outputs, state = own.run({k: v[days] for k, v in drivers.items()}, statics, state)
        found.append(outputs["fch4"])
    assert np.array_equal(np.concatenate(found), whole["fch4"])
    assert all(np.array_equal(state[name], last[name]) for name in last)


def test_inputs_stay_as_they_are(tmp_path) -> None:
    drivers, statics = inputs(4, 5)
    before = {name: values.copy() for name, values in {**drivers, **statics}.items()}
    _, state = FusedEngine(member(tmp_path)).run(drivers, statics, None)
    kept = {name: values.copy() for name, values in state.items()}
    FusedEngine(member(tmp_path)).run(drivers, statics, state)
    assert all(np.array_equal(before[name], values) for name, values in {**drivers, **statics}.items())
    assert all(np.array_equal(kept[name], values) for name, values in state.items())


def test_other_cells_run_in_torch_with_one_message(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(engine, "_TOLD", set())
    own = member(tmp_path, cell="lstm")
    drivers, statics = inputs(4, 5)
    found = [make_engine("auto", own).run(drivers, statics, None)[0] for _ in range(2)]
    said = capsys.readouterr().err
    assert said.count("the fused engine cannot run a member") == 1 and "'lstm' has no kernel" in said
    wanted, _ = TorchEngine(own).run(drivers, statics, None)
    assert all(np.array_equal(one["fch4"], wanted["fch4"]) for one in found)
    with pytest.raises(ConfigError, match="'lstm' has no kernel"):
        make_engine("fused", own).run(drivers, statics, None)


def test_an_engine_that_is_wrong_is_found_out(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(engine, "_TOLD", set())
    right = fused.forward

    def wrong(*given: Any) -> None:
        right(*given)
        given[17][:] += np.float32(1e-2)

    monkeypatch.setattr(fused, "forward", wrong)
    own = member(tmp_path)
    drivers, statics = inputs(8, 5)
    found, _ = make_engine("auto", own).run(drivers, statics, None)
    assert "differs by" in capsys.readouterr().err
    wanted, _ = TorchEngine(own).run(drivers, statics, None)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_broken_weights_give_what_torch_gives(tmp_path) -> None:
    own = member(tmp_path)
    parts: Any = own.network.parts
    with torch.no_grad():
        parts["thermal"].cell.weight_ih_l0[0, 0] = torch.nan
    found, _ = make_engine("auto", own).run(*inputs(4, 5), None)
    assert np.isnan(found["tsl05"]).any()


FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "powers": lambda x, y: x.abs() ** 1.81 + x**3 + x**2.0 + 2.0**y + (x.abs() + 0.1) ** y + x.abs() ** 0.5,
    "exp": lambda x, y: torch.exp(20 * x) + torch.exp(-80 * x.abs()) + torch.sinh(x) + torch.tanh(9 * y),
    "log": lambda x, y: torch.log(x.abs() + 1e-6) + torch.log1p(y) + torch.asinh(100 * x) + torch.logit(y, 0.01),
    "limits": lambda x, y: x.clamp(-0.5, 0.5) + torch.maximum(x, y) - torch.minimum(x, 0.3 * y) + y.clamp_max(0.2),
    "choice": lambda x, y: torch.where((x < y) & (y > 0.2), x, 2 - y) + (x >= 0) * 1.5 + torch.relu(x - 0.1),
    "smooth": lambda x, y: softplus(30 * x) + torch.sigmoid(12 * x) + 1 / (1 + y) + 3.0 - y,
    "layers": lambda x, y: torch.stack([x, y, x * y]).sum(dim=0) + torch.cat([x, y])[-len(y) :],
    "weights": lambda x, y: (torch.stack([x, y], -1) @ torch.tensor([[1.0, 2.0], [3.0, -1.0]]).T)[..., 1],
    "profile": lambda x, y: torch.einsum("ld,dtc->ltc", torch.tensor([[0.2, 0.8], [1.0, 0.0]]), torch.stack([x, y]))[0],
    "table": lambda x, y: torch.stack([x, y, x]).gather(0, torch.ones(1, *x.shape, dtype=torch.long))[0] * x,
}


@pytest.mark.parametrize("form", FORMS)
def test_formulas_are_recorded_as_torch_evaluates_them(form) -> None:
    rng = np.random.default_rng(2)
    series, still = rng.uniform(-1, 1, (3, 2 * ROW)).astype(np.float32), rng.uniform(0, 1, 2 * ROW).astype(np.float32)
    recorder = Recorder()
    graph, x, y = recorder.graph, torch.from_numpy(series[:2, :3].copy()), torch.from_numpy(still[:3].copy())
    numbers = graph.given("x", 0), graph.given("y", FIXED)
    recorder.give(x, torch.tensor(numbers[0]))
    recorder.give(y, torch.tensor(numbers[1]))
    with torch.no_grad(), recorder:
        made = FORMS[form](x, y.expand_as(x))
    wanted = FORMS[form](torch.from_numpy(series), torch.from_numpy(still).expand(series.shape)).numpy()
    used = sorted({n for n, stage in enumerate(graph.stage) if stage == FIXED and n != numbers[1]})
    fixed = np.zeros((1 + len(used), 2 * ROW), np.float32)
    fixed[0] = still
    places = {numbers[1]: 0, **{number: 1 + place for place, number in enumerate(used)}}
    once = assemble(graph, FIXED, [(places[n], n) for n in used], {}, {numbers[1]: 0})
    daily = assemble(graph, 0, [(1, recorder.number(made))], {numbers[0]: 0}, places)
    memory = np.stack([series, np.zeros_like(series)])
    for one, days in ((once, 0), (daily, 3)):
        carry_out(one.first, one.program, one.registers, one.constants, memory.ravel(), fixed.ravel(), days, 2 * ROW)
    np.testing.assert_allclose(memory[1], wanted, rtol=3e-6, atol=2e-6)


def test_limits_and_powers_keep_what_is_not_a_number() -> None:
    memory = np.full((2, 1, ROW), np.nan, np.float32)
    recorder = Recorder()
    x = recorder.give(torch.ones(1, 1), torch.tensor(recorder.graph.given("x", 0)))
    with torch.no_grad(), recorder:
        made = torch.exp(x.clamp(0.0, 1.0)) + torch.log(x) + torch.sqrt(x) + torch.maximum(torch.ones_like(x), x)
    daily = assemble(recorder.graph, 0, [(1, recorder.number(made))], {0: 0}, {})
    carry_out(daily.first, daily.program, daily.registers, daily.constants, memory.ravel(), memory.ravel(), 1, ROW)
    assert np.isnan(memory[1]).all()


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (lambda x: torch.cumsum(x, 0), "cumsum"),
        (lambda x: x * 2 if float(x[0, 0]) > 0 else x, "_local_scalar_dense"),
        (lambda x: x + x.flip(1), "flip"),
        (lambda x: torch.stack([x, 2 * x])[:, :, 0].T + 0 * x[:, :1], "alike"),
    ],
)
def test_what_is_not_pointwise_is_refused(form, why) -> None:
    recorder = Recorder()
    x = recorder.give(torch.ones(2, 3), torch.tensor(recorder.graph.given("x", 0)))
    with pytest.raises(NotPointwiseError, match=why), torch.no_grad(), recorder:
        recorder.number(form(x))
