"""Do 90 % intervals hold what unseen sites measure, and how wide must one be that does?

An interval made of what a model knows of itself leaves out what it does not know. Conformal prediction asks the sites
that were held out instead: the width is the one that would have held there. Days of one site, and sites of one cluster,
err alike, so that clusters are what is exchangeable: a day of a cluster to come lies inside with at least the stated
probability, however many days the known clusters have (Lee, Barber and Willett 2023, arXiv:2306.06342; for means
of sites and in general Dunn, Wasserman and Ramdas 2023, doi:10.1080/01621459.2022.2060112).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables

Array = npt.NDArray[np.float64]

LEVEL = 0.9
COLUMNS = [
    *("model", "target", "what", "level", "n", "sites", "clusters", "inside", "factor", "inside_factor"),
    *("half_width", "inside_half_width", "unit", "note"),
]


def clusters_needed(level: float) -> int:
    """Fewest clusters that give a finite interval: 4 for 80 %, 9 for 90 %, 19 for 95 %."""
    return math.ceil(round(level / (1 - level), 9))


@dataclass(frozen=True)
class Ranked:
    """Errors, plain or in units of something known beforehand: ``scores`` (n,) in ascending order, with the number
    ``cluster`` (n,) from 0 and the ``share`` (n,) of each in its cluster."""

    scores: Array
    cluster: npt.NDArray[np.int64]
    share: Array
    count: int

    @classmethod
    def of(cls, scores: Array, cluster: npt.NDArray[np.int64]) -> Ranked:
        """Ranked ``scores`` of the clusters ``cluster`` (n,), any numbers."""
        order = np.argsort(scores, kind="stable")
        numbers, inverse, sizes = np.unique(cluster[order], return_inverse=True, return_counts=True)
        return cls(np.asarray(scores, float)[order], inverse, 1.0 / sizes[inverse], len(numbers))

    def quantile(self, level: float, without: int = -1) -> float:
        """The score that one of a cluster to come does not exceed with a probability of at least ``level``.

        Every cluster weighs the same, the one to come counts as infinite; the one numbered ``without`` does not count.
        Infinite below :func:`clusters_needed`.
        """
        known = self.count - (without >= 0)
        if known < clusters_needed(level):
            return math.inf
        mass = np.cumsum(np.where(self.cluster == without, 0.0, self.share))
        place = int(np.searchsorted(mass, level * (known + 1) - 1e-9))
        return float(self.scores[place]) if place < len(self.scores) else math.inf

    def left_out(self, level: float) -> float:
        """Share of the scores of a cluster that the interval made of the others holds, mean of the clusters; NaN where
        the others are too few."""
        if self.count - 1 < clusters_needed(level):
            return math.nan
        ends = np.array([self.quantile(level, without) for without in range(self.count)])
        return float(((self.scores <= ends[self.cluster]) * self.share).sum() / self.count)


def coverage_table(days: pd.DataFrame, cluster: pd.Series, level: float = LEVEL) -> pd.DataFrame:
    """How often stated intervals hold values of unseen sites, and intervals that conformal prediction widens.

    ``days`` are rows of :func:`fluxatlas.evaluate.unseen.mean_of_members`, ``cluster`` numbers by site. One row for
    each model, target and ``what``: ``days``, and ``means`` of sites. ``inside`` is the share inside the stated
    interval (NaN where none is stated), ``factor`` what its distances from the prediction are to be multiplied with,
    ``half_width`` the distance, in the unit of the target and the same everywhere, that does without a stated one.
    ``inside_factor`` and ``inside_half_width`` are the shares that each holds of clusters that it was not made from. In
    all shares clusters count alike. The ``note`` is "not calibratable" with the reason below :func:`clusters_needed`,
    and both are NaN then.
    """
    rows = []
    for (model, target), frame in days.groupby(["model", "target"], sort=False):
        numbers = frame["site"].map(cluster).to_numpy(np.int64)
        means = frame.groupby("site")[["observed", "predicted"]].mean().reset_index()
        means = means.assign(low=np.nan, high=np.nan)
        found = {"days": (frame, numbers), "means": (means, means["site"].map(cluster).to_numpy(np.int64))}
        for what, (values, where) in found.items():
            about = {"model": model, "target": target, "what": what, "level": level}
            about |= {"unit": variables.get(str(target)).units, "sites": len(means)}
            rows.append({**about, **dict(_row(values, where, level))})
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(values: pd.DataFrame, cluster: npt.NDArray[np.int64], level: float) -> Iterator[tuple[str, object]]:
    error = (values["observed"] - values["predicted"]).to_numpy(float)
    count, needed = len(np.unique(cluster)), clusters_needed(level)
    yield from {"n": len(error), "clusters": count, "note": ""}.items()
    if count < needed:
        yield "note", f"not calibratable: {count} of the {needed} clusters that an interval of {100 * level:g} % takes"
    scores = {"half_width": np.abs(error)}
    high, low = (
        (values["high"] - values["predicted"]).to_numpy(float),
        (values["predicted"] - values["low"]).to_numpy(float),
    )
    if (np.minimum(high, low) > 0).all():
        scores["factor"] = np.where(error > 0, error / high, -error / low)
        ranked = Ranked.of(scores["factor"], cluster)
        yield "inside", float(((ranked.scores <= 1) * ranked.share).sum() / count)
    for name, score in scores.items():
        ranked = Ranked.of(score, cluster)
        width = ranked.quantile(level)
        yield name, width if math.isfinite(width) else math.nan
        yield f"inside_{name}", ranked.left_out(level)
