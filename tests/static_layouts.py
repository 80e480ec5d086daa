"""Files of static layers as their providers lay them out, with values that a test can predict.

Names, codes, units and projections are those of the providers; where a function takes a field, it is a function of
latitude and longitude, so that the truth on any other grid is known.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import xarray as xr
from rasterio.transform import from_origin

HOMOLOSINE = "+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
"""The projection of SoilGrids; its WKT is called Interrupted_Goode_Homolosine."""


def write_tif(path, data, west, north, per_degree, **profile):
    """Write (bands, rows, columns) or (rows, columns) as a GeoTIFF in degrees; returns its path as text."""
    bands = data if data.ndim == 3 else data[None]
    size = 1 / per_degree
    tags = {key: profile.pop(key) for key in ("scales", "offsets", "units", "descriptions") if key in profile}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = {"crs": "EPSG:4326", "transform": from_origin(west, north, size, size)} | profile
        shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype.name}
        with rasterio.open(path, "w", driver="GTiff", **shape, **given) as raster:
            raster.write(bands)
            for key, value in tags.items():
                setattr(raster, key, value)
    return str(path)


def soilgrids(path, field, step=1000.0, degrees=(-9.0, 37.0, -6.0, 40.0), box=None, nodata=-32768):
    """A SoilGrids map (int16) of ``field(lat, lon)`` [stored units] around ``degrees`` or over ``box`` [m]."""
    if box is None:
        lon, lat = np.meshgrid(np.linspace(*degrees[::2], 50), np.linspace(*degrees[1::2], 50))
        x, y = pyproj.Transformer.from_crs("EPSG:4326", HOMOLOSINE, always_xy=True).transform(lon, lat)
        box = tuple(step * np.round(v / step) for v in (x.min(), y.min(), x.max(), y.max()))
    west, south, east, north = box
    x, y = np.arange(west + step / 2, east, step), np.arange(north - step / 2, south, -step)
    lon, lat = pyproj.Transformer.from_crs(HOMOLOSINE, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    values = np.round(field(np.asarray(lat), np.asarray(lon)))
    data = np.where(np.isfinite(values), values, nodata).astype(np.int16)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    return write_tif(path, data, 0, 0, 1, crs=HOMOLOSINE, transform=from_origin(west, north, step, step),
                     nodata=nodata, **options)  # fmt: skip


def netcdf(path, variables, lat, lon, time=None, time_units="days since 1850-01-01", calendar="standard", attrs=None):
    """A NetCDF file; ``variables`` maps names to (dims, data, attrs); ``time`` are numbers in ``time_units``."""
    coords = {
        "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    if time is not None:
        coords["time"] = ("time", time, {"units": time_units, "calendar": calendar, "standard_name": "time"})
    xr.Dataset(variables, coords, attrs).to_netcdf(path)
    return str(path)


def half_degree(per_degree=2):
    """Centres of a global grid, north to south and west to east."""
    n = 180 * per_degree
    return 90 - (np.arange(n) + 0.5) / per_degree, -180 + (np.arange(2 * n) + 0.5) / per_degree


def around(per_degree, west=-12.0, north=42.0, size=12):
    """Centres of a regular grid around the Portuguese coast."""
    n = size * per_degree
    return north - (np.arange(n) + 0.5) / per_degree, west + (np.arange(n) + 0.5) / per_degree


HWSD1_COLUMNS = (
    "ID,MU_GLOBAL,MU_SOURCE1,MU_SOURCE2,ISSOIL,SHARE,SEQ,SU_SYM90,T_TEXTURE,DRAINAGE,T_GRAVEL,T_SAND,T_SILT,T_CLAY,"
    "T_USDA_TEX_CLASS,T_REF_BULK_DENSITY,T_BULK_DENSITY,T_OC,T_PH_H2O,S_SAND,S_CLAY,S_REF_BULK_DENSITY,S_BULK_DENSITY,"
    "S_OC,S_PH_H2O"
)
"""Columns of HWSD_DATA of version 1.2 (a part of them, in their order)."""


def hwsd1_table(path, rows, mark=",", columns=HWSD1_COLUMNS, newline="\n"):
    """HWSD_DATA.csv; ``rows`` are dictionaries of some columns, the others are empty."""
    names = columns.split(",")
    lines = [mark.join(names)] + [mark.join(str(row.get(name, "")) for name in names) for row in rows]
    Path(path).write_bytes((newline.join(lines) + newline).encode())
    return str(path)


HWSD2_COLUMNS = (
    "ID,HWSD2_SMU_ID,NSC_MU_SOURCE1,NSC_MU_SOURCE2,WISE30s_SMU_ID,HWSD1_SMU_ID,COVERAGE,SEQUENCE,SHARE,NSC,WRB_PHASES,"
    "WRB4,WRB2,FAO90,ROOT_DEPTH,PHASE1,PHASE2,ROOTS,IL,SWR,DRAINAGE,AWC,ADD_PROP,LAYER,TOPDEP,BOTDEP,COARSE,SAND,SILT,"
    "CLAY,TEXTURE_USDA,TEXTURE_SOTER,BULK,REF_BULK,ORG_CARBON,PH_WATER,TOTAL_N,CN_RATIO,CEC_SOIL"
)
"""Columns of HWSD2_LAYERS of version 2.0 (a part of them)."""
