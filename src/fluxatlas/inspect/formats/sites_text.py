"""Site text with a reader in ingest: VIC towers (stdfmt), the plain chamber table, PANGAEA text of Voigt et al."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry, SiteInfo
from ...errors import FluxAtlasError
from ...ingest.sites import chambers, stdfmt, voigt
from ...ingest.sites.records import Ledger
from .. import places, times
from ..frames import Spec, judge_frame
from ..probe import Probe
from ..readers import from_record, kept
from ..report import MappingRow, Report, refused

_DATE = re.compile(r"^\s*(\d{4})\s+(\d{1,2})\s+(\d{1,2})\s")
STDFMT: dict[str, Spec] = {
    "PREC": Spec("mm d-1", "pr", 1 / 86400),
    "Tmax": Spec("degC", "tasmax", 1.0, 273.15),
    "Tmin": Spec("degC", "tasmin", 1.0, 273.15),
    "Tair": Spec("degC", "tas", 1.0, 273.15),
    "SWdown": Spec("W m-2", "rsds"),
    "LWdown": Spec("W m-2", "rlds"),
    "RH": Spec("%", "hurs"),
    "Patm": Spec("kPa", "ps", 1000.0),
    "Wind": Spec("m s-1", "sfcWind"),
    "ET": Spec("mm d-1", "evspsbl", 1 / 86400),
    **{f"Tsdep{i}": Spec("cm", kind="flag") for i in range(1, 6)},
    **{f"SM{i}": Spec("m3 m-3", "swc05") for i in range(1, 6)},
    **{f"Tsoil{i}": Spec("degC", "tsl05", 1.0, 273.15) for i in range(1, 6)},
    **{name: Spec("W m-2") for name in ("SWnet", "LWnet", "H", "LE", "FG")},
}


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
    judge_frame(report, table, STDFMT, stamps=pd.DatetimeIndex(table.index), empty=fluxes)
    for name in ("SWnet", "LWnet"):
        zeros = float((table[name] == 0).mean())
        if zeros > 0.02:
            report.warn("zero-as-missing", f"{100 * zeros:.0f} % of the values are 0.00: absent is stored as 0", name)
    return _run(report, probe, stdfmt, "stdfmt", site)


def _run(report: Report, probe: Probe, reader: Any, source: str, site: str) -> Report:
    """Run the reader of one site that does not state its coordinates, with a stand-in for them."""
    entry = SiteEntry(
        source=source,  # type: ignore[arg-type]
        path=[str(probe.path)],
        sites=[SiteInfo(site=site or "site", lat=45.0, lon=0.0)],
        encoding=probe.encoding,
    )
    ledger = Ledger()
    try:
        (record,) = reader.read([str(probe.path)], entry, QcRules(), ledger)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.note("position-not-in-file", "coordinates are not in the file: list the site in the entry")
    from_record(report, record, ledger)
    made = sorted(set(record.observations["variable"]))
    conversions = {"tsl": "+ 273.15", "swc": "", "evspsbl": "/ 86400"}
    for name in made:
        report.mapping.append(MappingRow(name, ["by sensor depth"], "", conversions.get(name.rstrip("0123456789"), "")))
    for name, (column, factor, offset) in stdfmt.FORCING.items():
        shown = "+ 273.15" if offset else f"* {factor:g}" if factor != 1 else ""
        shown = {"pr": "/ 86400", "hurs": "from humidity, pressure and temperature"}.get(name, shown)
        report.mapping.append(MappingRow("huss" if name == "hurs" else name, [column], STDFMT[column].units, shown))
    days = 0 if record.forcing is None else int(record.forcing.notna().all(axis=1).sum())
    if not days:
        report.note("no-own-weather", "no day has complete meteorology")
    if record.observations.empty and not days:
        return report.decide("unusable", "ingest keeps nothing of it")
    return report.decide("usable", kept(record), f"sites.entries: {{source: {source}}}")


def _chambers(report: Report, probe: Probe) -> Report:
    entry, ledger = SiteEntry(source="chambers", path=[str(probe.path)], encoding=probe.encoding), Ledger()
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
    try:
        records = chambers.read([str(probe.path)], entry, QcRules(), ledger)
    except FluxAtlasError as problem:
        return refused(report, problem)
    for record in records[:20]:
        from_record(report, record, ledger)
    report.mapping.append(MappingRow("fch4", ["flux"], ", ".join(units), "by flux_unit and flux_sign of every row"))
    n = sum(len(record.observations) for record in records)
    if not n:
        return report.decide("unusable", "ingest keeps no value of it")
    text = f"ingest makes {n:,} daily observations at {len(records)} sites of it"
    return report.decide("usable", text, "sites.entries: {source: chambers}")


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
    specs = {
        "CH4_Flux_ug_m2_h": Spec("ug m-2 h-1", "fch4", 0.024, units_from="file"),
        "Soil_Temp_Flux_C": Spec("degC", "tsl05", 1.0, 273.15, units_from="file"),
        "Soil_Moisture_VWC": Spec("%", "swc05", 0.01, units_from="file"),
    }
    judge_frame(report, table[list(specs)], specs, ordered=False, subdaily=True)
    entry, ledger = SiteEntry(source="voigt", path=[str(probe.path)], encoding=probe.encoding), Ledger()
    try:
        records = voigt.read([str(probe.path)], entry, QcRules(), ledger)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.mapping += [
        MappingRow("fch4", ["CH4_flux"], "ug CH4 m-2 h-1", "* 0.024", "taken as mass of CH4, not CH4-C"),
        MappingRow("tsl05", ["Soil_T_flux"], "degC", "+ 273.15"),
        MappingRow("swc05", ["VWC"], "%", "/ 100"),
    ]
    n = sum(len(record.observations) for record in records)
    text = f"ingest makes {n:,} daily observations at {len(records)} sites of it"
    return report.decide("usable" if n else "unusable", text, "sites.entries: {source: voigt}")
