"""International Soil Moisture Network: text files (``.stm``) of one sensor each, static variables of a station.

Both layouts of a download are read: *CEOP* (every line repeats network, station, position, depths) and *Header+values*
(one header line, then date, time, value, flags). Times are UTC; values are moved to the station's local standard time
(to whole hours) and averaged over days. ``sm`` m3 m-3, ``ts`` deg C (Dorigo et al. 2021,
doi:10.5194/hess-25-5749-2021). Only values with the flags of ``qc.ismn_flags`` are kept (G: good); C (beyond limits),
D (dubious) and M (missing) are counted apart (Dorigo et al. 2013, doi:10.2136/vzj2012.0097). A sensor over a layer
counts at its middle. Other quantities (p, ta, ...) are noted, not used.

``*_static_variables.csv``: sand, clay [%] and organic carbon [% -> g kg-1] of the topsoil: measured at the station
where the depth is given and shallow, else those of the soil map that the network quotes (HWSD, 0 to 30 cm).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from . import depths
from .archives import members
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts
from .records import Ledger, SiteRecord, UnusableError, each, observations
from .stated import restate
from .subdaily import observed_days, whole_days
from .text import decode, decode_mixed, in_order, numbers, one_series, read_bytes, read_table, read_text, times

LAYOUT = Layout(
    (
        ColumnSpec("sm", "m3 m-3", "swc05"),
        celsius("ts", "tsl05"),
        ColumnSpec("p", "mm", "pr", per_step=True),
        celsius("ta", "tas"),
    )
)
"""By quantity, as the name of the file gives it."""
USED = {"sm": "swc", "ts": "tsl"}
"""Quantities that are used, and of which kind they are."""
_NAME = re.compile(
    r"_(?P<quantity>[a-z]{1,5})_(?P<top>-?\d+\.\d+)_(?P<base>-?\d+\.\d+)_(?P<sensor>.+)_\d{8}_\d{8}\.stm$"
)
_STATIC = {"sand fraction": ("sand", 1.0), "clay fraction": ("clay", 1.0), "organic carbon": ("soc", 10.0)}
_CEOP = ("day", "clock", "day2", "clock2", "cse", "network", "station", "lat", "lon", "elevation", "top", "base")
_FLAGGED = {"C": "flag C (beyond limits)", "D": "flag D (dubious)", "M": "flag M (missing)"}


@dataclass(frozen=True)
class SensorFile:
    """One sensor: quantity, top and base of its layer [m], its name, facts on the station, ``value, flag`` by UTC."""

    quantity: str
    layer: tuple[float, float]
    sensor: str
    facts: dict[str, Any]
    table: pd.DataFrame

    @property
    def depth(self) -> float:
        """The middle of the layer [m]."""
        return sum(self.layer) / 2


def read_file(path: str | Path, encoding: str = "utf-8") -> SensorFile:
    """Read one ``.stm`` file; raises :class:`InputError` for another name or layout, bad times or numbers."""
    where = str(path)
    named = _NAME.search(Path(path).name)
    if not named:
        raise InputError(
            "the file name does not say which quantity and depth it holds",
            where=where,
            hint="keep the names of the download: <network>_<network>_<station>_sm_0.05_0.05_<sensor>_<dates>.stm",
        )
    lines = [(n, line.split()) for n, line in enumerate(read_text(path, encoding).split("\n"), 1) if line.strip()]
    ceop = bool(re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d \d{4}/", " ".join(lines[0][1])))
    station, rows = _ceop(lines, where) if ceop else _header(lines, where)
    if not rows:
        raise UnusableError("the file holds no values", where=where, hint="leave it out")
    table = pd.DataFrame(rows, columns=["day", "clock", "value", "flag"])
    clock = times((table["day"] + " " + table["clock"]).rename("date and time"), "%Y/%m/%d %H:%M", where)
    table = table[["value", "flag"]].assign(value=numbers(table, "value", where))
    facts: dict[str, Any] = {"network": station[0], "station": station[1]}
    for name, text in zip(("lat", "lon", "elevation"), station[2:5], strict=True):
        facts[name] = _number(text, name, where)
    layer = _number(station[5], "depth", where), _number(station[6], "depth", where)
    return SensorFile(named["quantity"], layer, named["sensor"], facts, in_order(table, clock, where))


def _ceop(lines: list[tuple[int, list[str]]], where: str) -> tuple[tuple[str, ...], list[tuple[str, str, str, str]]]:
    """(network, station, lat, lon, elevation, top, base) and rows (day, clock, value, flag) of a CEOP file.

    ``lines``: the number in the file and the cells of each line that is not blank.
    """
    wide, station = len(_CEOP), lines[0][1][5 : len(_CEOP)]
    for number, row in lines:
        if not wide + 2 <= len(row) <= wide + 3:
            raise InputError(
                f"line {number} has {len(row)} fields, expected {wide + 2} or {wide + 3}",
                where=where,
                hint="the file may be truncated: download it again",
            )
        if row[5:wide] != station:
            raise InputError(
                f"station, position or depth change in line {number}", where=where, hint="give one file per sensor"
            )
    return tuple(station), [(row[0], row[1], row[wide], row[wide + 1]) for _, row in lines]


def _header(lines: list[tuple[int, list[str]]], where: str) -> tuple[tuple[str, ...], list[tuple[str, str, str, str]]]:
    """The same of a file with one header line: CSE, network, station, position, depths, sensor."""
    head = lines[0][1]
    if len(head) < 8 or re.match(r"\d{4}/", head[0]):
        raise InputError("the first line is neither CEOP nor a header", where=where, hint="this is not an ISMN series")
    rows = []
    for number, row in lines[1:]:
        if not 4 <= len(row) <= 5:
            raise InputError(
                f"line {number} has {len(row)} fields, expected 4 or 5",
                where=where,
                hint="the file may be truncated: download it again",
            )
        rows.append((row[0], row[1], row[2], row[3]))
    return tuple(head[1:8]), rows


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{name} '{text[:20]}' is not a number", where=where, hint="download the file again")
    return value


def read_static(path: str | Path, encoding: str = "utf-8") -> dict[str, float]:
    """Attributes of the topsoil (``sand, clay, soc``) from a ``*_static_variables.csv``, as far as they are stated."""
    where = str(path)
    data = read_bytes(path)
    content = decode_mixed(data, where)[0] if encoding == "utf-8" else decode(data, where, encoding)
    text = "\n".join(line.rstrip(";").replace('"', "") for line in content.split("\n"))
    need = ("quantity_name", "depth_from[m]", "depth_to[m]", "value", "quantity_source_name")
    width = text.split("\n", 1)[0].count(";")
    text = "\n".join(line + ";" * (width - line.count(";")) for line in text.split("\n") if line.strip())
    table = read_table(path, required=need, separator=";", text=text)
    found: dict[str, float] = {}
    for quantity, (name, factor) in _STATIC.items():
        part = table[table["quantity_name"].astype(str) == quantity]
        if part.empty:
            continue
        part = part.assign(value=numbers(part, "value", where), top=numbers(part, "depth_from[m]", where))
        part = part[(part["top"] >= 0) & (part["top"] < 0.15) & part["value"].between(0, 100)]
        own = part["quantity_source_name"].astype(str).str.lower() == "insitu"
        chosen = part[own] if own.any() else part
        if len(chosen):
            found[name] = float(chosen.sort_values("top", kind="stable")["value"].iloc[0]) * factor
    return found


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per station, ``<network>-<station>``; its static variables are those in the folder of its series.

    A download is read as the zip it came in or unpacked.
    """
    facts = SiteFacts(entry)
    stations: dict[str, list[tuple[SensorFile, str]]] = {}
    static: dict[Path, dict[str, float]] = {}
    series: list[str] = []
    for path in members(files, "ismn"):
        if path.endswith("_static_variables.csv"):
            static[Path(path).parent] = read_static(path, entry.encoding)
        else:
            series.append(path)
    for found, path in each(series, lambda path: (read_file(path, entry.encoding), path), ledger):
        ledger.saw(found.table[["value"]].set_axis([found.quantity], axis=1), LAYOUT)
        name = facts.site_id(f"{found.facts['network']}-{found.facts['station']}")
        stations.setdefault(name, []).append((found, path))

    def made(name: str) -> SiteRecord:
        record = _station(name, stations[name], facts, entry, rules, ledger)
        record.site |= static.get(Path(stations[name][0][1]).parent, {})
        return record

    return each(sorted(stations), made, ledger)


