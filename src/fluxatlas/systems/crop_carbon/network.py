"""What is special about the network of crop carbon: its balance, the day of harvest, and bounds.

| output | form |
|---|---|
| ``gpp``, ``ra``, ``rh`` | never negative, by the form that the variable table gives them |
| ``swc05``, ``swc15`` | between 0 and the porosity |
| ``harvest`` | on its day, a share of what plants fixed and did not respire, at most half of what they fixed |
| ``residue`` | the rest of it |

| head | |
|---|---|
| ``hard`` | ``nee = ra + rh - gpp``: closes by construction |
| ``soft`` | the soil's sub-module says by how much ``nee`` departs from that, and the term ``balance`` draws it to 0 |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..protocols import Head, NetworkParts
from . import knowledge
from .calendar import harvest_day

TYPICAL = -0.2
"""Raw share of the harvest at which the read-out begins, on the logit scale: 0.45."""
MOST = {"half": 0.5, "whole": 1.0}
"""Greatest harvest over the production of a season, by the option ``most_harvest``: a half, as in the methods section
and the code of the published method, or all of it, as in its results section."""

DEPARTURE = 0.05
"""Share of the respiration by which the exchange of the soft head departs where its raw output is 1."""


def harvest(known: Mapping[str, Tensor]) -> Tensor:
    """1 on the day of harvest of the crop of the year, else 0, (time, cell)."""
    day = harvest_day(known)
    return ((known["fieldday"] >= day) & (known["fieldday"] - 1.0 < day)).to(known["fieldday"].dtype)


def water(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Water content [1] between 0 and the porosity, half of the pores at 0."""
    return known["phi"] * torch.sigmoid(raw)


def harvested(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Carbon of the harvest [g m-2 d-1]: a share of what grew, at most :data:`MOST` of what was produced."""
    most = MOST[options.get("most_harvest", "half")] * known["produced"]
    return torch.minimum(known["grown"].clamp_min(0.0) * torch.sigmoid(raw + TYPICAL), most)


def left(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """Residue [g m-2 d-1]: what grew less the harvest."""
    return known["grown"].clamp_min(0.0) - known["harvest"]


def departing(raw: Tensor, known: Mapping[str, Tensor], scaler: Any, options: Mapping[str, str]) -> Tensor:
    """``nee`` [g m-2 d-1] whose respiration departs from that of plants and soil by ``raw`` times :data:`DEPARTURE`."""
    return (known["ra"] + known["rh"]) * (1.0 + DEPARTURE * raw) - known["gpp"]


def hard(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``reco = ra + rh`` and ``nee = reco - gpp`` [g m-2 d-1], positive to the atmosphere."""
    reco = known["ra"] + known["rh"]
    return {"reco": reco, "nee": reco - known["gpp"]}


def soft(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``reco = ra + rh``; ``nee`` as the network gives it."""
    return {"reco": known["ra"] + known["rh"], "nee": known["nee"]}


_READS, _MAKES = ("gpp", "ra", "rh"), ("reco", "nee")

PARTS = NetworkParts(
    heads={
        "hard": Head(hard, _READS, _MAKES),
        "soft": Head(soft, (*_READS, "nee"), _MAKES, outputs=("nee",)),
    },
    bounds={"swc05": water, "swc15": water, "harvest": harvested, "residue": left, "nee": departing},
    knowledge={
        "balance": knowledge.balance_term,
        "fallow": knowledge.fallow_term,
        "soil_carbon": knowledge.soil_carbon_term,
        "production": knowledge.production_term,
        "preserved": knowledge.preserved_term,
    },
    events={"harvest": harvest},
    checks={"balance": knowledge.is_open},
)
