"""Importance of synthetic series for the places that are observed (covariate shift)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..systems import System
from .data import FloatArray, SequenceSet

MOST = 20.0
"""Largest weight, in units of the mean: a few series must not decide everything."""


def features(data: SequenceSet, system: System) -> tuple[FloatArray, FloatArray]:
    """Numbers of the sites with segments (place,), and their statics and mean climate (place, feature)."""
    place = np.array(sorted({segment.site for segment in data.segments}))
    columns = [data.statics[name][place] for name in system.statics]
    for name in system.climate:
        values = data.drivers[name][:, place].astype(float)
        there = np.isfinite(values)
        columns.append(np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1))
    return place, np.stack(columns, axis=1)


def importance(samples: SequenceSet, sites: Sequence[SequenceSet], system: System) -> tuple[FloatArray, float]:
    """Weight (sample,) of every synthetic series, 0 for those without segments, mean 1 over the others; and the
    effective sample size, (sum w)^2 / sum w^2.

    The weight is the odds by which a logistic regression on statics and mean climate takes the series for an observed
    place (density ratio), at most :data:`MOST` times the mean. Sites without weather do not count; raises
    :class:`InputError` where no site has any.
    """
    from sklearn.linear_model import LogisticRegression

    place, synthetic = features(samples, system)
    driven = [one for one in sites if one.segments and set(system.climate) <= set(one.drivers)]
    if not driven:
        raise InputError(
            "no site has the weather that synthetic series are compared by",
            where="train.strategy",
            hint="take another strategy than reweighted",
        )
    observed = np.concatenate([features(one, system)[1] for one in driven])
    scale = synthetic.std(axis=0)
    middle, scale = synthetic.mean(axis=0), np.where(scale > 0, scale, 1.0)
    table = (np.concatenate([synthetic, observed]) - middle) / scale
    kind = np.repeat([0, 1], [len(synthetic), len(observed)])
    model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(table, kind)
    odds = np.exp(model.decision_function(table[: len(synthetic)]))
    odds = np.minimum(odds / odds.mean(), MOST)
    weight = np.zeros(len(samples.sites))
    weight[place] = odds / odds.mean()
    return weight, float(odds.sum() ** 2 / np.square(odds).sum())
