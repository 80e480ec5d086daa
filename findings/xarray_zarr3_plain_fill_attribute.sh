#!/usr/bin/env bash
# xarray: a Zarr 3 float array whose attribute _FillValue is a plain number cannot be opened.
#
# CF names the missing value of a variable in the attribute _FillValue, and a Zarr 3 store holds it as the JSON number
# that other writers put there (zarr-python alone, for one). xarray writes base64 text in its place and expects nothing
# else: opening ends in a TypeError, for the whole store and not for the variable, and with decode_cf=False too. For
# integers a plain number is read. Seen with xarray 2026.9.0 and zarr 3.1.6. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import numpy as np
import xarray as xr
import zarr


def store(kind, missing):
    group = zarr.open_group(f"{kind}.zarr", mode="w", zarr_format=3)
    array = group.create_array("tas", shape=(3,), dtype=kind, dimension_names=("x",))
    array[:] = np.array([1, missing, 3], kind)
    array.attrs["_FillValue"] = missing
    return f"{kind}.zarr"


whole = xr.open_zarr(store("int16", -999), consolidated=False)["tas"].values
print("int16", whole)
assert np.isnan(whole[1]), "integers: the behaviour has changed"
path = store("float32", -999.0)
for decode in (True, False):
    try:
        xr.open_zarr(path, consolidated=False, decode_cf=decode)
        raise SystemExit("floats: the behaviour has changed")
    except TypeError as error:
        print(f"float32 with decode_cf={decode}: TypeError: {error}")
PY
