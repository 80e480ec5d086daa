"""Shares of land-cover classes on the target grid, and what fluxatlas needs from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ..config.static import LandCover
from ..errors import InputError
from ..paths import RESOURCES
from ..weights import axis_weights
from .cover_layout import CoverLayout, layout_of
from .cover_shares import class_shares
from .frame import Frame
from .legend import CoverClass, read_legend, rows_of
from .sources import HIDDEN, open_source

__all__ = ["CoverClass", "biome", "groups", "read_legend", "shares"]

Array = npt.NDArray[np.floating[Any]]
TROPICAL, BOREAL = 23.5, 55.0
"""Latitudes between the zones of the biome table [degrees]."""


def shares(cover: LandCover, frame: Frame) -> dict[int, Array]:
    """Share [%] of each class of the legend that occurs, (rows, columns), by area on the sphere.

    They sum to 100 over what is known; NaN where the map does not reach or is missing altogether. Raises
    :class:`InputError` for a code that the legend does not have, and whatever the file is refused for.
    """
    legend = read_legend(cover.legend)
    layout = layout_of(cover, legend)
    classes = np.array(sorted(legend), np.int64)
    found = class_shares(layout, frame, classes) if layout.layers else _counted(cover, layout, frame, classes)
    present: Any = np.nan_to_num(found).any(axis=(1, 2))
    return {int(code): found[i] for i, code in enumerate(classes) if present[i]}


def _counted(cover: LandCover, layout: CoverLayout, frame: Frame, classes: npt.NDArray[np.int64]) -> Array:
    """Shares [%] (class, rows, columns) of a map of class codes."""
    found = np.full((len(classes), *frame.shape), np.nan)
    options: dict[str, Any] = {"variable": layout.variable, "select": layout.select, "band": layout.band}
    with open_source(layout.path, classes=True, nodata=cover.nodata, **options) as source:
        for rows, raw, lat, lon in source.windows(frame):
            position = _positions(raw[0], classes, source.nodata, cover)
            y, x = (
                axis_weights(lat, frame.lat[rows], "lat", "conservative"),
                axis_weights(lon, frame.lon, "lon", "conservative"),
            )
            part = np.zeros((len(classes), len(y.index), len(x.index)))
            add_up(position, y.index, y.weight, x.index, x.weight, part)
            total = part.sum(axis=0)
            found[:, rows] = 100 * np.divide(part, total, where=total > 0, out=np.full_like(part, np.nan))
        if np.isnan(found).all() and source.inside(frame):
            raise InputError("the map holds missing values only", where=layout.path, hint="get the file again")
    return found


def _positions(raw: Array, classes: npt.NDArray[np.int64], missing: float | None, cover: LandCover) -> Array:
    """Position of each code in ``classes`` (int16), -1 where missing; refuses codes that are not there."""
    known = np.isfinite(raw)
    if missing is not None:
        known &= raw != missing
    if missing in (None, HIDDEN) and 0 not in classes:
        known &= raw != 0
    codes = np.where(known, raw, classes[0]).astype(np.int64)
    codes[codes < 0] += 256 * (classes[0] >= 0)  # bytes that a conversion took for signed ones
    position = np.minimum(np.searchsorted(classes, codes), len(classes) - 1)
    strange = known & (classes[position] != codes)
    if strange.any():
        raise InputError(
            f"land-cover classes {np.unique(codes[strange]).tolist()[:10]} are not in the legend '{cover.legend}'",
            where=cover.file,
            hint="choose the legend of this map, declare 'nodata', or give a legend of your own (static.landcover)",
        )
    return np.where(known, position, -1).astype(np.int16)


@numba.njit(cache=True, nogil=True)
def add_up(position: Any, y_index: Any, y_weight: Any, x_index: Any, x_weight: Any, out: Any) -> None:
    """``out[c, i, j]``: summed weight of the source cells of class position ``c`` in target cell (i, j)."""
    for i in range(out.shape[1]):
        for k in range(y_index.shape[1]):
            row, height = position[y_index[i, k]], y_weight[i, k]
            if height > 0.0:
                for j in range(out.shape[2]):
                    for m in range(x_index.shape[1]):
                        weight = height * x_weight[j, m]
                        c = row[x_index[j, m]]
                        if weight > 0.0 and c >= 0:
                            out[c, i, j] += weight


def groups(share: Mapping[int, Array], legend: Mapping[int, CoverClass], frame: Frame) -> dict[str, Array]:
    """What the shares [%] mean, (rows, columns) each: ``upland``, ``crop``, ``wetland``, ``water``, ``ice``, ``urban``,
    ``rock`` [% of the cell], and ``biome``, the class of the largest upland cover; NaN where the map is missing."""
    nothing = np.zeros(frame.shape) if share else np.full(frame.shape, np.nan)
    out = dict.fromkeys(("upland", "crop", "wetland"), nothing)
    covers = dict.fromkeys(("water", "ice", "urban", "rock"), nothing)
    for code, percent in share.items():
        meaning = legend[code]
        for name in out:
            out[name] = out[name] + getattr(meaning, name) * percent
        covers[meaning.cover] = covers.get(meaning.cover, nothing) + percent
    named = {name: covers[name] for name in ("water", "ice", "urban", "rock")}
    return {**out, **named, "biome": biome(covers, frame.lat)}


def biome(covers: Mapping[str, Array], lat: Array) -> Array:
    """Biome from the share of each cover (rows, columns) and the latitude of each row, by ``resources/biomes.csv``.

    The largest cover of that table decides (of equals the first by name); NaN where none of them occurs.
    """
    code = {(row["cover"], row["zone"]): float(row["biome"]) for row in rows_of(RESOURCES / "biomes.csv")}
    names = sorted({cover for cover, _ in code} & set(covers))
    if not names:
        return np.full(next(iter(covers.values())).shape, np.nan)
    zone = np.where(np.abs(lat) < TROPICAL, "tropical", np.where(np.abs(lat) > BOREAL, "boreal", "temperate"))
    lookup = np.array([[code[name, str(z)] for name in names] for z in zone])
    stack = np.nan_to_num(np.stack([covers[name] for name in names]))
    found = np.take_along_axis(lookup, stack.argmax(axis=0), axis=1)
    return np.where(stack.max(axis=0) > 0, found, np.nan)
