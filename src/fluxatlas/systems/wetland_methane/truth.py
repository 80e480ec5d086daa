"""The hidden truth of wetland methane on the synthetic Earth: what its wetlands really do.

The column runs with parameters that vary with soil and vegetation and that no training stage sees, and with a response
to pH (``System.withheld``) that the pretraining generator leaves out. The numbers are ours: they aim at plausible
fluxes (bogs below fens below marshes), not at any real place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...process.wetland.column import TABLE, simulate
from ..protocols import Arrays, FloatArray
from . import WETLAND_METHANE

HIDDEN = {choice: forms[0] for choice, forms in WETLAND_METHANE.withheld.items()}
SPINUP_YEARS = 4


class WetlandTruth:
    """:class:`~fluxatlas.systems.protocols.Truth` of this system."""

    def parameters(
        self,
        temperature: FloatArray,
        attributes: Arrays,
        monthly: Arrays,
        waves: Callable[[str], FloatArray],
        scatter: Callable[[str], FloatArray] | None = None,
    ) -> dict[str, FloatArray]:
        """Hidden parameters (cell,), within the bounds of the table of parameters.

        More leaves: more sedges and deeper roots; more carbon: more methane made, at equal warmth. In the realistic
        world places differ besides by what no attribute tells, a logarithm of the production rate with an sd of 0.75.
        """
        leaf = np.asarray(monthly["lai"]).mean(axis=0)
        green, carbon = leaf / (leaf + 1.0), attributes["soc"] / (attributes["soc"] + 40)
        cold = np.clip((12 - temperature) / 18, 0, 1)
        logged = 0.2 * waves("truth.production") + (0.75 * scatter("truth.production") if scatter else 0.0)
        found = {
            "production_rate": 2.0 * np.exp(0.8 * (carbon - 0.5) + 1.2 * cold + logged),
            "production_q10": 2.6 + 0.8 * cold,
            "plant_transport": 4.0 + 10.0 * green,
            "root_depth": 0.2 + 0.2 * green,
            "growth_temperature": 6.0 - 4.0 * cold,
            "oxidation_rate": 8.0 + 8.0 * (1 - carbon),
            "runon": 1.0 + 0.8 * np.tanh(waves("truth.runon")),
            "sill_height": 0.1 + 0.15 * green,
            "specific_yield": 0.25 + 0.2 * carbon,
            "surface_offset": 0.8 * waves("truth.surface"),
        }
        priors = TABLE.priors()
        return {
            name: np.clip(np.asarray(values, float), priors[name].lower, priors[name].upper)
            for name, values in found.items()
        }

    def simulate(
        self, drivers: Arrays, attributes: Arrays, hidden: Arrays, *, lat: FloatArray, dates: pd.DatetimeIndex
    ) -> dict[str, FloatArray]:
        """Daily outputs (time, cell) of the column, spun up on the first year."""
        return dict(simulate(drivers, attributes, hidden, dates=dates, forms=HIDDEN, spinup_years=SPINUP_YEARS).daily)


TRUTH = WetlandTruth()
