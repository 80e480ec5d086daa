"""Classes of land cover (IGBP) as files of sites spell them: by which a place is of this kind or of another."""

from __future__ import annotations

import re

NAMES = {
    "ENF": ("evergreen needleleaf forest",),
    "EBF": ("evergreen broadleaf forest",),
    "DNF": ("deciduous needleleaf forest",),
    "DBF": ("deciduous broadleaf forest",),
    "MF": ("mixed forest",),
    "CSH": ("closed shrubland",),
    "OSH": ("open shrubland",),
    "WSA": ("woody savanna",),
    "SAV": ("savanna",),
    "GRA": ("grassland",),
    "WET": ("wetland", "permanent wetland", "bog", "fen", "marsh", "mire", "peatland", "swamp"),
    "CRO": ("cropland",),
    "URB": ("urban", "urban and built up"),
    "CVM": ("cropland natural vegetation mosaic",),
    "SNO": ("snow and ice", "permanent snow and ice"),
    "BSV": ("barren", "barren or sparsely vegetated", "barren sparse vegetation"),
    "WAT": ("water", "water body", "water bodies", "lake"),
}
"""Names of each class in lower case and in the singular: those of IGBP, of COSORE, and kinds of wetlands."""
_CLASSES = {name: code for code, names in NAMES.items() for name in (code.lower(), *names)}


def igbp_class(text: str) -> str:
    """The class that ``text`` is or names (``wet``, ``Permanent wetlands``), else ``text`` as it is."""
    plain = " ".join(re.sub(r"[^a-z]+", " ", text.lower()).split())
    single = re.sub(r"(?<=[a-z]{3})s\b", "", plain)
    return _CLASSES.get(plain) or _CLASSES.get(single) or text


def is_class(text: str) -> bool:
    """Whether ``text`` is a class of IGBP."""
    return text in NAMES
