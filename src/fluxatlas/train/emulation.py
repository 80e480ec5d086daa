"""How well a network emulates the process model: at series of places that it has not seen, parameters given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import variables
from ..systems import System
from .data import FloatArray, SequenceSet
from .networks import HierarchicalNetwork
from .predict import predict

COLUMNS = ("variable", "unit", "series", "r2", "r2_mean", "rmse", "bias_percent")


def emulation_table(network: HierarchicalNetwork, held_out: SequenceSet, system: System) -> pd.DataFrame:
    """Scores of ``network`` against the series of ``held_out``, one row per variable of ``System.simulated``.

    ``r2`` over all days, ``r2_mean`` over the means of the series, ``rmse`` of the days in ``unit``, ``bias_percent``
    of the mean of all days relative to the mean magnitude. No rows where nothing was held out: samples of a domain that
    is a single block.
    """
    if not held_out.segments:
        return pd.DataFrame(columns=list(COLUMNS))
    predicted = predict(network, held_out)
    used = sorted({segment.site for segment in held_out.segments})
    rows = []
    for name in system.simulated:
        made, target = (np.asarray(values[name][:, used], float) for values in (predicted, held_out.targets))
        seen = np.isfinite(made) & np.isfinite(target)
        means = [np.where(seen, values, np.nan) for values in (made, target)]
        rows.append(
            {
                "variable": name,
                "unit": variables.get(name).units,
                "series": len(used),
                "r2": _r2(made[seen], target[seen]),
                "r2_mean": _r2(*(np.nanmean(values, axis=0) for values in means)),
                "rmse": float(np.sqrt(np.mean((made - target)[seen] ** 2))),
                "bias_percent": float(100 * (made - target)[seen].mean() / max(np.abs(target[seen]).mean(), 1e-30)),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _r2(made: FloatArray, target: FloatArray) -> float:
    """1 - squared error / squared departure from the mean; NaN where nothing varies."""
    spread = float(((target - target.mean()) ** 2).sum())
    return 1 - float(((made - target) ** 2).sum()) / spread if spread > 0 else float("nan")
