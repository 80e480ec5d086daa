"""Means of fluxes over months at sites: read, folded, learnt, predicted, in a world that is linear in its weather."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.train.baselines import learned, run_baselines, tree_features
from fluxatlas.train.finetune import finetune, split_sites
from fluxatlas.train.member import Member
from fluxatlas.train.predict import site_table, table
from fluxatlas.train.pretrain import new_network
from fluxatlas.train.site_periods import in_days, means, read_means, refuse_long, spread
from fluxatlas.train.sites import SiteData, read_sites
from toy_system import BASE, LIGHT, TOY, WARMTH

DATES = pd.date_range("2004-01-01", "2005-12-31")
SITES = [f"s{n}" for n in range(6)]
SETTINGS = TrainBlock.model_validate({"members": 3, "block_distance_km": 50})
BASELINES = ("process", "ridge", "season", "own_season")


def world() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Attributes, weather and the true daily fluxes: the process model with its defaults but for a level of the site,
    which follows from its clay."""
    rng = np.random.default_rng(2)
    attributes = pd.DataFrame({"site": SITES, "lat": np.arange(40.0, 46), "lon": 5.0, "elevation": 100.0})
    attributes["clay"], attributes["soc"] = rng.uniform(5, 40, 6), 10.0
    attributes["lai"] = 2.0
    weather, fluxes = [], []
    for site, clay in zip(SITES, attributes["clay"], strict=True):
        season = -np.cos(2 * np.pi * DATES.dayofyear / 365)
        tas = 287 + 8 * season + rng.normal(0, 2, len(DATES))
        rsds = 180 + 90 * season + rng.normal(0, 20, len(DATES))
        weather.append(pd.DataFrame({"site": site, "time": DATES, "tas": tas, "rsds": rsds}))
        reco = BASE + WARMTH * (tas - 283.15)
        gpp = LIGHT * rsds * 0.7 + 0.05 * clay
        fluxes.append(pd.DataFrame({"site": site, "time": DATES, "nee": reco - gpp, "gpp": gpp, "reco": reco}))
    return attributes, pd.concat(weather), pd.concat(fluxes)


