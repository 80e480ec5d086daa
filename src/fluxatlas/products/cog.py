"""Maps: monthly and annual means of the daily product as cloud-optimised GeoTIFFs with overviews.

Means are made from the packed integers of the daily product (sums of integers are exact), band of rows by band of rows.
A cell without a single value in the period is nodata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
from rasterio.errors import RasterioError
from rasterio.shutil import copy as rasterio_copy
from rasterio.transform import Affine

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
    transform: Affine
    attrs: dict[str, Any]

    @property
    def packing(self) -> tuple[float, float]:
        """Scale and offset; 1 and 0 where the file is not packed."""
        return float(self.attrs.get("scale_factor", 1.0)), float(self.attrs.get("add_offset", 0.0))


def write_maps(
    daily: PathLike, variable: str, year: int, output_dir: PathLike, settings: ProductsBlock | None = None
) -> list[Path]:
    """Write ``<variable>_<year>.tif`` and, if asked for, ``<variable>_<year>-<mm>.tif`` to ``output_dir``; their paths.

    ``daily`` is the file of :func:`~fluxatlas.products.daily.write_daily`. Raises :class:`InputError` where it holds
    another variable or year, or no value at all.
    """
    settings = settings or ProductsBlock()
    source = open_daily(daily, variable, year)
    written = []
    for name, mean in _means(source, settings.monthly, settings.chunks[1]):
        path = Path(output_dir) / f"{name}.tif"
        write_cog(path, mean, source, name.removeprefix(f"{variable}_"), settings)
        written.append(path)
    return written


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
    return Daily(Path(path), variable, year, days.month.to_numpy().astype(np.int64), transform, attrs)


def _means(source: Daily, monthly: bool, rows: int) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Name and mean in packed units (lat, lon) of the year and each month; NaN where there is no value."""
    with netCDF4.Dataset(source.path) as file:
        file.set_auto_maskandscale(False)
        raw = file[source.variable]
        total, count = np.zeros(raw.shape[1:]), np.zeros(raw.shape[1:], np.int32)
        for month in range(1, 13):
            days = np.flatnonzero(source.months == month)
            month_total, month_count = _sum(raw, slice(int(days[0]), int(days[-1]) + 1), rows)
            total, count = total + month_total, count + month_count
            if monthly:
                yield f"{source.variable}_{source.year}-{month:02d}", _divide(month_total, month_count)
    if not count.any():
        raise InputError("every value is missing", where=str(source.path), hint="make the daily product again")
    yield f"{source.variable}_{source.year}", _divide(total, count)


def _sum(raw: netCDF4.Variable, days: slice, rows: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Sum of the packed values over ``days`` and how many there are, shape (lat, lon)."""
    fill = raw._FillValue
    total, count = np.zeros(raw.shape[1:]), np.zeros(raw.shape[1:], np.int32)
    for start in range(0, raw.shape[1], rows):
        band = slice(start, min(start + rows, raw.shape[1]))
        values = np.asarray(raw[days, band, :])
        present = ~np.isnan(values) if fill != fill else values != fill
        total[band] = np.where(present, values, 0).sum(axis=0, dtype=np.float64)
        count[band] = present.sum(axis=0)
    return total, count


def _divide(total: npt.NDArray[np.float64], count: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def write_cog(
    path: PathLike, mean: npt.NDArray[np.float64], source: Daily, period: str, settings: ProductsBlock
) -> None:
    """Write one map (lat, lon), given in the packed units of ``source``, completely or not at all."""
    scale, offset = source.packing
    packed = settings.map_type == "int16" and "scale_factor" in source.attrs
    values: npt.NDArray[Any]
    if packed:
        values = np.where(np.isnan(mean), FILL, np.rint(mean)).astype(np.int16)
    else:
        values = (mean * scale + offset).astype(np.float32)
    profile = {
        "driver": "GTiff",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype.name,
        "nodata": FILL if packed else float("nan"),
        "crs": "EPSG:4326",
        "transform": source.transform,
    }
    with files.scratch(path) as folder:
        plain = folder / "plain.tif"
        with rasterio.open(plain, "w", **profile) as file:
            file.write(values, 1)
            _describe(file, source, period, (scale, offset) if packed else None)
        with files.atomic(path) as partial:
            _to_cog(plain, partial, values, settings)
            _read_back(partial, values, Path(path))


def _read_back(partial: Path, values: npt.NDArray[Any], path: Path) -> None:
    """Raise :class:`FluxAtlasError` unless the map holds ``values``: GDAL may close a file on a full disk without a
    word."""
    try:
        with rasterio.open(partial) as file:
            same = np.array_equal(file.read(1), values, equal_nan=values.dtype.kind == "f")
            for level in range(len(file.overviews(1))):
                with rasterio.open(partial, overview_level=level) as smaller:
                    smaller.read(1)
    except RasterioError as problem:
        raise FluxAtlasError(
            f"the map cannot be read back ({str(problem).replace(str(partial), path.name)})", where=str(path), hint=DISK
        ) from problem
    if not same:
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


def _to_cog(plain: Path, target: Path, values: npt.NDArray[Any], settings: ProductsBlock) -> None:
    levels = max(1, int(np.ceil(np.log2(max(values.shape) / BLOCK))))
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
