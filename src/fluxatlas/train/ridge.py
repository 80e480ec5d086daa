"""Ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634) with a strength chosen within the
training sites.

All that is needed of the data are weighted sums of products, one matrix per group of sites. Leaving a group out is then
a difference of matrices, so that the strength is chosen by leaving each group out at next to no cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Strengths tried, as shares of the sum of weights (predictors have a variance of one)."""


@dataclass(frozen=True)
class Ridge:
    """``intercept + standardised predictors @ coefficients``; a missing predictor is at its mean."""

    mean: Array
    scale: Array
    coefficients: Array
    intercept: float
    strength: float

    def __call__(self, predictors: Array) -> Array:
        """Predictions (n,) from ``predictors`` (n, feature), which may hold NaN."""
        return self.intercept + _standard(predictors, self.mean, self.scale) @ self.coefficients


def fit_ridge(
    predictors: Array,
    target: Array,
    weight: Array,
    group: npt.NDArray[np.int64],
    strengths: tuple[float, ...] = STRENGTHS,
) -> Ridge:
    """Minimise ``sum w (y - b0 - x b)^2 + strength sum(w) |b|^2`` over standardised ``predictors`` (n, feature).

    ``target``, ``weight`` and ``group`` are (n,). Of ``strengths`` the one with the least weighted squared error over
    the groups that are left out in turn is taken; with a single group the greatest. A predictor that does not vary, or
    that is never known, has no coefficient.
    """
    mean, scale = _moments(predictors, weight)
    x = np.column_stack([np.ones(len(target)), _standard(predictors, mean, scale)])
    _, number = np.unique(group, return_inverse=True)
    sums = [_sums(x[number == one], target[number == one], weight[number == one]) for one in range(number.max() + 1)]
    total = tuple(sum(part) for part in zip(*sums, strict=True))
    errors = [sum(_left_out(total, one, strength) for one in sums) for strength in strengths]
    chosen = strengths[int(np.argmin(errors))] if len(sums) > 1 else max(strengths)
    found = _solve(total[0], total[1], chosen)
    return Ridge(mean, scale, found[1:], float(found[0]), chosen)


def _moments(predictors: Array, weight: Array) -> tuple[Array, Array]:
    """Weighted mean and standard deviation of the known values; 0 and infinity where there is no variation."""
    known = np.isfinite(predictors)
    values, share = np.where(known, predictors, 0.0).astype(float), known * weight[:, None]
    count = np.maximum(share.sum(axis=0), np.finfo(float).tiny)
    mean = (share * values).sum(axis=0) / count
    spread = np.sqrt((share * (values - mean) ** 2).sum(axis=0) / count)
    return mean, np.where(spread > 1e-6 * np.maximum(np.abs(mean), 1e-30), spread, np.inf)


def _standard(predictors: Array, mean: Array, scale: Array) -> Array:
    return np.nan_to_num((predictors.astype(float) - mean) / scale)


def _sums(x: Array, y: Array, w: Array) -> tuple[Array, Array, float]:
    weighted = x * w[:, None]
    return weighted.T @ x, weighted.T @ y, float(w @ y**2)


def _solve(gram: Array, moment: Array, strength: float) -> Array:
    """Coefficients, the first of which, the intercept, is not shrunk."""
    penalty = np.full(len(gram), strength * gram[0, 0])
    penalty[0] = 0.0
    return np.linalg.solve(gram + np.diag(penalty), moment)


def _left_out(total: tuple[Any, ...], one: tuple[Any, ...], strength: float) -> float:
    """Squared error at a group of the coefficients of all others; infinite where nothing else is there."""
    gram, moment = total[0] - one[0], total[1] - one[1]
    if gram[0, 0] <= 1e-9 * total[0][0, 0]:
        return np.inf
    found = _solve(gram, moment, strength)
    return float(one[2] - 2 * found @ one[1] + found @ one[0] @ found)
