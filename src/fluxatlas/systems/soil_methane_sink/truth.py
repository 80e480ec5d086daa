"""The hidden truth of the soil methane sink on the synthetic Earth: what its soils really do.

The process model runs with parameters that vary continuously with soil and vegetation and that no training stage sees,
and with structural choices (``System.withheld``) that the pretraining generator leaves out. The numbers are ours: they
aim at plausible fluxes, not at any real place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...process import MethaneStructure, simulate
from ...process.parameters import SOIL
from ..protocols import Arrays, FloatArray
from . import SOIL_METHANE_SINK

HIDDEN = MethaneStructure(**{choice: forms[0] for choice, forms in SOIL_METHANE_SINK.withheld.items()})
"""Structure of the methane model of this world."""
SPINUP_YEARS = 2


def parameters(
    temperature: FloatArray, attributes: Arrays, lai: FloatArray, waves: Callable[[str], FloatArray]
) -> dict[str, FloatArray]:
    """The hidden parameters, each of shape (cell,), within the bounds of the process model's table.

    ``temperature`` mean of the year [degC] (cell,), ``attributes`` (cell,), ``lai`` the monthly climatology (12, cell);
    ``waves(name)`` is a smooth random field (cell,) of unit variance. It makes 57 % of the variance of the logarithm of
    the oxidation rate over all land and 59 % over the embedded default, which no attribute follows; with an sd of 0.2
    and a length of 60 km it is small and smooth beside what soils do.
    """
    leaf = lai.mean(axis=0)
    forest = leaf / (leaf + 1.2)
    carbon = attributes["soc"] / (attributes["soc"] + 40)
    clay = attributes["clay"] / 100
    unexplained = waves("truth.oxidation")
    cold = np.clip((12 - temperature) / 18, 0, 1)
    return {
        "albedo": 0.25 - 0.12 * forest,
        "root_base": 0.943 + 0.03 * forest,
        "surface_warming": 3.0 + 1.5 * (1 - forest),
        "canopy_cooling": 0.6 * forest,
        "litter_depth": 0.004 + 0.045 * forest * (0.4 + carbon),
        "melt_factor": 5.2 - 2.6 * forest,
        "runoff_shape": 5.5 - 3.0 * clay,
        "drainage_factor": np.exp(0.5 * (clay - 0.25)),
        "oxidation_rate": np.clip(1.2e-4 * np.exp(0.9 * (carbon - 0.5) - 0.8 * clay + 0.2 * unexplained), 1e-5, 2.5e-4),
        "oxidation_width": 0.06 + 0.07 * (1 - carbon),
        "oxidation_depth": 0.02 + 0.06 * forest,
        "oxidation_q10": 1.6 + 0.5 * cold,
        "oxidation_optimum": 27.5 - 4 * cold,
        "oxidation_minimum": -4 - 3 * cold,
        "wetness_optimum": 0.28 + 0.2 * clay,
        "nitrogen_threshold": np.full(leaf.size, 6.0),
        "nitrogen_sensitivity": np.full(leaf.size, 0.0065),
        "crop_reduction": np.full(leaf.size, 0.62),
        "ph_optimum": np.full(leaf.size, 6.3),
        "ph_width": np.full(leaf.size, 1.6),
        "production_rate": np.clip(0.012 * np.exp(3.0 * carbon), 0.001, 1.0),
        "production_q10": np.full(leaf.size, 2.8),
    }


def scattered(found: Arrays, scatter: Callable[[str], FloatArray]) -> dict[str, FloatArray]:
    """The parameters ``found`` of the kind world with what no attribute tells, as the realistic world has them.

    Between the cells of the embedded default that take up more than 0.1 mg m-2 d-1 the logarithm of the uptake of the
    year then has an sd of 0.9, and 70 % of its variance has nothing to do with the kind world's. The median of the rate
    is lower than there, since the table of parameters bounds it above.
    """
    wanted = {
        "oxidation_rate": np.asarray(found["oxidation_rate"]) * 0.6 * np.exp(1.05 * scatter("truth.oxidation")),
        "oxidation_width": np.asarray(found["oxidation_width"]) * np.exp(0.4 * scatter("truth.width")),
        "retention_factor": np.exp(0.15 * scatter("truth.retention")),
    }
    bounds = SOIL.rows().loc[list(wanted), ["lower", "upper"]].to_numpy(float)
    return {**found, **{name: np.clip(wanted[name], *edges) for name, edges in zip(wanted, bounds, strict=True)}}


class SoilMethaneTruth:
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
        """Daily outputs (time, cell) of the column, spun up on the first year."""
        result = simulate(
            drivers, attributes, hidden, lat=lat, dates=dates, structure=HIDDEN, spinup_years=SPINUP_YEARS
        )
        return dict(result.daily)


TRUTH = SoilMethaneTruth()
