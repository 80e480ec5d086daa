"""The daily product: tile-years put together to one CF file per variable and year.

The packed integers of the tiles are copied as they are: nothing is unpacked, rounded or packed again. Only one slab
(the days of a chunk by the rows of a chunk over the width of the domain) is in memory at a time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import tee
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files
from ..config.products import ProductsBlock
from ..dask_cluster import on_cluster
from ..errors import InputError, nearest
from ..files import NETCDF, shuffle
from ..systems import System, get_system
from ..tiles.mosaic import Bbox, Mosaic, PathLike, TileResult, assemble
from . import metadata
from .about import About

LARGEST_MISSING_SHARE = 0.01
"""Share of an active tile's values that may be missing (values that packing cannot hold) before it is an error."""

FLAT = ("lat", "lon")
PLAIN: Mapping[str, Any] = {"dtype": np.dtype("f4"), "_FillValue": np.float32(np.nan)}
"""Numbers that are not packed."""
QUALITY = ("dissimilarity", "point_density", "applicable")


def write_daily(
    output: PathLike,
    variable: str,
    year: int,
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    settings: ProductsBlock | None = None,
    *,
    system: str,
    bbox: Bbox | None = None,
    about: About | None = None,
) -> None:
    """Write ``products/daily/<variable>_<year>.nc`` (time, lat, lon), with ``<variable>_sd`` where the tiles have it.

    ``flux`` are the tile-year files of ``year``, ``attributes`` those of the same tiles, ``about`` what the file says
    of the run. Raises :class:`InputError` where a tile-year is missing or does not fit (see
    :func:`~fluxatlas.tiles.mosaic.assemble`), where the tiles do not hold ``variable``, are packed differently, or are
    empty over active cells.
    """
    settings = settings or ProductsBlock()
    mosaic = assemble(flux, attributes, bbox)
    paths = [piece.year(year) for piece in mosaic.pieces]
    described = get_system(system)
    model = _describe(paths, variable)
    provenance = _provenance(settings, described, paths)
    constraint, student = _origin(paths[0])
    told = replace(about or About(), constraint=constraint, student=student)
    attrs = metadata.dataset(variable, year, mosaic, described, settings, told, provenance)
    with files.atomic(output) as partial, netCDF4.Dataset(partial, "w", format="NETCDF4") as target:
        target.setncatts(attrs)
        _write_axes(target, mosaic, year)
        _write_static(target, mosaic, year, settings)
        names = [name for name in (variable, f"{variable}_sd") if name in model]
        for name in names:
            quality = [other for other in (*names, *QUALITY) if other != name and not name.endswith("_sd")]
            create_variable(target, name, model[name], metadata.field(name, model[name], quality), settings)
        _copy(target, names, mosaic, year, settings)


def _provenance(settings: ProductsBlock, system: System, paths: Sequence[Path]) -> dict[str, str]:
    inputs = {str(Path(*path.parts[-2:])): path for path in paths}
    return files.provenance(
        "products daily", {"system": system.key, **settings.model_dump(mode="json", exclude={"dask_address"})}, inputs
    )


def _origin(path: Path) -> tuple[dict[str, Any] | None, str]:
    """What the members of a tile-year were held to beside sites, and what is said of their student; all tiles have the
    same."""
    with netCDF4.Dataset(path) as tile:
        return json.loads(getattr(tile, "constraint", "null")), getattr(tile, "student", "")


