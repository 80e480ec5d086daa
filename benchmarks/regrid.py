"""Conservative regridding from 0.1 degree to 4 km beside xarray-regrid, GDAL's warper and CDO, in one run.

    python benchmarks/regrid.py [--edge 10] [--days 365] [--write]

A tile of ``edge`` degrees, ``days`` days of float32 weather on 0.1 degree, onto its cells of 1/24 degree. Ours keeps
the weights of a tile, as inference does; xarray-regrid makes its own anew, and GDAL
(``rasterio.warp.reproject``, average) warps the days as bands. CDO, with weights that ``gencon`` made before, can work
from file to file only, and is compared with ours from file to file, start of the process not counted for ours. One
thread, processor time, best of the rounds; the results are compared. With ``--write`` the result goes to
benchmarks/results/regrid.md.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import netCDF4
import numpy as np
import rasterio
import xarray as xr
from machine import options, report
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject

from fluxatlas.grid import Tile, get_grid
from fluxatlas.regrid.tile import TileRegridder

STEP, ROUNDS, GOAL = 0.1, 9, 20
FILES = ", from file to file"


def weather(tile: Tile, days: int) -> xr.DataArray:
    """Smooth fields with noise on the 0.1 degree lattice, two cells wider than ``tile`` on each side."""
    edges = [np.round(axis / STEP) for axis in (tile.lat, tile.lon)]
    lat = (np.arange(edges[0].max() + 3, edges[0].min() - 4, -1) + 0.5) * STEP
    lon = (np.arange(edges[1].min() - 3, edges[1].max() + 4) + 0.5) * STEP
    rng = np.random.default_rng(1)
    values = 280 + 5 * np.sin(lat / 3)[:, None] + np.cos(lon / 5)[None] + rng.normal(0, 1, (days, lat.size, lon.size))
    axes = {"time": np.arange(days), "lat": lat, "lon": lon}
    return xr.DataArray(values.astype(np.float32), axes, ("time", "lat", "lon"), "tas")


def spent(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    begin = time.process_time()
    found = call()
    return time.process_time() - begin, found


def ours(tile: Tile, source: xr.DataArray) -> Callable[[], np.ndarray]:
    regridder = TileRegridder(source["lat"], source["lon"], tile, method="conservative")
    cells, values = np.arange(np.prod(tile.shape)), source.to_numpy()
    regridder.cells("tas", values[:1], cells)
    return lambda: regridder.cells("tas", values, cells).reshape(-1, *tile.shape)


def xarray_regrid(tile: Tile, source: xr.DataArray) -> Callable[[], np.ndarray] | None:
    if find_spec("xarray_regrid") is None:
        return None
    import xarray_regrid  # noqa: F401  registers the accessor

    target = xr.Dataset(coords={"lat": tile.lat[::-1], "lon": tile.lon})
    rising = source.isel(lat=slice(None, None, -1)).to_dataset()

    def call() -> np.ndarray:
        made = rising.regrid.conservative(target, latitude_coord="lat")["tas"]
        return made.transpose("time", "lat", "lon").to_numpy()[:, ::-1]

    return call


def gdal(tile: Tile, source: xr.DataArray) -> Callable[[], np.ndarray]:
    size = tile.grid.resolution
    values = source.to_numpy()
    begin = from_origin(float(source["lon"][0]) - STEP / 2, float(source["lat"][0]) + STEP / 2, STEP, STEP)
    end = from_origin(float(tile.lon[0]) - size / 2, float(tile.lat[0]) + size / 2, size, size)

    def call() -> np.ndarray:
        made = np.empty((len(values), *tile.shape), np.float32)
        with rasterio.Env(GDAL_NUM_THREADS=1):
            reproject(values, made, src_transform=begin, dst_transform=end, src_crs="EPSG:4326",
                      dst_crs="EPSG:4326", resampling=Resampling.average, num_threads=1)  # fmt: skip
        return made

    return call


def files(tile: Tile, source: xr.DataArray, folder: Path) -> None:
    """The weather as a NetCDF file, the grid of the tile for CDO, and CDO's weights."""
    data = source.to_dataset().assign_coords(
        time=("time", source["time"].to_numpy(), {"units": "days since 2001-01-01"})
    )
    data["lat"].attrs["units"], data["lon"].attrs["units"] = "degrees_north", "degrees_east"
    data.to_netcdf(folder / "in.nc")
    (rows, columns), size = tile.shape, tile.grid.resolution
    text = f"gridtype = lonlat\nxsize = {columns}\nysize = {rows}\nxfirst = {tile.lon[0]}\nxinc = {size}\n"
    (folder / "grid.txt").write_text(f"{text}yfirst = {tile.lat[0]}\nyinc = {-size}\n", encoding="utf-8")
    if shutil.which("cdo"):
        call = ["cdo", "-s", f"gencon,{folder / 'grid.txt'}", str(folder / "in.nc"), str(folder / "weights.nc")]
        subprocess.run(call, check=True)


