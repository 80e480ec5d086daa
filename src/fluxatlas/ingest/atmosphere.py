"""Mole fractions of CH4 and CO2 in the provider's own files (NOAA GML): global means and stations, monthly or annual.

Read are the comma-separated and the white-space-separated form of the global marine means (``ch4_mm_gl``,
``ch4_annmean_gl``, ``co2_mm_gl``, ``co2_annmean_gl``), of Mauna Loa (``co2_mm_mlo``, ``co2_annmean_mlo``, whose older
forms name their columns on two lines of comments) and the monthly station files, flasks
(``ch4_<site>_surface-flask_1_ccgg_month.txt``) and in situ (``co2_<site>_surface-insitu_1_ccgg_MonthlyData.txt``, whose
rejected months have a letter in the first place of ``qcflag``) [V: files read]. Lan, Thoning & Dlugokencky,
doi:10.15138/P8XG-AA10; Lan, Tans & Thoning, doi:10.15138/9N0H-ZH07.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, gases
from ..errors import ConfigError, InputError
from ..gases import AnnualSeries, year_spans
from ..loading import load_object
from ..missing import without_value
from ..paths import RESOURCES
from ..systems import SlowDriver
from .noaa_text import VALUE, check_header, gas_of, station_of, table_of, text_of

FloatArray = npt.NDArray[np.floating[Any]]
DECIMAL = 0.06
"""Years by which a decimal date may differ from the middle of its month (some give the beginning)."""
OTHER_UNIT = {1e3: ": 1000 times too small, of another unit", 1e-3: ": 1000 times too large, of another unit"}


@dataclass(frozen=True)
class MoleFractions:
    """Mole fraction of ``gas`` in ``unit`` by month (``period`` index of frequency M) or year (Y).

    ``values`` has the columns ``value`` and ``sd`` (NaN where the provider gives none); every period between the first
    and the last is there, ``filled`` of them interpolated. ``site`` is the code of a station, empty for a global mean,
    ``latitude`` [degrees north] that of the station where the file or its code tells it, ``column`` what was read.
    """

    gas: str
    unit: str
    values: pd.DataFrame
    site: str = ""
    latitude: float | None = None
    filled: int = 0
    column: str = ""

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
    known = re.match(rf"({'|'.join(gases.gases())})_(mm|annmean|[a-z]{{3}}_surface)", name.lower())
    return bool(known) or ("gml.noaa.gov" in head.lower() and gas_of(name, head) is not None)


@lru_cache(maxsize=8)
def _read(path: str, _changed: int, gap: int) -> MoleFractions:
    return _parse(Path(path), gap)


def read_series(path: str | Path, gap: int = 0) -> MoleFractions:
    """The series in a file; up to ``gap`` missing months (or years) in a row are interpolated linearly and counted.

    Raises :class:`InputError` where the file is missing, empty, no text, of an unknown gas or layout or of several
    sites, lists a month twice, leaves more of them out than ``gap``, or holds a value that cannot be a mole fraction of
    that gas in its unit.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError("file not found", where=str(path), hint="check the path, or fetch it (docs/fetch.md)")
    return _read(str(source), source.stat().st_mtime_ns, gap)


def _cells(path: Path) -> tuple[str, pd.DataFrame, str]:
    """Gas, table and header of a file."""
    text = text_of(path)
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    rows = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    gas = gas_of(path.name, "\n".join(comments))
    check_header(gas, "\n".join(comments), str(path))
    if gas is None:
        hint = "keep the provider's header and name, such as ch4_mm_gl.csv"
        raise InputError("does not say which gas it is of", where=str(path), hint=hint)
    names, cells = table_of(rows, comments, str(path))
    return gas, pd.DataFrame(cells, columns=names), "\n".join(comments)


def _parse(path: Path, gap: int) -> MoleFractions:
    gas, table, header = _cells(path)
    values, filled = _periods(table, gas, str(path), gap)
    site, latitude = station_of(path, table, header)
    return MoleFractions(gas, gases.get(gas).units, values, site, latitude, filled, _column(table))


def _periods(table: pd.DataFrame, gas: str, where: str, gap: int) -> tuple[pd.DataFrame, int]:
    """``value`` and ``sd`` by month or year, sorted, complete and within the range of ``gas``; how many were filled."""
    column = _column(table)
    spread = next((name for name in (f"{column}_unc", "unc") if name in table), None)
    numbers = {name: _numbers(table[name], where) for name in ("year", "month") if name in table}
    numbers |= {name: _numbers(table[name], where, gaps=True) for name in (column, spread) if name is not None}
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
    _check_dates(table, year, month, where)
    value = np.where(numbers[column] < 0, np.nan, numbers[column])  # -9.99, -99.99, -999.99: not measured
    if "qcflag" in table:
        value = np.where(table["qcflag"].str.startswith("."), value, np.nan)
    sd = numbers.get(str(spread), np.full(len(value), np.nan))
    series = pd.DataFrame({"value": value, "sd": np.where(sd < 0, np.nan, sd)}, index).sort_index()
    return _checked(series, gas, where, gap)


