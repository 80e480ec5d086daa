"""Carbon of fields under maize, soybean and wheat: respiration of plants and of soil, net exchange, harvest.

Four sub-modules in a row: the basis (soil and production), the plants' respiration, the harvest, and the soil, which
remembers residues over years. ``reco = ra + rh`` and ``nee = reco - gpp`` hold exactly, and so does what a harvest
leaves: production of plants since the last harvest less what is carried away.

After the method of Liu et al. (2024, doi:10.1038/s41467-023-43860-5), from a description of it (science notes of the
project), not from its code: its hidden basis is named physical outputs here, its pulse of residue falls on the day of
harvest instead of day 300, and production is made from the weather where none is given. Knowledge weights are our
starting point. Winter wheat stands in the field until its day of harvest, so that the network can be told when that is.
"""

from ...process.crop.choices import CHOICES
from ..base import Flux, KnowledgeTerm, Memory, ObservationKind, Perturbation, Phase, Submodule, System, Total
from ..slow import CARBON_DIOXIDE, EVEN_YEAR, FIELD_DAY, SOLAR_POTENTIAL

CROPS = ("maize", "soybean", "wheat")
"""Crops of the system; wheat is winter wheat."""
ROTATIONS = {
    "maize_soybean": ("maize", "soybean"),
    "soybean_maize": ("soybean", "maize"),
    **{crop: (crop, crop) for crop in CROPS},
}
"""Rotations of the system, and the crops of even and of odd years of each; maize in even years is the first."""
_SOIL = ("sand", "clay", "soc", "phi")
_WEATHER = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")


def _of_crops(*names: str) -> tuple[str, ...]:
    return tuple(f"{crop}_{name}" for name in names for crop in CROPS)


_CALENDAR = _of_crops("sowing_day", "harvest_day")
_GROWTH = (
    *_CALENDAR,
    *_of_crops("light_use", "base_temperature", "emergence_sum", "anthesis_sum", "maturity_sum", "seed_carbon"),
    *("leaf_area_factor", "root_factor", "remobilisation_factor", "maintenance_factor", "efficiency_shift"),
)
_LIGHT = (*_of_crops("vpd_start", "vpd_end"), "extinction", "temperature_shift", "co2_response", "irrigated")
_SOIL_LIFE = (
    *("tillage_day", "tillage_share", "dpm_rate", "rpm_rate", "bio_rate", "hum_rate", "surface_factor", "irrigated"),
    *("structural_rate", "residue_ratio", "cover_factor", "soil_q10", "carbon_use", "root_turnover"),
)
_HERE = "fluxatlas.systems.crop_carbon"
STEPS = (
    Phase("1 plants", ("basis", "plants", "yield"), synthetic=1.0, pace=(1.0, 7.0), stop=False),
    Phase("2 soil", ("plants", "soil"), synthetic=1.0, terms={"soil_carbon": 0.2}, stop=False),
    Phase("3 yields", ("basis", "yield"), rates={"basis": 0.2}, terms={"production": 0.2}, pace=(1.0, 30.0)),
    Phase("4 repair", ("plants", "soil"), synthetic=1.0, terms={"soil_carbon": 0.2}, stop=False),
    Phase("5 towers", ("plants", "soil"), rates={"plants": 0.5, "soil": 0.2}, terms={"preserved": 1.0, "fallow": 1.0}),
)
"""The five steps of the published method, after a pretraining of all sub-modules at once (docs/crop_carbon.md)."""

