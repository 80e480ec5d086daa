"""AmeriFlux Level 2: yearly half-hourly CSV files with a block of text, names, units and coverage above the data.

Missing is -9999, not measured -6999. YEAR, DOY, HRMIN are local standard time. HRMIN is taken as the **end** of the
averaging interval: in the files of US-Whs and US-Wkg the middle between first and last light is 0.2 h after solar
noon by label (0.25 h is expected of ends, -0.25 h of starts). Daily files that count a row to the day of its label,
as the stdfmt files of both sites do, differ by that one half hour. Units are those of the file's own line; others than
expected are refused. Depths of soil temperature are in the file; those of moisture are not, and are taken as the same.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError, UnitError
from .ameriflux import LAYOUT as BASE
from .ameriflux import BaseFile, record
from .layouts import ColumnSpec, Layout
from .metadata import SiteFacts
from .records import Ledger, SiteRecord, each
from .text import in_order, numbers, one_series, read_table, read_text

COLUMNS = {
    "TA": ("TA", "deg C"),
    "RH": ("RH", "%"),
    "PRESS": ("PA", "kPa"),
    "PREC": ("P", "mm"),
    "Rg": ("SW_IN", "W/m2"),
    "Rgl": ("LW_IN", "W/m2"),
    "WS": ("WS", "m/s"),
    "NEE": ("NEE", "umol/m2/s"),
    "FC": ("FC", "umol/m2/s"),
    "LE": ("LE", "W/m2"),
    "TS1": ("TS_1", "deg C"),
    "TS2": ("TS_2", "deg C"),
    "SWC1": ("SWC_1", "%"),
    "SWC2": ("SWC_2", "%"),
}
"""Column -> (its name in BASE files, the unit that the header must state)."""
IN_FILE = {base: name for name, (base, _) in COLUMNS.items()}
_BASE = {name: (base_row, unit) for name, (base, unit) in COLUMNS.items() if (base_row := BASE.find(base))}
LAYOUT = Layout(
    (
        *(replace(row, pattern=name, units=unit) for name, (row, unit) in _BASE.items()),
        ColumnSpec("VPD", "kPa", "vpd", 1000.0),
    )
)
CLOCK = ("YEAR", "DOY", "HRMIN")
_DEPTHS = ("TSdepth1", "TSdepth2")


def read_file(
    path: str | Path, encoding: str = "utf-8", units: Container[str] = ()
) -> tuple[BaseFile, dict[int, float]]:
    """One file as a BASE file (names, start of each step), and the depth [cm] of sensor 1, 2 where it is stated.

    ``units``: columns whose unit is stated elsewhere, whatever the header says.
    Raises :class:`InputError` for a file without the header block, bad times or numbers, a gap-filled version, and
    :class:`UnitError` for an unexpected unit.
    """
    where = str(path)
    named = re.match(r"AMF_([A-Z]{2})-?([A-Za-z0-9]{3})_\d{4}_L2_(\w\w)_", Path(path).name)
    if not named:
        raise InputError(
            "the file name does not say which site it is", where=where, hint="call it AMF_<site>_<year>_L2_WG_<V>.csv"
        )
    if named[3] == "GF":
        raise InputError("this is the gap-filled version", where=where, hint="give the file with gaps (L2_WG)")
    lines = read_text(path, encoding).split("\n")
    at = next((i for i, line in enumerate(lines[:100]) if line.startswith("YEAR,")), None)
    if at is None:
        raise InputError(
            "no line of column names (YEAR, ...)", where=where, hint="this is not an AmeriFlux Level 2 file"
        )
    _check_units(lines[at], lines[at + 1] if at + 1 < len(lines) else "", units, where)
    body = [line if re.match(r"\s*\d{4}\s*,", line) else "" for line in lines[at + 1 :]]
    strange = [line for line, kept in zip(lines[at + 3 :], body[2:], strict=True) if line.strip() and not kept]
    if strange:
        raise InputError(
            f"'{strange[0][:40]}' is not a row of data", where=where, hint="correct or download the file again"
        )
    wanted = {*COLUMNS, *_DEPTHS}
    table = read_table(path, required=CLOCK, keep=wanted.__contains__, text="\n".join([lines[at], *body]), first=at + 1)
    values = pd.DataFrame({name: numbers(table, name, where) for name in table.columns})
    present = [name for name in COLUMNS if name in values]
    if not present:
        raise InputError("none of the columns that can be used is there", where=where, hint="check the header")
    data = in_order(values[present].rename(columns={k: COLUMNS[k][0] for k in present}), _times(values, where), where)
    found = BaseFile(f"{named[1]}-{named[2]}", "Level 2", data, _facts(lines[:at], where))
    return found, _depths(values)


def _check_units(names: str, units: str, stated: Container[str], where: str) -> None:
    cells = [cell.strip() for cell in units.split(",")]
    for name, unit in zip((cell.strip() for cell in names.split(",")), cells, strict=False):
        expected = COLUMNS.get(name, ("", unit))[1]
        if unit != expected and name not in stated:
            raise UnitError(
                f"column '{name}' is in '{unit[:20]}', expected '{expected}'",
                where=where,
                hint=f"state its unit with sites.entries.units.{name}, or convert the column",
            )


def _times(values: pd.DataFrame, where: str) -> pd.Series:
    """Start of every step from YEAR, DOY and HRMIN (its end, 0 to 2400)."""
    year, day, clock = (values[name].to_numpy() for name in CLOCK)
    with np.errstate(invalid="ignore"):
        fine = (year >= 1900) & (year <= 2200) & (day >= 1) & (day <= 367) & (clock >= 0) & (clock <= 2400)
        fine &= (np.mod(year, 1) == 0) & (np.mod(day, 1) == 0) & (np.mod(clock, 1) == 0) & (np.mod(clock, 100) < 60)
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        raise InputError(
            f"YEAR {year[row]:g}, DOY {day[row]:g}, HRMIN {clock[row]:g} in row {row + 1} is not a time",
            where=where,
            hint="expected YYYY, 1..366 and HHMM",
        )
    start = (year - 1970).astype("int64").astype("datetime64[Y]").astype("datetime64[m]")
    minutes = ((day - 1) * 1440 + clock // 100 * 60 + clock % 100).astype("int64")
    ends = start + minutes
    steps = np.diff(np.sort(ends)).astype("int64")
    step = int(np.median(steps[steps > 0])) if (steps > 0).any() else 30
    return pd.Series((ends - step).astype("datetime64[ns]"))


def _facts(lines: Sequence[str], where: str) -> dict[str, Any]:
    text = "\n".join(lines)
    number = r"(-?\d+(?:\.\d+)?)"
    place = re.search(rf"Latitude:\s*{number}\s+Longitude:\s*{number}", text)
    height = re.search(rf"Elevation \(masl\):\s*{number}", text)
    igbp = re.search(r"^Ecosystem type:\s*([A-Z]{3})\b", text, re.MULTILINE)
    facts: dict[str, Any] = {"lat": float(place[1]), "lon": float(place[2])} if place else {}
    if height:
        facts["elevation"] = float(height[1])
    return facts | ({"igbp": igbp[1]} if igbp else {})


def _depths(values: pd.DataFrame) -> dict[int, float]:
    """Depth of sensor 1 and 2 [cm]: the value that the file repeats, if it is one."""
    found = {}
    for number, name in enumerate(_DEPTHS, 1):
        if name in values:
            stated = values[name][values[name] > 0].unique()
            if len(stated) == 1:
                found[number] = float(stated[0])
    return found


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """All sites of an entry; the yearly files of a site are joined."""
    facts = SiteFacts(entry)
    by_site: dict[str, list[tuple[BaseFile, dict[int, float], str]]] = {}
    for (found, at), path in each(files, lambda path: (read_file(path, entry.encoding, entry.units), path), ledger):
        ledger.saw(found.table.rename(columns=IN_FILE), LAYOUT)
        by_site.setdefault(found.site, []).append((found, at, str(path)))
    return each(sorted(by_site), lambda site: _joined(by_site[site], facts, entry, rules, ledger), ledger)


def _joined(
    parts: list[tuple[BaseFile, dict[int, float], str]],
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> SiteRecord:
    first, at, where = parts[0]
    if any(other != at for _, other, _ in parts) and not entry.temperature_depths:
        raise InputError(
            "the depths of soil temperature differ between the years", where=where, hint="give 'temperature_depths'"
        )
    table = one_series([(found.table, path) for found, _, path in parts])
    depths = {"temperature_depths": entry.temperature_depths or at, "moisture_depths": entry.moisture_depths or at}
    if at and not entry.moisture_depths:
        ledger.note(
            facts.site_id(first.site), "depths of soil moisture are not in the file: those of temperature are used"
        )
    told = entry.model_copy(update=depths)
    joined = replace(first, table=table)
    made = record(joined, facts, told, rules, ledger, where, source="ameriflux_l2", called=IN_FILE)
    for variable, columns in ledger.sources.get(made.name, {}).items():
        ledger.sources[made.name][variable] = {IN_FILE.get(name, name): pair for name, pair in columns.items()}
    return made