def _column(table: pd.DataFrame) -> str:
    """The column of the mole fraction."""
    return next(name for name in VALUE if name in table)


def _check_dates(table: pd.DataFrame, year: FloatArray, month: FloatArray | None, where: str) -> None:
    """Refuse decimal dates that are not those of year and month: columns are shifted, or the file is damaged."""
    column = next((name for name in ("decimal", "decimal date", "time_decimal") if name in table), None)
    if column is None or month is None:
        return
    off = np.abs(_numbers(table[column], where) - (year + (month - 0.5) / 12))
    if off.max() > DECIMAL:
        row = int(off.argmax())
        what = f"row {row + 1} is of {year[row]:.0f}-{month[row]:02.0f} but of {table[column].iloc[row]} in decimals"
        raise InputError(what, where=where, hint="the columns are not what their names say: download the file again")


def _numbers(cells: pd.Series, where: str, *, gaps: bool = False) -> FloatArray:
    """The numbers of a column; NaN in cells without a value where there may be ``gaps``, else they are refused."""
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    good = np.isfinite(numbers) | (without_value(cells).to_numpy() if gaps else False)
    if not good.all():
        row = int(np.argmin(good))
        what = f"row {row + 1} of column '{cells.name}' is not a number: {cells.iloc[row]!r}"
        raise InputError(what, where=where, hint="the file is damaged: download it again")
    return numbers


def _whole(numbers: FloatArray, low: int, high: int) -> bool:
    return bool(((numbers == np.rint(numbers)) & (numbers >= low) & (numbers <= high)).all())


def _checked(series: pd.DataFrame, gas: str, where: str, gap: int) -> tuple[pd.DataFrame, int]:
    """``series`` without missing periods at its ends and with up to ``gap`` in a row filled; how many were.

    Raises where more are missing, or a value is absurd.
    """
    known = series["value"].dropna()
    index: Any = known.index
    if known.empty:
        raise InputError("holds only missing values", where=where, hint="download the file again")
    whole = pd.period_range(index[0], index[-1], freq=index.freq)
    absent = whole.difference(index)
    longest = _longest_run(whole.isin(absent))
    if longest > gap:
        hint = f"let short gaps be interpolated (atmosphere.series.{gas}.gap), or use the global means, which have none"
        what = f"{len(absent)} periods are missing, the first is {absent[0]}, {longest} in a row"
        raise InputError(what, where=where, hint=hint)
    facts = gases.get(gas)
    low, high = facts.range
    strange = known[(known < low) | (known > high)]
    if len(strange):
        what = (
            f"{gas.upper()} of {strange.iloc[0]:g} in {strange.index[0]} is not within {low:g}-{high:g} [{facts.units}]"
        )
        usual = float(known.median())
        other = next((text for factor, text in OTHER_UNIT.items() if low <= usual * factor <= high), "")
        raise InputError(what + other, where=where, hint=f"give the file in {facts.units} ({facts.label})")
    found = series.reindex(whole)
    return found.assign(value=found["value"].interpolate("linear")), len(absent)


