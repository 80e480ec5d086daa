"""Scaling: round trip, standardisation, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fluxatlas.errors import InputError
from fluxatlas.train.networks.bounds import to_physical
from fluxatlas.train.scaler import Scaler

RNG = np.random.default_rng(1)
DATA = {
    "tas": RNG.normal(280, 10, 500),
    "pr": RNG.gamma(0.3, 1e-4, 500),
    "soc": RNG.lognormal(3, 1, 500),
    "difs": RNG.lognormal(-13, 1, 500),
    "oxk": RNG.lognormal(-10, 1, 500),
}


@pytest.mark.parametrize("name", DATA)
def test_round_trip_and_standard_scores(name) -> None:
    scaler = Scaler(DATA).double()
    scaler.fit(DATA)
    values = torch.as_tensor(DATA[name])
    scaled = scaler.scale(name, values)
    assert abs(float(scaled.mean())) < 1e-6 and abs(float(scaled.std(correction=0)) - 1) < 1e-6
    assert torch.allclose(scaler.unscale(name, scaled), values, rtol=1e-9)


def test_missing_is_ignored_and_a_constant_keeps_a_spread_of_one() -> None:
    scaler = Scaler(["tas", "ps"])
    scaler.fit({"tas": np.array([270.0, np.nan, 290.0]), "ps": np.full(3, 9e4)})
    assert float(scaler.mean[0]) == 280.0 and float(scaler.spread[0]) == 10.0 and float(scaler.spread[1]) == 1.0


def test_absent_and_empty_variables_are_refused() -> None:
    with pytest.raises(InputError, match="no data for ps"):
        Scaler(["tas", "ps"]).fit({"tas": np.ones(2)})
    with pytest.raises(InputError, match="'tas' holds no finite value"):
        Scaler(["tas"]).fit({"tas": np.array([np.nan])})


@pytest.mark.parametrize("depth", [3e-5, 0.02, 3.0])
def test_a_network_begins_near_its_samples_however_little_snow_there_is(depth: float) -> None:
    """Its first outputs lie within a few spreads of what the scaler saw, reach zero, and keep their gradient there."""
    rng = np.random.default_rng(1)
    scaler = Scaler(["snd"])
    scaler.fit({"snd": depth * rng.exponential(size=5000) * (rng.random(5000) < 0.2)})
    raw = torch.linspace(-6, 2, 17, requires_grad=True)
    made = to_physical("snd", raw, scaler)
    assert (made >= 0).all() and (made.diff() > 0).all()
    scaled = scaler.scale("snd", made).detach()
    assert abs(float(scaled[12])) < 1.5
    assert float(scaled[0] - scaler.scale("snd", torch.zeros(1))) < 0.2
    slope = torch.autograd.grad(scaler.scale("snd", made).sum(), raw)[0]
    assert slope.max() < 1.5 and slope[12] > 0.2