def monthly(fluxes: pd.DataFrame) -> pd.DataFrame:
    """Means of calendar months as ingest keeps them."""
    by = fluxes.groupby(["site", fluxes["time"].dt.to_period("M")])[["nee", "gpp", "reco"]].mean()
    long = by.stack().rename("value").rename_axis(["site", "month", "variable"]).reset_index()
    long["start"], long["end"] = long["month"].dt.start_time, (long.pop("month") + 1).dt.start_time
    return long.assign(lat=45.0, lon=5.0, sd=0.3, qc=1.0, source="metaflux")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Site 0 has days in the first year and months, s5 days alone, the others months; s4 has a gap in its weather."""
    folder = tmp_path_factory.mktemp("periods")
    attributes, weather, fluxes = world()
    weather = weather[~((weather["site"] == "s4") & (weather["time"] == "2004-03-10"))]
    daily = fluxes[(fluxes["site"] == "s5") | ((fluxes["site"] == "s0") & (fluxes["time"] < "2004-12-16"))]
    daily = daily.melt(["site", "time"], var_name="variable").assign(sd=0.3)
    months = monthly(fluxes[fluxes["site"] != "s5"])
    attributes.to_csv(folder / "attributes.csv", index=False)
    for name, frame in {"forcing": weather, "observations": daily, "periods": months}.items():
        frame.to_parquet(folder / f"{name}.parquet")
    return folder, fluxes, months


def read(folder, **changes) -> SiteData:
    given = [folder / name for name in ("attributes.csv", "forcing.parquet", "observations.parquet")]
    return read_sites(
        *given, TOY, 50.0, series_of(TOY.slow), periods=changes.get("periods", folder / "periods.parquet")
    )


@pytest.fixture(scope="module")
def sites(files) -> SiteData:
    return read(files[0])


def test_months_stand_beside_days_and_never_over_them(files, sites, capsys) -> None:
    folder, fluxes, months = files
    data = read(folder).sets[0]
    said = capsys.readouterr().err
    # three fluxes: March of s4 lacks weather; twelve months of s0 have days of 2004, the last of them half of December
    assert said.startswith("321 periods at 5 sites; left out, no weather on all of its days: 3;")
    assert said.endswith("; left out, days of it were observed: 36\n")
    assert data.sites == tuple(SITES)
    days = {"s0": 350 + 365, "s4": 731 - 31, "s5": 731}
    assert data.count("nee").tolist() == [days.get(site, 731) for site in SITES]
    without = read(folder, periods=None)
    assert without.sites == ("s0", "s5") and not without.sets[0].periods
    for one in means(data):
        for site, first, value in zip(one.site, one.first, one.value, strict=True):
            row = months[(months["site"] == SITES[site]) & (months["variable"] == one.variable)]
            assert value == pytest.approx(row.set_index("start")["value"][data.dates[first]], rel=1e-6)
    whole = spread(data, "nee")
    truth = fluxes.pivot_table(index="time", columns="site", values="nee")
    np.testing.assert_allclose(whole[:350, 0], truth["s0"][:350], rtol=1e-5)
    assert np.isnan(whole[350:366, 0]).all()  # half of December
    np.testing.assert_allclose(whole[366:397, 0], truth["s0"]["2005-01"].mean(), rtol=1e-5)


def test_months_are_handed_on_by_day_as_the_sun_shines(files, sites) -> None:
    """Means of months stay, days within one are in the proportion of their light; measured days are as measured."""
    _, fluxes, _ = files
    data = sites.sets[0]
    days, truth = in_days(data, "gpp"), fluxes.pivot_table(index="time", columns="site", values="gpp")
    month = slice(366, 397)
    assert days[month, 0].mean() == pytest.approx(truth["s0"]["2005-01"].mean(), rel=1e-4)
    light = data.drivers["rsds"][month, 0]
    np.testing.assert_allclose(days[month, 0] / days[month, 0].mean(), light / light.mean(), rtol=1e-4)
    np.testing.assert_allclose(days[:350, 0], truth["s0"][:350], rtol=1e-5)
    assert np.isnan(days[350:366, 0]).all()
    for name in ("nee", "reco"):  # the night respires too: nothing is known of its days but the mean
        assert np.ptp(in_days(data, name)[month, 0]) == 0
        np.testing.assert_allclose(in_days(data, name)[month, 0], truth_of(fluxes, name, "2005-01"), rtol=1e-5)


def truth_of(fluxes: pd.DataFrame, name: str, month: str) -> float:
    return float(fluxes.pivot_table(index="time", columns="site", values=name)["s0"][month].mean())


def test_even_rows_weigh_as_their_days_over_the_root_of_the_days_of_the_cluster(sites) -> None:
    """A month weighs as its days do, and stated errors do not count; two sites of one cluster share its root."""
    data = replace(sites.sets[0], block=np.array([0, 0, 1, 2, 3, 4]))
    seen = []
    hidden = [np.zeros((len(data.dates), len(data.sites)), bool)]
    features = [tree_features(data, TOY)[0]]
    learned(("nee",), features, SiteData((data,)), hidden, TOY, 0, lambda rows, seed: seen.append(rows), even=True)
    (_, _, weights, block), days = seen[0], np.array([715 + 731, 731, 731, 700, 731])
    np.testing.assert_allclose(np.bincount(block, weights), np.sqrt(days))
    in_months = weights[block == 1] * np.sqrt(731)
    assert sorted(set(np.rint(in_months).astype(int))) == [28, 29, 30, 31] and len(in_months) == 24


def test_baselines_predict_the_months_of_the_fold(files, sites) -> None:
    """Truths that need none of the code: pandas means of the world, whose ridge and process model are exact."""
    _, fluxes, months = files
    settings = SETTINGS.model_copy(update={"baselines": BASELINES})
    made = pd.concat(run_baselines(sites.sets[0], sites, TOY, settings, "4km"))
    longer = made[(made["days"] > 1) & (made["variable"] == "nee") & (made["split"] == "test")]
    keys = ["site", "time"]
    wanted = months[months["variable"] == "nee"].rename(columns={"start": "time"}).set_index(keys)["value"]
    for model in BASELINES:
        mine = longer[longer["model"] == model].set_index(keys)
        assert len(mine) == 5 * 24 - 12 - 1 and mine.index.is_unique  # each month in one fold
        np.testing.assert_allclose(mine["observed"], wanted.reindex(mine.index), rtol=1e-5)
        assert mine["low"].isna().all() and set(mine["days"]) == {28, 29, 30, 31}
    ridge = longer[longer["model"] == "ridge"]
    assert (ridge["predicted"] - ridge["observed"]).abs().max() < 0.05  # linear, clay and all; sd of nee is above 1
    own = longer[longer["model"] == "own_season"].set_index(keys)
    truth = fluxes[fluxes["site"] == "s2"].set_index("time")["nee"]
    may = truth[truth.index.month == 5].mean()
    assert own.loc[("s2", "2005-05-01"), "predicted"] == pytest.approx(may, rel=1e-4)
    season = longer[longer["model"] == "season"].set_index(keys)
    member = int(season.loc[("s2", "2005-05-01"), "member"])
    hidden = split_sites(sites, "nee", SETTINGS, member, SETTINGS.seed + member).hidden[0].all(axis=0)
    by = {}
    for site in np.array(SITES)[~hidden]:
        rows = fluxes[(fluxes["site"] == site)].set_index("time")["nee"]
        gone = {"s0": rows.index[350:366], "s4": rows["2004-03"].index}.get(site, [])
        rows = rows.drop(gone)
        by[site] = rows[rows.index.month == 5].mean() - rows.mean(), rows.mean()
    expected = np.mean([level for _, level in by.values()]) + np.mean([cycle for cycle, _ in by.values()])
    assert season.loc[("s2", "2005-05-01"), "predicted"] == pytest.approx(expected, rel=1e-4)


def test_a_month_that_time_cuts_belongs_to_no_side(sites) -> None:
    data = sites.sets[0]
    settings = SETTINGS.model_copy(update={"split": "time"})
    hidden = [split_sites(sites, "nee", settings, fold, 1).hidden[0] for fold in range(3)]
    assert (np.sum(hidden, axis=0) == 1).all()
    nee = {"nee": np.ones((len(data.dates), 6), np.float32)}
    found = [table("m", n, data, nee, mask) for n, mask in enumerate(hidden)]
    for site in ("s1", "s2", "s3"):  # 731 days in thirds end with August, and in May
        rows = [frame[(frame["site"] == site) & (frame["days"] > 1)] for frame in found]
        tested = [set(frame["time"][frame["split"] == "test"]) for frame in rows]
        assert sum(map(len, tested)) == 23 and not tested[0] & tested[1]
        assert [len(frame) for frame in rows] == [24, 23, 23]


def test_sequences_that_hold_no_period_and_bad_tables_are_refused(files, sites, tmp_path) -> None:
    folder, _, months = files
    refuse_long(sites.sets, 32)
    with pytest.raises(ConfigError, match="mean over 31 days, and a training sequence has 31") as caught:
        refuse_long(sites.sets, 31)
    assert "train.sequence_days" in str(caught.value)
    months.drop(columns="end").to_parquet(tmp_path / "periods.parquet")
    with pytest.raises(InputError, match="no column end"):
        read_means(tmp_path / "periods.parquet", TOY)
    with pytest.raises(InputError, match="file not found"):
        read(folder, periods=tmp_path / "none.parquet")
    twice = pd.concat(
        [months, months[months["variable"] == "nee"].assign(value=99.0, end=lambda t: t["end"] + pd.Timedelta(days=1))]
    )
    twice.to_parquet(tmp_path / "twice.parquet")
    again = read(folder, periods=tmp_path / "twice.parquet").sets[0]
    assert all((one.value < 90).all() for one in means(again))  # of two that overlap the shorter one stays
    assert replace(again, periods=()).count("nee").tolist() == [350, 0, 0, 0, 0, 731]


def test_a_network_learns_from_months_alone(files, tmp_path) -> None:
    """Where no site has days: months bring the network nearer to the months of sites in and out of its fold."""
    folder, *_ = files
    pd.read_parquet(folder / "observations.parquet")[:0].to_parquet(tmp_path / "none.parquet")
    given = folder / "attributes.csv", folder / "forcing.parquet", tmp_path / "none.parquet"
    sites = read_sites(*given, TOY, 50.0, series_of(TOY.slow), periods=folder / "periods.parquet")
    assert sites.sites == tuple(SITES[:5])
    (data,) = sites.sets
    whole = {name: np.nan_to_num(spread(data, name), nan=1.0) for name in ("nee", "gpp", "reco")}
    full = {site: [n for n in data.segments if n.site == site] for site in range(5)}
    theta = {name: np.ones(5, np.float32) for name in TOY.told}
    samples = replace(data, periods=(), targets=whole, segments=tuple(full[site][-1] for site in range(5)), theta=theta)
    settings = SETTINGS.model_copy(
        update={"hidden": 4, "rehearsal": 0.0, "code": 0, "finetune_epochs": 40, "finetune_rate": 0.02, "patience": 40}
    )
    start = Member(new_network(TOY, settings, samples, 1), "4km")
    tuned, history, split = finetune(start, samples, sites, settings, 0, frozen_stage=False)
    assert np.isfinite(history["validation"]).all()

    def error(network, part: str) -> float:
        made = site_table("network", 0, network, sites, split.hidden)
        rows = made[(made["variable"] == "nee") & (made["split"] == part)]
        assert len(rows) and (made["days"] > 27).all()
        return float(((rows["predicted"] - rows["observed"]) ** 2).mean())

    for part in ("train", "test"):  # the latter at sites that it has not seen
        assert error(tuned.network, part) < 0.3 * error(start.network, part)
