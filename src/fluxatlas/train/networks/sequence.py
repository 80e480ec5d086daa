"""Sequence cells behind one interface: how a sub-module of the network remembers the days before.

A cell maps the features of days, (time, cell, feature), to hidden values (time, cell, width), in order of time: the
value of a day never depends on a later one. What it has to keep of the past is its *state*, one tensor (1 or layer,
cell, number) per sub-module, which an earlier call returned; None and zeros both mean that nothing was seen. However a
series is cut into calls that hand the state on, the values are the same to round-off.

Cells are *stepwise* where a day costs the same however much they remember, and cells of *windows* where it costs more
with each day that they look back. Features that are constant in time stand last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...config.train import Cell, FaultyCell
from ..states import state_shape


@dataclass(frozen=True)
class Sizes:
    """What a cell is made of.

    ``variates``: features that change from day to day; ``fixed``: those that are constant in time, after them;
    ``hidden`` units; ``layers``; ``dropout`` between layers; ``window``: days that cells with bounded memory see, the
    day itself included (at least 2).
    """

    variates: int
    fixed: int
    hidden: int
    layers: int = 1
    dropout: float = 0.0
    window: int = 365

    @property
    def features(self) -> int:
        """All features of a day."""
        return self.variates + self.fixed

    @property
    def between(self) -> float:
        """Dropout between layers, none where there is one layer."""
        return self.dropout if self.layers > 1 else 0.0

    @property
    def spans(self) -> list[int]:
        """Days that each layer looks back; together ``window - 1``."""
        days, more = divmod(self.window - 1, self.layers)
        return [days + (layer < more) for layer in range(self.layers)]


class SequenceCell(nn.Module):
    """A cell: ``forward(x, state=None) -> (hidden, state)`` over days and :meth:`step` for one day.

    ``x`` (time, cell, feature), ``hidden`` (time, cell, ``width``), ``state`` (layer, cell, number) with the first and
    last length of ``state_shape``. ``memory``: a day has an effect on this many days after it, and on none later; None
    if unbounded. ``folds``: weights whose last columns read the constant features, each with the bias that can take
    these up where they are the same everywhere (:meth:`fold`).
    """

    stepwise: ClassVar[bool]
    folds: Mapping[str, str]
    memory: int | None
    width: int
    state_shape: tuple[int, int]
    forward: Callable[..., tuple[Tensor, Tensor]]

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One day: features (cell, feature) to hidden values (cell, width) and the new state."""
        hidden, state = self(x[None], state)
        return hidden[0], state

    @torch.no_grad()
    def fold(self, code: Tensor, into: SequenceCell) -> None:
        """Copy the weights ``into`` a cell that lacks the last constant features and does what this one does where they
        are ``code`` (code,)."""
        own = dict(self.named_parameters())
        biases = {bias: weight for weight, bias in self.folds.items()}
        for name, weight in into.named_parameters():
            given: Tensor = own[name]
            if name in self.folds:
                given = given[:, : -len(code)]
            elif name in biases:
                given = given + own[biases[name]][:, -len(code) :] @ code
            weight.copy_(given)

    def _declare(
        self, name: Cell | FaultyCell, sizes: Sizes, folds: Mapping[str, str], memory: int | None = None
    ) -> None:
        self.state_shape = state_shape(name, sizes.variates, sizes.hidden, sizes.layers, sizes.window)
        self.width, self.folds, self.memory = sizes.hidden, folds, memory


def fixed_map(inputs: int, outputs: int) -> nn.Linear:
    """A linear map of constant features; its bias alone where there are none."""
    found = nn.Linear(max(inputs, 1), outputs)
    if inputs == 0:
        found.in_features, found.weight = 0, nn.Parameter(found.weight[:, :0])
    return found


def unpack(state: Tensor | None, days: list[int], like: Tensor) -> list[Tensor]:
    """The buffers (days, cell, number) in a state (1, cell, all numbers); zeros for None. ``like`` (time, cell,
    number)."""
    if state is None:
        return [like.new_zeros(count, *like.shape[1:]) for count in days]
    return list(state[0].unflatten(-1, (sum(days), -1)).transpose(0, 1).split(days))


def pack(buffers: list[Tensor]) -> Tensor:
    """The state (1, cell, all numbers) that holds ``buffers`` (days, cell, number)."""
    return torch.cat(buffers).transpose(0, 1).flatten(1)[None]
