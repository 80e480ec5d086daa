#!/usr/bin/env bash
# rasterio.warp.transform_bounds fails with an exception of a private class that no public one is a base of.
#
# A raster on a grid of its own (a field plot, a model domain) has a valid coordinate system that is tied to no place on the
# Earth. Asked for its bounds in degrees, transform_bounds raises rasterio._err.CPLE_NotSupportedError, which is neither a
# RasterioError nor a ValueError; calculate_default_transform with the same arguments raises the public CRSError. Code that
# catches rasterio.errors.RasterioError, as documented, ends in a traceback at the first such file. Seen with rasterio 1.4.4
# (GDAL 3.10.3). Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rasterio==1.4.4
cd "$folder"
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import calculate_default_transform, transform_bounds

local = 'LOCAL_CS["plot",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
shape = {"width": 8, "height": 6, "count": 1, "dtype": "float32", "driver": "GTiff"}
with rasterio.open("plot.tif", "w", crs=local, transform=from_origin(0, 60, 10, 10), **shape) as file:
    file.write(np.ones((1, 6, 8), np.float32))


def raised(call):
    try:
        call()
    except Exception as problem:
        return type(problem)
    return None


with rasterio.open("plot.tif") as file:
    bounds = raised(lambda: transform_bounds(file.crs, "EPSG:4326", *file.bounds))
    default = raised(lambda: calculate_default_transform(file.crs, "EPSG:4326", 8, 6, *file.bounds))
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
print("transform_bounds raises", bounds, "public:", issubclass(bounds, (rasterio.errors.RasterioError, ValueError, OSError)))
print("calculate_default_transform raises", default)
assert bounds.__module__ == "rasterio._err" and not issubclass(bounds, (rasterio.errors.RasterioError, ValueError, OSError))
assert default is rasterio.errors.CRSError
PY
