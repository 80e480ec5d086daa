"""Products of a global year at 4 km beside an older commit, in one run: daily file, maps, two figures of the report.

    python benchmarks/products.py [--tiles 12] [--write]

A stand-in of one row of 15 degree tiles (360 rows over the whole width of 8,640 columns, 365 days, 57 % of the cells of
a tile active; one variable with its uncertainty, five members) is made once, with so many tiles and with one. Both
trees make from the same files, each command in a process of its own. From the two the cost of a tile and of a row
without tiles follow, and from these the globe: 12 rows, 188 tiles with land. Processor time (user and system) and the
largest memory of the process. What the older tree cannot make is said. With ``--write`` the result goes to
benchmarks/results/products.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
from machine import ROOT, options, report
from scipy.ndimage import gaussian_filter
from startup import checkout

from fluxatlas import variables
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import Tile, get_grid
from fluxatlas.train.flags import NEAR, NO_CELL

YEAR, FLUX, MEMBERS, ACTIVE = 2001, "ch4ox", 5, 0.57
BBOX = (-180, 30, 180, 45)
ROWS, TILES = 12, 188
"""Rows of tiles of the globe and tiles with land."""
GOALS = {"daily file": 4, "daily file, zstd": 4, "13 maps": 1.5, "seasonal cycle": 1}
"""Minutes of processor time of the globe that were to be reached."""
SYSTEM = ["--system", "soil_methane_sink"]
MEASURED = "processor time (user and system) and largest memory of whole processes, one of each."
MOST_GB = 3.0
"""What the rules of figures ask for."""


@dataclass
class Used:
    """Processor time [s] and the largest memory [GB] of a process, or why it failed."""

    seconds: float
    memory: float
    failed: str = ""


def stand_in(folder: Path, box: tuple[int, int, int, int], tiles: int, daily: bool) -> list[str]:
    """Flux files and attributes of the first ``tiles`` tiles of ``box``, made of the same numbers, as words of a
    command; without ``daily`` values only the annual ones."""
    chosen = get_grid("4km").tiles(15, box)[:tiles]
    words: list[str] = []
    for tile in chosen:
        paths = folder / tile.name / f"{YEAR}.nc", folder / "attributes" / f"{tile.name}.nc"
        words += ["--flux", str(paths[0]), "--attributes", str(paths[1])]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        if tile is chosen[0]:
            rng, first = np.random.default_rng(5), paths
            noise = gaussian_filter(rng.standard_normal(tile.shape), 12)
            active = noise > np.quantile(noise, 1 - ACTIVE)
            _write_flux(paths[0], tile, active, rng, daily)
            _write_attributes(paths[1], tile, active)
        else:
            for here, other in zip(paths, first, strict=True):
                shutil.copy(other, here)
                with netCDF4.Dataset(here, "a") as file:
                    file["lon"][:], file["lat"][:] = tile.lon, tile.lat
    return words


def _axes(file: netCDF4.Dataset, tile: Tile, **more: np.ndarray) -> None:
    for name, values in (("lat", tile.lat), ("lon", tile.lon), *more.items()):
        file.createDimension(name, len(values))
        file.createVariable(name, "f8", (name,))[:] = values


def _write_attributes(path: Path, tile: Tile, active: np.ndarray) -> None:
    layers = {"areacella": 2e7, "uplandFrac": 80.0, "sftlf": 100.0, "orog": 300.0, "biome": 1.0, "wetlandFrac": 5.0}
    with netCDF4.Dataset(path, "w") as file:
        _axes(file, tile)
        file.weight = "areacella uplandFrac"
        file.createVariable("active", "i1", ("lat", "lon"), compression="zstd")[:] = active
        for name, value in layers.items():
            layer = np.where(active, value, 0.0 if name == "sftlf" else np.nan)
            file.createVariable(name, "f4", ("lat", "lon"), fill_value=np.float32(np.nan), compression="zstd")[:] = (
                layer
            )


def _write_flux(path: Path, tile: Tile, active: np.ndarray, rng: np.random.Generator, daily: bool) -> None:
    settings = InferBlock()
    days = pd.date_range(f"{YEAR}-01-01", f"{YEAR}-12-31")
    place = 1 + 0.3 * gaussian_filter(rng.standard_normal(tile.shape), 6) * 12
    with netCDF4.Dataset(path, "w") as file:
        _axes(file, tile, member=np.arange(MEMBERS))
        file.createDimension("time", len(days))
        time = file.createVariable("time", "i4", ("time",))
        time.units = "days since 1970-01-01"
        time[:] = (days - pd.Timestamp("1970-01-01")).days
        row = variables.get(FLUX)
        sizes = settings.chunk_days, settings.chunk_cells, settings.chunk_cells
        for name, share in ((FLUX, 1.0), (f"{FLUX}_sd", 0.15)) if daily else ():
            made = file.createVariable(
                name, "i2", ("time", "lat", "lon"), fill_value=variables.FILL, chunksizes=sizes, fletcher32=True,
                compression=settings.compression, complevel=settings.compression_level,
            )  # fmt: skip
            made.setncatts({"scale_factor": row.packing[0], "add_offset": row.packing[1], **row.attrs})
            made.set_auto_maskandscale(False)
            for first in range(0, len(days), sizes[0]):
                here = days[first : first + sizes[0]]
                season = 1 + 0.6 * np.cos(2 * np.pi * (here.day_of_year.to_numpy() / 365 - 0.56))[:, None, None]
                weather = rng.normal(0, 0.01, (len(here), *tile.shape))
                values = share * (season * place + weather)
                raw = np.rint((values - row.packing[1]) / row.packing[0])
                made[first : first + len(here)] = np.where(active, raw, variables.FILL).astype(np.int16)
        for name, dims, kind in (
            (f"{FLUX}_member", ("member", "lat", "lon"), "f4"), (f"{FLUX}_year_sd", ("lat", "lon"), "f4"),
            ("dissimilarity", ("lat", "lon"), "f4"), ("point_density", ("lat", "lon"), "f4"),
        ):  # fmt: skip
            shape = tuple(len(file.dimensions[dim]) for dim in dims)
            layer = np.where(active, rng.random(shape), np.nan)
            file.createVariable(name, kind, dims, fill_value=np.float32(np.nan), compression="zstd")[:] = layer
        flag = file.createVariable("applicable", "i1", ("lat", "lon"), fill_value=NO_CELL)
        flag[:] = np.where(active, NEAR, NO_CELL)


RUN = """
import atexit, pathlib, sys
place, sys.argv = sys.argv[1], ["fluxatlas", *sys.argv[2:]]
atexit.register(lambda: pathlib.Path(place).write_text(pathlib.Path("/proc/self/status").read_text()))
from fluxatlas.cli import main
main()
"""


def run(tree: Path, words: list[str]) -> Used:
    """What ``fluxatlas`` of ``tree`` with ``words`` needs; its memory is that of the program, not of who started it."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile() as place, tempfile.TemporaryFile() as said:
        call = [sys.executable, "-c", RUN, place.name, *words]
        child = subprocess.Popen(call, env=environment, stderr=said, stdout=said)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last = (said.read().decode(errors="replace").strip().splitlines() or [""])[-1]
        peak = re.search(r"VmHWM:\s*(\d+) kB", Path(place.name).read_text(encoding="utf-8"))
    failed = f"failed: {last[:120]}" if child.returncode else ""
    return Used(used.ru_utime + used.ru_stime, int(peak[1]) / 1e6 if peak else float("nan"), failed)


