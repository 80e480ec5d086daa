"""Predicted against measured peak memory."""

import subprocess
import sys
from pathlib import Path

import pytest

import infer_world as world
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import get_grid
from fluxatlas.infer.tile import TileJob

SCRIPT = """
import sys
from pathlib import Path
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import get_grid
from fluxatlas.infer.tile import run_tile
folder = Path(sys.argv[1])
run_tile(get_grid("0.25deg").tile("N30W130", 10), forcing=folder / "2001.nc", attributes=folder / "attributes.nc",
         members=[folder / "0.pt", folder / "1.pt"], output=folder / "flux.nc", state_out=folder / "state.nc",
         settings=InferBlock.model_validate_json(sys.argv[2]))
# not ru_maxrss, which a child inherits from a large parent
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(1024 * int(status["VmHWM"].split()[0]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_prediction_is_near_the_measured_peak(tmp_path: Path) -> None:
    """Between 0.9 and 1.8 times the peak of a process, with blocks large enough to matter (about 300 MB)."""
    tile = get_grid("0.25deg").tile("N30W130", 10)
    world.write_piece(tmp_path / "2001.nc", tile, 2001)
    world.write_attributes(tmp_path / "attributes.nc", tile)
    members = [world.write_member(tmp_path / f"{seed}.pt", seed, 48, tile.grid.name) for seed in range(2)]
    settings = InferBlock(block_cells=2000, time_chunk=366)
    run = TileJob(tile, [tmp_path / "2001.nc"], tmp_path / "attributes.nc", members, settings, "")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), settings.model_dump_json()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured = float(done.stdout)
    assert 0.9 < run.predicted_bytes() / measured < 1.8, (run.predicted_bytes() / 1e6, measured / 1e6)
