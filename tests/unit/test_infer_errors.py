"""Every way a tile-year can be refused, with a message that names what, where and what to do."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import infer_world as world
from fluxatlas import dask_cluster
from fluxatlas.config.infer import InferBlock
from fluxatlas.errors import (
    ConfigError,
    FluxAtlasError,
    GridError,
    InputError,
    MemberMismatchError,
    MemoryLimitError,
)
from fluxatlas.grid import get_grid
from fluxatlas.infer import blocks
from fluxatlas.infer.kernel import Job
from fluxatlas.infer.state import StateStore
from fluxatlas.infer.store import Store
from fluxatlas.infer.tile import TileSummary, run_tile, spin_up

TILE = get_grid("0.5deg").tile("N38W124", 2)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Complete inputs of a tile of 16 cells and the result of 2001."""
    folder = tmp_path_factory.mktemp("good")
    world.write_attributes(folder / "attributes.nc", TILE)
    world.write_piece(folder / "2001.nc", TILE, 2001)
    world.write_piece(folder / "2002.nc", TILE, 2002)
    for seed in range(2):
        world.write_member(folder / f"{seed}.pt", seed, grid="0.5deg")
    run(folder)
    return folder


def run(good: Path, output: Path | None = None, **changed: Any) -> TileSummary:
    given: dict[str, Any] = {
        "tile": TILE,
        "forcing": good / "2001.nc",
        "attributes": good / "attributes.nc",
        "members": [good / "0.pt", good / "1.pt"],
        "output": output or good / "flux.nc",
        "state_out": (output or good / "flux.nc").with_suffix(".state.nc"),
        **changed,
    }
    return run_tile(given.pop("tile"), **given)


