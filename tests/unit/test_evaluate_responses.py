"""Responses and shares of each input: of a linear process model by hand, of a network, and as they are written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import InputError
from fluxatlas.evaluate import responses as asked
from fluxatlas.systems import get_system
from fluxatlas.systems.slow import EVEN_YEAR, FIELD_DAY
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.member import Member
from fluxatlas.train.pretrain import new_network
from fluxatlas.train.simulation import simulate_sites
from toy_system import LIGHT, WARMTH, carbon

TOY = get_system("toy_system:TOY")

DATES = pd.date_range("2001-01-01", periods=60)
THETA = {"slope": 1.1, "light": 1.0}


@pytest.fixture(scope="module")
def samples() -> SequenceSet:
    rng = np.random.default_rng(3)
    shape = (len(DATES), 5)
    drivers = {
        "tas": 288 + 2 * rng.normal(size=5) + rng.uniform(-1, 1, shape),
        "rsds": rng.uniform(100, 200, shape),
        "lai": rng.uniform(1, 3, shape),
        "co2": np.full(shape, 380.0),
    }
    made = carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], np.ones(5))
    return SequenceSet(
        DATES,
        tuple("abcde"),
        np.zeros(5),
        np.arange(5.0),
        np.arange(5),
        {name: values.astype(np.float32) for name, values in drivers.items()},
        {name: rng.uniform(5, 40, 5).astype(np.float32) for name in ("clay", "soc")},
        {name: values.astype(np.float32) for name, values in made.items()},
        tuple(Segment(site, 0, len(DATES)) for site in range(5)),
    )


@pytest.fixture(scope="module")
def member(samples) -> Member:
    network = new_network(TOY, TrainBlock(hidden=4, code=0), samples, 1)
    return Member(network, "4km", None, {"theta": THETA})


def test_days_of_the_year_are_no_weather(samples) -> None:
    """A day of harvest that is multiplied would never come."""
    field = replace(TOY, slow=(*TOY.slow, EVEN_YEAR, FIELD_DAY))
    calendar = {name: np.ones_like(samples.drivers["tas"]) for name in ("evenyear", "fieldday")}
    data = replace(samples, drivers={**samples.drivers, **calendar})
    assert {driver for driver, *_ in asked.changes(data, field)} == {asked.TEMPERATURES, "rsds", "lai", "co2"}


def test_responses_are_those_of_the_formulas(samples, member) -> None:
    """GPP is proportional to light, under half the slope of the other form; respiration rises by WARMTH for each K."""
    table = asked.responses(asked.process(member), samples, TOY).set_index(["flux", "driver", "change"])
    for shift in (0.0, *asked.SHIFTS):
        assert table.loc[("reco", "temperatures", shift), "difference"] == pytest.approx(WARMTH * shift, abs=1e-5)
        assert table.loc[("nee", "temperatures", shift), "low"] == pytest.approx(WARMTH * shift, abs=1e-5)
    light = samples.drivers["rsds"]
    gpp = (0.5 * 1.1 * LIGHT * light * (0.5 + 0.1 * samples.drivers["lai"])).mean()
    largest = 2 * light.std() / light.mean()
    edge = table.loc[("gpp", "rsds")].iloc[-1]
    assert edge.name == pytest.approx(1 + largest) and edge["difference"] == pytest.approx(gpp * largest, rel=1e-5)
    assert table.loc[("gpp", "co2", 1.1), "difference"] == pytest.approx(0.1 * gpp, rel=1e-5)  # it never varies


def test_shares_sum_to_the_flux_less_that_of_mean_conditions(samples, member) -> None:
    """Of a product of two inputs each gets the exact integral; statics that nothing reads get nothing."""
    model, means = asked.process(member), asked._means(samples)
    table = asked.attribution(model, samples, means, TOY).set_index(["flux", "input"])
    warm = WARMTH * (samples.drivers["tas"].mean(axis=0) - means["tas"])
    assert table.loc[("reco", "tas"), "size"] == pytest.approx(np.abs(warm).mean(), rel=1e-3)
    assert table.loc[("reco", "tas"), "mean"] == pytest.approx(warm.mean(), abs=1e-4)
    assert table.loc[("gpp", "clay"), "size"] == 0
    light, leaves = samples.drivers["rsds"], 0.5 + 0.1 * samples.drivers["lai"]
    half, mid = means["rsds"], 0.5 + 0.1 * means["lai"]
    exact = 0.55 * LIGHT * ((light - half) * (leaves + mid) / 2).mean(axis=0)
    assert table.loc[("gpp", "rsds"), "size"] == pytest.approx(np.abs(exact).mean(), rel=1e-3)
    assert table.loc[("gpp", asked.GAP), "size"] == pytest.approx(0, abs=1e-5)


def test_shares_of_a_network_are_complete(samples, member) -> None:
    model, means = asked.network(member), asked._means(samples)
    table = asked.attribution(model, samples, means, TOY).set_index(["flux", "input"])
    whole = table.loc["nee"].drop(asked.GAP)
    constant = {name: np.full_like(values, means[name]) for name, values in samples.drivers.items()}
    statics = {name: np.full_like(values, means[name]) for name, values in samples.statics.items()}
    rest = model(replace(samples, drivers=constant, statics=statics))["nee"]
    assert whole["mean"].sum() == pytest.approx((model(samples)["nee"] - rest).mean(), rel=0.05)
    assert table.loc[("nee", asked.GAP), "size"] < 0.05 * whole["size"].sum()


@pytest.mark.parametrize("together", [1, 12, 64])
def test_series_that_run_together_do_not_see_each_other(samples, member, monkeypatch, together) -> None:
    """Twelve at a time make groups of two sets and a rest of one; each set has its own drivers, statics and dates."""
    monkeypatch.setattr(asked, "TOGETHER", together)
    years = pd.DatetimeIndex(["1999-01-01", "2003-01-01", "1999-01-01", "2003-01-01", "2003-01-01"])
    sets = [
        replace(
            samples,
            first_day=years,
            drivers={name: values * (1 + 0.001 * n) for name, values in samples.drivers.items()},
            statics={name: values * (1 - 0.1 * n) for name, values in samples.statics.items()},
        )
        for n in range(3)
    ]
    for model in (asked.network(member), asked.process(member)):
        for one, found in zip(sets, asked.answers(model, iter(sets)), strict=True):
            for flux, values in model(one).items():
                np.testing.assert_allclose(found[flux], values, rtol=1e-5)


def test_seasons_are_those_of_each_series(samples, member, monkeypatch) -> None:
    """Every series is simulated on its own dates."""
    seen = []

    def spied(data, system, days, sites, theta):
        seen.append((data.dates[0].year, sites))
        return simulate_sites(data, system, days, sites, theta)

    monkeypatch.setattr(asked, "simulate_sites", spied)
    years = pd.DatetimeIndex(["1999-01-01", "2003-01-01", "1999-01-01", "2003-01-01", "2003-01-01"])
    asked.process(member)(replace(samples, first_day=years))
    assert seen == [(1999, [0, 2]), (2003, [1, 3, 4])]


def test_tables_of_the_command(samples, member, tmp_path) -> None:
    path = tmp_path / "0.pt"
    member.save(path)
    shares = asked.write_responses(tmp_path / "responses.csv", tmp_path / "attribution.csv", [path], samples, 3, 1)
    assert list(pd.read_csv(tmp_path / "attribution.csv").columns) == list(asked.SHARES)
    table = pd.read_csv(tmp_path / "responses.csv")
    assert list(table.columns) == list(asked.RESPONSES) and set(table["model"]) == {"network", "process"}
    assert (table["series"] == 3).all() and set(shares["flux"]) == set(TOY.flux_names)
    Member(member.network, "4km").save(path)
    with pytest.raises(InputError, match="has no parameters"):
        asked.write_responses(tmp_path / "a.csv", tmp_path / "b.csv", [path], samples, 3, 1)
    assert not (tmp_path / "a.csv").exists()
