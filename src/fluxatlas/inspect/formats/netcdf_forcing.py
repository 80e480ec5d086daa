"""Gridded forcing: which shipped mapping reads it, or which declared mapping would, checked by reading a day."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import xarray as xr
import yaml

from ... import variables as table
from ...errors import FluxAtlasError
from ...ingest.declaration import MAPPINGS, DeclaredMapping, load_mapping
from ...ingest.mapping import MappedSource
from ...ingest.source import recognise as recognise_mapping
from ..datasets import Axes
from ..names import canonical_name, conversion
from ..probe import Probe
from ..report import MappingRow, Report

FORCING = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")
STEPS = {"1 h": 1, "2 h": 2, "3 h": 3, "4 h": 4, "6 h": 6, "8 h": 8, "12 h": 12, "1 d": 24}
MOST_CELLS = 64
"""Rows and columns of the window that is read to check a mapping."""


def decide(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> Report | None:
    """The verdict for meteorology on a regular grid, or None where it is something else."""
    if roles.layout != "grid" or not roles.time or dataset[roles.time].size < 2:
        return None
    names = {str(name) for name in dataset.data_vars if roles.time in dataset[name].dims}
    if not names:
        return None
    chosen, shipped = _shipped(report, probe, names), True
    if chosen is None:
        chosen, shipped = _proposed(report, dataset, names), False
    if chosen is None:
        return None
    name, mapping = chosen
    report.product = mapping.title if shipped else report.details["attributes"].get("title", "") or "gridded CF data"
    report.format = "zarr-grid" if report.format == "zarr" else "netcdf-grid"
    made = [v for v, how in mapping.variables.items() if set(how.sources) <= names]
    if report.format == "zarr-grid":
        _rows(report, mapping, made, {})
        return report.decide("no_reader", "gridded Zarr: recognised, no reader yet (forcing is read from NetCDF)")
    return _verify(report, mapping, made, names, probe, f"source: {name}" if shipped else "source: mapping")


def _shipped(report: Report, probe: Probe, names: set[str]) -> tuple[str, DeclaredMapping] | None:
    """The shipped mapping that reads all of the file's raw variables, or most of its own from it."""
    if report.format == "zarr":
        whole = None
    else:
        try:
            whole = recognise_mapping([probe.path])
        except FluxAtlasError:
            whole = None
    if whole:
        return whole, load_mapping(whole)
    fine = report.space is not None and min(report.space.cell or [1.0]) < 0.2
    best: tuple[int, str] | None = None
    for path in sorted(MAPPINGS.glob("*.yaml")):
        if path.stem == ("era5" if fine else "era5_land") or path.stem == "livneh":
            continue  # generic names such as 'temp' say nothing as long as they are not all there
        try:
            shared = len(set(load_mapping(path.stem).raw) & names)
        except FluxAtlasError:
            continue
        if shared and (best is None or shared > best[0]):
            best = shared, path.stem
    return (best[1], load_mapping(best[1])) if best else None


def _proposed(report: Report, dataset: xr.Dataset, names: set[str]) -> tuple[str, DeclaredMapping] | None:
    """A declared mapping for CF files: variables whose name or standard name is a canonical one."""
    step = STEPS.get(report.time.step if report.time else "")
    found = {canonical_name(n, dataset[n].attrs): n for n in sorted(names)}
    known = {canonical: raw for canonical, raw in found.items() if canonical in FORCING}
    if not known:
        return None
    if step is None:
        shown = report.time.step if report.time else "unknown"
        report.error("step", f"the step is {shown or 'unknown'}; a mapping reads steps of {', '.join(STEPS)}")
        step = 24
    made: dict[str, Any] = {canonical: {"of": raw} for canonical, raw in known.items()}
    if "tas" in made and step < 24:
        made = {"tasmin": {"of": known["tas"]}, "tasmax": {"of": known["tas"]}, **made}
    raws: dict[str, Any] = {}
    for canonical, raw in known.items():
        raws[raw] = {"time": "interval"}
        label = str(dataset[raw].attrs.get("units", ""))
        if not label or conversion(label, canonical)[2]:
            raws[raw] |= {"units": table.get(canonical).units, "reason": "check the unit: the label is unusable"}
    declared = {
        "title": str(dataset.attrs.get("title", "")) or "regular grid",
        "citation": "add how to cite it",
        "step_hours": step,
        "raw": raws,
        "variables": made,
    }
    report.details["proposed_mapping"] = yaml.safe_dump(declared, sort_keys=False)
    return "mapping", DeclaredMapping.model_validate(declared)


