"""The training loop: it learns, it is reproducible, and a killed run resumes to the same result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import train_toy as toy
from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError
from fluxatlas.train import loop
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.losses import Objective
from fluxatlas.train.pretrain import new_network, pretrain, single, split_samples

SETTINGS = TrainBlock(hidden=6, batch=4, sequence_days=60, warmup_days=10, pretrain_epochs=5, pretrain_rate=0.02)


@pytest.fixture(scope="module")
def data():
    return toy.samples(n=8, days=120)


def run(data, checkpoint=None, settings=SETTINGS, member=0):
    return pretrain(data, toy.SYSTEM, settings, member, "4km", checkpoint)


def objective_for(network) -> Objective:
    return Objective(toy.SYSTEM, "pretrain", Knowledge.of(toy.SYSTEM, "pretrain"))


@torch.no_grad()
def score(network, data, settings) -> float:
    """The validation score anew: mean total over the steps by their observed fluxes, without probes."""
    mixtures = [make() for make in single(objective_for(network), data, settings, "cpu")(None)]
    fluxes = [[one for one in m[0][2].observations if one.operator.variable in ("fch4", "ch4ox")] for m in mixtures]
    counts = [sum(one.size for one in sets) for sets in fluxes]
    return float(np.average([score_of(network, m) for m in mixtures], weights=counts))


@torch.no_grad()
def score_of(network, mixture) -> float:
    """The total of one step, without probes."""
    objective = objective_for(network)
    return float(objective.total(objective.terms(network, mixture[0][2], probe=False)))


def same(one, other) -> bool:
    first, second = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def uninterrupted(data):
    return run(data)


def test_the_loss_falls_and_every_term_is_logged(uninterrupted) -> None:
    member, history = uninterrupted
    assert len(history) == 5 and history["total"].iloc[-1] < 0.7 * history["total"].iloc[0]
    assert history["flux"].iloc[-1] < 0.7 * history["flux"].iloc[0]
    for name in ("flux", "thermal", "hydrology", "biogeochemistry", *(t.name for t in toy.SYSTEM.terms())):
        assert {name, f"weighted_{name}"} <= set(history.columns)
    weighted = [name for name in history if name.startswith("weighted_")]
    np.testing.assert_allclose(history[weighted].sum(axis=1), history["total"], rtol=1e-4)
    assert member.applicability is None  # series shorter than a year have no climate to judge by
    assert member.meta["site_days"] == 960 and member.meta["span"] == ["2000-01-01", "2000-04-29"]


def test_the_share_of_a_term_is_that_of_its_gradient(data, capsys) -> None:
    """Shares of one step against the gradients of each term by itself; the step is what it is without measuring."""
    settings = SETTINGS.model_copy(update={"knowledge": {"moisture": 1e-7, "temperature": 0.0}})
    network = new_network(toy.SYSTEM, settings, data, 0)
    objective = Objective(toy.SYSTEM, "pretrain", Knowledge.of(toy.SYSTEM, "pretrain", settings.knowledge))
    steps = single(objective, data, settings, "cpu")
    mixture = steps(np.random.default_rng(0))[0]()
    trainer = loop.Trainer(network, [], steps, lambda phase: (), 1, 5, 1.0)
    norms: dict[str, float] = {}
    trainer._step(mixture, backward=True, norms=norms)
    measured = [weight.grad.clone() for weight in network.parameters()]
    for name, weight in objective.weights().items():
        network.zero_grad()
        term = objective.terms(network, mixture[0][2])[name]
        if weight != 0:
            (weight * term).backward()
        gradients = [value.grad for value in network.parameters() if value.grad is not None]
        expected = sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5
        assert norms[name] == pytest.approx(expected, rel=1e-4, abs=1e-12), name
    assert norms["temperature"] == 0 and norms["flux"] > 0
    network.zero_grad()
    trainer._step(mixture, backward=True)
    for weight, gradient in zip(network.parameters(), measured, strict=True):
        torch.testing.assert_close(weight.grad, gradient)
    _, history = run(data, settings=settings)
    shares = history.filter(like="share_").dropna()
    assert len(shares) >= 1
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    said = capsys.readouterr().err
    assert "terms below 1 % of the gradient, without effect:" in said and "moisture (" in said
    assert "temperature (" not in said and "flux (" not in said


@pytest.mark.parametrize("size", [1, 3])
def test_the_validation_score_does_not_depend_on_how_the_observations_are_batched(data, size) -> None:
    """Sites with 2 to 114 observed days: as one batch, or in batches of few and of many observations."""
    few = replace(data, targets={"fch4": data.targets["fch4"].copy()})
    for site in range(8):
        few.targets["fch4"][2 + 16 * site :, site] = np.nan
    network = new_network(toy.SYSTEM, SETTINGS, data, 0)

    def mixtures(size: int) -> list[loop.Mixture]:
        return [[(1.0, objective_for(network), batch)] for batch in few.batches(size, 120, 10, None)]

    def score(size: int) -> float:
        return loop.Trainer(network, [], lambda rng: [], lambda phase: mixtures(size), 0, 1, 1.0)._score()

    assert [len(mixtures(n)) for n in (8, size)] == [1, -(-8 // size)]
    assert score(size) == pytest.approx(score(8), rel=1e-5)
    assert score(size) != pytest.approx(np.mean([score_of(network, m) for m in mixtures(size)]), rel=1e-3)


def test_same_seed_same_weights(data, uninterrupted) -> None:
    torch.manual_seed(999)  # what ran before must not matter
    assert same(run(data)[0], uninterrupted[0])
    assert not same(run(data, member=1)[0], uninterrupted[0])


@pytest.mark.parametrize("killed_after", [1, 4])
def test_resuming_after_a_kill_gives_the_same_result(data, uninterrupted, tmp_path, monkeypatch, killed_after) -> None:
    checkpoint, store = tmp_path / "point.pt", loop.Trainer._store

    def store_and_die(self, number, epoch, *rest):
        store(self, number, epoch, *rest)
        if epoch == killed_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_store", store_and_die)
        with pytest.raises(KeyboardInterrupt):
            run(data, checkpoint)
    member, history = run(data, checkpoint)
    assert same(member, uninterrupted[0])
    np.testing.assert_array_equal(history["total"], uninterrupted[1]["total"])


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_not_used(data, uninterrupted, tmp_path, capsys) -> None:
    checkpoint = tmp_path / "point.pt"
    run(data, checkpoint, SETTINGS.model_copy(update={"pretrain_epochs": 1}))
    assert same(run(data, checkpoint)[0], uninterrupted[0])
    assert "another run" in capsys.readouterr().err
    checkpoint.write_bytes(b"broken")
    assert same(run(data, checkpoint)[0], uninterrupted[0])


def test_the_best_epoch_is_kept_and_patience_ends_it(data) -> None:
    wild = SETTINGS.model_copy(update={"pretrain_rate": 0.1, "patience": 1, "pretrain_epochs": 30})
    member, history = run(data, settings=wild)
    assert len(history) < 30
    _, validation = split_samples(data, wild, wild.seed)
    assert history["best"].iloc[-1] == history["validation"].min()
    assert score(member.network, validation, wild) == pytest.approx(history["validation"].min(), rel=1e-6)


def test_a_phase_that_does_not_help_leaves_the_start(data, uninterrupted) -> None:
    network, start = uninterrupted[0].network, uninterrupted[0].network.state_dict()
    before = {name: value.clone() for name, value in start.items()}
    phase, steps = loop.Schedule("wild", 2, 0.5), single(objective_for(network), data, SETTINGS, "cpu")
    loop.Trainer(network, [phase], steps, lambda phase: (make() for make in steps(None)), 1, 5, 1.0).run()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_frozen_parts_do_not_move(data) -> None:
    member, _ = run(data, settings=SETTINGS.model_copy(update={"pretrain_epochs": 1}))
    network = member.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    phase = loop.Schedule("last", 2, 0.01, ("biogeochemistry",))
    loop.Trainer(
        network, [phase], single(objective_for(network), data, SETTINGS, "cpu"), lambda phase: (), 1, 5, 1.0
    ).run()
    moved = {name.split(".")[1] for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"biogeochemistry"}


def test_a_loss_that_is_not_finite_stops_with_the_term(data) -> None:
    bad = replace(data, drivers={**data.drivers, "lai": data.drivers["lai"] * np.float32(np.inf)})
    member, _ = run(data, settings=SETTINGS.model_copy(update={"pretrain_epochs": 1}))
    steps = single(objective_for(member.network), bad, SETTINGS, "cpu")
    with pytest.raises(loop.TrainingError, match=r"not finite in epoch 0 of x \(.*flux"):
        loop.Trainer(member.network, [loop.Schedule("x", 1, 0.01)], steps, lambda phase: (), 1, 5, 1.0).run()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error(data) -> None:
    with pytest.raises(ConfigError, match="there is no GPU"):
        run(data, settings=SETTINGS.model_copy(update={"device": "cuda"}))
