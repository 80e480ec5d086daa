"""Formulas that work day by day and cell by cell as a list of instructions, run on rows of cells that stay in cache.

Bounds, physics and scaling of a network are some hundred small operations. torch walks through the memory of a whole
block for each; here a row of :data:`ROW` cells goes through all of them before the next. The list is data: one compiled
kernel serves every system. See :mod:`fluxatlas.infer.pointwise` for how a list is made.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from ..process import _vector
from ..process._vector import KERNEL
from ..train.networks import lanes
from ..train.networks.lanes import (
    WIDTH,
    absolute,
    at_most,
    equal,
    everywhere,
    exponent,
    fma,
    inline,
    larger,
    less,
    load,
    mantissa,
    pick,
    root,
    smaller,
    spread,
    store,
    times_power,
)

ROW = 64
"""Cells that go through all instructions together."""
CODES = (
    *("read", "read_cell", "constant", "write", "write_cell"),
    *("add", "sub", "mul", "div", "smaller", "larger", "less", "at_most", "equal", "pick"),
    *("exp", "log", "sqrt", "abs", "neg"),
)
"""Operations by code."""
_READ, _READ_CELL, _CONSTANT, _WRITE, _WRITE_CELL, _ADD, _SUB, _MUL, _DIV, _SMALLER = range(10)
_LARGER, _LESS, _AT_MOST, _EQUAL, _PICK, _EXP, _LOG, _SQRT, _ABS, _NEG = range(10, len(CODES))
_F = np.float32
_LOG2E, _LN2_HIGH, _LN2_LOW, _MAGIC = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4), _F(12582912.0)
_LOWEST, _HIGHEST, _ONE, _HALF, _ROOT2 = _F(-87.0), _F(88.0), _F(1.0), _F(0.5), _F(1.41421356)
_EXP_TERMS = tuple(map(_F, (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0)))
_LOG_TERMS = tuple(map(_F, (2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0)))
kept_on_disk: Any = partial(_vector.cached, sources=[Path(one) for one in (__file__, lanes.__file__, _vector.__file__)])


@inline
def _exp(x: Any) -> Any:
    """Exponential function, to 1e-7; arguments are held in -87..88."""
    x = smaller(larger(x, everywhere(_LOWEST)), everywhere(_HIGHEST))
    shifted = fma(x, everywhere(_LOG2E), everywhere(_MAGIC))
    n = everywhere(-_ONE) * (shifted - everywhere(_MAGIC))
    r = fma(n, everywhere(_LN2_LOW), fma(n, everywhere(_LN2_HIGH), x))
    p = everywhere(_EXP_TERMS[0])
    p = fma(p, r, everywhere(_EXP_TERMS[1]))
    p = fma(p, r, everywhere(_EXP_TERMS[2]))
    p = fma(p, r, everywhere(_EXP_TERMS[3]))
    p = fma(p, r, everywhere(_EXP_TERMS[4]))
    p = fma(p, r, everywhere(_EXP_TERMS[5]))
    p = fma(p, r, everywhere(_EXP_TERMS[6]))
    p = fma(p, r, everywhere(_EXP_TERMS[7]))
    return pick(equal(x, x), times_power(p, shifted), x)


@inline
def _log(x: Any) -> Any:
    """Natural logarithm of positive numbers, to 1e-7; -88 of zero, not a number below."""
    e, m = exponent(x), mantissa(x)
    big = less(everywhere(_ROOT2), m)
    e, m = e + big, m * (everywhere(_ONE) - big * everywhere(_HALF))
    s = (m - everywhere(_ONE)) / (m + everywhere(_ONE))
    q = s * s
    p = everywhere(_LOG_TERMS[0])
    p = fma(p, q, everywhere(_LOG_TERMS[1]))
    p = fma(p, q, everywhere(_LOG_TERMS[2]))
    p = fma(p, q, everywhere(_LOG_TERMS[3]))
    p = fma(p, q, everywhere(_LOG_TERMS[4]))
    p = fma(p, q, everywhere(_LOG_TERMS[5]))
    found = fma(e, everywhere(_LN2_HIGH), fma(e, everywhere(_LN2_LOW), s * p))
    return pick(at_most(everywhere(_F(0.0)), x), found, everywhere(_F(np.nan)))


@njit(**KERNEL)
def _arithmetic(code, rows, into, a, b):  # type: ignore[no-untyped-def]
    if code == _ADD:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, load(rows, a + i) + load(rows, b + i))
    elif code == _SUB:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, load(rows, a + i) - load(rows, b + i))
    elif code == _MUL:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, load(rows, a + i) * load(rows, b + i))
    else:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, load(rows, a + i) / load(rows, b + i))


@njit(**KERNEL)
def _comparison(code, rows, into, a, b, c):  # type: ignore[no-untyped-def]
    if code == _SMALLER:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, smaller(load(rows, a + i), load(rows, b + i)))
    elif code == _LARGER:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, larger(load(rows, a + i), load(rows, b + i)))
    elif code == _LESS:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, less(load(rows, a + i), load(rows, b + i)))
    elif code == _AT_MOST:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, at_most(load(rows, a + i), load(rows, b + i)))
    elif code == _EQUAL:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, equal(load(rows, a + i), load(rows, b + i)))
    else:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, pick(load(rows, a + i), load(rows, b + i), load(rows, c + i)))


@njit(**KERNEL)
def _function(code, rows, into, a):  # type: ignore[no-untyped-def]
    if code == _EXP:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, _exp(load(rows, a + i)))
    elif code == _LOG:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, _log(load(rows, a + i)))
    elif code == _SQRT:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, root(load(rows, a + i)))
    elif code == _ABS:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, absolute(load(rows, a + i)))
    else:
        for i in range(0, ROW, WIDTH):
            store(rows, into + i, everywhere(_F(0.0)) - load(rows, a + i))


@njit(**KERNEL)
def _copy(source, at, into, to):  # type: ignore[no-untyped-def]
    for i in range(0, ROW, WIDTH):
        store(into, to + i, load(source, at + i))


@njit(**KERNEL)
def _carry_out(program, rows, constants, series, fixed, day, cell, days, cells):  # type: ignore[no-untyped-def]
    """Run the instructions (code, into, a, b, c) on one row of cells of one day."""
    for number in range(len(program)):
        code, into, a = program[number, 0], program[number, 1], program[number, 2]
        if code >= _EXP:
            _function(code, rows, into * ROW, a * ROW)
        elif code >= _SMALLER:
            _comparison(code, rows, into * ROW, a * ROW, program[number, 3] * ROW, program[number, 4] * ROW)
        elif code >= _ADD:
            _arithmetic(code, rows, into * ROW, a * ROW, program[number, 3] * ROW)
        elif code == _READ:
            _copy(series, (a * days + day) * cells + cell, rows, into * ROW)
        elif code == _READ_CELL:
            _copy(fixed, a * cells + cell, rows, into * ROW)
        elif code == _WRITE:
            _copy(rows, a * ROW, series, (into * days + day) * cells + cell)
        elif code == _WRITE_CELL:
            _copy(rows, a * ROW, fixed, into * cells + cell)
        else:
            for i in range(0, ROW, WIDTH):
                store(rows, into * ROW + i, spread(constants, a))


@kept_on_disk
@njit(**KERNEL)
def carry_out(first, program, registers, constants, series, fixed, days, cells):  # type: ignore[no-untyped-def]
    """Run ``first`` once and ``program`` on each day, for each row of :data:`ROW` of the ``cells``.

    Instructions (n, 5) are code, place to write, and up to three places to read; places are ``registers``, or rows of
    ``series`` (row, day, cell) and ``fixed`` (row, cell) for those that read and write these. All arrays of values are
    float32 of one dimension.
    """
    rows = np.zeros(registers * ROW, np.float32)
    for cell in range(0, cells, ROW):
        _carry_out(first, rows, constants, series, fixed, 0, cell, days, cells)
        for day in range(days):
            _carry_out(program, rows, constants, series, fixed, day, cell, days, cells)