def _describe(paths: Sequence[Path], variable: str) -> dict[str, dict[str, Any]]:
    """Type, fill value and attributes of ``variable`` and its sd; they must be the same in all tiles."""
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        with netCDF4.Dataset(path) as tile:
            if variable not in tile.variables:
                daily = [name for name, v in tile.variables.items() if v.dimensions == ("time", "lat", "lon")]
                raise InputError(
                    f"no daily variable '{variable}'{nearest(variable, daily)}",
                    where=str(path),
                    hint=f"the file holds {', '.join(daily)}",
                )
            present = [name for name in (variable, f"{variable}_sd") if name in tile.variables]
            this = {name: {**tile[name].__dict__, "dtype": tile[name].dtype} for name in present}
        found = found or this
        keys = ("dtype", "scale_factor", "add_offset", "_FillValue")
        if this.keys() != found.keys() or any(not _same(this[n].get(k), found[n].get(k)) for n in this for k in keys):
            raise InputError(
                f"'{variable}' is packed differently than in {paths[0]}",
                where=str(path),
                hint="the integers are copied as they are: run `infer` again for the older tiles",
            )
    return found


def _same(a: Any, b: Any) -> bool:
    return a == b or (a is not None and b is not None and a != a and b != b)


def _write_axes(target: netCDF4.Dataset, mosaic: Mosaic, year: int) -> None:
    days = (pd.date_range(f"{year}-01-01", f"{year}-12-31") - pd.Timestamp("1970-01-01")).days.to_numpy()
    lat, lon = mosaic.grid.lat_bounds(mosaic.rows), mosaic.grid.lon_bounds(mosaic.columns)
    axes = {
        "time": ("i4", days, np.column_stack([days, days + 1])),
        "lat": ("f8", mosaic.lat, np.column_stack([lat[:-1], lat[1:]])),
        "lon": ("f8", mosaic.lon, np.column_stack([lon[:-1], lon[1:]])),
    }
    for name, (_, values, _) in axes.items():
        target.createDimension(name, len(values))
    target.createDimension("nv", 2)
    for name, (kind, values, bounds) in axes.items():
        axis = target.createVariable(name, kind, (name,))
        axis.setncatts({**metadata.COORDINATES[name], "coverage_content_type": "coordinate"})
        axis[:] = values
        target.createVariable(f"{name}_bnds", kind, (name, "nv"))[:] = bounds
    crs = target.createVariable("crs", "i4")
    crs.setncatts(metadata.CRS)
    crs[...] = 0


def create_variable(
    target: netCDF4.Dataset,
    name: str,
    source: Mapping[str, Any],
    attrs: Mapping[str, Any],
    settings: ProductsBlock,
    dims: tuple[str, ...] = ("time", "lat", "lon"),
) -> netCDF4.Variable:
    """A compressed variable of the ``dtype`` and ``_FillValue`` of ``source``, to which raw (packed) values go."""
    sizes = [
        min(chunk, len(target.dimensions[dim])) for dim, chunk in zip(dims, settings.chunks[-len(dims) :], strict=True)
    ]
    level: Any = settings.level
    variable = target.createVariable(
        name,
        source["dtype"],
        dims,
        fill_value=source["_FillValue"],
        compression=settings.compression,
        complevel=level,
        shuffle=True,
        fletcher32=True,
        chunksizes=sizes,
    )
    shuffle(variable)
    variable.set_auto_maskandscale(False)
    variable.setncatts(attrs)
    return variable


def _write_static(target: netCDF4.Dataset, mosaic: Mosaic, year: int, settings: ProductsBlock) -> None:
    """The layers that make the area of a flux, and those of applicability, a tile at a time."""
    for name in mosaic.pieces[0].weight_layers:
        create_variable(target, name, PLAIN, metadata.static(name, {}), settings, FLAT)
        _place(target[name], mosaic, ((piece, piece.layers(name)[name].to_numpy()) for piece in mosaic.pieces))
    first = mosaic.pieces[0].year(year)
    for name in QUALITY:
        with netCDF4.Dataset(first) as tile:
            if name not in tile.variables:
                raise InputError(f"no variable '{name}'", where=str(first), hint="run `infer` for this tile-year again")
            source = {**tile[name].__dict__, "dtype": tile[name].dtype}
        create_variable(target, name, source, metadata.static(name, source), settings, FLAT)
        _place(target[name], mosaic, ((piece, _raw(piece.year(year), name)) for piece in mosaic.pieces))


