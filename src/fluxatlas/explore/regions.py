"""Regions of the budget as the page draws them: outlines from the tiles, and the budget of each year."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rasterio.features import shapes
from rasterio.transform import Affine

from ..errors import InputError
from ..files import NETCDF, open_netcdf
from ..products.regions import biome_names
from ..results import RunResults

MOST = 720
"""Cells along the longer edge that outlines are drawn from; finer maps are thinned."""
Piece = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[Any]]


def regions(run: RunResults) -> dict[str, Any]:
    """``budget`` (rows of the table) and ``regions`` by kind (GeoJSON features with the ``region`` of the table)."""
    try:
        table = run.budget
    except InputError:
        return {"budget": [], "regions": {}}
    columns = ["year", "region_kind", "region", "variable", "mean", "low", "high", "unit"]
    rows = json.loads(table[columns].to_json(orient="values", double_precision=10))
    kinds = [kind for kind in dict.fromkeys(table["region_kind"]) if kind != "global"]
    outlines = {kind: _zones if kind == "zone" else _outlines for kind in kinds}
    found = {kind: features for kind, function in outlines.items() if (features := function(run, kind, table))}
    return {"budget": rows, "regions": found}


def _zones(_: RunResults, kind: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Bands around the globe by their names, such as ``30S-0`` and ``30N-60N``."""
    found = []
    for name in dict.fromkeys(table.loc[table["region_kind"] == kind, "region"]):
        if edges := re.fullmatch(r"([\d.]+)([NS]?)-([\d.]+)([NS]?)", name):
            south, north = (float(edges[n]) * (-1 if edges[n + 1] == "S" else 1) for n in (1, 3))
            ring = [[-180, south], [180, south], [180, north], [-180, north], [-180, south]]
            found.append(_feature(kind, name, [[ring]]))
    return found


def _feature(kind: str, region: str, polygons: list[Any]) -> dict[str, Any]:
    shape = {"type": "MultiPolygon", "coordinates": polygons}
    return {"type": "Feature", "properties": {"kind": kind, "region": region}, "geometry": shape}


def _outlines(run: RunResults, kind: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    folder = run.folder / "regrid" / ("attributes" if kind == "biome" else "regions")
    names = list(dict.fromkeys(table.loc[table["region_kind"] == kind, "region"]))
    pieces = [piece for path in sorted(folder.glob("*.nc")) if (piece := _codes(path, kind, names))]
    if not pieces:
        return []
    codes, transform = _mosaic(pieces)
    found: dict[int, list[Any]] = {}
    for shape, value in shapes(codes, mask=codes >= 0, transform=transform):
        found.setdefault(int(value), []).append(_rounded(shape["coordinates"]))
    return [_feature(kind, names[code], polygons) for code, polygons in sorted(found.items())]


def _rounded(rings: Any) -> list[Any]:
    return [[[round(x, 4), round(y, 4)] for x, y in ring] for ring in rings]


def _codes(path: Path, kind: str, names: list[str]) -> Piece | None:
    """Latitudes, longitudes and for each cell the place in ``names`` of its largest region, -1 where it has none."""
    with NETCDF, open_netcdf(path) as data:
        lat, lon = data["lat"].to_numpy(), data["lon"].to_numpy()
        if kind == "biome":
            if "biome" not in data:
                return None
            known = {code: names.index(name) for code, name in biome_names().items() if name in names}
            biome = data["biome"].where(data["active"] == 1).fillna(-1).to_numpy().astype(int)
            codes = np.full(biome.shape, -1, np.int16)
            for value, code in known.items():
                codes[biome == value] = code
            return lat, lon, codes
        if kind not in data:
            return None
        share = data[kind].fillna(0).to_numpy()
        order = np.array([names.index(name) if name in names else -1 for name in data[f"{kind}_region"].to_numpy()])
        return lat, lon, np.where(share.max(axis=0) > 0, order[share.argmax(axis=0)], -1).astype(np.int16)


def _mosaic(pieces: list[Piece]) -> tuple[npt.NDArray[np.int16], Affine]:
    """The codes of all tiles on one raster, at most :data:`MOST` cells wide and high."""
    size = abs(float(np.diff(pieces[0][1])[0]))
    north, south = max(p[0].max() for p in pieces) + size / 2, min(p[0].min() for p in pieces) - size / 2
    west, east = min(p[1].min() for p in pieces) - size / 2, max(p[1].max() for p in pieces) + size / 2
    step = size * max(1, -(-round(max(north - south, east - west) / size) // MOST))
    codes = np.full(
        (int(np.ceil((north - south) / step - 1e-6)), int(np.ceil((east - west) / step - 1e-6))), -1, np.int16
    )
    for lat, lon, part in pieces:
        rows, columns = ((north - lat) / step).astype(int), ((lon - west) / step).astype(int)
        codes[np.ix_(rows, columns)] = part
    return codes, Affine(step, 0, west, 0, -step, north)
