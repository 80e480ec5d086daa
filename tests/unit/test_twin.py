"""The twin worlds: scores against the truth at sites and on the map, intervals, and the table over worlds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fluxatlas.braces import brace_expansion
from fluxatlas.cli import main
from fluxatlas.config import load
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.errors import ConfigError, FluxAtlasError, InputError
from fluxatlas.evaluate.metrics import half_width
from fluxatlas.evaluate.truth import truth_table
from fluxatlas.evaluate.truth_sites import site_truth_table
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run
from fluxatlas.systems import get_system
from fluxatlas.testing import SyntheticEarth
from fluxatlas.testing.site_files import FLUX_FORMS, write_site_truth, write_sites
from fluxatlas.twin.table import twin_table
from fluxatlas.twin.worlds import run_world
from stage_files import make_world, write_truth

SYSTEM = get_system("soil_methane_sink")
DAYS = pd.date_range("2001-01-01", periods=50)


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [2, 3, 5, 20])
def test_the_interval_of_members_holds_another_draw_nine_times_in_ten(members: int) -> None:
    draws = np.random.default_rng(members).standard_normal((200_000, members + 1))
    mean, sd = draws[:, :-1].mean(axis=1), draws[:, :-1].std(axis=1, ddof=1)
    assert np.mean(np.abs(draws[:, -1] - mean) <= half_width(members) * sd) == pytest.approx(0.9, abs=0.003)


def test_the_interval_of_many_members_is_that_of_the_normal_distribution() -> None:
    assert half_width(100_000) == pytest.approx(stats.norm.ppf(0.95), abs=1e-4)
    assert np.isnan(half_width(1)) and half_width(3) == pytest.approx(2.920 * np.sqrt(4 / 3), abs=1e-3)


def test_maps_and_totals_of_draws_of_one_distribution_lie_inside_as_often_as_they_should(tmp_path: Path) -> None:
    """The truth as one of the members, in turn: a calibrated ensemble by construction."""
    world = make_world(tmp_path, members=6, years=(2001,))
    import xarray as xr

    annual, inside = world.annual["fch4", 2001], []
    for number in range(6):
        path = tmp_path / f"truth_{number}.nc"
        maps = {"fch4": (("year", "lat", "lon"), annual[number][None].astype(np.float32))}
        xr.Dataset(maps, {"year": [2001], "lat": world.lat, "lon": world.lon}).to_netcdf(path)
        row = truth_table(world.flux, world.attributes, path, SYSTEM).iloc[0]
        mass = np.nansum(np.where(world.active, annual, 0) * world.area, axis=(1, 2)) * 365e-15
        sd, off = mass.std(ddof=1), abs(mass.mean() - mass[number])
        np.testing.assert_allclose(row["total_sd"], sd, rtol=1e-4)
        assert row["total_within_2sd"] == float(off <= 2 * sd) and row["members"] == 6
        assert row["total_within_90"] == float(off <= half_width(6) * sd)
        known, weight = world.active, world.area[world.active]
        spread = annual.std(axis=0, ddof=1)[known]
        near = np.abs(annual[number] - annual.mean(axis=0))[known] <= stats.norm.ppf(0.95) * spread
        assert row["within_90"] == pytest.approx(np.average(near, weights=weight), abs=2e-3)
        inside.append(row["within_90"])
    assert np.mean(inside) > 0.85  # a member is one of those that the sd is made of


def test_one_member_has_no_interval(tmp_path: Path) -> None:
    world = make_world(tmp_path, members=1, years=(2001,))
    table = truth_table(world.flux, world.attributes, write_truth(world, tmp_path / "truth.nc"), SYSTEM)
    assert table[["total_sd", "total_within_2sd", "total_within_90"]].isna().all(axis=None)


# --- sites ------------------------------------------------------------------------------------------------------------


def _predictions(members: int, error: float, noise: float = 0.5, sites: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Members that are draws about the truth of each site; the truth is another one."""
    draw = np.random.default_rng(4)
    rows, true = [], []
    for number in range(sites):
        level = draw.normal(-1, 0.8)
        here = pd.DataFrame({"site": f"s{number}", "time": DAYS, "variable": "fch4"})
        centre = level + 0.3 * np.sin(np.arange(50) / 8)
        truth = centre + error * draw.standard_normal(50)
        true.append(here.assign(value=truth))
        observed = truth + noise * draw.standard_normal(50)
        for member in range(members + 1):
            own = centre + error * draw.standard_normal(50)
            split = "train" if member == members else "test"  # the last one has seen all sites
            rows.append(here.assign(model="network", member=member, observed=observed, predicted=own, split=split))
        rows.append(here.assign(model="process", member=0, observed=observed, predicted=-1.0, split="test"))
    return pd.concat(rows, ignore_index=True), pd.concat(true, ignore_index=True)


