"""What a declared mapping says about a data set: the schema of ``resources/mappings/*.yaml`` and its loader.

``raw`` lists the variables of the files with their time meaning, ``variables`` how each canonical variable is made of
them. A unit may be declared where the file's label is missing or wrong; then a reason is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from .. import variables as table
from ..config.base import Block, problems
from ..errors import ConfigError, InputError, nearest
from ..paths import RESOURCES
from ..yaml_text import parse_keys
from .archive import Field as RawField

MAPPINGS = RESOURCES / "mappings"

RULES: dict[str, tuple[str, ...]] = {
    "wind_speed": ("sfcWind", "sfcWind"),
    "mean_of_extremes": ("tasmin", "tasmax"),
    "huss_from_dew_point": ("tas", "ps"),
    "huss_from_vapour_pressure": ("vpd", "ps"),
    "huss_from_relative_humidity": ("hurs", "tas", "ps"),
    "huss_from_vpd": ("vpd", "tas", "ps"),
    "ps_from_altitude": ("orog",),
    "ps_from_sea_level": ("ps", "tas", "orog"),
    "rlds_fao56": ("tasmin", "tasmax", "huss", "ps", "rsds"),
}
"""Rules of ``fluxatlas.ingest.rules`` and the variable whose unit each argument is converted to."""
DAILY_RULES = ("mean_of_extremes", "rlds_fao56")
"""Rules for daily and monthly data only."""


class RawVariable(Block):
    """One variable of the files."""

    time: Literal["instant", "interval", "accumulated"]
    """'instant'; 'interval': mean or amount of one step (the unit tells which); 'accumulated': amount since 00 UTC."""
    name: str | tuple[str, ...] = ()
    """How the files call it, or several spellings; '*': the only variable of a file. Empty: as here."""
    files: str = ""
    """Pattern for the paths of its files, such as '*/tmmx_*', where others hold a variable of the same name."""
    units: str = ""
    """The unit, where the file has no label or a wrong one."""
    reason: str = ""
    """Why the label of the file is not to be trusted; it goes into the provenance."""

    def field(self, key: str) -> RawField:
        """This variable as the archive looks for it; ``key`` is its name in the mapping."""
        return RawField(key, (self.name,) if isinstance(self.name, str) else self.name, self.files)


class CanonicalVariable(Block):
    """How one canonical variable is made."""

    of: str | Annotated[tuple[str, ...], Field(min_length=1)]
    """Raw variable, or the arguments of the rule in order: raw variables, canonical ones, or 'orog'."""
    rule: str | None = None
    """Rule applied at every step before the daily statistic; none: the raw variable itself."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names it is made of."""
        return (self.of,) if isinstance(self.of, str) else self.of


STEPS = (0.5, 1, 2, 3, 4, 6, 8, 12, 24)
"""Hours that a step of a data set may last."""


