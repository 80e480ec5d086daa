"""Predicted against measured peak memory."""

import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import infer_world as world
from fluxatlas import files, variables
from fluxatlas.config import load
from fluxatlas.config.infer import InferBlock
from fluxatlas.errors import MemoryLimitError
from fluxatlas.grid import get_grid
from fluxatlas.infer import output
from fluxatlas.infer.tile import TileJob
from fluxatlas.paths import REPOSITORY
from fluxatlas.plan import plan, table
from fluxatlas.run import Run

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
@pytest.mark.parametrize("cell", ["gru", "tcn"])
def test_prediction_is_near_the_measured_peak(tmp_path: Path, cell: str) -> None:
    """Between 0.9 and 1.8 times the peak of a process, with blocks large enough to matter (about 300 MB)."""
    tile = get_grid("0.25deg").tile("N30W130", 10)
    world.write_piece(tmp_path / "2001.nc", tile, 2001)
    world.write_attributes(tmp_path / "attributes.nc", tile)
    members = [
        world.write_member(tmp_path / f"{seed}.pt", seed, 48 if cell == "gru" else 16, tile.grid.name, cell=cell)
        for seed in range(2)
    ]
    settings = InferBlock(block_cells=2000, time_chunk=366)
    run = TileJob(tile, [tmp_path / "2001.nc"], tmp_path / "attributes.nc", members, settings, "")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), settings.model_dump_json()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured = float(done.stdout)
    assert 0.9 < run.predicted_bytes() / measured < 1.8, (run.predicted_bytes() / 1e6, measured / 1e6)


PLANS = {
    "the default": {},
    "threads": {"infer": {"workers": 4}},
    "processes": {"infer": {"workers": 16}},
    "wished processes": {"infer": {"workers": 2, "scheduler": "processes", "block_cells": 300}},
    "a wide LSTM of two layers": {"train": {"cell": "lstm", "hidden": 64, "layers": 2, "members": 2}},
    "an EA-LSTM": {"train": {"cell": "ea_lstm", "hidden": 16, "members": 2}},
    "a TCN": {"train": {"cell": "tcn", "hidden": 16, "layers": 2, "members": 2, "window_days": 40}},
    "a Transformer": {"train": {"cell": "transformer", "hidden": 16, "members": 2, "window_days": 90}},
    "an iTransformer": {"train": {"cell": "itransformer", "hidden": 16, "members": 2, "head": "free"}},
    "a finer source": {"synthetic_earth": {"resolution": 0.1}, "forcing": {"halo": 4}},
    "a domain within the tile": {"domain": {"west": -5, "south": 36, "east": -4.1, "north": 37.3}},
    "a leap year": {"period": {"start": 2004, "end": 2004}, "infer": {"time_chunk": 366}},
}


@pytest.mark.parametrize("changes", PLANS.values(), ids=list(PLANS))
def test_the_plan_says_what_inference_checks(tmp_path: Path, changes: dict[str, dict[str, object]]) -> None:
    """Members, attributes and a piece as the configuration lets the stages make them, against the plan."""
    settings = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    settings["domain"] = {"west": -6, "south": 36, "east": -4, "north": 38}
    for block, leaves in changes.items():
        settings[block] |= leaves
    run = Run(load(settings))
    (name,) = run.tiles
    tile, config = run.tile(name), run.config
    _write_attributes(tmp_path / "attributes.nc", tile, run.land[name])
    _write_piece(tmp_path / "piece.nc", config, run.years[0])
    train = config.train
    built = {"layers": train.layers, "cell": train.cell, "window": train.window_days, "head": train.head}
    members = [
        world.write_member(tmp_path / f"{seed}.pt", seed, train.hidden, **built) for seed in range(train.members)
    ]
    allowed = config.infer.model_copy(update={"memory_mb": 100_000})
    job = TileJob(tile, [tmp_path / "piece.nc"], tmp_path / "attributes.nc", members, allowed, "")
    planned = next(row.memory_mb for row in plan(run) if row.stage == "infer")
    assert planned == pytest.approx(job.predicted_bytes() / 1e6, rel=1e-12)
    below = config.infer.model_copy(update={"memory_mb": int(planned) - 1})
    with pytest.raises(MemoryLimitError, match="predicted to need"):
        TileJob(tile, [tmp_path / "piece.nc"], tmp_path / "attributes.nc", members, below, "")
    assert ("inference will refuse to start" in table(run, 2)) == (planned > config.infer.memory_mb)


def _write_attributes(path: Path, tile, land: int) -> None:
    world.write_attributes(path, tile)
    data = files.read_netcdf(path)
    data = data.map(lambda layer: layer.fillna(layer.mean()))
    data["active"] = (
        ("lat", "lon"),
        (np.arange(data["active"].size) < land).reshape(data["active"].shape).astype("i1"),
    )
    files.write_netcdf(data, path)


def _write_piece(path: Path, config, year: int) -> None:
    """A piece of the synthetic Earth: points at multiples of its resolution, cells that touch the domain and a halo."""
    step, halo = config.synthetic_earth.resolution, config.forcing.halo
    west, south, east, north = config.domain.bbox
    points = np.round(np.arange(-180 / step, 180 / step + 1)) * step
    lat, lon = (
        points[(points + step / 2 > low + 1e-9) & (points - step / 2 < high - 1e-9)]
        for low, high in ((south, north), (west, east))
    )
    extra = step * np.arange(1, halo + 1)
    lat, lon = (np.concatenate([axis[0] - extra[::-1], axis, axis[-1] + extra]) for axis in (lat, lon))
    dates = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    data = {
        name: (("time", "lat", "lon"), world.weather(name, lat[::-1], lon, dates), variables.get(name).attrs)
        for name in world.SYSTEM.forcing
    }
    data["orog"] = (("lat", "lon"), world.attribute("orog", lat[::-1], lon), {"units": "m"})
    files.write_netcdf(xr.Dataset(data, coords={"time": dates, "lat": lat[::-1], "lon": lon}), path)


def test_a_variable_of_the_file_holds_two_chunks_and_not_what_the_library_would(tmp_path: Path) -> None:
    """The usual cache stays in memory until the file is closed, for each variable
    (findings/netcdf_cache_for_each_variable.sh)."""
    settings = InferBlock()
    with netCDF4.Dataset(tmp_path / "f.nc", "w") as file:
        for name, size in (("time", 365), ("lat", 1200), ("lon", 1200)):
            file.createDimension(name, size)
        variable = output._variable(file, "v", "i2", ("time", "lat", "lon"), np.int16(-1), settings)
        chunk = 2 * int(np.prod(variable.chunking()))
        assert variable.get_var_chunk_cache()[0] == 2 * chunk < netCDF4.get_chunk_cache()[0] / 4
