"""Matching sensor depths to the standard depths of the site table (5, 15 and 45 cm)."""

from __future__ import annotations

from collections.abc import Mapping

STANDARD = {5: 5.0, 15: 10.0, 45: 20.0}
"""Standard depth [cm] -> largest distance [cm] of a sensor that may stand for it.

A sensor belongs to the nearest standard depth in reach, the shallower of two equally near (10 cm stands for 5 cm, 20
and 25 cm for 15 cm, 30 to 65 cm for 45 cm). Deeper sensors are not used. Our choice: over these distances the damping
of a five-day wave of temperature stays below about 20 %.
"""

DEFAULT = {1: 5.0, 2: 15.0, 3: 45.0}
"""Depth [cm] assumed for sensor 1, 2, 3 where neither the file nor the entry states it."""


def standard_depth(depth: float) -> int | None:
    """The standard depth [cm] that a sensor at ``depth`` [cm] stands for, or None if none is near enough."""
    near = [(abs(depth - standard), standard) for standard, reach in STANDARD.items() if abs(depth - standard) <= reach]
    return min(near)[1] if near else None


def choose(depths: Mapping[str, float]) -> dict[int, str]:
    """For each standard depth the column whose sensor is nearest to it, from ``depths`` by column [cm].

    Of two equally near the first in the mapping is taken.
    """
    chosen: dict[int, tuple[float, str]] = {}
    for column, depth in depths.items():
        standard = standard_depth(depth)
        if standard is None:
            continue
        distance = abs(depth - standard)
        if standard not in chosen or distance < chosen[standard][0]:
            chosen[standard] = (distance, column)
    return {standard: column for standard, (_, column) in sorted(chosen.items())}


def variable(kind: str, depth: int) -> str:
    """Name of the variable: ``variable('tsl', 5)`` is ``tsl05``."""
    return f"{kind}{depth:02d}"
