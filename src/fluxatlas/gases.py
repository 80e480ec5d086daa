"""Gases of the atmosphere: rows of ``resources/gases.yaml`` for those that can drive a system, series of annual means,
and the mass of molecules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import variables
from .errors import ConfigError, InputError, nearest
from .paths import RESOURCES
from .yaml_text import read_keys

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.floating[Any]]


ATOMS = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999}
"""Standard atomic weights [g mol-1], abridged (IUPAC 2021)."""


def _atoms(formula: str) -> dict[str, int]:
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if "".join(f"{atom}{number}" for atom, number in parts) != formula or not {atom for atom, _ in parts} <= set(ATOMS):
        hint = f"give a formula without brackets, of {', '.join(ATOMS)}"
        raise ConfigError(f"'{formula}' is not a molecule whose mass is known", hint=hint)
    return {atom: int(number or 1) for atom, number in parts}


def molar_mass(formula: str) -> float:
    """Mass of a mole [g] of a molecule or an atom (``CO2``, ``C``); raises :class:`ConfigError` for other text."""
    return sum(ATOMS[atom] * number for atom, number in _atoms(formula).items())


def mass_ratio(gas: str, substance: str) -> float:
    """Mass of ``gas`` by mass of ``substance``: 1 where they are the same, 44.009 / 12.011 for carbon in ``CO2``.

    Raises :class:`ConfigError` where ``substance`` is neither the gas nor one of its elements.
    """
    if substance == gas:
        return 1.0
    if substance not in (atoms := _atoms(gas)):
        hint = "declare as 'substance' the gas or one of its elements"
        raise ConfigError(f"no mass of {gas} follows from a mass of {substance}", hint=hint)
    return molar_mass(gas) / (atoms[substance] * ATOMS[substance])


@dataclass(frozen=True)
class Gas:
    """What is known of a gas; see the head of the table for the fields."""

    name: str
    units: str
    label: str
    table: str | None
    offset: str | None

    @property
    def range(self) -> tuple[float, float]:
        """The possible mole fractions, of the table of variables."""
        return variables.get(self.name).valid


@cache
def gases() -> dict[str, Gas]:
    """All gases by name."""
    rows = read_keys(RESOURCES / "gases.yaml")
    return {name: Gas(name, str(row["units"]), row["label"], row["table"], row["offset"]) for name, row in rows.items()}


def get(name: str) -> Gas:
    """The gas called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    known = gases()
    if name not in known:
        raise ConfigError(f"unknown gas '{name}'{nearest(name, known)}", hint=f"choose from {', '.join(sorted(known))}")
    return known[name]


@dataclass(frozen=True)
class AnnualSeries:
    """Annual global means of the mole fraction of ``gas``, in its unit of the variable table; every year is there.

    ``source`` is the file it was read from, ``carried`` whether that is a table of fluxatlas itself. Hashable, so
    that it can be part of a job.
    """

    gas: str
    years: tuple[int, ...]
    values: tuple[float, ...]
    source: str
    carried: bool = False

    def covers(self, dates: pd.DatetimeIndex) -> bool:
        """Whether all years of ``dates`` are there."""
        return self.years[0] <= dates.year.min() and dates.year.max() <= self.years[-1]

    def at(self, dates: pd.DatetimeIndex) -> FloatArray:
        """Values (time,) at ``dates``: annual means stand at 1 July, between them they are interpolated linearly.

        Raises :class:`InputError` for a date outside the years of the series.
        """
        if not self.covers(dates):
            raise InputError(
                f"no atmospheric {self.gas.upper()} for {dates.min():%Y}-{dates.max():%Y}",
                where=self.source,
                hint=f"choose years within {self.years[0]}-{self.years[-1]} or give a longer series "
                f"(atmosphere.series.{self.gas})",
            )
        length = np.where(dates.is_leap_year, 366.0, 365.0)
        decimal_year = dates.year.to_numpy(float) + (dates.day_of_year.to_numpy(float) - 0.5) / length
        return np.interp(decimal_year, np.asarray(self.years, float) + 0.5, self.values)


def year_spans(years: Iterable[int]) -> str:
    """Years in words: ``1984-1986, 1990``."""
    spans: list[list[int]] = []
    for year in sorted(set(years)):
        if spans and spans[-1][-1] == year - 1:
            spans[-1][1:] = [year]
        else:
            spans.append([year])
    return ", ".join("-".join(map(str, span)) for span in spans)
