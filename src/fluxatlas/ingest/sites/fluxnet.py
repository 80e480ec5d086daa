"""FLUXNET2015 / ICOS / ONEFlux products (FULLSET, SUBSET, FLUXMET, ERAI/ERA5) and FLUXNET-CH4: files or zips of them.

Times are local standard time and stay so: a day is the site's own day. Units are those of the products' documentation
(Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3) because the files hold none: TA, TS deg C; SW_IN, LW_IN, LE
W m-2; VPD hPa; PA kPa; P mm per day (mm per half hour in HH); WS m s-1; SWC %; NEE g C m-2 d-1 (umol CO2 m-2 s-1 in
HH, g C m-2 per year in YY [V: code table of the product]), its uncertainty the stated joint one
(``NEE_VUT_REF_JOINTUNC``) where that is larger than the least.

FLUXNET-CH4 (Delwiche et al. 2021, doi:10.5194/essd-13-3607-2021): FCH4 is taken as nmol CH4 m-2 s-1. **Not verified**
by a document that we could read; but the daily values are means of half hours without a change of unit (more than half
of those of SE-Deg are whole numbers divided by at most 48 [D: counted in the file]), and mg C m-2 d-1, the other
candidate, differs by 4 % only. Override it with ``units: FCH4``. Only the measured FCH4 is used, not the gap-filled
series. An eddy covariance flux is that of the whole ecosystem. NEE is taken as umol CO2 m-2 s-1 for the same reason (a
day of g C differs by 4 % too); of days it is NEE_F, with GPP_NT and RECO_NT, whose difference that is [V: ten towers],
where NEE has a value, because the mean of what was measured alone has more hours of day than of night. How many hours
of such a day were measured, the file does not say.

Of a site's files the coarsest that serves is read: days, else half hours; half hours beside days only where the days
lack the extremes of temperature (SUBSET). In half hours a column without its ``_QC`` (FCH4, NEE, TS, SWC of
FLUXNET-CH4) is a measured series with gaps (:func:`subdaily.observed_days`). Weeks, months and years go to the table of
periods, of each site the months, else the weeks, else the years. Position, land cover and depths are those of BIF files
that lie beside the data (:mod:`badm`), overruled by the entry.

``*_QC`` of daily files is the fraction of measured or well gap-filled half-hours; half-hourly flags 0 and 1 count so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from . import clock, closure, depths, derived
from .fluxnet_files import (
    CALLED,
    CARBON,
    METHANE_CARBON,
    STEPS,
    FluxnetFile,
    Inventory,
    half_hours_to_days,
    inventory,
    layout,
    measured_carbon,
    one_threshold,
    read_file,
)
from .fluxnet_weather import FORCING, ORDER, flag, forcing
from .metadata import SiteFacts
from .periods import period_table
from .qc import error_floor, screen
from .records import Ledger, SiteRecord, each, long_table, observations
from .stated import restate
from .subdaily import observed_days, whole_days
from .units import METHANE

__all__ = ["FORCING", "ORDER", "FluxnetFile", "half_hours_to_days", "read", "read_file", "read_periods"]

FLUXES = (
    *(("evspsbl", "LE_F_MDS"), ("hfls", "LE_F_MDS"), ("hfss", "H_F_MDS"), ("hfdsl", "G_F_MDS"), ("rns", "NETRAD")),
    *zip(2 * ("nee", "gpp", "reco"), CARBON, strict=True),
)
"""Variables and the columns that they are read from; energy as measured."""
LARGEST_SD, LARGEST_HEAT_SD = 50.0, 200.0
"""Stated uncertainties of NEE [g C m-2 d-1] and of corrected heat [W m-2] above this are not believed."""


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """All sites of an entry; the files of one site (fluxes, ERA) are joined, ERA filling what the tower lacks."""
    found = inventory(files)
    facts = SiteFacts(entry)
    sites: dict[str, list[str]] = {}
    for named in found.data:
        sites.setdefault(facts.site_id(named), []).append(named)

    def made(site: str) -> SiteRecord:
        return _site(site, _paths(found, sites[site]), found, facts, entry, rules, ledger)

    return each(sorted(sites), made, ledger)


def _paths(found: Inventory, names: Sequence[str]) -> dict[str, list[str]]:
    """Files of a site by resolution, whatever names it has in them."""
    paths: dict[str, list[str]] = {}
    for name in names:
        for resolution, listed in found.data[name].items():
            paths.setdefault(resolution, []).extend(listed)
    return paths


def _restated(
    part: FluxnetFile, entry: SiteEntry, rules: QcRules, ledger: Ledger, site: str, where: str
) -> FluxnetFile:
    """A file with its columns in the units of its layout."""
    told: dict[str, Any] = {"site": site, "where": where, "step": STEPS.get(part.resolution, 86400.0)}
    ledger.saw(part.table, layout(part.resolution), told["step"])
    return replace(part, table=restate(part.table, layout(part.resolution), entry, rules, ledger, **told))


def _carbon(parts: Sequence[FluxnetFile], rules: QcRules, ledger: Ledger, site: str) -> list[FluxnetFile]:
    """Files with the carbon of one threshold of friction velocity, with a line where it is not the usual one."""
    made, constant = one_threshold(parts, rules.missing_codes)
    if constant:
        ledger.warn(site, "NEE_VUT_REF has no values: carbon is that of NEE_CUT_REF (constant threshold of u*)")
    return made


def _read_daily(paths: dict[str, list[str]], encoding: str) -> list[FluxnetFile]:
    """The daily files of a site and those without a resolution in their name; half hours only where they are needed.

    Beside another product of the tower FLUXNET-CH4 gives its FCH4 only: the two differ a little in all they share.
    """
    methane = {name: [p for p in listed if "_FLUXNET-CH4_" in Path(p).name] for name, listed in paths.items()}
    other = {name: [p for p in listed if p not in methane[name]] for name, listed in paths.items()}
    parts, fluxes = _finest_needed(other, encoding), _finest_needed(methane, encoding)
    if any(not part.reanalysis for part in parts):
        fluxes = [replace(part, table=part.table[["FCH4"]]) for part in fluxes if "FCH4" in part.table]
    return parts + fluxes


def _finest_needed(paths: dict[str, list[str]], encoding: str) -> list[FluxnetFile]:
    listed = [*paths.get("DD", ()), *paths.get("", ())]
    original = [path for path in listed if not derived.is_derived(path)]
    parts = [read_file(path, encoding) for path in original]
    if "HH" not in paths and all(part.reanalysis for part in parts):
        parts += [read_file(path, encoding) for path in listed if derived.is_derived(path)]
    days = [part for part in parts if part.resolution == "DD" and not part.reanalysis]
    extremes = any({"TA_F_DAY", "TA_F_MIN"} & set(part.table.columns) for part in days)
    if not days or (not extremes and any("TA_F" in part.table for part in days)):
        hours = [path for path in paths.get("HH", ()) if not days or not re.search(r"_ERA(I|5)?_", Path(path).name)]
        parts += [read_file(path, encoding) for path in hours]
    return parts


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Monthly means, or weekly or yearly ones where a site has no months, as :data:`periods.PERIOD_COLUMNS`.

    They are screened as days are, except for spikes, and counted under ``<site> (months)``.
    """
    found, facts, used = inventory(files), SiteFacts(entry), dict[str, list[str]]()
    calm, parts = rules.model_copy(update={"spike_z": 0.0}), [period_table()]
    for named, paths in found.data.items():
        chosen = next((paths[name] for name in ("MM", "WW", "YY") if name in paths), [])
        name, longer = facts.site_id(named), list[FluxnetFile]()
        for path in [*chosen, *(path for path in paths.get("", ()) if not derived.is_derived(path))]:
            with ledger.unless_unusable(path):
                part = read_file(path, entry.encoding)
                if part.resolution in ("MM", "WW", "YY") and not part.reanalysis:
                    longer.append(_restated(part, entry, calm, ledger, name, path))
        stated = found.stated(named, facts.facts.get(name, {})) if longer else {}
        for part in _carbon(longer, calm, ledger, name):
            row = facts.row(named, kind="tower", source="fluxnet", ledger=ledger, where=part.path, stated=stated)
            used.setdefault(str(row["site"]), []).append(part.path)
            parts.append(_periods(part, row, found.depths.get(named, {}), entry, calm, ledger))
    return _each_once(pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True), used)


