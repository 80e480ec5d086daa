"""The table of a grid of experiments: scores of each experiment, mean and interval over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from .. import files, variables
from ..errors import InputError
from ..evaluate.clusters import interval, quantile, resamples
from ..evaluate.coverage import LEVEL, Ranked
from .references import REFERENCES
from .run import BROKEN, COLUMNS, PERMUTED

CELL = ["split", "share", "model", "transfer"]
TABLE = (
    *CELL,
    *("target", "towers", "score", "value", "low", "high", "seeds", "sites", "days", "unit"),
)
QUARTILES = (25, 50, 75)
DRAWS = 2000
"""Sets of clusters of sites, drawn with replacement, of which intervals over sites are made."""
IN_UNITS = ("rmse", "rmse_paired", "ubrmse", "bias", "site_rmse_q50", "site_ubrmse_q50", "half_width")
"""Scores in the unit of the target."""


def experiment_scores(rows: pd.DataFrame, minimum_days: int) -> dict[str, float]:
    """Scores of one experiment (rows of one seed, all folds).

    Over all test days: ``rmse``, ``ubrmse`` (of what departs from the mean error of a site), ``nrmse`` (by the absolute
    mean of the observations), ``r2`` (1 - squared error / squared departure from the mean of all) and ``bias``
    (predicted - observed). ``site_r2_q25, _q50, _q75``, ``site_rmse_q50`` and ``site_ubrmse_q50``: over sites with
    ``minimum_days``. ``between_r2``: means of sites. ``seasonal_r2``: mean seasonal cycles (calendar months less their
    mean) of all sites. ``effective_samples`` and ``seconds`` are means over folds.
    ``r2_sites_low, _high`` and ``site_r2_q50_low, _high``: 90 % interval of other sites, from clusters
    drawn with replacement (:mod:`fluxatlas.evaluate.clusters`; NaN where they are too few). ``half_width`` of 90 %
    intervals of means of sites that conformal prediction by cluster gives, and ``inside_half_width``, the share of
    clusters that those made of the others hold (:mod:`fluxatlas.evaluate.coverage`; NaN where they are too few).
    """
    n, o, p = (rows[name].to_numpy(float) for name in ("n", "observed_mean", "predicted_mean"))
    error, variance = rows["squared_error"].to_numpy(float), rows["observed_variance"].to_numpy(float)
    cluster = rows["cluster"].to_numpy()
    mean = np.average(o, weights=n)
    spread = float((n * (variance + (o - mean) ** 2)).sum())
    rmse = float(np.sqrt(np.average(error, weights=n)))
    unbiased = np.maximum(error - (p - o) ** 2, 0)
    found = {
        "rmse": rmse,
        "ubrmse": float(np.sqrt(np.average(unbiased, weights=n))),
        "nrmse": rmse / abs(mean) if mean else np.nan,
        "r2": _skill(float((n * error).sum()), spread),
        "bias": float(np.average(p - o, weights=n)),
        "between_r2": _skill(float(((p - o) ** 2).sum()), float(((o - o.mean()) ** 2).sum())),
        "seasonal_r2": _skill(rows["cycle_squared_error"].sum(), rows["cycle_variance"].sum()),
    }
    long = (n >= minimum_days) & (variance > 0)
    if long.any():
        own = 1 - error[long] / variance[long]
        found |= {f"site_r2_q{q}": float(np.percentile(own, q)) for q in QUARTILES}
        found["site_rmse_q50"] = float(np.sqrt(np.median(error[long])))
        found["site_ubrmse_q50"] = float(np.sqrt(np.median(unbiased[long])))
        found |= _ends("site_r2_q50", quantile(own, resamples(cluster[long], DRAWS, 0), 0.5))
    moments = resamples(cluster, DRAWS, 0) @ np.stack([n, n * o, n * (variance + o**2), n * error], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # draws of one site without spread
        skill = 1 - moments[:, 3] / (moments[:, 2] - moments[:, 1] ** 2 / moments[:, 0])
    found |= _ends("r2_sites", skill)
    ranked = Ranked.of(np.abs(p - o), cluster)
    width = ranked.quantile(LEVEL)
    found |= {"half_width": width if np.isfinite(width) else np.nan, "inside_half_width": ranked.left_out(LEVEL)}
    folds = rows.drop_duplicates("fold")
    return found | {name: float(folds[name].mean()) for name in ("effective_samples", "seconds")}


def _ends(name: str, values: np.ndarray) -> dict[str, float]:
    """The interval of a score of resamples, its ends called low and high."""
    _, low, high = interval(values)
    return {f"{name}_low": low, f"{name}_high": high}


def _skill(error: float, spread: float) -> float:
    return 1 - error / spread if spread > 0 else float("nan")


def score_table(rows: pd.DataFrame, minimum_days: int) -> pd.DataFrame:
    """Tidy scores (:data:`TABLE`) of all experiments in ``rows``.

    ``value`` is the mean over seeds, ``low`` and ``high`` the 90 % interval of that mean (Student's t; NaN for one
    seed). ``<identity>_broken``, under the first target: share of test days that break an identity. Seeds do not say
    what other sites would: that is in the quartiles over sites. ``towers`` is the mean number that was learnt from.
    """
    found = []
    first = _first_of(rows, minimum_days)
    for key, cell in rows.groupby([*CELL, "target"], sort=False):
        about = dict(zip([*CELL, "target"], key, strict=True))
        seeds = cell["number"].nunique()
        about |= {"towers": cell.drop_duplicates(["number", "fold"])["towers"].mean(), "seeds": seeds}
        one = cell[cell["number"] == cell["number"].min()]
        about |= {"sites": one["site"].nunique(), "days": int(one["n"].sum())}
        if _is_broken(key[4]):
            columns, unit = {f"{str(key[4]).removesuffix(BROKEN)}_broken": _shares(cell)}, "1"
            about["target"] = rows["target"].iloc[0]
        else:
            table = _of_seeds(cell, minimum_days)
            columns = {score: table[score] for score in table.columns[table.notna().any()]}
            columns["rmse_paired"] = _paired(table["rmse"], first.get((key[0], key[4])))
            unit = variables.get(str(about["target"])).units
        for score, column in columns.items():
            values = column.dropna().to_numpy(float)
            if not len(values):
                continue
            half = _half_width(values)
            own = "s" if score == "seconds" else unit if score in IN_UNITS else "1"
            value = float(values.mean())
            found.append(
                {**about, "score": score, "value": value, "low": value - half, "high": value + half, "unit": own}
            )
    return pd.DataFrame(found, columns=list(TABLE))


def _is_broken(target: object) -> bool:
    """Whether rows are about the days that break an identity."""
    return str(target).endswith(BROKEN)


def _shares(cell: pd.DataFrame) -> pd.Series:
    """Share of test days that break an identity, by number of a seed."""
    days = cell["n"].groupby(cell["number"])
    return (cell["n"] * cell["predicted_mean"]).groupby(cell["number"]).sum() / days.sum()


def _of_seeds(cell: pd.DataFrame, minimum_days: int) -> pd.DataFrame:
    """Scores of one cell of the grid, a row per number of a seed."""
    seeds = {number: experiment_scores(one, minimum_days) for number, one in cell.groupby("number")}
    return pd.DataFrame.from_dict(seeds, orient="index")


def _first_of(rows: pd.DataFrame, minimum_days: int) -> dict[tuple[Any, Any], pd.Series]:
    """RMSE by seed of the network listed first, by split and target."""
    networks = rows[~rows["model"].isin(REFERENCES) & ~rows["target"].map(_is_broken)]
    found: dict[tuple[Any, Any], pd.Series] = {}
    for key, part in networks.groupby(["split", "target"], sort=False):
        split, target = key
        first = part[(part[CELL] == part[CELL].iloc[0]).all(axis=1)]
        found[split, target] = _of_seeds(first, minimum_days)["rmse"]
    return found


def _paired(rmse: pd.Series, first: pd.Series | None) -> pd.Series:
    """``rmse`` by seed less that of the ``first`` network with the same seed; what has one seed is compared with
    each. Zero for that network itself, NaN where there is none."""
    if first is None:
        return rmse * np.nan
    own = first * 0 + rmse.iloc[0] if len(rmse) == 1 else rmse
    return own - first


def _half_width(values: np.ndarray) -> float:
    """Half the width of the 90 % interval of the mean of ``values``."""
    if len(values) < 2:
        return float("nan")
    return float(stdtrit(len(values) - 1, 0.95) * values.std(ddof=1) / np.sqrt(len(values)))


def read_results(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Rows of result files, without those of permuted drivers; raises as :func:`read_all`."""
    table = read_all(paths)
    return table.loc[table["permuted"] == "", list(COLUMNS)].reset_index(drop=True)


def read_all(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Rows of result files, of which those without permuted drivers have an empty ``permuted``.

    Raises :class:`InputError` for a file that is absent or no result.
    """
    parts = []
    for path in paths:
        table = files.read_made(path, by="`snakemake benchmark`", text=("share", "site", "permuted", "over"))
        if list(table.columns) not in (list(COLUMNS), [*COLUMNS, *PERMUTED]):
            raise InputError("not the result of an experiment", where=str(path), hint="run `snakemake benchmark`")
        parts.append(table.reindex(columns=[*COLUMNS, *PERMUTED]).fillna({"permuted": "", "over": ""}))
    if not parts or all(part.empty for part in parts):
        raise InputError("no experiment has tested anything", hint="check the sites and the block 'experiments'")
    return pd.concat(parts, ignore_index=True)


def write_scores(output: str | Path, paths: Sequence[str | Path], minimum_days: int) -> pd.DataFrame:
    """Write :func:`score_table` of result files as CSV; return it."""
    table = score_table(read_results(paths), minimum_days)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table
