"""Memory and processor time of inference on a 10 degree tile of the 1 km grid (1.44 million cells), measured on parts.

    python benchmarks/tile_1km.py [--members 2] [--hidden 16] [--write]

A tile-year of land alone takes hours on one core, so that the whole tile and year is run with few cells of land, from
files to files and each in a process of its own. Its peak stands beside what ``plan`` and the job itself predict for the
same cells; the tile-year of land alone is predicted by the same formula, and its time extrapolated from cell-days.
Inputs are made up; weights are random.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from machine import options, report

from fluxatlas import variables
from fluxatlas.config.infer import InferBlock
from fluxatlas.files import write_netcdf
from fluxatlas.grid import Tile, get_grid
from fluxatlas.infer.memory import of_tile
from fluxatlas.infer.tile import TileJob
from fluxatlas.systems import get_system
from fluxatlas.train.applicability import Applicability, feature_names
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.states import NetworkShape

SYSTEM = get_system("soil_moisture_energy")
TILE = get_grid("1km").tile("N30W010", 10)
STEP = 0.25
SHARES = (0.01, 0.03)
"""Shares of land of the parts."""
LIMIT = 3 * 1024**3
RANGES = {
    "tas": (270, 300), "pr": (0, 1e-4), "rsds": (50, 300), "rlds": (220, 380), "huss": (0.002, 0.012),
    "ps": (9e4, 1e5), "sfcWind": (1, 6), "lai": (0.3, 5), "co2": (370, 420), "sand": (10, 80), "clay": (5, 40),
    "soc": (3, 40), "orog": (0, 900), "swcwp": (0.05, 0.2), "swcfc": (0.2, 0.35), "swcsat": (0.4, 0.55),
    "snw": (0, 40), "swc05": (0.1, 0.4), "swc45": (0.1, 0.4), "rns": (0, 150), "hfdsl": (-10, 10), "evapfrac": (0, 1),
    "hfls": (0, 100), "hfss": (0, 100), "evspsbl": (0, 5e-5),
}  # fmt: skip


def write_attributes(path: Path, share: float) -> None:
    rng = np.random.default_rng(1)
    active = rng.random(TILE.shape) < share
    data = {"active": (("lat", "lon"), active.astype(np.int8))}
    for name in (*SYSTEM.attributes, "orog"):
        data[name] = (("lat", "lon"), np.where(active, rng.uniform(*RANGES[name], TILE.shape), np.nan).astype("f4"))
    lai = np.where(active, rng.uniform(*RANGES["lai"], (12, 1, 1)), np.nan).astype(np.float32)
    data["lai"] = (("month", "lat", "lon"), lai)
    write_netcdf(xr.Dataset(data, coords={"lat": TILE.lat, "lon": TILE.lon}), path)


def write_piece(path: Path) -> None:
    rng = np.random.default_rng(2)
    west, south, east, north = TILE.bbox
    lat = np.arange(north + 2.5 * STEP, south - 3 * STEP, -STEP)
    lon = np.arange(west - 2.5 * STEP, east + 3 * STEP, STEP)
    dates = pd.date_range("2001-01-01", "2001-12-31")
    shape = (len(dates), len(lat), len(lon))
    data = {
        name: (("time", "lat", "lon"), rng.uniform(*RANGES[name], shape), variables.get(name).attrs)
        for name in SYSTEM.forcing
    }
    data["orog"] = (("lat", "lon"), rng.uniform(*RANGES["orog"], shape[1:]), {"units": "m"})
    encoding = {name: variables.get(name).encoding() for name in SYSTEM.forcing}
    write_netcdf(xr.Dataset(data, coords={"time": dates, "lat": lat, "lon": lon}), path, encoding)


def write_member(path: Path, seed: int, hidden: int) -> Path:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=hidden))
    network.scaler.fit({name: rng.uniform(*limits, 200) for name, limits in RANGES.items()})
    names = feature_names(dict.fromkeys(SYSTEM.statics), SYSTEM.climate)
    library = Applicability.of_library(1e4 * rng.normal(size=(400, len(names))), len(SYSTEM.climate) + 1, names)
    index = library.with_sites(rng.normal(size=(60, len(names))), np.arange(60) % 12, np.ones(len(names)))
    Member(network, TILE.grid.name, index, {"seed": seed}).save(path)
    return path


def child(folder: Path, members: int) -> None:
    """Run one part; say its peak, what was predicted, and processor seconds, as JSON."""
    paths = [folder / f"{seed}.pt" for seed in range(members)]
    job = TileJob(TILE, [folder / "piece.nc"], folder / "attributes.nc", paths, InferBlock(memory_mb=100_000), ())
    begin = time.process_time()
    done = job.tile_year(folder / "flux.nc", folder / "state.nc", None, None)
    spent = time.process_time() - begin
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = 1024 * int(status["VmHWM"].split()[0])
    parts = {name: round(seconds, 1) for name, seconds in done.seconds.items()}
    print(json.dumps([peak, job.predicted_bytes(), spent, done.cell_days, parts]))


def whole(tile: Tile, members: int, hidden: int) -> int:
    """Predicted peak of a tile-year of land alone, forcing of 0.1 degrees as ERA5-Land."""
    memories = sum(len(part.memories) for part in SYSTEM.submodules)
    variates = tuple(len(part.drivers) + len(part.upstream) + len(part.memories) for part in SYSTEM.submodules)
    cells = tile.shape[0] * tile.shape[1]
    return of_tile(
        InferBlock(),
        SYSTEM,
        tile_cells=cells,
        land_cells=cells,
        piece_cells=105**2,
        days=366,
        members=members,
        shape=NetworkShape("gru", hidden, 1, 365, variates, memories),
    )


def main() -> None:
    given = options(__doc__, members=2, hidden=16)
    rows, per_day = [], 0.0
    for share in SHARES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_attributes(folder / "attributes.nc", share)
            write_piece(folder / "piece.nc")
            for seed in range(given.members):
                write_member(folder / f"{seed}.pt", seed, given.hidden)
            done = subprocess.run(
                [sys.executable, __file__, "--part", name, str(given.members)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            peak, predicted, spent, cell_days, parts = json.loads(done.stdout.splitlines()[-1])
            sizes = [(folder / file).stat().st_size / 1e6 for file in ("flux.nc", "state.nc")]
        per_day = max(per_day, spent / cell_days)
        rows.append(
            f"| {share:.0%} | {cell_days / 1e6:.1f} | {peak / 1e6:,.0f} | {predicted / 1e6:,.0f} |"
            f" {predicted / peak:.2f} | {spent:.0f} | {sizes[0]:,.0f}, {sizes[1]:,.0f} | {parts} |"
        )
    cells = TILE.shape[0] * TILE.shape[1]
    hours = per_day * cells * 365 / 3600
    lines = [
        "",
        f"{given.members} members of {given.hidden} units, one worker.",
        "",
        "| land | million cell-days | peak MB | predicted MB | ratio | processor s | MB of fluxes, state |"
        " wall s by part |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Extrapolated by cell-days (the dearer part): a tile-year of land alone takes {hours:.1f} core-hours.",
        "Predicted peak of such a tile-year with forcing of 0.1 degrees, members x units: "
        + ", ".join(f"{m} x {h}: {whole(TILE, m, h) / 1e6:,.0f} MB" for m, h in ((2, 16), (5, 32), (5, 64)))
        + ".",
    ]
    report("tile_1km", "A 10 degree tile at 1 km: memory and time of inference, measured on parts", lines, given.write)
    assert whole(TILE, 5, 64) < LIMIT


if __name__ == "__main__":
    if "--part" in sys.argv:
        child(Path(sys.argv[-2]), int(sys.argv[-1]))
    else:
        main()
