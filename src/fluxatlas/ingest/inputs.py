"""The raw files that a year of forcing is made of; standard library only, because the Snakefile asks.

A path pattern holds ``{year}`` (four digits) and, where the archive is split further, ``{month}`` and ``{day}``
(two digits), ``{doy}`` (day of the year, three digits) and ``{hour}`` (two digits). A pattern without ``{year}``
names a file that holds all years.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

from ..errors import ConfigError, nearest

PLACEHOLDERS = ("year", "month", "day", "doy", "hour")
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
    @property
    def opening(self) -> str: ...
    @property
    def day(self) -> str: ...
    @property
    def first_year(self) -> int | None: ...
    @property
    def last_year(self) -> int | None: ...


def forcing_inputs(block: ForcingSettings, year: int) -> list[str]:
    """All raw files of ``year`` in order of time, pattern after pattern.

    Raises :class:`ConfigError` for an empty pattern or an unknown placeholder.
    """
    start, stop = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    return list(dict.fromkeys(name for pattern in _patterns(block) for name in _filled(pattern, start, stop)))


def closing_inputs(block: ForcingSettings, year: int) -> list[str]:
    """The raw files with the steps after ``year`` that its days need; empty where none are.

    A value stamped at the end of its step (accumulations) closes 31 December at 00 UTC of 1 January. Days of local
    solar time west of Greenwich need half a day more, the days of December the months after it.
    """
    local = block.day == "local"
    needed = local or block.source in STAMPED_AT_END if block.closing == "auto" else block.closing == "always"
    beyond = block.source == "mapping" and year == block.last_year
    first = datetime(year + 1, 1, 1)
    return _neighbours(block, year, first, first + timedelta(hours=13 if local else 1)) if needed and not beyond else []


def opening_inputs(block: ForcingSettings, year: int) -> list[str]:
    """The raw files with the steps before ``year`` that its days need; empty where none are.

    Days of local solar time east of Greenwich begin on 31 December; months need the ones before for a smooth course.
    """
    needed = block.day == "local" if block.opening == "auto" else block.opening == "always"
    last = datetime(year, 1, 1)
    return _neighbours(block, year, last - timedelta(hours=13), last) if needed and year != block.first_year else []


def neighbour_inputs(block: ForcingSettings, year: int) -> list[str]:
    """The files of :func:`opening_inputs` and :func:`closing_inputs`."""
    return [*opening_inputs(block, year), *closing_inputs(block, year)]


def pattern_inputs(pattern: ForcingSettings | None, year: int) -> list[str]:
    """The files of ``forcing.rain_pattern`` for ``year``; none without a pattern."""
    return [] if pattern is None else [*forcing_inputs(pattern, year), *closing_inputs(pattern, year)]


def _neighbours(block: ForcingSettings, year: int, start: datetime, stop: datetime) -> list[str]:
    known = set(forcing_inputs(block, year))
    names = [name for pattern in _patterns(block) for name in _filled(pattern, start, stop)]
    return [name for name in dict.fromkeys(names) if name not in known]


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
            hint="use {year}, {month}, {day}, {doy} and {hour}",
        )
    return names


def _filled(pattern: str, start: datetime, stop: datetime) -> Iterator[str]:
    """The names that ``pattern`` has between ``start`` and ``stop``; a name may come again and again."""
    held = _placeholders(pattern)
    step = timedelta(hours=1) if "hour" in held else timedelta(days=1)
    moment = start if "hour" in held else start.replace(hour=0)
    while moment < stop:
        yield pattern.format(
            year=f"{moment:%Y}", month=f"{moment:%m}", day=f"{moment:%d}", doy=f"{moment:%j}", hour=f"{moment:%H}"
        )
        moment += step
