#!/usr/bin/env bash
# xarray: use_zarr_fill_value_as_mask changes nothing, neither in open_zarr nor in open_dataset.
#
# The option is documented to mask the fill value of a Zarr array (True) or to leave it alone (False). In a Zarr 3 store
# of int16 with fill value -9, chunks that were never written read as -9 with True as with False; in a Zarr 2 store the
# value is masked with False as with True. Only the format decides. Who asks for the mask takes fill for data.
# Seen with xarray 2026.9.0 and zarr 3.1.6. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import numpy as np
import xarray as xr
import zarr

seen = {}
for form in (2, 3):
    group = zarr.open_group(f"store{form}", mode="w", zarr_format=form)
    names = {"dimension_names": ("x",)} if form == 3 else {}
    array = group.create_array("depth", shape=(4,), chunks=(2,), dtype="int16", fill_value=-9, **names)
    array[:2] = np.array([1, 3], "int16")  # the second chunk is never written
    if form == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = ["x"]
    for option in (True, False):
        given = {"consolidated": False, "use_zarr_fill_value_as_mask": option}
        by_zarr = xr.open_zarr(f"store{form}", **given)["depth"].values
        by_dataset = xr.open_dataset(f"store{form}", engine="zarr", **given)["depth"].values
        seen[form, option] = [int(np.isnan(values.astype(float)).sum()) for values in (by_zarr, by_dataset)]
        print("Zarr", form, "option", option, "masked", seen[form, option], "of 2")
assert seen[2, True] == seen[2, False] == [2, 2], "the behaviour with Zarr 2 has changed"
assert seen[3, True] == seen[3, False] == [0, 0], "the behaviour with Zarr 3 has changed"
PY
