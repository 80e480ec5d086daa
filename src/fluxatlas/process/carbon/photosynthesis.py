"""Gross primary production by light-use efficiency, in three published forms, and what limits it.

- ``pmodel``: the P-model of Prentice et al. (2014) and Wang et al. (2017) with the numbers of Stocker et al. (2020,
  doi:10.5194/gmd-13-1545-2020) [R+]: optimal ratio of inner to outer CO2, light and electron transport co-limited; a
  ramp for cold is ours [D].
- ``modis``: the efficiency of MOD17 (Running et al. 2004, doi:10.1641/0006-3568(2004)054[0547:ACSMOG]2.0.CO;2) [R+], a
  maximum times ramps of temperature and vapour pressure deficit, with a logarithmic response to CO2 [D].
- ``saturating``: the same with an efficiency that falls with light (Makela et al. 2008,
  doi:10.1111/j.1365-2486.2007.01463.x) [R+].

All use an *acclimated* temperature, which follows the air with a delay of days (Makela et al. 2008). Temperatures in
degC, pressures in Pa.
"""

from __future__ import annotations

from typing import Any

from .._vector import clip, exp, formula, log, maximum, minimum, sqrt, where

PAR_SHARE = 0.48
"""Photosynthetically active share of the energy of sunlight [1]."""
MOL_PER_MJ = 4.57
"""Photons [mol] in a megajoule of it [R+]."""
CARBON = 12.011  # g mol-1
WATTS_TO_MJ = 0.0864  # MJ m-2 d-1 per W m-2
LEAST_DEFICIT = 30.0  # Pa
REFERENCE_LIGHT = 5.0
"""Absorbed light [MJ m-2 d-1] at which the saturating form has the efficiency of the other."""


@formula
def absorbed_share(lai: Any, extinction: Any) -> Any:
    """Share of the light that leaves absorb [1] by the law of Beer."""
    return 1.0 - exp(-extinction * lai)


@formula
def ramp(x: Any, low: Any, high: Any) -> Any:
    """0 below ``low``, 1 above ``high``, straight between."""
    return clip((x - low) / (high - low), 0.0, 1.0)


@formula
def arrhenius(celsius: Any, energy: Any) -> Any:
    """Rate relative to 25 degC [1] for an activation ``energy`` [J mol-1]."""
    return exp(energy * (celsius - 25.0) / (298.15 * 8.314 * (celsius + 273.15)))


@formula
def compensation_point(celsius: Any, ps: Any) -> Any:
    """Photorespiratory compensation point [Pa] of Bernacchi et al. (2001)."""
    return 4.332 * ps / 101325.0 * arrhenius(celsius, 37830.0)


@formula
def michaelis_menten(celsius: Any, ps: Any) -> Any:
    """Effective Michaelis-Menten coefficient of Rubisco [Pa] of Bernacchi et al. (2001)."""
    return 39.97 * arrhenius(celsius, 79430.0) * (1.0 + 0.209476 * ps / (27480.0 * arrhenius(celsius, 36380.0)))


@formula
def viscosity(celsius: Any) -> Any:
    """Viscosity of water relative to 25 degC [1], equation of Vogel."""
    return exp(578.919 / (celsius + 135.604) - 578.919 / 160.604)


@formula
def inner_co2(celsius: Any, ps: Any, ca: Any, deficit: Any, cost: Any) -> Any:
    """Optimal CO2 inside leaves [Pa] for ``ca`` [Pa] outside, a vapour pressure ``deficit`` [Pa] and the ratio of the
    ``cost`` of carboxylation to that of transpiration at 25 degC [1]."""
    gamma = compensation_point(celsius, ps)
    slope = sqrt(cost * (michaelis_menten(celsius, ps) + gamma) / (1.6 * viscosity(celsius)))
    return gamma + (ca - gamma) * slope / (slope + sqrt(deficit))


@formula
def colimited(inner: Any, gamma: Any) -> Any:
    """Assimilation per electron transport when both limits are equal and electron transport has its cost [1]."""
    m = maximum((inner - gamma) / (inner + 2.0 * gamma), 1e-6)
    return m * sqrt(maximum(1.0 - exp(2.0 / 3.0 * log(0.41 / m)), 0.0))


@formula
def quantum_yield(celsius: Any) -> Any:
    """Quantum yield relative to its factor [1] of Bernacchi et al. (2003)."""
    return maximum(0.352 + 0.022 * celsius - 0.00034 * celsius * celsius, 0.0)


@formula
def pmodel(light: Any, celsius: Any, ps: Any, co2: Any, deficit: Any, factor: Any, cost: Any) -> Any:
    """Production [g m-2 d-1 of carbon] of absorbed ``light`` [MJ m-2 d-1]; ``co2`` in 1e-6."""
    warm = clip(celsius, -20.0, 55.0)
    inner = inner_co2(warm, ps, co2 * 1e-6 * ps, deficit, cost)
    return light * MOL_PER_MJ * CARBON * factor * quantum_yield(warm) * colimited(inner, compensation_point(warm, ps))


@formula
def modis(
    light: Any, celsius: Any, co2: Any, deficit: Any, lue: Any, cold: Any, full: Any, heat: Any, dry: Any, least: Any
) -> Any:
    """Production [g m-2 d-1 of carbon] with the greatest efficiency ``lue`` [g MJ-1], limited below ``full`` down to
    ``cold``, above ``heat`` (none 12 K further) and with the deficit above ``least`` (a tenth at ``dry``)."""
    warmth = ramp(celsius, cold, full) * (1.0 - ramp(celsius, heat, heat + 12.0))
    return light * lue * warmth * maximum(1.0 - ramp(deficit, least, dry), 0.1) * co2


@formula
def co2_response(co2: Any, sensitivity: Any) -> Any:
    """Factor 1 at 400e-6 that grows by ``sensitivity`` per unit of the logarithm of ``co2`` [1e-6]."""
    return maximum(1.0 + sensitivity * log(co2 / 400.0), 0.1)


@formula
def saturation(light: Any, curvature: Any) -> Any:
    """Factor of the efficiency that falls with ``light`` [MJ m-2 d-1], 1 at :data:`REFERENCE_LIGHT`."""
    return (1.0 + curvature * REFERENCE_LIGHT) / (1.0 + curvature * light)


@formula
def drought_ramp(reach: Any, threshold: Any) -> Any:
    """Straight from 0 without available water to 1 at ``threshold`` of ``reach``."""
    return minimum(reach / threshold, 1.0)


@formula
def drought_parabola(reach: Any, threshold: Any, floor: Any) -> Any:
    """Stocker et al. (2020): a parabola from ``floor`` without available water to 1 at ``threshold``."""
    lack = maximum(threshold - reach, 0.0) / threshold
    return 1.0 - (1.0 - floor) * lack * lack


@formula
def season_index(tasmin: Any, hours: Any) -> Any:
    """Growing season of one day [1] by its least temperature and its length [h] (Jolly et al. 2005,
    doi:10.1111/j.1365-2486.2005.00930.x, without vapour pressure, which limits the efficiency) [R+]."""
    return ramp(tasmin, -2.0, 5.0) * ramp(hours, 10.0, 11.0)


@formula
def chosen(code: Any, first: Any, second: Any, third: Any) -> Any:
    """The form of a structural choice."""
    return where(code == 0, first, where(code == 1, second, third))
