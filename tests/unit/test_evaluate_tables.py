"""Tables of skill, truth, towers and seams against numbers worked out beside them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.evaluate import EvaluateBlock
from fluxatlas.errors import InputError
from fluxatlas.evaluate.seams import seam_table
from fluxatlas.evaluate.skill import read_predictions, skill_table
from fluxatlas.evaluate.towers import write_towers
from fluxatlas.evaluate.truth import truth_table
from fluxatlas.products.daily import write_daily
from fluxatlas.systems import get_system
from stage_files import MODELS, make_world, write_observations, write_predictions, write_truth

SYSTEM = get_system("soil_methane_sink")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("evaluate"), years=(2001, 2002))


@pytest.fixture(scope="module")
def daily(world):
    paths = []
    for variable in ("tsl05", "swc05"):
        for year in world.years:
            paths.append(world.root / "products" / "daily" / f"{variable}_{year}.nc")
            write_daily(paths[-1], variable, year, world.flux_of(year), world.attributes, system="soil_methane_sink")
    return paths


# --- skill ----------------------------------------------------------------------------------------------------------


def _rows(member, sites, observed, predicted, split, model="kgml"):
    return pd.DataFrame(
        {
            "model": model,
            "member": member,
            "site": sites,
            "time": pd.Timestamp("2001-06-01"),
            "variable": "fch4",
            "observed": observed,
            "sd": 0.1,
            "predicted": predicted,
            "split": split,
        }
    )


def test_a_held_out_site_is_scored_by_the_members_that_have_not_seen_it() -> None:
    table = skill_table(
        pd.concat(
            [
                _rows(0, ["a", "b", "c"], [-1.0, -2.0, -3.0], [-1.0, -2.0, -9.0], ["train", "train", "test"]),
                _rows(1, ["a", "b", "c"], [-1.0, -2.0, -3.0], [-9.0, -2.0, -3.0], ["test", "train", "train"]),
            ]
        ),
        EvaluateBlock(minimum_site_days=1),
    )
    daily = table[(table.scale == "daily") & (table.member == "all")].set_index("split")
    assert daily.loc["test", "n"] == 2 and daily.loc["train", "n"] == 3
    assert daily.loc["test", "rmse"] == pytest.approx(np.sqrt((8**2 + 6**2) / 2))
    assert daily.loc["train", "rmse"] == 0
    each = table[(table.scale == "daily") & (table.split == "test") & (table.member == "0")].iloc[0]
    assert each["n"] == 1 and each["bias"] == -6 and each["unit"] == "mg m-2 d-1"


def test_the_mean_of_members_and_of_sites() -> None:
    first = _rows(0, ["a", "a", "b"], [-1.0, -3.0, -4.0], [-2.0, -2.0, -2.0], "test")
    second = _rows(1, ["a", "a", "b"], [-1.0, -3.0, -4.0], [-4.0, -4.0, -4.0], "test")
    days = pd.to_datetime(["2001-06-01", "2001-06-02", "2001-06-01"])
    table = skill_table(
        pd.concat([first.assign(time=days), second.assign(time=days)]), EvaluateBlock(minimum_site_days=1)
    )
    whole = table[table.member == "all"].set_index("scale")
    assert whole.loc["daily", "bias"] == pytest.approx(-3 - np.mean([-1, -3, -4]))
    assert whole.loc["site_mean", "n"] == 2 and whole.loc["site_mean", "bias"] == pytest.approx(0)
    few = skill_table(first.assign(time=days), EvaluateBlock(minimum_site_days=2))
    assert few[few.scale == "site_mean"]["sites"].tolist() == [1]


def test_predictions_that_cannot_be_read_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="file not found"):
        read_predictions([tmp_path / "none.parquet"])
    _rows(0, ["a"], [1.0], [1.0], "test").drop(columns="split").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no column split"):
        read_predictions([tmp_path / "a.parquet"])
    _rows(0, [], [], [], "test").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="no predictions"):
        read_predictions([tmp_path / "b.parquet"])


# --- truth ----------------------------------------------------------------------------------------------------------


def test_scores_against_the_truth(world, tmp_path) -> None:
    path = write_truth(world, tmp_path / "truth.nc")
    table = truth_table(world.flux, world.attributes, path, SYSTEM).set_index(["variable", "year"])
    with xr.open_dataset(path, engine="netcdf4") as data:
        true = data.ch4ox.sel(year=2002).to_numpy().astype(float)
    members, weight = world.annual["ch4ox", 2002], world.area
    mean = members.mean(axis=0)
    good = world.active
    row = table.loc["ch4ox", 2002]
    assert row["cells"] == good.sum()
    np.testing.assert_allclose(row["bias"], np.average((mean - true)[good], weights=weight[good]), rtol=1e-4)
    inside = (true >= members.min(axis=0)) & (true <= members.max(axis=0))
    np.testing.assert_allclose(row["within_members"], np.average(inside[good], weights=weight[good]), rtol=1e-4)
    assert row["expected_within"] == 0.5
    np.testing.assert_allclose(row["true_total"], np.nansum(true * weight) * 365e-15, rtol=1e-5)


def test_a_flux_that_is_never_summed_is_scored_without_totals(world, tmp_path) -> None:
    path = write_truth(world, tmp_path / "truth.nc")
    silent = dataclasses.replace(
        SYSTEM, fluxes=tuple(dataclasses.replace(flux, budget_unit=None) for flux in SYSTEM.fluxes)
    )
    table, whole = (truth_table(world.flux, world.attributes, path, one) for one in (silent, SYSTEM))
    totals = [name for name in table if "total" in name]
    assert len(totals) == 8 and table[totals].isna().all(axis=None)
    pd.testing.assert_frame_equal(table.drop(columns=totals), whole.drop(columns=totals))


def test_the_truth_itself_scores_full_marks(world, tmp_path) -> None:
    path = write_truth(world, tmp_path / "truth.nc", error=0.0)
    table = truth_table(world.flux, world.attributes, path, SYSTEM)
    np.testing.assert_allclose(table[["r", "r2"]], 1, atol=1e-6)
    np.testing.assert_allclose(table["within_members"], 1, atol=1e-3)


def test_a_truth_of_other_years_or_another_place_is_refused(world, tmp_path) -> None:
    path = write_truth(world, tmp_path / "truth.nc")
    with xr.open_dataset(path, engine="netcdf4") as data:
        data.assign_coords(year=[1990, 1991]).to_netcdf(tmp_path / "years.nc")
        data.assign_coords(lon=data.lon + 40).to_netcdf(tmp_path / "place.nc")
        data.isel(year=0, drop=True).to_netcdf(tmp_path / "noyear.nc")
    for name, message in (("years", "none of the years"), ("place", "share no cell"), ("noyear", "no dimension")):
        with pytest.raises(InputError, match=message):
            truth_table(world.flux, world.attributes, tmp_path / f"{name}.nc", SYSTEM)


# --- seams ----------------------------------------------------------------------------------------------------------


def test_a_smooth_field_has_no_seam_and_a_shifted_tile_has_one(world, tmp_path) -> None:
    table = seam_table(world.flux, world.attributes, SYSTEM.flux_names)
    whole = table[(table.edge == "all") & (table.variable == "ch4ox")]
    assert (whole["pairs"] > 30).all() and whole["ratio"].between(0.7, 1.3).all()
    assert set(table.edge) == {
        "N40W130|N40W120",
        "N40W130/N30W130",
        "N40W120/N30W120",
        "N30W130|N30W120",
        "all",
    }
    moved = [path for path in world.flux if path.parent.name != "N40W120"]
    for path in world.flux:
        if path.parent.name == "N40W120":
            target = tmp_path / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            with xr.open_dataset(path, engine="netcdf4") as data:
                data.assign(ch4ox_member=data.ch4ox_member + 1, fch4_member=data.fch4_member + 1).to_netcdf(target)
            moved.append(target)
    seams = seam_table(moved, world.attributes, SYSTEM.flux_names)
    seams = seams[seams.variable == "ch4ox"].set_index("edge")
    assert (seams.loc["N40W130|N40W120", "ratio"] > 3).all()
    assert seams.loc["N30W130|N30W120", "ratio"].between(0.5, 1.5).all()


def test_one_tile_has_no_edges(world) -> None:
    name = world.tiles[1].name
    table = seam_table([p for p in world.flux if p.parent.name == name], [world.attributes[1]], SYSTEM.flux_names)
    assert (table["edge"] == "all").all() and (table["pairs"] == 0).all() and table["ratio"].isna().all()


# --- towers ---------------------------------------------------------------------------------------------------------


def test_towers_see_the_noise_and_bias_put_on_the_product(world, daily, tmp_path) -> None:
    sites, observations = write_observations(world, tmp_path, daily, bias=1.5, noise=2.0)
    table = write_towers(tmp_path / "towers.csv", daily, sites, observations)
    soil = table[table.variable == "tsl05"].set_index("site")
    assert soil.loc["all", "bias"] == pytest.approx(-1.5, abs=0.2)
    assert soil.loc["all", "rmse"] == pytest.approx(2.5, abs=0.2)
    assert soil.loc["all", "rmse_anomaly"] == pytest.approx(2.0, abs=0.15)
    assert (soil["r_anomaly"] < soil["r"]).all() and (soil["r"] > 0.9).all()
    assert "X-sea" not in soil.index and "X-far" not in soil.index and len(soil) > 3
    series = pd.read_parquet(tmp_path / "towers.parquet")
    assert len(series[series.variable == "tsl05"]) == soil.loc["all", "n"]
    poor = write_towers(tmp_path / "t.csv", daily, sites, observations, EvaluateBlock(minimum_quality=0.99))
    assert poor[poor.variable == "tsl05"].set_index("site").loc["all", "n"] < soil.loc["all", "n"]


def test_towers_outside_give_an_empty_table_with_its_columns(world, daily, tmp_path) -> None:
    sites, observations = write_observations(world, tmp_path, daily)
    only = pd.read_parquet(observations)
    only[only.site == "X-far"].to_parquet(observations)
    table = write_towers(tmp_path / "towers.csv", daily, sites, observations)
    assert table.empty and "r_anomaly" in pd.read_csv(tmp_path / "towers.csv")


def test_missing_tables_and_places_are_refused(world, daily, tmp_path) -> None:
    sites, observations = write_observations(world, tmp_path, daily)
    with pytest.raises(InputError, match="file not found"):
        write_towers(tmp_path / "towers.csv", daily, tmp_path / "none.csv", observations)
    pd.read_csv(sites).query("site != 'X-0'").to_csv(sites, index=False)
    with pytest.raises(InputError, match="'X-0' has observations but no place"):
        write_towers(tmp_path / "towers.csv", daily, sites, observations)


# --- commands -------------------------------------------------------------------------------------------------------


def test_the_commands_write_their_tables(world, daily, tmp_path) -> None:
    sites, observations = write_observations(world, tmp_path, daily)
    predictions = write_predictions(world, tmp_path / "train")
    truth = write_truth(world, tmp_path / "truth.nc")
    flux = [part for path in world.flux for part in ("--flux", path)]
    flux += [part for path in world.attributes for part in ("--attributes", path)]
    for name, options in (
        ("skill", [part for path in predictions for part in ("--predictions", path)]),
        ("truth", [*flux, "--truth", truth, "--system", SYSTEM.name]),
        ("seams", [*flux, "--system", SYSTEM.name]),
        (
            "towers",
            [*(part for path in daily for part in ("--daily", path)), "--sites", sites, "--observations", observations],
        ),
    ):
        output = tmp_path / f"{name}.csv"
        arguments = ["evaluate", name, *map(str, options), "--output", str(output)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert len(pd.read_csv(output)) > 0
    skill = pd.read_csv(tmp_path / "skill.csv")
    expected = ["model", "target", "split", "sites", "n", "r2", "r", "rmse", "bias", "unit"]
    assert list(skill.columns)[:10] == expected
    assert set(skill.model) == set(MODELS)
