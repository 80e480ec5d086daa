"""Intervals of scores over places: clusters of them are drawn with replacement.

Neighbours share weather, soil and mistakes. To draw them one by one would count what they share as often as there are
neighbours, and give an interval that is too narrow; whoever states one draws clusters, here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FEWEST_CLUSTERS = 5
"""With fewer clusters no interval is given: resampling so few says nothing."""
INTERVAL = (0.05, 0.95)


def resamples(cluster: npt.NDArray[Any], count: int, seed: int) -> Array:
    """How often each place counts, (1 + ``count``, place): all once, then clusters drawn with replacement.

    ``cluster`` (place,) has the number of the cluster of each. Only the first row for fewer than
    :data:`FEWEST_CLUSTERS` clusters.
    """
    numbers, inverse = np.unique(cluster, return_inverse=True)
    once = np.ones((1, len(cluster)))
    if len(numbers) < FEWEST_CLUSTERS:
        return once
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=count)
    return np.vstack([once, drawn[:, inverse]])


def interval(values: Array) -> tuple[float, float, float]:
    """The value of the places as they are, and 5 and 95 % of those of the resamples, of ``values`` (resample,).

    The interval is NaN where no resample has a value.
    """
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(drawn, INTERVAL) if len(drawn) else (np.nan, np.nan)
    return float(values[0]), float(low), float(high)


def quantile(values: Array, w: Array, q: float) -> Array:
    """Quantile ``q`` (resample,) of ``values`` (place,) that count ``w`` (resample, place) times; linear in between.

    The same as ``numpy.quantile`` of the values repeated ``w`` times; NaN where nothing counts.
    """
    known = np.isfinite(values)
    order = np.argsort(values[known])
    ranked, seen = values[known][order], np.cumsum(w[:, known][:, order], axis=1)
    if not len(ranked):
        return np.full(len(w), np.nan)
    place = q * np.maximum(seen[:, -1] - 1, 0)
    low = np.minimum((seen <= np.floor(place)[:, None]).sum(axis=1), len(ranked) - 1)
    high = np.minimum((seen <= np.ceil(place)[:, None]).sum(axis=1), len(ranked) - 1)
    share = place - np.floor(place)
    return np.where(seen[:, -1] > 0, ranked[low] * (1 - share) + ranked[high] * share, np.nan)
