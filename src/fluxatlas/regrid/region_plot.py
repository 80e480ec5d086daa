"""A picture of the regions of some tiles: a map per kind, neighbours in different colours, names where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.report import ReportBlock
from ..errors import InputError
from ..files import open_netcdf
from ..grid import get_grid
from .regions import read

Index = npt.NDArray[np.int64]
LABELLED = 0.004
"""Regions that cover less of the map than this are drawn without a name."""
SPARE = 0.45
"""Opacity of cells of which a region has only a part at the coast; whole cells are opaque."""


def draw(paths: Sequence[str | Path], output: str | Path) -> None:
    """Draw the files of :func:`fluxatlas.regrid.regions.write` in ``paths`` to the PNG ``output``.

    Each cell has the colour of the region with its largest share, paler where all regions together have less of it.
    """
    from matplotlib import pyplot as plt

    from .. import style

    lat, lon, kinds = _joined(paths)
    settings = ReportBlock()
    with style.house_style(settings):
        ratio = abs(lat[0] - lat[-1]) / ((lon[-1] - lon[0]) * np.cos(np.deg2rad(0.5 * (lat[0] + lat[-1]))))
        columns = 1 if len(kinds) == 1 or ratio < 0.5 else 2
        rows, width = -(-len(kinds) // columns), style.WIDTH / columns
        size = style.WIDTH, min(rows * (min(width, 5.0) * ratio + 0.55), 10.0)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        for axis, (kind, (names, index, covered)) in zip(axes.flat, kinds.items(), strict=False):
            sea = np.zeros(index.shape, bool)
            place = style.MapFrame(lat, lon, sea)
            _paint(axis, place, index, covered, style)
            _label(axis, lat, lon, names, index)
            axis.set_title(f"{kind.replace('_', ' ')}: {len(names)} regions")
        for axis in axes.flat[len(kinds) :]:
            axis.remove()
        style.save(figure, output, settings)


def _joined(paths: Sequence[str | Path]) -> tuple[Any, Any, dict[str, tuple[list[str], Index, Any]]]:
    """Edges of the smallest box around all tiles; for each kind its names, and by cell the number of the region with
    the largest share (-1: none) and the share of all."""
    places = []
    for path in paths:
        with open_netcdf(path) as data:
            grid = get_grid(str(data.attrs.get("grid", "")))
            places.append((path, grid.snap(data["lat"].to_numpy(), "lat"), grid.snap(data["lon"].to_numpy(), "lon")))
    if not places:
        raise InputError("no file of regions is given", hint="give at least one tile")
    top, left = min(int(y[0]) for _, y, _ in places), min(int(x[0]) for _, _, x in places)
    shape = max(int(y[-1]) for _, y, _ in places) - top + 1, max(int(x[-1]) for _, _, x in places) - left + 1
    found: dict[str, tuple[list[str], Index, Any]] = {}
    for path, y, x in places:
        here = slice(int(y[0]) - top, int(y[-1]) - top + 1), slice(int(x[0]) - left, int(x[-1]) - left + 1)
        for kind, regions in read(path).items():
            names, index, covered = found.setdefault(kind, ([], np.full(shape, -1), np.zeros(shape)))
            names += [name for name in regions.names if name not in names]
            if regions.names:
                number = np.array([names.index(name) for name in regions.names])
                covered[here] = regions.share.sum(axis=0)
                index[here] = np.where(covered[here] > 0, number[regions.share.argmax(axis=0)], -1)
    rows, columns = slice(top, top + shape[0]), slice(left, left + shape[1])
    return grid.lat_bounds(rows), grid.lon_bounds(columns), found


def _paint(axis: Any, place: Any, index: Index, covered: Any, style: Any) -> None:
    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(color) for color in style.COLORS])
    color = palette[_colors(index, len(palette))[index]]
    image = np.ones((*index.shape, 4)) * (*to_rgb(style.SEA), 1.0)
    image[index >= 0, :3] = color[index >= 0]
    part = SPARE + (1 - SPARE) * np.clip(covered, 0, 1)[..., None]
    image[..., :3] = np.where(index[..., None] >= 0, part * image[..., :3] + (1 - part), image[..., :3])
    box = (place.lon[0], place.lon[-1], place.lat[-1], place.lat[0])
    axis.imshow(image, extent=box, interpolation="nearest", aspect="auto")
    place.finish(axis)


def _colors(index: Index, count: int) -> npt.NDArray[np.int64]:
    """A colour number for each region so that neighbours differ, as long as ``count`` colours are enough."""
    pairs = np.concatenate([np.stack([a.ravel(), b.ravel()], 1) for a, b in _neighbours(index)])
    pairs = np.unique(pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs.min(axis=1) >= 0)], axis=0)
    chosen = np.full(max(int(index.max()) + 1, 1), -1)
    for region in range(len(chosen)):
        near = {int(chosen[b if a == region else a]) for a, b in pairs if region in (a, b)}
        free = [color for color in range(count) if color not in near]
        chosen[region] = free[region % len(free)] if free else region % count
    return chosen


def _neighbours(index: Index) -> list[tuple[Index, Index]]:
    return [(index[1:], index[:-1]), (index[:, 1:], index[:, :-1])]


def _label(axis: Any, lat: Any, lon: Any, names: list[str], index: Index) -> None:
    """The name of each larger region at the cell of it that is farthest from its edge."""
    from scipy.ndimage import distance_transform_edt

    for number, name in enumerate(names):
        inside = index == number
        if inside.mean() < LABELLED:
            continue
        depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        row, column = divmod(int(depth.argmax()), index.shape[1])
        x, y = 0.5 * (lon[column] + lon[column + 1]), 0.5 * (lat[row] + lat[row + 1])
        halo = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.7, "linewidth": 0}
        axis.text(x, y, name, ha="center", va="center", fontsize="x-small", bbox=halo, clip_on=True)
