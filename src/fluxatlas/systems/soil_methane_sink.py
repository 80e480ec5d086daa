"""The soil methane sink: uptake of atmospheric CH4 by upland soils.

The network has thermal, hydrological and biogeochemical sub-networks.

Sources: Ridgwell et al. (1999, doi:10.1029/1998GB900004), Curry (2007, doi:10.1029/2006GB002818), Murguia-Flores et al.
(2018, doi:10.5194/gmd-11-2009-2018); the network follows the idea of Liu et al. (2022, doi:10.5194/gmd-15-2839-2022).
Knowledge weights are our starting point, not published values.
"""

from .base import KnowledgeTerm, Submodule, System
from .slow import LEAF_AREA, METHANE

_SOIL = ("sand", "clay", "soc", "phi")

SOIL_METHANE_SINK = System(
    name="soil_methane_sink",
    title="Uptake of atmospheric methane by upland soils",
    forcing=("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind"),
    slow=(LEAF_AREA, METHANE),
    attributes=("sand", "clay", "soc", "bdod", "phh2o", "cropFrac", "ndep"),
    statics=("sand", "clay", "soc", "phi", "phh2o", "cropFrac", "ndep"),
    submodules=(
        Submodule(
            name="thermal",
            drivers=("tas", "tasmin", "tasmax", "rsds", "rlds", "pr", "huss", "sfcWind", "lai"),
            upstream=(),
            statics=_SOIL,
            outputs=("tsl05", "tsl15", "tsl45", "snw", "snd"),
        ),
        Submodule(
            name="hydrology",
            drivers=("tas", "pr", "rsds", "huss", "ps", "sfcWind", "lai"),
            upstream=("tsl05", "tsl15", "snw"),
            statics=_SOIL,
            outputs=("swc05", "swc15", "swc45", "evspsbl"),
        ),
        Submodule(
            name="biogeochemistry",
            drivers=("lai",),
            upstream=("tsl05", "tsl15", "snd", "swc05", "swc15"),
            statics=("sand", "clay", "soc", "phi", "phh2o", "cropFrac", "ndep"),
            outputs=("difs", "oxk", "ch4prod"),
        ),
    ),
    head="diffusion_oxidation",
    flux="fch4",
    outputs=("fch4", "ch4ox", "tsl05", "swc05"),
    knowledge=(
        KnowledgeTerm("source_allowance", ("fch4", "swc05", "tsl05"), 0.1, 0.1, "no net source from dry, thawed soil"),
        KnowledgeTerm("substrate", ("ch4ox", "ch4"), 0.05, 0.05, "first-order kinetics: elasticity to ch4 of 0.9-1.02"),
        KnowledgeTerm("temperature", ("ch4ox", "tsl05"), 0.05, 0.1, "Q10 of the flux 1.05-2.3 below, decline above"),
        KnowledgeTerm("moisture", ("ch4ox", "swc05"), 0.05, 0.1, "one optimum of water-filled pore space in 0.1-0.6"),
        KnowledgeTerm("diffusion_limit", ("ch4ox", "difs"), 0.1, 0.1, "uptake below what diffusion can supply"),
    ),
    published=(
        ("Ridgwell et al. 1999", 20.0, 51.0, "V"),
        ("Curry 2007", 9.0, 47.0, "V"),
        ("Dutaur & Verchot 2007", 10.0, 34.0, "V"),
        ("Murguia-Flores et al. 2018", 32.9, 34.1, "V"),
    ),
)
