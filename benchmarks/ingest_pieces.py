"""Cut 30 days of a global 0.1 degree variable to 10-degree tiles: fluxatlas beside xarray, in one run.

    python benchmarks/ingest_pieces.py [--days 30] [--repeat 3] [--folder DIR]

Raw: one NetCDF file per day, int16, chunks (1, 1801, 3600), latitude descending, longitude 0-360. fluxatlas writes its
forcing pieces (checked, filled along the coast, halo of two cells, synced to disk); xarray does ``open_mfdataset`` and
``to_zarr`` with chunks (8, 100, 100), dask threads as it likes, the same packing to int16 and the same codec (shuffled
zstd of level 3), checking nothing. Each runs in processes of its own and by turns. Printed are wall time, time of the
processors and peak memory (several processes: the sum of the peaks, which counts shared memory several times);
fluxatlas also with a third of the days, to show that its memory does not grow. That both have written the same values
is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

LAT, LON = 90 - 0.1 * np.arange(1801), 0.1 * np.arange(3600)
START = np.datetime64("2001-01-01")
SCALE, OFFSET, FILL = 0.002, 273.15, -32767
CHECKED = "N40W110"
MAPPING = """
title: benchmark
citation: none
raw: {t2m: {time: interval}}
variables: {tas: {of: t2m}}
"""


def make(folder: Path, days: int) -> None:
    """Write the raw files: a smooth field with weather noise over land, an elevation, and the names of the tiles."""
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
    (folder / "benchmark.yaml").write_text(MAPPING)
    corners = [(lat, lon) for lat in range(-90, 90, 10) for lon in range(-180, 180, 10)]
    tiles = [
        f"{'N' if lat >= 0 else 'S'}{abs(lat):02d}{'E' if lon >= 0 else 'W'}{abs(lon):03d}"
        for lat, lon in corners
        if land[_rows(lat)][:, _columns(lon)].any()  # Zarr leaves out chunks without data as well
    ]
    (folder / "tiles.json").write_text(json.dumps(tiles))


def _rows(south: int) -> slice:
    return slice(10 * (80 - south), 10 * (90 - south))


def _columns(west: int) -> slice:
    return slice(10 * (west % 360), 10 * (west % 360) + 100)


def import_fluxatlas() -> None:
    import netCDF4  # noqa: F401

    from fluxatlas.ingest import declaration, mapping, pieces  # noqa: F401


def run_fluxatlas(folder: Path, days: int) -> None:
    """Forcing pieces of all tiles with land."""
    from fluxatlas.grid import get_grid
    from fluxatlas.ingest.declaration import load_mapping
    from fluxatlas.ingest.mapping import MappedSource
    from fluxatlas.ingest.pieces import PieceOptions, write_pieces

    grid = get_grid("4km")
    source = MappedSource(load_mapping(folder / "benchmark.yaml"), [folder / f"{day:03d}.nc" for day in range(days)])
    write_pieces(
        source,
        (START, START + days),
        [grid.tile(name, 10) for name in json.loads((folder / "tiles.json").read_text())],
        ["tas"],
        folder / f"pieces{days}",
        elevation=folder / "elev.nc",
        options=PieceOptions(compression="zstd", compression_level=3),
    )


def import_xarray() -> None:
    import netCDF4  # noqa: F401
    import xarray  # noqa: F401
    import zarr  # noqa: F401


def run_xarray(folder: Path, days: int) -> None:
    """The plain way, with the same chunks, packing and codec (Blosc's 2 is level 3 of zstd)."""
    import xarray as xr
    import zarr

    from fluxatlas import variables

    data = xr.open_mfdataset([folder / f"{day:03d}.nc" for day in range(days)], combine="nested", concat_dim="time")
    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=2, shuffle="shuffle")
    encoding = variables.get("tas").encoding(chunks=(8, 100, 100), compressors=[codec])
    data = data.chunk(time=8, latitude=100, longitude=100)
    data.to_zarr(folder / f"out{days}.zarr", encoding={"t2m": encoding}, consolidated=False)


