"""Ingest of a long period that was stopped: finished parts are used again, nothing else is; the files are the same."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import InputError
from fluxatlas.files import file_hash
from fluxatlas.grid import get_grid
from fluxatlas.ingest import parts
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.piece_files import PieceOptions
from fluxatlas.ingest.pieces import write_pieces

MAPPING = """
title: small world
citation: none
step_hours: 12
raw: {t2m: {time: interval}, tp: {time: interval}}
variables: {tas: {of: t2m}, pr: {of: tp}}
"""
DAYS = 43
PERIOD = np.datetime64("2001-01-01"), np.datetime64("2001-01-01") + DAYS
NAME = "2001-01-01_2001-02-12"
PARTS = f".{NAME}.*.parts"
TILES = [get_grid("4km").tile(name, 10) for name in ("N00E000", "N00E010", "N10E000", "N10E010")]


def _raw(rng: np.random.Generator) -> xr.Dataset:
    """Steps of 12 hours over six weeks, part of the cells sea, rain with tiny negative values."""
    lat, lon = np.arange(24.5, -4.6, -1.0), np.arange(-4.5, 24.6, 1.0)
    sea = rng.random((lat.size, lon.size)) < 0.3
    steps = np.arange(PERIOD[0], PERIOD[1], np.timedelta64(12, "h"), dtype="datetime64[ns]")
    shape, dims = (steps.size, *sea.shape), ("time", "latitude", "longitude")
    values = {"t2m": 285 + rng.normal(0, 5, shape), "tp": 1e-6 * rng.integers(-1, 9, shape)}
    units = {"t2m": "K", "tp": "kg m-2 s-1"}
    data = {n: (dims, np.where(sea, np.nan, v).astype(np.float32), {"units": units[n]}) for n, v in values.items()}
    return xr.Dataset(data, {"time": steps, "latitude": lat, "longitude": lon})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    raw = _raw(np.random.default_rng(7))
    raw.to_netcdf(folder / "raw.nc", engine="netcdf4")
    elev = ("latitude", "longitude"), np.full(raw.t2m.shape[1:], 100.0, np.float32), {"units": "m"}
    xr.Dataset({"elev": elev}, raw.drop_vars("time").coords).to_netcdf(folder / "elev.nc", engine="netcdf4")
    (folder / "mapping.yaml").write_text(MAPPING)
    return folder


@pytest.fixture(autouse=True)
def parts_of_eight_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_VALUES", 1)
    monkeypatch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)  # a day per block, so chunks of 8 days


def _cut(world: Path, folder: Path, processes: int = 1, **changed: Any) -> list[str]:
    """Write the pieces; what was said of each block and part."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        stop(len(said))

    stop: Callable[[int], None] = changed.pop("stop", lambda number: None)
    tiles = changed.pop("tiles", TILES)
    kept_for = changed.pop("kept_for", parts.identity({}, {p: file_hash(world / p) for p in ("raw.nc", "elev.nc")}))
    source = MappedSource(load_mapping(world / "mapping.yaml"), [world / "raw.nc"])
    options = PieceOptions(processes=processes, **changed)
    write_pieces(source, PERIOD, tiles, ["tas", "pr"], folder, elevation=world / "elev.nc", options=options,
                 attrs={"a": "b"}, kept_for=kept_for, say=say)  # fmt: skip
    return said


def _killed(world: Path, folder: Path, after: int, processes: int = 1) -> None:
    """Start in another process, which is killed when it has said so much."""

    def stop(number: int) -> None:
        if number == after:
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(
        target=_cut, args=(world, folder, processes), kwargs={"stop": stop}
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL


def _read(said: list[str]) -> int:
    return sum("written to" in text for text in said)


def _contents(folder: Path) -> dict[str, Any]:
    """All that the pieces below ``folder`` hold, bit by bit; nothing else may be there."""
    held: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with netCDF4.Dataset(path) as data:
            data.set_auto_maskandscale(False)
            values = {name: (str(v.__dict__), v.chunking(), v[:].tobytes()) for name, v in data.variables.items()}
            held[str(path.relative_to(folder))] = str(data.__dict__), values
    return held


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The pieces that are written in one go, without parts."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)
        assert _read(_cut(world, folder, kept_for="")) == DAYS
    held = _contents(folder)
    assert len(held) == len(TILES)
    return held


@pytest.mark.parametrize("processes", [1, 2])
def test_parts_make_the_pieces_of_one_go(world: Path, whole: dict, tmp_path: Path, processes: int) -> None:
    said = _cut(world, tmp_path, processes)
    assert _read(said) == DAYS and said[-1] == "6 parts are put together"
    assert _contents(tmp_path) == whole
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("after", "read"), [(5, DAYS), (20, DAYS - 16), (DAYS, 3), (DAYS + 1, 0)])
def test_a_killed_job_goes_on_with_the_part_it_was_in(
    world: Path, whole: dict, tmp_path: Path, after: int, read: int
) -> None:
    _killed(world, tmp_path, after)  # in the first part, the third and the last one, and when all are put together
    assert not list(tmp_path.glob(f"*/{NAME}.nc"))
    assert _read(_cut(world, tmp_path)) == read
    assert _contents(tmp_path) == whole
    assert not list(tmp_path.glob(".*"))


