"""Where things lie: the one home of every path of a run, of the workflow and of the resources."""

from __future__ import annotations

import re
from collections.abc import Iterable
from glob import escape, glob, has_magic
from pathlib import Path

from .errors import ConfigError


def _home() -> Path:
    """The folder with Snakefile, workflow, config and resources, to which the links in ``share`` lead.

    In a clone it is the root of the repository; an installed wheel carries copies instead of the links.
    """
    return (Path(__file__).parent / "share" / "Snakefile").resolve().parent


REPOSITORY = _home()
RESOURCES = REPOSITORY / "resources"
SNAKEFILE = REPOSITORY / "Snakefile"
DEFAULT_CONFIG = REPOSITORY / "config" / "config.yaml"
IS_CLONE = (REPOSITORY / "pyproject.toml").is_file()
"""Whether this is a clone of the repository, with its history and documents, and not an installed wheel."""


_NAMES = re.compile(r"\{\s*\w+\s*(?:,[^{}]*)?\}|<[a-z][a-z0-9_]*>")


def matches(pattern: str) -> list[str]:
    """What a path of the configuration stands for: the files that match its ``*``, ``?`` and ``[...]``, sorted.

    A path without any is given back as it is. Folders and files that really have such characters in their names are
    taken for what they are.
    """
    if not has_magic(pattern) or Path(pattern).exists():
        return [pattern]
    there = Path()
    parts = list(Path(pattern).parts)
    while parts and (there / parts[0]).exists():
        there /= parts.pop(0)
    return sorted(glob(str(Path(escape(str(there)), *parts)), recursive=True))  # noqa: PTH207


def refuse_wildcards(key: str, paths: Iterable[str]) -> None:
    """Raise :class:`ConfigError` for a path with ``{name}`` or ``<name>``, which Snakemake takes for its own."""
    for path in paths:
        if word := _NAMES.search(path):
            hint = "give the file or the folder another name, or make a link with another name"
            raise ConfigError(f"Snakemake would take '{word[0]}' for a wildcard", where=f"{key}: {path}", hint=hint)


class RunPaths:
    """Paths of one run as strings with Snakemake wildcards where a stage makes many files.

    The first folder below the run is the stage that wrote the file.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def __call__(self, *parts: str) -> str:
        return str(self.root.joinpath(*parts))

    def forcing(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("ingest", "forcing", tile, f"{year}.nc")

    def regions(self, tile: str = "{tile}") -> str:
        return self("regrid", "regions", f"{tile}.nc")

    def constraint(self, name: str = "{name}") -> str:
        return self("ingest", "constraints", f"{name}.nc")

    def attributes(self, tile: str = "{tile}") -> str:
        return self("regrid", "attributes", f"{tile}.nc")

    def member(self, member: int | str = "{member}") -> str:
        return self("train", "members", f"{member}.pt")

    def flux(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("infer", tile, f"{year}.nc")

    def state(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("infer", tile, f"{year}_state.nc")

    def spinup(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("infer", tile, f"spinup_{year}.nc")

    def history(self, year: int | str = "{year}") -> str:
        return self("infer", "history", f"{year}.json")

    def daily(self, variable: str = "{variable}", year: int | str = "{year}") -> str:
        return self("products", "daily", f"{variable}_{year}.nc")
