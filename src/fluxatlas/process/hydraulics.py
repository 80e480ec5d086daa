"""Hydraulic and thermal properties of a soil from texture, organic carbon and bulk density.

Mineral soil follows Cosby et al. (1984, doi:10.1029/WR020i006p00682) [R+], organic matter Letts et al. (2000) as
mixed by Lawrence & Slater (2008) [R+], dry thermal conductivity Johansen (1975) after Peters-Lidard et al. (1998) [R+].
Porosity is ``1 - bdod / 2650``: bulk density is measured and mapped together with texture, and it carries the effect of
organic matter and compaction that a texture-only ``theta_s`` lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..variables import get
from ._validate import soil_attributes

FloatArray = npt.NDArray[np.float64]

ATTRIBUTES = ("sand", "clay", "soc", "bdod")
WATER_CONTENTS = ("theta_fc", "theta_wp", "theta_dry")
PARTICLE_DENSITY = 2650.0  # kg m-3
ORGANIC_DENSITY = 130.0  # kg m-3 of carbon in pure peat (Lawrence & Slater 2008) [R+]
KPA_PER_M = 9.81  # suction of one metre of water, as rounded by Curry 2007


def cosby_b(clay: Any) -> Any:
    """Exponent b of Clapp & Hornberger (1978) for ``clay`` [%]."""
    return 2.91 + 0.159 * clay


def cosby_psi_sat(sand: Any) -> Any:
    """Suction at saturation [m] for ``sand`` [%]."""
    return 0.01 * 10.0 ** (1.88 - 0.0131 * sand)


def cosby_k_sat(sand: Any) -> Any:
    """Saturated hydraulic conductivity [m s-1] for ``sand`` [%]."""
    return 7.0556e-6 * 10.0 ** (-0.884 + 0.0153 * sand)


def organic_fraction(soc: Any, bdod: Any) -> Any:
    """Volume share of organic soil [1] from ``soc`` [g kg-1] and ``bdod`` [kg m-3]."""
    return np.clip(soc * 1e-3 * bdod / ORGANIC_DENSITY, 0.0, 1.0)


def soil_properties(attributes: Mapping[str, npt.ArrayLike]) -> dict[str, FloatArray]:
    """Properties of each soil, arrays of shape (N,), from ``sand`` [%], ``clay`` [%], ``soc`` [g kg-1], ``bdod``
    [kg m-3].

    Returns
    -------
    ``phi`` porosity [1]; ``b`` [1], ``psi_sat`` [m], ``k_sat`` [m s-1] of Clapp & Hornberger; ``theta_fc``,
    ``theta_wp``, ``theta_dry`` [1] water content at field capacity (33 kPa, 10 kPa in sand), wilting point (1500
    kPa) and air-dry (1e5 kPa); ``drainage_days`` [d]; ``heat_solid`` [J m-3 K-1] of the solids per volume of soil;
    ``lam_dry``, ``lam_wet``, ``lam_ice`` [W m-1 K-1] conductivity dry, water-saturated and ice-saturated;
    ``kersten`` [1] slope of the Kersten number.

    Raises :class:`InputError` for an absent attribute, a value that is not finite or outside the variable table.
    """
    sand, clay, soc, bdod = soil_attributes(attributes, ATTRIBUTES)
    low, high = get("phi").valid
    phi = np.clip(1.0 - bdod / PARTICLE_DENSITY, low, high)
    organic = organic_fraction(soc, bdod)
    b = (1 - organic) * cosby_b(clay) + organic * 2.7
    psi_sat = (1 - organic) * cosby_psi_sat(sand) + organic * 0.0103
    k_sat = (1 - organic) * cosby_k_sat(sand) + organic * 1.0e-4

    def at_suction(kpa: Any) -> FloatArray:
        return phi * np.minimum(1.0, (kpa / (psi_sat * KPA_PER_M)) ** (-1.0 / b))

    field_suction = np.interp(sand, (50.0, 85.0), (33.0, 10.0))
    return {
        "phi": phi,
        "b": b,
        "psi_sat": psi_sat,
        "k_sat": k_sat,
        "theta_fc": at_suction(field_suction),
        "theta_wp": at_suction(1500.0),
        "theta_dry": at_suction(1.0e5),
        "drainage_days": np.interp(clay, (5.0, 60.0), (1.0, 5.0)),
        **_thermal(sand, clay, organic, phi),
    }


def with_density(statics: Mapping[str, npt.ArrayLike]) -> dict[str, Any]:
    """``statics`` with the bulk density ``bdod`` [kg m-3] that has their porosity ``phi``."""
    return {**statics, "bdod": PARTICLE_DENSITY * (1 - np.asarray(statics["phi"], float))}


def retained(properties: Mapping[str, FloatArray], factor: FloatArray) -> dict[str, FloatArray]:
    """``properties`` of a soil that holds ``factor`` times the water at any suction below saturation.

    What pedotransfer does not know: structure, stones, salts. The suction at saturation follows, so that water content
    and suction stay those of one curve; no water content exceeds 98 % of the porosity.
    """
    held = {name: np.minimum(properties[name] * factor, 0.98 * properties["phi"]) for name in WATER_CONTENTS}
    return {**properties, **held, "psi_sat": properties["psi_sat"] * factor ** properties["b"]}


def _thermal(sand: FloatArray, clay: FloatArray, organic: FloatArray, phi: FloatArray) -> dict[str, FloatArray]:
    """Conductivities and heat capacity of the solids; see :func:`soil_properties`."""
    quartz = sand / 100.0
    lam_mineral = 7.7**quartz * np.where(quartz > 0.2, 2.0, 3.0) ** (1 - quartz)
    lam_solid = (1 - organic) * lam_mineral + organic * 0.25
    density = 2700.0 * (1 - phi)
    lam_dry = (1 - organic) * (0.135 * density + 64.7) / (2700.0 - 0.947 * density) + organic * 0.05
    mineral_heat = (2.128e6 * sand + 2.385e6 * clay + 1e-9 * 2.25e6) / (sand + clay + 1e-9)
    lam_wet = lam_solid ** (1 - phi) * 0.57**phi
    return {
        "heat_solid": ((1 - organic) * mineral_heat + organic * 2.5e6) * (1 - phi),
        "lam_dry": lam_dry,
        "lam_wet": np.maximum(lam_wet, lam_dry),
        "lam_ice": np.maximum(lam_solid ** (1 - phi) * 2.2**phi, lam_dry),
        "kersten": np.interp(sand, (40.0, 60.0), (1.0, 0.7)),
    }
