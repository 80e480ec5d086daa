"""What the networks of a grid are compared with, on the same folds.

| reference | what it is |
|---|---|
| ``process`` | the process model with its default parameters; it has seen no observation |
| ``trees`` | gradient-boosted trees on drivers, their running means and statics |
| ``forest`` | a random forest on the same predictors |
| ``mean`` | the mean of the site; at a site that was not seen the mean over sites |
| ``season`` | the mean of the site in that calendar month; at a site that was not seen the mean over sites |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np

from ..config.experiments import Reference
from ..systems import System
from ..train.baselines import boosted_trees, learned_predictions, random_forest, tree_features
from ..train.climatology import climatology
from ..train.data import FloatArray
from ..train.finetune import Mask
from ..train.simulation import simulated
from ..train.sites import SiteData

REFERENCES: tuple[str, ...] = get_args(Reference)
LEARNERS = {"trees": boosted_trees, "forest": random_forest}
"""References that learn from predictors of a day, and their learners."""
Predictor = Callable[[Sequence[Mask], int], list[FloatArray]]
"""Predictions of the flux (time, site) of each set from what is not in the masks, with a seed."""


def reference(name: str, sites: SiteData, system: System, flux: str) -> Predictor:
    """The reference called ``name`` for the output ``flux``; what all folds share is made once."""
    if name == "process":
        made = [simulated(part, system)[flux] for part in sites.sets]
        return lambda unused, seed: made
    if name in LEARNERS:
        features = [tree_features(part, system)[0] for part in sites.sets]

        def grown(unused: Sequence[Mask], seed: int) -> list[FloatArray]:
            found = learned_predictions((flux,), features, sites, unused, system, seed, LEARNERS[name])
            shapes = [part.targets[flux].shape for part in sites.sets]
            return [one.get(flux, np.full(shape, np.nan)) for one, shape in zip(found, shapes, strict=True)]

        return grown
    return lambda unused, seed: climatology(sites, flux, unused, seasonal=name == "season")
