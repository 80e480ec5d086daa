"""The file of one tile-year: daily values packed by the table of variables, annual means per member, applicability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd

from .. import files, variables
from ..axes import WRITTEN
from ..config.infer import InferBlock
from ..systems import System
from ..tiles.cells import ActiveCells
from ..train.flags import INSIDE, MEANINGS, NEAR, NO_CELL, OUTSIDE, UNJUDGED
from ..variables import FILL, UNCERTAINTY
from .kernel import BlockResult
from .store import Store, member_name


def kept_members(settings: InferBlock, members: int) -> int:
    """Of how many members the file holds the days."""
    return members if settings.daily_members else 0


def daily_names(system: System, members: int = 0) -> tuple[str, ...]:
    """What the store holds: the outputs, the standard deviations of the fluxes, and the fluxes of ``members``."""
    own = (member_name(name, m) for name in system.flux_names for m in range(members))
    return (*system.outputs, *(f"{name}_sd" for name in system.flux_names), *own)


def write_tile(
    path: str | Path,
    results: list[BlockResult],
    store: Store,
    cells: ActiveCells,
    system: System,
    dates: pd.DatetimeIndex,
    *,
    members: int,
    settings: InferBlock,
    attrs: Mapping[str, str],
) -> None:
    """Write the tile-year, completely or not at all; cells that are not active are missing.

    The daily values come from ``store``, section by section, the rest from ``results`` (none for a tile without cells).
    """
    with files.atomic(path) as partial, netCDF4.Dataset(partial, "w", format="NETCDF4") as file:
        file.setncatts(dict(attrs))
        _coordinates(file, cells, dates, members)
        for name in daily_names(system):
            _write_daily(_daily_variable(file, name, settings), name, store, cells)
        for name in system.flux_names if store.members else ():
            variable = _daily_variable(file, name, settings, of_members=True)
            for m in range(store.members):
                _write_daily(variable, member_name(name, m), store, cells, m)
        _write_annual(file, results, cells, system, settings)
        _write_applicability(file, results, cells, settings)


def _coordinates(file: netCDF4.Dataset, cells: ActiveCells, dates: pd.DatetimeIndex, members: int) -> None:
    tile = cells.tile
    axes = {
        "time": (
            (dates - pd.Timestamp("1970-01-01")).days.to_numpy(),
            "i4",
            {"standard_name": "time", "units": "days since 1970-01-01", "calendar": "standard", "axis": "T"},
        ),
        "lat": (tile.lat, "f8", WRITTEN["lat"]),
        "lon": (tile.lon, "f8", WRITTEN["lon"]),
        "member": (np.arange(members), "i4", {"long_name": "member of the ensemble"}),
    }
    for name, (values, kind, attrs) in axes.items():
        file.createDimension(name, len(values))
        variable = file.createVariable(name, kind, (name,))
        variable.setncatts(attrs)
        variable[:] = values


def _daily_variable(
    file: netCDF4.Dataset, name: str, settings: InferBlock, of_members: bool = False
) -> netCDF4.Variable:
    row = variables.get(name.removesuffix("_sd"))
    assert row.packing is not None
    dims = (*(["member"] if of_members else []), "time", "lat", "lon")
    variable = _variable(file, f"{name}_member_day" if of_members else name, "i2", dims, FILL, settings)
    attrs = row.attrs
    if of_members:
        attrs["long_name"] = f"each member: {row.long_name}"
    if name.endswith("_sd"):
        attrs["long_name"] = f"{UNCERTAINTY}: {row.long_name}"
        attrs["standard_name"] = f"{row.standard_name} standard_error" if row.standard_name else None
    variable.setncatts({k: v for k, v in attrs.items() if v is not None})
    variable.setncatts({"scale_factor": row.packing[0], "add_offset": row.packing[1]})
    return variable


def _variable(
    file: netCDF4.Dataset, name: str, kind: str, dims: tuple[str, ...], fill: Any, settings: InferBlock
) -> netCDF4.Variable:
    """A compressed variable in chunks of the settings; raw values are written to it, whole chunks at a time, so that a
    cache of two of them will do (the library's own, 16 MB for each variable, stays in memory until the file is closed).
    """
    largest = {"time": settings.chunk_days, "lat": settings.chunk_cells, "lon": settings.chunk_cells, "member": 1}
    chunks = [min(largest[dim], len(file.dimensions[dim])) for dim in dims]
    variable: netCDF4.Variable = file.createVariable(  # type: ignore[call-overload]
        name,
        kind,
        dims,
        compression=settings.compression,
        complevel=settings.compression_level,
        fletcher32=True,
        chunksizes=chunks,
        fill_value=fill,
        chunk_cache=2 * int(np.prod(chunks)) * np.dtype(kind).itemsize,
    )
    files.shuffle(variable)
    variable.set_auto_maskandscale(False)
    return variable


def _write_daily(
    variable: netCDF4.Variable, name: str, store: Store, cells: ActiveCells, member: int | None = None
) -> None:
    ny, nx = cells.tile.shape
    for days in store.sections:
        slab = np.full((days.stop - days.start, ny * nx), FILL, np.int16)
        if len(cells):
            slab[:, cells.index] = store.read(name, days)
        variable[days if member is None else (member, days)] = slab.reshape(-1, ny, nx)
        del slab  # before the next is made


def _write_annual(
    file: netCDF4.Dataset, results: list[BlockResult], cells: ActiveCells, system: System, settings: InferBlock
) -> None:
    members = len(file.dimensions["member"])
    for name in system.flux_names:
        row = variables.get(name)
        variable = _variable(file, f"{name}_member", "f4", ("member", "lat", "lon"), np.float32(np.nan), settings)
        attrs = {**row.attrs, "long_name": f"mean of the year of each member: {row.long_name}"}
        variable.setncatts(attrs)
        filled = np.full((members, cells.tile.shape[0] * cells.tile.shape[1]), np.nan, np.float32)
        for result in results:
            filled[:, cells.index[result.block.start : result.block.stop]] = result.annual[name]
        variable[:] = filled.reshape(members, *cells.tile.shape)
        sd = _variable(file, f"{name}_year_sd", "f4", ("lat", "lon"), np.float32(np.nan), settings)
        sd.setncatts({"long_name": f"{UNCERTAINTY} in the mean of the year: {row.long_name}", "units": row.units})
        flat = np.full(cells.tile.shape[0] * cells.tile.shape[1], np.nan, np.float32)
        for result in results:
            flat[cells.index[result.block.start : result.block.stop]] = result.annual_sd[name]
        sd[:] = flat.reshape(cells.tile.shape)


def _write_applicability(
    file: netCDF4.Dataset, results: list[BlockResult], cells: ActiveCells, settings: InferBlock
) -> None:
    source = "Meyer & Pebesma 2021, doi:10.1111/2041-210X.13650"
    missing, flags = np.float32(np.nan), np.array([UNJUDGED, OUTSIDE, INSIDE, NEAR], np.int8)
    layers: dict[str, tuple[str, Any, dict[str, Any]]] = {
        "dissimilarity": (
            "dissimilarity of climate and soil from the nearest observed site, mean over the members",
            missing,
            {"units": "1", "references": source},
        ),
        "point_density": (
            "number of observed sites that are alike in climate and soil, mean over the members",
            missing,
            {"units": "1", "references": source},
        ),
        "applicable": (
            "whether the cell is inside the library of samples and near observed sites",
            np.int8(NO_CELL),
            {"flag_values": flags, "flag_meanings": MEANINGS},
        ),
    }
    for name, (long_name, fill, attrs) in layers.items():
        filled = np.full(cells.tile.shape, fill).ravel()
        for result in results:
            assert result.verdict is not None
            filled[cells.index[result.block.start : result.block.stop]] = getattr(result.verdict, name)
        variable = _variable(file, name, filled.dtype.str[1:], ("lat", "lon"), fill, settings)
        variable.setncatts({"long_name": long_name, **attrs})
        variable[:] = filled.reshape(cells.tile.shape)
