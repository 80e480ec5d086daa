"""The block ``comparison`` of the configuration: gridded products that the product is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from ..errors import nearest
from .base import Block
from .leaves import leaf
from .run import PeriodBlock

if TYPE_CHECKING:
    from ..systems import System
    from .model import Config

_TRIPLES = leaf("collocate")


class ComparisonBlock(Block):
    """Gridded products that `snakemake comparison` compares variables of the product with (docs/comparison.md)."""

    jobs = ("compare", "collocate")

    against: dict[str, list[str]] = Field(
        default_factory=dict, json_schema_extra=leaf(why="decides which jobs there are: each pair and triple is one")
    )
    """Variable of the product -> sets of 'constraints.sets' it is compared with; none by default."""
    collocation: Literal["where_possible", "always", "never"] = Field(
        "where_possible", json_schema_extra=leaf(why="decides which jobs there are: each triple is one")
    )
    """Triple collocation of the product with each two of the sets; 'always' refuses a variable with fewer than two."""
    minimum_share: float = Field(0.5, gt=0, le=1)
    """Least share of a cell of the coarser grid, and of the days of a month, that must have values."""
    band_degrees: float = Field(1.0, gt=0, le=90)
    """Height [degrees] of the bands of latitude."""
    season_window: int = Field(31, ge=1, le=181)
    """Days around each day of the year whose mean over all years is the season that anomalies depart from; odd."""
    minimum_days: int = Field(30, ge=3, json_schema_extra=leaf("compare"))
    """Fewest days in common for a cell to have scores."""
    minimum_months: int = Field(12, ge=3)
    """Fewest months in common, where a product is monthly, for scores and for triple collocation."""
    triplet_days: int = Field(100, ge=10, json_schema_extra=_TRIPLES)
    """Fewest days on which all three have a value for triple collocation of a cell."""
    block_days: int = Field(30, ge=1, le=366)
    """Days of a block of time; blocks are drawn for the 90 % intervals (monthly products: 3 months)."""
    resamples: int = Field(300, ge=100, le=10_000)
    """Draws of blocks of time."""
    seed: int = Field(1, ge=0)
    """Seed of these draws."""

    @field_validator("season_window")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"{value} days have no day in their middle: give an odd number")
        return value

    @field_validator("against", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: [sets] if isinstance(sets, str) else sets for name, sets in value.items()}

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every variable with every set that it is compared with."""
        return [(name, one) for name, sets in self.against.items() for one in sets]

    @property
    def triples(self) -> list[tuple[str, str, str]]:
        """Every variable with each two of its sets, for triple collocation."""
        if self.collocation == "never":
            return []
        return [(name, *two) for name, sets in self.against.items() for two in combinations(sets, 2)]


def wrong_comparison(config: Config, system: System) -> Iterator[str]:
    """A line ``key: what is wrong`` for each name that nothing has and each set that cannot be compared."""
    block, sets = config.comparison, config.constraints.sets
    made = sorted(config.products.variables or system.outputs)
    if not block.against and (given := block.given(*(n for n in ComparisonBlock.model_fields if n != "against"))):
        yield f"comparison.{given[0]}: does nothing without comparison.against"
    for name, against in block.against.items():
        key = f"comparison.against.{name}"
        if name not in made:
            yield f"{key}: the product has no variable '{name}'{nearest(name, made)} (choose from {', '.join(made)})"
        if not against:
            yield f"{key}: name an entry of constraints.sets, or leave the variable out"
        for one in dict.fromkeys(against):
            if one not in sets:
                yield f"{key}: '{one}' is not in constraints.sets{nearest(one, sets)}"
            else:
                yield from (f"{key}: {what}" for what in _misfit(config, one))
            if against.count(one) > 1:
                yield f"{key}: '{one}' stands there twice"
        if block.collocation == "always" and len(against) < 2:
            yield f"{key}: triple collocation needs two gridded products beside ours, and there is {len(against)}"


def _misfit(config: Config, one: str) -> Iterator[str]:
    """Why the years of the set ``one`` are not those of the run."""
    given, period = config.constraints.sets[one], config.period or PeriodBlock.none()
    first, last = given.first_year or period.start, given.last_year or period.end
    if last < period.start or first > period.end:
        kept = f"{given.first_year or '...'}-{given.last_year or '...'}"
        yield f"'{one}' keeps {kept}, the period is {period.start}-{period.end}"
