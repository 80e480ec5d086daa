"""The table of permutation importance: what each model of a grid loses where a group of drivers is permuted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files, variables
from ..errors import InputError
from ..evaluate.clusters import interval, resamples
from .scores import CELL, DRAWS, read_all

TABLE = (
    *CELL,
    *("target", "permuted", "over", "score", "value", "low", "high"),
    *("draws", "seeds", "sites", "clusters", "days", "unit"),
)


def importance_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Importance (:data:`TABLE`) from all rows of results, ``permuted`` being empty where nothing was permuted.

    Squared errors are means over seeds and draws. ``rmse_increase``: RMSE over all test days with the group permuted,
    less that without; ``r2_loss``: the increase of the squared error over the variance of all test days. ``low`` and
    ``high``: 90 % of sets of as many clusters of sites, drawn with replacement (NaN where they are too few).
    """
    found: list[dict[str, Any]] = []
    for key, cell in rows.groupby([*CELL, "target"], sort=False):
        about = dict(zip([*CELL, "target"], key, strict=True))
        whole = cell[cell["permuted"] == ""]
        for (group, over), part in cell[cell["permuted"] != ""].groupby(["permuted", "over"], sort=False):
            about |= {
                "permuted": group,
                "over": over,
                "draws": part["draw"].nunique(),
                "seeds": part["number"].nunique(),
            }
            found += [about | row for row in _scores(whole, part, variables.get(str(about["target"])).units)]
    return pd.DataFrame(found, columns=list(TABLE))


def _scores(whole: pd.DataFrame, part: pd.DataFrame, unit: str) -> Iterator[dict[str, Any]]:
    own = ["n", "observed_mean", "observed_variance", "squared_error", "cluster"]
    sites = whole.groupby("site")[own].mean()
    sites["permuted_error"] = part.groupby("site")["squared_error"].mean()
    sites = sites.dropna(subset="permuted_error")
    n, o, v, e, p = (sites[name].to_numpy(float) for name in (*own[:4], "permuted_error"))
    columns = np.stack([n, n * o, n * (v + o**2), n * e, n * p], axis=1)
    moments = resamples(sites["cluster"].to_numpy(), DRAWS, 0) @ columns
    with np.errstate(divide="ignore", invalid="ignore"):  # draws of one site without spread
        mean, square, error, after = (moments[:, 1:] / moments[:, :1]).T
        scores = {"rmse_increase": np.sqrt(after) - np.sqrt(error), "r2_loss": (after - error) / (square - mean**2)}
    size = {"sites": len(sites), "clusters": sites["cluster"].nunique(), "days": int(n.sum())}
    for score, values in scores.items():
        value, low, high = interval(values)
        own_unit = unit if score == "rmse_increase" else "1"
        yield {"score": score, "value": value, "low": low, "high": high, **size, "unit": own_unit}


def write_importance(output: str | Path, paths: Sequence[str | Path]) -> pd.DataFrame:
    """Write :func:`importance_table` of result files as CSV; return it.

    Raises :class:`InputError` where nothing was permuted in any, and as :func:`fluxatlas.experiments.scores.read_all`.
    """
    table = importance_table(read_all(paths))
    if table.empty:
        hint = "set experiments.importance_draws and list models that see drivers (networks, process, trees, forest)"
        raise InputError("no driver was permuted in any of these experiments", hint=hint)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table