def commands(words: list[str], out: Path) -> Iterator[tuple[str, list[str]]]:
    """What is measured on days, by name, and the words of its command."""
    daily, named = out / f"{FLUX}_{YEAR}.nc", ["--variable", FLUX, "--year", str(YEAR)]
    box = ["--bbox", *map(str, BBOX)]
    make = ["products", "daily", *named, *words, *box, *SYSTEM]
    yield "daily file, zstd", [*make, "--settings", '{"compression": "zstd"}', "--output", str(out / "zstd.nc")]
    yield "daily file", [*make, "--output", str(daily)]
    yield "13 maps", ["products", "cog", "--daily", str(daily), *named, "--output-dir", str(out / "maps")]
    figure = ["report", "figure", "seasonal_cycle", *SYSTEM, "--daily", str(daily)]
    yield "seasonal cycle", [*figure, "--output", str(out / "cycle.png")]


def measured(trees: dict[str, Path], folder: Path, tiles: int) -> dict[str, dict[str, Used]]:
    """What each tree needs for each product of ``tiles`` tiles of a row."""
    words = stand_in(folder / "days", BBOX, tiles, daily=True)
    found: dict[str, dict[str, Used]] = {}
    for tree, path in trees.items():
        out = folder / tree
        out.mkdir()
        for what, called in commands(words, out):
            found.setdefault(what, {})[tree] = run(path, called)
            print(f"{tiles} tiles, {what}, {tree}: {found[what][tree]}", file=sys.stderr, flush=True)
        shutil.rmtree(out)
    shutil.rmtree(folder / "days")
    return found


