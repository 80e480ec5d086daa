"""The hidden truth of crop carbon on the synthetic Earth.

The process model runs with parameters that vary with climate and soil and that no training stage sees, and with forms
of soil respiration (``System.withheld``) that the generator of samples leaves out. Every field grows maize in even
years and soybean in odd ones. The numbers are ours: they aim at plausible fluxes, not at any real place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...theta import Theta
from ..protocols import Arrays, FloatArray
from . import CROP_CARBON
from .process import MODEL, priors

HIDDEN = {choice: CROP_CARBON.withheld[choice][0] for choice in ("warmth", "retention")}
"""Structure of this world, where it is not the default."""
SPINUP_YEARS = 4


class CropTruth:
    """:class:`~fluxatlas.systems.protocols.Truth` of this system."""

    def parameters(
        self,
        temperature: FloatArray,
        attributes: Arrays,
        monthly: Arrays,
        waves: Callable[[str], FloatArray],
        scatter: Callable[[str], FloatArray] | None = None,
    ) -> dict[str, FloatArray]:
        """Hidden parameters (cell,) within the bounds of the table.

        Warm places sow early; ``scatter`` adds what no attribute tells: an sd of 0.05 in the logarithm of the
        efficiency of light use and of 0.2 in that of decomposition.
        """
        warm = np.clip((temperature - 8.0) / 12.0, 0, 1)
        clay = np.asarray(attributes["clay"]) / (np.asarray(attributes["clay"]) + 30.0)
        rough = {name: scatter(f"truth.{name}") if scatter else np.zeros(warm.size) for name in ("light", "decay")}
        light = np.exp(0.04 * waves("truth.light") + 0.05 * rough["light"])
        decay = np.exp(0.15 * waves("truth.decay") + 0.2 * rough["decay"])
        found = {
            "maize_light_use": 2.35 * light,
            "soybean_light_use": 1.8 * light,
            "maize_sowing_day": 135.0 - 18.0 * warm,
            "soybean_sowing_day": 148.0 - 18.0 * warm,
            "maize_harvest_day": 305.0 - 12.0 * warm,
            "soybean_harvest_day": 290.0 - 12.0 * warm,
            "leaf_area_factor": 1.05 + 0.05 * np.tanh(waves("truth.leaves")),
            "straw_removed": 0.15 + 0.1 * np.tanh(waves("truth.straw")),
            "tillage_share": 0.7 - 0.3 * clay,
            "hum_rate": 0.024 * decay,
            "rpm_rate": 0.35 * decay,
            "soil_q10": np.full(warm.size, 2.2),
            "carbon_use": 0.35 + 0.15 * clay,
        }
        bounds = priors()
        return {name: np.clip(values, bounds[name].lower, bounds[name].upper) for name, values in found.items()}

    def simulate(
        self, drivers: Arrays, attributes: Arrays, hidden: Arrays, *, lat: FloatArray, dates: pd.DatetimeIndex
    ) -> dict[str, FloatArray]:
        """Daily outputs (time, cell), spun up on the first year."""
        forms = {choice: np.full(lat.size, CROP_CARBON.choices[choice].index(form)) for choice, form in HIDDEN.items()}
        values = {name: np.asarray(array, float) for name, array in hidden.items()}
        return MODEL.simulate(
            drivers, attributes, lat=lat, dates=dates, spinup_years=SPINUP_YEARS, theta=Theta(values, forms)
        )


TRUTH = CropTruth()