def test_killed_again_and_again_with_other_numbers_of_processes(world: Path, whole: dict, tmp_path: Path) -> None:
    for number in range(2):
        _killed(world, tmp_path, 12 + number, processes=1 + number % 2)
    assert _read(_cut(world, tmp_path, 2)) < DAYS
    assert _contents(tmp_path) == whole


@pytest.mark.parametrize(
    "changed", [{"compression_level": 5}, {"fill_cells": 2}, {"kept_for": "another configuration"}]
)
def test_parts_of_another_configuration_are_not_used(world: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    _killed(world, tmp_path, 20)
    assert len(list(tmp_path.glob(f"{PARTS}/*/*.npz"))) == 2
    said = _cut(world, tmp_path, stop=lambda number: None, **changed)
    assert _read(said) == DAYS and not list(tmp_path.glob(".*"))


def test_what_is_kept_is_told_by_files_and_mapping(world: Path, tmp_path: Path) -> None:
    other = tmp_path / "world"
    shutil.copytree(world, other)
    _killed(world, tmp_path / "pieces", 20)
    (other / "mapping.yaml").write_text(MAPPING.replace("small", "large"))
    assert _read(_cut(other, tmp_path / "pieces")) == DAYS
    store = tmp_path / "store.zarr"
    _raw(np.random.default_rng(1)).isel(time=[0]).to_zarr(store)
    before = parts.identity({}, {str(store): "same"})
    assert parts.identity({"day": "local"}, {str(store): "same"}) != before == parts.identity({}, {str(store): "same"})
    os.utime(next(p for p in store.rglob("*") if p.is_file()), (2e9, 2e9))  # newer, the metadata as before
    parts.with_contents.__globals__["_newest_in"].cache_clear()
    assert parts.identity({}, {str(store): "same"}) != before


def test_jobs_of_other_tiles_leave_each_other_their_parts(world: Path, tmp_path: Path) -> None:
    """One job begins, writes and ends while another is in its third part, and once more when that is put together."""

    def beside(number: int) -> None:
        if number in (20, DAYS + 1):
            assert _read(_cut(world, tmp_path / "both", tiles=TILES[2:])) == DAYS

    assert _read(_cut(world, tmp_path / "both", tiles=TILES[:2], stop=beside)) == DAYS
    for half in (TILES[:2], TILES[2:]):
        _cut(world, tmp_path / "alone", tiles=half, kept_for="")
    assert _contents(tmp_path / "both") == _contents(tmp_path / "alone") and not list(tmp_path.glob("both/.*"))


@pytest.mark.parametrize("damage", ["bit", "file", "note", "cut"])
def test_a_damaged_part_is_made_again(world: Path, whole: dict, tmp_path: Path, damage: str) -> None:
    _killed(world, tmp_path, 28)  # after three parts
    kept = next(tmp_path.glob(f"{PARTS}/*/001.npz"))
    part = kept.with_suffix("") / "N10E000.nc"
    data = bytearray(part.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 4
        part.write_bytes(data)
    elif damage == "file":
        part.unlink()
    else:
        kept.unlink() if damage == "note" else kept.write_bytes(kept.read_bytes()[:-40])
    assert _read(_cut(world, tmp_path)) == DAYS - 24 + 8
    assert _contents(tmp_path) == whole


def test_what_was_learnt_before_the_stop_still_holds(world: Path, tmp_path: Path) -> None:
    """A cell without data from the fourth week on is refused after a resumption as in one go."""
    with xr.open_dataset(world / "raw.nc", engine="netcdf4") as raw:
        later = raw.load()
    row, column = np.argwhere(np.isfinite(later.t2m.values[0]) & (np.arange(30) > 6) & (np.arange(30) < 20)[:, None])[0]
    later.t2m[50:, row, column] = np.nan
    later.tp[50:, row, column] = np.nan
    other = tmp_path / "world"
    shutil.copytree(world, other)
    later.to_netcdf(other / "raw.nc", engine="netcdf4")
    for kept_for in ("same", ""):
        with pytest.raises(InputError, match=r"missing on some days only \(1 cells\)") as refused:
            _cut(other, tmp_path / "pieces", kept_for=kept_for)
        where = refused.value.where
        if kept_for:  # three parts were finished, so that the cell is known to have had data
            with pytest.raises(InputError, match="missing on some days only") as again:
                _cut(other, tmp_path / "pieces", kept_for=kept_for)
            assert again.value.where == where
    assert not list(tmp_path.glob("pieces/*/*.nc"))


def test_a_short_period_is_one_part(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    per_day = 2 * 24**2 * 2 * 2  # at least: steps, cells of the window, variables
    monkeypatch.setattr(parts, "PART_VALUES", per_day * DAYS)
    said = _cut(world, tmp_path)
    assert _read(said) == DAYS and "put together" not in said[-1]
