"""Structural choices of the wetland model and what its parts share; imports nothing, so that a declaration may."""

from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "scheme": ("column", "lumped"),
    "acidity": ("bounded", "clm", "tem"),
}
"""Names of the alternatives of each choice; their position is the code. ``scheme``: layers of methane, or one response
of the flux to temperature and water table with a memory of days. ``acidity``: response of production to pH."""
PLANTS, BUBBLES = 0.65, 0.3
"""Shares of the pathways in the lumped model, the rest diffuses [D]."""
MASS = 16.043  # mg mmol-1 of methane
MILLIGRAMS = 86400e-6 * MASS
"""mg m-2 d-1 per nmol m-2 s-1."""
