"""Files of static layers as windows of raw values: GeoTIFF and other rasters in any projection, or NetCDF.

The format is detected from the first bytes. A raster that is not in degrees is warped while it is read, onto a lattice
of its own resolution that the target grids share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

from .. import magic
from ..errors import InputError
from ..files import open_netcdf
from .netcdf_source import NetcdfSource
from .series import StepSeries, choose
from .source import LayerSource, axis

__all__ = ["LayerSource", "NetcdfSource", "RasterSource", "kind_of", "open_source"]

Array = npt.NDArray[Any]

HIDDEN = -(2**31)
"""Code of the pixels of a map of classes that its mask hides."""


def kind_of(path: str) -> str:
    """``netcdf`` or ``raster``, by the first bytes.

    Raises :class:`InputError` where the file is absent, empty, a folder, packed, HDF4, or cannot be read.
    """
    if not Path(path).exists():
        raise InputError("file not found", where=path, hint="check the path in the block 'static'")
    if Path(path).is_dir():
        hint = "name the file; folders are taken with 'provider: soilgrids'"
        raise InputError("this is a folder, not a file", where=path, hint=hint)
    try:
        with Path(path).open("rb") as file:
            first = file.read(magic.LONGEST)
    except OSError as problem:
        raise InputError(f"cannot be read ({problem.strerror})", where=path, hint="check its permissions") from None
    if not first:
        raise InputError("file is empty", where=path, hint="delete it and make or download it again")
    kind = magic.kind_of(first)
    if kind == "hdf4":
        hint = "convert it (gdal_translate HDF4_EOS:... out.tif), or get GeoTIFF or NetCDF instead"
        raise InputError("HDF4 files cannot be read", where=path, hint=hint)
    if kind in magic.PACKED:
        raise InputError(f"the file is packed ({kind})", where=path, hint="unpack it first")
    return "netcdf" if kind in magic.NETCDF or first.startswith(b"CDF") else "raster"


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
    years: tuple[int, int] | None = None,
    over_time: str = "",
    month: int | None = None,
) -> Iterator[LayerSource]:
    """Open a raster (``band`` the first of ``bands``) or NetCDF file and close it afterwards; ``classes`` are codes and
    never averaged, ``variable``, ``select``, ``weights``, ``years``, ``over_time`` and ``month`` as in `static`.

    Raises :class:`InputError` where it is absent, unreadable or does not hold what is asked for.
    """
    kind = kind_of(path)
    if kind == "netcdf":
        if band != 1:
            hint = "choose a 'variable', and positions along its dimensions with 'select'"
            raise InputError("'band' is for rasters; this is NetCDF", where=path, hint=hint)
        with open_netcdf(path, decode_times=False, foreign=True) as dataset:
            series: StepSeries | None = None
            if (years or over_time or month) and variable in dataset:
                series = choose(dataset, variable, select or {}, years, over_time, path, month)
            yield NetcdfSource(path, dataset, variable, select or {}, weights, bands, nodata, series)
        return
    if select or weights:
        unused = "select" if select else "weights"
        raise InputError(f"'{unused}' is for NetCDF; this is a raster", where=path, hint="choose a 'band'")
    if years or over_time or month:
        hint = "choose a 'band', or give the series as NetCDF"
        raise InputError("'years', 'over_time' and 'month' are for NetCDF; this is a raster", where=path, hint=hint)
    try:
        raster = rasterio.open(path)
    except rasterio.errors.RasterioIOError as problem:
        raise InputError(f"cannot be read as a raster ({problem})", where=path, hint="make it again") from None
    with ExitStack() as opened:
        yield RasterSource(path, opened.enter_context(raster), band, bands, classes, nodata, opened)


class RasterSource(LayerSource):
    """A raster; one that is not in degrees is warped on the fly (classes by the nearest cell, values by averages).

    ``opened`` closes what the source opens beside ``raster``.
    """

    def __init__(
        self, path: str, raster: Any, band: int, bands: int, classes: bool, nodata: float | None, opened: ExitStack
    ) -> None:
        self.path, self.bands, self.classes = path, bands, classes
        if raster.count < band + bands - 1:
            hint = "give twelve monthly bands" if bands == 12 else "choose an existing band"
            raise InputError(
                f"the file has {raster.count} bands, band {band + bands - 1} is needed", where=path, hint=hint
            )
        self.nodata = raster.nodatavals[band - 1] if nodata is None else nodata
        self.masked = nodata is None and MaskFlags.per_dataset in raster.mask_flag_enums[band - 1]
        if classes and self.masked:
            self.nodata = HIDDEN
        self.units = str(raster.units[band - 1] or "")
        self.packing = (float(raster.scales[band - 1]), float(raster.offsets[band - 1]))
        if raster.crs is not None and not raster.crs.is_geographic:
            raster = opened.enter_context(self._warped(raster, Resampling.nearest if classes else Resampling.average))
        t = raster.transform
        if t.b or t.d or t.a <= 0:
            raise InputError("the raster is rotated or mirrored", where=path, hint="warp it to EPSG:4326 first")
        self.raster, self.chosen = raster, list(range(band, band + bands))
        self.lat = axis(t.f + (np.arange(raster.height) + 0.5) * t.e, "lat", path)
        lon = axis(t.c + (np.arange(raster.width) + 0.5) * t.a, "lon", path)
        if np.abs(self.lat).max() > 90.0 + 0.01 * abs(t.e) or np.abs(lon).max() > 540.0:
            hint = "the file states no projection: add it (EPSG:4326 for degrees)"
            raise InputError(f"its coordinates ({self.lat[0]:g}, {lon[0]:g}) are not degrees", where=path, hint=hint)
        self.lon = self._without_repeat(lon)

    def _warped(self, raster: Any, resampling: Resampling) -> Any:
        """``raster`` in degrees, on a lattice that starts at 180 W and 90 N and refines 1/24 or 1/120 degree."""
        if self.nodata is None and not self.masked:
            hint = "declare 'nodata': warping to degrees leaves corners without data"
            raise InputError("the raster is projected and states no missing value", where=self.path, hint=hint)
        try:
            found = calculate_default_transform(raster.crs, "EPSG:4326", raster.width, raster.height, *raster.bounds)
        except (rasterio.errors.RasterioError, ValueError) as problem:
            hint = "warp it to EPSG:4326 first (gdalwarp)"
            raise InputError(f"its projection cannot be undone ({problem})", where=self.path, hint=hint) from None
        t, width, height = found
        base = 120 if 1 / t.a > 60 else 24
        n = base * ceil(1 / t.a / base - 1e-6)
        west, north = floor((t.c + 180.0) * n + 1e-6), floor((90.0 - t.f) * n + 1e-6)
        columns, rows = (
            ceil((t.c + width * t.a + 180.0) * n - 1e-6) - west,
            ceil((90.0 - t.f - height * t.e) * n - 1e-6) - north,
        )
        options: dict[str, Any] = {} if self.masked else {"src_nodata": self.nodata, "nodata": self.nodata}
        if not self.classes and not self.masked and np.dtype(raster.dtypes[0]).kind in "iu":
            options["dtype"] = "float32"  # averages of integers are not rounded
        return WarpedVRT(
            raster,
            crs="EPSG:4326",
            resampling=resampling,
            transform=from_origin(west / n - 180.0, 90.0 - north / n, 1 / n, 1 / n),
            width=columns,
            height=rows,
            add_alpha=self.masked,
            **options,
        )

    def read(self, rows: slice, columns: npt.NDArray[np.int64]) -> Array:
        breaks = np.flatnonzero(np.diff(columns) != 1) + 1
        parts = []
        for run in np.split(columns, breaks):
            box = Window(int(run[0]), rows.start, len(run), rows.stop - rows.start)
            try:
                part = self.raster.read(self.chosen, window=box)
                masked = self.raster.read_masks(self.chosen, window=box) == 0 if self.masked else None
            except rasterio.errors.RasterioError as problem:
                hint = "the file (or one that it refers to) is probably truncated or missing: make or download it again"
                raise InputError(f"cannot be read ({problem})", where=self.path, hint=hint) from None
            if not self.classes:
                part = _without(part, self.nodata, masked)
            elif masked is not None:
                part = np.where(masked, HIDDEN, part.astype(np.int64))
            parts.append(part)
        return np.concatenate(parts, axis=2)


def _without(raw: Array, nodata: float | None, masked: Array | None) -> Array:
    """``raw`` as float64 with ``nodata`` and ``masked`` cells as NaN."""
    values = raw.astype(np.float64)
    if nodata is not None:
        values[raw == nodata] = np.nan
    if masked is not None:
        values[masked] = np.nan
    return values