def _longest_run(missing: npt.NDArray[np.bool_]) -> int:
    """The largest number of consecutive true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def write_series(
    source: str | Path,
    output: str | Path,
    gas: str,
    years: Sequence[int],
    gap: int = 0,
    latitude: float | None = None,
) -> MoleFractions:
    """Write the mole fraction of ``gas`` in ``source`` as the driver of a run, monthly or annual, without gaps.

    Where ``resources/gases.yaml`` knows how the gas varies with latitude, a station's series becomes that of the globe
    by taking off the mean difference; otherwise it stays as measured. The file can be read with :func:`read_series`;
    its header says what was done. Raises :class:`InputError` as that, for another gas, for ``years`` that the file does
    not hold completely, and for a station of unknown ``latitude`` [degrees north] where it matters.
    """
    series = read_series(source, gap)
    _check_gas(series, gas, str(source))
    known = series.annual().index
    absent = [year for year in years if year not in known]
    if absent:
        span = f"the complete years {known.min()}-{known.max()}" if len(known) else "no complete year"
        hint = f"give a longer series (it is not extended), or choose other years: the run needs {year_spans(years)}"
        hint += ", with those of its spin-up and training"
        raise InputError(f"holds {span}, not {year_spans(absent)}", where=str(source), hint=hint)
    values, note = series.values["value"], ""
    correction = gases.get(gas).offset
    if series.site and not correction:
        note = f"# Station {series.site} as measured there, not the global mean.\n"
    elif series.site:
        place = series.latitude if latitude is None else latitude
        if place is None:
            hint = f"state it with atmosphere.series.{gas}.latitude, or give global means"
            raise InputError(f"does not say the latitude of station {series.site}", where=str(source), hint=hint)
        offset = float(load_object(str(correction))(place))
        values = values - offset
        note = f"# Station {series.site} at {place:g} N, less {offset:.2f} for its latitude.\n"
    files.write_text(output, _driver(series, values, source, note))
    return series


def _check_gas(series: MoleFractions, gas: str, where: str) -> None:
    if series.gas != gas:
        hint = f"give {gas}_mm_gl.csv or another file of {gas.upper()} (atmosphere.series.{gas})"
        raise InputError(f"holds {series.gas.upper()}, expected {gas.upper()}", where=where, hint=hint)


def _driver(series: MoleFractions, values: pd.Series, source: str | Path, note: str) -> str:
    index, gas = series._index, gases.get(series.gas)
    facts = files.provenance("ingest atmosphere", {"gap": series.filled}, {str(source): source})
    unit = f"{gas.label} ({gas.units})"
    what = "mole fraction" if series.site and not gas.offset else "global mean"
    head = f"# {series.gas.upper()}, {what} in dry air, {unit}.\n{note}# {series.filled} periods were interpolated.\n"
    head += "".join(f"# {key}: {text}\n" for key, text in facts.items())
    if series.monthly:
        rows = [f"{p.year},{p.month},{v:.4f}" for p, v in zip(index, values, strict=True)]
        return head + "year,month,average\n" + "\n".join(rows) + "\n"
    return head + "year,mean\n" + "\n".join(f"{p.year},{v:.4f}" for p, v in zip(index, values, strict=True)) + "\n"


def annual_series(gas: str, path: str | Path = "") -> AnnualSeries:
    """Annual global means of ``gas`` from ``path`` (see :func:`read_series`), or from the table that fluxatlas carries.

    Raises :class:`InputError` as :func:`read_series`, for another gas, for a station (its series is not that of the
    globe) and where no calendar year is complete; :class:`ConfigError` where no file is given and there is no table.
    """
    if path:
        series = read_series(path)
        _check_gas(series, gas, str(path))
        if series.site and gases.get(gas).offset:
            hint = f"make it a global mean with `fluxatlas ingest atmosphere`, or give {gas}_mm_gl.csv"
            raise InputError(
                f"is a station series ({series.site}); a global mean is needed", where=str(path), hint=hint
            )
        means = series.annual()
        if means.empty:
            hint = f"give a longer series (atmosphere.series.{gas})"
            raise InputError("has no complete year", where=str(path), hint=hint)
        return AnnualSeries(gas, tuple(map(int, means.index)), tuple(map(float, means)), str(path))
    table = gases.get(gas).table
    if not table:
        raise ConfigError(
            f"a series of atmospheric {gas.upper()} is needed", hint=f"give a file: atmosphere.series.{gas}.path"
        )
    rows = pd.read_csv(RESOURCES / table, comment="#")
    return AnnualSeries(
        gas, tuple(rows["year"].astype(int)), tuple(rows[gas].astype(float)), f"resources/{table}", True
    )


def series_of(slow: Sequence[SlowDriver], given: Sequence[str] = ()) -> dict[str, AnnualSeries]:
    """The series that the slow drivers need, by gas; ``given`` are options ``gas=path`` of a command line.

    Raises :class:`ConfigError` for an option of another form, a gas that is given twice or not needed, and as
    :func:`annual_series`.
    """
    needed = [driver.series for driver in slow if driver.series]
    paths: dict[str, str] = {}
    for option in given:
        gas, separator, path = option.partition("=")
        if not separator or not path or gas in paths:
            raise ConfigError(f"--series {option}: expected gas=path, each gas once", hint="such as ch4=ch4_mm_gl.csv")
        if gas not in needed:
            names = ", ".join(needed) or "none"
            raise ConfigError(f"--series {option}: not a series of this system", hint=f"it takes: {names}")
        paths[gas] = path
    return {gas: annual_series(gas, paths.get(gas, "")) for gas in needed}
