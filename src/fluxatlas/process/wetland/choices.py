"""Names of the structural choices of the wetland model; imports nothing, so that a declaration may name them."""

from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "scheme": ("column", "lumped"),
    "acidity": ("bounded", "clm", "tem"),
}
"""Names of the alternatives of each choice; their position is the code. ``scheme``: layers of methane, or one response
of the flux to temperature and water table with a memory of days. ``acidity``: response of production to pH."""