def _place(target: netCDF4.Variable, mosaic: Mosaic, parts: Iterable[tuple[TileResult, npt.NDArray[Any]]]) -> None:
    """Write the layers (lat, lon) of tiles where they lie; what no tile covers stays fill."""
    for piece, values in parts:
        shared = mosaic.overlap(piece)
        if shared:
            target[shared[0]] = values[shared[1]]


def _raw(path: Path, name: str) -> npt.NDArray[Any]:
    with netCDF4.Dataset(path) as tile:
        tile.set_auto_maskandscale(False)
        return np.asarray(tile[name][:])


@dataclass(frozen=True)
class _Part:
    """What one tile gives to a band of rows: where it goes, where it comes from, and which of its cells are active."""

    name: str
    here: tuple[slice, slice]
    there: tuple[slice, slice]
    active: npt.NDArray[np.bool_]
    path: str


@dataclass(frozen=True)
class _Slab:
    """Days and rows of a variable of the product: the ``shape`` of its packed values, the ``columns`` that are written,
    and for each part of a tile where it goes, its file and where it comes from."""

    variable: str
    days: slice
    rows: slice
    shape: tuple[int, int, int]
    dtype: str
    fill: Any
    columns: tuple[slice, ...]
    sources: tuple[tuple[tuple[slice, slice], str, tuple[slice, slice]], ...]


def _copy(target: netCDF4.Dataset, names: Sequence[str], mosaic: Mosaic, year: int, settings: ProductsBlock) -> None:
    """Copy packed values, one band of rows after the other, and check that active cells hold data.

    Chunks without an active cell are not written: they take no space, and read as missing.
    """
    days = len(target.dimensions["time"])
    missing = {piece.name: 0 for piece in mosaic.pieces}
    slabs, ahead = tee(_slabs(target, names, mosaic, year, settings.chunks))
    with closing(_values((slab for slab, _ in ahead), settings.dask_address)) as values:
        for packed, (slab, parts) in zip(values, slabs, strict=True):
            with NETCDF:  # workers may be threads of this process
                for columns in slab.columns:
                    target[slab.variable][slab.days, slab.rows, columns] = packed[:, :, columns]
            for part in parts:
                own = packed[:, part.here[0], part.here[1]]
                absent = np.isnan(own) if slab.fill != slab.fill else own == slab.fill
                missing[part.name] += int(np.count_nonzero(absent & part.active))
    _check_missing(missing, mosaic, year, days * len(names))


def _slabs(
    target: netCDF4.Dataset, names: Sequence[str], mosaic: Mosaic, year: int, chunks: tuple[int, int, int]
) -> Iterator[tuple[_Slab, list[_Part]]]:
    """The slabs of the product in the order in which they are written, bands without a tile left out."""
    days, width = len(target.dimensions["time"]), len(target.dimensions["lon"])
    kinds = {name: (target[name].dtype.str, target[name]._FillValue) for name in names}
    active: dict[str, npt.NDArray[np.bool_]] = {}
    for start in range(mosaic.rows.start, mosaic.rows.stop, chunks[1]):
        band = slice(start, min(start + chunks[1], mosaic.rows.stop))
        rows = slice(band.start - mosaic.rows.start, band.stop - mosaic.rows.start)
        parts, active = _parts(mosaic, band, year, active)
        sources = tuple((part.here, part.path, part.there) for part in parts)
        columns = _held(parts, width, min(chunks[2], width))
        for first in range(0, days if parts else 0, chunks[0]):
            part_of_year = slice(first, min(first + chunks[0], days))
            shape = (part_of_year.stop - first, rows.stop - rows.start, width)
            for name in names:
                yield _Slab(name, part_of_year, rows, shape, *kinds[name], columns, sources), parts


