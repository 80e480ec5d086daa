"""The block ``regional`` of the configuration: sums of regions by inversions, which training is held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from .. import variables
from ..errors import nearest
from .base import Block, Years
from .leaves import leaf

if TYPE_CHECKING:
    from ..systems import System
    from .model import Config

PRESETS: Mapping[str, tuple[str, ...]] = {
    "land_sink": ("fossil", "fire", "river_export", "trade"),
    "ecosystem": ("fossil", "fire", "evasion", "crop_use", "wood_use", "biofuel", "chemistry"),
}
"""Corrections that belong to each preset. ``ecosystem``: the sources that no tower sees are taken out of the flux of
the inversion. ``land_sink``: carbon that leaves the region sideways is added, and the sum is the change of its
stocks."""
TERM = "regional"
"""Name of the term of the loss."""
UNIT, SUBSTANCE = "g m-2 d-1", "C"
"""Unit of a flux that inversions can be compared with, and what its mass is of."""

_BOTH = leaf("regional_target", "regional_points")
_POINTS = leaf("regional_points")


class RegionalBlock(Block):
    """Sums of regions and months by inversions that training is held to (docs/regional_constraint.md)."""

    jobs = ("regional_target",)

    constraint: str = Field("", json_schema_extra=leaf("regional_target", changes="inputs"))
    """The inversions: a set of 'constraints.sets'; empty: training sees no region."""
    regions: str = Field("", json_schema_extra=_BOTH)
    """The regions: a map of 'regions.maps'."""
    used: tuple[str, ...] = Field((), json_schema_extra=_BOTH)
    """Regions of that map to hold training to, by name; empty: all that the run and the inversions have."""
    preset: Literal["", "ecosystem", "land_sink"] = ""
    """What the fluxes are converted to (required): 'ecosystem' (as towers see it), 'land_sink' (change of stocks)."""
    flux: str = Field("", json_schema_extra=_POINTS)
    """The flux that is summed, in g m-2 d-1 of carbon, positive to the atmosphere; empty: the system's first."""
    members: tuple[str, ...] = ()
    """Inversions of the set by name; empty: all."""
    years: Years = None
    """First and last year to compare; left out: those of the training, as far as the inversions have them."""
    corrections: dict[str, str] = Field(default_factory=dict)
    """Fluxes that separate the inversions from the preset: a set of 'constraints.sets' that holds each, or a CSV file
    with the columns region, month (1 to 12), value [Tg of carbon in the month] and, where it differs, year."""
    without: tuple[Literal["fire", "lateral"], ...] = ()
    """What is knowingly not corrected."""
    floor: float = Field(0.04, gt=0, le=10)
    """Error [g m-2 d-1] of a month over the area of a region that all inversions share: 0.04 are 0.15 PgC yr-1 over
    10 million km2."""
    cover: float = Field(0.95, ge=0, le=1, json_schema_extra=_BOTH)
    """Least share of each region that lies in the domain, and of the land of the run that lies in the regions."""
    held_out_share: float = Field(0.2, ge=0, lt=1)
    """Share of the years of each region that is kept from training, to validate with (with three years or more)."""
    held_out: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """Years to keep from training by region, in place of those drawn."""
    points: int = Field(50, ge=1, le=10_000, json_schema_extra=_POINTS)
    """Points that stand for each region."""
    areas: Literal["clusters", "refitted"] = Field("clusters", json_schema_extra=_POINTS)
    """Area of a point: that of its cluster, or refitted to sums of the drivers (non-negative least squares)."""
    seed: int = Field(1, ge=0, json_schema_extra=_BOTH)
    """Seed of the points and of the years that are held out."""


def summed_flux(block: RegionalBlock, system: System) -> str:
    """The variable whose sums are compared."""
    return block.flux or system.flux