def flux_maps(trees: dict[str, Path], folder: Path) -> dict[str, Used]:
    """What each tree needs for the map of the flux of the whole globe, from annual values alone."""
    words = stand_in(folder / "annual", (-180, -60, 180, 60), TILES, daily=False)
    called = {"old": "uptake_map", "now": "flux_map"}
    rest = [*SYSTEM, *words, "--output", str(folder / "map.png")]
    return {tree: run(path, ["report", "figure", called[tree], *rest]) for tree, path in trees.items()}


def row(what: str, many: dict[str, Used], one: dict[str, Used], tiles: int) -> str:
    """A line of the table."""
    globe = {}
    for tree in many:
        tile = (many[tree].seconds - one[tree].seconds) / (tiles - 1)
        globe[tree] = (ROWS * (one[tree].seconds - tile) + TILES * tile) / 60
    old, now = many["old"], many["now"]
    cells = [f"{old.seconds:.1f}{f' ({old.failed})' if old.failed else ''}", f"{now.seconds:.1f}"]
    cells += [f"{old.seconds / now.seconds:.1f}", f"{globe['old']:.1f}", f"{globe['now']:.1f}", f"{GOALS[what]:g}"]
    return f"| {what} | {' | '.join(cells)} | {old.memory:.2f} | {now.memory:.2f} |"


def main() -> None:
    parsed = options(__doc__, tiles=12)
    commit = "7aefd0e"
    with checkout(commit) as tree, tempfile.TemporaryDirectory() as name:
        folder, trees = Path(name), {"old": tree, "now": ROOT}
        one, many = (measured(trees, folder, tiles) for tiles in (1, parsed.tiles))
        maps = flux_maps(trees, folder)
    lines = [
        "",
        f"One variable with its uncertainty, a year, a row of 15 degree tiles of the 4 km grid, {parsed.tiles} of them",
        f"with land ({ACTIVE:.0%} of their cells active); the globe ({ROWS} rows, {TILES} tiles) follows from that and",
        f"from the same row with one tile. `then` is {commit}.",
        "",
        "| | row, then [s] | row, now [s] | ratio | globe, then [min] | now | goal | memory, then [GB] | now |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    failures = []
    for what in GOALS:
        lines.append(row(what, many[what], one[what], parsed.tiles))
        failures += [f"{what}: {many[what]['now'].failed}"] if many[what]["now"].failed else []
        failures += [f"{what} takes {many[what]['now'].memory:.1f} GB"] if many[what]["now"].memory > MOST_GB else []
    old, now = maps["old"], maps["now"]
    lines += [
        "",
        f"Map of the flux of the whole globe ({TILES} tiles, {MEMBERS} members): then {old.seconds:.0f} s and",
        f"{old.memory:.2f} GB{old.failed}, now {now.seconds:.0f} s and {now.memory:.2f} GB.",
    ]
    report("products", "Products of a global year", lines, parsed.write, MEASURED)
    failures += [f"map: {now.failed or f'{now.memory:.1f} GB'}"] if now.failed or now.memory > MOST_GB else []
    assert not failures, failures


if __name__ == "__main__":
    main()
