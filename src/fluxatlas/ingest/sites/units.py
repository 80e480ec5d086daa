"""Units of CH4 flux: mass or amount, CH4 or CH4-C, per area, per time, all to mg CH4 m-2 d-1."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, UnitError

FloatArray = npt.NDArray[np.floating[Any]]

METHANE = "nmol m-2 s-1"
"""The unit of CH4 fluxes of towers and of COSORE."""
M_CH4 = 16.043
"""Molar mass of CH4 [g mol-1]."""
M_C = 12.011
"""Molar mass of carbon [g mol-1]."""
DAYS_PER_YEAR = 365.25

_PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "k": 1e3}
_AREA = {"m-2": 1.0, "ha-1": 1e-4, "cm-2": 1e4}
_TIME = {"s-1": 86400.0, "min-1": 1440.0, "h-1": 24.0, "hr-1": 24.0, "d-1": 1.0, "day-1": 1.0}
_TIME |= {"yr-1": 1 / DAYS_PER_YEAR, "y-1": 1 / DAYS_PER_YEAR, "a-1": 1 / DAYS_PER_YEAR, "year-1": 1 / DAYS_PER_YEAR}
_SPECIES = {"CH4": 1.0, "CH4-C": M_CH4 / M_C, "C-CH4": M_CH4 / M_C, "C": M_CH4 / M_C}
_FORM = re.compile(
    r"(?P<prefix>[mukµμn]?)(?P<base>g|mol)\s*(?P<species>CH4-C|C-CH4|CH4|C)?\s+(?P<area>m-2|ha-1|cm-2)\s+"
    r"(?P<time>s-1|min-1|hr-1|h-1|day-1|d-1|year-1|yr-1|y-1|a-1)"
)
_HINT = "write it like 'mg CH4 m-2 d-1', 'ug CH4-C m-2 h-1' or 'nmol m-2 s-1'"


def methane_factor(unit: str, where: str = "") -> float:
    """Factor from ``unit`` to mg CH4 m-2 d-1.

    Mass units must say whether they count CH4 or CH4-C (a factor of 1.336 between them). A mole of CH4 holds a mole of
    C, so for amounts the species does not matter. Raises :class:`UnitError` for anything that is not clear.
    """
    spelled = _spell(unit)
    found = _FORM.fullmatch(spelled)
    if not found:
        raise UnitError(f"'{unit}' is not a unit of CH4 flux", where=where, hint=_HINT)
    species = found["species"]
    if found["base"] == "mol":
        mass = M_CH4 * 1e3
    elif species is None:
        raise UnitError(f"'{unit}' does not say whether the mass is CH4 or CH4-C", where=where, hint=_HINT)
    else:
        mass = 1e3 * _SPECIES[species]
    return _PREFIX[found["prefix"]] * mass * _AREA[found["area"]] * _TIME[found["time"]]


def _spell(unit: str) -> str:
    """``mgCH4/m**2/day`` and ``ug CH4-C m^-2 h^-1`` as ``mg CH4 m-2 day-1`` and ``ug CH4-C m-2 h-1``."""
    text = unit.strip().replace("**", "").replace("^", "").replace("·", " ").replace("*", " ")
    text = re.sub(r"/\s*([A-Za-z]+)(\d?)", lambda m: f" {m[1]}-{m[2] or 1}", text)
    text = re.sub(r"(?<=[gl])(?=CH4|C-CH4)", " ", text)
    return re.sub(r"\s+", " ", text).strip()


def sign_factor(sign: str, where: str = "") -> float:
    """+1 for ``upward_positive``, -1 for ``uptake_positive``; raises :class:`InputError` for anything else."""
    signs = {"upward_positive": 1.0, "uptake_positive": -1.0}
    if sign.strip() not in signs:
        raise InputError(
            f"flux sign '{sign}' is unknown", where=where, hint="write 'upward_positive' or 'uptake_positive'"
        )
    return signs[sign.strip()]


def looks_like_percent(values: FloatArray) -> bool:
    """Whether soil moisture is in percent, judged by magnitude: a water content above 1.2 m3 m-3 cannot be a fraction.

    The test asks for more than 5 % of the finite values above 1.2, so that single outliers do not decide.
    """
    finite = values[np.isfinite(values)]
    return bool(finite.size) and float(np.mean(finite > 1.2)) > 0.05
