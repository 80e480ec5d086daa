"""Learners from few towers: each against what it should find, and the choice that must not see what is tested."""

import numpy as np
import pytest

from fluxatlas.train.learners import Rows
from fluxatlas.train.remedies import (
    calibrated,
    chosen,
    convex,
    learners,
    left_out,
    log_trees,
    mean,
    residual_trees,
    stacked,
)

RNG = np.random.default_rng(0)
PLACES = np.repeat(np.arange(12), 60)


def rows(values: np.ndarray, made: np.ndarray, other: np.ndarray | None = None) -> Rows:
    """A predictor without meaning (or ``other``), and the flux of the process model."""
    other = RNG.normal(size=len(values)) if other is None else other
    return np.stack([other, made], axis=1).astype(np.float32), values, np.ones(len(values)), PLACES


def test_two_numbers_of_the_process_model_are_found_and_the_slope_is_not_negative() -> None:
    made = RNG.uniform(0, 50, len(PLACES))
    model = calibrated(rows(20.0 + 3.0 * made, made), 0)
    np.testing.assert_allclose(model(rows(made, np.linspace(0, 90, len(made)))[0])[[0, -1]], [20, 290], rtol=1e-4)
    against = calibrated(rows(100.0 - made, made), 0)
    assert np.ptp(against(rows(made, made)[0])) == 0
    constant = calibrated(rows(made, np.full(len(made), 7.0)), 0)
    np.testing.assert_allclose(constant(rows(made, made)[0]), made.mean())
    unknown = calibrated(rows(made, np.where(PLACES > 5, np.nan, made)), 0)
    np.testing.assert_allclose(unknown(rows(made, made)[0]), made, rtol=1e-4)
    assert np.isfinite(calibrated(rows(made, np.full(len(made), np.nan)), 0)(rows(made, made)[0])).all()


def test_trees_learn_what_the_process_model_lacks() -> None:
    made, other = RNG.uniform(0, 50, len(PLACES)), RNG.normal(size=len(PLACES))
    given = rows(20.0 + 3.0 * made + 40.0 * (other > 0), made, other)
    assert np.abs(residual_trees(given, 0)(given[0]) - given[1]).mean() < 1.0
    assert np.abs(calibrated(given, 0)(given[0]) - given[1]).mean() > 15


def test_trees_of_the_compressed_flux_keep_the_mean() -> None:
    other = RNG.normal(size=len(PLACES))
    values = np.exp(2.0 * other + RNG.normal(size=len(PLACES)))
    given = rows(values, np.zeros(len(values)), other)
    assert log_trees(given, 0, 1.0)(given[0]).mean() == pytest.approx(values.mean(), rel=1e-6)


def test_the_candidate_that_holds_at_other_places_is_chosen() -> None:
    made = np.repeat(RNG.uniform(0, 50, 12), 60)  # places differ as the process model says; days are noise
    values = 20.0 + 3.0 * made + RNG.normal(0, 5, len(made))
    known = learners(5.0)
    assert set(known) == {"mean", "trees", "calibrated", "residual_trees", "log_trees", "chosen", "stacked"}
    given = rows(values, made)
    found = chosen(given, 0, {name: known[name] for name in ("mean", "trees", "calibrated")})(given[0])
    np.testing.assert_allclose(found, calibrated(given, 0)(given[0]))
    useless = rows(RNG.normal(0, 5, len(made)) + np.repeat(RNG.normal(0, 50, 12), 60), RNG.normal(size=len(made)))
    names = {name: known[name] for name in ("trees", "mean")}
    np.testing.assert_allclose(chosen(useless, 0, names)(useless[0]), mean(useless, 0)(useless[0]))


@pytest.mark.parametrize("seed", range(6))
def test_trees_of_a_compressed_flux_of_both_signs_follow_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = rng.normal(size=len(PLACES))
    values = 10.0 * other + rng.normal(size=len(PLACES))
    values -= values.mean()  # a factor on the mean would be any number
    found = log_trees(rows(values, np.zeros(len(values)), other), 0, 1.0)(rows(values, values, other)[0])
    assert np.corrcoef(found, values)[0, 1] > 0.9 and found.std() == pytest.approx(values.std(), rel=0.2)
    assert found.mean() == pytest.approx(values.mean(), abs=1e-6)


