"""What is special about the network of wetland methane: its heads.

Whatever the head, the flux is what diffuses, what plants carry and what rises in bubbles, less what drained soil takes
from the air, and none of the four can be negative.

| head | the four parts |
|---|---|
| ``pathways`` | outputs of the network, with its memory |
| ``lumped`` | the lumped model without its memory of days, each part times ``exp(c tanh(u))`` |
| ``free`` | none: the network gives the flux itself, of either sign; an ablation, not for products |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...constants import FREEZING
from ...process.wetland.choices import BUBBLES, MILLIGRAMS, PLANTS
from ..protocols import Head, NetworkParts

PARTS_OF_FLUX = ("ch4wetdif", "ch4wetpla", "ch4wetebu", "ch4wetupt")
CORRECTION = 1.5
"""Largest log-correction of a part: a factor of 4.5."""
UPTAKE = 0.5
"""Uptake of drained soil [mg m-2 d-1] before correction [D]."""


def flux(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The flux from its four parts [mg m-2 d-1]."""
    gained = known["ch4wetdif"] + known["ch4wetpla"] + known["ch4wetebu"]
    return {"fch4wet": gained - known["ch4wetupt"]}


def lumped(raw: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parts of the lumped model of the soil at 15 cm and the water table, without memory, corrected."""
    celsius, h = known["tsl15"] - FREEZING, known["wth"].clamp_max(0.0)
    warm = torch.exp(torch.log(known["lumped_q10"]) * (celsius - 15.0) / 10.0)
    below = torch.exp(h / known["lumped_depth"])
    whole = MILLIGRAMS * known["lumped_rate"] * warm * below * (celsius > 0.0)
    shares = {"ch4wetdif": 1.0 - PLANTS - BUBBLES, "ch4wetpla": PLANTS, "ch4wetebu": BUBBLES}
    parts = {name: share * whole for name, share in shares.items()}
    parts["ch4wetupt"] = UPTAKE * (1.0 - below) * (celsius > 0.0)
    return {name: values * torch.exp(CORRECTION * torch.tanh(raw[name])) for name, values in parts.items()}


def free(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """No physics."""
    return {"fch4wet": known["fch4wet"]}


PARTS = NetworkParts(
    heads={
        "pathways": Head(flux, PARTS_OF_FLUX, ("fch4wet",)),
        "lumped": Head(flux, (*PARTS_OF_FLUX, "tsl15", "wth"), ("fch4wet",), physics=lumped),
        "free": Head(free, ("fch4wet",), ("fch4wet",), outputs=("fch4wet",)),
    }
)
