"""Soil moisture, and the fluxes of energy and water of the surface, whose energy closes.

The network has a hydrological part, which sees past rain through a mean that forgets at a rate of its own in every
soil, and an energy part. Its first head closes ``rns = hfls + hfss + hfdsl`` by construction.

Sources: Zhang et al. (2019, doi:10.1016/j.rse.2018.12.031) for the canopy, Saxton & Rawls (2006,
doi:10.2136/sssaj2005.0117) for the bounds of soil water; after the products of Han et al. (2023,
doi:10.1038/s41597-023-02011-7; 2025, ESSD 17, 7101). Knowledge weights are our starting point.
"""

from ..base import Flux, KnowledgeTerm, Memory, ObservationKind, Submodule, System
from ..slow import CARBON_DIOXIDE, LEAF_AREA

_SOIL = ("sand", "clay", "soc", "swcwp", "swcfc", "swcsat")
_CANOPY = (
    *("albedo", "snow_albedo", "ground_share", "quantum_yield", "co2_slope", "stomatal_slope", "carboxylation"),
    *("vpd_sensitivity", "light_extinction", "radiation_extinction", "vpd_low", "vpd_high", "canopy_height"),
    *("conductance_factor", "leaf_storage", "wet_evaporation", "stress_share"),
)
_WATER = ("melt_factor", "infiltration_share", "surface_drainage", "capillary", "retention_factor")
_WEATHER = ("tas", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")
_HERE = "fluxatlas.systems.soil_moisture_energy"
_CLOSED = ("fraction", "projection")

SOIL_MOISTURE_ENERGY = System(
    name="soil_moisture_energy",
    title="Soil moisture and the energy of the land surface",
    forcing=_WEATHER,
    slow=(LEAF_AREA, CARBON_DIOXIDE),
    attributes=("sand", "clay", "soc"),
    statics=_SOIL,
    climate=("tas", "pr", "rsds", "huss", "lai"),
    strata=("tas", "pr", "clay", "soc"),
    submodules=(
        Submodule(
            name="hydrology",
            drivers=(*_WEATHER, "lai", "co2"),
            upstream=(),
            statics=_SOIL,
            outputs=("snw", "swc05", "swc45"),
            parameters=(*_CANOPY, *_WATER),
            finetune=0.3,
            memories=(Memory("pr", ("sand", "clay")), Memory("rsds", ("sand", "clay"))),
        ),
        Submodule(
            name="energy",
            drivers=(*_WEATHER, "lai", "co2"),
            upstream=("snw", "swc05", "swc45"),
            statics=_SOIL,
            outputs=("rns", "hfdsl", "evapfrac"),
            parameters=(*_CANOPY, "retention_factor"),
            finetune=0.3,
        ),
    ),
    process=f"{_HERE}.process:MODEL",
    priors="fluxatlas.process.energy.column:TABLE.priors",
    network=f"{_HERE}.network:PARTS",
    fluxes=(
        Flux("hfls", 20.0, "latent heat flux"),
        Flux("hfss", 20.0, "sensible heat flux"),
        Flux("evspsbl", 1.0e-5, "evapotranspiration", "Pg yr-1", "H2O", gas="H2O"),
        Flux("rns", 20.0, "net radiation"),
        Flux("hfdsl", 5.0, "heat into the ground"),
    ),
    outputs=("hfls", "hfss", "rns", "hfdsl", "evspsbl", "swc05", "swc45"),
    observations=tuple(ObservationKind(name) for name in ("hfls", "hfss", "rns", "hfdsl", "swc05", "swc45")),
    heads=("fraction", "projection", "open"),
    knowledge=(
        KnowledgeTerm("closure", ("rns", "hfls", "hfss", "hfdsl"), 0.1, 0.1, "conservation of energy", _CLOSED),
        KnowledgeTerm(
            "equilibrium",
            ("hfls", "rns", "hfdsl", "tas", "ps", "pr"),
            0.05,
            0.05,
            "at most 1.6 times equilibrium and 60 W m-2",
        ),
        KnowledgeTerm("wetting", ("swc05", "pr", "snw"), 0.05, 0.05, "soil gains no more water than falls or melts"),
        KnowledgeTerm(
            "dry_down",
            ("swc05", "pr", "snw", "rns", "swcwp", "swcfc", "swcsat"),
            0.05,
            0.05,
            "soil dries no faster than energy allows",
        ),
        KnowledgeTerm("antecedent", ("pr", "swc05"), 0.05, 0.05, "more rain never leaves a drier soil"),
    ),
    balance={"rns": 1.0, "hfdsl": -1.0, "hfls": -1.0, "hfss": -1.0},
    overpasses=f"{_HERE}.overpass:MODELS",
    truth=f"{_HERE}.truth:TRUTH",
    truth_note=(
        "the hidden truth of the synthetic Earth is the process model with parameters that follow soil, leaves and"
        " climate, which flatters that model and all that learn from it."
    ),
    keywords=("soil moisture", "evapotranspiration", "energy balance"),
)
