"""Names of the structural choices of the methane model; imports nothing, so that a declaration may name them."""

from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "diffusivity": (
        "curry",
        "millington_quirk",
        "moldrup_wlr",
        "buckingham_burdine_campbell",
        "millington_1959",
        "penman",
        "campbell",
        "tem",
    ),
    "temperature": ("curry", "memo", "optimum"),
    "moisture": ("curry", "memo", "parabola"),
    "profile": ("gaussian", "uniform", "exponential"),
}
"""Names of the alternatives of each choice; their position is the code. Formulas: :mod:`fluxatlas.process.methane`."""
