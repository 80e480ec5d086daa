"""Gases of the atmosphere that can drive a system: the rows of ``resources/gases.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import yaml

from .errors import ConfigError, nearest
from .paths import RESOURCES


@dataclass(frozen=True)
class Gas:
    """What is known of a gas; see the head of the table for the fields."""

    name: str
    units: str
    label: str
    range: tuple[float, float]
    table: str | None
    offset: str | None


@cache
def gases() -> dict[str, Gas]:
    """All gases by name."""
    rows = yaml.safe_load((RESOURCES / "gases.yaml").read_text(encoding="utf-8"))
    return {
        name: Gas(
            name, str(row["units"]), row["label"], (row["range"][0], row["range"][1]), row["table"], row["offset"]
        )
        for name, row in rows.items()
    }


def get(name: str) -> Gas:
    """The gas called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    known = gases()
    if name not in known:
        raise ConfigError(f"unknown gas '{name}'{nearest(name, known)}", hint=f"choose from {', '.join(sorted(known))}")
    return known[name]
