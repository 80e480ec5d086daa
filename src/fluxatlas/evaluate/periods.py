"""Models at sites they have not seen, by means over months and other periods: the table beside that of days.

Each site has the scores of its own periods; the table has their quartiles over sites, with intervals over clusters of
sites, and what the members gain on every other model, site by site. Every period of a site counts the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import InputError
from .clusters import interval, quantile, resamples
from .metrics import scores
from .skill import read_predictions
from .unseen import PROTOCOLS, PathLike, SiteSums, clusters_of

FEWEST_PERIODS = 6
"""Periods of a site below which it has no scores of its own."""
QUARTILES = (25, 50, 75)
OVER_PERIODS = ("pooled", "balanced", "between", "within")
"""Protocols of :mod:`fluxatlas.evaluate.unseen` that are given too, with periods in the place of days."""
SITE_COLUMNS = [
    *("model", "target", "site", "cluster", "fold", "periods", "days"),
    *("r2", "r", "rmse", "bias", "observed_mean", "unit"),
]
COLUMNS = [
    *("model", "against", "target", "protocol", "score", "value", "low", "high"),
    *("sites", "clusters", "folds", "periods", "days", "unit"),
]
Array = npt.NDArray[np.float64]


def unseen_periods(predictions: pd.DataFrame) -> pd.DataFrame:
    """Periods of each model, target and unseen site: ``model, target, site, time, days, observed, predicted, sd``, the
    mean of the members that have not seen it, and ``fold``, the first of these."""
    unseen = predictions[predictions["split"] == "test"].dropna(subset=["observed", "predicted"])
    unseen = unseen.assign(sd=unseen.get("sd", np.nan))
    groups = unseen.groupby(["model", "variable", "site", "time", "days"], as_index=False)
    found = groups.agg(
        observed=("observed", "mean"), predicted=("predicted", "mean"), sd=("sd", "mean"), fold=("member", "min")
    )
    return found.rename(columns={"variable": "target"})


def site_scores(periods: pd.DataFrame, cluster: pd.Series) -> pd.DataFrame:
    """Scores of each model at each site with :data:`FEWEST_PERIODS` periods (rows of :func:`unseen_periods`)."""
    rows = []
    for (model, target, site), frame in periods.groupby(["model", "target", "site"]):
        if len(frame) >= FEWEST_PERIODS:
            found = scores(frame["observed"], frame["predicted"])
            row = {"model": model, "target": target, "site": site, "cluster": cluster[str(site)]}
            row |= {"fold": int(frame["fold"].min()), "periods": len(frame), "days": int(frame["days"].sum())}
            row |= {name: found[name] for name in ("r2", "r", "rmse", "bias")}
            mean = float(frame["observed"].mean())
            rows.append({**row, "observed_mean": mean, "unit": variables.get(str(target)).units})
    return pd.DataFrame(rows, columns=SITE_COLUMNS)


def period_table(
    periods: pd.DataFrame, by_site: pd.DataFrame, cluster: pd.Series, settings: EvaluateBlock, reference: str
) -> pd.DataFrame:
    """Scores over sites with 90 % intervals, and what ``reference`` gains on each other model.

    Protocol ``sites``: quartiles over sites of their own scores. Rows with a name in ``against`` are differences at the
    sites that both models predict: the median over sites of ``model`` less that of ``against`` from the same resamples,
    and ``better``, the share of sites where ``model`` has the smaller RMSE.
    """
    rows: list[dict[str, object]] = []
    for target, group in by_site.groupby("target"):
        models = {str(model): frame.set_index("site") for model, frame in group.groupby("model")}
        for model, frame in models.items():
            mine = periods[(periods["model"] == model) & (periods["target"] == target)]
            about = {"model": model, "target": target, "unit": frame["unit"].iloc[0]}
            own = [
                *_over_sites(frame, settings),
                *_over_periods(mine[mine["site"].isin(frame.index)], cluster, settings),
            ]
            rows += [{**about, "against": "", **_size(frame), **row} for row in own]
            if reference in models and model != reference:
                both = models[reference].join(frame, how="inner", rsuffix="_other")
                about = {**about, "model": reference, "against": model}
                rows += [{**about, **_size(both), **row} for row in _gains(both, settings)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _size(frame: pd.DataFrame) -> dict[str, int]:
    counts = {"sites": len(frame), "clusters": frame["cluster"].nunique(), "folds": frame["fold"].nunique()}
    return {**counts, "periods": int(frame["periods"].sum()), "days": int(frame["days"].sum())}


def _row(protocol: str, score: str, values: Array) -> dict[str, object]:
    return {
        "protocol": protocol,
        "score": score,
        **dict(zip(("value", "low", "high"), interval(values), strict=True)),
    }


def _over_sites(frame: pd.DataFrame, settings: EvaluateBlock) -> Iterator[dict[str, object]]:
    w = resamples(frame["cluster"].to_numpy(), settings.resamples, settings.seed)
    for score in ("r2", "r", "rmse", "bias"):
        values = frame[score].to_numpy(np.float64)
        for q in QUARTILES:
            yield _row("sites", f"{score}_q{q}", quantile(values, w, q / 100))


def _over_periods(periods: pd.DataFrame, cluster: pd.Series, settings: EvaluateBlock) -> Iterator[dict[str, object]]:
    every = SiteSums.of(periods, cluster)
    w = every.resamples(settings.resamples, settings.seed)
    for protocol in OVER_PERIODS:
        for score, values in PROTOCOLS[protocol](every, w).items():
            yield _row(protocol, score, values)


def _gains(both: pd.DataFrame, settings: EvaluateBlock) -> Iterator[dict[str, object]]:
    w = resamples(both["cluster"].to_numpy(), settings.resamples, settings.seed)
    for score in ("r2", "rmse"):
        one, two = (both[name].to_numpy(np.float64) for name in (score, f"{score}_other"))
        yield _row("sites", f"{score}_q50", quantile(one, w, 0.5) - quantile(two, w, 0.5))
    smaller = (both["rmse"] < both["rmse_other"]).to_numpy(float)
    yield _row("sites", "better", (w @ smaller) / w.sum(axis=1))


def write_periods(
    output: PathLike,
    site_output: PathLike,
    predictions: Sequence[PathLike],
    places: PathLike,
    settings: EvaluateBlock | None = None,
    reference: str = "network",
) -> pd.DataFrame:
    """Write :func:`period_table` and :func:`site_scores` of the files ``predictions`` as CSV; return the first.

    Clusters and ``places`` as :func:`fluxatlas.evaluate.unseen.write_unseen`. Raises :class:`InputError` for a missing
    file or column, and where no site that is not seen has :data:`FEWEST_PERIODS` periods.
    """
    settings = settings or EvaluateBlock()
    periods = unseen_periods(read_predictions(predictions, periods=True))
    cluster = clusters_of(places, sorted(periods["site"].unique()), settings.cluster_distance_km)
    by_site = site_scores(periods, cluster)
    if by_site.empty:
        raise InputError(
            f"no unseen site has {FEWEST_PERIODS} months or other periods of a flux",
            where=", ".join(map(str, predictions)),
            hint="sites.entries with monthly files make them (docs/sites.md); days are in protocols.csv",
        )
    table = period_table(periods, by_site, cluster, settings, reference)
    files.write_text(Path(site_output), by_site.to_csv(index=False, float_format="%.6g"))
    files.write_text(Path(output), table.to_csv(index=False, float_format="%.6g"))
    return table
