"""Regions of the budget: a cell lies in one region of each of our kinds, or is shared by regions of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..files import read_netcdf
from ..paths import RESOURCES
from .mosaic import PathLike, Piece

Labels = dict[str, tuple[list[str], npt.NDArray[np.int64]]]


def zone_name(south: float, north: float) -> str:
    """``30S-0``, ``30N-60N``: a latitude zone by its edges."""
    return f"{_degrees(south)}-{_degrees(north)}"


def _degrees(edge: float) -> str:
    return "0" if edge == 0 else f"{abs(edge):g}{'N' if edge > 0 else 'S'}"


def biome_names() -> dict[int, str]:
    """Names of the biome classes (``resources/biomes.csv``); empty where there is no such table."""
    import pandas as pd

    path = RESOURCES / "biomes.csv"
    if not path.is_file():
        return {}
    table = pd.read_csv(path, comment="#")
    return dict(zip(table["biome"].astype(int), table["name"].astype(str), strict=True))


def label(piece: Piece, lat: npt.NDArray[np.float64], zones: Sequence[float]) -> Labels:
    """For each kind of region its names and the number of the region of each cell of ``piece``, shape (lat, lon).

    Kinds: ``global`` (all that is run), ``zone`` (latitude, ``zones`` are the edges), ``biome``.
    """
    shape = piece.shape
    zone = np.clip(np.searchsorted(np.asarray(zones), lat, side="right") - 1, 0, len(zones) - 2)
    layers = piece.layers("active", "biome")
    biome = np.where(layers["active"], layers["biome"].fillna(-1), -1).astype(np.int64)
    known = biome_names()
    classes = sorted(set(np.unique(biome)) | set(known) | {-1})
    names = ["unknown" if c < 0 else known.get(c, f"biome {c}") for c in classes]
    return {
        "global": (["global"], np.zeros(shape, np.int64)),
        "zone": (
            [zone_name(south, north) for south, north in pairwise(zones)],
            np.broadcast_to(zone[:, None], shape),
        ),
        "biome": (names, np.searchsorted(np.asarray(classes), biome)),
    }


def own_shares(piece: Piece, regions: Mapping[str, PathLike], kind: str) -> dict[str, npt.NDArray[np.float64]]:
    """Share [0-1] of the *land* of each cell of ``piece`` in each region of ``kind``, and in ``no region``.

    ``regions`` are the files of the tiles by name. A coastal cell of 60 % land of which regions cover 60 % lies wholly
    in them: the sea is no region's. Raises :class:`InputError` where the file of the tile is absent or of other shape.
    """
    if piece.name not in regions:
        raise InputError(f"no regions of tile {piece.name}", hint="run `regrid regions` for it, give --regions")
    data = read_netcdf(regions[piece.name])
    if (data.sizes["lat"], data.sizes["lon"]) != piece.shape:
        raise InputError(
            "the regions are not on the cells of the tile", where=str(regions[piece.name]), hint="make again"
        )
    land = np.maximum(piece.layers("sftlf")["sftlf"].fillna(0).to_numpy() / 100.0, 1e-6)
    names = [str(name) for name in data[f"{kind}_region"].to_numpy()] if kind in data else []
    cells = data[kind].to_numpy().astype(np.float64) / land if kind in data else np.zeros((0, *piece.shape))
    cells = cells / np.maximum(cells.sum(axis=0), 1.0)
    return {**dict(zip(names, cells, strict=True)), "no region": 1.0 - cells.sum(axis=0)}
