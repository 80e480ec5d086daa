"""A system without its hierarchy: what one network for all outputs does, to be compared with it.

Drivers, statics, head and process model stay; sub-modules, means and sums of the past, knowledge terms and phases do
not. Outputs that are completed with exact sums of the past (``Submodule.totals``) go with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ConfigError, nearest
from ..loading import load_object
from .base import Phase, Submodule, System

FLAT = "flat"


def flat(system: System, given: Sequence[str] = ()) -> System:
    """``system`` with one network that sees all drivers and statics and makes all outputs.

    Outputs that are ``given`` by sites are made by a network of their own before it, and it sees them: where nothing is
    given it sees what that one makes. Raises :class:`ConfigError` for a given output that no sub-module makes, and for
    a system whose head completes the outputs of sub-modules by physics.
    """
    heads = load_object(system.network).heads
    if any(heads[name].physics is not None for name in system.heads):
        what = f"the head of '{system.name}' completes by physics what its sub-modules make; it cannot be flat"
        raise ConfigError(what, hint="leave models that begin with 'flat_' out")
    parts = [part for part in system.submodules if not part.totals]
    made = tuple(name for part in parts for name in part.outputs)
    for name in given:
        if name not in made:
            hint = f"choose from {', '.join(made)}"
            raise ConfigError(f"'{name}' cannot be given to the flat network{nearest(name, made)}", hint=hint)
    drivers, statics = (*system.forcing, *system.slow_drivers), system.statics
    rest = tuple(name for name in made if name not in given)
    weights = {stage: max(getattr(part, stage) for part in parts) for stage in ("pretrain", "finetune")}
    before = (Submodule("given", drivers, (), statics, tuple(given), **weights),) if given else ()
    there = {*made, *(name for head in system.heads for name in heads[head].makes)}
    return replace(
        system,
        submodules=(*before, Submodule("whole", drivers, tuple(given), statics, rest, **weights)),
        fluxes=tuple(flux for flux in system.fluxes if flux.variable in there),
        outputs=tuple(name for name in system.outputs if name in there),
        observations=tuple(kind for kind in system.observations if kind.variable in there),
        knowledge=(),
        phases=(Phase("all"),),
        profiles=(),
        without_weather=None,
        reference="+".join((system.key, FLAT, *given)),
    )