def _station(
    name: str,
    parts: list[tuple[SensorFile, str]],
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> SiteRecord:
    where = parts[0][1]
    places = {(p.facts["lat"], p.facts["lon"]) for p, _ in parts}
    if len(places) > 1:
        raise UnusableError(
            f"the files of station '{name}' give {len(places)} positions", where=where, hint="give the right one only"
        )
    stated = {k: parts[0][0].facts[k] for k in ("lat", "lon", "elevation")}
    row = facts.row(name, kind="station", source="ismn", ledger=ledger, where=where, stated=stated)
    site = str(row["site"])
    parts = _joined(parts)
    chosen: dict[str, tuple[SensorFile, str]] = {}
    for quantity, kind in USED.items():
        sensors = {path: 100 * part.depth for part, path in parts if part.quantity == quantity}
        for depth, path in depths.choose(sensors).items():
            chosen[path] = next(p for p, other in parts if other == path), depths.variable(kind, depth)
        for path in sensors.keys() - chosen.keys():
            ledger.note(site, f"{quantity} at {sensors[path]:g} cm is not used: another sensor stands for that depth")
    offset = float(row["utc_offset"])
    common: dict[str, Any] = {"entry": entry, "rules": rules, "ledger": ledger, "site": site}
    rows = each(chosen, lambda path: _sensor(*chosen[path], path, offset, **common), ledger)
    other = sorted({part.quantity for part, _ in parts} - set(USED))
    if other:
        ledger.note(site, f"not used: {', '.join(other)}")
    return SiteRecord(row, observations(rows))


def _joined(parts: Sequence[tuple[SensorFile, str]]) -> list[tuple[SensorFile, str]]:
    """Each sensor of a station once: files of one quantity, layer and sensor are parts of its series.

    Raises :class:`UnusableError` where they say different things of one time, as two downloads may.
    """
    found: dict[tuple[str, tuple[float, float], str], list[tuple[SensorFile, str]]] = {}
    for part, path in parts:
        found.setdefault((part.quantity, part.layer, part.sensor), []).append((part, path))
    joined = []
    for same in found.values():
        first, where = same[0]
        try:
            table = one_series([(part.table, path) for part, path in same])
        except InputError as problem:
            raise UnusableError(problem.what, where=problem.where, hint=problem.hint) from None
        joined.append((replace(first, table=table), where))
    return joined


def _sensor(
    part: SensorFile,
    variable: str,
    path: str,
    utc_offset: float,
    *,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    site: str,
) -> pd.DataFrame:
    """Daily rows of ``variable`` from one sensor."""
    quantity = part.quantity
    ledger.note(site, f"{variable} is {quantity} at {100 * part.depth:g} cm ({part.sensor})")
    series = _flagged(part, variable, site, rules, ledger)
    series.index = series.index + pd.Timedelta(hours=round(utc_offset))
    one = restate(series.rename(quantity).to_frame(), LAYOUT, entry, rules, ledger, site=site, where=path)
    table, per_day = whole_days(one, path)
    factor, offset = LAYOUT.of(depths.variable(USED[quantity], 5)).conversion()
    known: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    return observed_days(table[quantity], variable, per_day, factor=factor, offset=offset, **known)


def _flagged(part: SensorFile, variable: str, site: str, rules: QcRules, ledger: Ledger) -> pd.Series:
    """Values whose flags are all accepted, else NaN; the rest is counted by category under ``<variable> flags``."""
    flags = part.table["flag"].astype(str)
    accepted = {flag: all(one in rules.ismn_flags for one in flag.split(",")) for flag in flags.unique()}
    fine = flags.map(accepted).astype(bool)
    label = f"{variable} flags"
    ledger.read(site, label, len(flags), of="values")
    first = flags[~fine].str[:1]
    for category, n in first.value_counts().items():
        ledger.drop(site, label, _FLAGGED.get(str(category), f"flag {category}"), int(n), of="values")
    return part.table["value"].where(fine)
