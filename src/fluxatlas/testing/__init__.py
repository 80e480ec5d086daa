"""The synthetic Earth: a made-up world, from a seed and without any download, for demos, tests and documentation.

Land and sea are real; terrain, climate, weather, soils and land cover are made, plausible and consistent with each
other. The value at a point and time depends on the seed, the point and the time alone. Raw files are written in the
layouts of real providers, so that the whole chain is exercised. See ``docs/synthetic_earth.md``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .earth import SyntheticEarth

__all__ = ["SyntheticEarth"]


def __getattr__(name: str) -> object:
    """The Earth, whose numeric libraries wait until it is asked for: every start of ``fluxatlas`` is here."""
    if name == "SyntheticEarth":
        return importlib.import_module(".earth", __name__).SyntheticEarth
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
