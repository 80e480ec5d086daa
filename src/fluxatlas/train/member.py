"""The member file: one trained network with everything needed to use it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch

from .. import files, variables
from ..config.train import FaultyCell
from ..errors import ConfigError, FluxAtlasError, InputError, MemberMismatchError
from ..hashes import check_seal
from ..systems import System, get_system
from .applicability import Applicability
from .networks import Architecture, HierarchicalNetwork

FORMAT = 4
"""Version of the file's layout."""


def constraint_of(members: Sequence[Member], paths: Sequence[str | Path]) -> dict[str, Any] | None:
    """What the sums of ``members`` were held to in training (docs/regional_constraint.md); None where nothing was.

    Raises :class:`MemberMismatchError` for members that were held to different things.
    """
    first = members[0].meta.get("constraint")
    for member, path in zip(members, paths, strict=True):
        if member.meta.get("constraint") != first:
            raise MemberMismatchError(
                f"sums of regions were held to something else in its training than in that of {paths[0]}",
                where=str(path),
                hint="one product needs members of one kind: train them again, or leave some out",
            )
    return dict(first) if first else None


@dataclass
class Member:
    """One trained network of the ensemble.

    ``drivers`` maps the daily inputs, in order, to their units; ``statics`` are the fixed inputs in order; ``grid`` is
    the name of the grid it was trained for; ``meta`` holds plain values: training span, data hashes, version, commit,
    settings. ``applicability`` is None only where no sample was as long as a year. ``unbound`` is the ``network`` as it
    was before it was bound to parameters and forms of the process model, to be bound to others; None where it was told
    none.
    """

    network: HierarchicalNetwork
    grid: str
    applicability: Applicability | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    unbound: HierarchicalNetwork | None = None

    def bound_to(self, forms: Mapping[str, str]) -> Member:
        """The member with ``forms`` by structural choice in place of its own; its parameters stay.

        Without ``forms`` it is this one. Raises :class:`ConfigError` for a network that is not told any, or a student.
        """
        if not forms:
            return self
        origin = self.network if self.unbound is None else self.unbound
        if not origin.architecture.code:
            what, hint = "the members are not told the forms of the process model", "train them with train.code above 0"
            if self.network.architecture.members:
                what, hint = "a student knows the forms of its lesson alone", "run the members (infer.ensemble: exact)"
            raise ConfigError(what, where="infer.forms", hint=f"{hint}, or leave 'forms' out")
        codes = {choice: float(self.system.choices[choice].index(form)) for choice, form in forms.items()}
        return replace(self, network=origin.bind({**self.network.theta, **codes}).eval())

    @property
    def system(self) -> System:
        return self.network.system

    @property
    def drivers(self) -> dict[str, str]:
        """Ordered names of the daily inputs with their units."""
        return {name: variables.get(name).units for name in (*self.system.forcing, *self.system.slow_drivers)}

    @property
    def statics(self) -> tuple[str, ...]:
        return self.system.statics

    def save(self, path: str | Path) -> None:
        """Write the member, completely or not at all; only plain values and tensors."""
        content = {
            "format": FORMAT,
            "system": self.system.key,
            **_packed(self.network),
            "unbound": None if self.unbound is None else _packed(self.unbound),
            "scaled": list(self.network.scaler.names),
            "drivers": self.drivers,
            "statics": list(self.statics),
            "submodules": _describe(self.network),
            "grid": self.grid,
            "applicability": self.applicability and self.applicability.packed(),
            "meta": self.meta,
        }
        packed = io.BytesIO()  # a file would lend its name to the archive, and the same member another hash
        torch.save(content, packed)
        with files.atomic(path) as partial:
            partial.write_bytes(packed.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Member:
        """Read a member onto the CPU, in evaluation mode.

        Raises :class:`InputError` for a file that is absent, damaged or no member, :class:`MemberMismatchError` where
        the system has changed since the member was trained.
        """
        source = Path(path)
        if not source.exists():
            raise InputError("file not found", where=str(source), hint="train the member first")
        try:
            check_seal(source)
            content = torch.load(source, map_location="cpu", weights_only=True)
            version = content["format"]
        except FluxAtlasError:
            raise
        except Exception as problem:  # torch raises many kinds for a file it cannot read
            raise InputError(
                f"not a member file (it cannot be read as one: {type(problem).__name__})",
                where=str(source),
                hint="give the folder 'train' of a run or a file of its train/members; a damaged one is trained again",
            ) from problem
        if version != FORMAT:
            raise InputError(f"member format {version}, not {FORMAT}", where=str(source), hint="train it again")
        system = get_system(content["system"])
        network = HierarchicalNetwork(system, Architecture(**content["architecture"]))
        origin = content["unbound"]
        unbound = None if origin is None else HierarchicalNetwork(system, Architecture(**origin["architecture"]))
        known = content["applicability"]
        member = cls(network, content["grid"], known and Applicability.unpacked(known), content["meta"], unbound)
        member._compare(content, str(source))
        _fill(network, content["weights"], str(source))
        if unbound is not None:
            _fill(unbound, origin["weights"], str(source))
        return member

    def _compare(self, content: Mapping[str, Any], where: str) -> None:
        now = {
            "drivers": self.drivers,
            "statics": list(self.statics),
            "submodules": _describe(self.network),
            "scaled": list(self.network.scaler.names),
        }
        changed = [
            f"{key} were {content[key]}, now {value}"
            for key, value in now.items()
            if content[key] != value or (isinstance(value, dict) and list(content[key]) != list(value))
        ]
        if changed:
            what = f"system '{self.system.name}' has changed since the member was trained: " + "; ".join(changed)
            raise MemberMismatchError(what, where=where, hint="train the member again")

    def check(
        self,
        *,
        system: str | None = None,
        units: Mapping[str, str] | None = None,
        grid: str | None = None,
        where: str = "",
    ) -> None:
        """Raise :class:`MemberMismatchError` naming every difference to the data the member shall be applied to.

        ``units`` maps names of the daily inputs on offer to their units; more than the member reads does not matter.
        """
        found: list[str] = []
        if (cell := self.network.architecture.cell) in get_args(FaultyCell):
            found.append(f"its cell '{cell}' has a layout that was published by mistake and makes no product")
        if system is not None and system != self.system.key:
            found.append(f"the member is of system '{self.system.key}', not '{system}'")
        if grid is not None and grid != self.grid:
            found.append(f"the member was trained for grid '{self.grid}', not '{grid}'")
        if units is not None:
            for name, unit in self.drivers.items():
                if name not in units:
                    found.append(f"driver '{name}' [{unit}] is absent")
                elif units[name] != unit:
                    found.append(f"driver '{name}' is in '{units[name]}', the member reads '{unit}'")
        if found:
            raise MemberMismatchError("; ".join(found), where=where, hint="use the inputs or train another member")


def _packed(network: HierarchicalNetwork) -> dict[str, Any]:
    return {"architecture": network.architecture.to_dict(), "weights": network.state_dict()}


def _fill(network: HierarchicalNetwork, weights: Mapping[str, Any], where: str) -> None:
    """Load the ``weights`` into ``network``, in evaluation mode."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as problem:
        reason = " ".join(str(problem).split())
        what = f"the weights do not fit system '{network.system.name}' as it is now ({reason})"
        raise MemberMismatchError(what, where=where, hint="train the member again") from problem
    network.eval()


def _describe(network: HierarchicalNetwork) -> list[list[Any]]:
    """The sub-modules as plain values, to see a change of the declaration."""
    return [
        [part.name, list(part.drivers), list(part.upstream), list(part.statics), list(part.outputs)]
        for part in network.submodules
    ]
