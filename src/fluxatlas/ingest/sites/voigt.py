"""Atmospheric CH4 consumption by upland soils, western Canadian Arctic and Finnish Lapland (Voigt et al. 2023).

``SoilChamber_1.rds``: hourly automatic chambers at Trail Valley Creek with the manual campaigns appended;
``SoilChamber_2.tab`` (PANGAEA text) or ``SoilChamber_2.rds``: the manual campaigns alone (doi:10.1594/PANGAEA.953120
and 953119). Flux is ug m-2 h-1 of the parameter "Methane, flux", taken as mass of CH4 (not CH4-C, which the header
would say); override with ``units: CH4_flux``. Soil moisture is a fraction in automatic and percent in manual rows.
Long-wave radiation has spikes near 14 900 W m-2 and one of -208, which the valid range drops. Manual rows that stand in
both files are read once. Times are UTC; Canadian sites keep UTC-7 and the Finnish UTC+2 as standard time, manual rows
carry local dates. Automatic chambers and collars of Trail Valley Creek are chambers of one site; its weather is
complete in summer 2019 only (no radiation in 2021).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import variables
from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from . import depths, weather
from .daily import chamber_days, local_day, site_days
from .fluxnet_weather import ORDER
from .layouts import ColumnSpec, Layout, celsius, percent
from .metadata import SiteFacts
from .qc import screen
from .rds import read_rds
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .text import numbers, read_table, read_text, times
from .units import methane_factor

# name in the files -> (site id, hours ahead of UTC, IGBP class; our reading of the landcover column)
SITES = {
    "Trail Valley": ("TrailValleyCreek", -7.0, "OSH"),
    "Havikpak Creek": ("HavikpakCreek", -7.0, "ENF"),
    "Scotty Creek": ("ScottyCreek", -7.0, "ENF"),
    "Kilpisjärvi": ("Kilpisjarvi", 2.0, "OSH"),
}
MANUAL = {
    "Site": "Site",
    "Lat": "Latitude",
    "Long": "Longitude",
    "Date_Flux": "Date",
    "Collar_ID": "Location_ID",
    "CH4_flux": "CH4_Flux_ug_m2_h",
    "Soil_T_flux": "Soil_Temp_Flux_C",
    "VWC": "Soil_Moisture_VWC",
}
"""Short names in the comments of the PANGAEA header -> names of the R data frames."""
TEMPERATURE = {"Soil_Temp_C": 5.0, "Soil_Temp_10cm_C": 10.0, "Soil_Temp_20cm_C": 20.0, "Soil_Temp_30cm_C": 30.0}
MOISTURE = {
    "Soil_Moisture_VWC": 5.0,
    "Soil_Moisture_10cm": 10.0,
    "Soil_Moisture_20cm": 20.0,
    "Soil_Moisture_30cm": 30.0,
}
METHANE = "ug CH4 m-2 h-1"
LAYOUT = Layout(
    (
        celsius("Air_Temp_2m_C", "tas"),
        ColumnSpec("Relative_Humidity", "%", "hurs"),
        ColumnSpec("Air_Pressure_hPa", "hPa", "ps", 100.0),
        ColumnSpec("WindSpeed_10m", "m s-1", "sfcWind"),
        ColumnSpec("Shortwave_Radiation_In", "W m-2", "rsds"),
        ColumnSpec("Longwave_Radiation_In", "W m-2", "rlds"),
        ColumnSpec("CH4_Flux_ug_m2_h", METHANE, "fch4", methane_factor(METHANE)),
        celsius(r"Soil_Temp(_(?P<depth>\d+)cm)?_C|Soil_Temp_Flux_C", "tsl05"),
        ColumnSpec(r"Soil_Moisture(_(?P<depth>\d+)cm|_VWC|_GF_VWC)", "m3 m-3", "swc05"),
        ColumnSpec("Precip_mm", "mm per hour", "pr", per_step=True),
    )
)
WEATHER = LAYOUT.columns[:6]
"""The hourly weather."""
CHAMBERS, HOURLY = Layout(LAYOUT.columns[6:9]), Layout((*WEATHER, LAYOUT.of("pr")))
"""The automatic chambers, and the hours of the weather beside them."""
CAMPAIGNS = Layout((LAYOUT.of("fch4"), celsius("Soil_Temp_Flux_C", "tsl05"), percent("Soil_Moisture_VWC", "swc05")))
"""The manual campaigns."""
HOURS = 22
"""Smallest number of hourly values in a daily mean of the weather."""


def read_tab(path: str | Path, encoding: str = "utf-8") -> pd.DataFrame:
    """The manual campaigns from PANGAEA text, with the column names of the R data frame (:data:`MANUAL`).

    Raises :class:`InputError` where the header block is not closed or a parameter is missing.
    """
    text = read_text(path, encoding)
    if "*/" not in text:
        raise InputError("no PANGAEA header ('/* ... */')", where=str(path), hint="download the file as text again")
    header, _, body = text.partition("*/")[2].lstrip().partition("\n")
    line = text.count("\n") - body.count("\n")
    names = []
    for cell in header.split("\t"):
        short = re.search(r"\((\w+):", cell)
        names.append(short[1] if short else cell.strip())
    content = "\t".join(names) + "\n" + body
    table = read_table(path, required=tuple(MANUAL), separator="\t", text=content, first=line)
    return table.rename(columns=MANUAL)


def _table(path: str, encoding: str) -> pd.DataFrame:
    """A file of PANGAEA text or of R data."""
    return read_tab(path, encoding) if path.endswith(".tab") else read_rds(path, tuple(MANUAL.values()), encoding)


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """All sites of the files: Trail Valley Creek with automatic and manual chambers, the others manual."""
    facts = SiteFacts(entry)
    automatic, manual = [], []
    for path, table in each(files, lambda path: (path, _table(path, entry.encoding)), ledger):
        if path.endswith(".tab"):
            manual.append(table)
            continue
        hourly = _hourly(table)
        automatic.append(table[hourly])
        manual.append(table[~hourly])
    campaigns = _campaigns(manual, ", ".join(map(str, files)))
    held = [part.assign(file=number) for number, part in enumerate(automatic) if len(part)]
    machines = pd.concat(held) if held else None
    if machines is not None:
        several = len(held) > 1
        where = ", ".join(map(str, files))
        machines = _once(machines, ["Date", "Chamber_no"], where) if several else machines.drop(columns="file")
    records = []
    for name, (site, offset, igbp) in SITES.items():
        rows = campaigns[campaigns["Site"] == name]
        hourly_rows = machines if name == "Trail Valley" else None
        if len(rows) or hourly_rows is not None:
            stated = _stated(hourly_rows if hourly_rows is not None else rows, offset, igbp)
            row = facts.row(site, kind="chamber", source="voigt", ledger=ledger, where=str(files[0]), stated=stated)
            records.append(_site(row, rows, hourly_rows, entry, rules, ledger, str(files[0])))
    return records


def _hourly(table: pd.DataFrame) -> pd.Series:
    """Rows of the automatic chambers (the manual ones have a site name instead of a chamber number)."""
    return table["Site"].isna() if "Chamber_no" in table else pd.Series(False, index=table.index)


def _campaigns(parts: list[pd.DataFrame], where: str) -> pd.DataFrame:
    """Manual rows of all files, each once; unknown site names are refused."""
    columns = list(MANUAL.values())
    table = pd.concat([part[columns].assign(file=number) for number, part in enumerate(parts)], ignore_index=True)
    for name in columns:
        if name in ("Site", "Date", "Location_ID"):
            table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str).str.strip()
        else:
            table[name] = numbers(table, name, where).round(6)
    unknown = sorted(set(table["Site"]) - set(SITES))
    if unknown:
        raise InputError(f"unknown site '{unknown[0]}'", where=where, hint=f"known are {', '.join(SITES)}")
    return _once(table, ["Site", "Date", "Location_ID"], where).reset_index(drop=True)


def _once(table: pd.DataFrame, keys: list[str], where: str) -> pd.DataFrame:
    """Rows of all files (column ``file``), each once; of the same ``keys`` a file may have several, which are repeats.

    Raises :class:`InputError` where files have different rows of the same ``keys``.
    """
    once = table.drop_duplicates([name for name in table if name != "file"])
    most: Any = table.drop_duplicates().groupby([*keys, "file"], dropna=False).size()
    most = most.groupby(keys, dropna=False).max()
    rows: Any = once.groupby(keys, dropna=False).size()
    if (rows > most).any():
        told = ", ".join(f"{key} {value}" for key, value in zip(keys, rows.index[rows > most][0], strict=True))
        hint = "read one version of the data only"
        raise InputError(f"two files contradict each other on {told}", where=where, hint=hint)
    return once.drop(columns="file")


def _stated(table: pd.DataFrame, offset: float, igbp: str) -> dict[str, Any]:
    position = {"lat": float(table["Latitude"].mean()), "lon": float(table["Longitude"].mean())}
    return {**position, "utc_offset": offset, "igbp": igbp}


def _site(
    row: dict[str, Any],
    manual: pd.DataFrame,
    hourly: pd.DataFrame | None,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    where: str,
) -> SiteRecord:
    site = str(row["site"])
    common: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    told: dict[str, Any] = {"entry": entry, "where": where, **common}
    if not {"CH4_flux", MANUAL["CH4_flux"]} & set(entry.units):
        ledger.note(site, f"flux is read as {METHANE} (the header says 'Methane, flux', not CH4-C)")
    parts: list[tuple[str, pd.DataFrame]] = []
    forcing = None
    if hourly is not None:
        hourly = hourly.reset_index(drop=True)
        utc = times(hourly["Date"], "%Y-%m-%dT%H:%M", where)
        day = local_day(utc, float(row["utc_offset"]))
        ledger.saw(hourly.set_axis(pd.DatetimeIndex(utc)), CHAMBERS)
        ledger.saw(hourly[~utc.duplicated()].set_axis(pd.DatetimeIndex(utc.drop_duplicates())).sort_index(), HOURLY)
        hourly = restate(hourly, LAYOUT, **told, step=3600.0, called={MANUAL["CH4_flux"]: short(entry, "CH4_flux")})
        parts += _automatic(hourly, day, common)
        forcing = _weather(hourly, pd.DatetimeIndex(utc), day, common)
    if len(manual):
        called = {name: short(entry, column) for column, name in MANUAL.items()}
        ledger.saw(manual.set_index(pd.to_datetime(manual["Date"], errors="coerce")), CAMPAIGNS)
        parts += _manual(restate(manual, CAMPAIGNS, **told, called=called), common, where)
    tables: dict[str, list[pd.DataFrame]] = {}
    for variable, part in parts:
        tables.setdefault(variable, []).append(part)
    days = [site_days(pd.concat(found, ignore_index=True), variable, **common) for variable, found in tables.items()]
    return SiteRecord(row, observations(days), forcing)


def short(entry: SiteEntry, column: str) -> str:
    """The name by which ``entry`` knows a column of manual rows: that of the text or of the R data frame."""
    return MANUAL[column] if MANUAL[column] in entry.units else column


def _automatic(table: pd.DataFrame, day: pd.DatetimeIndex, common: dict[str, Any]) -> list[tuple[str, pd.DataFrame]]:
    """The variables of the automatic chambers with the series of each."""
    rules: QcRules = common["rules"]
    chosen = [("CH4_Flux_ug_m2_h", "fch4", *LAYOUT.of("fch4").conversion())]
    for kind, sensors in (("tsl", TEMPERATURE), ("swc", MOISTURE)):
        conversion = LAYOUT.of(depths.variable(kind, 5)).conversion()
        chosen += [(c, depths.variable(kind, d), *conversion) for d, c in depths.choose(sensors).items()]
    parts = []
    for column, variable, scale, offset in chosen:
        raw, ports = table[column].astype("float64"), table["Chamber_no"]
        told: dict[str, Any] = {"group": ports, "min_values": rules.min_values, **common}
        parts.append((variable, chamber_days(raw, day, variable, factor=scale, offset=offset, **told)))
    return parts


def _manual(table: pd.DataFrame, common: dict[str, Any], where: str) -> list[tuple[str, pd.DataFrame]]:
    """The variables of the manual campaigns with the series of each collar."""
    ledger: Ledger = common["ledger"]
    dated = table[table["Date"] != ""].reset_index(drop=True)
    if len(dated) < len(table):
        ledger.note(common["site"], f"{len(table) - len(dated)} manual rows left out: soil gas only, no date of a flux")
    if dated.empty:
        return []
    day = pd.DatetimeIndex(times(dated["Date"], "%Y-%m-%d", where))
    parts = []
    for row in CAMPAIGNS.columns:
        column, variable, (scale, offset) = row.pattern, row.variable, row.conversion()
        told = {"group": dated["Location_ID"], "label": f"{variable} (manual)", **common}
        parts.append((variable, chamber_days(dated[column], day, variable, factor=scale, offset=offset, **told)))
    return parts


def _weather(table: pd.DataFrame, utc: pd.DatetimeIndex, day: pd.DatetimeIndex, common: dict[str, Any]) -> pd.DataFrame:
    """Daily weather of Trail Valley Creek; the hourly rows repeat for every chamber and are taken once."""
    once = ~utc.duplicated()
    hours, day = table[once].reset_index(drop=True), day[once]
    calm = {**common, "rules": common["rules"].model_copy(update={"spike_z": 0.0}), "of": "values"}
    hourly = pd.DataFrame()
    for row in WEATHER:
        column, name, (factor, offset) = row.pattern, row.variable, row.conversion()
        valid = variables.get(name).step
        raw = hours[column].astype("float64")
        hourly[name] = screen(raw, name, factor=factor, offset=offset, valid=valid, label=column, **calm)
    hourly["huss"] = weather.humidity_from_relative(hourly.pop("hurs"), hourly["ps"], hourly["tas"])
    hourly["rsds"] = hourly["rsds"].clip(lower=0)
    days = hourly.groupby(day)
    daily = days.mean().where(days.count() >= HOURS)
    daily["tasmin"] = days["tas"].min().where(daily["tas"].notna())
    daily["tasmax"] = days["tas"].max().where(daily["tas"].notna())
    rain = hours["Precip_mm"].astype("float64").groupby(day).sum(min_count=1)
    daily["pr"] = np.clip(rain, 0, None) / 86400
    return daily[list(ORDER)].rename_axis("time")
