"""Forcing pieces: the canonical days of a year on the source grid, cut to tiles with a halo and stored as int16.

The raw files are read once, block by block of days, and every day is appended to the files of all tiles, so memory
does not grow with the length of the period. Other processes write days while the next ones are read (:mod:`.writers`).
A piece gets its name only when all of them are complete and on disk; until then a long period is on disk in parts
(:mod:`.parts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, counted
from ..files import atomic_all
from ..grid import Tile
from .coordinates import BBox, GridWindow, surrounding
from .elevation import read_orog
from .fill import CoastFill
from .parts import Known, Parts
from .piece_files import PieceLayout, PieceOptions, PieceWriter, pack
from .source import Source
from .writers import Writer, open_writer

if TYPE_CHECKING:
    import xarray as xr

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
    kept_for: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write ``<folder>/<tile>/<year>.nc`` for each of ``tiles`` and return the paths.

    Instead of a ``year`` the first day and the day after the last one of another period can be given, which then names
    the files (``<first>_<last>.nc``). Every block of the source is read once and cut to all tiles.

    A piece holds the cells of the source that overlap its tile (and ``bbox``, if given) plus the halo. Cells without
    data within ``options.fill_cells`` of the coast are filled (:class:`CoastFill`); ``filled_cells`` counts them. A
    tile that the source does not reach is refused with :class:`InputError`, as is everything that
    :meth:`MappedSource.blocks`, :func:`read_orog` and :func:`open_writer` refuse; then no piece of this call exists.
    Finished parts of a long period stay for a later call with the same ``kept_for`` (:func:`.parts.identity`), which
    reads the rest; without it nothing is kept. ``say`` gets one line per block of days.
    """
    import xarray as xr

    options = options or PieceOptions()
    boxes = {tile.name: _intersection(tile, bbox) for tile in tiles}
    for box in boxes.values():
        source.grid.window(box)  # refuses a tile that the source does not reach
    window = source.grid.window(surrounding(list(boxes.values())), options.halo + options.fill_cells)
    days, period = _period(year)
    paths = [Path(folder) / tile.name / f"{period}.nc" for tile in tiles]
    chunk_days = min(int(np.clip(source.block_days(window), SHORTEST_CHUNK, LONGEST_CHUNK)), days.size)
    layout = PieceLayout(days, tuple(variables), chunk_days, options)
    source.begin(days[0], days[-1] + 1, window, variables)
    parts = Parts(Path(folder), period, source, layout, window, boxes, kept_for)
    cut = _Cut(source, layout, window, boxes, period, (elevation, elevation_variable), say)
    with xr.set_options(file_cache_maxsize=RAW_FILES):
        if len(parts.spans) == 1:
            cut.write(paths, parts.spans[0], attrs or {})
            return paths
        for number, span in enumerate(parts.spans):
            if known := parts.kept(number):
                cut.known = known
                say(f"{days[span][0]} to {days[span][-1]} are kept from before")
                continue
            cut.write(parts.files(number), span, {})
            parts.keep(number, cut.known)
    cut.join(paths, parts, attrs or {})
    parts.remove()
    return paths


