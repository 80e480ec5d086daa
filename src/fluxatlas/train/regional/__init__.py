"""Region-months in training: what inversions say of whole regions holds the sum of the network's fluxes there.

Docs: ``docs/regional_constraint.md``.
"""

from __future__ import annotations

from .points import Chosen, choose_points, refit, spread_of_sums
from .target import PRESETS, Correction, RegionalTarget, compose
from .term import RegionalData, RegionalObjective, hold_out_years

__all__ = [
    "PRESETS",
    "Chosen",
    "Correction",
    "RegionalData",
    "RegionalObjective",
    "RegionalTarget",
    "choose_points",
    "compose",
    "hold_out_years",
    "refit",
    "spread_of_sums",
]
