"""Permutation importance: how much worse a learner predicts where a group of drivers is that of other days or sites.

Nothing is learnt again. Drivers of a group move together, so that those that stand for one another are not each found
to be of no use. ``time``: blocks of days of each series are put in another order, so that weather stays weather within
a block; ``sites``: series (from the same day of the year on) and statics are those of a site of another cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..systems import System
from ..train.data import YEAR, FloatArray, Segment, SequenceSet
from .grid import Permutation, checked

OVERS = ("time", "sites")


def permuted_sets(
    parts: Sequence[SequenceSet], plan: Permutation, system: System, seed: int
) -> Iterator[tuple[str, str, int, list[SequenceSet]]]:
    """Group, way (:data:`OVERS`), number of the draw and the sets with that group permuted.

    Statics do not change in time: a group of them alone is moved over sites alone; series that are the same at all
    sites are not moved over sites, and a group of such alone over time alone.
    """
    for number, (group, names) in enumerate(checked(plan.groups, system).items()):
        for way, over in enumerate(OVERS):
            if not any(_moves(part, name, over) for part in parts for name in names):
                continue
            for draw in range(plan.draws):
                rng = np.random.default_rng([seed, number, way, draw])
                yield group, over, draw, [permuted(part, names, over, plan.days, rng) for part in parts]


def permuted(part: SequenceSet, names: Sequence[str], over: str, days: int, rng: np.random.Generator) -> SequenceSet:
    """``part`` with drivers and statics ``names`` permuted ``over`` time or sites; labels stay as they are."""
    drivers = {name: np.array(part.drivers[name]) for name in names if name in part.drivers}
    statics = {name: np.array(part.statics[name]) for name in names if name in part.statics}
    others: dict[int, Segment] = {}
    for segment in part.segments:
        site, here = segment.site, slice(segment.start, segment.stop)
        source = segment if over == "time" else _other(part, segment, rng)
        if drivers and statics and over == "sites":  # a site has its statics once: all its series come from there too
            source = others.setdefault(site, source)
        taken = _shuffled(segment, days, rng) if over == "time" else _aligned(part, segment, source)
        for name, values in drivers.items():
            if _moves(part, name, over):
                values[here, site] = part.drivers[name][taken, source.site]
        for name, values in statics.items():
            values[site] = part.statics[name][source.site]
    return replace(part, drivers={**part.drivers, **drivers}, statics={**part.statics, **statics})


def _moves(part: SequenceSet, name: str, over: str) -> bool:
    """Whether moving the driver or static ``name`` changes anything by itself."""
    if name in part.drivers:
        values = part.drivers[name]
        return over == "time" or not _same(values)
    return over == "sites" and name in part.statics and len(np.unique(part.statics[name])) > 1


def _same(values: FloatArray) -> bool:
    """Whether a series (time, site) is that of the same day at all sites, where it is known."""
    known = np.isfinite(values)
    high = np.where(known, values, -np.inf).max(axis=1)
    return bool((~known | (values == high[:, None])).all())


def _shuffled(segment: Segment, days: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Days of a segment, its blocks in another order."""
    own = np.arange(segment.start, segment.stop)
    blocks = np.split(own, np.arange(days, len(own), days))
    return np.concatenate([blocks[number] for number in rng.permutation(len(blocks))])


def _other(part: SequenceSet, segment: Segment, rng: np.random.Generator) -> Segment:
    """The longest segment of a site of another cluster; of another site where there is one cluster, its own where there
    is one site."""
    block = part.block[segment.site]
    longest = {one.site: one for one in sorted(part.segments, key=lambda one: one.stop - one.start)}
    far = [one for one in longest.values() if part.block[one.site] != block]
    choice = far or [one for one in longest.values() if one.site != segment.site] or [segment]
    return choice[int(rng.integers(len(choice)))]


def _aligned(part: SequenceSet, segment: Segment, source: Segment) -> npt.NDArray[np.int64]:
    """As many days of ``source`` as ``segment`` has, from the same day of the year on, again from the first if fewer;
    whole years of it, if it has one."""
    length = source.stop - source.start
    length = length // YEAR * YEAR or length
    season = part.dates.dayofyear.to_numpy()
    away = np.abs(season[source.start : source.start + length] - season[segment.start])
    begin = int(np.argmin(np.minimum(away, YEAR - away)))
    return source.start + (begin + np.arange(segment.stop - segment.start)) % length
