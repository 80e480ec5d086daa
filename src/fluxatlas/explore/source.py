"""What the store of a run is made of: windows of its daily files, of its maps and of the land mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
from rasterio.windows import Window

from ..errors import InputError
from ..hashes import LARGE, check_seal
from ..land_mask import PER_DEGREE, land_mask
from ..products.daily import QUALITY
from ..results import RunResults

Array = npt.NDArray[Any]
STEPS = ("day", "month", "year")
KEPT = ("standard_name", "long_name", "units", "scale_factor", "add_offset", "flag_values", "flag_meanings", "comment")
"""Attributes of the product that the store keeps."""


@dataclass(frozen=True)
class Lattice:
    """The cells of an array: edges north and west [degrees], cell size [degrees], rows and columns."""

    north: float
    west: float
    size: float
    shape: tuple[int, int]

    def centres(self, level: int = 0) -> tuple[Array, Array]:
        """Latitudes (row) and longitudes (column) of the cells, 2**``level`` times as large."""
        step = self.size * 2**level
        rows, columns = (-(-n // 2**level) for n in self.shape)
        return self.north - step * (np.arange(rows) + 0.5), self.west + step * (np.arange(columns) + 0.5)

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return (
            self.west,
            self.north - self.size * self.shape[0],
            self.west + self.size * self.shape[1],
            self.north,
        )


@dataclass(frozen=True)
class StoreLayer:
    """One array of the store: how it is stored, and ``read(times, rows, columns)``, which gives (time, lat, lon).

    ``classes`` are the values of a layer of classes, of which larger cells take the most common; other layers are
    averaged by area. ``always`` marks a layer without missing values.
    """

    name: str
    dtype: str
    fill: float
    attrs: Mapping[str, Any]
    read: Callable[[slice, slice, slice], Array]
    classes: tuple[int, ...] = ()
    always: bool = False

    def missing(self, raw: Array) -> npt.NDArray[np.bool_]:
        """Where there is no value."""
        if self.always:
            return np.zeros(raw.shape, bool)
        return np.isnan(raw) if self.fill != self.fill else raw == self.fill


@dataclass
class ProductSource:
    """The product of ``run``, opened for reading window by window; close it with the ``stack`` given.

    Raises :class:`InputError` where the run has no product, or years of a variable are on different cells or packed
    differently.
    """

    run: RunResults
    stack: ExitStack
    _open: dict[Path, netCDF4.Dataset] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.run.variables:
            raise self.run.no_product

    def file(self, path: Path) -> netCDF4.Dataset:
        """The file, opened once, giving packed values."""
        if path not in self._open:
            check_seal(path, LARGE)
            self._open[path] = self.stack.enter_context(netCDF4.Dataset(path))
            self._open[path].set_auto_maskandscale(False)
        return self._open[path]

    @property
    def files(self) -> list[Path]:
        """All files of the product that the store is made of."""
        maps = self.run.folder / "products" / "cog"
        return [path for name in self.run.variables for path in self.run.files(name).values()] + sorted(
            path for path in maps.glob("*.tif") if path.stem.rsplit("_", 1)[0] in self.run.variables
        )

    @cached_property
    def lattice(self) -> Lattice:
        """The cells of the product."""
        found = {self._lattice(path) for name in self.run.variables for path in self.run.files(name).values()}
        if len(found) > 1:
            raise InputError(
                "the daily files are on different cells",
                where=str(self.run.folder / "products" / "daily"),
                hint="make the product again with one configuration",
            )
        return found.pop()

    def _lattice(self, path: Path) -> Lattice:
        data = self.file(path)
        lat, lon = (np.asarray(data[f"{name}_bnds"][:], float) for name in ("lat", "lon"))
        per_degree = len(lon) / float(lon.max() - lon.min())
        size = 1 / (round(per_degree) if abs(per_degree - round(per_degree)) < 1e-6 else per_degree)
        return Lattice(round(float(lat.max()), 9), round(float(lon.min()), 9), size, (len(lat), len(lon)))

    def times(self, step: str) -> pd.DatetimeIndex:
        """The first day of every day, month or year of all years of the run."""
        every = [
            pd.date_range(f"{year}-01-01", f"{year}-12-31", freq={"day": "D", "month": "MS", "year": "YS"}[step])
            for year in self.run.years
        ]
        return pd.DatetimeIndex(np.concatenate(every))

    def layers(self, step: str) -> list[StoreLayer]:
        """The layers of ``step``: values, and of days their standard uncertainty where the run has it."""
        if step == "day":
            return [layer for name in self.run.variables for layer in self._daily(name)]
        return [layer for name in self.run.variables if (layer := self._mean(name, step))]

    def _daily(self, variable: str) -> list[StoreLayer]:
        years = self.run.files(variable)
        found: dict[str, tuple[Any, ...]] = {}
        for path in years.values():
            data = self.file(path)
            for name in (variable, f"{variable}_sd"):
                if name in data.variables:
                    about = {key: data[name].__dict__.get(key) for key in ("scale_factor", "add_offset", "_FillValue")}
                    packing = (data[name].dtype.str, *map(str, about.values()))
                    if found.setdefault(name, packing) != packing:
                        raise InputError(
                            f"'{name}' is packed differently than in other years", where=str(path), hint="make it again"
                        )
        newest = self.file(years[max(years)])
        return [
            StoreLayer(
                name,
                newest[name].dtype.name,
                float(newest[name]._FillValue),
                {**_attrs(newest[name]), "cell_methods": "time: mean"},
                self._reader(years, name),
            )
            for name in found
            if name in newest.variables
        ]

    def _reader(self, years: Mapping[int, Path], name: str) -> Callable[[slice, slice, slice], Array]:
        days = self.times("day")
        starts = {year: int(np.searchsorted(days.year, year)) for year in years}
        fill, dtype = (getattr(self.file(years[max(years)])[name], key) for key in ("_FillValue", "dtype"))

        def read(times: slice, rows: slice, columns: slice) -> Array:
            shape = times.stop - times.start, rows.stop - rows.start, columns.stop - columns.start
            values = np.full(shape, fill, dtype)
            for year, start in starts.items():
                data = self.file(years[year])
                if name not in data.variables:
                    continue
                first, last = max(times.start, start), min(times.stop, start + data[name].shape[0])
                if first < last:
                    part = data[name][first - start : last - start, rows, columns]
                    values[first - times.start : last - times.start] = part
            return values

        return read

    def _mean(self, variable: str, step: str) -> StoreLayer | None:
        """Means of each month or year from the maps of the run; None where it has none."""
        form = {"month": "%Y-%m", "year": "%Y"}[step]
        folder = self.run.folder / "products" / "cog"
        paths = [folder / f"{variable}_{time:{form}}.tif" for time in self.times(step)]
        if not any(path.exists() for path in paths):
            return None
        newest = self.file(max(self.run.files(variable).items())[1])[variable]
        attrs = {key: value for key, value in _attrs(newest).items() if key not in ("scale_factor", "add_offset")}
        attrs["cell_methods"] = f"time: mean (interval: 1 {step})"
        return StoreLayer(variable, "float32", float("nan"), attrs, partial(_read_maps, paths))

    def fixed(self) -> list[StoreLayer]:
        """Layers of applicability, from the newest file of the first variable."""
        years = self.run.files(self.run.variables[0])
        data = self.file(years[max(years)])
        found = []
        for name in QUALITY:
            if name in data.variables:
                classes = tuple(int(value) for value in np.atleast_1d(data[name].__dict__.get("flag_values", [])))
                fill = float(data[name]._FillValue)
                attrs = _attrs(data[name])
                found.append(
                    StoreLayer(name, data[name].dtype.name, fill, attrs, partial(_read_flat, data[name]), classes)
                )
        return found


def _read_flat(variable: netCDF4.Variable, _: slice, rows: slice, columns: slice) -> Array:
    return np.asarray(variable[rows, columns])[None]


def _attrs(variable: netCDF4.Variable) -> dict[str, Any]:
    """Attributes to keep, as JSON can hold them."""
    kept = {key: value for key, value in variable.__dict__.items() if key in KEPT}
    return {key: np.asarray(value).tolist() if not isinstance(value, str) else value for key, value in kept.items()}


def _read_maps(paths: Sequence[Path], times: slice, rows: slice, columns: slice) -> Array:
    window = Window.from_slices(rows, columns)
    values = np.full((times.stop - times.start, rows.stop - rows.start, columns.stop - columns.start), np.nan, "f4")
    for number, path in enumerate(paths[times]):
        if path.exists():
            with rasterio.open(path) as raster:
                values[number] = raster.read(1, window=window, masked=True).astype("f4").filled(np.nan)
                values[number] = values[number] * raster.scales[0] + raster.offsets[0]
    return values


def land(bbox: tuple[float, float, float, float], per_degree: int) -> tuple[Lattice, StoreLayer]:
    """Share of land [%] of cells of 1/``per_degree`` degree that hold ``bbox``, and where they are.

    ``per_degree`` divides 120. Raises what :class:`~fluxatlas.land_mask.LandMask` does.
    """
    west, south, east, north = bbox
    top, left = int(np.floor((90 - north) * per_degree)), int(np.floor((west + 180) * per_degree))
    bottom, right = int(np.ceil((90 - south) * per_degree)), int(np.ceil((east + 180) * per_degree))
    factor = PER_DEGREE // per_degree
    thin = factor // 5 if factor % 5 == 0 else 1  # 25 points tell the share of a cell well enough
    bits = land_mask().sea(bottom * factor)

    def read(_: slice, rows: slice, columns: slice) -> Array:
        first, last = (left + columns.start) * factor, (left + columns.stop) * factor
        band = bits[(top + rows.start) * factor : (top + rows.stop) * factor : thin, first // 8 : -(-last // 8)]
        sea = np.unpackbits(band, axis=1)[:, first % 8 :][:, : last - first : thin]
        blocks = sea.reshape(rows.stop - rows.start, factor // thin, columns.stop - columns.start, factor // thin)
        return np.rint(100 * (1 - blocks.mean(axis=(1, 3)))).astype(np.uint8)[None]

    lattice = Lattice(90 - top / per_degree, left / per_degree - 180, 1 / per_degree, (bottom - top, right - left))
    attrs = {"long_name": "share of land", "standard_name": "land_area_fraction", "units": "%"}
    return lattice, StoreLayer("land", "uint8", 0.0, attrs, read, always=True)
