"""Daily weather of sites from a table, such as one taken out of a reanalysis, where nothing is run over a grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..astronomy import extraterrestrial_radiation
from ..errors import InputError, UnitError, counted
from ..ingest.physical import EXTREMES
from ..ingest.sites import text
from ..ingest.sites.magnitude import by_magnitude

CROSSING = 0.05
"""Crossing of extremes of temperature that is let pass [K], as in forcing."""
BRIGHT, SUNLIT, DIM = 150.0, 60, 0.12
"""Of so many days with that much sun above the atmosphere [W m-2], one at least lets more than this share through.

Under thick cloud it is 0.1 to 0.2, under a clear sky 0.7 (ours, [R]); sums of a day in MJ m-2 are 0.0864 of W m-2.
"""


def read_weather(path: str | Path, sites: Mapping[str, float], drivers: Collection[str]) -> pd.DataFrame:
    """Rows ``site, time`` and ``drivers`` of those of ``sites`` that the table has (CSV, or Parquet by its name).

    ``sites`` gives the latitude [degrees north] of each. Times are days of the site; values are daily means (sums of
    ``pr`` as a rate) in the units of ``resources/variables.yaml``; days without all of them are left out.

    Raises :class:`InputError` for a table without a needed column, or with no site or no whole day. So it does for
    times within a day or with a zone, and for a day that stands twice. Values are refused outside the valid range of
    their variable or of the magnitude of another unit, and so are days whose extremes of temperature cross.
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
        values, _ = variables.without_noise(text.numbers(known, name, where).to_numpy(float), name)
        frame[name] = values
        variables.check_range(values, name, where=f"{where}, column {name}")
        _refuse_other_unit(values, name, where)
    if "rsds" in drivers:
        _refuse_dark(frame, sites, where)
    _refuse_crossed(frame, where)
    whole = frame.dropna(subset=list(drivers))
    if whole.empty:
        empty = [name for name in drivers if frame[name].isna().all()]
        what = f"no day has all drivers{f'; {empty[0]!r} has no value' if empty else ''}"
        raise InputError(what, where=where, hint=f"give {', '.join(drivers)} of the same days")
    return whole.sort_values(["site", "time"], ignore_index=True)


def _refuse_other_unit(values: npt.NDArray[np.floating[Any]], name: str, where: str) -> None:
    """Refuse values within the valid range whose magnitude is that of another unit, such as wind in km h-1."""
    units = variables.get(name).units
    found = by_magnitude(values, name, units=units)
    if found is not None and found.units:
        raise UnitError(f"'{name}': {found.text}", where=f"{where}, column {name}", hint=f"give it in {units}")


def _refuse_dark(frame: pd.DataFrame, sites: Mapping[str, float], where: str) -> None:
    """Refuse radiation that never reaches :data:`DIM` of what the sun sends on bright days: sums in MJ m-2."""
    above = np.empty(len(frame))
    for site, rows in frame.reset_index(drop=True).groupby("site"):
        days = pd.DatetimeIndex(rows["time"])
        above[rows.index] = extraterrestrial_radiation(sites[str(site)], days)[:, 0]
    values = frame["rsds"].to_numpy(float)
    bright = np.isfinite(values) & (above >= BRIGHT)
    if bright.sum() < SUNLIT or (values[bright] > DIM * above[bright]).any():
        return
    what = f"'rsds': no day of {bright.sum()} is brighter than {values[bright].max():.3g} W m-2: in MJ m-2 d-1?"
    raise UnitError(what, where=f"{where}, column rsds", hint=f"give it in {variables.get('rsds').units}")


def _refuse_crossed(frame: pd.DataFrame, where: str) -> None:
    """Refuse days whose extremes of temperature are not on either side of the mean."""
    for low, high in EXTREMES:
        if low in frame and high in frame and (wrong := frame[low] > frame[high] + CROSSING).any():
            first = frame[wrong].iloc[0]
            raise InputError(
                f"'{low}' exceeds '{high}' on {counted(int(wrong.sum()), 'day')}, first {first[low]:.4g} and "
                f"{first[high]:.4g} K at site '{first['site']}' on {first['time']:%Y-%m-%d}",
                where=where,
                hint="the columns may be exchanged; leave out days that are wrong",
            )


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
