"""From steps to days: the arithmetic of instants, intervals and accumulations. Pure functions of arrays.

Arrays are (day, step, ...): one row per day, its steps in order. Accumulated and end-stamped steps of a day run from
the end of its first step to 00 UTC of the next day, so the last step holds the total of the day.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Array = npt.NDArray[np.floating[Any]]

PACKING_NOISE = 2e-3
"""Largest fall of an accumulation within a day that is taken for round-off of packed files, relative to its maximum."""


def by_day(values: Array, steps: int) -> Array:
    """View (time, ...) as (day, step, ...); ``time`` must be whole days of ``steps`` each."""
    return values.reshape(-1, steps, *values.shape[1:])


def statistic(values: Array, kind: str) -> Array:
    """``mean``, ``minimum``, ``maximum`` or ``sum`` over the steps of (day, step, ...), accumulated in float64.

    NaN in any step makes the day NaN.
    """
    if values.shape[1] == 1 and kind in ("mean", "minimum", "maximum", "sum"):
        return values[:, 0]
    if kind == "minimum":
        return values.min(axis=1)
    if kind == "maximum":
        return values.max(axis=1)
    return values.mean(axis=1, dtype=np.float64) if kind == "mean" else values.sum(axis=1, dtype=np.float64)


def totals(accumulated: Array, where: str) -> Array:
    """Total (day, ...) of an accumulation since the start of the day: its last step.

    Raises :class:`InputError` if the values fall within a day by more than packing noise: then they do not accumulate.
    """
    steps = np.diff(accumulated, axis=1)
    finite = np.isfinite(steps)
    if finite.any():
        _check_fall(-float(steps[finite].min()), float(np.nanmax(np.abs(accumulated))), where)
    return accumulated[:, -1].astype(np.float64)


def _check_fall(fall: float, largest: float, where: str) -> None:
    """Raise :class:`InputError` if a ``fall`` within a day is more than packing noise of values up to ``largest``."""
    if fall > PACKING_NOISE * max(largest, 1e-6):
        raise InputError(
            f"an accumulation since 00 UTC falls by {fall:g} within a day",
            where=where,
            hint="if the values are amounts per hour (ERA5, not ERA5-Land), set forcing.source to 'era5'",
        )


def amounts(accumulated: Array, restarts: npt.NDArray[np.bool_], where: str) -> Array:
    """Amount of each step (time, ...) of an accumulation that starts anew with the steps marked by ``restarts``.

    The first step must be one of them. Raises :class:`InputError` if the values fall in between by more than noise.
    """
    steps = np.diff(accumulated.astype(np.float64), axis=0, prepend=0.0)
    steps[restarts] = accumulated[restarts]
    between = steps[~restarts]
    finite = np.isfinite(between)
    if finite.any():
        _check_fall(-float(between[finite].min()), float(np.nanmax(np.abs(accumulated))), where)
    return steps


def looks_accumulated(per_step: Array) -> bool:
    """Whether amounts per step never fall within any day although something was received: an accumulation."""
    steps = np.diff(per_step, axis=1)
    finite = np.isfinite(steps)
    return bool(finite.any() and (steps[finite] >= 0).all() and (steps[finite] > 0).any())
