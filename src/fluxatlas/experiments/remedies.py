"""Learners from few towers, beside trees: the process model with two numbers fitted, trees on what it lacks, trees of
the compressed flux, and whichever of these errs least at towers that it was not fitted to.

The last predictor of each is the flux of the process model. The record of a cluster weighs by the root of its length.
Unlike the baseline ``trees`` they do not weigh days by their stated error, which grows with the flux: that weighs days
of small fluxes most, and the mean of what is predicted is then far below that of what was observed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..train.baselines import Learner, Predictor, Rows, boosted_trees
from ..train.data import FloatArray

INNER = 3
"""Parts into which :func:`chosen` splits the clusters of towers, if there are as many."""
LEAST_SPREAD = 1e-6
"""Spread of the simulated flux, in its unit, below which no slope is fitted."""


def mean(rows: Rows, seed: int) -> Predictor:
    """The weighted mean of what was observed."""
    _, values, weights, _ = rows
    middle = float(np.average(values, weights=weights))
    return lambda predictors: np.full(len(predictors), middle)


def calibrated(rows: Rows, seed: int) -> Predictor:
    """``a + b`` times the flux of the process model, by weighted least squares where that is known; ``b`` is not below
    zero."""
    predictors, values, weights, _ = rows
    known = np.isfinite(predictors[:, -1])
    if not known.any():
        return mean(rows, seed)
    made, values, weights = predictors[known, -1].astype(float), values[known], weights[known]
    centre, middle = np.average(made, weights=weights), np.average(values, weights=weights)
    spread = np.average((made - centre) ** 2, weights=weights)
    slope = np.average((made - centre) * (values - middle), weights=weights) / spread if spread > LEAST_SPREAD else 0.0
    slope = max(float(slope), 0.0)
    return lambda given: middle + slope * (given[:, -1].astype(float) - centre)


def plain_trees(rows: Rows, seed: int) -> Predictor:
    """Boosted trees that do not see the process model."""
    predictors, *rest = rows
    model = boosted_trees((predictors[:, :-1], *rest), seed)  # type: ignore[arg-type]
    return lambda given: model(given[:, :-1])


def residual_trees(rows: Rows, seed: int) -> Predictor:
    """:func:`calibrated`, and trees on what it lacks."""
    predictors, values, weights, block = rows
    first = calibrated(rows, seed)
    more = plain_trees((predictors, values - first(predictors), weights, block), seed)
    return lambda given: first(given) + more(given)


def log_trees(rows: Rows, seed: int, scale: float) -> Predictor:
    """Trees of ``asinh(F / scale)``; back in the unit of the flux with one factor that keeps the mean of what was
    observed (the trees give a median)."""
    predictors, values, weights, block = rows
    model = plain_trees((predictors, np.arcsinh(values / scale), weights, block), seed)

    def back(given: FloatArray) -> FloatArray:
        return np.asarray(scale * np.sinh(model(given)))

    seen = float(np.average(back(predictors), weights=weights))
    factor = float(np.average(values, weights=weights)) / seen if abs(seen) > LEAST_SPREAD else 1.0
    return lambda given: factor * back(given)


def evenly(rows: Rows) -> Rows:
    """``rows`` with weights that depend on the length of the records alone."""
    predictors, values, _, block = rows
    _, inverse, count = np.unique(block, return_inverse=True, return_counts=True)
    return predictors, values, 1.0 / np.sqrt(count[inverse]), block


def learners(scale: float) -> Mapping[str, Learner]:
    """All by name; ``scale`` is where the flux is compressed from, in its unit."""
    single = {
        "mean": mean,
        "trees": plain_trees,
        "calibrated": calibrated,
        "residual_trees": residual_trees,
        "log_trees": lambda rows, seed: log_trees(rows, seed, scale),
    }
    every = {**single, "chosen": lambda rows, seed: chosen(rows, seed, single)}
    return {name: _on_even_rows(learner) for name, learner in every.items()}


def _on_even_rows(learner: Learner) -> Learner:
    return lambda rows, seed: learner(evenly(rows), seed)


def chosen(rows: Rows, seed: int, candidates: Mapping[str, Learner]) -> Predictor:
    """The candidate with the least squared error at clusters that it was left out of, fitted to all ``rows``.

    Nothing but ``rows`` is seen: what an experiment tests takes no part in the choice.
    """
    predictors, values, weights, block = rows
    clusters = np.random.default_rng([seed, 43]).permutation(np.unique(block))
    parts = [np.isin(block, part) for part in np.array_split(clusters, min(INNER, len(clusters)))]
    if len(parts) < 2:
        return mean(rows, seed)
    error = dict.fromkeys(candidates, 0.0)
    for held in parts:
        kept: Rows = (predictors[~held].copy(), values[~held], weights[~held], block[~held])
        for name, learner in candidates.items():
            lacking = learner(kept, seed)(predictors[held]) - values[held]
            error[name] += float((weights[held] * lacking**2).sum())
    return candidates[min(error, key=error.__getitem__)](rows, seed)
