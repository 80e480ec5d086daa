"""Accumulations conserve: whatever the hours and however the days are split, the amounts add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fluxatlas.errors import InputError
from fluxatlas.ingest.daily import by_day, looks_accumulated, statistic, totals

STEPS = st.sampled_from([4, 8, 24])
AMOUNT = st.floats(0, 1e7, allow_nan=False, width=32)


@st.composite
def amounts(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Amounts per step (time, cell) of whole days, and the steps of a day."""
    steps, days = draw(STEPS), draw(st.integers(1, 5))
    return draw(arrays.arrays(np.float64, (days * steps, 2), elements=AMOUNT)), steps


@settings(max_examples=200, deadline=None)
@given(amounts())
def test_totals_of_an_accumulation(case: tuple[np.ndarray, int]) -> None:
    hourly, steps = case
    since_midnight = np.cumsum(by_day(hourly, steps), axis=1).astype(np.float32)
    total = totals(since_midnight, "here")
    size = max(float(hourly.max()), 1e-30) * steps
    np.testing.assert_allclose(total, by_day(hourly, steps).sum(axis=1), rtol=1e-6, atol=1e-6 * size)


@settings(max_examples=100, deadline=None)
@given(amounts(), st.integers(0, 5))
def test_any_split_of_the_days_gives_the_same(case: tuple[np.ndarray, int], cut: int) -> None:
    hourly, steps = case
    cut = min(cut * steps, len(hourly))
    for function in (
        lambda x: statistic(x, "sum"),
        lambda x: totals(np.cumsum(x, axis=1), ""),
        lambda x: statistic(x, "minimum"),
    ):
        whole = function(by_day(hourly, steps))
        parts = [function(by_day(part, steps)) for part in (hourly[:cut], hourly[cut:]) if len(part)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@settings(max_examples=100, deadline=None)
@given(amounts())
def test_an_accumulation_is_told_from_amounts(case: tuple[np.ndarray, int]) -> None:
    hourly, steps = case
    days = by_day(hourly, steps)
    since_midnight = np.cumsum(days, axis=1)
    assert looks_accumulated(since_midnight) == bool((np.diff(since_midnight, axis=1) > 0).any())
    fall = -np.diff(days, axis=1).min()
    if fall > 0.01 * max(days.max(), 1e-5):
        assert not looks_accumulated(days)
        with pytest.raises(InputError, match="falls by"):
            totals(days, "here")


@settings(max_examples=50, deadline=None)
@given(amounts(), st.integers(0, 1000))
def test_a_missing_step_makes_its_day_missing_and_no_other(case: tuple[np.ndarray, int], where: int) -> None:
    hourly, steps = case
    hourly = hourly.copy()
    hole = where % len(hourly)
    hourly[hole, 0] = np.nan
    for kind in ("mean", "sum", "minimum", "maximum"):
        found = np.isnan(statistic(by_day(hourly, steps), kind))
        expected = np.zeros_like(found)
        expected[hole // steps, 0] = True
        np.testing.assert_array_equal(found, expected)