def altered(source: Path, target: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> Path:
    """A copy of ``source`` changed in physical units."""
    dataset = world.decode(source)
    for variable in dataset.variables.values():
        variable.encoding = {}
    change(dataset).to_netcdf(target)
    return target


def refused(good: Path, tmp_path: Path, kind: type[FluxAtlasError], match: str, **changed: Any) -> FluxAtlasError:
    """The error of a run that writes nothing."""
    with pytest.raises(kind, match=match) as caught:
        run(good, tmp_path / "out" / "flux.nc", **changed)
    left = list((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
    assert not left, f"left behind: {left}"
    assert caught.value.where and caught.value.hint
    return caught.value


def test_a_missing_driver_is_named_with_day_and_place(good: Path, tmp_path: Path) -> None:
    def hole(dataset: xr.Dataset) -> xr.Dataset:
        dataset["huss"][100, 3:5, 3:5] = np.nan
        return dataset

    forcing = altered(good / "2001.nc", tmp_path / "2001.nc", hole)
    error = refused(
        good, tmp_path, InputError, r"'huss' is missing .* 2001-04-11 at 3\d\.\d+ N, -12\d", forcing=forcing
    )
    assert error.where == str(forcing)


@pytest.mark.parametrize(
    ("days", "match"),
    [
        (np.delete(np.arange(365), 59), "1 are absent, the first is 2001-03-01"),
        (np.arange(364), "1 are absent, the first is 2001-12-31"),
        (np.r_[1, 0, 2:365], "does not hold every day of 2001"),
    ],
)
def test_a_piece_must_hold_every_day_in_order(good: Path, tmp_path: Path, days: Any, match: str) -> None:
    forcing = altered(good / "2001.nc", tmp_path / "2001.nc", lambda d: d.isel(time=days))
    refused(good, tmp_path, InputError, match, forcing=forcing)


def test_forcing_of_another_year_unit_or_without_a_variable(good: Path, tmp_path: Path) -> None:
    refused(good, tmp_path, InputError, "forcing is of 2001, not of 1999", year=1999)
    lacking = altered(good / "2001.nc", tmp_path / "a.nc", lambda d: d.drop_vars("ps"))
    refused(good, tmp_path, InputError, "no variable ps", forcing=lacking)
    celsius = altered(good / "2001.nc", tmp_path / "b.nc", lambda d: d.assign(tas=d["tas"].assign_attrs(units="degC")))
    refused(good, tmp_path, InputError, "'tas' is in 'degC', not 'K'", forcing=celsius)
    refused(good, tmp_path, InputError, "file not found", forcing=tmp_path / "absent.nc")


def test_attributes_of_another_tile_or_with_holes(good: Path, tmp_path: Path) -> None:
    other = world.write_attributes(tmp_path / "other.nc", get_grid("0.5deg").tile("N40W124", 2))
    refused(good, tmp_path, GridError, "are not of tile N38W124", attributes=other)

    def hole(dataset: xr.Dataset) -> xr.Dataset:
        row, column = (int(x[0]) for x in np.nonzero(dataset["active"].to_numpy()))
        dataset["ndep"][row, column] = np.nan
        return dataset

    holed = altered(good / "attributes.nc", tmp_path / "holed.nc", hole)
    refused(good, tmp_path, InputError, r"'ndep' is missing over 1 active cells, the first at 3\d", attributes=holed)
    lacking = altered(good / "attributes.nc", tmp_path / "lacking.nc", lambda d: d.drop_vars("clay"))
    refused(good, tmp_path, InputError, "no layer clay", attributes=lacking)


def test_members_must_fit_the_grid_and_each_other(good: Path, tmp_path: Path) -> None:
    elsewhere = world.write_member(tmp_path / "elsewhere.pt", 5, grid="4km")
    refused(good, tmp_path, MemberMismatchError, "trained for grid '4km', not '0.5deg'", members=[elsewhere])
    wide = world.write_member(tmp_path / "wide.pt", 5, hidden=12, grid="0.5deg")
    refused(good, tmp_path, MemberMismatchError, "1 x 12 wide.*1 x 8", members=[good / "0.pt", wide])
    (tmp_path / "text.pt").write_text("no member")
    refused(good, tmp_path, InputError, "not a member file", members=[tmp_path / "text.pt"])
    with pytest.raises(ConfigError, match="at least one member"):
        run(good, tmp_path / "flux.nc", members=[])


def test_a_member_that_gives_nan_is_named(good: Path, tmp_path: Path) -> None:
    import torch

    from fluxatlas.train.member import Member

    member = Member.load(good / "1.pt")
    with torch.no_grad():
        member.network.parts["hydrology"].readout.bias[0] = torch.nan
    member.save(tmp_path / "broken.pt")
    members = [good / "0.pt", tmp_path / "broken.pt"]
    error = refused(good, tmp_path, InputError, "member 1 gives '.*' that is not finite in 2001-01", members=members)
    assert error.where == str(tmp_path / "broken.pt")


def test_the_state_must_be_of_these_members_cells_and_day(good: Path, tmp_path: Path) -> None:
    state, forcing = good / "flux.state.nc", good / "2002.nc"
    swapped = [good / "1.pt", good / "0.pt"]
    error = {"forcing": forcing, "state_in": state}
    refused(good, tmp_path, MemberMismatchError, "state was made by members", members=swapped, **error)
    refused(good, tmp_path, InputError, "end of 2001-12-31, the forcing starts on 2001-01-01", state_in=state)

    def one_less(dataset: xr.Dataset) -> xr.Dataset:
        row, column = (int(x[0]) for x in np.nonzero(dataset["active"].to_numpy()))
        dataset["active"][row, column] = 0
        return dataset

    fewer = altered(good / "attributes.nc", tmp_path / "fewer.nc", one_less)
    refused(good, tmp_path, InputError, "1 are inactive, 0 active missing", attributes=fewer, **error)
    assert run(good, tmp_path / "fine.nc", **error).cells > 0


def test_the_state_of_a_spin_up_starts_any_year(good: Path, tmp_path: Path) -> None:
    members = [good / "0.pt", good / "1.pt"]
    common = {"attributes": good / "attributes.nc", "members": members, "state_out": tmp_path / "spun.nc"}
    report = spin_up(TILE, forcing=[good / "2001.nc"], repeat=3, **common)  # type: ignore[arg-type]
    assert report.cell_days == 3 * 365 * report.cells
    run(good, tmp_path / "warm.nc", state_in=tmp_path / "spun.nc")
    last = pd.Timestamp(world.open_raw(tmp_path / "spun.nc").attrs["last_day"])
    assert last == pd.Timestamp("2001-12-31")
    thrice = world.decode(tmp_path / "spun.nc")["thermal"]
    once = world.decode(good / "flux.state.nc")["thermal"]
    assert thrice.shape == once.shape and np.abs(thrice - once).max() < 1


def test_too_much_memory_is_refused_with_both_numbers(good: Path, tmp_path: Path) -> None:
    settings = InferBlock(memory_mb=500, time_chunk=366, block_cells=100_000, scheduler="processes", workers=4)
    with pytest.raises(MemoryLimitError, match=r"need [\d,]+ MB, 500 MB are allowed"):
        large = get_grid("4km").tile("N38W124", 2)
        for seed in range(1):
            world.write_member(tmp_path / f"{seed}.pt", seed)
        run_tile(
            large,
            forcing=world.write_piece(tmp_path / "2001.nc", large, 2001),
            attributes=world.write_attributes(tmp_path / "attributes.nc", large),
            members=[tmp_path / "0.pt"],
            output=tmp_path / "flux.nc",
            state_out=tmp_path / "state.nc",
            settings=settings,
        )
    assert not (tmp_path / "flux.nc").exists()


def test_a_tile_of_ocean_gives_complete_files_of_missing_values(good: Path, tmp_path: Path) -> None:
    ocean = world.write_attributes(tmp_path / "ocean.nc", TILE, ocean_west_of=0.0)
    report = run(good, tmp_path / "flux.nc", attributes=ocean)
    assert report.cells == 0
    file = world.decode(tmp_path / "flux.nc")
    assert file["fch4"].shape == (365, 4, 4)
    assert all(
        np.isnan(file[name]).all() for name in ("fch4", "fch4_sd", "fch4_member", "dissimilarity", "point_density")
    )
    second = run(
        good, tmp_path / "next.nc", attributes=ocean, forcing=good / "2002.nc", state_in=tmp_path / "flux.state.nc"
    )
    assert second.cells == 0


def test_an_unreachable_dask_cluster_is_named(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.5)
    settings = InferBlock(dask_address="tcp://127.0.0.1:1")
    error = refused(good, tmp_path, InputError, "no Dask scheduler answers", settings=settings)
    assert error.where == "tcp://127.0.0.1:1"


def test_a_dask_cluster_without_workers_gives_up_in_words(good: Path, tmp_path: Path, monkeypatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(dask_cluster, "WORKER_SECONDS", 0.3)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        settings = InferBlock(dask_address=cluster.scheduler_address)
        error = refused(good, tmp_path, InputError, "no Dask worker is there for 1 block of cells", settings=settings)
    assert "dask worker inproc" in error.hint


def test_workers_in_another_folder_are_told_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store, settings = Store("days", 4, 5, 5), InferBlock()
    begin, end = (StateStore(name, 4, ()) for name in ("begin", "end"))
    job = Job(TILE, ("f.nc",), "a.nc", ("0.pt",), settings, (), end, begin, store)
    told = blocks._absolute(replace(job, student="s.pt"))
    folders = (told.store.folder, told.state_in.folder, told.state_out.folder)
    paths = (*told.forcing, told.attributes, *told.members, told.student, *folders)
    assert paths == tuple(str(tmp_path / name) for name in ("f.nc", "a.nc", "0.pt", "s.pt", "days", "begin", "end"))
    assert blocks._absolute(job).student == ""


@pytest.mark.parametrize("address", ["tcp://10.1.2.3:8786", "10.1.2.3:8786", "tcp://0.0.0.0:8786", "tcp://node7:8786"])
def test_a_dask_address_that_anyone_can_reach_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="leaves this machine without encryption"):
        InferBlock(dask_address=address)


@pytest.mark.parametrize("address", ["", "tls://node7:8786", "tcp://127.0.0.1:1", "localhost:8786", "tcp://[::1]:8786"])
def test_a_dask_address_that_is_encrypted_or_of_this_machine_is_taken(address: str) -> None:
    assert InferBlock(dask_address=address).dask_address == address


def test_settings_are_checked_and_errors_end_without_traceback(good: Path, tmp_path: Path) -> None:
    arguments = ["--tile", "N38W124", "--tile-size", "2", "--grid", "0.5deg", "--year", "2001"]
    arguments += ["--forcing", str(good / "2001.nc"), "--attributes", str(good / "attributes.nc")]
    arguments += [
        "--member",
        str(good / "0.pt"),
        "--output",
        str(tmp_path / "f.nc"),
        "--state-out",
        str(tmp_path / "s"),
    ]
    command = [sys.executable, "-c", "from fluxatlas.cli import main; main()", "infer", "tile", *arguments]
    done = subprocess.run([*command, "--settings", '{"workrs": 1}'], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "did you mean 'workers'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "f.nc").exists()
