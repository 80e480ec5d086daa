"""Tables of soil properties by mapping unit: HWSD 1 and 2 as CSV."""

from __future__ import annotations

from ...config.providers import SOIL
from ...config.static import Layer
from ...errors import FluxAtlasError
from ...regrid.tables import HWSD1, HWSD2, units_of
from ..probe import Probe
from ..report import MappingRow, Report, refused


def recognise(probe: Probe) -> Report | None:
    """A table with the mapping units of HWSD, judged by the reader of the static stage."""
    if probe.kind != "text":
        return None
    columns = {name.strip().upper() for mark in ",;\t|" for name in probe.header(mark)}
    version = {HWSD1: "HWSD 1", HWSD2: "HWSD 2"}.get(next((code for code in (HWSD1, HWSD2) if code in columns), ""))
    if version is None or "SHARE" not in columns:
        return None
    report = Report(str(probe.path), "soil-table", f"{version}, soils by mapping unit")
    for name in SOIL:
        try:
            units = units_of(name, Layer(path="map.tif", table=str(probe.path), provider="hwsd"))
        except FluxAtlasError as problem:
            return refused(report, problem)
        report.details["mapping_units"] = len(units.codes)
        report.mapping.append(MappingRow(name, [name], "", "mean of the upper 30 cm by share"))
    verdict = f"soils of {report.details['mapping_units']:,} mapping units: give it with their map"
    report.use("static.soil.table")
    return report.decide("part", verdict, "static.soil.table")
