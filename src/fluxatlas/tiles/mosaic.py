"""Tiles put together: which files belong to which tile and year, where each lies on the grid, and whether they fit.

Everything that reads the results of many tiles (daily product, budget, evaluation, report) goes through
:func:`assemble`, so that a missing or misfit file is found before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import variables
from ..config.infer import InferBlock
from ..config.leaves import names
from ..errors import GridError, InputError
from ..files import open_netcdf, read_netcdf
from ..grid import GRIDS, Grid

PathLike = str | Path
Bbox = tuple[float, float, float, float]


@dataclass(frozen=True)
class TileResult:
    """One tile: its place on the grid (``rows``, ``columns``), its attributes and its fluxes by year."""

    name: str
    rows: slice
    columns: slice
    attributes: Path
    flux: Mapping[int, Path]

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def year(self, year: int) -> Path:
        """The flux file of ``year``; raises :class:`InputError` where it is missing."""
        if year not in self.flux:
            raise InputError(
                f"no flux file of {year} for tile {self.name}", hint="run `infer` for this tile-year first"
            )
        return self.flux[year]

    def layers(self, *names: str) -> xr.Dataset:
        """Static layers of the tile, float64; ``active`` boolean; NaN where missing."""
        data = read_netcdf(self.attributes, only=names)
        absent = [name for name in names if name not in data]
        if absent:
            raise InputError(f"no variable {', '.join(absent)}", where=str(self.attributes), hint="run `regrid` again")
        kept = data.astype(np.float64)
        return kept.assign(active=kept["active"] == 1) if "active" in names else kept

    @property
    def weight_layers(self) -> list[str]:
        """Layers of the attributes that are multiplied to the area that a flux is per."""
        with open_netcdf(self.attributes) as data:
            names = str(data.attrs.get("weight", "")).split()
        if not names:
            hint = "make the attributes again: `regrid attributes`"
            raise InputError("no attribute 'weight'", where=str(self.attributes), hint=hint)
        return names

    def weight(self) -> npt.NDArray[np.float64]:
        """Area [m2] that a flux is per in each active cell, shape (lat, lon); 0 elsewhere.

        It is the product of the layers that the attributes name as their ``weight``. Raises :class:`InputError` if an
        active cell lacks one.
        """
        names = self.weight_layers
        layers = self.layers("active", *names)
        active = layers["active"].to_numpy()
        area = np.ones(active.shape)
        for name in names:
            area = area * layers[name].to_numpy()
            if variables.get(name).units == "%":
                area = area / 100.0
        if not np.isfinite(area[active]).all():
            raise InputError(
                f"active cells without {' or '.join(names)}",
                where=str(self.attributes),
                hint="an active cell must have every attribute: run `regrid attributes` again",
            )
        return np.where(active, area, 0.0)


@dataclass(frozen=True)
class Mosaic:
    """Pieces on one grid and the box (``rows``, ``columns``) that the product covers."""

    grid: Grid
    pieces: tuple[TileResult, ...]
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def lat(self) -> npt.NDArray[np.float64]:
        return self.grid.lat(self.rows)

    @property
    def lon(self) -> npt.NDArray[np.float64]:
        return self.grid.lon(self.columns)

    @property
    def years(self) -> list[int]:
        """Every year that any tile has, ascending."""
        return sorted({year for piece in self.pieces for year in piece.flux})

    def around_active(self) -> Mosaic:
        """This mosaic cut to a box a little wider than its active cells, where that is clearly smaller.

        For maps: a domain smaller than its tiles would be a spot on them.
        """
        held = [np.zeros(size, bool) for size in self.shape]
        for piece in self.pieces:
            shared = self.overlap(piece)
            if shared:
                active = piece.layers("active")["active"].to_numpy()[shared[1]]
                for axis, here in enumerate(shared[0]):
                    held[axis][here] |= active.any(axis=1 - axis)
        found = [np.flatnonzero(one) for one in held]
        if not found[0].size:
            return self
        rows, columns = (
            _widened(int(one[0]), int(one[-1]), box) for one, box in zip(found, (self.rows, self.columns), strict=True)
        )
        smaller = replace(self, rows=rows, columns=columns)
        return smaller if np.prod(smaller.shape) < SMALLER * np.prod(self.shape) else self

    def overlap(
        self, piece: TileResult, rows: slice | None = None
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """What ``piece`` shares with global ``rows`` of the box: slices in the mosaic and in the piece, or None."""
        band = rows or self.rows
        r0, r1 = max(piece.rows.start, band.start), min(piece.rows.stop, band.stop)
        c0, c1 = max(piece.columns.start, self.columns.start), min(piece.columns.stop, self.columns.stop)
        if r0 >= r1 or c0 >= c1:
            return None
        here = (
            slice(r0 - self.rows.start, r1 - self.rows.start),
            slice(c0 - self.columns.start, c1 - self.columns.start),
        )
        there = (
            slice(r0 - piece.rows.start, r1 - piece.rows.start),
            slice(c0 - piece.columns.start, c1 - piece.columns.start),
        )
        return here, there

    def place(self, parts: Iterator[tuple[TileResult, npt.NDArray[Any]]], fill: Any = np.nan) -> npt.NDArray[Any]:
        """Layers (..., lat, lon) of the pieces put together, ``fill`` where no tile lies."""
        whole: npt.NDArray[Any] | None = None
        for piece, values in parts:
            if whole is None:
                whole = np.full((*values.shape[:-2], *self.shape), fill, dtype=values.dtype)
            shared = self.overlap(piece)
            if shared:
                here, there = shared
                whole[(..., *here)] = values[(..., *there)]
        if whole is None:
            raise InputError("there are no tiles", hint="give the files of at least one tile")
        return whole

    def static(self, name: str) -> npt.NDArray[np.float64]:
        """A static layer of the attributes over the box, float64, NaN where missing or where no tile lies."""
        return self.place((piece, piece.layers(name)[name].to_numpy()) for piece in self.pieces)

    def weight(self) -> npt.NDArray[np.float64]:
        """Area [m2] that a flux is per in each active cell over the box; 0 elsewhere."""
        return self.place(((piece, piece.weight()) for piece in self.pieces), fill=0.0)

    def layer(self, name: str, year: int) -> npt.NDArray[np.float64]:
        """A layer without time of the flux files of ``year`` over the box, as ``<flux>_member``; NaN where missing."""
        return self.place((piece, read_layer(piece.year(year), name)) for piece in self.pieces)


SMALLER = 0.85
"""Part of a mosaic below which a box around its active cells is drawn instead of all of it."""


def _widened(first: int, last: int, within: slice) -> slice:
    """Cells ``first`` to ``last`` of ``within`` and a tenth more on each side, at least one, where there are any."""
    more = max(1, (last - first + 1) // 10)
    return slice(max(within.start, within.start + first - more), min(within.stop, within.start + last + 1 + more))


def read_layer(path: Path, name: str) -> npt.NDArray[np.float64]:
    """One variable of a flux file in physical units, float64, NaN where missing."""
    with open_netcdf(path) as data:
        if name not in data:
            raise InputError(f"no variable '{name}'", where=str(path), hint="run `infer` for this tile-year again")
        return data[name].to_numpy().astype(np.float64)


def grid_of(lat: npt.NDArray[np.float64], where: str) -> Grid:
    """The grid whose spacing ``lat`` has; raises :class:`GridError` if there is none."""
    spacing = float(abs(lat[1] - lat[0])) if lat.size > 1 else float("nan")
    for grid in GRIDS.values():
        if abs(spacing - grid.resolution) < 0.01 * grid.resolution:
            return grid
    raise GridError(f"a spacing of {spacing:g} degrees is that of no grid", hint=f"known: {sorted(GRIDS)}; see {where}")


def _location(path: Path) -> tuple[Grid, slice, slice]:
    with open_netcdf(path) as data:
        lat, lon = (np.asarray(data[axis], dtype=np.float64) for axis in ("lat", "lon"))
    grid = grid_of(lat, str(path))
    rows, columns = grid.snap(lat, "lat"), grid.snap(lon, "lon")
    if (np.diff(rows) != 1).any() or (np.diff(columns) != 1).any():
        raise GridError(
            f"{path}: latitudes must descend and longitudes ascend without gaps", hint="make the tile again"
        )
    return grid, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _year(path: Path) -> int:
    """The year of a flux file, after checking that it holds every day of it once."""
    with open_netcdf(path) as data:
        days = pd.DatetimeIndex(data["time"].to_numpy())
    year = int(days[0].year) if len(days) else 0
    if not len(days) or not days.equals(pd.date_range(f"{year}-01-01", f"{year}-12-31")):
        raise InputError(
            f"the {len(days)} days do not make one whole year",
            where=str(path),
            hint="a flux file holds each day of one year once; run `infer` for this tile-year again",
        )
    return year


def _identity(path: Path) -> dict[str, Any]:
    """What all tiles of one product must have in common: version, settings and members."""
    with open_netcdf(path) as data:
        attrs = data.attrs
    settings = json.loads(attrs.get("fluxatlas_settings", "null"))
    inputs = json.loads(attrs.get("fluxatlas_inputs", "{}"))
    if isinstance(settings, dict):
        of_result = names(InferBlock, "infer", changing="result")
        settings = {key: value for key, value in settings.items() if key in of_result}
    return {
        "version of fluxatlas": attrs.get("fluxatlas_version"),
        "settings": settings,
        "members": {key: value for key, value in inputs.items() if "member" in key},
    }


def _check_alike(paths: Sequence[Path]) -> None:
    first = _identity(paths[0])
    for path in paths[1:]:
        other = _identity(path)
        differing = [key for key in first if first[key] != other[key]]
        if differing:
            raise InputError(
                f"made with other {' and '.join(differing)} than {paths[0]}",
                where=str(path),
                hint="one product needs one ensemble and one set of settings: run `infer` again for the older files",
            )


def assemble(flux: Sequence[PathLike], attributes: Sequence[PathLike], bbox: Bbox | None = None) -> Mosaic:
    """Sort files by tile and year and check that they fit together.

    ``flux`` may be empty where only attributes are wanted. ``bbox`` = (west, south, east, north) limits the product;
    otherwise it is the smallest box that holds all tiles. Raises :class:`InputError` for a tile-year that is missing,
    given twice, without attributes, or made with another version, settings or members than the first one, and
    :class:`GridError` for files of different grids.
    """
    if not attributes:
        raise InputError("no attributes were given", hint="give the attributes of every tile")
    places: dict[tuple[Grid, int, int, int, int], tuple[Path, dict[int, Path]]] = {}
    for path in map(Path, attributes):
        places[_key(*_location(path))] = (path, {})
    for path in map(Path, flux):
        key = _key(*_location(path))
        if key not in places:
            raise InputError("no attributes for this tile", where=str(path), hint="give them with --attributes")
        year, years = _year(path), places[key][1]
        if year in years:
            raise InputError(f"a second file of {year} for one tile (the first is {years[year]})", where=str(path))
        years[year] = path
    grids = {key[0].name for key in places}
    if len(grids) > 1:
        raise GridError(f"the tiles lie on different grids: {sorted(grids)}", hint="give the tiles of one run")
    pieces = tuple(
        TileResult(found.stem, slice(key[1], key[2]), slice(key[3], key[4]), found, years)
        for key, (found, years) in sorted(places.items(), key=lambda item: item[0][1:])
    )
    _check_complete(pieces)
    if flux:
        _check_alike([path for piece in pieces for path in piece.flux.values()])
    grid = next(iter(places))[0]
    return Mosaic(grid, pieces, *_box(grid, pieces, bbox))


def _key(grid: Grid, rows: slice, columns: slice) -> tuple[Grid, int, int, int, int]:
    return grid, rows.start, rows.stop, columns.start, columns.stop


def _check_complete(pieces: Sequence[TileResult]) -> None:
    for year in sorted({year for piece in pieces for year in piece.flux}):
        for piece in pieces:
            piece.year(year)


def _box(grid: Grid, pieces: Sequence[TileResult], bbox: Bbox | None) -> tuple[slice, slice]:
    if bbox is None:
        rows = slice(min(p.rows.start for p in pieces), max(p.rows.stop for p in pieces))
        return rows, slice(min(p.columns.start for p in pieces), max(p.columns.stop for p in pieces))
    west, south, east, north = bbox
    tiny, n = 1e-6, grid.per_degree
    return (
        slice(int(np.floor((90 - north) * n + tiny)), int(np.ceil((90 - south) * n - tiny))),
        slice(int(np.floor((west + 180) * n + tiny)), int(np.ceil((east + 180) * n - tiny))),
    )
