"""Units of carbon fluxes, however they are spelled, and the factor to grams of carbon per day.

A unit is a mass (or an amount of substance) of carbon or of carbon dioxide per time, per area, or per cell or region. A
mass that does not say of what (``kg m-2 s-1``) is not a unit of carbon: a factor of 12/44 hangs on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CARBON, CARBON_DIOXIDE = 12.011, 44.009
"""Grams per mole."""
DAYS_PER_YEAR = 365.25

_PREFIX = {"P": 1e15, "G": 1e9, "T": 1e12, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMES = {"yr": DAYS_PER_YEAR, "month": None, "d": 1.0, "h": 1 / 24, "s": 1 / 86400}
"""Days of each unit of time; a month has those of the calendar."""
_WORDS = {
    **dict.fromkeys(("yr", "year", "years", "a"), "yr"),
    **dict.fromkeys(("month", "months", "mon", "mo"), "month"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "h"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
}
_PER_CELL = ("cell", "gridcell", "gridbox", "region", "box")
_LENGTHS = {"m": 1.0, "km": 1e3, "cm": 1e-2}
_MASS = re.compile(r"([PGTMkmun]?)(g|t|mol)(CO2|C)?")
_LONG = {"tonnes": "t", "ton": "t", "tons": "t", "moles": "mol", "mole": "mol", "grams": "g", "gram": "g"}


@dataclass(frozen=True)
class FluxUnit:
    """``grams`` of carbon per unit, per ``time`` (yr, month, d, h, s), and per m2 unless ``per_cell``."""

    grams: float
    time: str
    per_cell: bool

    def per_day(self, months: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
        """What values of each of ``months`` are multiplied with to be grams of carbon per day (and m2)."""
        length = _TIMES[self.time]
        days: Any = days_of_months(months) if length is None else np.full(months.size, length)
        return np.asarray(self.grams / days, np.float64)


def days_of_months(months: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
    """Days of the month that each of ``months`` lies in."""
    first = months.astype("datetime64[M]")
    return ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.float64)


def parse_flux_unit(text: str) -> FluxUnit | None:
    """The unit in ``text`` (``PgC m-2 yr-1``, ``kg C/m**2/month``, ``umolCO2 m-2 s-1``, ``PgC/yr``), or ``None``.

    ``None`` also where the text does not say what the mass is of. An amount of substance counts molecules of CO2, each
    of which holds one atom of carbon.
    """
    grams, area, time, per_cell = 0.0, 0.0, "", False
    for symbol, power in _tokens(text):
        mass = _MASS.fullmatch(symbol)
        if symbol in _WORDS and power == -1 and not time:
            time = _WORDS[symbol]
        elif symbol in _LENGTHS and power == -2 and not area:
            area = _LENGTHS[symbol] ** 2
        elif symbol in _PER_CELL and power == -1:
            per_cell = True
        elif mass and power == 1 and not grams:
            grams = _grams(*mass.groups(default=""))
            if not grams:
                return None
        else:
            return None
    if not grams or not time or (area and per_cell):
        return None
    return FluxUnit(grams / (area or 1.0), time, not area)


def _grams(prefix: str, base: str, substance: str) -> float:
    """Grams of carbon; 0 where a mass does not say of what."""
    scale = _PREFIX[prefix] * (1e6 if base == "t" else 1.0)
    if base == "mol":
        return scale * CARBON
    return scale * {"C": 1.0, "CO2": CARBON / CARBON_DIOXIDE, "": 0.0}[substance]


def _tokens(text: str) -> list[tuple[str, int]]:
    """Symbols and their powers; what follows a slash, or stands in brackets behind one, is divided by."""
    spelled = text.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    spelled = spelled.replace("**", "").replace("^", "").replace("*", " ").replace("\N{SUPERSCRIPT TWO}", "2")
    spelled = re.sub(r"\b(micro\s?|mu(?=mol))", "u", spelled)
    spelled = re.sub(r"\b(?:petagrams?|Pg)\b", "Pg", spelled, flags=re.IGNORECASE)
    spelled = re.sub(r"\b(u?)(tonnes|tons?|moles?|grams?)\b", lambda m: m[1] + _LONG[m[2]], spelled)
    spelled = re.sub(r"\b([PGTMkmun]?(?:g|t|mol))[\s_.-]?\(?(CO2|C)\)?(?![A-Za-z0-9])", r"\1\2 ", spelled)
    spelled = re.sub(r"\bgrid[\s_-](cell|box)", r"grid\1", spelled)
    spelled = re.sub(r"\bper\s+", "/", spelled).replace(".", " ")
    found, inside = [], False
    for slash, open_, symbol, power, close in re.findall(
        r"(/?)\s*(\(?)\s*((?:[PGTMkmun]?(?:g|t|mol)CO2)|[A-Za-z]+)\s?([-+]?\d+)?\s*(\)?)", spelled
    ):
        inside = inside or bool(slash and open_)
        sign = -1 if slash or inside else 1
        found.append((symbol, sign * (int(power) if power else 1)))
        inside = inside and not close
    leftover = re.sub(r"[/()\s\d+A-Za-z-]", "", spelled)
    return [("?", 0)] if leftover else found
