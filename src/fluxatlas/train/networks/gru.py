"""A layer of gated recurrent units that learns by :mod:`~fluxatlas.train.networks.gru_kernel`: exact, in one pass each
way, where torch makes some twenty calls a day.

torch's own layer is used wherever the kernel is not: without gradients, in another precision, on another device, and
where Numba cannot compile.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout as dropout_of

_HELD = threading.local()


def padded(number: int, multiple: int) -> int:
    """``number`` filled up to a multiple."""
    return -(-number // multiple) * multiple


def pairs(inner: Tensor, recurrent: Tensor, units: int) -> Tensor:
    """Weights (3 hidden, feature) and (3 hidden, hidden) of torch as the forward kernel reads them: (pair of units,
    feature then unit, gates r z n of both units), filled up to ``units``."""
    hidden, features = recurrent.shape[1], inner.shape[1]
    both = inner.new_zeros(units, 3, features + units)
    both[:hidden, :, :features] = inner.view(3, hidden, features).transpose(0, 1)
    both[:hidden, :, features : features + hidden] = recurrent.view(3, hidden, hidden).transpose(0, 1)
    return both.view(units // 2, 6, -1).transpose(1, 2).contiguous()


def fours(weights: Tensor, units: int, rows: int) -> Tensor:
    """Weights (3 hidden, column) of torch as the backward kernel reads them: (group of four columns, unit, gate, 4),
    columns filled up to ``rows``."""
    hidden = len(weights) // 3
    found = weights.new_zeros(units, 3, rows)
    found[:hidden, :, : weights.shape[1]] = weights.view(3, hidden, -1).transpose(0, 1)
    return found.view(units, 3, rows // 4, 4).permute(2, 0, 1, 3).contiguous()


def biases(inner: Tensor, recurrent: Tensor, units: int) -> tuple[Tensor, Tensor]:
    """Biases (3 hidden,) of torch as (unit, 3) of the gates r z n and (unit,) of q."""
    hidden = len(inner) // 3
    base, q = inner.new_zeros(units, 3), inner.new_zeros(units)
    base[:hidden] = inner.view(3, hidden).T
    base[:hidden, :2] += recurrent.view(3, hidden)[:2].T
    q[:hidden] = recurrent[2 * hidden :]
    return base, q


def _flat(values: Tensor) -> Any:
    """The memory of a contiguous tensor as an array of one dimension, shared."""
    return values.detach().view(-1).numpy()


def _scratch(name: str, *shape: int) -> Tensor:
    """Memory of this thread for one call, used again by the next: fresh pages cost more than what is done with them."""
    size = math.prod(shape)
    held: Tensor | None = getattr(_HELD, name, None)
    if held is None or held.numel() < size:
        held = torch.empty(size)
        setattr(_HELD, name, held)
    return held[:size].view(shape)


class _Layer(torch.autograd.Function):
    """``(x, state, base, weights and recurrent bias of torch) -> (hidden, state)``: (feature, time, cell), (cell,
    hidden), base (cell, 3 hidden) the sums before the gates that do not change from day to day.

    What the kernel reads and keeps are rows of days of cells, filled up to whole tiles; hidden values and gates begin
    with a day for the state before the first. A row has an odd number of cache lines, so that rows share no set.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, state: Tensor, base: Tensor, inner: Tensor, recurrent: Tensor, c: Tensor) -> Any:
        from .gru_kernel import TILE, UNITS, forward

        (features, days, count), hidden = x.shape, recurrent.shape[1]
        units, cells = padded(hidden, UNITS), padded(count, TILE)
        row = ((days + 1) * cells // TILE | 1) * TILE
        series, last = nn.functional.pad(x, (0, cells - count)).contiguous(), x.new_zeros(units, cells)
        last[:hidden, :count] = state.T
        kept, gates, nothing = x.new_empty(units, row), x.new_empty(4, units, row), x.new_empty(0)
        kept[:, :cells] = last
        both, q = biases(torch.zeros_like(c), c, units)
        sums = both[..., None].expand(-1, -1, cells).contiguous()
        sums[:hidden, :, :count] += base.view(count, 3, hidden).permute(2, 1, 0)
        forward(
            _flat(series), days * cells, cells, features, _flat(sums), _flat(pairs(inner, recurrent, units)), _flat(q),
            units, days, cells, _flat(last), _flat(kept)[cells:], _flat(gates)[cells:], row, cells,
            *map(_flat, [nothing] * 3), 0, 0,
        )  # fmt: skip
        ctx.save_for_backward(series, kept, gates, inner, recurrent)
        ctx.count = count
        return kept.as_strided((hidden, days, count), (row, cells, 1), cells), last[:hidden, :count].T.contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_last: Tensor) -> Any:
        from .gru_kernel import UNITS, backward

        series, kept, gates, inner, recurrent = ctx.saved_tensors
        (features, days, cells), (units, row), count = series.shape, kept.shape, ctx.count
        hidden, inputs = recurrent.shape[1], padded(features, UNITS) if ctx.needs_input_grad[0] else 0
        given, first = _scratch("given", units, row).zero_(), kept.new_zeros(units, cells)
        given.as_strided((hidden, days, count), (row, cells, 1), cells).copy_(d_out)
        first[:hidden, :count] = d_last.T
        slopes, d_x = _scratch("slopes", 4, units, row), kept.new_empty(inputs, days, cells)
        backward(
            _flat(gates), _flat(kept), row, cells, _flat(given), _flat(first), _flat(fours(recurrent, units, units)),
            _flat(fours(inner, units, padded(features, UNITS))), units, inputs, days, cells, _flat(slopes), _flat(d_x),
            days * cells, cells,
        )  # fmt: skip
        rows = slopes.view(4 * units, row)[:, cells : cells + days * cells]  # n, r, z, q of all units
        n, r, z = (rows[: 3 * units] @ series.view(features, -1).T).view(3, units, -1)[:, :hidden]
        by_units = (rows[units:] @ kept[:, : days * cells].T).view(3, units, -1)[:, :hidden, :hidden]
        in_cells = rows.view(4, units, days, cells).sum(dim=2)[:, :hidden, :count]
        by_n, by_r, by_z, by_q = in_cells
        return (
            d_x[:features, :, :count] if inputs else None, first[:hidden, :count].T,
            torch.cat([by_r, by_z, by_n]).T, torch.cat([r, z, n]), by_units.reshape(3 * hidden, hidden),
            torch.cat([by_r, by_z, by_q]).sum(dim=-1),
        )  # fmt: skip


