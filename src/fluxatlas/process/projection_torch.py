"""Values adjusted to obey linear balances exactly, each moved by as much as it is uncertain; differentiable."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def project(
    values: Tensor, variances: Tensor, balances: Sequence[Sequence[float]], total: Tensor | None = None
) -> Tensor:
    """The ``x`` nearest to ``values`` that obeys ``A x = total``, distances counted in standard deviations.

    ``values`` and ``variances`` (> 0) (..., n), ``balances`` the m rows of A (m, n), independent of each other;
    ``total`` (..., m), by default 0. It is the constrained least-squares estimate
    ``x = v - V A' (A V A')^-1 (A v - total)``, V the diagonal matrix of ``variances``. Several balances need an m by m
    solution for each element.
    """
    rows = values.new_tensor(balances)
    left = values @ rows.T - (0.0 if total is None else total)
    weighted = variances[..., None, :] * rows  # (..., m, n)
    if len(rows) == 1:
        scale = (weighted * rows).sum(dim=-1)
        return values - weighted[..., 0, :] * (left / scale)
    solved = torch.linalg.solve(weighted @ rows.T, left[..., None])[..., 0]
    return values - (solved[..., None, :] @ weighted)[..., 0, :]
