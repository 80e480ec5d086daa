"""Scores against scikit-learn, NumPy and the definition of the Kling-Gupta efficiency."""

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from fluxatlas.evaluate.metrics import anomalies, scores

RNG = np.random.default_rng(3)
OBSERVED = RNG.normal(3, 2, 200)
PREDICTED = 0.7 * OBSERVED + RNG.normal(1, 1, 200)
WEIGHT = RNG.uniform(0, 2, 200)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_scores_are_those_of_other_tools(weight) -> None:
    found = scores(OBSERVED, PREDICTED, weight)
    assert found["n"] == 200
    np.testing.assert_allclose(found["r2"], r2_score(OBSERVED, PREDICTED, sample_weight=weight))
    np.testing.assert_allclose(found["rmse"] ** 2, mean_squared_error(OBSERVED, PREDICTED, sample_weight=weight))
    np.testing.assert_allclose(found["bias"], np.average(PREDICTED - OBSERVED, weights=weight))
    covariance = np.cov(OBSERVED, PREDICTED, aweights=weight, ddof=0)
    r = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    np.testing.assert_allclose(found["r"], r)
    ratios = (
        np.sqrt(covariance[1, 1] / covariance[0, 0]),
        (np.average(PREDICTED, weights=weight) / np.average(OBSERVED, weights=weight)),
    )
    np.testing.assert_allclose(found["kge"], 1 - np.hypot(np.hypot(r - 1, ratios[0] - 1), ratios[1] - 1))


def test_missing_pairs_and_zero_weights_are_left_out() -> None:
    observed, predicted, weight = OBSERVED.copy(), PREDICTED.copy(), np.ones(200)
    observed[:10], predicted[5:20], weight[20:25] = np.nan, np.nan, 0
    assert scores(observed, predicted, weight) == pytest.approx(scores(OBSERVED[25:], PREDICTED[25:]))


def test_perfect_and_undefined() -> None:
    assert scores(OBSERVED, OBSERVED) == pytest.approx({"n": 200, "r2": 1, "r": 1, "rmse": 0, "bias": 0, "kge": 1})
    constant = scores(np.full(5, 2.0), np.arange(5.0))
    assert np.isnan(constant["r2"]) and np.isnan(constant["r"]) and constant["bias"] == 0
    flat = scores(np.arange(5.0), np.full(5, 2.0))
    assert flat["r2"] == pytest.approx(0) and np.isnan(flat["r"])
    empty = scores([np.nan], [1.0])
    assert empty["n"] == 0 and np.isnan(empty["rmse"])
    single = scores([1.0], [2.0])
    assert single["n"] == 1 and single["rmse"] == 1 and np.isnan(single["r2"])


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        scores([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="negative"):
        scores([1.0, 2.0], [1.0, 2.0], [1.0, -1.0])


def test_anomalies_take_off_a_trend_and_keep_the_weather() -> None:
    days = np.arange(400.0)
    weather = RNG.normal(0, 1, 400)
    found = anomalies(0.05 * days + weather, 31)
    middle = slice(15, -15)
    smooth = np.convolve(weather, np.ones(31) / 31, mode="valid")
    np.testing.assert_allclose(found[middle], weather[middle] - smooth, atol=1e-9)
    gap = 0.05 * days
    gap[100:150] = np.nan
    assert np.isnan(anomalies(gap, 31)[100:150]).all()
