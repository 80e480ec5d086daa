"""Soil methane: diffusivities, responses of oxidation and production.

All functions take and give arrays (or scalars); those marked ``formula`` also run inside the compiled column.
Temperature is in degC, water content in m3 m-3, diffusivity in m2 s-1, rates in s-1, fluxes in mg m-2 d-1 with
uptake positive.
Sources: Curry (2007, doi:10.1029/2006GB002818) [V] by way of the public CLASSIC code; Murguia-Flores et al. (2018,
doi:10.5194/gmd-11-2009-2018), MeMo [V form, R- constants]; Zhuang et al. (2004), TEM [V form].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._vector import clip, exp, formula, log, maximum, minimum, power, where
from .evapotranspiration import vapour_pressure

FloatArray = npt.NDArray[np.float64]

GAS_CONSTANT = 8.314462  # J mol-1 K-1
MOLAR_MASS = 16.043  # g mol-1 of CH4
STANDARD_PRESSURE = 101325.0  # Pa
WATER_OVER_ICE = 1.0905  # density ratio: ice takes more room than the water it came from
ICE_DENSITY = 917.0  # kg m-3
LEAST_DIFFUSIVITY = 1.0e-9  # m2 s-1, a soil whose pores are closed (CH4 in water: 2e-9) [D]
LITTER_DIFFUSIVITY = 0.3  # of free air [D]


@formula
def air_concentration(ch4: Any, ps: Any, kelvin: Any, huss: Any) -> Any:
    """CH4 of moist air [mg m-3] from the dry mole fraction ``ch4`` [1e-9], ``ps`` [Pa], temperature [K], ``huss``
    [1].
    """
    dry = ps - vapour_pressure(huss, ps)
    return ch4 * 1e-6 * MOLAR_MASS * dry / (GAS_CONSTANT * kelvin)


@formula
def free_air_diffusivity(kelvin: Any, ps: Any) -> Any:
    """CH4 in air [m2 s-1] (Massman 1998, doi:10.1016/S1352-2310(97)00391-9) [R+] at a temperature [K] and pressure
    [Pa].
    """
    return 1.952e-5 * power(kelvin / 273.15, 1.81) * (STANDARD_PRESSURE / ps)


def diffusivity_coefficients(code: Any, phi: Any, b: Any, sand: Any, clay: Any) -> tuple[FloatArray, FloatArray]:
    """Factor A and exponent n of the relative diffusivity ``D / D_air = A eps^n`` of each cell.

    ``code`` counts :data:`fluxatlas.process.structure.CHOICES`; every published form is of this kind: Curry/Moldrup
    type [V], Millington & Quirk (1961, doi:10.1039/TF9615701200), Moldrup et al. (2000) WLR,
    Buckingham-Burdine-Campbell, Millington (1959), Penman [R+], Campbell (1985) [V], TEM (texture only, no
    moisture) [V]. ``sand`` and ``clay`` in %.
    """
    texture = 0.66 * (0.45 * sand + 0.14 * clay + 0.20 * (100.0 - sand - clay)) / 100.0
    one = np.ones_like(phi)
    factor = [
        phi ** (4.0 / 3.0 - 1.5 - 3.0 / b),
        phi**-2.0,
        phi**-0.5,
        phi ** (-3.0 / b),
        one,
        0.66 * one,
        0.9 * one,
        texture * one,
    ]
    exponent = [1.5 + 3.0 / b, 10 / 3 * one, 2.5 * one, 2.0 + 3.0 / b, 4 / 3 * one, one, 2.3 * one, 0.0 * one]
    return np.choose(code, factor), np.choose(code, exponent)


@formula
def air_filled_porosity(phi: Any, theta: Any, liquid: Any) -> Any:
    """Pore space filled with air [1], of ``theta`` [1] water of which a share is ``liquid``; ice takes more room."""
    return maximum(phi - theta * (liquid + WATER_OVER_ICE * (1.0 - liquid)), 0.0)


@formula
def soil_diffusivity(factor: Any, exponent: Any, eps: Any, free_air: Any) -> Any:
    """CH4 in soil [m2 s-1] from the coefficients of :func:`diffusivity_coefficients`, ``eps`` [1] and ``free_air``."""
    return maximum(factor * power(eps, exponent) * free_air, LEAST_DIFFUSIVITY)


@formula
def snow_resistance(snw: Any, snd: Any, kelvin: Any, ps: Any) -> Any:
    """Resistance of snow to CH4 [s m-1] from amount [kg m-2], thickness [m], air temperature [K]; zero without snow.

    Diffusion through the pores, ``D_snow = D_air (1 - density / 917)^(4/3)`` [D], at no more than 0 degC.
    """
    density = snw / maximum(snd, 1e-6)
    porosity = clip(1.0 - density / ICE_DENSITY, 0.05, 1.0)
    return snd / (free_air_diffusivity(minimum(kelvin, 273.15), ps) * power(porosity, 4.0 / 3.0))


@formula
def temperature_response(celsius: Any, code: Any, log_q10: Any, optimum: Any, least: Any) -> Any:
    """Oxidation rate over its value at 0 degC [1].

    ``code`` 0: Curry 2007 [V]; 1: MeMo [R]; 2: ``log_q10`` = ln Q10 up to ``optimum``, a parabola to zero 15 K
    above it, linear to zero at ``least`` [D].
    """
    t = clip(celsius, -60.0, 60.0)
    fourth = t * t * t * t
    curry = where(t < 0.0, 0.0, 0.0693 * t - 8.56e-7 * fourth)
    memo = where(t < 0.0, t, 0.1515 + 0.05238 * t - 5.946e-7 * fourth)
    rising = 0.1 * log_q10 * minimum(t, optimum)
    cold = clip(0.1 * t + 1.0, 0.0, 1.0)
    curry_factor = where(t < 43.3, cold * cold, 0.0)
    above = maximum(t - optimum, 0.0) / 15.0
    factor = maximum(1.0 - above * above, 0.0) * clip(1.0 - t / least, 0.0, 1.0)
    growth = exp(where(code == 0, curry, where(code == 1, memo, rising)))
    return growth * where(code == 0, curry_factor, where(code == 1, 1.0, factor))


@formula
def drought_response(log_suction: Any, low: Any, high: Any, shape: Any) -> Any:
    """Oxidation rate over its value in moist soil [1] (Curry 2007) [V].

    One up to ``low``, zero from ``high``; all three are natural logarithms of the suction in kPa.
    """
    return power(clip((high - log_suction) / (high - low), 0.0, 1.0), shape)


@formula
def log_suction(theta: Any, phi: Any, b: Any, log_sat: Any) -> Any:
    """Natural logarithm of the suction [kPa] (Clapp & Hornberger 1978); ``log_sat`` is that of saturated soil."""
    return log_sat - b * log(clip(theta / phi, 1e-3, 1.0))


@formula
def wetness_response(theta: Any, phi: Any, code: Any, optimum: Any) -> Any:
    """Oxidation rate over its value at the best moisture [1], apart from drought.

    ``code`` 0: one (Curry: wet soil is limited by diffusion alone); 1: MeMo's bell above 0.20 [R-]; 2: TEM's unimodal
    function of the water-filled pore space between 0 and 1 with ``optimum`` [V form].
    """
    beyond = maximum(theta - 0.2, 0.0) / 0.2
    s = clip(theta / phi, 0.0, 1.0)
    ends = s * (1.0 - s)
    apart = s - optimum
    return where(code == 0, 1.0, where(code == 1, exp(-0.5 * beyond * beyond), ends / (ends + apart * apart)))


@formula
def production_response(celsius: Any, theta: Any, phi: Any, log_q10: Any, dry: Any) -> Any:
    """Methane production over its value in saturated soil at 15 degC [1] [D].

    It rises from the share ``dry`` below 60 % water-filled pores to one in saturated soil: anoxic cores of aggregates,
    termites and plants emit from dry soils too.
    """
    wet = maximum(theta / phi - 0.6, 0.0) / 0.4
    return (dry + (1.0 - dry) * wet * wet) * exp(0.1 * log_q10 * (clip(celsius, -60.0, 60.0) - 15.0))


def site_factor(ndep: Any, ph: Any, crop: Any, p: Any) -> FloatArray:
    """Oxidation rate over that of undisturbed soil [1]: nitrogen deposition [kg ha-1 yr-1], pH, cropped land [%].

    ``p`` maps parameter names to arrays. Exponential above a threshold, Gaussian with a floor of 0.4, linear (1.7).
    """
    nitrogen = np.exp(-p["nitrogen_sensitivity"] * np.maximum(ndep - p["nitrogen_threshold"], 0.0))
    acidity = np.maximum(np.exp(-0.5 * ((ph - p["ph_optimum"]) / p["ph_width"]) ** 2), 0.4)
    return nitrogen * acidity * (1.0 - p["crop_reduction"] * crop / 100.0)


def rate_profile(code: Any, depths: FloatArray, peak: Any, width: Any) -> FloatArray:
    """Oxidation rate over its greatest value at ``depths`` [m], shape (depth, N).

    ``code`` 0: Gaussian about ``peak`` with standard deviation ``width``; 1: one everywhere (Curry 2007); 2:
    exponential decline with twice the ``width``.
    """
    z = depths[:, None]
    return np.choose(
        np.broadcast_to(code, (depths.size, np.size(code))),
        [np.exp(-0.5 * ((z - peak) / width) ** 2), np.ones((depths.size, np.size(code))), np.exp(-z / (2 * width))],
    )
