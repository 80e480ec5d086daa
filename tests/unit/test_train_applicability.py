"""The two layers of applicability: inside the library of samples, and near the sites that were observed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import train_toy as toy
from fluxatlas.errors import InputError
from fluxatlas.train import applicability
from fluxatlas.train.applicability import Applicability, feature_names, features, fit, importance, of_ensemble
from fluxatlas.train.data import Segment
from fluxatlas.train.flags import INSIDE, NEAR, OUTSIDE, UNJUDGED
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

RNG = np.random.default_rng(2)
LIBRARY = RNG.normal([10, -3, 500], [1, 0.1, 100], (400, 3))
SITES = RNG.normal([10, -3, 500], [0.5, 0.05, 50], (80, 3))
GROUPS = np.arange(80) // 4
WEIGHT = np.array([1.5, 0.5, 0.8])
NAMES = ("a", "b", "c")


def index(sites=SITES, groups=GROUPS, weight=WEIGHT, climate=1) -> Applicability:
    return Applicability.of_library(LIBRARY, climate, NAMES).with_sites(sites, groups, weight)


def test_places_of_sites_are_near_far_ones_are_inside_and_strange_climates_outside() -> None:
    known = index()
    own = known.judge(SITES)
    assert np.allclose(own.dissimilarity, 0, atol=1e-6) and (own.applicable == NEAR).all()
    far = known.judge(SITES + np.array([6, 0, 0]))
    assert far.dissimilarity.min() > known.threshold and (far.applicable == INSIDE).all()
    assert (far.point_density == 0).all()
    low, high = LIBRARY[:, 2].min(), LIBRARY[:, 2].max()
    edge = 0.5 * LIBRARY[:, 2].std()
    climate = np.array([low - 1.1 * edge, low - 0.9 * edge, high + 0.9 * edge, high + 1.1 * edge])
    flags = known.judge(np.column_stack([np.full(4, 10), np.full(4, -3), climate])).applicable
    assert (flags == OUTSIDE).tolist() == [True, False, False, True]


def test_index_threshold_and_density_follow_their_definition() -> None:
    """By hand with scipy, as Meyer & Pebesma (2021) define them."""
    known = index()

    def scaled(table):
        return (table - LIBRARY.mean(axis=0)) / LIBRARY.std(axis=0) * WEIGHT

    apart = cdist(scaled(SITES), scaled(SITES))
    mean = apart[np.triu_indices(80, 1)].mean()
    new = RNG.normal([10, -3, 500], [1, 0.1, 100], (9, 3))
    to_sites = cdist(scaled(new), scaled(SITES)) / mean
    found = known.judge(new)
    np.testing.assert_allclose(found.dissimilarity, to_sites.min(axis=1), rtol=1e-10)
    own = np.where(GROUPS[:, None] != GROUPS[None, :], apart, np.inf).min(axis=1) / mean
    low, high = np.quantile(own, [0.25, 0.75])
    assert known.threshold == pytest.approx(own[own <= high + 1.5 * (high - low)].max())
    np.testing.assert_array_equal(found.point_density, (to_sites <= known.threshold).sum(axis=1))


def test_units_do_not_matter_and_weights_do() -> None:
    factor = np.array([1000, 1, 0.001])
    other = Applicability.of_library(LIBRARY * factor, 1, NAMES).with_sites(SITES * factor, GROUPS, WEIGHT)
    new = SITES[:5] + np.array([0.3, 0.02, 10])
    np.testing.assert_allclose(index().judge(new)[0], other.judge(new * factor)[0], rtol=1e-9)
    moved = SITES[:5] + np.array([0, 1, 0])  # ten standard deviations of a predictor that counts for (almost) nothing
    assert (index(weight=[1, 1, 1]).judge(moved).applicable == INSIDE).all()
    assert (index(weight=[1, 1e-3, 1]).judge(moved).applicable == NEAR).all()


@pytest.mark.parametrize(("count", "judged"), [(8, False), (9, True)])
def test_few_independent_sites_cannot_be_judged_by(count: int, judged: bool) -> None:
    """Many chambers of one place are one site, and what lies outside the library is still said."""
    few = index(SITES[: 2 * count], np.repeat(np.arange(count), 2))
    found = few.judge(np.vstack([SITES[0], [10, -3, 1e5]]))
    assert found.applicable.tolist() == [NEAR if judged else UNJUDGED, OUTSIDE]
    assert few.can_judge is judged and np.isnan(found.point_density).all() != judged
    assert found.dissimilarity[0] == pytest.approx(0, abs=1e-6)  # the distance itself is known
    crowd = index(SITES, np.zeros(80))
    assert np.isnan(crowd.judge(SITES).dissimilarity).all() and (crowd.judge(SITES).applicable == UNJUDGED).all()


def test_an_unknown_climate_is_that_of_a_sample_drawn_at_random() -> None:
    """The mean squared distance over the library, by brute force; sites of unknown climate never make a place near
    that differs from them in what they do not know, nor do they widen the threshold."""
    blind = SITES.copy()
    blind[:, 2] = np.nan
    known = index(blind)
    place = np.array([[10.4, -3.02, 630.0]])
    scale = LIBRARY.std(axis=0) / WEIGHT
    soil = (((place - SITES)[:, :2] / scale[:2]) ** 2).sum(axis=1)
    climate = (((place[0, 2] - LIBRARY[:, 2]) / scale[2]) ** 2).mean()
    expected = np.sqrt(soil.min() + climate) / known.mean_distance
    assert known.judge(place).dissimilarity[0] == pytest.approx(expected, rel=1e-9)
    two = Applicability.of_library(LIBRARY[:, :2], 0, NAMES[:2]).with_sites(SITES[:, :2], GROUPS, WEIGHT[:2])
    assert known.threshold == pytest.approx(two.threshold) and known.mean_distance == pytest.approx(two.mean_distance)
    heavy = index(blind, weight=[1, 1, 5])
    assert (heavy.judge(SITES).applicable == INSIDE).all() and (index().judge(SITES).applicable == NEAR).all()


def test_missing_features_are_outside() -> None:
    found = index().judge(np.array([[10, np.nan, 500], SITES[0]]))
    assert np.isnan(found.dissimilarity[0]) and found.applicable.tolist() == [OUTSIDE, NEAR]


def test_the_ensemble_follows_most_members_that_can_judge_and_any_that_says_outside() -> None:
    near, few = index(), index(SITES[:4], np.arange(4))
    far = index(SITES + np.array([20, 0, 0]))
    narrow = replace(near, low=np.array([-np.inf, -np.inf, 499.0]), high=np.array([np.inf, np.inf, 501.0]))
    places, here = np.array([[10, -3, 500.0], [10, -3, 530.0]]), np.zeros(2, bool)
    assert of_ensemble([near, near, far, few, None], places, here).applicable.tolist() == [NEAR, NEAR]
    assert of_ensemble([near, far], places, here).applicable.tolist() == [INSIDE, INSIDE]
    assert of_ensemble([near, narrow], places, here).applicable.tolist() == [NEAR, OUTSIDE]
    assert of_ensemble([near, near], places, np.array([True, False])).applicable.tolist() == [OUTSIDE, NEAR]
    assert of_ensemble([few, few], places, here).applicable.tolist() == [UNJUDGED, UNJUDGED]
    nothing = of_ensemble([None, None], places, np.array([True, False]))
    assert nothing.applicable.tolist() == [OUTSIDE, UNJUDGED] and np.isnan(nothing.dissimilarity).all()
    found = of_ensemble([near, far], places, here)
    np.testing.assert_allclose(found[0], (near.judge(places)[0] + far.judge(places)[0]) / 2)
    np.testing.assert_allclose(found[1], (near.judge(places)[1] + far.judge(places)[1]) / 2)


def test_features_are_statics_and_climate() -> None:
    data = toy.samples(n=3, days=365)
    table = features(data.drivers, data.statics, toy.SYSTEM.climate)
    names = feature_names(data.statics, toy.SYSTEM.climate)
    assert table.shape == (3, len(names)) and len(set(names)) == len(names)
    np.testing.assert_allclose(table[:, names.index("tas_mean")], data.drivers["tas"].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(table[:, names.index("pr_mean")] ** 2, data.drivers["pr"].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(table[:, names.index("clay")], data.statics["clay"])


def test_what_cannot_be_fitted_or_judged_is_refused() -> None:
    with pytest.raises(InputError, match="hold NaN"):
        Applicability.of_library(np.full((4, 2), np.nan), 1, NAMES[:2])
    with pytest.raises(InputError, match=r"knows 3 features, not shape \(2, 5\)"):
        index().judge(np.zeros((2, 5)))
    with pytest.raises(InputError, match="no tas, pr"):
        features({"rsds": np.ones((2, 1)), "huss": np.ones((2, 1)), "lai": np.ones((2, 1))}, {}, toy.SYSTEM.climate)


# --- fitted to samples and sites --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples():
    return toy.samples(n=16, days=730)


@pytest.fixture(scope="module")
def network(samples) -> HierarchicalNetwork:
    torch.manual_seed(3)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4))
    network.scaler.fit(samples.values())
    return network


def test_synthetic_samples_and_towers_without_the_flux_are_no_observations(samples, network, capsys) -> None:
    """Far from every chamber nothing is near, however many samples there are: the fault that this index had."""
    alone = fit(network, samples, toy.SYSTEM)
    assert alone is not None and not capsys.readouterr().err
    places = features(
        {name: values[:365] for name, values in samples.drivers.items()}, samples.statics, toy.SYSTEM.climate
    )
    assert (alone.judge(places).applicable == UNJUDGED).all() and np.isnan(alone.judge(places).dissimilarity).all()
    towers = replace(samples, targets={"tsl05": samples.targets["tsl05"]})
    assert (fit(network, samples, toy.SYSTEM, [towers]).judge(places).applicable == UNJUDGED).all()
    assert "0 independent sites have 'fch4', 9 are needed" in capsys.readouterr().err
    same = replace(samples, block=np.arange(16))
    found = fit(network, samples, toy.SYSTEM, [same])
    assert (found.judge(places).applicable == NEAR).all() and not capsys.readouterr().err
    south = same.only(np.arange(16) < 10)
    flags = fit(network, samples, toy.SYSTEM, [south]).judge(places)
    assert (flags.applicable[:10] == NEAR).all() and flags.dissimilarity[10:].min() > 0.05


def test_chambers_without_weather_count_with_their_soil_and_leaves_alone(samples) -> None:
    """What stands in for the weather (soil temperature as air temperature) is no climate."""
    chambers = replace(samples, modules=("biogeochemistry",))
    table, names = applicability.site_features(chambers, toy.SYSTEM), feature_names(samples.statics, toy.SYSTEM.climate)
    unknown = {name for name, column in zip(names, table.T, strict=True) if np.isnan(column).all()}
    assert unknown == {"tas_mean", "pr_mean", "rsds_mean", "huss_mean", "tas_sd"}
    assert np.isfinite(table[:, [name not in unknown for name in names]]).all()
    summer = replace(samples, segments=tuple(Segment(k, 150, 240) for k in range(16)))
    np.testing.assert_array_equal(applicability.site_features(summer, toy.SYSTEM), table)
    whole = applicability.site_features(samples, toy.SYSTEM)
    np.testing.assert_allclose(whole, features(samples.drivers, samples.statics, toy.SYSTEM.climate), rtol=1e-9)
    gap = replace(samples, segments=tuple(Segment(k, *span) for k in range(16) for span in ((0, 365), (400, 500))))
    first = {name: values[:365] for name, values in samples.drivers.items()}
    np.testing.assert_allclose(
        applicability.site_features(gap, toy.SYSTEM), features(first, samples.statics, toy.SYSTEM.climate), rtol=1e-9
    )


def test_samples_shorter_than_a_year_give_no_index(network) -> None:
    assert fit(network, toy.samples(n=3, days=200), toy.SYSTEM) is None


def test_importance_finds_what_the_flux_depends_on(samples, network, monkeypatch) -> None:
    """A flux of two statics, one three times as strong, and of the air temperature of a day: weights by hand."""
    spread = {name: samples.statics[name].std() for name in ("clay", "soc")}

    def flux(_, data, warmup):
        static = 3 * data.statics["clay"] / spread["clay"] + data.statics["soc"] / spread["soc"]
        return {"fch4": np.broadcast_to(static + 0 * data.drivers["tas"], data.drivers["tas"].shape)}

    monkeypatch.setattr(applicability, "predict", flux)
    weight = dict(
        zip(feature_names(samples.statics, toy.SYSTEM.climate), importance(network, samples, toy.SYSTEM), strict=True)
    )
    assert np.mean(np.square(list(weight.values()))) == pytest.approx(1)
    floor = applicability.FLOOR
    assert all(w**2 == pytest.approx(floor) for name, w in weight.items() if name not in ("clay", "soc"))
    ratio = (weight["clay"] ** 2 - floor) / (weight["soc"] ** 2 - floor)
    assert 4 < ratio < 20  # 9 but for the draw of pairs
    monkeypatch.setattr(applicability, "predict", lambda _, data, warmup: {"fch4": data.drivers["tas"]})
    weight = dict(
        zip(feature_names(samples.statics, toy.SYSTEM.climate), importance(network, samples, toy.SYSTEM), strict=True)
    )
    weather = ("tas_mean", "pr_mean", "rsds_mean", "huss_mean", "tas_sd")
    assert len({round(weight[name], 9) for name in weather}) == 1 and weight["tas_mean"] > 1 > weight["lai_mean"]
    monkeypatch.setattr(applicability, "predict", lambda _, data, warmup: {"fch4": np.ones_like(data.drivers["tas"])})
    assert np.allclose(importance(network, samples, toy.SYSTEM), 1)


def test_importance_is_that_of_the_network_itself(samples, network) -> None:
    weight = importance(network, samples, toy.SYSTEM)
    assert np.isfinite(weight).all() and np.mean(weight**2) == pytest.approx(1) and weight.std() > 0.1
    np.testing.assert_array_equal(weight, importance(network, samples, toy.SYSTEM))
    told = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4, code=2))
    told.scaler.load_state_dict(network.scaler.state_dict())
    np.testing.assert_allclose(  # parameters of the samples are not among what is exchanged
        importance(told, samples, toy.SYSTEM), importance(told.bind({}), samples, toy.SYSTEM), rtol=1e-3
    )
