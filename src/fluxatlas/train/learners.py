"""What learns a variable from predictors of a day, or from their means over a period: rows in, a predictor out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from .data import FloatArray
from .ridge import fit_ridge

Predictor = Callable[[FloatArray], FloatArray]
"""Predictions (n,) from predictors (n, feature)."""
Rows = tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.int64]]
"""Predictors (n, feature), values, weights and blocks (n,) of observed days."""
Learner = Callable[[Rows, int], Predictor]
"""What learns from rows, with a seed."""


def boosted_trees(rows: Rows, seed: int) -> Predictor:
    """The learner of the baseline ``trees``."""
    return _fitted(
        HistGradientBoostingRegressor(max_iter=150, learning_rate=0.08, max_leaf_nodes=16, random_state=seed), rows
    )


def random_forest(rows: Rows, seed: int) -> Predictor:
    """Ten trees of at least four days a leaf and depth 20: the sizes of the published emulator of energy fluxes (Han et
    al. 2025, ESSD 17, 7101), as read from its repository."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(10, max_depth=20, min_samples_split=10, min_samples_leaf=4, random_state=seed)
    return _fitted(model, rows)


def ridge_regression(rows: Rows, seed: int) -> Predictor:
    """The learner of the baseline ``ridge``; nothing in it is drawn by chance."""
    return fit_ridge(*rows)


def _fitted(model: Any, rows: Rows) -> Predictor:
    """What ``model`` of scikit-learn predicts once it is fitted."""
    predictors, values, weights, _ = rows
    predictors[:, np.isnan(predictors).all(axis=0)] = 0.0  # known at no training site: a constant is never split on
    predict: Predictor = model.fit(predictors, values, sample_weight=weights).predict
    return predict
