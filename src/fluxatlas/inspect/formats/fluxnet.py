"""FLUXNET2015, ICOS and FLUXNET-CH4 text: columns as the products document them, and what ingest makes of them.

Columns and units: Pastorello et al. (2020, doi:10.1038/s41597-020-0534-3); FLUXNET-CH4: Delwiche et al. (2021,
doi:10.5194/essd-13-3607-2021), whose files state no units either.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry, SiteInfo
from ...errors import FluxAtlasError
from ...ingest.sites import fluxnet
from ...ingest.sites.records import Ledger, SiteRecord
from ...ingest.sites.text import read_table
from .. import times
from ..frames import Spec, as_numbers, judge_frame
from ..probe import Probe
from ..readers import from_record, kept, through
from ..report import MappingRow, Report, refused

FORMATS = {
    "DD": "fluxnet-daily",
    "HH": "fluxnet-half-hourly",
    "WW": "fluxnet-weekly",
    "MM": "fluxnet-monthly",
    "YY": "fluxnet-yearly",
}
_NAME = re.compile(
    r"^(?P<network>FLX|AMF|ICOSETC)_(?P<site>[A-Za-z0-9-]+)_(?P<product>FLUXNET2015|FLUXNET-CH4|FLUXNET|ICOS\w*)_"
    r"(?P<part>.*)\.csv$",
    re.IGNORECASE,
)
_VERSION = re.compile(r"_(\d{4}-\d{4})_([\w.-]+?)\.csv$")
# base name -> (unit, canonical, factor, offset); [D] daily and [H] half-hourly differ for carbon and precipitation
_BASES: dict[str, tuple[str, str, float, float]] = {
    "TA": ("degC", "tas", 1.0, 273.15),
    "SW_IN": ("W m-2", "rsds", 1.0, 0.0),
    "LW_IN": ("W m-2", "rlds", 1.0, 0.0),
    "VPD": ("hPa", "vpd", 100.0, 0.0),
    "PA": ("kPa", "ps", 1000.0, 0.0),
    "WS": ("m s-1", "sfcWind", 1.0, 0.0),
    "RH": ("%", "hurs", 1.0, 0.0),
    "P": ("mm d-1", "pr", 1 / 86400, 0.0),
    "LE": ("W m-2", "", 1.0, 0.0),
    "H": ("W m-2", "", 1.0, 0.0),
    "G": ("W m-2", "", 1.0, 0.0),
    "NETRAD": ("W m-2", "", 1.0, 0.0),
    "USTAR": ("m s-1", "", 1.0, 0.0),
    "WTD": ("m", "", 1.0, 0.0),
    "FCH4": ("nmol m-2 s-1", "fch4", 1.38612, 0.0),
    "NEE": ("", "", 1.0, 0.0),
    "GPP": ("", "", 1.0, 0.0),
    "RECO": ("", "", 1.0, 0.0),
}
_SHOWN = re.compile(
    r"(TA|SW_IN|LW_IN|VPD|PA|P|WS|RH|LE|H|G|NETRAD|WTD|FCH4|NEE|USTAR)(_F|_ERA|_F_MDS|_CORR)?|TA_(ERA|F)_(DAY|NIGHT)|"
    r"(NEE_VUT_REF|(GPP|RECO)_(NT|DT)(_VUT_REF)?)|(TS|SWC)(_F_MDS)?_\d+|FCH4_F_ANNOPTLM"
)


def recognise(probe: Probe) -> Report | None:
    """A text file with FLUXNET's time column and some of its variables."""
    if probe.kind != "text" or ("AMF" in probe.name and "_BASE" in probe.name):
        return None
    header = probe.header()
    named = _NAME.match(probe.name)
    clock = next((name for name in ("TIMESTAMP", "TIMESTAMP_START") if name in header), None)
    known = [name for name in header if _SHOWN.fullmatch(name)]
    if (
        clock is None
        or len(known) < 2
        or {"Site", "Lat"} <= set(header)
        or any(line.startswith("#") for line in probe.lines[:3])
    ):
        return None
    report = Report(str(probe.path), "fluxnet", "FLUXNET2015 / ICOS")
    if named:
        _from_name(report, named)
    if "FCH4" in header:
        report.product = "FLUXNET-CH4"
    try:
        table = read_table(probe.path, required=(clock,), keep=lambda name: True, text=probe.text)
    except FluxAtlasError as problem:
        return refused(report, problem)
    return _judge(report, probe, table, clock)


def _from_name(report: Report, named: re.Match[str]) -> None:
    report.product = {"FLUXNET-CH4": "FLUXNET-CH4"}.get(named["product"].upper(), "FLUXNET2015 / ICOS")
    versioned = _VERSION.search(named.string)
    report.version = versioned[2] if versioned else ""
    report.details["site"] = named["site"]
    content = named["part"].split("_")[0]
    report.details["content"] = {
        "ERAI": "downscaled reanalysis (ERA-Interim)",
        "ERA5": "downscaled reanalysis (ERA5)",
    }.get(content, content)


