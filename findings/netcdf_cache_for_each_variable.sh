#!/usr/bin/env bash
# netCDF4: a writer keeps 64 MiB of each variable in memory until the file is closed, also of whole chunks written once.
#
# Twelve compressed variables of 80 MB each are written, one after the other, each value once and by whole chunks. The
# library compresses a chunk as soon as it is complete only where its cache is full, and each variable has a cache of its
# own that is not emptied before the file is closed: memory grows by 64 MiB a variable, nearly 0.8 GB here, and no
# sync() gives it back. With chunk_cache of two chunks (createVariable) it grows by a few MB, for the same file. The
# cache was 4 MB in netCDF-C 4.6 and 16 MB in 4.9 [recalled]; a file of a hundred variables now needs 6 GB.
# Seen with netCDF4 1.7.5.1.post1 (netCDF-C 4.10.1), xarray's to_netcdf has no word for it. Exits non-zero when this
# changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet netCDF4==1.7.5.1.post1 numpy
cd "$folder"
cat > write.py <<'PY'
import os
import sys

import netCDF4
import numpy as np

words = {"chunk_cache": 2 * 8 * 250 * 250 * 4} if sys.argv[1] == "two" else {}


def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


slab = np.ones((8, 500, 500), "f4")
with netCDF4.Dataset(f"{sys.argv[1]}.nc", "w") as file:
    for name, size in (("time", 80), ("lat", 500), ("lon", 500)):
        file.createDimension(name, size)
    before = held()
    for number in range(12):
        chunks = (8, 250, 250)
        variable = file.createVariable(f"v{number}", "f4", ("time", "lat", "lon"), zlib=True, complevel=1, chunksizes=chunks, **words)
        for day in range(0, 80, 8):
            variable[day : day + 8] = slab
    file.sync()
    print(f"{held() - before:.0f}")
PY
usual=$(venv/bin/python write.py usual); two=$(venv/bin/python write.py two)
echo "memory grows by $usual MiB with the usual caches, by $two MiB with caches of two chunks"
venv/bin/python - "$usual" "$two" <<'PY'
import sys

import netCDF4

assert netCDF4.get_chunk_cache()[0] == 64 * 2**20, "the usual cache is of another size"
a, b = netCDF4.Dataset("usual.nc"), netCDF4.Dataset("two.nc")
assert all((a[name][:] == b[name][:]).all() for name in a.variables), "the files differ"
assert float(sys.argv[1]) > 12 * 50, "the usual caches hold less than they did"
assert float(sys.argv[2]) < 60, "caches of two chunks hold more than they did"
PY
