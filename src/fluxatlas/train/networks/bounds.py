"""From the raw output of a sub-module to a physical quantity that cannot leave its bounds.

A system may bring a form of its own (:class:`~fluxatlas.systems.protocols.NetworkParts`). Otherwise the variable table
decides, by the transform that the scaler uses:

| transform | form |
|---|---|
| ``asinh`` of a variable that cannot be negative | ``c * sinh(w * softplus((mean + spread * u) / w))``, never below 0 |
| ``log`` | ``exp(mean + spread * u)`` |
| others | ``mean + spread * u`` |

The bend to zero has the width ``w`` of the spread, at most 1: snow that hardly ever falls has a spread of 0.002, and a
bend of width 1 would put every day hundreds of spreads above it, into the loss and into the sub-modules that read it.

Upper limits are those of the variable table, so that an extrapolating network cannot overflow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ... import variables
from ..scaler import Scaler


def to_physical(name: str, raw: Tensor, scaler: Scaler) -> Tensor:
    """Variable ``name`` in physical units from the raw output ``raw``, same shape."""
    row = variables.get(name)
    kind, constant = row.transform or ("", 1.0)
    highest = row.valid[1]
    if kind == "log":
        return torch.exp(scaler.bent(name, raw).clamp(math.log(constant), math.log(highest)))
    if kind == "asinh" and row.valid[0] >= 0:
        width = scaler.spread[scaler.position[name]].clamp_max(1.0)
        bent = width * functional.softplus(scaler.bent(name, raw) / width)
        return constant * torch.sinh(bent.clamp_max(math.asinh(highest / constant)))
    return scaler.unscale(name, raw)
