"""Pieces written by several processes: the same files, all or none of them, and no more open files than allowed."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.grid import Tile, get_grid
from fluxatlas.ingest import writers
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.piece_files import PieceFiles, PieceOptions
from fluxatlas.ingest.pieces import write_pieces

MAPPING = """
title: small world
citation: none
raw: {t2m: {time: interval}, t2x: {time: interval}}
variables: {tas: {of: t2m}, tasmax: {of: t2x}}
"""
PERIOD = np.datetime64("2001-01-01"), np.datetime64("2001-01-15")
TILES = [get_grid("4km").tile(f"N{lat:02d}E{lon:03d}", 10) for lat in range(0, 40, 10) for lon in range(0, 100, 10)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of packed temperatures over forty tiles, part of them sea, and an elevation."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(2)
    lat, lon = np.arange(45.0, -5.1, -1.0), np.arange(-5.0, 105.1, 1.0)
    coords = {"latitude": lat, "longitude": lon}
    sea = rng.random((lat.size, lon.size)) < 0.3
    elev = ("latitude", "longitude"), np.full(sea.shape, 100.0, np.float32), {"units": "m"}
    xr.Dataset({"elev": elev}, coords).to_netcdf(folder / "elev.nc", engine="netcdf4")
    days = np.arange(*PERIOD).astype("datetime64[ns]")
    mean = np.where(sea, np.nan, 280 + rng.normal(0, 5, (days.size, *sea.shape)))
    dims = "time", "latitude", "longitude"
    data = {"t2m": (dims, mean, {"units": "K"}), "t2x": (dims, mean + 4, {"units": "K"})}
    packing = {"dtype": "int16", "scale_factor": 0.002, "add_offset": 273.15, "_FillValue": -32767}
    xr.Dataset(data, {"time": days, **coords}).to_netcdf(
        folder / "raw.nc", engine="netcdf4", encoding=dict.fromkeys(data, packing)
    )
    (folder / "mapping.yaml").write_text(MAPPING)
    return folder


def _cut(world: Path, folder: Path, processes: int, tiles: list[Tile] = TILES) -> list[Path]:
    source = MappedSource(load_mapping(world / "mapping.yaml"), [world / "raw.nc"])
    options = PieceOptions(processes=processes)
    return write_pieces(
        source, PERIOD, tiles, ["tas", "tasmax"], folder, elevation=world / "elev.nc", options=options, attrs={"a": "b"}
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _assert_same(ours: list[Path], theirs: list[Path]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        with netCDF4.Dataset(one) as a, netCDF4.Dataset(other) as b:
            assert str(a.__dict__) == str(b.__dict__)
            assert list(a.variables) == list(b.variables)
            for name in a.variables:
                a[name].set_auto_maskandscale(False)
                b[name].set_auto_maskandscale(False)
                assert str(a[name].__dict__) == str(b[name].__dict__)
                np.testing.assert_array_equal(a[name][:], b[name][:])


@pytest.fixture(scope="module")
def alone(world: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return _cut(world, tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.parametrize("buffers", [1, 4])
def test_several_processes_write_what_one_writes(
    world: Path, alone: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffers: int
) -> None:
    monkeypatch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)
    monkeypatch.setattr(writers, "BUFFERS", buffers)
    _assert_same(_cut(world, tmp_path, 3), alone)
    assert multiprocessing.active_children() == []


def test_number_of_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [100, 200]
    monkeypatch.setattr(writers, "_cores", lambda: 4)
    monkeypatch.setattr(writers, "_open_files", lambda: 10)
    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(limits))
    assert [writers.writers_for(n) for n in (1, 15, 16, 50, 400)] == [0, 0, 2, 4, 4]
    assert [writers.writers_for(50, wanted) for wanted in (1, 3)] == [0, 3]
    assert writers.writers_for(2, 3) == 2
    assert writers.writers_for(70, 1) == 1  # more than this process may open, but not more than another one
    assert writers.writers_for(700, 1) == 5  # 158 each
    limits[1] = resource.RLIM_INFINITY
    assert writers.writers_for(700, 1) == 1
    limits[:] = 30, 40
    with pytest.raises(FluxAtlasError, match=r"may open 40 files, and needs 42[\s\S]*ulimit"):
        writers.writers_for(1)


def test_low_limit_of_open_files(world: Path, alone: list[Path], tmp_path: Path) -> None:
    """A process that may open no more than 64 files, and 24 of them at first, writes forty pieces."""
    script = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "import test_ingest_writers as t;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[4]), int(sys.argv[5])));"
        "t._cut(Path(sys.argv[2]), Path(sys.argv[3]), 1)"
    )

    def run(folder: Path, soft: int, hard: int) -> subprocess.CompletedProcess[str]:
        words = [str(Path(__file__).parent), str(world), str(folder), str(soft), str(hard)]
        return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)

    result = run(tmp_path, 24, 64)
    assert result.returncode == 0, result.stderr
    _assert_same([tmp_path / path.relative_to(alone[0].parents[1]) for path in alone], alone)
    refused = run(tmp_path / "none", 24, 24)
    assert "may open 24 files" in refused.stderr
    assert _files(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), FluxAtlasError, "was killed"),
        (lambda: (_ for _ in ()).throw(OSError("disk full")), OSError, "disk full"),
    ],
)
def test_a_writer_that_fails_leaves_nothing(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: object,
    kind: type[Exception],
    message: str,
) -> None:
    def write(self: PieceFiles, name: str, day: int, values: np.ndarray) -> None:
        if self.pieces[0].title.startswith("Daily forcing of N00E010"):
            damage()  # type: ignore[operator]

    monkeypatch.setattr(PieceFiles, "write", write)
    with pytest.raises(kind, match=message):
        _cut(world, tmp_path, 2)
    assert _files(tmp_path) == []
    assert multiprocessing.active_children() == []


def test_a_source_that_fails_midway_leaves_nothing(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)
    with xr.open_dataset(world / "raw.nc", engine="netcdf4") as raw:
        hot = raw.load()
    hot.t2m[10, 20, :] += 60
    (tmp_path / "in").mkdir()
    hot.to_netcdf(tmp_path / "in" / "raw.nc", engine="netcdf4")
    for name in ("elev.nc", "mapping.yaml"):
        (tmp_path / "in" / name).write_bytes((world / name).read_bytes())
    with pytest.raises(InputError, match="lie outside"):
        _cut(tmp_path / "in", tmp_path / "out", 2)
    assert _files(tmp_path / "out") == []
    assert multiprocessing.active_children() == []
