"""Write the regridded forcing of one tile-year to look at. Inference makes the same numbers on the fly."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

from .. import files, variables
from ..axes import WRITTEN
from ..errors import InputError
from ..grid import Tile
from ..weights import Method
from .tile import TileRegridder


def write(tile: Tile, piece_path: Path, attributes_path: Path, output: Path, method: str) -> None:
    """Regrid and downscale every variable of a piece to the active cells of ``tile`` and write them.

    Raises :class:`InputError` for an unknown method and for attributes of another tile or grid; errors of the piece as
    in inference.
    """
    if method not in ("bilinear", "conservative"):
        raise InputError(f"unknown method '{method}'", hint="choose 'bilinear' or 'conservative'")
    piece, attributes = files.read_netcdf(piece_path), files.read_netcdf(attributes_path)
    here = {"lat": tile.lat, "lon": tile.lon}
    if any(
        attributes[axis].shape != at.shape or np.abs(attributes[axis] - at).max() > 1e-6 for axis, at in here.items()
    ):
        hint = "give the attributes of this tile, made on this grid"
        raise InputError(f"these are not the attributes of tile {tile.name}", where=str(attributes_path), hint=hint)
    index = np.flatnonzero(attributes["active"].to_numpy() == 1)
    regridder = TileRegridder(
        piece["lat"].to_numpy(),
        piece["lon"].to_numpy(),
        tile,
        method=cast(Method, method),
        source_orog=piece["orog"].to_numpy().astype(float),
        target_orog=attributes["orog"].to_numpy().astype(float),
    )
    names = [str(name) for name in piece.data_vars if "time" in piece[name].dims]
    out = regridder.downscale({name: piece[name].to_numpy() for name in names}, index)
    days, data = piece.sizes["time"], {}
    for name, values in out.items():
        field = np.full((days, tile.shape[0] * tile.shape[1]), np.nan, np.float32)
        field[:, index] = values
        data[name] = (("time", "lat", "lon"), field.reshape(days, *tile.shape), variables.get(name).attrs)
    places = {name: (name, at, WRITTEN[name]) for name, at in here.items()}
    dataset = xr.Dataset(data, {"time": piece["time"], **places})
    encoding = {name: variables.get(name).encoding(compression="zstd", complevel=3) for name in names}
    attrs = files.provenance("regrid forcing", {"method": method}, {"piece": piece_path, "attributes": attributes_path})
    files.write_netcdf(dataset, output, encoding, attrs={"Conventions": "CF-1.11", **attrs}, crs=True)
