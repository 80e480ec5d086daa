"""Static layers of the synthetic Earth as GeoTIFF files (EPSG:4326), scaled as their providers scale them.

=============== ======= =========== ========================================== ==================
file            type    cell        values                                     missing
=============== ======= =========== ========================================== ==================
elevation.tif   int16   1/120 deg   m; 0 on sea                                -32768 (not used)
landcover.tif   uint8   1/120 deg   class codes of :data:`.surface.LEGEND`     0 (not used)
sand.tif        int16   1/48 deg    g kg-1 (SoilGrids: 10 x %)                 -32768 on sea
clay.tif        int16   1/48 deg    g kg-1                                     -32768 on sea
soc.tif         int16   1/48 deg    dg kg-1                                    -32768 on sea
bdod.tif        int16   1/48 deg    cg cm-3                                    -32768 on sea
phh2o.tif       int16   1/48 deg    10 x pH                                    -32768 on sea
lai.tif         int16   1/48 deg    0.01 m2 m-2, one band per month            -32768 on sea
ndep.tif        float32 1/24 deg    kg ha-1 yr-1 of N                          -9999 (not used)
=============== ======= =========== ========================================== ==================

Each file covers the domain and the same margin as the weather files, in whole cells.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..files import atomic, provenance
from . import surface
from .climate import climate
from .earth import SyntheticEarth
from .land import is_land
from .terrain import elevation

Array = npt.NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]

MISSING = -32768
SOIL_SCALE = {"sand": 10.0, "clay": 10.0, "soc": 10.0, "bdod": 0.1, "phh2o": 10.0}
"""Factor from canonical units to the integers of the files."""
SOIL_UNITS = {"sand": "g/kg", "clay": "g/kg", "soc": "dg/kg", "bdod": "cg/cm3", "phh2o": "pH*10"}
"""Units of the integers, as SoilGrids writes them (Poggio et al., 2021, doi:10.5194/soil-7-217-2021)."""
LAI_SCALE = 100.0


@dataclass(frozen=True)
class RasterFrame:
    """Cells of ``1 / per_degree`` degrees that cover a box of whole degrees-over-``per_degree`` edges."""

    west: float
    north: float
    per_degree: int
    shape: tuple[int, int]

    @classmethod
    def around(cls, box: Box, margin: float, per_degree: int) -> RasterFrame:
        """The smallest frame, on the lattice of 1/24 degree, that holds ``box`` and ``margin`` degrees around it."""
        west, south = (np.floor((edge - margin) * 24 + 1e-9) / 24 for edge in box[:2])
        east, north = (np.ceil((edge + margin) * 24 - 1e-9) / 24 for edge in box[2:])
        south, north = max(south, -90.0), min(north, 90.0)
        rows, columns = round((north - south) * per_degree), round((east - west) * per_degree)
        return cls(west, north, per_degree, (rows, columns))

    def points(self) -> tuple[Array, Array]:
        """Latitude and longitude of the cell centres, row by row."""
        lat = self.north - (np.arange(self.shape[0]) + 0.5) / self.per_degree
        lon = self.west + (np.arange(self.shape[1]) + 0.5) / self.per_degree
        lat, lon = np.meshgrid(lat, (lon + 180) % 360 - 180, indexing="ij")
        return lat.ravel(), lon.ravel()


def write_static(earth: SyntheticEarth, box: Box, folder: str | Path) -> list[Path]:
    """Write all static layers around ``box`` = (west, south, east, north) into ``folder``; returns their paths."""
    margin = earth.settings.margin * earth.settings.resolution
    frames = {n: RasterFrame.around(box, margin, n) for n in (24, 48, 120)}
    attrs = provenance("ingest synthetic-earth static", {**earth.settings.model_dump(), "bbox": list(box)})
    writer = _Writer(Path(folder), attrs)

    fine = frames[120]
    altitude = elevation(earth.seed, *fine.points())
    writer.write("elevation", fine, np.rint(altitude)[None].astype(np.int16), MISSING, "m")

    middle = frames[48]
    place = climate(earth.seed, *middle.points(), _block_mean(altitude, fine, middle))
    sea = ~is_land(place.lat, place.lon)
    for name, values in surface.soils(earth.seed, place).items():
        scaled = np.where(sea, MISSING, np.rint(np.nan_to_num(values) * SOIL_SCALE[name]))
        writer.write(name, middle, scaled[None].astype(np.int16), MISSING, SOIL_UNITS[name])

    coarse = frames[24]
    wide = climate(earth.seed, *coarse.points(), _block_mean(altitude, fine, coarse))
    writer.write("ndep", coarse, surface.nitrogen(earth.seed, wide)[None].astype(np.float32), -9999, "kg ha-1 yr-1")

    cover = surface.land_cover(earth.seed, *fine.points(), wide.take(_parent(fine, coarse)))
    writer.write("landcover", fine, cover[None], 0, "LCCS class")
    nearest = cover.reshape(fine.shape)[_centres(middle, fine)].ravel()
    lai = np.where(sea, MISSING, np.rint(surface.leaf_area(place, nearest) * LAI_SCALE))
    writer.write("lai", middle, lai.astype(np.int16), MISSING, "0.01 m2 m-2", calendar.month_name[1:])
    return writer.written


def _block_mean(values: Array, fine: RasterFrame, coarse: RasterFrame) -> Array:
    """Mean of the fine cells whose centres lie in each coarse cell, shape (coarse cell,)."""
    parent = _parent(fine, coarse)
    size = coarse.shape[0] * coarse.shape[1]
    return np.bincount(parent, values, size) / np.bincount(parent, minlength=size)


def _parent(fine: RasterFrame, coarse: RasterFrame) -> npt.NDArray[np.int64]:
    """Number of the coarse cell that holds each fine cell's centre."""
    ratio = coarse.per_degree / fine.per_degree
    row = np.floor((np.arange(fine.shape[0]) + 0.5) * ratio).astype(np.int64)
    column = np.floor((np.arange(fine.shape[1]) + 0.5) * ratio).astype(np.int64)
    return (row[:, None] * coarse.shape[1] + column[None, :]).ravel()


