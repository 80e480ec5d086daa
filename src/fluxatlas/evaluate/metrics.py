"""Scores of an estimate against a reference: pairs with a missing value on either side are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

FloatArray = npt.NDArray[np.floating[Any]]

SCORES = ("n", "r2", "r", "rmse", "bias", "kge")


def scores(observed: npt.ArrayLike, predicted: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> dict[str, float]:
    """Scores of ``predicted`` against ``observed``, both of any one shape; ``weight`` (not negative) is optional.

    - ``n``: number of pairs used (of positive weight),
    - ``r2``: coefficient of determination, 1 - sum of squared errors / sum of squares about the mean of ``observed``
      (negative where the mean would do better),
    - ``r``: Pearson's correlation,
    - ``rmse``, ``bias`` (predicted - observed): in the unit of the data,
    - ``kge``: efficiency of Gupta et al. (2009, doi:10.1016/j.jhydrol.2009.08.003).

    ``r2``, ``r`` and ``kge`` are NaN where they are not defined: fewer than two pairs or no variance; all are NaN for
    none. Raises ``ValueError`` for arrays of different shapes or a negative weight.
    """
    o, p, w = _pairs(observed, predicted, weight)
    found = dict.fromkeys(SCORES, float("nan"))
    found["n"] = int(o.size)
    if not o.size:
        return found
    error = p - o
    found["rmse"] = float(np.sqrt(np.average(error**2, weights=w)))
    found["bias"] = float(np.average(error, weights=w))
    mean_o, mean_p = (float(np.average(x, weights=w)) for x in (o, p))
    var_o, var_p = (float(np.average((x - m) ** 2, weights=w)) for x, m in ((o, mean_o), (p, mean_p)))
    if o.size < 2 or var_o <= 1e-24 * max(1.0, mean_o**2):
        return found
    found["r2"] = float(1 - np.average(error**2, weights=w) / var_o)
    if var_p <= 1e-24 * max(1.0, mean_p**2):
        return found
    r = np.average((o - mean_o) * (p - mean_p), weights=w) / np.sqrt(var_o * var_p)
    found["r"] = float(np.clip(r, -1, 1))
    if mean_o != 0:
        spread, shift = np.sqrt(var_p / var_o), mean_p / mean_o
        found["kge"] = float(1 - np.sqrt((r - 1) ** 2 + (spread - 1) ** 2 + (shift - 1) ** 2))
    return found


def _pairs(
    observed: npt.ArrayLike, predicted: npt.ArrayLike, weight: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    o, p = np.asarray(observed, np.float64), np.asarray(predicted, np.float64)
    w = np.ones(o.shape) if weight is None else np.asarray(weight, np.float64)
    if not o.shape == p.shape == w.shape:
        raise ValueError(f"shapes differ: {o.shape}, {p.shape}, {w.shape}")
    if (w < 0).any():
        raise ValueError("a weight is negative")
    used = np.isfinite(o) & np.isfinite(p) & (w > 0)
    return o[used], p[used], w[used]


def half_width(members: int, coverage: float = 0.9) -> float:
    """Half the width of the central interval that holds another draw with the probability ``coverage``, in standard
    deviations of ``members`` draws from the same normal distribution (Student's t); NaN for fewer than two.
    """
    if members < 2:
        return float("nan")
    return float(stdtrit(members - 1, 0.5 + coverage / 2) * np.sqrt(1 + 1 / members))


def anomalies(series: npt.ArrayLike, window: int) -> FloatArray:
    """Departure of a daily series (time) from its centred running mean over ``window`` days.

    NaN where the value is missing or fewer than a third of the window's days have one.
    """
    import pandas as pd

    data = pd.Series(np.asarray(series, np.float64))
    running = data.rolling(window, center=True, min_periods=max(2, window // 3)).mean()
    return (data - running).to_numpy()
