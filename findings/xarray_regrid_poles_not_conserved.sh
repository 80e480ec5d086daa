#!/usr/bin/env bash
# xarray-regrid: conservative regridding of a global grid is not conservative in the rows at the poles.
#
# To a global source whose outer rows are centred half a step from the poles the package adds a row at each pole, for
# every method. For conservative regridding this row takes a quarter of the width of the outer cells and weighs nothing
# itself: of two source rows with areas of 1 and 3 the outer one gets a weight of 0.2 where 0.25 is right, and a fifth
# of what lies in the cell at the pole is lost. All other rows are exact. Seen with xarray-regrid 0.4.2. Exits non-zero
# when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray-regrid==0.4.2 xarray==2025.6.1 numpy==2.3.5 opt_einsum==3.4.0
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np
import xarray as xr
import xarray_regrid

latitude = np.arange(-89.5, 90)
source = xr.DataArray(np.zeros((180, 4)), dims=("latitude", "longitude"),
                      coords={"latitude": latitude, "longitude": [45.0, 135.0, 225.0, 315.0]})
source[0, 0] = source[90, 0] = 1.0  # one cell at the pole, one at the equator
target = xr.Dataset(coords={"latitude": np.arange(-89.0, 90, 2), "longitude": source.longitude})
edges = np.sin(np.deg2rad(np.arange(-90, 91)))
area = xr.DataArray(np.diff(edges), dims="latitude", coords={"latitude": latitude})
wide = xr.DataArray(np.diff(edges[::2]), dims="latitude", coords={"latitude": target.latitude})
made = source.regrid.conservative(target, latitude_coord="latitude")
kept = float((made * wide)[1:].sum() / (source * area)[2:].sum())
pole = float((made * wide)[0].sum() / (source * area)[:2].sum())
print(f"kept elsewhere {kept:.6f}, kept at the pole {pole:.4f}, row at the pole {made.values[0].round(4)}")
assert abs(kept - 1) < 1e-9, "rows elsewhere have changed"
assert abs(pole - 0.8) < 1e-3, "the behaviour has changed"
PY
