"""The soil methane sink: uptake of atmospheric CH4 by upland soils.

The network has thermal, hydrological and biogeochemical sub-networks.

Sources: Ridgwell et al. (1999, doi:10.1029/1998GB900004), Curry (2007, doi:10.1029/2006GB002818), Murguia-Flores et al.
(2018, doi:10.5194/gmd-11-2009-2018); the network follows the idea of Liu et al. (2022, doi:10.5194/gmd-15-2839-2022).
Knowledge weights are our starting point, not published values.
"""

from ...process.choices import CHOICES
from ..base import Flux, KnowledgeTerm, ObservationKind, Perturbation, Phase, Published, Submodule, System
from ..slow import LEAF_AREA, METHANE

_SOIL = ("sand", "clay", "soc", "phi")
_WEATHER = (
    *("albedo", "priestley_taylor", "interception_capacity", "root_base", "stress_threshold", "evaporation_shape"),
    *("surface_warming", "canopy_cooling", "surface_offset", "conductivity_factor", "litter_depth"),
    *("melt_factor", "snow_below", "rain_above", "snow_fresh_density", "snow_max_density", "snow_settling"),
    *("snow_viscosity", "runoff_shape", "drainage_factor", "retention_factor"),
)
_METHANE = (
    *("litter_depth", "retention_factor", "oxidation_rate", "oxidation_depth", "oxidation_width", "oxidation_q10"),
    *("oxidation_optimum", "oxidation_minimum", "suction_low", "suction_high", "suction_shape", "wetness_optimum"),
    *("nitrogen_threshold", "nitrogen_sensitivity", "crop_reduction", "ph_optimum", "ph_width"),
    *("production_rate", "production_q10", "production_depth", "production_dry"),
)
_BY_PHYSICS = ("column", "diffusion_oxidation")
_HERE = "fluxatlas.systems.soil_methane_sink"

SOIL_METHANE_SINK = System(
    name="soil_methane_sink",
    title="Uptake of atmospheric methane by upland soils",
    forcing=("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind"),
    slow=(LEAF_AREA, METHANE),
    attributes=("sand", "clay", "soc", "bdod", "phh2o", "cropFrac", "ndep"),
    statics=("sand", "clay", "soc", "phi", "phh2o", "cropFrac", "ndep"),
    climate=("tas", "pr", "rsds", "huss", "lai"),
    strata=("tas", "pr", "clay", "soc"),
    submodules=(
        Submodule(
            name="thermal",
            drivers=("tas", "tasmin", "tasmax", "rsds", "rlds", "pr", "huss", "sfcWind", "lai"),
            upstream=(),
            statics=_SOIL,
            outputs=("tsl05", "tsl15", "tsl45", "snw", "snd"),
            parameters=_WEATHER,
        ),
        Submodule(
            name="hydrology",
            drivers=("tas", "pr", "rsds", "huss", "ps", "sfcWind", "lai"),
            upstream=("tsl05", "tsl15", "tsl45", "snw"),
            statics=_SOIL,
            outputs=("swc05", "swc15", "swc45", "evspsbl"),
            parameters=_WEATHER,
        ),
        Submodule(
            name="biogeochemistry",
            drivers=("lai",),
            upstream=("tsl05", "tsl15", "snd", "swc05", "swc15"),
            statics=("sand", "clay", "soc", "phi", "phh2o", "cropFrac", "ndep"),
            outputs=("difs", "oxk", "ch4prod"),
            parameters=_METHANE,
            choices=tuple(CHOICES),
            finetune=0.0,
        ),
    ),
    process=f"{_HERE}.process:MODEL",
    priors="fluxatlas.process.parameters:SOIL.priors",
    network=f"{_HERE}.network:PARTS",
    fluxes=(
        Flux("fch4", 0.5, "net CH$_4$ flux, upward", "Tg yr-1", "CH4", gas="CH4"),
        Flux("ch4ox", 0.5, "CH$_4$ uptake", "Tg yr-1", "CH4", gas="CH4", upward=False),
    ),
    outputs=("fch4", "ch4ox", "tsl05", "swc05"),
    observations=(
        ObservationKind("fch4", limits=(-25.0, 37.0), other_cover=("WET", "WAT"), instrument="chamber"),
        *(ObservationKind(f"{kind}{depth}") for kind in ("tsl", "swc") for depth in ("05", "15", "45")),
    ),
    heads=("column", "diffusion_oxidation", "free"),
    options={"diffusivity": CHOICES["diffusivity"]},
    choices=CHOICES,
    knowledge=(
        KnowledgeTerm(
            "source_allowance", ("fch4", "swc05", "tsl05", "phi"), 0.1, 0.1, "no net source from dry, thawed soil"
        ),
        KnowledgeTerm(
            "substrate",
            ("lai", "phi"),
            0.05,
            0.05,
            "first-order kinetics: elasticity to ch4 of 0.9-1.02",
            guaranteed=_BY_PHYSICS,
        ),
        KnowledgeTerm("temperature", ("lai", "phi"), 0.05, 0.1, "Q10 of the flux 1.05-2.3 below, decline above"),
        KnowledgeTerm("moisture", ("lai", "phi"), 0.05, 0.1, "one optimum of water-filled pore space in 0.05-0.85"),
        KnowledgeTerm(
            "diffusion_limit",
            ("ch4ox", "difs", "ch4", "ps", "tas", "huss"),
            0.1,
            0.1,
            "uptake below what diffusion can supply",
            guaranteed=_BY_PHYSICS,
        ),
    ),
    phases=(Phase("last sub-module", ("biogeochemistry",)), Phase("all", rate=0.1)),
    perturb={"phh2o": Perturbation("shift", 2.0), "bdod": Perturbation(factor=0.1)},
    mask="uplandFrac",
    weight=("areacella", "uplandFrac"),
    area="upland soil",
    shown="ch4ox",
    keywords=("methane", "soil", "flux"),
    profiles=(("tsl05", "tsl15", "tsl45"), ("swc05", "swc15", "swc45")),
    without_weather=f"{_HERE}.chambers:without_weather",
    truth=f"{_HERE}.truth:TRUTH",
    truth_note=(
        "in the hidden truth of the synthetic Earth the oxidation rate is more than twice the median of the process"
        " model's prior, in its world 'realistic' 1.5 times (docs/synthetic_earth.md). The prior is therefore"
        " biased from the start, which flatters fine-tuning. Heat and water of this world follow the same equations as"
        " the process model, which flatters that model in soil temperature and soil water."
    ),
    withheld={
        "diffusivity": ("moldrup_wlr",),
        "temperature": ("memo",),
        "moisture": ("parabola",),
        "profile": ("exponential",),
    },
    published=(
        Published("Ridgwell et al. 1999", 20.0, 51.0, "V"),
        Published("Curry 2007", 9.0, 47.0, "V"),
        Published("Dutaur & Verchot 2007", 10.0, 34.0, "V"),
        Published("Murguia-Flores et al. 2018", 32.9, 34.1, "V"),
    ),
)
