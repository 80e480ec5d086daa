"""Names of the structural choices of the crop carbon model, and its calendar; imports nothing, so that a declaration
may name them."""

from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "rotation": ("maize_soybean", "soybean_maize", "random", "maize", "soybean", "wheat"),
    "varieties": ("local", "fixed"),
    "warmth": ("rothc", "q10"),
    "retention": ("clay", "constant"),
    "winter_harvest": ("ripe", "day"),
}
"""Names of the alternatives of each choice; their position is the code.

rotation: crop of each year (``random``: maize or soybean, by year and place). varieties: thermal times of maize and
soybean fitted to the place, or those of the table everywhere. warmth: response of decomposition to soil temperature,
that of RothC or a constant Q10 with its minimum at -5 degC. retention: share of decomposed carbon that stays in the
soil, by clay as in RothC or constant as in CASA. winter_harvest: winter wheat leaves the field when it
is ripe, and at the latest on its day of harvest; or, as the other crops, stands until that day.
"""

HALF_YEAR = 184
"""Days by which the fields of the south are ahead of the calendar."""