def _centres(coarse: RasterFrame, fine: RasterFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Open mesh of the fine cells at the centres of the coarse ones."""
    ratio = fine.per_degree / coarse.per_degree
    row = np.floor((np.arange(coarse.shape[0]) + 0.5) * ratio).astype(np.int64)
    column = np.floor((np.arange(coarse.shape[1]) + 0.5) * ratio).astype(np.int64)
    return row[:, None], column[None, :]


@dataclass
class _Writer:
    """Writes GeoTIFF files into one folder and remembers them."""

    folder: Path
    attrs: dict[str, str]

    def __post_init__(self) -> None:
        self.written: list[Path] = []

    def write(
        self,
        name: str,
        frame: RasterFrame,
        bands: npt.NDArray[Any],
        missing: float,
        units: str,
        descriptions: list[str] | None = None,
    ) -> None:
        """Write ``bands`` (band, cell) on ``frame``."""
        import rasterio
        from rasterio.transform import from_origin

        size = 1 / frame.per_degree
        profile = {
            "driver": "GTiff",
            "crs": "EPSG:4326",
            "transform": from_origin(frame.west, frame.north, size, size),
            "height": frame.shape[0],
            "width": frame.shape[1],
            "count": len(bands),
            "dtype": bands.dtype.name,
            "nodata": missing,
            "compress": "deflate",
            "tiled": True,
            "blockxsize": 256,
            "blockysize": 256,
        }
        path = self.folder / f"{name}.tif"
        with atomic(path) as partial, rasterio.open(partial, "w", **profile) as raster:
            raster.write(bands.reshape(len(bands), *frame.shape))
            raster.update_tags(layer=name, units=units, **self.attrs)
            for number, text in enumerate(descriptions or [name], start=1):
                raster.set_band_description(number, text)
        self.written.append(path)
