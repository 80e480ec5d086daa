"""FLUXNET2015, ICOS and FLUXNET-CH4 text: columns as the products document them, and what ingest makes of them.

Columns and units: Pastorello et al. (2020, doi:10.1038/s41597-020-0534-3); FLUXNET-CH4: Delwiche et al. (2021,
doi:10.5194/essd-13-3607-2021), whose files state no units either.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError
from ...ingest.sites import fluxnet_files
from ...ingest.sites.text import read_table
from .. import times
from ..frames import as_numbers, judge_frame, specs_of
from ..probe import Probe
from ..readers import through
from ..report import Report, refused

FORMATS = {
    "DD": "fluxnet-daily",
    "HH": "fluxnet-half-hourly",
    "WW": "fluxnet-weekly",
    "MM": "fluxnet-monthly",
    "YY": "fluxnet-yearly",
}
LAYOUT = fluxnet_files.layout()
_NAME = re.compile(
    r"^(?P<network>FLX|AMF|ICOSETC)_(?P<site>[A-Za-z0-9-]+)_(?P<product>FLUXNET2015|FLUXNET-CH4|FLUXNET|ICOS\w*)_"
    r"(?P<part>.*)\.csv$",
    re.IGNORECASE,
)
_VERSION = re.compile(r"_(\d{4}-\d{4})_([\w.-]+?)\.csv$")


def recognise(probe: Probe) -> Report | None:
    """A text file with FLUXNET's time column and some of its variables."""
    if probe.kind != "text" or ("AMF" in probe.name and "_BASE" in probe.name):
        return None
    header = probe.header()
    named = _NAME.match(probe.name)
    clock = next((name for name in ("TIMESTAMP", "TIMESTAMP_START") if name in header), None)
    known = [name for name in header if LAYOUT.find(name)]
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
    step, form = fluxnet_files.FORMS.get(width, ("", ""))
    if width == 4 or (width == 8 and clock == "TIMESTAMP_START"):
        step, form = ("YY", "%Y") if width == 4 else ("WW", "%Y%m%d")
    report.format = FORMATS.get(step, "fluxnet")
    clock_times = pd.to_datetime(stamps, format=form or None, errors="coerce") if form else pd.Series(pd.NaT)
    times.judge(report, np.asarray(clock_times, "datetime64[s]"), zone="local standard time")
    shown = [name for name in table.columns if LAYOUT.find(name)]
    specs = specs_of(fluxnet_files.layout(step, report.product), shown, step=fluxnet_files.STEPS.get(step, 86400.0))
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
    return through(report, probe, "fluxnet", nothing="unusable")


def _quality(report: Report, table: pd.DataFrame) -> None:
    """Mean fraction of measured data where the file says it."""
    found = {}
    for name in table.columns:
        stem = name.removesuffix("_QC")
        if name.endswith("_QC") and LAYOUT.find(stem):
            flags = as_numbers(table[name])
            flags = flags[(flags >= 0) & (flags <= 3)]
            if flags.size:
                found[stem] = round(float(flags.mean()), 3)
    if found:
        report.details["mean_qc"] = found
        poor = [name for name, value in found.items() if value < 0.5]
        if poor and max(found.values()) <= 1:
            report.warn("gap-filled", f"mostly gap-filled (mean QC below 0.5): {', '.join(poor[:12])}")
