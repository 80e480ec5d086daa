"""The small interface between a source of forcing and what cuts it into pieces, and the way to open one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..config.forcing import ForcingBlock
from ..errors import FluxAtlasError
from .coordinates import BBox, SourceGrid, Window

if TYPE_CHECKING:
    from collections import Counter

    import xarray as xr


class Source(Protocol):
    """What a source of forcing offers; see :class:`fluxatlas.ingest.mapping.MappedSource` for units and errors."""

    clipped: Counter[str]

    @property
    def grid(self) -> SourceGrid: ...
    @property
    def attrs(self) -> dict[str, str]: ...
    def block_days(self, window: Window) -> int: ...
    def blocks(
        self, start: np.datetime64, stop: np.datetime64, window: Window, variables: Sequence[str]
    ) -> Iterator[xr.Dataset]: ...
    def daily(self, year: int, bbox: BBox, variables: Sequence[str] | None = None) -> xr.Dataset: ...


def open_source(block: ForcingBlock, files: Sequence[str | Path], closing: Sequence[str | Path] = ()) -> Source:
    """Open the raw ``files`` of a year, and the ``closing`` ones of the next, as the source the block names.

    Raises :class:`FluxAtlasError` where the mapping or the files are unusable.
    """
    from . import era5_land, livneh
    from .declaration import load_mapping
    from .mapping import MappedSource

    if block.source == "synthetic_earth":
        return era5_land.open_synthetic_earth(files, closing, block.overrides)
    if block.source == "era5_land":
        return era5_land.open_era5_land(files, closing, block.overrides)
    if block.source == "era5":
        return era5_land.open_era5(files, closing, block.overrides)
    if block.source == "livneh":
        return livneh.open_livneh(files, block.overrides)
    return MappedSource(load_mapping(block.mapping), files, closing, block.overrides)


def recognise(files: Sequence[str | Path]) -> str | None:
    """Name of the shipped mapping all of whose raw variables are in ``files``, the one with most of them, or ``None``.

    ERA5 and ERA5-Land have the same names; they differ by their grid (0.25 and 0.1 degrees).
    Raises :class:`InputError` where a file is unreadable.
    """
    from .archive import Archive
    from .declaration import MAPPINGS, load_mapping

    archive = Archive(files)
    held = {str(name) for file in archive.files for name in file.dataset.data_vars}
    fitting = {}
    for path in sorted(MAPPINGS.glob("*.yaml")):
        try:
            mapping = load_mapping(path.stem)
        except FluxAtlasError:
            continue
        if set(mapping.raw) <= held:
            fitting[path.stem] = len(mapping.raw)
    if {"era5", "era5_land"} <= set(fitting):
        fitting.pop("era5" if archive.grid.cell[0] < 0.2 else "era5_land")
    return max(fitting, key=lambda name: fitting[name]) if fitting else None
