"""Forcing pieces: the canonical days of a year on the source grid, cut to tiles with a halo and stored as int16.

The raw files are read once, block by block of days, and every day is appended to the files of all tiles, so memory
does not grow with the length of the period. Other processes write days while the next ones are read (:mod:`.writers`).
A piece gets its name only when all of them are complete and on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, counted
from ..files import atomic_all
from ..grid import Tile
from .coordinates import BBox, GridWindow, surrounding
from .elevation import read_orog
from .fill import CoastFill
from .piece_files import PieceLayout, PieceOptions, PieceWriter, pack
from .source import Source
from .writers import open_writer

__all__ = ["PieceOptions", "pack", "write_pieces"]

SHORTEST_CHUNK, LONGEST_CHUNK = 8, 73
"""Limits of the days in a chunk on disk; within them, the days of a block of the source."""
RAW_FILES = 32
"""Raw files that stay open; each takes 0.7 MB and counts among the open files of a process."""


def write_pieces(
    source: Source,
    year: int | tuple[np.datetime64, np.datetime64],
    tiles: Sequence[Tile],
    variables: Sequence[str],
    folder: str | Path,
    *,
    elevation: str | Path,
    elevation_variable: str = "",
    bbox: BBox | None = None,
    options: PieceOptions | None = None,
    attrs: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write ``<folder>/<tile>/<year>.nc`` for each of ``tiles`` and return the paths.

    Instead of a ``year`` the first day and the day after the last one of another period can be given, which then names
    the files (``<first>_<last>.nc``). Every block of the source is read once and cut to all tiles.

    A piece holds the cells of the source that overlap its tile (and ``bbox``, if given) plus the halo. Cells without
    data within ``options.fill_cells`` of the coast are filled (:class:`CoastFill`); ``filled_cells`` counts them. A
    tile that the source does not reach is refused with :class:`InputError`, as is everything that
    :meth:`MappedSource.blocks`, :func:`read_orog` and :func:`open_writer` refuse; then no piece of this call exists.
    ``say`` gets one line per block of days.
    """
    import xarray as xr

    options = options or PieceOptions()
    boxes = [_intersection(tile, bbox) for tile in tiles]
    for box in boxes:
        source.grid.window(box)  # refuses a tile that the source does not reach
    window = source.grid.window(surrounding(boxes), options.halo + options.fill_cells)
    days, period = _period(year)
    paths = [Path(folder) / tile.name / f"{period}.nc" for tile in tiles]
    chunk_days = min(int(np.clip(source.block_days(window), SHORTEST_CHUNK, LONGEST_CHUNK)), days.size)
    layout = PieceLayout(days, tuple(variables), chunk_days, options)
    fill: CoastFill | None = None
    done = 0
    with xr.set_options(file_cache_maxsize=RAW_FILES), atomic_all(paths) as partials:
        pieces = [_piece(*each, window, options.halo) for each in zip(paths, partials, boxes, strict=True)]
        with open_writer(layout, pieces, window.shape) as writer:
            orog = read_orog(elevation, window, elevation_variable)  # while the writers create their files
            for block in source.blocks(days[0], days[-1] + 1, window, variables):
                if fill is None:
                    valid = np.logical_and.reduce([np.isfinite(block[name].values[0]) for name in variables])
                    _check_altitude(orog, valid, elevation)
                    fill = CoastFill(valid, options.fill_cells)
                    said = source.attrs
                    writer.relief(fill(orog), [{**said, **_counts(fill, piece)} for piece in pieces])
                span = slice(done, done + block.sizes["time"])
                for name in variables:
                    for day in range(span.start, span.stop):
                        values = fill.into(writer.buffer(), block[name].values[day - span.start])
                        writer.write(name, day, values)
                done = span.stop
                del block  # its memory is used for the next one
                say(f"{days[span][0]} to {days[span][-1]} written to {counted(len(pieces), 'piece')}")
            counts = {**source.physical.attrs, "calendar_repeated_days": np.int32(source.repeated_days)}
            writer.finish({**counts, **(attrs or {})})
    return paths


def _period(year: int | tuple[np.datetime64, np.datetime64]) -> tuple[npt.NDArray[np.datetime64], str]:
    """The days of a year or of a period from one day to before another, and its name."""
    if isinstance(year, int):
        return np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")), str(year)
    days = np.arange(*year, dtype="datetime64[D]")
    return days, f"{days[0]}_{days[-1]}"


def _intersection(tile: Tile, bbox: BBox | None) -> BBox:
    west, south, east, north = tile.bbox
    if bbox is None:
        return west, south, east, north
    box = max(west, bbox[0]), max(south, bbox[1]), min(east, bbox[2]), min(north, bbox[3])
    if box[0] >= box[2] or box[1] >= box[3]:
        raise InputError(f"tile {tile} lies outside the box {bbox}", hint="leave it out, or widen the domain")
    return box


def _check_altitude(orog: npt.NDArray[Any], valid: npt.NDArray[Any], path: str | Path) -> None:
    """Raise :class:`InputError` where a cell with forcing has no altitude."""
    lacking = int((valid & np.isnan(orog)).sum())
    if lacking:
        raise InputError(f"{lacking} cells with forcing have no altitude", where=str(path), hint="complete the file")


def _piece(path: Path, partial: Path, box: BBox, window: GridWindow, halo: int) -> PieceWriter:
    rows, columns = window.slices(box, halo)
    return PieceWriter(
        partial, f"Daily forcing of {path.parent.name} in {path.stem}", window.part(box, halo), rows, columns
    )


def _counts(fill: CoastFill, piece: PieceWriter) -> dict[str, Any]:
    return {
        "valid_cells": np.int32(fill.valid[piece.rows, piece.columns].sum()),
        "filled_cells": np.int32(fill.filled[piece.rows, piece.columns].sum()),
    }
