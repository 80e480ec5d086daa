"""Models at sites they have not seen against the hidden truth of the synthetic Earth, day by day and by site."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..constants import NORMAL_90
from ..errors import InputError
from .metrics import half_width, scores
from .skill import read_predictions

PathLike = str | Path

COLUMNS = [
    *("model", "target", "scale", "sites", "n", "r2", "r", "rmse", "bias", "r2_observed"),
    *("within_2sd", "within_90", "mean_sd", "members", "unit"),
]
AVERAGED = ["observed", "value", "predicted", "low", "high"]
TRUTH = "truth"
"""``model`` of the rows that score the truth itself: their ``r2_observed`` is the noise ceiling of the data."""


def site_truth_table(predictions: pd.DataFrame, truth: pd.DataFrame, fewest: int = 1) -> pd.DataFrame:
    """Scores by model, target and scale (``daily``; ``site_mean`` over sites with ``fewest`` days or more).

    ``predictions`` are rows of prediction files, of which the split ``test`` counts; ``truth`` has ``site, time,
    variable, value``. ``r2`` to ``bias`` compare the mean of the members with the truth, ``r2_observed`` with what was
    measured, for :data:`TRUTH` as well. ``within_90`` is the share of days (sites) where the truth lies inside the 90 %
    interval ``low`` to ``high`` of the predictions, or of the members where these give none; ``within_2sd`` that
    within two of the standard deviations that belong to it, ``mean_sd``. Intervals of a site's mean are means of those
    of its days, as if their errors were one. NaN where a single member without intervals has not seen a site. Raises
    :class:`InputError` where no day has a prediction and a truth.
    """
    unseen = predictions[predictions["split"] == "test"].dropna(subset=["observed", "predicted"])
    unseen = unseen.assign(**{name: np.nan for name in ("low", "high") if name not in unseen})
    days = unseen.merge(truth, on=["site", "time", "variable"], validate="many_to_one")
    if not len(days):
        raise InputError("predictions and truth share no day", hint="make both of the same years and sites")
    keys = ["model", "variable", "site", "time"]
    itself = days.drop_duplicates(keys[1:])
    itself = itself.assign(model=TRUTH, member=0, predicted=itself["value"], low=np.nan, high=np.nan)
    days = pd.concat([days, itself], ignore_index=True)
    daily = _over_members(days, keys)
    means = days.groupby([*keys[:3], "member"])[AVERAGED].agg(["mean", "size"])
    enough = means["predicted", "size"] >= fewest
    by_site = means.xs("mean", axis=1, level=1)[enough].reset_index()
    rows = []
    for scale, table in (("daily", daily), ("site_mean", _over_members(by_site, keys[:3]))):
        for (model, target), part in table.groupby(["model", "variable"], sort=True):
            unit = variables.get(str(target)).units
            rows.append({"model": model, "target": target, "scale": scale, "unit": unit, **_row(part)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _over_members(days: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of the members for each row of ``keys``, their number, interval and sd; what was measured, what is true."""
    groups = days.groupby(keys)
    found = groups[AVERAGED].mean()
    found["members"], spread = groups["predicted"].size(), groups["predicted"].std()
    width = spread * found["members"].map({n: half_width(int(n)) for n in found["members"].unique()})
    given = found["low"].notna() & found["high"].notna()
    found["sd"] = ((found["high"] - found["low"]) / (2 * NORMAL_90)).where(given, spread)
    found["low"] = found["low"].where(given, found["predicted"] - width)
    found["high"] = found["high"].where(given, found["predicted"] + width)
    return found.reset_index()


def _row(part: pd.DataFrame) -> dict[str, Any]:
    found = scores(part["value"], part["predicted"])
    found.pop("kge")
    off, known = (part["predicted"] - part["value"]).abs(), part["sd"].notna()
    return {
        **found,
        "sites": part["site"].nunique(),
        "r2_observed": scores(part["observed"], part["predicted"])["r2"],
        "within_2sd": float((off <= 2 * part["sd"])[known].mean()),
        "within_90": float(part["value"].between(part["low"], part["high"])[known].mean()),
        "mean_sd": float(part["sd"][known].mean()),
        "members": int(part["members"].max()),
    }


def write_site_truth_scores(
    output: PathLike, predictions: Sequence[PathLike], truth: PathLike, settings: EvaluateBlock | None = None
) -> pd.DataFrame:
    """Write :func:`site_truth_table` of the files as CSV; return it."""
    fewest = (settings or EvaluateBlock()).minimum_site_days
    table = site_truth_table(read_predictions(predictions), files.read_parquet(truth), fewest)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table
