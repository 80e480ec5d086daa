"""From monthly to daily values so that the mean of every month stays what it was.

Smooth variables: mean-preserving interpolation (Rymes and Myers 2001, doi:10.1016/S0038-092X(01)00052-4) [R+]: a
step function is smoothed again and again by a running mean of three days and each month is then set back to its mean.
The result is linear in the monthly means, so the weights are computed once; where it leaves the physical bounds, the
iteration is repeated with a correction that respects them. Each month is made of itself and two neighbours per side.

Precipitation: what a month brings falls in equal amounts on every third day, beginning with the second [D: our choice,
since interception and infiltration need wet and dry days], or follows the daily pattern of a finer source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

REACH = 2
"""Months on each side that shape the days of a month."""
ROUNDS, BOUNDED_ROUNDS = 300, 31
"""Times the step function is smoothed: for the weights, and for the cells that come to a bound.

Of a seasonal cosine 300 rounds miss 0.5 % of the amplitude, 31 rounds (the number of the paper) 11 %.
"""
FIRST_WET, WET_EVERY = 1, 3
"""The first day with rain, counted from 0, and the days from one to the next."""


@lru_cache(maxsize=128)
def weights(lengths: tuple[int, ...], month: int) -> Array:
    """Weights (day, month) that make the days of ``month`` out of the means of months with ``lengths`` days each."""
    return _smoothed(np.eye(len(lengths)), lengths, -np.inf, np.inf, ROUNDS)[_days(lengths)[month]]


def interpolate(means: Array, lengths: Sequence[int], month: int, lower: float, upper: float) -> Array:
    """Days (day, ...) of ``month`` from monthly ``means`` (month, ...), within bounds where the means are.

    The mean over the days equals ``means[month]`` to round-off. NaN in any of the months makes the cell NaN.
    """
    given = means.astype(np.float64)
    days = np.tensordot(weights(tuple(lengths), month), given, 1)
    with np.errstate(invalid="ignore"):
        outside = ((days < lower) | (days > upper)).any(axis=0) & ((given >= lower) & (given <= upper)).all(axis=0)
    if outside.any():
        days[:, outside] = _smoothed(given[:, outside], lengths, lower, upper, BOUNDED_ROUNDS)[_days(lengths)[month]]
    return days


def split_rain(mean: Array, days: int, pattern: Array | None = None) -> Array:
    """Daily rates (day, ...) with the mean ``mean`` (...): on every third day, or as ``pattern`` (day, ...) has them.

    Cells whose pattern is dry or missing fall back to every third day.
    """
    fixed = np.zeros(days)
    fixed[FIRST_WET::WET_EVERY] = days / fixed[FIRST_WET::WET_EVERY].size
    share = np.broadcast_to(fixed.reshape(-1, *[1] * mean.ndim), (days, *mean.shape))
    if pattern is not None:
        average = pattern.mean(axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(average > 0, pattern / average, share)
    return mean.astype(np.float64) * share


def _days(lengths: Sequence[int]) -> list[slice]:
    ends = np.cumsum(lengths)
    return [slice(int(end - n), int(end)) for end, n in zip(ends, lengths, strict=True)]


def _smoothed(means: Array, lengths: Sequence[int], lower: float, upper: float, rounds: int) -> Array:
    """Days of all months (day, ...) by smoothing and setting back to the means, ``rounds`` times."""
    days = np.repeat(means, lengths, axis=0)
    for _ in range(rounds):
        padded = np.concatenate([days[:1], days, days[-1:]])
        days = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
        for mean, span in zip(means, _days(lengths), strict=True):
            days[span] = _set_back(days[span], mean, lower, upper)
    return days


def _set_back(days: Array, mean: Array, lower: float, upper: float) -> Array:
    """``days`` with the mean ``mean``: shifted, or drawn towards a bound where the shift would cross it."""
    found = days.mean(axis=0)
    shifted = days + (mean - found)
    if np.isinf(lower) and np.isinf(upper):
        return shifted
    with np.errstate(invalid="ignore", divide="ignore"):
        down = lower + (days - lower) * ((mean - lower) / (found - lower))
        up = upper - (upper - days) * ((upper - mean) / (upper - found))
        drawn = np.where(found > mean, np.where(found > lower, down, mean), np.where(found < upper, up, mean))
        crosses = (shifted.min(axis=0) < lower) | (shifted.max(axis=0) > upper)
    return np.where(crosses, drawn, shifted)
