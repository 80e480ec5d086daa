"""Regions from the command line: files of inversions to a target, points, and a member that was held to them.

A tile of half-degree cells in two regions, the weather of :mod:`infer_world` and the toy system, whose flux is linear
in it: sums over all cells are known without any of the code that is tested.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import infer_world as world
from constraint_files import known_flux, whole_year
from fluxatlas.cli import app
from fluxatlas.config.train import TrainBlock
from fluxatlas.files import write_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.systems import get_system
from fluxatlas.testing.inversions import write_ensemble, write_fire
from fluxatlas.train.member import Member
from fluxatlas.train.regional import RegionalObjective
from fluxatlas.train.regional.build import read_target
from fluxatlas.train.regional.prepare import read_regional
from toy_system import carbon

TOY = get_system("toy_system:TOY")
TILE = get_grid("0.5deg").tile("N38W124", 2)
YEARS = (2001, 2002, 2003)
MONTHS = pd.date_range("2001-01-01", "2003-12-01", freq="MS")
DAYS = pd.date_range("2001-01-01", "2003-12-31")
LOST = 1.5
"""Source [g m-2 d-1] everywhere that no tower sees."""
FIRE = 0.2
EDGE = -123.3
"""Longitude of the border between the regions, inside a column of cells."""
NAMES = ("east", "west")
REGIONS = {"path": "regions.geojson", "field": "name"}
SETTINGS: dict[str, Any] = {
    "constraint": "gcb", "regions": "halves", "preset": "ecosystem", "without": ["lateral"], "points": 50,
    "held_out": {"west": [2002]}, "corrections": {"fire": "fire"},
}  # fmt: skip
GRID = ["--system", "toy_system:TOY", "--grid", "0.5deg", "--tile-size", "2"]


def run(*words: str) -> str:
    """The command line ``fluxatlas words``, which has to succeed."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output[-2000:] or repr(done.exception)
    return done.output


def refused(*words: str) -> str:
    """What ``fluxatlas words`` says, which has to be refused with one message."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    return f"{done.output} {done.exception}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the inputs, as the working folder."""
    made, before = tmp_path_factory.mktemp("regional"), Path.cwd()
    os.chdir(made)
    _write_inputs()
    yield made
    os.chdir(before)


