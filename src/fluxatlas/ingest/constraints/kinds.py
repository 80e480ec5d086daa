"""The formats of atmospheric inversions: variable, unit, and what the flux contains.

Variables and units were read from public loaders of these files [L]; the grid of newer CarboScope runs is recalled [R].
All are positive to the atmosphere. A unit is written as pairs of a symbol and its power.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

CARBON = 12.011
"""Grams of carbon per mole."""
DAYS_PER_YEAR = 365.25

Unit = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class InversionKind:
    """One format. ``variable``: the default; ``unit``: that of the files; ``per_cell``: per grid cell, not per area."""

    title: str
    variable: str
    unit: str
    fire_included: bool
    lateral: str
    fossil_adjusted: bool
    citation: str
    step: Literal["month", "day"] = "month"
    per_cell: bool = False


KINDS: dict[str, InversionKind] = {
    "gcb": InversionKind(
        "Global Carbon Budget inversion ensemble",
        "land_flux_only_fossil_cement_adjusted",
        "PgC m-2 yr-1",
        fire_included=True,
        lateral="not removed",
        fossil_adjusted=True,
        citation="Luijkx et al. (2024), doi:10.18160/4M52-VCRU",
    ),
    "carbontracker": InversionKind(
        "CarbonTracker",
        "bio_flux_opt",
        "mol m-2 s-1",
        fire_included=False,
        lateral="not removed",
        fossil_adjusted=False,
        citation="Jacobson et al. (2023), CT2022, doi:10.25925/z1gj-3254",
    ),
    "carbontracker_europe": InversionKind(
        "CarbonTracker Europe",
        "biosphere_flux_optimized",
        "mol m-2 s-1",
        fire_included=False,
        lateral="not removed",
        fossil_adjusted=False,
        citation="van der Laan-Luijkx et al. (2017), doi:10.5194/gmd-10-2785-2017",
    ),
    "cams": InversionKind(
        "CAMS CO2 inversion",
        "flux_apos_bio",
        "kgC m-2 month-1",
        fire_included=True,
        lateral="not removed",
        fossil_adjusted=False,
        citation="Chevallier et al. (2010), doi:10.1029/2010JD013887",
    ),
    "carboscope": InversionKind(
        "Jena CarboScope",
        "co2flux_land",
        "PgC yr-1",
        fire_included=True,
        lateral="not removed",
        fossil_adjusted=False,
        citation="Rödenbeck et al. (2018), doi:10.5194/bg-15-2481-2018",
        step="day",
        per_cell=True,
    ),
    "oco2_mip": InversionKind(
        "OCO-2 v10 MIP",
        "land",
        "gC m-2 yr-1",
        fire_included=True,
        lateral="not removed",
        fossil_adjusted=False,
        citation="Byrne et al. (2023), doi:10.5194/essd-15-963-2023",
    ),
    "fluxcom": InversionKind(
        "FLUXCOM X-BASE (no inversion, same loader)",
        "NEE",
        "gC m-2 d-1",
        fire_included=False,
        lateral="not seen by towers",
        fossil_adjusted=True,
        citation="Nelson and Walther et al. (2024), doi:10.5194/bg-21-5079-2024",
    ),
}

SPELLINGS = {
    **dict.fromkeys(("yr", "year", "years", "a"), "yr"),
    **dict.fromkeys(("month", "months", "mon"), "month"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("s", "sec", "second"), "s"),
    **dict.fromkeys(("mol", "mole", "moles"), "mol"),
}
"""Symbols as :func:`parse_unit` returns them; the others are masses of carbon and lengths."""
TO_GRAMS = {"PgC": 1e15, "GtC": 1e15, "TgC": 1e12, "kgC": 1e3, "gC": 1.0, "mol": CARBON}
TO_DAYS = {"yr": DAYS_PER_YEAR, "d": 1.0, "s": 1 / 86400}
"""Days of each unit of time; a month has those of the calendar."""


def parse_unit(text: str) -> Unit:
    """The unit in ``text``: ``PgC m-2 yr-1``, ``PgC/m2/yr``, ``mol m^-2 s^-1``, ``kg C m**-2 month-1`` ..."""
    spelled = text.replace("**", "").replace("^", "").replace(".", " ").replace("*", " ")
    spelled = re.sub(r"\b([PGTMk]?[gt])\s+C\b", r"\1C", spelled)
    found: dict[str, int] = {}
    for slash, symbol, power in re.findall(r"(/?)\s*([A-Za-z]+)\s?([-+]?\d+)?", spelled):
        name = SPELLINGS.get(symbol.lower(), symbol)
        found[name] = found.get(name, 0) + (int(power) if power else 1) * (-1 if slash else 1)
    return frozenset(found.items())
