"""FLUXNET2015 / ICOS / ONEFlux files (FULLSET, SUBSET, ERAI/ERA5; daily, half-hourly) and FLUXNET-CH4 daily files.

Times are local standard time and stay so: a day is the site's own day. Units are those of the products' documentation
(Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3) because the files hold none: TA, TS deg C; SW_IN, LW_IN, LE
W m-2; VPD hPa; PA kPa; P mm per day (mm per half hour in HH); WS m s-1; SWC %; NEE g C m-2 d-1 (umol CO2 m-2 s-1 in
HH), its uncertainty the stated joint one (``NEE_VUT_REF_JOINTUNC``) where that is larger than the least.

FLUXNET-CH4 (Delwiche et al. 2021, doi:10.5194/essd-13-3607-2021): FCH4 is taken as nmol CH4 m-2 s-1. **Not verified**:
neither the files nor a document that we could read state the unit of the daily file (mg C m-2 d-1 is the other
candidate; 1 nmol m-2 s-1 is 1.0378 mg C m-2 d-1, so the two differ by only 4 %). Override it with ``units: FCH4``.
Only the measured FCH4 is used, not the gap-filled series. An eddy covariance flux is that of the whole ecosystem.

``*_QC`` of daily files is the fraction of measured or well gap-filled half-hours; half-hourly flags 0 and 1 count so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from . import depths, weather
from .metadata import SiteFacts
from .periods import period_table
from .qc import error_floor, screen
from .quick import quick_file
from .records import Ledger, SiteRecord, long_table, observations
from .subdaily import C_PER_UMOL, days_of, whole_days
from .text import in_order, numbers, read_table, times
from .units import methane_factor

_NAME = re.compile(r"^(?:FLX|AMF|ICOSETC)_([A-Za-z0-9-]+)_")
_KEEP = re.compile(
    r"(TA|SW_IN|LW_IN|LW_IN_JSB|VPD|PA|P|WS)_(F|ERA)(_QC)?|TA_(F|ERA)_((DAY|NIGHT)(_SD)?|MIN|MAX)|LW_IN_JSB_F|LW_IN|"
    r"(TS|SWC)(_F_MDS)?_\d+(_QC)?|FCH4|LE_F_MDS(_QC)?|NEE_VUT_REF(_QC|_JOINTUNC)?"
)
_CLOCKS = ("TIMESTAMP", "TIMESTAMP_START")
_FORMS = {6: ("MM", "%Y%m"), 8: ("DD", "%Y%m%d"), 12: ("HH", "%Y%m%d%H%M")}

# canonical variable -> (columns by preference, factor, offset)
FORCING: dict[str, tuple[tuple[str, ...], float, float]] = {
    "rsds": (("SW_IN_F", "SW_IN_ERA"), 1.0, 0.0),
    "rlds": (("LW_IN_F", "LW_IN_JSB_F", "LW_IN_ERA"), 1.0, 0.0),
    "vpd": (("VPD_F", "VPD_ERA"), 100.0, 0.0),
    "ps": (("PA_F", "PA_ERA"), 1000.0, 0.0),
    "pr": (("P_F", "P_ERA"), 1 / 86400.0, 0.0),
    "sfcWind": (("WS_F", "WS_ERA"), 1.0, 0.0),
}
ORDER = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")
LARGEST_SD = 50.0
"""Stated uncertainties of NEE above this [g C m-2 d-1] are not believed."""
LATENT_HEAT = 2.45e6
"""Latent heat of vaporisation [J kg-1] at about 20 deg C (FAO-56)."""


@dataclass(frozen=True)
class FluxnetFile:
    """One file: site as its name says, resolution ('DD', 'HH' or 'MM') and columns indexed by local time."""

    site: str
    resolution: str
    table: pd.DataFrame

    @property
    def reanalysis(self) -> bool:
        """Whether it holds only downscaled reanalysis (an ERA file)."""
        return all("_ERA" in str(name) for name in self.table.columns)


def read_file(path: str | Path, encoding: str = "utf-8") -> FluxnetFile:
    """Read the columns of one file that fluxatlas uses, values and missing codes as they are.

    Raises :class:`InputError` for a name without a site id, no time column, bad times or numbers, no usable column.
    """
    where = str(path)
    named = _NAME.match(Path(path).name)
    if not named:
        raise InputError(
            "the file name does not say which site it is",
            where=where,
            hint="call it FLX_<site>_<product>_DD_<years>.csv",
        )
    quick = quick_file(path, _CLOCKS, _wanted)
    if quick:
        return FluxnetFile(named[1], "DD" if quick[1] == 8 else "HH", quick[0])
    return _careful(path, named[1], where, encoding)


def _wanted(name: str) -> bool:
    return bool(_KEEP.fullmatch(name))


def _careful(path: str | Path, site: str, where: str, encoding: str) -> FluxnetFile:
    table = read_table(path, required=(), keep=lambda name: name in _CLOCKS or _wanted(name), encoding=encoding)
    clock = next((name for name in _CLOCKS if name in table.columns), None)
    if clock is None:
        raise InputError("column 'TIMESTAMP' is missing", where=where, hint="this is not a FLUXNET file")
    stamps = table[clock].astype(str).str.strip().rename(clock)
    lengths = stamps.str.len().unique()
    if len(lengths) != 1 or lengths[0] not in _FORMS:
        raise InputError(
            f"column '{clock}' holds times of {', '.join(str(n) for n in lengths[:3])} digits",
            where=where,
            hint="expected YYYYMMDDHHMM, YYYYMMDD or YYYYMM in every row",
        )
    resolution, form = _FORMS[int(lengths[0])]
    time = times(stamps, form, where)
    columns = {str(name): numbers(table, str(name), where) for name in table.columns if name not in _CLOCKS}
    if not columns:
        raise InputError(
            "none of the columns that can be used is there (TA_F, TS_F_MDS_1, TA_ERA, FCH4, ...)",
            where=where,
            hint="check that this is a FULLSET, SUBSET, ERA or FLUXNET-CH4 file",
        )
    return FluxnetFile(site, resolution, in_order(pd.DataFrame(columns), time, where))


def half_hours_to_days(table: pd.DataFrame, codes: Sequence[float], where: str = "") -> pd.DataFrame:
    """Daily table with the columns of a daily file from a half-hourly one (local time of the interval's start).

    Means, sums for P, carbon per day for NEE, the fraction of flags 0 and 1 for ``*_QC``, and the extremes TA_F_MIN and
    TA_F_MAX. A day is missing in a column if any of its values is. Uncertainties of half hours say nothing on that of
    a day and are left out. Raises :class:`InputError` for irregular steps.
    """
    steps, per_day = whole_days(table.drop(columns=["NEE_VUT_REF_JOINTUNC"], errors="ignore"), where)
    daily: dict[str, npt.NDArray[np.float64]] = {}
    for column in steps.columns:
        name, rows = str(column), steps[column].to_numpy(float).reshape(-1, per_day)
        if rows.min(initial=0.0) < 0 or np.isnan(rows).any():  # a column without negative values holds no code
            hit = np.isin(rows, codes) if len(codes) else np.zeros(rows.shape, bool)
            rows = np.where(hit, np.nan, rows)
        if name.endswith("_QC"):
            daily[name] = (rows <= 1).mean(axis=1)
        elif name in ("P_F", "P_ERA"):
            daily[name] = rows.sum(axis=1)
        else:
            daily[name] = rows.mean(axis=1) * (C_PER_UMOL if name.startswith("NEE_") else 1.0)
        if name == "TA_F":
            daily |= {"TA_F_MIN": rows.min(axis=1), "TA_F_MAX": rows.max(axis=1)}
    return pd.DataFrame(daily, index=days_of(steps, per_day))


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """All sites of an entry; the files of one site (fluxes, ERA) are joined, ERA filling what the tower lacks."""
    facts = SiteFacts(entry)
    by_site: dict[str, list[FluxnetFile]] = {}
    where: dict[str, str] = {}
    for path in files:
        found = read_file(path, entry.encoding)
        site = facts.site_id(found.site)
        by_site.setdefault(site, []).append(found)
        where.setdefault(site, str(path))
    return [_site(site, parts, facts, entry, rules, ledger, where[site]) for site, parts in sorted(by_site.items())]


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Monthly means of the files called ``_MM_``, with the columns of :data:`periods.PERIOD_COLUMNS`.

    Months are screened as days are, except for spikes, and counted under ``<site> (months)``.
    """
    facts, calm, parts = SiteFacts(entry), rules.model_copy(update={"spike_z": 0.0}), [period_table()]
    for path in files:
        if "_MM_" not in Path(path).name:
            continue
        found = read_file(path, entry.encoding)
        if found.resolution != "MM":
            raise InputError("the file is called MM but is not monthly", where=path, hint="give it its right name")
        site = facts.site_id(found.site)
        row = facts.row(found.site, kind="tower", source="fluxnet", ledger=ledger, where=path)
        if found.reanalysis:
            continue
        rows = _observations(f"{site} (months)", found.table, entry, calm, ledger, of="months")
        month = pd.PeriodIndex(rows["time"], freq="M")
        place = {"site": site, "lat": row["lat"], "lon": row["lon"], "source": "fluxnet"}
        span = {"start": month.to_timestamp(), "end": (month + 1).to_timestamp()}
        parts.append(period_table(**rows[["variable", "value", "sd", "qc"]], **span, **place))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _site(
    site: str,
    parts: list[FluxnetFile],
    facts: SiteFacts,
    entry: SiteEntry,
    rules: QcRules,
    ledger: Ledger,
    where: str,
) -> SiteRecord:
    row = facts.row(site, kind="tower", source="fluxnet", ledger=ledger, where=where)
    daily = [part for part in parts if part.resolution == "DD"]
    if not any(not part.reanalysis for part in daily):
        hours = [part for part in parts if part.resolution == "HH"]
        daily += [FluxnetFile(site, "DD", half_hours_to_days(h.table, rules.missing_codes, where)) for h in hours]
    if any(part.resolution == "MM" for part in parts):
        ledger.note(site, "monthly file: its means are in periods.parquet, the site table is daily")
    if not daily:
        return SiteRecord(row, observations([]))
    tower = _stack([part.table for part in daily if not part.reanalysis], where)
    era = _stack([part.table for part in daily if part.reanalysis], where)
    table = tower.combine_first(era.mask(era.isin(rules.missing_codes))) if len(tower) else era
    observed = _observations(site, tower, entry, rules, ledger) if len(tower) else observations([])
    return SiteRecord(row, observed, _forcing(site, table.sort_index(), float(row["lat"]), rules, ledger))


def _stack(tables: list[pd.DataFrame], where: str) -> pd.DataFrame:
    """Tables of several products and periods of one site as one; contradicting days are refused."""
    if not tables:
        return pd.DataFrame()
    joined = tables[0]
    for table in tables[1:]:
        shared = joined.columns.intersection(table.columns)
        days = joined.index.intersection(table.index)
        differ = ~np.isclose(joined.loc[days, shared], table.loc[days, shared], rtol=1e-4, atol=1e-3, equal_nan=True)
        if differ.any():
            row, column = np.argwhere(differ)[0]
            raise InputError(
                f"two files of one site contradict each other on {days[row]:%Y-%m-%d} in column '{shared[column]}'",
                where=where,
                hint="read one version of the file only",
            )
        joined = joined.combine_first(table)
    return joined


def _observations(
    site: str, table: pd.DataFrame, entry: SiteEntry, rules: QcRules, ledger: Ledger, of: str = "days"
) -> pd.DataFrame:
    rows = []
    for kind, stem, given, factor, offset in (
        ("tsl", "TS", entry.temperature_depths, 1.0, 273.15),
        ("swc", "SWC", entry.moisture_depths, 0.01, 0.0),
    ):
        for depth, column in _sensors(site, table, stem, given, ledger).items():
            variable = depths.variable(kind, depth)
            rows.append(_observed(site, table, column, variable, factor, offset, rules, ledger, of))
    if "FCH4" in table:
        unit = entry.units["FCH4"].unit if "FCH4" in entry.units else "nmol m-2 s-1"
        reason = f" ({entry.units['FCH4'].reason})" if "FCH4" in entry.units else ": not verified, see fluxnet.py"
        ledger.note(site, f"FCH4 is read as {unit}{reason}")
        rows.append(_observed(site, table, "FCH4", "fch4", methane_factor(unit), 0.0, rules, ledger, of))
    if "LE_F_MDS" in table:
        rows.append(_observed(site, table, "LE_F_MDS", "evspsbl", 1 / LATENT_HEAT, 0.0, rules, ledger, of))
    if "NEE_VUT_REF" in table:
        rows.append(_observed(site, table, "NEE_VUT_REF", "nee", 1.0, 0.0, rules, ledger, of))
    return observations(rows)


def _sensors(site: str, table: pd.DataFrame, stem: str, given: dict[int, float], ledger: Ledger) -> dict[int, str]:
    """Column for each standard depth, from the entry's depths or the documented default."""
    form = re.compile(rf"{stem}(?:_F_MDS)?_(\d+)")
    columns = {int(m[1]): str(name) for name in table.columns if (m := form.fullmatch(str(name)))}
    known = given or depths.DEFAULT
    if columns and not given:
        listed = ", ".join(f"{stem}_{i} = {d:g} cm" for i, d in known.items() if i in columns)
        ledger.note(site, f"depths of {stem} are not in the file: assumed {listed}")
    return depths.choose({columns[i]: d for i, d in sorted(known.items()) if i in columns})


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
    qc = _flag(table, column)
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
        stated = table[f"{column}_JOINTUNC"]
        sd = sd.clip(lower=stated.where(stated.between(0, LARGEST_SD), 0.0))
    return long_table(variable, values, sd=sd, qc=1.0 if qc is None else qc)


def _flag(table: pd.DataFrame, column: str) -> pd.Series | None:
    """The QC column of ``column`` with values outside 0..1 (missing codes) as 0, or None where there is none."""
    name = f"{column}_QC"
    if name not in table:
        return None
    return table[name].where(table[name].between(0, 1), 0.0)


def _forcing(site: str, table: pd.DataFrame, lat: float, rules: QcRules, ledger: Ledger) -> pd.DataFrame | None:
    """Canonical daily meteorology, NaN where missing, or None if a variable is absent altogether."""
    frame: dict[str, pd.Series] = {}
    for name, (columns, factor, offset) in FORCING.items():
        parts = [
            _screened(site, table, column, name, factor, offset, rules, ledger) for column in columns if column in table
        ]
        if not parts:
            ledger.note(site, f"no meteorology of its own: none of {', '.join(columns)} is in the files")
            return None
        frame[name] = _first(parts)
    temperature = [
        part
        for suffix in ("F", "ERA")
        if f"TA_{suffix}" in table and (part := _temperature(site, table, suffix, lat, rules, ledger)) is not None
    ]
    if not temperature:
        ledger.note(site, "no meteorology of its own: neither extremes nor day and night means of TA are in the files")
        return None
    joined = temperature[0] if len(temperature) == 1 else temperature[0].combine_first(temperature[1])
    frame |= {str(name): joined[name] for name in joined}
    vpd = frame.pop("vpd")
    frame["huss"] = weather.humidity_from_deficit(vpd, frame["ps"], frame["tasmin"], frame["tasmax"])
    return pd.DataFrame(frame)[list(ORDER)].rename_axis("time")


def _screened(
    site: str,
    table: pd.DataFrame,
    column: str,
    variable: str,
    factor: float,
    offset: float,
    rules: QcRules,
    ledger: Ledger,
) -> pd.Series:
    raw = table[column].dropna()
    qc = _flag(table, column)
    return screen(
        raw,
        variable,
        factor=factor,
        offset=offset,
        rules=rules.model_copy(update={"spike_z": 0.0}),
        ledger=ledger,
        site=site,
        qc=None if qc is None else qc.loc[raw.index],
        min_qc=rules.forcing_min_qc,
        label=column,
    ).reindex(table.index)


def _temperature(
    site: str, table: pd.DataFrame, suffix: str, lat: float, rules: QcRules, ledger: Ledger
) -> pd.DataFrame | None:
    """tas, tasmin and tasmax from the columns TA_F* or TA_ERA*; rows are whole or NaN."""
    mean = f"TA_{suffix}"
    if {f"{mean}_MIN", f"{mean}_MAX"} <= set(table.columns):
        names = {"tas": mean, "tasmin": f"{mean}_MIN", "tasmax": f"{mean}_MAX"}
        frame = pd.DataFrame({k: _screened(site, table, c, k, 1.0, 273.15, rules, ledger) for k, c in names.items()})
    elif {f"{mean}_DAY", f"{mean}_NIGHT"} <= set(table.columns):
        tas, day, night = (
            _screened(site, table, column, "tas", 1.0, 273.15, rules, ledger)
            for column in (mean, f"{mean}_DAY", f"{mean}_NIGHT")
        )
        day_sd, night_sd = (
            table[name].where(table[name].between(0, 40)) if name in table else day * np.nan
            for name in (f"{mean}_DAY_SD", f"{mean}_NIGHT_SD")
        )
        low, high = weather.extremes(tas, day, night, day_sd, night_sd, lat)
        frame = pd.DataFrame({"tas": tas, "tasmin": low, "tasmax": high})
        ledger.note(site, f"tasmin and tasmax are estimated from day and night statistics of {mean} (weather.extremes)")
    else:
        return None
    return frame[frame.notna().all(axis=1)].reindex(table.index)


def _first(parts: list[pd.Series]) -> pd.Series:
    """The first series, its gaps filled from the next ones."""
    result = parts[0]
    for part in parts[1:]:
        result = result.fillna(part)
    return result
