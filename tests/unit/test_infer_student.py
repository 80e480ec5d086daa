"""A student of an ensemble: what it gives, on what it is tried, when it may stand in for the members."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import infer_world as world
from fluxatlas import files
from fluxatlas.config.infer import InferBlock
from fluxatlas.errors import ConfigError, InputError, MemberMismatchError
from fluxatlas.grid import get_grid
from fluxatlas.infer import distil
from fluxatlas.infer.engine import FusedEngine, TorchEngine, make_engine
from fluxatlas.infer.statistics import places_of, uncertainty
from fluxatlas.infer.student import make_student, read_student
from fluxatlas.infer.tile import run_tile, spin_up
from fluxatlas.systems import get_system
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.networks.several import of_member
from train_toy import SYSTEM, samples

DAYS, PLACES = 40, 16


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return world.write_members(tmp_path_factory.mktemp("members"), count=2, hidden=4)


@pytest.fixture(scope="module")
def members(paths) -> list[Member]:
    found = [Member.load(path) for path in paths]
    found[0].meta["places"] = {"fch4": (0.01, 0.1)}
    return found


@pytest.fixture(scope="module")
def lesson(members) -> distil.Lesson:
    return distil.prepare(members, samples(PLACES, DAYS), seed=1)


class Oracle:
    """An engine that gives what a perfect student would, and ``more`` to every value of every member."""

    def __init__(self, members: list[Member], more: dict[str, float] | None = None) -> None:
        self.engines, self.more = [make_engine("torch", member) for member in members], more or {}

    def run(self, drivers, statics, state):
        state = state or [None] * len(self.engines)
        pairs = [engine.run(drivers, statics, own) for engine, own in zip(self.engines, state, strict=True)]
        given = {
            name: np.mean([outputs[name] for outputs, _ in pairs], axis=0) + self.more.get(name, 0.0)
            for name in SYSTEM.outputs
        }
        for m, (outputs, _) in enumerate(pairs):
            given |= {of_member(name, m): outputs[name] + self.more.get(name, 0.0) for name in SYSTEM.flux_names}
        return given, [last for _, last in pairs]


def test_what_an_ensemble_gives_is_taken_from_its_members_after_the_spin_up(members, lesson) -> None:
    drivers = {name: np.tile(values, (3, 1)) for name, values in lesson.samples.drivers.items()}  # independent: one run
    whole = [TorchEngine(m).run(drivers, dict(lesson.samples.statics), None)[0] for m in members]
    for name in SYSTEM.outputs:
        every = np.stack([outputs[name][-DAYS:] for outputs in whole])
        wanted = every if name in SYSTEM.flux_names else every.mean(axis=0, keepdims=True)
        np.testing.assert_allclose(lesson.values[name], wanted, atol=1e-3 * every.std())


def test_an_exact_copy_is_accepted_and_an_untaught_student_is_not(members, lesson) -> None:
    table = distil.judge(Oracle(members), members, lesson)
    assert distil.is_accepted(table) and table["ratio_95"].max() < 1e-3
    assert list(table["variable"].unique()) == list(SYSTEM.outputs)
    untaught = distil.judge(TorchEngine(Member(distil.untaught(members, 1), "4km")), members, lesson)
    assert not distil.is_accepted(untaught)


def test_an_error_is_a_share_of_the_width_of_the_interval(members, lesson) -> None:
    out = ~lesson.learns
    sd = uncertainty(lesson.values["fch4"][..., out], places_of(members, "fch4"))
    width = 2 * 1.645 * np.sqrt(np.mean(sd.astype(float) ** 2, axis=0))
    for share, accepted in ((0.08, True), (0.12, False)):
        more = share * np.sort(width)[0]
        table = distil.judge(Oracle(members, {"tsl05": 0.0, "fch4": more}), members, lesson).set_index(
            ["variable", "what"]
        )
        row = table.loc[("fch4", "mean")]
        assert row["error"] == pytest.approx(more, rel=1e-3) and row["ratio_95"] == pytest.approx(
            np.quantile(more / width, 0.95), rel=1e-3
        )
        assert (row["ratio_95"] <= distil.LIMIT) == accepted or np.quantile(more / width, 0.95) < share
    assert not distil.is_accepted(table.assign(ratio_95=np.nan))


def test_held_out_places_are_whole_blocks_and_teach_nothing(members, lesson) -> None:
    out = ~lesson.learns
    assert 0 < out.sum() < PLACES and not set(lesson.samples.block[out]) & set(lesson.samples.block[lesson.learns])

    def taught(given: distil.Lesson) -> dict[str, torch.Tensor]:
        student = distil.untaught(members, 1)
        distil.teach(student, given, steps=2, seed=1)
        return student.state_dict()

    hidden = replace(  # what is not a number would show at once, and so would other weather
        lesson,
        samples=replace(
            lesson.samples, drivers={k: np.where(out, np.nan, v) for k, v in lesson.samples.drivers.items()}
        ),
        values={k: np.where(out, np.nan, v) for k, v in lesson.values.items()},
    )
    mine, theirs = taught(lesson), taught(hidden)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    first = distil.untaught(members, 1).state_dict()
    assert not all(torch.equal(mine[name], first[name]) for name in mine)


def test_learning_lessens_the_error(members, lesson) -> None:
    student = distil.untaught(members, 1)
    before = distil.judge(TorchEngine(Member(student, "4km")), members, lesson)
    distil.teach(student, lesson, steps=40, seed=1)
    after = distil.judge(FusedEngine(Member(student, "4km")), members, lesson)  # the fused engine agrees, or raises
    assert after["ratio"].mean() < 0.75 * before["ratio"].mean()
    assert (after.loc[after["what"] == "mean", "ratio"] < 0.6 * before.loc[before["what"] == "mean", "ratio"]).all()


@pytest.mark.parametrize("name", ["net_ecosystem_exchange", "soil_methane_sink", "soil_moisture_energy"])
def test_what_the_head_closes_closes_for_every_member_of_a_student(name: str) -> None:
    system = get_system(name)
    torch.manual_seed(3)
    network = HierarchicalNetwork(system, Architecture(hidden=4, members=2)).eval()
    rng = np.random.default_rng(0)
    drivers = {k: torch.tensor(rng.uniform(0.1, 1, (5, 3)), dtype=torch.float32) for k in
               (*system.forcing, *system.slow_drivers)}  # fmt: skip
    statics = {k: torch.tensor(rng.uniform(0.1, 1, 3), dtype=torch.float32) for k in system.statics}
    with torch.no_grad():
        given, _ = network(drivers, statics)
    for flux in system.flux_names:
        several = torch.stack([given[of_member(flux, m)] for m in range(2)])
        torch.testing.assert_close(several.mean(dim=0), given[flux])
    for m in range(2):
        if name == "net_ecosystem_exchange":
            own = {flux: given[of_member(flux, m)] for flux in ("nee", "reco", "gpp")}
            torch.testing.assert_close(own["nee"], own["reco"] - own["gpp"])


@pytest.fixture(scope="module")
def tile_inputs(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder, tile = tmp_path_factory.mktemp("tile"), get_grid("4km").tile("N36W124", 1)
    forcing = [world.write_piece(folder / f"{year}.nc", tile, year) for year in (2001, 2002)]
    return {
        "tile": tile,
        "forcing": forcing,
        "attributes": world.write_attributes(folder / "attributes.nc", tile, -123.6),
    }


def write_student(path: Path, paths: list[Path], accepted: bool = True) -> Path:
    """A student that was taught nothing: it gives the first member's values for every member."""
    members = [Member.load(one) for one in paths]
    row = {"variable": "fch4", "what": "mean", "ratio_95": 0.03 if accepted else 0.3}
    meta = {"members": [files.file_hash(one) for one in paths], "accepted": accepted, "errors": [row], "places": 9}
    Member(distil.untaught(members, 1), "4km", None, meta).save(path)
    return path


