"""What a tile-year looks like on disk: names, types, packing, chunks, attributes, missing cells."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import infer_world as world
from fluxatlas import variables
from fluxatlas.config.infer import InferBlock
from fluxatlas.grid import get_grid
from fluxatlas.infer.tile import run_tile
from fluxatlas.train.flags import INSIDE, NEAR, NO_CELL, OUTSIDE
from fluxatlas.train.member import Member
from fluxatlas.variables import FILL

TILE = get_grid("0.25deg").tile("N36W126", 6)
WEST = -123.0
"""West of this longitude the tile is ocean."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tile")
    run_tile(
        TILE,
        forcing=world.write_piece(folder / "2001.nc", TILE, 2001),
        attributes=world.write_attributes(folder / "attributes.nc", TILE, WEST),
        members=[world.write_member(folder / f"{seed}.pt", seed, grid="0.25deg") for seed in range(3)],
        output=folder / "flux.nc",
        state_out=folder / "state.nc",
        settings=InferBlock(chunk_cells=20),
    )
    return folder


DAILY = ("fch4", "ch4ox", "tsl05", "swc05", "fch4_sd", "ch4ox_sd")


def test_the_file_holds_what_the_contract_lists(folder: Path) -> None:
    with netCDF4.Dataset(folder / "flux.nc") as file:
        found = {name: variable.dimensions for name, variable in file.variables.items()}
    daily = dict.fromkeys(DAILY, ("time", "lat", "lon"))
    annual = dict.fromkeys(("fch4_member", "ch4ox_member"), ("member", "lat", "lon"))
    annual |= dict.fromkeys(("fch4_year_sd", "ch4ox_year_sd"), ("lat", "lon"))
    flags = dict.fromkeys(("dissimilarity", "point_density", "applicable"), ("lat", "lon"))
    axes = {name: (name,) for name in ("time", "lat", "lon", "member")}
    assert found == {**daily, **annual, **flags, **axes}


@pytest.mark.parametrize("name", DAILY)
def test_daily_values_are_packed_by_the_table(folder: Path, name: str) -> None:
    row = variables.get(name.removesuffix("_sd"))
    with netCDF4.Dataset(folder / "flux.nc") as file:
        variable = file[name]
        assert variable.dtype == np.int16
        assert (variable.scale_factor, variable.add_offset) == row.packing
        assert variable._FillValue == FILL
        assert variable.chunking() == [73, 20, 20]
        assert variable.filters()["zstd"] and variable.filters()["complevel"] == 3 and variable.filters()["shuffle"]
        assert variable.units == row.units and variable.cell_methods == "time: mean"


def test_days_of_each_member_are_there_where_asked_for_and_change_nothing_else(folder: Path, tmp_path: Path) -> None:
    run_tile(
        TILE,
        forcing=folder / "2001.nc",
        attributes=folder / "attributes.nc",
        members=[folder / f"{seed}.pt" for seed in range(3)],
        output=tmp_path / "flux.nc",
        state_out=tmp_path / "state.nc",
        settings=InferBlock(chunk_cells=20, daily_members=True),
    )
    raw, without = world.open_raw(tmp_path / "flux.nc"), world.open_raw(folder / "flux.nc")
    assert set(raw) - set(without) == {"fch4_member_day", "ch4ox_member_day"}
    for name in without.data_vars:
        np.testing.assert_array_equal(raw[name], without[name])
    file = world.decode(tmp_path / "flux.nc")
    for flux in ("fch4", "ch4ox"):
        days, step = file[f"{flux}_member_day"], variables.get(flux).packing[0]
        assert days.dims == ("member", "time", "lat", "lon")
        np.testing.assert_allclose(days.mean("member"), file[flux], atol=1.01 * step)
        np.testing.assert_allclose(days.std("member", ddof=1), file[f"{flux}_sd"], atol=2 * step)
        np.testing.assert_allclose(days.mean("time"), file[f"{flux}_member"], atol=0.51 * step + 1e-6)


