"""The area of applicability: what is inside, what is far, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import train_toy as toy
from fluxatlas.errors import InputError
from fluxatlas.train.applicability import Applicability, feature_names, features
from fluxatlas.train.pretrain import fit_applicability

RNG = np.random.default_rng(2)
POINTS = RNG.normal([10, -3, 500], [1, 0.1, 100], (80, 3))
GROUPS = np.arange(80) // 4


def test_training_points_are_inside_and_far_points_outside() -> None:
    index = Applicability.fit(POINTS, GROUPS)
    inside, applicable = index.evaluate(POINTS)
    assert np.allclose(inside, 0, atol=1e-12) and applicable.all()
    far, outside = index.evaluate(POINTS + np.array([0, 3, 0]))
    assert far.min() > index.threshold and not outside.any()


def test_index_and_threshold_follow_their_definition() -> None:
    index = Applicability.fit(POINTS, GROUPS)
    scaled = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0)
    apart = cdist(scaled, scaled)
    mean = apart[np.triu_indices(80, 1)].mean()
    new = RNG.normal([10, -3, 500], [2, 0.2, 200], (9, 3))
    expected = cdist((new - POINTS.mean(axis=0)) / POINTS.std(axis=0), scaled).min(axis=1) / mean
    np.testing.assert_allclose(index.evaluate(new)[0], expected, rtol=1e-10)
    own = np.where(GROUPS[:, None] != GROUPS[None, :], apart, np.inf).min(axis=1) / mean
    low, high = np.quantile(own, [0.25, 0.75])
    assert index.threshold == pytest.approx(own[own <= high + 1.5 * (high - low)].max())


def test_units_and_repeated_rows_do_not_matter() -> None:
    index = Applicability.fit(POINTS, GROUPS)
    scaled = Applicability.fit(np.repeat(POINTS * [1000, 1, 0.001], 3, axis=0), np.repeat(GROUPS, 3))
    new = POINTS[:5] + 0.3
    np.testing.assert_allclose(index.evaluate(new)[0], scaled.evaluate(new * [1000, 1, 0.001])[0], rtol=1e-9)


def test_missing_features_are_not_applicable() -> None:
    index, applicable = Applicability.fit(POINTS, GROUPS).evaluate(np.array([[10, np.nan, 500], POINTS[0]]))
    assert np.isnan(index[0]) and applicable.tolist() == [False, True]


def test_features_are_statics_and_climate() -> None:
    data = toy.samples(n=3, days=365)
    table = features(data.drivers, data.statics, toy.SYSTEM.climate)
    names = feature_names(data.statics, toy.SYSTEM.climate)
    assert table.shape == (3, len(names)) and len(set(names)) == len(names)
    np.testing.assert_allclose(table[:, names.index("tas_mean")], data.drivers["tas"].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(table[:, names.index("pr_mean")] ** 2, data.drivers["pr"].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(table[:, names.index("clay")], data.statics["clay"])


def test_what_cannot_be_fitted_or_judged_is_refused() -> None:
    with pytest.raises(InputError, match="two spatial blocks"):
        Applicability.fit(POINTS, np.zeros(80))
    with pytest.raises(InputError, match="hold NaN"):
        Applicability.fit(np.full((4, 2), np.nan), np.arange(4))
    with pytest.raises(InputError, match=r"knows 3 features, not shape \(2, 5\)"):
        Applicability.fit(POINTS, GROUPS).evaluate(np.zeros((2, 5)))
    with pytest.raises(InputError, match="no tas, pr"):
        features({"rsds": np.ones((2, 1)), "huss": np.ones((2, 1)), "lai": np.ones((2, 1))}, {}, toy.SYSTEM.climate)


def test_a_domain_within_one_block_is_judged_between_places(capsys) -> None:
    data = toy.samples(n=8, days=365)
    assert len(set(data.block)) > 1
    apart = fit_applicability([data], toy.SYSTEM)
    assert not capsys.readouterr().err
    one = fit_applicability([replace(data, block=np.zeros_like(data.block))], toy.SYSTEM)
    assert one is not None and "one spatial block: applicability is judged between places" in capsys.readouterr().err
    points = features(data.drivers, data.statics, toy.SYSTEM.climate)
    own = Applicability.fit(points, np.arange(8))  # no two series of the toy share a place
    assert apart is not None and one.threshold == own.threshold and one.evaluate(points)[1].all()
    place = replace(data, block=np.zeros_like(data.block), lat=data.lat * 0 + 40, lon=data.lon * 0 - 8)
    assert fit_applicability([place], toy.SYSTEM) is None
    assert "no dissimilarity and no flag of applicability" in capsys.readouterr().err
