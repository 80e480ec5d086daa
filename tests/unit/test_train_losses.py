"""Losses: masks, weights, and the share of each term."""

from __future__ import annotations

import math

import pytest
import torch

import train_toy as toy
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.losses import Objective, flux_loss, masked_huber, site_bias
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

NAN = float("nan")


def test_masked_huber_counts_only_what_is_there() -> None:
    predicted = torch.tensor([[1.0, 5.0], [0.5, 0.0]], requires_grad=True)
    loss = masked_huber(predicted, torch.tensor([[0.0, NAN], [0.0, 3.0]]))
    assert float(loss.detach()) == pytest.approx((0.5 + 0.125 + 2.5) / 3)
    loss.backward()
    assert predicted.grad[0, 1] == 0 and torch.isfinite(predicted.grad).all()


def test_nothing_observed_is_zero_with_zero_gradient() -> None:
    predicted = torch.ones(3, 2, requires_grad=True)
    target = torch.full((3, 2), NAN)
    loss = flux_loss(predicted, target, 0.5, target, torch.ones(2)) + site_bias(predicted, target, torch.ones(2), 0.5)
    loss.backward()
    assert float(loss.detach()) == 0 and (predicted.grad == 0).all()


def test_flux_loss_is_that_of_the_compressed_scale() -> None:
    loss = flux_loss(torch.tensor([[-1.0]]), torch.tensor([[0.0]]), 0.5)
    assert float(loss) == pytest.approx(math.asinh(2.0) - 0.5)  # beyond the threshold: |z| - 1/2


def test_uncertain_days_and_long_sites_weigh_less() -> None:
    predicted, target = torch.tensor([[0.5, 0.0]]), torch.zeros(1, 2)
    alike = flux_loss(predicted, target, 0.5)
    assert flux_loss(predicted, target, 0.5, sd=torch.tensor([[0.5, NAN]])) < alike
    assert float(flux_loss(predicted, target, 0.5, site=torch.tensor([1.0, 3.0])) / alike) == pytest.approx(0.5)


def test_site_bias_sees_the_mean_alone() -> None:
    target = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    swing = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert float(site_bias(target + swing, target, torch.ones(2), 0.5)) == pytest.approx(0, abs=1e-6)
    assert float(site_bias(target + 0.5, target, torch.ones(2), 0.5)) == pytest.approx(
        0.5 / float(target.std()), rel=1e-5
    )


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_every_term_is_weighed_and_warm_up_does_not_count(stage) -> None:
    data = toy.samples(n=3, days=60)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4))
    network.scaler.fit(data.values())
    objective = Objective(toy.SYSTEM, stage, Knowledge.of(toy.SYSTEM, stage))
    batch = data.batch(data.windows(30)[:3], warmup=20)
    terms = objective.terms(network, batch)
    assert set(terms) == set(objective.weights())
    for values in batch.targets.values():  # what the mask hides is of no consequence
        values[:20] = 1e6
    again = objective.terms(network, batch)
    assert {name: float(value.detach()) for name, value in again.items()} == {
        name: float(value.detach()) for name, value in terms.items()
    }
    total = sum(objective.weights()[name] * float(value.detach()) for name, value in terms.items())
    assert float(objective.total(terms).detach()) == pytest.approx(total, rel=1e-5)
