"""Forcing pieces: the canonical days of a year on the source grid, cut to tiles with a halo and stored as int16.

The raw files are read once, block by block of days, and every block is appended to the files of all tiles, so memory
grows neither with the length of the period nor with the number of tiles. A piece gets its name only when complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import variables as table
from ..errors import InputError
from ..files import atomic_all
from ..grid import Tile
from .coordinates import BBox, Window, surrounding
from .elevation import read_orog
from .fill import CoastFill
from .source import Source

if TYPE_CHECKING:
    import netCDF4

SHORTEST_CHUNK, LONGEST_CHUNK = 8, 73
"""Limits of the days in a chunk on disk; within them, the days of a block."""


@dataclass(frozen=True)
class PieceOptions:
    """How pieces are cut and stored: cells of ``halo`` around a tile, ``fill_cells`` off the coast, and the codec."""

    halo: int = 2
    fill_cells: int = 3
    compression: str = "zstd"
    compression_level: int = 3


@dataclass(frozen=True, eq=False)
class _Piece:
    """The open file of one tile and what part of the common window it holds."""

    file: netCDF4.Dataset
    rows: slice
    columns: slice


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
    :meth:`MappedSource.blocks` and :func:`read_orog` refuse; then no piece of this call exists. ``say`` gets one line
    per block of days.
    """
    import netCDF4

    options = options or PieceOptions()
    boxes = [_intersection(tile, bbox) for tile in tiles]
    for box in boxes:
        source.grid.window(box)  # refuses a tile that the source does not reach
    window = source.grid.window(surrounding(boxes), options.halo + options.fill_cells)
    orog = read_orog(elevation, window, elevation_variable)
    days, period = _period(year)
    paths = [Path(folder) / tile.name / f"{period}.nc" for tile in tiles]
    chunk_days = int(np.clip(source.block_days(window), SHORTEST_CHUNK, LONGEST_CHUNK))
    done = 0
    with atomic_all(paths) as partials, ExitStack() as stack:
        pieces: list[_Piece] = []
        for block in source.blocks(days[0], days[-1] + 1, window, variables):
            if not pieces:
                valid = np.logical_and.reduce([np.isfinite(block[name].values[0]) for name in variables])
                _check_altitude(orog, valid, elevation)
                fill = CoastFill(valid, options.fill_cells)
                relief = fill(orog)
                for path, partial, box in zip(paths, partials, boxes, strict=True):
                    rows, columns = window.slices(box, options.halo)
                    file = stack.enter_context(netCDF4.Dataset(partial, "w"))
                    _coordinates(file, window.part(box, options.halo), days)
                    file.title = f"Daily forcing of {path.parent.name} in {path.stem}"
                    _declare(file, variables, chunk_days, options)
                    file["orog"][:] = relief[rows, columns]
                    file.setncatts({**source.attrs, **_counts(fill, rows, columns)})
                    pieces.append(_Piece(file, rows, columns))
            span = slice(done, done + block.sizes["time"])
            for name in variables:
                filled = fill(block[name].values)
                for piece in pieces:
                    piece.file[name][span] = pack(filled[:, piece.rows, piece.columns], name)
            done = span.stop
            say(f"{days[span][0]} to {days[span][-1]} written to {len(pieces)} pieces")
        clipped = {f"clipped_{name}": np.int32(count) for name, count in source.clipped.items()}
        counts = {**clipped, "calendar_repeated_days": np.int32(source.repeated_days)}
        for piece in pieces:
            piece.file.setncatts({**counts, **(attrs or {})})
    return paths


def pack(values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """``values`` as stored: int16 by the packing of variable ``name``, NaN as its fill value; float32 if not packed."""
    packing = table.get(name).packing
    if packing is None:
        return values.astype(np.float32)
    scale, offset = packing
    steps = np.rint((values.astype(np.float64) - offset) / scale)
    return np.where(np.isnan(steps), table.FILL, np.clip(steps, -32767, 32767)).astype(np.int16)


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


def _coordinates(file: netCDF4.Dataset, part: Window, days: npt.NDArray[np.datetime64]) -> None:
    """Write the coordinates of a piece."""
    start = days[0]
    coordinates = {
        "time": (
            (days - start).astype(np.int32),
            {"standard_name": "time", "axis": "T", "calendar": "standard", "units": f"days since {start} 00:00:00"},
        ),
        "lat": (part.lat, {"standard_name": "latitude", "axis": "Y", "units": "degrees_north"}),
        "lon": (part.lon, {"standard_name": "longitude", "axis": "X", "units": "degrees_east"}),
    }
    for name, (values, attrs) in coordinates.items():
        file.createDimension(name, values.size)
        file.createVariable(name, values.dtype, (name,))[:] = values
        file[name].setncatts(attrs)
    file.Conventions = "CF-1.11"


def _declare(file: netCDF4.Dataset, variables: Sequence[str], chunk_days: int, options: PieceOptions) -> None:
    """Declare the forcing variables and ``orog`` of a piece."""
    shape = tuple(file.dimensions[name].size for name in ("time", "lat", "lon"))
    codec: dict[str, Any] = {
        "compression": options.compression,
        "complevel": options.compression_level,
        "shuffle": True,
    }
    for name in (*variables, "orog"):
        variable = table.get(name)
        encoding = variable.encoding()
        dims = ("lat", "lon") if variable.time == "fixed" else ("time", "lat", "lon")
        chunks = shape[1:] if variable.time == "fixed" else (min(chunk_days, shape[0]), *shape[1:])
        made = file.createVariable(
            name, encoding["dtype"], dims, chunksizes=chunks, fill_value=encoding["_FillValue"], **codec
        )
        packing: dict[str, Any] = {key: encoding[key] for key in ("scale_factor", "add_offset") if key in encoding}
        made.setncatts({**variable.attrs, **packing})
        made.set_auto_maskandscale(False)
        made.set_var_chunk_cache(size=int(np.prod(chunks)) * made.dtype.itemsize, nelems=1)  # only the chunk in work


def _counts(fill: CoastFill, rows: slice, columns: slice) -> dict[str, Any]:
    return {
        "valid_cells": np.int32(fill.valid[rows, columns].sum()),
        "filled_cells": np.int32(fill.filled[rows, columns].sum()),
    }
