"""Process models of soil heat, water and methane: pure functions of arrays.

``simulate`` runs the coupled column, ``simulate_soil`` its heat and water alone, ``methane_under`` its last part under
measured soil profiles, ``soil_properties`` turns texture, carbon and density into soil properties, ``parameters`` is
the table of parameters, ``MethaneStructure`` names the structural choices. The differentiable column of the
network's physical head is :mod:`fluxatlas.process.methane_column_torch`, with its pieces in
:mod:`fluxatlas.process.methane_torch`; they alone import torch.

What is compiled by numba is imported when it is first asked for, so that the names of the choices cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .choices import CHOICES

if TYPE_CHECKING:
    from . import parameters
    from .blocks import SimulationResult
    from .column import ColumnState, simulate, simulate_soil
    from .hydraulics import soil_properties
    from .profiles import methane_under
    from .structure import MethaneStructure

__all__ = [
    "CHOICES",
    "ColumnState",
    "MethaneStructure",
    "SimulationResult",
    "methane_under",
    "parameters",
    "simulate",
    "simulate_soil",
    "soil_properties",
]

_HOMES = {
    "SimulationResult": "blocks",
    "ColumnState": "column",
    "MethaneStructure": "structure",
    "methane_under": "profiles",
    "simulate": "column",
    "simulate_soil": "column",
    "soil_properties": "hydraulics",
}


def __getattr__(name: str) -> Any:
    """The object called ``name`` from the module that holds it."""
    if name == "parameters":
        return import_module(".parameters", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
