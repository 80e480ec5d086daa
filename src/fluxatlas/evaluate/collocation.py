"""Extended triple collocation: errors of three series of one quantity without a truth.

Each series is taken for a + b T + e, with the same unknown truth T and errors that are independent of T and of each
other (Stoffelen 1998, doi:10.1029/97JC03180). Covariances then give the variance of each error (Gruber et al. 2016,
doi:10.1016/j.jag.2015.09.002) and the correlation of each series with T (McColl et al. 2014,
doi:10.1002/2014GL061322). Whether errors are independent cannot be seen in three series: products that share an
instrument, a model or a driver make each other look better than they are.

A cell is refused, and counted, where the assumptions visibly fail: fewer common times than a minimum, a covariance that
is not positive, or a variance of an error that is negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .agreement import Blocks
from .clusters import INTERVAL

Array = npt.NDArray[np.floating]
Sums = npt.NDArray[np.float64]

FLAGS = {"estimated": 0, "few_common_times": 1, "covariance_not_positive": 2, "negative_error_variance": 3}
MEASURES = ("error_sd", "scaled_sd", "r_truth")
"""Standard deviation of the error in the scale of each product, the same in that of the first, and the correlation with
the truth."""
_PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Collocation:
    """Triple collocation of cells; ``values``, ``low`` and ``high``: arrays (product, cell) of each measure.

    ``n`` and ``flag`` (:data:`FLAGS`) are (cell,); ``drawn`` has each measure of each draw, (draw, product, cell).
    ``low`` and ``high`` are NaN where fewer than half of the draws have a value.
    """

    n: Sums
    flag: npt.NDArray[np.int8]
    values: Mapping[str, Sums]
    low: Mapping[str, Sums]
    high: Mapping[str, Sums]
    drawn: Mapping[str, Sums]


def collocate(values: Array, blocks: Blocks, fewest: int) -> Collocation:
    """Extended triple collocation of ``values`` (3, time, cell), of times at which all three have a value.

    ``blocks`` of times are drawn for the intervals; ``fewest``: least number of common times of a cell.
    """
    known = np.isfinite(values).all(axis=0)
    count = known.sum(axis=0)
    means = np.where(known, values, 0.0).sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
    centred = np.where(known, values - means[:, None], 0.0)
    parts = [known.astype(np.float64), *centred, *(centred[i] * centred[j] for i, j in _PRODUCTS)]
    sums = np.stack([blocks.sums(part) for part in parts])
    drawn = np.matmul(blocks.weights, sums)
    flag, found = estimate(drawn, fewest)
    once = {name: each[0] for name, each in found.items()}
    again = {name: each[1:] for name, each in found.items()}
    bounds = {name: _bounds(each, once[name]) for name, each in again.items()}
    low, high = ({name: pair[k] for name, pair in bounds.items()} for k in (0, 1))
    return Collocation(count.astype(np.float64), flag[0], once, low, high, again)


def estimate(sums: Sums, fewest: int) -> tuple[npt.NDArray[np.int8], dict[str, Sums]]:
    """Flags (...) and measures (..., 3, cell) of ``sums`` (10, ..., cell): 1, x, y, z, x^2, y^2, z^2, x y, x z, y z."""
    n = np.maximum(sums[0], 1.0)
    mean = sums[1:4] / n
    variance, xy, xz, yz = _covariances(sums[4:] / n, mean)
    few = sums[0] < max(fewest, 2)
    crossed = np.stack([xy, xz, yz]) <= _ROUNDING * np.sqrt([variance[i] * variance[j] for i, j in _PRODUCTS[3:]])
    apart = crossed.any(axis=0) & ~few
    with np.errstate(invalid="ignore", divide="ignore"):
        signal = np.stack([xy * xz / yz, xy * yz / xz, xz * yz / xy])
        error = variance - signal
        scale = np.stack([np.ones_like(yz), xz / yz, xy / yz])  # of x to each product
        negative = (error < -_ROUNDING * variance).any(axis=0) & ~few & ~apart
        error_sd, r = np.sqrt(np.maximum(error, 0.0)), np.sqrt(np.minimum(signal / variance, 1.0))
    flag = np.where(few, 1, np.where(apart, 2, np.where(negative, 3, 0))).astype(np.int8)
    found = {"error_sd": error_sd, "scaled_sd": error_sd * scale, "r_truth": r}
    return flag, {name: np.moveaxis(np.where(flag == 0, each, np.nan), 0, -2) for name, each in found.items()}


def _covariances(squares: Sums, mean: Sums) -> tuple[Sums, Sums, Sums, Sums]:
    """Variances (3, ...) and the three covariances of means of products and means."""
    found = [squares[k] - mean[i] * mean[j] for k, (i, j) in enumerate(_PRODUCTS)]
    return np.stack(found[:3]), found[3], found[4], found[5]


def _bounds(drawn: Sums, value: Sums) -> tuple[Sums, Sums]:
    """5 and 95 % (product, cell) of ``drawn`` (draw, product, cell) where most draws have a value."""
    if not len(drawn):
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    usable = (np.isfinite(drawn).sum(axis=0) >= len(drawn) / 2) & np.isfinite(value)
    ranked = np.sort(drawn, axis=0)  # NaN come last
    known = np.maximum(np.isfinite(drawn).sum(axis=0), 1)
    low, high = (_ranked(ranked, q * (known - 1)) for q in INTERVAL)
    return np.where(usable, low, np.nan), np.where(usable, high, np.nan)


def _ranked(ranked: Sums, place: Sums) -> Sums:
    """The value at ``place`` (...) of ``ranked`` (draw, ...), linear in between."""
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, len(ranked) - 1)
    below, above = (np.take_along_axis(ranked, each[None], axis=0)[0] for each in (lower, upper))
    share = place - lower
    return np.where(share > 0, below * (1 - share) + above * share, below)
