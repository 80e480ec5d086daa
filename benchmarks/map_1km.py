"""A map of the globe as a cloud-optimised GeoTIFF, 933 million cells at 1 km (30 arc-seconds): memory, time, and views.

    python benchmarks/map_1km.py [--rows 21600] [--write]

The daily file is made up, with a day in each month, of which January alone has values: what a map costs beyond reading
its days does not depend on how many there are. Land is that of the mask of the package, every sea cell is missing, as
in a product.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import netCDF4
import numpy as np
import rasterio
from machine import options, report
from rasterio.windows import Window

from fluxatlas import variables
from fluxatlas.land_mask import is_land
from fluxatlas.variables import FILL

BAND, COARSE = 240, 10
MAP = (
    "import resource, sys; from fluxatlas.config.products import ProductsBlock as B; from fluxatlas.products.cog import"
    " write_maps; write_maps(sys.argv[1], 'swc05', 2001, sys.argv[2], B(monthly=False, map_type='int16'));"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_SELF).ru_utime)"
)


def write_day(path: Path, height: int) -> float:
    """A daily product of twelve days, the first with values; returns the share of land."""
    packing, step, width = variables.get("swc05").packing, 180 / height, 2 * height
    assert packing
    lat, lon = 90 - step * (np.arange(height) + 0.5), -180 + step * (np.arange(width) + 0.5)
    rng, land = np.random.default_rng(0), 0
    with netCDF4.Dataset(path, "w") as file:
        for name, values in (("lat", lat), ("lon", lon)):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file.createDimension("nv", 2)
        for name, values in (("lat", lat), ("lon", lon)):
            half = step / 2 * (-1 if name == "lat" else 1)
            file.createVariable(f"{name}_bnds", "f8", (name, "nv"))[:] = np.stack([values - half, values + half], 1)
        file.createDimension("time", 12)
        days = file.createVariable("time", "f8", ("time",))
        days.setncatts({"units": "days since 2001-01-01", "calendar": "standard"})
        days[:] = 15.5 + 30.4 * np.arange(12)
        shape = (1, 60, 1800)
        told = {"fill_value": FILL, "chunksizes": shape, "compression": "zlib", "complevel": 1}
        data = file.createVariable("swc05", "i2", ("time", "lat", "lon"), **told)
        data.set_auto_maskandscale(False)
        data.setncatts({"scale_factor": packing[0], "add_offset": packing[1], "units": "1", "long_name": "water"})
        for first in range(0, height, BAND):
            some = np.meshgrid(lat[first : first + BAND : COARSE], lon[::COARSE], indexing="ij")
            here = is_land(some[0].ravel(), some[1].ravel()).reshape(some[0].shape)
            here = here.repeat(COARSE, 0).repeat(COARSE, 1)
            water = 0.25 + 0.1 * np.cos(np.deg2rad(4 * lat[first : first + BAND]))[:, None] * np.ones(width)
            stored = np.rint((water - packing[1]) / packing[0]) + rng.integers(-40, 40, here.shape)
            data[0, first : first + BAND] = np.where(here, stored, FILL).astype(np.int16)
            land += int(here.sum())
    return land / (height * width)


def views(path: Path) -> list[str]:
    """Size, overviews, and how long views of the map take to read."""
    rng = np.random.default_rng(1)
    with rasterio.open(path) as data:
        levels, block = data.overviews(1), data.block_shapes[0][0]
        begun = time.perf_counter()
        data.read(1, out_shape=(512, 1024))
        whole = time.perf_counter() - begun
        spent = []
        for level in (1, 8, 32):
            edge, begun = 256 * level, time.perf_counter()
            for _ in range(20):
                place = int(rng.integers(0, data.width - edge)), int(rng.integers(0, data.height - edge))
                data.read(1, window=Window(*place, edge, edge), out_shape=(256, 256))
            spent.append(f"{(time.perf_counter() - begun) / 20 * 1000:.0f} ms ({edge} cells wide)")
    size = path.stat().st_size / 1e6
    return [
        f"File of {size:,.0f} MB, blocks of {block} cells, overviews {levels}.",
        f"Wall time of views, cold file handle, page cache warm: the whole map at 1024 x 512 {whole * 1000:.0f} ms; a "
        f"view of 256 x 256 pixels {', '.join(spent)}.",
    ]


def main() -> None:
    asked = options(__doc__, rows=21_600)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        share = write_day(folder / "swc05_2001.nc", asked.rows)
        begun = time.monotonic()
        words = [sys.executable, "-c", MAP, str(folder / "swc05_2001.nc"), str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        peak, seconds = map(float, done.stdout.split()[-2:])
        lines = [
            f"{asked.rows:,} x {2 * asked.rows:,} cells, {share:.0%} land, soil moisture packed as int16.",
            f"One annual map: at most {peak / 1000:.0f} MB, {seconds:.0f} s of processor time (user), "
            f"{time.monotonic() - begun:.0f} s of wall time.",
            *views(folder / "swc05_2001.tif"),
        ]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    measured = f"the process that made the daily file, which is not measured here, used {used:.0f} MB."
    report("map_1km", "A large map of the globe", ["", *lines], asked.write, measured)


if __name__ == "__main__":
    main()
