"""Classes of land cover (IGBP) as files of sites spell them: by which a place is of this kind or of another."""

from __future__ import annotations

import re

from ...config.sites import QcRules
from .records import Ledger

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
    "WET": ("wetland", "permanent wetland", "bog", "peat bog", "fen", "marsh", "mire", "peatland", "swamp"),
    "CRO": ("cropland",),
    "URB": ("urban", "urban and built up", "urban and built up land"),
    "CVM": ("cropland natural vegetation mosaic",),
    "SNO": ("snow and ice", "permanent snow and ice"),
    "BSV": ("barren", "barren or sparsely vegetated", "barren sparse vegetation"),
    "WAT": ("water", "water body", "water bodies", "lake"),
}
"""Names of each class in lower case and in the singular: those of IGBP, of COSORE, and kinds of wetlands."""
_CLASSES = {name: code for code, names in NAMES.items() for name in (code.lower(), *names)}


def igbp_class(text: str) -> str:
    """The class that ``text`` is or names (``wet``, ``Permanent wetlands``, ``WET - bog``), else ``text`` as it is."""
    if (code := re.match(r"\s*([A-Z]+)\b", text)) and code[1] in NAMES:
        return code[1]
    outside, inside = _named(re.sub(r"\(.*\)", " ", text)), _named("".join(re.findall(r"\((.*)\)", text)))
    if outside and inside in ("", outside):
        return outside
    return _named(text) or text


def _named(text: str) -> str:
    """The class of a name in any case, number and punctuation, '' where it is none."""
    plain = " ".join(re.sub(r"[^a-z]+", " ", text.lower()).split())
    plain = re.sub(r"\b(needle|broad) leaf\b", r"\1leaf", plain)
    single = re.sub(r"(?<=[a-z]{3})s\b", "", plain)
    return _CLASSES.get(plain) or _CLASSES.get(single, "")


def cover_of(site: str, text: str, ledger: Ledger) -> str:
    """The class of land cover of a site (:func:`igbp_class`), with a warning where it is not one of IGBP."""
    cover = igbp_class(text)
    if cover and cover not in NAMES:
        what = f"land cover '{cover}' is not a class of IGBP ({', '.join(NAMES)})"
        ledger.warn(site, f"{what}: whether the place is of another kind is not judged by it")
    return cover


def other_classes(rules: QcRules, variable: str) -> set[str]:
    """The classes of places that are another kind of system for ``variable`` (``qc.other_cover``)."""
    return {igbp_class(name) for name in rules.other_cover.get(variable, ())}
