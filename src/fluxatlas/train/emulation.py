"""How well a network emulates the process model: at series of places that it has not seen, parameters given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import variables
from ..systems import System
from .data import FloatArray, SequenceSet
from .networks import HierarchicalNetwork
from .predict import predict
from .pretrain import handing

COLUMNS = ("variable", "unit", "series", "r2", "r2_mean", "rmse", "bias_percent", "given")

NOTHING = 1e-3
"""A mean magnitude below this part of the RMSE, as of snow where it does not snow, is nothing to relate a bias to."""


def emulation_table(
    network: HierarchicalNetwork, held_out: SequenceSet, system: System, given: Sequence[str] = ()
) -> pd.DataFrame:
    """Scores of ``network`` against the series of ``held_out``, one row per variable of ``System.simulated``.

    ``r2`` over all days, ``r2_mean`` over the means of the series, ``rmse`` of the days in ``unit``, ``bias_percent``
    of the mean of all days relative to the mean magnitude, NaN where that is nothing beside the error. With ``given``
    outputs of sub-modules there are rows besides in which the network is handed these, named in the column ``given``,
    which is empty in the others. No rows where nothing was held out: samples of a domain that is a single block.
    """
    if not held_out.segments:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = _rows(network, held_out, system)
    if given:
        rows += _rows(network, handing(held_out, given), system, "+".join(given))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(
    network: HierarchicalNetwork, held_out: SequenceSet, system: System, given: str = ""
) -> list[dict[str, object]]:
    predicted = predict(network, held_out)
    used = sorted({segment.site for segment in held_out.segments})
    rows: list[dict[str, object]] = []
    for name in system.simulated:
        if name in held_out.overrides:
            continue
        made, target = (np.asarray(values[name][:, used], float) for values in (predicted, held_out.targets))
        seen = np.isfinite(made) & np.isfinite(target)
        means = [np.where(seen, values, np.nan) for values in (made, target)]
        rmse, level = float(np.sqrt(np.mean((made - target)[seen] ** 2))), float(np.abs(target[seen]).mean())
        bias = 100 * float((made - target)[seen].mean()) / level if level > NOTHING * rmse else float("nan")
        rows.append(
            {
                "variable": name,
                "unit": variables.get(name).units,
                "series": len(used),
                "r2": _r2(made[seen], target[seen]),
                "r2_mean": _r2(*(np.nanmean(values, axis=0) for values in means)),
                "rmse": rmse,
                "bias_percent": bias,
                "given": given,
            }
        )
    return rows


def _r2(made: FloatArray, target: FloatArray) -> float:
    """1 - squared error / squared departure from the mean; NaN where nothing varies."""
    spread = float(((target - target.mean()) ** 2).sum())
    return 1 - float(((made - target) ** 2).sum()) / spread if spread > 0 else float("nan")