def wrong_regional(config: Config, system: System) -> Iterator[str]:
    """A line ``key: what is wrong`` for each contradiction of the block with itself, the system and other blocks."""
    block, train = config.regional, config.train
    wanted = train.strategy == "constrained"
    if train.strategy == "declared":
        wanted = any(phase.weighs(TERM) for phase in system.phases)
    if not block.constraint:
        if wanted and not train.members_from:
            yield (
                "train.strategy: the strategy compares regions, and no inversions are given: set regional.constraint "
                "(docs/regional_constraint.md)"
            )
        if given := block.given(*(name for name in RegionalBlock.model_fields if name != "constraint")):
            yield f"regional.{given[0]}: does nothing without regional.constraint"
        return
    if train.ladder == "climb" and not train.members_from:
        yield "train.ladder: climb compares rungs that see no region; with regional.constraint set ladder: network"
    elif not train.members_from and (not wanted or train.ladder != "network"):
        yield "regional.constraint: no phase of training uses it; set train.strategy: constrained and ladder: network"
    if train.regional_draw and train.regional_decompose:
        yield "train.regional_draw: mean, season and anomaly need the same points in all years; leave it at 0"
    if train.regional_draw >= block.points:
        yield f"train.regional_draw: fewer points than regional.points ({block.points}) are drawn in a step, or all (0)"
    yield from _sources(config)
    yield from _held_out(block, block.years or train.years)
    yield from _flux(block, system)


def _held_out(block: RegionalBlock, compared: tuple[int, int] | None) -> Iterator[str]:
    """Names that stand twice, and region-years to hold out that are not compared."""
    for key in ("used", "members", "without"):
        names: tuple[str, ...] = getattr(block, key)
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            yield f"regional.{key}: {', '.join(map(repr, twice))} stands there twice"
    for name, years in block.held_out.items():
        if block.used and name not in block.used:
            yield f"regional.held_out: '{name}' is not in regional.used{nearest(name, block.used)}"
        if not years:
            yield f"regional.held_out.{name}: name a year, or leave the region out"
        if compared and (outside := [year for year in years if not compared[0] <= year <= compared[1]]):
            span = f"{compared[0]} to {compared[1]}"
            yield f"regional.held_out.{name}: {', '.join(map(str, outside))} outside of the years compared, {span}"


def _sources(config: Config) -> Iterator[str]:
    """What inversions, regions and corrections are named that do not exist, or do not belong to the preset."""
    block, sets, maps = config.regional, config.constraints.sets, config.regions.maps
    for key, name, known, where in (
        ("constraint", block.constraint, sets, "constraints.sets"),
        ("regions", block.regions, maps, "regions.maps"),
    ):
        if name not in known:
            what = f"'{name}' is not in {where}{nearest(name, known)}" if name else f"name an entry of {where}"
            yield f"regional.{key}: {what}"
    if not block.preset:
        yield "regional.preset: say what the sums are converted to, 'ecosystem' or 'land_sink'"
    for name, source in block.corrections.items():
        belongs = PRESETS.get(block.preset, tuple(one for known in PRESETS.values() for one in known))
        if name not in belongs:
            listed = f"{nearest(name, belongs)} (choose from {', '.join(belongs)})"
            yield f"regional.corrections: '{name}' is not one of preset '{block.preset}'{listed}"
        if source not in sets and not source.endswith(".csv"):
            yield f"regional.corrections.{name}: '{source}' is neither in constraints.sets nor a CSV file"
        if source == block.constraint:
            yield f"regional.corrections.{name}: '{source}' are the inversions themselves"


def _flux(block: RegionalBlock, system: System) -> Iterator[str]:
    name = summed_flux(block, system)
    if name not in system.summed:
        yield (
            f"regional.flux: '{name}' is not summed by the system '{system.key}'{nearest(name, system.summed)}"
            f" (choose from {', '.join(system.summed) or 'none'})"
        )
        return
    row, substance = variables.get(name), system.get_flux(name).substance
    unit = row.units
    if (unit, substance) != (UNIT, SUBSTANCE):
        yield f"regional.flux: '{name}' is in {unit} of {substance}, and inversions in {UNIT} of {SUBSTANCE} (carbon)"
    elif "upward" not in row.long_name:
        yield f"regional.flux: '{name}' is not positive to the atmosphere, as inversions are ({row.long_name})"
