"""What is special about the network of net ecosystem exchange: the balance of its head and bounds of soil water.

``gpp`` and ``reco`` cannot be negative by the form that the variable table gives them; ``nee`` is their difference.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..protocols import Head, NetworkParts
from ..soil_water import water
from . import knowledge


def balance(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``nee = reco - gpp`` [g m-2 d-1], positive to the atmosphere."""
    return {"nee": known["reco"] - known["gpp"]}


PARTS = NetworkParts(
    heads={"balance": Head(balance, reads=("gpp", "reco"), makes=("nee",))},
    bounds={"swc05": water, "swc15": water, "swc45": water},
    knowledge={
        "darkness": knowledge.darkness_term,
        "light": knowledge.light_term,
        "warmth": knowledge.warmth_term,
    },
)
