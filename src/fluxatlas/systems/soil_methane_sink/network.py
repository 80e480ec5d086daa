"""What is special about the network of the soil methane sink: its heads and the bounds of its outputs.

| output | form |
|---|---|
| water content ``swc*`` | ``phi * sigmoid(u)``, inside (0, phi) |
| diffusivity ``difs`` | soil diffusivity of the water content and temperature, times ``exp(0.7 tanh(u))`` |

The diffusivity form is that of the science notes: the physics sets the response, the network corrects it by at most a
factor of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ... import variables
from ...process import methane_torch as physics
from ...process.hydraulics import ORGANIC_DENSITY, PARTICLE_DENSITY, cosby_b
from ..protocols import Head, NetworkParts
from . import knowledge

CORRECTION = 0.7
"""Largest log-correction of the diffusivity (a factor of 2)."""

AIR = ("ch4", "ps", "tas", "huss")


def exponent_b(known: Mapping[str, Tensor]) -> Tensor:
    """Exponent b of Clapp & Hornberger [1] from ``clay`` [%], ``soc`` [g kg-1] and ``phi`` [1]."""
    organic = (known["soc"] * 1e-3 * PARTICLE_DENSITY * (1 - known["phi"]) / ORGANIC_DENSITY).clamp(0, 1)
    return (1 - organic) * cosby_b(known["clay"]) + organic * 2.7


def diffusivity(known: Mapping[str, Tensor], model: str) -> Tensor:
    """Effective diffusivity of CH4 in the top soil [m2 s-1], (time, cell), of the relation called ``model``."""
    air = physics.air_filled_porosity(known["phi"], known["swc05"], known["tsl05"])
    free_air = physics.free_air_diffusivity(known["tsl05"].clamp(*variables.get("tsl05").valid), known["ps"])
    return physics.soil_diffusivity(known["phi"], air, exponent_b(known), free_air, model)


def water(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Water content [1] between 0 and the porosity."""
    return known["phi"] * torch.sigmoid(raw)


def corrected_diffusivity(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """:func:`diffusivity` of the option ``diffusivity``, corrected by the network by a factor of two at most."""
    return diffusivity(known, options["diffusivity"]) * torch.exp(CORRECTION * torch.tanh(raw))


def diffusion_oxidation(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Uptake by diffusion and first-order oxidation in series with the snow, and the net flux.

    ``ch4ox = 86400 C0 / (1 / sqrt(difs oxk) + R_snow)``, ``fch4 = ch4prod - ch4ox`` [mg m-2 d-1]; ``ch4ox`` is positive
    into the soil, ``fch4`` upward. Steady half-space solution (Curry 2007, doi:10.1029/2006GB002818) with the snow
    resistance of the science notes.
    """
    concentration = physics.air_concentration(known["ch4"], known["ps"], known["tas"], known["huss"])
    resistance = physics.snow_resistance(known["snw"], known["snd"], known["tas"], known["ps"])
    uptake = physics.uptake(known["difs"], known["oxk"], concentration, resistance)
    return {"ch4ox": uptake, "fch4": known["ch4prod"] - uptake}


def free(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """No physics: the last sub-module gives ``ch4ox`` itself, of either sign. An ablation, not for products."""
    return {"ch4ox": known["ch4ox"], "fch4": known["ch4prod"] - known["ch4ox"]}


PARTS = NetworkParts(
    heads={
        "diffusion_oxidation": Head(
            diffusion_oxidation, (*AIR, "snw", "snd", "difs", "oxk", "ch4prod"), ("ch4ox", "fch4")
        ),
        "free": Head(free, ("ch4ox", "ch4prod"), ("ch4ox", "fch4"), drivers=("ch4",), outputs=("ch4ox",)),
    },
    bounds={"swc05": water, "swc15": water, "swc45": water, "difs": corrected_diffusivity},
    knowledge={
        "source_allowance": knowledge.source_allowance_term,
        "substrate": knowledge.substrate_term,
        "temperature": knowledge.temperature_term,
        "moisture": knowledge.moisture_term,
        "diffusion_limit": knowledge.diffusion_limit_term,
    },
)