def _write_inputs() -> None:
    path = world.write_attributes(Path("attributes") / f"{TILE.name}.nc", TILE)
    with xr.open_dataset(path) as data:
        layers = data.load()
    area = np.broadcast_to(_area()[:, None], layers["active"].shape)
    layers["areacella"] = ("lat", "lon"), area
    layers["sftlf"] = ("lat", "lon"), np.where(layers["active"], 100.0, 0.0)
    write_netcdf(layers.assign_attrs(weight="areacella sftlf"), path)
    for year in YEARS:
        world.write_piece(Path("forcing") / TILE.name / f"{year}.nc", TILE, year)
    boxes = {"west": (-124.0, EDGE), "east": (EDGE, -122.0)}
    shapes = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [[
            [w, 38], [e, 38], [e, 40], [w, 40], [w, 38]]]}}
        for name, (w, e) in boxes.items()
    ]  # fmt: skip
    Path("regions.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    monthly = _monthly(_true() + LOST)
    apart = np.array([-0.05, 0.05])[:, None, None, None]
    active = layers["active"].to_numpy() == 1
    write_ensemble("gcb.nc", (monthly + apart + FIRE) * active, ("a", "b"), MONTHS, TILE.lat, TILE.lon)
    write_fire("fire.nc", np.broadcast_to(FIRE * active, monthly.shape), MONTHS, TILE.lat, TILE.lon)


def _area() -> np.ndarray:
    edges = np.deg2rad(np.stack([TILE.lat - 0.25, TILE.lat + 0.25]))
    return 6371007.181**2 * np.deg2rad(0.5) * np.diff(np.sin(edges), axis=0)[0]


def _true() -> np.ndarray:
    """Flux (day, lat, lon) [g m-2 d-1] of the process model on the exact weather, without what is lost."""
    weather = {
        name: np.concatenate([world.weather(name, TILE.lat, TILE.lon, DAYS[DAYS.year == year]) for year in YEARS])
        for name in TOY.forcing
    }
    from fluxatlas.drivers import slow_drivers
    from fluxatlas.ingest.atmosphere import series_of

    with xr.open_dataset(Path("attributes") / f"{TILE.name}.nc") as data:
        lai = np.nan_to_num(data["lai"].to_numpy(), nan=1.0).reshape(12, -1)
    lat = np.repeat(TILE.lat, TILE.lon.size)
    slow = slow_drivers(TOY.slow, DAYS, lat, {"lai": lai}, series_of(TOY.slow))
    shape = weather["tas"].shape
    given = {name: values.reshape(len(DAYS), -1) for name, values in weather.items()} | slow
    return carbon(given["rsds"], given["tas"], given["lai"], given["co2"], np.ones(1))["nee"].reshape(shape)


def _monthly(daily: np.ndarray) -> np.ndarray:
    """Means of months (month, lat, lon)."""
    return (
        pd.DataFrame(daily.reshape(len(DAYS), -1), DAYS).resample("MS").mean().to_numpy().reshape(36, *daily.shape[1:])
    )


def _sums(daily: np.ndarray) -> np.ndarray:
    """Sums (month, region) [Tg] of a daily flux over the parts of the active cells in the regions."""
    with xr.open_dataset(Path("attributes") / f"{TILE.name}.nc") as data:
        active = data["active"].to_numpy() == 1
    west = np.clip((EDGE - (TILE.lon - 0.25)) / 0.5, 0, 1)
    part = np.stack([1 - west, west])[:, None, :] * _area()[None, :, None] * active
    monthly = pd.DataFrame(daily.reshape(len(DAYS), -1), DAYS).resample("MS").sum().to_numpy()
    return monthly @ part.reshape(2, -1).T * 1e-12


def ingest(name: str, **given: Any) -> None:
    run("ingest", "constraint", "build", "--settings", json.dumps({"path": f"{name}.nc", **given}), "--output",
        f"ingested/{name}.nc")  # fmt: skip


def target(output: str = "target.nc", *words: str, **changes: Any) -> list[str]:
    settings = {**SETTINGS, **changes}
    given = [] if "--correction" in words or not settings["corrections"] else ["--correction", "fire=ingested/fire.nc"]
    return ["train", "regional-target", "--settings", json.dumps(settings), "--regions", json.dumps(REGIONS),
            "--constraint", "ingested/gcb.nc", "--output", output, *given, *words]  # fmt: skip


def points(output: str = "points.nc", **changes: Any) -> list[str]:
    files = [f"--forcing=forcing/{TILE.name}/{year}.nc" for year in YEARS]
    return ["train", "regional-points", "--settings", json.dumps({**SETTINGS, **changes}), *GRID, "--output", output,
            "--attributes", f"attributes/{TILE.name}.nc", "--regions", f"regions/{TILE.name}.nc", *files]  # fmt: skip


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    """The folder with target and points, all made by commands."""
    ingest("gcb")
    ingest("fire", kind="carbontracker", variable="fire_flux_imp")
    shutil.copy("fire.nc", "bio.nc")  # which holds both
    ingest("bio", kind="carbontracker", variable="bio_flux_opt")
    run("regrid", "regions", "--settings", json.dumps({"maps": {"halves": REGIONS}}), *GRID[2:], "--tile", TILE.name,
        "--output", f"regions/{TILE.name}.nc")  # fmt: skip
    run(*target(), "--bbox", "-124", "38", "-122", "40")
    run(*points())
    return folder


def test_the_target_is_the_truth_of_the_regions(made: Path) -> None:
    held = read_target("target.nc")
    assert held.target.regions == NAMES and held.target.month.size == 36
    np.testing.assert_allclose(held.target.value, _sums(_true() + LOST), rtol=2e-5)
    year = held.target.month.astype("datetime64[Y]").astype(int) + 1970
    assert (held.held_out == np.stack([0 * year, year == 2002], axis=1)).all()
    about = held.target.about
    assert about["flux_name"] == "NEE" and about["held_out"] == {"west": [2002]} and about["inversions"] == ["a", "b"]
    assert set(about["files"]) == {"gcb.nc", "fire.nc"} and "fire" in about["target_corrections"]


def test_as_many_points_as_cells_give_the_sums_of_all_cells(made: Path) -> None:
    data = read_regional("target.nc", "points.nc", TOY, TrainBlock())
    with xr.open_dataset(f"attributes/{TILE.name}.nc") as layers:
        whole = float((layers["areacella"] * layers["active"]).sum())
    assert data.points.area.sum() == pytest.approx(whole) and data.points.total.size == 2
    one = data.series.drivers
    flux = carbon(one["rsds"], one["tas"], one["lai"], one["co2"], np.ones(1))["nee"]
    daily = np.zeros((len(DAYS), 2))
    np.add.at(daily.T, data.points.region, (flux[:, data.points.cell] * data.points.area).T * 1e-12)
    found = pd.DataFrame(daily, DAYS).resample("MS").sum().to_numpy()
    np.testing.assert_allclose(found, _sums(_true()), rtol=2e-3, atol=0.02 * np.abs(_sums(_true())).mean())
    assert data.unexplained is not None and data.unexplained.max() < 1e-12


def test_few_points_keep_the_area_of_the_regions(made: Path) -> None:
    for areas in ("clusters", "refitted"):
        run(*points("few.nc", points=3, areas=areas))
        data, every = (read_regional("target.nc", name, TOY, TrainBlock()) for name in ("few.nc", "points.nc"))
        np.testing.assert_allclose(data.points.total, every.points.total)
        assert (
            np.bincount(data.points.region).max() <= 3 and data.unexplained is not None and data.unexplained.min() > 0
        )


TRAIN = {
    "ladder": "network", "strategy": "constrained", "finetune_steps": 30, "finetune_rate": 8e-3, "hidden": 8,
    "batch": 8, "sequence_days": 90, "warmup_days": 10, "pretrain_epochs": 4, "members": 2, "block_distance_km": 5,
    "regional_weight": 3.0,
}  # fmt: skip


def _write_sites() -> None:
    """Five towers in cells of the tile, which see nothing of what is lost."""
    with xr.open_dataset(f"attributes/{TILE.name}.nc") as data:
        layers = data.load()
    rows, columns = np.nonzero(layers["active"].to_numpy() == 1)
    rng, table, frames, observed = np.random.default_rng(3), [], [], []
    nee = _true()
    for number in range(0, 10, 2):
        row, column = rows[number], columns[number]
        lat, lon = TILE.lat[row], TILE.lon[column]
        site = f"T{number}"
        own = {name: float(layers[name][row, column]) for name in ("clay", "soc")}
        lai = {f"lai_{month + 1:02d}": float(layers["lai"][month, row, column]) for month in range(12)}
        table.append({"site": site, "lat": lat, "lon": lon, "elevation": 100.0, **own, **lai})
        weather = {
            name: np.concatenate([
                world.weather(name, TILE.lat, TILE.lon, DAYS[DAYS.year == year])[:, row, column] for year in YEARS
            ])
            for name in TOY.forcing
        }  # fmt: skip
        frames.append(pd.DataFrame({"site": site, "time": DAYS, **weather, "forcing_source": "site"}))
        value = nee[:, row, column] + rng.normal(0, 0.2, len(DAYS))
        observed.append(pd.DataFrame({"site": site, "time": DAYS, "variable": "nee", "value": value, "sd": 0.2}))
    pd.DataFrame(table).to_csv("sites.csv", index=False)
    pd.concat(frames).to_parquet("sites_forcing.parquet")
    pd.concat(observed).assign(origin="measured").to_parquet("observations.parquet")


@pytest.fixture(scope="module")
def members(made: Path) -> dict[str, Member]:
    """Members by towers alone, and by towers and regions."""
    _write_sites()
    files = [f"--forcing=forcing/{TILE.name}/{year}.nc" for year in YEARS]
    samples = json.dumps({"site_days": 40 * 365, "spinup_years": 0, "include_sites": 0.0})
    run("synthesize", "samples", "--settings", samples, *GRID, *files, "--attributes", f"attributes/{TILE.name}.nc",
        "--output", "samples.nc")  # fmt: skip
    run("train", "pretrain", "--settings", json.dumps(TRAIN), *GRID[:4], "--samples", "samples.nc", "--output",
        "start.pt", "--history", "start.csv")  # fmt: skip
    found = {}
    for name, more in (
        ("towers", {"strategy": "finetune", "finetune_steps": 10}),
        ("both", {}),
    ):
        words = ["--regional-target", "target.nc", "--regional-points", "points.nc"] if name == "both" else []
        outputs = [part for key in ("predictions", "intervals", "parameters", "history") for part in (f"--{key}", key)]
        run("train", "finetune", "--settings", json.dumps(TRAIN | more), "--pretrained", "start.pt", "--samples",
            "samples.nc", "--sites-attributes", "sites.csv", "--sites-forcing", "sites_forcing.parquet",
            "--observations", "observations.parquet", "--output", f"{name}.pt", *outputs, *words)  # fmt: skip
        found[name] = Member.load(f"{name}.pt")
    return found


def test_a_member_held_to_regions_has_their_sums(members: dict[str, Member]) -> None:
    """Towers alone miss what is lost everywhere; the region-years that were held out come right too."""
    data = read_regional("target.nc", "points.nc", TOY, TrainBlock(**TRAIN))
    truth, area = _sums(_true() + LOST), data.points.total
    days = MONTHS.days_in_month.to_numpy()[:, None]

    def error(member: Member) -> np.ndarray:
        """Error (month, region) in g m-2 d-1."""
        return (RegionalObjective(data, 10).sums(member.network) - truth) * 1e12 / area / days

    alone, both = error(members["towers"]), error(members["both"])
    assert (alone.mean(axis=0) < -0.8 * LOST).all()
    assert np.abs(both.mean(axis=0)).max() < 0.25 * LOST
    assert abs(both[data.held_out].mean()) < 0.3 * LOST and abs(alone[data.held_out].mean()) > 0.8 * LOST


def test_a_member_says_what_it_was_held_to(members: dict[str, Member]) -> None:
    about = members["both"].meta["constraint"]
    assert about["target_kind"] == "ecosystem" and about["held_out"] == {"west": [2002]}
    assert about["files"] == read_target("target.nc").target.about["files"] and len(about["files"]) == 2
    assert "regional_target" in members["both"].meta["inputs"] and "constraint" not in members["towers"].meta


def test_members_of_one_product_were_held_to_the_same(members: dict[str, Member]) -> None:
    words = ["--member", "both.pt", "--output", "no.nc"]
    assert "held to something else" in refused("train", "ensemble", *words, "--member", "towers.pt")
    run("train", "ensemble", *words, "--member", "both.pt")
    Path("no.nc").unlink()


def test_the_product_stands_beside_the_inversions_by_region_and_month(made: Path) -> None:
    days = DAYS[DAYS.year == 2002]
    daily = (_true() + LOST)[DAYS.year == 2002].astype(np.float32)
    with xr.open_dataset(f"attributes/{TILE.name}.nc") as layers:
        daily = np.where(layers["active"].to_numpy() == 1, daily, np.nan)
    axes = {"time": days, "lat": TILE.lat, "lon": TILE.lon}
    write_netcdf(xr.Dataset({"nee": (("time", "lat", "lon"), daily)}, axes), f"infer/{TILE.name}/2002.nc")
    run("evaluate", "region-months", "--target", "target.nc", "--flux", f"infer/{TILE.name}/2002.nc", "--attributes",
        f"attributes/{TILE.name}.nc", "--regions", f"regions/{TILE.name}.nc", "--variable", "nee", "--kind", "halves",
        "--output", "months.csv")  # fmt: skip
    table = pd.read_csv("months.csv")
    assert len(table) == 24 and (table["held_out"] == (table["region"] == "west")).all()
    truth = _sums(_true() + LOST)[12:24].T.ravel()
    np.testing.assert_allclose(table["product"], truth, rtol=1e-4)
    np.testing.assert_allclose(table["inversions"], truth, rtol=1e-4)
    assert (table["low"] < table["inversions"]).all() and (table["sd"] > table["high"] - table["low"]).all()


def table(name: str, **columns: Any) -> str:
    """A correction as a table of a region and month per row, and the words that name it."""
    rows = [{"region": region, "month": month, "value": 0.01} for region in NAMES for month in range(1, 13)]
    pd.DataFrame(rows).assign(**columns).to_csv(name, index=False)
    return f"evasion={name}"


FIRES = "fire=ingested/fire.nc"
OTHERS = {"corrections": {}}
CELLS = ["--constraint", "ingested/bio.nc"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (lambda: target("no.nc", **OTHERS), "hold fire, which no tower sees"),
        (lambda: target("no.nc", *CELLS), "without fire: it would be taken out twice"),
        (lambda: target("no.nc", *CELLS, preset="land_sink", **OTHERS), "without fire, which the land sink includes"),
        (lambda: target("no.nc", "--constraint", "ingested/fire.nc", **OTHERS),
         r"(?s)these are the fluxes of fires \('fire_flux_imp'\), not the net flux.*as the correction 'fire'"),
        (lambda: target("no.nc", without=[]), "no lateral flux is given for target 'ecosystem'"),
        (lambda: target("no.nc", "--correction", "trade=ingested/fire.nc"), "(?s)not one of target.*never mixed"),
        (lambda: target("no.nc", preset=""), r"there is no target '\(none\)'"),
        (lambda: target("no.nc", "--years", "1990", "1999"), "no month lies within 1990 to 1999; .* 2001 to 2003"),
        (lambda: target("no.nc", members=["c"]), "there is no inversion 'c'.*"),
        (lambda: target("no.nc", used=["wset"]), "no region 'wset'; did you mean 'west'"),
        (lambda: target("no.nc", held_out={"west": [1999]}), "region 'west' has no comparison in 1999"),
        (lambda: target("no.nc", held_out={n: [2001, 2002, 2003] for n in NAMES}), "all region-years are held out"),
        (lambda: target("no.nc", "--bbox", "-124", "38", "-123", "40", used=["east"]), "23 % of the region 'east' lie"),
        (lambda: target("no.nc", "--bbox", "0", "38", "10", "40"), "0 % of the region"),
        (lambda: target("no.nc", "--constraint", "regions/N38W124.nc"), "no fluxes of inversions"),
        (lambda: target("no.nc", "--correction", table("t.csv", value=1e4), "--correction", FIRES),
         "check unit and species"),
        (lambda: target("no.nc", "--correction", table("t.csv", value=-1), "--correction", FIRES),
         "(?s)the sum of 'evasion' is negative.*turn the sign"),
        (lambda: target("no.nc", "--correction", table("t.csv", month=1), **OTHERS), "given twice: east, 1"),
        (lambda: target("no.nc", "--correction", table("t.csv", month=range(24)), "--correction", FIRES),
         "no value in some region or month"),
        (lambda: points("no.nc", used=["west"]), r"(?s)the regions cover 3\d\.?\d* % of .*lower regional.cover"),
        (lambda: points("no.nc", regions="basins"), "there is no map 'basins' among halves"),
        (lambda: finetuning("--regional-target", "target.nc"), "belong together"),
        (lambda: finetuning("--regional-target", "target.nc", "--regional-points", "target.nc"), "the points are of"),
        (lambda: finetuning(*HELD, ladder="calibrated"), "hold weights, and none are trained"),
        (lambda: finetuning(*HELD, strategy="finetune"), "no phase of the strategy uses it"),
        (lambda: finetuning(), "the strategy compares regions, and no constraint is given"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(members: dict[str, Member], words: Any, said: str) -> None:
    message = refused(*words())
    assert re.search(said, message) and not Path("no.nc").exists() and not Path("no.pt").exists(), message


HELD = ("--regional-target", "target.nc", "--regional-points", "points.nc")


def finetuning(*words: str, **changes: Any) -> list[str]:
    outputs = [part for key in ("predictions", "intervals", "parameters", "history") for part in (f"--{key}", "no.nc")]
    return ["train", "finetune", "--settings", json.dumps(TRAIN | changes), "--pretrained", "start.pt", "--samples",
            "samples.nc", "--sites-attributes", "sites.csv", "--sites-forcing", "sites_forcing.parquet",
            "--observations", "observations.parquet", "--output", "no.pt", *outputs, *words]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.drop_isel(time=16), "2002-05"),
        (lambda d: d.assign({FIELD: d[FIELD].assign_attrs(units="Pg m-2 yr-1")}), "unit .*Pg m-2 yr-1"),
        (lambda d: d.rename({FIELD: "sink"}), "of no known kind"),
    ],
)
def test_months_and_units_are_judged_when_files_are_ingested(
    made: Path, tmp_path: Path, change: Any, said: str
) -> None:
    path = tmp_path / "other.nc"
    with xr.open_dataset("gcb.nc") as data:
        change(data.load()).to_netcdf(path)
    settings = json.dumps({"path": str(path)})
    message = refused("ingest", "constraint", "build", "--settings", settings, "--output", "no.nc")
    assert re.search(said, message) and not Path("no.nc").exists(), message


