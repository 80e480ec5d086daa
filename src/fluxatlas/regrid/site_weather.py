"""Daily weather of sites from a table, such as one taken out of a reanalysis, where nothing is run over a grid."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from .. import files, variables
from ..errors import InputError
from ..ingest.sites import text


def read_weather(path: str | Path, sites: Collection[str], drivers: Collection[str]) -> pd.DataFrame:
    """Rows ``site, time`` and ``drivers`` of those of ``sites`` that the table has (CSV, or Parquet by its name).

    Times are days of the site; values are daily means (sums of ``pr`` as a rate) in the units of
    ``resources/variables.yaml``, days without all of them are left out. Raises :class:`InputError` for an absent
    column, a table of other sites alone or without any day that has all drivers, times within a day or with a zone, a
    day that stands twice, and values outside of the valid range of a variable, which a wrong unit gives.
    """
    where = str(path)
    needed = ("site", "time", *drivers)
    if Path(path).suffix.lower() in (".parquet", ".pq"):
        table = files.read_parquet(path)
        text.check_columns(table.columns, needed, where)
    else:
        table = text.read_table(path, required=needed)
    table = table.assign(site=table["site"].astype(str).str.strip())
    known = table[table["site"].isin(set(sites))]
    if known.empty:
        named = ", ".join(sorted(set(table["site"]))[:3])
        hint = f"it has {named or 'no rows'}; the sites are {', '.join(sorted(sites)[:3])}"
        raise InputError("no site of this table is one of the run", where=where, hint=hint)
    days = _days(known, where)
    frame = pd.DataFrame({"site": known["site"], "time": days})
    twice = frame[frame.duplicated()]
    if len(twice):
        site, day = twice.iloc[0]
        hint = "give one row for each site and day"
        raise InputError(f"site '{site}' has {day:%Y-%m-%d} twice", where=where, hint=hint)
    for name in drivers:
        frame[name] = text.numbers(known, name, where)
        variables.check_range(frame[name], name, where=f"{where}, column {name}")
    whole = frame.dropna(subset=list(drivers))
    if whole.empty:
        empty = [name for name in drivers if frame[name].isna().all()]
        what = f"no day has all drivers{f'; {empty[0]!r} has no value' if empty else ''}"
        raise InputError(what, where=where, hint=f"give {', '.join(drivers)} of the same days")
    return whole.sort_values(["site", "time"], ignore_index=True)


def _days(table: pd.DataFrame, where: str) -> pd.Series:
    """The days of the column ``time``."""
    times = table["time"]
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        hint = "give the day at the site alone as its time (2001-07-15)"
        raise InputError(f"the times are in the zone {times.dtype.tz}, not days of the site", where=where, hint=hint)
    if not pd.api.types.is_datetime64_any_dtype(times):
        times = text.times(times.astype(str), None, where)
    if (times != times.dt.normalize()).any():
        first = times[times != times.dt.normalize()].iloc[0]
        hint = "give daily means, with the day alone as its time (2001-07-15)"
        raise InputError(f"the weather is not daily: {first}", where=where, hint=hint)
    return times
