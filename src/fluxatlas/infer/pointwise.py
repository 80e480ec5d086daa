"""From what a network computes in torch, day by day and cell by cell, to instructions for
:mod:`~fluxatlas.infer.pointwise_kernel`.

A :class:`Recorder` watches torch evaluate the formulas on a few cells and notes each operation. Beside each tensor it
keeps a *shadow*, the numbers of the values in the list, moved as torch moves the tensor. What is not pointwise, or not
known here, raises :class:`NotPointwiseError`; so does a branch that depends on the values of a day or cell. Branches on
constants (the forms of a process model that a member is bound to) are followed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .pointwise_kernel import CODES

CODE = {name: number for number, name in enumerate(CODES)}
CONSTANT, FIXED = -2, -1
"""Stages of constants and of what is constant in time; series are of stage 0 and later."""
_MOVES = {
    *("view", "_unsafe_view", "reshape", "expand", "permute", "transpose", "t", "unsqueeze", "squeeze", "select"),
    *("slice", "unbind", "split", "split_with_sizes", "stack", "cat", "alias", "clone", "detach", "gather"),
    *("index_select", "repeat", "contiguous", "lift_fresh", "as_strided"),
}
_PLAIN = {"add": "add", "sub": "sub", "mul": "mul", "div": "div", "minimum": "smaller", "maximum": "larger",
          "lt": "less", "le": "at_most", "eq": "equal", "exp": "exp", "log": "log", "sqrt": "sqrt", "abs": "abs",
          "neg": "neg", "where": "pick", "bitwise_and": "mul", "logical_and": "mul"}  # fmt: skip
_SWAPPED = {"gt": "less", "ge": "at_most", "rsub": "sub"}
_CONSTANTS = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"}


class NotPointwiseError(Exception):
    """What was evaluated cannot be written as instructions."""


@dataclass
class Graph:
    """Values by number: ``nodes`` (code, numbers that it reads), ``stage`` of each; ``constants`` by number."""

    nodes: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    constants: dict[int, float] = field(default_factory=dict)
    _known: dict[Any, int] = field(default_factory=dict)

    def _add(self, key: Any, code: str, reads: tuple[int, ...], stage: int) -> int:
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append((code, reads))
            self.stage.append(stage)
        return self._known[key]

    def given(self, name: str, stage: int) -> int:
        """The number of an input."""
        return self._add(("given", name), "given", (), stage)

    def constant(self, value: float) -> int:
        """The number of a constant."""
        number = self._add(("constant", value), "constant", (), CONSTANT)
        self.constants[number] = value
        return number

    def operation(self, code: str, *reads: int) -> int:
        """The number of the result of an operation, the same for the same operation."""
        if code == "div" and self.constants.get(reads[1], 0.0) != 0.0:
            code, reads = "mul", (reads[0], self.constant(1.0 / self.constants[reads[1]]))
        return self._add((code, reads), code, reads, max(FIXED, *(self.stage[number] for number in reads)))


class Recorder(TorchDispatchMode):
    """Notes in ``graph`` what torch does to tensors that were given to it (:meth:`give`)."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph()
        self._shadows: dict[int, tuple[Tensor, Tensor]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Let torch not wrap the mode for its compiler, whose import takes longer than all that is recorded."""
        return False

    def give(self, tensor: Tensor, numbers: Tensor) -> Tensor:
        """Follow ``tensor``, whose values have these ``numbers`` (of a shape that broadcasts to it)."""
        self._shadows[id(tensor)] = (tensor, numbers.expand(tensor.shape))
        return tensor

    def number(self, tensor: Tensor) -> int:
        """The number of the one value that a tensor holds for every day and cell."""
        numbers = self._shadow(tensor).unique()
        if len(numbers) != 1:
            raise NotPointwiseError("days or cells are not treated alike")
        return int(numbers)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        name = function._schema.name.removeprefix("aten::")
        if name not in _CONSTANTS and any(id(value) in self._shadows for value in _tensors(args)):
            with torch.utils._python_dispatch._disable_current_modes():
                shadow = self._follow(name, function, args, kwargs or {})
            for tensor, numbers in zip(_tensors([found]), _tensors([shadow]), strict=True):
                self.give(tensor, numbers)
        return found

    def _shadow(self, value: Any) -> Tensor:
        """Numbers of the values of a tensor or of a plain number, constants among them."""
        if isinstance(value, Tensor) and id(value) in self._shadows:
            return self._shadows[id(value)][1]
        plain = torch.as_tensor(value, dtype=torch.float64)
        values, inverse = plain.unique(return_inverse=True)
        return torch.tensor([self.graph.constant(float(one)) for one in values])[inverse].reshape(plain.shape)

    def _follow(self, name: str, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if kwargs.get("alpha", 1) != 1 or kwargs.get("rounding_mode"):
            raise NotPointwiseError(f"{name} with options")
        if name in _MOVES:
            return function(*(self._moved(value, name, place) for place, value in enumerate(args)))
        if name == "_to_copy":
            return self._shadow(args[0])
        if name in ("sum", "mm", "bmm", "addmm"):
            return getattr(self, f"_{name}")(*args)
        if name in _PLAIN:
            return self._each(_PLAIN[name], *args)
        if name in _SWAPPED:
            return self._each(_SWAPPED[name], args[1], args[0])
        form = _FORMS.get(name)
        if form is None:
            raise NotPointwiseError(f"no instruction for '{name}'")
        return form(self, *args)

    def _moved(self, value: Any, name: str, place: int) -> Any:
        if isinstance(value, (list, tuple)) and any(isinstance(one, Tensor) for one in value):
            return [self._shadow(one) for one in value]
        if isinstance(value, Tensor) and not (name in ("gather", "index_select") and place == 2):
            return self._shadow(value)
        if isinstance(value, Tensor) and id(value) in self._shadows:
            raise NotPointwiseError("an index that depends on the day or cell")
        return value

    def _each(self, code: str, *values: Any) -> Tensor:
        """An operation on all values of tensors that broadcast; numbers that were computed here may be given too."""
        numbers = [value if _is_shadow(value) else self._shadow(value) for value in values]
        together = torch.stack(torch.broadcast_tensors(*numbers))
        columns, inverse = together.flatten(1).unique(dim=1, return_inverse=True)
        made = torch.tensor([self.graph.operation(code, *column) for column in columns.T.tolist()])
        return made[inverse].reshape(together.shape[1:])

    def _sum(self, value: Tensor, dims: Sequence[int] | None = None, keep: bool = False) -> Tensor:
        numbers = self._shadow(value)
        dims = list(range(numbers.dim())) if not dims else [dim % numbers.dim() for dim in dims]
        others = [dim for dim in range(numbers.dim()) if dim not in dims]
        rows = numbers.permute(*dims, *others).reshape(-1, *(numbers.shape[dim] for dim in others))
        total = rows[0]
        for row in rows[1:]:
            total = self._each("add", total, row)
        for dim in sorted(dims) if keep else ():
            total = total.unsqueeze(dim)
        return total

    def _bmm(self, a: Any, b: Any) -> Tensor:
        left, right = self._shadow(a), self._shadow(b)
        total = self._each("mul", left[..., 0, None], right[..., None, 0, :])
        for k in range(1, left.shape[-1]):
            total = self._each("add", total, self._each("mul", left[..., k, None], right[..., None, k, :]))
        return total

    _mm = _bmm

    def _addmm(self, bias: Any, a: Any, b: Any) -> Tensor:
        return self._each("add", self._bmm(a, b), self._shadow(bias))


def _is_shadow(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.int64


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found


def _clamp(r: Recorder, x: Any, low: Any = None, high: Any = None) -> Tensor:
    x = x if low is None else r._each("larger", x, low)
    return r._shadow(x) if high is None and low is None else x if high is None else r._each("smaller", x, high)


def _power(r: Recorder, base: Any, exponent: Any) -> Tensor:
    if isinstance(base, (int, float)):
        return r._each("exp", r._each("mul", math.log(base), exponent))
    if isinstance(exponent, (int, float)):
        square = r._each("mul", base, base)
        if exponent in (2, 3, 4):
            return square if exponent == 2 else r._each("mul", square, base if exponent == 3 else square)
        if exponent in (0.5, -2):
            return r._each("sqrt", base) if exponent == 0.5 else r._each("div", 1.0, square)
        if float(exponent).is_integer():  # a logarithm knows no negative base
            raise NotPointwiseError(f"a power of {exponent:g}")
    return r._each("exp", r._each("mul", exponent, r._each("log", base)))


def _sigmoid(r: Recorder, x: Any) -> Tensor:
    return r._each("div", 1.0, r._each("add", 1.0, r._each("exp", r._each("neg", x))))


def _tanh(r: Recorder, x: Any) -> Tensor:
    twice = r._each("exp", r._each("mul", 2.0, x))
    return r._each("sub", 1.0, r._each("div", 2.0, r._each("add", twice, 1.0)))


def _softplus(r: Recorder, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    if beta != 1.0:
        raise NotPointwiseError("softplus with another beta")
    small = r._each("exp", r._each("neg", r._each("abs", x)))
    return r._each("add", r._each("larger", x, 0.0), r._each("log", r._each("add", 1.0, small)))


def _sinh(r: Recorder, x: Any) -> Tensor:
    up = r._each("exp", x)
    return r._each("mul", 0.5, r._each("sub", up, r._each("div", 1.0, up)))


def _asinh(r: Recorder, x: Any) -> Tensor:
    size = r._each("abs", x)
    length = r._each("sqrt", r._each("add", r._each("mul", x, x), 1.0))
    value = r._each("log", r._each("add", size, length))
    return r._each("pick", r._each("less", x, 0.0), r._each("neg", value), value)


def _logit(r: Recorder, x: Any, eps: float | None = None) -> Tensor:
    share = r._shadow(x) if eps is None else _clamp(r, x, eps, 1.0 - eps)
    return r._each("log", r._each("div", share, r._each("sub", 1.0, share)))


_FORMS: dict[str, Callable[..., Tensor]] = {
    "clamp": _clamp,
    "clamp_min": lambda r, x, low: r._each("larger", x, low),
    "clamp_max": lambda r, x, high: r._each("smaller", x, high),
    "pow": _power,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softplus": _softplus,
    "sinh": _sinh,
    "asinh": _asinh,
    "logit": _logit,
    "relu": lambda r, x: r._each("larger", x, 0.0),
    "reciprocal": lambda r, x: r._each("div", 1.0, x),
    "rsqrt": lambda r, x: r._each("div", 1.0, r._each("sqrt", x)),
    "square": lambda r, x: r._each("mul", x, x),
    "logical_not": lambda r, x: r._each("sub", 1.0, x),
    "bitwise_not": lambda r, x: r._each("sub", 1.0, x),
    "bitwise_or": lambda r, a, b: r._each("larger", a, b),
    "logical_or": lambda r, a, b: r._each("larger", a, b),
    "ne": lambda r, a, b: r._each("sub", 1.0, r._each("equal", a, b)),
    "log1p": lambda r, x: r._each("log", r._each("add", 1.0, x)),
    "expm1": lambda r, x: r._each("sub", r._each("exp", x), 1.0),
}


@dataclass(frozen=True)
class Listing:
    """Instructions to run once per row of cells (``first``) and on each day (``program``), how many places for values
    they need, and the constants."""

    first: npt.NDArray[np.int64]
    program: npt.NDArray[np.int64]
    registers: int
    constants: npt.NDArray[np.float32]


def assemble(
    graph: Graph, stage: int, wanted: Sequence[tuple[int, int]], stored: Mapping[int, int], fixed: Mapping[int, int]
) -> Listing:
    """Instructions that compute the values ``wanted`` (row to write to, number) in ``stage``.

    ``stored`` and ``fixed`` say which row holds a series or a constant in time that is there already. Of stage
    :data:`FIXED` all instructions are in ``first``.
    """
    lines = _Lines(graph, stage, stored, fixed)
    needed = needs(graph, stage, [number for _, number in wanted], {**stored, **(fixed if stage == FIXED else {})})
    lines.left.update(number for _, number in wanted)
    lines.left.update(read for number in needed for read in set(graph.nodes[number][1]))
    rows: dict[int, list[int]] = {}
    for row, number in wanted:
        rows.setdefault(number, []).append(row)
    for number in sorted({*needed, *rows}):
        lines.compute(number, number in needed)
        for row in rows.get(number, ()):
            lines.write(row, number)
    return lines.listing()


def needs(graph: Graph, stage: int, wanted: Iterable[int], there: Mapping[int, int]) -> set[int]:
    """The operations that the ``wanted`` values of ``stage`` come from, apart from what is ``there`` and, for series,
    constant in time. What an earlier stage computed but did not store is computed again."""
    found: set[int] = set()
    left = list(wanted)
    while left:
        number = left.pop()
        still = graph.stage[number] == CONSTANT or (graph.stage[number] == FIXED and stage != FIXED)
        if number in found or number in there or still or not graph.nodes[number][1]:
            continue
        found.add(number)
        left += graph.nodes[number][1]
    return found


class _Lines:
    """Instructions in the making; values that are not needed any more leave their place to others."""

    def __init__(self, graph: Graph, stage: int, stored: Mapping[int, int], fixed: Mapping[int, int]) -> None:
        self.graph, self.stage, self.stored, self.fixed = graph, stage, stored, fixed
        self.first: list[tuple[int, ...]] = []
        self.program: list[tuple[int, ...]] = []
        self.constants: list[float] = []
        self.place: dict[int, int] = {}
        self.lasting: set[int] = set()
        self.free: list[int] = []
        self.left: Counter[int] = Counter()
        self.most = 0

    def compute(self, number: int, operation: bool) -> None:
        if not operation:
            self._there(number)
            return
        code, reads = self.graph.nodes[number]
        places = [self._there(read) for read in reads]
        for read in set(reads):
            self._used(read)
        self.place[number] = self._take()
        self.program.append((CODE[code], self.place[number], *places, *[0] * (3 - len(places))))

    def write(self, row: int, number: int) -> None:
        code = CODE["write_cell" if self.stage == FIXED else "write"]
        self.program.append((code, row, self._there(number), 0, 0))
        self._used(number)

    def _there(self, number: int) -> int:
        """The place of a value that is there, read from its row if need be."""
        if number not in self.place:
            if self.graph.stage[number] == CONSTANT:
                place = self._lasting(number)
                self.first.append((CODE["constant"], place, len(self.constants), 0, 0))
                self.constants.append(self.graph.constants[number])
            elif self.graph.stage[number] == FIXED:
                place = self._lasting(number)
                self.first.append((CODE["read_cell"], place, self.fixed[number], 0, 0))
            else:
                self.place[number] = self._take()
                self.program.append((CODE["read"], self.place[number], self.stored[number], 0, 0))
        return self.place[number]

    def _lasting(self, number: int) -> int:
        self.lasting.add(number)
        self.place[number], self.most = self.most, self.most + 1
        return self.place[number]

    def _take(self) -> int:
        if self.free:
            return self.free.pop()
        self.most += 1
        return self.most - 1

    def _used(self, number: int) -> None:
        self.left[number] -= 1
        if self.left[number] == 0 and number not in self.lasting:
            self.free.append(self.place.pop(number))

    def listing(self) -> Listing:
        first, program = (np.array(lines, np.int64).reshape(-1, 5) for lines in (self.first, self.program))
        if self.stage == FIXED:
            first, program = np.concatenate([first, program]), program[:0]
        return Listing(first, program, max(self.most, 1), np.array([*self.constants, 0.0], np.float32))
