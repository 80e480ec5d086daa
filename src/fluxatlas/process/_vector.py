"""Elementary functions that work on NumPy arrays in Python and as vectorised scalars inside Numba kernels.

Every formula of the process models is written once with these functions. Called from Python they are NumPy's; inside a
compiled kernel they become short polynomials without calls or branches, so that LLVM can put several cells in one
vector register (a loop that calls the C library's ``exp`` stays scalar). Relative error of the compiled versions is
below 1e-13, checked against NumPy by a test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic, overload, register_jitable

from .. import constants, humidity

_INLINE: Any = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
formula = register_jitable(**_INLINE)
"""Decorator of a formula: plain Python function outside, compiled inside a kernel."""

KERNEL: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}, "nogil": True}
"""Compile options of a kernel. No reassociation: it would cancel the budget residuals algebraically."""
INNER: dict[str, Any] = {**KERNEL, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Compile options of a kernel that is called by kernels alone."""


class _SourceCache(FunctionCache):
    """Numba's cache on disk, keyed by the sources of the function and of all that it inlines.

    Numba's own key is the file of the function alone: it would run stale code after an edit of a formula that the
    function inlines from another file.
    """

    def __init__(self, function: Any, sources: Sequence[Path]) -> None:
        super().__init__(function)
        self._sources = sources

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        own = [*sorted(Path(__file__).parent.rglob("*.py")), Path(constants.__file__), Path(humidity.__file__)]
        digest = hashlib.sha256(b"".join(source.read_bytes() for source in self._sources or own)).hexdigest()
        return (*super()._index_key(sig, codegen), digest)


def cached(kernel: Any, sources: Sequence[Path] = ()) -> Any:
    """Keep the machine code of a kernel on disk; compiled once per machine and version of its ``sources`` (none given:
    every source of this package and the constants that it takes from outside)."""
    kernel._cache = _SourceCache(kernel.py_func, sources)
    return kernel


def exp(x: Any) -> Any:
    """Exponential function; the compiled version is clamped to arguments of -700..700."""
    return np.exp(x)


def log(x: Any) -> Any:
    """Natural logarithm of positive normal numbers."""
    return np.log(x)


def where(condition: Any, yes: Any, no: Any) -> Any:
    """``yes`` where the condition holds, else ``no``; both are evaluated."""
    return np.where(condition, yes, no)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two values."""
    return np.minimum(a, b)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two values."""
    return np.maximum(a, b)


def sqrt(x: Any) -> Any:
    """Square root."""
    return np.sqrt(x)


@formula
def clip(x: Any, low: Any, high: Any) -> Any:
    """``x`` limited to ``low``..``high``."""
    return minimum(maximum(x, low), high)


@formula
def power(base: Any, exponent: Any) -> Any:
    """``base ** exponent`` for a non-negative base; zero to any positive power is zero, anything to the zero is one."""
    return where(base > 1e-300, exp(exponent * log(maximum(base, 1e-300))), where(exponent == 0.0, 1.0, 0.0))


@intrinsic
def _bits(typingctx: Any, value: Any) -> Any:
    """Reinterpret a float64 as an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def _float(typingctx: Any, value: Any) -> Any:
    """Reinterpret an int64 as a float64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


_LOG2E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.693147180369123816490, 1.90821492927058770002e-10
_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the rounded integer in the lowest bits
_TWO52 = 4503599627370496.0


@overload(exp, jit_options=_INLINE)
def _exp(x: Any) -> Callable[..., Any]:
    def polynomial(x: Any) -> Any:
        x = minimum(maximum(x, -700.0), 700.0)
        shifted = x * _LOG2E + _MAGIC
        n = shifted - _MAGIC
        r = x - n * _LN2_HIGH - n * _LN2_LOW
        p = 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        p = p * r + 1.0
        return p * _float((_bits(shifted) << 52) + (1023 << 52))  # type: ignore[call-arg]

    return polynomial


@overload(log, jit_options=_INLINE)
def _log(x: Any) -> Callable[..., Any]:
    def polynomial(x: Any) -> Any:
        bits: Any = _bits(x)  # type: ignore[call-arg]
        exponent = _float((bits >> 52) | 0x4330000000000000) - _TWO52 - 1023.0
        mantissa = _float((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000)
        big = mantissa > 1.4142135623730951
        mantissa = mantissa * 0.5 if big else mantissa
        exponent = exponent + 1.0 if big else exponent
        s = (mantissa - 1.0) / (mantissa + 1.0)
        q = s * s
        p = 1.0 / 19.0
        p = p * q + 1.0 / 17.0
        p = p * q + 1.0 / 15.0
        p = p * q + 1.0 / 13.0
        p = p * q + 1.0 / 11.0
        p = p * q + 1.0 / 9.0
        p = p * q + 1.0 / 7.0
        p = p * q + 0.2
        p = p * q + 1.0 / 3.0
        p = p * q + 1.0
        return 2.0 * s * p + exponent * 0.6931471805599453

    return polynomial


@overload(where, jit_options=_INLINE)
def _where(condition: Any, yes: Any, no: Any) -> Callable[..., Any]:
    def select(condition: Any, yes: Any, no: Any) -> Any:
        return yes if condition else no

    return select


@overload(minimum, jit_options=_INLINE)
def _minimum(a: Any, b: Any) -> Callable[..., Any]:
    def smaller(a: Any, b: Any) -> Any:
        return a if a < b else b

    return smaller


@overload(maximum, jit_options=_INLINE)
def _maximum(a: Any, b: Any) -> Callable[..., Any]:
    def larger(a: Any, b: Any) -> Any:
        return a if a > b else b

    return larger


@overload(sqrt, jit_options=_INLINE)
def _sqrt(x: Any) -> Callable[..., Any]:
    def root(x: Any) -> Any:
        return np.sqrt(x)

    return root
