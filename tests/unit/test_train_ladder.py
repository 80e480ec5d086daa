"""The ladder of models: climbed where clusters that were left out say so, and only there."""

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.train.ladder import Rung, climb


def world(rng, clusters: int, slope: float, noise: float = 1.0):
    """Ladder of polynomials of a predictor ``x`` for the values ``slope * x + noise`` of two sites per cluster."""
    sites = {f"s{n}": n // 2 for n in range(2 * clusters)}
    x = {site: float(rng.normal()) for site in sites}
    y = {site: slope * x[site] + noise * float(rng.normal()) for site in sites}

    def polynomial(degree):
        def fit(training):
            found = np.polyfit([x[s] for s in training], [y[s] for s in training], degree)
            return lambda site: float(np.polyval(found, x[site]))

        return Rung(("constant", "line", "curve", "wiggle")[degree], fit)

    return [polynomial(degree) for degree in range(4)], sites, lambda site, predicted: -((predicted - y[site]) ** 2)


def test_scores_are_those_of_leaving_each_cluster_out() -> None:
    rungs, clusters, score = world(np.random.default_rng(1), 6, 1.0)
    found = climb(rungs, clusters, score, "constant")
    for group in range(6):
        training = tuple(site for site in clusters if clusters[site] != group)
        for rung in rungs:
            predict = rung.fit(training)
            expected = np.mean([score(site, predict(site)) for site in clusters if clusters[site] == group])
            assert found.scores.loc[group, rung.name] == pytest.approx(expected)


def test_the_rule_of_one_standard_error() -> None:
    """Scores are given, so that the rule is done by hand: means 0, 1.0, 1.1; the best gains 0.1 +- sd / sqrt(5)."""
    gains = {"simple": [0, 0, 0, 0, 0], "middle": [1.0, 0.9, 1.1, 0.8, 1.2], "best": [1.5, 0.7, 1.4, 0.6, 1.3]}
    clusters = {f"s{n}": n for n in range(5)}
    rungs = [Rung(name, lambda training, name=name: lambda site: name) for name in gains]
    found = climb(rungs, clusters, lambda site, name: gains[name][clusters[site]], "simple")
    difference = np.array(gains["best"]) - gains["middle"]
    assert found.table.loc["middle", "behind"] == pytest.approx(0.1)
    assert found.table.loc["middle", "error"] == pytest.approx(difference.std(ddof=1) / np.sqrt(5))
    assert found.chosen == "middle"
    assert "stops at 'middle': 'best' scores better by 0.1, within the standard error of 0.13" in found.why
    assert "'simple', simpler, is behind by more than one" in found.why
    steady = {**gains, "best": [1.1, 1.0, 1.2, 0.9, 1.3]}  # 0.1 better in every cluster: no luck
    found = climb(rungs, clusters, lambda site, name: steady[name][clusters[site]], "simple")
    assert found.chosen == "best"
    assert "'best' scores best" in found.why


def test_noise_does_not_climb_and_a_signal_does() -> None:
    rng = np.random.default_rng(2)
    noise = [climb(*world(rng, 8, 0.0), "constant").chosen for _ in range(40)]
    signal = [climb(*world(rng, 12, 3.0), "constant").chosen for _ in range(40)]
    assert noise.count("constant") >= 32
    assert signal.count("constant") == 0
    assert signal.count("line") >= 30


def test_few_clusters_take_the_default_and_fit_nothing() -> None:
    def fit(training):
        raise AssertionError("nothing is to be fitted")

    rungs = [Rung("constant", fit), Rung("calibrated", fit)]
    found = climb(rungs, {f"s{n}": n % 4 for n in range(20)}, lambda site, value: 0.0, "calibrated")
    assert found.chosen == "calibrated"
    assert "4 clusters of sites" in found.why
    assert found.scores.empty


def test_bad_ladders_are_refused() -> None:
    rungs, clusters, score = world(np.random.default_rng(4), 6, 1.0)
    with pytest.raises(InputError, match="'lime' is not a rung; did you mean 'line'"):
        climb(rungs, clusters, score, "lime")
    with pytest.raises(InputError, match="same name"):
        climb([rungs[0], rungs[0]], clusters, score, "constant")
    with pytest.raises(InputError, match=r"(?s)score of 'constant' is nan.*site s0"):
        climb(rungs, clusters, lambda site, predicted: np.nan, "constant")
