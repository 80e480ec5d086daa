"""Means of calendar months as predictions: what a model of weather and soil has to beat, and what bounds it.

A site that was not seen gets the mean season of those that were. The mean season of the site's own record is not a
model: it is made of the very values it is scored on, and says what a season that is the same every year can reach
there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .data import FloatArray
from .finetune import Mask
from .site_periods import spread
from .sites import SiteData

MONTHS = 12


def climatology(sites: SiteData, variable: str, unused: Sequence[Mask], seasonal: bool) -> list[FloatArray]:
    """Means of ``variable`` at sites, or of their calendar months where ``seasonal``, (time, site) of each set, from
    the days that are not ``unused`` (time, site); a period counts with its mean on each of its days.

    What a site lacks is taken from the mean over sites: a month in its departure from the year, a site whole. NaN in
    sets that do not have the variable, and everywhere where no day is left.
    """
    month = [part.dates.month.to_numpy() - 1 for part in sites.sets]
    seen = [
        np.where(mask, np.nan, spread(part, variable)).astype(float)
        for part, mask in zip(sites.sets, unused, strict=True)
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
