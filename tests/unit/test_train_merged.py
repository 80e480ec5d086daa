"""Labels merged with the process model: the scalar form, a known spread, closure, and what must stay as measured."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.model import Config, contradictions
from fluxatlas.systems import get_system
from fluxatlas.systems.soil_moisture_energy.network import BALANCE, ORDER
from fluxatlas.train import merged as module
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.merged import interpolated, merged

SYSTEM = get_system("soil_moisture_energy")
DATES = pd.date_range("2001-01-01", "2004-12-31")
SITES = 3


@pytest.fixture
def known(monkeypatch) -> tuple[dict, SequenceSet]:
    """A truth that closes, a model 30 W m-2 and towers 10 W m-2 away from it; the last site measured soil alone."""
    rng, shape = np.random.default_rng(1), (len(DATES), SITES)
    truth = {"hfdsl": rng.normal(5, 5, shape), "hfls": rng.normal(60, 20, shape), "hfss": rng.normal(40, 20, shape)}
    truth["rns"] = truth["hfdsl"] + truth["hfls"] + truth["hfss"]
    model = {name: values + rng.normal(0, 30, shape) for name, values in truth.items()}
    monkeypatch.setattr(module, "simulated", lambda part, system: model)
    seen = {name: (values + rng.normal(0, 10, shape)).astype(np.float32) for name, values in truth.items()}
    seen["swc05"] = np.full(shape, 0.2, np.float32)
    for name in truth:
        seen[name][:, 2] = np.nan
        seen[name][:100, 0] = np.nan
    sd = {name: np.full(shape, 10.0, np.float32) for name in truth}
    segments = tuple(Segment(site, 0, len(DATES) - 50) for site in range(SITES))
    place, blocks = np.zeros(SITES), np.arange(SITES)
    names = tuple(f"s{n}" for n in range(SITES))
    return truth, SequenceSet(DATES, names, place, place, blocks, {}, {}, seen, segments, sd)


def test_the_scalar_form() -> None:
    observed, error = np.array([20.0, 20.0, np.nan, 20.0]), np.array([3.0, 1e-9, 3.0, np.nan])
    value, sd = interpolated(np.full(4, 10.0), observed, np.full(4, 3.0), error)
    np.testing.assert_allclose(value, [15.0, 20.0, 10.0, 20.0])
    np.testing.assert_allclose(sd, [3 / np.sqrt(2), 0.0, 3.0, 0.0], atol=1e-6)


def test_the_spread_of_the_model_is_found_and_labels_are_nearer_to_the_truth(known) -> None:
    truth, part = known
    (made,) = merged((part,), SYSTEM)
    inside = slice(100, len(DATES) - 50)
    expected = 30 * 10 / np.hypot(30, 10)  # the error of the best mean of the two
    for name, values in truth.items():
        assert made.sd[name][inside, :2].mean() == pytest.approx(expected, rel=0.02)
        error = (made.targets[name] - values)[inside, :2]
        assert np.sqrt((error**2).mean()) == pytest.approx(expected * np.sqrt(0.75), rel=0.05)  # a balance of four
    gap = (made.targets["hfls"] - truth["hfls"])[:100, 0]
    assert np.sqrt((gap**2).mean()) == pytest.approx(30 * np.sqrt(0.75), rel=0.15)  # the model alone, on the balance


def test_merged_labels_close_and_all_else_stays(known) -> None:
    _, part = known
    before = {name: values.copy() for name, values in part.targets.items()}
    (made,) = merged((part,), SYSTEM)
    left = sum(SYSTEM.balance[name] * made.targets[name].astype(float) for name in SYSTEM.balance)
    assert np.abs(left[: len(DATES) - 50, :2]).max() < 1e-3
    for name, values in before.items():
        np.testing.assert_array_equal(part.targets[name], values)  # the set that was given
        np.testing.assert_array_equal(made.targets[name][-50:], values[-50:])  # outside of the segments
        np.testing.assert_array_equal(made.targets[name][:, 2], values[:, 2])  # a site without energy
    np.testing.assert_array_equal(made.targets["swc05"], before["swc05"])
    others = replace(part, segments=part.segments[2:])
    (alone,) = merged((others,), SYSTEM)
    np.testing.assert_array_equal(alone.targets["hfls"], before["hfls"])


def test_towers_that_state_no_error_are_merged_and_closed_too(known) -> None:
    _, part = known
    silent = replace(part, sd={name: np.full_like(values, np.nan) for name, values in part.sd.items()})
    (made,) = merged((silent,), SYSTEM)
    left = sum(SYSTEM.balance[name] * made.targets[name].astype(float) for name in SYSTEM.balance)
    assert np.abs(left[: len(DATES) - 50, :2]).max() < 1e-3
    (none,) = merged((replace(part, sd={}),), SYSTEM)
    np.testing.assert_allclose(made.targets["hfls"], none.targets["hfls"])


def test_the_balance_is_that_of_the_network_and_others_are_refused() -> None:
    assert (tuple(SYSTEM.balance.values()),) == BALANCE and tuple(SYSTEM.balance) == (ORDER[0], *ORDER[1:])
    given = {"period": {"start": 2001, "end": 2001}, "forcing": {"source": "synthetic_earth"}}
    given["train"] = {"labels": "merged", "ladder": "network"}
    assert not contradictions(Config.model_validate({**given, "system": SYSTEM.name}))
    idle = Config.model_validate({**given, "system": SYSTEM.name, "train": {"labels": "merged"}})
    assert contradictions(idle) == [
        "train.labels: merged has no effect with train.ladder: calibrated; set ladder: network"
    ]
    (found,) = contradictions(Config.model_validate({**given, "system": "soil_methane_sink"}))
    assert found.startswith("train.labels: 'soil_methane_sink' has no balance that merged labels could be moved onto")
