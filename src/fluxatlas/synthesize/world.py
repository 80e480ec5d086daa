"""Soils, leaves, crops and nitrogen of anywhere: the library of samples need not know where it will be used.

A network that has seen the soils of its domain alone knows nothing of the soil of a chamber elsewhere. These are drawn
together, so that organic soils are light and acid. All numbers of the distributions are our choices, made wide; the
bulk density follows the mixture of organic and mineral matter of Adams (1973, doi:10.1111/j.1365-2389.1973.tb00737.x;
its two densities are recalled, not verified).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .sampling import FloatArray

TEXTURE = (1.5, 1.5, 0.8)
"""Dirichlet distribution of sand, silt and clay: means of 39, 39 and 21 %."""
CARBON, PEAT = (15.0, 1.0), (0.08, 100.0, 500.0)
"""Median [g kg-1] and geometric spread of mineral soils; share of organic soils, and their least and greatest."""
ORGANIC, MINERAL = 244.0, 1640.0
"""Bulk density [kg m-3] of organic and of mineral matter (Adams 1973)."""
NITROGEN = (4.0, 1.0)
"""Median [kg N ha-1 yr-1] and geometric spread of its deposition."""
LEAVES = (1.6, 0.9)
"""Median and geometric spread of the greatest leaf area index of the year."""
FIELDS = 0.3
"""Share of places with any crops; their cover is even from 0 to 100 %."""


def world_soils(count: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Attributes (count,) of ``count`` places of no region, in the units of the variable table."""
    sand, _, clay = 100 * rng.dirichlet(TEXTURE, count).T
    mineral = CARBON[0] * np.exp(CARBON[1] * rng.standard_normal(count))
    organic = rng.uniform(*PEAT[1:], count)
    soc = np.where(rng.random(count) < PEAT[0], organic, np.minimum(mineral, PEAT[2]))
    matter = np.minimum(1.724e-3 * soc, 1.0)  # van Bemmelen's factor
    density = 1 / (matter / ORGANIC + (1 - matter) / MINERAL)
    acid = 6.3 - 0.4 * np.log(soc / CARBON[0]) + 1.1 * rng.standard_normal(count)
    return {
        "sand": sand,
        "clay": clay,
        "soc": soc,
        "bdod": np.minimum(density * np.exp(0.12 * rng.standard_normal(count)), 1900.0),
        "phh2o": np.clip(acid, 3.4, 9.5),
        "cropFrac": np.where(rng.random(count) < FIELDS, rng.uniform(0, 100, count), 0.0),
        "ndep": np.minimum(NITROGEN[0] * np.exp(NITROGEN[1] * rng.standard_normal(count)), 80.0),
    }


def world_leaves(lai: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Monthly leaf area (12, n) with the course of ``lai`` and a greatest month of anywhere; no leaves stay none."""
    most = np.minimum(LEAVES[0] * np.exp(LEAVES[1] * rng.standard_normal(lai.shape[1])), 8.0)
    own = lai.max(axis=0)
    return np.asarray(lai * np.where(own > 0, most / np.where(own > 0, own, 1.0), 1.0))


def elsewhere(
    attributes: Mapping[str, FloatArray], monthly: Mapping[str, FloatArray], share: float, rng: np.random.Generator
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """``attributes`` (n,) and ``monthly`` layers (12, n) of which a ``share`` of the places has the soil and the leaves
    of anywhere; what :func:`world_soils` does not draw stays."""
    count = len(next(iter(attributes.values())))
    chosen = rng.random(count) < share
    soils = world_soils(count, rng)
    mixed = {name: np.where(chosen, soils.get(name, values), values) for name, values in attributes.items()}
    leaves = {
        name: np.where(chosen, world_leaves(values, rng), values) if name == "lai" else values
        for name, values in monthly.items()
    }
    return mixed, leaves
