"""COSORE data sets (Bond-Lamberty et al. 2020): a folder per data set, or one of its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError
from ...ingest.sites import cosore as reader
from ...ingest.sites.inputs import COSORE_FILES
from .. import places, times
from ..frames import judge_frame, specs_of
from ..probe import Probe
from ..readers import through
from ..report import Report, refused

ROLES = {
    "DESCRIPTION.txt": ("site and time zone", True),
    "PORTS.txt": ("chambers and treatments", True),
    "COLUMNS.txt": ("names of the contributed columns", False),
    "CONTRIBUTORS.txt": ("contributors", False),
    "ANCILLARY.csv": ("ancillary measurements", False),
}


def is_dataset(path: Path) -> bool:
    """Whether a folder holds a COSORE data set."""
    return all((path / name).exists() for name in COSORE_FILES)


def recognise(probe: Probe) -> Report | None:
    """A data set folder or one of its text files."""
    if probe.is_folder:
        return _folder(Report(str(probe.path), "cosore", "COSORE data set"), probe) if is_dataset(probe.path) else None
    if probe.kind == "text" and probe.name in ROLES and "CSR_" in probe.text[:20_000]:
        return _text(Report(str(probe.path), "cosore-text", "COSORE metadata"), probe)
    return None


def _text(report: Report, probe: Probe) -> Report:
    role, used = ROLES[probe.name]
    report.details["role"] = role
    try:
        if probe.name == "DESCRIPTION.txt":
            _describe(report, probe.path)
        elif probe.name == "PORTS.txt":
            report.details["treated_ports"] = sorted(reader.treated_ports(probe.path))
    except FluxAtlasError as problem:
        return refused(report, problem)
    if used:
        return report.decide("part", f"{role} of a COSORE data set: give the folder", "sites.entries: {source: cosore}")
    return report.decide("not_input", f"{role} of a COSORE data set: documentation, not read")


def _describe(report: Report, path: Path) -> None:
    """Site, position and time zone of a DESCRIPTION.txt."""
    facts = reader.read_description(path)
    where = str(path)
    lat, lon = (reader._number(facts, f"CSR_{name}", where) for name in ("LATITUDE", "LONGITUDE"))
    site = facts.get("CSR_SITE_ID") or facts.get("CSR_SITE_NAME", "")
    places.judge(report, [lat], [lon], [site])
    report.details["site"] = facts.get("CSR_SITE_NAME", "")
    report.details["utc_offset"] = reader.standard_time(facts["CSR_TIMEZONE"], where)
    report.details["igbp"] = facts.get("CSR_IGBP", "")


def judge_table(report: Report, table: pd.DataFrame) -> None:
    """Times (of one chamber, as all chambers take turns) and values of a data set."""
    stamps = table["CSR_TIMESTAMP_BEGIN"]
    if stamps.dtype.kind != "M":
        seconds = pd.to_numeric(stamps, errors="coerce")
        stamps = pd.to_datetime(seconds.where(seconds.between(0, 4e9)), unit="s")
    clock = np.asarray(stamps, "datetime64[s]")
    times.judge(report, np.unique(clock[~np.isnat(clock)]), zone="UTC")
    if "CSR_PORT" in table:
        pairs = pd.DataFrame({"port": table["CSR_PORT"], "time": clock})
        twice = int(pairs.duplicated().sum())
        report.details["ports"] = int(table["CSR_PORT"].nunique())
        if twice:
            report.warn("time-duplicated", f"{twice:,} rows repeat a chamber and time")
    columns = [name for name in table.columns if not name.startswith("CSR_TIMESTAMP") and name != "CSR_LABEL"]
    specs = specs_of(reader.LAYOUT, columns)
    judge_frame(report, table[columns], specs, stamps=pd.Series(clock), ordered=False, subdaily=True)
    if "CSR_FLUX_CH4" not in table or not pd.to_numeric(table["CSR_FLUX_CH4"], errors="coerce").notna().any():
        report.note("no-ch4", "no CH4 flux: only CO2, soil temperature and moisture")


def data_file(report: Report, probe: Probe, table: pd.DataFrame) -> Report:
    """The report on a ``data.RDS`` or ``diag.RDS`` on its own."""
    report.format, report.product = "cosore-data", "COSORE data"
    if "CSR_RECORDS" in table:
        report.format, report.product = "cosore-diagnostics", "COSORE diagnostics of the import"
        return report.decide("not_input", "diagnostics of a COSORE data set: documentation, not read")
    judge_table(report, table)
    folder = probe.path.parent.parent
    if probe.path.parent.name == "data" and is_dataset(folder):
        text = "the measurements of a COSORE data set: give its folder"
        return report.decide("part", text, "sites.entries: {source: cosore}")
    return report.decide("unusable", "DESCRIPTION.txt and PORTS.txt of the data set are not beside it")


def _folder(report: Report, probe: Probe) -> Report:
    folder = probe.path
    try:
        _describe(report, folder / "DESCRIPTION.txt")
        from ...ingest.sites.rds import read_rds

        judge_table(report, read_rds(folder / "data/data.RDS", ("CSR_PORT", "CSR_TIMESTAMP_BEGIN")))
    except FluxAtlasError as problem:
        return refused(report, problem)
    return through(report, probe, "cosore", files=[str(folder / name) for name in COSORE_FILES], nothing="unusable")
