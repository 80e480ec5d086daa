"""The attributes of a tile: every static layer on the target grid, and which cells are run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from .. import files, variables
from ..config.static import StaticBlock, static_inputs
from ..errors import InputError
from ..grid import Tile
from ..systems import System
from .cover import groups, read_legend, shares
from .layers import read_layer

Array = npt.NDArray[np.floating[Any]]
SUBPOINTS = 4
"""Points per cell and axis at which the land mask is read."""


def land_percent(tile: Tile) -> Array:
    """Share of land [%] in each cell, from the package global-land-mask at 4 x 4 points per cell."""
    from global_land_mask import globe

    offset = ((np.arange(SUBPOINTS) + 0.5) / SUBPOINTS - 0.5) * tile.grid.resolution
    lat = (tile.lat[:, None] - offset).ravel()
    lon = (tile.lon[:, None] + offset).ravel()
    land = globe.is_land(*np.meshgrid(lat, np.clip(lon, -180, 179.9999), indexing="ij"))
    rows, columns = tile.shape
    return 100 * land.reshape(rows, SUBPOINTS, columns, SUBPOINTS).mean(axis=(1, 3))


def fill_nearest(values: Array, wanted: npt.NDArray[np.bool_], reach: float) -> tuple[Array, int]:
    """Fill NaN in ``wanted`` cells from the nearest known cell within ``reach`` cells; returns the number filled.

    ``values`` is (rows, columns) or (bands, rows, columns) with the same gaps in every band.
    """
    unknown = ~np.isfinite(values if values.ndim == 2 else values[0])
    if not (unknown & wanted).any() or unknown.all():
        return values, 0
    distance, index = ndimage.distance_transform_edt(unknown, return_indices=True)
    fill = unknown & wanted & (distance <= reach)
    out = values.copy()
    out[..., fill] = values[..., index[0][fill], index[1][fill]]
    return out, int(fill.sum())


def build(block: StaticBlock, tile: Tile, system: System, bbox: tuple[float, float, float, float]) -> xr.Dataset:
    """All attributes of ``tile`` as described in docs/contracts.md.

    Raises :class:`InputError` where the block lacks a layer that ``system`` needs, and whatever the layers raise.
    """
    land = land_percent(tile)
    layers: dict[str, Array] = {"sftlf": land, "areacella": np.repeat(tile.cell_area[:, None], tile.shape[1], axis=1)}
    layers |= _cover_layers(block, tile, land)
    for name, layer in block.layers.items():
        layers[name] = read_layer(name, layer, tile)
    needed = ("orog", "lai", *system.attributes)
    absent = [name for name in needed if name not in layers]
    if absent:
        raise InputError(f"no layer for {', '.join(absent)}", where="static.layers", hint="add a file or a constant")
    run = (land >= block.minimum_land) & (layers["uplandFrac"] >= block.minimum_upland) & _inside(tile, bbox)
    filled = {}
    for name in needed:
        layers[name], filled[name] = fill_nearest(layers[name], run, block.fill_cells)
        known = np.isfinite(layers[name])
        run &= known if known.ndim == 2 else known.all(axis=0)
    for name, count in filled.items():
        if count:
            print(f"regrid: {tile.name}: {name} filled from neighbours in {count} cells", file=sys.stderr)
    layers["active"] = run.astype(float)
    return _dataset(layers, tile, {name: count for name, count in filled.items() if count})


def _cover_layers(block: StaticBlock, tile: Tile, land: Array) -> dict[str, Array]:
    """``uplandFrac`` [% of the cell], ``cropFrac`` and ``wetlandFrac`` [% of the land], and ``biome``."""
    if block.landcover is None:
        zero = np.zeros(tile.shape)
        return {"uplandFrac": land, "wetlandFrac": zero, "biome": np.full(tile.shape, np.nan)}
    found = groups(shares(block.landcover, tile), read_legend(block.landcover.legend), tile.lat)
    on_land = np.where(land > 0, land, np.nan)
    return {
        "uplandFrac": np.minimum(found["upland"], land),
        "cropFrac": np.clip(100 * found["crop"] / on_land, 0, 100),
        "wetlandFrac": np.clip(100 * found["wetland"] / on_land, 0, 100),
        "biome": found["biome"],
    }


def _inside(tile: Tile, bbox: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    west, south, east, north = bbox
    rows, columns = (tile.lat > south) & (tile.lat < north), (tile.lon > west) & (tile.lon < east)
    return rows[:, None] & columns[None, :]


def _dataset(layers: dict[str, Array], tile: Tile, filled: dict[str, int]) -> xr.Dataset:
    coords = {
        "lat": ("lat", tile.lat, {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}),
        "lon": ("lon", tile.lon, {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}),
    }
    data: dict[str, Any] = {}
    for name, values in layers.items():
        if name == "active":
            attrs = {"long_name": "cell is run", "flag_values": np.array([0, 1], "int8"), "flag_meanings": "no yes"}
            data[name] = (("lat", "lon"), values.astype("int8"), attrs)
        else:
            dims = ("month", "lat", "lon") if values.ndim == 3 else ("lat", "lon")
            data[name] = (dims, values.astype("float32"), variables.get(name).attrs)
    attrs = {"title": f"Attributes of tile {tile.name}", "grid": tile.grid.name, "tile": tile.name}
    counts = " ".join(f"{name}:{count}" for name, count in filled.items())
    return xr.Dataset(data, coords, attrs | {"tile_size": tile.size, "filled_cells": counts or "none"})


def write(
    block: StaticBlock, tile: Tile, system: System, bbox: tuple[float, float, float, float], output: str | Path
) -> None:
    """Build the attributes of ``tile`` and write them to ``output``, completely or not at all."""
    dataset = build(block, tile, system, bbox)
    encoding = {
        str(name): {"compression": "zstd", "complevel": 3, "chunksizes": values.shape}
        | ({} if values.dtype == "int8" else {"_FillValue": np.float32(np.nan)})
        for name, values in dataset.data_vars.items()
    }
    paths = {Path(path).name: path for path in static_inputs(block)}
    attrs = files.provenance("regrid attributes", block.model_dump(mode="json"), paths)
    files.write_netcdf(dataset, output, encoding, attrs={"Conventions": "CF-1.11", **attrs})
    active = int(dataset["active"].sum())
    print(f"regrid: {tile.name}: {active} of {dataset['active'].size} cells are run", file=sys.stderr)
