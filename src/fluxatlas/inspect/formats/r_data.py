"""R data files (.rds, .rda): chambers of Voigt et al., annual fluxes of Treat et al., COSORE, or any data frame."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd

from ...errors import FluxAtlasError, InputError
from ...ingest.sites import treat, voigt
from ...ingest.sites.rds import read_rds
from ...magic import DAMAGE
from ..probe import Probe
from ..report import Report, refused
from . import sites, tables

MOST_BYTES = 64 * 2**20
"""Unpacked size above which a file is not read: 350 kB may unpack to 670 MB."""
OPEN: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}


def recognise(probe: Probe) -> Report | None:
    """A file in R's serialization, packed or not."""
    if not _is_r(probe):
        return None
    report = Report(str(probe.path), "r-data", "R data")
    try:
        data = _content(probe)
    except InputError as problem:
        return refused(report, problem)
    if _is_voigt(data):
        return sites.read(sites.VOIGT, probe)
    if _is_treat(data):
        return sites.read(sites.TREAT, probe)
    if b"CSR_TIMESTAMP_BEGIN" in data:
        return sites.cosore_data(probe)
    if len(data) > MOST_BYTES:
        return report.decide("no_reader", f"R data of more than {MOST_BYTES >> 20} MiB: not read")
    try:
        table = _table(report, probe, data.startswith(b"RD"))
    except FluxAtlasError as problem:
        return refused(report, problem)
    if table is None or table.empty:
        return report.decide("no_reader", "R data without a data frame that has rows")
    lists = [
        name for name in table if table[name].map(lambda value: isinstance(value, (list, dict, pd.DataFrame))).any()
    ]
    kind = tables.kind_of(probe.name, [str(name) for name in table]) or {}
    return tables.judge(report, table.drop(columns=lists), kind)


def layout_of(probe: Probe) -> str:
    """The reader of ingest that takes a file in R's serialization, '' where none does or it is none.

    Raises :class:`InputError` for a damaged file.
    """
    if not _is_r(probe):
        return ""
    data = _content(probe)
    return "voigt" if _is_voigt(data) else "treat" if _is_treat(data) else ""


def _is_r(probe: Probe) -> bool:
    return probe.kind == "rdata" or (probe.kind in OPEN and probe.suffix in (".rds", ".rda", ".rdata", ""))


def _is_voigt(data: bytes) -> bool:
    return all(name.encode() in data for name in voigt.MANUAL.values())


def _is_treat(data: bytes) -> bool:
    return all(name.encode() in data for name in treat.REQUIRED)


def _content(probe: Probe) -> bytes:
    """At most :data:`MOST_BYTES` and one unpacked bytes."""
    try:
        with OPEN.get(probe.kind, open)(probe.path, "rb") as stream:
            return bytes(stream.read(MOST_BYTES + 1))
    except DAMAGE as problem:
        what, hint = "cannot be read as R data", "the file is probably truncated: delete it and download it again"
        raise InputError(f"{what} ({problem})", where=str(probe.path), hint=hint) from None


def _table(report: Report, probe: Probe, several: bool) -> pd.DataFrame | None:
    """The data frame of a file, of ``several`` objects the first; raises :class:`InputError` where it is damaged."""
    for encoding in ("utf-8", "latin-1"):
        try:
            if not several:
                return read_rds(probe.path, (), encoding)
            return _first(probe, encoding)
        except InputError as problem:
            if f"is not {encoding}" not in problem.what or encoding == "latin-1":
                raise
            report.warn("not-utf8", f"{problem.what}: set the encoding (latin-1)")
    return None


def _first(probe: Probe, encoding: str) -> pd.DataFrame | None:
    import rdata

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            objects = rdata.read_rda(probe.path, default_encoding=encoding)
    except Exception as problem:  # rdata raises whatever its parsers raise for a damaged file
        hint = "the file is probably truncated: delete it and download it again"
        raise InputError(f"cannot be read as R data ({type(problem).__name__}: {problem})", hint=hint) from None
    report = next(iter(objects.values()), None) if isinstance(objects, dict) else None
    return report if isinstance(report, pd.DataFrame) else None
