"""PLUMBER2 / FluxnetLSM NetCDF files: ``<site>_<years>_<product>_Met.nc`` and ``..._Flux.nc`` (Ukkola et al. 2022).

doi:10.5194/essd-14-449-2022. One site, dimensions (time, y, x), time is the start of a step in local standard time (the
zone is an attribute of ``time``). Units are stated and checked. The weather is gap-filled and has no missing steps.
``<name>_qc``: 0 measured, 1 good filling, 2 medium, 3 poor, 4 reanalysis, 5 missing, 101 and above made in processing;
the fraction of 0 and 1 is the ``qc`` of a day, as in the daily files of FLUXNET.

A variable may be absent although its flags are there (Qg of US-Wi7). NEE is umol CO2 m-2 s-1, positive upward
whatever its ``standard_name`` says (it names the downward flux); Qle gives evaporation. Flags of Qle_cor and Qh_cor are
those of what was measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...config.sites import QcRules, SiteEntry
from ...constants import LATENT_HEAT
from ...errors import InputError, UnitError
from ...files import NETCDF, open_netcdf
from . import clock, weather
from .closure import MEASURED
from .closure import column as closed_column
from .cosore import standard_time
from .layouts import ColumnSpec, Layout
from .metadata import SiteFacts
from .qc import missing
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .subdaily import C_PER_UMOL, filled_days, screened_weather, weather_days, whole_days

LAYOUT = Layout(
    (
        ColumnSpec("Tair", "K", "tas"),
        ColumnSpec("Precip", "kg/m2/s", "pr"),
        ColumnSpec("SWdown", "W/m2", "rsds"),
        ColumnSpec("LWdown", "W/m2", "rlds"),
        ColumnSpec("Qair", "kg/kg", "huss"),
        ColumnSpec("Psurf", "Pa", "ps"),
        ColumnSpec("Wind", "m/s", "sfcWind"),
        ColumnSpec("NEE", "umol/m2/s", "nee", C_PER_UMOL),
        ColumnSpec("Qle", "W/m2", "evspsbl", 1 / LATENT_HEAT),
        ColumnSpec("Qle", "W/m2", "hfls"),
        ColumnSpec("Qh", "W/m2", "hfss"),
        ColumnSpec("Qg", "W/m2", "hfdsl"),
        ColumnSpec("Rnet", "W/m2", "rns"),
        ColumnSpec("Qle_cor", "W/m2", "hfls"),
        ColumnSpec("Qh_cor", "W/m2", "hfss"),
        ColumnSpec(".*_qc", kind="flag"),
    )
)
WEATHER = {row.variable: (row.pattern, row.units) for row in LAYOUT.columns[:7]}
FLUXES = {row.variable: (row.pattern, row.units, row.factor) for row in LAYOUT.columns[7:13]}
_SAME = {"mm/s": "kg/m2/s", "kgm-2s-1": "kg/m2/s", "kg/kg-1": "kg/kg", "kgkg-1": "kg/kg", "Wm-2": "W/m2"}
_SAME |= {"ms-1": "m/s", "umolm-2s-1": "umol/m2/s", "1": "kg/kg", "umol/m^2/s": "umol/m2/s", "W/m^2": "W/m2"}


@dataclass(frozen=True)
class TowerFile:
    """One file: site id, series by name on local time (NaN where missing) with their units, facts on the site."""

    site: str
    table: pd.DataFrame
    units: dict[str, str]
    facts: dict[str, Any]


def read_file(path: str | Path) -> TowerFile:
    """Read a Met or Flux file; raises :class:`InputError` for anything that is not one."""
    where = str(path)
    try:
        with NETCDF, open_netcdf(path, decode_times=False, foreign=True) as data:
            return _tower(data, where)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, IndexError) as problem:
        raise InputError(
            f"the file cannot be read as NetCDF ({problem})", where=where, hint="it may be truncated: download it again"
        ) from None


def _tower(data: xr.Dataset, where: str) -> TowerFile:
    for name in ("time", "latitude", "longitude"):
        if name not in data:
            raise InputError(f"variable '{name}' is missing", where=where, hint="this is not a PLUMBER2 file")
    wanted = {name for name, _ in WEATHER.values()} | {name for name, _, _ in FLUXES.values()} | {*MEASURED}
    names = [str(v) for v in data.data_vars if str(v).removesuffix("_qc") in wanted]
    if not [name for name in names if not name.endswith("_qc")]:
        raise InputError(f"none of {', '.join(sorted(wanted))} is in the file", where=where, hint="check the file")
    columns = {}
    for name in names:
        if data[name].size != data.sizes["time"]:
            raise InputError(f"'{name}' does not hold one series", where=where, hint="give one file per site")
        columns[name] = data[name].to_numpy().ravel().astype("float64")
    times = _times(data["time"], where)
    table = pd.DataFrame(columns, index=times)
    units = {name: str(data[name].attrs.get("units", "")) for name in names if not name.endswith("_qc")}
    site = str(data.attrs.get("site_code", "")).strip() or Path(where).name.split("_")[0]
    return TowerFile(site, table, units, _facts(data, where))


def _times(time: xr.DataArray, where: str) -> pd.DatetimeIndex:
    stated = str(time.attrs.get("units", ""))
    form = re.fullmatch(
        r"(seconds|minutes|hours|days) since (\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.0)?)?", stated
    )
    if not form or str(time.attrs.get("calendar", "standard")) not in ("standard", "gregorian", "proleptic_gregorian"):
        raise InputError(
            f"time in '{stated}' ({time.attrs.get('calendar', 'no calendar')}) cannot be used",
            where=where,
            hint="expected 'seconds since YYYY-MM-DD HH:MM:SS' in the standard calendar",
        )
    values = time.to_numpy().astype("float64")
    seconds = values * {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}[form[1]]
    if not np.isfinite(seconds).all() or np.abs(seconds).max(initial=0) > 4e9 or values.size == 0:
        raise InputError("time holds missing or absurd values", where=where, hint="it may be truncated: check the file")
    start = pd.to_datetime(f"{form[2]} {form[3] or '00:00'}", errors="coerce")
    if pd.isna(start):
        raise InputError(f"'{stated}' holds no time", where=where, hint="correct the units of 'time'")
    index = pd.DatetimeIndex(
        (np.datetime64(start, "s") + np.rint(seconds).astype("timedelta64[s]")).astype("datetime64[ns]"), name="time"
    )
    if not (index.is_monotonic_increasing and index.is_unique):
        at = index[int(np.flatnonzero(np.diff(index.to_numpy()) <= np.timedelta64(0))[0]) + 1]
        raise InputError(
            f"times are repeated or out of order at {at:%Y-%m-%d %H:%M}", where=where, hint="sort the file by time"
        )
    return index


def _facts(data: xr.Dataset, where: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for ours, name in (("lat", "latitude"), ("lon", "longitude"), ("elevation", "elevation")):
        if name in data and data[name].size == 1:
            value = float(data[name].to_numpy().ravel()[0])
            if np.isfinite(value):
                facts[ours] = round(value, 5)
    if "IGBP_veg_short" in data:
        short = data["IGBP_veg_short"].to_numpy().ravel()[:1]
        facts |= {"igbp": cover} if (cover := _plain(short[0] if len(short) else "")) else {}
    zone = str(data["time"].attrs.get("time_zone", "")).strip()
    return facts | ({"utc_offset": standard_time(zone, where)} if zone else {})


def _plain(value: object) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """All sites of an entry; the Met and the Flux file of a site are joined, each may be absent."""
    facts = SiteFacts(entry)
    by_site: dict[str, list[tuple[TowerFile, str]]] = {}
    for found, path in each(files, lambda path: (read_file(path), path), ledger):
        ledger.saw(found.table, LAYOUT)
        by_site.setdefault(facts.site_id(found.site), []).append((found, str(path)))
    return each(sorted(by_site), lambda site: _site(site, by_site[site], facts, entry, rules, ledger), ledger)


def _site(
    site: str,
    parts: list[tuple[TowerFile, str]],
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> SiteRecord:
    where = parts[0][1]
    stated: dict[str, Any] = {}
    for part, _ in parts:
        stated |= part.facts
    row = facts.row(site, kind="tower", source="plumber2", ledger=ledger, where=where, stated=stated)
    forcing, rows = None, []
    for part, path in parts:
        told: dict[str, Any] = {"site": site, "where": path}
        table, per_day = whole_days(restate(part.table, LAYOUT, entry, rules, ledger, **told), path)
        clean = table.apply(lambda column: missing(column, rules)[0])
        if "SWdown" in clean:
            clock.judge(clean["SWdown"], row, ledger)
        if "Tair" in part.units:
            if forcing is not None:
                raise _twice(site, "Met", parts)
            forcing = _weather(site, clean, per_day, part, entry, rules, ledger, path)
        for variable, (measured, unit, factor) in FLUXES.items():
            if (name := closed_column(measured, entry)) in part.units:
                _check_unit(part, name, unit, entry, path)
                good = clean[flag].between(0, 1) if (flag := f"{measured}_qc") in clean else None
                common: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
                rows.append(filled_days(clean[name], good, variable, per_day, factor=factor, **common))
    found = observations(rows)
    if found.duplicated(["time", "variable"]).any():
        raise _twice(site, "Flux", parts)
    return SiteRecord(row, found, forcing)


def _twice(site: str, kind: str, parts: list[tuple[TowerFile, str]]) -> InputError:
    named = [path for _, path in parts if f"_{kind}" in Path(path).name] or [path for _, path in parts]
    what = f"site '{site}' has two {kind} files"
    return InputError(what, where=", ".join(named), hint="read one version of it only")


def _weather(
    site: str,
    table: pd.DataFrame,
    per_day: int,
    part: TowerFile,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    where: str,
) -> pd.DataFrame | None:
    """Daily weather of complete days whose drivers are measured or well filled as far as ``forcing_min_qc`` asks."""
    lacking = [name for name, _ in WEATHER.values() if name not in part.units]
    if lacking:
        weather.absent(site, lacking, ledger, others=len(lacking) < len(WEATHER))
        return None
    for name, unit in WEATHER.values():
        _check_unit(part, name, unit, entry, where)
    raw = {ours: (table[name], 1.0, 0.0) for ours, (name, _) in WEATHER.items()}
    daily = weather_days(screened_weather(raw, rules=rules, ledger=ledger, site=site), per_day)
    shares = {}
    for ours, (name, _) in WEATHER.items():
        if f"{name}_qc" in table:
            good = table[f"{name}_qc"].between(0, 1).to_numpy(float).reshape(-1, per_day).mean(axis=1)
            shares[name] = float(good.mean())
            poor = good < rules.forcing_min_qc
            ledger.read(site, name, len(daily))
            ledger.drop(site, name, "gap-filled", int(poor.sum()))
            daily.loc[poor, ours] = np.nan
    listed = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    ledger.note(site, f"weather measured or well filled: {listed}")
    return daily


def _check_unit(part: TowerFile, name: str, expected: str, entry: SiteEntry, where: str) -> None:
    stated = part.units[name]
    plain = stated.replace(" ", "")
    if plain != expected and _SAME.get(plain) != expected and name not in entry.units:
        hint = f"state its unit with sites.entries.units.{name}, or convert the file"
        raise UnitError(f"'{name}' is in '{stated}', expected '{expected}'", where=where, hint=hint)