def test_scores_against_the_truth_at_sites_and_the_noise_ceiling_are_those_worked_out_by_hand() -> None:
    predictions, true = _predictions(members=3, error=0.2, sites=40)
    table = site_truth_table(predictions, true).set_index(["model", "scale"])
    joined = predictions.merge(true, on=["site", "time", "variable"])
    unseen = joined[(joined["model"] == "network") & (joined["split"] == "test")]
    mean = unseen.groupby(["site", "time"])[["predicted", "observed", "value"]].mean()
    row = table.loc["network", "daily"]
    known = ((mean["value"] - mean["value"].mean()) ** 2).sum()
    assert row["r2"] == pytest.approx(1 - ((mean["predicted"] - mean["value"]) ** 2).sum() / known)
    assert row["n"] == 40 * 50 and row["sites"] == 40 and row["members"] == 3
    spread = ((mean["observed"] - mean["observed"].mean()) ** 2).sum()
    ceiling = 1 - ((mean["value"] - mean["observed"]) ** 2).sum() / spread
    assert table.loc["truth", "daily"]["r2_observed"] == pytest.approx(ceiling)
    assert table.loc["truth", "daily"]["r2"] == 1 and np.isnan(table.loc["truth", "daily"]["within_90"])
    assert row["r2_observed"] < ceiling < row["r2"]
    assert row["within_90"] == pytest.approx(0.9, abs=0.02)  # the truth is another draw
    assert np.isnan(table.loc["process", "daily"]["within_2sd"])  # one model, no spread
    means = mean.groupby("site").mean()
    bias = (means["predicted"] - means["value"]).mean()
    assert (
        table.loc["network", "site_mean"]["bias"] == pytest.approx(bias)
        and table.loc["network", "site_mean"]["n"] == 40
    )


def test_intervals_of_predictions_are_taken_where_they_give_some() -> None:
    predictions, true = _predictions(members=1, error=0.2, sites=200)
    width = stats.norm.ppf(0.95) * 0.2 * np.sqrt(2)
    given = predictions.assign(low=predictions["predicted"] - width, high=predictions["predicted"] + width)
    given.loc[given["model"] == "process", ["low", "high"]] = np.nan
    table = site_truth_table(given, true).set_index(["model", "scale"])
    assert table.loc["network", "daily"]["within_90"] == pytest.approx(0.9, abs=0.01)
    assert table.loc["network", "daily"]["within_2sd"] == pytest.approx(0.9545, abs=0.01)
    assert table.loc["network", "daily"]["mean_sd"] == pytest.approx(0.2 * np.sqrt(2))
    assert table.loc["network", "site_mean"]["within_90"] == 1  # errors of days are not one here: wider than needed
    assert np.isnan(table.loc["process", "daily"]["within_90"])


def test_sites_with_few_days_do_not_count_in_means_and_no_common_day_is_refused() -> None:
    predictions, true = _predictions(members=2, error=0.2)
    short = predictions[(predictions["site"] != "s0") | (predictions["time"] < DAYS[3])]
    table = site_truth_table(short, true, fewest=5).set_index(["model", "scale"])
    assert table.loc["network", "site_mean"]["n"] == 5 and table.loc["network", "daily"]["sites"] == 6
    with pytest.raises(InputError, match="share no day"):
        site_truth_table(predictions, true.assign(time=true["time"] + pd.Timedelta(days=1000)))


