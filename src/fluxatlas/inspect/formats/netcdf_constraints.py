"""Gridded constraints in NetCDF: fluxes of inversions, soil moisture on grids, on EASE-Grid 2.0 or as cell files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FluxAtlasError, InputError
from ...ingest.constraints.recognise import recognise
from ..probe import Probe
from ..report import MappingRow, Report, refused

if TYPE_CHECKING:
    from ...ingest.constraints.recognise import Recognised

LARGEST = 200e6
"""Bytes of a file up to which the loader reads all of it."""


def decide(report: Report, probe: Probe) -> Report:
    """The verdict of the loader of the kind that the file is of; ``report`` as it is where it is of none."""
    if report.space is not None and report.space.kind == "point":
        return report
    try:
        found = recognise(probe.path)
    except InputError as problem:
        if "fits several kinds" not in problem.what:
            return report
        report.note("ambiguous-kind", problem.what)
        return report.decide("usable", f"a gridded constraint, but {problem.what}: say which", "constraints.sets")
    report.format = {"inversion": "inversion", "soil_moisture": "soil-moisture"}[found.family]
    report.product = found.title
    key = f"constraints.sets: {{kind: {found.kind}}}"
    if probe.size > LARGEST:
        report.note("not-read-whole", f"larger than {LARGEST / 1e6:.0f} MB: recognised, but not read to the end")
        report.use("constraints.sets", kind=found.kind)
        return report.decide("usable", f"{found.title}: gridded constraint", key)
    try:
        text = _inversion(report, found, probe) if found.family == "inversion" else _soil(report, found, probe)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.use("constraints.sets", kind=found.kind)
    return report.decide("usable", text, key)


def _inversion(report: Report, found: Recognised, probe: Probe) -> str:
    from ...ingest.constraints.inversions import load_inversion

    flux = load_inversion(probe.path, found.kind)
    report.mapping.append(MappingRow("fco2", [str(flux.attrs.get("source_variable", ""))], "", "to gC m-2 d-1"))
    for name in ("sign", "fire_included", "lateral", "fossil_adjusted", "global_sum"):
        if name in flux.attrs:
            report.details[name] = flux.attrs[name]
    members = flux.sizes.get("member", 1)
    return f"net land flux of {members} members over {flux.sizes['time']:,} steps"


def _soil(report: Report, found: Recognised, probe: Probe) -> str:
    from ...ingest.constraints.soil_moisture import load_soil_moisture

    data = load_soil_moisture(probe.path, found.kind)
    names = [str(name) for name in data.data_vars if not str(name).endswith("_sd")]
    parts = []
    for name in names:
        kept, lost = int(data.attrs.get(f"kept_{name}", 0)), int(data.attrs.get(f"flagged_{name}", 0))
        parts.append(f"{name}: {kept:,} values kept, {lost:,} flagged")
        layer = str(data.attrs.get(f"layer_{name}", ""))
        report.mapping.append(MappingRow(name, [], "", layer))
    return f"soil moisture of {data.sizes['time']:,} days ({'; '.join(parts)})"
