"""Permutation importance: a linear world whose importance is known, what is moved and what is not, every refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.model import Config, contradictions
from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError
from fluxatlas.experiments.folds import Fold
from fluxatlas.experiments.grid import Experiment, Permutation, checked
from fluxatlas.experiments.importance import importance_table
from fluxatlas.experiments.permutation import permuted, permuted_sets
from fluxatlas.experiments.run import permuted_rows, run_experiment, site_rows
from fluxatlas.run import Run
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.sites import SiteData
from toy_system import TOY

DAYS, SITES = 1460, 24
DATES = pd.date_range("2001-01-01", periods=DAYS)
SLOPES = {"tas": 3.0, "rsds": 1.0, "clay": 2.0}
NOISE = 0.5


def linear(days: int = DAYS) -> SiteData:
    """White drivers of unit variance, a static of unit variance, and a flux that is linear in them with noise."""
    rng = np.random.default_rng(11)
    shape = (days, SITES)
    drivers = {name: rng.normal(size=shape).astype(np.float32) for name in ("tas", "rsds", "lai")}
    drivers["co2"] = np.broadcast_to(np.linspace(370, 380, days, dtype=np.float32)[:, None], shape).copy()
    clay = rng.normal(size=SITES)
    statics = {"clay": ((clay - clay.mean()) / clay.std()).astype(np.float32), "soc": np.ones(SITES, np.float32)}
    flux = answer(drivers, statics) + NOISE * rng.normal(size=shape)
    segments = tuple(Segment(site, 0, days) for site in range(SITES))
    names = tuple(f"s{number}" for number in range(SITES))
    places = (np.zeros(SITES), np.arange(SITES, dtype=float), np.arange(SITES))
    targets = {"nee": flux.astype(np.float32)}
    return SiteData((SequenceSet(DATES[:days], names, *places, drivers, statics, targets, segments),))


def answer(drivers, statics) -> np.ndarray:
    return SLOPES["tas"] * drivers["tas"] + SLOPES["rsds"] * drivers["rsds"] + SLOPES["clay"] * statics["clay"]


def truth(parts) -> list[dict[str, np.ndarray]]:
    """The linear model itself, on the days of segments."""
    found = []
    for part in parts:
        values = np.full((len(part.dates), SITES), np.nan)
        for site, start, stop in part.segments:
            values[start:stop, site] = answer(part.drivers, part.statics)[start:stop, site]
        found.append({"nee": values})
    return found


def table_of(plan: Permutation, sites: SiteData) -> pd.DataFrame:
    """The table of one experiment in which the linear model predicts all sites in two folds."""
    about = {"split": "space", "share": "1", "model": "linear", "transfer": "none", "target": "nee", "number": 0}
    rows = []
    for number in range(2):
        hidden = (np.broadcast_to(np.arange(SITES) % 2 == number, (DAYS, SITES)),)
        fold = Fold(hidden, hidden, None, ())  # type: ignore[arg-type]
        own = about | {"fold": number}
        found = [values["nee"] for values in truth(sites.sets)]
        rows += [own | {"permuted": "", "over": ""} | row for row in site_rows(sites, "nee", fold, found)]
        rows += [own | row for row in permuted_rows(truth, plan, sites, "nee", fold, TOY, 1)]
    return importance_table(pd.DataFrame(rows))


def test_importance_of_a_linear_model_is_twice_its_squared_slope_times_the_variance() -> None:
    """A permuted driver differs by a difference of two independent draws, whose variance is twice that of one."""
    groups = {"tas": ["tas"], "rsds": ["rsds"], "lai": ["lai"], "clay": ["clay"], "weather": ["tas", "rsds", "lai"]}
    table = table_of(Permutation(4, 1, groups), linear())
    value = table.set_index(["permuted", "over", "score"])["value"]
    variance = sum(slope**2 for slope in SLOPES.values()) + NOISE**2
    for group, increase in {"tas": 18, "rsds": 2, "weather": 20}.items():
        for over in ("time", "sites"):
            rmse = np.sqrt(increase + NOISE**2) - NOISE
            assert value[group, over, "rmse_increase"] == pytest.approx(rmse, rel=0.02), (group, over)
            assert value[group, over, "r2_loss"] == pytest.approx(increase / variance, rel=0.03), (group, over)
    for over in ("time", "sites"):
        assert value["lai", over, "rmse_increase"] == 0
    others = 2 * SLOPES["clay"] ** 2 * SITES / (SITES - 1)  # the other sites, without its own
    assert value["clay", "sites", "r2_loss"] == pytest.approx(others / variance, rel=0.3)  # 96 draws
    assert ("clay", "time", "r2_loss") not in value.index
    assert set(table["draws"]) == {4} and set(table["sites"]) == {SITES} and set(table["days"]) == {DAYS * SITES}
    inside = table[(table["permuted"] == "tas") & (table["score"] == "r2_loss")]
    assert (inside["low"] < inside["value"]).all() and (inside["value"] < inside["high"]).all()


def test_blocks_of_days_and_days_of_the_year_stay_together_and_other_series_are_left() -> None:
    (part,) = linear().sets
    year = np.broadcast_to(DATES.dayofyear.to_numpy(np.float32)[:, None], (DAYS, SITES)).copy()
    year = year + np.arange(SITES, dtype=np.float32) / 100
    short = (Segment(0, 40, 1000), Segment(0, 1010, 1100), *part.segments[1:])
    part = replace(part, drivers={**part.drivers, "tas": year}, segments=short, block=np.arange(SITES) // 12)
    moved = permuted(part, ("tas",), "time", 30, np.random.default_rng(3))
    for _, start, stop in short[:2]:
        before, after = year[start:stop, 0], moved.drivers["tas"][start:stop, 0]
        assert sorted(before) == sorted(after) and not np.array_equal(before, after)
        assert (np.diff(np.round(after)) == 1).mean() > 0.9
    np.testing.assert_array_equal(moved.drivers["tas"][:40, 0], year[:40, 0])
    assert moved.drivers["rsds"] is part.drivers["rsds"] and moved.targets is part.targets
    other = permuted(part, ("tas", "clay"), "sites", 30, np.random.default_rng(3))
    for site, start, stop in part.segments:
        donor = np.round(100 * (other.drivers["tas"][start:stop, site] % 1)).astype(int)
        assert len(set(donor)) == 1 and donor[0] // 12 != site // 12
        away = np.abs(other.drivers["tas"][start:stop, site] - year[start:stop, site])
        assert np.minimum(away, 365 - away).max() < 3
        assert other.statics["clay"][site] == part.statics["clay"][donor[0]]


def test_what_is_the_same_at_all_sites_or_at_all_times_is_moved_only_where_it_differs() -> None:
    found = [(group, over) for group, over, *_ in permuted_sets(linear().sets, Permutation(1), TOY, 1)]
    assert ("co2", "time") in found and ("co2", "sites") not in found
    assert ("clay", "sites") in found and ("clay", "time") not in found and "soc" not in {group for group, _ in found}


def test_experiments_permute_for_what_sees_drivers_and_the_command_draws_it(tmp_path: Path) -> None:
    settings = TrainBlock(validation_share=0.3)
    paths, sites = [], linear(150)
    for model in ("forest", "mean"):
        one = Experiment("space", "1", model, "none", 0)
        plan = Permutation(1, 30, {"weather": ("tas", "rsds"), "leaves": ("lai",), "soil": ("clay",)})
        arguments = (one, sites, sites.sets[0], TOY, settings, 3, "4km")
        rows = run_experiment(*arguments, permutation=plan)
        plain = run_experiment(*arguments)
        whole = rows[rows["permuted"].isna()][plain.columns].drop(columns="seconds").reset_index(drop=True)
        pd.testing.assert_frame_equal(whole, plain.drop(columns="seconds"), check_dtype=False)
        assert (set(rows["permuted"].dropna()) == {"weather", "leaves", "soil"}) == (model == "forest")
        paths.append(tmp_path / f"{model}.csv")
        rows.to_csv(paths[-1], index=False)
    words = [word for path in paths for word in ("--result", str(path))]
    output = [str(tmp_path / name) for name in ("importance.csv", "importance.png")]
    asked = ["experiments", "importance", *words, "--output", output[0], "--figure", output[1]]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0 and "3 groups of drivers, 10 rows" in done.output
    loss = pd.read_csv(output[0]).query("score == 'r2_loss' and over == 'sites'").set_index("permuted")["value"]
    assert loss["weather"] > 0.5 and abs(loss["leaves"]) < 0.05 and Path(output[1]).stat().st_size > 10_000
    done = CliRunner().invoke(app, ["experiments", "importance", *words[2:], "--output", str(tmp_path / "none.csv")])
    assert done.exit_code == 1 and not (tmp_path / "none.csv").exists()
    done = CliRunner().invoke(app, ["experiments", "table", *words, "--output", str(tmp_path / "scores.csv")])
    assert done.exit_code == 0 and set(pd.read_csv(tmp_path / "scores.csv")["sites"]) == {SITES}


def test_names_that_are_no_drivers_and_runs_that_permute_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'tass' is not a driver of .*did you mean 'tas'"):
        checked({"heat": ("tass",)}, TOY)
    with pytest.raises(ConfigError, match="'' is not a driver"):
        checked({"nothing": ()}, TOY)
    world = {"system": "soil_moisture_energy", "forcing": {"source": "synthetic_earth"}}
    world |= {"period": {"start": 2001, "end": 2001}}
    with pytest.raises(ConfigError, match="no drivers are permuted"):
        _ = Run(Config.model_validate(world)).permuted_results
    given = {"experiments": {"importance_draws": 2, "importance_groups": {"rain": ["pr"]}}}
    run = Run(Config.model_validate(world | given))
    assert run.permutation == '{"days": 30, "draws": 2, "groups": {"rain": ["pr"]}}' and len(run.permuted_results) > 4
    wrong = given["experiments"] | {"importance_groups": {"rain": ["prr"]}}
    (line,) = contradictions(Config.model_validate(world | {"experiments": wrong}))
    assert line.startswith("experiments.importance_groups.rain: unknown driver 'prr'") and "did you mean 'pr'" in line


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{draws: 2}", "the permutation is wrong"),
        ('{"draw": 2}', "draw: "),
        ('{"draws": -1}', "draws: "),
        ('{"draws": 1, "groups": {"rain": "pr"}}', "groups.rain: "),
        ('{"draws": 1, "groups": {"rain": ["prr"]}}', "'prr' is not a driver"),
    ],
)
def test_a_wrong_permutation_is_one_message(tmp_path: Path, text: str, what: str) -> None:
    files = ("--samples", "--sites-attributes", "--sites-forcing", "--observations", "--output")
    words = [word for name in files for word in (name, str(tmp_path / "x"))]
    words += ["--split", "space", "--model", "trees", "--system", "soil_moisture_energy", "--permutation", text]
    done = CliRunner().invoke(app, ["experiments", "run", *words])
    assert done.exit_code != 0 and isinstance(done.exception, ConfigError) and what in str(done.exception)
    assert not (tmp_path / "x").exists()
