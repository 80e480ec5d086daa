"""One raw file: an open data set on a regular grid over time, read in blocks whatever the order of its dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..axes import DEGREES, LAT, LON, refuse_radians
from ..calendars import label
from ..errors import InputError
from ..files import NETCDF
from ..times import Times, decode, time_name
from .containers import open_container
from .coordinates import GridWindow, IntArray, SourceGrid, regular_axis
from .packed import KEY, Packing

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class RawFile:
    """One open data set: its grid and times (empty for one without time; codes of :mod:`.calendars` otherwise).

    ``steps`` is the dimension of the forecast steps, if time has two dimensions; ``times`` are then flattened, the
    steps of a forecast side by side. ``order`` are the rows and columns of the archive's grid in this file.
    """

    path: Path
    dataset: xr.Dataset
    grid: SourceGrid
    times: Times
    dims: Mapping[str, str]
    calendar: str = "standard"
    steps: str = ""
    order: tuple[IntArray, IntArray] | None = None

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
        opened = open_container(path, decode_times=False)
        return [cls._of(Path(label), dataset, snap) for label, dataset in opened]

    @classmethod
    def _of(cls, source: Path, dataset: xr.Dataset, snap: np.timedelta64 | None) -> RawFile:
        dims = {axis: _name(dataset, names, axis, source) for axis, names in (("lat", LAT), ("lon", LON))}
        for axis, name in dims.items():
            refuse_radians(dataset[name].attrs, axis, str(source))
        centres, order = _axes(dataset, dims, str(source))
        grid = SourceGrid(
            regular_axis(centres["lat"], "lat", str(source)), regular_axis(centres["lon"], "lon", str(source))
        )
        time = time_name(dataset)
        if time is None:
            return cls(source, dataset, grid, np.array([], "datetime64[s]"), dims, order=order)
        times, calendar = decode(dataset, time, source, snap)
        if dataset[time].ndim == 0:
            dataset = dataset.drop_vars(time).expand_dims(time)
        first, *more = dataset[time].dims if time in dataset.variables else (time,)
        if len(more) > 1:
            raise InputError(f"the time '{time}' has {len(more) + 1} dimensions", where=str(source), hint="select one")
        steps = str(more[0]) if more else ""
        return cls(source, dataset, grid, times, {**dims, "time": str(first)}, calendar, steps, order)

    def read(
        self, variable: str, steps: slice, window: GridWindow, into: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Values (time, lat, lon) of ``window`` at time positions ``steps``; ERA5T fills what ERA5 lacks.

        They are written to ``into`` where that spares a copy: then it is what is returned.
        """
        import xarray as xr

        whole = self.dataset[variable]
        array = self.cube(whole)
        lat, lon, time = self.dims["lat"], self.dims["lon"], self.dims["time"]
        each = array.sizes[self.steps] if self.steps else 1
        outer = slice(steps.start // each, -(-steps.stop // each))
        window = self.placed(window)

        def block(rows: slice, columns: slice) -> npt.NDArray[Any]:
            try:
                with NETCDF:
                    return array.isel({time: outer, lat: rows, lon: columns}).values
            except (OSError, RuntimeError, IndexError, ValueError, KeyError, TypeError) as problem:
                raise InputError(
                    f"'{variable}' cannot be read ({problem})",
                    where=f"{self.path}, {self.label(steps.start)} to {self.label(steps.stop - 1)}",
                    hint="the file is probably truncated: delete it and make or download it again",
                ) from problem

        plain = array.ndim == 3 and array.dtype.kind in "fiu"
        packing: Packing | None = whole.encoding.get(KEY)
        direct = plain and into is not None and into.shape == (outer.stop - outer.start, *window.shape)
        if direct and packing is not None and packing.stored.dims == whole.dims:
            array = self.cube(xr.Dataset({variable: packing.stored})[variable])
            return window.read(block, into, packing.into)  # decoded on the way to where it is wanted
        values = window.read(block, into if plain else None)
        if values.dtype.kind not in "fiu":
            raise InputError(f"'{variable}' holds no numbers", where=str(self.path), hint="map another variable")
        values = _merge_versions(values) if "expver" in array.dims else values
        if not self.steps:
            return values
        flat = values.reshape(-1, *values.shape[2:])
        return flat[steps.start - outer.start * each : steps.stop - outer.start * each]

    def placed(self, window: GridWindow) -> GridWindow:
        """``window`` of :attr:`grid` with the rows and columns of this file."""
        if self.order is None:
            return window
        rows, columns = self.order
        return replace(window, rows=rows[window.rows], columns=columns[window.columns])

    def ordered(self, order: tuple[IntArray, IntArray]) -> RawFile:
        """This file with the cells of a grid that has them at the positions ``order`` of :attr:`grid`."""
        own = self.order or (np.arange(self.grid.lat.size), np.arange(self.grid.lon.size))
        return replace(self, order=(own[0][order[0]], own[1][order[1]]))

    def cube(self, array: xr.DataArray) -> xr.DataArray:
        """A variable as (expver, time, steps, lat, lon), those dimensions that it has; single others are dropped."""
        variable = array.name
        wanted = [self.dims["time"], *([self.steps] if self.steps else []), self.dims["lat"], self.dims["lon"]]
        lacking = [d for d in wanted if d not in array.dims]
        if lacking:
            raise InputError(
                f"'{variable}' has no dimension {lacking[0]}", where=str(self.path), hint="map another variable"
            )
        array = array.squeeze([d for d in array.dims if array.sizes[d] == 1 and d not in wanted], drop=True)
        extra = [d for d in array.dims if d not in (*wanted, "expver")]
        if extra:
            raise InputError(
                f"'{variable}' has the extra dimension {extra[0]}", where=str(self.path), hint="select one first"
            )
        if "expver" in array.dims:
            if "expver" in array.coords:
                array = array.isel(expver=np.argsort(array["expver"].values.astype(str)))
            wanted = ["expver", *wanted]
        return array.transpose(*wanted)

    def noise(self, variable: str) -> float:
        """Half a step of the packing of ``variable``; 0 where it is not packed."""
        return 0.5 * abs(float(self.dataset[variable].encoding.get("scale_factor", 0.0)))

    def label(self, step: int) -> str:
        """The date and time of a position, as the file's calendar writes it."""
        return label(self.times[step], self.calendar)


def _name(dataset: xr.Dataset, names: tuple[str, ...], axis: str, path: Path) -> str:
    """The coordinate of ``axis`` called one of ``names``, or else the only one that says it is, by unit or meaning."""
    known = [str(n) for n in dataset.dims if n in dataset.variables and dataset[n].ndim == 1]
    found = [name for name in names if name in known]
    meaning = {"lat": "latitude", "lon": "longitude"}[axis]
    said = [n for n in known if dataset[n].attrs.get("standard_name") == meaning]
    found += [*said, *(n for n in known if dataset[n].attrs.get("units") in DEGREES[axis] and n not in said)]
    if found and (found[0] in names or len(found) == 1):
        return found[0]
    why = next((f"; '{n}' has {dataset[n].ndim} dimensions" for n in names if n in dataset.variables), "")
    raise InputError(
        f"no coordinate called {' or '.join(names[:2])}{why}",
        where=str(path),
        hint=f"fluxatlas reads regular latitude-longitude files; this one has the dimensions {list(dataset.sizes)}",
    )


def _merge_versions(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """First finite value over the leading dimension (ERA5 before ERA5T)."""
    merged = values[0].copy()
    for other in values[1:]:
        np.copyto(merged, other, where=np.isnan(merged))
    return merged


def _axes(
    dataset: xr.Dataset, dims: Mapping[str, str], where: str
) -> tuple[dict[str, npt.NDArray[Any]], tuple[IntArray, IntArray] | None]:
    """Coordinates of the cells, and their rows and columns in the file where these are not counted up.

    A single row or column is taken as two halves of it, so that it is an axis with a step like any other.
    """
    centres = {axis: dataset[name].values for axis, name in dims.items()}
    single = [axis for axis in centres if np.size(centres[axis]) == 1]
    if not single:
        return centres, None
    for axis in single:
        size = _size(dataset, dims, axis)
        if not size:
            raise InputError(
                f"it has one cell along {axis}, and does not say how large that is",
                where=where,
                hint=f"add its bounds ({dims[axis]}_bnds, named by the attribute 'bounds' of '{dims[axis]}')",
            )
        quarter = 0.25 * size * (-1 if axis == "lat" else 1)
        centres[axis] = np.ravel(centres[axis]).astype(np.float64) + np.array([-quarter, quarter])
    rows, columns = (np.zeros(2, int) if axis in single else np.arange(np.size(centres[axis])) for axis in centres)
    return centres, (rows, columns)


def _size(dataset: xr.Dataset, dims: Mapping[str, str], axis: str) -> float:
    """Extent [degrees] of the only cell along ``axis``, by its bounds or the step of the other axis; 0 if unknown."""
    name = dims[axis]
    named = (str(dataset[name].attrs.get("bounds", "")), f"{name}_bnds", f"{name}_bounds")
    bounds = next((dataset[each].values.ravel() for each in named if each in dataset.variables), np.empty(0))
    if bounds.size == 2:
        return abs(float(bounds[1] - bounds[0]))
    other = np.ravel(dataset[dims["lon" if axis == "lat" else "lat"]].values)
    return abs(float(other[1] - other[0])) if other.size > 1 else 0.0
