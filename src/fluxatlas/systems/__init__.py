"""The systems: one package each, a declaration of what is estimated.

A system of your own needs no change here: declare a :class:`System` in a module that Python can import and name it
``module:OBJECT`` wherever a system is asked for.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConfigError, nearest
from ..loading import load_object
from .base import (
    Flux,
    KnowledgeTerm,
    Memory,
    ObservationKind,
    Perturbation,
    Phase,
    Published,
    Ramp,
    SlowDriver,
    Submodule,
    Support,
    System,
    Total,
)
from .flat import FLAT, flat

SYSTEMS = {
    "soil_methane_sink": "fluxatlas.systems.soil_methane_sink:SOIL_METHANE_SINK",
    "net_ecosystem_exchange": "fluxatlas.systems.net_ecosystem_exchange:NET_ECOSYSTEM_EXCHANGE",
    "soil_moisture_energy": "fluxatlas.systems.soil_moisture_energy:SOIL_MOISTURE_ENERGY",
    "crop_carbon": "fluxatlas.systems.crop_carbon:CROP_CARBON",
    "wetland_methane": "fluxatlas.systems.wetland_methane:WETLAND_METHANE",
}
"""Declarations by name."""

__all__ = [
    "SYSTEMS",
    "Flux",
    "KnowledgeTerm",
    "Memory",
    "ObservationKind",
    "Perturbation",
    "Phase",
    "Published",
    "Ramp",
    "SlowDriver",
    "Submodule",
    "Support",
    "System",
    "Total",
    "flat",
    "get_system",
]


def get_system(name: str) -> System:
    """The system called ``name``, or the object that ``module:OBJECT`` names; with ``+flat`` and names of outputs that
    are given behind it (``+flat+gpp``) its :func:`~fluxatlas.systems.flat.flat` form.

    Raises :class:`ConfigError` with the nearest name for an unknown one, and for an object that cannot be imported or
    is not a :class:`System`.
    """
    whole, *form = name.split("+")
    if form[:1] == [FLAT]:
        return flat(get_system(whole), form[1:])
    if name in SYSTEMS:
        found: System = load_object(SYSTEMS[name])
        return found
    if ":" not in name:
        hint = f"choose from {', '.join(sorted(SYSTEMS))}, or name your own as module:OBJECT"
        raise ConfigError(f"unknown system '{name}'{nearest(name, SYSTEMS)}", hint=hint)
    try:
        own = load_object(name)
    except (ImportError, AttributeError) as problem:
        raise ConfigError(f"no system '{name}': {problem}", hint="check the name and PYTHONPATH") from None
    if not isinstance(own, System):
        raise ConfigError(f"'{name}' is not a System", hint="declare one as in fluxatlas.systems.soil_methane_sink")
    return replace(own, reference=name)
