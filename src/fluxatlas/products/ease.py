"""The daily product on a global EASE-Grid 2.0 (EPSG:6933), the equal-area grid of SMAP and other soil moisture.

Rows and columns of both grids are parallels and meridians, so that the cells overlap in rectangles and means by area
are exact. Values are means over the area that a flux is per (the layers of ``System.weight``) of the product's cells
that have one; ``areacella`` is the sum of that area, by the areas of the product. So sums over all cells, such as
budgets, are those of the latitude-longitude product.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pyproj
from scipy import sparse

from .. import files, variables
from ..config.products import ProductsBlock
from ..errors import ConfigError, InputError
from ..grid import EARTH_RADIUS
from ..ingest.constraints.ease import GRIDS, HALF_WIDTH, edges
from ..systems import System
from ..tiles.mosaic import PathLike
from . import metadata
from .cog import open_daily
from .daily import PLAIN, create_variable

EDGE = (120, 1800)
"""Rows and columns of the product that are in memory at a time, on :data:`DAYS` days: more than a chunk of a file."""
DAYS = 73
Array = npt.NDArray[np.float64]
Block = tuple[tuple[slice, slice], tuple[slice, slice]]
"""Rows of the target and of the product, and columns of both."""


@dataclass(frozen=True, eq=False)
class Target:
    """The block of an EASE-Grid that a product touches.

    ``rows``, ``columns``: where it lies on the global grid; ``lat``, ``lon``: shares (row, product row) and (column,
    product column) of the overlaps, whose product times the squared radius of the Earth is an area [m2].
    """

    name: str
    rows: slice
    columns: slice
    lat: Any
    lon: Any

    @property
    def size(self) -> float:
        """Edge of a cell [m]."""
        return 2 * HALF_WIDTH / GRIDS[self.name][1]

    def axis(self, name: str) -> tuple[Array, Array]:
        """Centres (n,) and bounds (n, 2) [m] of ``x`` or ``y``."""
        part, count = (self.columns, GRIDS[self.name][1]) if name == "x" else (self.rows, GRIDS[self.name][0])
        border = (np.arange(part.start, part.stop + 1) - 0.5 * count) * self.size * (1 if name == "x" else -1)
        return 0.5 * (border[:-1] + border[1:]), np.column_stack([border[:-1], border[1:]])


def target_of(name: str, lat: Array, lon: Array, where: str) -> Target:
    """The block of the grid called ``name`` that cells between the edges ``lat`` (north to south) and ``lon`` touch.

    Raises :class:`InputError` where there is none: the grids end at 85.04 degrees, that of 25 km at 84.44.
    """
    own_lat, own_lon = edges(name)
    down = [-np.sin(np.deg2rad(values)) for values in (lat, own_lat)]
    rows, columns = _touched(down[0], down[1]), _touched(np.deg2rad(lon), np.deg2rad(own_lon))
    if rows.stop <= rows.start:
        hint = "leave products.ease_grid empty for this domain"
        raise InputError(f"no cell of EASE-Grid 2.0 lies between {lat[-1]:g} and {lat[0]:g} N", where=where, hint=hint)
    if max(lat[0], -lat[-1]) > own_lat[0]:
        print(f"warning: EASE-Grid 2.0 ends at {own_lat[0]:.2f} degrees: what lies beyond is left out", file=sys.stderr)
    return Target(
        name,
        rows,
        columns,
        _overlap(down[0], down[1][rows.start : rows.stop + 1]),
        _overlap(np.deg2rad(lon), np.deg2rad(own_lon[columns.start : columns.stop + 1])),
    )


def _touched(given: Array, wanted: Array) -> slice:
    """Cells between the ascending edges ``wanted`` that overlap the ``given`` ones by more than rounding."""
    tiny = 1e-9 * (wanted[1] - wanted[0])
    first = int(np.searchsorted(wanted, given[0] + tiny, side="right")) - 1
    last = int(np.searchsorted(wanted, given[-1] - tiny, side="left"))
    return slice(max(first, 0), min(last, len(wanted) - 1))


def _overlap(given: Array, wanted: Array) -> Any:
    """Overlap of cells between ascending edges as a sparse matrix (wanted, given)."""
    low, high = max(given[0], wanted[0]), min(given[-1], wanted[-1])
    cuts = np.unique(np.concatenate([given, wanted]))
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    middle, length = 0.5 * (cuts[:-1] + cuts[1:]), np.diff(cuts)
    place = (np.searchsorted(edge, middle, side="right") - 1 for edge in (wanted, given))
    shape = (len(wanted) - 1, len(given) - 1)
    return sparse.csr_array((length, tuple(place)), shape=shape)


def write_ease(
    output: PathLike, daily: PathLike, variable: str, year: int, system: System, settings: ProductsBlock
) -> tuple[int, int]:
    """Write ``products/ease/<variable>_<year>.nc`` (time, y, x) and return its rows and columns.

    ``daily`` is the file of :func:`~fluxatlas.products.daily.write_daily`, of which a block of rows and columns is in
    memory at a time. Raises :class:`ConfigError` where the settings name no grid, and :class:`InputError` where the
    file holds another variable or year or lacks a layer of the area, and where the domain lies beyond the grid.
    """
    if not settings.ease_grid:
        raise ConfigError("no EASE-Grid 2.0 is named", hint=f"give products.ease_grid: {', '.join(GRIDS)}")
    source = open_daily(daily, variable, year)
    with netCDF4.Dataset(daily) as given, files.atomic(output) as partial:
        given.set_auto_mask(False)
        lat, lon = (_edges(given[f"{name}_bnds"][:]) for name in ("lat", "lon"))
        target = target_of(settings.ease_grid, lat, lon, str(daily))
        weight = _weight(given, system, str(daily))
        with netCDF4.Dataset(partial, "w", format="NETCDF4") as file:
            names = [name for name in (variable, f"{variable}_sd") if name in given.variables]
            _write_head(file, given, target, names, settings, source.path)
            for block in product(_bands(target.lat, EDGE[0]), _bands(target.lon, EDGE[1])):
                _write_block(file, given, names, target, block, weight[block[0][1], block[1][1]])
    return target.rows.stop - target.rows.start, target.columns.stop - target.columns.start


def _edges(bounds: Any) -> Array:
    return np.append(bounds[:, 0], bounds[-1, 1]).astype(float)


def _weight(given: netCDF4.Dataset, system: System, where: str) -> Array:
    """Share of each cell (lat, lon) that a flux is per: 1 where that is the whole cell."""
    share = np.ones((len(given.dimensions["lat"]), len(given.dimensions["lon"])))
    for name in system.weight:
        if name not in given.variables:
            hint = "make the daily product of this system again"
            raise InputError(f"no layer '{name}', which is part of the area of a flux", where=where, hint=hint)
        if name != "areacella":
            share *= given[name][:] * (0.01 if variables.get(name).units == "%" else 1.0)
    return np.nan_to_num(share)


def _bands(overlap: Any, most: int) -> Iterator[tuple[slice, slice]]:
    """Cells of an axis of the target that are worked on together, and the ``most`` cells of the product they need."""
    start, count = 0, overlap.shape[0]
    first = overlap.indices[overlap.indptr[:-1]]
    last = overlap.indices[overlap.indptr[1:] - 1] + 1
    while start < count:
        stop = max(start + 1, int(np.searchsorted(last, first[start] + most, side="right")))
        yield slice(start, stop), slice(int(first[start]), int(last[stop - 1]))
        start = stop


def _write_block(
    file: netCDF4.Dataset, given: netCDF4.Dataset, names: list[str], target: Target, block: Block, weight: Array
) -> None:
    """Write all days of a block, those of a chunk at a time."""
    (down, rows), (across, columns) = block
    north, east = target.lat[down][:, rows], target.lon[across][:, columns]
    shape = (down.stop - down.start, across.stop - across.start)
    whole = np.zeros(shape)
    for name in names:
        for first in range(0, len(given.dimensions["time"]), DAYS):
            values = _unpacked(given[name], (slice(first, first + DAYS), rows, columns))
            means = np.empty((len(values), *shape), PLAIN["dtype"])
            for day, plane in enumerate(values):
                there = np.isfinite(plane) & (weight > 0)
                area = _summed(np.where(there, weight, 0.0), north, east)
                total = _summed(np.where(there, weight * np.nan_to_num(plane), 0.0), north, east)
                whole = np.maximum(whole, area) if name == names[0] else whole
                means[day] = np.divide(total, area, out=np.full(shape, np.nan), where=area > 0)
            file[name][first : first + len(values), down, across] = means
    file["areacella"][down, across] = EARTH_RADIUS**2 * whole


def _summed(plane: Array, north: Any, east: Any) -> Array:
    """Sums of ``plane`` (lat, lon) over the overlaps with each cell of the target."""
    return np.asarray((east @ (north @ plane).T).T)


def _unpacked(variable: netCDF4.Variable, cut: tuple[slice, slice, slice]) -> Array:
    variable.set_auto_maskandscale(False)
    raw, attrs = np.asarray(variable[cut]), variable.__dict__
    fill = attrs.get("_FillValue", np.nan)
    missing = np.isnan(raw) if fill != fill else raw == fill
    return np.where(missing, np.nan, raw * float(attrs.get("scale_factor", 1.0)) + float(attrs.get("add_offset", 0.0)))


def _write_head(
    file: netCDF4.Dataset, given: netCDF4.Dataset, target: Target, names: list[str], settings: ProductsBlock, path: Path
) -> None:
    """Attributes, axes and empty variables."""
    told = f"EASE-Grid 2.0, {target.name}"
    kept = {key: value for key, value in given.__dict__.items() if not key.endswith(("t_resolution", "n_resolution"))}
    origin = files.provenance("products ease", settings.model_dump(mode="json"), {path.name: path})
    named = {name: str(kept.get(name, names[0])) for name in ("title", "id", "summary")}
    named["title"] += f" on {told}"
    named["id"] += f"_ease_{target.name.replace(' ', '')}"
    named["summary"] = f"Means by area on {told} of the product that follows. {named['summary']}"
    file.setncatts({**kept, **origin, **named})
    file.createDimension("time", len(given.dimensions["time"]))
    file.createDimension("nv", 2)
    for clock in [name for name in given.variables if name in ("time", "time_bnds")]:
        copied = file.createVariable(clock, given[clock].dtype, given[clock].dimensions)
        copied.setncatts(given[clock].__dict__)
        copied[:] = given[clock][:]
    for name, letter in (("y", "Y"), ("x", "X")):
        centres, bounds = target.axis(name)
        file.createDimension(name, len(centres))
        axis = file.createVariable(name, "f8", (name,))
        words = {"standard_name": f"projection_{name}_coordinate", "units": "m", "axis": letter}
        axis.setncatts({**words, "long_name": f"{name} of the cell centre", "bounds": f"{name}_bnds"})
        axis[:] = centres
        file.createVariable(f"{name}_bnds", "f8", (name, "nv"))[:] = bounds
    crs = file.createVariable("crs", "i4")
    crs.setncatts({**pyproj.CRS.from_epsg(6933).to_cf(), "long_name": told})
    crs[...] = 0
    for name in ("areacella", *names):
        dims = ("y", "x") if name == "areacella" else ("time", "y", "x")
        _create(file, name, dims, settings)


def _create(file: netCDF4.Dataset, name: str, dims: tuple[str, ...], settings: ProductsBlock) -> None:
    attrs: dict[str, Any] = metadata.field(name, {}, [])
    if name == "areacella":
        what = "area that the values are per, of the part of the cell that has any"  # not CF's cell_area
        attrs = {"long_name": what, "units": "m2", "grid_mapping": "crs"}
    elif name.endswith("_sd"):
        attrs["comment"] += "; mean over the cell, as if errors of neighbours were the same"
    else:
        methods = str(attrs.get("cell_methods", ""))
        attrs["cell_methods"] = methods if "area:" in methods else f"{methods} area: mean".strip()
    create_variable(file, name, PLAIN, attrs, settings, dims)
