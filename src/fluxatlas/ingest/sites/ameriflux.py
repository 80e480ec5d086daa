"""AmeriFlux BASE: half-hourly (HH) or hourly (HR) files as the network distributes them, zipped with BADM or alone.

Times are local standard time (TIMESTAMP_START); nothing is gap-filled; missing is -9999. The file holds no units: those
of the network's documentation of variables are used (TA, TS deg C; RH, SWC %; PA kPa; VPD hPa; P mm per step; SW_IN,
LW_IN, LE W m-2; WS m s-1; FC, NEE umol CO2 m-2 s-1; FCH4 nmol CH4 m-2 s-1). Names carry qualifiers ``_PI`` (made by the
site's team), ``_F`` (filled: weather only, never an observation), ``_H_V_R`` (horizontal and vertical position,
replicate, or ``_A`` for their mean; V counts downwards into the soil) or ``_#`` (layer).
Coordinates, land cover, UTC offset and depths of sensors come from the BADM in the zip, else from the entry.

Days of observations need half of their steps (``qc.min_qc``); see :func:`subdaily.observed_days`. Weather is
used only on days with every driver at every step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...constants import LATENT_HEAT
from ...errors import InputError
from ...magic import kind_of
from . import badm, clock, depths, weather
from .archives import opened, unpack
from .layouts import ColumnSpec, Layout, celsius, percent
from .metadata import SiteFacts
from .qc import missing
from .quick import SMALLEST, quick_table
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .subdaily import C_PER_UMOL, observed_days, screened_weather, weather_days, whole_days
from .text import compact, decode, in_order, numbers, read_bytes, read_table, times
from .units import METHANE, methane_factor

STEMS = ("TA", "RH", "VPD", "PA", "P", "SW_IN", "LW_IN", "WS", "TS", "SWC", "FC", "NEE", "FCH4", "LE", "H", "G",
         "NETRAD")  # fmt: skip
_ANY = r"(_PI)?(_F)?(_\d+)*(_A)?"
LAYOUT = Layout(
    (
        celsius(f"TA{_ANY}", "tas"),
        celsius(f"TS{_ANY}", "tsl05"),
        percent(f"SWC{_ANY}", "swc05"),
        ColumnSpec(f"SW_IN{_ANY}", "W m-2", "rsds"),
        ColumnSpec(f"LW_IN{_ANY}", "W m-2", "rlds"),
        ColumnSpec(f"PA{_ANY}", "kPa", "ps", 1000.0),
        ColumnSpec(f"RH{_ANY}", "%", "hurs"),
        ColumnSpec(f"WS{_ANY}", "m s-1", "sfcWind"),
        ColumnSpec(f"P{_ANY}", "mm per step", "pr", per_step=True),
        ColumnSpec(f"VPD{_ANY}", "hPa", "vpd", 100.0),
        ColumnSpec(f"(FC|NEE){_ANY}", "umol m-2 s-1", "nee", C_PER_UMOL),
        ColumnSpec(f"FCH4{_ANY}", METHANE, "fch4", methane_factor(METHANE)),
        ColumnSpec(f"LE{_ANY}", "W m-2", "evspsbl", 1 / LATENT_HEAT),
        ColumnSpec(f"LE{_ANY}", "W m-2", "hfls"),
        ColumnSpec(f"H{_ANY}", "W m-2", "hfss"),
        ColumnSpec(f"G{_ANY}", "W m-2", "hfdsl"),
        ColumnSpec(f"NETRAD{_ANY}", "W m-2", "rns"),
        ColumnSpec(f"CH4{_ANY}", "nmol mol-1"),
        ColumnSpec(f"CO2{_ANY}", "umol mol-1"),
        ColumnSpec(f"H2O{_ANY}", "mmol mol-1"),
        ColumnSpec(f"USTAR{_ANY}", "m s-1"),
        ColumnSpec(f"WTD{_ANY}", "m"),
    )
)
_COLUMN = re.compile(rf"({'|'.join(STEMS)})(_PI)?(_F)?(?:_(\d+)(?:_(\d+)_(\d+|A))?)?")
_NAME = re.compile(r"AMF_([A-Za-z]{2}-[A-Za-z0-9]{3})_BASE")
_CLOCKS = ("TIMESTAMP_START", "TIMESTAMP_END")


@dataclass(frozen=True)
class BaseFile:
    """A BASE file: site, version, values by column on their times (start of the step), facts from BADM.

    ``depths``: shallowest and deepest depth [cm] that the BADM states for a soil column.
    """

    site: str
    version: str
    table: pd.DataFrame
    facts: dict[str, Any]
    depths: dict[str, tuple[float, float]] = field(default_factory=dict)


def read_file(path: str | Path, encoding: str = "utf-8") -> BaseFile:
    """Read a BASE file, zipped or not: the columns that fluxatlas uses, values and missing codes as they are.

    Raises :class:`InputError` for a broken zip, one without a BASE table, a missing site id, bad times or numbers.
    """
    where, data = str(path), read_bytes(path)
    tables: dict[str, bytes] = {}
    name = Path(path).name
    if kind_of(data) == "zip":
        name, data, tables = _unzip(data, where)
    head = decode(data[:2000], where, encoding) if data[:2000].isascii() else ""
    stated = dict(re.findall(r"^#\s*(Site|Version):\s*(\S+)", head, re.MULTILINE))
    named = _NAME.search(name)
    site = stated.get("Site") or (named[1] if named else "")
    if not site:
        raise InputError(
            "neither the file name nor a line '# Site:' says which site it is",
            where=where,
            hint="call it AMF_<site>_BASE_HH_<version>.csv",
        )
    quick = quick_table(data, _CLOCKS[:1], _wanted) if len(data) >= SMALLEST else None
    table = quick[0] if quick and quick[1] == 12 else _careful(data, where, encoding)
    facts: dict[str, Any] = {}
    depths_of: dict[str, tuple[float, float]] = {}
    for label, content in tables.items():
        facts |= badm.site_facts(content, label).get(site, {})
        depths_of |= badm.sensor_depths(content, label, site)
    return BaseFile(site, f"BASE {stated.get('Version', '')}", table, facts, depths_of)


def _wanted(name: str) -> bool:
    return bool(_COLUMN.fullmatch(name))


def _careful(data: bytes, where: str, encoding: str) -> pd.DataFrame:
    text = decode(data, where, encoding)
    table = read_table(where, required=_CLOCKS[:1], keep=_wanted, comment="#", text=text)
    columns = {str(name): numbers(table, str(name), where) for name in table.columns if name not in _CLOCKS}
    if not columns:
        raise InputError(
            f"none of the variables that can be used is there ({', '.join(STEMS)})",
            where=where,
            hint="check that this is an AmeriFlux BASE file",
        )
    return in_order(pd.DataFrame(columns), times(compact(table[_CLOCKS[0]]), "%Y%m%d%H%M", where), where)


def _unzip(data: bytes, where: str) -> tuple[str, bytes, dict[str, bytes]]:
    """(name of the table, its bytes, BADM tables by where they are) of a BASE or BASE-BADM zip."""
    with opened(data, where) as archive:
        names = archive.namelist()
        tables = [name for name in names if re.search(r"_BASE_H[HR]_.*\.csv$", name)]
        if len(tables) != 1:
            raise InputError(
                f"the zip holds {len(tables)} BASE tables",
                where=where,
                hint="expected one AMF_<site>_BASE_HH_<version>.csv",
            )
        facts = [name for name in names if "_BIF_" in name and name.endswith((".xlsx", ".csv"))]
        found = {f"{where}:{name}": unpack(archive, name, where) for name in facts}
        content = unpack(archive, tables[0], where)
    if not content.strip():
        raise InputError("the table in the zip is empty", where=where, hint="download it again")
    return tables[0], content, found


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per file."""
    facts = SiteFacts(entry)
    return each(
        files, lambda path: record(read_file(path, entry.encoding), facts, entry, rules, ledger, str(path)), ledger
    )


