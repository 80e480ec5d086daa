"""Differentiable pieces of the methane model, until ``fluxatlas.process.methane_torch`` holds them."""

from __future__ import annotations

import torch
from torch import Tensor


def air_concentration(ch4: Tensor, ps: Tensor, tas: Tensor, huss: Tensor) -> Tensor:
    vapour = huss / (0.622 + 0.378 * huss)
    return ch4 * 1e-9 * ps * (1 - vapour) / (8.314462 * tas) * 16.043e3


def air_filled_porosity(phi: Tensor, swc: Tensor, tsl: Tensor) -> Tensor:
    frozen = torch.sigmoid((273.15 - tsl) / 0.5)
    return (phi - swc * (1 + frozen * (1000 / 917 - 1))).clamp_min(0)


def soil_diffusivity(phi: Tensor, eps: Tensor, b: Tensor, model: str) -> Tensor:
    assert model == "curry"
    return phi ** (4 / 3) * (eps / phi).clamp_min(1e-4) ** (1.5 + 3 / b)


def free_air_diffusivity(tas: Tensor, ps: Tensor) -> Tensor:
    return 0.1952e-4 * (tas / 273.15) ** 1.81 * 101325 / ps


def snow_resistance(snd: Tensor, snw: Tensor, tas: Tensor, ps: Tensor) -> Tensor:
    density = (snw / snd.clamp_min(1e-3)).clamp(50, 550)
    return snd / (free_air_diffusivity(tas, ps) * (1 - density / 917) ** (4 / 3))


def uptake(difs: Tensor, oxk: Tensor, c0: Tensor, resistance: Tensor) -> Tensor:
    return 86400 * c0 / (1 / torch.sqrt(difs * oxk) + resistance)
