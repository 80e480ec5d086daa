"""The units that an entry states, and those that values show: asked in one place, where a reader has read a table.

Every reader hands the columns of a file to :func:`restate` before it does anything with them, and gets them in the
units of its layout. A column that the entry names under ``units`` is converted from the unit stated there; of any
other the magnitude decides where it leaves no doubt (:mod:`magnitude`). What an entry states for a name that its files
do not know is refused by :func:`refuse_unused`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...config.base import UnitOverride
from ...config.sites import QcRules, SiteEntry
from ...errors import ConfigError, nearest
from .inputs import entry_files
from .layouts import ColumnSpec, Layout
from .magnitude import by_magnitude
from .metadata import read_attributes
from .qc import missing
from .records import Ledger
from .units import conversion

_QUALIFIERS = r"(_PI)?(_F)?(_\d+)*(_A)?"
_SPREADS = ("_SD", "_JOINTUNC", "_err")
"""Ends of names of columns that hold the spread of another one, in its unit."""


def restate(
    table: pd.DataFrame,
    layout: Layout,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    *,
    site: str,
    where: str,
    step: float = 86400.0,
    called: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """``table`` with every column in the unit that ``layout`` states for it; missing codes stay as they are.

    ``step``: seconds over which amounts are summed. ``called``: names in the file of columns that were renamed. What is
    converted is noted for ``site``. Raises :class:`UnitError` for a unit that is not one of the column's variable.
    """
    names = {str(column): (called or {}).get(str(column), str(column)) for column in table.columns}
    rows = {column: row for column in names if (row := layout.find(column)) is not None and row.variable}
    ledger.offer(entry, "units", (names[column] for column in rows))
    changed: dict[str, pd.Series] = {}
    for column, row in rows.items():
        known: dict[str, Any] = {"entry": entry, "rules": rules, "ledger": ledger, "site": site, "where": where}
        pair = true_unit(table[column], names[column], row, layout.variable(column), step=step, **known)
        if pair != (1.0, 0.0):
            ledger.restated[site, column] = pair
            changed[column] = _converted(table[column], *pair, rules)
            changed |= {
                f"{column}{end}": _converted(table[f"{column}{end}"], pair[0], 0.0, rules)
                for end in _SPREADS
                if f"{column}{end}" in table
            }
    return table.assign(**changed) if changed else table


def true_unit(
    values: pd.Series,
    name: str,
    row: ColumnSpec,
    variable: str,
    *,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    site: str,
    where: str,
    step: float = 86400.0,
) -> tuple[float, float]:
    """(factor, offset) from the true unit of the column called ``name`` to that of ``row``; NaN where it has none.

    The entry decides, else the magnitude of ``values`` where it leaves no doubt.
    """
    override = find_override(name, entry.units)
    if override:
        ledger.note(site, f"{name} is read as {override.units} ({override.reason})")
        return conversion(override.units, row, step, f"sites.entries.units.{name}, {where}")
    factor, offset = row.conversion(step)
    clean = missing(values, rules)[0].to_numpy(float)
    found = by_magnitude(clean, variable, units=row.units, factor=factor, offset=offset)
    if found is None or (found.code == "mixed-units" and row.units not in ("%", "percent")):
        return 1.0, 0.0
    state = f"state its unit with sites.entries.units.{name}"
    if found.code == "mixed-units":
        ledger.warn(site, f"{name} is left out: it {found.text}; {state}")
        return np.nan, np.nan
    if not found.certain:
        ledger.warn(site, f"{name}: {found.text}; if its unit is another one, {state}")
        return 1.0, 0.0
    unit = {"%": "percent", "1": "a fraction"}.get(found.units, found.units)
    ledger.warn(site, f"{name} is read as {unit}: {found.text}")
    return conversion(found.units, row, step, where)


def _converted(values: pd.Series, factor: float, offset: float, rules: QcRules) -> pd.Series:
    code = values.isna() | missing(values, rules)[0].notna()
    return (values * factor + offset).where(code, values)


def find_override(name: str, units: Mapping[str, UnitOverride]) -> UnitOverride | None:
    """What ``units`` state for a column: by its whole name, else by its name without position and qualifiers."""
    if name in units:
        return units[name]
    stems = [key for key in units if re.fullmatch(re.escape(key) + _QUALIFIERS, name)]
    return units[max(stems, key=len)] if stems else None


def refuse_unused(entry: SiteEntry, ledger: Ledger) -> None:
    """Refuse what ``entry`` states for columns, sensors or sites that its files do not have.

    A site may be that of a file which was left out. Raises :class:`ConfigError` with the names that there are.
    """
    where = f"sites.entries ({entry.source}, {entry.path[0]})"
    columns = ledger.known(entry, "units")
    for key in entry.units:
        if not any(find_override(name, {key: entry.units[key]}) for name in columns):
            raise _unknown(f"units: '{key}' is not a column that is used of these files", key, columns, where)
    for option in ("temperature_depths", "moisture_depths"):
        sensors = ledger.known(entry, option)
        for number in getattr(entry, option):
            if str(number) not in sensors:
                raise _unknown(f"{option}: these files have no sensor {number}", str(number), sensors, where)
    known = ledger.known(entry, "sites")
    lost = bool(set(ledger.left_out) & set(entry_files(entry)))
    for info in entry.sites:
        if info.site not in known and not lost:
            raise _unknown(f"sites: these files have no site '{info.site}'", info.site, known, where)


def refuse_other_attributes(entry: SiteEntry, ledger: Ledger) -> None:
    """Raise :class:`ConfigError` for a table of attributes by site that names none of the sites of ``entry``."""
    where, known = f"sites.entries ({entry.source}, {entry.path[0]})", ledger.known(entry, "sites")
    listed = read_attributes(entry.attributes).index if entry.attributes else pd.Index([])
    if listed.name == "site" and known and not set(listed.astype(str)) & set(known):
        first = str(listed[0])
        raise _unknown(
            f"attributes: these files have no site of {entry.attributes}, such as '{first}'", first, known, where
        )


def _unknown(what: str, name: str, known: list[str], where: str) -> ConfigError:
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return ConfigError(what + nearest(name, known), where=where, hint=f"they have {shown}" if known else "leave it out")
