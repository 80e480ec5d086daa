"""Cut 30 days of a global 0.1 degree variable to 10-degree tiles: fluxatlas beside xarray, in one run.

    python benchmarks/ingest_pieces.py [--days 30] [--folder DIR]

Raw: one NetCDF file per day, int16, chunks (1, 1801, 3600), latitude descending, longitude 0-360. fluxatlas writes its
forcing pieces (checked, filled along the coast, halo of two cells); xarray does ``open_mfdataset`` and ``to_zarr`` with
chunks (8, 100, 100) and the same codec, checking nothing. Each runs in a process of its own, whose wall time and
peak memory (ru_maxrss) are printed; fluxatlas also with a third of the days, to show that its memory does not grow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LAT, LON = 90 - 0.1 * np.arange(1801), 0.1 * np.arange(3600)
START = np.datetime64("2001-01-01")
SCALE, OFFSET, FILL = 0.002, 273.15, -32767
MAPPING = """
title: benchmark
citation: none
raw: {t2m: {time: interval}}
variables: {tas: {of: t2m}}
"""


def make(folder: Path, days: int) -> None:
    """Write the raw files: a smooth field with weather noise over land, and an elevation."""
    import xarray as xr
    from global_land_mask import globe

    rng = np.random.default_rng(1)
    lon = (LON + 180) % 360 - 180
    land = globe.is_land(np.clip(LAT, -89.99, 89.99)[:, None], lon[None, :])
    mean = 250 + 50 * np.cos(np.deg2rad(LAT))[:, None] + 5 * np.sin(np.deg2rad(3 * lon))[None, :]
    coords = {"latitude": LAT, "longitude": LON}
    orog = (("latitude", "longitude"), np.where(land, 300.0, 0.0).astype(np.float32), {"units": "m"})
    xr.Dataset({"elev": orog}, coords).to_netcdf(folder / "elev.nc")
    for day in range(days):
        noise = np.kron(rng.normal(0, 4, (181, 360)), np.ones((10, 10)))[:1801] + rng.normal(0, 0.1, (1801, 3600))
        packed = np.where(land, np.rint((mean + noise - OFFSET) / SCALE), FILL).astype(np.int16)
        attrs = {"units": "K", "scale_factor": SCALE, "add_offset": OFFSET, "_FillValue": np.int16(FILL)}
        data = xr.Dataset(
            {"t2m": (("time", "latitude", "longitude"), packed[None], attrs)},
            {"time": [(START + day).astype("datetime64[ns]")], **coords},
        )
        chunks = {"chunksizes": (1, 1801, 3600), "zlib": True, "complevel": 1, "shuffle": True}
        data.to_netcdf(folder / f"{day:03d}.nc", encoding={"t2m": chunks})


def run_fluxatlas(folder: Path, days: int) -> None:
    """Forcing pieces of all tiles with land (Zarr leaves out chunks without data as well)."""
    import xarray as xr

    from fluxatlas.grid import get_grid
    from fluxatlas.ingest.declaration import load_mapping
    from fluxatlas.ingest.mapping import MappedSource
    from fluxatlas.ingest.pieces import PieceOptions, write_pieces

    (folder / "benchmark.yaml").write_text(MAPPING)
    grid = get_grid("4km")
    with xr.open_dataset(folder / "000.nc") as first:
        land = first.t2m[0].notnull().values
    corners = [(lat, lon) for lat in range(-90, 90, 10) for lon in range(-180, 180, 10)]
    corners = [(lat, lon) for lat, lon in corners if land[_rows(lat)][:, _columns(lon)].any()]
    names = [
        f"{'N' if lat >= 0 else 'S'}{abs(lat):02d}{'E' if lon >= 0 else 'W'}{abs(lon):03d}" for lat, lon in corners
    ]
    files = [folder / f"{day:03d}.nc" for day in range(days)]
    source = MappedSource(load_mapping(folder / "benchmark.yaml"), files)
    write_pieces(
        source,
        (START, START + days),
        [grid.tile(name, 10) for name in names],
        ["tas"],
        folder / f"pieces{days}",
        elevation=folder / "elev.nc",
        options=PieceOptions(compression="zstd", compression_level=3),
    )


def _rows(south: int) -> slice:
    return slice(10 * (80 - south), 10 * (90 - south))


def _columns(west: int) -> slice:
    return slice(10 * (west % 360), 10 * (west % 360) + 100)


def run_xarray(folder: Path, days: int) -> None:
    """The plain way, with the same chunks and codec."""
    import xarray as xr
    import zarr

    data = xr.open_mfdataset([folder / f"{day:03d}.nc" for day in range(days)], combine="nested", concat_dim="time")
    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
    encoding = {"t2m": {"chunks": (8, 100, 100), "compressors": [codec]}}
    data.chunk(time=8, latitude=100, longitude=100).to_zarr(folder / f"out{days}.zarr", encoding=encoding)


def measure(what: str, folder: Path, days: int) -> tuple[float, float]:
    """Wall seconds and peak memory [MiB] of one way in a process of its own."""
    command = [sys.executable, __file__, "--child", what, "--days", str(days), "--folder", str(folder)]
    facts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return facts["seconds"], facts["mib"]


def child(what: str, folder: Path, days: int) -> None:
    import resource

    began = time.perf_counter()
    {"fluxatlas": run_fluxatlas, "xarray": run_xarray, "make": make}[what](folder, days)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.perf_counter() - began, "mib": mib}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.days)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, days = Path(name), options.days
        measure("make", folder, days)
        results = {f"fluxatlas, {n} days": measure("fluxatlas", folder, n) for n in (max(days // 3, 1), days)}
        results[f"xarray, {days} days"] = measure("xarray", folder, days)
    for label, (seconds, mib) in results.items():
        print(f"{label:20s} {seconds:7.1f} s  {mib:7.0f} MiB")
    ours, theirs = results[f"fluxatlas, {days} days"], results[f"xarray, {days} days"]
    print(f"xarray / fluxatlas: {theirs[0] / ours[0]:.1f} in time, {theirs[1] / ours[1]:.1f} in memory")


if __name__ == "__main__":
    main()
