"""The canopy over soil at one moment of the day, without a store of water: what it evaporates now.

The formulas are those of the daily model (:mod:`.canopy`); what is told apart are two parameters. Stomatal conductance
has the published coefficients (factor 1; that of the daily model makes up for means of days), and the share of net
radiation that goes into bare ground is that of daytime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..evapotranspiration import transpiration_limitation
from ..parameters import ParameterTable
from . import canopy as c
from .retention import soil_limits
from .vegetation import CLASSES, NAMES

FloatArray = npt.NDArray[np.float64]

GROUND_SHARE = 0.3
"""Heat into bare ground per net radiation by day [1]; upper bound of the daily parameter [D]."""
MOST_COVER, EXTINCTION = 0.95, 0.5


def leaf_area(ndvi: FloatArray) -> FloatArray:
    """Leaf area [1] from NDVI: light that leaves take up is NDVI - 0.05, of at most 0.95, and fades with an extinction
    of 0.5 (after Fisher et al. 2008, doi:10.1016/j.rse.2007.06.025 [R])."""
    return -np.log(1.0 - np.clip(ndvi - 0.05, 0.0, MOST_COVER)) / EXTINCTION


def vapour_deficit(celsius: FloatArray, hurs: FloatArray) -> FloatArray:
    """What the air lacks of saturation [kPa] at ``celsius`` [degC] and a relative humidity ``hurs`` [%]."""
    return np.maximum(c.saturation(celsius) * (1.0 - hurs / 100.0), 0.0)


def air_pressure(elevation: FloatArray) -> FloatArray:
    """Pressure [kPa] of the standard atmosphere at ``elevation`` [m]."""
    return np.asarray(101.325 * (1.0 - 2.25577e-5 * elevation) ** 5.25588)


def energy_at(
    drivers: Mapping[str, FloatArray],
    soil: Mapping[str, FloatArray],
    cover: Sequence[str],
    *,
    wind: float,
    co2: float,
    stressed: bool = True,
) -> dict[str, FloatArray]:
    """Fluxes [W m-2] (N,) at one moment: ``hfls``, ``hfss``, ``hfdsl`` and ``rns``, which close.

    Parameters
    ----------
    drivers: (N,) each: ``rns`` and ``rsds`` [W m-2], ``tas`` [K], ``hurs`` [%], ``ndvi`` [1], ``elevation`` [m],
        ``swc05`` [1].
    soil: ``sand``, ``clay`` [%], ``soc`` [g kg-1].
    cover: IGBP class of each, one of :data:`.vegetation.CLASSES`.
    wind: m s-1, 10 m above the canopy. co2: ppm.
    stressed: the roots' layer is as wet as the surface; otherwise leaves have all the water that they want.
    """
    celsius, kpa = drivers["tas"] - 273.15, air_pressure(drivers["elevation"])
    vpd = vapour_deficit(celsius, drivers["hurs"])
    p = {name: np.array([CLASSES[one][name] for one in cover]) for name in NAMES}
    limits, lai, ratio = soil_limits(soil), leaf_area(drivers["ndvi"]), c.slope_ratio(celsius, kpa)
    ground = c.ground_heat(drivers["rns"], lai, GROUND_SHARE)
    available, shade = drivers["rns"] - ground, np.exp(-p["radiation_extinction"] * lai)
    fed = np.ones(len(celsius))
    if stressed:
        share = ParameterTable("energy").complete({}, 1)["stress_share"]
        fed = transpiration_limitation(drivers["swc05"], limits["swcwp"], limits["swcfc"], share)
    light = (p["quantum_yield"], p["co2_slope"], p["carboxylation"], p["light_extinction"], p["vpd_low"], p["vpd_high"])
    gross = fed * c.assimilation(drivers["rsds"], celsius, co2, lai, vpd, *light)
    stomata = c.stomatal_conductance(gross, co2, vpd, celsius, kpa, p["stomatal_slope"], p["vpd_sensitivity"])
    air = c.aerodynamic_conductance(wind, p["canopy_height"])
    leaves = c.penman_monteith(available * (1.0 - shade), ratio, celsius, kpa, vpd, air, stomata)
    wet = c.bare_stress(drivers["swc05"], limits["swcwp"], limits["swcfc"])
    latent = np.where(gross > 0.0, leaves, 0.0) + wet * c.soil_latent_heat(available * shade, ratio)
    return {"rns": drivers["rns"], "hfls": latent, "hfss": available - latent, "hfdsl": ground}