def _judge(report: Report, probe: Probe, table: pd.DataFrame, clock: str) -> Report:
    stamps = table[clock].astype(str).str.strip()
    width = int(stamps.str.len().mode().iloc[0])
    step, form = fluxnet._FORMS.get(width, ("", ""))
    if width == 4 or (width == 8 and clock == "TIMESTAMP_START"):
        step, form = ("YY", "%Y") if width == 4 else ("WW", "%Y%m%d")
    report.format = FORMATS.get(step, "fluxnet")
    clock_times = pd.to_datetime(stamps, format=form or None, errors="coerce") if form else pd.Series(pd.NaT)
    times.judge(report, np.asarray(clock_times, "datetime64[s]"), zone="local standard time")
    shown = [name for name in table.columns if _SHOWN.fullmatch(name)]
    specs = {name: spec(name, step, report.product) for name in shown}
    report.details["columns"] = len(table.columns)
    report.note("units-not-in-file", "the file states no units: those of the product's documentation are shown")
    judge_frame(
        report,
        table[shown],
        specs,
        stamps=clock_times if form else None,
        subdaily=step == "HH",
        day_steps=48 if step == "HH" else 1,
    )
    if report.product == "FLUXNET-CH4" and "WTD" not in table:
        report.note("no-water-table", "no water table depth (WTD) in this file")
    _quality(report, table)
    if step in ("WW", "MM", "YY"):
        return through(report, probe, "fluxnet", "means over longer than a day")
    return _through_ingest(report, probe, table)


def spec(name: str, step: str, product: str = "") -> Spec:
    """What the documentation says about a column."""
    stem = re.sub(r"(_F_MDS|_F_ANNOPTLM|_CORR|_ERA|_F|_VUT_REF|_NT|_DT|_DAY|_NIGHT)+(_\d+)?$", "", name)
    if re.match(r"TS(_F_MDS)?_\d+$", name):
        return Spec("degC", "tsl05", 1.0, 273.15)
    if re.match(r"SWC(_F_MDS)?_\d+$", name):
        return Spec("%", "swc05", 0.01)
    units, canonical, factor, offset = _BASES.get(stem, ("", "", 1.0, 0.0))
    if stem in ("NEE", "GPP", "RECO"):
        units = "umol m-2 s-1" if step == "HH" or product == "FLUXNET-CH4" else "g C m-2 d-1"
    if stem == "P" and step == "HH":
        units, factor = "mm per half hour", 1 / 1800
    return Spec(units, canonical, factor, offset)


def _quality(report: Report, table: pd.DataFrame) -> None:
    """Mean fraction of measured data where the file says it."""
    found = {}
    for name in table.columns:
        stem = name.removesuffix("_QC")
        if name.endswith("_QC") and _SHOWN.fullmatch(stem):
            flags = as_numbers(table[name])
            flags = flags[(flags >= 0) & (flags <= 3)]
            if flags.size:
                found[stem] = round(float(flags.mean()), 3)
    if found:
        report.details["mean_qc"] = found
        poor = [name for name, value in found.items() if value < 0.5]
        if poor and max(found.values()) <= 1:
            report.warn("gap-filled", f"mostly gap-filled (mean QC below 0.5): {', '.join(poor[:12])}")


def _through_ingest(report: Report, probe: Probe, table: pd.DataFrame) -> Report:
    """What ingest would make of the file: its own reader is run with a stand-in for the coordinates."""
    site = str(report.details.get("site", "XX-Xxx"))
    entry = SiteEntry(
        source="fluxnet",
        path=[str(probe.path)],
        sites=[SiteInfo(site=site, lat=45.0, lon=0.0)],
        encoding=probe.encoding,
    )
    ledger, rules = Ledger(), QcRules()
    try:
        (record,) = fluxnet.read([str(probe.path)], entry, rules, ledger)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.note("position-not-in-file", "coordinates are not in the file: name a 'metadata' CSV in the entry")
    from_record(report, record, ledger)
    _mapping(report, record, table, ledger)
    days = 0 if record.forcing is None else int(record.forcing.notna().all(axis=1).sum())
    if not len(record.observations) and not days:
        return report.decide("unusable", "ingest keeps no observation and no complete day of meteorology of it")
    return report.decide("usable", kept(record), "sites.entries: {source: fluxnet}")


def _mapping(report: Report, record: SiteRecord, table: pd.DataFrame, ledger: Ledger) -> None:
    if record.forcing is not None:
        for suffix in ("F", "ERA"):
            if f"TA_{suffix}" in table:
                day = [name for name in (f"TA_{suffix}_DAY", f"TA_{suffix}_NIGHT") if name in table]
                report.mapping.append(MappingRow("tas", [f"TA_{suffix}"], "degC", "+ 273.15"))
                report.mapping.append(
                    MappingRow("tasmin, tasmax", [f"TA_{suffix}", *day], "degC", "estimated from day and night")
                )
                break
        for name, (columns, factor, _) in fluxnet.FORCING.items():
            used = [column for column in columns if column in table][:1]
            units = _BASES[columns[0].removesuffix("_F")][0]
            shown = "/ 86400" if name == "pr" else f"* {factor:g}" if factor != 1 else ""
            if name == "vpd":
                report.mapping.append(MappingRow("huss", used, units, "from deficit, pressure and extremes"))
                continue
            report.mapping.append(MappingRow(name, used, units, shown))
    made = set(record.observations["variable"])
    for kind, stem, units, conversion in (("tsl", "TS", "degC", "+ 273.15"), ("swc", "SWC", "%", "/ 100")):
        for depth, column in fluxnet._sensors(record.name, table, stem, {}, ledger).items():
            if f"{kind}{depth:02d}" in made:
                report.mapping.append(MappingRow(f"{kind}{depth:02d}", [column], units, conversion))
    if "fch4" in made:
        report.mapping.append(MappingRow("fch4", ["FCH4"], "nmol m-2 s-1", "* 1.3861", "unit not verified in the file"))
    if "nee" in made:
        source = [name for name in ("NEE_VUT_REF", "NEE_F", "NEE") if name in table][:1]
        report.mapping.append(MappingRow("nee", source, "", "to g C m-2 d-1"))
    if "evspsbl" in made:
        report.mapping.append(MappingRow("evspsbl", ["LE_F_MDS"], "W m-2", "/ 2.45e6 J kg-1"))
