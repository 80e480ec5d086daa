"""The files that a user shows, each with what ``inspect`` says of it; of many with like names two are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..inspect.registry import expand, inspect_path
from ..inspect.report import Report, Use

FEW = 2
"""So many files whose names differ in numbers only are read one by one; of more, the first and the last."""


@dataclass(frozen=True)
class Shown:
    """Files with one role: ``paths`` (as given, or below the folder that was), reports of the first and the last."""

    paths: tuple[Path, ...]
    below: Path
    first: Report
    last: Report

    @property
    def path(self) -> str:
        """The first file."""
        return self.paths[0].as_posix()

    def uses(self, key: str) -> list[Use]:
        """The ways in which they can be given to ``key`` of the configuration."""
        return [use for use in self.first.uses if use.key == key]

    def below_key(self, key: str) -> list[Use]:
        """The ways in which they can be given to a key below ``key``."""
        return [use for use in self.first.uses if use.key.startswith(f"{key}.")]

    @property
    def what(self) -> str:
        """The files in a few words."""
        return self.path if len(self.paths) == 1 else f"{self.path} and {len(self.paths) - 1:,} more like it"


def look(given: Sequence[Path]) -> list[Shown]:
    """Everything below ``given``, in order; raises :class:`ConfigError` for a path that does not exist."""
    absent = [str(path) for path in given if not path.exists()]
    if absent:
        raise ConfigError("there is no such file or folder", where=", ".join(absent), hint="check the path")
    series: dict[tuple[str, str], tuple[Path, list[Path]]] = {}
    for root in given:
        for path in expand([root]):
            below = root if root.is_dir() and path != root else root.parent
            like = re.sub(r"\d+", "#", path.relative_to(below).as_posix())
            series.setdefault((str(below), like), (below, []))[1].append(path)
    return [one for below, paths in series.values() for one in _read(below, paths)]


def _read(below: Path, paths: list[Path]) -> list[Shown]:
    """One entry for ``paths``, or one each where they are few or the first and the last are of different kinds."""
    if len(paths) > FEW:
        first, last = inspect_path(paths[0]), inspect_path(paths[-1])
        if (first.format, first.uses) == (last.format, last.uses):
            return [Shown(tuple(paths), below, first, last)]
    reports = [inspect_path(path) for path in paths]
    alike = {(one.format, str(one.uses)) for one in reports}
    if len(paths) > 1 and len(alike) == 1 and reports[0].uses and reports[0].uses[0].key == "forcing":
        return [Shown(tuple(paths), below, reports[0], reports[-1])]
    return [Shown((path,), below, one, one) for path, one in zip(paths, reports, strict=True)]
