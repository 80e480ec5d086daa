"""FLUXNET files: what their names say, which of an archive are read, and their columns as they are.

Names [V: real files, the README that ONEFlux writes since 2025, releases of ICOS], T is HH, HR, DD, WW, MM or YY:

- ``FLX_<site>_FLUXNET2015_{FULLSET,SUBSET,ERAI}_<T>_<years>_<version>``, ``FLX_<site>_FLUXNET-CH4_<T>_...``
- ``AMF_<site>_FLUXNET_{FULLSET,SUBSET,ERA5}_<T>_...``, ``ICOSETC_<site>_FLUXNET_<T>_L2``, ``..._<T>_INTERIM_L2``
- since 2025 ``<network>_<site>_FLUXNET_{FLUXMET,ERA5}_<T>_<years>_<version>_<release>``; networks are AMF, CNF, EUF,
  ICOS, JPF, KOF, OZF, SAEON, TERN and others
- ``{nee,gpp,reco}_<tower>_FLUXNET2015.nc``, daily series derived from FULLSET (:mod:`derived`)

Beside them lie facts on the site and depths of sensors as BIF (:mod:`badm`).

Times: TIMESTAMP of days, months and years (8, 6, 4 digits), TIMESTAMP_START of half hours (12) and of weeks (8), whose
TIMESTAMP_END is the last day of the week; of half hours with TIMESTAMP_END alone that is the end. All may be ISO dates.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...constants import LATENT_HEAT
from ...errors import InputError
from . import badm, derived
from .archives import members
from .layouts import ColumnSpec, Layout, celsius, percent
from .quick import quick_file
from .subdaily import C_PER_UMOL, days_of, whole_days
from .text import compact, in_order, numbers, read_bytes, read_table, times
from .units import METHANE, methane_factor

_NAME = re.compile(r"(?:(?:FLX|AMF|ICOSETC)_([A-Za-z0-9-]+)|[A-Z][A-Z0-9]{2,9}_([A-Z]{2}-[A-Za-z0-9]{3}))_", re.ASCII)
_RESOLUTION = re.compile(r"_(HH|HR|DD|WW|MM|YY)(?=[_.])")
_FACTS = re.compile(r"_(BIF|BIFVARINFO|VARINFO|SITEINFO)_")
_VARINFO = re.compile(r"VARINFO_")
_KEEP = re.compile(
    r"(TA|SW_IN|LW_IN|LW_IN_JSB|VPD|PA|P|WS)_(F|ERA)(_QC)?|TA_(F|ERA)_((DAY|NIGHT)(_SD)?|MIN|MAX)|LW_IN_JSB_F|LW_IN|"
    r"(TS|SWC)(_F_MDS)?_\d+(_QC)?|FCH4|(LE|H|G)_F_MDS(_QC)?|(LE|H)_CORR(_JOINTUNC)?|NETRAD(_QC)?|"
    r"NEE_[VC]UT_REF(_QC|_JOINTUNC)?|(GPP|RECO)_NT_[VC]UT_REF|NEE(_F)?|(GPP|RECO)_NT"
)
_FORM = "(_F|_ERA|_F_MDS|_CORR)?"


@cache
def layout(resolution: str = "DD") -> Layout:
    """The columns of the products' documentation, which differ in carbon and precipitation."""
    carbon = {"HH": ("umol m-2 s-1", C_PER_UMOL), "YY": ("g C m-2 yr-1", 1 / 365.25)}
    units, factor = carbon.get(resolution, ("g C m-2 d-1", 1.0))
    rain = {"HH": "mm per half hour", "YY": "mm yr-1"}.get(resolution, "mm d-1")
    return Layout(
        (
            celsius(rf"TA{_FORM}|TA_(ERA|F)_(DAY|NIGHT|MIN|MAX)", "tas"),
            ColumnSpec(f"SW_IN{_FORM}", "W m-2", "rsds"),
            ColumnSpec(f"LW_IN(_JSB)?{_FORM}", "W m-2", "rlds"),
            ColumnSpec(f"VPD{_FORM}", "hPa", "vpd", 100.0),
            ColumnSpec(f"PA{_FORM}", "kPa", "ps", 1000.0),
            ColumnSpec(f"P{_FORM}", rain, "pr", per_step=True),
            ColumnSpec(f"WS{_FORM}", "m s-1", "sfcWind"),
            ColumnSpec(f"RH{_FORM}", "%", "hurs"),
            celsius(r"TS(_F_MDS)?_\d+", "tsl05"),
            percent(r"SWC(_F_MDS)?_\d+", "swc05"),
            ColumnSpec(f"FCH4{_FORM}|FCH4_F_ANNOPTLM", METHANE, "fch4", methane_factor(METHANE)),
            ColumnSpec(f"LE{_FORM}", "W m-2", "evspsbl", 1 / LATENT_HEAT),
            ColumnSpec(f"LE{_FORM}", "W m-2", "hfls"),
            ColumnSpec(f"H{_FORM}", "W m-2", "hfss"),
            ColumnSpec(f"G{_FORM}", "W m-2", "hfdsl"),
            ColumnSpec(f"NETRAD{_FORM}", "W m-2", "rns"),
            ColumnSpec("NEE_[VC]UT_REF", units, "nee", factor),
            ColumnSpec("GPP_NT_[VC]UT_REF", units, "gpp", factor),
            ColumnSpec("RECO_NT_[VC]UT_REF", units, "reco", factor),
            ColumnSpec(f"NEE{_FORM}|NEE_F_ANNOPTLM", "umol m-2 s-1", "nee", C_PER_UMOL),
            ColumnSpec("GPP_NT", "umol m-2 s-1", "gpp", C_PER_UMOL),
            ColumnSpec("RECO_NT", "umol m-2 s-1", "reco", C_PER_UMOL),
            ColumnSpec("(GPP|RECO)_DT", "umol m-2 s-1"),
            ColumnSpec(r"(GPP|RECO)_(NT|DT)_VUT_REF", units),
            ColumnSpec(f"USTAR{_FORM}", "m s-1"),
            ColumnSpec(f"WTD{_FORM}", "m"),
        )
    )


