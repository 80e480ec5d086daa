"""Made-up satellite composites of leaf area, in the layouts of their providers, for tests of what reads them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from fluxatlas.config.lai import LaiSeries
from fluxatlas.grid import get_grid
from fluxatlas.regrid.frame import Frame

FRAME = Frame.around(get_grid("4km").tile("N36W008", 1))
"""One degree from 36 N, 8 W in cells of 1/24 degree; the files below cover it with pixels of 1/48 degree."""
PIXELS = 48
COWEETA = ("static", "fmyuan_watershed-workflow_Coweeta", "land_cover", "MODIS")
LAI_FILE = "modis_LAI_08-01-2010_08-01-2011_35.0838x-83.4885_35.0173x-83.4117.nc"
"""Real composites: their folder in the shared data, and one of them."""
GOOD, CLOUDY, BACKUP, NOT_PRODUCED = 0, 8, 97, 157


def starts(year: int, length: int) -> list[date]:
    """First days of the composites of a year."""
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    return [date(year, 1, 1) + timedelta(i) for i in range(0, days, length)]


def tif(path: Path, data, *, west=-8.0, north=37.0, pixel=1 / PIXELS, names=(), **profile) -> Path:
    """Write (rows, columns) or (bands, rows, columns) as a GeoTIFF with the bands described by ``names``."""
    bands = data if data.ndim == 3 else data[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"crs": "EPSG:4326", "transform": from_origin(west, north, pixel, pixel), "nodata": 255} | profile
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **shape, **given) as raster:
        raster.write(bands)
        for i, name in enumerate(names, 1):
            raster.set_band_description(i, name)
    return path


def pair(
    folder: Path, day: date, lai, quality=None, product="MCD15A2H.061", name="Lai_500m", tail="aid0001", **options
):
    """One date as AppEEARS exports it: leaf area and quality in two GeoTIFFs side by side; numbers fill the area."""
    stamp = f"doy{day:%Y%j}_{tail}.tif"
    wide = np.ones((PIXELS, PIXELS), np.uint8)
    tif(folder / f"{product}_{name}_{stamp}", (np.asarray(lai) * wide).astype(np.uint8), **options)
    if quality is not None:
        tif(folder / f"{product}_FparLai_QC_{stamp}", (np.asarray(quality) * wide).astype(np.uint8), **options)


def year(folder: Path, number: int = 2009, length: int = 8, lai=20, quality=GOOD, **options) -> Path:
    """All composites of a year; ``lai`` and ``quality`` may be functions of the first day."""
    for day in starts(number, length):
        values = (given(day) if callable(given) else given for given in (lai, quality))
        pair(folder, day, *values, **options)
    return folder


def netcdf(path: Path, days, lai, quality=None, *, name="Lai_500m", calendar="julian", since="2000-01-01", **attrs):
    """A stack as AppEEARS exports it; ``lai`` (and ``quality``) of shape (time, rows, columns) cover the frame."""
    rows, columns = np.asarray(lai).shape[1:]
    lat = 37 - (np.arange(rows) + 0.5) / rows
    lon = -8 + (np.arange(columns) + 0.5) / columns
    first = date.fromisoformat(since)
    time = ("time", np.array([(day - first).days for day in days], "i4"), {"units": f"days since {since} 00:00:00"})
    time[2]["calendar"] = calendar
    kept = {"_FillValue": 255, "scale_factor": 0.1, "add_offset": 0.0, "units": "m^2/m^2"} | attrs
    fill = {"_FillValue": kept.pop("_FillValue")} if "_FillValue" in kept else {}
    kept = {key: value for key, value in kept.items() if value is not None}
    data = {name: (("time", "lat", "lon"), np.asarray(lai), kept)}
    encoding = {name: fill}
    if quality is not None:
        data["FparLai_QC"] = (("time", "lat", "lon"), np.asarray(quality))
        encoding["FparLai_QC"] = {"_FillValue": np.asarray(quality).dtype.type(-1 if quality.dtype == np.int8 else 255)}
    dataset = xr.Dataset(data, {"time": time, "lat": lat, "lon": lon}, {"title": "MCD15A3H.006 for aid0001"})
    dataset["crs"] = ((), np.int8(-127), {"grid_mapping_name": "latitude_longitude"})
    dataset.to_netcdf(path, encoding=encoding)
    return path


def series(path, **options) -> LaiSeries:
    return LaiSeries(path=str(path), **options)


def flat(value, dates: int = 46, dtype=np.uint8):
    return np.full((dates, PIXELS, PIXELS), value, dtype)
