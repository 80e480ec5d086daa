"""The experiments of a grid, their files, and the order in which they tell most. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ..config.base import problems
from ..config.experiments import ExperimentsBlock, split_model
from ..errors import ConfigError, nearest
from ..systems import System, flat

SCRATCH = "none"
"""The transfer that starts from random weights."""
CHANCE = ("trees", "forest", "residual_trees", "log_trees", "chosen")
"""References that a seed changes."""
AXES = ("split", "share", "model", "transfer", "number")


@dataclass(frozen=True)
class Experiment:
    """One cell of the grid: ``model`` is a network (``ExperimentsBlock.models``) or a reference (then ``transfer`` is
    :data:`SCRATCH`); ``share`` is written as in file names; ``number`` counts seeds."""

    split: str
    share: str
    model: str
    transfer: str
    number: int

    @property
    def name(self) -> str:
        """Where its result lies below the folder of experiments, without suffix."""
        return f"{self.split}/{self.share}/{self.model}/{self.transfer}/{self.number}"


@dataclass(frozen=True)
class Permutation:
    """``draws`` of each group (0: none), blocks of ``days``, and ``groups`` of drivers and statics by name (empty: each
    by itself)."""

    draws: Annotated[int, Field(ge=0)] = 0
    days: Annotated[int, Field(ge=1)] = 30
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    __pydantic_config__ = ConfigDict(extra="forbid")


def read_permutation(text: str, system: System) -> Permutation:
    """The permutation that ``text`` (JSON) describes; raises :class:`ConfigError` where it does not, and as
    :func:`checked`."""
    try:
        found = TypeAdapter(Permutation).validate_json(text)
    except ValidationError as problem:
        lines = "".join(f"\n  - {line}" for line in problems(problem))
        hint = 'give, for example, {"draws": 5, "days": 30, "groups": {"rain": ["pr"]}}'
        raise ConfigError(f"the permutation is wrong:{lines}", where="--permutation", hint=hint) from None
    checked(found.groups, system)
    return found


def checked(groups: Mapping[str, Sequence[str]], system: System) -> dict[str, tuple[str, ...]]:
    """``groups``, or each driver and static of ``system`` by itself; raises :class:`ConfigError` for other names."""
    known = system.permutable
    for group, names in groups.items():
        for name in names or [""]:
            if name not in known:
                hint = f"choose from {', '.join(known)}"
                what = f"'{name}' is not a driver of {system.name}{nearest(name, known)}"
                raise ConfigError(what, where=f"experiments.importance_groups.{group}", hint=hint)
    return {group: tuple(names) for group, names in groups.items()} or {name: (name,) for name in known}


def system_of(model: str, system: System, given: Sequence[str] = ()) -> System:
    """What the network called ``model`` is built for: ``system``, or its flat form; raises as :func:`flat`."""
    _, one_network, takes = split_model(model)
    return flat(system, given if takes else ()) if one_network else system


def experiments(block: ExperimentsBlock) -> list[Experiment]:
    """All experiments, those that tell most first.

    The first value of each axis is the centre of the grid. First comes what differs from it on no axis, then on one
    (main effects), and so on; references stand with the centre. References that nothing random is in have one seed,
    and the process model one share.
    """
    found = [*_references(block), *_networks(block)]
    return sorted(found, key=lambda one: distance(block, one))  # stable


def distance(block: ExperimentsBlock, one: Experiment) -> int:
    """On how many axes an experiment differs from the centre of the grid."""
    centre = Experiment(block.splits[0], f"{block.shares[0]:g}", block.models[0], block.transfers[0], 0)
    axes = AXES if one.model in block.models else ("split", "share", "number")
    return sum(getattr(one, axis) != getattr(centre, axis) for axis in axes)


def _networks(block: ExperimentsBlock) -> Iterator[Experiment]:
    axes = (block.splits, block.shares, block.models, block.transfers, range(block.seeds))
    for split, share, model, transfer, number in product(*axes):
        if block.only and f"{model}/{transfer}" not in block.only:
            continue
        yield Experiment(split, f"{share:g}", model, transfer, number)


def _references(block: ExperimentsBlock) -> Iterator[Experiment]:
    for split, reference in product(block.splits, block.references):
        shares = block.shares[:1] if reference == "process" else block.shares
        for share in shares:
            chance = reference in CHANCE or (share < 1 and reference != "process")
            for number in range(block.seeds if chance else 1):
                yield Experiment(split, f"{share:g}", reference, SCRATCH, number)


def priority(block: ExperimentsBlock, one: Experiment) -> int:
    """Priority among jobs: 10 for the centre, less the farther from it."""
    return 10 - distance(block, one)
