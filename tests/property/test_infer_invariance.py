"""The result of a tile does not depend on how the work is cut: by space, by time, over workers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import infer_world as world
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import Tile, get_grid
from fluxatlas.infer.tile import TileSummary, run_tile, spin_up
from fluxatlas.train.networks.cells import CELLS

GRID = get_grid("0.25deg")
LARGE = GRID.tile("N36W126", 6)
SMALL = GRID.tile("N38W124", 2)
DAILY = ("fch4", "ch4ox", "tsl05", "swc05", "fch4_sd", "ch4ox_sd")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invariance")
    for seed in range(2):
        world.write_member(folder / f"{seed}.pt", seed, grid=GRID.name)
    for tile in (LARGE, SMALL):
        world.write_attributes(folder / f"{tile.name}.nc", tile)
        for year in (2001, 2002):
            world.write_piece(folder / f"{tile.name}_{year}.nc", tile, year)
    run(folder, LARGE, 2001, "reference")
    return folder


def run(
    folder: Path, tile: Tile, year: int, name: str, state_in: Path | None = None, **settings: Any
) -> tuple[xr.Dataset, xr.Dataset]:
    """Fluxes and state of a tile-year."""
    output, state = folder / f"{name}.nc", folder / f"{name}_state.nc"
    report = run_tile(
        tile,
        forcing=folder / f"{tile.name}_{year}.nc",
        attributes=folder / f"{tile.name}.nc",
        members=[folder / f"{seed}.pt" for seed in range(2)],
        output=output,
        state_out=state,
        state_in=state_in,
        settings=InferBlock(**settings),
    )
    assert isinstance(report, TileSummary) and report.cells > 0
    return world.decode(output), world.decode(state)


def assert_same(one: xr.Dataset, two: xr.Dataset) -> None:
    """Equal to float32 round-off, which may move a packed value by one step."""
    for name in DAILY:
        a, b = one[name].to_numpy(), two[name].to_numpy()
        assert (np.isfinite(a) == np.isfinite(b)).all()
        off = np.abs(a - b)[np.isfinite(a)]
        assert off.max() <= 1.001 * one[name].encoding["scale_factor"], name
        assert (off > 1e-9).mean() < 0.01, name
    for name in ("fch4_member", "ch4ox_member", "dissimilarity", "point_density"):
        np.testing.assert_allclose(one[name], two[name], rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(one["applicable"], two["applicable"])


def test_a_tile_equals_the_crop_of_a_larger_tile(base: Path) -> None:
    small, small_state = run(base, SMALL, 2001, "small")
    large, large_state = world.decode(base / "reference.nc"), world.decode(base / "reference_state.nc")
    assert_same(small, large.sel(lat=small["lat"], lon=small["lon"]))
    key = list(zip(large_state["row"].values, large_state["column"].values, strict=True))
    where = [key.index(cell) for cell in zip(small_state["row"].values, small_state["column"].values, strict=True)]
    for name in small_state.data_vars:
        np.testing.assert_allclose(small_state[name], large_state[name].isel(cell=where), atol=2e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"block_cells": 37},
        {"block_cells": 100_000},
        {"time_chunk": 50},
        {"time_chunk": 366},
        {"block_cells": 100, "workers": 2, "scheduler": "threads"},
        {"compression": "zlib", "chunk_days": 31, "chunk_cells": 7},
    ],
    ids=str,
)
def test_the_cut_of_the_work_does_not_matter(base: Path, settings: dict[str, Any]) -> None:
    other, state = run(base, LARGE, 2001, "other", **settings)
    assert_same(world.decode(base / "reference.nc"), other)
    reference = world.decode(base / "reference_state.nc")
    for name in state.data_vars:
        np.testing.assert_allclose(state[name], reference[name], atol=2e-5)


@pytest.mark.slow
def test_processes_give_what_one_process_gives(base: Path) -> None:
    other, _ = run(base, LARGE, 2001, "other", block_cells=250, workers=2, scheduler="processes")
    assert_same(world.decode(base / "reference.nc"), other)


def test_a_running_dask_cluster_gives_the_same(base: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        other, _ = run(base, LARGE, 2001, "other", block_cells=250, dask_address=address)
    assert_same(world.decode(base / "reference.nc"), other)


@pytest.mark.slow
def test_a_living_cluster_elsewhere_forgets_members_that_were_trained_again(base: Path, tmp_path: Path, monkeypatch):
    """The worker may hold what it read of the same paths before; the truth is a run without the cluster."""
    from distributed import LocalCluster

    member = Path("0.pt")  # the worker was started in another folder

    def state(name: str, address: str) -> xr.Dataset:
        spin_up(
            SMALL,
            forcing=[base / f"{SMALL.name}_2001.nc"],
            attributes=base / f"{SMALL.name}.nc",
            members=[member],
            state_out=tmp_path / name,
            settings=InferBlock(dask_address=address),
        )
        return world.decode(tmp_path / name)

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        monkeypatch.chdir(tmp_path)
        world.write_member(member, 0, grid=GRID.name)
        first = state("first.nc", cluster.scheduler_address)
        world.write_member(member, 1, grid=GRID.name)
        second = state("second.nc", cluster.scheduler_address)
    alone = state("alone.nc", "")
    assert second.attrs["members"] == alone.attrs["members"] != first.attrs["members"]
    for name in alone.data_vars:
        np.testing.assert_array_equal(second[name], alone[name])
        assert np.abs(first[name] - second[name]).max() > 0.05, name


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "pyraformer"])  # its state is that of the Informer
def test_years_with_carried_state_equal_one_run_through_both(tmp_path: Path, cell: str) -> None:
    """The second year from the first one's state, against both years in one run (a spin-up over the two)."""
    base = tmp_path
    for seed in range(2):
        world.write_member(
            base / f"{seed}.pt", seed, grid=GRID.name, cell=cell, window=8 if cell in ("informer", "pyraformer") else 60
        )
    world.write_attributes(base / f"{SMALL.name}.nc", SMALL)
    for year in (2001, 2002):
        world.write_piece(base / f"{SMALL.name}_{year}.nc", SMALL, year)
    run(base, SMALL, 2001, "first")
    second, carried = run(base, SMALL, 2002, "second", base / "first_state.nc")
    spin_up(
        SMALL,
        forcing=[base / f"{SMALL.name}_{year}.nc" for year in (2001, 2002)],
        attributes=base / f"{SMALL.name}.nc",
        members=[base / f"{seed}.pt" for seed in range(2)],
        state_out=base / "both_state.nc",
    )
    both = world.decode(base / "both_state.nc")
    cold, _ = run(base, SMALL, 2002, "cold")
    for name in carried.data_vars:
        np.testing.assert_allclose(carried[name], both[name], rtol=2e-5, atol=2e-5)
    first_week = {"time": slice(0, 7)}
    difference = np.abs(second["tsl05"].isel(first_week) - cold["tsl05"].isel(first_week)).max()
    assert float(difference) > 0.05, "the state has no effect: the comparison shows nothing"


