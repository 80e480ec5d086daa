"""Raw NetCDF files indexed by variable and time, so that any days can be read whichever way the files were split.

What is asked for must be there exactly once: a gap, a duplicated or displaced time stamp, another calendar, another
grid or an unreadable block is one :class:`InputError` that names file, variable and time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, nearest
from ..files import open_netcdf
from .coordinates import SourceGrid, Window, regular_axis

if TYPE_CHECKING:
    import xarray as xr

Times = npt.NDArray[np.datetime64]

LAT, LON, TIME = ("latitude", "lat", "nav_lat", "y"), ("longitude", "lon", "nav_lon", "x"), ("time", "valid_time")
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")


@dataclass(frozen=True, eq=False)
class RawFile:
    """One open file: its data set, grid and times (empty for a file without time)."""

    path: Path
    dataset: xr.Dataset
    grid: SourceGrid
    times: Times
    dims: Mapping[str, str]

    @classmethod
    def open(cls, path: str | Path) -> RawFile:
        """Open ``path``; raises :class:`InputError` for an unreadable file, unusable coordinates or calendar."""
        source = Path(path)
        dataset = open_netcdf(source)
        dims = {"lat": _name(dataset, LAT, source), "lon": _name(dataset, LON, source)}
        grid = SourceGrid(
            regular_axis(dataset[dims["lat"]].values, "lat", str(source)),
            regular_axis(dataset[dims["lon"]].values, "lon", str(source)),
        )
        time = next((name for name in TIME if name in dataset.dims and name in dataset.variables), None)
        if time is None:
            return cls(source, dataset, grid, np.array([], "datetime64[s]"), dims)
        return cls(source, dataset, grid, _times(dataset[time], source), {**dims, "time": time})

    def read(self, variable: str, steps: slice, window: Window) -> npt.NDArray[Any]:
        """Values (time, lat, lon) of ``window`` at time positions ``steps``; ERA5T fills what ERA5 lacks."""
        array = self.dataset[variable]
        lacking = [d for d in self.dims.values() if d not in array.dims]
        if lacking:
            raise InputError(
                f"'{variable}' has no dimension {lacking[0]}", where=str(self.path), hint="map another variable"
            )
        array = array.squeeze([d for d in array.dims if array.sizes[d] == 1 and d not in self.dims.values()], drop=True)
        extra = [d for d in array.dims if d not in self.dims.values() and d != "expver"]
        if extra:
            raise InputError(
                f"'{variable}' has the extra dimension {extra[0]}", where=str(self.path), hint="select one first"
            )
        lat, lon, time = self.dims["lat"], self.dims["lon"], self.dims["time"]
        array = array.transpose(*(("expver",) if "expver" in array.dims else ()), time, lat, lon)

        def block(rows: slice, columns: slice) -> npt.NDArray[Any]:
            try:
                return array.isel({time: steps, lat: rows, lon: columns}).values
            except (OSError, RuntimeError, IndexError, ValueError) as problem:
                raise InputError(
                    f"'{variable}' cannot be read ({problem})",
                    where=f"{self.path}, {self.times[steps.start]} to {self.times[steps.stop - 1]}",
                    hint="the file is probably truncated: delete it and make or download it again",
                ) from problem

        values = window.read(block)
        if values.dtype.kind not in "fiu":
            raise InputError(f"'{variable}' holds no numbers", where=str(self.path), hint="map another variable")
        return _merge_versions(values) if "expver" in array.dims else values


class Archive:
    """The raw files of one data set. ``grid`` is the grid they share.

    Raises :class:`InputError` for no file, an unreadable file or files on different grids.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        if not paths:
            raise InputError("no raw file is given", hint="name the files of the year with --input")
        self.files = [RawFile.open(path) for path in dict.fromkeys(map(str, paths))]
        self.grid = self.files[0].grid
        for file in self.files[1:]:
            if not self.grid.matches(file.grid):
                raise InputError(
                    f"its grid differs from that of {self.files[0].path}",
                    where=str(file.path),
                    hint="give files of one data set on one grid",
                )

    def holders(self, variable: str) -> list[RawFile]:
        """The files that hold ``variable`` over time; raises :class:`InputError` if none does."""
        found = [f for f in self.files if variable in f.dataset.data_vars and "time" in f.dims]
        if not found:
            names = sorted({str(name) for f in self.files for name in f.dataset.data_vars})
            raise InputError(
                f"no variable '{variable}'{nearest(variable, names)}",
                where=", ".join(str(f.path) for f in self.files[:3]),
                hint=f"the files hold: {', '.join(names)}",
            )
        return found

    def units(self, variable: str) -> str | None:
        """Unit label of ``variable``, ``None`` without one; raises :class:`InputError` if the files disagree."""
        labels = {str(f.path): f.dataset[variable].attrs.get("units") for f in self.holders(variable)}
        if len(set(labels.values())) > 1:
            (path, label), *rest = labels.items()
            other = next((p, u) for p, u in rest if u != label)
            raise InputError(
                f"the unit of '{variable}' changes from {label!r} to {other[1]!r}",
                where=f"{path} and {other[0]}",
                hint="mend the files, or override the unit if only the label is wrong",
            )
        return next(iter(labels.values()))

    def locate(self, variable: str, stamps: Times) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which of the holders has each of ``stamps``, and at which position; reads no data. Errors as :meth:`read`."""
        holders = self.holders(variable)
        time = np.concatenate([f.times for f in holders])
        owner = np.repeat(np.arange(len(holders)), [f.times.size for f in holders])
        position = np.concatenate([np.arange(f.times.size) for f in holders])
        inside = np.flatnonzero((time >= stamps[0]) & (time <= stamps[-1]))
        inside = inside[np.argsort(time[inside], kind="stable")]
        _check_complete(variable, stamps, time[inside], [holders[i].path for i in owner[inside]])
        return owner[inside], position[inside]

    def read(self, variable: str, stamps: Times, window: Window) -> npt.NDArray[np.float32]:
        """Values (time, lat, lon) of ``variable`` at exactly ``stamps`` (increasing, evenly spaced).

        Raises :class:`InputError` unless every stamp, and nothing between them, is present exactly once.
        """
        holders = self.holders(variable)
        owner, position = self.locate(variable, stamps)
        values = np.empty((stamps.size, *window.shape), np.float32)
        for number in np.unique(owner):
            slots = np.flatnonzero(owner == number)
            steps = position[slots]
            first = int(steps.min())
            part = holders[number].read(variable, slice(first, int(steps.max()) + 1), window)
            values[slots] = part[steps - first]
        return values

    def where(self, variable: str, start: np.datetime64, stop: np.datetime64) -> str:
        """File, variable and time span for a message."""
        paths = [str(f.path) for f in self.holders(variable) if f.times[0] <= stop and f.times[-1] >= start]
        more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
        return f"{', '.join(paths[:2])}{more}: '{variable}' from {_text(start)} to {_text(stop)}"


def _name(dataset: xr.Dataset, names: tuple[str, ...], path: Path) -> str:
    for name in names:
        if name in dataset.dims and name in dataset.variables:
            return name
    raise InputError(
        f"no coordinate called {' or '.join(names[:2])}",
        where=str(path),
        hint=f"fluxatlas reads regular latitude-longitude files; this one has the dimensions {list(dataset.sizes)}",
    )


def _times(time: xr.DataArray, path: Path) -> Times:
    calendar = time.encoding.get("calendar", "standard")
    if time.dtype.kind != "M" or calendar not in CALENDARS:
        unit = time.attrs.get("units")
        what = f"calendar '{calendar}'" if unit is None else f"time unit '{unit}'"
        raise InputError(
            f"the {what} cannot be used", where=f"{path}, {time.name}", hint="convert the file to the standard calendar"
        )
    values = time.values
    if not values.size:
        raise InputError("the file holds no time steps", where=str(path), hint="delete it and get it again")
    if np.isnat(values).any():
        raise InputError("a time is missing", where=f"{path}, {time.name}", hint="mend the time coordinate")
    return (values + np.timedelta64(500, "ms")).astype("datetime64[s]")


def _check_complete(variable: str, wanted: Times, found: Times, paths: Sequence[Path]) -> None:
    """Raise :class:`InputError` unless ``found`` (sorted, in ``paths``) equals ``wanted``."""
    repeated = np.flatnonzero(np.diff(found) == np.timedelta64(0, "s"))
    if repeated.size:
        first = repeated[0]
        raise InputError(
            f"{repeated.size} times of '{variable}' are present more than once, the first at {_text(found[first])}",
            where=f"{paths[first]} and {paths[first + 1]}",
            hint="remove the duplicated steps, or list each file once",
        )
    missing = np.setdiff1d(wanted, found)
    if missing.size:
        last = f"; the data end at {_text(found[-1])}" if found.size and missing[0] > found[-1] else ""
        raise InputError(
            f"{missing.size} of {wanted.size} steps of '{variable}' from {_text(wanted[0])} to {_text(wanted[-1])} are "
            f"missing, the first at {_text(missing[0])}{last}",
            where=str(paths[0]) if paths else "none of the files reaches this time",
            hint="get the missing files; a day that is accumulated ends at 00 UTC of the next one (--next-input)",
        )
    strange = np.setdiff1d(found, wanted)
    if strange.size:
        raise InputError(
            f"{strange.size} steps of '{variable}' lie between the expected ones, the first at {_text(strange[0])}",
            where=str(paths[0]),
            hint="the step length of the mapping does not fit these files",
        )


def _merge_versions(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """First finite value over the leading dimension (ERA5 before ERA5T)."""
    merged = values[0].copy()
    for other in values[1:]:
        np.copyto(merged, other, where=np.isnan(merged))
    return merged


def _text(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[m]")).replace("T", " ")
