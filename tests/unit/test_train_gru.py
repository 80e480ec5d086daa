"""The compiled recurrent layer learns exactly what torch's does, the same to the bit each time, and steps aside."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fluxatlas.config.train import TrainBlock
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.losses import Objective
from fluxatlas.train.networks import gru, gru_kernel, stepwise
from fluxatlas.train.networks.cells import make_cell
from fluxatlas.train.networks.sequence import SequenceCell, Sizes
from fluxatlas.train.pretrain import new_network
from train_toy import SYSTEM, samples

SHAPES = [(1, 5, 3, 3, 7), (2, 8, 6, 16, 30), (1, 32, 13, 33, 60), (1, 2, 1, 1, 1)]
"""Layers, hidden units, features, cells, days: none, some or all of them multiples of what the kernel counts in."""


def cell_of(layers: int, hidden: int, features: int, dropout: float = 0.0) -> SequenceCell:
    torch.manual_seed(3)
    return make_cell("gru", Sizes(features, 0, hidden, layers, dropout))


def learned(cell: nn.Module, x: torch.Tensor, state: torch.Tensor) -> list[torch.Tensor]:
    """Values, state and all gradients of a loss that reads every day and the last state."""
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    cell.zero_grad()
    hidden, last = cell(x, state)
    weight = torch.linspace(0.5, 1.5, hidden.numel(), dtype=x.dtype).reshape(hidden.shape)
    ((hidden * weight).square().sum() + (last * 3).sin().sum()).backward()
    return [value.detach() for value in (hidden, last, x.grad, state.grad, *(w.grad for w in cell.parameters()))]


def inputs(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    layers, hidden, features, cells, days = shape
    generator = torch.Generator().manual_seed(7)
    return (torch.randn(days, cells, features, generator=generator),
            0.5 * torch.randn(layers, cells, hidden, generator=generator))  # fmt: skip


def test_kernel_runs_here() -> None:
    assert gru.available()


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_torch(shape, monkeypatch) -> None:
    cell, (x, state) = cell_of(*shape[:3]), inputs(shape)
    own = learned(cell, x, state)
    monkeypatch.setattr(stepwise, "available", lambda: False)
    single = learned(cell, x, state)
    exact = learned(cell.double(), x.double(), state.double())
    for mine, torchs, truth in zip(own, single, exact, strict=True):
        size = truth.norm()
        assert (mine - truth).norm() <= 2e-6 * size
        assert (mine - torchs).norm() <= 4e-6 * size


def test_large_sums_saturate_as_those_of_torch(monkeypatch) -> None:
    cell, (x, state) = cell_of(1, 8, 4), inputs((1, 8, 4, 5, 20))
    own = learned(cell, 300 * x, state)
    monkeypatch.setattr(stepwise, "available", lambda: False)
    for number, (mine, torchs) in enumerate(zip(own, learned(cell, 300 * x, state), strict=True)):
        assert (mine - torchs).abs().max() <= (2e-5 if number < 2 else 1e-4 * torchs.norm())


def test_what_is_not_a_number_stays_so() -> None:
    cell, (x, state) = cell_of(1, 8, 4), inputs((1, 8, 4, 5, 20))
    x[9, 2, 1] = torch.nan
    hidden, _ = cell(x, state)
    assert torch.isnan(hidden[9:, 2]).all() and torch.isfinite(hidden[:, [0, 1, 3, 4]]).all()
    assert torch.isfinite(hidden[:9]).all()


def test_the_same_to_the_bit_each_time() -> None:
    cell, (x, state) = cell_of(2, 8, 6), inputs((2, 8, 6, 16, 30))
    for one, other in zip(learned(cell, x, state), learned(cell, x, state), strict=True):
        assert torch.equal(one, other)


def test_frozen_weights_pass_the_gradient_on() -> None:
    cell, (x, state) = cell_of(1, 8, 4), inputs((1, 8, 4, 5, 20))
    wanted = learned(cell, x, state)[2]
    cell.zero_grad()
    cell.requires_grad_(False)
    x.requires_grad_()
    hidden, last = cell(x, state)
    weight = torch.linspace(0.5, 1.5, hidden.numel()).reshape(hidden.shape)
    ((hidden * weight).square().sum() + (last * 3).sin().sum()).backward()
    assert x.grad is not None and torch.equal(x.grad, wanted)
    assert all(weight.grad is None for weight in cell.parameters())


def test_dropout_falls_between_layers_while_training_alone() -> None:
    cell, (x, _) = cell_of(2, 8, 4, dropout=0.5), inputs((2, 8, 4, 5, 20))
    torch.manual_seed(1)
    one, _ = cell.train()(x)
    torch.manual_seed(1)
    again, _ = cell(x)
    other, _ = cell(x)
    assert torch.equal(one, again) and not torch.equal(one, other)
    with torch.no_grad():
        torchs, _ = cell.eval()(x)
    torch.testing.assert_close(cell(x)[0].detach(), torchs, rtol=1e-5, atol=1e-6)


def test_no_state_is_zeros() -> None:
    cell, (x, state) = cell_of(1, 8, 4), inputs((1, 8, 4, 5, 20))
    assert torch.equal(cell(x)[0], cell(x, torch.zeros_like(state))[0])


def test_torch_runs_without_gradients_and_in_double_precision(monkeypatch) -> None:
    monkeypatch.setattr(stepwise, "run_layers", None)  # calling it would fail
    cell, (x, state) = cell_of(1, 8, 4), inputs((1, 8, 4, 5, 20))
    with torch.no_grad():
        cell(x, state)
    cell.double()(x.double(), state.double())


def test_where_nothing_compiles_torch_learns(monkeypatch, capsys) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(gru_kernel, "forward", broken)
    gru.available.cache_clear()
    try:
        cell, (x, state) = cell_of(1, 8, 4), inputs((1, 8, 4, 5, 20))
        first, again = learned(cell, x, state), learned(cell, x, state)
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
        assert capsys.readouterr().err.count("no compiler") == 1  # said once
    finally:
        gru.available.cache_clear()


def test_to_ask_for_the_kernel_leaves_the_memory_of_the_process_alone(monkeypatch) -> None:
    """Training sets what the C library keeps, not a look at whether the kernel runs."""
    loaded = []
    monkeypatch.setattr(gru.ctypes, "CDLL", loaded.append)
    gru.available.cache_clear()
    assert gru.available() and None not in loaded
    gru.keep_freed()  # where there is no such option it does nothing
    assert None in loaded


@pytest.mark.parametrize("fixed", [0, 3])
def test_constants_apart_are_features_of_every_day(fixed) -> None:
    torch.manual_seed(3)
    cell = make_cell("gru", Sizes(4, fixed, 8, 2))
    x, state = inputs((2, 8, 4, 5, 20))
    constant = torch.randn(5, fixed).requires_grad_()
    whole = torch.cat([x, constant.detach().expand(20, -1, -1)], dim=-1).requires_grad_()
    wanted, end = nn.GRU.forward(cell, whole, state)
    slopes = torch.autograd.grad(wanted.square().sum() + end.sum(), [whole, *cell.parameters()])
    found, last = cell.learn(x.permute(2, 0, 1), constant, state)
    own = torch.autograd.grad(found.square().sum() + last.sum(), [constant, *cell.parameters()])
    torch.testing.assert_close(found.permute(1, 2, 0), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, end, rtol=1e-5, atol=1e-6)
    for mine, torchs in zip(own, [slopes[0][..., 4:].sum(dim=0), *slopes[1:]], strict=True):
        assert (mine - torchs).norm() <= 4e-6 * torchs.norm()


@pytest.mark.parametrize("head", ["column", "diffusion_oxidation"])
def test_a_step_of_pretraining_has_the_gradients_of_torch(head, monkeypatch) -> None:
    settings, data = TrainBlock(hidden=8, head=head), samples(12, 400)
    network = new_network(SYSTEM, settings, data, 1).train()
    objective = Objective(SYSTEM, "pretrain", Knowledge.of(SYSTEM, "pretrain", settings.knowledge, head))
    batch = data.batch(data.windows(365, None)[:6], 20)

    def slopes() -> torch.Tensor:
        network.zero_grad()
        objective.total(objective.terms(network, batch)).backward()
        return torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None])

    compiled = slopes()
    monkeypatch.setattr(stepwise, "available", lambda: False)
    torchs = slopes()
    assert (compiled - torchs).norm() <= 4e-6 * torchs.norm()