CARBON = tuple(f"{part}_{kind}_REF" for kind in ("VUT", "CUT") for part in ("NEE", "GPP_NT", "RECO_NT"))
"""Columns of carbon: net exchange and its parts by the night-time method, which share its flag, by threshold."""
METHANE_CARBON = ("NEE_F", "GPP_NT", "RECO_NT")
"""Those of daily files of FLUXNET-CH4, which are filled; ``NEE`` beside them is the mean of what was measured."""
_OTHER = tuple(re.compile(rf"(NEE|GPP_NT|RECO_NT)_{kind}_REF(_QC|_JOINTUNC)?") for kind in ("CUT", "VUT"))
PLACE = {"lat": 0.01, "lon": 0.01, "utc_offset": 0.0}
"""By how much facts of two files of a site may differ (degrees, h)."""
STEPS = {"HH": 1800.0, "YY": 365.25 * 86400}
"""Length of a step [s] over which amounts are summed; a day in all other resolutions."""
_CLOCKS = ("TIMESTAMP", "TIMESTAMP_START")
FORMS = {4: ("YY", "%Y"), 6: ("MM", "%Y%m"), 8: ("DD", "%Y%m%d"), 12: ("HH", "%Y%m%d%H%M")}
"""Digits of a time -> (resolution, its form); eight digits of TIMESTAMP_START are those of weeks."""
CALLED = {"HH": "half-hourly", "DD": "daily", "WW": "weekly", "MM": "monthly", "YY": "yearly"}


@dataclass(frozen=True)
class FluxnetFile:
    """One file: site as its name says, resolution and columns indexed by local time.

    ``resolution``: 'HH' (also hourly), 'DD', 'WW', 'MM' or 'YY'. ``ends``: the first moment after each week, else None.
    ``path``: where it was read.
    """

    site: str
    resolution: str
    table: pd.DataFrame
    ends: pd.DatetimeIndex | None = None
    path: str = ""

    @property
    def reanalysis(self) -> bool:
        """Whether it holds only downscaled reanalysis (an ERA file)."""
        return all("_ERA" in str(name) for name in self.table.columns)


@dataclass
class Inventory:
    """The files of an entry by site as named: ``data`` by resolution as named ('' where not), ``facts`` of BIF files
    with their paths.

    ``depths``: shallowest and deepest depth [cm] stated for a soil column.
    """

    data: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    facts: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    depths: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)

    def stated(self, site: str, given: Collection[str]) -> dict[str, Any]:
        """Facts of BIF files on a site as named; of two files the last counts, as releases round its position.

        Raises :class:`InputError` where files put it elsewhere, except for facts that are ``given`` by the entry.
        """
        whole: dict[str, Any] = {}
        origin: dict[str, str] = {}
        for path, facts in self.facts.get(site, []):
            for name in (one for one in PLACE if one in whole and one in facts and one not in given):
                if abs(float(whole[name]) - float(facts[name])) > PLACE[name]:
                    what = f"two files state the {name} of '{site}' differently: {whole[name]:g} and {facts[name]:g}"
                    hint = "read one version of the files only, or state it under the entry's 'sites'"
                    raise InputError(what, where=f"{origin[name]}, {path}", hint=hint)
            whole |= facts
            origin |= dict.fromkeys(facts, path)
        return whole