def test_axes_are_those_of_the_tile_and_of_the_year(folder: Path) -> None:
    file = world.decode(folder / "flux.nc")
    np.testing.assert_array_equal(file["lat"], TILE.lat)
    np.testing.assert_array_equal(file["lon"], TILE.lon)
    days = file["time"].to_index()
    assert len(days) == 365 and f"{days[0]:%Y-%m-%d %H:%M}" == "2001-01-01 00:00" and days.is_monotonic_increasing


def test_cells_that_are_not_active_are_missing_and_all_others_are_there(folder: Path) -> None:
    active = world.decode(folder / "attributes.nc")["active"].to_numpy() == 1
    assert 0 < active.sum() < active.size and not active[:, TILE.lon < WEST].any()
    file = world.decode(folder / "flux.nc")
    for name in (*DAILY, "fch4_member", "ch4ox_member", "dissimilarity", "point_density"):
        assert (np.isfinite(file[name].to_numpy()) == active).all(), name
    raw = world.open_raw(folder / "flux.nc")
    assert (raw["fch4"].to_numpy()[:, ~active] == FILL).all()
    assert (raw["applicable"].to_numpy()[~active] == NO_CELL).all()
    assert set(np.unique(raw["applicable"].to_numpy()[active])) <= {OUTSIDE, INSIDE, NEAR}


def test_provenance_names_settings_and_every_input(folder: Path) -> None:
    file = world.open_raw(folder / "flux.nc")
    assert file.attrs["tile"] == "N36W126" and file.attrs["grid"] == "0.25deg"
    assert file.attrs["fluxatlas_stage"] == "infer tile"
    assert set(json.loads(file.attrs["fluxatlas_inputs"])) == {
        "forcing 0", "attributes", "member 0", "member 1", "member 2"
    }  # fmt: skip
    assert json.loads(file.attrs["fluxatlas_settings"])["chunk_cells"] == 20


def test_state_holds_every_member_layer_and_active_cell(folder: Path) -> None:
    state = world.open_raw(folder / "state.nc")
    rows, columns = np.nonzero(world.decode(folder / "attributes.nc")["active"].to_numpy() == 1)
    np.testing.assert_array_equal(state["row"], rows + TILE.rows.start)
    np.testing.assert_array_equal(state["column"], columns + TILE.columns.start)
    assert set(state.data_vars) == {"thermal", "hydrology"}  # the methane column remembers nothing
    for name, variable in state.data_vars.items():
        assert variable.dims == ("member", f"{name}_layer", "cell", f"{name}_hidden")
        assert variable.shape == (3, 1, len(rows), 8) and variable.dtype == np.float32
        assert np.isfinite(variable).all() and (np.abs(variable) <= 1).all()  # a GRU's state is bounded by one
    assert state.attrs["last_day"] == "2001-12-31"


def test_nothing_temporary_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "0.pt", "1.pt", "2.pt", "2001.nc", "attributes.nc", "flux.nc", "state.nc"
    ]  # fmt: skip


def test_cells_with_soil_beyond_the_samples_are_marked_and_the_layer_is_named(folder: Path, tmp_path, capsys) -> None:
    """Members that know sands of 40 to 41 % only: every cell whose sand lies further off is outside the library."""
    members = []
    for seed in range(2):
        member = Member.load(world.write_member(tmp_path / f"{seed}.pt", seed, grid="0.25deg"))
        index = member.network.scaler.position["sand"]
        member.network.scaler.mean[index], member.network.scaler.spread[index] = 40.0, 1.0
        member.save(tmp_path / f"{seed}.pt")
        members.append(tmp_path / f"{seed}.pt")
    run_tile(
        TILE,
        forcing=folder / "2001.nc",
        attributes=folder / "attributes.nc",
        members=members,
        output=tmp_path / "flux.nc",
        state_out=tmp_path / "state.nc",
        settings=InferBlock(chunk_cells=20),
    )
    sand = world.decode(folder / "attributes.nc")["sand"].to_numpy()
    applicable = world.open_raw(tmp_path / "flux.nc")["applicable"].to_numpy()
    active = applicable != NO_CELL
    far = active & (np.abs(sand - 40) > 4)
    assert far.any() and (applicable[far] == OUTSIDE).all()
    said = capsys.readouterr().err
    assert (
        f"in {far.sum()} of {active.sum()} cells 'sand' lies more than 4 standard deviations from the samples" in said
    )
