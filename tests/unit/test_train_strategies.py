"""Phases: ramps, steps, anchors, rates, likeness and gradient reversal, each by value or gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.systems import Phase, Ramp
from fluxatlas.train import loop
from fluxatlas.train.adversary import Adversary
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.finetune import _objectives, finetune
from fluxatlas.train.losses import Objective
from fluxatlas.train.member import Member
from fluxatlas.train.phases import ADVERSARY, phases_apart, phases_of
from fluxatlas.train.pretrain import new_network
from fluxatlas.train.reweight import importance
from fluxatlas.train.sites import SiteData
from fluxatlas.train.strategies import PhaseMaterials
from toy_system import TOY, carbon

SETTINGS = TrainBlock(hidden=4, code=0, batch=4, sequence_days=30, warmup_days=5, finetune_rate=0.02)
DATES = pd.date_range("2001-01-01", periods=120)


def series(count: int, seed: int, shift: float = 0.0) -> SequenceSet:
    rng = np.random.default_rng(seed)
    shape = (len(DATES), count)
    drivers = {
        "tas": (280 + shift + 5 * rng.normal(size=count) + rng.normal(size=shape)).astype(np.float32),
        "rsds": (180 + 30 * rng.normal(size=shape)).astype(np.float32),
        "lai": np.full(shape, 2, np.float32),
        "co2": np.full(shape, 380, np.float32),
    }
    made = carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], np.ones(count))
    return SequenceSet(
        DATES,
        tuple(f"s{number}" for number in range(count)),
        np.zeros(count),
        np.arange(count, dtype=float),
        np.arange(count),
        drivers,
        {name: rng.uniform(5, 40, count).astype(np.float32) for name in ("clay", "soc")},
        {name: values.astype(np.float32) for name, values in made.items()},
        tuple(Segment(site, 0, len(DATES)) for site in range(count)),
    )


SAMPLES, SITES = series(12, 1), SiteData((series(9, 2),))
START = Member(new_network(TOY, SETTINGS, SAMPLES, 1), "4km")


def tuned(*phases: Phase, settings: TrainBlock = SETTINGS, sites: SiteData = SITES):
    return finetune(START, SAMPLES, sites, settings, 0, phases=phases)[:2]


def moved(member: Member) -> dict[str, float]:
    """Distance of every weight from the start."""
    before = dict(START.network.named_parameters())
    return {name: float((value - before[name]).norm().detach()) for name, value in member.network.named_parameters()}


def test_a_ramp_rises_linearly_and_stays() -> None:
    ramp = Ramp(2.0, 0.25)
    assert [ramp.at(progress) for progress in (0, 0.125, 0.25, 1)] == [0, 1, 2, 2] and Ramp(3.0).at(0) == 3
    with pytest.raises(ConfigError, match="rises over 2 of the steps"):
        Ramp(1.0, 2.0)
    with pytest.raises(ConfigError, match="phase 'x' has steps, shares or weights"):
        Phase("x", steps=0)


def test_a_phase_makes_its_steps_and_chance_does_not_stop_it(capsys) -> None:
    """One block of validation sites: all steps are made, whatever the score; a check after a hundred."""
    _, history = tuned(Phase("some", steps=130, synthetic=0.0, terms={"site_bias": 0.0}))
    assert "makes all 130 steps: 1 block of validation sites cannot stop it" in capsys.readouterr().err
    assert len(history) == 2 and (history["weighted_site_bias"] == 0).all() and (history["site_bias"] > 0).all()


def test_weights_of_terms_are_those_of_the_phase_at_its_progress() -> None:
    _, history = tuned(Phase("half", steps=1, synthetic=0.5, terms={"flux": Ramp(3.0, 0.5)}, stop=False))
    assert history["weighted_finetune_flux"].iloc[0] == 0 < history["finetune_flux"].iloc[0]
    _, history = tuned(Phase("whole", steps=1, synthetic=0.5, terms={"flux": 3.0}, stop=False))
    assert history["weighted_finetune_flux"].iloc[0] == pytest.approx(1.5 * history["finetune_flux"].iloc[0])


def test_a_paced_phase_lets_in_what_is_hard_later(monkeypatch) -> None:
    """The threshold rises geometrically with the share of the steps that is done, and never decides a score."""
    seen, validated = [], []

    def spy(objective, *args, probe=True, **more):
        (seen if probe else validated).append(objective.most)
        return plain(objective, *args, probe=probe, **more)

    plain = Objective.terms
    monkeypatch.setattr(Objective, "terms", spy)
    tuned(Phase("paced", steps=4, synthetic=0.0, pace=(0.5, 8.0)))
    assert seen == pytest.approx([0.5, 1.0, 2.0, 4.0]) and set(validated) == {float("inf")}
    with pytest.raises(ConfigError, match="phase 'x' has steps, shares or weights"):
        Phase("x", pace=(2.0, 1.0))


def test_a_term_that_a_phase_alone_weighs_is_learnt_from() -> None:
    """Its declared weight of 0 does not keep the gradient away."""
    system = replace(TOY, knowledge=(replace(TOY.knowledge[0], finetune=0.0),))
    start = Member(new_network(system, SETTINGS, SAMPLES, 2), "4km")
    only = {"flux": 0.0, "site_bias": 0.0, "carbon": 0.0, "darkness": 1.0}
    drivers = {**SITES.sets[0].drivers, "rsds": 0.0 * SITES.sets[0].drivers["rsds"]}  # always dark
    sites = SiteData((replace(SITES.sets[0], drivers=drivers),))
    found, _, _ = finetune(
        start, SAMPLES, sites, SETTINGS, 0, phases=[Phase("p", steps=2, synthetic=0.0, terms=only, stop=False)]
    )
    before, after = (one.network.parts["carbon"].readout.bias.detach() for one in (start, found))
    assert not before.any() and float(after.abs().max()) > 1e-3  # decay alone leaves a bias of zero where it is


def test_the_anchor_is_half_the_squared_distance_and_draws_back() -> None:
    network = new_network(TOY, SETTINGS, SAMPLES, 2)
    trainer = loop.Trainer(network, [], lambda rng: [], lambda phase: (), 1, 5, 1.0)
    trainer.run()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.5)
    found = trainer._drawn(0.2, None)
    size = sum(value.numel() for value in network.parameters())
    assert found["anchor"] == pytest.approx(0.125 * size, rel=1e-5)
    assert found["weighted_anchor"] == pytest.approx(0.2 * found["anchor"])
    for value in network.parameters():
        torch.testing.assert_close(value.grad, torch.full_like(value, 0.2 * 0.5))
    free, held = (tuned(Phase("p", steps=60, synthetic=0.0, anchor=a))[0] for a in (0.0, 5.0))
    assert sum(moved(held).values()) < 0.5 * sum(moved(free).values())


def test_sub_modules_learn_at_their_own_rate() -> None:
    still, _ = tuned(Phase("p", steps=5, synthetic=0.0, rates={"carbon": 0.0}, stop=False))
    assert max(moved(still).values()) == 0


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (Phase("p", learns=("carbn",)), "names the sub-module 'carbn'.*did you mean 'carbon'"),
        (Phase("p", terms={"fluxes": 1.0}), "names the term 'fluxes'.*did you mean 'flux'"),
        (Phase("p", terms={"regional": 1.0}), "compares regions, and no constraint is given"),
        (
            Phase("p", synthetic=0.0, terms={"adversary": 1.0}),
            "has an adversary, and synthetic or observed series only",
        ),
    ],
)
def test_phases_that_cannot_be_run(phase, said) -> None:
    with pytest.raises(ConfigError, match=said):
        tuned(phase)


def test_the_gradient_of_the_adversary_is_turned_for_the_network_and_not_for_the_classifier() -> None:
    network = new_network(TOY, SETTINGS, SAMPLES, 3)
    adversary = Adversary(network, 0)
    batches = tuple(data.batch(data.windows(30)[:6], 5) for data in (SITES.sets[0], SAMPLES))
    weights, own = list(network.parts["carbon"].cell.parameters()), list(adversary.parameters())
    term = adversary.terms(network, batches)[ADVERSARY]
    turned = torch.autograd.grad(term, [*weights, *own])
    plain = 0.0
    for kind, batch in enumerate(batches):
        logit = adversary.classifier(adversary.memory(network, batch))
        sign = 1 if kind else -1
        plain = plain + 0.5 * torch.nn.functional.softplus(-sign * logit).mean()
    assert float(plain) == pytest.approx(float(term), rel=1e-6)
    wanted = torch.autograd.grad(plain, [*weights, *own])
    for number, (found, expected) in enumerate(zip(turned, wanted, strict=True)):
        torch.testing.assert_close(found, -expected if number < len(weights) else expected)
    assert float(wanted[0].abs().max()) > 0


def test_sites_that_run_other_sub_modules_alone_are_not_compared() -> None:
    network = new_network(TOY, SETTINGS, SAMPLES, 3)
    adversary = Adversary(network, 0)
    objectives = (object(), object())
    data = PhaseMaterials(network, objectives, SITES.sets, (), SAMPLES, SETTINGS, "cpu", 0)  # type: ignore[arg-type]
    observed = SITES.sets[0].batch(SITES.sets[0].windows(30)[:2], 5)
    synthetic = SAMPLES.batch(SAMPLES.windows(30)[:2], 5)
    for modules, terms in ((None, 3), (("carbon",), 3), (("another",), 2)):
        pair = [(0.5, None, replace(observed, modules=modules)), (0.5, None, synthetic)]
        (make,) = data._deceived(lambda rng, pair=pair: [lambda: pair], np.random.default_rng(0))  # type: ignore[arg-type]
        assert len(make()) == terms
    again = [torch.equal(*pair) for pair in zip(adversary.parameters(), data.adversary.parameters(), strict=True)]
    assert all(again)  # the seed decides, not what was drawn before


def test_no_site_with_weather_cannot_be_weighed() -> None:
    with pytest.raises(InputError, match="no site has the weather"):
        importance(SAMPLES, [], TOY)


def test_synthetic_series_count_by_their_likeness_to_the_sites(capsys) -> None:
    many = series(200, 5)
    weight, size = importance(many, [series(200, 7)], TOY)
    assert weight.mean() == pytest.approx(1) and 150 < size <= 200
    warm, fewer = importance(many, [series(200, 7, shift=8.0)], TOY)
    assert fewer == pytest.approx(warm.sum() ** 2 / np.square(warm).sum()) and fewer < 0.6 * size
    assert np.corrcoef(warm, many.drivers["tas"].mean(axis=0))[0, 1] > 0.5
    part = SAMPLES.only(np.arange(12) < 6)
    assert (importance(part, [series(40, 7)], TOY)[0][6:] == 0).all()
    tuned(Phase("p", steps=2, synthetic=1.0, reweight=True, stop=False))
    assert "effective size" in capsys.readouterr().err


def test_named_strategies_are_lists_of_phases() -> None:
    assert phases_of(TOY, SETTINGS) == TOY.phases
    for name in ("finetune", "l2sp", "reweighted", "adversarial", "constrained"):
        phases = phases_of(TOY, SETTINGS.model_copy(update={"strategy": name, "finetune_steps": 3}))
        assert all(phase.steps == 3 for phase in phases)
    settings = SETTINGS.model_copy(update={"strategy": "adversarial", "finetune_steps": 3})
    _, history = tuned(*phases_of(TOY, settings))
    assert "adversary" in history and "weighted_adversary" in history


def test_phase_by_phase_gives_what_all_at_once_give() -> None:
    """Weights to the last bit, and every row of the history with its terms; the anchor is where the first began."""
    phases = (
        Phase("one", steps=4, synthetic=0.5, stop=False),
        Phase("two", steps=3, synthetic=0.0, anchor=1.0, stop=False, learns=("carbon",)),
    )
    whole, history = tuned(*phases)
    found, rows = START, []
    for number in range(2):
        found, table, _ = finetune(
            found, SAMPLES, SITES, SETTINGS, 0, phases=phases, only=number, origin=START.network
        )  # fmt: skip
        rows.append(table)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, found.network.state_dict()[name]), name
    kept = [name for name in history if name != "seconds"]
    pd.testing.assert_frame_equal(pd.concat(rows, ignore_index=True)[kept], history[kept], check_like=True)
    assert moved(whole)["parts.carbon.readout.weight"] > 0


def test_the_network_that_the_first_phase_began_with_goes_to_the_device_of_training(monkeypatch) -> None:
    """Probes look back at it, and weights are drawn to it; the device "meta" stands for a GPU."""
    given: dict[str, Any] = {}

    class SeenError(Exception): ...

    def trainer(**options):
        given.update(options)
        raise SeenError

    monkeypatch.setattr("fluxatlas.train.finetune.device_of", lambda _: "meta")
    monkeypatch.setattr("fluxatlas.train.finetune.Trainer", trainer)
    made = []
    monkeypatch.setattr("fluxatlas.train.finetune._objectives", lambda *a: made.append(a[-1]) or _objectives(*a))
    phases = (Phase("one", steps=1), Phase("two", steps=1, anchor=1.0))
    with pytest.raises(SeenError):
        finetune(START, SAMPLES, SITES, SETTINGS, 0, phases=phases, only=1, origin=START.network)
    for network in (given["network"], given["origin"], made[0]):
        assert {value.device.type for value in network.state_dict().values()} == {"meta"}
    assert {value.device.type for value in START.network.state_dict().values()} == {"cpu"}


def test_phases_are_jobs_of_their_own_where_weights_alone_learn() -> None:
    two = replace(TOY, phases=(Phase("a"), Phase("b")))
    alone = SETTINGS.model_copy(update={"ladder": "weights"})
    assert [phase.name for phase in phases_apart(two, alone)] == ["a", "b"]
    assert phases_apart(two, SETTINGS) == () == phases_apart(two, alone.model_copy(update={"strategy": "finetune"}))
