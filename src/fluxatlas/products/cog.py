"""Maps: monthly and annual means of the daily product as cloud-optimised GeoTIFFs with overviews.

Means are made from the packed integers of the daily product (sums of integers are exact), a band of rows of all maps at
a time, so that no map is ever in memory as a whole: one of the globe at 1 km has 933 million cells.
A cell without a single value in the period is nodata.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
from rasterio.errors import RasterioError
from rasterio.shutil import copy as rasterio_copy
from rasterio.transform import Affine
from rasterio.windows import Window

from .. import files
from ..config.products import ProductsBlock
from ..errors import FluxAtlasError, InputError
from ..tiles.mosaic import PathLike
from ..variables import FILL
from .about import About

DISK = "see whether the disk is full, then run the job again"
BLOCK = 256
"""Edge of a block of a map in cells."""


@dataclass(frozen=True)
class Daily:
    """What a daily file holds: its variable with packing, its days and its place."""

    path: Path
    variable: str
    year: int
    months: npt.NDArray[np.int64]
    shape: tuple[int, int]
    transform: Affine
    attrs: dict[str, Any]

    @property
    def packing(self) -> tuple[float, float]:
        """Scale and offset; 1 and 0 where the file is not packed."""
        return float(self.attrs.get("scale_factor", 1.0)), float(self.attrs.get("add_offset", 0.0))

    def profile(self, settings: ProductsBlock) -> dict[str, Any]:
        """The head of a plain GeoTIFF of a map: packed as the daily values are, or float32."""
        packed = settings.map_type == "int16" and "scale_factor" in self.attrs
        return {
            "driver": "GTiff",
            "height": self.shape[0],
            "width": self.shape[1],
            "count": 1,
            "dtype": "int16" if packed else "float32",
            "nodata": FILL if packed else float("nan"),
            "crs": "EPSG:4326",
            "transform": self.transform,
            "bigtiff": "IF_SAFER",
        }

    def stored(self, mean: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[Any]:
        """Values of a map from a ``mean`` in packed units, as its ``dtype``."""
        if dtype == "int16":
            return np.where(np.isnan(mean), FILL, np.rint(mean)).astype(np.int16)
        scale, offset = self.packing
        return (mean * scale + offset).astype(np.float32)


def write_maps(
    daily: PathLike, variable: str, year: int, output_dir: PathLike, settings: ProductsBlock | None = None
) -> list[Path]:
    """Write ``<variable>_<year>.tif`` and, if asked for, ``<variable>_<year>-<mm>.tif`` to ``output_dir``; their paths.

    ``daily`` is the file of :func:`~fluxatlas.products.daily.write_daily`. Raises :class:`InputError` where it holds
    another variable or year, or no value at all.
    """
    settings = settings or ProductsBlock()
    source = open_daily(daily, variable, year)
    months = range(1, 13) if settings.monthly else range(0)
    periods = [*(f"{year}-{month:02d}" for month in months), f"{year}"]
    paths = [Path(output_dir) / f"{variable}_{period}.tif" for period in periods]
    with files.scratch(paths[-1]) as folder:
        plain = [folder / path.name for path in paths]
        checksums = _write_plain(plain, periods, source, settings)
        for path, made, checksum in zip(paths, plain, checksums, strict=True):
            with files.atomic(path) as partial:
                _to_cog(made, partial, source.shape, settings)
                _read_back(partial, checksum, settings.chunks[1], path)
            made.unlink()
    return paths


def open_daily(path: PathLike, variable: str, year: int) -> Daily:
    """Read the head of a daily file; raises :class:`InputError` where it is not of ``variable`` and ``year``."""
    with files.open_netcdf(path) as head:
        if variable not in head:
            raise InputError(f"no variable '{variable}'", where=str(path), hint="give the daily file of this variable")
        days = pd.DatetimeIndex(head["time"].to_numpy())
        if set(days.year) != {year}:
            raise InputError(f"not the year {year}", where=str(path), hint="give the daily file of this year")
        lat, lon = head["lat_bnds"].to_numpy(), head["lon_bnds"].to_numpy()
    size = (lon.max() - lon.min()) / len(lon), (lat.max() - lat.min()) / len(lat)
    transform = Affine(size[0], 0.0, lon.min(), 0.0, -size[1], lat.max())
    with netCDF4.Dataset(path) as file:
        whole = {name: getattr(file, name, "") for name in ("title", "source", "license", "history", "fluxatlas_about")}
        attrs = {**file[variable].__dict__, **whole}
    return Daily(
        Path(path), variable, year, days.month.to_numpy().astype(np.int64), (len(lat), len(lon)), transform, attrs
    )


def _write_plain(plain: list[Path], periods: list[str], source: Daily, settings: ProductsBlock) -> list[int]:
    """Write the means of ``periods`` (months, if any, then the year) as plain GeoTIFFs; checksums of their values.

    A band of rows of all of them is made at a time. Raises :class:`InputError` where every value is missing.
    """
    profile = source.profile(settings)
    checksums, any_value = [0] * len(plain), False
    with ExitStack() as stack:
        daily = stack.enter_context(netCDF4.Dataset(source.path))
        daily.set_auto_maskandscale(False)
        raw = daily[source.variable]
        maps = [stack.enter_context(rasterio.open(path, "w", **profile)) for path in plain]
        for file, period in zip(maps, periods, strict=True):
            _describe(file, source, period, source.packing if profile["dtype"] == "int16" else None)
        for rows in _bands(source.shape[0], settings.chunks[1]):
            means = _means(raw, source, rows, months=len(plain) > 1)
            for number, (file, mean) in enumerate(zip(maps, means, strict=True)):
                values = source.stored(mean, profile["dtype"])
                file.write(values, 1, window=Window.from_slices(rows, slice(0, source.shape[1])))
                checksums[number] = crc32(np.ascontiguousarray(values).data, checksums[number])
            any_value = any_value or bool(np.isfinite(means[-1]).any())
    if not any_value:
        raise InputError("every value is missing", where=str(source.path), hint="make the daily product again")
    return checksums


def _bands(height: int, rows: int) -> list[slice]:
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def _means(raw: netCDF4.Variable, source: Daily, rows: slice, months: bool) -> list[npt.NDArray[np.float64]]:
    """Means in packed units (lat, lon) of a band of ``rows``: of each month, if asked for, and of the year; NaN where
    there is no value. Each chunk of days is read once."""
    shape = (12, rows.stop - rows.start, source.shape[1])
    total, count = np.zeros(shape), np.zeros(shape, np.int32)
    fill, days = raw._FillValue, files.chunk_of(raw)[0]
    for first in range(0, len(source.months), days):
        values = np.asarray(raw[first : first + days, rows, :])
        present = ~np.isnan(values) if fill != fill else values != fill
        columns = np.flatnonzero(present.any(axis=(0, 1)))  # most of the globe is sea
        if not columns.size:
            continue
        values, present = values[..., columns], present[..., columns]
        values[~present] = 0
        month = source.months[first : first + days]
        for number in np.unique(month):
            here = month == number
            total[number - 1][:, columns] += values[here].sum(axis=0, dtype=np.float64)
            count[number - 1][:, columns] += present[here].sum(axis=0, dtype=np.int32)
    found = [_divide(total[n], count[n]) for n in range(12)] if months else []
    return [*found, _divide(total.sum(axis=0), count.sum(axis=0))]


def _divide(total: Any, count: Any) -> npt.NDArray[np.float64]:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _read_back(partial: Path, checksum: int, rows: int, path: Path) -> None:
    """Raise :class:`FluxAtlasError` unless the map holds the values of ``checksum``: GDAL may close a file on a full
    disk without a word."""
    try:
        found = 0
        with rasterio.open(partial) as file:
            for band in _bands(file.height, rows):
                values = file.read(1, window=Window.from_slices(band, slice(0, file.width)))
                found = crc32(np.ascontiguousarray(values).data, found)
            for level in range(len(file.overviews(1))):
                with rasterio.open(partial, overview_level=level) as smaller:
                    for band in _bands(smaller.height, BLOCK):
                        smaller.read(1, window=Window.from_slices(band, slice(0, smaller.width)))
    except RasterioError as problem:
        raise FluxAtlasError(
            f"the map cannot be read back ({str(problem).replace(str(partial), path.name)})", where=str(path), hint=DISK
        ) from problem
    if found != checksum:
        raise FluxAtlasError("the map does not hold what was written", where=str(path), hint=DISK)


def _describe(file: Any, source: Daily, period: str, packing: tuple[float, float] | None) -> None:
    """Units, description, packing and tags of the map's only band."""
    about = About.from_json(source.attrs["fluxatlas_about"] or "{}")
    description = about.title(f"{source.attrs['long_name']}, mean of {period}")
    file.set_band_description(1, description)
    file.units = (source.attrs["units"],)
    if packing:
        file.scales, file.offsets = (packing[0],), (packing[1],)
    file.update_tags(
        TIFFTAG_DOCUMENTNAME=f"{source.variable} {period}",
        TIFFTAG_IMAGEDESCRIPTION=description,
        TIFFTAG_COPYRIGHT=source.attrs["license"],
        TIFFTAG_SOFTWARE=f"fluxatlas {files.__version__}",
        title=source.attrs["title"],
        variable=source.variable,
        period=period,
        synthetic=str(about.synthetic).lower(),
        run=about.run,
        domain=about.domain,
        inputs="\n".join(about.inputs),
        **({"constraint": json.dumps(dict(about.constraint), sort_keys=True)} if about.constraint else {}),
        **({"student": about.student} if about.student else {}),
        source=source.path.name,
        history=f"{source.attrs['history']}\n{_now()} fluxatlas {files.__version__} products cog",
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _to_cog(plain: Path, target: Path, shape: tuple[int, int], settings: ProductsBlock) -> None:
    levels = max(1, int(np.ceil(np.log2(max(shape) / BLOCK))))
    rasterio_copy(
        plain,
        target,
        driver="COG",
        compress={"zlib": "DEFLATE", "zstd": "ZSTD"}[settings.compression],
        level=settings.level,
        predictor="YES",
        blocksize=BLOCK,
        overviews="IGNORE_EXISTING",
        overview_count=levels,
        overview_resampling="AVERAGE",
        statistics="YES",
        num_threads=1,
        bigtiff="IF_SAFER",
    )
