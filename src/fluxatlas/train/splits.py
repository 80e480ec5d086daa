"""Splits: which observations a member may not see.

Days or sites drawn at random would leak between neighbours. Sites are therefore joined to blocks by distance, blocks to
folds, and member m never sees fold m; or, by time, each record is cut into consecutive spans.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..grid import EARTH_RADIUS

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]


def distances(lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
    """Great-circle distances [km], (n, n), between points in degrees."""
    phi, lam = np.deg2rad(np.asarray(lat, float)), np.deg2rad(np.asarray(lon, float))
    point = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)
    chord = np.linalg.norm(point[:, None, :] - point[None, :, :], axis=-1)
    return EARTH_RADIUS / 1000 * 2 * np.arcsin(np.clip(chord / 2, 0, 1))


def blocks(lat: npt.ArrayLike, lon: npt.ArrayLike, distance_km: float) -> IntArray:
    """Block number (n,) of each point: points of different blocks are at least ``distance_km`` apart.

    Single-linkage clusters, so that the statement holds exactly; a chain of near sites is one block.
    """
    apart = distances(lat, lon)
    if len(apart) < 2:
        return np.zeros(len(apart), np.int64)
    from sklearn.cluster import AgglomerativeClustering

    clusters = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="single", distance_threshold=distance_km
    )
    return clusters.fit_predict(apart).astype(np.int64)


def folds(block: npt.ArrayLike, count: int, size: npt.ArrayLike | None = None) -> IntArray:
    """Fold number (n,) in 0..count-1 of each point; a block is never split.

    Blocks go, largest first, to the fold that holds least; ``size`` (n,) is the weight of a point, such as its number
    of observations. Raises :class:`InputError` for fewer blocks than folds.
    """
    numbers = np.asarray(block)
    weight = np.ones(len(numbers)) if size is None else np.asarray(size, float)
    names, inverse = np.unique(numbers, return_inverse=True)
    if len(names) < count:
        raise InputError(
            f"{len(numbers)} sites form {len(names)} spatial blocks, too few for {count} folds",
            hint="give fewer train.folds (or members), a smaller train.block_distance_km, or train.split: time",
        )
    total = np.bincount(inverse, weight)
    load, chosen = np.zeros(count), np.empty(len(names), np.int64)
    holds = np.zeros(count, int)
    for index in np.lexsort((np.arange(len(names)), -total)):
        fold = int(np.lexsort((np.arange(count), holds, load))[0])
        chosen[index] = fold
        load[fold] += total[index]
        holds[fold] += 1
    return chosen[inverse]


def hold_out(block: npt.ArrayLike, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Mask (n,) of the points of whole blocks that make up about ``share`` of the blocks; at least one stays and goes.

    With a single block nothing is held out.
    """
    numbers = np.asarray(block)
    names = np.unique(numbers)
    if len(names) < 2:
        return np.zeros(len(numbers), bool)
    count = int(np.clip(round(share * len(names)), 1, len(names) - 1))
    chosen = np.random.default_rng(seed).permutation(names)[:count]
    return np.isin(numbers, chosen)


def time_folds(observed: npt.NDArray[np.bool_], count: int) -> IntArray:
    """Fold number (time, site) by consecutive spans of each record that hold equal numbers of ``observed`` days."""
    seen = np.cumsum(observed, axis=0)
    total = np.maximum(seen[-1:], 1)
    return np.minimum((np.maximum(seen - 1, 0) * count) // total, count - 1).astype(np.int64)
