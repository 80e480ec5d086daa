"""Learners from few towers, beside trees: the process model with two numbers fitted, trees on what it lacks, trees of
the compressed flux, whichever of these errs least at towers that it was not fitted to, and their mean with shares that
err least there.

The last predictor of each is the flux of the process model; where that is not known, those that use it fall back to
the mean of what was observed. Rows weigh as ``even`` ones of :func:`~fluxatlas.train.baselines.learned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import numpy as np
from scipy.optimize import nnls

from ..config.train import Remedy
from .data import FloatArray
from .learners import Learner, Predictor, Rows, boosted_trees, ridge_regression

REMEDIES: tuple[str, ...] = get_args(Remedy)
"""Baselines, and references of experiments, that are given what the process model says as their last predictor."""
INNER = 3
"""Parts into which :func:`left_out` splits the clusters of towers, if there are as many."""
INNER_ROWS = 20_000
"""Rows at most, drawn at random, that a candidate learns from there: neighbouring days tell much the same."""
SUM_TO_ONE = 1e3
"""Weight of the sum of shares beside the error, whose scale is one."""
LEAST_SHARE = 1e-3
"""Share below which a candidate is not fitted again."""
LEAST_SPREAD = 1e-6
"""Spread of the simulated flux, in its unit, below which no slope is fitted."""
OTHER_SIGN = 0.05
"""Share of the sum of absolute fluxes up to which those of the other sign are taken for noise."""


def mean(rows: Rows, seed: int) -> Predictor:
    """The weighted mean of what was observed."""
    _, values, weights, _ = rows
    middle = float(np.average(values, weights=weights))
    return lambda predictors: np.full(len(predictors), middle)


def calibrated(rows: Rows, seed: int) -> Predictor:
    """``a + b`` times the flux of the process model, by weighted least squares where that is known; ``b`` is not below
    zero. Where that flux is not known the prediction is the mean of what was observed where it is."""
    predictors, values, weights, _ = rows
    known = np.isfinite(predictors[:, -1])
    if not known.any():
        return mean(rows, seed)
    made, values, weights = predictors[known, -1].astype(float), values[known], weights[known]
    centre, middle = np.average(made, weights=weights), np.average(values, weights=weights)
    spread = np.average((made - centre) ** 2, weights=weights)
    slope = np.average((made - centre) * (values - middle), weights=weights) / spread if spread > LEAST_SPREAD else 0.0
    slope = max(float(slope), 0.0)

    def model(given: FloatArray) -> FloatArray:
        made = given[:, -1].astype(float)
        return np.where(np.isfinite(made), middle + slope * (made - centre), middle)

    return model


def plain_trees(rows: Rows, seed: int) -> Predictor:
    """Boosted trees that do not see the process model."""
    predictors, *rest = rows
    model = boosted_trees((predictors[:, :-1], *rest), seed)  # type: ignore[arg-type]
    return lambda given: model(given[:, :-1])


def residual_trees(rows: Rows, seed: int) -> Predictor:
    """:func:`calibrated`, and trees on what it lacks where the flux of the process model is known."""
    first = calibrated(rows, seed)
    known = np.isfinite(rows[0][:, -1])
    if not known.any():
        return first
    predictors, values, weights, block = rows
    lacks = values[known] - first(predictors[known])
    more = plain_trees((predictors[known], lacks, weights[known], block[known]), seed)
    return lambda given: first(given) + np.where(np.isfinite(given[:, -1]), more(given), 0.0)


def log_trees(rows: Rows, seed: int, scale: float) -> Predictor:
    """Trees of ``asinh(F / scale)``; back in the unit of the flux the mean of what was observed is kept (the trees give
    a median): by one factor for a flux of one sign, else, as its mean may be near zero, by what is added."""
    predictors, values, weights, block = rows
    model = plain_trees((predictors, np.arcsinh(values / scale), weights, block), seed)

    def back(given: FloatArray) -> FloatArray:
        return np.asarray(scale * np.sinh(model(given)))

    seen, wanted = (float(np.average(one, weights=weights)) for one in (back(predictors), values))
    lesser = min(float(weights @ np.maximum(sign * values, 0.0)) for sign in (1, -1))
    if lesser <= OTHER_SIGN * float(weights @ np.abs(values)) and seen * wanted > 0:
        return lambda given: wanted / seen * back(given)
    return lambda given: wanted - seen + back(given)


def learners(scale: float) -> Mapping[str, Learner]:
    """All by name; ``scale`` is where the flux is compressed from, in its unit."""
    single = {
        "mean": mean,
        "trees": plain_trees,
        "calibrated": calibrated,
        "residual_trees": residual_trees,
        "log_trees": lambda rows, seed: log_trees(rows, seed, scale),
    }
    return {
        **single,
        "chosen": lambda rows, seed: chosen(rows, seed, single),
        "stacked": lambda rows, seed: stacked(rows, seed, {**single, "ridge": ridge_regression}),
    }


def chosen(rows: Rows, seed: int, candidates: Mapping[str, Learner]) -> Predictor:
    """The candidate with the least squared error at clusters that it was left out of, fitted to all ``rows``; one that
    leaves out predictions is not chosen.

    Nothing but ``rows`` is seen: what an experiment tests takes no part in the choice.
    """
    made = left_out(rows, seed, candidates)
    if made is None:
        return mean(rows, seed)
    _, values, weights, _ = rows
    error = {name: float(weights @ np.nan_to_num((p - values) ** 2, nan=np.inf)) for name, p in made.items()}
    return candidates[min(error, key=error.__getitem__)](rows, seed)


def stacked(rows: Rows, seed: int, candidates: Mapping[str, Learner]) -> Predictor:
    """Their mean with the weights, none below zero and one in sum, that err least at clusters that they were left out
    of (stacked regressions, Breiman 1996, doi:10.1007/BF00117832); one that leaves out predictions has none.

    Each is then fitted to all ``rows``; nothing else is seen.
    """
    made = left_out(rows, seed, candidates)
    if made is None:
        return mean(rows, seed)
    whole = {name: values for name, values in made.items() if np.isfinite(values).all()}
    if not whole:
        return mean(rows, seed)
    share = convex(np.stack(list(whole.values()), axis=1), rows[1], rows[2])
    kept = [(a, candidates[name](_copy(rows), seed)) for name, a in zip(whole, share, strict=True) if a > LEAST_SHARE]
    total = sum(a for a, _ in kept)
    return lambda given: np.asarray(sum(a / total * model(given) for a, model in kept))


def left_out(rows: Rows, seed: int, candidates: Mapping[str, Learner]) -> dict[str, FloatArray] | None:
    """Predictions (n,) of each candidate for ``rows``, by what has learnt from the other clusters alone, of which there
    are :data:`INNER` parts; None for a single cluster."""
    predictors, values, weights, block = rows
    rng = np.random.default_rng([seed, 43])
    clusters = rng.permutation(np.unique(block))
    parts = [np.isin(block, part) for part in np.array_split(clusters, min(INNER, len(clusters)))]
    if len(parts) < 2:
        return None
    found = {name: np.full(len(values), np.nan) for name in candidates}
    for held in parts:
        others = np.flatnonzero(~held)
        if len(others) > INNER_ROWS:
            others = np.sort(rng.choice(others, INNER_ROWS, replace=False))
        kept: Rows = (predictors[others], values[others], weights[others], block[others])
        for name, learner in candidates.items():
            found[name][held] = learner(_copy(kept), seed)(predictors[held])
    return found


def convex(made: FloatArray, values: FloatArray, weights: FloatArray) -> FloatArray:
    """Shares (k,) of the columns of ``made`` (n, k), none below zero and one in sum, of the mean with the least
    weighted squared departure from ``values`` (n,)."""
    lacks = (made - values[:, None]) * np.sqrt(weights / weights.sum())[:, None]
    cross = lacks.T @ lacks  # with shares of sum one the squared error is a quadratic form of them
    size = np.sqrt(np.trace(cross)) or 1.0
    squares, vectors = np.linalg.eigh(cross)
    root = (vectors * np.sqrt(np.maximum(squares, 0.0))).T / size
    system = np.vstack([root, SUM_TO_ONE * np.ones(made.shape[1])])
    share, _ = nnls(system, np.append(np.zeros(len(root)), SUM_TO_ONE))
    found: FloatArray = share / share.sum()
    return found


def _copy(rows: Rows) -> Rows:
    """``rows`` with predictors that a learner may change."""
    return (rows[0].copy(), *rows[1:])