def record(
    found: BaseFile,
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    where: str,
    source: str = "ameriflux",
    called: Mapping[str, str] | None = None,
) -> SiteRecord:
    """The site of one file: observations and, where every driver is measured, weather.

    ``called``: names in the file of columns that were renamed.
    """
    stated = {k: v for k, v in found.facts.items() if k != "name"}
    row = facts.row(found.site, kind="tower", source=source, ledger=ledger, where=where, stated=stated)
    site = str(row["site"])
    ledger.note(site, f"AmeriFlux {found.version}: measured values in local standard time, not gap-filled")
    if called is None:
        ledger.saw(found.table, LAYOUT)
    table, per_day = whole_days(found.table, where)
    step = 86400.0 / per_day
    told: dict[str, Any] = {"site": site, "where": where, "step": step, "called": called}
    table = restate(table, LAYOUT, entry, rules, ledger, **told)
    chosen = choose_columns(table, rules)
    sun = chosen.get(("SW_IN", 1)) or chosen.get(("SW_IN_F", 1))
    if sun:
        clock.judge(missing(table[sun], rules)[0], row, ledger)
    _count_empty(found.table, chosen, site, rules, ledger)
    parts = []
    for column, variable, factor, offset in _observed(site, chosen, found.depths, entry, ledger):
        common: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
        parts.append(observed_days(table[column], variable, per_day, factor=factor, offset=offset, **common))
    return SiteRecord(row, observations(parts), _forcing(site, table, per_day, chosen, rules, ledger), (where,))


