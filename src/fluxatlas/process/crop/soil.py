"""Soil carbon of cropland: RothC-26.3 run daily, with litter on the surface (science notes 5.7).

Coleman & Jenkinson (1996, doi:10.1007/978-3-642-61094-3_17) for pools, rates and responses [R+], Falloon et al. (1998)
for the inert pool and Weihermueller et al. (2013, doi:10.1111/ejss.12036) for the others [R]. Carbon in g m-2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._vector import clip, exp, formula, maximum, where

FloatArray = npt.NDArray[np.float64]

DEPTH = 0.3
"""Soil whose carbon is simulated [m]."""
COLDEST = -5.0
"""Soil temperature below which nothing decomposes [degC]."""
BIOMASS = 0.46
"""Share of what stays that becomes microbial biomass; the rest becomes humus."""
TONNE = 100.0
"""g m-2 per t ha-1."""


@formula
def warmth(celsius: Any, form: Any, logarithm: Any) -> Any:
    """Response of decomposition to temperature [1]: one at 9.25 degC, zero below -5 degC.

    ``form`` 0 is that of RothC, 1 a constant Q10 with that ``logarithm``.
    """
    mild = maximum(celsius, COLDEST)
    power = exp(where(form == 0, 106.06 / (mild + 18.27), logarithm * (mild - 9.25) / 10.0))
    return where(celsius > COLDEST, where(form == 0, 47.91 / (1.0 + power), power), 0.0)


@formula
def moisture(available: Any, wet: Any) -> Any:
    """Response of decomposition to the ``available`` water of the top layer over its capacity [1].

    ``wet`` is the water above field capacity over what the soil holds at saturation; there the response is 0.5.
    """
    return (0.2 + 0.8 * clip(available / 0.55, 0.0, 1.0)) * (1.0 - 0.5 * clip(wet, 0.0, 1.0))


@formula
def lost(carbon: Any, rate: Any, response: Any) -> Any:
    """What a pool loses in a day at a ``rate`` [yr-1] under the product of the responses."""
    return carbon * (1.0 - exp(-rate * response / 365.0))


def respired(clay: Any) -> Any:
    """Share of decomposed carbon that is respired [1] in soil of ``clay`` [%]: x / (1 + x) of RothC."""
    x = 1.67 * (1.85 + 1.60 * np.exp(-0.0786 * np.asarray(clay, float)))
    return x / (1.0 + x)


def stock(soc: Any, bdod: Any) -> Any:
    """Organic carbon to 30 cm [g m-2] from ``soc`` [g kg-1] and ``bdod`` [kg m-3] (no stones)."""
    return np.asarray(soc, float) * np.asarray(bdod, float) * DEPTH


def first_pools(carbon: npt.ArrayLike, clay: npt.ArrayLike) -> dict[str, FloatArray]:
    """The pools ``dpm, rpm, bio, hum, iom`` [g m-2] of a soil with ``carbon`` [g m-2] to 30 cm and ``clay`` [%].

    Their sum is ``carbon``; the inert pool takes at most half of it.
    """
    total, c = np.asarray(carbon, float) / TONNE, np.asarray(clay, float)
    inert = np.minimum(0.049 * total**1.139, 0.5 * total)
    decomposable = np.minimum(0.2, 0.01 * total)
    made = {
        "rpm": (0.1847 * total + 0.1555) * (c + 1.2750) ** -0.1158,
        "hum": (0.7148 * total + 0.5069) * (c + 0.3421) ** 0.0184,
        "bio": (0.0140 * total + 0.0075) * (c + 8.8473) ** 0.0567,
    }
    scale = (total - inert - decomposable) / (made["rpm"] + made["hum"] + made["bio"])
    found = {name: pool * scale for name, pool in made.items()} | {"iom": inert, "dpm": decomposable}
    return {name: TONNE * np.asarray(found[name], float) for name in ("dpm", "rpm", "bio", "hum", "iom")}
