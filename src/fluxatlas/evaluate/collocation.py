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

    ``n`` and ``flag`` (:data:`FLAGS`) are (cell,). ``low`` and ``high`` are NaN where fewer than half of the draws have
    a value. ``signed`` (product, cell) and ``drawn`` (draw, product, cell) hold also what is refused for a negative
    variance of an error, as minus its root: medians over cells without them would be of what noise has made larger.
    """

    n: Sums
    flag: npt.NDArray[np.int8]
    values: Mapping[str, Sums]
    signed: Mapping[str, Sums]
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
    parts = [known.astype(np.float64), *(centred[i] * centred[j] for i, j in _PRODUCTS)]
    sums = np.stack([blocks.sums(part) for part in parts])
    flag, found = estimate(np.matmul(blocks.weights, sums), fewest)
    signed = {name: each[0] for name, each in found.items()}
    drawn = {name: each[1:] for name, each in found.items()}
    kept = {name: np.where(flag[0] == 0, each, np.nan) for name, each in signed.items()}
    bounds = {name: _bounds(each, kept[name]) for name, each in drawn.items()}
    low, high = ({name: clipped(name, pair[k]) for name, pair in bounds.items()} for k in (0, 1))
    return Collocation(count.astype(np.float64), flag[0], kept, signed, low, high, drawn)


def clipped(name: str, values: Sums) -> Sums:
    """A measure within what it can be: a standard deviation not negative, a correlation not above 1."""
    return np.minimum(values, 1.0) if name == "r_truth" else np.maximum(values, 0.0)


def estimate(sums: Sums, fewest: int) -> tuple[npt.NDArray[np.int8], dict[str, Sums]]:
    """Flags (...) and measures (..., 3, cell) of ``sums`` (7, ..., cell): 1, x^2, y^2, z^2, x y, x z, y z.

    Series have no mean: it is taken off before blocks are drawn, since those of few blocks would vary with the season.
    Errors of negative variance are given as minus its root.
    """
    n = np.maximum(sums[0], 1.0)
    variance, (xy, xz, yz) = sums[1:4] / n, sums[4:] / n
    few = sums[0] < max(fewest, 2)
    crossed = np.stack([xy, xz, yz]) <= _ROUNDING * np.sqrt([variance[i] * variance[j] for i, j in _PRODUCTS[3:]])
    apart = crossed.any(axis=0) & ~few
    with np.errstate(invalid="ignore", divide="ignore"):
        signal = np.stack([xy * xz / yz, xy * yz / xz, xz * yz / xy])
        error = variance - signal
        scale = np.stack([np.ones_like(yz), xz / yz, xy / yz])  # of x to each product
        error = np.where(abs(error) <= _ROUNDING * variance, 0.0, error)
        negative = (error < 0).any(axis=0) & ~few & ~apart
        error_sd, r = np.sign(error) * np.sqrt(abs(error)), np.sqrt(signal / variance)
    flag = np.where(few, 1, np.where(apart, 2, np.where(negative, 3, 0))).astype(np.int8)
    found = {"error_sd": error_sd, "scaled_sd": error_sd * scale, "r_truth": r}
    return flag, {name: np.moveaxis(np.where(few | apart, np.nan, each), 0, -2) for name, each in found.items()}


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
