"""Site text with a reader in ingest: VIC towers (stdfmt), the plain chamber table, PANGAEA text of Voigt et al."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError
from ...ingest.sites import chambers, stdfmt, voigt
from .. import places, times
from ..frames import Spec, judge_frame, specs_of
from ..probe import Probe
from ..readers import through
from ..report import MappingRow, Report, refused

_DATE = re.compile(r"^\s*(\d{4})\s+(\d{1,2})\s+(\d{1,2})\s")


def recognise(probe: Probe) -> Report | None:
    """One of the three layouts."""
    if probe.kind != "text":
        return None
    first = probe.first_row
    if _DATE.match(first) and len(first.split()) == len(stdfmt.COLUMNS):
        return _stdfmt(Report(str(probe.path), "stdfmt", "VIC tower file, daily (stdfmt)"), probe)
    if set(chambers.REQUIRED) <= set(probe.header()) or {"datetime_utc", "flux", "flux_unit"} <= set(probe.header()):
        return _chambers(Report(str(probe.path), "chambers", "plain chamber table"), probe)
    if first.startswith("/*"):
        return _pangaea(Report(str(probe.path), "pangaea", "PANGAEA text"), probe)
    return None


def _stdfmt(report: Report, probe: Probe) -> Report:
    try:
        table = stdfmt.read_file(probe.path, probe.encoding)
    except FluxAtlasError as problem:
        return refused(report, problem)
    site = probe.name.split(".")[0]
    report.details["site"] = site
    times.judge(report, np.asarray(table.index, "datetime64[s]"), zone="not stated")
    report.note("units-not-in-file", "the file has no header: columns and units are those of its documentation")
    fluxes = [name for name in table.columns if not name.startswith("Tsdep")]
    specs = specs_of(stdfmt.LAYOUT, table.columns)
    judge_frame(report, table, specs, stamps=pd.DatetimeIndex(table.index), empty=fluxes)
    for name in ("SWnet", "LWnet"):
        zeros = float((table[name] == 0).mean())
        if zeros > 0.02:
            report.warn("zero-as-missing", f"{100 * zeros:.0f} % of the values are 0.00: absent is stored as 0", name)
    return through(report, probe, "stdfmt", nothing="unusable")


def _chambers(report: Report, probe: Probe) -> Report:
    try:
        table = chambers.read_file(str(probe.path), probe.encoding)
    except FluxAtlasError as problem:
        return refused(report, problem)
    sites = table.drop_duplicates("site")
    places.judge(report, sites["lat"], sites["lon"], [str(name) for name in sites["site"]])
    clock = table["datetime_utc"]
    times.judge(report, np.unique(np.asarray(clock, "datetime64[s]")), zone="UTC")
    units = sorted({str(unit) for unit in table["flux_unit"]})
    signs = sorted({str(sign) for sign in table["flux_sign"]})
    report.details |= {"sites": len(sites), "flux_units": units, "flux_signs": signs}
    shown = [n for n in ("flux", "flux_sd", "soil_temperature", "soil_moisture") if n in table]
    judge_frame(report, table[shown], {"flux": Spec(", ".join(units), units_from="file")}, ordered=False)
    report.mapping.append(MappingRow("fch4", ["flux"], ", ".join(units), "by flux_unit and flux_sign of every row"))
    return through(report, probe, "chambers", nothing="unusable")


def _pangaea(report: Report, probe: Probe) -> Report:
    found = re.search(r"https://doi\.org/(10\.\d+/[\w.]+)", probe.text[:4000])
    report.details["doi"] = found[1] if found else ""
    try:
        table = voigt.read_tab(probe.path, probe.encoding)
    except FluxAtlasError as problem:
        report = refused(report, problem)
        report.status = "no_reader" if "*/" in probe.text else report.status
        return report
    report.format, report.product = "voigt", "CH4 uptake of upland soils, manual chambers (Voigt et al. 2023)"
    stamps = pd.to_datetime(table["Date"].astype(object), errors="coerce", format="ISO8601")
    times.judge(report, np.unique(np.asarray(stamps.dropna(), "datetime64[s]")), zone="local date")
    spots = table[["Latitude", "Longitude"]].apply(pd.to_numeric, errors="coerce").drop_duplicates()
    places.judge(report, spots["Latitude"], spots["Longitude"])
    shown = ["CH4_Flux_ug_m2_h", "Soil_Temp_Flux_C", "Soil_Moisture_VWC"]
    specs = specs_of(voigt.LAYOUT, shown, units_from="file") | {shown[2]: Spec("%", "swc05", 0.01, units_from="file")}
    judge_frame(report, table[shown], specs, ordered=False, subdaily=True)
    return through(report, probe, "voigt", nothing="unusable")
