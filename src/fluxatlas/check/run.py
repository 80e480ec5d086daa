"""A look at everything that a run reads, and what is said of it."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..config.model import contradictions, parse
from ..errors import ConfigError
from ..inspect.static_trial import places
from ..land_mask import is_land
from ..regrid.frame import Frame
from ..run import Run
from ..yaml_text import parse_keys
from .findings import Findings

PLACES = 3
"""Land cells at which static layers are read."""


def look(source: Path) -> tuple[Findings, str]:
    """Everything wrong with the configuration ``source`` and the files it names, and a sentence on the run.

    Raises :class:`ConfigError` where the configuration itself cannot be understood.
    """
    config = parse(parse_keys(sys.stdin.read(), "configuration", "standard input") if str(source) == "-" else source)
    findings = Findings()
    lines = contradictions(config)
    for line in lines:
        key, _, what = line.partition(": ")
        findings.add(ConfigError(what, where=key, hint="correct the configuration"))
    if any(line.startswith(("system:", "grid.")) for line in lines):
        findings.unseen.append("all files, until system and grid are known")
        return findings, str(source)
    run = Run(config)
    return look_at(run, findings), run.describe()


def look_at(run: Run, findings: Findings | None = None) -> Findings:
    """Look at all files that ``run`` reads; what is found is added to ``findings``, if given."""
    from . import forcing, layers, tables

    findings = findings or Findings()
    if not run.has_maps:
        with findings.trying(""):
            run.refuse_wildcards()
        with _quiet():
            tables.look(run, findings)
        return findings
    frames = list(_frames(run))
    if not frames:
        hint = (
            f"widen the block 'domain': a cell is {run.grid.resolution:.4g} degrees wide, and its centre must be inside"
        )
        raise ConfigError(f"no cell of the domain {run.config.domain.bbox} is land", hint=hint)
    half = 0.25 * frames[0].step
    lat, lon = float(np.mean(frames[0].lat)), float(np.mean(frames[0].lon))
    with findings.trying(""):
        run.refuse_wildcards()
    with _quiet():
        with findings.trying("forcing"):
            forcing.look(run, (lon - half, lat - half, lon + half, lat + half), findings)
        layers.look(run, frames, findings)
        tables.look(run, findings)
    return findings


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Readers speak of what they read; the jobs will say it again."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _frames(run: Run) -> Iterator[Frame]:
    """Small places around land cells of the domain, in tiles that are evenly spread."""
    step = max(1, len(run.tiles) // PLACES)
    west, south, east, north = run.config.domain.bbox
    for name in run.tiles[::step][:PLACES]:
        tile = run.tile(name)
        rows, columns = (tile.lat > south) & (tile.lat < north), (tile.lon > west) & (tile.lon < east)
        lat, lon = (axis.ravel() for axis in np.meshgrid(tile.lat[rows], tile.lon[columns], indexing="ij"))
        land = np.flatnonzero(is_land(lat, lon)) if lat.size else np.empty(0, int)
        if land.size:
            middle = land[land.size // 2]
            yield next(places((lon[middle], lat[middle], lon[middle], lat[middle])))
