"""Engines that evaluate a member's network over a block of cells, behind one interface.

``torch`` is the reference. Another engine is a class with the same ``run`` and a row in :data:`ENGINES`; it must agree
with the reference within a stated tolerance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..errors import ConfigError, FluxAtlasError, nearest
from ..train.member import Member

if TYPE_CHECKING:
    from .fused import FusedNetwork

Array = npt.NDArray[np.float32]
State = dict[str, Array]
"""Recurrent state by sub-module, each (layer, cell, hidden)."""

TOLERANCE = 1e-4
"""Root mean square difference to the reference that an engine may have, in standard deviations of an output."""
DAYS, CELLS = 32, 64
"""Days and cells of the first block that an engine is compared on."""
_TOLD: set[str] = set()


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


class FusedEngine:
    """The network as compiled code (:mod:`fluxatlas.infer.fused`), compared with the reference on the first days and
    cells that it is given.

    Where it cannot be made, or differs by more than :data:`TOLERANCE`, the reference runs instead, with a message; if
    it is ``required``, that is a :class:`ConfigError`.
    """

    def __init__(self, member: Member, required: bool = True) -> None:
        self.reference = TorchEngine(member)
        self.required = required
        self._network: FusedNetwork | None = None
        self._decided = False
        self._lock = Lock()

    def run(
        self, drivers: Mapping[str, Array], statics: Mapping[str, Array], state: State | None
    ) -> tuple[dict[str, Array], State]:
        with self._lock:
            if not self._decided:
                self._network = self._made(drivers, statics, state)
                self._decided = True
        return (self._network or self.reference).run(drivers, statics, state)

    def _made(
        self, drivers: Mapping[str, Array], statics: Mapping[str, Array], state: State | None
    ) -> FusedNetwork | None:
        try:
            from .fused import FusedNetwork

            network = FusedNetwork(self.reference.network, drivers, statics)
            given = (
                {name: np.ascontiguousarray(values[:DAYS, :CELLS]) for name, values in drivers.items()},
                {name: np.ascontiguousarray(values[:CELLS]) for name, values in statics.items()},
                state and {name: np.ascontiguousarray(values[:, :CELLS]) for name, values in state.items()},
            )
            problem = difference(network.run(*given), self.reference.run(*given))
        except FluxAtlasError:
            raise
        except Exception as error:  # compilers and recorders fail in many ways; the reference does the same, slower
            problem = str(error) or type(error).__name__
        if not problem:
            return network
        if self.required:
            raise ConfigError(f"the engine 'fused' cannot run a member: {problem}", hint="use infer.engine: auto")
        if problem not in _TOLD:
            _TOLD.add(problem)
            print(f"note: the fused engine cannot run a member ({problem}); torch does, slower", file=sys.stderr)
        return None


def departures(found: tuple[dict[str, Array], State], wanted: tuple[dict[str, Array], State]) -> dict[str, float]:
    """Root mean square difference of each output and state of ``found`` to what is ``wanted``, in standard deviations
    of the latter; where that hardly varies, in hundredths of its largest size."""
    sizes: dict[str, float] = {}
    for mine, reference in zip(found, wanted, strict=True):
        for name, right in reference.items():
            values = right.astype(np.float64)
            apart = float(np.sqrt(np.mean((mine[name] - values) ** 2)))
            sizes[name] = apart / max(float(values.std()), 0.01 * float(np.abs(values).max(initial=0.0)), 1e-30)
    return sizes


def difference(found: tuple[dict[str, Array], State], wanted: tuple[dict[str, Array], State]) -> str:
    """What of ``found`` differs from what is ``wanted`` by more than :data:`TOLERANCE`; empty if nothing does."""
    for name, size in departures(found, wanted).items():
        if not size <= TOLERANCE:
            return f"'{name}' differs by {size:.1e} of its standard deviation from torch's, {TOLERANCE:g} is allowed"
    return ""


ENGINES: dict[str, Callable[[Member], Engine]] = {
    "auto": lambda member: FusedEngine(member, required=False),
    "torch": TorchEngine,
    "fused": FusedEngine,
}


def make_engine(name: str, member: Member) -> Engine:
    """The engine called ``name`` for ``member``; raises :class:`ConfigError` for an unknown one."""
    if name not in ENGINES:
        hint = f"choose from {sorted(ENGINES)}"
        raise ConfigError(f"unknown engine '{name}'{nearest(name, ENGINES)}", hint=hint)
    return ENGINES[name](member)
