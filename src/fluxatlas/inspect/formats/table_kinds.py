"""Kinds of tables known by their columns: those of ``resources/table_kinds.yaml``, MODIS series and SRDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ...paths import RESOURCES
from ...yaml_text import read_keys
from ..frames import Spec
from ..probe import Probe

Clock = Callable[[pd.DataFrame], Any]


@dataclass(frozen=True)
class Known:
    """A kind of table: how it is known, what its columns are, where its times come from."""

    format: str
    product: str
    match: Callable[[Probe, list[str]], bool]
    verdict: str
    specs: Callable[[Probe, pd.DataFrame], dict[str, Spec]] = lambda probe, table: {}
    clock: Clock | None = None
    separator: str = ","
    ordered: bool = True
    notes: tuple[tuple[str, str, str], ...] = ()
    """(level, code, message) that hold for every file of the kind."""
    sites: bool = False
    """Whether the columns are sites, which are listed and not judged one by one."""
    position: tuple[str, str] | None = None
    reader: str = ""
    """Reader of ingest, where there is one."""
    keys: tuple[str, ...] = field(default=())
    """Columns that are no data (years, indices)."""


def _clock(column: str, form: str, repeats: bool = False) -> Clock:
    """Times of ``column`` in ``form`` ('year': whole years), each once where they repeat; what is not one is NaT."""

    def clock(table: pd.DataFrame) -> Any:
        text = table[column].astype(str)
        if form == "year":
            years = pd.to_numeric(table[column], errors="coerce")
            good = years.between(1, 2999) & (years % 1 == 0)
            stamps = [np.datetime64(f"{int(y):04d}", "Y") if g else None for y, g in zip(years, good, strict=True)]
            found = np.array(stamps, "datetime64[Y]").astype("datetime64[s]")
        else:
            found = np.asarray(pd.to_datetime(text, format=form, errors="coerce"), "datetime64[s]")
        return np.unique(found) if repeats else found

    return clock


def _units(units: Mapping[str, list[str]], rest: str) -> Callable[[Probe, pd.DataFrame], dict[str, Spec]]:
    """Units by patterns of column names; ``rest`` is that of all other columns."""
    patterns = [(re.compile("|".join(f"(?:{name})" for name in names)), unit) for unit, names in units.items()]

    def specs(probe: Probe, table: pd.DataFrame) -> dict[str, Spec]:
        names = [str(name) for name in table.columns]
        return {name: Spec(next((u for known, u in patterns if known.fullmatch(name)), rest)) for name in names}

    return specs


def _match(starts: list[str], holds: list[str], some: list[str]) -> Callable[[Probe, list[str]], bool]:
    return lambda probe, header: (
        header[: len(starts)] == starts and set(holds) <= set(header) and (not some or bool(set(some) & set(header)))
    )


def _kind(row: Mapping[str, Any]) -> Known:
    more = {key: row[key] for key in ("separator", "ordered") if key in row}
    more |= {key: tuple(row[key]) for key in ("keys", "position") if key in row}
    return Known(
        format=row["format"],
        product=row["product"],
        match=_match(row.get("starts", []), row.get("holds", []), row.get("any", [])),
        verdict=row["verdict"],
        specs=_units(row.get("units", {}), row.get("rest", "")),
        clock=_clock(**row["time"]) if "time" in row else None,
        notes=tuple(tuple(note) for note in row.get("notes", [])),
        **more,
    )


def _modis(probe: Probe, table: pd.DataFrame) -> dict[str, Spec]:
    name = probe.name.upper()
    if "LAI" in name:
        return {str(column): Spec("m2 m-2", "lai") for column in table}
    unit = "degC" if "LST" in name else "1"
    return {str(column): Spec(unit) for column in table}


def _srdb(probe: Probe, table: pd.DataFrame) -> dict[str, Spec]:
    flux = {name: Spec("g C m-2 yr-1") for name in table.columns if re.match(r"R[sahcl]\w*_(annual|interann)", name)}
    return flux | {
        "Soil_sand": Spec("%", "sand"),
        "Soil_clay": Spec("%", "clay"),
        "MAT": Spec("degC", "tas", 1.0, 273.15),
        "MAP": Spec("mm yr-1"),
    }


OWN: tuple[Known, ...] = (
    Known(
        "modis-8day",
        "MODIS 8-day series at towers",
        lambda p, h: h[:1] == ["Date"] and len(h) > 20 and "MODIS" in p.name.upper(),
        "MODIS series at sites: no reader yet",
        _modis,
        _clock("Date", "%m/%d/%Y"),
        keys=("Date",),
        sites=True,
    ),
    Known(
        "srdb",
        "SRDB global soil respiration database",
        _match([], ["Record_number", "Rs_annual"], []),
        "SRDB: no reader yet",
        _srdb,
        ordered=False,
        position=("Latitude", "Longitude"),
        reader="srdb",
        keys=("Record_number", "Entry_date", "Study_number"),
    ),
)


@cache
def known_kinds() -> tuple[tuple[Known, ...], tuple[tuple[frozenset[str], str], ...]]:
    """The kinds of tables, and columns and role of those that document others."""
    rows = read_keys(RESOURCES / "table_kinds.yaml")
    legends = tuple((frozenset(columns), role) for columns, role in rows["legends"])
    return (*map(_kind, rows["kinds"]), *OWN), legends
