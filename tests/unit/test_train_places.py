"""Parameters of maps and of places: means over places, their spread, draws at sites seen and unseen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas.theta import Prior
from fluxatlas.train import calibrated, places
from fluxatlas.train.calibrated import (
    DRAWS,
    SitesModel,
    Structured,
    bootstrap,
    calibrate_sites,
    ends,
    parameter_table,
    predict_places,
    structure_of,
)
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.places import effective
from toy_system import TOY

DAYS = 120
MODEL = Structured(TOY, {"light": 0})
SPREAD = 0.6


def _set(slopes: np.ndarray, noise: float = 0.0, block: np.ndarray | None = None) -> SequenceSet:
    """Sites of the toy system whose ``gpp`` is the process model's at a slope of their own, plus white noise."""
    n, rng = len(slopes), np.random.default_rng(1)
    shape = (DAYS, n)
    drivers = {
        "tas": 283.15 + rng.normal(0, 5, shape),
        "rsds": rng.uniform(50, 300, shape),
        "lai": np.full(shape, 2.0),
        "co2": np.full(shape, 380.0),
    }
    gpp = slopes * 0.02 * drivers["rsds"] * 0.7
    values = (gpp + rng.normal(0, noise, shape)).astype(np.float32) if noise else gpp.astype(np.float32)
    return SequenceSet(
        dates=pd.date_range("2001-01-01", periods=DAYS),
        sites=tuple(f"s{k}" for k in range(n)),
        lat=np.zeros(n),
        lon=np.arange(n, dtype=float),
        block=np.arange(n) if block is None else block,
        drivers={name: v.astype(np.float32) for name, v in drivers.items()},
        statics={"clay": np.full(n, 20.0, np.float32), "soc": np.full(n, 10.0, np.float32)},
        targets={"gpp": values},
        segments=tuple(Segment(k, 0, DAYS) for k in range(n)),
        sd={"gpp": np.full(shape, max(noise, 1e-3), np.float32)},
    )


class Exact(torch.nn.Module):
    """A network that is the process model: ``gpp`` in proportion to the slope that it is told."""

    def forward(self, drivers, statics, theta=None, **_):
        gpp = theta["slope"] * 0.02 * drivers["rsds"] * 0.7
        return {"gpp": gpp, "reco": torch.ones_like(gpp), "nee": 1 - gpp}, {}


@pytest.fixture
def wide(monkeypatch):
    """Places whose slope is lognormal: the mean over places is not that of the median place."""
    prior = Prior(1.0, 1e-6, 1e6, "lognormal", float(np.exp(SPREAD)), between=1.0)
    monkeypatch.setattr(calibrated, "load_object", lambda name: lambda: {"slope": prior})
    return prior


def test_the_model_at_sites_predicts_the_observed_days_in_order() -> None:
    data = _set(np.array([0.9, 1.1]))
    hole = data.observed(lambda _, v: np.where(np.arange(DAYS)[:, None] % 3 == 0, v, np.nan).astype(np.float32))
    cut = replace(hole, segments=(Segment(0, 0, 50), Segment(0, 60, DAYS), Segment(1, 0, DAYS)))
    forward = SitesModel([cut], MODEL)
    observed = forward.observations["s0"]["gpp"]
    assert observed.day.tolist() == [d for d in range(0, DAYS, 3) if not 50 <= d < 60]
    prior = MODEL.priors["slope"]
    found = forward("s0", np.array([[prior.normal(0.9)], [prior.normal(1.1)]]).reshape(2, 1))["gpp"]
    np.testing.assert_allclose(found[0], observed.value, rtol=1e-5)
    np.testing.assert_allclose(found[1], observed.value * 1.1 / 0.9, rtol=1e-5)


def test_sites_teach_their_own_and_the_common_parameter() -> None:
    slopes = np.array([0.85, 1.0, 1.1, 0.95])
    posterior = calibrate_sites([_set(slopes, noise=0.1)], MODEL)
    prior = MODEL.priors["slope"]
    own = [float(prior.value(posterior.place(f"s{k}").mean)[0]) for k in range(4)]
    np.testing.assert_allclose(own, slopes, atol=0.01)
    table = parameter_table(posterior, MODEL).set_index("parameter")
    assert 0.8 < table.loc["slope", "posterior_05"] < table.loc["slope", "posterior_95"] < 1.2
    assert 0 < table.loc["slope", "shrinkage"] < 1


def test_predictions_are_sharp_at_sites_seen_and_wide_at_others() -> None:
    seen, unseen = _set(np.array([0.85, 1.0, 1.1, 0.95]), noise=0.1), _set(np.full(6, 1.05), noise=0.1)
    unseen = replace(unseen, sites=tuple(f"u{k}" for k in range(6)))
    posterior = calibrate_sites([seen], MODEL)
    own, others = (
        predict_places(Exact(), data, posterior, MODEL, 1, np.full((DAYS, len(data.sites)), hidden))  # type: ignore[arg-type]
        for data, hidden in ((seen, False), (unseen, True))
    )
    near, far = (pd.DataFrame(part.rows) for part in (own, others))
    assert near["seen"].eq(1).all() and far["seen"].eq(0).all()
    assert (near["high"] - near["low"]).max() < 0.3 * (far["high"] - far["low"]).min()
    assert far["mean_inside"].eq(1).all()
    assert near["days_inside"].mean() == pytest.approx(0.9, abs=0.05)
    np.testing.assert_allclose(near["predicted_mean"], near["observed_mean"], rtol=0.02)
    assert (own.low["gpp"] < own.mean["gpp"]).all() and (own.mean["gpp"] < own.high["gpp"]).all()