def test_the_truth_of_sites_is_what_chambers_measure_without_error(tmp_path: Path) -> None:
    earth, box = SyntheticEarth(SyntheticEarthBlock(towers=1, chambers=2, chamber_noise=0)), (-8.0, 36.0, -4.0, 40.0)
    write_sites(earth, SYSTEM, box, 2001, 2001, tmp_path)
    true = write_site_truth(earth, SYSTEM, box, 2001, 2001, tmp_path / "truth.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "truth.parquet"), true)
    assert set(true["site"]) == {"XX-T01", "XX-C01", "XX-C02"} and len(true) == len(
        true.drop_duplicates(list(true)[:3])
    )
    rows = pd.read_csv(tmp_path / "chambers.csv", comment="#", parse_dates=["datetime_utc"])
    rows["time"] = rows["datetime_utc"].dt.floor("D")  # near Greenwich the local day is that of UTC
    found = rows.merge(true[true["variable"] == "fch4"], on=["site", "time"])
    assert len(found) == len(rows) > 100
    factor = found["flux_unit"].map({unit: factor for unit, _, factor in FLUX_FORMS})
    np.testing.assert_allclose(found["flux"] / factor, found["value"], atol=3e-4)


# --- worlds -----------------------------------------------------------------------------------------------------------


def _world(root: Path, name: str, total: float, r2: float) -> Path:
    folder = root / name / "evaluate"
    folder.mkdir(parents=True)
    rows = [
        {"year": year, "variable": "fch4", "unit": "mg m-2 d-1", "cells": 10, "r2": r2, "rmse": 0.1, "bias": 0.0}
        | {"within_2sd": 0.9, "within_90": 0.8, "true_total": 2.0, "total": total, "total_unit": "Tg yr-1"}
        | {"total_within_2sd": 1.0, "total_within_90": float(year == 2001)}
        for year in (2001, 2002)
    ]
    pd.DataFrame(rows).to_csv(folder / "truth.csv", index=False)
    sites = [
        {"model": model, "target": "fch4", "scale": scale, "n": 5, "r2": r2, "r2_observed": 0.4, "unit": "mg m-2 d-1"}
        for model in ("network", "truth")
        for scale in ("daily", "site_mean")
    ]
    pd.DataFrame(sites).to_csv(folder / "truth_sites.csv", index=False)
    return folder.parent


def test_the_table_has_every_world_and_the_mean_of_several(tmp_path: Path, monkeypatch, capfd) -> None:
    folders = [_world(tmp_path, "kind-73", 2.2, 0.6), _world(tmp_path, "realistic-73", 1.5, 0.2)]
    folders.append(_world(tmp_path, "realistic-74", 2.5, 0.3))
    output = tmp_path / "twin.csv"
    worlds = brace_expansion("--world", f"{tmp_path}/{{twin}}", twin=[folder.name for folder in folders])
    monkeypatch.setattr(
        "sys.argv", ["fluxatlas", "twin", "table", *worlds, "--output", str(output)]
    )  # as the rule does
    with pytest.raises(SystemExit, match="0"):
        main()
    said = capfd.readouterr().err
    assert "kind 73, fch4: map R2 0.60, total +10 %, sites R2 0.60 (against data 0.40, ceiling 0.40)" in said
    table = pd.read_csv(output, dtype={"seed": str}).set_index(["world", "seed", "level", "model"]).sort_index()
    assert len(table) == 4 * (4 + 2)  # three worlds and the mean of two: four rows of sites, map and total
    assert table.loc[("kind", "73", "total", "network"), "error_percent"] == pytest.approx(10)
    assert table.loc[("kind", "73", "total", "network"), "within_90"] == 0.5  # of two years
    assert table.loc[("realistic", "all", "map", "network"), "r2"] == pytest.approx(0.25)
    assert table.loc[("realistic", "all", "total", "network"), "error_percent"] == pytest.approx(0)
    assert ("kind", "all", "map", "network") not in table.index


def test_folders_that_are_no_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no worlds"):
        twin_table([])
    with pytest.raises(InputError, match="<world>-<seed>"):
        twin_table([tmp_path / "demo"])
    with pytest.raises(InputError, match="file not found"):
        twin_table([tmp_path / "kind-1"])


def test_a_world_is_the_run_in_a_folder_and_with_a_seed_of_its_own() -> None:
    run = Run(load(REPOSITORY / "config" / "config.yaml"))
    other = Run(load(json.loads(run.twin_settings("realistic", 75))))
    assert str(other.paths.root) == "results/demo/twin/realistic-75"
    assert other.config.synthetic_earth == run.config.synthetic_earth.model_copy(
        update={"world": "realistic", "seed": 75}
    )
    assert other.config.model_copy(update={n: getattr(run.config, n) for n in ("run", "synthetic_earth")}) == run.config
    many = run.config.synthetic_earth.model_copy(update={"twin_worlds": 3})
    several = Run(run.config.model_copy(update={"synthetic_earth": many}))
    assert several.twin_seeds == [73, 74, 75]
    assert several.twin_settings("kind", 73) == run.twin_settings("kind", 73)  # more worlds wake no finished one


@pytest.mark.parametrize(
    ("file", "block", "message"),
    [
        ("examples/walnut_gulch_2008.yaml", {}, "hidden truth is known"),
        ("config.yaml", {"train": {"members_from": "results/other/train"}}, "trains members of its own"),
    ],
)
def test_runs_without_a_twin_are_refused(file: str, block: dict, message: str) -> None:
    config = load(REPOSITORY / "config" / file)
    changed = {name: getattr(config, name).model_copy(update=leaves) for name, leaves in block.items()}
    with pytest.raises(ConfigError, match=message):
        Run(config.model_copy(update=changed)).twin_settings("kind", 1)


def test_a_workflow_that_fails_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(REPOSITORY / "config" / "config.yaml")
    sea = config.domain.model_copy(update={"west": -40, "east": -38, "south": 30, "north": 32})
    with pytest.raises(FluxAtlasError, match="run of this world failed"):
        run_world(config.model_copy(update={"domain": sea}), 1)
    assert "holds no land" in capfd.readouterr().err
