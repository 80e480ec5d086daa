"""Soil heat: implicit conduction over layers to 8 m with freezing and thawing.

The unknown is temperature [degC]; the latent heat of the soil's water is spread over -1..0 degC, so that heat
content is a monotone, piecewise linear function of temperature. A day is one backward Euler step. Where no layer
crosses a kink of that function one tridiagonal solve is exact; elsewhere the nested Newton iteration of Brugnano &
Casulli (2008, doi:10.1137/070695216) [R] ends in finitely many solves. Either way the heat content changes by
exactly what flows in. Water that moves takes the temperature of the layer it enters; advected heat is not modelled.

Conductivity: Johansen (1975) after Peters-Lidard et al. (1998) [R+], with the ice-saturated and water-saturated
values mixed linearly. Surface temperature: air temperature plus an offset by sensible heat, net radiation and leaves,
of either sign [D], at most 0 degC under snow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from ._vector import INNER, KERNEL, clip, exp, formula, log, maximum, minimum, where
from .snow import snow_conductivity, snow_cover

INTERFACES = np.array([0.0, 0.02, 0.04, 0.10, 0.20, 0.30, 0.50, 1.00, 2.00, 4.00, 8.00])
"""Depth of the layer interfaces [m]: 3 and 7 cm straddle 5 cm, 15 cm is a centre, 40 and 75 cm straddle 45 cm."""
THICKNESS = np.diff(INTERFACES)
CENTRES = INTERFACES[:-1] + THICKNESS / 2
LAYERS = THICKNESS.size

SETTLED = 5
"""Layer (30-50 cm) whose annual mean the deeper ones take during a spin-up."""

HEAT_WATER, HEAT_ICE = 4.188e6, 1.94e6  # J m-3 K-1, per volume of water equivalent for ice
LATENT = 3.337e8  # J m-3 of water
FREEZING_RANGE = 1.0  # K below 0 degC over which water freezes
LITTER_CONDUCTIVITY = 0.15  # W m-1 K-1
DAY = 86400.0


@formula
def liquid_share(celsius: Any) -> Any:
    """Share of the soil water that is liquid [1] at a temperature [degC]."""
    return clip(celsius / FREEZING_RANGE + 1.0, 0.0, 1.0)


@formula
def soil_conductivity(theta: Any, liquid: Any, phi: Any, dry: Any, wet: Any, icy: Any, kersten: Any) -> Any:
    """Thermal conductivity [W m-1 K-1] of a soil with water content ``theta`` [1], of which a share is ``liquid``.

    ``dry``, ``wet``, ``icy`` are the conductivities dry, saturated with water and with ice; ``kersten`` is the
    slope of the Kersten number against log10 of the saturation.
    """
    saturation = clip(theta / phi, 1e-3, 1.0)
    thawed = maximum(kersten * 0.4342944819032518 * log(saturation) + 1.0, 0.0)
    return dry + liquid * thawed * (wet - dry) + (1.0 - liquid) * saturation * (icy - dry)


@formula
def heat_capacity(theta: Any, liquid: Any, solid: Any) -> Any:
    """Volumetric heat capacity [J m-3 K-1] without latent heat."""
    return solid + theta * (liquid * HEAT_WATER + (1.0 - liquid) * HEAT_ICE)


@formula
def surface_temperature(
    celsius: Any, radiation: Any, sensible: Any, lai: Any, snw: Any, warming: Any, cooling: Any, offset: Any
) -> Any:
    """Daily mean temperature of the surface [degC].

    What of the net ``radiation`` [W m-2] is not spent on evaporation, ``sensible`` [W m-2], warms open ground by
    ``warming`` against the air; under a closed canopy ``radiation`` cools it by ``cooling`` (both [K] per 100 W m-2):
    floors of forests are cooler than the air over them (De Frenne et al. 2019, doi:10.1038/s41559-019-0842-1) [R+].
    ``offset`` [K] is what else a place has, such as slope. Snow hides all three.
    """
    open_sky = exp(-0.5 * lai)
    bare = celsius + offset + (warming * sensible * open_sky - cooling * radiation * (1.0 - open_sky)) / 100.0
    covered = snow_cover(snw)
    return (1.0 - covered) * bare + covered * minimum(celsius, 0.0)


@formula
def surface_conductance(snw: Any, density: Any, litter: Any, first: Any) -> Any:
    """Conductance [W m-2 K-1] from the surface to the centre of the first layer, of conductivity ``first``."""
    snow = snw / density / snow_conductivity(density)
    return 1.0 / (snow + litter / LITTER_CONDUCTIVITY + 0.5 * THICKNESS[0] / first)


def initial_temperature(tas: npt.NDArray[Any], depths: npt.NDArray[Any] = CENTRES) -> npt.NDArray[np.float64]:
    """Temperature [degC], shape (layer, N), on the first day: mean and damped annual wave of ``tas`` [K], shape (T,
    N).
    """
    year = np.asarray(tas[:365], float) - 273.15
    mean = year.mean(axis=0)
    angle = 2 * np.pi * np.arange(year.shape[0]) / 365.0
    wave = 2 * (year * np.exp(-1j * angle)[:, None]).mean(axis=0) if year.shape[0] >= 360 else 0 * mean
    damped = np.exp(-depths / 2.2 * (1 + 1j))[:, None] * wave
    return mean + damped.real


def settle_depths(temperature: npt.NDArray[np.float64], mean: npt.NDArray[np.float64]) -> None:
    """Bring layers below :data:`SETTLED` to the annual mean of that layer, in place; both (layer, N) [degC].

    No heat flows through the bottom, so in a steady climate none flows through any depth over a year, and the annual
    mean is the same at all depths that do not freeze. The 8 m of the column would take decades to find that mean by
    conduction; the annual wave of each layer stays.
    """
    temperature[SETTLED + 1 :] += mean[SETTLED] - mean[SETTLED + 1 :]


@njit(**INNER)
def heat_coefficients(n, temperature, water, soil, factor, capacity, latent, resistance):  # type: ignore[no-untyped-def]
    """Heat capacity and latent heat [J m-2 K-1, J m-2] of each layer and half its resistance [m2 K W-1]."""
    for layer in range(LAYERS):
        dz = THICKNESS[layer]
        for i in range(n):
            theta = water[layer, i]
            liquid = liquid_share(temperature[layer, i])
            lam = factor[i] * soil_conductivity(
                theta, liquid, soil.phi[i], soil.lam_dry[i], soil.lam_wet[i], soil.lam_ice[i], soil.kersten[i]
            )
            capacity[layer, i] = heat_capacity(theta, liquid, soil.heat_solid[i]) * dz
            latent[layer, i] = LATENT * theta * dz
            resistance[layer, i] = 0.5 * dz / lam


@njit(**KERNEL)
def heat_step(n, surface, conductance, temperature, capacity, latent, resistance, work, residual):  # type: ignore[no-untyped-def]
    """One day of conduction for ``n`` cells; updates ``temperature`` [degC] of shape (layer, N) in place.

    ``surface`` [degC] and ``conductance`` [W m-2 K-1] are the upper boundary; no heat flows through the bottom.
    ``work`` holds 5 * layers + 1 rows; ``residual`` [J m-2] receives heat gained minus heat that flowed in.
    """
    g, slope, upper, new = (
        work[: LAYERS + 1],
        work[LAYERS + 1 : 2 * LAYERS + 1],
        work[2 * LAYERS + 1 :],
        work[3 * LAYERS + 1 : 4 * LAYERS + 1],
    )
    thawed = work[4 * LAYERS + 1 : 5 * LAYERS + 1]
    for i in range(n):
        g[0, i] = conductance[i] * DAY
        g[LAYERS, i] = 0.0
    for layer in range(1, LAYERS):
        for i in range(n):
            g[layer, i] = DAY / (resistance[layer - 1, i] + resistance[layer, i])
    for layer in range(LAYERS):
        for i in range(n):
            t = temperature[layer, i]
            inside = where(t > -FREEZING_RANGE, where(t < 0.0, 1.0, 0.0), 0.0)
            slope[layer, i] = capacity[layer, i] + inside * latent[layer, i] / FREEZING_RANGE
    for i in range(n):
        pivot = 1.0 / (slope[0, i] + g[0, i] + g[1, i])
        upper[0, i] = g[1, i] * pivot
        new[0, i] = (slope[0, i] * temperature[0, i] + g[0, i] * surface[i]) * pivot
    for layer in range(1, LAYERS):
        for i in range(n):
            pivot = 1.0 / (slope[layer, i] + g[layer + 1, i] + g[layer, i] * (1.0 - upper[layer - 1, i]))
            upper[layer, i] = g[layer + 1, i] * pivot
            new[layer, i] = (slope[layer, i] * temperature[layer, i] + g[layer, i] * new[layer - 1, i]) * pivot
    for layer in range(LAYERS - 2, -1, -1):
        for i in range(n):
            new[layer, i] += upper[layer, i] * new[layer + 1, i]
    for i in range(n):
        residual[i] = 0.0
    for layer in range(LAYERS):
        for i in range(n):
            t, u = temperature[layer, i], new[layer, i]
            crossed = ((t >= 0.0) != (u >= 0.0)) | ((t > -FREEZING_RANGE) != (u > -FREEZING_RANGE))
            residual[i] += where(crossed, 1.0, 0.0)
    for i in range(n):
        if residual[i] > 0.0:
            _solve_with_kinks(i, g, surface[i], temperature, capacity, latent, new, upper, slope, thawed)
    for i in range(n):
        residual[i] = -g[0, i] * (surface[i] - new[0, i])
    for layer in range(LAYERS):
        for i in range(n):
            t, u = temperature[layer, i], new[layer, i]
            residual[i] += capacity[layer, i] * (u - t) + latent[layer, i] * (liquid_share(u) - liquid_share(t))
            temperature[layer, i] = u


@njit(**INNER)
def _solve_with_kinks(i, g, surface, temperature, capacity, latent, new, upper, thawing, thawed):  # type: ignore[no-untyped-def]
    """Nested Newton solution of one cell in which a layer starts or ends freezing; writes ``new[:, i]``.

    ``thawing`` and ``thawed`` tell whether a layer is above the lower (-1 degC) and the upper kink (0 degC).
    """
    thawed[:, i] = 0.0
    for _outer in range(3 * LAYERS):
        thawing[:, i] = 1.0
        for _inner in range(3 * LAYERS):
            for layer in range(LAYERS):
                heat = latent[layer, i] / FREEZING_RANGE
                t = temperature[layer, i]
                slope = capacity[layer, i] + heat * (thawing[layer, i] - thawed[layer, i])
                right = (
                    capacity[layer, i] * t + latent[layer, i] * liquid_share(t) - latent[layer, i] * thawing[layer, i]
                )
                pivot = slope + g[layer, i] + g[layer + 1, i]
                if layer == 0:
                    right += g[0, i] * surface
                else:
                    right += g[layer, i] * new[layer - 1, i]
                    pivot -= g[layer, i] * upper[layer - 1, i]
                upper[layer, i] = g[layer + 1, i] / pivot
                new[layer, i] = right / pivot
            for layer in range(LAYERS - 2, -1, -1):
                new[layer, i] += upper[layer, i] * new[layer + 1, i]
            changed = False
            for layer in range(LAYERS):
                now = 1.0 if new[layer, i] > -FREEZING_RANGE or thawed[layer, i] > 0.0 else 0.0
                changed = changed or now != thawing[layer, i]
                thawing[layer, i] = now
            if not changed:
                break
        changed = False
        for layer in range(LAYERS):
            now = 1.0 if new[layer, i] > 0.0 else 0.0
            changed = changed or now != thawed[layer, i]
            thawed[layer, i] = now
        if not changed:
            break
