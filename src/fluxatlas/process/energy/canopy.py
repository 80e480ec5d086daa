"""Radiation, stomata and evaporation of a canopy over soil, for daily means, written once for kernels and for NumPy.

Canopy and soil after PML-V2 (Zhang et al. 2019, doi:10.1016/j.rse.2018.12.031) [R+], interception after van Dijk &
Bruijnzeel (2001, doi:10.1016/S0022-1694(01)00392-4) [R], heat into the soil as a share of net radiation that leaves
shade [R]. Temperatures in degC, pressures in kPa, conductances in m s-1 unless the name says otherwise.
"""

from __future__ import annotations

from typing import Any

from .._vector import clip, exp, formula, log, maximum, minimum, where

GAS_CONSTANT = 287.05  # J kg-1 K-1, dry air
HEAT_CAPACITY = 1013.0  # J kg-1 K-1, moist air [R+]
KARMAN = 0.41
PAR = 0.45 * 4.57
"""Photosynthetically active light [umol m-2 s-1] per shortwave [W m-2]."""
REFERENCE = 10.0  # m above the canopy at which the wind is taken [D]
TOP, DEEP = 50.0, 950.0
"""Thickness of the two layers [mm]."""
SWITCH = 20.0
"""Available energy [W m-2] below which the evaporative fraction is taken of this much."""
LEAST_CONDUCTANCE = 1e-7  # m s-1, where stomata are closed


@formula
def latent_heat(celsius: Any) -> Any:
    """Latent heat of vaporisation [J kg-1]."""
    return 1e6 * (2.501 - 0.002361 * celsius)


@formula
def saturation(celsius: Any) -> Any:
    """Saturation vapour pressure [kPa], Tetens."""
    return 0.6108 * exp(17.27 * celsius / (celsius + 237.3))


@formula
def slope_ratio(celsius: Any, pressure: Any) -> Any:
    """Slope of the saturation vapour pressure over the psychrometric constant [1]."""
    slope = 4098.0 * saturation(celsius) / ((celsius + 237.3) * (celsius + 237.3))
    return slope / (0.000665 * pressure)


@formula
def surface_albedo(albedo: Any, snow_albedo: Any, cover: Any, lai: Any) -> Any:
    """Albedo of land of which ``cover`` lies under snow, which leaves hide [D]."""
    return albedo + (snow_albedo - albedo) * cover * exp(-0.5 * lai)


@formula
def ground_heat(radiation: Any, lai: Any, share: Any) -> Any:
    """Heat into the ground [W m-2]: a ``share`` of net radiation, dimmed by leaves. It does not come back over the
    year: the means of the golden climates are 3 to 5 W m-2."""
    return share * radiation * exp(-0.5 * lai)


@formula
def aerodynamic_conductance(wind: Any, height: Any) -> Any:
    """Conductance of the air above a canopy of ``height`` [m] in ``wind`` [m s-1] at :data:`REFERENCE` above it."""
    above = REFERENCE + height - 0.67 * height
    rough = 0.123 * height
    return KARMAN * KARMAN * maximum(wind, 0.5) / (log(above / rough) * log(above / (0.1 * rough)))


@formula
def assimilation(
    rsds: Any, celsius: Any, co2: Any, lai: Any, vpd: Any, alpha: Any, theta: Any, most: Any, kq: Any, low: Any,
    high: Any,
) -> Any:  # fmt: skip
    """Gross assimilation of the canopy with enough water [umol m-2 s-1]."""
    par = PAR * maximum(rsds, 0.0)
    capacity = most * exp(0.031 * (celsius - 25.0)) / (1.0 + exp(0.115 * (celsius - 41.0)))
    p1, p2 = capacity * alpha * theta * par, capacity * alpha * par
    p3, p4 = capacity * theta * co2, alpha * theta * par * co2
    depth = kq * lai
    canopy = depth + log((p2 + p3 + p4) / (p2 + p3 * exp(depth) + p4))
    dryness = clip((high - vpd) / (high - low), 0.0, 1.0)
    return maximum(co2 * p1 / (kq * (p2 + p4) + 1e-30) * canopy, 0.0) * dryness


@formula
def stomatal_conductance(assimilated: Any, co2: Any, vpd: Any, celsius: Any, pressure: Any, slope: Any, d0: Any) -> Any:
    """Conductance of the canopy to water vapour [m s-1] from its ``assimilated`` CO2 [umol m-2 s-1]."""
    moles = 1.6 * slope * assimilated / co2 / (1.0 + vpd / d0)
    return moles * 1e-2 / (0.446 * (273.0 / (273.0 + celsius)) * pressure / 101.3)


@formula
def penman_monteith(available: Any, ratio: Any, celsius: Any, pressure: Any, vpd: Any, air: Any, stomata: Any) -> Any:
    """Latent heat [W m-2] of leaves that have ``available`` energy [W m-2] and two conductances in series."""
    density = 1000.0 * pressure / (GAS_CONSTANT * (celsius + 273.15))
    drying = density * HEAT_CAPACITY * vpd * air / (0.000665 * pressure)
    return (ratio * maximum(available, 0.0) + drying) / (ratio + 1.0 + air / maximum(stomata, LEAST_CONDUCTANCE))


@formula
def soil_latent_heat(available: Any, ratio: Any) -> Any:
    """Latent heat [W m-2] of wet soil that has ``available`` energy [W m-2]: its equilibrium rate."""
    return ratio / (ratio + 1.0) * maximum(available, 0.0)


@formula
def interception(rain: Any, lai: Any, storage: Any, share: Any) -> Any:
    """Rain that evaporates from leaves [kg m-2 d-1] of ``rain`` [kg m-2 d-1]; ``storage`` [kg m-2] per leaf area."""
    cover = maximum(1.0 - exp(-lai / 5.0), 1e-9)
    ratio = minimum(share * cover, 0.9)
    wet = -log(1.0 - share) / share * storage * maximum(lai, 1e-9) / cover
    caught = where(rain < wet, cover * rain, cover * wet + ratio * (rain - wet))
    return minimum(maximum(caught, 0.0), rain)


@formula
def bare_stress(water: Any, wilting: Any, capacity: Any) -> Any:
    """Evaporation of soil over that of wet soil [1]; none at half the wilting point (air-dry, as in FAO-56 [R+])."""
    return clip((water - 0.5 * wilting) / (capacity - 0.5 * wilting), 0.0, 1.0)


@formula
def bare_loss(water: Any, wilting: Any, capacity: Any, wanted: Any) -> Any:
    """Water content [1] that a layer loses in a day to evaporation of soil, which would be ``wanted`` [d-1] if it
    stayed wet: the solution of ``dw/dt = -wanted bare_stress(w)``, at the full rate above field capacity and
    exponential below. A layer that was wetter in the morning is wetter in the evening."""
    free = minimum(wanted, maximum(water - capacity, 0.0))
    below = maximum(minimum(water, capacity) - 0.5 * wilting, 0.0)
    return free + below * (1.0 - exp(-(wanted - free) / (capacity - 0.5 * wilting)))