def choose_columns(table: pd.DataFrame, rules: QcRules) -> dict[tuple[str, int], str]:
    """The column for each (stem, vertical index): of replicates and ``_PI`` versions the one with most values.

    Filled columns have stems of their own, such as ``TA_F``. Above ground only the uppermost position counts (index 1);
    a name without position is at 1.
    """
    best: dict[tuple[str, int], tuple[int, int, str]] = {}
    for column in table.columns:
        parts = _COLUMN.fullmatch(str(column))
        if not parts:
            continue
        valid = int(missing(table[column], rules)[0].notna().sum())
        if not valid:
            continue
        position = int(parts[5] or parts[4] or 1)
        below, stem = parts[1] in ("TS", "SWC"), f"{parts[1]}{parts[3] or ''}"
        key, rank = (stem, position if below else 1), (0 if below else -position, valid)
        if key not in best or rank > best[key][:2]:
            best[key] = (*rank, str(column))
    return {key: column for key, (_, _, column) in sorted(best.items())}


def _count_empty(
    table: pd.DataFrame, chosen: dict[tuple[str, int], str], site: str, rules: QcRules, ledger: Ledger
) -> None:
    """Count the columns of an observed quantity that hold no value at all: the report must not pass over them."""
    for stem in ("FCH4", "FC", "NEE", "LE", "H", "G", "NETRAD", "TS", "SWC"):
        columns = [str(name) for name in table if (m := _COLUMN.fullmatch(str(name))) and m[1] == stem and not m[3]]
        if columns and not any(name == stem for name, _ in chosen):
            _, counts = missing(table[columns[0]], rules)
            ledger.read(site, columns[0], len(table), of="values")
            for reason, n in counts.items():
                ledger.drop(site, columns[0], reason, n, of="values")