def site_of(path: str | Path) -> str:
    """The site that a file's name gives; raises :class:`InputError` where it gives none."""
    if derived.is_derived(path):
        return derived.station(path)
    named = _NAME.match(Path(path).name)
    if not named:
        raise InputError(
            "the file name does not say which site it is",
            where=str(path),
            hint="call it FLX_<site>_<product>_DD_<years>.csv",
        )
    return named[1] or named[2]


def resolution_of(path: str | Path) -> str:
    """The resolution in a file's name, 'HH' for hourly ones too, or '' where there is none."""
    found = _RESOLUTION.search(Path(path).name)
    return found[1].replace("HR", "HH") if found else ""


def inventory(files: Sequence[str]) -> Inventory:
    """Sort the files of an entry, with those inside zips; BIF files are read at once, of each sort the finest only."""
    found = Inventory()
    for path in members(files, "fluxnet"):
        site = site_of(path)
        if not _FACTS.search(Path(path).name):
            found.data.setdefault(site, {}).setdefault(resolution_of(path), []).append(path)
        elif not _VARINFO.search(Path(path).name):
            for name, facts in badm.site_facts(read_bytes(path), path).items():
                found.facts.setdefault(name, []).append((path, facts))
        elif site not in found.depths or resolution_of(path) in ("HH", "DD"):
            found.depths[site] = badm.sensor_depths(read_bytes(path), path)
    return found


def read_file(path: str | Path, encoding: str = "utf-8") -> FluxnetFile:
    """Read the columns of one file that fluxatlas uses, values and missing codes as they are.

    Raises :class:`InputError` for a name without a site id, no time column, bad times or numbers, steps that are not
    those of its resolution, no usable column.
    """
    site, named = site_of(path), resolution_of(path)
    if derived.is_derived(path):
        return FluxnetFile(site, "DD", derived.read(path), path=str(path))
    quick = quick_file(path, _CLOCKS, wanted) if named in ("HH", "DD") else None
    if quick and (named == "HH" if quick[1] == 12 else named == "DD" and _daily(quick[0].index)):
        return FluxnetFile(site, named, quick[0], path=str(path))
    return _careful(path, site, str(path), encoding)


def wanted(name: str) -> bool:
    """Whether a column is used."""
    return bool(_KEEP.fullmatch(name))


def one_threshold(parts: Sequence[FluxnetFile], codes: Sequence[float]) -> tuple[list[FluxnetFile], bool]:
    """The files of a site with the carbon of one threshold alone, and whether that is the constant one.

    Fluxes of calm hours are filtered with a threshold of friction velocity that varies by year (VUT) or is the same in
    all (CUT; Pastorello et al. 2020). VUT is taken where any file has values of it, else CUT where there are any.
    """

    def any_of(name: str) -> bool:
        return any(name in p.table and bool((p.table[name].notna() & ~p.table[name].isin(codes)).any()) for p in parts)

    constant = not any_of(CARBON[0]) and any_of(CARBON[3])
    other = _OTHER[constant]
    drop = [[str(name) for name in part.table if other.fullmatch(str(name))] for part in parts]
    made = [replace(p, table=p.table.drop(columns=d)) if d else p for p, d in zip(parts, drop, strict=True)]
    return made, constant


def measured_carbon(part: FluxnetFile, codes: Sequence[float]) -> FluxnetFile:
    """A daily file of FLUXNET-CH4 with a flag of its filled carbon in place of ``NEE``: 1 on days with a value of that.

    ``NEE`` itself is the mean of the half hours that were measured, of which by day there are more than at night.
    """
    table = part.table
    if part.resolution != "DD" or "NEE" not in table:
        return part
    had = table["NEE"].notna() & ~table["NEE"].isin(codes)
    return replace(part, table=table.drop(columns="NEE").assign(NEE_F_QC=had.astype(float)))


def _daily(index: pd.Index) -> bool:
    """Whether most steps are of one day."""
    return len(index) < 3 or bool((np.diff(index.to_numpy()) == np.timedelta64(1, "D")).mean() > 0.5)


