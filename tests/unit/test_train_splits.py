"""Splits by distance and by time."""

from __future__ import annotations

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.train.splits import blocks, distances, folds, hold_out, time_folds

RNG = np.random.default_rng(5)
LAT, LON = RNG.uniform(-60, 70, 60), RNG.uniform(-180, 180, 60)


def test_distance_between_known_cities() -> None:
    # Berlin to Tokyo: 8918 km on the sphere (great circle, published by several calculators as 8917-8920 km)
    apart = distances([52.52, 35.6895], [13.405, 139.6917])
    assert apart[0, 1] == pytest.approx(8918, abs=8) and apart[0, 0] == 0


@pytest.mark.parametrize("kilometres", [300.0, 1000.0])
def test_folds_are_apart_by_the_distance(kilometres) -> None:
    fold = folds(blocks(LAT, LON, kilometres), 3, RNG.integers(1, 500, 60))
    apart = distances(LAT, LON)[fold[:, None] != fold[None, :]]
    assert set(fold) == {0, 1, 2} and apart.min() >= kilometres


def test_blocks_join_across_the_date_line() -> None:
    assert len(set(blocks([0.0, 0.0, 0.0], [179.9, -179.9, 170.0], 100.0))) == 2


def test_folds_balance_the_observations() -> None:
    size = np.array([100, 50, 50, 90, 10, 1])
    load = np.bincount(folds(np.arange(6), 3, size), size)
    assert sorted(load.tolist()) == [100, 100, 101]


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="4 sites form 2 spatial blocks, too few for 3 folds"):
        folds([0, 0, 1, 1], 3)


def test_hold_out_takes_whole_blocks_and_is_reproducible() -> None:
    block = np.repeat(np.arange(10), 3)
    out = hold_out(block, 0.2, seed=4)
    assert out.sum() == 6 and len(set(block[out]) & set(block[~out])) == 0
    assert (out == hold_out(block, 0.2, seed=4)).all()
    assert not hold_out(np.zeros(5), 0.5, seed=0).any()


def test_time_folds_are_consecutive_and_even() -> None:
    observed = RNG.random((400, 2)) < 0.5
    fold = time_folds(observed, 4)
    assert (np.diff(fold, axis=0) >= 0).all()
    counts = np.bincount(fold[:, 0][observed[:, 0]])
    assert len(counts) == 4 and counts.max() - counts.min() <= 1
