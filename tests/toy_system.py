"""The smallest system that is not the flagship: the proof that the stages know no system by name.

One sub-module, a process model that is linear in the weather, no methane and no soil temperature or moisture; carbon
fluxes with the identity ``nee = reco - gpp``; every cell of land is run.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from fluxatlas.systems import Flux, KnowledgeTerm, ObservationKind, Phase, Submodule, System
from fluxatlas.systems.protocols import Arrays, FloatArray, Head, KnowledgeProbe, NetworkParts
from fluxatlas.systems.slow import CARBON_DIOXIDE, LEAF_AREA
from fluxatlas.theta import Prior, Theta

LIGHT_FORMS = ("linear", "halved")
LIGHT, WARMTH, BASE = 0.02, 0.12, 1.5
"""Slopes [g m-2 d-1 per W m-2 and per K] and base [g m-2 d-1] of the process model."""


def carbon(rsds: FloatArray, tas: FloatArray, lai: FloatArray, co2: FloatArray, slope: FloatArray) -> Arrays:
    """``gpp``, ``reco`` and ``nee`` [g m-2 d-1 of carbon], same shape as ``rsds``; linear in light and temperature."""
    gpp = np.clip(slope * LIGHT * rsds * (0.5 + 0.1 * lai) * (co2 / 380.0), 0.0, 40.0)
    reco = np.clip(BASE + WARMTH * (tas - 283.15), 0.05, 40.0)
    return {"gpp": gpp, "reco": reco, "nee": reco - gpp}


class LinearCarbon:
    """A :class:`~fluxatlas.systems.protocols.ProcessModel` with one parameter and one structural choice."""

    def simulate(
        self,
        drivers: Arrays,
        attributes: Arrays,
        *,
        lat: FloatArray,
        dates: pd.DatetimeIndex,
        spinup_years: int,
        theta: Theta | None = None,
    ) -> dict[str, FloatArray]:
        given = theta.all() if theta else {}
        slope = given.get("slope", np.ones(len(lat))) * np.where(given.get("light", np.zeros(len(lat))), 0.5, 1.0)
        return dict(carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], slope))

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        return {}

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        return dict(statics)


def exchange(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The identity."""
    return {"nee": known["reco"] - known["gpp"]}


def no_uptake_in_the_dark(probe: KnowledgeProbe) -> Tensor:
    """Mean of ``gpp`` on days with next to no light."""
    dark = probe.known["rsds"] < 5.0
    return (probe.outputs["gpp"] * dark).sum() / dark.sum().clamp_min(1)


def priors() -> Mapping[str, Prior]:
    """One parameter."""
    return {"slope": Prior(1.0, 0.8, 1.2, between=0.5)}


MODEL = LinearCarbon()
PARTS = NetworkParts(
    heads={"exchange": Head(exchange, reads=("gpp", "reco"), makes=("nee",))},
    knowledge={"darkness": no_uptake_in_the_dark},
)
TOY = System(
    name="toy",
    title="Net carbon exchange of a toy",
    forcing=("tas", "rsds"),
    slow=(LEAF_AREA, CARBON_DIOXIDE),
    attributes=("clay", "soc"),
    statics=("clay", "soc"),
    climate=("tas", "rsds"),
    strata=("tas", "clay"),
    submodules=(
        Submodule(
            "carbon", ("tas", "rsds", "lai", "co2"), (), ("clay", "soc"), ("gpp", "reco"), ("slope",), ("light",)
        ),
    ),
    process="toy_system:MODEL",
    priors="toy_system:priors",
    network="toy_system:PARTS",
    fluxes=(
        Flux("nee", 1.0, "net carbon exchange", "Tg yr-1", "C", gas="CO2"),
        Flux("gpp", 1.0, "gross primary production", "Tg yr-1", "C", gas="CO2", upward=False),
        Flux("reco", 1.0, "respiration"),
    ),
    outputs=("nee", "gpp", "reco"),
    observations=(ObservationKind("nee"),),
    heads=("exchange",),
    choices={"light": LIGHT_FORMS},
    knowledge=(KnowledgeTerm("darkness", ("gpp", "rsds"), 0.1, 0.1, "plants need light"),),
    phases=(Phase("all", rate=0.5),),
)
