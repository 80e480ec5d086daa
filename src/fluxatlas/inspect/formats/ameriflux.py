"""AmeriFlux: BASE files (half-hourly CSV, alone or zipped), Level 2 CSV with a header block, BADM as BIF.

Units are those of AmeriFlux's documentation of variables (BASE) or of the file's own line of units (Level 2).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError
from ...ingest.sites import ameriflux_l2, badm
from ...ingest.sites.ameriflux import LAYOUT
from ...ingest.sites.text import read_table
from .. import places, times
from ..frames import Spec, judge_frame, specs_of
from ..probe import Probe
from ..readers import through
from ..report import Report, refused


def recognise(probe: Probe) -> Report | None:
    """A BASE or Level 2 table."""
    if probe.kind != "text":
        return None
    if probe.lines[0].startswith("Sitename:") and any(line.startswith("YEAR,") for line in probe.lines[:60]):
        return _level2(Report(str(probe.path), "ameriflux-l2", "AmeriFlux Level 2"), probe)
    commented = any(line.startswith("# Site:") for line in probe.lines[:5])
    if commented and "TIMESTAMP_START" in probe.header():
        return base(Report(str(probe.path), "ameriflux-base", "AmeriFlux BASE"), probe, probe.text, probe.lines)
    return None


def base(report: Report, probe: Probe, text: str, lines: list[str]) -> Report:
    """The report on the text of a BASE table."""
    facts = dict(re.findall(r"^#\s*(\w+):\s*(.+)$", "\n".join(lines[:5]), re.MULTILINE))
    report.details["site"], report.version = facts.get("Site", "").strip(), facts.get("Version", "").strip()
    try:
        table = read_table(report.path, required=("TIMESTAMP_START",), keep=lambda name: True, comment="#", text=text)
    except FluxAtlasError as problem:
        return refused(report, problem)
    clock = pd.to_datetime(table["TIMESTAMP_START"].astype(str).str[:12], format="%Y%m%d%H%M", errors="coerce")
    times.judge(report, np.asarray(clock, "datetime64[s]"), zone="local standard time")
    columns = [name for name in table.columns if not name.startswith("TIMESTAMP")]
    usual = float(pd.Series(clock).diff().median() / pd.Timedelta("1s"))
    step = usual if usual >= 60 else 1800.0
    specs = specs_of(LAYOUT, columns, step=step)
    report.note("units-not-in-file", "the file states no units: those of the network's documentation are shown")
    judge_frame(report, table[columns], specs, stamps=clock, subdaily=True, day_steps=round(86400 / step))
    gaps = {v.name: v.n - v.missing for v in report.variables if v.name in ("FC", "FCH4", "LE", "H", "NEE_PI")}
    if gaps:
        counted = ", ".join(f"{name} {n:,} of {len(table):,}" for name, n in gaps.items())
        report.note("not-gap-filled", f"measured values, not gap-filled: {counted}")
    return through(report, probe, "ameriflux")


def _level2(report: Report, probe: Probe) -> Report:
    lines = probe.text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("YEAR,"))
    names = [cell.strip() for cell in lines[at].split(",")]
    units = [cell.strip() for cell in (lines[at + 1] if at + 1 < len(lines) else "").split(",")]
    _position(report, lines[:at])
    first = next((i for i in range(at + 1, len(lines)) if re.match(r"\d{4},", lines[i])), None)
    if first is None:
        return report.decide("unusable", "the header is there but no rows")
    body = "\n".join([lines[at].replace(", ", ","), *(line for line in lines[first:] if line.strip())])
    try:
        table = read_table(report.path, required=("YEAR", "DOY", "HRMIN"), keep=lambda name: True, text=body)
    except FluxAtlasError as problem:
        return refused(report, problem)
    number = {name: pd.to_numeric(table[name], errors="coerce") for name in ("YEAR", "DOY", "HRMIN")}
    sane = number["YEAR"].between(1900, 2100) & number["DOY"].between(0, 367) & number["HRMIN"].between(0, 2400)
    filled = {name: column.where(sane, 0).astype("int64") for name, column in number.items()}
    clock = pd.to_datetime(filled["YEAR"].where(sane, 2000).astype(str) + "-01-01") + pd.to_timedelta(
        (filled["DOY"] - 1) * 1440 + filled["HRMIN"] // 100 * 60 + filled["HRMIN"] % 100, unit="m"
    )
    times.judge(report, np.asarray(clock.where(sane), "datetime64[s]"), zone="local standard time")
    skip = {"YEAR", "GAP", "DTIME", "DOY", "HRMIN"}
    known, stated = specs_of(ameriflux_l2.LAYOUT, names, step=1800.0), zip(names, units, strict=False)
    specs = {name: replace(known.get(name, Spec()), units=unit, units_from="file") for name, unit in stated}
    columns = [name for name in table.columns if name and name not in skip]
    judge_frame(report, table[columns], specs, stamps=clock, subdaily=True, day_steps=48)
    return through(report, probe, "ameriflux_l2")


def _position(report: Report, lines: list[str]) -> None:
    text = "\n".join(lines)
    found = re.search(r"Latitude:\s*([-\d.]+)\s+Longitude:\s*([-\d.]+)", text)
    name = re.search(r"Sitename:\s*(.+)", text)
    site = name[1].strip() if name else ""
    report.details["site"] = site
    try:
        if found:
            places.judge(report, [float(found[1])], [float(found[2])], [site])
    except ValueError:
        report.warn("position-impossible", f"the position '{found[0] if found else ''}' is not a number")


def badm_facts(report: Report) -> Report:
    """The facts on sites, or the depths of sensors, that ingest takes from a BIF."""
    report.format, report.product = "ameriflux-bif", "AmeriFlux BADM interchange file (BIF)"
    try:
        data = Path(report.path).read_bytes()
        facts, depths = badm.site_facts(data, report.path), badm.sensor_depths(data, report.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    names = [name for name in facts if {"lat", "lon"} <= set(facts[name])]
    if names:
        report.details["sites"] = len(names)
        places.judge(report, [facts[n]["lat"] for n in names], [facts[n]["lon"] for n in names], names)
        return report.decide("part", f"positions of {len(names):,} sites", "sites.entries: metadata")
    if depths:
        report.details["sensors"] = sorted(depths)
        return report.decide("part", f"depths of {len(depths):,} soil sensors: leave it beside the data of its site")
    return report.decide("no_reader", "a BIF without positions of sites or depths of soil sensors")
