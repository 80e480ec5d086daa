"""The raw files that a year of forcing is made of; standard library only, because the Snakefile asks.

A path pattern holds ``{year}`` (four digits) and, for monthly files, ``{month}`` (two digits). A pattern without
``{year}`` names a file that holds all years.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Protocol

from ..errors import ConfigError, nearest

PLACEHOLDERS = ("year", "month")
STAMPED_AT_END = ("synthetic_earth", "era5_land", "era5")
"""Sources whose accumulated fields end a day at 00 UTC of the next one."""


class ForcingSettings(Protocol):
    """The leaves of ``ForcingBlock`` that decide which files are read."""

    @property
    def source(self) -> str: ...
    @property
    def path(self) -> str | tuple[str, ...]: ...
    @property
    def closing(self) -> str: ...


def forcing_inputs(block: ForcingSettings, year: int) -> list[str]:
    """All raw files of ``year`` in order of time.

    Raises :class:`ConfigError` for an empty pattern or an unknown placeholder.
    """
    return list(
        dict.fromkeys(
            _fill(pattern, year, month)
            for pattern in _patterns(block)
            for month in (range(1, 13) if "month" in _placeholders(pattern) else (1,))
        )
    )


def closing_inputs(block: ForcingSettings, year: int) -> list[str]:
    """The raw files that hold the first step after ``year``; empty where none is needed.

    A value stamped at the end of its step (accumulations) closes 31 December at 00 UTC of 1 January.
    """
    needed = block.source in STAMPED_AT_END if block.closing == "auto" else block.closing == "always"
    if not needed:
        return []
    known = set(forcing_inputs(block, year))
    names = [_fill(pattern, year + 1, 1) for pattern in _patterns(block)]
    return [name for name in dict.fromkeys(names) if name not in known]


def closing_input(block: ForcingSettings, year: int) -> str | None:
    """As :func:`closing_inputs` for an archive with one pattern: the file, or ``None`` where none is needed."""
    found: Iterable[str] = closing_inputs(block, year)
    return next(iter(found), None)


def _patterns(block: ForcingSettings) -> tuple[str, ...]:
    patterns = (block.path,) if isinstance(block.path, str) else tuple(block.path)
    if not patterns or not all(patterns):
        raise ConfigError("no path to the forcing is given", where="forcing.path", hint="give a pattern with {year}")
    return patterns


def _placeholders(pattern: str) -> set[str]:
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
    except ValueError as problem:
        raise ConfigError(
            f"'{pattern}' is not a pattern ({problem})", where="forcing.path", hint="pair the braces"
        ) from (None)
    for name in sorted(names - set(PLACEHOLDERS)):
        raise ConfigError(
            f"unknown placeholder '{{{name}}}' in '{pattern}'{nearest(name, PLACEHOLDERS)}",
            where="forcing.path",
            hint="use {year} and {month}",
        )
    return names


def _fill(pattern: str, year: int, month: int) -> str:
    _placeholders(pattern)
    return pattern.format(year=f"{year:04d}", month=f"{month:02d}")
