"""Knowledge of crop carbon in physical units; every term is zero where it is obeyed.

After Liu et al. (2024, doi:10.1038/s41467-023-43860-5) as our science notes describe it.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu

from ..protocols import Probe

TOLERANCE = 0.01
"""Share of the respiration by which the balance may be open."""


def balance(gpp: Tensor, ra: Tensor, rh: Tensor, nee: Tensor) -> Tensor:
    """Mean of what is left of ``nee = ra + rh - gpp`` beyond :data:`TOLERANCE` of the respiration [g m-2 d-1]."""
    return relu((nee - (ra + rh - gpp)).abs() - TOLERANCE * (ra + rh)).mean()


def balance_term(probe: Probe) -> Tensor:
    """:func:`balance` of the batch."""
    made = probe.outputs
    return balance(made["gpp"], made["ra"], made["rh"], made["nee"])