def _held(parts: Sequence[_Part], width: int, chunk: int) -> tuple[slice, ...]:
    """The columns of ``width`` whose chunks hold active cells, neighbouring chunks together."""
    held = np.zeros(width, bool)
    for part in parts:
        held[part.here[1]] |= part.active.any(axis=0)
    full = np.flatnonzero(np.add.reduceat(held, np.arange(0, width, chunk)))
    runs = np.split(full, np.flatnonzero(np.diff(full) > 1) + 1) if full.size else []
    return tuple(slice(int(run[0]) * chunk, min((int(run[-1]) + 1) * chunk, width)) for run in runs)


def _parts(
    mosaic: Mosaic, band: slice, year: int, known: Mapping[str, npt.NDArray[np.bool_]]
) -> tuple[list[_Part], dict[str, npt.NDArray[np.bool_]]]:
    """What each tile gives to ``band``, and the active cells of these tiles, of which some are ``known`` from the band
    before; ``here`` counts rows from the first of the band."""
    parts, active = [], {}
    for piece in mosaic.pieces:
        shared = mosaic.overlap(piece, band)
        if shared:
            (rows, columns), there = shared
            first = band.start - mosaic.rows.start
            active[piece.name] = known[piece.name] if piece.name in known else _active(piece)
            here = (slice(rows.start - first, rows.stop - first), columns)
            part = active[piece.name][there]
            parts.append(_Part(piece.name, here, there, part, str(piece.year(year).absolute())))
    return parts, active


def _active(piece: TileResult) -> npt.NDArray[np.bool_]:
    return np.asarray(piece.layers("active")["active"].to_numpy(), bool)


def _values(slabs: Iterator[_Slab], address: str) -> Generator[npt.NDArray[Any], None, None]:
    """The packed values of each slab, read here or by the workers of a Dask cluster."""
    if address:
        tasks = ((slab, slab.sources) for slab in slabs)
        yield from on_cluster(
            address,
            "products.dask_address",
            _read,
            tasks,
            what="slabs of a daily file",
            lighter="make products.chunks smaller",
        )
        return
    with ExitStack() as stack:
        band, opened = None, {}
        for slab in slabs:
            if slab.rows != band:
                stack.close()
                band, opened = slab.rows, {path: stack.enter_context(_raw_tile(path)) for _, path, _ in slab.sources}
            yield _read(slab, [(here, opened[path], there) for here, path, there in slab.sources])


def _raw_tile(path: str) -> netCDF4.Dataset:
    tile = netCDF4.Dataset(path)
    tile.set_auto_maskandscale(False)
    return tile


def _read(slab: _Slab, sources: Sequence[tuple[Any, Any, Any]]) -> npt.NDArray[Any]:
    """Packed values of ``slab`` put together from ``sources``, tiles that are open or their paths."""
    values = np.full(slab.shape, slab.fill, dtype=slab.dtype)
    for here, tile, there in sources:
        if isinstance(tile, str):
            with NETCDF, _raw_tile(tile) as opened:
                values[:, here[0], here[1]] = opened[slab.variable][slab.days, there[0], there[1]]
        else:
            values[:, here[0], here[1]] = tile[slab.variable][slab.days, there[0], there[1]]
    return values


def _check_missing(missing: dict[str, int], mosaic: Mosaic, year: int, values_per_cell: int) -> None:
    for piece in mosaic.pieces:
        shared = mosaic.overlap(piece)
        if not missing[piece.name] or not shared:
            continue
        total = int(_active(piece)[shared[1]].sum()) * values_per_cell
        share = missing[piece.name] / total
        text = f"{missing[piece.name]} of {total} values of active cells are missing in tile {piece.name}, {year}"
        if share > LARGEST_MISSING_SHARE:
            raise InputError(text, where=str(piece.year(year)), hint="run `infer` for this tile-year again")
        print(f"warning: {text}", file=sys.stderr)
