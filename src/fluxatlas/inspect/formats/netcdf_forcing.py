"""Gridded forcing: which shipped mapping reads it, or which declared mapping would, checked by reading a day."""

from __future__ import annotations

import dataclasses
import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml
from pydantic import ValidationError

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
STEPS = {"30 min": 0.5, "1 h": 1, "2 h": 2, "3 h": 3, "4 h": 4, "6 h": 6, "8 h": 8, "12 h": 12, "1 d": 24}
MOST_CELLS = 64
"""Rows and columns of the window that is read to check a mapping."""


def decide(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> Report | None:
    """The verdict for meteorology on a regular grid, or None where it is something else."""
    one_cell = roles.layout == "point" and {roles.lat, roles.lon} <= set(map(str, dataset.dims))
    if not (one_cell or roles.layout == "grid") or not roles.time:
        return None
    names = {str(name) for name in dataset.data_vars if roles.time in dataset[name].dims}
    if dataset[roles.time].size < 2:
        return _one_step(report, dataset, roles, probe)
    if not names:
        return None
    chosen, shipped = _shipped(report, probe, names), True
    if chosen is None:
        chosen, shipped = _proposed(report, dataset, names, roles.time), False
    if chosen is None:
        return None
    name, mapping = chosen
    report.format = "zarr-grid" if report.format == "zarr" else "netcdf-grid"
    decided = _through(report, dataset, name, mapping, shipped, names, probe)
    other = {"era5": "era5_land", "era5_land": "era5"}.get(name)
    if decided.status == "unusable" and other:  # one of the two on the grid of the other
        again = dataclasses.replace(report, findings=[f for f in report.findings if f.code != "refused"], mapping=[])
        again = _through(again, dataset, other, load_mapping(other), True, names, probe)
        if again.usable:
            text = f"the grid is that of {name} but the values are those of {other} (accumulation)"
            again.note("grid-of-another", text)
            return again
    return decided


def _through(
    report: Report,
    dataset: xr.Dataset,
    name: str,
    mapping: DeclaredMapping,
    shipped: bool,
    names: set[str],
    probe: Probe,
) -> Report:
    """The verdict on a file if it is read by ``mapping``."""
    report.product = mapping.title if shipped else report.details["attributes"].get("title", "") or "gridded CF data"
    held = held_raw(mapping, names, probe.path)
    decided = _verify(report, mapping, makeable(mapping, held), held, probe, _key(name, shipped))
    if decided.usable:
        decided.use("forcing", **keys_of(name, shipped))
    return decided


def _one_step(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> Report | None:
    """A file with one step of a shipped mapping: part of an input that cannot be checked alone."""
    wanted = {roles.lat, roles.lon}
    names = {str(name) for name in dataset.data_vars if wanted <= set(map(str, dataset[name].dims))}
    best: tuple[int, str] | None = None
    for path in sorted(MAPPINGS.glob("*.yaml")):
        try:
            mapping = load_mapping(path.stem)
        except FluxAtlasError:
            continue
        held = held_raw(mapping, names, probe.path)
        if len(held) == len(names) > 0 and (best is None or len(held) > best[0]):
            best = len(held), path.stem
    if best is None:
        return None
    mapping = load_mapping(best[1])
    report.product = mapping.title
    report.format = "zarr-grid" if report.format == "zarr" else "netcdf-grid"
    held = held_raw(mapping, names, probe.path)
    _rows(report, mapping, makeable(mapping, held), {}, held)
    report.use("forcing", **keys_of(best[1]))
    text = f"one step of it, with {', '.join(sorted(held.values()))}: a day or year needs all its files"
    return report.decide("part", text, f"forcing: {{{_key(best[1], True)}}}")


def keys_of(name: str, shipped: bool = True) -> dict[str, str]:
    """The keys of the block ``forcing`` that name a mapping; one that is not shipped has no name yet."""
    if name in ("era5", "era5_land", "livneh"):
        return {"source": name}
    return {"source": "mapping", "mapping": name if shipped else ""}


def _key(name: str, shipped: bool) -> str:
    """The same as lines of the block."""
    return ", ".join(f"{key}: {value}" for key, value in keys_of(name, shipped).items() if value)


def held_raw(mapping: DeclaredMapping, names: set[str], path: Path) -> dict[str, str]:
    """Raw variables of ``mapping`` that the file at ``path`` with variables ``names`` holds -> their name in it."""
    found: dict[str, str] = {}
    for key, raw in mapping.raw.items():
        if raw.files and not fnmatch(path.resolve().as_posix(), raw.files):
            continue
        spelled = raw.name or key
        spellings = (spelled,) if isinstance(spelled, str) else spelled
        name = next((name for name in spellings if name in names), None)
        if name is None and "*" in spellings and len(names) == 1:
            name = next(iter(names))
        if name is not None:
            found[key] = name
    return found


def makeable(mapping: DeclaredMapping, held: dict[str, str]) -> list[str]:
    """Canonical variables that can be made of the raw ones ``held``, in the order of the mapping."""
    made: list[str] = []
    for _ in mapping.variables:
        for name, how in mapping.variables.items():
            if name not in made and all(part in held or part in made for part in how.sources):
                made.append(name)
    return [name for name in mapping.variables if name in made]


def _shipped(report: Report, probe: Probe, names: set[str]) -> tuple[str, DeclaredMapping] | None:
    """The shipped mapping that reads all of the file's raw variables, or most of its own from it."""
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
            mapping = load_mapping(path.stem)
        except FluxAtlasError:
            continue
        shared = len(held_raw(mapping, names, probe.path))
        if shared and steps_fit(report, mapping) and (best is None or shared > best[0]):
            best = shared, path.stem
    return (best[1], load_mapping(best[1])) if best else None


def steps_fit(report: Report, mapping: DeclaredMapping) -> bool:
    """Whether the step of the file is that of the mapping."""
    step = report.time.step if report.time else ""
    if mapping.monthly:
        return step == "1 month"
    return STEPS.get(step) == mapping.step_hours


def _stamp(report: Report, dataset: xr.Dataset, time: str, hours: float) -> str:
    """Which moment of its step of so many ``hours`` a time is: what bounds say, else the first and last time of day."""
    bounds = str(dataset[time].attrs.get("bounds", ""))
    if bounds in dataset.variables and dataset[bounds].shape == (dataset[time].size, 2):
        raw, edges = (np.asarray(dataset[name].values, np.float64) for name in (time, bounds))
        place = float(np.median((raw - edges[:, 0]) / np.maximum(edges[:, 1] - edges[:, 0], 1e-12)))
        return "start" if place < 0.25 else "middle" if place < 0.75 else "end"
    stamps = np.asarray(report.series["x"], "datetime64[s]")[[0, -1]]
    first, last = ((stamps - stamps.astype("datetime64[D]")) / np.timedelta64(1, "h")).tolist()
    if abs(first % hours - hours / 2) < 0.1 * hours:
        return "middle"
    return "end" if abs(first - hours) < 0.01 and last == 0.0 else "start"


def _proposed(report: Report, dataset: xr.Dataset, names: set[str], time: str) -> tuple[str, DeclaredMapping] | None:
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
        **({"stamp": stamp} if step < 24 and (stamp := _stamp(report, dataset, time, step)) != "start" else {}),
        "raw": raws,
        "variables": made,
    }
    report.details["proposed_mapping"] = yaml.safe_dump(declared, sort_keys=False)
    try:
        return "mapping", DeclaredMapping.model_validate(declared)
    except ValidationError:  # a proposal that the schema refuses is of no help
        return None


def _verify(
    report: Report, mapping: DeclaredMapping, made: list[str], held: dict[str, str], probe: Probe, key: str
) -> Report:
    """Read one day of the variables that can be made, and say what else is needed."""
    if any(f.level == "error" for f in report.findings):
        _rows(report, mapping, made, {}, held)
        reason = next(f.message for f in report.findings if f.level == "error")
        return report.decide("unusable", reason)
    key = f"forcing: {{{key}}}"
    try:
        if not made:
            _rows(report, mapping, made, {}, held)
            users = [how.sources for how in mapping.variables.values() if set(how.sources) & set(held)]
            lacking = ", ".join(sorted({part for parts in users for part in parts} - set(held)))
            return report.decide("part", f"holds {', '.join(held)}; together with {lacking} it makes forcing", key)
        if mapping.monthly:
            _rows(report, mapping, made, {}, held)
            whole = set(FORCING) <= set(made)
            text = f"monthly means; ingest makes {', '.join(made)} of them"
            return report.decide("usable" if whole else "part", text, key)
        source = MappedSource(mapping, [probe.path])
        _rows(report, mapping, made, json.loads(source.attrs["unit_overrides"]), held)
        day = _read_day(report, source, made)
    except FluxAtlasError as problem:
        where = f" ({problem.where})" if problem.where and len(problem.where) < 300 else ""
        report.error("refused", f"{problem.what}{where}" + (f"; {problem.hint}" if problem.hint else ""))
        return report.decide("unusable", f"ingest refuses it: {problem.what}")
    report.details["checked"] = f"ingest read {', '.join(made)} of {day}"
    absent = [name for name in FORCING if name not in made]
    if not absent:
        return report.decide("usable", f"ingest makes all forcing of it (read {day} to check)", key)
    needed = sorted(set(mapping.raw) - set(held)) or absent
    text = f"ingest makes {', '.join(made)} of it (read {day}); still needed from other files: {', '.join(needed)}"
    return report.decide("part", text, key)


def _read_day(report: Report, source: MappedSource, made: list[str]) -> str:
    """Read one whole day of a small window; the second day of the file, or the first of a file of one day."""
    stamps = np.asarray(report.series["x"], "datetime64[s]")
    first = stamps[0].astype("datetime64[D]")
    if stamps[0] > first + np.timedelta64(0, "s") and source.mapping.step_hours < 24:
        first = first + np.timedelta64(1, "D")
    days = (stamps[-1].astype("datetime64[D]") - first).astype(int)
    day = first + np.timedelta64(1 if days >= 2 else 0, "D")
    lat, lon, (height, width) = source.grid.lat, source.grid.lon, source.grid.cell
    rows, columns = min(lat.size, MOST_CELLS), min(lon.size, MOST_CELLS)
    a, b = (lat.size - rows) // 2, (lon.size - columns) // 2
    part_lat, part_lon = lat[a : a + rows], lon[b : b + columns]
    box = (
        float(part_lon.min()) - 0.4 * width,
        max(float(part_lat.min()) - 0.4 * height, -90.0),
        float(part_lon.max()) + 0.4 * width,
        min(float(part_lat.max()) + 0.4 * height, 90.0),
    )
    next(source.blocks(day, day + np.timedelta64(1, "D"), source.grid.window(box), made))
    return str(day)


def _rows(
    report: Report, mapping: DeclaredMapping, made: list[str], overrides: dict[str, str], held: dict[str, str]
) -> None:
    """One row per canonical variable: sources, unit, how it is made, and the override."""
    labels = {summary.name: summary.units for summary in report.variables}
    words = {"accumulated": "differenced since 00 UTC"}
    for name in made:
        how = mapping.variables[name]
        raws = [part for part in how.sources if part in held]
        kinds = {str(mapping.raw[part].time) for part in raws}
        units = ", ".join(mapping.raw[part].units or labels.get(held[part], "") for part in raws)
        day = {"minimum": "daily minimum", "maximum": "daily maximum"}.get(table.get(name).time, "daily mean")
        steps = [how.rule.replace("_", " ") if how.rule else "", *(words.get(kind, "") for kind in kinds), day]
        why = "; ".join(re.sub(r"\s+", " ", overrides[part]) for part in raws if part in overrides)
        sources = [held.get(part, part) for part in how.sources]
        report.mapping.append(MappingRow(name, sources, units, ", ".join(step for step in steps if step), why))
