"""What is special about the network of the soil methane sink: its heads and the bounds of its outputs.

| output | form |
|---|---|
| water content ``swc*`` | ``phi * sigmoid(f + s u)``, inside (0, phi): field capacity at u = 0 |
| head ``column``: ``difs``, ``oxk``, ``ch4prod`` | the methane column, times ``exp(c tanh(u))`` |
| others: diffusivity ``difs`` | soil diffusivity of water and temperature, times ``exp(0.7 tanh(u))`` |

``f`` is the logit of field capacity as a share of the porosity, ``s`` the step from there to wilting point (u = -1) or,
for u > 0, half that to saturation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ... import variables
from ...process import methane_column_torch as column
from ...process import methane_torch as physics
from ..protocols import Head, NetworkParts
from ..soil_water import water
from . import knowledge

CORRECTIONS = {"difs": 0.7, "oxk": 1.5, "ch4prod": 1.5}
"""Largest log-corrections: a factor of 2 for the diffusivity, of 4.5 for rates, which places differ in."""

AIR = ("ch4", "ps", "tas", "huss")


def diffusivity(known: Mapping[str, Tensor], model: str) -> Tensor:
    """Effective diffusivity of CH4 in the top soil [m2 s-1], (time, cell), of the relation called ``model``."""
    air = physics.air_filled_porosity(known["phi"], known["swc05"], known["tsl05"])
    free_air = physics.free_air_diffusivity(known["tsl05"].clamp(*variables.get("tsl05").valid), known["ps"])
    return physics.soil_diffusivity(known["phi"], air, column.retention(known).b, free_air, model)


def corrected_diffusivity(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """:func:`diffusivity` of the option ``diffusivity``, corrected by the network by a factor of two at most."""
    return diffusivity(known, options["diffusivity"]) * torch.exp(CORRECTIONS["difs"] * torch.tanh(raw))


def corrected_column(raw: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``difs``, ``oxk`` and ``ch4prod`` of the methane column, times the corrections ``exp(c tanh(raw))``; at most what
    the variable table allows."""
    made = {k: v * torch.exp(CORRECTIONS[k] * torch.tanh(raw[k])) for k, v in column.column(known).items()}
    return {name: values.clamp_max(variables.get(name).valid[1]) for name, values in made.items()}


def free(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """No physics: the last sub-module gives ``ch4ox`` itself, of either sign. An ablation, not for products."""
    return {"ch4ox": known["ch4ox"], "fch4": known["ch4prod"] - known["ch4ox"]}


PARTS = NetworkParts(
    heads={
        "column": Head(
            column.fluxes,
            (*AIR, *column.SERIES, *column.STATICS, *column.MADE),
            ("ch4ox", "fch4"),
            physics=corrected_column,
        ),
        "diffusion_oxidation": Head(column.fluxes, (*AIR, "snw", "snd", *column.MADE), ("ch4ox", "fch4")),
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
