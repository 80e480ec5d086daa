"""Daily files of the U.S. Climate Reference Network: ``CRND0103-<year>-<station>.txt`` of NOAA, and tables of them.

NOAA's files have 28 columns, spaces and no header; tables that people make of them have the names of the columns in
the first row and commas. Columns (NOAA's readme of the daily product [R: recalled; the names were read from tables]):
temperatures [deg C] of the local standard day, P_DAILY_CALC [mm], SOLARAD_DAILY [MJ m-2 d-1], RH [%], soil moisture
[m3 m-3] and temperature [deg C] at 5, 10, 20, 50 and 100 cm. Missing is -9999, of soil moisture -99. Years of a station
are joined by the number WBANNO. Cite Diamond et al. (2013, doi:10.1175/BAMS-D-12-00170.1).

The network measures no pressure, long-wave radiation or wind (at 1.5 m alone, not in this product): pressure is that of
the standard atmosphere at the elevation of the entry, ``rlds`` that of FAO-56 (eq. 39), wind 2 m s-1 (FAO-56, ch. 3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from ...process.evapotranspiration import fao56_longwave_down, fao56_net_longwave
from . import depths, weather
from .fluxnet_weather import ORDER
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts
from .qc import error_floor, screen
from .records import Ledger, SiteRecord, each, long_table, observations
from .rsofun import CALM
from .stated import restate
from .text import compact, in_order, numbers, one_series, read_table, read_text, times

LEVELS = (5, 10, 20, 50, 100)
COLUMNS = (
    *("WBANNO", "LST_DATE", "CRX_VN", "LONGITUDE", "LATITUDE"),
    *(f"T_DAILY_{name}" for name in ("MAX", "MIN", "MEAN", "AVG")),
    *("P_DAILY_CALC", "SOLARAD_DAILY", "SUR_TEMP_DAILY_TYPE"),
    *(f"SUR_TEMP_DAILY_{name}" for name in ("MAX", "MIN", "AVG")),
    *(f"RH_DAILY_{name}" for name in ("MAX", "MIN", "AVG")),
    *(f"SOIL_MOISTURE_{level}_DAILY" for level in LEVELS),
    *(f"SOIL_TEMP_{level}_DAILY" for level in LEVELS),
)
LAYOUT = Layout(
    (
        celsius("T_DAILY_AVG", "tas"),
        celsius("T_DAILY_MIN", "tasmin"),
        celsius("T_DAILY_MAX", "tasmax"),
        ColumnSpec("P_DAILY_CALC", "mm d-1", "pr", per_step=True),
        ColumnSpec("SOLARAD_DAILY", "MJ m-2 d-1", "rsds", 1e6 / 86400.0),
        ColumnSpec("RH_DAILY_AVG", "%", "hurs"),
        celsius(r"SOIL_TEMP_\d+_DAILY", "tsl05"),
        ColumnSpec(r"SOIL_MOISTURE_\d+_DAILY", "m3 m-3", "swc05"),
    )
)
NEEDED = (
    *("WBANNO", "LST_DATE", "LONGITUDE", "LATITUDE", *(column.pattern for column in LAYOUT.columns[:6])),
    *("SOIL_MOISTURE_5_DAILY", "SOIL_TEMP_5_DAILY"),
)
FACTS = ("WBANNO", "LONGITUDE", "LATITUDE")
_SOIL_CODE = -99.0
_YEARLY = re.compile(r"CRND\d+-\d{4}-")


def is_uscrn(row: str) -> bool:
    """Whether a first row is that of the network: the names of its columns, or 28 values that begin as they do."""
    cells = row.replace(",", " ").split()
    named = [cell.strip('"') for cell in cells[:3]] == list(COLUMNS[:3])
    plain = len(cells) == len(COLUMNS) and bool(
        re.fullmatch(r"\d{1,5} \d{8} \S+ -?\d+\.\d+ -?\d+\.\d+", " ".join(cells[:5]))
    )
    return named or plain


def read_file(path: str | Path, encoding: str = "utf-8") -> pd.DataFrame:
    """The columns of one file, by day; raises :class:`InputError` for another layout."""
    where, text = str(path), read_text(path, encoding)
    kept = [name for name in COLUMNS if name.startswith("SOIL")]
    head = text.lstrip().split("\n", 1)[0]
    told: dict[str, Any] = {"required": NEEDED, "keep": kept.__contains__, "text": text}
    if "LST_DATE" not in head and len(head.split()) == len(COLUMNS):
        lines = "\n".join(" ".join(line.split()) for line in text.split("\n"))
        told |= {"text": " ".join(COLUMNS) + "\n" + lines, "separator": " ", "first": 0}
    raw = read_table(path, **told)
    day = times(compact(raw["LST_DATE"]), "%Y%m%d", where)
    table = pd.DataFrame({name: numbers(raw, name, where) for name in raw.columns if name != "LST_DATE"})
    for name in kept:
        if name in table:
            table[name] = table[name].replace(_SOIL_CODE, np.nan)
    for name in FACTS:
        if table[name].round(1 if name != "WBANNO" else 0).nunique() != 1:
            raise InputError(f"{name} is not the same in all rows", where=where, hint="give one station a file")
    return in_order(table, day, where)


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per station, its years joined; its name in the files is that of the first without suffix and year."""
    facts = SiteFacts(entry)
    stations: dict[int, list[tuple[str, pd.DataFrame]]] = {}
    for path, table in each(sorted(files), lambda path: (path, read_file(path, entry.encoding)), ledger):
        stations.setdefault(int(table["WBANNO"].iloc[0]), []).append((path, table))
    years = {parts[0][0]: [(table, path) for path, table in parts] for parts in stations.values()}
    return each(list(years), lambda first: _site(first, years[first], facts, entry, rules, ledger), ledger)


