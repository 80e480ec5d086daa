"""Networks that are told the parameters of the process model: what they read, and members bound to one set."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import train_toy as toy
from fluxatlas.config.train import TrainBlock
from fluxatlas.loading import load_object
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.emulation import COLUMNS, emulation_table
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.losses import Objective
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.networks.cells import CELLS
from fluxatlas.train.pretrain import handing, pretrain, single, split_samples

PRIORS = load_object(toy.SYSTEM.priors)()
FORMS = dict.fromkeys(toy.SYSTEM.choices, 0.0)
DEFAULTS = {name: prior.default for name, prior in PRIORS.items()}


@pytest.fixture(scope="module")
def batch():
    data = toy.samples(n=6, days=40)
    return data, data.batch(data.windows(40), warmup=0)


def _network(data, **architecture) -> HierarchicalNetwork:
    torch.manual_seed(1)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=8, **architecture)).eval()
    network.scaler.fit(data.values())
    torch.nn.init.normal_(network.parts["biogeochemistry"].readout.weight, std=0.1)  # also where it is zero at first
    return network


@pytest.mark.parametrize("head", ["column", "diffusion_oxidation"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_bound_network_does_what_the_told_one_does(batch, cell, layers, head) -> None:
    data, tensors = batch
    network = _network(data, cell=cell, layers=layers, code=5, window=20, head=head)
    theta = {"oxidation_rate": 9e-5, "litter_depth": 0.07, "moisture": 2.0, "melt_factor": 5.5}
    told = {name: torch.full((6,), value) for name, value in theta.items()}
    with torch.no_grad():
        ours, state = network(tensors.drivers, tensors.statics, theta=told)
        bound = network.bind(theta)
        theirs, end = bound(tensors.drivers, tensors.statics)
        ignored, _ = bound(tensors.drivers, tensors.statics, theta={"oxidation_rate": torch.full((6,), 1e-6)})
    assert bound.architecture.code == 0 and bound.architecture.theta == {**DEFAULTS, **FORMS, **theta}
    assert torch.equal(ignored["fch4"], theirs["fch4"])
    assert bound.bind({"oxidation_rate": 1e-6}).architecture == bound.architecture
    assert sum(w.numel() for w in bound.parameters()) < sum(w.numel() for w in network.parameters())
    for name, values in ours.items():
        torch.testing.assert_close(theirs[name], values, rtol=2e-4, atol=1e-6)
    for name, values in state.items():
        torch.testing.assert_close(end[name], values, rtol=1e-4, atol=1e-5)


def test_what_is_not_told_is_the_default(batch) -> None:
    data, tensors = batch
    network = _network(data, code=5)
    given = {name: torch.full((6,), DEFAULTS[name]) for name in DEFAULTS}
    with torch.no_grad():
        silent, _ = network(tensors.drivers, tensors.statics)
        told, _ = network(tensors.drivers, tensors.statics, theta=given | {"profile": torch.zeros(6)})
    for name, values in told.items():
        torch.testing.assert_close(silent[name], values)


@pytest.mark.parametrize("name", toy.SYSTEM.told)
def test_every_parameter_and_choice_reaches_the_flux_or_the_soil(batch, name) -> None:
    """A change of one parameter at one cell changes that cell and no other."""
    data, tensors = batch
    network = _network(data, code=5)
    theta = dict(tensors.theta)
    with torch.no_grad():
        before, _ = network(tensors.drivers, tensors.statics, theta=theta)
        theta[name] = theta[name].clone()
        theta[name][2] = 1 - theta[name][2].clamp_max(1) if name in toy.SYSTEM.choices else PRIORS[name].upper
        after, _ = network(tensors.drivers, tensors.statics, theta=theta)
    moved = {out for out in after if not torch.equal(after[out][:, 2], before[out][:, 2])}
    assert moved
    rest = [0, 1, 3, 4, 5]
    assert all(torch.equal(after[out][:, rest], before[out][:, rest]) for out in after)


def _worlds(n: int, days: int, rng: np.random.Generator) -> SequenceSet:
    """The toy world where uptake follows a parameter that differs between series: 4 to 1."""
    data = toy.samples(n=n, days=days, seed=3)
    factor = rng.choice([0.5, 2.0], n).astype(np.float32)
    targets = dict(data.targets)
    targets["oxk"] = targets["oxk"] * factor**2
    known = {**data.drivers, **data.statics, **targets}
    fluxes = toy.fluxes({k: torch.as_tensor(np.asarray(v, np.float64)) for k, v in known.items()})
    targets |= {k: v.numpy().astype(np.float32) for k, v in fluxes.items()}
    theta = {name: np.full(n, DEFAULTS.get(name, 0.0), np.float32) for name in toy.SYSTEM.told}
    theta["oxidation_rate"] = (4e-5 * factor**2).astype(np.float32)
    segments = tuple(Segment(k, 0, days) for k in range(n))
    dates = pd.date_range("2000-01-01", periods=days)
    sites = tuple(map(str, range(n)))
    return SequenceSet(
        dates, sites, data.lat, data.lon, np.arange(n), data.drivers, data.statics, targets, segments, theta=theta
    )


def test_told_networks_learn_the_model_and_silent_ones_its_average() -> None:
    """Held-out series of two kinds that only the parameter tells apart."""
    data = _worlds(48, 60, np.random.default_rng(5))
    settings = {
        "head": "diffusion_oxidation",
        "hidden": 8,
        "pretrain_epochs": 40,
        "sequence_days": 60,
        "warmup_days": 0,
        "batch": 12,
        "patience": 40,
    }
    scores = {}
    for code, seed in ((0, 1), (4, 1), (4, 2)):  # few series are held out: other seeds, other scores
        block = TrainBlock(**settings, pretrain_rate=0.02, code=code, seed=seed)
        member, _ = pretrain(data, toy.SYSTEM, block, 0, "4km")
        table = emulation_table(member.network, split_samples(data, block, block.seed)[1], toy.SYSTEM)
        scores[code, seed] = table.set_index("variable").loc["ch4ox", "r2_mean"]
    assert np.mean([scores[4, 1], scores[4, 2]]) > 0.75 and scores[4, 1] > scores[0, 1] + 0.5
    assert scores[0, 1] < 0.5


def test_what_is_handed_on_in_every_second_step_is_scored_besides() -> None:
    """The flux with true soil temperature is better than with the network's own; what is handed on is not scored."""
    data = _worlds(24, 40, np.random.default_rng(5))
    assert (handing(data, ["tsl05"]).overrides["tsl05"] == data.targets["tsl05"]).all()
    block = TrainBlock(hidden=4, pretrain_epochs=1, sequence_days=40, warmup_days=0, batch=6, measured_inputs=["tsl05"])
    objective = Objective(toy.SYSTEM, "pretrain", Knowledge.of(toy.SYSTEM, "pretrain"))
    steps = single(objective, data, block, "cpu")(None)
    assert [sorted(step()[0][2].overrides) for step in steps] == [[], ["tsl05"]] * 4  # validation: each group both ways
    one_group = single(objective, data, block.model_copy(update={"batch": 24}), "cpu")
    firsts = [one_group(np.random.default_rng(epoch))[0]()[0][2].overrides for epoch in range(40)]
    assert 10 < sum("tsl05" in given for given in firsts) < 30
    four = [bool(step()[0][2].overrides) for step in single(objective, data, block, "cpu")(np.random.default_rng(3))]
    assert four in ([False, True] * 2, [True, False] * 2)
    member, _ = pretrain(data, toy.SYSTEM, block, 0, "4km")
    table = emulation_table(member.network, data, toy.SYSTEM, ["tsl05"])
    own, given = (table[table["given"] == name]["variable"].tolist() for name in ("", "tsl05"))
    assert "tsl05" in own and "tsl05" not in given and len(given) == len(own) - 1


def test_samples_of_a_domain_that_is_one_block_have_nothing_held_out() -> None:
    data = _worlds(4, 20, np.random.default_rng(5))
    made = emulation_table(HierarchicalNetwork(toy.SYSTEM), data.only(np.zeros(4, bool)), toy.SYSTEM)
    assert made.empty and tuple(made.columns) == COLUMNS


def test_a_bias_is_not_related_to_nothing() -> None:
    """Snow where it does not snow: percent of 1e-30 would be a number of thirty digits."""
    data = _worlds(4, 20, np.random.default_rng(5))
    nothing = replace(data, targets={**data.targets, "tsl05": 1e-30 * np.ones_like(data.targets["tsl05"])})
    network = HierarchicalNetwork(toy.SYSTEM)
    for held, known in ((data, True), (nothing, False)):
        table = emulation_table(network, held, toy.SYSTEM).set_index("variable")
        assert np.isfinite(table.loc["tsl05", "bias_percent"]) == known and table.loc["tsl05", "rmse"] > 0
