"""Daily files and budgets by the workers of a Dask cluster: the same bits as without one, and words where it fails."""

from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster

from fluxatlas import dask_cluster
from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import InputError
from fluxatlas.products.budget import budget_table
from fluxatlas.products.daily import write_daily
from fluxatlas.systems import get_system
from stage_files import make_world

SYSTEM = get_system("soil_methane_sink")
CHUNKS = (50, 16, 15)  # slabs that begin and end within tiles


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("dask"), years=(2001,))


@pytest.fixture(scope="module")
def address():
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def daily(path: Path, world, address: str) -> dict[str, bytes]:
    """Every variable of the daily file as stored, with its attributes and those of the file but the time of writing."""
    block = ProductsBlock(chunks=CHUNKS, dask_address=address)
    write_daily(path, "fch4", 2001, world.flux, world.attributes, block, system=SYSTEM.key)
    with netCDF4.Dataset(path) as data:
        data.set_auto_maskandscale(False)
        kept = {name: np.asarray(v[...]).tobytes() + repr(v.__dict__).encode() for name, v in data.variables.items()}
        attrs = {name: value for name, value in data.__dict__.items() if not name.startswith(("date_", "history"))}
    return kept | {"": repr(attrs).encode()}


def test_a_daily_file_is_bit_by_bit_that_of_one_process(world, address, tmp_path) -> None:
    here, there = daily(tmp_path / "a.nc", world, ""), daily(tmp_path / "b.nc", world, address)
    assert here == there and len(here) > 8


def test_workers_in_another_folder_find_the_tiles(world, address, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(world.root)
    relative = (
        [path.relative_to(world.root) for path in world.flux],
        [p.relative_to(world.root) for p in world.attributes],
    )
    block = ProductsBlock(dask_address=address)
    whole = budget_table(world.flux, world.attributes, system=SYSTEM)
    with LocalCluster(n_workers=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)) as cluster:
        cluster_block = block.model_copy(update={"dask_address": cluster.scheduler_address})
        monkeypatch.chdir(world.root)
        found = budget_table(*relative, cluster_block, system=SYSTEM)
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_an_error_on_a_worker_is_that_of_a_tile(world, address, tmp_path) -> None:
    with pytest.raises(InputError, match="active cells without 'fch4_member'") as problem:
        broken = tmp_path / world.flux[0].parent.name / world.flux[0].name
        broken.parent.mkdir()
        broken.write_bytes(world.flux[0].read_bytes())
        with netCDF4.Dataset(broken, "a") as data:
            data["fch4_member"][:] = np.nan
        budget_table([broken, *world.flux[1:]], world.attributes, ProductsBlock(dask_address=address), system=SYSTEM)
    assert problem.value.where == str(broken)


def test_a_cluster_without_workers_gives_up_in_words_and_leaves_no_file(world, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(dask_cluster, "WORKER_SECONDS", 0.3)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        block = ProductsBlock(dask_address=cluster.scheduler_address)
        with pytest.raises(InputError, match="no Dask worker is there for slabs of a daily file") as problem:
            write_daily(tmp_path / "a.nc", "fch4", 2001, world.flux, world.attributes, block, system=SYSTEM.key)
        with pytest.raises(InputError, match="no Dask worker is there for budgets of tiles"):
            budget_table(world.flux, world.attributes, block, system=SYSTEM)
    assert "empty products.dask_address" in problem.value.hint and list(tmp_path.iterdir()) == []


def test_an_address_that_anyone_can_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves this machine without encryption"):
        ProductsBlock(dask_address="tcp://10.1.2.3:8786")
