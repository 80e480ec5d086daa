"""Scores at unseen sites: worked out by hand, by numpy and scikit-learn, and by worlds with a known answer."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.evaluate import EvaluateBlock
from fluxatlas.evaluate.clusters import quantile
from fluxatlas.evaluate.scales import SCALES
from fluxatlas.evaluate.unseen import (
    PROTOCOLS,
    SiteSums,
    mean_of_members,
    protocol_table,
    site_scores,
)
from fluxatlas.evaluate.words import ROWS, words
from fluxatlas.systems import get_system
from stage_files import make_world, write_predictions

SETTINGS = EvaluateBlock(minimum_days=2, minimum_site_days=1, resamples=200)


def _days(model, sites, split="test", target="fch4"):
    """Rows of predictions; ``sites`` holds (observed, predicted, sd) by name."""
    frames = []
    for site, (observed, predicted, sd) in sites.items():
        time = pd.date_range("2001-01-01", periods=len(observed))
        frame = pd.DataFrame({"site": site, "time": time, "observed": observed, "predicted": predicted, "sd": sd})
        frames.append(frame.assign(model=model, member=0, variable=target, split=split))
    return mean_of_members(pd.concat(frames))


def _tables(days, settings=SETTINGS, cluster=None, reference="network"):
    names = sorted(days["site"].unique())
    cluster = pd.Series(range(len(names)) if cluster is None else cluster, index=names)
    sites = site_scores(days, cluster)
    return sites, protocol_table(days, sites, settings, reference)


def _value(table, protocol, score, *, model="network", against="", subset="all", scale="daily"):
    row = table.query(
        "model == @model and against == @against and subset == @subset"
        " and protocol == @protocol and score == @score and scale == @scale"
    )
    assert len(row) == 1, (protocol, score, len(row))
    return row.iloc[0]


def _random(seed, sites=9, shift=1.0):
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(sites):
        observed = rng.normal(-1 - 0.3 * number, 1, rng.integers(20, 400))
        found[f"s{number}"] = observed, observed + rng.normal(0, 0.5, len(observed)) + rng.normal(0, shift), 0.4
    return found


def test_pooled_scores_are_those_of_scikit_learn_and_balanced_ones_weigh_every_site_alike() -> None:
    sites = _random(1)
    days = _days("network", sites)
    _, table = _tables(days)
    o, p = days["observed"], days["predicted"]
    assert _value(table, "pooled", "r2")["value"] == pytest.approx(r2_score(o, p))
    assert _value(table, "pooled", "rmse")["value"] == pytest.approx(root_mean_squared_error(o, p))
    weight = 1 / days.groupby("site")["observed"].transform("size")
    assert _value(table, "balanced", "r2")["value"] == pytest.approx(r2_score(o, p, sample_weight=weight))
    expected = root_mean_squared_error(o, p, sample_weight=weight)
    assert _value(table, "balanced", "rmse")["value"] == pytest.approx(expected)
    means = days.groupby("site")[["observed", "predicted"]].mean()
    assert _value(table, "between", "r2")["value"] == pytest.approx(r2_score(means.observed, means.predicted))
    own = days.groupby("site")[["observed", "predicted"]].transform("mean")
    inside = r2_score(o - own.observed, p - own.predicted, sample_weight=weight)
    assert _value(table, "within", "r2")["value"] == pytest.approx(inside)
    assert _value(table, "balanced", "r2")["sites"] == 9


def test_a_perfect_model_seen_through_noise_reaches_the_ceiling_and_no_more() -> None:
    rng = np.random.default_rng(2)
    sites = {}
    for number in range(60):
        true = rng.normal(-1, 0.5) + rng.normal(0, 0.5, 300)
        sites[f"s{number}"] = true + rng.normal(0, 0.6, 300), true, 0.6
    _, table = _tables(_days("network", sites))
    best = 1 - 0.36 / (0.25 + 0.25 + 0.36)
    ceiling, reached = _value(table, "ceiling", "r2"), _value(table, "balanced", "r2")
    assert ceiling["value"] == pytest.approx(best, abs=0.03)
    assert reached["value"] == pytest.approx(ceiling["value"], abs=0.02)


def test_there_is_no_ceiling_where_a_site_states_no_error() -> None:
    sites = {f"s{n}": (np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]), np.nan) for n in range(3)}
    _, table = _tables(_days("network", sites))
    assert not (table["protocol"] == "ceiling").any()


def test_quartiles_and_the_90th_percentile_over_sites_are_those_of_numpy() -> None:
    sites = _random(3)
    _, table = _tables(_days("network", sites))
    r2 = [r2_score(o, p) for o, p, _ in sites.values()]
    rmse = [root_mean_squared_error(o, p) for o, p, _ in sites.values()]
    for q in (25, 50, 75):
        assert _value(table, "sites", f"r2_q{q}")["value"] == pytest.approx(np.percentile(r2, q), rel=1e-6)
    assert _value(table, "scales", "rmse_q90")["value"] == pytest.approx(np.percentile(rmse, 90), rel=1e-6)
    bias = [abs(np.mean(p - o)) for o, p, _ in sites.values()]
    found = _value(table, "scales", "rmse_q50", scale="site_mean")["value"]
    assert found == pytest.approx(np.median(bias), rel=1e-6)


def test_a_weighted_quantile_is_that_of_repeated_values() -> None:
    rng = np.random.default_rng(4)
    values, w = rng.normal(size=11), rng.integers(0, 4, (50, 11)).astype(float)
    values[3] = np.nan
    for q in (0, 0.25, 0.5, 0.9, 1):
        repeated = [
            np.quantile(np.repeat(values, row.astype(int))[:], q) for row in np.nan_to_num(w) * np.isfinite(values)
        ]
        np.testing.assert_allclose(quantile(values, w, q), repeated, rtol=1e-12)


def test_intervals_cover_the_truth_as_often_as_they_say_and_count_clusters() -> None:
    covered, alone = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shift = np.repeat(rng.normal(0.5, 1, 30), 2)  # two neighbours share their error: 30 clusters, 60 sites
        for cluster, found in ((np.arange(60) // 2, covered), (np.arange(60), alone)):
            n = np.full(60, 10.0)
            sites = SiteSums(np.arange(60).astype(object), cluster, n, 0 * n, shift * n, 0 * n, shift**2 * n, n)
            low, high = np.quantile(PROTOCOLS["balanced"](sites, sites.resamples(200, seed))["bias"][1:], [0.05, 0.95])
            found.append(low <= 0.5 <= high)
    assert 0.83 <= np.mean(covered) <= 0.95  # 90 % expected, percentile intervals of 30 clusters a little less
    assert np.mean(alone) < 0.8  # as if the neighbours were independent


def test_few_clusters_get_no_interval() -> None:
    _, table = _tables(_days("network", _random(5, sites=4)))
    assert table[["low", "high"]].isna().all().all() and table["value"].notna().any()
    _, table = _tables(_days("network", _random(5, sites=8)), cluster=[0, 0, 1, 1, 2, 2, 3, 3])
    assert table[["low", "high"]].isna().all().all()


def test_models_are_compared_on_the_days_that_both_predict() -> None:
    ours = {
        "a": (np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.5]), 0.1),
        "b": (np.arange(4.0), np.arange(4.0) + 1, 0.1),
    }
    theirs = {"a": (np.array([1.0, 2.0]), np.array([2.0, 3.0]), 0.1), "b": (np.arange(4.0), np.arange(4.0) + 0.5, 0.1)}
    _, table = _tables(pd.concat([_days("network", ours), _days("trees", theirs)]))
    rmse = _value(table, "pooled", "rmse", against="trees")
    assert rmse["value"] == pytest.approx(np.sqrt(4 / 6) - np.sqrt((2 + 4 * 0.25) / 6))
    assert _value(table, "sites", "better", against="trees")["value"] == 0.5  # the third day of site a does not count
    assert not ((table["model"] == "trees") & (table["against"] != "")).any()
    median = _value(table, "sites", "r2_q50", against="trees")  # of a 1 and -3, of b 0.2 and 0.8
    assert median["value"] == pytest.approx((1 + 0.2) / 2 - (-3 + 0.8) / 2) and median["sites"] == 2
    lower = _value(table, "sites", "r2_q25", against="trees")["value"]
    assert lower == pytest.approx(np.quantile([1, 0.2], 0.25) - np.quantile([-3, 0.8], 0.25))


def test_a_site_without_variance_takes_no_part_in_differences_of_quartiles() -> None:
    ours, theirs = (_random(6, sites=7, shift=shift) for shift in (0.5, 1.0))
    theirs = {site: (ours[site][0], ours[site][0] + p - o, sd) for site, (o, p, sd) in theirs.items()}
    flat = {"t": (np.full(30, -1.5), np.linspace(-2, -1, 30), 0.4)}
    without, among = (
        _tables(pd.concat([_days("network", ours | more), _days("trees", theirs | more)]))[1] for more in ({}, flat)
    )
    for score in ("r2_q25", "r2_q50"):
        row = _value(among, "sites", score, against="trees")
        assert (row["sites"], row["clusters"]) == (7, 7) and np.isfinite(row[["low", "high"]].to_numpy(float)).all()
        pd.testing.assert_series_equal(row, _value(without, "sites", score, against="trees"), check_names=False)
    assert _value(among, "sites", "better", against="trees")["sites"] == 8  # an error it has


def test_sites_that_emit_are_scored_apart_from_those_that_take_up() -> None:
    sites = {"sink": (np.array([-2.0, -1.0, -3.0]), np.array([-2.0, -1.0, -3.0]), 0.1)}
    sites["source"] = np.array([4.0, 5.0, 3.0]), np.array([-1.0, 0.0, -2.0]), 0.1
    _, table = _tables(_days("network", sites))
    assert _value(table, "pooled", "rmse", subset="sinks")["value"] == 0
    assert _value(table, "pooled", "bias", subset="sources")["value"] == -5
    _, table = _tables(_days("network", {"sink": sites["sink"]}))
    assert set(table["subset"]) == {"all"}


# --- time scales ------------------------------------------------------------------------------------------------------


def _series(function, years=4):
    time = pd.date_range("2001-01-01", f"{2000 + years}-12-31")
    observed = function(time)
    return pd.DataFrame({"observed": observed, "predicted": observed}, index=time)


def _error(days, scale):
    pairs = SCALES[scale](days)
    return float(np.sqrt(((pairs["predicted"] - pairs["observed"]) ** 2).mean()))


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        (lambda t: np.full(len(t), 2.0), {"site_mean": 2.0}),
        (lambda t: np.where(t.month <= 6, 1.0, -1.0), {"seasonal": 1.0}),
        (lambda t: np.where(t.year % 2 == 0, 1.0, -1.0), {"interannual": 1.0, "anomaly": 1.0}),
    ],
)
def test_each_scale_sees_its_own_error_only(wrong, seen) -> None:
    days = _series(lambda t: np.cos(2 * np.pi * t.dayofyear / 365.25))
    days["predicted"] += wrong(days.index)
    for scale in ("seasonal", "anomaly", "interannual", "site_mean"):
        assert _error(days, scale) == pytest.approx(seen.get(scale, 0.0), abs=0.02), scale
    assert _error(days, "daily") == pytest.approx(np.sqrt(np.mean(wrong(days.index) ** 2)))


def test_correlations_are_those_of_the_scale() -> None:
    days = _series(lambda t: 10 * np.cos(2 * np.pi * t.month / 12))
    other = np.where(days.index.year % 2 == 0, 1.0, -1.0)
    sites = {"a": (days["observed"] + other, days["predicted"] - other, 0.1)}
    _, table = _tables(_days("network", sites))
    assert _value(table, "scales", "r_q50", scale="anomaly")["value"] == pytest.approx(-1, abs=0.05)
    assert _value(table, "scales", "r_q50", scale="seasonal")["value"] == pytest.approx(1, abs=1e-6)


def test_noise_of_single_days_averages_out_in_weeks() -> None:
    rng = np.random.default_rng(6)
    days = _series(lambda t: np.zeros(len(t)), years=12)
    days["predicted"] += rng.normal(0, 1, len(days))
    assert _error(days, "weekly") == pytest.approx(1 / np.sqrt(7), rel=0.06)
    assert _error(days, "anomaly") == pytest.approx(np.sqrt((1 - 1 / 12) / 7), rel=0.06)


def test_short_records_have_no_season_and_no_years() -> None:
    days = _series(lambda t: np.sin(t.dayofyear / 9), years=1)[:100]
    assert (
        not len(SCALES["seasonal"](days)) and not len(SCALES["anomaly"](days)) and not len(SCALES["interannual"](days))
    )
    assert len(SCALES["weekly"](days)) == 14 and len(SCALES["site_mean"](days)) == 1


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_both_tables(tmp_path) -> None:
    world = make_world(tmp_path / "world", years=(2001, 2002))
    paths = write_predictions(world, tmp_path)
    places = tmp_path / "sites.csv"
    pd.DataFrame({"site": [f"site-{n:02d}" for n in range(7)], "lat": 40.0, "lon": np.arange(7) * 5.0}).to_csv(places)
    given = [part for path in paths for part in ("--predictions", str(path))]
    output, by_site = tmp_path / "protocols.csv", tmp_path / "site_scores.csv"
    arguments = [
        "evaluate",
        "unseen",
        *given,
        "--sites",
        str(places),
        "--output",
        str(output),
        "--site-output",
        str(by_site),
        "--coverage-output",
        str(tmp_path / "coverage.csv"),
    ]
    result = CliRunner().invoke(app, [*arguments, "--settings", '{"resamples": 100}'])
    assert result.exit_code == 0, result.output
    assert "no place is given for site-07" in result.output
    table, scores = pd.read_csv(output), pd.read_csv(by_site)
    held = pd.read_csv(tmp_path / "coverage.csv")
    assert set(held["model"]) == set(table["model"]) and held["note"].str.contains("of the 9 clusters").all()
    assert scores["cluster"].nunique() == 8 and set(scores["scale"]) == set(SCALES) - {"interannual"}
    inside = table.dropna(subset=["low"])
    assert len(inside) and (inside["low"] <= inside["high"]).all()
    assert set(table["against"].dropna()) == set(table["model"]) - {"network"}


def test_seen_sites_are_not_scored(tmp_path) -> None:
    seen = _days("network", _random(8, sites=2), split="train")
    assert seen.empty


def test_a_cluster_is_drawn_as_a_whole() -> None:
    days = _days("network", _random(7, sites=12))
    sites = SiteSums.of(days, pd.Series(np.arange(12) // 2, index=sorted(days["site"].unique())))
    drawn = sites.resamples(50, 1)
    assert drawn.shape == (51, 12) and (drawn.sum(axis=1) == 12).all()
    assert (drawn[:, 0::2] == drawn[:, 1::2]).all() and (drawn[0] == 1).all()


def _rows(split):
    known = {"model": "network", "member": 0, "site": "a", "variable": "fch4", "observed": -1.0, "predicted": -1.0}
    return pd.DataFrame([{**known, "time": pd.Timestamp("2001-01-01"), "sd": 0.1, "split": split}])


def test_what_cannot_be_scored_is_said_and_nothing_is_written(tmp_path) -> None:
    seen = _rows("train")
    path, places, output = tmp_path / "p.parquet", tmp_path / "sites.csv", tmp_path / "protocols.csv"
    seen.to_parquet(path)
    pd.DataFrame({"site": ["a"], "lat": [1.0], "lon": [2.0]}).to_csv(places)

    def run(predictions, sites):
        arguments = ["--predictions", str(predictions), "--sites", str(sites), "--output", str(output)]
        arguments += ["--site-output", str(tmp_path / "s.csv"), "--coverage-output", str(tmp_path / "c.csv")]
        return CliRunner().invoke(app, ["evaluate", "unseen", *arguments])

    for result, what in (
        (run(path, places), "no prediction of an unseen site"),
        (run(tmp_path / "none.parquet", places), "file not found"),
    ):
        assert result.exit_code == 1 and what in result.output + str(result.exception)
    _rows("test").to_parquet(path)
    result = run(path, tmp_path / "none.csv")
    assert result.exit_code == 1 and "file not found" in result.output + str(result.exception)
    assert not output.exists() and not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize(
    ("score", "values", "text"),
    [
        ("bias", (0.05, -153.2, 12.34), "0.0500 [-153, 12.3]"),
        ("rmse", (0.12, 0.004, 0.3), "0.120 [0.00400, 0.300]"),
        ("rmse_q50", (3.21e-9, 1.11e-9, 5.35e-9), "3.21e-09 [1.11e-09, 5.35e-09]"),
        ("r2", (0.05, -1.234, 0.3), "0.05 [-1.23, 0.30]"),
        ("r_q50", (0.004, np.nan, np.nan), "0.00"),
        ("rmse", (np.nan, np.nan, np.nan), "-"),
    ],
)
def test_what_has_a_unit_has_significant_digits_with_its_interval(score, values, text) -> None:
    protocol = "balanced" if score in ("r2", "bias") else "between" if score == "rmse" else "sites"
    row = {"model": "network", "against": "", "target": "fch4", "subset": "all", "scale": "daily", "sites": 7}
    row |= {"clusters": 6, "unit": "mg m-2 d-1"} | dict(zip(("value", "low", "high"), values, strict=True))
    rows = [row | {"protocol": where, "score": what} for where, what in ((protocol, score), ("pooled", "r2"))]
    table = pd.DataFrame([one | {"model": model} for model in ("network", "trees") for one in rows])
    held = pd.DataFrame(columns=["target", "model", "what", "inside"])
    said = words(table, held, get_system("wetland_methane"), 3).splitlines()
    label = next(label for label, *key in ROWS if key == [protocol, score])
    cells = next(line for line in said if label in line).removeprefix(f"  {label:24}{7:>6}")
    assert re.split(r"\s{2,}", cells.strip()) == [text, text]
