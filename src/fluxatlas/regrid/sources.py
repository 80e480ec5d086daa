"""Files of static layers as windows of raw values: GeoTIFF in any projection, or NetCDF on latitude and longitude.

Only the window around the target is read, in strips of target rows, so that memory does not grow with the size of the
file. Longitudes may run in -180..180 or 0..360; a global file is read across its own edge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import GridError, InputError, nearest
from ..files import open_netcdf
from .frame import Frame
from .weights import regular

Array = npt.NDArray[Any]
VALUES_AT_ONCE = 4_000_000
"""Source values in memory at a time (a strip has at least two rows of target cells)."""
HALO = 2
"""Source cells read around a window, for interpolation."""


class Source(ABC):
    """An open file: its cell centres ``lat`` (either direction) and ``lon`` (ascending), and windows of raw values.

    ``nodata`` is the code of missing values, None where they are NaN already.
    """

    path: str
    lat: Array
    lon: Array
    bands: int
    nodata: float | None

    @abstractmethod
    def read(self, rows: slice, columns: npt.NDArray[np.int64]) -> Array:
        """Raw values (bands, ny, nx); ``columns`` are positions, contiguous but for the jump across the file's edge."""

    def windows(self, frame: Frame) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Strips of ``frame`` with what the file holds around them: target rows, raw values, latitudes, longitudes.

        Strips that the file does not reach are left out.
        """
        half = 0.5 * frame.step
        columns, lon = _columns(self.lon, frame.lon[0] - half, frame.lon[-1] + half)
        if len(columns) < 2:
            return
        per_row = max(1.0, frame.step / abs(self.lat[1] - self.lat[0])) * len(columns) * self.bands
        strips = int(np.clip(np.ceil(len(frame.lat) * per_row / VALUES_AT_ONCE), 1, len(frame.lat) // 2))
        cuts = np.linspace(0, len(frame.lat), strips + 1).astype(int).tolist()
        for strip in (slice(top, bottom) for top, bottom in pairwise(cuts)):
            rows = _rows(self.lat, frame.lat[strip].min() - half, frame.lat[strip].max() + half)
            if rows.stop - rows.start >= 2:
                yield strip, self.read(rows, columns), self.lat[rows], lon


def _axis(centres: Array, axis: str, path: str) -> Array:
    try:
        return regular(centres, axis)
    except GridError as problem:
        raise GridError(problem.what, where=path, hint=problem.hint) from None


def _rows(lat: Array, low: float, high: float) -> slice:
    """Rows of ``lat`` (either direction) between two latitudes with :data:`HALO`; empty where there are none."""
    half = 0.5 * abs(lat[1] - lat[0])
    inside = np.flatnonzero((lat > low - half) & (lat < high + half))
    if not len(inside):
        return slice(0, 0)
    return slice(max(int(inside[0]) - HALO, 0), min(int(inside[-1]) + 1 + HALO, len(lat)))


def _columns(lon: Array, low: float, high: float) -> tuple[npt.NDArray[np.int64], Array]:
    """Columns of the ascending ``lon`` between two longitudes with :data:`HALO`, and their unwrapped longitudes."""
    step, n = (lon[-1] - lon[0]) / (len(lon) - 1), len(lon)
    turn = 360.0 * np.round(
        (0.5 * (low + high) - 0.5 * (lon[0] + lon[-1])) / 360.0
    )  # the file's copy around the target
    first, last = (int(np.floor((edge - turn - lon[0]) / step + 0.5)) for edge in (low, high))
    column = np.arange(first - HALO, last + HALO + 1)
    if abs(n * step - 360.0) > 0.5 * step:  # not a whole circle of latitude
        column = column[(column >= 0) & (column < n)]
    return column % n, lon[0] + turn + column * step


@contextmanager
def open_source(
    path: str,
    *,
    bands: int = 1,
    nodata: float | None = None,
    band: int = 1,
    classes: bool = False,
    variable: str = "",
    select: dict[str, int] | None = None,
    weights: str = "",
) -> Iterator[Source]:
    """Open a GeoTIFF (``band`` the first of ``bands``) or NetCDF file (``variable``, ``select``, ``weights`` as in the
    block `static`) and close it afterwards; ``classes`` are codes that must not be averaged.

    Raises :class:`InputError` where it is absent, unreadable or does not hold what is asked for.
    """
    if not Path(path).exists():
        raise InputError("file not found", where=path, hint="check the path in the block 'static'")
    if Path(path).suffix.lower() in (".nc", ".nc4"):
        with open_netcdf(path, decode_times=False) as dataset:
            yield NetcdfSource(path, dataset, variable, select or {}, weights, bands, nodata)
        return
    try:
        raster = rasterio.open(path)
    except rasterio.errors.RasterioIOError as problem:
        raise InputError(f"cannot be read as a raster ({problem})", where=path, hint="make it again") from None
    with raster:
        yield RasterSource(path, raster, band, bands, classes, nodata)


class RasterSource(Source):
    """A raster; one that is not in degrees is warped on the fly (classes by the nearest cell, values by averages)."""

    def __init__(
        self,
        path: str,
        raster: Any,
        band: int,
        bands: int,
        classes: bool,
        nodata: float | None,
    ) -> None:
        self.path, self.bands = path, bands
        self.nodata = raster.nodata if nodata is None else nodata
        if raster.crs is not None and not raster.crs.is_geographic:
            raster = self._warped(raster, Resampling.nearest if classes else Resampling.average)
        t = raster.transform
        if t.b or t.d or t.a <= 0:
            raise InputError("the raster is rotated or mirrored", where=path, hint="warp it to EPSG:4326 first")
        if raster.count < band + bands - 1:
            hint = "give twelve monthly bands" if bands == 12 else "choose an existing band"
            raise InputError(
                f"the file has {raster.count} bands, band {band + bands - 1} is needed", where=path, hint=hint
            )
        self.raster, self.chosen, self.classes = raster, list(range(band, band + bands)), classes
        self.lat = _axis(t.f + (np.arange(raster.height) + 0.5) * t.e, "lat", path)
        self.lon = _axis(t.c + (np.arange(raster.width) + 0.5) * t.a, "lon", path)
        if np.abs(self.lat).max() > 90.0 or np.abs(self.lon).max() > 540.0:
            hint = "the file states no projection: add it (EPSG:4326 for degrees)"
            raise InputError(
                f"its coordinates ({self.lat[0]:g}, {self.lon[0]:g}) are no degrees", where=path, hint=hint
            )

    def _warped(self, raster: Any, resampling: Resampling) -> Any:
        if self.nodata is None:
            hint = "declare 'nodata': warping to degrees leaves corners without data"
            raise InputError("the raster is projected and states no missing value", where=self.path, hint=hint)
        return WarpedVRT(raster, crs="EPSG:4326", resampling=resampling, src_nodata=self.nodata, nodata=self.nodata)

    def read(self, rows: slice, columns: npt.NDArray[np.int64]) -> Array:
        breaks = np.flatnonzero(np.diff(columns) != 1) + 1
        parts = []
        for run in np.split(columns, breaks):
            box = Window(int(run[0]), rows.start, len(run), rows.stop - rows.start)
            try:
                parts.append(self.raster.read(self.chosen, window=box))
            except rasterio.errors.RasterioIOError as problem:
                hint = "the file is probably truncated: make or download it again"
                raise InputError(f"cannot be read ({problem})", where=self.path, hint=hint) from None
        raw = np.concatenate(parts, axis=2)
        return raw if self.classes else _without(raw, self.nodata)


def _without(raw: Array, nodata: float | None) -> Array:
    """``raw`` as float64 with ``nodata`` as NaN."""
    values = raw.astype(np.float64)
    if nodata is not None:
        values[raw == nodata] = np.nan
    return values


class NetcdfSource(Source):
    """A NetCDF variable on latitude and longitude; packing and missing values are those the file declares."""

    def __init__(
        self,
        path: str,
        dataset: xr.Dataset,
        variable: str,
        select: dict[str, int],
        weights: str,
        bands: int,
        nodata: float | None,
    ) -> None:
        self.path, self.bands, self.nodata = path, bands, nodata
        self.field = _field(dataset, variable, path)
        self.shares = _field(dataset, weights, path) if weights else None
        for dimension, position in select.items():
            size = self.field.sizes.get(dimension, 0)
            if not -size <= position < size:
                hint = f"'{variable}' has {dict(self.field.sizes)}"
                raise InputError(f"no position {position} along '{dimension}'", where=path, hint=hint)
        self.field = self.field.isel(select)
        self._check_dimensions(variable)
        self.lat = _axis(self.field["lat"].to_numpy(), "lat", path)
        lon = _axis(self.field["lon"].to_numpy(), "lon", path)
        self.flipped = bool(lon[0] > lon[-1])
        self.lon = lon[::-1] if self.flipped else lon

    def _check_dimensions(self, variable: str) -> None:
        beyond = {str(d): n for d, n in self.field.sizes.items() if d not in ("lat", "lon", *self._over())}
        if [n for n in beyond.values() if n > 1] != ([self.bands] if self.bands > 1 else []):
            raise InputError(
                f"'{variable}' has the dimensions {beyond} beyond lat and lon; {self.bands} fields are needed",
                where=self.path,
                hint="choose positions with 'select', or average over classes with 'weights'",
            )

    def _over(self) -> tuple[str, ...]:
        """Dimensions over which the shares average."""
        return tuple(str(d) for d in self.shares.dims if d not in ("lat", "lon")) if self.shares is not None else ()

    def read(self, rows: slice, columns: npt.NDArray[np.int64]) -> Array:
        place = {"lat": rows, "lon": len(self.lon) - 1 - columns if self.flipped else columns}
        try:
            field = self.field.isel(place).load()
        except (OSError, RuntimeError) as problem:
            hint = "the file is probably truncated: make or download it again"
            raise InputError(f"'{self.field.name}' cannot be read ({problem})", where=self.path, hint=hint) from problem
        if self.nodata is not None:
            field = field.where(field != self.nodata)
        if self.shares is not None:
            shares, over = self.shares.isel(place).load(), self._over()
            field = (field * shares).sum(over) / shares.where(field.notnull()).sum(over)
        field = field.transpose(..., "lat", "lon")
        return field.to_numpy().reshape(self.bands, field.sizes["lat"], field.sizes["lon"]).astype(np.float64)


def _field(dataset: xr.Dataset, variable: str, path: str) -> xr.DataArray:
    """A variable with its horizontal dimensions called ``lat`` and ``lon``."""
    if variable not in dataset:
        held = sorted(map(str, dataset.data_vars))
        raise InputError(f"no variable '{variable}'{nearest(variable, held)}", where=path, hint=f"choose from {held}")
    names = {"latitude": "lat", "longitude": "lon", "y": "lat", "x": "lon"}
    field = dataset[variable]
    field = field.rename({old: new for old, new in names.items() if old in field.dims})
    if not {"lat", "lon"} <= set(field.dims) & set(field.coords):
        hint = "give a file on a regular latitude-longitude grid"
        raise InputError(f"'{variable}' has no axes lat and lon but {field.dims}", where=path, hint=hint)
    return field
