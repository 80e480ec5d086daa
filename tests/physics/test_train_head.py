"""The physical head against the process model's own formulas and the analytic half-space."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import train_toy as toy
from fluxatlas.loading import load_object
from fluxatlas.process import methane
from fluxatlas.process.methane_column_torch import fluxes, retention
from fluxatlas.systems.soil_methane_sink.network import diffusivity, water
from fluxatlas.theta import draw
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork


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
    assert float(fluxes(known)["ch4ox"]) == pytest.approx(2.015, rel=2e-3)


def test_diffusivity_equals_the_verified_vector() -> None:
    # The same vector (phi .4386, theta .20, 20 % clay): 0.02155 cm2 s-1 with the free-air diffusivity of Curry.
    one = torch.ones(1, 1, dtype=torch.float64)
    known = {"clay": 20 * one, "soc": 0 * one, "phi": 0.4386 * one, "swc05": 0.2 * one}
    known |= {"tsl05": 293.15 * one, "ps": 101325 * one, "sand": 40 * one, "retention_factor": one}
    assert float(retention(known).b) == pytest.approx(15.9 * 0.2 + 2.91)
    air = float(methane.free_air_diffusivity(293.15, 101325.0)) / (0.196e-4 * (1.0 + 0.0055 * 20.0))
    assert float(diffusivity(known, "curry")) == pytest.approx(0.02155e-4 * air, rel=1e-3)


def _profiles(cells: int, days: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], ...]:
    """Measured soil, what is assumed of the air (time, cell), and statics (cell,)."""
    fixed, shape = toy.statics(cells, rng), (days, cells)
    soil = {name: 273.15 + rng.uniform(-8, 32, shape) for name in ("tsl05", "tsl15", "tsl45")}
    soil |= {name: fixed["phi"] * rng.uniform(0.1, 0.97, shape) for name in ("swc05", "swc15", "swc45")}
    soil |= {"snd": (snd := rng.uniform(0, 1, shape) * (rng.random(shape) < 0.3)), "snw": 250 * snd}
    air = {"tas": soil["tsl05"], "ps": np.full(shape, 9.6e4), "huss": np.full(shape, 0.006)}
    air |= {"ch4": rng.uniform(1750, 1950, shape), "lai": np.full(shape, 2.0)}
    return tuple({k: np.asarray(v, np.float32) for k, v in part.items()} for part in (soil, air, fixed))


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(values) for name, values in arrays.items()}


def test_under_measured_profiles_the_network_is_the_process_model_of_any_parameters(tmp_path) -> None:
    """Before it learned corrections: told the parameters of each cell, or bound to those of one, read from a file."""
    rng = np.random.default_rng(2)
    soil, air, fixed = _profiles(30, 25, rng)
    theta = draw(load_object(toy.SYSTEM.priors)(), toy.SYSTEM.choices, 30, rng)
    model = load_object(toy.SYSTEM.process)
    attributes = {name: np.asarray(model.attributes_of(fixed)[name], float) for name in toy.SYSTEM.attributes}
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(code=6)).eval()
    given = {"overrides": _tensors(soil), "modules": ("biogeochemistry",)}
    values = {name: torch.as_tensor(array, dtype=torch.float32) for name, array in theta.all().items()}
    told, _ = network(_tensors(air), _tensors(fixed), theta=values, **given)
    truth = model.from_profiles(soil, air, attributes, theta=theta)
    one = {name: float(values[7]) for name, values in theta.all().items()}
    Member(network.bind(one), "4km").save(tmp_path / "0.pt")
    bound, _ = Member.load(tmp_path / "0.pt").network(_tensors(air), _tensors(fixed), **given)
    alike = theta.take(np.full(30, 7))
    for made, expected in ((told, truth), (bound, model.from_profiles(soil, air, attributes, theta=alike))):
        for name in ("difs", "oxk", "ch4prod", "ch4ox", "fch4"):
            size = np.abs(expected[name]).mean()
            np.testing.assert_allclose(made[name].detach(), expected[name], rtol=3e-4, atol=1e-5 * size, err_msg=name)


def test_water_is_counted_from_field_capacity_and_wilting_point() -> None:
    rng = np.random.default_rng(3)
    soils = toy.statics(50, rng)
    known = _tensors({**soils, "retention_factor": rng.uniform(0.6, 1.2, 50)})
    soil = retention(known)
    for raw, expected in ((0.0, soil.theta_fc), (-1.0, soil.theta_wp), (2.0, 0.98 * known["phi"])):
        made = water(torch.full((1, 50), raw, dtype=torch.float64), known, None, {})[0]
        step = torch.logit(soil.theta_fc / known["phi"]) - torch.logit(soil.theta_wp / known["phi"])
        room = (soil.theta_wp > 0.011 * known["phi"]) & (step > 0.5) & (soil.theta_fc < 0.9 * known["phi"])
        assert room.sum() > 25
        torch.testing.assert_close(made[room], expected[room])
    course = water(torch.linspace(-30, 30, 400, dtype=torch.float64)[:, None].expand(-1, 50), known, None, {})
    assert (course.diff(dim=0) >= 0).all() and (course >= 0).all() and (course <= known["phi"]).all()
