"""Eight float32 values side by side as one type inside Numba kernels: what a register of the processor holds.

A kernel that is written with it keeps its sums in registers, which LLVM does not find out by itself for loops over
gates, units and cells. Compiled code alone: Python cannot call these functions. LLVM maps the type to what the machine
has (SSE, AVX2, AVX-512, NEON).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_jitable, register_model

WIDTH = 8
"""Values in one :class:`Lanes`."""

compiled: Any = intrinsic
taught: Any = overload
INLINE: dict[str, Any] = {"forceinline": True}


class Lanes(types.Type):
    """The type of eight float32 values."""

    def __init__(self) -> None:
        super().__init__(name="float32x8")


LANES = Lanes()
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
register_model(Lanes)(type("LanesModel", (models.PrimitiveModel,), {
    "__init__": lambda self, dmm, fe_type: models.PrimitiveModel.__init__(self, dmm, fe_type, _VECTOR)
}))  # fmt: skip


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Address of the eight values of a contiguous float32 array from element ``index``."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@compiled
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Eight values of a contiguous float32 array of one dimension from element ``index`` on; bounds unchecked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.load(_pointer(context, builder, signature.args[0], args[0], args[1]))
        found.align = 4
        return found

    return LANES(array, types.intp), codegen


@compiled
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write eight values to a contiguous float32 array of one dimension from element ``index`` on; bounds unchecked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature.args[0], args[0], args[1]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), codegen


def _splat(builder: Any, value: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), mask)


@compiled
def spread(typingctx: Any, array: Any, index: Any) -> Any:
    """Element ``index`` of a float32 array of one dimension in all places; bounds unchecked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return _splat(builder, builder.load(builder.gep(data, [args[1]])))

    return LANES(array, types.intp), codegen


@compiled
def everywhere(typingctx: Any, value: Any) -> Any:
    """One number in all places."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, args[0])

    return LANES(types.float32), codegen


@compiled
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """``a b + c``, rounded once where the machine can."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        called = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{WIDTH}f32")
        return builder.call(called, args)

    return LANES(LANES, LANES, LANES), codegen


@compiled
def within(typingctx: Any, value: Any, limit: Any) -> Any:
    """``value`` limited to ``-limit..limit``; what is not a number stays so."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, high = args[0], _splat(builder, args[1])
        low = builder.fneg(high)
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">", value, high), high, value)

    return LANES(LANES, types.float32), codegen


def _of(arguments: int, build: Callable[..., Any]) -> Any:
    """A function of lanes that ``build(builder, *values)`` makes the code of."""
    if arguments == 1:

        @compiled
        def one(typingctx: Any, a: Any) -> Any:
            return LANES(LANES), lambda context, builder, signature, args: build(builder, *args)

        return one
    if arguments == 2:

        @compiled
        def two(typingctx: Any, a: Any, b: Any) -> Any:
            return LANES(LANES, LANES), lambda context, builder, signature, args: build(builder, *args)

        return two

    @compiled
    def three(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        return LANES(LANES, LANES, LANES), lambda context, builder, signature, args: build(builder, *args)

    return three


def _whole(value: int) -> Any:
    return ir.Constant(_INTEGERS, [value] * WIDTH)


def _truth(builder: Any, condition: Any) -> Any:
    return builder.select(condition, ir.Constant(_VECTOR, [1.0] * WIDTH), ir.Constant(_VECTOR, [0.0] * WIDTH))


def _times_power(builder: Any, value: Any, shifted: Any) -> Any:
    shift = builder.shl(builder.bitcast(shifted, _INTEGERS), _whole(23))
    return builder.bitcast(builder.add(builder.bitcast(value, _INTEGERS), shift), _VECTOR)


def _exponent(builder: Any, value: Any) -> Any:
    bits = builder.ashr(builder.bitcast(value, _INTEGERS), _whole(23))
    return builder.sitofp(builder.sub(bits, _whole(127)), _VECTOR)


def _mantissa(builder: Any, value: Any) -> Any:
    bits = builder.and_(builder.bitcast(value, _INTEGERS), _whole(0x007FFFFF))
    return builder.bitcast(builder.or_(bits, _whole(0x3F800000)), _VECTOR)


def _absolute(builder: Any, value: Any) -> Any:
    return builder.bitcast(builder.and_(builder.bitcast(value, _INTEGERS), _whole(0x7FFFFFFF)), _VECTOR)


def _root(builder: Any, value: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{WIDTH}f32"), [value])


def _compare(how: str) -> Callable[..., Any]:
    return lambda builder, a, b: _truth(builder, builder.fcmp_ordered(how, a, b))


def _extreme(how: str) -> Callable[..., Any]:
    def build(builder: Any, a: Any, b: Any) -> Any:
        found = builder.select(builder.fcmp_ordered(how, b, a), b, a)
        return builder.select(builder.fcmp_unordered("uno", b, b), b, found)

    return build


_INTEGERS = ir.VectorType(ir.IntType(32), WIDTH)
times_power = _of(2, _times_power)
"""``value 2^n`` of a value and ``n`` plus 1.5 * 2^23, whose lowest bits hold n."""
exponent, mantissa = _of(1, _exponent), _of(1, _mantissa)
"""Of a positive number ``m 2^e``: ``e`` and ``m`` in 1..2."""
absolute, root = _of(1, _absolute), _of(1, _root)
less, at_most, equal = _of(2, _compare("<")), _of(2, _compare("<=")), _of(2, _compare("=="))
"""1 where it holds, else 0; 0 for what is not a number."""
larger, smaller = _of(2, _extreme(">")), _of(2, _extreme("<"))
"""Of two values; not a number where one is not."""
pick = _of(3, lambda b, c, x, y: b.select(b.fcmp_unordered("!=", c, ir.Constant(_VECTOR, [0.0] * WIDTH)), x, y))
"""The second value where the first is not 0, else the third."""


def _teach(symbol: Callable[..., Any], name: str) -> None:
    operation = _of(2, lambda builder, a, b: getattr(builder, name)(a, b))

    @taught(symbol, jit_options=INLINE)
    def of_lanes(a: Any, b: Any) -> Any:
        def implementation(a: Any, b: Any) -> Any:
            return operation(a, b)

        return implementation if isinstance(a, Lanes) and isinstance(b, Lanes) else None


for _symbol, _name in {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv"}.items():
    _teach(getattr(operator, _symbol), _name)
inline: Any = register_jitable(**INLINE)
"""Decorator of a function that kernels take in."""
