"""Snow by the degree-day method: amount, density, thickness and thermal conductivity.

Phase and melt after the degree-day tradition [R], settling [D], compaction under its own weight in the form of
Anderson (1976) as Essery et al. (2013, doi:10.1016/j.advwatres.2012.07.013) give it [V], conductivity Yen (1981)
[R+]. Snow holds no liquid water: rain passes through, melt leaves at once. Above :data:`GREATEST` the surplus leaves as
runoff, so that glaciers stay finite.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from ._vector import INNER, clip, exp, formula, log, maximum, minimum, power, where

GREATEST = 3000.0  # kg m-2 of snow that can lie
GREATEST_DENSITY = 550.0  # kg m-3: firn, beyond which grains do not slide any more [R]
STIFF_BY_DENSITY, STIFF_BY_COLD = 0.018, 0.081  # m3 kg-1, K-1: growth of the logarithm of viscosity [V]
GRAVITY = 9.81  # m s-2
PATCHY = 10.0  # kg m-2 at which half of the ground is covered


@formula
def snowfall_share(celsius: Any, below: Any, above: Any) -> Any:
    """Share of the precipitation that falls as snow [1], linear between two air temperatures [degC]."""
    return clip((above - celsius) / (above - below), 0.0, 1.0)


@formula
def snow_cover(snw: Any) -> Any:
    """Share of the ground under snow [1] from its amount [kg m-2]."""
    return snw / (snw + PATCHY)


@formula
def snow_conductivity(density: Any) -> Any:
    """Thermal conductivity [W m-1 K-1] from density [kg m-3]."""
    return 2.22 * power(density / 1000.0, 1.88)


@formula
def compacted_density(density: Any, snw: Any, celsius: Any, viscosity: Any) -> Any:
    """Density [kg m-3] after a day under the mean weight of ``snw`` [kg m-2] at air temperature ``celsius``.

    Solves ``d density / dt = density g snw / (2 eta)`` with ``eta = viscosity exp(0.018 density - 0.081 T)`` and
    ``viscosity`` in Pa s, the factor before the exponential held for the day: stable for any weight. Snow is taken to
    be as cold as the air and no warmer than 0 degC.
    """
    stiff = viscosity * exp(-STIFF_BY_COLD * minimum(celsius, 0.0))
    strain = density * 0.5 * GRAVITY * snw / stiff * 86400.0
    grown = log(exp(STIFF_BY_DENSITY * density) + STIFF_BY_DENSITY * strain) / STIFF_BY_DENSITY
    return maximum(density, minimum(grown, GREATEST_DENSITY))


@njit(**INNER)
def snow_step(n, pr, tas, snw, density, p, rain, melt, calved):  # type: ignore[no-untyped-def]
    """One day of snow for ``n`` cells, in place.

    Reads precipitation ``pr`` [kg m-2 s-1] and air temperature ``tas`` [K]; updates ``snw`` [kg m-2] and ``density``
    [kg m-3]; writes ``rain``, ``melt`` and ``calved`` [kg m-2 d-1].
    """
    for i in range(n):
        celsius = tas[i] - 273.15
        precipitation = pr[i] * 86400.0
        fallen = precipitation * snowfall_share(celsius, p.snow_below[i], p.rain_above[i])
        rain[i] = precipitation - fallen
        slack = maximum(p.snow_max_density[i] - density[i], 0.0)
        settled = density[i] + slack * (1.0 - exp(-p.snow_settling[i]))
        settled = compacted_density(settled, snw[i], celsius, p.snow_viscosity[i])
        lying = snw[i] + fallen
        volume = snw[i] / settled + fallen / p.snow_fresh_density[i]
        density[i] = where(lying > 0.0, lying / maximum(volume, 1e-30), p.snow_fresh_density[i])
        melt[i] = minimum(lying, p.melt_factor[i] * maximum(celsius, 0.0))
        left = lying - melt[i]
        calved[i] = maximum(left - GREATEST, 0.0)
        snw[i] = left - calved[i]