def test_an_interval_of_few_draws_holds_a_new_draw_as_often_as_it_says() -> None:
    made = np.exp(np.random.default_rng(3).standard_normal((DRAWS + 1, 40_000)))  # as uptake differs between places
    low, high = ends(made[1:])
    assert np.mean((made[0] >= low) & (made[0] <= high)) == pytest.approx(0.9, abs=0.006)  # four standard errors


def test_days_hidden_from_the_calibration_are_not_seen_although_their_site_is() -> None:
    data = _set(np.array([0.9, 1.1]), noise=0.1)
    hidden = np.zeros((DAYS, 2), bool)
    hidden[90:, 0] = True
    posterior = calibrate_sites([data], MODEL)
    found = predict_places(Exact(), data, posterior, MODEL, 1, hidden)  # type: ignore[arg-type]
    rows = pd.DataFrame(found.rows)
    assert rows[["site", "seen", "n"]].to_numpy().tolist() == [["s0", 1, 90], ["s0", 0, 30], ["s1", 1, 120]]
    assert rows.loc[1, "observed_mean"] == pytest.approx(data.targets["gpp"][90:, 0].mean())
    assert np.isfinite(found.low["gpp"]).all()


def test_a_map_has_the_mean_over_places(wide) -> None:
    """Against the analytic lognormal: mean over median exp(s^2/2), and the relative spread sqrt(exp(s^2) - 1)."""
    places_seen = replace(
        _set(np.ones(40)), theta={"slope": np.ones(40, np.float32), "light": np.zeros(40, np.float32)}
    )
    model, draws = Structured(TOY, {"light": 0}), {"fluxes": [], "ratio": [], "line": []}
    for seed in range(6):
        found = effective(Exact(), places_seen, model, np.zeros(1), seed)  # type: ignore[arg-type]
        draws["fluxes"].append(float(wide.value(found.u)[0]))
        draws["ratio"].append(found.ratio)
        draws["line"].append(found.spread["gpp"])
    assert np.mean(draws["fluxes"]) == pytest.approx(np.exp(SPREAD**2 / 2), rel=0.06)
    nee = [(1 - 2.45 * slope) / (1 - 2.45) for slope in draws["fluxes"]]  # the flux shown; 2.45 is that of slope 1
    np.testing.assert_allclose(draws["ratio"], nee, rtol=0.03)
    a, b = np.mean(draws["line"], axis=0)
    flux = 0.02 * 175 * 0.7
    assert (a + b * flux) / flux == pytest.approx(np.sqrt(np.exp(SPREAD**2) - 1), rel=0.15)


def test_parameters_without_places_leave_the_map_alone(monkeypatch) -> None:
    constant = {"slope": Prior(1.0, 0.8, 1.2, between=0.0)}
    monkeypatch.setattr(calibrated, "load_object", lambda name: lambda: constant)
    data = replace(_set(np.ones(30)), theta={"slope": np.ones(30, np.float32), "light": np.zeros(30, np.float32)})
    found = effective(Exact(), data, Structured(TOY, {"light": 0}), np.array([0.3]), 0)  # type: ignore[arg-type]
    assert found.u.tolist() == [0.3] and found.ratio == pytest.approx(1.0)
    assert found.spread["gpp"] == pytest.approx((0.0, 0.0), abs=1e-6)


def test_members_differ_in_structure_and_in_blocks_but_know_their_samples_only() -> None:
    samples = replace(_set(np.ones(4)), theta={"slope": np.ones(4), "light": np.array([1, 1, 1, 1])})
    assert structure_of(samples, TOY, 0, 1) == {"light": 1} == structure_of(samples, TOY, 3, 1)
    both = replace(samples, theta={"slope": np.ones(4), "light": np.array([0, 1, 1, 0])})
    assert {structure_of(both, TOY, m, 1)["light"] for m in range(1, 12)} == {0, 1}
    data = _set(np.ones(6), block=np.array([0, 0, 1, 2, 3, 3]))
    assert bootstrap([data], 0, 1) is None
    counts = [bootstrap([data], m, 1) for m in range(1, 40)]
    for weights in counts:
        assert weights is not None and weights["s0"] == weights["s1"] and weights["s4"] == weights["s5"]
        assert weights["s0"] + weights["s2"] + weights["s3"] + weights["s4"] == 4
    assert len({tuple(w.values()) for w in counts if w}) > 10


@pytest.mark.parametrize(
    ("wanted", "shift", "calls"), [(1.5, 0.5, 9), (-0.25, -1.25, 9), (9.0, 3.0, 1), (-9.0, -3.0, 1)]
)
def test_the_shift_is_found_with_one_look_at_the_end(wanted: float, shift: float, calls: int) -> None:
    asked: list[float] = []
    found = places._root(lambda at: asked.append(at) or 1.0 + at, wanted, 1.0)
    assert found == pytest.approx(shift, abs=3 / 2**8) and len(asked) == calls
