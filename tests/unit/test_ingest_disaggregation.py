"""Months to days: means conserved, bounds respected, smooth across months, and the exact reproduction of constants."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.ingest.disaggregation import interpolate, split_rain, weights

LENGTHS = (31, 31, 28, 31, 30)


def test_weights_add_up_and_conserve() -> None:
    for month in range(5):
        w = weights(LENGTHS, month)
        np.testing.assert_allclose(w.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(w.mean(axis=0), np.eye(5)[month], atol=1e-12)


def test_a_constant_stays_constant() -> None:
    np.testing.assert_allclose(interpolate(np.full((5, 3), 7.5), LENGTHS, 2, 0, 10), 7.5, atol=1e-12)


def test_days_join_smoothly_across_months() -> None:
    """A seasonal cosine is followed to 1 % of its amplitude, and months meet with less than 2 days' worth of change."""
    lengths = (30,) * 12
    edges = np.arange(13) * 30
    phase = 2 * np.pi / 360
    means = 10 * np.array([(np.sin(b * phase) - np.sin(a * phase)) / (phase * (b - a)) for a, b in pairwise(edges)])
    series = []
    for month in range(2, 10):
        near = slice(month - 2, month + 3)
        series.append(interpolate(means[near, None], lengths[near], 2, -np.inf, np.inf)[:, 0])
    days = np.concatenate(series)
    truth = 10 * np.cos((np.arange(60, 300) + 0.5) * phase)
    assert np.abs(days - truth).max() < 0.1
    assert np.abs(np.diff(days)).max() < 2 * np.abs(np.diff(truth)).max()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=5, max_size=5), st.integers(0, 4))
def test_bounds_and_means_always_hold(means: list[float], month: int) -> None:
    found = interpolate(np.array(means)[:, None], LENGTHS, month, 0.0, 100.0)[:, 0]
    assert found.shape == (LENGTHS[month],)
    assert found.mean() == pytest.approx(means[month], abs=1e-9)
    assert found.min() >= -1e-12
    assert found.max() <= 100 + 1e-9


def test_missing_months_stay_missing() -> None:
    means = np.ones((5, 2))
    means[1, 0] = np.nan
    found = interpolate(means, LENGTHS, 2, 0, 10)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()


@pytest.mark.parametrize("days", [28, 29, 30, 31])
def test_rain_on_every_third_day_keeps_the_total(days: int) -> None:
    found = split_rain(np.array([[2.0, 0.0]]), days)
    np.testing.assert_allclose(found.mean(axis=0), [[2.0, 0.0]], rtol=1e-14)
    assert list(np.flatnonzero(found[:, 0, 0])[:3]) == [1, 4, 7]


def test_rain_follows_a_finer_source_where_it_has_any() -> None:
    rng = np.random.default_rng(2)
    pattern = rng.gamma(0.2, 1.0, (30, 2, 2))
    pattern[:, 0, 0] = 0
    pattern[:, 1, 1] = np.nan
    mean = np.full((2, 2), 3.0)
    found = split_rain(mean, 30, pattern)
    np.testing.assert_allclose(found.mean(axis=0), mean, rtol=1e-12)
    np.testing.assert_allclose(found[:, 0, 1] / pattern[:, 0, 1], 3.0 / pattern[:, 0, 1].mean())
    np.testing.assert_array_equal(found[:, 0, 0], split_rain(mean, 30)[:, 0, 0])
    np.testing.assert_array_equal(found[:, 1, 1], split_rain(mean, 30)[:, 1, 1])
