"""Area of applicability: is a place like those the member was trained on?

The dissimilarity index of Meyer & Pebesma (2021, doi:10.1111/2041-210X.13650), recalled [R+]: the distance to the
nearest training point in standardised predictors, divided by the mean distance between training points. A place is
applicable where the index does not exceed the upper whisker (third quartile + 1.5 interquartile ranges) of the training
points' own index, each measured to points of other groups (spatial blocks). Predictors are weighted equally; the
paper's weights by importance are not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from ..errors import InputError

FloatArray = npt.NDArray[np.floating[Any]]

MOST_POINTS = 4000
"""Training points kept (drawn with a fixed seed), so that distances stay cheap."""


def feature_names(statics: Mapping[str, object], climate: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of :func:`features`."""
    return (*statics, *(f"{name}_mean" for name in climate), f"{climate[0]}_sd")


def features(
    drivers: Mapping[str, npt.ArrayLike], statics: Mapping[str, npt.ArrayLike], climate: Sequence[str]
) -> FloatArray:
    """Predictors of the index, (cell, feature): ``statics`` (cell,) and the mean of ``drivers`` (time, cell).

    ``climate`` names the drivers (``System.climate``); of the first also the standard deviation over time counts. Whole
    years are best. Precipitation enters as the square root of its mean. Units: those of the variable table. Raises
    :class:`InputError` where a driver of ``climate`` is absent.
    """
    lacking = [name for name in climate if name not in drivers]
    if lacking:
        raise InputError(f"no {', '.join(lacking)} to judge applicability by", hint="give all drivers")
    columns = [np.asarray(values, float) for values in statics.values()]
    for name in climate:
        mean = np.mean(np.asarray(drivers[name], float), axis=0)
        columns.append(np.sqrt(np.maximum(mean, 0)) if name == "pr" else mean)
    columns.append(np.std(np.asarray(drivers[climate[0]], float), axis=0))
    return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class Applicability:
    """A fitted index: standardised training points (n, f) and what scales and bounds the distance to them."""

    points: FloatArray
    mean: FloatArray
    spread: FloatArray
    mean_distance: float
    threshold: float
    names: tuple[str, ...] = field(default=())

    @classmethod
    def fit(cls, training: npt.ArrayLike, groups: npt.ArrayLike, names: tuple[str, ...] = ()) -> Applicability:
        """Fit to ``training`` (n, f) whose rows belong to ``groups`` (n,), the spatial blocks.

        Rows that repeat are counted once. Raises :class:`InputError` for fewer than two groups or points that are NaN.
        """
        table, keys = np.asarray(training, float), np.asarray(groups)
        if not np.isfinite(table).all():
            raise InputError("the training points of the applicability index hold NaN", hint="check the statics")
        table, first = np.unique(table, axis=0, return_index=True)
        keys = keys[first]
        if len(table) > MOST_POINTS:
            chosen = np.random.default_rng(0).choice(len(table), MOST_POINTS, replace=False)
            table, keys = table[chosen], keys[chosen]
        if len(np.unique(keys)) < 2:
            raise InputError("the applicability index needs training points of two spatial blocks or more")
        mean, spread = table.mean(axis=0), table.std(axis=0)
        spread = np.where(spread > 1e-12 * (1 + np.abs(mean)), spread, 1.0)
        points = (table - mean) / spread
        mean_distance = float(pdist(points[: MOST_POINTS // 2]).mean())
        index = _distance_to_other_groups(points, keys) / mean_distance
        lower, upper = np.quantile(index, [0.25, 0.75])
        threshold = float(index[index <= upper + 1.5 * (upper - lower)].max())
        return cls(points, mean, spread, mean_distance, threshold, names)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    def evaluate(self, points: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Dissimilarity (n,) and whether applicable (n,) of ``points`` (n, f); NaN points are NaN and not applicable.

        Raises :class:`InputError` for another number of features than fitted.
        """
        table = np.asarray(points, float)
        if table.ndim != 2 or table.shape[1] != len(self.mean):
            raise InputError(f"the applicability index knows {len(self.mean)} features, not shape {table.shape}")
        valid = np.isfinite(table).all(axis=1)
        index = np.full(len(table), np.nan)
        if valid.any():
            index[valid] = self._tree.query((table[valid] - self.mean) / self.spread)[0] / self.mean_distance
        return index, valid & (index <= self.threshold)


def _distance_to_other_groups(points: FloatArray, groups: npt.NDArray[Any]) -> FloatArray:
    """Distance (n,) of each point to the nearest point of another group."""
    nearest = np.empty(len(points))
    for group in np.unique(groups):
        own = groups == group
        nearest[own] = cKDTree(points[~own]).query(points[own])[0]
    return nearest
