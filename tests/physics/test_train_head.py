"""The physical head against the process model's own formulas and the analytic half-space."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import train_toy as toy
from fluxatlas.process import methane
from fluxatlas.systems.soil_methane_sink.network import diffusion_oxidation, diffusivity, exponent_b
from fluxatlas.train.networks import HierarchicalNetwork


def test_head_equals_the_half_space_with_snow_in_series() -> None:
    data = toy.samples(n=3, days=40)
    network = HierarchicalNetwork(toy.SYSTEM).double()
    network.scaler.fit(data.values())
    batch = data.batch(data.windows(40), 0)
    drivers = {name: values.double() for name, values in batch.drivers.items()}
    outputs, _ = network(drivers, {name: values.double() for name, values in batch.statics.items()})
    known = {name: values.detach().numpy() for name, values in {**drivers, **outputs}.items()}
    c0 = methane.air_concentration(known["ch4"], known["ps"], known["tas"], known["huss"])
    density = known["snw"] / known["snd"]
    free = methane.free_air_diffusivity(np.minimum(known["tas"], 273.15), known["ps"])
    resistance = known["snd"] / (free * np.clip(1 - density / 917, 0.05, 1) ** (4 / 3))
    expected = 86400 * c0 / (1 / np.sqrt(known["difs"] * known["oxk"]) + resistance)
    np.testing.assert_allclose(known["ch4ox"], expected, rtol=1e-9)
    np.testing.assert_allclose(known["fch4"], known["ch4prod"] - expected, rtol=1e-9, atol=1e-12)


def test_uptake_without_snow_is_curry_at_given_diffusivity_and_rate() -> None:
    # Vector 2 of the science notes (T 20 degC, theta 0.20, 20 % clay): D 0.02155 cm2 s-1, k 1.689e-4 s-1, 1800 ppb.
    # Curry's g0 is air at 287.9 K and 101325 Pa, so that J = 2.015 mg m-2 d-1 there.
    one = torch.ones(1, 1, dtype=torch.float64)
    known = {
        "ch4": 1800 * one,
        "ps": 101325 * one,
        "tas": 287.9 * one,
        "huss": 0 * one,
        "snd": 0 * one,
        "snw": 0 * one,
        "difs": 0.02155e-4 * one,
        "oxk": 1.689e-4 * one,
        "ch4prod": 0 * one,
    }
    assert float(diffusion_oxidation(known)["ch4ox"]) == pytest.approx(2.015, rel=2e-3)


def test_diffusivity_equals_the_verified_vector() -> None:
    # The same vector (phi .4386, theta .20, 20 % clay): 0.02155 cm2 s-1 with the free-air diffusivity of Curry.
    one = torch.ones(1, 1, dtype=torch.float64)
    known = {"clay": 20 * one, "soc": 0 * one, "phi": 0.4386 * one, "swc05": 0.2 * one}
    known |= {"tsl05": 293.15 * one, "ps": 101325 * one}
    assert float(exponent_b(known)) == pytest.approx(15.9 * 0.2 + 2.91)
    air = float(methane.free_air_diffusivity(293.15, 101325.0)) / (0.196e-4 * (1.0 + 0.0055 * 20.0))
    assert float(diffusivity(known, "curry")) == pytest.approx(0.02155e-4 * air, rel=1e-3)
