"""Zip files that are not those of sites: packed NetCDF of the climate data store, Excel workbooks."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from ...errors import FluxAtlasError, InputError, counted
from ...ingest.sites.workbook import sheets
from ...ingest.source import recognise as recognise_mapping
from ...magic import DAMAGE
from ..probe import Probe
from ..registry import inspect_path, refused
from ..report import Report
from . import tables, vectors
from .netcdf_forcing import keys_of

MOST_BYTES = 1024 * 2**20
"""Unpacked size above which the members of a zip are only listed."""


def recognise(probe: Probe) -> Report | None:
    """A zip of whatever kind."""
    if probe.kind != "zip":
        return None
    report = Report(str(probe.path), "zip", "zip archive")
    try:
        with zipfile.ZipFile(probe.path) as packed:
            names = [info.filename for info in packed.infolist() if not info.is_dir()]
            if "xl/workbook.xml" in names:
                return _workbook(report, probe)
            return _archive(report, probe, packed, names)
    except DAMAGE as problem:
        hint = "delete it and download it again"
        return refused(report, InputError(f"cannot be read as a zip ({problem})", where=report.path, hint=hint))


def _archive(report: Report, probe: Probe, packed: zipfile.ZipFile, names: list[str]) -> Report:
    report.details["members"] = names[:50]
    total = sum(info.file_size for info in packed.infolist())
    if not names:
        return report.decide("unusable", "the zip holds no files")
    if any(name.lower().endswith(".shp") for name in names):
        report.format = "shapefile-zip"
        return vectors.shapes(report)
    if total > MOST_BYTES:
        return report.decide(
            "no_reader", f"a zip of {counted(len(names), 'file')} ({total / 2**20:.0f} MiB): unpack it first"
        )
    return _members(report, packed, names)


def _members(report: Report, packed: zipfile.ZipFile, names: list[str]) -> Report:
    """Inspect up to five members; a zip is not read by ingest, so its files must be unpacked."""
    verdicts, inside = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in names[:5]:
            target = Path(folder) / (PurePosixPath(name).name or "member")
            target.write_bytes(packed.read(name))
            inner = inspect_path(target)
            inside.append(inner)
            verdicts.append(f"{name}: {inner.format or 'unknown'}, {inner.verdict}")
            if not report.variables:
                report.variables, report.time, report.space = inner.variables, inner.time, inner.space
                report.findings += inner.findings
    report.details["contents"] = verdicts
    netcdf = [inner.usable and inner.format == "netcdf-grid" for inner in inside]
    if netcdf and all(netcdf) and len(names) <= 5:
        report.format, report.product = "zip-netcdf", inside[0].product
        report.mapping = [row for inner in inside for row in inner.mapping]
        try:
            whole = recognise_mapping([report.path])
        except FluxAtlasError:
            whole = None
        if whole:
            report.use("forcing", **keys_of(whole))
            text = f"ingest reads such a zip as it is: it holds all variables of the mapping {whole}"
            return report.decide("usable", text, f"forcing: {{source: {whole}}}")
        report.uses = inside[0].uses
        return report.decide("part", "ingest reads such a zip as it is: " + inside[0].verdict, inside[0].reader)
    return report.decide("no_reader", f"a zip of {counted(len(names), 'file')}: unpack it, then inspect what it holds")


def _workbook(report: Report, probe: Probe) -> Report:
    """Sheets of an Excel workbook with their extent, and the words of the first row."""
    report.format, report.product = "xlsx", "Excel workbook"
    try:
        found = sheets(probe.path.read_bytes(), report.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    first = next((row for row in next(iter(found.values()), []) if any(row)), [])
    extents = [f"{len(rows)} rows of {max(map(len, rows), default=0)}" for rows in found.values()]
    report.details |= {"sheets": list(found), "extents": extents, "first_row": first[:30]}
    if {"SITE_ID", "GROUP_ID", "VARIABLE", "DATAVALUE"} <= set(first):
        report.format, report.product = "ameriflux-bif", "AmeriFlux BADM interchange file (BIF)"
        return tables.badm_facts(report)
    if any("Carbon Budget" in sheet for sheet in found):
        report.product = "Excel workbook of the Global Carbon Budget"
    return report.decide("no_reader", "an Excel workbook: no reader yet; save its sheet as CSV")
