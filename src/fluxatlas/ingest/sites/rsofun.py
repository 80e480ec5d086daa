"""Daily tables of the R package rsofun: ``<site>_drivers.csv`` (weather) and ``<site>_fluxes.csv`` of a tower.

Drivers: date, temp [deg C] and vpd [Pa] of daytime, tmin, tmax [deg C], ppfd [mol m-2 s-1], patm [Pa], rain and snow
[mm s-1], vwind (at some towers wind) [m s-1], fapar [1]. Fluxes: date, gpp, nee [g C m-2 d-1], le [W m-2] (or latenth
[J m-2 d-1]), ``*_qc`` [0-1]. Units are those of the package's documentation, checked by magnitude at 17 towers.
Positions are not in these files: a ``sites.csv`` beside them (sitename, lat, lon, elv) is read, and the entry's own
facts take precedence.

What is derived: the day's mean temperature is the middle of its extremes (FAO-56, eq. 9); vapour pressure follows from
temperature and deficit of daytime; shortwave is ppfd over 2.04 mol MJ-1, the factor of the makers of these tables [R:
recalled]; longwave is that of FAO-56 (eq. 39), since cloud cover comes as a share at some towers and in percent at
others. The 29th of February, which the tables leave out, is the mean of its neighbours. Leaf area is the mean month of
``-ln(1 - fapar) / 0.5`` (Beer's law, coefficient 0.5 [D]). Respiration is nee + gpp, not an estimate of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...constants import LATENT_HEAT
from ...errors import InputError
from ...process.evapotranspiration import fao56_longwave_down, fao56_net_longwave
from . import weather
from .fluxnet_weather import ORDER
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts, read_metadata
from .qc import error_floor, screen
from .records import MONTHLY_COLUMNS, Ledger, SiteRecord, each, long_table, observations
from .stated import restate
from .text import in_order, numbers, one_series, read_table, times

PHOTONS = 2.04e-6
"""Photons of photosynthesis per energy of sunlight [mol J-1]."""
EXTINCTION, THICKEST = 0.5, 0.95
"""Extinction of light by leaves [1], and the absorbed share above which leaf area cannot be told."""
DRIVERS = ("date", "temp", "vpd", "ppfd", "patm", "rain", "tmin", "tmax")
"""Columns without which there is no weather."""
WIND, CALM = ("vwind", "wind"), 2.0
"""The column of wind by its two names, and the wind [m s-1] where there is none: FAO-56 (Allen et al. 1998, ch. 3), the
mean of over 2000 stations of the globe."""
LAYOUT = Layout(
    (
        celsius("tmin", "tasmin"),
        celsius("tmax", "tasmax"),
        celsius("temp", "tas"),
        ColumnSpec("rain|snow", "kg m-2 s-1", "pr"),
        ColumnSpec("ppfd", "mol m-2 s-1", "", 1 / PHOTONS),
        ColumnSpec("vpd", "Pa", "vpd"),
        ColumnSpec("patm", "Pa", "ps"),
        ColumnSpec("vwind|wind", "m s-1", "sfcWind"),
        ColumnSpec("gpp", "g m-2 d-1", "gpp"),
        ColumnSpec("nee", "g m-2 d-1", "nee"),
        ColumnSpec("le", "W m-2", "evspsbl", 1 / LATENT_HEAT),
        ColumnSpec("le", "W m-2", "hfls"),
        ColumnSpec(r"\w+_qc", kind="flag"),
        ColumnSpec("fapar|netrad|co2|ccov|latenth|time"),
    )
)


def site_of(path: str | Path) -> str:
    """The site of a file by its name."""
    return Path(path).stem.removesuffix("_drivers").removesuffix("_fluxes")


def is_drivers(names: Sequence[str]) -> bool:
    """Whether these are columns of drivers."""
    return {"date", "ppfd", "temp", "vpd"} <= set(names)


def is_fluxes(names: Sequence[str]) -> bool:
    """Whether these are columns of fluxes."""
    return {"date", "gpp"} <= set(names) and bool({"le", "latenth"} & set(names))


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per pair of files; either may be absent. A ``sites.csv`` beside them gives positions."""
    facts, found, lists = SiteFacts(entry), dict[str, list[str]](), dict[str, dict[str, Any]]()
    for path in files:
        if Path(path).name == "sites.csv":
            lists |= read_metadata(path)
        else:
            found.setdefault(site_of(path), []).append(path)
    return each(sorted(found), lambda name: _site(name, found[name], lists, facts, entry, rules, ledger), ledger)