def check(folder: Path, days: int) -> None:
    """Raise ``AssertionError`` unless both ways have written the same values of a tile inland."""
    import xarray as xr

    (piece,) = (folder / f"pieces{days}" / CHECKED).glob("*.nc")
    with xr.open_dataset(piece) as ours, xr.open_zarr(folder / f"out{days}.zarr", consolidated=False) as theirs:
        same = theirs.t2m.isel(latitude=_rows(40), longitude=_columns(-110)).values
        tas = ours.tas.sel(lat=LAT[_rows(40)], lon=LON[_columns(-110)] - 360, method="nearest").values
        assert np.isfinite(same).all()
        assert np.abs(tas - same).max() < 0.0051, "a step of the packing is 0.005 K"


WAYS: dict[str, tuple[Callable[[], None], Callable[[Path, int], None]]] = {
    "make": (lambda: None, make),
    "fluxatlas": (import_fluxatlas, run_fluxatlas),
    "xarray": (import_xarray, run_xarray),
    "check": (lambda: None, check),
}


def measure(what: str, folder: Path, days: int) -> dict[str, Any]:
    """Wall seconds, those of them for imports, processor seconds and peak memory [MiB] of one way.

    What was written before is put aside, not deleted: a file system takes long to create files where it has just
    deleted many.
    """
    for old in (folder / f"pieces{days}", folder / f"out{days}.zarr"):
        if what in ("fluxatlas", "xarray") and old.name.startswith("out") == (what == "xarray") and old.exists():
            old.rename(tempfile.mkdtemp(dir=folder) + "/old")
    command = [sys.executable, __file__, "--child", what, "--days", str(days), "--folder", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stderr)
    facts: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return {**facts, "load": os.getloadavg()[0]}


def child(what: str, folder: Path, days: int) -> None:
    import resource

    began = time.perf_counter()
    prepare, run = WAYS[what]
    prepare()
    imported = time.perf_counter() - began
    run(folder, days)
    seconds = time.perf_counter() - began
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    writers = len(os.sched_getaffinity(0)) if what == "fluxatlas" else 0
    facts = {
        "seconds": seconds,
        "imports": imported,
        "cpu": sum(each.ru_utime + each.ru_stime for each in use),
        "mib": (use[0].ru_maxrss + writers * use[1].ru_maxrss) / 1024,
    }
    print(json.dumps(facts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.days)
        return
    days = options.days
    results: dict[str, list[dict[str, Any]]] = {"fluxatlas": [], "xarray": []}

    def one(what: str, length: int, folder: Path) -> dict[str, Any]:
        facts = measure(what, folder, length)
        print(
            f"{what:9s} {length:4d} days {facts['seconds']:7.1f} s ({facts['imports']:.1f} s imports) "
            f"{facts['cpu']:7.1f} s of processors {facts['mib']:6.0f} MiB   load {facts['load']:.1f}",
            flush=True,
        )
        return facts

    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        measure("make", Path(name), days)
        one("fluxatlas", max(days // 3, 1), Path(name))
        for _ in range(options.repeat):
            for what, found in results.items():
                found.append(one(what, days, Path(name)))
        measure("check", Path(name), days)
    ours, theirs = results["fluxatlas"], results["xarray"]
    for label, of in {
        "wall time": lambda facts: facts["seconds"],
        "wall time without imports": lambda facts: facts["seconds"] - facts["imports"],
        "time of the processors": lambda facts: facts["cpu"],
    }.items():
        each = [of(b) / of(a) for a, b in zip(ours, theirs, strict=True)]
        ratio = median(map(of, theirs)) / median(map(of, ours))
        print(f"xarray / fluxatlas, {label}: {ratio:.1f} (of each pair {', '.join(f'{r:.1f}' for r in each)})")


if __name__ == "__main__":
    main()
