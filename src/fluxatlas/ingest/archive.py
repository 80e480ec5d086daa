"""Raw files indexed by variable and time, so that any days can be read whichever way the files were split.

What is asked for must be there exactly once: a gap, a duplicated or displaced time stamp, an unusable calendar, another
grid or an unreadable block is one :class:`InputError` that names file, variable and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, nearest
from .calendars import ALIASES, RULES, STANDARD, encode, source_times
from .containers import open_container
from .coordinates import SourceGrid, Window, regular_axis

if TYPE_CHECKING:
    import xarray as xr

Times = npt.NDArray[np.datetime64]

LAT, LON = ("latitude", "lat", "nav_lat", "y"), ("longitude", "lon", "nav_lon", "x")
TIME = ("time", "valid_time", "day")
CALENDARS = STANDARD
"""Spellings of the standard calendar."""


@dataclass(frozen=True)
class Field:
    """A variable of the files: its ``name`` in the mapping, its ``spellings`` in files, and the files that hold it.

    The spelling ``*`` is the only variable of a file; ``files`` is a pattern for the path, empty for any.
    """

    name: str
    spellings: tuple[str, ...] = ()
    files: str = ""

    def within(self, file: RawFile) -> str | None:
        """How this variable is called in ``file``; ``None`` if it is not there."""
        if "time" not in file.dims or (self.files and not fnmatch(file.path.as_posix(), self.files)):
            return None
        spellings = self.spellings or (self.name,)
        found = next((name for name in spellings if name in file.dataset.data_vars), None)
        if found is None and "*" in spellings:
            gridded = [str(n) for n, a in file.dataset.data_vars.items() if set(file.dims.values()) <= set(a.dims)]
            found = gridded[0] if len(gridded) == 1 else None
        return found


@dataclass(frozen=True, eq=False)
class RawFile:
    """One open data set: its grid and times (empty for one without time; codes of :mod:`.calendars` otherwise)."""

    path: Path
    dataset: xr.Dataset
    grid: SourceGrid
    times: Times
    dims: Mapping[str, str]
    calendar: str = "standard"

    @classmethod
    def open(cls, path: str | Path, snap: np.timedelta64 | None = None) -> RawFile:
        """Open a ``path`` that holds one data set; errors as :meth:`open_all`."""
        found = cls.open_all(path, snap)
        if len(found) > 1:
            raise InputError("holds several data sets", where=str(path), hint="give a file with one")
        return found[0]

    @classmethod
    def open_all(cls, path: str | Path, snap: np.timedelta64 | None = None) -> list[RawFile]:
        """All data sets of ``path``; times within a step of length ``snap`` (or their bounds) become its start.

        Raises :class:`InputError` for an unreadable file, unusable coordinates or calendar.
        """
        return [cls._of(Path(label), dataset, snap) for label, dataset in open_container(path)]

    @classmethod
    def _of(cls, source: Path, dataset: xr.Dataset, snap: np.timedelta64 | None) -> RawFile:
        dims = {"lat": _name(dataset, LAT, "degrees_north", source), "lon": _name(dataset, LON, "degrees_east", source)}
        grid = SourceGrid(
            regular_axis(dataset[dims["lat"]].values, "lat", str(source)),
            regular_axis(dataset[dims["lon"]].values, "lon", str(source)),
        )
        time = next((name for name in TIME if name in dataset.variables and dataset[name].ndim <= 1), None)
        if time is None:
            return cls(source, dataset, grid, np.array([], "datetime64[s]"), dims)
        if time not in dataset.dims:
            dataset = (
                dataset.expand_dims(time)
                if dataset[time].ndim == 0
                else dataset.swap_dims({dataset[time].dims[0]: time})
            )
        times, calendar = _times(dataset, time, source, snap)
        return cls(source, dataset, grid, times, {**dims, "time": time}, calendar)

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
    """The raw files of one data set. ``grid`` is the grid and ``calendar`` the calendar they share.

    Raises :class:`InputError` for no file, an unreadable file or files on different grids.
    """

    def __init__(self, paths: Sequence[str | Path], snap: np.timedelta64 | None = None) -> None:
        if not paths:
            raise InputError("no raw file is given", hint="name the files of the year with --input")
        self.files = [file for path in dict.fromkeys(map(str, paths)) for file in RawFile.open_all(path, snap)]
        self.grid = self.files[0].grid
        self.calendar = self.files[0].calendar
        self._holders: dict[Field, list[tuple[RawFile, str]]] = {}
        self._released: set[Path] = set()
        for file in self.files[1:]:
            if not self.grid.matches(file.grid):
                raise InputError(
                    f"its grid differs from that of {self.files[0].path}",
                    where=str(file.path),
                    hint="give files of one data set on one grid",
                )
            if file.calendar != self.calendar:
                raise InputError(
                    f"its calendar '{file.calendar}' differs from '{self.calendar}' of {self.files[0].path}",
                    where=str(file.path),
                    hint="give files of one data set",
                )

    def holds(self, field: Field) -> bool:
        """Whether any file holds ``field``."""
        return any(field.within(file) for file in self.files)

    def holders(self, field: Field) -> list[tuple[RawFile, str]]:
        """The files that hold ``field`` over time, and its name there; raises :class:`InputError` if none does."""
        if field not in self._holders:
            named = ((file, field.within(file)) for file in self.files)
            self._holders[field] = [(file, name) for file, name in named if name is not None]
        found = self._holders[field]
        if not found:
            names = sorted({str(name) for f in self.files for name in f.dataset.data_vars})
            inside = f" in files like {field.files}" if field.files else ""
            raise InputError(
                f"no variable '{field.name}'{inside}{nearest(field.name, names)}",
                where=", ".join(str(f.path) for f in self.files[:3]),
                hint=f"the files hold: {', '.join(names)}",
            )
        return found

    def units(self, field: Field) -> str | None:
        """Unit label of ``field``, ``None`` without one; raises :class:`InputError` if the files disagree."""
        labels = {str(file.path): file.dataset[name].attrs.get("units") for file, name in self.holders(field)}
        if len(set(labels.values())) > 1:
            (path, label), *rest = labels.items()
            other = next((p, u) for p, u in rest if u != label)
            raise InputError(
                f"the unit of '{field.name}' changes from {label!r} to {other[1]!r}",
                where=f"{path} and {other[0]}",
                hint="mend the files, or override the unit if only the label is wrong",
            )
        return next(iter(labels.values()))

    def locate(self, field: Field, stamps: Times) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which of the holders has each of ``stamps``, and at which position; reads no data. Errors as :meth:`read`."""
        holders = self.holders(field)
        time = np.concatenate([f.times for f, _ in holders])
        owner = np.repeat(np.arange(len(holders)), [f.times.size for f, _ in holders])
        position = np.concatenate([np.arange(f.times.size) for f, _ in holders])
        wanted, slot = np.unique(source_times(stamps, self.calendar), return_inverse=True)
        inside = np.flatnonzero((time >= wanted[0]) & (time <= wanted[-1]))
        inside = inside[np.argsort(time[inside], kind="stable")]
        _check_complete(field.name, wanted, time[inside], [holders[i][0].path for i in owner[inside]])
        return owner[inside][slot], position[inside][slot]

    def available(self, field: Field, stamps: Times) -> npt.NDArray[np.bool_]:
        """Whether each of ``stamps`` is in the files."""
        times = np.concatenate([f.times for f, _ in self.holders(field)])
        return np.isin(source_times(stamps, self.calendar), times)

    def read(self, field: Field, stamps: Times, window: Window) -> npt.NDArray[np.float32]:
        """Values (time, lat, lon) of ``field`` at exactly ``stamps`` (increasing, evenly spaced).

        Raises :class:`InputError` unless every stamp, and nothing between them, is present exactly once.
        """
        holders = self.holders(field)
        owner, position = self.locate(field, stamps)
        values = np.empty((stamps.size, *window.shape), np.float32)
        for number in np.unique(owner):
            slots = np.flatnonzero(owner == number)
            steps = position[slots]
            first = int(steps.min())
            file, name = holders[number]
            self._released.discard(file.path)
            part = file.read(name, slice(first, int(steps.max()) + 1), window)
            if steps.size == part.shape[0] and (np.diff(steps) == 1).all() and slots.size == slots[-1] - slots[0] + 1:
                values[slots[0] : slots[-1] + 1] = part
            else:
                values[slots] = part[steps - first]
        return values

    def release(self, before: np.datetime64) -> None:
        """Close the files that end ``before`` a time, and free the chunks they keep; reading opens them again."""
        moment = source_times(np.array([before], "datetime64[s]"), self.calendar)[0]
        for file in self.files:
            if file.times.size and file.times[-1] < moment and file.path not in self._released:
                file.dataset.close()
                self._released.add(file.path)

    def where(self, field: Field, start: np.datetime64, stop: np.datetime64) -> str:
        """File, variable and time span for a message."""
        files = [f for f, _ in self.holders(field) if f.times.size]
        paths = [str(f.path) for f in files if f.times[0] <= stop and f.times[-1] >= start]
        more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
        return f"{', '.join(paths[:2])}{more}: '{field.name}' from {_text(start)} to {_text(stop)}"


