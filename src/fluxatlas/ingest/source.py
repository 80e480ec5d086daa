"""The small interface between a source of forcing and what cuts it into pieces, and the way to open one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..config.forcing import ForcingBlock
from ..errors import ConfigError, FluxAtlasError
from .coordinates import BBox, GridWindow, SourceGrid
from .physical import Physical

if TYPE_CHECKING:
    import xarray as xr


class Source(Protocol):
    """What a source of forcing offers; see :class:`fluxatlas.ingest.mapping.MappedSource` for units and errors."""

    physical: Physical
    repeated_days: int

    @property
    def grid(self) -> SourceGrid: ...
    @property
    def attrs(self) -> dict[str, str]: ...
    @property
    def described(self) -> str: ...
    def values_a_day(self, window: GridWindow, variables: Sequence[str]) -> int: ...
    def block_days(self, window: GridWindow) -> int: ...
    def blocks(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, variables: Sequence[str]
    ) -> Iterator[xr.Dataset]: ...
    def begin(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, variables: Sequence[str]
    ) -> None: ...
    def part(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, variables: Sequence[str]
    ) -> Iterator[xr.Dataset]: ...
    def daily(self, year: int, bbox: BBox, variables: Sequence[str] | None = None) -> xr.Dataset: ...


SYNTHETIC_EARTH = {
    "title": "Synthetic Earth of fluxatlas, in the layout of ERA5-Land",
    "citation": "fluxatlas.testing",
}
"""What the synthetic Earth, which writes the layout of ERA5-Land, says of itself."""


def open_source(
    block: ForcingBlock,
    files: Sequence[str | Path],
    closing: Sequence[str | Path] = (),
    elevation: str | Path | None = None,
    pattern: Sequence[str | Path] = (),
) -> Source:
    """Open the raw ``files`` of a year, and the ``closing`` ones just before and after it, as the source of the block.

    ``elevation`` replaces that of the block; ``pattern`` are the files of its ``rain_pattern``.
    Raises :class:`FluxAtlasError` where mapping or files are unusable.
    """
    from .declaration import load_mapping
    from .mapping import MappedSource
    from .monthly import MonthlySource

    name = {"mapping": block.mapping, "synthetic_earth": "era5_land"}.get(block.source, block.source)
    mapping = load_mapping(name)
    if block.source == "synthetic_earth":
        mapping = mapping.model_copy(update=SYNTHETIC_EARTH)
    rest: dict[str, Any] = {"day": block.day, "elevation": elevation or block.elevation or None}
    rest |= {"elevation_variable": block.elevation_variable, "crossing": block.crossing, "first_year": block.first_year}
    if not mapping.monthly:
        if block.rain_pattern is not None:
            raise ConfigError(
                f"'{mapping.title}' is not monthly: it has rain of its own days",
                where="forcing.rain_pattern",
                hint="leave the key out",
            )
        return MappedSource(mapping, files, closing, block.overrides, **rest)
    days = None
    if block.rain_pattern is not None:
        finer = block.rain_pattern
        own = load_mapping(finer.mapping if finer.source == "mapping" else finer.source)
        if own.monthly or "pr" not in own.variables:
            raise ConfigError(
                f"'{own.title}' has no daily precipitation",
                where="forcing.rain_pattern",
                hint="name a daily or finer source with pr",
            )
        days = MappedSource(own, pattern, (), finer.overrides)
    return MonthlySource(mapping, files, closing, block.overrides, rain_pattern=days, **rest)


def recognise(files: Sequence[str | Path]) -> str | None:
    """Name of the shipped mapping all of whose raw variables are in ``files``, the one with most of them, or ``None``.

    ERA5 and ERA5-Land have the same names; they differ by their grid (0.25 and 0.1 degrees).
    Raises :class:`InputError` where a file is unreadable.
    """
    from .archive import Archive
    from .declaration import MAPPINGS, load_mapping

    archive = Archive(files)
    fitting = {}
    for path in sorted(MAPPINGS.glob("*.yaml")):
        try:
            mapping = load_mapping(path.stem)
        except FluxAtlasError:
            continue
        if all(archive.holds(field) for field in mapping.fields.values()):
            fitting[path.stem] = len(mapping.raw)
    if {"era5", "era5_land"} <= set(fitting):
        fitting.pop("era5" if archive.grid.cell[0] < 0.2 else "era5_land")
    return max(fitting, key=lambda name: fitting[name]) if fitting else None