def run(tile_inputs, folder: Path, name: str, paths, year: int = 0, state=None, student=None) -> xr.Dataset:
    run_tile(
        tile_inputs["tile"],
        forcing=tile_inputs["forcing"][year],
        attributes=tile_inputs["attributes"],
        members=paths,
        output=folder / f"{name}.nc",
        state_out=folder / f"{name}_state.nc",
        state_in=state,
        student=student,
    )
    return world.open_raw(folder / f"{name}.nc")


def test_an_accepted_student_runs_in_place_of_the_members(tile_inputs, paths, tmp_path) -> None:
    student = write_student(tmp_path / "student.pt", paths)
    once = spin_up(
        tile_inputs["tile"], forcing=tile_inputs["forcing"][:1], attributes=tile_inputs["attributes"], members=paths,
        state_out=tmp_path / "spinup.nc", student=student,
    )  # fmt: skip
    assert once.members == 2
    made = run(tile_inputs, tmp_path, "student", paths, 1, tmp_path / "spinup.nc", student)
    spin_up(
        tile_inputs["tile"], forcing=tile_inputs["forcing"][:1], attributes=tile_inputs["attributes"],
        members=paths[:1], state_out=tmp_path / "one_spinup.nc",
    )  # fmt: skip
    first = run(tile_inputs, tmp_path, "one", paths[:1], 1, tmp_path / "one_spinup.nc")
    for name in SYSTEM.outputs:  # the state was carried over the year, in its own file
        assert np.abs(made[name].astype(int) - first[name].astype(int)).max() <= 1
    np.testing.assert_allclose(made["fch4_member"][1], first["fch4_member"][0], rtol=1e-4, equal_nan=True)
    assert (
        made.sizes["member"] == 2 and "imitates 2 members" in made.attrs["student"] and "3.0 %" in made.attrs["student"]
    )
    exact = run(tile_inputs, tmp_path, "exact", paths, 1)
    for name in ("applicable", "dissimilarity", "point_density"):
        np.testing.assert_array_equal(made[name], exact[name])
    with pytest.raises(MemberMismatchError, match="made by members"):
        run(tile_inputs, tmp_path, "mixed", paths, 1, tmp_path / "spinup.nc")


