"""The forcing of a run as a set of files to fetch: what the Snakefile asks. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError
from .recipe import Recipe, load_recipe


class FetchedForcing(Protocol):
    """The leaves of ``ForcingBlock`` that say what to fetch."""

    @property
    def source(self) -> str: ...
    @property
    def mapping(self) -> str: ...
    @property
    def recipe(self) -> str: ...
    @property
    def path(self) -> str | tuple[str, ...]: ...


class ForcingArchive:
    """A folder that is filled from a provider; ``forcing`` is the forcing block with ``fetch: true``.

    Raises :class:`ConfigError` where there is no recipe for the source, or its files are shorter than a month.
    """

    def __init__(self, forcing: FetchedForcing) -> None:
        self.folder = str(forcing.path)
        self.name = forcing.recipe or (forcing.mapping if forcing.source == "mapping" else forcing.source)
        self._recipe = load_recipe(self.name)
        if self._recipe.per in ("day", "hour"):
            raise ConfigError(
                f"'{self.name}' has a file per {self._recipe.per}: too many for a job each",
                where="forcing.fetch",
                hint=f"run `fluxatlas fetch {self.name}` first, then give its files as 'path' without 'fetch'",
            )

    @property
    def recipe(self) -> Recipe:
        """How the provider cuts the data set into files."""
        return self._recipe

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """Path patterns of the files as ``forcing.path`` takes them, one per variable of the recipe."""
        names = list(self._recipe.variables) or [""]
        filled = [self._recipe.file.replace("{variable}", name) for name in names]
        return tuple(f"{self.folder}/{name}" for name in filled)

    def absent(self, files: Iterable[str]) -> list[str]:
        """Names of those of ``files`` that are not in the folder yet."""
        return [Path(file).name for file in dict.fromkeys(files) if not Path(file).exists()]
