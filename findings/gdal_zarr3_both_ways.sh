#!/usr/bin/env bash
# GDAL 3.10 (rasterio 1.4.4) and zarr-python 3 do not read each other's Zarr version 3, in neither direction.
#
# The Zarr driver of GDAL offers version 3 (FORMAT=ZARR_V3), and rasterio writes such a store and reads it back. It was made for
# a draft: of an array that zarr-python wrote it says "Unsupported codec: bytes", the codec that the final specification
# asks of every array, and its own arrays have no "codecs", without which zarr-python takes them for no part of the hierarchy:
# the group opens with a warning and is empty. Whoever exchanges maps as Zarr 3 between the two finds no data, once with an
# error, once without. Seen with rasterio 1.4.4 (GDAL 3.10.3) and zarr 3.1.6. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rasterio==1.4.4 zarr==3.1.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import numpy as np
import rasterio
import zarr

values = np.arange(64, dtype="float32").reshape(8, 8)
group = zarr.open_group("by_zarr", mode="w", zarr_format=3)
group.create_array("map", shape=(8, 8), chunks=(8, 8), dtype="float32", dimension_names=("lat", "lon"))[:] = values
try:
    rasterio.open('ZARR:"by_zarr":/map')
    said = "nothing"
except rasterio.errors.RasterioIOError as problem:
    said = str(problem)
print("GDAL", rasterio.__gdal_version__, "of an array by zarr", zarr.__version__, "says:", said)

options = {"driver": "Zarr", "FORMAT": "ZARR_V3", "height": 8, "width": 8, "count": 1, "dtype": "float32"}
with rasterio.open("by_gdal", "w", **options) as file:
    file.write(values, 1)
with rasterio.open('ZARR:"by_gdal"') as file:
    print("GDAL reads its own store back:", bool((file.read(1) == values).all()))
held = list(zarr.open_group("by_gdal", mode="r").keys())
print("zarr finds in it:", held)
assert "Unsupported codec: bytes" in said, "GDAL's answer has changed"
assert held == [], "zarr now finds the array of GDAL"
PY
