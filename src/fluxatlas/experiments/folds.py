"""What an experiment may see: test, towers that are learnt from, and an inner validation split of these alone.

| split | tested | validation, of what is left |
|---|---|---|
| ``space`` | clusters of sites, each once | other clusters |
| ``time`` | later years of every site | the last days of every site |
| ``random`` | days drawn at random | other days drawn at random |

Later years are those after year ``6 (n - 1) // 7`` (counted from 0) of the ``n`` observed years of a site, as in
Sun et al. (2025, arXiv:2505.18355; as read from a repository that carries its code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..config.train import TrainBlock
from ..errors import InputError
from ..train.data import SequenceSet
from ..train.finetune import Mask, Split, split_rest, weighted, without
from ..train.sites import SiteData
from ..train.splits import folds as fold_numbers


@dataclass(frozen=True)
class Fold:
    """One part of the test. ``hidden`` and ``unused`` (time, site) of each set: what is tested, and what must not be
    learnt from (the same, and towers left out of the share); ``split``: training and validation sets; ``towers``: names
    of those that are learnt from."""

    hidden: tuple[Mask, ...]
    unused: tuple[Mask, ...]
    split: Split
    towers: tuple[str, ...]


def make_folds(
    data: SiteData, flux: str, name: str, share: float, count: int, settings: TrainBlock, number: int
) -> list[Fold]:
    """The folds of the split called ``name`` of sites with weather; ``share`` of the towers left are learnt from.

    Tests are the same for all shares and seeds; seed ``number`` draws towers and validation. Raises
    :class:`InputError` where nothing is tested, or too few clusters or observations are left.
    """
    seed = settings.seed + number
    found = []
    for hidden in _tests(data, flux, name, count, settings.seed):
        unused, towers = _left_out(data, flux, hidden, share, seed)
        if name == "space":
            split = split_rest(data, unused, flux, settings, seed)
            split = replace(split, training=_of(split.training, towers), validation=_of(split.validation, towers))
        else:
            split = _by_days(data, flux, unused, towers, name, settings.validation_share, seed)
        found.append(Fold(hidden, unused, split, towers))
    return found


def _tests(data: SiteData, flux: str, name: str, count: int, seed: int) -> list[tuple[Mask, ...]]:
    """What each fold hides."""
    seen = [np.isfinite(part.targets[flux]) for part in data.sets]
    if name == "space":
        number = fold_numbers(data.block, count, data.count(flux) + 1)
        parts = np.split(number, np.cumsum([len(part.sites) for part in data.sets])[:-1])
        return [
            tuple(np.broadcast_to(mine == k, one.shape) for mine, one in zip(parts, seen, strict=True))
            for k in range(count)
        ]
    rng = np.random.default_rng([seed, 31])
    if name == "time":
        masks = [_later(one, part.dates.year.to_numpy()) for one, part in zip(seen, data.sets, strict=True)]
    else:
        masks = [rng.random(one.shape) < 1 / count for one in seen]
    if not any((one & mask).any() for one, mask in zip(seen, masks, strict=True)):
        raise InputError(f"no observation of '{flux}' lies in a later year", hint="give sites of two years or more")
    return [tuple(masks)]


def _later(seen: Mask, year: npt.NDArray[np.int64]) -> Mask:
    """Days (time, site) after the last year of training of each site."""
    last = np.full(seen.shape[1], year.max())
    for site in range(seen.shape[1]):
        years = np.unique(year[seen[:, site]])
        if len(years):
            last[site] = years[6 * (len(years) - 1) // 7]
    return year[:, None] > last[None, :]


def _left_out(
    data: SiteData, flux: str, hidden: tuple[Mask, ...], share: float, seed: int
) -> tuple[tuple[Mask, ...], tuple[str, ...]]:
    """What is not learnt from, and the towers that are: whole clusters in random order until their share is reached.

    A smaller share is a part of a larger one of the same seed.
    """
    alive = [
        (np.isfinite(part.targets[flux]) & ~mask).any(axis=0) for part, mask in zip(data.sets, hidden, strict=True)
    ]
    there, block = np.concatenate(alive), data.block
    order = np.random.default_rng([seed, 37]).permutation(np.unique(block[there]))
    wanted, chosen = int(np.ceil(share * there.sum())), np.zeros(len(block), bool)
    for number in order:
        if chosen.sum() < wanted:
            chosen |= there & (block == number)
    towers = tuple(site for site, kept in zip(data.sites, chosen, strict=True) if kept)
    masks = [mask | ~np.isin(part.sites, towers) for part, mask in zip(data.sets, hidden, strict=True)]
    return tuple(masks), towers


def _of(parts: Sequence[SequenceSet], towers: Sequence[str]) -> tuple[SequenceSet, ...]:
    """Segments of ``towers`` alone: of other places not even the weather is seen."""
    kept = []
    for part in parts:
        mine = {segment.site for segment in part.segments}
        number = np.arange(len(part.sites))
        kept.append(part.only(np.isin(part.sites, towers) & np.isin(number, list(mine))))
    return tuple(kept)


def _by_days(
    data: SiteData,
    flux: str,
    unused: tuple[Mask, ...],
    towers: Sequence[str],
    name: str,
    share: float,
    seed: int,
) -> Split:
    """Validation on days of the towers: the last ones of each, or random ones."""
    rng = np.random.default_rng([seed, 41])
    training, validation = [], []
    for part, mask in zip(data.sets, unused, strict=True):
        seen = np.isfinite(part.targets[flux]) & ~mask
        if name == "time":
            done = np.cumsum(seen, axis=0)
            held = done > np.ceil((1 - share) * done[-1:])
        else:
            held = rng.random(seen.shape) < share
        training.append(weighted(without(part, mask | held), flux))
        validation.append(weighted(without(part, mask | ~held), flux))
    if not any(np.isfinite(part.targets[flux]).any() for part in training):
        raise InputError(f"no observation of '{flux}' is left to train on", hint="give more towers or a larger share")
    return Split(unused, _of(training, towers), _of(validation, towers))
