"""The cells of a tile that are run, with what is fixed about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from .. import files
from ..errors import GridError, InputError
from ..grid import Tile
from ..systems import System
from .soil import derive_statics

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ActiveCells:
    """The active cells of a tile in row-major order.

    ``index`` (n,) flat positions in the tile, ``lat`` and ``lon`` (n,) degrees, ``statics`` (n,) float32 each for
    ``System.statics``, ``monthly`` (12, n) climatologies by layer for ``System.monthly``; ``orog`` (ny, nx) [m] is that
    of the whole tile.
    """

    tile: Tile
    index: npt.NDArray[np.int64]
    lat: FloatArray
    lon: FloatArray
    statics: dict[str, npt.NDArray[np.float32]]
    monthly: dict[str, npt.NDArray[np.float32]]
    orog: FloatArray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Row of each cell on the grid (not in the tile)."""
        return self.index // self.tile.shape[1] + self.tile.rows.start

    @property
    def columns(self) -> npt.NDArray[np.int64]:
        """Column of each cell on the grid (not in the tile)."""
        return self.index % self.tile.shape[1] + self.tile.columns.start


def read_cells(path: str | Path, tile: Tile, system: System) -> ActiveCells:
    """The active cells of ``tile`` from its attributes file.

    Raises :class:`GridError` where the file is of another tile, :class:`InputError` where a layer is absent or missing
    over an active cell.
    """
    attributes = files.read_netcdf(path)
    _check_tile(attributes, tile, str(path))
    layers = [name for name in ("active", *system.layers) if name not in attributes]
    if layers:
        raise InputError(f"no layer {', '.join(layers)}", where=str(path), hint="make the attributes again")
    index = np.flatnonzero(attributes["active"].to_numpy() == 1)
    lat, lon = (axis.ravel()[index] for axis in np.meshgrid(tile.lat, tile.lon, indexing="ij"))
    attribute = {name: attributes[name].to_numpy().ravel()[index] for name in system.attributes}
    monthly = {
        name: attributes[name].transpose(..., "lat", "lon").to_numpy().reshape(12, -1)[:, index]
        for name in system.monthly
    }
    orog = attributes["orog"].to_numpy().astype(float)
    for name, values in {**attribute, **monthly, "orog": orog.ravel()[index]}.items():
        _check_known(name, values, lat, lon, str(path))
    statics = derive_statics(attribute, system)
    return ActiveCells(
        tile, index, lat, lon, statics, {name: values.astype(np.float32) for name, values in monthly.items()}, orog
    )


def _check_tile(attributes: xr.Dataset, tile: Tile, where: str) -> None:
    lat, lon = attributes["lat"].to_numpy(), attributes["lon"].to_numpy()
    fits = (len(lat), len(lon)) == tile.shape
    if not fits or not (np.allclose(lat, tile.lat, atol=1e-4) and np.allclose(lon, tile.lon, atol=1e-4)):
        raise GridError(
            f"the attributes ({len(lat)} x {len(lon)} cells from {lat[0]:.4f} N, {lon[0]:.4f} E) are not of tile "
            f"{tile.name} of {tile.size} degrees on the {tile.grid.name} grid",
            where=where,
            hint="give the file of this tile, grid and tile size",
        )


def _check_known(name: str, values: FloatArray, lat: FloatArray, lon: FloatArray, where: str) -> None:
    missing = ~np.isfinite(values) if values.ndim == 1 else ~np.isfinite(values).all(axis=0)
    if missing.any():
        first = int(np.argmax(missing))
        raise InputError(
            f"'{name}' is missing over {int(missing.sum())} active cells, the first at "
            f"{lat[first]:.4f} N, {lon[first]:.4f} E",
            where=where,
            hint="a cell may only be active where all its attributes are known: make the attributes again",
        )
