"""The systems: one module each, a declaration of what is estimated, and the registry that finds them by name."""

from __future__ import annotations

from ..errors import ConfigError, nearest
from .base import KnowledgeTerm, SlowDriver, Submodule, System
from .soil_methane_sink import SOIL_METHANE_SINK

__all__ = ["SYSTEMS", "KnowledgeTerm", "SlowDriver", "Submodule", "System", "get_system"]

SYSTEMS = {system.name: system for system in (SOIL_METHANE_SINK,)}


def get_system(name: str) -> System:
    """The system called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    if name not in SYSTEMS:
        raise ConfigError(f"unknown system '{name}'{nearest(name, SYSTEMS)}", hint=f"choose from {sorted(SYSTEMS)}")
    return SYSTEMS[name]
