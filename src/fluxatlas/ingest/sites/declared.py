"""Chamber tables in a layout of their own: which column is what stands in the entry (``sites.entries.table``).

The result has the columns of the plain chamber table (:mod:`chambers`), so that everything after is the same. Times are
UTC (``datetime_utc``) or the site's own standard time (``datetime_local``), with or without an hour.
"""

from __future__ import annotations

import pandas as pd

from ...config.sites import TableColumns
from ...errors import ConfigError, nearest
from .records import UnusableError
from .text import read_table, times

LOCAL = "datetime_local"
"""Column of local standard time, in the place of ``datetime_utc``."""


def read_declared(
    path: str, declared: TableColumns, known: tuple[str, ...], needed: tuple[str, ...], encoding: str
) -> pd.DataFrame:
    """The columns that ``declared`` names of the table at ``path``, called as in the plain chamber table.

    ``known``: all columns that the plain table may have, ``needed``: those that must be there beside a time. Raises
    :class:`ConfigError` for a name that is not one of them or is missing, and :class:`InputError` for a column that the
    file does not have or where ``only`` leaves no row.
    """
    where = f"sites.entries.table, {path}"
    given = {**dict.fromkeys(declared.columns, ""), **dict.fromkeys(declared.constants, "")}
    for name in given:
        if name not in (*known, LOCAL):
            raise ConfigError(
                f"'{name}' is not a column of the plain chamber table{nearest(name, known)}",
                where=where,
                hint=f"known are {', '.join((*known, LOCAL))}",
            )
    clocks = [name for name in ("datetime_utc", LOCAL) if name in declared.columns]
    lacking = [name for name in needed if name not in given]
    if lacking or len(clocks) != 1:
        what = f"'{lacking[0]}' is not given" if lacking else "one of datetime_utc and datetime_local must be given"
        raise ConfigError(what, where=where, hint="name its column under 'columns', or its value under 'constants'")
    wanted = [*declared.columns.values(), *declared.only]
    ids = {declared.columns.get(name) for name in ("site", "chamber")}
    raw = read_table(path, required=wanted, encoding=encoding, comment="#", is_name=ids.__contains__)
    for column, values in declared.only.items():
        raw = raw[raw[column].map(as_text).isin(values)]
    if raw.empty:
        raise UnusableError("no row is left", where=path, hint="check 'only' of the entry's 'table'")
    raw = raw.reset_index(drop=True)
    table = pd.DataFrame({name: raw[column] for name, column in declared.columns.items()})
    table = table.assign(**declared.constants)
    if "chamber" in declared.columns:
        table["chamber"] = table["chamber"].map(as_text)
    clock = clocks[0]
    table[clock] = times(table[clock].rename(declared.columns[clock]), declared.time_format, path)
    return table


def as_text(value: object) -> str:
    """A cell as the file shows it: whole numbers without a decimal point, '' for none."""
    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value).strip()
