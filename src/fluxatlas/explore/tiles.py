"""The tiles that a product was put together from, as far as the run still has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import netCDF4

from ..errors import InputError
from ..grid import GRIDS, Tile
from ..results import RunResults
from .source import Lattice


@dataclass(frozen=True)
class RunTile:
    """A tile of a run with the files of its years in ``folder``, and what it shares with the product: rows and columns
    of the product (``here``) and of the tile (``inner``); ``method`` is what its job regridded the forcing with."""

    tile: Tile
    folder: Path
    here: tuple[slice, slice]
    inner: tuple[slice, slice]
    method: str

    def year(self, year: int) -> Path:
        """The file of ``year``."""
        return self.folder / f"{year}.nc"


def run_tiles(run: RunResults, lattice: Lattice) -> list[RunTile]:
    """The tiles of ``run`` that lie on the product with the cells of ``lattice``.

    Raises :class:`InputError` where the run no longer has the files of all years of its tiles.
    """
    folders = sorted(path.parent for path in (run.folder / "infer").glob(f"[NS]*/{run.years[-1]}.nc"))
    found = [one for folder in folders if (one := _run_tile(folder, run.years[-1], lattice))]
    if not found:
        raise InputError("the run no longer has the files of its tiles", where=str(run.folder / "infer"))
    for path in (one.year(year) for one in found for year in run.years):
        if not path.is_file():
            raise InputError(f"the run no longer has {path.relative_to(run.folder)}", where=str(run.folder))
    return found


def _run_tile(folder: Path, year: int, lattice: Lattice) -> RunTile | None:
    """The tile in ``folder``; None where it lies off the product."""
    n = round(1 / lattice.size)
    grid = next((grid for grid in GRIDS.values() if grid.per_degree == n), None)
    if not grid:
        raise InputError(f"cells of {lattice.size:g} degrees are those of no grid", where=str(folder))
    with netCDF4.Dataset(folder / f"{year}.nc") as data:
        method = json.loads(getattr(data, "fluxatlas_settings", "{}")).get("regrid", "bilinear")
        tile = grid.tile(folder.name, round(len(data["lat"]) / n))
    corner = round((90 - lattice.north) * n), round((lattice.west + 180) * n)
    here, inner = [], []
    for part, first, size in zip((tile.rows, tile.columns), corner, lattice.shape, strict=True):
        begin, end = max(part.start, first), min(part.stop, first + size)
        if begin >= end:
            return None
        here.append(slice(begin - first, end - first))
        inner.append(slice(begin - part.start, end - part.start))
    return RunTile(tile, folder, (here[0], here[1]), (inner[0], inner[1]), method)
