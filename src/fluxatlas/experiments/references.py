"""What the networks of a grid are compared with, on the same folds.

| reference | what it is |
|---|---|
| ``process`` | the process model with its default parameters; it has seen no observation |
| ``trees`` | gradient-boosted trees on drivers, their running means and statics |
| ``forest`` | a random forest on the same predictors |
| ``calibrated`` | ``a + b`` times the flux of the process model, both fitted to the sites |
| ``residual_trees`` | that, and boosted trees on what it lacks |
| ``log_trees`` | boosted trees of the compressed flux |
| ``chosen`` | of these, trees and mean, what errs least at clusters left out of the sites that are learnt from |
| ``stacked`` | their mean, and that of ridge regression, with the shares that err least there |
| ``mean`` | the mean of the site; at a site that was not seen the mean over sites |
| ``season`` | the mean of the site in that calendar month; at a site that was not seen the mean over sites |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np

from ..config.experiments import Reference
from ..systems import System
from ..train.baselines import applied, learned, remedy_features, remedy_learner, tree_features
from ..train.climatology import climatology
from ..train.data import FloatArray, SequenceSet
from ..train.finetune import Mask
from ..train.learners import boosted_trees, random_forest
from ..train.remedies import REMEDIES
from ..train.simulation import simulated
from ..train.sites import SiteData

REFERENCES: tuple[str, ...] = get_args(Reference)
LEARNERS = {"trees": boosted_trees, "forest": random_forest}
"""References that learn from predictors of a day, and their learners."""
Asked = Callable[[Sequence[SequenceSet]], list[FloatArray]]
"""Predictions of the flux (time, site) of the sets of the sites, whose drivers may be others."""
Predictor = Callable[[Sequence[Mask], int], Asked]
"""What has learnt from what is not in the masks, with a seed."""
DRIVEN = ("process", *LEARNERS, *REMEDIES)
"""References that see drivers."""


def reference(name: str, sites: SiteData, system: System, flux: str) -> Predictor:
    """The reference called ``name`` for the output ``flux``; what all folds share is made once."""
    if name == "process":
        made = [simulated(part, system)[flux] for part in sites.sets]
        own = dict(zip(map(id, sites.sets), made, strict=True))
        return lambda unused, seed: (
            lambda parts: [own[id(part)] if id(part) in own else simulated(part, system)[flux] for part in parts]
        )
    if name in (*LEARNERS, *REMEDIES):
        learner = LEARNERS[name] if name in LEARNERS else remedy_learner(name, system, flux)

        def predictors(part: SequenceSet) -> FloatArray:
            found = tree_features(part, system)[0]
            return found if name in LEARNERS else remedy_features(found, simulated(part, system), flux)

        features = [predictors(part) for part in sites.sets]
        ready = dict(zip(map(id, sites.sets), features, strict=True))

        def grown(unused: Sequence[Mask], seed: int) -> Asked:
            models = learned((flux,), features, sites, unused, system, seed, learner, name in REMEDIES)

            def asked(parts: Sequence[SequenceSet]) -> list[FloatArray]:
                inputs = [ready[id(part)] if id(part) in ready else predictors(part) for part in parts]
                found = [applied(models, given, part) for given, part in zip(inputs, parts, strict=True)]
                shapes = [part.targets[flux].shape for part in parts]
                return [one.get(flux, np.full(shape, np.nan)) for one, shape in zip(found, shapes, strict=True)]

            return asked

        return grown
    return lambda unused, seed: lambda parts: climatology(sites, flux, unused, seasonal=name == "season")
