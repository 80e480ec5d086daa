"""A student: one network that gives what several networks (the members of an ensemble) would.

It is the hierarchy of the system with one more recurrent sub-module, :data:`PART`. This says by how much each member
departs from the network's own values, in the scaler's bent units, for what the last sub-module gives and for fluxes of
earlier ones. The head then runs for each member, so that what it closes (a balance, a difference) closes in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ... import variables
from ...systems import Submodule, System
from ...systems.protocols import Bound, Head
from ..scaler import Scaler, bend, unbend

PART = "members"
"""Name of the sub-module that tells members apart."""


def of_member(name: str, member: int) -> str:
    """Name of the output of a student that is variable ``name`` of ``member``."""
    return f"{name}_member{member}"


class Several:
    """The sub-modules, bounds and head of a student of ``members`` networks.

    Outputs of the head: its own and the departed variables as means over the members, and each flux of each member
    (:func:`of_member`).
    """

    def __init__(
        self, system: System, submodules: Sequence[Submodule], head: Head, scaler: Scaler, members: int
    ) -> None:
        self.fluxes, self.scaler, self.members, self.function = system.flux_names, scaler, members, head.function
        last = submodules[-1]
        earlier = [name for part in submodules[:-1] for name in part.outputs]
        self.departed = (*(name for name in earlier if name in self.fluxes), *last.outputs)
        inputs: dict[str, list[str]] = {
            kind: [name for part in submodules for name in getattr(part, kind)] for kind in ("drivers", "statics")
        }
        closed = head.physics is not None  # the last sub-module then has to stay the last
        part = Submodule(
            name=PART,
            drivers=tuple(dict.fromkeys(inputs["drivers"])),
            upstream=tuple(earlier if closed else (*earlier, *last.outputs)),
            statics=tuple(dict.fromkeys(inputs["statics"])),
            outputs=tuple(_departure(name, m) for name in self.departed for m in range(members)),
        )
        self.submodules = (*submodules[:-1], part, last) if closed else (*submodules, part)
        self.bounds: dict[str, Bound] = dict.fromkeys(part.outputs, _as_it_is)
        self.head = replace(head, function=self._fluxes)

    def _fluxes(self, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        sums: dict[str, Tensor] = {}
        for m in range(self.members):
            own = {name: self._departed(name, known[name], known[_departure(name, m)]) for name in self.departed}
            own |= self.function({**known, **own})
            found |= {of_member(name, m): own[name] for name in self.fluxes}
            sums = {name: sums[name] + values if m else values for name, values in own.items()}
        return found | {name: values / self.members for name, values in sums.items()}

    def _departed(self, name: str, values: Tensor, departure: Tensor) -> Tensor:
        """``values`` in physical units, moved by ``departure`` in standard deviations of the bent variable."""
        spread = self.scaler.spread[self.scaler.position[name]]
        return unbend(name, bend(name, values) + spread * departure).clamp(*variables.get(name).valid)


def _departure(name: str, member: int) -> str:
    return f"{name}_departure{member}"


def _as_it_is(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    return raw
