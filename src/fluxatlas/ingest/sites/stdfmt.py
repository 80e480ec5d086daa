"""Daily tower files ``*.stdfmt.daily.txt`` of the VIC sample data (US-Whs, US-Wkg): 33 columns, spaces, no header.

Columns (docs/WalnutGulch.md of that repository, which lists the hourly layout; that Tmax and Tmin stand before Tair was
read from the values): year month day PREC [mm] Tmax Tmin Tair [deg C] SWdown LWdown [W m-2] RH [%] Patm [kPa] Wind
[m s-1] ET [mm] Tsdep1-5 [cm] SM1-5 [mm mm-1] Tsoil1-5 [deg C] SWnet LWnet H LE FG [W m-2]; -9999 missing. Sensor depths
stand in the file itself (Tsdep). SWnet and LWnet are 0.00 where absent and are not read. The document gives the hourly
file in UTC; which day the daily file uses is not stated, and is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from . import depths, weather
from .fluxnet_weather import ORDER
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts
from .qc import error_floor, screen
from .records import Ledger, SiteRecord, each, long_table, observations
from .stated import restate
from .text import in_order, numbers, read_table, read_text, times

COLUMNS = (
    *("year", "month", "day", "PREC", "Tmax", "Tmin", "Tair", "SWdown", "LWdown", "RH", "Patm", "Wind", "ET"),
    *(f"Tsdep{i}" for i in range(1, 6)),
    *(f"SM{i}" for i in range(1, 6)),
    *(f"Tsoil{i}" for i in range(1, 6)),
    *("SWnet", "LWnet", "H", "LE", "FG"),
)
LAYOUT = Layout(
    (
        celsius("Tair", "tas"),
        celsius("Tmin", "tasmin"),
        celsius("Tmax", "tasmax"),
        ColumnSpec("PREC", "mm d-1", "pr", per_step=True),
        ColumnSpec("SWdown", "W m-2", "rsds"),
        ColumnSpec("LWdown", "W m-2", "rlds"),
        ColumnSpec("RH", "%", "hurs"),
        ColumnSpec("Patm", "kPa", "ps", 1000.0),
        ColumnSpec("Wind", "m s-1", "sfcWind"),
        ColumnSpec("ET", "mm d-1", "evspsbl", per_step=True),
        celsius(r"Tsoil\d", "tsl05"),
        ColumnSpec(r"SM\d", "m3 m-3", "swc05"),
        ColumnSpec(r"Tsdep\d", "cm", kind="flag"),
        ColumnSpec("LE", "W m-2", "hfls"),
        ColumnSpec("H", "W m-2", "hfss"),
        ColumnSpec("FG", "W m-2", "hfdsl"),
        ColumnSpec("SWnet|LWnet", "W m-2"),
    )
)
FORCING = LAYOUT.columns[:9]
"""The weather."""


def read_file(path: str | Path, encoding: str = "utf-8") -> pd.DataFrame:
    """The 33 columns by name, indexed by day, values as they are; raises :class:`InputError` for another layout."""
    where = str(path)
    lines = [" ".join(line.split()) for line in read_text(path, encoding).split("\n")]
    width = len(next(line for line in lines if line).split(" "))
    if width != len(COLUMNS):
        raise InputError(
            f"the first line has {width} columns, this layout has {len(COLUMNS)}",
            where=where,
            hint="give a *.stdfmt.daily.txt file (the hourly ones have other columns)",
        )
    text = "\n".join([" ".join(COLUMNS), *lines])
    table = read_table(path, required=COLUMNS, separator=" ", text=text, first=0)
    table = pd.DataFrame({name: numbers(table, name, where) for name in COLUMNS})
    if table[["year", "month", "day"]].isna().any(axis=None):
        raise InputError("a row has no date", where=where, hint="correct the first three columns")
    date = table[["year", "month", "day"]].astype("int64").astype(str)
    day = (date["year"] + "-" + date["month"].str.zfill(2) + "-" + date["day"].str.zfill(2)).rename("year month day")
    return in_order(table.drop(columns=["year", "month", "day"]), times(day, "%Y-%m-%d", where), where)


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per file; the file name up to the first dot (``WKG``) is the site's name in the file."""
    facts = SiteFacts(entry)
    return each(files, lambda path: _site(str(path), facts, entry, rules, ledger), ledger)


def _site(path: str, facts: SiteFacts, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> SiteRecord:
    row = facts.row(Path(path).name.split(".")[0], kind="tower", source="stdfmt", ledger=ledger, where=path)
    site = str(row["site"])
    table = read_file(path, entry.encoding)
    ledger.saw(table, LAYOUT)
    table = restate(table, LAYOUT, entry, rules, ledger, site=site, where=path)
    parts = []
    for variable, column, (factor, offset) in _observed(table, path):
        values = screen(table[column], variable, factor=factor, offset=offset, rules=rules, ledger=ledger, site=site)
        parts.append(long_table(variable, values, sd=error_floor(variable, values, rules)))
    calm = rules.model_copy(update={"spike_z": 0.0})
    frame = {}
    for spec in FORCING:
        column, (factor, offset) = spec.pattern, spec.conversion()
        known: dict[str, Any] = {"rules": calm, "ledger": ledger, "site": site, "label": column}
        frame[spec.variable] = screen(table[column], spec.variable, factor=factor, offset=offset, **known)
    frame["huss"] = weather.humidity_from_relative(frame.pop("hurs"), frame["ps"], frame["tas"])
    return SiteRecord(row, observations(parts), pd.DataFrame(frame)[list(ORDER)])


def _observed(table: pd.DataFrame, where: str) -> list[tuple[str, str, tuple[float, float]]]:
    """(variable, column, conversion) of soil sensors, by the depths that the file states, and of fluxes."""
    stated: dict[int, float] = {}
    for i in range(1, 6):
        given = np.unique(table[f"Tsdep{i}"])
        given = given[given > 0]
        if len(given) > 1:
            raise InputError(
                f"Tsdep{i} changes from {given[0]:g} to {given[1]:g} cm",
                where=where,
                hint="split the file where it does",
            )
        if len(given):
            stated[i] = float(given[0])
    found = []
    for kind, stem in (("tsl", "Tsoil"), ("swc", "SM")):
        conversion = LAYOUT.of(depths.variable(kind, 5)).conversion()
        for depth, column in depths.choose({f"{stem}{i}": d for i, d in stated.items()}).items():
            found.append((depths.variable(kind, depth), column, conversion))
    fluxes = (("evspsbl", "ET"), ("hfls", "LE"), ("hfss", "H"), ("hfdsl", "FG"))
    return [*found, *((name, column, LAYOUT.of(name).conversion()) for name, column in fluxes)]
