"""The synthetic Earth: a made-up world, from a seed and without any download, for demos, tests and documentation.

Land and sea are real; terrain, climate, weather, soils and land cover are made, plausible and consistent with each
other. The value at a point and time depends on the seed, the point and the time alone. Raw files are written in the
layouts of real providers, so that the whole chain is exercised. See ``docs/synthetic_earth.md``.
"""

from .earth import SyntheticEarth

__all__ = ["SyntheticEarth"]
