"""The hidden truth on the synthetic Earth: the process model with parameters that follow soil, leaves and climate.

The numbers are ours: they aim at plausible fluxes, not at any real place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...process.energy.column import TABLE, simulate
from ..protocols import Arrays, FloatArray

SPINUP_YEARS = 2


def parameters(
    temperature: FloatArray, attributes: Arrays, lai: FloatArray, waves: Callable[[str], FloatArray]
) -> dict[str, FloatArray]:
    """The hidden parameters, each of shape (cell,), within the bounds of the table.

    ``temperature`` mean of the year [degC] (cell,), ``attributes`` (cell,), ``lai`` the monthly climatology (12, cell);
    ``waves(name)`` is a smooth random field (cell,) of unit variance, which no attribute follows.
    """
    leaf = lai.mean(axis=0)
    forest = leaf / (leaf + 1.2)
    cold = np.clip((12 - temperature) / 18, 0, 1)
    wanted = {
        "albedo": 0.27 - 0.15 * forest,
        "snow_albedo": np.full(leaf.size, 0.72),
        "ground_share": 0.14 - 0.05 * forest,
        "quantum_yield": 0.03 + 0.012 * forest,
        "co2_slope": 0.03 + 0.03 * cold,
        "stomatal_slope": 7.0 + 4.0 * forest * np.exp(0.15 * waves("truth.stomata")),
        "carboxylation": 34.0 - 20.0 * forest,
        "light_extinction": 0.55 + 0.3 * forest,
        "canopy_height": 0.3 * np.exp(4.5 * forest),
        "leaf_storage": 0.04 + 0.08 * forest,
        "stress_share": 0.5 + 0.2 * forest,
        "melt_factor": 5.0 - 2.0 * forest,
        "surface_drainage": 0.75 - 0.3 * attributes["clay"] / 100,
        "retention_factor": np.exp(0.08 * waves("truth.retention")),
    }
    return _within(wanted)


def scattered(found: Arrays, scatter: Callable[[str], FloatArray]) -> dict[str, FloatArray]:
    """The parameters ``found`` of the kind world with what no attribute tells, as the realistic world has them."""
    factors = {"retention_factor": 0.12, "stomatal_slope": 0.25, "albedo": 0.1, "surface_drainage": 0.1}
    changed = {name: np.asarray(found[name]) * np.exp(sd * scatter(f"truth.{name}")) for name, sd in factors.items()}
    return {**found, **_within(changed)}


def _within(wanted: Arrays) -> dict[str, FloatArray]:
    bounds = TABLE.rows().loc[list(wanted), ["lower", "upper"]].to_numpy(float)
    return {name: np.clip(wanted[name], *edges) for name, edges in zip(wanted, bounds, strict=True)}


class SoilMoistureTruth:
    """:class:`~fluxatlas.systems.protocols.Truth` of this system."""

    def parameters(
        self,
        temperature: FloatArray,
        attributes: Arrays,
        monthly: Arrays,
        waves: Callable[[str], FloatArray],
        scatter: Callable[[str], FloatArray] | None = None,
    ) -> dict[str, FloatArray]:
        """See :func:`parameters` and, for the realistic world, :func:`scattered`."""
        found = parameters(temperature, attributes, np.asarray(monthly["lai"]), waves)
        return scattered(found, scatter) if scatter else found

    def simulate(
        self, drivers: Arrays, attributes: Arrays, hidden: Arrays, *, lat: FloatArray, dates: pd.DatetimeIndex
    ) -> dict[str, FloatArray]:
        """Daily outputs (time, cell), spun up on the first year."""
        return dict(simulate(drivers, attributes, hidden, dates=dates, spinup_years=SPINUP_YEARS).daily)


TRUTH = SoilMoistureTruth()
