"""Running the readers of static layers on small places of a file, to say what they make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..config.regions import RegionMap
from ..config.static import LandCover, Layer
from ..errors import FluxAtlasError, InputError
from ..grid import get_grid
from ..regrid.cover import shares
from ..regrid.frame import Frame
from ..regrid.layers import read_layer
from ..regrid.regions import region_shares

Box = Sequence[float]
CELLS = 6
"""Cells of 4 km along each side of a place."""
REGIONS = re.compile(r"region|countr|biome|basin|transcom|reccap|continent", re.IGNORECASE)
"""Words in the name of a map of region codes."""
LEGENDS = ("esa_cci", "modis_igbp", "esa_cci_pft")
"""Legends of land cover that are shipped."""


def places(box: Box) -> Iterator[Frame]:
    """Small frames inside ``box`` (west, south, east, north): its middle, then points all over it."""
    west, south, east, north = box
    grid = get_grid("4km")
    rows, columns = grid.shape
    steps = [(0.5, 0.5), *((i / 6, j / 6) for i in (1, 3, 5) for j in (1, 2, 3, 4, 5))]
    for up, along in dict.fromkeys(steps):
        lat, lon = south + up * (north - south), (west + along * (east - west) + 180.0) % 360.0 - 180.0
        row, column = grid.index(min(max(lat, -89.9), 89.9), min(lon, 179.9))
        first = min(max(row - CELLS // 2, 0), rows - CELLS), min(max(column - CELLS // 2, 0), columns - CELLS)
        part = slice(first[0], first[0] + CELLS), slice(first[1], first[1] + CELLS)
        yield Frame(grid.lat(part[0]), grid.lon(part[1]), grid.resolution, (slice(0, CELLS), slice(0, CELLS)))


def try_layer(name: str, path: str, box: Box, choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first of ``choices`` (keys of ``static.layers.<name>``) with which the layer is read from ``path``.

    Raises what the reader raises for the first of them where none will do.
    """
    problems: list[FluxAtlasError] = []
    for options in choices:
        try:
            layer = Layer(path=path, **options)
            for frame in places(box):
                if np.isfinite(read_layer(name, layer, frame)).any():
                    break
        except FluxAtlasError as problem:
            problems.append(problem)
        except ValidationError as problem:
            problems.append(InputError(str(problem.errors()[0]["msg"]), where=path, hint="see docs/static_layers.md"))
        else:
            return options
    raise problems[0]


def try_regions(source: RegionMap, box: Box) -> list[str]:
    """Names of the regions that a map has in a few places of ``box``; raises what the reader raises."""
    found: set[str] = set()
    for frame in places(box):
        found |= set(region_shares(source, frame.lat, frame.lon).names)
    return sorted(found)


def try_cover(path: str, box: Box, legends: Sequence[str] = LEGENDS, **options: Any) -> LandCover:
    """Land cover as its reader takes it, with the first of ``legends`` that knows its classes.

    Where the map is missing in all places, that is the first legend with which it can be read. Raises what the reader
    raises for the first legend where none will do.
    """
    problems: list[FluxAtlasError] = []
    missing: list[LandCover] = []
    for legend in legends:
        cover = LandCover(path=path, legend=legend, **options)
        try:
            if any(shares(cover, frame) for frame in places(box)):
                return cover
            missing.append(cover)
        except FluxAtlasError as problem:
            problems.append(problem)
    if not missing:
        raise problems[0]
    return missing[0]
