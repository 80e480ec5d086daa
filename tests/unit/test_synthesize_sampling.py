"""Sampling of places and soils."""

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas import variables
from fluxatlas.errors import InputError
from fluxatlas.paths import REPOSITORY
from fluxatlas.process.hydraulics import soil_properties
from fluxatlas.synthesize.sampling import draw_places, jitter, spatial_block, strata
from fluxatlas.synthesize.world import elsewhere, world_soils
from fluxatlas.systems import get_system
from fluxatlas.train.scaler import Scaler

SYSTEM = get_system("soil_methane_sink")


def fresh() -> np.random.Generator:
    return np.random.default_rng(0)


LIMITS = {"sand": (0.0, 100.0), "clay": (0.0, 100.0), "soc": (0.0, 600.0), "bdod": (50.0, 2300.0), "phh2o": (2.5, 11.0)}


def test_strata_are_the_mix_of_quantile_classes() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(900, 2))
    found = strata(features, 3)
    assert set(found) == set(range(9))
    low = found == found[np.argmin(features[:, 0] + features[:, 1])]
    for column in features.T:  # the lowest third of each column, by an independent ranking
        assert (np.argsort(np.argsort(column))[low] < 300).all()


def test_equal_values_are_never_parted() -> None:
    found = strata(np.array([[1.0, 5.0]] * 7 + [[2.0, 5.0]]), 4)
    assert len(set(found[:7])) == 1


def test_every_stratum_is_drawn_before_any_twice_however_rare() -> None:
    stratum = np.array([0] * 1000 + [1] * 3 + [2])
    chosen = draw_places(stratum, 3, fresh())
    assert set(stratum[chosen]) == {0, 1, 2}
    counts = np.bincount(stratum[draw_places(stratum, 7, fresh())])
    np.testing.assert_array_equal(counts, [3, 3, 1])


def test_all_places_are_drawn_once_before_any_twice() -> None:
    stratum = np.array([0, 0, 1, 1, 1, 2])
    chosen = draw_places(stratum, 15, np.random.default_rng(1))
    counts = np.bincount(chosen, minlength=6)
    assert len(chosen) == 15 and counts.min() == 2 and counts.max() == 3


def test_drawing_follows_its_seed() -> None:
    stratum = np.arange(500) % 7
    one, two, other = (draw_places(stratum, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_no_place_and_broken_features_are_refused() -> None:
    with pytest.raises(InputError, match="no place to sample"):
        strata(np.empty((0, 4)), 3)
    with pytest.raises(InputError, match="not finite"):
        strata(np.array([[1.0, np.nan]]), 3)


def test_blocks_hold_neighbours_and_part_strangers() -> None:
    block = spatial_block(np.array([10.2, 10.9, 11.1, 10.2]), np.array([-5.1, -5.9, -5.1, -4.9]), 1.0)
    assert block[0] == block[1] and len(set(block)) == 3


def test_jitter_has_the_spread_asked_for_and_stays_within_limits() -> None:
    n = 20_000
    soil = {"sand": np.full(n, 30.0), "clay": np.full(n, 20.0), "soc": np.full(n, 15.0), "bdod": np.full(n, 1300.0)}
    soil["phh2o"] = np.full(n, 6.0)
    changed = jitter(soil, 0.2, LIMITS, fresh(), SYSTEM.perturb)
    for name in ("sand", "clay", "soc"):
        assert np.std(np.log(changed[name] / soil[name])) == pytest.approx(0.2, rel=0.03)
    assert np.std(np.log(changed["bdod"] / 1300)) == pytest.approx(0.02, rel=0.03)
    assert np.std(changed["phh2o"]) == pytest.approx(0.4, rel=0.03)
    extreme = jitter(
        {"sand": np.full(n, 60.0), "clay": np.full(n, 38.0)}, 0.8, LIMITS, np.random.default_rng(0), SYSTEM.perturb
    )
    assert (extreme["sand"] + extreme["clay"]).max() <= 98 + 1e-9 and min(map(np.min, extreme.values())) >= 0
    np.testing.assert_array_equal(jitter(soil, 0.0, LIMITS, fresh(), SYSTEM.perturb)["soc"], soil["soc"])


def test_soils_of_anywhere_hold_those_of_the_real_chambers_of_the_examples() -> None:
    """Nothing of the sites is in the distributions; a network that is scaled by these draws holds no site at its edge,
    and the draws obey the table of variables."""
    drawn = world_soils(20_000, np.random.default_rng(3))
    for name, values in drawn.items():
        low, high = variables.get(name).valid
        assert np.isfinite(values).all() and low <= values.min() and values.max() <= high, name
    assert (drawn["sand"] + drawn["clay"] <= 100).all()
    assert np.corrcoef(drawn["soc"], drawn["bdod"])[0, 1] < -0.7
    assert np.corrcoef(np.log(drawn["soc"]), drawn["phh2o"])[0, 1] < -0.2
    sites = pd.read_csv(REPOSITORY / "resources" / "sites_soil_methane.csv", comment="#")
    scaler = Scaler([*drawn, "phi"])
    given = {name: sites[name].to_numpy(float) for name in drawn}
    for soils in (drawn, given):
        soils["phi"] = soil_properties({name: soils[name] for name in ("sand", "clay", "soc", "bdod")})["phi"]
    scaler.fit(drawn)
    for name, values in given.items():
        assert not scaler.beyond(name, torch.tensor(values)).any(), name


def test_a_share_of_the_places_has_soil_and_leaves_of_anywhere() -> None:
    own = {"sand": np.full(4000, 70.0), "elevation": np.full(4000, 9.0)}
    months = {"lai": np.linspace(0.1, 0.4, 12)[:, None] * np.ones(4000), "fapar": np.ones((12, 4000))}
    months["lai"][:, :10] = 0.0
    soil, leaves = elsewhere(own, months, 0.25, np.random.default_rng(1))
    changed = soil["sand"] != 70.0
    assert 0.2 < changed.mean() < 0.3 and (soil["elevation"] == 9.0).all() and (leaves["fapar"] == 1.0).all()
    np.testing.assert_array_equal((leaves["lai"] != months["lai"]).any(axis=0)[10:], changed[10:])
    assert (leaves["lai"][:, :10] == 0).all() and np.isfinite(leaves["lai"]).all()
    np.testing.assert_allclose(leaves["lai"][0, 10:] / leaves["lai"][11, 10:], 0.25)
    assert leaves["lai"].max() > 4 and elsewhere(own, months, 0.0, np.random.default_rng(1))[0]["sand"].max() == 70.0