def _site(
    where: str,
    years: list[tuple[pd.DataFrame, str]],
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> SiteRecord:
    table = one_series(years)
    stated = {"lat": float(table["LATITUDE"].iloc[0]), "lon": float(table["LONGITUDE"].iloc[0])}
    name = _YEARLY.sub("", Path(where).stem)
    row = facts.row(name, kind="tower", source="uscrn", ledger=ledger, where=where, stated=stated)
    site = str(row["site"])
    table = table.drop(columns=list(FACTS))
    ledger.saw(table, LAYOUT)
    table = restate(table, LAYOUT, entry, rules, ledger, site=site, where=where)
    found = []
    for kind, stem in (("tsl", "SOIL_TEMP"), ("swc", "SOIL_MOISTURE")):
        factor, offset = LAYOUT.of(depths.variable(kind, 5)).conversion()
        columns = {column: float(level) for level in LEVELS if (column := f"{stem}_{level}_DAILY") in table}
        for depth, column in depths.choose(columns).items():
            variable = depths.variable(kind, depth)
            told: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
            values = screen(table[column], variable, factor=factor, offset=offset, **told)
            found.append(long_table(variable, values, sd=error_floor(variable, values, rules)))
    return SiteRecord(row, observations(found), _weather(table, row, rules, ledger))


def _weather(table: pd.DataFrame, row: dict[str, Any], rules: QcRules, ledger: Ledger) -> pd.DataFrame | None:
    """Daily weather; None, said on the screen, where nobody states the elevation that pressure follows from."""
    site = str(row["site"])
    if np.isnan(float(row["elevation"])):
        ledger.warn(site, "no weather: its pressure follows from the elevation, which nobody states (entry's 'sites')")
        return None
    told: dict[str, Any] = {"rules": rules.model_copy(update={"spike_z": 0.0}), "ledger": ledger, "site": site}
    frame = {}
    for spec in LAYOUT.columns[:6]:
        factor, offset = spec.conversion()
        frame[spec.variable] = screen(
            table[spec.pattern], spec.variable, factor=factor, offset=offset, label=spec.pattern, **told
        )
    pressure = 101325.0 * (1.0 - 2.25577e-5 * float(row["elevation"])) ** 5.25588
    frame["ps"] = pd.Series(pressure, index=table.index)
    frame["sfcWind"] = pd.Series(CALM, index=table.index)
    frame["huss"] = weather.humidity_from_relative(frame.pop("hurs"), frame["ps"], frame["tas"])
    low, high, humid, air, sun = (
        frame[name].to_numpy(float)[:, None] for name in ("tasmin", "tasmax", "huss", "ps", "rsds")
    )
    days = pd.DatetimeIndex(table.index)
    net = fao56_net_longwave(low, high, humid, air, sun, np.array([float(row["lat"])]), days)
    frame["rlds"] = pd.Series(fao56_longwave_down(net, frame["tas"].to_numpy(float)[:, None])[:, 0], index=table.index)
    ledger.warn(
        site, f"rlds is that of FAO-56, ps that of {float(row['elevation']):g} m, wind {CALM:g} m s-1: not measured"
    )
    return pd.DataFrame(frame)[list(ORDER)].rename_axis("time")
