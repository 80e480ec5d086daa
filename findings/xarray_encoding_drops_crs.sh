#!/usr/bin/env bash
# rioxarray's write_crs is lost without a word when xarray writes the variable with an encoding given to to_netcdf.
#
# write_crs stores the link to the coordinate system in the variable's own encoding ("grid_mapping"). to_netcdf(encoding=
# {variable: {...}}) replaces that whole encoding, so the file keeps the variable spatial_ref but nothing points to it, and
# decode_coords="all" finds no coordinate system. Without the argument the file is right.
# Seen with xarray 2026.9.0, rioxarray 0.19.0, netcdf4 1.7.5.1.post1 (Python 3.11). Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 rioxarray==0.19.0 netcdf4==1.7.5.1.post1
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np, rioxarray, xarray as xr

lat = ("lat", [51.5, 50.5], {"standard_name": "latitude", "units": "degrees_north"})
lon = ("lon", [8.5, 9.5], {"standard_name": "longitude", "units": "degrees_east"})
data = xr.Dataset({"tas": (("lat", "lon"), np.ones((2, 2)))}, {"lat": lat, "lon": lon}).rio.write_crs("EPSG:4326")
data.to_netcdf("plain.nc")
data.to_netcdf("encoded.nc", encoding={"tas": {"dtype": "float32"}})
found = {}
for name in ("plain", "encoded"):
    with xr.open_dataset(f"{name}.nc", decode_coords="all") as opened:
        found[name] = str(opened["tas"].rio.crs), "spatial_ref" in opened.variables
print(xr.__version__, rioxarray.__version__, found)
assert found == {"plain": ("EPSG:4326", True), "encoded": ("None", True)}, "the behaviour has changed"
PY
