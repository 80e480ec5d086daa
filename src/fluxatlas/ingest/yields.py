"""Yields of crops by area and year, as statistics give them, in grams of carbon per square metre of harvested land.

Read are the county tables of CY-Bench (``adm_id`` = state_COUNTY, ``year``, features, ``yield`` in t ha-1), those of
You et al. (2017, AAAI) without a header (year, state and county FIPS, bushels per acre) and the state tables of
``agridat`` (``year, state, acres, yield`` in bushels per acre, separated by tabs) [V: files read], and a plain table of
ours (``site, year, crop, yield`` in t ha-1). Statistics weigh grain at market moisture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from ..errors import ConfigError, InputError, nearest

ACRE = 4046.8564224
"""m2."""
POUND = 453.59237
"""g."""
HIGHEST = 1500.0
"""A yield above this [g m-2 of carbon] is in another unit; the record of maize is about 1000."""
YEARS = (1801, 2199)
COLUMNS = ("place", "state", "year", "value")


@dataclass(frozen=True)
class Grain:
    """Market moisture [1] and bushel [lb] of a grain (USDA standards [R]), and carbon of its dry matter [1] [R]."""

    moisture: float
    bushel: float
    carbon: float

    def factor(self, unit: str, carbon: float | None = None) -> float:
        """g m-2 of carbon per ``t ha-1`` or ``bushel acre-1``; ``carbon`` replaces the share of carbon.

        Raises :class:`ConfigError` for another unit or a share outside (0, 1).
        """
        share = self.carbon if carbon is None else carbon
        if not 0 < share < 1:
            raise ConfigError(f"the share of carbon is {share:g}", hint="give a number between 0 and 1, such as 0.45")
        weight = {"t ha-1": 100.0, "bushel acre-1": self.bushel * POUND / ACRE}
        if unit not in weight:
            raise ConfigError(
                f"yields in '{unit}' are not read{nearest(unit, weight)}", hint=f"use {', '.join(weight)}"
            )
        return weight[unit] * (1 - self.moisture) * share


GRAINS = {"maize": Grain(0.155, 56, 0.45), "soybean": Grain(0.13, 60, 0.50), "wheat": Grain(0.135, 60, 0.45)}
"""Soybean seed holds 0.50 to 0.54 of carbon in the literature."""


def read_yields(path: str | Path, crop: str, carbon: float | None = None) -> pd.DataFrame:
    """One row per place and year: ``place``, ``state``, ``year``, ``value`` [g m-2 of carbon], and any features.

    ``crop`` is a name of :data:`GRAINS` (files do not say it). Raises :class:`ConfigError` for another one, and
    :class:`InputError` for a file of another layout, a year, code or name of a place that is missing or none, a yield
    that is not a positive number below :data:`HIGHEST`, or a place that has a year twice.
    """
    if crop not in GRAINS:
        raise ConfigError(f"unknown crop '{crop}'{nearest(crop, GRAINS)}", hint=f"choose from {', '.join(GRAINS)}")
    file = Path(path)
    try:
        head = file.open(encoding="utf-8").readline().strip()
        table, unit = _table(file, head, crop)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as problem:
        raise InputError(f"cannot be read as a table of yields: {problem}", where=str(file)) from None
    table["value"] = pd.to_numeric(table["value"], errors="coerce") * GRAINS[crop].factor(unit, carbon)
    bad = ~((table["value"] > 0) & (table["value"] <= HIGHEST) & np.isfinite(table["value"]))
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"the yield of {row['place']} in {row['year']} is {row['value']:g} g m-2 of carbon",
            where=str(file),
            hint=f"{int(bad.sum())} of {len(table)} rows are not within 0..{HIGHEST:g}: is the unit {unit}?",
        )
    twice = table.duplicated(["place", "year"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"{row['place']} has the year {row['year']} twice", where=str(file), hint="leave one row")
    return table.reset_index(drop=True)


@dataclass(frozen=True)
class YieldLayout:
    """A layout of tables of yields: its first ``columns`` and those that it ``holds`` besides, and units by column.

    ``bare``: there is no header, and ``columns`` are what the numbers are. ``keys`` hold nothing to judge.
    """

    product: str
    columns: tuple[str, ...]
    units: Mapping[str, str]
    separator: str = ","
    holds: tuple[str, ...] = ("yield",)
    bare: bool = False
    keys: tuple[str, ...] = ("year",)

    @property
    def unit(self) -> str:
        """The unit of the yield."""
        return self.units["yield"]

    def fits(self, head: str) -> bool:
        """Whether ``head`` is the first line of such a table."""
        cells = [cell.strip().strip('"').strip() for cell in head.strip().split(self.separator)]
        if not self.bare:
            return cells[: len(self.columns)] == [*self.columns] and set(self.holds) <= set(cells)
        numbers = all(cell.replace(".", "", 1).isdigit() for cell in cells)
        return len(cells) == len(self.columns) and numbers and YEARS[0] <= float(cells[0]) <= YEARS[1]


LAYOUTS = {
    "cy-bench": YieldLayout(
        "CY-Bench, crop yields and features by county and year", ("adm_id", "year"), {"yield": "t ha-1"}
    ),
    "agridat": YieldLayout(
        "USDA NASS yields by state and year",
        ("year", "state", "acres", "yield"),
        {"acres": "acre", "yield": "bushel acre-1"},
        separator="\t",
    ),
    "plain": YieldLayout(
        "yields by site, year and crop",
        ("site", "year", "crop"),
        {"yield": "t ha-1"},
        keys=("site", "year", "crop"),
    ),
    "you": YieldLayout(
        "yields by county and year without a header (You et al. 2017)",
        ("year", "state", "county", "yield"),
        {"yield": "bushel acre-1"},
        bare=True,
        keys=("year", "state", "county"),
    ),
}


def layout_of(head: str) -> str:
    """The layout, of :data:`LAYOUTS`, of a table whose first line is ``head``; empty for another one."""
    return next((name for name, layout in LAYOUTS.items() if layout.fits(head)), "")


def _table(file: Path, head: str, crop: str) -> tuple[pd.DataFrame, str]:
    """Columns of :data:`COLUMNS` and features, and the unit of ``value``."""
    layout = layout_of(head)
    if layout == "plain":
        table = pd.read_csv(file, dtype={"site": str, "crop": str}).rename(columns={"yield": "value"})
        table = table.assign(
            place=names(file, table, "site"), state="", year=whole_numbers(file, table, "year", *YEARS)
        )
        wrong = ~table["crop"].isin(list(GRAINS))
        if wrong.any():
            _refuse(file, table, "crop", wrong, " or ".join(GRAINS))
        return table.loc[table["crop"] == crop, list(COLUMNS)], LAYOUTS[layout].unit
    if layout == "cy-bench":
        table = pd.read_csv(file, dtype={"adm_id": str}).rename(columns={"adm_id": "place", "yield": "value"})
        table.insert(1, "state", names(file, table, "place").str.split("_").str[0])
        return table.assign(year=whole_numbers(file, table, "year", *YEARS)), LAYOUTS[layout].unit
    if layout == "agridat":
        separator = LAYOUTS[layout].separator
        table = pd.read_csv(file, sep=separator, dtype={"state": str}).rename(columns={"yield": "value"})
        place, year = names(file, table, "state"), whole_numbers(file, table, "year", *YEARS)
        return table.assign(place=place, year=year)[list(COLUMNS)], LAYOUTS[layout].unit
    if layout == "you":
        table = pd.read_csv(file, header=None, names=LAYOUTS[layout].columns).rename(columns={"yield": "value"})
        place = whole_numbers(file, table, "state", 1, 99).map("{:02d}".format)
        place += whole_numbers(file, table, "county", 1, 999).map("{:03d}".format)
        year = whole_numbers(file, table, "year", *YEARS)
        return table.assign(place=place, state=place.str[:2], year=year)[list(COLUMNS)], LAYOUTS[layout].unit
    raise InputError(
        "not a table of yields that is known",
        where=str(file),
        hint="a header adm_id,year,...,yield or site,year,crop,yield; or year, state, acres, yield with tabs; or"
        " year,state,county,yield alone",
    )


def whole_numbers(file: Path, table: pd.DataFrame, column: str, least: int, most: int) -> pd.Series[int]:
    """A column of whole numbers within ``least`` and ``most``; raises :class:`InputError` with the first bad row."""
    found = pd.to_numeric(table[column], errors="coerce")
    bad = ~(found.between(least, most) & (found % 1 == 0))
    if bad.any():
        _refuse(file, table, column, bad, f"a whole number within {least}..{most}")
    return found.astype(int)


def names(file: Path, table: pd.DataFrame, column: str) -> pd.Series[str]:
    """A column of names; raises :class:`InputError` where one is empty."""
    bad = table[column].isna() | (table[column].str.strip() == "")
    if bad.any():
        _refuse(file, table, column, bad, "a name")
    return table[column]


def _refuse(file: Path, table: pd.DataFrame, column: str, bad: pd.Series[bool], wanted: str) -> NoReturn:
    row = int(bad.to_numpy().argmax())
    name, value = "adm_id" if column == "place" else column, table[column].iloc[row]
    raise InputError(
        f"{name} is '{value}' in row {row + 1} of the data, not {wanted}",
        where=str(file),
        hint=f"correct or remove the row ({int(bad.sum())} of {len(table)} rows are like it)",
    )
