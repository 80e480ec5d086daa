"""What each system needs beside files that were inspected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..inspect.report import Report
from ..systems import SYSTEMS, get_system
from .draft import lacks
from .forcing import weather
from .inputs import inputs
from .shown import Shown


def by_system(reports: Sequence[Report]) -> list[str]:
    """A line for each system, and the command that says more; nothing where no file can be used."""
    shown = [Shown((Path(one.path),), Path(one.path).parent, one, one) for one in reports if one.usable]
    if not any(one.first.uses for one in shown):
        return []
    found, lines = weather(shown), []
    for name in SYSTEMS:
        system = get_system(name)
        keys = [lack.key.partition(": ") for lack in lacks(system, found, inputs(shown, system))]
        layers = ", ".join(names for _, colon, names in keys if colon)
        missing = [key for key, colon, _ in keys if not colon] + [f"static.layers: {layers}"] * bool(layers)
        lines.append(f"{name}: {'; '.join(missing) or 'nothing at first sight'}")
    return [*lines, "`fluxatlas init FILES... --system NAME` says more, and writes a first configuration"]
