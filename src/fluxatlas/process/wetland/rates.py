"""Formulas of methane in wetlands, written once for kernels and for NumPy.

Concentrations in mmol m-3 (the same number as umol L-1), rates in mmol m-3 h-1 or h-1, depths in m (positive down), the
water table ``h`` in m above the surface (negative below), temperatures in degC.
"""

from __future__ import annotations

from typing import Any

from .._vector import clip, exp, formula, maximum, minimum, where

REFERENCE = 20.0  # degC of the production rate
OXIDATION_REFERENCE = 12.0  # degC of the oxidation rate
GROWTH_SPAN = 10.0  # K from the first growth of plants to their full size
FULL_GROWTH = 4.0  # leaf area of full-grown plants in their transport
TORTUOSITY = 0.66
ROOT_DECAY = 0.1  # m over which organic matter decays below the roots
RICH = 2.0  # g m-2 d-1 of net primary production at which the supply of substrate is one
MOST = 3.0
"""Largest supply of substrate."""
LOG10 = 2.302585092994046


@formula
def q10(warming: Any, celsius: Any, reference: Any) -> Any:
    """A rate over that at ``reference``; ``warming`` is the logarithm of its Q10."""
    return exp(warming * (celsius - reference) * 0.1)


@formula
def supply(npp: Any, least: Any) -> Any:
    """Supply of fresh substrate [1] at a mean net primary production [g m-2 d-1 of carbon]; ``least`` without any
    [D]."""
    return minimum(least + (1.0 - least) * npp / RICH, MOST)


@formula
def productivity(rsds: Any, celsius: Any, lai: Any, light_use: Any) -> Any:
    """Net primary production [g m-2 d-1 of carbon] of absorbed light [D]: linear, with warmth up to 15 degC."""
    absorbed = 0.45 * 0.0864 * maximum(rsds, 0.0) * (1.0 - exp(-0.5 * lai))
    return light_use * absorbed * clip(celsius / 15.0, 0.0, 1.0)


@formula
def acidity(form: Any, ph: Any) -> Any:
    """Response of production to pH [1]: ``bounded`` (0) is the TEM form [R] with 4, 7 and 9.5 and at least 0.05 [D],
    ``clm`` (1) that of CLM4Me [L], at most one, ``tem`` (2) the form with 5.5, 7.5 and 9, zero in bogs [R]."""
    wide = (ph - 4.0) * (ph - 9.5)
    wide = where(wide < 0.0, maximum(wide / (wide - (ph - 7.0) * (ph - 7.0) - 1e-12), 0.05), 0.05)
    narrow = (ph - 5.5) * (ph - 9.0)
    narrow = where(narrow < 0.0, narrow / (narrow - (ph - 7.5) * (ph - 7.5) - 1e-12), 0.0)
    clm = minimum(exp(LOG10 * (-0.2235 * ph * ph + 2.7727 * ph - 8.6)), 1.0)
    return where(form == 0.0, wide, where(form == 1.0, clm, narrow))


@formula
def organic(depth: Any, roots: Any) -> Any:
    """Organic matter at ``depth`` [1]: one among the ``roots`` [m], decaying below."""
    return exp(-maximum(depth - roots, 0.0) / ROOT_DECAY)


@formula
def reduced(exposure: Any) -> Any:
    """Response of production to redox potential ``Eh = 300 - 550 exposure`` [mV]: 0 above -100, 1 below -200 [R]."""
    return clip(-0.01 * (300.0 - 550.0 * exposure) - 1.0, 0.0, 1.0)


@formula
def rooted(depth: Any, roots: Any) -> Any:
    """Density of roots that carry gas at ``depth`` [1], with a mean of one over the ``roots`` [m]."""
    return maximum(2.0 * (1.0 - depth / roots), 0.0)


@formula
def growth(celsius: Any, start: Any) -> Any:
    """Size of the plants [1] at a soil temperature of 50 cm, from ``start`` [degC] on."""
    lack = 1.0 - clip((celsius - start) / GROWTH_SPAN, 0.0, 1.0)
    return FULL_GROWTH * (1.0 - lack * lack)


@formula
def saturated(h: Any, top: Any, thickness: Any) -> Any:
    """Share of a layer that lies under the water table [1], from its ``top`` [m]."""
    return clip((top + thickness + h) / thickness, 0.0, 1.0)


@formula
def water_diffusivity(celsius: Any) -> Any:
    """Diffusivity of methane in water [m2 s-1], cold water as at 0 degC."""
    t = maximum(celsius, 0.0)
    return (0.9798 + 0.02986 * t + 0.0004381 * t * t) * 1e-9


@formula
def air_diffusivity(celsius: Any) -> Any:
    """Diffusivity of methane in air [m2 s-1]."""
    return (0.1875 + 0.0013 * celsius) * 1e-4


@formula
def layer_resistance(share: Any, celsius: Any, pores: Any, thickness: Any) -> Any:
    """Resistance of a layer [s m-1], ``share`` of it under water and above it ``pores`` [1] filled with air."""
    wet, dry = water_diffusivity(celsius), pores * air_diffusivity(celsius)
    return thickness / TORTUOSITY * (share / wet + (1.0 - share) / dry)


@formula
def air_concentration(ch4: Any, ps: Any, kelvin: Any) -> Any:
    """Methane in the air [mmol m-3] from its mole fraction ``ch4`` [1e-9] and pressure [Pa]; 0.076 at 1800e-9."""
    return 1e-6 * ch4 * ps / (8.314462618 * kelvin)


@formula
def lumped_flux(celsius: Any, h: Any, rate: Any, warming: Any, depth: Any) -> Any:
    """The lumped flux in the unit of ``rate``, that at 15 degC and full soil; zero in frozen soil [D]."""
    return where(celsius > 0.0, rate * q10(warming, celsius, 15.0) * exp(minimum(h, 0.0) / depth), 0.0)


@formula
def water_height(stored: Any, pores: Any) -> Any:
    """Height of the water table [m] from water ``stored`` above that of a table at the surface [mm], and ``pores``, the
    specific yield [1]."""
    return 1e-3 * where(stored < 0.0, stored / pores, stored)


@formula
def outflow(h: Any, rate: Any, sill: Any) -> Any:
    """Water that leaves [mm d-1]: slowly above 30 cm below the surface, fast above the ``sill`` [m]."""
    high = maximum(h + 0.3, 0.0)
    return 1000.0 * rate * high * high + 500.0 * maximum(h - sill, 0.0)