def _verify(
    report: Report, mapping: DeclaredMapping, made: list[str], names: set[str], probe: Probe, source_key: str
) -> Report:
    """Read one day of the variables that can be made, and say what else is needed."""
    if any(f.level == "error" for f in report.findings):
        _rows(report, mapping, made, {})
        reason = next(f.message for f in report.findings if f.level == "error")
        return report.decide("unusable", reason)
    try:
        source = MappedSource(mapping, [probe.path])
        overrides = json.loads(source.attrs["unit_overrides"])
        _rows(report, mapping, made, overrides)
        if not made:
            raw = sorted(set(mapping.raw) & names)
            lacking = sorted({s for v in mapping.variables.values() if set(v.sources) & set(raw) for s in v.sources})
            need = ", ".join(n for n in lacking if n not in names)
            return report.decide("part", f"holds {', '.join(raw)}; together with {need} it makes forcing", source_key)
        day, read = _read_day(source, made)
    except FluxAtlasError as problem:
        where = f" ({problem.where})" if problem.where and len(problem.where) < 300 else ""
        report.error("refused", f"{problem.what}{where}" + (f"; {problem.hint}" if problem.hint else ""))
        return report.decide("unusable", f"ingest refuses it: {problem.what}")
    report.details["checked"] = f"ingest read {', '.join(read)} of {day}"
    absent = [name for name in FORCING if name not in made]
    key = f"forcing: {{{source_key}}}"
    if absent:
        needed = sorted(set(mapping.raw) - names) if source_key != "source: mapping" else absent
        text = f"ingest makes {', '.join(made)} of it (read {day}); still needed from other files: {', '.join(needed)}"
        return report.decide("part", text, key)
    return report.decide("usable", f"ingest makes all forcing of it (read {day} to check)", key)


def _read_day(source: MappedSource, made: list[str]) -> tuple[str, list[str]]:
    """Read one whole day of a small window; the second day of the file, or the first of a file of one day."""
    stamps = source.archive.files[0].times
    first = stamps[0].astype("datetime64[D]")
    if stamps[0] > first + np.timedelta64(0, "s"):
        first = first + np.timedelta64(1, "D")
    days = (stamps[-1].astype("datetime64[D]") - first).astype(int)
    day = first + np.timedelta64(1 if days >= 2 else 0, "D")
    lat, lon, (height, width) = source.grid.lat, source.grid.lon, source.grid.cell
    rows, columns = min(lat.size, MOST_CELLS), min(lon.size, MOST_CELLS)
    a, b = (lat.size - rows) // 2, (lon.size - columns) // 2
    part_lat, part_lon = lat[a : a + rows], lon[b : b + columns]
    east, west = float(part_lon.max()), float(part_lon.min())
    box = (
        west - 0.4 * width,
        max(float(part_lat.min()) - 0.4 * height, -90.0),
        east + 0.4 * width,
        min(float(part_lat.max()) + 0.4 * height, 90.0),
    )
    next(source.blocks(day, day + np.timedelta64(1, "D"), source.grid.window(box), made))
    return str(day), made


def _rows(report: Report, mapping: DeclaredMapping, made: list[str], overrides: dict[str, str]) -> None:
    """One row per canonical variable: sources, unit, how it is made, and the override."""
    labels = {summary.name: summary.units for summary in report.variables}
    for name in made:
        how = mapping.variables[name]
        kinds = {mapping.raw[raw].time for raw in how.sources}
        units = ", ".join(mapping.raw[raw].units or labels.get(raw, "") for raw in how.sources)
        words = {"accumulated": "differenced since 00 UTC", "instant": "", "interval": ""}
        day = {"minimum": "daily minimum", "maximum": "daily maximum"}.get(table.get(name).time, "daily mean")
        steps = [how.rule.replace("_", " ") if how.rule else "", *(words[kind] for kind in kinds), day]
        why = "; ".join(re.sub(r"\s+", " ", overrides[raw]) for raw in how.sources if raw in overrides)
        conversion_text = ", ".join(step for step in steps if step)
        report.mapping.append(MappingRow(name, list(how.sources), units, conversion_text, why))