def run_layers(
    x: Tensor, state: Tensor | None, weights: Sequence[Sequence[Tensor]], dropout: float, constant: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Hidden values (hidden, time, cell) of the last layer and the state (layer, cell, hidden) after the last day.

    ``x`` (feature, time, cell); ``constant`` (cell, feature) are features after these that do not change; ``state``
    None starts from zeros; ``weights`` as :attr:`torch.nn.GRU.all_weights`; ``dropout`` between layers.
    """
    last = []
    for layer, (inner, recurrent, bias, c) in enumerate(weights):
        begin = x.new_zeros(x.shape[2], recurrent.shape[1]) if state is None else state[layer]
        base = bias.expand(x.shape[2], -1)
        if constant is not None and layer == 0:
            base = nn.functional.linear(constant, inner[:, len(x) :], bias)
            inner = inner[:, : len(x)]
        x, end = _Layer.apply(dropout_of(x, dropout) if layer and dropout else x, begin, base, inner, recurrent, c)
        last.append(end)
    return x, torch.stack(last)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether the kernel can be used here; tried once on a small layer, with a message if it fails."""
    try:
        with torch.random.fork_rng(devices=[]):  # the draws of training must not depend on when this is asked
            layer = nn.GRU(2, 3)
        x = torch.linspace(-1, 1, 12).reshape(3, 2, 2)
        weights = layer.all_weights[0]
        with torch.enable_grad():
            wanted, _ = layer(x)
            found = run_layers(x.permute(2, 0, 1), None, [weights], 0.0)[0].permute(1, 2, 0)
            slopes = [torch.autograd.grad(one.square().sum(), weights) for one in (found, wanted)]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-4)
    except Exception as problem:  # compilers fail in many ways; torch does the same, slower
        print(f"note: no compiled recurrent layer ({problem}); training uses torch's, 3 times slower", file=sys.stderr)
        return False
    return True


def keep_freed() -> None:
    """Let the C library keep the memory that a step of training frees (blocks up to 32 MB, 1 GB in all), from now on in
    the whole process: given back and taken anew it costs a tenth of the time."""
    with suppress(OSError, AttributeError, TypeError):  # another C library
        allocator = ctypes.CDLL(None)
        for option, size in ((-3, 1 << 25), (-1, 1 << 30)):  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
            allocator.mallopt(option, size)