def held(files: Iterable[RawFile]) -> set[str]:
    """Names of all variables in ``files``."""
    return {str(name) for file in files for name in file.dataset.data_vars}


def _name(dataset: xr.Dataset, names: tuple[str, ...], units: str, path: Path) -> str:
    """The coordinate called one of ``names``, or else the only one with ``units``."""
    for name in names:
        if name in dataset.dims and name in dataset.variables:
            return name
    by_unit = [str(n) for n in dataset.dims if n in dataset.variables and dataset[n].attrs.get("units") == units]
    if len(by_unit) == 1:
        return by_unit[0]
    raise InputError(
        f"no coordinate called {' or '.join(names[:2])}",
        where=str(path),
        hint=f"fluxatlas reads regular latitude-longitude files; this one has the dimensions {list(dataset.sizes)}",
    )


def _times(dataset: xr.Dataset, name: str, path: Path, snap: np.timedelta64 | None) -> tuple[Times, str]:
    """Times (or codes of them) and calendar; with ``snap`` the start of the step that each lies in."""
    time = dataset[name]
    calendar = str(time.encoding.get("calendar", "standard"))
    calendar = "standard" if calendar in STANDARD else ALIASES.get(calendar, calendar)
    months = snap is not None and np.datetime_data(snap)[0] == "M"
    if time.size == 0:
        raise InputError("the file holds no time steps", where=str(path), hint="delete it and get it again")
    if snap is not None:
        bounds = dataset.variables.get(time.attrs.get("bounds", time.encoding.get("bounds", "")))
        time = time if bounds is None or bounds.ndim != 2 else time.copy(data=bounds.values[:, 0])
    if time.dtype.kind == "O" and calendar in RULES:
        codes = encode(time.values, calendar, monthly=months)
    elif time.dtype.kind == "M" and calendar in ("standard", *RULES):
        if np.isnat(time.values).any():
            raise InputError("a time is missing", where=f"{path}, {name}", hint="mend the time coordinate")
        codes = (time.values + np.timedelta64(500, "ms")).astype("datetime64[s]")
    else:
        unit = dataset[name].attrs.get("units")
        what = f"calendar '{calendar}'" if unit is None else f"time unit '{unit}'"
        raise InputError(
            f"the {what} cannot be used", where=f"{path}, {name}", hint="convert the file to the standard calendar"
        )
    if months:
        codes = codes.astype("datetime64[M]").astype("datetime64[s]")
    elif snap is not None:
        length = int(snap / np.timedelta64(1, "s"))
        codes = (codes.astype(np.int64) // length * length).astype("datetime64[s]")
    return codes, calendar


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
