"""Process models of soil heat, water and methane: pure functions of arrays.

``simulate`` runs the coupled column, ``soil_properties`` turns texture, carbon and density into soil properties,
``parameters`` is the table of parameters, ``Structure`` names the structural choices. The differentiable pieces for the
network's physical head are in :mod:`fluxatlas.process.methane_torch`, which alone imports torch.
"""

from . import parameters
from .column import SimulationResult, State, simulate
from .hydraulics import soil_properties
from .structure import CHOICES, Structure

__all__ = ["CHOICES", "SimulationResult", "State", "Structure", "parameters", "simulate", "soil_properties"]
