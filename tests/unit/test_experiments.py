"""The grid of experiments: its order, its splits, what may reach a prediction, corrections, scores by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from fluxatlas.config import load
from fluxatlas.config.experiments import ExperimentsBlock
from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.experiments import references, run, scores
from fluxatlas.experiments.figure import write_figure
from fluxatlas.experiments.folds import Fold, make_folds
from fluxatlas.experiments.grid import Experiment, distance, experiments, priority, system_of
from fluxatlas.experiments.run import COLUMNS, predictions, run_experiment
from fluxatlas.experiments.scores import experiment_scores, score_table, write_scores
from fluxatlas.systems import get_system
from fluxatlas.train.climatology import climatology
from fluxatlas.train.corrected import corrected
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.member import Member
from fluxatlas.train.pretrain import new_network
from fluxatlas.train.reweight import importance
from fluxatlas.train.sites import SiteData, handed
from toy_system import PARTS, TOY, carbon

SETTINGS = TrainBlock(
    hidden=4, code=0, batch=4, sequence_days=60, warmup_days=5, finetune_steps=4, validation_share=0.3, head="exchange"
)
DATES = pd.date_range("2001-01-01", "2003-12-31")
SPLITS = ("space", "time", "random")


def series(count: int, seed: int, days: int = len(DATES)) -> SequenceSet:
    """Places of which every second one shares a block with the one before."""
    rng, dates = np.random.default_rng(seed), DATES[:days]
    shape = (days, count)
    season = 90 * np.sin(2 * np.pi * (dates.dayofyear.to_numpy() - 80) / 365)[:, None]
    drivers = {
        "tas": (283 + 5 * rng.normal(size=count) + season / 10 + rng.normal(size=shape)).astype(np.float32),
        "rsds": np.clip(150 + season + 20 * rng.normal(size=shape), 0, None).astype(np.float32),
        "lai": np.full(shape, 2, np.float32),
        "co2": np.full(shape, 380, np.float32),
    }
    made = carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], np.ones(count))
    return SequenceSet(
        dates,
        tuple(f"s{number}" for number in range(count)),
        np.zeros(count),
        np.arange(count, dtype=float),
        np.arange(count) // 2,
        drivers,
        {name: rng.uniform(5, 40, count).astype(np.float32) for name in ("clay", "soc")},
        {name: values.astype(np.float32) for name, values in made.items()},
        tuple(Segment(site, 0, days) for site in range(count)),
    )


SAMPLES = series(12, 1, 400)
SITES = SiteData((replace(series(12, 2), targets={"nee": series(12, 2).targets["nee"]}),))
START = Member(new_network(TOY, SETTINGS, SAMPLES, 1), "4km")


def folds(split: str, share: float = 1.0, number: int = 0, sites: SiteData = SITES) -> list[Fold]:
    return make_folds(sites, "nee", split, share, 3, SETTINGS, number)


def labels(parts: Sequence[SequenceSet]) -> np.ndarray:
    """Where (time, site) the first set has an observation."""
    return np.isfinite(parts[0].targets["nee"])


# --- the grid ---------------------------------------------------------------------------------------------------------

GRID = ExperimentsBlock(
    models=("gru", "tcn"),
    transfers=("finetune", "none", "residual"),
    splits=("space", "time"),
    shares=(1.0, 0.5),
    seeds=2,
)


def test_every_combination_is_run_once_and_the_centre_of_the_grid_first() -> None:
    found = experiments(GRID)
    networks = [one for one in found if one.model in GRID.models]
    assert len(networks) == len(set(networks)) == 2 * 3 * 2 * 2 * 2
    assert found[0].name in ("space/1/gru/finetune/0", "space/1/process/none/0")
    away = [distance(GRID, one) for one in found]
    assert away == sorted(away) and away[0] == 0 and max(away) == 5
    assert {one.name for one in networks if distance(GRID, one) == 1} == {
        *("space/1/tcn/finetune/0", "space/1/gru/none/0", "space/1/gru/residual/0", "time/1/gru/finetune/0"),
        *("space/0.5/gru/finetune/0", "space/1/gru/finetune/1"),
    }
    assert [priority(GRID, one) for one in found] == sorted((priority(GRID, one) for one in found), reverse=True)


def test_references_are_run_as_often_as_chance_is_in_them() -> None:
    found = [one for one in experiments(GRID) if one.model not in GRID.models]
    count = pd.Series([one.model for one in found]).value_counts()
    assert dict(count) == {"process": 2, "trees": 2 * 2 * 2, "mean": 2 * (1 + 2), "season": 2 * (1 + 2)}
    assert {one.transfer for one in found} == {"none"}


def test_a_grid_that_repeats_itself_or_has_no_towers_is_refused() -> None:
    with pytest.raises(ValidationError, match="each is named once"):
        ExperimentsBlock(models=("gru", "gru"))
    with pytest.raises(ValidationError, match="'flat_grue' is not a model; did you mean 'gru'"):
        ExperimentsBlock(models=("flat_grue",))
    for one_sided in ({"models": ("gru_given",)}, {"measured_inputs": ("gpp",)}):
        with pytest.raises(ValidationError, match="set both or none"):
            ExperimentsBlock.model_validate(one_sided)
    with pytest.raises(ValidationError, match="a share of the towers is above 0 and at most 1"):
        ExperimentsBlock(shares=(1.0, 0.0))
    with pytest.raises(ValidationError, match=r"'gru/nome' is not a pair of .* did you mean 'gru/none'"):
        ExperimentsBlock(models=("gru",), transfers=("none",), only=("gru/nome",))


def test_named_pairs_alone_are_run_beside_the_references() -> None:
    block = ExperimentsBlock(models=("gru", "tcn"), transfers=("finetune", "none"), only=("gru/finetune", "tcn/none"))
    pairs = {(one.model, one.transfer) for one in experiments(block)}
    assert {pair for pair in pairs if pair[0] in block.models} == {("gru", "finetune"), ("tcn", "none")}
    assert {model for model, _ in pairs} == {"gru", "tcn", *block.references}


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_training_validation_and_test_are_apart_and_the_test_is_the_same_for_all(split: str, share: float) -> None:
    for fold, whole in zip(folds(split, share, number=1), folds(split), strict=True):
        training, validation, tested = labels(fold.split.training), labels(fold.split.validation), fold.hidden[0]
        assert not (training & tested).any() and not (validation & tested).any()
        assert (fold.hidden[0] == whole.hidden[0]).all()
        ran = [{segment.site for segment in part[0].segments} for part in (fold.split.training, fold.split.validation)]
        learnt = {SITES.sites[site] for site in set.union(*ran)}
        assert learnt == set(fold.towers) and len(learnt) >= 2
        assert not (labels(fold.split.training) & labels(fold.split.validation))[:, sorted(ran[0] & ran[1])].any()
        if split == "space":
            assert not ran[0] & ran[1] and not tested[:, np.isin(SITES.sites, fold.towers)].any()
            block = SITES.block
            assert not set(block[sorted(ran[0])]) & set(block[sorted(ran[1])])
            assert not set(block[tested.all(axis=0)]) & set(block[~tested.all(axis=0)])
        else:
            assert (training | validation | tested)[:, np.isin(SITES.sites, fold.towers)].all()


def test_each_site_is_tested_once_in_space_and_its_last_year_in_time() -> None:
    assert (sum(fold.hidden[0].astype(int) for fold in folds("space")) == 1).all()
    (fold,) = folds("time")  # three years: the published rule learns from those up to year 6 * 2 // 7 = 1
    assert (fold.hidden[0] == (DATES.year == 2003)[:, None]).all()
    last = np.where(labels(fold.split.training))[0].max()
    assert last < np.where(labels(fold.split.validation))[0].min()
    (fold,) = folds("random")
    assert fold.hidden[0].mean() == pytest.approx(1 / 3, abs=0.02)


def test_a_smaller_share_of_towers_is_part_of_a_larger_one() -> None:
    few, more, other = (folds("time", share, number)[0].towers for share, number in ((0.3, 0), (0.6, 0), (0.3, 1)))
    assert set(few) < set(more) and len(few) == 4 and len(more) == 8 and set(few) != set(other)


def test_one_year_has_no_later_one() -> None:
    first = np.where((DATES.year == 2001)[:, None], SITES.sets[0].targets["nee"], np.nan).astype(np.float32)
    short = SiteData((replace(SITES.sets[0], targets={"nee": first}),))
    with pytest.raises(InputError, match="no observation of 'nee' lies in a later year"):
        folds("time", sites=short)


# --- what reaches a prediction ----------------------------------------------------------------------------------------

TRANSFERS = ("none", "finetune", "l2sp", "residual", "stacking", "reweighted", "adversarial")


def predicted(model: str, transfer: str, fold: Fold, sites: SiteData = SITES, **settings: object) -> np.ndarray:
    block = SETTINGS.model_copy(update=settings)
    one = Experiment("space", "1", model, transfer, 0)
    return predictions(one, fold, sites, SAMPLES, TOY, block, "4km", START)[0]["nee"]


@pytest.mark.parametrize(
    ("split", "transfer"), [*(("space", name) for name in TRANSFERS), ("time", "reweighted"), ("random", "none")]
)
def test_test_labels_change_no_prediction_and_training_labels_do(split: str, transfer: str) -> None:
    """Bit by bit, at every site and day: neither weights, nor selection, nor the weights of samples see them."""
    known = folds(split)[0]

    def with_labels(where: np.ndarray) -> np.ndarray:
        other = np.where(where, 50.0 - 3.0 * SITES.sets[0].targets["nee"], SITES.sets[0].targets["nee"])
        changed = SiteData((replace(SITES.sets[0], targets={"nee": other.astype(np.float32)}),))
        return predicted("gru", transfer, folds(split, sites=changed)[0], changed)

    plain = predicted("gru", transfer, known)
    assert np.isfinite(plain).all()
    np.testing.assert_array_equal(with_labels(known.hidden[0]), plain)
    assert np.abs(with_labels(~known.hidden[0]) - plain).max() > 1e-4


def test_weights_of_samples_know_neither_labels_nor_weather_of_what_is_tested() -> None:
    fold = folds("space")[0]
    other = {name: np.where(fold.hidden[0], values + 9, values) for name, values in SITES.sets[0].drivers.items()}
    moved = SiteData((replace(SITES.sets[0], drivers=other),))
    weights, size = importance(SAMPLES, fold.split.training, TOY)
    again, same = importance(SAMPLES, folds("space", sites=moved)[0].split.training, TOY)
    np.testing.assert_array_equal(weights, again)
    assert size == same and 1 <= size <= len(SAMPLES.sites)


def test_a_correction_that_is_zero_is_the_simulator_and_learns_beside_it() -> None:
    batch = SITES.sets[0].batch(SITES.sets[0].windows(60)[:3], 5)
    before = {name: value.clone() for name, value in START.network.state_dict().items()}
    with torch.no_grad():
        plain = START.network(batch.drivers, batch.statics)[0]["nee"]
        for stacked in (False, True):
            network = corrected(START, SAMPLES, stacked, 3).network.train()
            found, state = network(batch.drivers, batch.statics)
            torch.testing.assert_close(found["nee"], plain, rtol=1e-5, atol=1e-5)
            assert not network.base.training and "correction" in state
            network.parts["correction"].readout.bias += 1.0
            moved = network(batch.drivers, batch.statics)[0]["nee"]
            torch.testing.assert_close(moved - plain, network.unit.expand_as(plain), rtol=1e-4, atol=1e-4)
    fold = folds("space")[0]
    assert np.abs(predicted("gru", "residual", fold) - predicted("gru", "stacking", fold)).max() > 1e-4
    for name, value in START.network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


# --- references and scores --------------------------------------------------------------------------------------------


def test_climatology_by_hand() -> None:
    dates = pd.to_datetime(["2001-01-01", "2001-01-02", "2001-02-01", "2002-01-01", "2002-02-01"])
    nan = np.nan
    flux = np.array([[1.0, 10, 7], [3, 10, 7], [8, nan, 7], [99, 99, 99], [99, 99, 99]])
    part = replace(SITES.sets[0], dates=dates, sites=("a", "b", "c"), targets={"nee": flux})
    unused = (np.array([[False, False, True]] * 3 + [[True] * 3] * 2),)
    (plain,) = climatology(SiteData((part,)), "nee", unused, seasonal=False)
    (season,) = climatology(SiteData((part,)), "nee", unused, seasonal=True)
    assert (plain == [[4.0, 10.0, 7.0]] * 5).all()  # c is not seen: the mean of the other two
    # departures of months: a has 2 - 4 and 8 - 4, b 0 and none: January -1, February 4
    np.testing.assert_allclose(season[[0, 2]], [[2, 10, 6], [8, 14, 11]])
    np.testing.assert_array_equal(season[3:], season[[0, 2]])


def result(**columns: object) -> pd.DataFrame:
    about = dict.fromkeys(COLUMNS, 0.0) | {"split": "space", "share": "1", "model": "gru", "transfer": "none"}
    return pd.DataFrame({**about, "target": "nee", "number": 0, "fold": 0, "towers": 3, **columns})


def test_scores_are_those_of_the_days_put_together() -> None:
    rng = np.random.default_rng(4)
    days = pd.DataFrame({"site": np.repeat(["a", "b", "c"], [10, 40, 200]), "o": rng.normal(3, 1, 250)})
    days["o"] += days["site"].map({"a": 0, "b": 4, "c": 1})
    days["p"] = days["o"] + rng.normal(0.3, 0.5, 250)
    days["e"] = (days["p"] - days["o"]) ** 2
    groups = days.groupby("site")
    rows = result(
        site=["a", "b", "c"],
        n=groups.size().to_numpy(),
        observed_mean=groups["o"].mean().to_numpy(),
        predicted_mean=groups["p"].mean().to_numpy(),
        observed_variance=groups["o"].var(ddof=0).to_numpy(),
        squared_error=groups["e"].mean().to_numpy(),
        cycle_variance=[4.0, 5, 1],
        cycle_squared_error=[1.0, 1, 3],
    )
    found = experiment_scores(rows, 30)
    assert found["rmse"] == pytest.approx(np.sqrt(days["e"].mean()))
    assert found["nrmse"] == pytest.approx(found["rmse"] / days["o"].mean())
    assert found["r2"] == pytest.approx(1 - days["e"].sum() / ((days["o"] - days["o"].mean()) ** 2).sum())
    error = days["p"] - days["o"]
    centred = error - error.groupby(days["site"]).transform("mean")
    assert found["ubrmse"] == pytest.approx(np.sqrt((centred**2).mean()))
    assert found["site_ubrmse_q50"] == pytest.approx(
        np.sqrt((centred**2).groupby(days["site"]).mean()[["b", "c"]].median())
    )
    assert found["bias"] == pytest.approx(error.mean()) and found["seasonal_r2"] == 0.5
    own = [1 - g["e"].sum() / ((g["o"] - g["o"].mean()) ** 2).sum() for site, g in groups if site != "a"]  # a is short
    assert found["site_r2_q25"] == pytest.approx(np.percentile(own, 25)) and found["site_r2_q50"] == pytest.approx(
        np.mean(own)
    )
    assert not {"r2_sites_low", "site_r2_q50_low"} & set(score_table(rows.assign(cluster=[0, 1, 1]), 30)["score"])


def test_intervals_over_sites_draw_clusters_and_are_those_of_the_days_put_together() -> None:
    """Two copies of each site in one cluster say what one of each says; as sites alone they would claim more."""
    rng = np.random.default_rng(8)
    moments = rng.uniform(0.5, 3, (4, 9))
    one = result(site=[f"s{k}" for k in range(9)], cluster=np.arange(9), n=rng.integers(40, 400, 9).astype(float),
                 observed_mean=moments[0], predicted_mean=moments[1], observed_variance=moments[2],
                 squared_error=moments[3] / 4)  # fmt: skip
    found = experiment_scores(one, 30)
    twice = pd.concat([one, one.assign(site=one["site"] + "b")])
    names = ("r2_sites_low", "r2_sites_high", "site_r2_q50_low", "site_r2_q50_high")
    assert [experiment_scores(twice, 30)[name] for name in names] == pytest.approx([found[name] for name in names])
    alone = experiment_scores(twice.assign(cluster=range(18)), 30)
    assert alone["r2_sites_high"] - alone["r2_sites_low"] < 0.85 * (found["r2_sites_high"] - found["r2_sites_low"])
    n, o, v, e = (one[name].to_numpy() for name in ("n", "observed_mean", "observed_variance", "squared_error"))
    skill, own = [], []
    for drawn in rng.integers(9, size=(4000, 9)):
        mean = np.average(o[drawn], weights=n[drawn])
        spread = np.average(v[drawn] + (o[drawn] - mean) ** 2, weights=n[drawn])
        skill.append(1 - np.average(e[drawn], weights=n[drawn]) / spread)
        own.append(np.median(1 - e[drawn] / v[drawn]))
    expected = [*np.quantile(skill, (0.05, 0.95)), *np.quantile(own, (0.05, 0.95))]
    assert [found[name] for name in names] == pytest.approx(expected, abs=0.03)


def test_the_interval_is_that_of_the_mean_over_seeds_and_the_table_is_drawn(tmp_path) -> None:
    parts = [
        result(site=["a", "b"], n=50, observed_mean=[1.0, 3], predicted_mean=2.0, observed_variance=1.0,
               squared_error=[value] * 2, number=number, share=share, transfer=transfer)
        for share in ("1", "0.5") for transfer in ("none", "finetune") for number, value in enumerate((1.0, 4.0, 9.0))
    ]  # fmt: skip
    parts += [result(site=["a", "b"], n=50, observed_mean=[1.0, 3], squared_error=4.0, model="trees")]
    paths = [tmp_path / f"{number}.csv" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        part.to_csv(path, index=False)
    table = write_scores(tmp_path / "scores.csv", paths, 30)
    rmse = table.query("score == 'rmse' and transfer == 'none' and share == '1' and model == 'gru'").iloc[0]
    assert rmse["value"] == 2 and rmse["seeds"] == 3 and rmse["days"] == 100 and rmse["unit"] == "g m-2 d-1"
    assert rmse["high"] - 2 == pytest.approx(2.919986 * 1 / np.sqrt(3))  # t of 2 degrees of freedom, sd 1
    assert np.isnan(table.query("model == 'trees' and score == 'rmse'")["low"].item())
    paired = table[table["score"] == "rmse_paired"].set_index(["model", "transfer", "share"])
    assert (paired.loc[("gru", "finetune", "0.5"), ["value", "low", "high"]] == 0).all()  # the same seed by seed
    other = paired.loc[("trees", "none", "1")]  # 2 less 1, 2 and 3
    assert other["value"] == 0 and other["high"] == pytest.approx(2.919986 / np.sqrt(3))
    assert list(pd.read_csv(tmp_path / "scores.csv").columns) == list(table.columns)
    write_figure(tmp_path / "scores.png", table)
    assert (tmp_path / "scores.png").stat().st_size > 10_000
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    for path, message in (
        (tmp_path / "bad.csv", "not the result of an experiment"),
        (tmp_path / "x.csv", "file not found"),
    ):
        with pytest.raises(InputError, match=message):
            write_scores(tmp_path / "other.csv", [path], 30)
    assert not (tmp_path / "other.csv").exists()


@pytest.mark.parametrize(
    ("model", "split"), [("mean", "space"), ("trees", "time"), ("forest", "time"), ("process", "space")]
)
def test_references_are_judged_on_the_same_days(model: str, split: str) -> None:
    table = run_experiment(Experiment(split, "1", model, "none", 0), SITES, SAMPLES, TOY, SETTINGS, 3, "4km")
    assert list(table.columns) == list(COLUMNS) and set(table["site"]) == set(SITES.sites)
    assert (table["n"] == (len(DATES) if split == "space" else 365)).all() and table["effective_samples"].isna().all()
    scores = experiment_scores(table, 30)
    if model == "process":
        assert scores["rmse"] < 1e-5  # the towers are made by it
    else:
        assert scores["r2"] < 0 if model == "mean" else scores["r2"] > 0.5


def test_remedies_are_those_of_the_baselines_where_the_process_model_lacks_the_output_too(monkeypatch) -> None:
    fold = folds("space")[0]
    seen = np.where(fold.unused[0], np.nan, SITES.sets[0].targets["nee"])

    def asked(name: str = "calibrated") -> np.ndarray:
        return references.reference(name, SITES, TOY, "nee")(fold.unused, 1)(SITES.sets)[0]

    np.testing.assert_allclose(asked(), SITES.sets[0].targets["nee"], atol=1e-4)  # which the process model has made
    monkeypatch.setattr(references, "simulated", lambda part, system: {})
    np.testing.assert_allclose(asked(), np.nanmean(seen), rtol=1e-5)


def test_another_output_than_the_first_flux_is_judged_where_it_is_measured() -> None:
    """The process model makes the towers: it has no error in whatever is named; a variable nobody measures is said."""
    one = Experiment("space", "1", "process", "none", 0)
    targets = {name: series(12, 2).targets[name] for name in ("nee", "gpp")}
    both = SiteData((replace(SITES.sets[0], targets=targets),))
    table = run_experiment(one, both, SAMPLES, TOY, SETTINGS, 3, "4km", target="gpp")
    assert set(table["target"]) == {"gpp"} and experiment_scores(table, 30)["rmse"] < 1e-5
    assert table.set_index("site").loc["s3", "observed_mean"] == pytest.approx(targets["gpp"][:, 3].mean(), rel=1e-5)
    with pytest.raises(InputError, match="no site has weather and 'gpp'"):
        run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km", target="gpp")


def test_a_target_that_no_site_can_measure_is_refused_with_the_configuration() -> None:
    others = {"forcing": {"source": "synthetic_earth"}, "period": {"start": 2001, "end": 2001}}

    def refused(**block: object) -> str:
        with pytest.raises(ConfigError) as told:
            load({"system": "soil_moisture_energy", "experiments": block, **others})
        return str(told.value)

    wrong = refused(target="swc05m")
    assert "experiments.target: unknown measured output 'swc05m'; did you mean 'swc05'" in wrong
    corrected = refused(target="swc05", transfers=["finetune", "residual"])
    assert "'residual' corrects 'hfls' alone, not 'swc05'; leave it out" in corrected
    assert "evspsbl" in refused(target="evspsbl")  # a product, but not measured
    assert "experiments.hidden: unknown output 'evspsbk'; did you mean 'evspsbl'" in refused(hidden=["evspsbk"])
    unknown = refused(models=["gru_given"], measured_inputs=["swc5"])
    assert "experiments.measured_inputs: unknown output of a sub-module 'swc5'; did you mean 'swc" in unknown
    with pytest.raises(ConfigError, match="completes by physics what its sub-modules make; it cannot be flat"):
        load({"system": "soil_methane_sink", "experiments": {"models": ["flat_gru"]}, **others})
    towers = {"entries": [{"source": "fluxnet", "path": "x"}]}
    with pytest.raises(ConfigError, match="the truth is known at the towers of"):
        load({"system": "crop_carbon", "experiments": {"hidden": ["ra"]}, "sites": towers, **others})


def true_table(shift: float) -> pd.DataFrame:
    """What is true of ``reco`` at the sites, and ``shift``."""
    wide = pd.DataFrame(series(12, 2).targets["reco"] + shift, index=DATES, columns=list(SITES.sites))
    return wide.rename_axis("time").reset_index().melt("time", var_name="site").assign(variable="reco")


def test_outputs_that_no_site_measures_are_judged_against_the_truth() -> None:
    """The process model is the truth here: no error, or that of a truth which is shifted."""
    one = Experiment("space", "1", "process", "none", 0)
    for shift in (0.0, 1.5):
        rows = run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km", truth=true_table(shift), hidden=["reco"])
        found = {target: experiment_scores(part, 30) for target, part in rows.groupby("target")}
        assert found["nee"]["rmse"] < 1e-5 and found["reco"]["bias"] == pytest.approx(-shift, abs=1e-5)
        assert (rows["n"] == len(DATES)).all()
    for truth, hidden, message in (
        (None, ["reco"], "no truth of 'reco' is given"),
        (true_table(0), ["gpp"], "the truth says nothing of 'gpp'"),
    ):
        with pytest.raises(InputError, match=message):
            run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km", truth=truth, hidden=hidden)


def test_the_share_of_days_that_break_an_identity_goes_from_rows_to_the_table(monkeypatch) -> None:
    """Which days break it is drawn here, another lot in each run; sites differ, and in time only last years count."""
    shape, rng, parts = SITES.sets[0].targets["nee"].shape, np.random.default_rng(9), []
    scored: list[str] = []
    shares: dict[str, list[float]] = {"space": [], "time": []}
    for split, number, model in (("space", 0, "gru"), ("space", 1, "gru"), ("time", 0, "gru"), ("space", 0, "mean")):
        broken = rng.random(shape) < np.linspace(0, 0.3, shape[1])
        checked = replace(PARTS, checks={"balance": lambda outputs, broken=broken: broken & (outputs["nee"] < np.inf)})
        monkeypatch.setattr(run, "load_object", lambda name, parts=checked: parts)
        one = Experiment(split, "1", model, "none", number)
        parts.append(run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km"))
        shares[split].append(broken[DATES.year == 2003 if split == "time" else slice(None)].mean())
    monkeypatch.setattr(
        scores, "experiment_scores", lambda rows, days: scored.extend(rows["target"]) or experiment_scores(rows, days)
    )
    table = score_table(pd.concat(parts), 30)
    assert set(scored) == set(table["target"]) == {"nee"}  # days that break it are no values to be scored
    found = table[table["score"] == "balance_broken"].set_index(["split", "model"])
    assert len(found) == 3 and set(found["unit"]) == {"1"} and (found["days"].loc["space"] == shape[0] * shape[1]).all()
    assert found.loc[("space", "gru"), "value"] == pytest.approx(np.mean(shares["space"][:2]))
    half = 6.313752 * np.std(shares["space"][:2], ddof=1) / np.sqrt(2)  # t of a degree of freedom
    assert found.loc[("space", "gru"), "high"] == pytest.approx(np.mean(shares["space"][:2]) + half)
    assert found.loc[("space", "mean"), "value"] == pytest.approx(shares["space"][2])
    assert found.loc[("time", "gru"), "value"] == pytest.approx(shares["time"][0])
    assert "rmse_paired" in set(table["score"])


def test_a_flat_network_is_judged_on_hidden_outputs_and_the_truth_changes_no_prediction() -> None:
    system, one = system_of("flat_gru", TOY), Experiment("time", "1", "flat_gru", "none", 0)
    plain, moved = (
        run_experiment(one, SITES, SAMPLES, system, SETTINGS, 3, "4km", truth=true_table(shift), hidden=["reco"])
        for shift in (0.0, 1.5)
    )
    assert list(plain["target"].value_counts()) == [12, 12]
    np.testing.assert_array_equal(plain["predicted_mean"], moved["predicted_mean"])


def test_a_flat_network_sees_what_sites_give_and_its_system_is_found_again() -> None:
    system = system_of("flat_gru_given", TOY, ["gpp"])
    assert [part.outputs for part in system.submodules] == [("gpp",), ("reco",)] and not system.knowledge
    assert [part.outputs for part in system_of("flat_gru", TOY, ["gpp"]).submodules] == [("gpp", "reco")]
    assert system_of("gru_given", TOY, ["gpp"]) is TOY
    again = get_system("crop_carbon+flat+gpp")
    assert get_system(again.key) == again and again.key == "crop_carbon+flat+gpp"
    assert not {"harvest", "residue"} & {*again.intermediates, *again.outputs} and again.flux == "nee"
    gpp = np.where(np.arange(len(DATES))[:, None] % 2, np.nan, 7.0 + 0 * SITES.sets[0].targets["nee"])
    sites = SiteData((replace(SITES.sets[0], targets={**SITES.sets[0].targets, "gpp": gpp.astype(np.float32)}),))
    sites = handed(sites, ["gpp"], system)
    one, fold = Experiment("space", "1", "flat_gru_given", "none", 0), folds("space", sites=sites)[0]
    found = predictions(one, fold, sites, SAMPLES, system, SETTINGS, "4km")[0]
    assert (found["gpp"][::2] == 7).all() and np.ptp(found["gpp"][1::2]) > 0.1
    np.testing.assert_allclose(found["nee"], found["reco"] - found["gpp"], atol=1e-5)
    with pytest.raises(ConfigError, match="'gppp' cannot be given to the flat network; did you mean 'gpp'"):
        system_of("flat_gru_given", TOY, ["gppp"])


def test_a_network_is_run_on_all_folds_and_effective_samples_are_kept() -> None:
    one = Experiment("space", "0.5", "gru", "reweighted", 0)
    table = run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km", START)
    assert set(table["fold"]) == {0, 1, 2} and table["effective_samples"].between(1, 12).all()
    assert (table["towers"] == 4).all() and set(table["site"]) == set(SITES.sites)
    assert {"rmse", "effective_samples"} <= set(score_table(table, 30)["score"])
    with pytest.raises(ConfigError, match="cell"):
        run_experiment(replace(one, model="grue"), SITES, SAMPLES, TOY, SETTINGS, 3, "4km", START)
    with pytest.raises(InputError, match="begins with a pretrained network"):
        run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km")
