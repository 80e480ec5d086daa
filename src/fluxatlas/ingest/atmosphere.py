"""Mole fractions of CH4 and CO2 in the provider's own files (NOAA GML): global means and stations, monthly or annual.

Read are the comma-separated and the white-space-separated form of the global marine means (``ch4_mm_gl``,
``ch4_annmean_gl``, ``co2_mm_gl``, ``co2_annmean_gl``), of Mauna Loa (``co2_mm_mlo``, ``co2_annmean_mlo``) and of the
monthly station files (``ch4_<site>_surface-flask_1_ccgg_month.txt``, columns site, year, month, value) [V: files read;
station files R+]. Lan, Thoning & Dlugokencky, doi:10.15138/P8XG-AA10; Lan, Tans & Thoning, doi:10.15138/9N0H-ZH07.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError

FloatArray = npt.NDArray[np.floating[Any]]
GASES = {"ch4": ("1e-9", 300.0, 3000.0), "co2": ("1e-6", 170.0, 700.0)}
"""Unit, lowest and highest mole fraction that can be meant."""
VALUE = ("average", "mean", "value")
WIDEST = 20
"""More columns than any of these files has."""


@dataclass(frozen=True)
class Series:
    """Mole fraction of ``gas`` in ``unit`` by month (``period`` index of frequency M) or year (Y).

    ``values`` has the columns ``value`` and ``sd`` (NaN where the provider gives none); every period between the first
    and the last is there.
    """

    gas: str
    unit: str
    values: pd.DataFrame

    @property
    def monthly(self) -> bool:
        """Whether the periods are months."""
        return self._index.freqstr.startswith("M")

    @property
    def _index(self) -> pd.PeriodIndex:
        index = self.values.index
        assert isinstance(index, pd.PeriodIndex)
        return index

    def annual(self) -> pd.Series:
        """Means of the complete calendar years by year; months count by their days."""
        if not self.monthly:
            return self.values["value"].set_axis(self._index.year)
        days = pd.Series(self._index.days_in_month.to_numpy(float), self._index)
        by_year = [part.groupby(self._index.year) for part in (self.values["value"] * days, days)]
        mean = by_year[0].sum() / by_year[1].sum()
        return mean[by_year[1].size() == 12]


def looks_like(name: str, head: str) -> bool:
    """Whether a text file called ``name`` that begins with ``head`` is one of these."""
    known = re.match(r"(ch4|co2)_(mm|annmean|[a-z]{3}_surface)", name.lower())
    return bool(known) or ("gml.noaa.gov" in head.lower() and _gas(name, head) is not None)


@lru_cache(maxsize=8)
def _read(path: str, _changed: int) -> Series:
    return _parse(Path(path))


def read_series(path: str | Path) -> Series:
    """The series in a file.

    Raises :class:`InputError` where the file is missing, empty, no text, of an unknown gas or layout, lists a month
    twice or leaves one out, or holds a value that cannot be a mole fraction of that gas in its unit.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(
            "file not found", where=str(path), hint="check the path, or fetch it: fluxatlas fetch noaa_ch4"
        )
    return _read(str(source), source.stat().st_mtime_ns)


def _parse(path: Path) -> Series:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError(f"is no text in UTF-8 ({problem})", where=str(path), hint="download it again") from None
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    rows = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    gas = _gas(path.name, "\n".join(comments))
    if gas is None:
        hint = "keep the provider's header and name, such as ch4_mm_gl.csv"
        raise InputError("does not say which gas it is of", where=str(path), hint=hint)
    names, cells = _table(rows, comments, str(path))
    table = pd.DataFrame(cells, columns=names)
    return Series(gas, GASES[gas][0], _periods(table, gas, str(path)))


def _gas(name: str, header: str) -> str | None:
    """``ch4`` or ``co2`` by the file's name, else by its header."""
    start = name.lower()[:4]
    if start in ("ch4_", "co2_"):
        return start[:3]
    found = {gas for gas in GASES if re.search(rf"\b{gas}\b", header, re.IGNORECASE)}
    return found.pop() if len(found) == 1 else None


