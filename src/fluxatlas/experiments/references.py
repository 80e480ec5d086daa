"""What the networks of a grid are compared with, on the same folds.

| reference | what it is |
|---|---|
| ``process`` | the process model with its default parameters; it has seen no observation |
| ``trees`` | gradient-boosted trees on drivers, their running means and statics |
| ``mean`` | the mean of the site; at a site that was not seen the mean over sites |
| ``season`` | the mean of the site in that calendar month; at a site that was not seen the mean over sites |
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from ..config.experiments import Reference
from ..systems import System
from ..train.baselines import simulated, tree_features, tree_predictions
from ..train.data import FloatArray
from ..train.finetune import Mask
from ..train.sites import SiteData

REFERENCES: tuple[str, ...] = get_args(Reference)
MONTHS = 12
Predictor = Callable[[Sequence[Mask], int], list[FloatArray]]
"""Predictions of the flux (time, site) of each set from what is not in the masks, with a seed."""


def reference(name: str, sites: SiteData, system: System) -> Predictor:
    """The reference called ``name``; what all folds share is made once."""
    flux = system.flux
    if name == "process":
        made = [simulated(part, system)[flux] for part in sites.sets]
        return lambda unused, seed: made
    if name == "trees":
        features = [tree_features(part, system)[0] for part in sites.sets]

        def grown(unused: Sequence[Mask], seed: int) -> list[FloatArray]:
            found = tree_predictions((flux,), features, sites, unused, system, seed)
            shapes = [part.targets[flux].shape for part in sites.sets]
            return [one.get(flux, np.full(shape, np.nan)) for one, shape in zip(found, shapes, strict=True)]

        return grown
    return lambda unused, seed: climatology(sites, flux, unused, seasonal=name == "season")


def climatology(sites: SiteData, flux: str, unused: Sequence[Mask], seasonal: bool) -> list[FloatArray]:
    """Means of sites, or of their calendar months where ``seasonal``, (time, site) of each set.

    What a site lacks is taken from the mean over sites: a month in its departure from the year, a site whole.
    """
    month = [part.dates.month.to_numpy() - 1 for part in sites.sets]
    seen = [
        np.where(mask, np.nan, part.targets[flux]).astype(float) for part, mask in zip(sites.sets, unused, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN
        cycles = np.concatenate([_months(values, when) for values, when in zip(seen, month, strict=True)], axis=1)
        means = np.concatenate([np.nanmean(values, axis=0) for values in seen])
        level = np.nanmean(means)
        shape = np.nan_to_num(np.nanmean(cycles - means, axis=1))
    means = np.where(np.isfinite(means), means, level)
    whole = np.where(np.isfinite(cycles), cycles, means + shape[:, None]) if seasonal else np.tile(means, (MONTHS, 1))
    parts = np.split(whole, np.cumsum([len(part.sites) for part in sites.sets])[:-1], axis=1)
    return [mine[when] for mine, when in zip(parts, month, strict=True)]


def _months(values: FloatArray, month: FloatArray) -> FloatArray:
    """Means of calendar months (month, site) of daily ``values`` (time, site)."""
    return pd.DataFrame(values).groupby(month).mean().reindex(range(MONTHS)).to_numpy()
