#!/usr/bin/env bash
# VirtualiZarr: zeros of a NetCDF variable without a fill value come back as missing.
#
# Every HDF5 dataset has a fill value, 0 where none was asked for; NetCDF counts as missing only what _FillValue names.
# The references take it for the fill value of the Zarr array, which xarray then masks: counts, classes and bounds
# that are 0 become NaN, and integers turn into floats. xarray writes such files with the engine h5netcdf (integers
# always, floats with _FillValue=None), netCDF4 with fill_value=False. Files of the engine netcdf4 have the default of
# NetCDF, which is not one of their values, and are read right. Seen with VirtualiZarr 2.5.1. Exits non-zero when this
# changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kerchunk==0.2.10 virtualizarr==2.5.1 obstore==0.12.1 netCDF4==1.7.4 xarray==2026.9.0 \
    zarr==3.1.6 h5py==3.16.0 h5netcdf==1.8.1
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import os

import numpy as np
import xarray as xr
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr import open_virtual_dataset
from virtualizarr.parsers import HDFParser

registry = ObjectStoreRegistry({"file://": LocalStore()})
given = xr.Dataset({"burnt": ("x", np.arange(3)), "low": ("x", np.arange(3.0), {}, {"_FillValue": None})})
for engine, missing in (("netcdf4", 0), ("h5netcdf", 1)):
    given.to_netcdf(f"{engine}.nc", engine=engine)
    virtual = open_virtual_dataset(f"file://{os.getcwd()}/{engine}.nc", parser=HDFParser(), registry=registry)
    virtual.virtualize.to_kerchunk("made.json", format="json")
    made = xr.open_dataset("made.json", engine="kerchunk").load()
    plain = xr.open_dataset(f"{engine}.nc").load()
    print(engine, "plain", plain.burnt.values, plain.low.values, "references", made.burnt.values, made.low.values)
    assert (plain.burnt == given.burnt).all() and (plain.low == given.low).all()
    assert int(made.burnt.isnull().sum()) == int(made.low.isnull().sum()) == missing, "the behaviour has changed"
PY
