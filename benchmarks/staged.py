"""A tile-year from files to files beside the staged way that people write by hand, in one run.

    python benchmarks/staged.py [--rounds 2] [--write]

Staged: ``xarray.interp`` of the forcing to a NetCDF file (zlib 4), that file through ``xarray.apply_ufunc`` and torch's
``nn.GRU`` (the same three parts, widths and number of members; 256 cells at a time), mean and spread to a NetCDF file
(zlib 4, chunks of 73 x 5 x 5). It makes nothing else: no unpacked restart file, no applicability, no bounds, no
altitude. Ours: ``infer`` with the engines ``torch`` and ``fused``, and with a student in place of the members. One
thread, processor time, best of the rounds; weights are random, on which speed does not depend. The world is the made-up
one of the tests (a tile of 2 degrees at 4 km). With ``--write`` the result goes to benchmarks/results/staged.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from infer import TILE, world
from machine import options, report
from student import untaught_student
from torch import nn

from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import Tile, get_grid
from fluxatlas.infer.tile import run_tile

SHAPES = ((64, 5), (32, 3))
"""Hidden units and members."""
PARTS, OUTPUTS = 3, 2
BATCH = 256


class Staged(nn.Module):
    """Three recurrent parts, each with all drivers and statics and what the part before gave."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        sizes = [features + (OUTPUTS if part else 0) for part in range(PARTS)]
        self.parts = nn.ModuleList(nn.GRU(size, hidden, batch_first=True) for size in sizes)
        self.heads = nn.ModuleList(nn.Linear(hidden, OUTPUTS) for _ in range(PARTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(cell, time, feature) to (cell, time, output)."""
        given = x
        for part, head in zip(self.parts, self.heads, strict=True):
            made = head(part(given)[0])
            given = torch.cat([x, made], dim=-1)
        return made


def staged(folder: Path, tile: Tile, forcing: Path, attributes: Path, networks: list[Staged]) -> None:
    """The staged way, from the forcing to a file of mean and spread."""
    names = world.SYSTEM.forcing
    with xr.open_dataset(forcing) as piece:
        fine = piece[list(names)].interp(lat=tile.lat, lon=tile.lon).astype(np.float32)
        fine.to_netcdf(folder / "fine.nc", encoding={name: {"zlib": True, "complevel": 4} for name in names})
    with xr.open_dataset(folder / "fine.nc") as fine, xr.open_dataset(attributes) as layers:
        active = layers["active"].to_numpy() == 1
        static = np.stack([layers[name].to_numpy()[active] for name in world.SYSTEM.attributes], axis=-1)
        drivers = np.stack([fine[name].to_numpy()[:, active] for name in names], axis=-1).transpose(1, 0, 2)
        x = np.concatenate([drivers, np.broadcast_to(static[:, None], (*drivers.shape[:2], static.shape[-1]))], axis=-1)
        x = (x - x.mean((0, 1))) / (x.std((0, 1)) + 1e-6)
        days = fine["time"]

    def predict(cells: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            parts = [torch.from_numpy(cells[first : first + BATCH]) for first in range(0, len(cells), BATCH)]
            return np.stack([np.concatenate([one(part).numpy() for part in parts]) for one in networks])

    cells = xr.DataArray(x.astype(np.float32), dims=("cell", "time", "feature"))
    made = xr.apply_ufunc(
        predict,
        cells,
        input_core_dims=[["cell", "time", "feature"]],
        output_core_dims=[["member", "cell", "time", "flux"]],
    )
    whole = xr.Dataset(coords={"time": days.to_numpy(), "lat": tile.lat, "lon": tile.lon})
    for number in range(OUTPUTS):
        for name, values in (("mean", made[..., number].mean("member")), ("sd", made[..., number].std("member"))):
            field = np.full((days.size, *tile.shape), np.nan, np.float32)
            field[:, active] = values.transpose("time", "cell").to_numpy()
            whole[f"flux{number}_{name}"] = ("time", "lat", "lon"), field
    packed = {name: {"zlib": True, "complevel": 4, "chunksizes": (73, 5, 5)} for name in whole.data_vars}
    whole.to_netcdf(folder / "staged.nc", encoding=packed)


def tile_years(folder: Path, hidden: int, members: int, rounds: int) -> tuple[dict[str, float], int]:
    """Processor seconds of a tile-year by the way it is made, and its cell-days."""
    tile = get_grid("4km").tile(*TILE)
    attributes = world.write_attributes(folder / "attributes.nc", tile)
    forcing = world.write_piece(folder / "forcing.nc", tile, 2001)
    paths = [world.write_member(folder / f"{hidden}_{seed}.pt", seed, hidden) for seed in range(members)]
    student = untaught_student(folder / "student.pt", paths)
    networks = [Staged(len(world.SYSTEM.forcing) + len(world.SYSTEM.attributes), hidden).eval() for _ in range(members)]
    kinds = {"torch": ("torch", None), "fused": ("fused", None), "student": ("fused", student)}
    best, cell_days = dict.fromkeys(["staged", *kinds], float("inf")), 0
    for _ in range(rounds):
        begin = time.process_time()
        staged(folder, tile, forcing, attributes, networks)
        best["staged"] = min(best["staged"], time.process_time() - begin)
        for kind, (engine, given) in kinds.items():
            begin = time.process_time()
            summary = run_tile(
                tile, forcing=forcing, attributes=attributes, members=paths, output=folder / "out.nc",
                state_out=folder / "state.nc", settings=InferBlock(engine=engine), student=given,
            )  # fmt: skip
            best[kind], cell_days = min(best[kind], time.process_time() - begin), summary.cell_days
        print(f"{hidden} units, {members} members: {best}", file=sys.stderr, flush=True)
    return best, cell_days


def main() -> None:
    parsed = options(__doc__, rounds=2)
    torch.set_num_threads(1)
    lines, slow = [], []
    for hidden, members in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            best, cell_days = tile_years(Path(folder), hidden, members, parsed.rounds)
        lines += [
            "",
            f"## {members} members, {hidden} hidden units, {cell_days:,} cell-days",
            "",
            "| way | processor seconds | times as fast as the staged way | as the engine `torch` |",
            "|---|---|---|---|",
            *(
                f"| {kind} | {seconds:.1f} | {best['staged'] / seconds:.1f} | {best['torch'] / seconds:.1f} |"
                for kind, seconds in best.items()
            ),
        ]
        slow += [hidden] if best["fused"] > best["staged"] else []
    lines += ["", "Goals with 5 members of 64 units: 10 times the staged way, 8 times the engine `torch`."]
    report("staged", "A tile-year beside the staged way", lines, parsed.write)
    assert not slow, f"slower than the staged way with {slow} units"


if __name__ == "__main__":
    main()
