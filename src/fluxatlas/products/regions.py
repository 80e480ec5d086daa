"""Regions of the budget that every run has: all of it, latitude zones and biomes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..config.run import edge_name
from ..paths import RESOURCES
from ..tiles.mosaic import TileResult

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
