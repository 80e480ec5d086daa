"""Altitude of the surface on the grid of a source, from geopotential or from an elevation file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import variables as table
from ..constants import GRAVITY
from ..errors import InputError, UnitError, nearest
from .archive import RawFile
from .coordinates import GridWindow, SourceGrid

NAMES = ("z", "orog", "elevation", "elev", "height", "topo", "NLDAS_elev", "geopotential_at_surface")
GEOPOTENTIAL_UNITS = ("m**2 s**-2", "m2 s-2", "m^2 s^-2", "m2/s2", "J kg-1", "J kg**-1")


def read_orog(path: str | Path, window: GridWindow, variable: str = "") -> npt.NDArray[np.float32]:
    """Altitude [m] (lat, lon) on ``window``; NaN where the file has none.

    ``variable`` empty: the first of :data:`NAMES` in the file. Geopotential is divided by standard gravity.
    Raises :class:`InputError` for a missing variable, a unit that is neither, another grid or an impossible value.
    """
    file = RawFile.open(path)
    held = [str(name) for name in file.dataset.data_vars]
    name = variable or next((n for n in NAMES if n in held), "")
    if name not in held:
        raise InputError(
            f"no elevation variable '{name or ', '.join(NAMES)}'{nearest(name, held)}",
            where=str(path),
            hint=f"set forcing.elevation_variable to one of {', '.join(held)}",
        )
    here = file.placed(_same_cells(file.grid, window, str(path)))
    array = file.dataset[name]
    if "time" in file.dims:
        array = array.isel({file.dims["time"]: 0})
    array = array.squeeze([d for d in array.dims if array.sizes[d] == 1 and d not in file.dims.values()], drop=True)
    values = here.read(
        lambda rows, columns: (
            array.transpose(file.dims["lat"], file.dims["lon"])
            .isel({file.dims["lat"]: rows, file.dims["lon"]: columns})
            .values
        )
    ).astype(np.float64)
    units = str(array.attrs.get("units", ""))
    where = f"{path}, '{name}'"
    if units in GEOPOTENTIAL_UNITS:
        values, units = values / GRAVITY, "m"
    if not units:
        raise UnitError("the elevation has no unit", where=where, hint="give it 'm', or 'm2 s-2' for geopotential")
    altitude = table.convert(values, units, "orog", where=where)
    table.check_range(altitude, "orog", where=where)
    return altitude.astype(np.float32)


def _same_cells(grid: SourceGrid, window: GridWindow, where: str) -> GridWindow:
    """The cells of ``grid`` that are those of ``window``; raises :class:`InputError` unless all are there."""
    axes = zip(window.cell, grid.cell, (window.lat, window.lon), strict=True)
    halves = [axis.size == 2 and abs(2 * size / own - 1) < 0.01 for size, own, axis in axes]
    if any(halves):  # halves of the only row or column of the forcing, of a larger file
        return _halves(grid, window, halves, where)
    height, width = window.cell
    hint = "give the elevation on the grid of the forcing"
    if max(abs(grid.cell[0] - height) / height, abs(grid.cell[1] - width) / width) > 0.01:
        raise InputError(
            f"its cells of {grid.cell} degrees are not those of the forcing, {window.cell}", where=where, hint=hint
        )
    inner = (window.lon[0], window.lat[-1], window.lon[-1], window.lat[0])
    found = grid.window(inner)
    if found.shape != window.shape or not (
        np.allclose(found.lat, window.lat, atol=0.02 * height) and np.allclose(found.lon, window.lon, atol=0.02 * width)
    ):
        raise InputError("it does not hold all cells of the forcing", where=where, hint=hint)
    return found


def _halves(grid: SourceGrid, window: GridWindow, halves: list[bool], where: str) -> GridWindow:
    """The cells of ``grid`` in which the two halves of a row or column of ``window`` lie."""
    lat, lon = (
        np.array([axis.mean()]) if half else axis for axis, half in zip((window.lat, window.lon), halves, strict=True)
    )
    cell = [size * (2 if half else 1) for size, half in zip(window.cell, halves, strict=True)]
    whole = GridWindow(window.rows[: lat.size], window.columns[: lon.size], lat, lon, (cell[0], cell[1]))
    found = _same_cells(grid, whole, where)
    rows, columns = (
        np.repeat(index, 2) if half else index for index, half in zip((found.rows, found.columns), halves, strict=True)
    )
    return GridWindow(rows, columns, window.lat, window.lon, window.cell)
