"""The ladder of models from simple to flexible, climbed only as far as clusters of sites that were left out say.

With a handful of sites the most flexible model wins by luck. Each *rung* is therefore fitted without one cluster of
sites and scored there, for every cluster; the simplest one is taken that the best one does not beat by more than one
standard error (Breiman et al. 1984, Classification and Regression Trees, section 3.4.3). The error is that of the
difference between the two, cluster by cluster: what makes a cluster hard for all models says nothing about which one is
better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, nearest

FEWEST_CLUSTERS = 5
"""With fewer clusters nothing is chosen: the default is taken."""

Predict = Callable[[str], Any]
Score = Callable[[str, Any], float]
"""``(site, prediction) -> score``, higher is better, such as minus the mean squared error."""


@dataclass(frozen=True)
class Rung:
    """A candidate: ``fit(training sites)`` gives a function from a site to whatever the score understands."""

    name: str
    fit: Callable[[tuple[str, ...]], Predict]


@dataclass(frozen=True)
class Climb:
    """The ``chosen`` rung, ``scores`` (a row per cluster, a column per rung) and ``why`` in one sentence.

    ``table`` has a row per rung: mean score, by how much the best one is better, and the standard error of that.
    """

    chosen: str
    why: str
    scores: pd.DataFrame
    table: pd.DataFrame

    @property
    def described(self) -> dict[str, Any]:
        """``why``, and mean score, ``behind`` and ``error`` of each rung: what a member says of the choice."""
        rungs = {str(name): {str(k): float(v) for k, v in row.items()} for name, row in self.table.iterrows()}
        return {"why": self.why, "rungs": rungs}


def climb(rungs: Sequence[Rung], clusters: Mapping[str, int | str], score: Score, default: str) -> Climb:
    """The simplest of the ``rungs`` (simplest first) that the best does not beat by more than one standard error.

    ``clusters`` gives the cluster of every site; all sites of a cluster are left out together, and every cluster counts
    the same. With fewer than :data:`FEWEST_CLUSTERS` clusters nothing is fitted and ``default`` is taken.
    Raises :class:`InputError` for two rungs of one name, an unknown ``default`` and a score that is not finite.
    """
    names = [rung.name for rung in rungs]
    if len(set(names)) < len(names):
        raise InputError("two rungs of the ladder have the same name", where=", ".join(names))
    if default not in names:
        raise InputError(f"'{default}' is not a rung{nearest(default, names)}", hint=f"one of {', '.join(names)}")
    groups = list(dict.fromkeys(clusters.values()))
    if len(groups) < FEWEST_CLUSTERS:
        count = f"{len(groups)} cluster{'s' * (len(groups) != 1)} of sites"
        why = f"'{default}' is taken without a choice: {count}, and below {FEWEST_CLUSTERS} a choice would be luck"
        return Climb(default, why, pd.DataFrame(columns=names), pd.DataFrame(columns=["mean", "behind", "error"]))
    found = pd.DataFrame([_left_out(rungs, clusters, group, score) for group in groups], index=groups, columns=names)
    best = str(found.mean().idxmax())  # the simplest one of equals
    behind = found[[best]].to_numpy() - found
    error = behind.std(ddof=1) / np.sqrt(len(groups))
    table = pd.DataFrame({"mean": found.mean(), "behind": behind.mean(), "error": error})
    chosen = str(table.index[table["behind"] <= table["error"]][0])
    return Climb(chosen, _why(table, chosen, best, len(groups)), found, table)


def _left_out(rungs: Sequence[Rung], clusters: Mapping[str, int | str], group: int | str, score: Score) -> list[float]:
    """Mean score of each rung over the sites of cluster ``group``, fitted to all others."""
    training = tuple(site for site, other in clusters.items() if other != group)
    found = []
    for rung in rungs:
        predict = rung.fit(training)
        values = {site: score(site, predict(site)) for site, other in clusters.items() if other == group}
        for site, value in values.items():
            if not np.isfinite(value):
                raise InputError(f"the score of '{rung.name}' is {value}", where=f"site {site}")
        found.append(float(np.mean(list(values.values()))))
    return found


def _why(table: pd.DataFrame, chosen: str, best: str, count: int) -> str:
    where = f"over {count} clusters left out in turn"
    names = list(map(str, table.index))
    place = names.index(chosen)
    below = f"; '{names[place - 1]}', simpler, is behind by more than one" if place else ""
    if chosen == best:
        return f"'{chosen}' scores best {where}{below}{' standard error' if below else ', and nothing is simpler'}"
    behind, error = (float(table[column].to_numpy()[place]) for column in ("behind", "error"))
    gain = f"'{best}' scores better by {behind:.3g}, within the standard error of {error:.3g} {where}"
    return f"the climb stops at '{chosen}': {gain}{below}"
