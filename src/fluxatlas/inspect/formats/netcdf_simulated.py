"""NetCDF of the simulation of X-MethaneWet: no coordinates, twelve months of 31 days."""

from __future__ import annotations

import xarray as xr

from ...errors import InputError
from ...ingest.simulated_year import KINDS, held, named
from ..datasets import Axes
from ..probe import Probe
from ..report import MappingRow, Report


def decide(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> Report | None:
    """The verdict for a year of the simulation, or None where it is something else."""
    name = held(dataset)
    if name is None or roles.lat or roles.time:
        return None
    report.format, report.product = "xmethanewet-year", "X-MethaneWet, a year of the simulation"
    report.note(
        "no-coordinates", "rows and columns of half a degree from the south pole and the date line, 12 x 31 days"
    )
    try:
        kind, year = named(probe.path)
    except InputError as problem:
        return report.decide("no_reader", f"{problem.what}: {problem.hint}")
    if kind == "CH4":
        report.note("units-not-in-file", "mg m-2 d-1 of wetland, upward, is taken: the file states neither", name)
    canonical, factor, offset = KINDS[kind]
    shown = f"* {factor:g}" + (f" + {offset:g}" if offset else "")
    report.mapping.append(MappingRow(canonical, [name], "", shown, "365 days; 30 February and its like are left out"))
    text = f"{canonical} of {year}: `fluxatlas ingest simulated-year` brings it onto cells and days"
    return report.decide("part", text, "fluxatlas ingest simulated-year")