def test_daily_values_go_on_through_new_year(base: Path) -> None:
    """The second year's outputs equal a direct run of the network over both years, without any of our plumbing."""
    import torch

    from fluxatlas.drivers import slow_drivers
    from fluxatlas.ingest.atmosphere import series_of
    from fluxatlas.tiles.cells import read_cells
    from fluxatlas.tiles.piece import make_regridder, read_piece
    from fluxatlas.train.member import Member

    run(base, SMALL, 2001, "first")
    second, _ = run(base, SMALL, 2002, "second", base / "first_state.nc")
    cells = read_cells(base / f"{SMALL.name}.nc", SMALL, world.SYSTEM)
    parts, slow = [], world.SYSTEM.slow
    for year in (2001, 2002):
        piece = read_piece(base / f"{SMALL.name}_{year}.nc", world.SYSTEM.forcing)
        regridder = make_regridder(piece, SMALL, cells.orog, "bilinear")
        drivers = dict(regridder.downscale(piece.data, cells.index))
        parts.append(drivers | slow_drivers(slow, piece.dates, cells.lat, cells.monthly, series_of(slow)))
    both = {name: torch.tensor(np.concatenate([part[name] for part in parts])) for name in parts[0]}
    statics = {name: torch.tensor(values) for name, values in cells.statics.items()}
    found = []
    with torch.no_grad():
        for seed in range(2):
            outputs, _ = Member.load(base / f"{seed}.pt").network(both, statics)
            found.append({name: outputs[name].numpy()[365:] for name in world.SYSTEM.outputs})
    where = {"lat": xr.DataArray(cells.lat, dims="cell"), "lon": xr.DataArray(cells.lon, dims="cell")}
    for name in world.SYSTEM.outputs:
        expected = np.mean([member[name] for member in found], axis=0, dtype=np.float64)
        half = 0.5 * second[name].encoding["scale_factor"]
        np.testing.assert_allclose(second[name].sel(where), expected, atol=half + 2e-5 * np.abs(expected).max())
    for name in ("fch4", "ch4ox"):
        spread = np.std([member[name] for member in found], axis=0, ddof=1, dtype=np.float64)
        half = 0.5 * second[f"{name}_sd"].encoding["scale_factor"]
        np.testing.assert_allclose(second[f"{name}_sd"].sel(where), spread, atol=half + 2e-5)
        annual = np.stack([member[name].mean(axis=0, dtype=np.float64) for member in found])
        np.testing.assert_allclose(second[f"{name}_member"].sel(where), annual, rtol=1e-4, atol=2e-5)
