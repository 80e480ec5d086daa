"""What a declared mapping says about a data set: the schema of ``resources/mappings/*.yaml`` and its loader.

``raw`` lists the variables of the files with their time meaning, ``variables`` how each canonical variable is made of
them. A unit may be declared where the file's label is missing or wrong; then a reason is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from .. import variables as table
from ..config.base import Block, problems
from ..errors import ConfigError, InputError, nearest
from ..paths import RESOURCES

MAPPINGS = RESOURCES / "mappings"

RULES: dict[str, tuple[str, ...]] = {
    "wind_speed": ("sfcWind", "sfcWind"),
    "huss_from_dew_point": ("tas", "ps"),
    "huss_from_vapour_pressure": ("vpd", "ps"),
    "huss_from_relative_humidity": ("hurs", "tas", "ps"),
    "huss_from_vpd": ("vpd", "tas", "ps"),
}
"""Rules of ``fluxatlas.ingest.rules`` and the variable whose unit each argument is converted to."""


class RawVariable(Block):
    """One variable of the files."""

    time: Literal["instant", "interval", "accumulated"]
    """'instant'; 'interval': mean or amount of one step (the unit tells which); 'accumulated': amount since 00 UTC."""
    units: str = ""
    """The unit, where the file has no label or a wrong one."""
    reason: str = ""
    """Why the label of the file is not to be trusted; it goes into the provenance."""


class CanonicalVariable(Block):
    """How one canonical variable is made."""

    of: str | tuple[str, ...]
    """Raw variable, or the arguments of the rule in order."""
    rule: str | None = None
    """Rule applied at every step before the daily statistic; none: the raw variable itself."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the raw variables."""
        return (self.of,) if isinstance(self.of, str) else self.of


class DeclaredMapping(Block):
    """A regular latitude-longitude data set."""

    title: str
    """Name of the data set, for provenance."""
    citation: str
    """How to cite it."""
    step_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24]
    """Length of a step."""
    stamp: Literal["start", "middle", "end"] = "start"
    """Which moment of its step an 'interval' value is stamped with."""
    day: Literal["utc", "local"] = "utc"
    """Time zone of the stamps; with 'local' a day is a local day."""
    raw: dict[str, RawVariable] = Field(min_length=1)
    """Variables of the files."""
    variables: dict[str, CanonicalVariable] = Field(min_length=1)
    """Canonical variables."""

    @model_validator(mode="after")
    def _consistent(self) -> DeclaredMapping:
        for name, made in self.variables.items():
            try:
                table.get(name)
            except InputError as problem:
                raise ValueError(problem.what) from None
            for raw in made.sources:
                if raw not in self.raw:
                    raise ValueError(f"'{name}' is made of '{raw}', which 'raw' does not list{nearest(raw, self.raw)}")
            if made.rule is None and len(made.sources) > 1:
                raise ValueError(f"'{name}' is made of several variables without a rule")
            if made.rule is not None:
                self._check_rule(name, made)
        for name, raw_variable in self.raw.items():
            if raw_variable.reason and not raw_variable.units:
                raise ValueError(f"'{name}' has a reason for a unit but no unit")
        return self

    def _check_rule(self, name: str, made: CanonicalVariable) -> None:
        if made.rule not in RULES:
            raise ValueError(f"'{name}' has the unknown rule '{made.rule}'{nearest(str(made.rule), RULES)}")
        if len(made.sources) != len(RULES[made.rule]):
            raise ValueError(f"'{name}': rule '{made.rule}' takes {len(RULES[made.rule])} variables")
        if len({self.raw[raw].time for raw in made.sources}) > 1 or self.raw[made.sources[0]].time == "accumulated":
            raise ValueError(f"'{name}': rule '{made.rule}' needs variables of one time meaning, not accumulated")


def load_mapping(name: str | Path) -> DeclaredMapping:
    """Read a mapping: the name of one in ``resources/mappings``, or the path of a YAML file.

    Raises :class:`ConfigError` that lists every problem.
    """
    shipped = MAPPINGS / f"{name}.yaml"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        names = sorted(p.stem for p in MAPPINGS.glob("*.yaml"))
        raise ConfigError(
            f"no mapping '{name}'{nearest(str(name), names)}",
            where="forcing.mapping",
            hint=f"give a YAML file or one of {names}",
        )
    try:
        return DeclaredMapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as problem:
        lines = "".join(f"\n  - {line}" for line in problems(problem))
        raise ConfigError(
            f"the mapping is wrong:{lines}", where=str(path), hint="compare it with those in resources/mappings"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"this is not YAML: {problem}", where=str(path), hint="compare it with those in resources/mappings"
        ) from None