def _each_once(periods: pd.DataFrame, files: dict[str, list[str]]) -> pd.DataFrame:
    """Each mean once, where a site's files lie there twice (packed and unpacked, FULLSET and SUBSET)."""
    keys = ["site", "variable", "start", "end"]
    groups = periods.groupby(keys)["value"]
    apart = groups.transform("max") - groups.transform("min") > 1e-3 * groups.transform("max").abs() + 1e-6
    if apart.any():
        first = periods[apart].iloc[0]
        raise InputError(
            f"two files contradict each other on {first['variable']} from {first['start']:%Y-%m-%d}",
            where=f"site '{first['site']}': {', '.join(files[first['site']])}",
            hint="read one version of the file only",
        )
    return periods.drop_duplicates(keys, ignore_index=True)


def _periods(
    part: FluxnetFile,
    row: dict[str, Any],
    known: dict[str, tuple[float, float]],
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> pd.DataFrame:
    word, table = {"MM": "months", "WW": "weeks", "YY": "years"}[part.resolution], part.table
    if part.resolution == "YY" and {*CARBON} & {*table}:  # sums over the year
        days = pd.DatetimeIndex(table.index).is_leap_year + 365.0
        sums = [name for name in (*CARBON, *(f"{name}_JOINTUNC" for name in CARBON)) if name in table]
        whole = table[sums].mask(table[sums].isin(rules.missing_codes))
        table = table.assign(**{name: whole[name] / days for name in sums})
    rows = _observations(f"{row['site']} ({word})", table, entry, rules, ledger, of=word, known=known)
    start = pd.DatetimeIndex(rows["time"])
    if part.ends is not None:
        end = pd.DatetimeIndex(pd.Series(part.ends, index=table.index).reindex(start).to_numpy())
    else:
        freq = "M" if part.resolution == "MM" else "Y"
        end = (pd.PeriodIndex(start, freq=freq) + 1).to_timestamp()
    place = {"site": row["site"], "lat": row["lat"], "lon": row["lon"], "source": "fluxnet"}
    return period_table(**rows[["variable", "value", "sd", "qc"]].reset_index(drop=True), start=start, end=end, **place)


def _site(
    site: str,
    paths: dict[str, list[str]],
    found: Inventory,
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
) -> SiteRecord:
    where, named = next(iter(paths.values()))[0], [name for name in found.data if facts.site_id(name) == site]
    stated = {k: v for name in named for k, v in found.stated(name, facts.facts.get(site, {})).items()}
    known = {k: v for name in named for k, v in found.depths.get(name, {}).items()}
    row = facts.row(site, kind="tower", source="fluxnet", ledger=ledger, where=where, stated=stated)
    parts = [_restated(part, entry, rules, ledger, site, where) for part in _read_daily(paths, entry.encoding)]
    parts = _carbon([measured_carbon(part, rules.missing_codes) for part in parts], rules, ledger, site)
    longer = [name for name in ("MM", "WW", "YY") if name in {*paths, *(part.resolution for part in parts)}]
    if longer:
        ledger.note(site, f"{CALLED[longer[0]]} file: its means are in periods.parquet, the site table is daily")
    daily = [part for part in parts if part.resolution == "DD"]
    stated_days = {str(name) for part in daily if not part.reanalysis for name in part.table}
    measured: list[pd.DataFrame] = []
    for part in parts:
        if part.resolution != "HH":
            continue
        if "SW_IN_F" in part.table:
            clock.judge(whole_days(part.table[["SW_IN_F"]], where)[0]["SW_IN_F"], row, ledger)
        gappy = [name for name in _gappy(part.table) if name not in stated_days]
        measured.append(_measured(site, part.table[gappy], entry, rules, ledger, known, where))
        rest = part.table.drop(columns=[*_gappy(part.table), *METHANE_CARBON], errors="ignore")
        if not stated_days and len(rest.columns):
            days = half_hours_to_days(rest, rules.missing_codes, where)
            daily.append(FluxnetFile(site, "DD", days, path=part.path))
        elif stated_days and "TA_F" in rest:
            daily.append(FluxnetFile(site, "DD", _extremes(rest, rules, where), path=part.path))
    if not daily and not measured:
        return SiteRecord(row, observations([]))
    tower = _stack([part for part in daily if not part.reanalysis])
    era = _stack([part for part in daily if part.reanalysis])
    table = tower.combine_first(era.mask(era.isin(rules.missing_codes))) if len(tower) else era
    observed = _observations(site, tower, entry, rules, ledger, known=known) if len(tower) else observations([])
    weather_of = forcing(site, table.sort_index(), float(row["lat"]), rules, ledger) if len(table) else None
    rows = observations([observed, *_once(measured, ", ".join(part.path for part in parts))])
    return SiteRecord(row, rows[~rows.duplicated(["time", "variable"])], weather_of)


def _gappy(table: pd.DataFrame) -> list[str]:
    """Columns of half hours that are measured series with gaps."""
    form = re.compile(r"FCH4|NEE|(TS|SWC)_\d+")
    return [str(name) for name in table.columns if form.fullmatch(str(name)) and f"{name}_QC" not in table]


def _measured(
    site: str,
    table: pd.DataFrame,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    known: dict[str, tuple[float, float]],
    where: str,
) -> pd.DataFrame:
    """Daily rows of columns of half hours that have gaps."""
    if not len(table.columns):
        return observations([])
    steps, per_day = whole_days(table, where)
    common: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    return observations(
        observed_days(steps[column], variable, per_day, factor=factor, offset=offset, **common)
        for column, variable, factor, offset in _chosen(site, steps, entry, ledger, known)
    )


def _once(parts: list[pd.DataFrame], where: str) -> list[pd.DataFrame]:
    """The rows of several files of half hours; a day that two of them hold is refused unless they agree."""
    rows = observations(parts).drop_duplicates()
    twice = rows.duplicated(["time", "variable"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise InputError(
            f"two files of one site contradict each other on {first['time']:%Y-%m-%d} in {first['variable']}",
            where=where,
            hint="read one version of the file only",
        )
    return [rows]


def _extremes(table: pd.DataFrame, rules: QcRules, where: str) -> pd.DataFrame:
    """Daily extremes of temperature from half hours."""
    daily = half_hours_to_days(table[["TA_F"]], rules.missing_codes, where)
    return daily[["TA_F_MIN", "TA_F_MAX"]]


def _stack(parts: list[FluxnetFile]) -> pd.DataFrame:
    """Tables of several products and periods of one site as one; contradicting days are refused."""
    if not parts:
        return pd.DataFrame()
    joined = parts[0].table
    for number, table in enumerate((part.table for part in parts[1:]), 2):
        shared = joined.columns.intersection(table.columns)
        days = joined.index.intersection(table.index)
        differ = ~np.isclose(joined.loc[days, shared], table.loc[days, shared], rtol=1e-4, atol=1e-3, equal_nan=True)
        if differ.any():
            row, column = np.argwhere(differ)[0]
            raise InputError(
                f"two files of one site contradict each other on {days[row]:%Y-%m-%d} in column '{shared[column]}'",
                where=", ".join(part.path for part in parts[:number]),
                hint="read one version of the file only",
            )
        joined = joined.combine_first(table)
    return joined


def _observations(
    site: str,
    table: pd.DataFrame,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    of: str = "days",
    known: dict[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    chosen = _chosen(site, table, entry, ledger, known or {})
    return observations(
        _observed(site, table, column, variable, factor, offset, rules, ledger, of)
        for column, variable, factor, offset in chosen
    )


def _chosen(
    site: str, table: pd.DataFrame, entry: SiteEntry, ledger: Ledger, known: dict[str, tuple[float, float]]
) -> list[tuple[str, str, float, float]]:
    """(column, variable, factor, offset) of every observation in a table."""
    rows, means = [], layout()
    for kind, stem, given in (("tsl", "TS", entry.temperature_depths), ("swc", "SWC", entry.moisture_depths)):
        conversion = means.of(depths.variable(kind, 5)).conversion()
        sensors = _sensors(site, table, stem, given, entry, ledger, known)
        rows += [(column, depths.variable(kind, depth), *conversion) for depth, column in sensors.items()]
    if "FCH4" in table:
        if "FCH4" not in entry.units:
            ledger.note(site, f"FCH4 is read as {METHANE}: not verified, see fluxnet.py")
        rows.append(("FCH4", "fch4", *means.of("fch4").conversion()))
    for variable, column in ((variable, closure.column(name, entry)) for variable, name in FLUXES):
        if column in table:
            rows.append((column, variable, *means.of(variable).conversion()))
    for column in ("NEE", *METHANE_CARBON):
        if column in table and (row := means.find(column)):
            if column not in entry.units:
                ledger.note(site, f"{column} is read as {row.units}: not verified, see fluxnet.py")
            rows.append((column, row.variable, *row.conversion()))
    return rows


def _sensors(
    site: str,
    table: pd.DataFrame,
    stem: str,
    given: dict[int, float],
    entry: SiteEntry,
    ledger: Ledger,
    stated: dict[str, tuple[float, float]],
) -> dict[int, str]:
    """Column for each standard depth: see :func:`depths.sensors`."""
    form = re.compile(rf"{stem}(?:_F_MDS)?_(\d+)")
    columns = {int(m[1]): str(name) for name in table.columns if (m := form.fullmatch(str(name)))}
    return depths.sensors(stem, columns, given, stated, entry, ledger, site)


def _observed(
    site: str,
    table: pd.DataFrame,
    column: str,
    variable: str,
    factor: float,
    offset: float,
    rules: QcRules,
    ledger: Ledger,
    of: str = "days",
) -> pd.DataFrame:
    qc = flag(table, column)
    values = screen(
        table[column],
        variable,
        factor=factor,
        offset=offset,
        rules=rules,
        ledger=ledger,
        site=site,
        qc=qc,
        min_qc=rules.min_qc,
        of=of,
    )
    sd = error_floor(variable, values, rules)
    if f"{column}_JOINTUNC" in table:
        stated, most = table[f"{column}_JOINTUNC"], LARGEST_SD if column in CARBON else LARGEST_HEAT_SD
        sd = sd.clip(lower=stated.where(stated.between(0, most), 0.0) * factor)
    return long_table(variable, values, sd=sd, qc=1.0 if qc is None else qc)
