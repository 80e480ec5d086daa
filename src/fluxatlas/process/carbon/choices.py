"""Names of the structural choices of the carbon model; imports nothing, so that a declaration may name them."""

from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "light_use": ("pmodel", "modis", "saturating"),
    "drought": ("ramp", "parabola"),
    "season": ("prescribed", "index"),
    "autotrophic": ("maintenance", "share"),
    "warmth": ("lloyd_taylor", "q10", "rothc"),
    "wetness": ("ramp", "parabola", "skopp"),
}
"""Names of the alternatives of each choice; their position is the code, the first is the default. Formulas:
:mod:`fluxatlas.process.carbon.photosynthesis` and :mod:`~fluxatlas.process.carbon.respiration`."""