def _table(rows: list[str], comments: list[str], where: str) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, in lower case, and the cells below them."""
    hint = "give a file as NOAA GML distributes it, monthly or annual"
    if not rows:
        raise InputError("holds no data", where=where, hint=hint)
    split = (lambda line: [cell.strip() for cell in line.split(",")]) if "," in rows[-1] else str.split
    first = split(rows[0])
    if any(cell.lower() == "year" for cell in first):
        names, rows = first, rows[1:]
    else:  # the white-space form names its columns in the last comment, station files behind 'data_fields:'
        named = [line for line in comments if re.search(r"\byear\b", line) and re.search(r"mean|average|value", line)]
        names = (
            named[-1].lstrip("# ").replace("data_fields:", "").replace("decimal date", "decimal").split()
            if named
            else []
        )
    names = [name.lower() for name in names]
    if "year" not in names or not set(VALUE) & set(names) or len(names) > WIDEST or len(set(names)) < len(names):
        raise InputError(f"has no columns year and {' or '.join(VALUE)} but {names[:8]}", where=where, hint=hint)
    cells = [split(line) for line in rows]
    for number, line in enumerate(cells, 1):
        if len(line) != len(names):
            what = f"row {number} has {len(line)} columns, not {len(names)}: {' '.join(line)[:60]!r}"
            raise InputError(what, where=where, hint="the file is damaged or cut off: download it again")
    if not cells:
        raise InputError("holds no data below its header", where=where, hint="download it again")
    return names, cells


def _periods(table: pd.DataFrame, gas: str, where: str) -> pd.DataFrame:
    """``value`` and ``sd`` by month or year, sorted, complete and within the range of ``gas``."""
    column = next(name for name in VALUE if name in table)
    spread = next((name for name in (f"{column}_unc", "unc") if name in table), None)
    numbers = {name: _numbers(table[name], where) for name in ("year", "month", column, spread) if name in table}
    year, month = numbers["year"], numbers.get("month")
    if not _whole(year, 1700, 2200) or (month is not None and not _whole(month, 1, 12)):
        raise InputError("holds a year or month that is none", where=where, hint="download the file again")
    if month is None:
        index: Any = pd.PeriodIndex([str(y) for y in year.astype(int)], freq="Y")
    else:
        index = pd.PeriodIndex([f"{y}-{m:02d}" for y, m in np.c_[year, month].astype(int)], freq="M")
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise InputError(f"lists {twice} twice", where=where, hint="give the file of one site, each period once")
    value = np.where(numbers[column] < 0, np.nan, numbers[column])  # -9.99, -99.99, -999.99: not measured
    sd = numbers.get(str(spread), np.full(len(value), np.nan))
    series = pd.DataFrame({"value": value, "sd": np.where(sd < 0, np.nan, sd)}, index).sort_index()
    return _checked(series, gas, where)


def _numbers(cells: pd.Series, where: str) -> FloatArray:
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        what = f"row {row + 1} of column '{cells.name}' is no number: {cells.iloc[row]!r}"
        raise InputError(what, where=where, hint="the file is damaged: download it again")
    return numbers


def _whole(numbers: FloatArray, low: int, high: int) -> bool:
    return bool(((numbers == np.rint(numbers)) & (numbers >= low) & (numbers <= high)).all())


def _checked(series: pd.DataFrame, gas: str, where: str) -> pd.DataFrame:
    """``series`` without missing periods at its ends; raises where one in between is missing or a value is absurd."""
    known = series["value"].dropna()
    index: Any = known.index
    if known.empty:
        raise InputError("holds only missing values", where=where, hint="download the file again")
    whole = pd.period_range(index[0], index[-1], freq=index.freq)
    absent = whole.difference(index)
    if len(absent):
        hint = "fill it in the file (with a note why), or use the global means, which have no gap"
        raise InputError(f"{len(absent)} periods are missing, the first is {absent[0]}", where=where, hint=hint)
    unit, low, high = GASES[gas]
    strange = known[(known < low) | (known > high)]
    if len(strange):
        what = f"{gas.upper()} of {strange.iloc[0]:g} in {strange.index[0]} is not within {low:g}-{high:g} [{unit}]"
        raise InputError(what, where=where, hint=f"give the file in {unit}: ppb for CH4, ppm for CO2")
    return series.loc[whole]
