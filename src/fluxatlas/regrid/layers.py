"""Read static layers for a tile: windowed, whatever the projection, on to the cells of the tile.

A raster finer than the target is averaged by area, a coarser one interpolated bilinearly. Only the window around the
tile is read, in strips of rows, so that memory does not grow with the size of the source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from .. import variables
from ..config.static import Layer
from ..errors import InputError
from ..files import open_netcdf
from ..grid import Tile
from .apply import apply
from .weights import AxisWeights, axis_weights, cell_taps

Array = npt.NDArray[np.floating[Any]]
STRIP = 48
"""Target rows handled at a time."""


def read_layer(name: str, layer: Layer, tile: Tile) -> Array:
    """Layer ``name`` over ``tile`` in canonical units: (rows, columns), or (12, rows, columns) for ``lai``.

    NaN where the source is missing or does not reach. Raises :class:`InputError` or :class:`UnitError` for a file that
    is absent, unreadable or without the variable, for values out of range and a wrong number of bands.
    """
    bands = 12 if name == "lai" else 1
    if layer.constant is not None:
        values = np.full((bands, *tile.shape), layer.constant)
    elif Path(layer.path).suffix.lower() in (".nc", ".nc4"):
        values = _from_netcdf(name, layer, tile, bands)
    else:
        values = _from_raster(layer, tile, bands)
    values = _transformed(values * layer.scale, layer.transform)
    if layer.units:
        values = np.asarray(variables.convert(values, layer.units, name, where=layer.path), float)
    variables.check_range(values, name, where=layer.path or f"static.layers.{name}.constant")
    return values if bands > 1 else values[0]


def _transformed(values: Array, transform: str) -> Array:
    """Cosby et al. (1984, doi:10.1029/WR020i006p00682) inverted: expt = 3 + 2 b, b = 2.91 + 0.159 clay;
    log10 Ksat[inch h-1] = -0.884 + 0.0153 sand, here from Ksat [mm d-1]."""
    if transform == "clay_from_expt":
        return np.clip(((values - 3) / 2 - 2.91) / 0.159, 0, 100)
    if transform == "sand_from_ksat":
        return np.clip((np.log10(values / 86400 / 0.0070556) + 0.884) / 0.0153, 0, 100)
    return values


def _from_raster(layer: Layer, tile: Tile, bands: int) -> Array:
    with open_raster(layer.path) as source:
        if source.count < bands:
            raise InputError(f"the file has {source.count} bands, {bands} are needed", where=layer.path)
        chosen = list(range(1, bands + 1))
        out = np.full((bands, *tile.shape), np.nan)
        for top in range(0, tile.shape[0], STRIP):
            rows = slice(top, min(top + STRIP, tile.shape[0]))
            out[:, rows] = _strip(source, tile, rows, chosen, layer.nodata)
    return out


def open_raster(path: str) -> Any:
    """Open a raster; one that is not in degrees is warped on the fly.

    Raises :class:`InputError` where it is absent or no raster.
    """
    if not Path(path).exists():
        raise InputError("file not found", where=path, hint="check the path in the block 'static'")
    try:
        source = rasterio.open(path)
    except rasterio.errors.RasterioIOError as problem:
        raise InputError(f"cannot be read as a raster ({problem})", where=path, hint="make it again") from None
    if source.crs is None or source.crs.is_geographic:
        return source
    return WarpedVRT(source, crs="EPSG:4326", resampling=Resampling.average)


def raster_axes(source: Any) -> tuple[Array, Array]:
    """Latitudes and longitudes of the cell centres of an open raster."""
    t = source.transform
    return t.f + (np.arange(source.height) + 0.5) * t.e, t.c + (np.arange(source.width) + 0.5) * t.a


def window(centres: Array, low: float, high: float) -> slice:
    """Positions of ``centres`` within [low, high], with two more on each side."""
    inside = np.flatnonzero((centres >= low) & (centres <= high))
    if len(inside) == 0:
        nearest = int(np.argmin(np.abs(centres - 0.5 * (low + high))))
        inside = np.array([nearest])
    return slice(max(int(inside[0]) - 2, 0), min(int(inside[-1]) + 3, len(centres)))


def to_tile(source: Array, lat: Array, lon: Array, tile: Tile, rows: slice) -> Array:
    """``source`` (bands, ny, nx) on to ``rows`` of the tile: (bands, rows, columns); NaN where it does not reach."""
    target = tile.lat[rows]
    taps = []
    for given, wanted, axis in ((lat, target, "lat"), (lon, tile.lon, "lon")):
        finer = abs(given[1] - given[0]) < 0.75 * tile.grid.resolution
        taps.append(axis_weights(given, wanted, axis, "conservative" if finer else "bilinear"))  # type: ignore[arg-type]
    cells = np.arange(len(target) * len(tile.lon))
    both = cell_taps(taps[0], taps[1], len(tile.lon), len(lon), cells)
    uncovered = np.isnan(both.weight[:, 0])
    safe = AxisWeights(both.index, np.where(uncovered[:, None], 0.0, both.weight))
    out = apply(source, safe).astype(float)
    out[:, uncovered] = np.nan
    return out.reshape(len(source), len(target), len(tile.lon))


def _strip(source: Any, tile: Tile, rows: slice, bands: list[int], nodata: float | None) -> Array:
    data, lat, lon = read_window(source, tile, rows, bands)
    missing = source.nodata if nodata is None else nodata
    values = data.astype(float)
    if missing is not None:
        values[data == missing] = np.nan
    return to_tile(values, lat, lon, tile, rows)


def read_window(source: Any, tile: Tile, rows: slice, bands: list[int]) -> tuple[Any, Array, Array]:
    """Raw values (bands, ny, nx) of an open raster around ``rows`` of the tile, with their latitudes and longitudes."""
    lat, lon = raster_axes(source)
    half = tile.grid.resolution / 2
    y = window(lat, tile.lat[rows].min() - half, tile.lat[rows].max() + half)
    x = window(lon, tile.lon.min() - half, tile.lon.max() + half)
    box = Window(x.start, y.start, x.stop - x.start, y.stop - y.start)
    return source.read(bands, window=box), lat[y], lon[x]


def _from_netcdf(name: str, layer: Layer, tile: Tile, bands: int) -> Array:
    with open_netcdf(layer.path, decode_times=False) as dataset:
        field = _field(dataset, layer.variable or name, layer.path)
        if layer.weights:
            shares = _field(dataset, layer.weights, layer.path)
            over = [d for d in shares.dims if d not in ("lat", "lon")]
            field = (field * shares).sum(over) / shares.where(field.notnull()).sum(over)
        field = field.isel(layer.select)
        extra = [d for d in field.dims if d not in ("lat", "lon")]
        if (len(extra), field.sizes[extra[0]] if extra else 1) != ((1, bands) if bands > 1 else (0, 1)):
            sizes = {str(d): field.sizes[d] for d in extra}
            raise InputError(
                f"'{field.name}' has the dimensions {sizes} beyond lat and lon; {bands} fields are needed",
                where=layer.path,
                hint=f"choose positions with static.layers.{name}.select",
            )
        field = field.transpose(*extra, "lat", "lon")
        values = field.to_numpy().reshape(bands, field.sizes["lat"], field.sizes["lon"]).astype(float)
    if layer.nodata is not None:
        values[values == layer.nodata] = np.nan
    return to_tile(values, field["lat"].to_numpy(), field["lon"].to_numpy(), tile, slice(0, tile.shape[0]))


def _field(dataset: xr.Dataset, variable: str, path: str) -> xr.DataArray:
    if variable not in dataset:
        raise InputError(f"no variable '{variable}'", where=path, hint=f"choose from {sorted(map(str, dataset))}")
    names = {"latitude": "lat", "longitude": "lon", "y": "lat", "x": "lon"}
    field = dataset[variable]
    return field.rename({old: new for old, new in names.items() if old in field.dims})
