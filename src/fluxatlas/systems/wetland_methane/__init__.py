"""Wetland methane: emission of CH4 by wetlands, per area of wetland.

The network has one part for soil temperature, snow and the water table and one for the ways of methane to the air.
Sources: Walter & Heimann (2000, doi:10.1029/1999GB001204), Zhuang et al. (2004, doi:10.1029/2004GB002239), Riley et al.
(2011, doi:10.5194/bg-8-1925-2011); the question is that of X-MethaneWet (Sun et al. 2025, arXiv:2505.18355). Fluxes are
per area of wetland: the fraction of wetland is multiplied once, where an area is summed.
"""

from ...process.wetland.choices import CHOICES
from ..base import Flux, ObservationKind, Perturbation, Phase, Published, Submodule, System
from ..slow import LEAF_AREA, METHANE

_SOIL = ("sand", "clay", "soc", "bdod")
_WATER = (
    *("runon", "specific_yield", "outflow_rate", "sill_height", "evaporation_factor", "priestley_taylor", "albedo"),
    *("melt_factor", "heat_diffusivity", "snow_insulation", "surface_offset"),
)
_METHANE = (
    *("production_rate", "production_q10", "least_supply", "light_use", "anaerobic_days", "aerobic_days"),
    *("oxidation_rate", "oxidation_half", "oxidation_q10", "plant_oxidation", "plant_rate", "plant_transport"),
    *("root_depth", "growth_temperature", "bubble_rate", "bubble_threshold", "coarse_pores"),
    *("lumped_rate", "lumped_q10", "lumped_depth", "lumped_days"),
)
_HERE = "fluxatlas.systems.wetland_methane"

WETLAND_METHANE = System(
    name="wetland_methane",
    title="Methane emission of wetlands",
    forcing=("tas", "pr", "rsds", "rlds", "ps"),
    slow=(LEAF_AREA, METHANE),
    attributes=(*_SOIL, "phh2o"),
    statics=(*_SOIL, "phh2o"),
    climate=("tas", "pr", "rsds", "lai"),
    strata=("tas", "pr", "phh2o", "soc"),
    submodules=(
        Submodule(
            name="water",
            drivers=("tas", "pr", "rsds", "rlds", "lai"),
            upstream=(),
            statics=_SOIL,
            outputs=("tsl05", "tsl15", "tsl45", "snw", "wth"),
            parameters=_WATER,
        ),
        Submodule(
            name="methane",
            drivers=("tas", "rsds", "lai"),
            upstream=("tsl05", "tsl15", "tsl45", "wth"),
            statics=(*_SOIL, "phh2o"),
            outputs=("ch4wetdif", "ch4wetpla", "ch4wetebu", "ch4wetupt"),
            parameters=_METHANE,
            choices=tuple(CHOICES),
            finetune=0.0,
        ),
    ),
    process=f"{_HERE}.process:MODEL",
    priors="fluxatlas.process.wetland.column:TABLE.priors",
    network=f"{_HERE}.network:PARTS",
    fluxes=(
        Flux(
            *("fch4wet", 5.0, "CH$_4$ flux of wetland, upward", "Tg yr-1", "CH4"),
            gas="CH4",
            per_cell="fch4wetcell",
        ),
    ),
    outputs=("fch4wet", "ch4wetpla", "ch4wetebu", "tsl05", "wth"),
    observations=(
        ObservationKind("fch4wet", limits=(-200.0, 2500.0), measured="fch4"),
        *(ObservationKind(f"tsl{depth}") for depth in ("05", "15", "45")),
    ),
    heads=("pathways", "lumped", "free"),
    choices=CHOICES,
    phases=(Phase("last sub-module", ("methane",)), Phase("all", rate=0.1)),
    perturb={"phh2o": Perturbation("shift", 2.0), "bdod": Perturbation(factor=0.1)},
    mask="wetlandFrac",
    weight=("areacella", "sftlf", "wetlandFrac"),
    area="wetland",
    keywords=("methane", "wetland", "flux"),
    truth=f"{_HERE}.truth:TRUTH",
    truth_note=(
        "the hidden truth of the synthetic Earth is the column of the process model with a response to pH that the"
        " generator of samples leaves out; half of the samples are of the lumped model. Heat and water of this world"
        " follow the same equations as the process model, which flatters that model."
    ),
    withheld={"acidity": ("clm",)},
    published=(
        Published("Saunois et al. 2025, bottom-up", 119.0, 203.0, "V"),
        Published("Poulter et al. 2025, 16 models", 134.0, 182.0, "V"),
        Published("UpCH4 (McNicol et al. 2023)", 103.0, 189.0, "R"),
        Published("WetCH4 (Ying et al. 2025), north of 45 N, by map", 13.7, 44.1, "V", 45.0),
        Published("Peltola et al. 2019, north of 45 N, by map", 32.0, 38.0, "R", 45.0),
    ),
)
