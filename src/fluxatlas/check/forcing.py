"""The forcing before the first job: files of all years, mapping, units, and the values of one day in one place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import FluxAtlasError, counted
from ..ingest.coordinates import GridWindow
from ..ingest.inputs import forcing_inputs, pattern_inputs
from ..ingest.source import Source, open_source
from ..run import Run
from .findings import Findings

MOST_FILES = 64
"""Files per pattern whose headers are read."""
MOST_TILES = 100
"""Tiles that must lie on the grid of the forcing, evenly spread."""
LISTED_YEARS = 5

BBox = tuple[float, float, float, float]


def look(run: Run, place: BBox, findings: Findings) -> None:
    """Look at the forcing of ``run``; ``place`` is a box of a land cell."""
    block = run.forcing
    if run.is_synthetic:
        return
    if run.config.forcing.fetch:
        findings.unseen.append("forcing that is still to be fetched")
        return
    by_year = {year: run.forcing_files(year) for year in run.raw_years}
    short = [year for year, names in by_year.items() if not all(Path(name).exists() for name in names)]
    listed = ", ".join(map(str, short[:LISTED_YEARS])) + (" ..." if len(short) > LISTED_YEARS else "")
    every = list(dict.fromkeys(name for names in by_year.values() for name in names))
    findings.absent("forcing.path", every, f" (years {listed})")
    for key, names in (
        ("forcing.elevation", run.elevation_files),
        (
            "forcing.rain_pattern.path",
            [name for year in run.raw_years for name in pattern_inputs(run.config.forcing.rain_pattern, year)],
        ),
    ):
        if findings.absent(key, names):
            return
    whole = [year for year in run.raw_years if year not in short]
    if not whole:
        findings.unseen.append("what the forcing holds")
        return
    with findings.trying("forcing"):
        _values(run, whole[0], place, findings)
        held = f"{counted(len(every), 'file')} of forcing"
        findings.seen.append(f"{held} ({block.source}; values of one day of {whole[0]})")


def _files(run: Run, year: int) -> list[str]:
    """The first files of each pattern for ``year``, with their neighbours in time where they exist."""
    patterns = [run.forcing.path] if isinstance(run.forcing.path, str) else list(run.forcing.path)
    blocks = (run.forcing.model_copy(update={"path": pattern}) for pattern in patterns)
    return list(dict.fromkeys(name for block in blocks for name in forcing_inputs(block, year)[:MOST_FILES]))


def _values(run: Run, year: int, place: BBox, findings: Findings) -> None:
    """One day of every variable in one place, through the reader of the stage ingest."""
    near = [name for name in run.neighbour_files(year) if Path(name).exists()]
    source = open_source(
        run.forcing, _files(run, year), near, None, pattern_inputs(run.config.forcing.rain_pattern, year)
    )
    step = max(1, len(run.tiles) // MOST_TILES)
    for name in run.tiles[::step]:
        source.grid.window(run.tile(name).bbox)
    window = source.grid.window(place, margin=1)
    if not _refuses(source, year, window, run.system.forcing):
        return
    alike: dict[str, dict[str, FluxAtlasError]] = {}
    for name in run.system.forcing:
        if problem := _refuses(source, year, window, (name,)):
            alike.setdefault(re.sub("'[^']*'", "''", problem.what), {}).setdefault(problem.what, problem)
    if not alike and (problem := _refuses(source, year, window, run.system.forcing)):
        findings.add(problem, "forcing")
    for first, *others in (list(same.values()) for same in alike.values()):
        more = f"; the same of {counted(len(others), 'other variable')}" if others else ""
        findings.add(type(first)(first.what + more, where=first.where, hint=first.hint), "forcing")


def _refuses(source: Source, year: int, window: GridWindow, names: Sequence[str]) -> FluxAtlasError | None:
    """Why the second of January cannot be read, or None if it can."""
    start = np.datetime64(f"{year}-01-02")
    try:
        next(iter(source.blocks(start, start + np.timedelta64(1, "D"), window, names)))
    except FluxAtlasError as problem:
        return problem
    return None
