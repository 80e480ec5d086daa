"""Units of columns: of CH4 flux (mass or amount, CH4 or CH4-C, per area, per time) to mg CH4 m-2 d-1, and of others."""

from __future__ import annotations

import re

import numpy as np

from ... import variables
from ...errors import InputError, UnitError
from ..constraints.units import FluxUnit, parse_flux_unit
from .layouts import ColumnSpec

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


def carbon_factor(unit: str, target: str) -> float | None:
    """Factor between two units of a carbon flux per area, or None where one of them is none."""
    pair = parse_flux_unit(unit), parse_flux_unit(target)
    if any(one is None or one.per_cell or one.time == "month" for one in pair):
        return None
    source, goal = (_per_day(one) for one in pair if one)
    return source / goal


def _per_day(unit: FluxUnit) -> float:
    return float(unit.per_day(np.array(["2001-01"], "datetime64[M]"))[0])


def conversion(unit: str, row: ColumnSpec, step: float, where: str) -> tuple[float, float]:
    """(factor, offset) from ``unit`` to the unit that ``row`` of a layout states, over steps of ``step`` seconds.

    Raises :class:`UnitError` where the unit is not one of the variable.
    """
    if unit.strip() == row.units:
        return 1.0, 0.0
    if row.variable == "fch4":
        return methane_factor(unit, where) / methane_factor(row.units), 0.0
    if (carbon := carbon_factor(unit, row.units)) is not None:
        return carbon, 0.0
    try:
        return variables.linear(unit, "mm" if row.per_step else row.units)
    except UnitError:
        zero, one = (float(value) for value in variables.convert(np.array([0.0, 1.0]), unit, row.variable, where=where))
        factor, offset = row.conversion(step)
        return (one - zero) / factor, (zero - offset) / factor
