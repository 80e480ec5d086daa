"""Matching sensor depths to the standard depths of the site table (5, 15 and 45 cm)."""

from __future__ import annotations

from collections.abc import Mapping

from ...config.sites import SiteEntry
from .records import Ledger

STANDARD = {5: 5.0, 15: 10.0, 45: 20.0}
"""Standard depth [cm] -> largest distance [cm] of a sensor that may stand for it.

A sensor belongs to the nearest standard depth in reach, the shallower of two equally near (10 cm stands for 5 cm, 20
and 25 cm for 15 cm, 30 to 65 cm for 45 cm). Deeper sensors are not used. Our choice: over these distances the damping
of a five-day wave of temperature stays below about 20 %.
"""

FIRST = 5.0
"""Depth [cm] assumed for the sensor nearest to the surface where nobody states it; our choice."""


def standard_depth(depth: float) -> int | None:
    """The standard depth [cm] that a sensor at ``depth`` [cm] stands for, or None if none is near enough."""
    near = [(abs(depth - standard), standard) for standard, reach in STANDARD.items() if abs(depth - standard) <= reach]
    return min(near)[1] if near else None


def ranked(depths: Mapping[str, float]) -> dict[int, list[str]]:
    """For each standard depth the columns whose sensors stand for it, the nearest first, from ``depths`` [cm].

    Equally near ones keep the order of the mapping.
    """
    found: dict[int, list[str]] = {}
    for column, depth in depths.items():
        standard = standard_depth(depth)
        if standard is not None:
            found.setdefault(standard, []).append(column)
    return {near: sorted(found[near], key=lambda column: abs(depths[column] - near)) for near in sorted(found)}


def choose(depths: Mapping[str, float]) -> dict[int, str]:
    """For each standard depth the column whose sensor is nearest to it, from ``depths`` by column [cm].

    Of two equally near the first in the mapping is taken.
    """
    return {standard: columns[0] for standard, columns in ranked(depths).items()}


def sensors(
    stem: str,
    columns: Mapping[int, str],
    given: Mapping[int, float],
    stated: Mapping[str, tuple[float, float]],
    entry: SiteEntry,
    ledger: Ledger,
    site: str,
) -> dict[int, str]:
    """Column for each standard depth [cm] of the numbered sensors ``columns`` of a quantity (``stem`` TS or SWC).

    Their depths are those ``given`` by the entry, else those ``stated`` by a BIF (shallowest and deepest, by column;
    the mean of replicates has those of the replicates). Where nobody states them the first sensor is taken to be at
    :data:`FIRST`, as networks number them from the surface down, and the others are left out.
    """
    option = {"TS": "temperature_depths", "SWC": "moisture_depths"}[stem]
    ledger.offer(entry, option, columns)
    told = {i: found for i, name in columns.items() if (found := _stated(name, stated))}
    if told and not given:
        for i, (low, high) in told.items():
            if high - low > 2:
                ledger.note(site, f"{columns[i]} was at {low:g} to {high:g} cm: the mean is used")
        return choose({columns[i]: (low + high) / 2 for i, (low, high) in sorted(told.items())})
    if columns and not given:
        others = [name.replace("_F_MDS", "") for i, name in sorted(columns.items()) if i != 1]
        first = f"sensor 1 is taken to be at {FIRST:g} cm" if 1 in columns else ""
        rest = f"{', '.join(others)} left out" if others else ""
        does = ", ".join(part for part in (first, rest) if part)
        ledger.warn(site, f"depths of {stem} are stated nowhere: {does}; state them with {option}")
    known = given or {1: FIRST}
    return choose({columns[i]: d for i, d in sorted(known.items()) if i in columns})


def _stated(column: str, stated: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    if column in stated or not column.endswith("_A"):
        return stated.get(column)
    parts = [span for name, span in stated.items() if name.rpartition("_")[0] == column.removesuffix("_A")]
    return (min(low for low, _ in parts), max(high for _, high in parts)) if parts else None


def variable(kind: str, depth: int) -> str:
    """Name of the variable: ``variable('tsl', 5)`` is ``tsl05``."""
    return f"{kind}{depth:02d}"
