"""Recipes: where a data set is, and how it is cut into files. One YAML file per data set in ``resources/fetch``."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from ..config.base import Block, problems
from ..errors import ConfigError, nearest
from ..paths import RESOURCES
from ..yaml_text import read_keys

RECIPES = RESOURCES / "fetch"
STEPS = {"once": (), "year": ("year",), "month": ("year", "month"), "day": ("year", "month", "day")}
STEPS["hour"] = (*STEPS["day"], "hour")
TIME_PLACEHOLDERS = ("year", "month", "day", "doy", "hour")
PLACEHOLDERS = ("variable", "request", *TIME_PLACEHOLDERS)


class RecipeVariable(Block):
    """One variable of a recipe."""

    request: str = ""
    """Name in the request, the address or the store; empty: as in the recipe."""
    holds: tuple[str, ...] = ()
    """Names of which one must be in the file; empty: the name in the recipe or in the request."""


class Recipe(Block):
    """Where a data set is and how it is cut into files."""

    dataset: str
    """Row of ``resources/datasets.csv``."""
    route: Literal["http", "cds", "earthdata", "zarr"]
    """How it is got: plain HTTP, the climate data store, NASA Earthdata, a Zarr store in a cloud."""
    file: str = Field(min_length=1)
    """Name of a file, with {variable}, {year}, {month}, {day}, {doy}, {hour}."""
    per: Literal["once", "year", "month", "day", "hour"] = "month"
    """Period of one file; 'once': one file holds all there is."""
    variables: dict[str, RecipeVariable] = Field(default_factory=dict)
    """Variables that are files of their own; none: a file holds all."""
    url: str = ""
    """For 'http' the address of a file, for 'zarr' that of the store; placeholders as in 'file', and {request}."""
    collection: str = ""
    """For 'cds' the data set, for 'earthdata' the short name of the collection."""
    version: str = ""
    """For 'earthdata' the version of the collection."""
    request: dict[str, Any] = Field(default_factory=dict)
    """For 'cds': the request without variable, dates and area."""
    storage: dict[str, Any] = Field(default_factory=dict)
    """For 'zarr': options of the file system (fsspec), such as {token: anon}."""
    checksum: str = ""
    """Address of a file with the checksum (md5, sha1, sha256 or sha512), or '<algorithm>:<digits>' itself."""
    format: Literal["grid", "tiff", "table", "any"] = "grid"
    """'grid' (NetCDF, GRIB, or a zip of them), 'tiff', 'table' (text), or 'any'."""
    must_hold: tuple[str, ...] = ()
    """Variables, or columns of a table, that every file must hold besides its own variable."""
    step_hours: int = Field(0, ge=0)
    """Length of a time step [h]; 0: the times are not checked (one file for all, months)."""
    monthly: bool = False
    """Whether the steps are months."""
    can_cut: bool = False
    """Whether the provider cuts a box out."""
    edge: float = Field(0.5, ge=0, le=10)
    """Margin [degrees] added around a box."""

    @model_validator(mode="after")
    def _complete(self) -> Recipe:
        needed = {"http": "url", "zarr": "url", "cds": "collection", "earthdata": "collection"}[self.route]
        if not getattr(self, needed):
            raise ValueError(f"route '{self.route}' needs '{needed}'")
        for key in ("file", "url", "checksum"):
            for name in placeholders(getattr(self, key)) - set(PLACEHOLDERS):
                raise ValueError(f"'{key}' holds the unknown placeholder {{{name}}}{nearest(name, PLACEHOLDERS)}")
        held = placeholders(self.file)
        lacking = set(STEPS[self.per]) - held - ({"month", "day"} if "doy" in held else set())
        if self.variables and "variable" not in held:
            lacking.add("variable")
        if lacking:
            raise ValueError(f"'file' must hold {', '.join(f'{{{name}}}' for name in sorted(lacking))}")
        return self

    def named(self, variable: str) -> str:
        """Name of ``variable`` in a request."""
        return (self.variables[variable].request or variable) if variable else ""

    def holds(self, variable: str) -> tuple[str, ...]:
        """Names of which one must be in a file of ``variable``; empty for a file that holds all."""
        if not variable:
            return ()
        return self.variables[variable].holds or tuple(dict.fromkeys((variable, self.named(variable))))

    def choose(self, variables: tuple[str, ...]) -> tuple[str, ...]:
        """``variables``, or all where none are named; raises :class:`ConfigError` for one that the recipe lacks."""
        for name in variables:
            if name not in self.variables:
                known = ", ".join(self.variables) or "none: a file holds all"
                raise ConfigError(
                    f"'{name}' is not a variable of {self.dataset}{nearest(name, self.variables)}",
                    where="--variable",
                    hint=f"it has {known}",
                )
        return variables or tuple(self.variables) or ("",)


def placeholders(pattern: str) -> set[str]:
    """Names in braces in ``pattern``; raises ``ValueError`` for unpaired braces."""
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}


def names() -> list[str]:
    """Names of the recipes that are shipped."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name: str | Path) -> Recipe:
    """The recipe called ``name``, or in the YAML file ``name``; raises :class:`ConfigError` for a bad one."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = RECIPES / f"{name}.yaml"
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", str(name)) or not path.exists():
            raise ConfigError(
                f"there is no recipe '{name}'{nearest(str(name), names())}",
                where="fluxatlas fetch",
                hint="`fluxatlas fetch --list` shows all; or give a YAML file of your own (docs/fetch.md)",
            )
    try:
        return Recipe.model_validate(read_keys(path, "recipe", "see docs/fetch.md"))
    except ValidationError as error:
        lines = "".join(f"\n  - {line}" for line in problems(error))
        raise ConfigError(f"the recipe is wrong:{lines}", where=str(path), hint="see docs/fetch.md") from None