class DeclaredMapping(Block):
    """A regular latitude-longitude data set."""

    title: str
    """Name of the data set, for provenance."""
    citation: str
    """How to cite it."""
    step_hours: float = 24
    """Length of a step: 0.5, 1, 2, 3, 4, 6, 8, 12 or 24."""
    monthly: bool = False
    """Values of calendar months, converted to days so that the monthly means are conserved."""
    stamp: Literal["start", "middle", "end", "inside"] = "start"
    """Which moment of its step an 'interval' value is stamped with; 'inside': any, or its time bounds tell."""
    day: Literal["utc", "local"] = "utc"
    """Time zone of the stamps; with 'local' a day is a local day."""
    raw: dict[str, RawVariable] = Field(min_length=1)
    """Variables of the files."""
    variables: dict[str, CanonicalVariable] = Field(min_length=1)
    """Canonical variables."""

    @field_validator("step_hours")
    @classmethod
    def _divides_a_day(cls, hours: float) -> float:
        if hours not in STEPS:
            raise ValueError(f"a step lasts {', '.join(f'{step:g}' for step in STEPS)} hours")
        return hours

    @property
    def step(self) -> np.timedelta64:
        """Length of a step in seconds."""
        return np.timedelta64(round(3600 * self.step_hours), "s")

    @property
    def steps(self) -> int:
        """Steps in a day."""
        return round(24 / self.step_hours)

    @model_validator(mode="after")
    def _consistent(self) -> DeclaredMapping:
        for name, made in self.variables.items():
            try:
                table.get(name)
            except InputError as problem:
                raise ValueError(problem.what) from None
            if made.rule is None and len(made.sources) > 1:
                raise ValueError(f"'{name}' is made of several variables without a rule")
            if made.rule is None and made.sources[0] not in self.raw:
                raise ValueError(self._unknown(name, made.sources[0]))
            if made.rule is not None:
                self._check_rule(name, made)
        for name in self.variables:
            self.raw_of(name)
        for name, raw in self.raw.items():
            if raw.reason and not raw.units:
                raise ValueError(f"'{name}' has a reason for a unit but no unit")
            if (self.monthly or self.stamp == "inside") and raw.time != "interval":
                raise ValueError(f"'{name}' must be 'interval' in a monthly mapping or one with stamps 'inside' a step")
        return self

    def _unknown(self, name: str, part: str) -> str:
        return f"'{name}' is made of '{part}', which 'raw' does not list{nearest(part, self.raw)}"

    def _check_rule(self, name: str, made: CanonicalVariable) -> None:
        if made.rule not in RULES:
            raise ValueError(f"'{name}' has the unknown rule '{made.rule}'{nearest(str(made.rule), RULES)}")
        if len(made.sources) != len(RULES[made.rule]):
            raise ValueError(f"'{name}': rule '{made.rule}' takes {len(RULES[made.rule])} variables")
        if made.rule in DAILY_RULES and not (self.monthly or self.step_hours == 24):
            raise ValueError(f"'{name}': rule '{made.rule}' is for daily or monthly data")
        for part in made.sources:
            if part not in self.raw and part not in self.variables and part != "orog":
                raise ValueError(self._unknown(name, part))
        meanings = {self.raw[part].time for part in made.sources if part in self.raw}
        if len(meanings) > 1 or "accumulated" in meanings:
            raise ValueError(f"'{name}': rule '{made.rule}' needs variables of one time meaning, not accumulated")

    def raw_of(self, name: str, within: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Raw variables that canonical ``name`` is made of, directly or through others, in order, each once."""
        if name in within:
            raise ValueError(f"'{name}' is made of itself: {' <- '.join((*within, name))}")
        found: list[str] = []
        for part in self.variables[name].sources:
            if part in self.raw:
                found.append(part)
            elif part != "orog":
                found += self.raw_of(part, (*within, name))
        return tuple(dict.fromkeys(found))

    @property
    def fields(self) -> dict[str, RawField]:
        """What the archive looks for, by raw name."""
        return {key: raw.field(key) for key, raw in self.raw.items()}


def load_mapping(name: str | Path) -> DeclaredMapping:
    """Read a mapping: the name of one in ``resources/mappings``, or the path of a YAML file.

    Raises :class:`ConfigError` that lists every problem.
    """
    shipped = MAPPINGS / f"{name}.yaml"
    try:
        path = shipped if shipped.is_file() else Path(name)
        there = path.is_file()
    except OSError:  # such as a name that is too long
        path, there = Path(name), False
    if not there:
        names = sorted(p.stem for p in MAPPINGS.glob("*.yaml"))
        raise ConfigError(
            f"no mapping '{str(name)[:80]}'{nearest(str(name), names)}",
            where="forcing.mapping",
            hint=f"give a YAML file or one of {names}",
        )
    try:
        return parse_mapping(path.read_bytes(), str(path))
    except OSError as problem:
        raise ConfigError(
            f"the mapping cannot be read ({problem.strerror})", where=str(path), hint="check the file and its rights"
        ) from None


def parse_mapping(content: bytes, where: str) -> DeclaredMapping:
    """The mapping that the bytes of a YAML file hold; ``where`` is for messages.

    Raises :class:`ConfigError` that lists every problem.
    """
    hint = "compare it with those in resources/mappings"
    declared = parse_keys(content, "mapping", where, hint)
    try:
        return DeclaredMapping.model_validate(declared)
    except ValidationError as problem:
        lines = "".join(f"\n  - {line}" for line in problems(problem))
        raise ConfigError(f"the mapping is wrong:{lines}", where=where, hint=hint) from None
    except (RecursionError, UnicodeError) as problem:
        raise ConfigError(f"the mapping is wrong: {str(problem)[:200]}", where=where, hint=hint) from None
