"""Regions of the budget: a cell lies in one region of each of our kinds, or is shared by regions of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..config.run import edge_name
from ..errors import InputError
from ..files import NETCDF, open_netcdf
from ..paths import RESOURCES
from ..tiles.mosaic import PathLike, TileResult

ROUND_OFF = 1e-6
"""Shares in no region below this come from single precision."""
Labels = dict[str, tuple[list[str], npt.NDArray[np.int64]]]


def zone_name(south: float, north: float) -> str:
    """``30S-0``, ``30N-60N``: a latitude zone by its edges."""
    return f"{edge_name(south)}-{edge_name(north)}"


def biome_names() -> dict[int, str]:
    """Names of the biome classes (``resources/biomes.csv``); empty where there is no such table."""
    import pandas as pd

    path = RESOURCES / "biomes.csv"
    if not path.is_file():
        return {}
    table = pd.read_csv(path, comment="#")
    return dict(zip(table["biome"].astype(int), table["name"].astype(str), strict=True))


def label(piece: TileResult, lat: npt.NDArray[np.float64], zones: Sequence[float], domain: str) -> Labels:
    """For each kind of region its names and the number of the region of each cell of ``piece``, shape (lat, lon).

    Kinds: ``global`` (all that is run, called ``domain``), ``zone`` (latitude, ``zones`` are the edges), ``biome``.
    """
    shape = piece.shape
    zone = np.clip(np.searchsorted(np.asarray(zones), lat, side="right") - 1, 0, len(zones) - 2)
    layers = piece.layers("active", "biome")
    biome = np.where(layers["active"], layers["biome"].fillna(-1), -1).astype(np.int64)
    known = biome_names()
    classes = sorted(set(np.unique(biome)) | set(known) | {-1})
    names = ["unknown" if c < 0 else known.get(c, f"biome {c}") for c in classes]
    return {
        "global": ([domain], np.zeros(shape, np.int64)),
        "zone": (
            [zone_name(south, north) for south, north in pairwise(zones)],
            np.broadcast_to(zone[:, None], shape),
        ),
        "biome": (names, np.searchsorted(np.asarray(classes), biome)),
    }


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
    name. A coastal cell of 60 % land of which regions cover 60 % lies wholly in them: the sea is no region's. Raises
    :class:`InputError` where the file of the tile is absent or of another shape.
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
    land = np.maximum(piece.layers("sftlf")["sftlf"].fillna(0).to_numpy() / 100.0, 1e-6)
    cells = cells / np.maximum(cells.sum(axis=0), land)
    rest = 1.0 - cells.sum(axis=0, keepdims=True)
    rest[rest < ROUND_OFF] = 0.0
    return [*names, "no region"], np.concatenate([cells, rest])
