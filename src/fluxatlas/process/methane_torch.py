"""The closed-form pieces of the methane model as differentiable torch functions, for the network's physical head.

Same formulas and units as :mod:`fluxatlas.process.methane`, whose constants they share; a parity test keeps the two
equal. All arguments are tensors that broadcast; gradients are finite everywhere the physics is defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .evapotranspiration import vapour_pressure
from .heat import FREEZING_RANGE
from .methane import (
    GAS_CONSTANT,
    ICE_DENSITY,
    LEAST_DIFFUSIVITY,
    MOLAR_MASS,
    STANDARD_PRESSURE,
    WATER_OVER_ICE,
)
from .structure import code

DAY = 86400.0


def air_concentration(ch4: Tensor, ps: Tensor, tas: Tensor, huss: Tensor) -> Tensor:
    """CH4 of moist air [mg m-3] from the dry mole fraction [1e-9], pressure [Pa], temperature [K] and humidity [1]."""
    vapour = vapour_pressure(huss, ps)
    return ch4 * 1e-6 * MOLAR_MASS * (ps - vapour) / (GAS_CONSTANT * tas)


def free_air_diffusivity(tas: Tensor, ps: Tensor) -> Tensor:
    """CH4 in air [m2 s-1] (Massman 1998) from temperature [K] and pressure [Pa]."""
    return 1.952e-5 * (tas / 273.15) ** 1.81 * (STANDARD_PRESSURE / ps)


def liquid_share(tsl: Tensor) -> Tensor:
    """Share of the soil water that is liquid [1] at a soil temperature [K]."""
    return ((tsl - 273.15) / FREEZING_RANGE + 1.0).clamp(0.0, 1.0)


def air_filled_porosity(phi: Tensor, swc: Tensor, tsl: Tensor) -> Tensor:
    """Air-filled pore space [1] from porosity, water and ice content [1] and soil temperature [K]."""
    liquid = liquid_share(tsl)
    return (phi - swc * (liquid + WATER_OVER_ICE * (1.0 - liquid))).clamp_min(0.0)


def soil_diffusivity(phi: Tensor, eps: Tensor, b: Tensor, free_air: Tensor, model: str = "curry") -> Tensor:
    """CH4 in soil [m2 s-1] by one of the diffusivity models that depend on pore space alone (all but ``tem``).

    ``phi`` and ``eps`` porosity and air-filled porosity [1], ``b`` exponent of the retention curve [1],
    ``free_air`` [m2 s-1].
    """
    number = code("diffusivity", model)  # refuses an unknown name
    if model == "tem":
        raise InputError("the diffusivity model 'tem' depends on texture", hint="choose one that depends on pore space")
    factor, exponent = diffusivity_coefficients(torch.full_like(phi, number), phi, b, phi, phi)
    return (factor * eps.clamp_min(1e-6) ** exponent * free_air).clamp_min(LEAST_DIFFUSIVITY)


def diffusivity_coefficients(
    codes: Tensor, phi: Tensor, b: Tensor, sand: Tensor, clay: Tensor
) -> tuple[Tensor, Tensor]:
    """Factor A and exponent n of the relative diffusivity ``A eps^n``, all of one shape; see
    :func:`fluxatlas.process.methane.diffusivity_coefficients`."""
    one, per_b = torch.ones_like(phi), 3.0 / b
    texture = 0.66 * (0.45 * sand + 0.14 * clay + 0.20 * (100.0 - sand - clay)) / 100.0
    factor = [phi ** (4 / 3 - 1.5 - per_b), phi**-2.0, phi**-0.5, phi**-per_b, one, 0.66 * one, 0.9 * one, texture]
    exponent = [1.5 + per_b, one * (10 / 3), 2.5 * one, 2.0 + per_b, one * (4 / 3), one, 2.3 * one, 0.0 * one]
    return choose(codes, factor), choose(codes, exponent)


def choose(codes: Tensor, forms: Sequence[Tensor]) -> Tensor:
    """The value of ``forms[code]`` of each cell; ``codes`` broadcast to their shape."""
    values = torch.stack(list(forms))
    return values.gather(0, codes.long().expand(values.shape[1:])[None])[0]


def snow_resistance(snw: Tensor, snd: Tensor, tas: Tensor, ps: Tensor) -> Tensor:
    """Resistance of snow to CH4 [s m-1] from amount [kg m-2], thickness [m], air temperature [K] and pressure [Pa].

    Exactly zero where ``snd`` is zero.
    """
    density = snw / snd.clamp_min(1e-6)
    porosity = (1.0 - density / ICE_DENSITY).clamp(0.05, 1.0)
    return snd / (free_air_diffusivity(tas.clamp_max(273.15), ps) * porosity ** (4 / 3))


def uptake(difs: Tensor, oxk: Tensor, c0: Tensor, resistance: Tensor) -> Tensor:
    """Uptake of atmospheric CH4 [mg m-2 d-1], positive into the soil: ``86400 c0 / (1 / sqrt(difs oxk) + resistance)``.

    ``difs`` [m2 s-1], ``oxk`` [s-1], ``c0`` [mg m-3], ``resistance`` [s m-1]; zero where ``difs oxk`` is zero.
    """
    speed = torch.sqrt((difs * oxk).clamp_min(1e-30))
    speed = torch.where(difs * oxk > 0.0, speed, torch.zeros_like(speed))
    return DAY * c0 * speed / (1.0 + resistance * speed)