CROP_CARBON = System(
    name="crop_carbon",
    title="Carbon of croplands",
    forcing=_WEATHER,
    slow=(CARBON_DIOXIDE, SOLAR_POTENTIAL, FIELD_DAY, EVEN_YEAR),
    attributes=("sand", "clay", "soc", "bdod"),
    statics=_SOIL,
    climate=("tas", "pr", "rsds", "huss"),
    strata=("tas", "pr", "clay", "soc"),
    submodules=(
        Submodule(
            name="basis",
            drivers=(*_WEATHER, "co2", "rsdt", "fieldday", "evenyear"),
            upstream=(),
            statics=_SOIL,
            outputs=("tsl05", "swc05", "swc15", "gpp"),
            parameters=(*_GROWTH, *_LIGHT),
            choices=("rotation", "varieties"),
            pretrain=1.0,
            finetune=0.5,
        ),
        Submodule(
            name="plants",
            drivers=("tas", "fieldday", "evenyear"),
            upstream=("gpp",),
            statics=(),
            outputs=("ra",),
            parameters=_GROWTH,
            choices=("rotation", "varieties"),
            pretrain=1.0,
            memories=(Memory("gpp", days=60.0),),
        ),
        Submodule(
            name="yield",
            drivers=("tas", "fieldday", "evenyear"),
            upstream=("gpp", "ra", "swc15"),
            statics=(),
            outputs=("harvest", "residue"),
            parameters=(*_GROWTH, "grain_removed", "straw_removed"),
            choices=("rotation", "varieties"),
            pretrain=3.0,
            totals=(Total("grown", ("gpp",), ("ra",), "harvest"), Total("produced", ("gpp",), (), "harvest")),
        ),
        Submodule(
            name="soil",
            drivers=("tas", "pr", "rsds", "fieldday", "evenyear"),
            upstream=("gpp", "tsl05", "swc05", "swc15", "residue"),
            statics=_SOIL,
            outputs=("rh",),
            parameters=(*_CALENDAR, *_SOIL_LIFE),
            choices=("rotation", "warmth", "retention"),
            pretrain=1.0,
            memories=(Memory("residue", days=60.0), Memory("residue", days=700.0), Memory("gpp", days=60.0)),
        ),
    ),
    process=f"{_HERE}.process:MODEL",
    priors=f"{_HERE}.process:priors",
    network=f"{_HERE}.network:PARTS",
    fluxes=(
        Flux("nee", 3.0, "net ecosystem exchange, upward", "Tg yr-1", "C", gas="CO2"),
        Flux("gpp", 3.0, "gross primary production", "Tg yr-1", "C", gas="CO2", upward=False),
        Flux("ra", 2.0, "autotrophic respiration", "Tg yr-1", "C", gas="CO2"),
        Flux("rh", 1.0, "heterotrophic respiration", "Tg yr-1", "C", gas="CO2"),
        Flux("reco", 3.0, "ecosystem respiration", "Tg yr-1", "C", gas="CO2"),
        Flux("harvest", 3.0, "harvest", "Tg yr-1", "C"),
    ),
    outputs=("nee", "gpp", "ra", "rh", "reco", "harvest"),
    observations=(
        ObservationKind("nee"),
        # partitioned by night-time fluxes: what is below zero is noise, not another place
        *(ObservationKind(name, limits=(-10.0, 45.0)) for name in ("gpp", "reco")),
        *(ObservationKind(name) for name in ("tsl05", "swc05", "swc15")),
        ObservationKind("harvest", support="year_sum", instrument="statistics"),
    ),
    heads=("hard", "soft"),
    options={"most_harvest": ("half", "whole")},
    choices={
        "rotation": tuple(ROTATIONS),
        **{choice: CHOICES[choice] for choice in ("varieties", "warmth", "retention")},
    },
    knowledge=(
        KnowledgeTerm("balance", ("gpp", "ra", "rh", "nee"), 1.0, 1.0, "conservation, within 1 % of Reco", ("hard",)),
        KnowledgeTerm("fallow", ("ra", "fieldday", "evenyear"), 0.1, 0.1, "no plants respire in a bare field"),
        KnowledgeTerm("soil_carbon", ("rh", "soc"), 0.05, 0.05, "more soil carbon respires no less"),
        KnowledgeTerm("production", ("gpp", "harvest"), 0.05, 0.05, "more production yields no less"),
        KnowledgeTerm("preserved", ("ra", "rh"), 0.0, 0.0, "responses learnt from samples are kept"),
    ),
    phases=STEPS,
    perturb={"bdod": Perturbation(factor=0.1)},
    storage={"nee": -1.0, "harvest": -1.0},
    stored="carbon of soil and litter",
    mask="cropFrac",
    weight=("areacella", "sftlf", "cropFrac"),
    area="cropland",
    keywords=("carbon", "crop", "respiration", "yield"),
    truth=f"{_HERE}.truth:TRUTH",
    truth_note=(
        "the hidden truth of the synthetic Earth is the process model with forms of soil respiration that the generator"
        " of samples leaves out, and every field of it, towers included, grows maize in even years and soybean in odd"
        " ones, which the members know. This flatters the process model and all that learn from it."
    ),
    withheld={"warmth": ("q10",), "retention": ("constant",), "rotation": tuple(ROTATIONS)[1:]},
    grown=ROTATIONS["maize_soybean"],
)
