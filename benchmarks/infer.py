"""Speed of inference: the fused engine beside torch's, the network alone and a tile-year from files to files.

    python benchmarks/infer.py [--write]

Both engines in one process and one thread, in turn; processor time, best of the rounds. Inputs are the made-up world of
the tests (tests/infer_world.py), networks those of ``soil_methane_sink`` with random weights. With ``--write`` the
result goes to benchmarks/results/infer.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import infer_world as world
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import get_grid
from fluxatlas.infer.engine import make_engine
from fluxatlas.infer.tile import TileSummary, run_tile
from fluxatlas.train.member import Member

RESULT = Path(__file__).parent / "results" / "infer.md"
ENGINES = ("torch", "fused")
DAYS, CELLS = 73, 384
TILE = ("N36W124", 2)
FLOOR = {32: 2.0, 64: 1.7}
"""Ratios of the network alone below which the benchmark fails; the machine may be shared."""


def spent(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def network_alone(folder: Path, hidden: int, rounds: int) -> dict[str, float]:
    """Microseconds of processor time per cell-day of one member, by engine."""
    member = Member.load(world.write_member(folder / f"{hidden}.pt", 1, hidden))
    rng = np.random.default_rng(1)
    known = {name: np.ravel(values) for name, values in world._scaler_data(rng).items()}
    drivers = {
        name: rng.choice(known[name], (DAYS, CELLS)).astype(np.float32)
        for name in (*world.SYSTEM.forcing, *world.SYSTEM.slow_drivers)
    }
    statics = {name: rng.choice(known[name], CELLS).astype(np.float32) for name in world.SYSTEM.statics}
    engines = {name: make_engine(name, member) for name in ENGINES}
    state = {name: engine.run(drivers, statics, None)[1] for name, engine in engines.items()}
    best = dict.fromkeys(ENGINES, float("inf"))
    for _ in range(rounds):
        for name, engine in engines.items():
            seconds = spent(lambda engine=engine, name=name: engine.run(drivers, statics, state[name]))
            best[name] = min(best[name], 1e6 * seconds / (DAYS * CELLS))
    return best


def tile_year(folder: Path, hidden: int, members: int, rounds: int) -> tuple[dict[str, float], dict[str, TileSummary]]:
    """Processor seconds of a tile-year by engine, and what was done."""
    tile = get_grid("4km").tile(*TILE)
    attributes = world.write_attributes(folder / "attributes.nc", tile)
    forcing = world.write_piece(folder / "forcing.nc", tile, 2001)
    paths = [world.write_member(folder / f"{hidden}_{seed}.pt", seed, hidden) for seed in range(members)]
    best, reports = dict.fromkeys(ENGINES, float("inf")), {}
    for _ in range(rounds):
        for name in ENGINES:
            begin = time.process_time()
            reports[name] = run_tile(
                tile,
                forcing=forcing,
                attributes=attributes,
                members=paths,
                output=folder / f"{name}.nc",
                state_out=folder / f"{name}_state.nc",
                settings=InferBlock(engine=name),
            )
            best[name] = min(best[name], time.process_time() - begin)
    return best, reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="of the network alone")
    parser.add_argument("--tile-rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Speed of inference",
        "",
        *describe("benchmarks/infer.py"),
        "",
        f"## The network alone: one member, {CELLS} cells x {DAYS} days, state carried (us per cell-day)",
        "",
        "| hidden | torch | fused | ratio |",
        "|---|---|---|---|",
    ]
    ratios = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for hidden in (32, 64):
            best = network_alone(folder, hidden, options.rounds)
            ratios[hidden] = best["torch"] / best["fused"]
            lines.append(f"| {hidden} | {best['torch']:.2f} | {best['fused']:.2f} | {ratios[hidden]:.1f} |")
        lines += [
            "",
            "## A tile-year from files to files: mean, interval, applicability, restart file (processor seconds)",
            "",
            "| hidden | members | cell-days | torch | fused | ratio | wall seconds by part, fused |",
            "|---|---|---|---|---|---|---|",
        ]
        for hidden, members in ((64, 5), (32, 3)):
            best, reports = tile_year(folder, hidden, members, options.tile_rounds)
            parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in reports["fused"].seconds.items())
            lines.append(
                f"| {hidden} | {members} | {reports['fused'].cell_days:,} | {best['torch']:.1f} | {best['fused']:.1f} |"
                f" {best['torch'] / best['fused']:.1f} | {parts} |"
            )
    text = "\n".join(lines)
    print(text)
    if options.write:
        RESULT.write_text(text + "\n", encoding="utf-8")
    assert all(ratios[hidden] >= floor for hidden, floor in FLOOR.items()), ratios


if __name__ == "__main__":
    main()