@pytest.mark.parametrize(
    ("factor", "said"),
    [(-2.0, "the sign is the other way round"), (44.009 / 12.011, "values are of CO2, not of C"), (365.25, "per year")],
)
def test_sign_unit_and_species_show_in_the_sum_of_the_globe(tmp_path: Path, factor: float, said: str) -> None:
    path = whole_year("cms_flux", tmp_path, known_flux(), factor)
    words = ["--settings", json.dumps({"path": str(path), "kind": "cms_flux"}), "--output", "no.nc"]
    message = refused("ingest", "constraint", "build", *words)
    assert said in message and not Path("no.nc").exists(), message


FIELD = "land_flux_only_fossil_cement_adjusted"


def test_members_without_all_months_are_refused_or_left_out(made: Path) -> None:
    with xr.open_dataset("gcb.nc") as data:
        short = data.load()
    short["land_flux_only_fossil_cement_adjusted"][0, :12] = np.nan
    short.to_netcdf("short.nc")
    ingest("short")
    words = ("--constraint", "ingested/short.nc")
    assert "1 of 2 members lack values, first in 2001-01 in region 'east'" in refused(*target("no.nc", *words))
    run(*target("one.nc", *words, members=["b"]))
    run(*target("late.nc", *words, "--years", "2002", "2003"))
    whole = read_target("target.nc").target
    np.testing.assert_allclose(read_target("one.nc").target.members[..., 0], whole.members[..., 1])
    np.testing.assert_allclose(read_target("late.nc").target.value, whole.value[12:])
