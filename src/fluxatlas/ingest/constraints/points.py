"""Soil moisture in cell files: time series of grid points, as TU Wien's tools write them.

A file holds the points of a cell of 5 degrees, with one time axis for all (``locations``, ``time``) or as ragged arrays
(``row_size``, or an index per observation). They are points of the product's own grid, not stations, and serve as
constraints at their places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...axes import LAT, LON
from ...errors import InputError
from ...files import NETCDF, open_netcdf, read_netcdf
from ...times import decode, time_name
from .recognise import recognise
from .regions import numbers
from .screening import REASONS, Screen, flag_is_absent, kept_bits, rejects
from .soil_files import chosen
from .soil_kinds import SoilMoistureKind, soil_kind

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.floating[Any]]
SAMPLES, INSTANCE = "sample_dimension", "instance_dimension"
"""CF attributes that name the dimension of observations: of contiguous and of indexed ragged arrays."""


def are_points(path: Path) -> bool:
    """Whether the file holds time series of places; ``False`` for folders and containers other than NetCDF."""
    if path.is_dir() or path.suffix in (".h5", ".hdf5", ".he5", ".zip", ".grib", ".grb", ".zarr"):
        return False
    with NETCDF, open_netcdf(path, decode_times=False, foreign=True) as dataset:
        lat = next((dataset[n] for n in LAT if n in dataset.variables), None)
        lon = next((dataset[n] for n in LON if n in dataset.variables), None)
        return lat is not None and lon is not None and lat.ndim == 1 and lat.dims == lon.dims


@dataclass(frozen=True, eq=False)
class _Cell:
    """One file: its places, and the day and place of each observation of the flattened arrays."""

    dataset: xr.Dataset
    lat: Array
    lon: Array
    ids: npt.NDArray[Any]
    days: npt.NDArray[np.datetime64]
    place: npt.NDArray[np.int64] | None


class SoilPoints:
    """The cell files of one product; one is in memory at a time."""

    def __init__(
        self, paths: Sequence[str | Path], kind: str = "", *, years: tuple[int | None, int | None] = (None, None)
    ) -> None:
        """Reads times and places of all files; raises :class:`InputError` for what cannot be used."""
        self.paths = [Path(p) for p in paths]
        self.kind = kind or recognise(self.paths[0]).kind
        self.facts: SoilMoistureKind = soil_kind(self.kind)
        self._counts: dict[str, Counter[str]] = {}
        self._clipped: Counter[str] = Counter()
        self.flags: dict[str, str] = {}
        spans, places = [], []
        self.names: list[str] = []
        for path in self.paths:
            cell = self._open(path)
            spans.append((cell.days.min(), cell.days.max()))
            places.append((cell.lat, cell.lon, cell.ids))
            held = {str(n) for n in cell.dataset.data_vars}
            for canonical, passes in chosen(held, self.facts, path, "both").items():
                raw, _, sd = passes[0]
                screen = self._screen(cell, canonical, raw, path)
                self.names += [n for n in (screen.name, *([f"{screen.name}_sd"] if sd else [])) if n not in self.names]
        first, last = min(s[0] for s in spans), max(s[1] for s in spans)
        if years[0]:
            first = max(first, np.datetime64(f"{years[0]}-01-01", "D"))
        if years[1]:
            last = min(last, np.datetime64(f"{years[1]}-12-31", "D"))
        if last < first:
            raise InputError(
                "no day of the wanted years", where=str(self.paths[0]), hint="correct first_year, last_year"
            )
        self.days = np.arange(first, last + 1)
        self.lat, self.lon, self.ids = (np.concatenate(parts) for parts in zip(*places, strict=True))
        self._sizes = [lat.size for lat, _, _ in places]
        if np.unique(np.round(np.stack([self.lat, self.lon]), 4), axis=1).shape[1] != self.lat.size:
            raise InputError("a place is in several files", where=str(self.paths[0]), hint="give each cell file once")

    def columns(self) -> Iterator[tuple[slice, dict[str, npt.NDArray[np.float32]]]]:
        """For each file where its places are, and daily means (day, place) by name; raises as :class:`SoilMoisture`."""
        start = 0
        for path, size in zip(self.paths, self._sizes, strict=True):
            yield slice(start, start + size), self._daily(self._open(path), path)
            start += size
        if not any(counts["kept"] for counts in self._counts.values()):
            raise InputError(
                "no value is left after the flags and ranges", where=str(self.paths[0]), hint=f"counts: {self.counts()}"
            )

    def counts(self) -> dict[str, dict[str, int]]:
        """What became of the values, by canonical variable."""
        return {name: {reason: counts[reason] for reason in REASONS} for name, counts in self._counts.items()}

    def attrs(self) -> dict[str, Any]:
        """What the result is and what was done; complete once all columns went by."""
        attrs: dict[str, Any] = {"title": self.facts.title, "kind": self.kind, "citation": self.facts.citation}
        for name, counts in self.counts().items():
            attrs |= {f"{reason}_{name}": count for reason, count in counts.items()}
            attrs[f"clipped_{name}"] = self._clipped[name]
            attrs[f"quality_flag_{name}"] = self.flags.get(name, "none")
            depth = self.facts.depth.get(name.replace("sat", "swc"), "")
            attrs |= {f"layer_{name}": depth} if depth else {}
        return attrs

    def _open(self, path: Path) -> _Cell:
        dataset = read_netcdf(path, decode_times=False, foreign=True)
        if "gpi" in dataset.variables:
            raise InputError(
                "the file is an index of grid points (gpi, cell) without data",
                where=str(path),
                hint="give the cell files beside it, such as 0165.nc",
            )
        time = time_name(dataset)
        if time is None:
            raise InputError("no time that can be read", where=str(path), hint="give the provider's own file")
        times, calendar = decode(dataset, time, path, None)
        if calendar != "standard":
            raise InputError(f"the calendar '{calendar}' cannot be used", where=str(path), hint="convert the file")
        lat, lon = (next((n for n in names if n in dataset.variables), "") for names in (LAT, LON))
        if not lat or not lon:
            raise InputError("no latitude and longitude", where=str(path), hint="give the provider's own file")
        rows, columns = numbers(dataset[lat], path), (numbers(dataset[lon], path) + 180) % 360 - 180
        if not (np.isfinite(rows).all() and np.isfinite(columns).all() and np.abs(rows).max(initial=0) <= 90):
            raise InputError("a place has no possible coordinates", where=str(path), hint="get the file again")
        ids = dataset["location_id"].values if "location_id" in dataset.variables else np.arange(rows.size)
        place = _places(dataset, str(dataset[lat].dims[0]), times.size)
        if place is None and np.unique(times).size != times.size:
            repeated = times[np.flatnonzero(np.diff(np.sort(times).astype(np.int64)) == 0)[0]]
            raise InputError(
                f"a time is present more than once, such as {repeated}",
                where=str(path),
                hint="remove the repeated steps",
            )
        return _Cell(dataset, rows, columns, ids, times.astype("datetime64[D]"), place)

    def _screen(self, cell: _Cell, canonical: str, raw: str, path: Path) -> Screen:
        return Screen(self.facts, canonical, raw, str(cell.dataset[raw].attrs.get("units", "")), str(path))

    def _daily(self, cell: _Cell, path: Path) -> dict[str, npt.NDArray[np.float32]]:
        """Daily means (day, place) of one file."""
        held = {str(n) for n in cell.dataset.data_vars}
        made: dict[str, npt.NDArray[np.float32]] = {}
        for canonical, passes in chosen(held, self.facts, path, "both").items():
            raw, flag, sd = passes[0]
            screen = self._screen(cell, canonical, raw, path)
            bad = None
            if flag and not flag_is_absent(self._flat(cell, flag)):
                bad = rejects(self._flat(cell, flag), kept_bits(cell.dataset[flag].attrs, self.facts.keep_bits))
                self.flags[screen.name] = flag
            values = screen(self._flat(cell, raw), bad, str(path))
            screen.check_magnitude(str(path))
            self._clipped[screen.name] += screen.clipped
            self._counts.setdefault(screen.name, Counter()).update(screen.counts)
            made[screen.name] = self._mean(cell, values)
            if sd:
                made[f"{screen.name}_sd"] = self._mean(cell, screen.uncertainty(self._flat(cell, sd), values))
        empty = np.full((self.days.size, cell.lat.size), np.nan, np.float32)
        return {name: made.get(name, empty) for name in self.names}

    def _flat(self, cell: _Cell, name: str) -> npt.NDArray[Any]:
        """An array as (time, place), or the observations of a ragged one."""
        array = cell.dataset[name]
        where = array.encoding.get("source", cell.dataset.encoding.get("source", ""))
        numbers(array[(slice(0, 1),) * array.ndim], Path(where))
        if cell.place is not None:
            return array.values.ravel()
        shape = {str(d): array.sizes[d] for d in array.dims}
        place = str(cell.dataset[_lat(cell)].dims[0])
        times = [name for name, size in shape.items() if name != place and size == cell.days.size]
        if set(shape) - {place, *times} or place not in shape or len(times) != 1:
            raise InputError(
                f"'{name}' has the dimensions {', '.join(shape) or 'none'}, not those of places and times",
                where=where,
                hint="get the provider's own file again",
            )
        return array.transpose(times[0], place).values

    def _mean(self, cell: _Cell, values: Array) -> npt.NDArray[np.float32]:
        """Means over days of (time, place) or of ragged observations."""
        total = np.zeros((self.days.size, cell.lat.size))
        count = np.zeros_like(total)
        day = (cell.days - self.days[0]).astype(np.int64)
        inside = (day >= 0) & (day < self.days.size)
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        index = (day[inside],) if cell.place is None else (day[inside], cell.place[inside])
        np.add.at(total, index, filled[inside])
        np.add.at(count, index, known[inside].astype(np.float64))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _lat(cell: _Cell) -> str:
    return next(n for n in LAT if n in cell.dataset.variables)


def _places(dataset: xr.Dataset, instances: str, observations: int) -> npt.NDArray[np.int64] | None:
    """The place of each observation of a ragged file; ``None`` where all places share the times."""
    for name, variable in dataset.variables.items():
        if SAMPLES in variable.attrs or (name == "row_size" and variable.dims == (instances,)):
            sizes = np.nan_to_num(variable.values).astype(np.int64)
            if sizes.sum() > observations:
                raise InputError(
                    f"'{name}' counts {sizes.sum():,} observations and the file holds {observations:,}",
                    where=str(dataset.encoding.get("source", name)),
                    hint="the file is truncated: get it again",
                )
            place = np.repeat(np.arange(sizes.size), sizes)
            return np.pad(place, (0, observations - place.size), constant_values=0) if place.size else place
        if INSTANCE in variable.attrs:
            return variable.values.astype(np.int64)
    return None
