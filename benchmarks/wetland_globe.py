"""All years of a 0.25 degree globe: a tile-year of wetland methane measured from files to files, the rest extrapolated.

    python benchmarks/wetland_globe.py [--write]

Made-up weather and random weights (tests/infer_world.py) on a tile of 10 degrees, all of it land; one process and one
thread, processor time of the second of two runs of the tile. Land cells are counted on the whole grid. With ``--write``
the result goes to benchmarks/results/wetland_globe.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe, options

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import infer_world as world
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import get_grid
from fluxatlas.infer.tile import run_tile
from fluxatlas.land_mask import is_land
from fluxatlas.systems import get_system

RESULT = Path(__file__).parent / "results" / "wetland_globe.md"
YEARS, CORES, ICE = 40, 2, -60.0
GRID, TILE = "0.25deg", ("N40W120", 10)
CASES = ((16, 2), (32, 3))
"""Hidden units and members: the example, and the defaults."""


def land_cells() -> int:
    """Cells of the grid north of 60 S whose centre is land."""
    grid = get_grid(GRID)
    lat = grid.lat()[grid.lat() > ICE]
    return int(is_land(lat[:, None], grid.lon()[None, :]).sum())


def tile_year(folder: Path, hidden: int, members: int) -> tuple[float, int]:
    """Processor seconds of a tile-year, and its cells that are run."""
    tile = get_grid(GRID).tile(*TILE)
    attributes = world.write_attributes(folder / "attributes.nc", tile)
    forcing = world.write_piece(folder / "forcing.nc", tile, 2001)
    paths = [world.write_member(folder / f"{hidden}_{n}.pt", n, hidden, GRID) for n in range(members)]
    for _ in range(2):  # the first one compiles
        begin = time.process_time()
        run_tile(
            tile,
            forcing=forcing,
            attributes=attributes,
            members=paths,
            output=folder / "flux.nc",
            state_out=folder / "state.nc",
            settings=InferBlock(engine="fused"),
        )
        seconds = time.process_time() - begin
    rows, columns = np.meshgrid(np.arange(720)[tile.rows], np.arange(1440)[tile.columns], indexing="ij")
    return seconds, int(((rows + 2 * columns) % 5 != 0).sum())


def main() -> None:
    given = options(__doc__)
    world.SYSTEM = get_system("wetland_methane")
    known, made = world._scaler_data, world.SYSTEM.intermediates
    world._scaler_data = lambda rng: {name: rng.gamma(2, 1, 200) for name in made} | known(rng)
    cells = land_cells()
    lines = [
        *("# All years of a 0.25 degree globe", ""),
        *describe("benchmarks/wetland_globe.py", "processor time of a tile-year from files to files."),
        "",
        f"The globe north of 60 S has {cells:,} land cells; {YEARS} years on {CORES} cores. Extrapolated by cells;"
        " ingest, training and products are not in it.",
        "",
        f"| hidden | members | cells run | s a tile-year | us a cell-day and member | {YEARS} years of all land |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        for hidden, members in CASES:
            seconds, run = tile_year(Path(name), hidden, members)
            each = 1e6 * seconds / (run * 365 * members)
            hours = seconds / run * cells * YEARS / CORES / 3600
            lines.append(
                f"| {hidden} | {members} | {run} | {seconds:.2f} | {each:.2f} | {hours:.1f} h on {CORES} cores |"
            )
    text = "\n".join(lines) + "\n"
    print(text)
    if given.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
