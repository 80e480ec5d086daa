"""Gridded files of soil moisture, open: regular latitude-longitude files, and SMAP on EASE-Grid 2.0.

Each gives the same: the cells of a box, the times of its steps, and raw arrays (step, lat, lon).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...calendars import STANDARD
from ...errors import InputError
from ...files import NETCDF, open_netcdf
from ...missing import Said
from ..archive import RawFile
from ..coordinates import BBox
from .cells import CellAxes
from .ease import EaseWindow, degrees, window_by_shape, window_of
from .soil_kinds import SoilMoistureKind

Raw = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]


class SoilFile(Protocol):
    """``cells`` of the box, ``times`` of the steps, ``passes``: raw variable, flag and uncertainty by canonical name.

    ``per_day``: steps that make a whole day. A variable with several passes (morning, evening) gets their mean.
    """

    path: Path
    cells: CellAxes
    times: Times
    per_day: int
    passes: dict[str, list[tuple[str, str, str]]]

    def read(self, variable: str, steps: slice) -> Raw: ...
    def attrs(self, variable: str) -> dict[str, Any]: ...
    def close(self) -> None: ...


def not_daily(days: float, path: Path) -> InputError:
    """The refusal of means over longer than a day."""
    return InputError(
        f"steps of {days:g} days are not daily soil moisture",
        where=str(path),
        hint="give the daily product, not means over ten days or a month",
    )


def open_soil_file(path: Path, facts: SoilMoistureKind, bbox: BBox, margin: int, overpass: str) -> SoilFile:
    """The file at ``path``; ``margin``: more source cells around ``bbox``; ``overpass``: am, pm or both (SMAP L3)."""
    if facts.ease and path.suffix in (".h5", ".hdf5", ".he5"):
        return EaseFile(path, facts, overpass)
    return RegularFile(path, facts, bbox, margin, overpass)


def chosen(held: set[str], facts: SoilMoistureKind, path: Path, overpass: str) -> dict[str, list[tuple[str, str, str]]]:
    """Raw variable, flag and uncertainty of each pass, by canonical name, of those in ``held``.

    Raises :class:`InputError` where there is none.
    """
    found: dict[str, list[tuple[str, str, str]]] = {}
    for canonical, spellings in facts.variables.items():
        raw = [name for name in spellings if name in held]
        if not any("/" in name for name in raw) and facts.ease:
            raw = raw if {"soil_moisture_am", "soil_moisture_pm"} <= set(raw) else raw[:1]
        elif not facts.ease:
            raw = raw[:1]
        raw = [name for name in raw if not any(mark in name for mark in _OTHER[overpass])]
        found[canonical] = [
            (name, _beside(name, facts.flags, held), _beside(name, facts.uncertainty, held)) for name in raw
        ]
    found = {name: passes for name, passes in found.items() if passes}
    if found:
        return found
    wanted = ", ".join(name for spellings in facts.variables.values() for name in spellings)
    raise InputError(
        f"none of the variables {wanted}",
        where=str(path),
        hint=f"it holds {', '.join(sorted(held)[:12]) or 'none'}",
    )


_OTHER = {"am": ("_pm", "_Data_PM"), "pm": ("_am", "_Data_AM"), "both": ()}
"""What names of the other overpass contain."""


def _beside(name: str, candidates: tuple[str, ...], held: set[str]) -> str:
    """The flag or uncertainty that belongs to ``name``: in its group, and of its overpass."""
    group, _, base = name.rpartition("/")
    prefix = f"{group}/" if group else ""
    suffix = next((s for s in ("_am", "_pm") if base.endswith(s)), "")
    fitting = [c for c in candidates if c.endswith(suffix)] if suffix else list(candidates)
    return next((f"{prefix}{c}" for c in fitting if f"{prefix}{c}" in held), "")


class RegularFile:
    """A file on a regular grid: NetCDF, GRIB, Zarr or zip, of one step or many."""

    def __init__(self, path: Path, facts: SoilMoistureKind, bbox: BBox, margin: int, overpass: str) -> None:
        opened = RawFile.open_all(path)
        self.path = path
        held = {str(n): file for file in opened for n in file.dataset.data_vars}
        self.passes = chosen(set(held), facts, path, overpass)
        self._files = held
        first = held[next(iter(self.passes.values()))[0][0]]
        self._first = first
        if "time" not in first.dims:
            raise InputError("no time that can be read", where=str(path), hint="give the provider's own file")
        if first.calendar not in STANDARD:
            raise InputError(
                f"the calendar '{first.calendar}' cannot be used for days of observations",
                where=str(path),
                hint="convert the file to the standard calendar",
            )
        self.times = first.times
        self._window = first.grid.window(bbox, margin)
        self.cells = CellAxes.regular(self._window.lat, self._window.lon)
        gaps = np.diff(np.sort(self.times.astype(np.int64)))
        usual = float(np.median(gaps)) if gaps.size else 0.0
        if usual > 1.5 * 86400:
            raise not_daily(usual / 86400, path)
        self.per_day = (
            max(1, round(86400 / usual)) if 0 < usual <= 86400 else max(1, facts.per_day if not gaps.size else 1)
        )

    def read(self, variable: str, steps: slice) -> Raw:
        return self._files[variable].read(variable, steps, self._window)

    def attrs(self, variable: str) -> dict[str, Any]:
        return dict(self._files[variable].dataset[variable].attrs)

    def close(self) -> None:
        for file in self._files.values():
            file.dataset.close()


class EaseFile:
    """A SMAP granule: HDF5 with groups, one step, on EASE-Grid 2.0; the time is the one in its name."""

    def __init__(self, path: Path, facts: SoilMoistureKind, overpass: str) -> None:
        import netCDF4

        open_netcdf(path, decode_times=False).close()  # one message for what is missing, empty or truncated
        with NETCDF:
            self._file = netCDF4.Dataset(path)
            self._file.set_auto_mask(False)
        self.path, self.per_day = path, max(1, facts.per_day)
        try:
            groups = self._file.groups
            self._held = set(self._file.variables)
            self._held |= {f"{g}/{v}" for g, group in groups.items() for v in group.variables}
            self.passes = chosen(self._held, facts, path, overpass)
            self.times = np.array([self._moment()], "datetime64[s]")
            window = self._placed(next(iter(self.passes.values()))[0][0])
            self.cells = CellAxes(window.lat_edges, window.lon_edges)
        except InputError:
            self.close()
            raise

    def read(self, variable: str, steps: slice) -> Raw:
        return self._raw(variable)[None]

    def attrs(self, variable: str) -> dict[str, Any]:
        with NETCDF:
            held = self._variable(variable)
            return {key: held.getncattr(key) for key in held.ncattrs()}

    def close(self) -> None:
        with NETCDF:
            self._file.close()

    def _variable(self, name: str) -> Any:
        group, _, base = name.rpartition("/")
        return self._file[group][base] if group else self._file[base]

    def _raw(self, name: str) -> Raw:
        """A (row, column) array; missing values of floats are NaN, those of flags stay."""
        try:
            with NETCDF:
                values = np.asarray(self._variable(name)[...])
        except (OSError, RuntimeError, IndexError) as problem:
            raise InputError(
                f"'{name}' cannot be read ({problem})",
                where=str(self.path),
                hint="the file is probably truncated: delete it and make or download it again",
            ) from problem
        if values.ndim != 2:
            raise InputError(
                f"'{name}' has {values.ndim} dimensions instead of row and column",
                where=str(self.path),
                hint="give the provider's gridded (level 3 or 4) file",
            )
        if values.dtype.kind != "f":
            return values
        known = Said.of(self.attrs(name), values.dtype).masked(values)
        return np.where(known <= -9998, np.nan, known)

    def _placed(self, variable: str) -> EaseWindow:
        """Where the cells are: by x and y, by the coordinates of the group, or by the shape of a global grid."""
        shape = self._raw(variable).shape
        if {"x", "y"} <= self._held:
            with NETCDF:
                x, y = (np.asarray(self._file[n][...], np.float64) for n in ("x", "y"))
            if (y.size, x.size) == shape:
                return window_of(*degrees(x, y), self.path)
        group = variable.rpartition("/")[0]
        names = (
            [f"{group}/latitude", f"{group}/latitude_pm", "cell_lat"],
            [f"{group}/longitude", f"{group}/longitude_pm", "cell_lon"],
        )
        lat, lon = (next((n for n in options if n in self._held), "") for options in names)
        if not lat or not lon:
            return window_by_shape((shape[0], shape[1]), self.path)
        given = [self._raw(n).astype(np.float64) for n in (lat, lon)]
        if given[0].shape != shape or given[1].shape != shape:
            raise InputError(
                f"the coordinates have {given[0].shape} cells and the data {shape}",
                where=str(self.path),
                hint="the file is damaged: get it again",
            )
        if not np.isfinite(given[0]).any():
            return window_by_shape((shape[0], shape[1]), self.path)
        return window_of(given[0], given[1], self.path)

    def _moment(self) -> str:
        """The date (and time) in the name of the file, as SMAP's names have it."""
        found = re.search(
            r"(?<!\d)(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?:T(\d\d)(\d\d)(\d\d))?(?!\d)", self.path.name
        )
        if found is None:
            raise InputError(
                "no date (YYYYMMDD) in the name of the file, where SMAP has its time",
                where=str(self.path),
                hint="keep the provider's name",
            )
        clock = f"T{found[4]}:{found[5]}:{found[6]}" if found[4] else "T00:00:00"
        return f"{found[1]}-{found[2]}-{found[3]}{clock}"
