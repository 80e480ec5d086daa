"""The share of each cell in each region of a map: countries, TransCom regions, ecoregions, basins.

:func:`region_shares` serves any latitude-longitude grid (a tile, or the 1 x 1 degree grid of an inversion). Shares are
of the area of the cell and sum to at most one; share times area of the cells adds up to the area of the region. What
lies in no region (the sea, gaps between the polygons) is in none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from .. import files
from ..axes import WRITTEN
from ..config.regions import RegionMap, RegionsBlock, region_inputs
from ..errors import GridError, InputError, counted
from ..grid import EARTH_RADIUS, Tile
from .coverage import coverage
from .region_codes import is_code_map, read_codes
from .region_shapes import read_shapes

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RegionShares:
    """Shares [0-1] of cells in regions: ``share`` (region, lat, lon) of those ``names`` that occur, in their order.

    ``notes`` say what was repaired, merged or left out on the way.
    """

    names: tuple[str, ...]
    share: Array
    notes: tuple[str, ...] = ()

    def total(self, field: Array) -> Array:
        """Sum of ``field`` (..., lat, lon), given per cell, over each region: (..., region). NaN cells make it NaN."""
        return np.einsum("...yx,ryx->...r", np.asarray(field, float), np.asarray(self.share, float))


def bounds(centres: npt.ArrayLike, axis: str) -> npt.NDArray[np.float64]:
    """Edges of cells from their centres: half way between them, and as far beyond the outermost.

    Latitude stops at the poles, so that grids with half cells there are right. Raises :class:`GridError` where the
    centres do not ascend (longitude) or go one way (latitude), are fewer than two, or go around the globe twice.
    """
    values = np.asarray(centres, float)
    steps = np.diff(values)
    one_way = values.ndim == 1 and values.size >= 2 and bool((steps > 0).all() or (axis == "lat" and (steps < 0).all()))
    if not one_way or not np.isfinite(values).all():
        hint = "give a regular grid: longitudes from west to east, latitudes either way"
        raise GridError(f"the {axis} centres do not make an axis of at least two cells", hint=hint)
    inner = 0.5 * (values[1:] + values[:-1])
    edges = np.concatenate([[1.5 * values[0] - 0.5 * values[1]], inner, [1.5 * values[-1] - 0.5 * values[-2]]])
    if axis == "lat":
        return np.clip(edges, -90.0, 90.0)
    if edges[-1] - edges[0] > 360.0 + 1e-6:
        raise GridError(f"the longitudes span {edges[-1] - edges[0]:g} degrees", hint="leave out the repeated columns")
    return edges


def cell_area(lat_edges: Array, lon_edges: Array) -> npt.NDArray[np.float64]:
    """Area [m2] of each cell, (rows, columns), on the sphere of :data:`fluxatlas.grid.EARTH_RADIUS`."""
    height = np.abs(np.diff(np.sin(np.deg2rad(lat_edges))))
    return EARTH_RADIUS**2 * height[:, None] * np.deg2rad(np.diff(lon_edges))[None, :]


def region_shares(source: RegionMap, lat: npt.ArrayLike, lon: npt.ArrayLike) -> RegionShares:
    """Shares of the cells with centres ``lat`` (either way) and ``lon`` (ascending, -180..180 or 0..360) [degrees].

    Polygons are measured exactly (edges straight in longitude and latitude), maps of codes by the area of their cells;
    their shares are float64, in the order of the names. Raises :class:`InputError` or :class:`GridError` where the file
    or the grid cannot be used (see :mod:`.region_shapes`, :mod:`.region_codes`).
    """
    return shares_between(source, bounds(lat, "lat"), bounds(lon, "lon"))


def shares_between(source: RegionMap, lat_edges: Array, lon_edges: Array) -> RegionShares:
    """As :func:`region_shares` for cells given by their edges."""
    if is_code_map(source):
        found, notes = _codes_in_turns(source, lat_edges, lon_edges)
    else:
        window = (float(lon_edges[0]), float(lat_edges.min()), float(lon_edges[-1]), float(lat_edges.max()))
        shapes, notes = read_shapes(source, window)
        found = {}
        for shape in shapes:
            part = coverage(shape.geometry, lat_edges, lon_edges)
            if part.any():
                found[shape.name] = found[shape.name] + part if shape.name in found else part
    names = tuple(sorted(found))
    share = (
        np.stack([found[name] for name in names]) if names else np.zeros((0, len(lat_edges) - 1, len(lon_edges) - 1))
    )
    whole = share.sum(axis=0)
    share /= np.maximum(whole, 1.0)  # round-off, and slivers thinner than the tolerance
    return RegionShares(names, share, tuple(notes))


def _codes_in_turns(source: RegionMap, lat_edges: Array, lon_edges: Array) -> tuple[dict[str, Array], list[str]]:
    """Codes for an axis that may pass the date line: its columns west and east of it one after the other."""
    cuts = [k for k in range(2, len(lon_edges) - 2) if lon_edges[k - 1] < 180.0 <= lon_edges[k]]
    starts, stops = [0, *cuts], [*cuts, len(lon_edges) - 1]
    found: dict[str, Array] = {}
    notes: list[str] = []
    for start, stop in zip(starts, stops, strict=True):
        part, told = read_codes(source, lat_edges, lon_edges[start : stop + 1])
        notes += [note for note in told if note not in notes]
        for name, share in part.items():
            whole = found.setdefault(name, np.zeros((len(lat_edges) - 1, len(lon_edges) - 1)))
            whole[:, start:stop] = share
    return found, notes


def build(block: RegionsBlock, tile: Tile) -> xr.Dataset:
    """Shares of the cells of ``tile`` in the regions of every map, as described in docs/contracts.md."""
    rows, columns = tile.grid.lat_bounds(tile.rows), tile.grid.lon_bounds(tile.columns)
    coords: dict[str, Any] = {
        "lat": ("lat", tile.lat, WRITTEN["lat"]),
        "lon": ("lon", tile.lon, WRITTEN["lon"]),
    }
    data: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for kind, source in block.maps.items():
        found = shares_between(source, rows, columns)
        notes[f"notes_{kind}"] = "; ".join(found.notes) or "none"
        _say(
            f"{tile.name}: {kind}: {counted(len(found.names), 'region')}" + "".join(f"; {note}" for note in found.notes)
        )
        if not found.names:
            continue
        attrs = {"standard_name": "area_fraction", "long_name": f"share of the cell in each of {kind}", "units": "1"}
        data[kind] = ((f"{kind}_region", "lat", "lon"), found.share.astype(np.float32), attrs)
        coords[f"{kind}_region"] = (f"{kind}_region", np.array(found.names, dtype=object), {"long_name": kind})
    attrs = {"title": f"Regions of tile {tile.name}", "grid": tile.grid.name, "tile": tile.name}
    return xr.Dataset(data, coords, {**attrs, "tile_size": np.int32(tile.size), "maps": " ".join(block.maps), **notes})


def write(block: RegionsBlock, tile: Tile, output: str | Path) -> None:
    """Build the regions of ``tile`` and write them to ``output``, completely or not at all."""
    if not block.maps:
        raise InputError("no map of regions is given", where="regions.maps", hint="name at least one in 'maps'")
    dataset = build(block, tile)
    encoding: dict[str, Any] = {
        str(name): {"compression": "zstd", "complevel": 3, "chunksizes": (1, *tile.shape), "_FillValue": None}
        for name in dataset.data_vars
    }
    paths = {str(path): path for path in region_inputs(block)}
    attrs = files.provenance("regrid regions", block.model_dump(mode="json"), paths)
    files.write_netcdf(dataset, output, encoding, attrs={"Conventions": "CF-1.11", **attrs})


def read(path: str | Path) -> Mapping[str, RegionShares]:
    """Shares of every map of a file of :func:`write`, by the name of the map; float64."""
    with files.open_netcdf(path) as data:
        if "maps" not in data.attrs:
            raise InputError("is not a regions file", where=str(path), hint="make it with `fluxatlas regrid regions`")
        shape = data.sizes["lat"], data.sizes["lon"]
        found = {}
        for kind in str(data.attrs["maps"]).split():
            if kind in data:
                names = tuple(str(name) for name in data[f"{kind}_region"].to_numpy())
                found[kind] = RegionShares(names, data[kind].to_numpy().astype(np.float64))
            else:
                found[kind] = RegionShares((), np.zeros((0, *shape)))
    return found


def _say(text: str) -> None:
    print(f"regrid: {text}", file=sys.stderr, flush=True)
