"""From the raw output of a sub-module to a physical quantity that cannot leave its bounds.

| variable | form |
|---|---|
| water content ``swc*`` | ``phi * sigmoid(u)``, inside (0, phi) |
| snow ``snw``, ``snd``; production ``ch4prod`` | ``c * sinh(softplus(mean + spread * u))``, never below 0 |
| diffusivity ``difs`` | soil diffusivity of the water content and temperature, times ``exp(0.7 tanh(u))`` |
| oxidation rate ``oxk`` | ``exp(mean + spread * u)`` |
| all others | ``mean + spread * u`` |

Upper limits are those of the variable table, so that an extrapolating network cannot overflow. The diffusivity form is
that of the science notes: the physics sets the response, the network corrects it by at most a factor of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ... import variables
from ...process import methane_torch as physics
from ...process.hydraulics import ORGANIC_DENSITY, PARTICLE_DENSITY, cosby_b
from ..scaler import ASINH, LOG, Scaler

CORRECTION = 0.7
"""Largest log-correction of the diffusivity (a factor of 2)."""

NON_NEGATIVE = ("snw", "snd", "ch4prod")


def exponent_b(known: Mapping[str, Tensor]) -> Tensor:
    """Exponent b of Clapp & Hornberger [1] from ``clay`` [%], ``soc`` [g kg-1] and ``phi`` [1]."""
    organic = (known["soc"] * 1e-3 * PARTICLE_DENSITY * (1 - known["phi"]) / ORGANIC_DENSITY).clamp(0, 1)
    return (1 - organic) * cosby_b(known["clay"]) + organic * 2.7


def diffusivity(known: Mapping[str, Tensor], model: str) -> Tensor:
    """Effective diffusivity of CH4 in the top soil [m2 s-1], (time, cell), of the relation called ``model``."""
    air = physics.air_filled_porosity(known["phi"], known["swc05"], known["tsl05"])
    free_air = physics.free_air_diffusivity(known["tsl05"].clamp(*variables.get("tsl05").valid), known["ps"])
    return physics.soil_diffusivity(known["phi"], air, exponent_b(known), free_air, model)


def to_physical(name: str, raw: Tensor, known: Mapping[str, Tensor], scaler: Scaler, model: str) -> Tensor:
    """Variable ``name`` in physical units from the raw output ``raw``, same shape.

    ``known`` holds drivers, statics and earlier outputs in physical units, shapes that broadcast to ``raw``.
    """
    if name.startswith("swc"):
        return known["phi"] * torch.sigmoid(raw)
    if name == "difs":
        return diffusivity(known, model) * torch.exp(CORRECTION * torch.tanh(raw))
    highest = variables.get(name).valid[1]
    if name == "oxk":
        return torch.exp(scaler.bent(name, raw).clamp(math.log(LOG[name]), math.log(highest)))
    if name in NON_NEGATIVE:
        bent = functional.softplus(scaler.bent(name, raw))
        return ASINH[name] * torch.sinh(bent.clamp_max(math.asinh(highest / ASINH[name])))
    return scaler.unscale(name, raw)