def _observed(
    site: str,
    chosen: dict[tuple[str, int], str],
    stated: dict[str, tuple[float, float]],
    entry: SiteEntry,
    ledger: Ledger,
) -> list[tuple[str, str, float, float]]:
    """(column, variable, factor, offset) of every observation; depths [cm] ``stated`` by column."""
    found: list[tuple[str, str, float, float]] = []
    if ("FCH4", 1) in chosen:
        found.append((chosen["FCH4", 1], "fch4", *LAYOUT.of("fch4").conversion()))
    carbon = next((chosen[stem, 1] for stem in ("NEE", "FC") if (stem, 1) in chosen), None)
    if carbon:
        ledger.note(site, f"nee is {carbon}")
        found.append((carbon, "nee", *LAYOUT.of("nee").conversion()))
    for variable, stem in (("evspsbl", "LE"), ("hfls", "LE"), ("hfss", "H"), ("hfdsl", "G"), ("rns", "NETRAD")):
        if (stem, 1) in chosen:
            found.append((chosen[stem, 1], variable, *LAYOUT.of(variable).conversion()))
    for stem, kind, given in (("TS", "tsl", entry.temperature_depths), ("SWC", "swc", entry.moisture_depths)):
        conversion = LAYOUT.of(depths.variable(kind, 5)).conversion()
        levels = {level: column for (name, level), column in chosen.items() if name == stem}
        at = depths.sensors(stem, levels, given, stated, entry, ledger, site)
        found += [(column, depths.variable(kind, depth), *conversion) for depth, column in at.items()]
    return found


def _forcing(
    site: str,
    table: pd.DataFrame,
    per_day: int,
    chosen: dict[tuple[str, int], str],
    rules: QcRules,
    ledger: Ledger,
) -> pd.DataFrame | None:
    """Daily weather, NaN on days with a gap in any driver, or None where a driver is not measured.

    Gaps are filled from the team's own filled columns (``TA_PI_F``) where there are some; days with less than
    ``forcing_min_qc`` of measured steps are dropped.
    """
    have = {stem for stem, level in chosen if level == 1}
    humid = "RH" if have & {"RH", "RH_F"} else "VPD"
    stems = ("TA", "PA", "P", "SW_IN", "LW_IN", "WS", humid)
    lacking = [stem for stem in stems if not have & {stem, f"{stem}_F"}]
    if lacking:
        weather.absent(site, lacking, ledger, others=len(lacking) < len(stems))
        return None
    take, share = {}, np.ones(len(table))
    for stem in stems:
        take[stem], measured = _driver(table, chosen, stem, site, rules, ledger)
        share = np.minimum(share, measured)
    rows = {stem: spec for stem in stems if (spec := LAYOUT.find(stem))}
    raw = {row.variable: (take[stem], *row.conversion(86400.0 / per_day)) for stem, row in rows.items()}
    steps = screened_weather(raw, rules=rules, ledger=ledger, site=site)
    if humid == "RH":
        steps["huss"] = weather.humidity_from_relative(steps["hurs"], steps["ps"], steps["tas"])
    else:
        weather.judge_deficit(str(take["VPD"].name), steps["vpd"], steps["tas"], steps["tas"], ledger, site)
        steps["huss"] = weather.humidity_from_deficit(steps["vpd"], steps["ps"], steps["tas"], steps["tas"])
    days = weather_days(steps, per_day)
    poor = days.notna().all(axis=1) & (share.reshape(-1, per_day).mean(axis=1) < rules.forcing_min_qc)
    ledger.read(site, "weather", int(days.notna().all(axis=1).sum()))
    ledger.drop(site, "weather", "gap-filled", int(poor.sum()))
    return days.mask(poor)


def _driver(
    table: pd.DataFrame, chosen: dict[tuple[str, int], str], stem: str, site: str, rules: QcRules, ledger: Ledger
) -> tuple[pd.Series, npt.NDArray[np.float64]]:
    """The values of one driver, gaps filled by the team's filled column, and 1 where they are measured, else 0."""
    own, filled = chosen.get((stem, 1)), chosen.get((f"{stem}_F", 1))
    if filled is None:
        return table[str(own)], np.ones(len(table))
    ledger.note(site, f"{own or stem} is filled with {filled} (by the site's team)")
    values = missing(table[filled], rules)[0]
    if own is None:
        return values, np.zeros(len(table))
    measured = missing(table[own], rules)[0]
    return measured.fillna(values).rename(own), np.where(measured.notna(), 1.0, 0.0)
