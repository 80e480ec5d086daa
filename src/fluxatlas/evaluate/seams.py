"""Seams: is the step from one tile to the next larger than the steps inside the tiles beside it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..tiles.mosaic import Mosaic, PathLike, TileResult, assemble, read_layer

COLUMNS = ["year", "variable", "edge", "pairs", "across", "inside", "ratio", "unit"]

Strip = npt.NDArray[np.float64]


def seam_table(flux: Sequence[PathLike], attributes: Sequence[PathLike], names: Sequence[str]) -> pd.DataFrame:
    """Mean step of the annual mean of the fluxes ``names`` across each edge between two tiles and inside, next to it.

    Along an edge the two cells on either side give one step ``across`` and two steps ``inside``; only rows of four
    cells with data count (``pairs``). ``ratio`` = across / inside is about 1 without a seam. Rows of ``edge`` ``all``
    join all edges of a year; with no edge at all they have 0 pairs and NaN.
    """
    mosaic = assemble(flux, attributes)
    rows = []
    for year in mosaic.years:
        for variable in names:
            steps = []
            for name, strip in _edges(mosaic, f"{variable}_member", year):
                whole = strip[np.isfinite(strip).all(axis=1)]
                across = np.abs(whole[:, 2] - whole[:, 1])
                inside = 0.5 * (np.abs(whole[:, 1] - whole[:, 0]) + np.abs(whole[:, 3] - whole[:, 2]))
                steps.append((across, inside))
                rows.append(_row(year, variable, name, across, inside))
            joined = [np.concatenate([np.empty(0), *part]) for part in zip(*steps, strict=True)] or [np.empty(0)] * 2
            rows.append(_row(year, variable, "all", *joined))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(year: int, variable: str, edge: str, across: Strip, inside: Strip) -> tuple[object, ...]:
    n = len(across)
    outer, inner = (float(across.mean()), float(inside.mean())) if n else (float("nan"),) * 2
    ratio = outer / inner if n and inner > 0 else float("nan")
    return year, variable, edge, n, outer, inner, ratio, variables.get(variable).units


def _edges(mosaic: Mosaic, layer: str, year: int) -> Iterator[tuple[str, Strip]]:
    """Each edge between two tiles: its name and the four cells across it, shape (cell along the edge, 4)."""
    means: dict[str, Strip] = {}

    def mean(piece: TileResult) -> Strip:
        if piece.name not in means:
            means[piece.name] = read_layer(piece.year(year), layer).mean(axis=0)
        return means[piece.name]

    places = {(p.rows.start, p.columns.start): p for p in mosaic.pieces}
    for piece in mosaic.pieces:
        east = places.get((piece.rows.start, piece.columns.stop))
        south = places.get((piece.rows.stop, piece.columns.start))
        if east and east.rows == piece.rows:
            yield f"{piece.name}|{east.name}", np.hstack([mean(piece)[:, -2:], mean(east)[:, :2]])
        if south and south.columns == piece.columns:
            yield f"{piece.name}/{south.name}", np.hstack([mean(piece)[-2:].T, mean(south)[:2].T])


def write_seams(
    output: PathLike, flux: Sequence[PathLike], attributes: Sequence[PathLike], names: Sequence[str]
) -> pd.DataFrame:
    """Write :func:`seam_table` as CSV; return it."""
    table = seam_table(flux, attributes, names)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table
