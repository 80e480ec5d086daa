"""Folders: a data set of its own (COSORE, Zarr), or a plain folder whose files are looked at one by one."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ..probe import Probe
from ..report import Report, refused
from .sites import is_cosore

ZARR = (".zgroup", ".zmetadata", ".zarray", "zarr.json")


def is_dataset(path: Path) -> bool:
    """Whether a folder is one data set and not a folder of files."""
    return is_cosore(path) or any((path / name).exists() for name in ZARR)


def recognise(probe: Probe) -> Report | None:
    """A plain folder is refused, as its files are inspected one by one. Zarr is left to netcdf."""
    if not probe.is_folder or any((probe.path / name).exists() for name in ZARR):
        return None
    try:
        empty = not any(probe.path.iterdir())
    except OSError as problem:
        return refused(Report(str(probe.path)), InputError(f"cannot be opened ({problem})", hint="check the rights"))
    report = Report(str(probe.path), "folder", "folder")
    if empty:
        return report.decide("unusable", "the folder is empty")
    return report.decide("not_input", "a folder of several files: inspect them one by one")
