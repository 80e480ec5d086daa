"""The prior-predictive check: a process model whose prior is known, with sites that come from it and others."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.evaluate import prior
from fluxatlas.evaluate.prior import prior_table
from fluxatlas.systems import get_system
from fluxatlas.theta import Prior
from fluxatlas.train import simulation
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.sites import SiteData

SYSTEM = get_system("soil_methane_sink")
DAYS = pd.date_range("2001-01-01", periods=200)


class Level:
    """``tsl05`` = driver + a level that is N(0, 2) beforehand; the same for all days of a draw."""

    def attributes_of(self, statics):
        return {name: np.zeros(len(statics["sand"])) for name in SYSTEM.attributes}

    def simulate(self, drivers, attributes, *, lat, dates, spinup_years, theta):
        return {"tsl05": drivers["tas"] + 2 * np.log(theta.values["level"])}


@pytest.fixture(autouse=True)
def level(monkeypatch):
    monkeypatch.setattr(simulation, "load_object", lambda name: Level())
    level = Prior(1.0, 1e-9, 1e9, "lognormal", float(np.e))
    monkeypatch.setattr(prior, "load_object", lambda name: lambda: {"level": level})


def _sites(levels, sd=0.0, noise=0.0, segments=((0, 200),), seed=0):
    rng = np.random.default_rng(seed)
    count = len(levels)
    tas = (280 + 5 * np.sin(np.arange(200) / 20)).astype(np.float32)[:, None].repeat(count, axis=1)
    values = tas + np.asarray(levels, np.float32) + rng.normal(0, noise, tas.shape).astype(np.float32)
    data = SequenceSet(
        dates=DAYS,
        sites=tuple(f"s{n}" for n in range(count)),
        lat=np.full(count, 50.0),
        lon=np.zeros(count),
        block=np.arange(count),
        drivers={"tas": tas},
        statics={"sand": np.linspace(20, 60, count), "clay": np.full(count, 20.0)},
        targets={"tsl05": values},
        segments=tuple(Segment(site, a, b) for site in range(count) for a, b in segments),
        sd={"tsl05": np.full_like(values, sd)},
    )
    return SiteData((data,))


def test_sites_of_the_prior_are_inside_as_often_as_the_interval_says() -> None:
    levels = np.random.default_rng(1).normal(0, 2, 200)
    table = prior_table(_sites(levels), SYSTEM, draws=200, seed=1)
    whole = table[table["site"] == "all"].iloc[0]
    assert whole["n"] == 200 and 0.85 <= whole["mean_inside"] <= 0.95 and 0.85 <= whole["days_inside"] <= 0.95
    row = table.iloc[0]
    assert row["n"] == 200 and row["high"] - row["low"] == pytest.approx(2 * 1.645 * 2, rel=0.15)


def test_a_site_outside_of_the_prior_is_outside() -> None:
    table = prior_table(_sites([0.0, 12.0]), SYSTEM, draws=100, seed=1).set_index("site")
    assert table.loc["s0", "mean_inside"] == 1 and table.loc["s0", "days_inside"] == 1
    assert table.loc["s1", "mean_inside"] == 0 and table.loc["s1", "days_inside"] == 0
    assert table.loc["all", "mean_inside"] == 0.5
    assert table.loc["s1", "median"] == pytest.approx(table.loc["s1", "observed_mean"] - 12, abs=0.6)


def test_random_errors_that_the_observations_state_belong_to_the_prediction() -> None:
    """With a noise as large as the prior, days stay inside 90 % only if their stated error is added."""
    levels = np.random.default_rng(2).normal(0, 2, 60)
    stated = prior_table(_sites(levels, sd=4.0, noise=4.0), SYSTEM, draws=200, seed=1)
    silent = prior_table(_sites(levels, sd=0.0, noise=4.0), SYSTEM, draws=200, seed=1)
    inside = [t.loc[t["site"] == "all", "days_inside"].item() for t in (stated, silent)]
    assert inside[0] == pytest.approx(0.9, abs=0.03) and inside[1] < 0.7


def test_segments_of_a_site_are_one_place_with_one_draw() -> None:
    """Were parameters drawn anew for each segment, their mean would spread far less than the prior."""
    cut = tuple((a, a + 20) for a in range(0, 200, 20))
    whole = prior_table(_sites([0.0]), SYSTEM, draws=300, seed=1).iloc[0]
    parts = prior_table(_sites([0.0], segments=cut), SYSTEM, draws=300, seed=1).iloc[0]
    assert parts["high"] - parts["low"] == pytest.approx(whole["high"] - whole["low"], rel=1e-6)


def test_sites_far_from_the_samples_are_named_with_the_static() -> None:
    samples = SimpleNamespace(statics={"sand": np.array([20.0, 22.0, 24.0]), "clay": np.array([10.0, 20.0, 30.0])})
    table = prior_table(_sites([0.0, 0.0, 0.0]), SYSTEM, draws=50, seed=1, samples=samples).set_index("site")  # type: ignore[arg-type]
    assert list(table["outside"].iloc[:3]) == ["", "sand", "sand"]  # sand 20, 40, 60 against 22 with a spread of 1.6


def test_sites_without_meteorology_run_under_their_profiles(monkeypatch) -> None:
    class Profiles(Level):
        def from_profiles(self, soil, drivers, attributes, *, theta):
            return {"fch4": soil["tsl05"] + np.log(theta.values["level"])}

    monkeypatch.setattr(simulation, "load_object", lambda name: Profiles())
    data = _sites([0.0, 9.0]).sets[0]
    profile = data.targets["tsl05"]
    targets = {"fch4": profile + np.array([0.0, 9.0], np.float32)}
    alone = dataclasses.replace(
        data, modules=("x",), overrides={"tsl05": profile}, targets=targets, sd={"fch4": np.zeros_like(profile)}
    )
    table = prior_table(SiteData((alone,)), SYSTEM, draws=50, seed=1).set_index("site")
    assert table.loc["s0", "mean_inside"] == 1 and table.loc["s1", "mean_inside"] == 0
    assert set(table["target"]) == {"fch4"}