def test_where_the_process_model_knows_nothing_the_mean_is_predicted() -> None:
    made, other = RNG.uniform(0, 50, len(PLACES)), RNG.normal(size=len(PLACES))
    values, unknown = 20.0 + 3.0 * made + 40.0 * (other > 0), PLACES % 3 == 0
    given = rows(values, np.where(unknown, np.nan, made), other)
    for learner in (calibrated, residual_trees):
        found = learner(given, 0)(given[0])
        np.testing.assert_allclose(found[unknown], values[~unknown].mean(), rtol=1e-6)
        assert np.abs(found - values)[~unknown].mean() < np.abs(values - values.mean()).mean() / 2
    nothing = rows(values, np.full(len(values), np.nan), other)
    np.testing.assert_allclose(residual_trees(nothing, 0)(nothing[0]), values.mean())
    assert np.isfinite(learners(5.0)["chosen"](given, 0)(given[0])).all()
    gaps = {"gaps": lambda rows, seed: lambda given: given[:, -1].astype(float), "mean": mean}
    np.testing.assert_allclose(chosen(given, 0, gaps)(given[0]), values.mean())


def test_one_cluster_gives_its_mean() -> None:
    predictors, values, weights, _ = rows(RNG.normal(size=len(PLACES)), np.zeros(len(PLACES)))
    alone = (predictors, values, weights, np.zeros(len(values), int))
    np.testing.assert_allclose(chosen(alone, 0, {"mean": mean, "calibrated": calibrated})(predictors), values.mean())


def test_shares_are_those_of_the_least_error_within_the_simplex() -> None:
    rng = np.random.default_rng(4)
    made, weights = rng.normal(size=(400, 3)), rng.uniform(0.5, 2, 400)
    values = 0.7 * made[:, 0] + 0.3 * made[:, 1] + rng.normal(0, 0.1, 400)
    found = convex(made, values, weights)
    assert found.sum() == pytest.approx(1) and found.min() >= 0
    np.testing.assert_allclose(found, [0.7, 0.3, 0.0], atol=0.03)
    grid = np.linspace(0, 1, 101)
    every = [(a, b, 1 - a - b) for a in grid for b in grid if a + b <= 1]
    errors = [weights @ (made @ one - values) ** 2 for one in every]
    assert weights @ (made @ found - values) ** 2 <= min(errors) * (1 + 1e-9)
    np.testing.assert_allclose(convex(made, made[:, 2], weights), [0, 0, 1], atol=1e-6)


def test_a_mean_of_two_that_each_know_a_part_is_better_than_either() -> None:
    rng = np.random.default_rng(6)
    parts = rng.normal(size=(len(PLACES), 2)) + rng.normal(size=(12, 2))[PLACES]
    values = parts.sum(axis=1)
    given: Rows = (parts.astype(np.float32), values, np.ones(len(values)), PLACES)
    names = {
        "first": lambda rows, seed: lambda seen: 2.0 * seen[:, 0].astype(float),
        "second": lambda rows, seed: lambda seen: 2.0 * seen[:, 1].astype(float),
    }
    names["gaps"] = lambda rows, seed: lambda seen: np.full(len(seen), np.nan)
    np.testing.assert_allclose(stacked(given, 0, names)(given[0]), values, atol=0.1)
    alone = (*given[:3], np.zeros(len(values), int))
    np.testing.assert_allclose(stacked(alone, 0, names)(given[0]), values.mean())


def test_what_is_left_out_is_not_learnt_from() -> None:
    values = np.repeat(np.arange(12.0), 60)
    found = left_out(rows(values, values), 0, {"mean": mean})
    assert found is not None
    assert all(found["mean"][place == PLACES].max() < values.max() for place in range(12))
    others = {place: np.ptp(found["mean"][place == PLACES]) for place in range(12)}
    assert set(others.values()) == {0.0} and len(np.unique(found["mean"])) == 3
    total = sum(np.unique(found["mean"]))  # each of three parts of four places has the mean of the other eight
    assert total == pytest.approx(3 * values.mean())