class _Cut:
    """Cuts days of a ``source`` to the boxes of tiles (by name), and remembers what the days so far have taught."""

    def __init__(
        self,
        source: Source,
        layout: PieceLayout,
        window: GridWindow,
        boxes: Mapping[str, BBox],
        period: str,
        relief: tuple[str | Path, str],
        say: Callable[[str], None],
    ) -> None:
        self.source, self.layout, self.window, self.boxes, self.period = source, layout, window, boxes, period
        self.relief, self.say = relief, say
        self._fill: CoastFill | None = None
        self._said: dict[str, str] = {}

    @property
    def known(self) -> Known:
        """What is known after the days so far: of the source, and which cells have data."""
        about, masks = self.source.physical.learnt
        return {"physical": about, "said": self._said}, {**masks, "": self._coast().valid}

    @known.setter
    def known(self, known: Known) -> None:
        about, masks = known
        self.source.physical.learnt = about["physical"], {name: cells for name, cells in masks.items() if name}
        self._said = about["said"]
        self._fill = self._fill or CoastFill(masks[""], self.layout.options.fill_cells)

    def write(self, paths: Sequence[Path], span: slice, attrs: Mapping[str, Any]) -> None:
        """Write the days of ``span`` to files at ``paths``, one per box, with ``attrs`` added."""
        layout = replace(self.layout, days=self.layout.days[span])
        with self._open(paths, layout) as (writer, pieces):
            orog = self._orog()  # while the writers create their files
            done = 0
            for block in self.source.part(layout.days[0], layout.days[-1] + 1, self.window, layout.variables):
                self._learn(block, orog)
                done += self._write_block(writer, block, done)
                written = layout.days[done - block.sizes["time"] : done]
                del block  # its memory is used for the next one
                self.say(f"{written[0]} to {written[-1]} written to {counted(len(pieces), 'piece')}")
            self._finish(writer, pieces, orog, attrs)

    def _write_block(self, writer: Writer, block: xr.Dataset, done: int) -> int:
        """Hand on all days of ``block`` after the ``done`` first ones; their number."""
        count = int(block.sizes["time"])
        for name in self.layout.variables:
            for day in range(count):
                writer.write(name, done + day, self._coast().into(writer.buffer(), block[name].values[day]))
        return count

    def join(self, paths: Sequence[Path], parts: Parts, attrs: Mapping[str, Any]) -> None:
        """Write the whole period from the files of its ``parts``."""
        self.say(f"{counted(len(parts.spans), 'part')} are put together")
        with self._open(paths, self.layout, parts) as (writer, pieces):
            for number, span in enumerate(parts.spans):
                writer.copy(number, span.start)
            self._finish(writer, pieces, self._orog(), attrs)

    @contextmanager
    def _open(
        self, paths: Sequence[Path], layout: PieceLayout, parts: Parts | None = None
    ) -> Iterator[tuple[Writer, list[PieceWriter]]]:
        """The writer of the files of ``paths``, which get their names together, and what it writes."""
        held = [parts.files(number) for number in range(len(parts.spans))] if parts else []
        with atomic_all(paths) as partials:
            pieces = [
                self._piece(name, box, partial, tuple(files[place] for files in held))
                for place, (partial, (name, box)) in enumerate(zip(partials, self.boxes.items(), strict=True))
            ]
            with open_writer(layout, pieces, self.window.shape) as writer:
                yield writer, pieces

    def _piece(self, tile: str, box: BBox, partial: Path, parts: tuple[Path, ...]) -> PieceWriter:
        halo = self.layout.options.halo
        rows, columns = self.window.slices(box, halo)
        title = f"Daily forcing of {tile} in {self.period}"
        return PieceWriter(partial, title, self.window.part(box, halo), rows, columns, parts)

    def _orog(self) -> npt.NDArray[Any]:
        """Altitude (lat, lon) of the window."""
        path, variable = self.relief
        return read_orog(path, self.window, variable)

    def _learn(self, block: xr.Dataset, orog: npt.NDArray[Any]) -> None:
        """Take from the first block of all which cells have data, and what the source says of itself."""
        if self._fill is None:
            valid = np.logical_and.reduce([np.isfinite(block[name].values[0]) for name in self.layout.variables])
            _check_altitude(orog, valid, self.relief[0])
            self._fill = CoastFill(valid, self.layout.options.fill_cells)
            self._said = self.source.attrs

    def _coast(self) -> CoastFill:
        assert self._fill is not None  # a block was read
        return self._fill

    def _finish(
        self, writer: Writer, pieces: Sequence[PieceWriter], orog: npt.NDArray[Any], attrs: Mapping[str, Any]
    ) -> None:
        fill, source = self._coast(), self.source
        writer.relief(fill(orog), [{**self._said, **_counts(fill, piece)} for piece in pieces])
        writer.finish({**source.physical.attrs, "calendar_repeated_days": np.int32(source.repeated_days), **attrs})


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


def _counts(fill: CoastFill, piece: PieceWriter) -> dict[str, Any]:
    return {
        "valid_cells": np.int32(fill.valid[piece.rows, piece.columns].sum()),
        "filled_cells": np.int32(fill.filled[piece.rows, piece.columns].sum()),
    }
