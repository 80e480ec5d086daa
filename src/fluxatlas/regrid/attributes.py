"""The attributes of a tile: every static layer on the target grid, and which cells are run.

Layers are read with a margin around the tile, so that gaps at its edge are filled as they would be in a larger tile.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from .. import files, variables
from ..axes import WRITTEN
from ..config.static import StaticBlock, layer_inputs
from ..errors import InputError
from ..grid import Grid, Tile
from ..land_mask import is_land
from ..systems import System
from .area_maps import as_share_of_land, read_area_maps
from .cover import groups, read_legend, shares
from .frame import Frame
from .lai import read_lai
from .layers import read_layer

Array = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
BBox = tuple[float, float, float, float]

TEXTURE = ("sand", "clay")
SUBPOINTS = 4
"""Points per cell and axis at which the land mask is read."""


def land_percent(frame: Frame) -> Array:
    """Share of land [%] in each cell, from the mask of the package global-land-mask at 4 x 4 points per cell."""
    offset = ((np.arange(SUBPOINTS) + 0.5) / SUBPOINTS - 0.5) * frame.step
    lat, lon = (frame.lat[:, None] - offset).ravel(), (frame.lon[:, None] + offset).ravel()
    rows, columns = frame.shape
    land: Mask = is_land(lat[:, None], lon[None, :])
    return 100.0 * land.reshape(rows, SUBPOINTS, columns, SUBPOINTS).mean(axis=(1, 3))


def fill_nearest(values: Array, wanted: Mask, reach: int) -> tuple[Array, int]:
    """Fill ``wanted`` cells (rows, columns) that are NaN in any band from the nearest complete cell within ``reach``.

    ``values`` is (rows, columns) or (bands, rows, columns); returns it with the number of cells filled. Of equally near
    cells the northernmost, then westernmost is taken: the result does not depend on where the array was cut.
    """
    bands = values if values.ndim == 3 else values[None]
    known: Mask = np.asarray(np.isfinite(bands).all(axis=0))
    gaps = wanted & ~known
    out, rows, columns = bands.copy(), *np.nonzero(gaps)
    height, width = known.shape
    for down, right in _offsets(reach):
        if not len(rows):
            break
        y, x = rows + down, columns + right
        found = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        found[found] = known[y[found], x[found]]
        out[:, rows[found], columns[found]] = bands[:, y[found], x[found]]
        rows, columns = rows[~found], columns[~found]
    return out.reshape(values.shape), int(gaps.sum()) - len(rows)


def _offsets(reach: int) -> list[tuple[int, int]]:
    """Steps (down, right) to all cells within ``reach`` cells, the nearest first."""
    span = range(-reach, reach + 1)
    steps = [(y, x) for y in span for x in span if 0 < y * y + x * x <= reach * reach]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step))


def build(block: StaticBlock, tile: Tile, system: System, bbox: BBox) -> xr.Dataset:
    """All attributes of ``tile`` as described in docs/contracts.md.

    ``active`` cells are land (at least ``minimum_land``), hold enough of the mask of ``system``, lie in ``bbox`` (west,
    south, east, north) and know every attribute that it needs. Raises :class:`InputError` where the block lacks a layer
    that ``system`` needs, and whatever the layers raise.
    """
    frame = Frame.around(tile, block.fill_cells)
    layers = {name: read_layer(name, layer, frame) for name, layer in block.all_layers().items()}
    series = read_lai(block.lai_series, frame) if block.lai_series else None
    if series:
        layers["lai"] = series.values
        _say(f"{tile.name}: {series.summary}")
    if "sftlf" not in layers:
        layers["sftlf"] = land_percent(frame)
    as_share_of_land(layers, block)
    layers = {**_cover_layers(block, frame, layers["sftlf"]), **layers}
    maps = read_area_maps(block, system.mask, frame, layers["sftlf"])
    needed = system.layers
    absent = [name for name in needed if name not in layers]
    if absent:
        raise InputError(f"no layer for {', '.join(absent)}", where="static.layers", hint="add a file or a constant")
    run = (layers["sftlf"] >= block.minimum_land) & _inside(frame, bbox)
    if system.mask:
        most = np.max(
            [layers[system.mask], *(np.max(one, axis=0) if one.ndim == 3 else one for one in maps.values())], 0
        )
        run &= most >= block.minimum_mask
    inner = np.zeros(frame.shape, bool)
    inner[frame.inner] = True
    _check_texture(layers, block, frame, run & inner)
    filled: dict[str, int] = {}
    lacking: dict[str, int] = {}
    for name in needed:
        if name not in filled:
            together = tuple(other for other in TEXTURE if other in layers) if name in TEXTURE else (name,)
            filled |= _fill(layers, together, run & inner, block.fill_cells)
        known = np.isfinite(layers[name]) if layers[name].ndim == 2 else np.isfinite(layers[name]).all(axis=0)
        lacking[name] = int((run & inner & ~known).sum())
        run &= known
    layers |= {f"{system.mask}_{name}": values for name, values in maps.items()}
    layers = {name: frame.crop(values) for name, values in layers.items()}
    layers["areacella"] = np.repeat(tile.cell_area[:, None], tile.shape[1], axis=1)
    yearly = {
        f"{system.mask}_{name}": layer.years for name, layer in block.area_maps.items() if layer.over_time == "years"
    }
    dataset = _dataset(layers, frame.crop(run), tile, _counts(filled), _counts(lacking), yearly)
    dataset.attrs["weight"] = " ".join(system.weight)
    if maps:
        dataset.attrs["area_maps"] = " ".join(maps)
    if series:
        dataset["lai"].attrs |= series.attrs
    return dataset


def at_place(block: StaticBlock, grid: Grid, lat: float, lon: float, system: System) -> xr.Dataset:
    """Altitude and attributes for ``system`` of the cell of ``grid`` that holds a place, by the rules of a tile.

    Scalars, monthly layers (12,); NaN where the maps say nothing of it or its neighbours, and for a layer that is a
    constant, which is of the domain. Raises whatever the layers raise.
    """
    frame = Frame.of_cell(grid, lat, lon, block.fill_cells)
    wanted = ("orog", *system.attributes, *system.monthly)
    read = (*wanted, "sftlf")
    maps = {name: layer for name, layer in block.all_layers().items() if name in read and layer.constant is None}
    layers = {name: read_layer(name, layer, frame) for name, layer in maps.items()}
    if block.lai_series and "lai" in wanted:
        layers["lai"] = read_lai(block.lai_series, frame).values
    if "sftlf" not in layers:
        layers["sftlf"] = land_percent(frame)
    as_share_of_land(layers, block)
    if block.landcover:
        layers = {**_cover_layers(block, frame, layers["sftlf"]), **layers}
    here = np.zeros(frame.shape, bool)
    here[frame.inner] = True
    _check_texture(layers, block, frame, here)
    found: dict[str, Any] = {}
    for name in wanted:
        together = tuple(other for other in TEXTURE if other in layers) if name in TEXTURE else (name,)
        _fill(layers, together, here, block.fill_cells)
        monthly = name in system.monthly
        value = frame.crop(layers[name])[..., 0, 0] if name in layers else np.full((12,) if monthly else (), np.nan)
        found[name] = ("month", value) if monthly else value
    return xr.Dataset(found)


def _fill(layers: dict[str, Array], names: Sequence[str], wanted: Mask, reach: int) -> dict[str, int]:
    """Fill the gaps of layers in place, of several (sand and clay) from one cell; the number of cells by name."""
    names = [name for name in names if name in layers]
    if not names:
        return {}
    if len(names) == 1:
        layers[names[0]], count = fill_nearest(layers[names[0]], wanted, reach)
        return {names[0]: count}
    before = np.stack([layers[name] for name in names])
    after, _ = fill_nearest(before, wanted, reach)
    layers |= dict(zip(names, after, strict=True))
    counts = (np.isnan(before) & np.isfinite(after)).sum(axis=(1, 2))
    return dict(zip(names, counts.tolist(), strict=True))


def _check_texture(layers: dict[str, Array], block: StaticBlock, frame: Frame, where: Mask) -> None:
    """Refuse a cell of ``where`` whose sand and clay are more than its soil."""
    if not set(TEXTURE) <= set(layers):
        return
    sources = block.all_layers()
    paths = dict.fromkeys(path for name in TEXTURE if name in sources for path in sources[name].paths)
    variables.check_texture(
        *(np.where(where, layers[name], np.nan) for name in TEXTURE),
        where=", ".join(paths) or "static.layers",
        place=lambda row, column: f"at {frame.lat[row]:.3f} N {frame.lon[column]:.3f} E",
    )


def _cover_layers(block: StaticBlock, frame: Frame, land: Array) -> dict[str, Array]:
    """``uplandFrac`` [% of the cell], ``cropFrac`` and ``wetlandFrac`` [% of the land], and ``biome``.

    Without a map of land cover all land counts as upland soil, without wetland.
    """
    if block.landcover is None:
        nothing = np.full(frame.shape, np.nan)
        return {"uplandFrac": land, "wetlandFrac": np.where(land > 0, 0.0, nothing), "biome": nothing}
    found = groups(shares(block.landcover, frame), read_legend(block.landcover.legend), frame)
    on_land = np.where(land > 0, land, np.nan)
    return {
        "uplandFrac": np.minimum(found["upland"], land),
        "cropFrac": np.minimum(100 * found["crop"] / on_land, 100.0),
        "wetlandFrac": np.minimum(100 * found["wetland"] / on_land, 100.0),
        "biome": found["biome"],
    }


def _inside(frame: Frame, bbox: BBox) -> Mask:
    west, south, east, north = bbox
    rows, columns = (frame.lat > south) & (frame.lat < north), (frame.lon > west) & (frame.lon < east)
    return rows[:, None] & columns[None, :]


def _counts(cells: dict[str, int]) -> str:
    """Cells by layer as one attribute: ``sand:12 clay:12``, or ``none``."""
    return " ".join(f"{name}:{count}" for name, count in cells.items() if count) or "none"


def _dataset(
    layers: dict[str, Array],
    active: Mask,
    tile: Tile,
    filled: str,
    lacking: str,
    yearly: Mapping[str, tuple[int, int] | None],
) -> xr.Dataset:
    coords: dict[str, Any] = {
        "lat": ("lat", tile.lat, WRITTEN["lat"]),
        "lon": ("lon", tile.lon, WRITTEN["lon"]),
        "month": ("month", np.arange(1, 13, dtype="int32"), {"long_name": "month of the year", "units": "1"}),
    }
    flags = {"long_name": "whether the cell is run", "flag_values": np.array([0, 1], "int8"), "flag_meanings": "no yes"}
    data: dict[str, Any] = {"active": (("lat", "lon"), active.astype("int8"), flags)}
    for name, values in layers.items():
        dims = ("month", "lat", "lon") if values.ndim == 3 else ("lat", "lon")
        if years := yearly.get(name):
            dims = (f"{name}_year", "lat", "lon")
            coords[dims[0]] = (dims[0], np.arange(years[0], years[1] + 1, dtype="int32"), {"units": "1"})
        layer, _, other = name.partition("_")
        about = dict(variables.get(layer).attrs)
        about["long_name"] += f" by the map '{other}'" if other else ""
        data[name] = (dims, values.astype("float32"), about)
    attrs = {
        "title": f"Attributes of tile {tile.name}",
        "grid": tile.grid.name,
        "tile": tile.name,
        "tile_size": np.int32(tile.size),
        "filled_cells": filled,
        "unknown_cells": lacking,
    }
    return xr.Dataset(data, coords, attrs)


def write(block: StaticBlock, tile: Tile, system: System, bbox: BBox, output: str | Path) -> None:
    """Build the attributes of ``tile`` and write them to ``output``, completely or not at all."""
    dataset = build(block, tile, system, bbox)
    encoding: dict[str, Any] = {
        str(name): {"compression": "zstd", "complevel": 3, "chunksizes": values.shape}
        | ({} if values.dtype == "int8" else {"_FillValue": np.float32(np.nan)})
        for name, values in dataset.data_vars.items()
    }
    paths = {str(path): path for path in layer_inputs(block)}
    attrs = files.provenance("regrid attributes", {**block.model_dump(mode="json"), "bbox": list(bbox)}, paths)
    files.write_netcdf(dataset, output, encoding, attrs={"Conventions": "CF-1.11", **attrs})
    active, cells = int(dataset["active"].sum()), dataset["active"].size
    _say(f"{tile.name}: {active} of {cells} cells are run; filled from neighbours: {dataset.attrs['filled_cells']}")
    if dataset.attrs["unknown_cells"] != "none":
        _say(f"{tile.name}: left out, because an attribute is unknown: {dataset.attrs['unknown_cells']}")


def _say(text: str) -> None:
    print(f"regrid: {text}", file=sys.stderr, flush=True)
