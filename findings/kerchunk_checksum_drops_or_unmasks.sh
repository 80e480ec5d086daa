#!/usr/bin/env bash
# kerchunk: a NetCDF variable with a Fletcher32 checksum vanishes from the references, or loses its missing values.
#
# The code that discards the checksum's four bytes is there, but the list of filters refuses them before it is reached.
# A variable of 500 bytes or more is left out with a Python warning, so that references of files with checksums on all
# variables open as a dataset without data. A smaller one is copied into the references without its _FillValue, and
# missing values come back as numbers: -327.68 here. VirtualiZarr reads both right from the same files. Seen with
# kerchunk 0.2.10, VirtualiZarr 2.5.1. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kerchunk==0.2.10 virtualizarr==2.5.1 obstore==0.12.1 netCDF4==1.7.4 xarray==2026.9.0 \
    zarr==3.1.6 h5py==3.16.0
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import os

import kerchunk.hdf
import netCDF4
import numpy as np
import xarray as xr
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr import open_virtual_dataset
from virtualizarr.parsers import HDFParser

with netCDF4.Dataset("days.nc", "w") as file:
    for name, cells in (("few", 10), ("many", 1000)):
        file.createDimension(name, cells)
        flux = file.createVariable(f"flux_{name}", "i2", (name,), fill_value=-32768, zlib=True, fletcher32=True)
        flux.scale_factor = 0.01
        flux[:] = np.ma.masked_less(np.arange(cells) - 3.0, 0)
asked = {"fo": kerchunk.hdf.SingleHdf5ToZarr("days.nc").translate(), "asynchronous": False}
made = xr.open_dataset("reference://", engine="zarr", backend_kwargs={"consolidated": False, "storage_options": asked})
registry = ObjectStoreRegistry({"file://": LocalStore()})

virtual = open_virtual_dataset(f"file://{os.getcwd()}/days.nc", parser=HDFParser(), registry=registry)
virtual.virtualize.to_kerchunk("days.json", format="json")
beside = xr.open_dataset("days.json", engine="kerchunk")
print("kerchunk", list(made), made.flux_few.values[:4], "VirtualiZarr", sorted(beside), beside.flux_few.values[:4])
assert sorted(beside) == ["flux_few", "flux_many"] and np.isnan(beside.flux_few.values[:3]).all()
assert list(made) == ["flux_few"], "the variable is no longer left out"
assert np.allclose(made.flux_few.values[:3], -327.68), "missing values are no longer numbers"
PY