def _site(
    name: str,
    paths: list[str],
    lists: dict[str, dict[str, Any]],
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> SiteRecord:
    row = facts.row(name, kind="tower", source="rsofun", ledger=ledger, where=paths[0], stated=lists.get(name))
    site, observed, frame = str(row["site"]), observations([]), None
    kinds: dict[bool, list[tuple[pd.DataFrame, str]]] = {}
    for path in paths:
        table = _read_file(path, entry, ledger)
        kinds.setdefault(is_drivers([*table.columns, "date"]), []).append((table, path))
    for drivers, parts in kinds.items():
        where = ", ".join(path for _, path in parts)
        table = restate(one_series(parts), LAYOUT, entry, rules, ledger, site=site, where=where)
        if drivers:
            frame = _weather(site, table, float(row["lat"]), rules, ledger)
            row |= _leaf_area(site, table, ledger)
        else:
            observed = _observed(site, table, rules, ledger)
    return SiteRecord(row, observed, frame, tuple(paths))


def _read_file(path: str, entry: SiteEntry, ledger: Ledger) -> pd.DataFrame:
    """Columns by name, indexed by day; raises :class:`InputError` for another table."""
    table = read_table(path, required=("date",), keep=lambda name: True, encoding=entry.encoding)
    names = [str(name) for name in table.columns]
    if is_drivers(names):
        absent = [name for name in DRIVERS if name not in names]
        if absent:
            raise InputError(f"column '{absent[0]}' is missing", where=path, hint="drivers of rsofun have it")
    elif not is_fluxes(names):
        lacking = "le" if "gpp" in names else "gpp"
        hint = "give <site>_drivers.csv and <site>_fluxes.csv"
        raise InputError(f"column '{lacking}' is missing", where=path, hint=hint)
    values = pd.DataFrame({name: numbers(table, name, path) for name in names if name != "date"})
    made = in_order(values, times(table["date"], "%Y-%m-%d", path), path)
    if "latenth" in made and "le" not in made:
        made = made.assign(le=made["latenth"] / 86400.0)
    ledger.saw(made, LAYOUT)
    return made


def _observed(site: str, table: pd.DataFrame, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    parts: dict[str, pd.DataFrame] = {}
    for variable, column in (("nee", "nee"), ("gpp", "gpp"), ("evspsbl", "le"), ("hfls", "le")):
        if column not in table:
            continue
        factor, offset = LAYOUT.of(variable).conversion()
        qc = table[f"{column}_qc"] if f"{column}_qc" in table else pd.Series(1.0, index=table.index)
        qc = qc.where(qc.between(0, 1), 0.0)
        told: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site, "qc": qc, "min_qc": rules.min_qc}
        values = screen(table[column], variable, factor=factor, offset=offset, label=variable, **told)
        parts[variable] = long_table(variable, values, sd=error_floor(variable, values, rules), qc=qc)
    if {"nee", "gpp"} <= set(parts):
        both = parts["nee"].merge(parts["gpp"], on="time", suffixes=("", "_gpp"))
        total = (both["value"] + both["value_gpp"]).set_axis(both["time"])
        qc = both[["qc", "qc_gpp"]].min(axis=1).set_axis(both["time"])
        told = {"rules": rules, "ledger": ledger, "site": site}
        kept = screen(total.rename("nee + gpp"), "reco", label="reco", **told)
        parts["reco"] = long_table("reco", kept, sd=error_floor("reco", kept, rules), qc=qc)
        ledger.note(site, "reco is nee + gpp, not an estimate of its own")
    return observations(parts.values())


def _weather(site: str, table: pd.DataFrame, lat: float, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Canonical weather, NaN where missing; where the tower has no wind, :data:`CALM` is assumed and said."""
    wind = next((name for name in WIND if name in table), WIND[0])
    if wind not in table:
        ledger.warn(site, f"no wind in its drivers: {CALM:g} m s-1 is assumed on all days (FAO-56)")
        table = table.assign(**{wind: CALM})
    table = _with_leap_days(table)
    told: dict[str, Any] = {"rules": rules.model_copy(update={"spike_z": 0.0}), "ledger": ledger, "site": site}

    def made(column: str, variable: str, like: str = "") -> pd.Series:
        factor, offset = LAYOUT.of(like or variable).conversion()
        return screen(table[column], variable, factor=factor, offset=offset, label=column, **told)

    low, high, daytime = made("tmin", "tasmin"), made("tmax", "tasmax"), made("temp", "tas")
    low, high = low.where(low <= high, high), high.where(low <= high, low)
    pressure, deficit = made("patm", "ps"), made("vpd", "vpd")
    weather.judge_deficit("vpd", deficit, daytime, daytime, ledger, site)
    frame = {
        "tas": 0.5 * (low + high),
        "tasmin": low,
        "tasmax": high,
        "ps": pressure,
        "sfcWind": made(wind, "sfcWind"),
    }
    snow = table["snow"].fillna(0.0) if "snow" in table else 0.0
    table = table.assign(rain=table["rain"] + snow)
    frame["pr"] = made("rain", "pr")
    frame["rsds"] = screen(table["ppfd"], "rsds", factor=1 / PHOTONS, label="ppfd", **told)
    frame["huss"] = weather.humidity_from_deficit(deficit, pressure, daytime, daytime)
    sun, cold, warm, humid, air = (
        frame[k].to_numpy(float)[:, None] for k in ("rsds", "tasmin", "tasmax", "huss", "ps")
    )
    net = fao56_net_longwave(cold, warm, humid, air, sun, np.array([lat]), pd.DatetimeIndex(table.index))
    frame["rlds"] = pd.Series(fao56_longwave_down(net, 0.5 * (cold + warm))[:, 0], index=table.index)
    ledger.note(site, "rlds is that of FAO-56, tas the middle of its extremes, rsds ppfd over 2.04 mol MJ-1")
    return pd.DataFrame(frame)[list(ORDER)].rename_axis("time")


def _with_leap_days(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with each 29th of February that it leaves out between two of its days as the mean of these."""
    days = pd.DatetimeIndex(table.index)
    ends = days[(days.month == 2) & (days.day == 28) & days.is_leap_year]
    one = pd.Timedelta("1D")
    left_out = [day + one for day in ends if day + one not in days and day + 2 * one in days]
    between = [table.loc[[day - one, day + one]].mean() for day in left_out]
    return (
        pd.concat([table, pd.DataFrame(between, index=pd.DatetimeIndex(left_out))]).sort_index() if left_out else table
    )


def _leaf_area(site: str, table: pd.DataFrame, ledger: Ledger) -> dict[str, float]:
    """The mean months of leaf area, empty where a month has none."""
    if "fapar" not in table:
        return {}
    share = table["fapar"].where(table["fapar"].between(0, 1)).clip(upper=THICKEST)
    area = (-np.log1p(-share) / EXTINCTION).groupby(pd.DatetimeIndex(table.index).month).mean()
    if len(area) < len(MONTHLY_COLUMNS) or area.isna().any():
        return {}
    ledger.note(site, "lai is the mean month of -ln(1 - fapar) / 0.5")
    return {name: round(float(area[month]), 3) for month, name in enumerate(MONTHLY_COLUMNS, 1)}