def test_without_acceptance_the_members_run_with_one_message(tile_inputs, paths, tmp_path, capsys) -> None:
    refused = write_student(tmp_path / "student.pt", paths, accepted=False)
    made = run(tile_inputs, tmp_path, "student", paths, student=refused)
    said = capsys.readouterr().err
    assert said.count("the student was not accepted") == 1 and "30.0 %" in said and "allowed are 10 %" in said
    exact = run(tile_inputs, tmp_path, "exact", paths)
    for name in exact.data_vars:
        np.testing.assert_array_equal(made[name], exact[name])
    assert "student" not in made.attrs


def test_a_student_of_other_members_is_refused(paths, tmp_path) -> None:
    student, hashes = write_student(tmp_path / "student.pt", paths), [files.file_hash(path) for path in paths]
    assert read_student(student, hashes) and read_student(None, hashes) is None
    with pytest.raises(MemberMismatchError, match="made from other members"):
        read_student(student, hashes[::-1])
    with pytest.raises(MemberMismatchError, match="a member, not a student"):
        read_student(paths[0], hashes)


def write_samples(path: Path, blocks: int) -> Path:
    data = samples(PLACES, DAYS)
    held = {name: (("time", "site"), values) for name, values in {**data.drivers, **data.targets}.items()}
    held |= {name: ("site", values) for name, values in {**data.statics, **data.theta}.items()}
    held |= {"lat": ("site", data.lat), "lon": ("site", data.lon), "block": ("site", np.arange(PLACES) % blocks)}
    files.write_netcdf(xr.Dataset(held, coords={"time": data.dates}), path)
    return path


def test_the_job_writes_a_student_that_says_how_well_it_did(paths, tmp_path, capsys) -> None:
    given = write_samples(tmp_path / "samples.nc", blocks=8)
    settings, made = InferBlock(student_steps=1), []
    for number in range(2):
        output, errors = tmp_path / f"{number}.pt", tmp_path / f"{number}.csv"
        assert not make_student(paths, given, output, errors, settings)
        assert "the student was not accepted" in capsys.readouterr().err.splitlines()[-1]
        made.append((files.file_hash(output), errors.read_text()))
    assert made[0] == made[1]
    student = Member.load(tmp_path / "0.pt")
    table = pd.read_csv(tmp_path / "0.csv")
    assert student.meta["members"] == [files.file_hash(path) for path in paths]
    assert student.meta["places"] == table["places"].iloc[0] > 0
    np.testing.assert_allclose([row["ratio_95"] for row in student.meta["errors"]], table["ratio_95"])


def test_what_cannot_be_distilled_is_refused_before_anything_is_written(paths, tmp_path) -> None:
    output = tmp_path / "student.pt"
    with pytest.raises(ConfigError, match="one member has no spread"):
        make_student(paths[:1], tmp_path / "none.nc", output, tmp_path / "errors.csv", InferBlock())
    given = write_samples(tmp_path / "samples.nc", blocks=1)
    with pytest.raises(InputError, match="one spatial block"):
        make_student(paths, given, output, tmp_path / "errors.csv", InferBlock())
    assert not list(tmp_path.glob("student*")) and not list(tmp_path.glob("*.csv"))
