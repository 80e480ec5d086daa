"""Points that stand for regions: which places, and the area that each is worth.

A sum over every cell of a region in every step costs too much. Cells are clustered within each region by what drives
them (means and standard deviations of the drivers, statics), and the cell nearest to the middle of a cluster stands for
its area. Few such points do what all cells do; points drawn anew in every step do not: the mean of (S - F)^2 over
draws is the squared error of the true sum plus the variance of the draw, and training makes that variance small by
making all places and months alike (with 5 points a region kept 25 % of its contrast in space and 23 % of that between
years). They are therefore not offered; two independent draws are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, counted
from ..operators import Points

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

MOST = 20_000
"""Cells of a region that clusters are made of, drawn at random where there are more; all are assigned."""
CLOSE = 1e3
"""How much more the area of a region weighs than a proxy field where areas are refitted."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """``points``, whose ``cell`` numbers the cells they were chosen from, and the ``cluster`` (cell,) of each cell: the
    number of its point, -1 outside of all regions. ``unexplained`` (region,) is the share of the variance of the
    features of a region that lies within its clusters.
    """

    points: Points
    cluster: IntArray
    unexplained: FloatArray


def choose_points(features: FloatArray, area: FloatArray, region: IntArray, count: int, seed: int) -> Chosen:
    """At most ``count`` points of each region of cells with ``features`` (cell, feature), ``area`` [m2] and ``region``
    (cell,), -1 for none.

    k-means weighted by area on features scaled to unit variance over all regions; a point is the cell nearest to the
    middle of its cluster (medoid) and stands for the cluster's area. Raises :class:`InputError` for features that are
    not finite, fewer than one point, or no cell in any region.
    """
    from sklearn.cluster import KMeans

    table, size, number = np.asarray(features, float), np.asarray(area, float), np.asarray(region, np.int64)
    use = (number >= 0) & (size > 0)
    if count < 1 or not use.any() or not np.isfinite(table[use]).all():
        raise InputError(
            f"no points can be chosen: {count} for each region, {counted(int(use.sum()), 'cell')} in regions",
            hint="ask for one point or more; check that the regions cover cells of the run with all their drivers",
        )
    scale = table[use].std(axis=0)
    table = (table - table[use].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    rng = np.random.default_rng(seed)
    cluster = np.full(len(table), -1, np.int64)
    within = np.zeros(number.max() + 1)
    cells: list[int] = []
    areas: list[float] = []
    regions: list[int] = []
    for one in np.unique(number[use]):
        mine = np.flatnonzero(use & (number == one))
        some = mine if mine.size <= MOST else rng.choice(mine, MOST, replace=False)
        different = np.unique(table[some], axis=0).shape[0]
        means = KMeans(min(count, different), n_init=3, random_state=int(rng.integers(2**31)))
        means.fit(table[some], sample_weight=size[some])
        label, away = means.predict(table[mine]), means.transform(table[mine]).min(axis=1)
        middle = np.average(table[mine], axis=0, weights=size[mine])
        whole = float((size[mine] * np.square(table[mine] - middle).sum(axis=1)).sum())
        within[one] = float((size[mine] * away**2).sum()) / whole if whole > 0 else 0.0
        for group in np.unique(label):
            members = mine[label == group]
            cluster[members] = len(cells)
            cells.append(members[np.argmin(away[label == group])])
            areas.append(size[members].sum())
            regions.append(one)
    return Chosen(Points.of(regions, cells, areas), cluster, within)


def refit(points: Points, fields: FloatArray, area: FloatArray, region: IntArray) -> Points:
    """``points`` with areas that give the sums of proxy ``fields`` (sample, cell) over all cells of a region best.

    Areas (cell,) in m2. Non-negative least squares in each region, with the area of the region kept exactly and, as
    weakly as one sample of a field, the areas that the points had. Points may lose all their area.
    """
    from scipy.optimize import nnls

    areas = points.area.astype(float)
    for one in np.unique(points.region):
        mine, whole = points.region == one, region == one
        total = float(area[whole].sum())
        middle = fields[:, whole] @ area[whole] / total
        spread = np.sqrt(np.square(fields[:, whole] - middle[:, None]) @ area[whole] / total)
        scale = np.where(spread > 0, spread, 1.0)
        rows = (fields[:, points.cell[mine]] - middle[:, None]) / scale[:, None]
        size = int(mine.sum())
        prior = np.eye(size) / np.sqrt(size)
        left = np.concatenate([rows, prior, np.full((1, size), CLOSE)])
        wanted = np.concatenate([np.zeros(len(rows)), prior @ (areas[mine] / total), [CLOSE]])
        found = nnls(left, wanted)[0]
        areas[mine] = total * found / found.sum()
    return replace(points, area=areas)


def spread_of_sums(points: Points, unexplained: FloatArray, field: FloatArray) -> FloatArray:
    """Standard deviation (sample, region) of the sums of a ``field`` (sample, point) over regions that comes of taking
    few points, in its unit times m2.

    Within a cluster the field varies as its features do: by the share ``unexplained`` (region,) of its variance over
    the points of the region. A medoid is not a random cell, so this is rather too much.
    """
    found = np.zeros((len(field), points.total.size))
    for one in np.unique(points.region):
        mine = points.region == one
        weight = points.area[mine]
        middle = field[:, mine] @ weight / weight.sum()
        variance = np.square(field[:, mine] - middle[:, None]) @ weight / weight.sum()
        found[:, one] = np.sqrt(np.square(weight).sum() * unexplained[one] * variance)
    return found