def cdo(folder: Path) -> tuple[float, np.ndarray]:
    """Processor time of ``cdo remap`` from file to file, and the result."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [f"remap,{folder / 'grid.txt'},{folder / 'weights.nc'}", str(folder / "in.nc"), str(folder / "out.nc")]
    subprocess.run(["cdo", "-s", "-P", "1", *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with xr.open_dataset(folder / "out.nc") as found:
        values = found["tas"].to_numpy()
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, values


def from_file_to_file(tile: Tile, folder: Path) -> np.ndarray:
    """Ours beside CDO: the same file read, regridded and written without compression."""
    with netCDF4.Dataset(folder / "in.nc") as given, netCDF4.Dataset(folder / "own.nc", "w") as target:
        source = xr.DataArray(
            np.asarray(given["tas"][:]),
            {n: np.asarray(given[n][:]) for n in ("time", "lat", "lon")},
            ("time", "lat", "lon"),
        )
        made = ours(tile, source)()
        for name, size in zip(("time", "lat", "lon"), made.shape, strict=True):
            target.createDimension(name, size)
        target.createVariable("tas", "f4", ("time", "lat", "lon"))[:] = made
    return made


def main() -> None:
    parsed = options(__doc__, edge=10, days=365)
    tile = get_grid("4km").tile("N30W100", parsed.edge)
    source = weather(tile, parsed.days)
    named = {"fluxatlas": ours, "xarray-regrid": xarray_regrid, "GDAL (rasterio), average": gdal}
    calls = {name: call for name, make in named.items() if (call := make(tile, source)) is not None}
    times: dict[str, float] = {}
    results: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files(tile, source, place)
        calls[f"fluxatlas{FILES}"] = partial(from_file_to_file, tile, place)
        for _ in range(ROUNDS):
            found = {name: spent(call) for name, call in calls.items()}
            found |= {f"CDO, stored weights{FILES}": cdo(place)} if (place / "weights.nc").exists() else {}
            for name, (seconds, results[name]) in found.items():
                times[name] = min(seconds, times.get(name, np.inf))
    cells = parsed.days * np.prod(tile.shape)
    lines = [
        "",
        f"A tile of {parsed.edge} degrees ({tile.shape[0]} x {tile.shape[1]} cells of 4 km), {parsed.days} days of",
        f"0.1 degree. Goal: {GOAL} times as fast as each.",
        "",
        "| | processor seconds | million cell-days per second | times ours | largest difference from ours [K] |",
        "|---|---|---|---|---|",
    ]
    for name, seconds in times.items():
        away = float(np.nanmax(np.abs(results[name] - results["fluxatlas"])))
        own = times[f"fluxatlas{FILES if name.endswith(FILES) else ''}"]
        lines.append(f"| {name} | {seconds:.2f} | {cells / seconds / 1e6:.1f} | {seconds / own:.1f} | {away:.1g} |")
    absent = [name for name in ("xarray-regrid", f"CDO, stored weights{FILES}") if name not in times]
    lines += ["", f"Not installed here: {', '.join(absent)}."] if absent else []
    report("regrid", "Conservative regridding", lines, parsed.write)
    assert all(times["fluxatlas"] < times[name] for name in named if name in times and name != "fluxatlas"), times


if __name__ == "__main__":
    main()
