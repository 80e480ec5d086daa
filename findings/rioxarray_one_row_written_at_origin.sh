#!/usr/bin/env bash
# rioxarray: an array of one row is written to GeoTIFF at the origin, upside down, without a word.
#
# From one row (or column) no resolution can be found, and rio.bounds() and rio.resolution() refuse it. rio.transform()
# gives the identity instead, and rio.to_raster() writes it: cells of 1 degree at 10 to 14 E, 57.5 N lie at 0 to 4 E
# and from 0 to 1 N, top below bottom. With a stored GeoTransform (rio.write_transform() before the row was taken) the
# place is right. Seen with rioxarray 0.19.0. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rioxarray==0.19.0 xarray==2025.6.1 numpy==2.3.5
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import numpy as np
import rasterio
import rioxarray
import xarray as xr

grid = xr.DataArray(np.arange(12.0).reshape(3, 4), dims=("y", "x"),
                    coords={"y": [59.5, 58.5, 57.5], "x": [10.5, 11.5, 12.5, 13.5]}).rio.write_crs(4326)
row = grid.isel(y=[2])
try:
    row.rio.bounds()
    raise SystemExit("bounds of one row are no longer refused")
except rioxarray.exceptions.OneDimensionalRaster as error:
    print("bounds:", error)
row.rio.to_raster("row.tif")
grid.rio.write_transform().isel(y=[2]).rio.to_raster("stored.tif")
written, stored = rasterio.open("row.tif").bounds, rasterio.open("stored.tif").bounds
print("written", tuple(written), "with a stored transform", tuple(stored))
assert tuple(written) == (0.0, 1.0, 4.0, 0.0), "the behaviour has changed"
PY
