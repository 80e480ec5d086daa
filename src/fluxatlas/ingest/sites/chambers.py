"""The plain chamber table: one measurement per row, units and sign in columns of their own.

Columns: ``site, lat, lon, elevation, igbp, datetime_utc, flux, flux_unit, flux_sign`` are required; ``flux_sd`` (same
unit as flux, 1 standard deviation), ``soil_temperature, soil_temperature_depth_cm, soil_temperature_unit,
soil_moisture, soil_moisture_depth_cm, soil_moisture_unit, chamber, utc_offset`` are optional. Times: ISO 8601 in UTC,
or dates alone, which are days of the site.
Units: any CH4 flux unit that says whether mass is CH4 or CH4-C (:func:`fluxatlas.ingest.sites.units.methane_factor`);
``degC`` or ``K``; ``m3 m-3``, ``1`` or ``%``. ``flux_sign`` is ``upward_positive`` or ``uptake_positive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pandas as pd

from ...config.sites import QcRules, SiteEntry, TableColumns, in_metres
from ...errors import InputError, UnitError
from . import depths
from .daily import daily_mean, local_day
from .declared import LOCAL, read_declared
from .layouts import ColumnSpec, Layout
from .metadata import SiteFacts
from .qc import missing
from .records import Ledger, SiteRecord, each, observations
from .stated import true_unit
from .text import numbers, read_table, times
from .units import methane_factor, sign_factor

REQUIRED = ("site", "lat", "lon", "elevation", "igbp", "datetime_utc", "flux", "flux_unit", "flux_sign")
OPTIONAL = (
    "flux_sd",
    "soil_temperature",
    "soil_temperature_depth_cm",
    "soil_temperature_unit",
    "soil_moisture",
    "soil_moisture_depth_cm",
    "soil_moisture_unit",
    "chamber",
    "utc_offset",
)
DECLARED = ("site", "flux", "flux_unit", "flux_sign")
"""What a table in a layout of its own must hold, or the entry state, beside a time; the entry may have positions."""
DATED = "dated"
"""Column that marks rows of a table of dates without a time: the day that was written down is that of the site."""
TEMPERATURE = {"degC": (1.0, 273.15), "C": (1.0, 273.15), "°C": (1.0, 273.15), "K": (1.0, 0.0)}
MOISTURE = {"m3 m-3": (1.0, 0.0), "1": (1.0, 0.0), "%": (0.01, 0.0), "percent": (0.01, 0.0)}


def layout(table: pd.DataFrame) -> Layout:
    """The columns of a table with the units and the sign that its rows state, where all of them state the same."""

    def row(column: str, variable: str, known: dict[str, tuple[float, float]]) -> ColumnSpec:
        units = sorted(set(table[f"{column}_unit"].dropna().astype(str))) if f"{column}_unit" in table else []
        if len(units) != 1 or units[0] not in known:
            return ColumnSpec(column, ", ".join(units))
        return ColumnSpec(column, units[0], variable, *known[units[0]])

    flux = row("flux", "fch4", {})
    if len(pairs := table[["flux_unit", "flux_sign"]].astype(str).drop_duplicates()) == 1:
        unit, sign = pairs.iloc[0]
        with suppress(InputError, UnitError):  # what an entry may put right, else read() refuses it
            flux = ColumnSpec("flux", unit, "fch4", methane_factor(unit) * sign_factor(sign))
    return Layout((flux, row("soil_temperature", "tsl05", TEMPERATURE), row("soil_moisture", "swc05", MOISTURE)))


def read_file(path: str, encoding: str = "utf-8", declared: TableColumns | None = None) -> pd.DataFrame:
    """The table with numbers and UTC times checked, lines starting with '#' left out; values as they are in the file.

    With ``declared`` the file has a layout of its own (:mod:`declared`); its times may be local (``datetime_local``).
    Raises :class:`InputError` for a missing column, a bad number or time, or a site whose facts contradict each other.
    """
    if declared is None:
        table = read_table(path, required=REQUIRED, keep=lambda name: name in OPTIONAL, encoding=encoding, comment="#")
        written = table["datetime_utc"].astype(str).str.strip()
        table["datetime_utc"] = times(table["datetime_utc"], None, path)
        if (written.str.len() <= len("2001-01-31")).all():
            table[DATED] = True
    else:
        table = read_declared(path, declared, (*REQUIRED, *OPTIONAL), DECLARED, encoding)
    for name in ("lat", "lon", "elevation", "flux", "flux_sd", "utc_offset"):
        if name in table:
            table[name] = numbers(table, name, path)
    for stem in ("soil_temperature", "soil_moisture"):
        if stem in table:
            for name in (f"{stem}_depth_cm", f"{stem}_unit"):
                if name not in table:
                    raise InputError(f"column '{name}' is missing", where=path, hint=f"'{stem}' needs it")
            table[stem] = numbers(table, stem, path)
            table[f"{stem}_depth_cm"] = numbers(table, f"{stem}_depth_cm", path)
    table["site"] = table["site"].astype(str).str.strip()
    if declared is not None and not {"lat", "lon"} <= set(table):
        return table  # the entry has them
    facts = table.groupby("site")[["lat", "lon"]].nunique(dropna=False).max(axis=1)
    if (facts > 1).any():
        raise InputError(
            f"site '{facts.index[facts > 1][0]}' has more than one position",
            where=path,
            hint="give each its own site id",
        )
    if table[["lat", "lon"]].isna().any(axis=None):
        raise InputError("a row has no coordinates", where=path, hint="fill lat and lon in every row")
    return table


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """All sites of the tables of an entry; a site may be spread over several of them."""
    facts = SiteFacts(entry)
    tables = each(files, lambda path: read_file(path, entry.encoding, entry.table).assign(file=str(path)), ledger)
    clock = LOCAL if entry.table is not None and LOCAL in entry.table.columns else "datetime_utc"
    for table in tables:
        ledger.saw(table.set_index(clock), layout(table))
    whole = pd.concat(tables, ignore_index=True)
    return [_site(str(site), part, facts, entry, rules, ledger) for site, part in whole.groupby("site", sort=True)]


def _site(
    site: str, table: pd.DataFrame, facts: SiteFacts, entry: SiteEntry, rules: QcRules, ledger: Ledger
) -> SiteRecord:
    where = str(table["file"].iloc[0])
    stated = {k: table[k].iloc[0] for k in ("lat", "lon", "elevation", "igbp", "utc_offset") if k in table}
    stated = {k: v for k, v in stated.items() if pd.notna(v)}
    row = facts.row(site, kind="chamber", source="chambers", ledger=ledger, where=where, stated=stated)
    if LOCAL in table:
        table["datetime_utc"] = table[LOCAL] - pd.Timedelta(hours=float(row["utc_offset"]))
    if DATED in table:
        shift = pd.Timedelta(hours=float(row["utc_offset"]))
        table["datetime_utc"] = table["datetime_utc"].where(table[DATED].isna(), table["datetime_utc"] - shift)
        ledger.note(site, "times without an hour are days of the site")
    table = _without_repeats(table, site, where)
    day = local_day(table["datetime_utc"], float(row["utc_offset"]))
    common: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": str(row["site"])}
    _restate(table, entry, ledger, str(row["site"]))
    factor = _flux_factors(table, where)
    whole = (missing(table["flux"], rules)[0] * factor).rename("flux")
    flux = whole.where(whole.notna(), table["flux"])  # missing codes stay as they are
    sd = table["flux_sd"] * factor.abs() if "flux_sd" in table else None
    group = table.get("chamber")
    parts = [daily_mean(flux, day, "fch4", group=group, given_sd=sd, **common)]
    for stem, kind, known in (("soil_temperature", "tsl", TEMPERATURE), ("soil_moisture", "swc", MOISTURE)):
        if stem in table:
            parts += _soil(table, day, stem, kind, known, {**common, "entry": entry, "where": where})
    return SiteRecord(row, observations(parts))


def _without_repeats(table: pd.DataFrame, site: str, where: str) -> pd.DataFrame:
    """Rows in time order; one chamber measured twice at one time must not have two fluxes (on one day it may)."""
    keys = ["datetime_utc"] + (["chamber"] if "chamber" in table else [])
    table = table.drop(columns="file").drop_duplicates().sort_values(keys, kind="stable")
    dates = DATED in table and bool(table[DATED].notna().all())
    dates |= LOCAL in table and bool((table[LOCAL] == table[LOCAL].dt.floor("D")).all())
    if "chamber" in table and not dates and table.duplicated(keys).any():
        first = table.loc[table.duplicated(keys), "datetime_utc"].iloc[0]
        raise InputError(
            f"site '{site}' has different rows for one chamber at {first:%Y-%m-%d %H:%M}",
            where=where,
            hint="keep one row per chamber and time",
        )
    return table.reset_index(drop=True)


def _restate(table: pd.DataFrame, entry: SiteEntry, ledger: Ledger, site: str) -> None:
    """Put the units that the entry states in the place of those of the rows."""
    columns = [name for name in ("flux", "soil_temperature", "soil_moisture") if name in table]
    ledger.offer(entry, "units", columns)
    for name in columns:
        if name in entry.units:
            table[f"{name}_unit"] = entry.units[name].units
            ledger.note(site, f"{name} is read as {entry.units[name].units} ({entry.units[name].reason})")


def _flux_factors(table: pd.DataFrame, where: str) -> pd.Series:
    """Factor of every row to mg CH4 m-2 d-1, positive upward."""
    unit = table["flux_unit"].map({u: methane_factor(str(u), where) for u in table["flux_unit"].unique()})
    sign = table["flux_sign"].map({s: sign_factor(str(s), where) for s in table["flux_sign"].unique()})
    return unit.astype("float64") * sign.astype("float64")


def _soil(
    table: pd.DataFrame,
    day: pd.DatetimeIndex,
    stem: str,
    kind: str,
    known: dict[str, tuple[float, float]],
    told: dict[str, Any],
) -> list[pd.DataFrame]:
    """Daily rows of soil temperature or moisture, one variable per standard depth that occurs.

    Of several depths that stand for one standard depth the nearest that was measured on a day counts.
    """
    common = {key: told[key] for key in ("rules", "ledger", "site")}
    sensors: dict[str, tuple[float, str, pd.DataFrame]] = {}
    present = table[stem].notna()
    if odd := in_metres(table.loc[present, f"{stem}_depth_cm"]):
        raise UnitError(
            f"{stem}_depth_cm is in cm, and {odd[0]:g} looks like metres",
            where=told["where"],
            hint=f"write {100 * odd[0]:g}; a sensor at the surface is at 0",
        )
    for _, part in table[present].groupby([f"{stem}_depth_cm", f"{stem}_unit"], dropna=False):
        depth, unit = float(part[f"{stem}_depth_cm"].iloc[0]), str(part[f"{stem}_unit"].iloc[0])
        if unit not in known:
            raise UnitError(
                f"{stem} unit '{unit}' is unknown", where=told["where"], hint=f"use one of {', '.join(known)}"
            )
        if depths.standard_depth(depth) is None:
            why = (
                "without a depth is not used"
                if depth != depth
                else f"at {depth:g} cm is not used: no standard depth is near"
            )
            common["ledger"].note(common["site"], f"{stem} {why}")
        sensors[str(len(sensors))] = depth, unit, part
    rows = []
    for standard, names in depths.ranked({name: depth for name, (depth, _, _) in sensors.items()}).items():
        variable = depths.variable(kind, standard)
        for name in names:
            _, unit, part = sensors[name]
            factor, offset = known[unit]
            row = ColumnSpec(stem, unit, variable, factor, offset)
            scale, shift = true_unit(part[stem], stem, row, variable, **told)
            factor, offset = factor * scale, factor * shift + offset
            here = day[part.index.to_numpy()]
            told_of = {"group": part.get("chamber"), "factor": factor, "offset": offset, **common}
            rows.append(daily_mean(part[stem], here, variable, **told_of))
    joined = observations(rows)
    return [joined[~joined.duplicated(["time", "variable"])]]
