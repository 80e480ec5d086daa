"""The NetCDF files of forcing pieces: how they are laid out, packed and written, chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import variables as table
from ..axes import WRITTEN
from ..files import NETCDF, shuffle, unreadable

if TYPE_CHECKING:
    import netCDF4

    from .coordinates import GridWindow

Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PieceOptions:
    """How pieces are cut and stored: cells of ``halo`` around a tile, ``fill_cells`` off the coast, and the codec.

    ``processes`` write the files; 0 for one per core that this process may use, if there are tiles enough for them.
    """

    halo: int = 2
    fill_cells: int = 3
    compression: str = "zstd"
    compression_level: int = 3
    processes: int = 0


@dataclass(frozen=True, eq=False)
class PieceWriter:
    """One file to write: its temporary ``path``, its cells, and the part of the common window that they are.

    ``parts`` are files of some of its days each, to be copied.
    """

    path: Path
    title: str
    cells: GridWindow
    rows: slice
    columns: slice
    parts: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class PieceLayout:
    """What all pieces of a call have in common: the ``days``, the ``variables``, days per chunk, and the codec."""

    days: npt.NDArray[np.datetime64]
    variables: Sequence[str]
    chunk_days: int
    options: PieceOptions


class PieceFiles:
    """The open files of some ``pieces``, to be closed with :meth:`finish`.

    Days are kept packed until they fill a chunk of the files, which is then written at once.
    """

    def __init__(self, layout: PieceLayout, pieces: Sequence[PieceWriter]) -> None:
        self.layout, self.pieces = layout, pieces
        self._files: list[netCDF4.Dataset] = []
        self._chunks: dict[str, list[npt.NDArray[Any]]] = {}
        self._relief: list[Values] = []
        self._attrs: Sequence[Mapping[str, Any]] = ()
        with NETCDF:
            for piece in pieces:
                self._files.append(_create(piece, layout))

    def relief(self, orog: Values, attrs: Sequence[Mapping[str, Any]]) -> None:
        """Keep the altitude (lat, lon) of the window, and the attributes of each piece, for the end.

        Whenever attributes are followed by values the library writes a file anew to disk, so that is done once.
        """
        self._relief = [orog[piece.rows, piece.columns].copy() for piece in self.pieces]
        self._attrs = attrs

    def write(self, name: str, day: int, values: Values) -> None:
        """Add the ``values`` (lat, lon) of the window on day number ``day``; days of a variable come in order."""
        if name not in self._chunks:
            dtype, days = table.get(name).encoding()["dtype"], self.layout.chunk_days
            self._chunks[name] = [np.empty((days, *piece.cells.shape), dtype) for piece in self.pieces]
        place = day % self.layout.chunk_days
        for chunk, piece in zip(self._chunks[name], self.pieces, strict=True):
            chunk[place] = pack(values[piece.rows, piece.columns], name)
        if place == self.layout.chunk_days - 1 or day == self.layout.days.size - 1:
            with NETCDF:
                for file, chunk in zip(self._files, self._chunks[name], strict=True):
                    file[name][day - place : day + 1] = chunk[: place + 1]

    def copy(self, number: int, first: int) -> None:
        """Add the days of part ``number`` of each piece, from day number ``first`` on, packed as they are.

        Raises :class:`InputError` for a part that cannot be read.
        """
        import netCDF4

        for file, piece in zip(self._files, self.pieces, strict=True):
            path, step = piece.parts[number], self.layout.chunk_days
            try:
                with NETCDF, netCDF4.Dataset(path) as held:
                    held.set_auto_maskandscale(False)
                    for name in self.layout.variables:
                        for day in range(0, held.dimensions["time"].size, step):
                            days = held[name][day : day + step]
                            file[name][first + day : first + day + len(days)] = days
            except (OSError, RuntimeError) as problem:
                raise unreadable(problem, path, "data cannot be read") from problem

    def finish(self, attrs: Mapping[str, Any]) -> None:
        """Add the altitude and the last attributes and close the files, which are complete then."""
        with NETCDF:
            for file, orog, own in zip(self._files, self._relief, self._attrs, strict=True):
                file.setncatts({**own, **attrs})
                file["orog"][:] = orog
                file.close()
        self._files.clear()

    def abandon(self) -> None:
        """Close what is still open; for files that will be removed."""
        with NETCDF:
            for file in self._files:
                if file.isopen():
                    file.close()
        self._files.clear()


def pack(values: Values, name: str) -> npt.NDArray[Any]:
    """``values`` as stored: int16 by the packing of variable ``name``, NaN as its fill value; float32 if not packed."""
    packing = table.get(name).packing
    if packing is None:
        return values.astype(np.float32)
    scale, offset = packing
    steps = values.astype(np.float64)
    steps -= offset
    steps /= scale
    np.rint(steps, out=steps)
    np.clip(steps, -32767, 32767, out=steps)  # NaN stays NaN
    np.fmax(steps, table.FILL, out=steps)  # and is replaced
    return steps.astype(np.int16)


def _create(piece: PieceWriter, layout: PieceLayout) -> netCDF4.Dataset:
    """A new file with all dimensions, variables and coordinates; defined first and written then, which is faster."""
    import netCDF4

    file = netCDF4.Dataset(piece.path, "w")
    coordinates = _coordinates(piece.cells, layout.days)
    for name, (values, attrs) in coordinates.items():
        file.createDimension(name, values.size)
        file.createVariable(name, values.dtype, (name,)).setncatts(attrs)
    file.setncatts({"Conventions": "CF-1.11", "title": piece.title})
    _declare(file, layout)
    for name, (values, _) in coordinates.items():
        file[name][:] = values
    return file


def _coordinates(
    cells: GridWindow, days: npt.NDArray[np.datetime64]
) -> dict[str, tuple[npt.NDArray[Any], dict[str, str]]]:
    start = days[0]
    return {
        "time": (
            (days - start).astype(np.int32),
            {"standard_name": "time", "axis": "T", "calendar": "standard", "units": f"days since {start} 00:00:00"},
        ),
        "lat": (cells.lat, WRITTEN["lat"]),
        "lon": (cells.lon, WRITTEN["lon"]),
    }


def _declare(file: netCDF4.Dataset, layout: PieceLayout) -> None:
    """Declare the forcing variables and ``orog`` of a piece."""
    shape = tuple(file.dimensions[name].size for name in ("time", "lat", "lon"))
    codec: dict[str, Any] = {
        "compression": layout.options.compression,
        "complevel": layout.options.compression_level,
        "shuffle": True,
        "fletcher32": True,
    }
    for name in (*layout.variables, "orog"):
        variable = table.get(name)
        encoding = variable.encoding()
        dims = ("lat", "lon") if variable.time == "fixed" else ("time", "lat", "lon")
        chunks = shape[1:] if variable.time == "fixed" else (min(layout.chunk_days, shape[0]), *shape[1:])
        made = file.createVariable(
            name, encoding["dtype"], dims, chunksizes=chunks, fill_value=encoding["_FillValue"], **codec
        )
        shuffle(made)
        packing: dict[str, Any] = {key: encoding[key] for key in ("scale_factor", "add_offset") if key in encoding}
        made.setncatts({**variable.attrs, **packing})
        made.set_auto_maskandscale(False)
        made.set_var_chunk_cache(size=1, nelems=1)  # whole chunks are written
