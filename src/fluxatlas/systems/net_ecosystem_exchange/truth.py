"""The hidden truth of net ecosystem exchange on the synthetic Earth.

The process model runs with parameters that vary with soil, leaves and climate and that no training stage sees, and with
structural choices (``System.withheld``) that the pretraining generator leaves out. Warm and wet places besides lose
carbon by disturbance, respired on the spot, where no tower stands: what towers alone cannot know and a regional total
can (section 9 of the science notes). The numbers are ours: they aim at plausible fluxes, not at any real place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from ...process.carbon import model
from ...process.carbon.choices import CHOICES
from ..protocols import Arrays, FloatArray
from . import NET_ECOSYSTEM_EXCHANGE

HIDDEN = {choice: forms[0] for choice, forms in NET_ECOSYSTEM_EXCHANGE.withheld.items()}
"""Structure of this world, where it is not the default."""
SPINUP_YEARS = 2
DISTURBANCE = 0.9
"""Greatest mean source of disturbance [g m-2 d-1 of carbon]."""


class CarbonExchangeTruth:
    """:class:`~fluxatlas.systems.protocols.Truth` of this system."""

    undisturbed: Mapping[str, float] = {"disturbance": 0.0}
    """Hidden parameters that have another value where a site stands."""

    def parameters(
        self,
        temperature: FloatArray,
        attributes: Arrays,
        monthly: Arrays,
        waves: Callable[[str], FloatArray],
        scatter: Callable[[str], FloatArray] | None = None,
    ) -> dict[str, FloatArray]:
        """Hidden parameters (cell,) within the bounds of the tables, and ``disturbance`` [g m-2 d-1].

        ``scatter`` adds what no attribute tells: an sd of 0.2 in the logarithm of the efficiency, of 0.25 in that of
        the stock.
        """
        leaf = np.asarray(monthly["lai"]).mean(axis=0)
        forest = leaf / (leaf + 1.2)
        warm = np.clip((temperature - 5.0) / 15.0, 0, 1)
        crops = np.asarray(attributes["cropFrac"]) / 100.0
        rough = {name: scatter(f"truth.{name}") if scatter else np.zeros(leaf.size) for name in ("lue", "stock")}
        found = {
            "light_use_efficiency": 1.9
            * np.exp(0.25 * crops - 0.15 * warm + 0.1 * waves("truth.lue") + 0.2 * rough["lue"]),
            "light_curvature": np.full(leaf.size, 0.1),
            "extinction": 0.45 + 0.15 * (1 - forest),
            "cold_stop": -3.0 - 3.0 * (1 - warm),
            "warm_full": 11.0 + 6.0 * warm,
            "acclimation_days": 6.0 + 6.0 * forest,
            "drought_threshold": 0.65 - 0.25 * forest,
            "leaf_turnover": 0.5 + 0.9 * (1 - forest),
            "wood_turnover": 0.02 + 0.03 * warm,
            "maintenance_q10": np.full(leaf.size, 1.8),
            "humification": np.full(leaf.size, 0.35),
            "stock": (0.95 - 0.15 * forest) * np.exp(0.08 * waves("truth.stock") + 0.25 * rough["stock"]),
            "root_base": 0.943 + 0.03 * forest,
            "albedo": 0.25 - 0.12 * forest,
            "litter_depth": 0.004 + 0.03 * forest,
        }
        priors = model.priors()
        within = {name: np.clip(values, priors[name].lower, priors[name].upper) for name, values in found.items()}
        return {
            **within,
            "disturbance": DISTURBANCE * forest * warm / (1.0 + np.exp(-2.0 * waves("truth.disturbance"))),
        }

    def simulate(
        self, drivers: Arrays, attributes: Arrays, hidden: Arrays, *, lat: FloatArray, dates: pd.DatetimeIndex
    ) -> dict[str, FloatArray]:
        """Daily outputs (time, cell), spun up on the first year; ``nee`` is ``reco - gpp`` with the disturbance in
        ``reco`` and ``rh``."""
        codes = {choice: np.full(lat.size, CHOICES[choice].index(form)) for choice, form in HIDDEN.items()}
        given = {name: values for name, values in hidden.items() if name != "disturbance"}
        daily = model.simulate(
            drivers, attributes, given, lat=lat, dates=dates, structure=codes, spinup_years=SPINUP_YEARS
        ).daily
        warmth = np.exp(0.07 * (np.clip(daily["tsl05"], 263.15, 308.15) - 291.15))
        lost = (np.asarray(hidden["disturbance"]) * warmth).astype(np.float32)
        reco = daily["reco"] + lost
        return {**daily, "rh": daily["rh"] + lost, "reco": reco, "nee": reco - daily["gpp"]}


TRUTH = CarbonExchangeTruth()
