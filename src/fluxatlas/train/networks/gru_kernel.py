"""The gated recurrent unit as compiled code: one layer over a block of days and cells, forward and backward in time.

Cells lie in lanes and go through time a tile of :data:`TILE` at a time, so that the state of a tile stays in the cache
nearest to the core and the sums of two units stay in registers. Same equations as :class:`torch.nn.GRU`::

    r, z = sigmoid(W x + U h + b);  q = U_n h + c;  n = tanh(W_n x + b_n + r q);  h = n + z (h - n)

float32 throughout; gates to 3e-7. Series are arrays of one dimension, addressed by a step from one row (unit, feature)
to the next and one from day to day. The number of cells is a multiple of :data:`TILE`, units are a multiple of
:data:`UNITS`; what fills up is zero and stays zero.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from ...process import _vector
from ...process._vector import KERNEL
from . import lanes
from .lanes import WIDTH, everywhere, fma, inline, load, spread, store, within

TILE = 2 * WIDTH
"""Cells that go through time together."""
UNITS = 4
"""Hidden units are filled up to a multiple of this."""
kept_on_disk: Any = partial(_vector.cached, sources=[Path(one) for one in (__file__, lanes.__file__, _vector.__file__)])
_F = np.float32
_LIMIT = _F(7.90531110763549805)
_ODD = tuple(map(_F, (4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
                      -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16)))  # fmt: skip
_EVEN = tuple(map(_F, (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)))
_HALF, _ONE = _F(0.5), _F(1.0)


@inline
def _above(x: Any, square: Any) -> Any:
    """Numerator of tanh (rational, odd over even; 3e-7 with :func:`_below`)."""
    p = fma(square, everywhere(_ODD[6]), everywhere(_ODD[5]))
    p = fma(square, p, everywhere(_ODD[4]))
    p = fma(square, p, everywhere(_ODD[3]))
    p = fma(square, p, everywhere(_ODD[2]))
    p = fma(square, p, everywhere(_ODD[1]))
    return x * fma(square, p, everywhere(_ODD[0]))


@inline
def _below(square: Any) -> Any:
    """Denominator of tanh."""
    p = fma(square, everywhere(_EVEN[3]), everywhere(_EVEN[2]))
    p = fma(square, p, everywhere(_EVEN[1]))
    return fma(square, p, everywhere(_EVEN[0]))


@inline
def _tanh(x: Any) -> Any:
    x = within(x, _LIMIT)
    square = x * x
    return _above(x, square) / _below(square)


@inline
def _two_sigmoids(a: Any, b: Any) -> Any:
    """Sigmoids of ``a`` and ``b`` with one division: half of tanh of half, plus half."""
    half = everywhere(_HALF)
    a, b = within(a * half, _LIMIT), within(b * half, _LIMIT)
    square_a, square_b = a * a, b * b
    below_a, below_b = _below(square_a), _below(square_b)
    share = half / (below_a * below_b)
    return fma(_above(a, square_a) * below_b, share, half), fma(_above(b, square_b) * below_a, share, half)


@inline
def _sums(w, at, count, series, where, step, r0, z0, n0, r1, z1, n1, R0, Z0, N0, R1, Z1, N1):  # type: ignore[no-untyped-def]
    """Add ``count`` rows of ``series`` times weights to the sums of two units in 16 cells."""
    for _ in range(count):
        x, X = load(series, where), load(series, where + WIDTH)
        s = spread(w, at)
        r0, R0 = fma(s, x, r0), fma(s, X, R0)
        s = spread(w, at + 1)
        z0, Z0 = fma(s, x, z0), fma(s, X, Z0)
        s = spread(w, at + 2)
        n0, N0 = fma(s, x, n0), fma(s, X, N0)
        s = spread(w, at + 3)
        r1, R1 = fma(s, x, r1), fma(s, X, R1)
        s = spread(w, at + 4)
        z1, Z1 = fma(s, x, z1), fma(s, X, Z1)
        s = spread(w, at + 5)
        n1, N1 = fma(s, x, n1), fma(s, X, N1)
        at += 6
        where += step
    return r0, z0, n0, r1, z1, n1, R0, Z0, N0, R1, Z1, N1


@inline
def _unit(r, z, n, q, before, at, after, gates, kept, gate, keep):  # type: ignore[no-untyped-def]
    """The new value of a unit in eight cells, written to ``after``; n, r, z and q are kept where asked for."""
    r, z = _two_sigmoids(r, z)
    n = _tanh(fma(r, q, n))
    new = fma(z, load(before, at) - n, n)
    store(after, at, new)
    if keep:
        store(gates, kept, n)
        store(gates, kept + gate, r)
        store(gates, kept + 2 * gate, z)
        store(gates, kept + 3 * gate, q)
    return new


@inline
def _pair(pair, x, where, row, features, base, b, cells, w, q_bias, units, before, after, gates, g, g_row, gate, keep):  # type: ignore[no-untyped-def]
    """A day of two units in 16 cells; their new values (small and capital letters: the cells before and after 8)."""
    at = 6 * pair * (features + units)
    r0, R0 = load(base, b), load(base, b + WIDTH)
    z0, Z0 = load(base, b + cells), load(base, b + cells + WIDTH)
    n0, N0 = load(base, b + 2 * cells), load(base, b + 2 * cells + WIDTH)
    r1, R1 = load(base, b + 3 * cells), load(base, b + 3 * cells + WIDTH)
    z1, Z1 = load(base, b + 4 * cells), load(base, b + 4 * cells + WIDTH)
    n1, N1 = load(base, b + 5 * cells), load(base, b + 5 * cells + WIDTH)
    r0, z0, n0, r1, z1, n1, R0, Z0, N0, R1, Z1, N1 = _sums(
        w, at, features, x, where, row, r0, z0, n0, r1, z1, n1, R0, Z0, N0, R1, Z1, N1
    )
    q0 = Q0 = spread(q_bias, 2 * pair)
    q1 = Q1 = spread(q_bias, 2 * pair + 1)
    r0, z0, q0, r1, z1, q1, R0, Z0, Q0, R1, Z1, Q1 = _sums(
        w, at + 6 * features, units, before, 0, TILE, r0, z0, q0, r1, z1, q1, R0, Z0, Q0, R1, Z1, Q1
    )
    u, G = 2 * pair * TILE, g + g_row
    return (
        _unit(r0, z0, n0, q0, before, u, after, gates, g, gate, keep),
        _unit(R0, Z0, N0, Q0, before, u + WIDTH, after, gates, g + WIDTH, gate, keep),
        _unit(r1, z1, n1, q1, before, u + TILE, after, gates, G, gate, keep),
        _unit(R1, Z1, N1, Q1, before, u + TILE + WIDTH, after, gates, G + WIDTH, gate, keep),
    )


@inline
def _read(readout, at, x, where, row, features, hidden, units, a, A):  # type: ignore[no-untyped-def]
    """Add what one output reads of the features and hidden values of a day in 16 cells."""
    for _ in range(features):
        s = spread(readout, at)
        a, A = fma(s, load(x, where), a), fma(s, load(x, where + WIDTH), A)
        at += 1
        where += row
    c = C = everywhere(np.float32(0.0))
    for k in range(0, units * TILE, 2 * TILE):
        s, S = spread(readout, at), spread(readout, at + 1)
        a, A = fma(s, load(hidden, k), a), fma(s, load(hidden, k + WIDTH), A)
        c, C = fma(S, load(hidden, k + TILE), c), fma(S, load(hidden, k + TILE + WIDTH), C)
        at += 2
    return a + c, A + C


@kept_on_disk
@njit(**KERNEL)
def forward(  # type: ignore[no-untyped-def]
    x, x_row, x_day, features, base, w, q_bias, units, days, cells, state, hidden, gates, h_row, h_day, readout,
    raw_base, raw, raw_row, outputs,
):  # fmt: skip
    """Run days in order; see :mod:`fluxatlas.train.networks.gru` for the weights.

    ``x`` (feature by ``x_row``, day by ``x_day``) and ``base`` (unit, gate, cell) make the sums; ``state`` (unit, cell)
    moves on in place. ``hidden`` (unit by ``h_row``, day by ``h_day``) and ``gates`` (four of these: n, r, z, q) are
    kept unless empty. Where ``outputs`` is not 0, ``raw`` (output by ``raw_row``, day by ``x_day``) is what ``readout``
    (output, feature then unit) makes of features and hidden values, with ``raw_base`` (output, cell) added.
    """
    keep_hidden, keep_gates = hidden.size > 0, gates.size > 0
    gate = units * h_row
    before, after = np.empty(units * TILE, np.float32), np.empty(units * TILE, np.float32)
    for cell in range(0, cells, TILE):
        for k in range(units):
            store(before, k * TILE, load(state, k * cells + cell))
            store(before, k * TILE + WIDTH, load(state, k * cells + cell + WIDTH))
        for day in range(days):
            where = day * x_day + cell
            for pair in range(units // 2):
                g = 2 * pair * h_row + day * h_day + cell
                k00, k01, k10, k11 = _pair(
                    pair, x, where, x_row, features, base, 6 * pair * cells + cell, cells, w, q_bias, units, before,
                    after, gates, g, h_row, gate, keep_gates,
                )  # fmt: skip
                if keep_hidden:
                    store(hidden, g, k00)
                    store(hidden, g + WIDTH, k01)
                    store(hidden, g + h_row, k10)
                    store(hidden, g + h_row + WIDTH, k11)
            for out in range(outputs):
                b = out * cells + cell
                a, A = load(raw_base, b), load(raw_base, b + WIDTH)
                at = out * (features + units)
                a, A = _read(readout, at, x, where, x_row, features, after, units, a, A)
                store(raw, out * raw_row + where, a)
                store(raw, out * raw_row + where + WIDTH, A)
            before, after = after, before
        for k in range(units):
            store(state, k * cells + cell, load(before, k * TILE))
            store(state, k * cells + cell + WIDTH, load(before, k * TILE + WIDTH))


@inline
def _slopes(carry, c, d_out, gates, hidden, g, gate, h_day, slopes, local, u):  # type: ignore[no-untyped-def]
    """From the gradient by a hidden value to those by the sums of its gates, n, r, z and q, in eight cells."""
    one = everywhere(_ONE)
    d = load(carry, c) + load(d_out, g)
    n, r, z, q = load(gates, g), load(gates, g + gate), load(gates, g + 2 * gate), load(gates, g + 3 * gate)
    by_n = d * (one - z) * (one - n * n)
    by_z = d * (load(hidden, g - h_day) - n) * z * (one - z)
    by_r = by_n * q * r * (one - r)
    by_q = by_n * r
    store(carry, c, d * z)
    store(slopes, g, by_n)
    store(slopes, g + gate, by_r)
    store(slopes, g + 2 * gate, by_z)
    store(slopes, g + 3 * gate, by_q)
    store(local, u, by_n)
    store(local, u + TILE, by_r)
    store(local, u + 2 * TILE, by_z)
    store(local, u + 3 * TILE, by_q)


@inline
def _back(w, at, units, local, last, a0, A0, a1, A1, a2, A2, a3, A3):  # type: ignore[no-untyped-def]
    """Add slopes times weights to four sums in 16 cells; those by r, z and the one at place ``last`` of a unit."""
    for k in range(units):
        for gate in range(3):
            where = (4 * k + (last if gate == 2 else gate + 1)) * TILE
            v, V = load(local, where), load(local, where + WIDTH)
            s = spread(w, at)
            a0, A0 = fma(s, v, a0), fma(s, V, A0)
            s = spread(w, at + 1)
            a1, A1 = fma(s, v, a1), fma(s, V, A1)
            s = spread(w, at + 2)
            a2, A2 = fma(s, v, a2), fma(s, V, A2)
            s = spread(w, at + 3)
            a3, A3 = fma(s, v, a3), fma(s, V, A3)
            at += 4
    return a0, A0, a1, A1, a2, A2, a3, A3


@inline
def _back_to(into, at, step, w, group, units, local, last, add):  # type: ignore[no-untyped-def]
    """Gradients by four rows of 16 cells, written ``into`` or added."""
    a0 = A0 = a1 = A1 = a2 = A2 = a3 = A3 = everywhere(np.float32(0.0))
    if add:
        a0, A0, a1, A1 = load(into, at), load(into, at + WIDTH), load(into, at + step), load(into, at + step + WIDTH)
        a2, A2 = load(into, at + 2 * step), load(into, at + 2 * step + WIDTH)
        a3, A3 = load(into, at + 3 * step), load(into, at + 3 * step + WIDTH)
    a0, A0, a1, A1, a2, A2, a3, A3 = _back(w, 12 * units * group, units, local, last, a0, A0, a1, A1, a2, A2, a3, A3)
    store(into, at, a0)
    store(into, at + WIDTH, A0)
    store(into, at + step, a1)
    store(into, at + step + WIDTH, A1)
    store(into, at + 2 * step, a2)
    store(into, at + 2 * step + WIDTH, A2)
    store(into, at + 3 * step, a3)
    store(into, at + 3 * step + WIDTH, A3)


@kept_on_disk
@njit(**KERNEL)
def backward(  # type: ignore[no-untyped-def]
    gates, hidden, h_row, h_day, d_out, d_state, w_units, w_inputs, units, inputs, days, cells, slopes, d_x, x_row,
    x_day,
):  # fmt: skip
    """Gradients, days from last to first, of what :func:`forward` kept; day 0 of its arrays is the state before them.

    ``d_out`` (as ``hidden``) by hidden values; ``d_state`` (unit, cell) by the last of them, which becomes that by the
    first. ``slopes`` (as ``gates``) by the sums before the gates; ``d_x`` (input by ``x_row``, day by ``x_day``) by the
    inputs. ``w_units`` (group of four units, unit, r z q, 4) and ``w_inputs`` (group of four inputs, unit, r z n, 4).
    """
    gate = units * h_row
    local, carry = np.empty(4 * units * TILE, np.float32), np.empty(units * TILE, np.float32)
    for cell in range(0, cells, TILE):
        for k in range(units):
            store(carry, k * TILE, load(d_state, k * cells + cell))
            store(carry, k * TILE + WIDTH, load(d_state, k * cells + cell + WIDTH))
        for day in range(days - 1, -1, -1):
            for k in range(units):
                g, c = k * h_row + (day + 1) * h_day + cell, k * TILE
                _slopes(carry, c, d_out, gates, hidden, g, gate, h_day, slopes, local, 4 * c)
                _slopes(carry, c + WIDTH, d_out, gates, hidden, g + WIDTH, gate, h_day, slopes, local, 4 * c + WIDTH)
            for group in range(units // UNITS):
                _back_to(carry, UNITS * group * TILE, TILE, w_units, group, units, local, 3, True)
            for group in range(inputs // UNITS):
                at = UNITS * group * x_row + day * x_day + cell
                _back_to(d_x, at, x_row, w_inputs, group, units, local, 0, False)
        for k in range(units):
            store(d_state, k * cells + cell, load(carry, k * TILE))
            store(d_state, k * cells + cell + WIDTH, load(carry, k * TILE + WIDTH))
