"""User-defined regions in tiles: which maps there are, and the share of the land of each cell in each region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..files import NETCDF, open_netcdf
from .mosaic import PathLike, TileResult

ROUND_OFF = 1e-6
"""Shares in no region below this come from single precision."""
LEAST_LAND = 1e-6
"""Share of land below which a cell has none."""


def own_kinds(regions: Sequence[PathLike]) -> list[str]:
    """The maps in the files of ``regrid regions``, in the order of the configuration.

    Raises :class:`InputError` for a file that is none, and for files made from different maps or settings.
    """
    found: dict[str, tuple[PathLike, list[str]]] = {}
    for path in regions:
        with NETCDF, open_netcdf(path) as data:
            if "maps" not in data.attrs:
                hint = "make it with `fluxatlas regrid regions`"
                raise InputError("is not a regions file", where=str(path), hint=hint)
            settings = str(data.attrs.get("fluxatlas_settings_hash"))
            found.setdefault(settings, (path, str(data.attrs["maps"]).split()))
    if len(found) > 1:
        (first, _), (other, _), *_ = found.values()
        hint = "make the regions of all tiles again with one configuration"
        raise InputError(f"made from other maps than {first}", where=str(other), hint=hint)
    return next(iter(found.values()))[1] if found else []


def own_shares(
    piece: TileResult, regions: Mapping[str, PathLike], kind: str
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Names of the regions of ``kind`` in ``piece`` and the share [0-1] of the *land* of each cell in them.

    Shares are (region, lat, lon); the last region is ``no region``, the rest. ``regions`` are the files of the tiles by
    name. A coastal cell of 60 % land of which regions cover 60 % lies wholly in them: the sea belongs to no region.
    Raises :class:`InputError` where the file of the tile is absent or of another shape.
    """
    if piece.name not in regions:
        raise InputError(f"no regions of tile {piece.name}", hint="run `regrid regions` for it, give --regions")
    with NETCDF, open_netcdf(regions[piece.name]) as data:
        if (data.sizes["lat"], data.sizes["lon"]) != piece.shape:
            raise InputError(
                "the regions are not on the cells of the tile", where=str(regions[piece.name]), hint="make again"
            )
        names = [str(name) for name in data[f"{kind}_region"].to_numpy()] if kind in data else []
        cells = data[kind].to_numpy().astype(np.float64) if kind in data else np.zeros((0, *piece.shape))
    land = piece.layers("sftlf")["sftlf"].fillna(0).to_numpy() / 100.0
    cells = of_land(cells, land)
    rest = 1.0 - cells.sum(axis=0, keepdims=True)
    rest[rest < ROUND_OFF] = 0.0
    return [*names, "no region"], np.concatenate([cells, rest])


def of_land(share: npt.NDArray[np.float64], land: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares (region, lat, lon) of cells as shares of their land, of which they have the share ``land`` (lat, lon)."""
    return share / np.maximum(np.maximum(share.sum(axis=0), land), LEAST_LAND)
