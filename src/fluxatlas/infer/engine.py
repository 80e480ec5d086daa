"""Back-ends that evaluate a member's network over a block of cells, behind one interface.

``torch`` is the reference. Another back-end is a class with the same ``run`` and a row in :data:`ENGINES`; it must
agree with the reference within a stated tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..errors import ConfigError, nearest
from ..train.member import Member

Array = npt.NDArray[np.float32]
State = dict[str, Array]
"""Recurrent state by sub-module, each (layer, cell, hidden)."""


class Engine(Protocol):
    """One member, ready to run."""

    def run(
        self, drivers: Mapping[str, Array], statics: Mapping[str, Array], state: State | None
    ) -> tuple[dict[str, Array], State]:
        """Outputs (time, cell) and the state after the last day.

        ``drivers`` (time, cell) and ``statics`` (cell,) are float32 in canonical units; ``state`` None starts from the
        network's own initial state. Inputs are not changed.
        """


class TorchEngine:
    """The network in torch on the CPU, float32, without gradients."""

    def __init__(self, member: Member) -> None:
        self.network = member.network.eval()

    def run(
        self, drivers: Mapping[str, Array], statics: Mapping[str, Array], state: State | None
    ) -> tuple[dict[str, Array], State]:
        with torch.inference_mode():
            begin = None if state is None else {name: torch.from_numpy(values) for name, values in state.items()}
            outputs, end = self.network(
                {name: torch.from_numpy(values) for name, values in drivers.items()},
                {name: torch.from_numpy(values) for name, values in statics.items()},
                state=begin,
            )
        return {k: v.numpy() for k, v in outputs.items()}, {k: v.numpy() for k, v in end.items()}


ENGINES: dict[str, Callable[[Member], Engine]] = {"torch": TorchEngine}


def make_engine(backend: str, member: Member) -> Engine:
    """The engine called ``backend`` for ``member``; raises :class:`ConfigError` for an unknown one."""
    if backend not in ENGINES:
        hint = f"choose from {sorted(ENGINES)}"
        raise ConfigError(f"unknown back-end '{backend}'{nearest(backend, ENGINES)}", hint=hint)
    return ENGINES[backend](member)
