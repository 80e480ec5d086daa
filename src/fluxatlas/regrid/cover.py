"""Shares of land-cover classes on the target grid, and the groups that fluxatlas needs from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.static import LandCover
from ..errors import InputError
from ..grid import Tile
from ..paths import RESOURCES
from .layers import STRIP, open_raster, read_window, to_tile

Array = npt.NDArray[np.floating[Any]]
LEGEND_COLUMNS = ("class", "name", "upland", "crop", "wetland", "cover")


def read_legend(name: str) -> pd.DataFrame:
    """A legend by name (``esa_cci``, ``modis_igbp``) or path, indexed by class.

    Raises :class:`InputError` where it is absent or lacks a column.
    """
    path = Path(name) if name.endswith(".csv") else RESOURCES / f"landcover_{name}.csv"
    if not path.exists():
        known = sorted(p.stem.removeprefix("landcover_") for p in RESOURCES.glob("landcover_*.csv"))
        raise InputError(f"no legend '{name}'", where=str(path), hint=f"choose from {known} or give a CSV file")
    legend = pd.read_csv(path, comment="#")
    absent = [column for column in LEGEND_COLUMNS if column not in legend]
    if absent:
        raise InputError(f"the legend lacks the columns {absent}", where=str(path), hint=f"needed: {LEGEND_COLUMNS}")
    return legend.set_index("class")


def shares(cover: LandCover, tile: Tile) -> dict[int, Array]:
    """Share [%] of each class in each cell of ``tile``, weighted by area; they sum to 100 where the map reaches.

    Raises :class:`InputError` for a code that the legend does not have.
    """
    legend = read_legend(cover.legend)
    found: dict[int, Array] = {}
    with open_raster(cover.path) as source:
        for top in range(0, tile.shape[0], STRIP):
            rows = slice(top, min(top + STRIP, tile.shape[0]))
            data, lat, lon = read_window(source, tile, rows, [1])
            codes = np.unique(data)
            codes = codes[codes != source.nodata] if source.nodata is not None else codes
            unknown = sorted(set(codes.tolist()) - set(legend.index) - {0})
            if unknown:
                raise InputError(
                    f"land-cover classes {unknown} are not in the legend '{cover.legend}'", where=cover.path
                )
            known = data[0] != (source.nodata if source.nodata is not None else -1)
            member = np.stack([np.where(known, data[0] == code, np.nan) for code in codes]).astype(np.float32)
            for code, share in zip(codes.tolist(), to_tile(member, lat, lon, tile, rows), strict=True):
                found.setdefault(int(code), np.full(tile.shape, 0.0))[rows] = 100 * share
    return found


def groups(share: dict[int, Array], legend: pd.DataFrame, lat: Array) -> dict[str, Array]:
    """``upland``, ``crop`` and ``wetland`` [% of the cell] and ``biome`` (class of the largest upland cover).

    ``lat`` (rows,) are the latitudes of the cells; the biome is NaN where no cover of the biome table occurs.
    """
    shape = next(iter(share.values())).shape
    out = {name: np.zeros(shape) for name in ("upland", "crop", "wetland")}
    covers: dict[str, Array] = {}
    for code, percent in share.items():
        if code not in legend.index:
            continue
        row = legend.loc[code].to_dict()
        for name in out:
            out[name] += float(row[name]) * percent
        covers[str(row["cover"])] = covers.get(str(row["cover"]), np.zeros(shape)) + percent
    return {**out, "biome": biome(covers, lat)}


def biome(covers: dict[str, Array], lat: Array) -> Array:
    """Biome class from the share of each cover and the latitude zone, by ``resources/biomes.csv``."""
    table = pd.read_csv(RESOURCES / "biomes.csv", comment="#")
    zone = np.where(np.abs(lat) < 23.5, "tropical", np.where(np.abs(lat) > 50, "boreal", "temperate"))
    names = sorted(set(table["cover"]) & set(covers))
    shape = next(iter(covers.values())).shape
    if not names:
        return np.full(shape, np.nan)
    stack = np.stack([covers[name] for name in names])
    largest = np.argmax(np.nan_to_num(stack), axis=0)
    code = {(row["cover"], row["zone"]): float(row["biome"]) for row in table.to_dict("records")}
    out = np.full(shape, np.nan)
    for row in range(shape[0]):
        lookup = np.array([code[(name, str(zone[row]))] for name in names])
        out[row] = lookup[largest[row]]
    out[~(np.nanmax(stack, axis=0) > 0)] = np.nan
    return out
