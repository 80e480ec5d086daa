"""Scores of experiments by hand: intervals over sites and seeds, references, outputs that no site measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiment_cases import DATES, SAMPLES, SETTINGS, SITES, folds, series, true_table
from fluxatlas.config import load
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.experiments import references, run, scores
from fluxatlas.experiments.figure import write_figure
from fluxatlas.experiments.grid import Experiment
from fluxatlas.experiments.run import COLUMNS, run_experiment
from fluxatlas.experiments.scores import experiment_scores, score_table, write_scores
from fluxatlas.train.climatology import climatology
from fluxatlas.train.sites import SiteData
from toy_system import PARTS, TOY


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
