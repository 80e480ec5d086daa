"""Ridge regression and mean seasons as baselines, against closed forms and another implementation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge as OtherRidge

import train_toy as toy
from fluxatlas.config.train import Remedy, TrainBlock
from fluxatlas.train import learners
from fluxatlas.train.baselines import own_season, ridge, run_baselines, season, tree_features
from fluxatlas.train.data import Segment
from fluxatlas.train.ridge import fit_ridge
from fluxatlas.train.sites import SiteData

SETTINGS = TrainBlock(members=3, block_distance_km=100.0)
FLUX = toy.SYSTEM.flux


def test_ridge_is_that_of_another_implementation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(5, [1.0, 30, 0.01], (200, 3)).astype(np.float32)
    y, w = x @ [1.0, -0.2, 40] + rng.normal(0, 2, 200), rng.uniform(0.2, 3, 200)
    mine = fit_ridge(x, y, w, np.zeros(200, int), strengths=(0.03,))
    mean = np.average(x, axis=0, weights=w)
    scaled = (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    other = OtherRidge(alpha=0.03 * w.sum()).fit(scaled, y, sample_weight=w)
    np.testing.assert_allclose(mine.coefficients, other.coef_, rtol=1e-4)
    np.testing.assert_allclose(mine(x), other.predict(scaled), rtol=1e-4)
    x[0] = np.nan
    assert mine(x)[0] == pytest.approx(np.average(y, weights=w))  # nothing known: all predictors at their means


def test_a_predictor_that_says_nothing_has_no_coefficient() -> None:
    x = np.column_stack([np.arange(50.0), np.full(50, 7.0), np.full(50, np.nan)])
    found = fit_ridge(x, 3 * x[:, 0] + 1, np.ones(50), np.arange(50) % 5, strengths=(1e-12,))
    np.testing.assert_allclose(found(np.array([[100.0, 9.0, 5.0]])), 301, rtol=1e-6)
    assert found.coefficients[1:].tolist() == [0, 0]


def test_the_strength_is_that_of_the_least_error_at_groups_left_out() -> None:
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(6), 12)
    x = rng.normal(size=(72, 10))
    y, w = x[:, 0] + rng.normal(0, 2, 72) + rng.normal(0, 1.5, 6)[group], rng.uniform(0.5, 1.5, 72)
    mean = np.average(x, axis=0, weights=w)
    scaled = (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    strengths = (1e-3, 0.1, 1.0, 10.0, 100.0)
    errors = []
    for strength in strengths:
        error = 0.0
        for one in range(6):
            rest = group != one
            # the penalty is a share of all weights of the sums that are solved
            model = OtherRidge(alpha=strength * w[rest].sum()).fit(scaled[rest], y[rest], sample_weight=w[rest])
            error += w[~rest] @ (y[~rest] - model.predict(scaled[~rest])) ** 2
        errors.append(error)
    assert 0 < int(np.argmin(errors)) < 4
    assert fit_ridge(x, y, w, group, strengths).strength == strengths[int(np.argmin(errors))]


def _sites(values: np.ndarray, dates: pd.DatetimeIndex) -> SiteData:
    """Toy sites that lie far from each other, with ``values`` (time, site) of the flux."""
    count = values.shape[1]
    made = toy.samples(n=count, days=len(dates), seed=4)
    part = replace(
        made,
        dates=dates,
        lat=np.linspace(-60, 60, count),
        lon=np.linspace(-150, 150, count),
        block=np.arange(count),
        targets={FLUX: values.astype(np.float32)},
        segments=tuple(Segment(n, 0, len(dates)) for n in range(count)),
        theta={},
    )
    return SiteData((part,))


def test_an_unseen_site_gets_the_season_of_the_others_and_the_bound_its_own() -> None:
    dates = pd.date_range("2001-01-01", "2002-12-31")
    rng = np.random.default_rng(1)
    cycle = np.cos(2 * np.pi * (dates.month.to_numpy() - 1) / 12)
    values = cycle[:, None] * [1.0, 2, 3] + [0.0, 10, 20] + rng.normal(0, 0.5, (len(dates), 3))
    sites = _sites(values, dates)
    values = sites.sets[0].targets[FLUX].astype(float)
    found = pd.concat(season(sites, toy.SYSTEM, SETTINGS))
    test = found[found["split"] == "test"]
    assert test.groupby("member")["site"].nunique().tolist() == [1, 1, 1] and test["site"].nunique() == 3
    month = dates.month.to_numpy()
    for site, frame in test.groupby("site"):
        others = [n for n in range(3) if n != int(str(site)[1:])]
        mean = values.mean(axis=0)
        departure = np.array([[values[month == m, n].mean() - mean[n] for n in others] for m in range(1, 13)])
        expected = mean[others].mean() + departure.mean(axis=1)[month - 1]
        np.testing.assert_allclose(frame.sort_values("time")["predicted"], expected, atol=1e-4)
    bound = pd.concat(own_season(sites, toy.SYSTEM))
    assert set(bound["split"]) == {"test"} and set(bound["model"]) == {"own_season"}
    for site, frame in bound.groupby("site"):
        within = [values[month == m, int(str(site)[1:])].var() * (month == m).mean() for m in range(1, 13)]
        assert ((frame["predicted"] - frame["observed"]) ** 2).mean() == pytest.approx(sum(within), rel=1e-4)


def test_ridge_finds_a_linear_flux_at_unseen_sites() -> None:
    dates = pd.date_range("2001-01-01", periods=300)
    sites = _sites(np.zeros((300, 6)), dates)
    features, names = tree_features(sites.sets[0], toy.SYSTEM)
    flux = 0.3 * features[..., names.index("tas_7d")] - 0.01 * features[..., names.index("rsds")]
    part = replace(sites.sets[0], targets={FLUX: flux.astype(np.float32)})
    found = pd.concat(ridge(SiteData((part,)), toy.SYSTEM, SETTINGS))
    test = found[found["split"] == "test"]
    assert len(test) == flux.size
    assert ((test["predicted"] - test["observed"]) ** 2).mean() < 0.02 * flux.var()


@pytest.mark.parametrize("name", get_args(Remedy))
def test_remedies_predict_every_unseen_day_and_never_see_its_site(monkeypatch, name: str) -> None:
    small = partial(learners.HistGradientBoostingRegressor, max_bins=8)  # what reaches a tree is asked, not its skill
    monkeypatch.setattr(learners, "HistGradientBoostingRegressor", lambda **given: small(**{**given, "max_iter": 4}))
    dates = pd.date_range("2001-01-01", periods=80)
    rng = np.random.default_rng(5)
    values = np.abs(rng.normal(2, 1, (80, 9)))
    settings = SETTINGS.model_copy(update={"baselines": (name,), "members": 2})

    def tested(values: np.ndarray) -> pd.DataFrame:
        sites = _sites(values, dates)
        made = run_baselines(sites.sets[0], sites, toy.SYSTEM, settings, "4km")
        found = pd.concat(frame for frame in made if len(frame))
        return found[(found["split"] == "test") & (found["variable"] == FLUX)]

    test = tested(values)
    assert set(test["model"]) == {name} and len(test) == values.size and np.isfinite(test["predicted"]).all()
    moved = values.copy()
    hidden = [int(site[1:]) for site in test.loc[test["member"] == 0, "site"].unique()]
    moved[:, hidden] *= 50
    again = tested(moved)
    of = [[frame.loc[frame["member"] == fold, "predicted"].to_numpy() for frame in (test, again)] for fold in (0, 1)]
    np.testing.assert_array_equal(*of[0])
    assert (of[1][0] != of[1][1]).all()  # what was moved is learnt from there