def _careful(path: str | Path, site: str, where: str, encoding: str) -> FluxnetFile:
    clocks = (*_CLOCKS, "TIMESTAMP_END")
    table = read_table(path, required=(), keep=lambda name: name in clocks or wanted(name), encoding=encoding)
    clock, stamps, digits = _stamps(table, where)
    resolution, form = FORMS[digits]
    time = times(stamps, form, where)
    if clock == "TIMESTAMP_END":
        time = _begin(time, digits, where)
    columns = {str(name): numbers(table, str(name), where) for name in table.columns if name not in clocks}
    if set(columns) <= {"NEE"}:  # which tells of nothing without what FLUXNET-CH4 has beside it
        raise InputError(
            "none of the columns that can be used is there (TA_F, TS_F_MDS_1, TA_ERA, FCH4, ...)",
            where=where,
            hint="check that this is a FULLSET, SUBSET, FLUXMET, ERA or FLUXNET-CH4 file",
        )
    values, ends = pd.DataFrame(columns), None
    if resolution == "DD" and clock == "TIMESTAMP_START":
        resolution, values = "WW", values.assign(_end=_week_ends(table, time, where).to_numpy())
    values = in_order(values, time, where)
    named = resolution_of(path) or resolution
    if resolution != named:
        raise InputError(
            f"the file is called {named} but is not {CALLED[named]}: its {clock} has {digits} digits",
            where=where,
            hint="give it its right name",
        )
    if resolution == "WW":
        ends = pd.DatetimeIndex(values.pop("_end"))
    elif resolution == "DD" and not _daily(values.index):
        raise InputError(
            f"the days are not consecutive: {values.index[0]:%Y-%m-%d}, {values.index[1]:%Y-%m-%d}, ...",
            where=where,
            hint="give the daily file (DD); weeks have the columns TIMESTAMP_START and TIMESTAMP_END",
        )
    return FluxnetFile(site, resolution, values, ends, where)


def _stamps(table: pd.DataFrame, where: str) -> tuple[str, pd.Series, int]:
    """Name of the column of times, its cells as digits, and how many digits they have."""
    clock = next((name for name in (*_CLOCKS, "TIMESTAMP_END") if name in table.columns), None)
    if clock is None:
        raise InputError("column 'TIMESTAMP' is missing", where=where, hint="this is not a FLUXNET file")
    stamps = compact(table[clock]).rename(clock)
    lengths = stamps.str.len().unique()
    if len(lengths) != 1 or lengths[0] not in FORMS or not stamps.iloc[0].isdigit():
        odd = next((text for text in stamps if len(text) not in FORMS or not text.isdigit()), stamps.iloc[-1])
        raise InputError(
            f"column '{clock}' holds times of {', '.join(map(str, lengths[:3]))} characters, such as '{odd[:30]}'",
            where=where,
            hint="expected YYYYMMDDHHMM, YYYYMMDD, YYYYMM or YYYY in every row, or the same as YYYY-MM-DD HH:MM, "
            "in local standard time",
        )
    return clock, stamps, int(lengths[0])


def _begin(end: pd.Series, digits: int, where: str) -> pd.Series:
    """The beginning of half hours or hours from their ``end``, which is all that the file gives."""
    steps = end.diff().dropna()
    if digits != 12 or steps.empty:
        hint = "add TIMESTAMP (days, months, years) or TIMESTAMP_START (half hours, weeks)"
        raise InputError("TIMESTAMP_END alone does not say where a period begins", where=where, hint=hint)
    return end - steps.mode().iloc[0]


def _week_ends(table: pd.DataFrame, start: pd.Series, where: str) -> pd.Series:
    """The day after each week; weeks are of seven days, the last one of a year of up to nine."""
    if "TIMESTAMP_END" not in table:
        raise InputError("column 'TIMESTAMP_END' is missing", where=where, hint="weekly files have it")
    end = times(compact(table["TIMESTAMP_END"]).rename("TIMESTAMP_END"), "%Y%m%d", where)
    end = end + pd.Timedelta("1D")
    days = (end - start.to_numpy()).dt.days
    if not days.between(1, 9).all():
        row = int(np.flatnonzero(~days.between(1, 9).to_numpy())[0])
        raise InputError(
            f"the week of row {row + 1} has {days.iloc[row]:g} days",
            where=where,
            hint="check TIMESTAMP_START and TIMESTAMP_END",
        )
    return end


def half_hours_to_days(table: pd.DataFrame, codes: Sequence[float], where: str = "") -> pd.DataFrame:
    """Daily table with the columns of a daily file from a half-hourly one (local time of the interval's start).

    Means, sums for P, carbon per day for NEE, the fraction of flags 0 and 1 for ``*_QC``, and the extremes TA_F_MIN and
    TA_F_MAX. A day is missing in a column if any of its values is. Uncertainties of half hours say nothing on that of
    a day and are left out. Raises :class:`InputError` for irregular steps.
    """
    known = [name for name in table.columns if not str(name).endswith("_JOINTUNC")]
    steps, per_day = whole_days(table[known], where)
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
            daily[name] = rows.mean(axis=1) * (C_PER_UMOL if name in CARBON else 1.0)
        if name == "TA_F":
            daily |= {"TA_F_MIN": rows.min(axis=1), "TA_F_MAX": rows.max(axis=1)}
    return pd.DataFrame(daily, index=days_of(steps, per_day))
