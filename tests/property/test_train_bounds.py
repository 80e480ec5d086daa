"""Structural bounds: no weights, no weather and no soil bring an output out of its range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import train_toy as toy
from fluxatlas import variables
from fluxatlas.process.methane_column_torch import column
from fluxatlas.systems.soil_methane_sink.network import CORRECTIONS, diffusivity
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

SCALED = toy.samples(n=3, days=40).values()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gain=st.floats(0.1, 30.0),
    warmth=st.floats(-40.0, 40.0),
    head=st.sampled_from(["column", "diffusion_oxidation"]),
)
def test_outputs_stay_within_their_bounds(seed: int, gain: float, warmth: float, head: str) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(head=head))
    torch.nn.init.normal_(network.parts["biogeochemistry"].readout.weight)
    network.scaler.fit(SCALED)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(gain)
    weather = toy.drivers(pd.date_range("2001-01-01", periods=20), rng.uniform(-60, 80, 4), rng)
    weather["tas"] = weather["tas"] + warmth
    fixed = {name: torch.as_tensor(v, dtype=torch.float32) for name, v in toy.statics(4, rng).items()}
    drivers = {name: torch.as_tensor(v, dtype=torch.float32) for name, v in weather.items()}
    # Temperatures are regressions without a bound of their own: keep them to what the table allows.
    soil = {name: drivers["tas"].clamp(230, 320) for name in ("tsl05", "tsl15", "tsl45")}
    outputs, _ = network(drivers, fixed, overrides=soil)
    for depth in ("05", "15", "45"):
        assert (outputs[f"swc{depth}"] >= 0).all() and (outputs[f"swc{depth}"] <= fixed["phi"]).all()
    for name in ("snw", "snd", "ch4prod", "oxk", "difs", "ch4ox"):
        assert torch.isfinite(outputs[name]).all(), name
        assert (outputs[name] >= 0).all(), name
    for name in ("snw", "snd", "ch4prod", "oxk"):
        assert (outputs[name] <= variables.get(name).valid[1] * 1.001).all(), name
    theta = {name: torch.full((4,), value) for name, value in network.theta.items()}
    known = {**drivers, **fixed, **outputs, **theta}
    prior = column(known) if head == "column" else {"difs": diffusivity(known, "curry")}
    for name, values in prior.items():
        ratio = torch.log(outputs[name][values > 1e-20] / values[values > 1e-20])
        assert (ratio.abs() <= CORRECTIONS[name] + 1e-3).all()
    assert torch.allclose(outputs["fch4"], outputs["ch4prod"] - outputs["ch4ox"])
