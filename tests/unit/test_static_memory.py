"""Windowed reads: what one tile costs in memory does not depend on the size of the file."""

import json
import subprocess
import sys

import netCDF4
import numpy as np
import rasterio
from rasterio.transform import from_origin

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from fluxatlas.config.static import LandCover, Layer
from fluxatlas.grid import get_grid
from fluxatlas.regrid.cover import shares
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
frame = Frame.around(get_grid("4km").tile("N38W008", 1))
results = []
for kind, path in json.loads(sys.argv[1]):
    if kind == "cover":
        shares(LandCover(path=path, variable="v", legend="modis_igbp", nodata=0), frame)
    else:
        read_layer("wetlandFrac", Layer(path=path, variable="" if path.endswith("tif") else "v", units="%",
                                        over_time="mean" if kind == "series" else ""), frame)
    # not ru_maxrss, which a child inherits from a large parent
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    results.append(int(status["VmHWM"].split()[0]) / 1024)
print(json.dumps(results))
"""
ALLOWANCE = 120.0
"""Megabytes that the largest file may cost beyond the smallest: axes, one strip, caches of the libraries."""


def _tif(path, columns):
    """A tiled, sparse GeoTIFF of the whole globe with data around the tile only."""
    n = columns / 360
    profile = {"driver": "GTiff", "height": columns // 2, "width": columns, "count": 1, "dtype": "uint8", "nodata": 255,
               "crs": "EPSG:4326", "transform": from_origin(-180, 90, 1 / n, 1 / n), "tiled": True, "blockxsize": 512,
               "blockysize": 512, "SPARSE_OK": True, "compress": "deflate"}  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        rows, left = int((90 - 40) * n), int((180 - 9) * n)
        window = rasterio.windows.Window(left, rows, int(3 * n), int(3 * n))
        raster.write(np.full((1, int(3 * n), int(3 * n)), 10, np.uint8), window=window)
    return str(path)


def _nc(path, columns, steps=1):
    """A chunked NetCDF of the whole globe, packed, with data around the tile only."""
    n = columns / 360
    with netCDF4.Dataset(path, "w") as data:
        for name, size in (("time", steps), ("lat", columns // 2), ("lon", columns)):
            data.createDimension(name, size)
        for name, start, sign in (("lat", 90, -1), ("lon", -180, 1)):
            axis = data.createVariable(name, "f8", (name,))
            axis[:] = start + sign * (np.arange(len(data.dimensions[name])) + 0.5) / n
        time = data.createVariable("time", "f8", ("time",))
        time[:], time.units = np.arange(steps), "months since 2001-01-01"
        chunks = (1, min(900, columns // 2), min(900, columns))
        v = data.createVariable("v", "i2", ("time", "lat", "lon"), zlib=True, chunksizes=chunks, fill_value=-1)
        rows, left = int((90 - 40) * n), int((180 - 9) * n)
        for step in range(steps):
            v[step, rows : rows + int(3 * n), left : left + int(3 * n)] = 10
    return str(path)


def test_memory_does_not_grow_with_the_size_of_the_file(tmp_path) -> None:
    """A global file of 3600 x 1800 values, then of 43200 x 21600 (933 million): peak memory of the whole process."""
    small, large = 3600, 43200
    jobs = []
    for columns in (small, large):
        tif, nc = _tif(tmp_path / f"{columns}.tif", columns), _nc(tmp_path / f"{columns}.nc", columns)
        jobs += [("layer", tif), ("layer", nc), ("cover", tif), ("cover", nc)]
    done = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(jobs)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = json.loads(done.stdout)
    assert peaks[-1] - peaks[3] < ALLOWANCE, peaks
