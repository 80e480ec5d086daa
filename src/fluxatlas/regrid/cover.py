"""Shares of land-cover classes on the target grid, and what fluxatlas needs from them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ..config.static import LandCover
from ..errors import InputError
from ..paths import RESOURCES
from .frame import Frame
from .sources import open_source
from .weights import axis_weights

Array = npt.NDArray[np.floating[Any]]
LEGEND_COLUMNS = ("class", "name", "upland", "crop", "wetland", "cover")
TROPICAL, BOREAL = 23.5, 55.0
"""Latitudes between the zones of the biome table [degrees]."""


@dataclass(frozen=True)
class CoverClass:
    """A land-cover class: shares [0-1] of it that are upland soil, crops and wetland, and its ``cover``.

    ``cover`` is a group of ``resources/biomes.csv`` or one of water, ice, urban, rock, wetland.
    """

    name: str
    upland: float
    crop: float
    wetland: float
    cover: str


def read_legend(name: str) -> dict[int, CoverClass]:
    """A legend by name (``esa_cci``, ``modis_igbp``) or path, classes by code.

    Raises :class:`InputError` where the file is absent, lacks a column, lists a class twice or holds a bad number.
    """
    path = Path(name) if name.endswith(".csv") else RESOURCES / f"landcover_{name}.csv"
    if not path.exists():
        known = sorted(p.stem.removeprefix("landcover_") for p in RESOURCES.glob("landcover_*.csv"))
        raise InputError(f"no legend '{name}'", where=str(path), hint=f"choose from {known} or give a CSV file")
    legend: dict[int, CoverClass] = {}
    for row in _rows(path):
        absent = [column for column in LEGEND_COLUMNS if row.get(column) is None]
        if absent:
            hint = f"needed: {', '.join(LEGEND_COLUMNS)}"
            raise InputError(f"the legend lacks {', '.join(absent)}", where=str(path), hint=hint)
        try:
            code = int(row["class"])
            upland, crop, wetland = (float(row[key]) for key in ("upland", "crop", "wetland"))
        except ValueError as problem:
            raise InputError(f"no number in the legend ({problem})", where=str(path), hint="correct it") from None
        if code in legend or not all(0 <= part <= 1 for part in (upland, crop, wetland)):
            hint = "list each class once, with shares of 0 to 1"
            raise InputError(f"class {code} is listed twice or has a share outside 0-1", where=str(path), hint=hint)
        legend[code] = CoverClass(row["name"], upland, crop, wetland, row["cover"])
    if not legend:
        raise InputError("the legend is empty", where=str(path), hint="list the classes of the map")
    return legend


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"the table cannot be read ({problem})", where=str(path), hint="save it as UTF-8") from None


def shares(cover: LandCover, frame: Frame) -> dict[int, Array]:
    """Share [%] of each class of the legend that occurs, (rows, columns), by area on the sphere.

    They sum to 100 over what is known; NaN where the map does not reach or is missing altogether. Raises
    :class:`InputError` for a code that the legend does not have.
    """
    legend = read_legend(cover.legend)
    classes = np.array(sorted(legend), np.int64)
    found = np.full((len(classes), *frame.shape), np.nan)
    options: dict[str, Any] = {"variable": cover.variable, "select": cover.select}
    with open_source(cover.path, classes=True, nodata=cover.nodata, **options) as source:
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
    present = np.nan_to_num(found).any(axis=(1, 2))
    return {int(code): found[i] for i, code in enumerate(classes) if present[i]}


def _positions(raw: Array, classes: npt.NDArray[np.int64], missing: float | None, cover: LandCover) -> Array:
    """Position of each code in ``classes`` (int16), -1 where missing; refuses codes that are not there."""
    known = np.isfinite(raw)
    if missing is not None:
        known &= raw != missing
    elif classes[0] != 0:
        known &= raw != 0
    codes = np.where(known, raw, classes[0]).astype(np.int64)
    position = np.minimum(np.searchsorted(classes, codes), len(classes) - 1)
    strange = known & (classes[position] != codes)
    if strange.any():
        raise InputError(
            f"land-cover classes {np.unique(codes[strange]).tolist()[:10]} are not in the legend '{cover.legend}'",
            where=cover.path,
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
    code = {(row["cover"], row["zone"]): float(row["biome"]) for row in _rows(RESOURCES / "biomes.csv")}
    names = sorted({cover for cover, _ in code} & set(covers))
    if not names:
        return np.full(next(iter(covers.values())).shape, np.nan)
    zone = np.where(np.abs(lat) < TROPICAL, "tropical", np.where(np.abs(lat) > BOREAL, "boreal", "temperate"))
    lookup = np.array([[code[name, str(z)] for name in names] for z in zone])
    stack = np.nan_to_num(np.stack([covers[name] for name in names]))
    found = np.take_along_axis(lookup, stack.argmax(axis=0), axis=1)
    return np.where(stack.max(axis=0) > 0, found, np.nan)
