"""Net ecosystem exchange of CO2: respiration less photosynthesis, under towers and, where given, inversions.

Three sub-networks: soil, production and respiration; ``nee = reco - gpp`` holds exactly. Nothing tells the network the
year or where it is; the radiation above the atmosphere (``rsdt``) tells it the season.

Sources: drivers after the FLUXCOM family (Jung et al. 2020, doi:10.5194/bg-17-1343-2020; Nelson & Walther et al. 2024,
doi:10.5194/bg-21-5079-2024), of which we know the outline, not every setting; the two constraints follow Upton et al.
(2024, doi:10.5194/acp-24-2555-2024) as far as its abstract goes (docs/net_ecosystem_exchange.md). Knowledge weights and
ranges are our starting point, not published values.
"""

from ...process.carbon.choices import CHOICES
from ..base import Flux, KnowledgeTerm, ObservationKind, Perturbation, Phase, Published, Submodule, System
from ..slow import CARBON_DIOXIDE, LEAF_AREA, SOLAR_POTENTIAL

_SOIL = ("sand", "clay", "soc", "phi")
_HEAT_AND_WATER = (
    *("albedo", "priestley_taylor", "interception_capacity", "root_base", "stress_threshold", "evaporation_shape"),
    *("surface_warming", "canopy_cooling", "surface_offset", "conductivity_factor", "litter_depth"),
    *("melt_factor", "snow_below", "rain_above", "snow_fresh_density", "snow_max_density", "snow_settling"),
    *("snow_viscosity", "runoff_shape", "drainage_factor", "retention_factor"),
)
_LIGHT = (
    *("extinction", "quantum_factor", "water_cost", "light_use_efficiency", "light_curvature", "acclimation_days"),
    *("cold_stop", "frost_recovery", "warm_full", "heat_start", "vpd_full", "vpd_stop", "co2_sensitivity"),
    *("drought_threshold", "drought_floor", "season_weight", "season_days", "root_base", "retention_factor"),
)
_RESPIRATION = (
    *("leaf_share", "root_share", "leaf_turnover", "root_turnover", "wood_turnover", "reserve_rate"),
    *("leaf_maintenance", "root_maintenance", "wood_maintenance", "maintenance_q10", "maintenance_acclimation"),
    *("growth_share", "plant_share", "litter_fast_share", "litter_fast_rate", "litter_slow_rate", "soil_fast_rate"),
    *("soil_slow_rate", "soil_passive_rate", "litter_efficiency", "lignin_share", "humification", "clay_effect"),
    *("passive_share", "soil_q10", "wetness_optimum", "dry_decay", "stock", "root_base", "retention_factor"),
)
_HERE = "fluxatlas.systems.net_ecosystem_exchange"

NET_ECOSYSTEM_EXCHANGE = System(
    name="net_ecosystem_exchange",
    title="Net ecosystem exchange of CO2",
    forcing=("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind"),
    slow=(LEAF_AREA, CARBON_DIOXIDE, SOLAR_POTENTIAL),
    attributes=("sand", "clay", "soc", "bdod", "cropFrac"),
    statics=("sand", "clay", "soc", "phi", "cropFrac"),
    climate=("tas", "pr", "rsds", "huss", "lai"),
    strata=("tas", "pr", "clay", "soc"),
    submodules=(
        Submodule(
            name="soil",
            drivers=("tas", "tasmin", "tasmax", "rsds", "rlds", "pr", "huss", "ps", "sfcWind", "lai"),
            upstream=(),
            statics=_SOIL,
            outputs=("tsl05", "swc05", "swc15", "swc45", "evspsbl"),
            parameters=_HEAT_AND_WATER,
        ),
        Submodule(
            name="production",
            drivers=("tas", "tasmin", "tasmax", "rsds", "rsdt", "huss", "ps", "lai", "co2"),
            upstream=("tsl05", "swc05", "swc15", "swc45"),
            statics=(*_SOIL, "cropFrac"),
            outputs=("gpp",),
            parameters=_LIGHT,
            choices=("light_use", "drought", "season"),
            pretrain=1.0,
            finetune=0.5,
        ),
        Submodule(
            name="respiration",
            drivers=("tas", "lai"),
            upstream=("gpp", "tsl05", "swc05", "swc15"),
            statics=(*_SOIL, "cropFrac"),
            outputs=("reco",),
            parameters=_RESPIRATION,
            choices=("autotrophic", "warmth", "wetness"),
            pretrain=1.0,
            finetune=0.5,
        ),
    ),
    process=f"{_HERE}.process:MODEL",
    priors="fluxatlas.process.carbon.model:priors",
    network=f"{_HERE}.network:PARTS",
    fluxes=(
        Flux("nee", 3.0, "net ecosystem exchange, upward", "Pg yr-1", "C", gas="CO2"),
        Flux("gpp", 3.0, "gross primary production", "Pg yr-1", "C", gas="CO2", upward=False),
        Flux("reco", 3.0, "ecosystem respiration", "Pg yr-1", "C", gas="CO2"),
    ),
    outputs=("nee", "gpp", "reco"),
    observations=(
        ObservationKind("nee"),
        # partitioned by night-time fluxes: what is below zero is noise, not another place
        *(ObservationKind(name, limits=(-10.0, 45.0)) for name in ("gpp", "reco")),
        *(ObservationKind(name) for name in ("tsl05", "swc05", "swc15", "swc45", "evspsbl")),
    ),
    heads=("balance",),
    choices=CHOICES,
    knowledge=(
        KnowledgeTerm("darkness", ("gpp", "rsdt"), 0.1, 0.1, "plants need light"),
        KnowledgeTerm("light", ("lai", "rsdt", "phi"), 0.05, 0.05, "production does not fall with light"),
        KnowledgeTerm("warmth", ("lai", "phi"), 0.05, 0.1, "Q10 of ecosystem respiration within 1.0-4.0"),
    ),
    phases=(Phase("fluxes", ("production", "respiration")), Phase("all", rate=0.3)),
    perturb={"bdod": Perturbation(factor=0.1)},
    keywords=("carbon", "flux", "nee"),
    truth=f"{_HERE}.truth:TRUTH",
    truth_note=(
        "the hidden truth of the synthetic Earth has another structure than the members are pretrained on and more"
        " efficient plants than the median of the prior; a source of disturbance in warm, wet places, which no tower"
        " sees, is in the truth of the map alone. Heat and water follow the equations of the process model, which"
        " flatters that model in soil temperature and soil water."
    ),
    withheld={"light_use": ("saturating",), "warmth": ("rothc",), "wetness": ("skopp",)},
    published=(
        Published("X-BASE NEE 2001-2020, Nelson & Walther et al. 2024", -6.08, -5.42, "V"),
        Published("FLUXCOM NEE, Jung et al. 2020 (order of magnitude)", -20.0, -15.0, "R"),
        Published("16 inversions 2011-2020, net land flux, Chandra et al. 2022", -3.2, -2.6, "V"),
        Published("the same less 0.6 of river export, Chandra et al. 2022", -2.6, -2.0, "V"),
        Published("GONGGA 2015-2022, NBE, Jin et al. 2024", -2.97, -1.47, "V"),
        Published("GCAS2021 2010-2019, NEE without fire, Jiang et al. 2022", -4.25, -3.21, "V"),
    ),
)
