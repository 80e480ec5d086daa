"""Which module inspects what: the recognisers in order, the first that answers wins."""

from __future__ import annotations

import filecmp
import importlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import FluxAtlasError, InputError
from .formats.folders import is_dataset
from .probe import Probe
from .report import Report, refused

MOST_SIBLINGS = 300

FORMATS = (
    "sites",
    "folders",
    "archives",
    "r_data",
    "foreign",
    "netcdf",
    "rasters",
    "vectors",
    "noaa",
    "soil_tables",
    "documentation",
    "tables",
)
"""Modules of :mod:`fluxatlas.inspect.formats`; each has ``recognise(probe) -> Report | None``."""


def inspect_path(path: str | Path) -> Report:
    """The report on one file or folder. Problems of the file become findings; nothing is raised."""
    try:
        probe = Probe(path)
        for name in FORMATS:
            module = importlib.import_module(f".formats.{name}", __package__)
            report: Report | None = module.recognise(probe)
            if report is not None:
                twins(report, probe)
                return report
        raise InputError("the format is not recognised", where=str(path), hint="see docs/inspect.md for what is known")
    except FluxAtlasError as problem:
        return refused(Report(str(path)), problem)
    except Exception as problem:  # the last resort: a tool that looks at foreign files must not stop at one of them
        report = Report(str(path))
        report.error("internal", f"inspecting it failed ({type(problem).__name__}: {problem}); please report this")
        return report.decide("unusable", "fluxatlas could not make sense of this file")


def twins(report: Report, probe: Probe) -> None:
    """Add files of the folder with the same bytes and another name: one of the two is not what its name says."""
    if report.status in ("not_input", "part", "unrecognised") or probe.is_folder or probe.size < 1000:
        return
    for other in sorted(probe.path.parent.glob(f"*{probe.path.suffix}"))[:MOST_SIBLINGS]:
        try:
            same = other.name != probe.name and other.stat().st_size == probe.size
            if same and filecmp.cmp(probe.path, other, shallow=False):
                text = f"byte for byte the same as {other.name}: one of them is not what its name says"
                report.warn("identical-file", text)
        except OSError:
            continue


def expand(paths: list[Path]) -> Iterator[Path]:
    """The paths to inspect one by one; a folder that is not a data set of its own stands for the files below it."""
    for path in paths:
        if not path.is_dir() or is_dataset(path):
            yield path
            continue
        below = sorted(child for child in path.iterdir() if not child.name.startswith("."))
        if not below:
            yield path
        yield from expand(below)
