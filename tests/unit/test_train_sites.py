"""Sites as sequences, the split that hides a fold, predictions and baselines, on tables as the stages write them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

import train_toy as toy
from fluxatlas.cli import app
from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.loading import load_object
from fluxatlas.process.hydraulics import soil_properties
from fluxatlas.train.adapt import INTERVALS
from fluxatlas.train.baselines import process_model, tree_features, trees
from fluxatlas.train.finetune import finetune, split_sites
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.predict import COLUMNS, predict, table
from fluxatlas.train.pretrain import new_network, pretrain
from fluxatlas.train.sites import SiteData, handed, read_sites

SETTINGS = TrainBlock(
    members=3, hidden=4, batch=4, sequence_days=120, warmup_days=10, pretrain_epochs=2, finetune_epochs=2,
    block_distance_km=100.0,
)  # fmt: skip
SITES, BARE = 6, ("s4", "s5")


def world(days: int = 400):
    """Toy sites as the tables of the contract; those in ``BARE`` have no meteorology, soil measured every fifth day."""
    data = toy.samples(n=SITES, days=days, seed=4)
    bdod = 2650 * (1 - data.statics["phi"])
    table = pd.DataFrame({"site": data.sites, "lat": data.lat, "lon": data.lon, "elevation": 500.0, "bdod": bdod})
    for name in ("sand", "clay", "soc", "phh2o", "cropFrac", "ndep"):
        table[name] = data.statics[name]
    for month in range(1, 13):
        table[f"lai_{month:02d}"] = 2.0
    rows, weather = [], []
    for index, site in enumerate(data.sites):
        if site not in BARE:
            frame = {name: data.drivers[name][:, index] for name in toy.SYSTEM.forcing}
            weather.append(pd.DataFrame({"site": site, "time": data.dates, **frame}))
        for name in ("fch4", "tsl05", "swc05"):
            chosen = np.arange(0, days, 5)
            part = {"site": site, "time": data.dates[chosen], "variable": name, "sd": 0.1}
            rows.append(pd.DataFrame({**part, "value": data.targets[name][chosen, index], "origin": "measured"}))
    deeper = rows[-2]  # 5 cm of the last site
    rows.append(deeper.assign(origin="completed", variable="tsl15", value=deeper["value"] - 1))
    return data, table, pd.concat(weather), pd.concat(rows)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sites")
    data, table, weather, observed = world()
    table.to_csv(folder / "attributes.csv", index=False)
    weather.to_parquet(folder / "forcing.parquet")
    observed.to_parquet(folder / "observations.parquet")
    return folder, data, table, weather, observed


def read(folder, completion_gap_days: int = 7, unobserved: bool = False, **changes) -> SiteData:
    names = {"attributes": "attributes.csv", "forcing": "forcing.parquet", "observations": "observations.parquet"}
    paths = {key: folder / changes.get(key, name) for key, name in names.items()}
    return read_sites(
        **paths,
        system=toy.SYSTEM,
        block_distance_km=100.0,
        series=toy.SERIES,
        completion_gap_days=completion_gap_days,
        unobserved=unobserved,
    )


@pytest.fixture(scope="module")
def sites(files) -> SiteData:
    return read(files[0])


def test_series_are_those_of_the_tables(files, sites) -> None:
    _, data, *_ = files
    driven, bare = sites.sets
    assert driven.sites == ("s0", "s1", "s2", "s3") and bare.sites == BARE
    np.testing.assert_array_equal(driven.drivers["tas"], data.drivers["tas"][:, :4])
    np.testing.assert_allclose(driven.drivers["ch4"], data.drivers["ch4"][:, :4], rtol=1e-6)
    np.testing.assert_allclose(driven.statics["phi"], data.statics["phi"][:4], rtol=1e-5)
    assert np.isfinite(driven.targets["fch4"]).sum(axis=0).tolist() == [80] * 4
    assert [segment[1:] for segment in driven.segments] == [(0, 400)] * 4


def test_a_site_without_meteorology_runs_on_its_measured_soil(files, sites) -> None:
    _, data, *_ = files
    bare = sites.sets[1]
    assert bare.modules == ("biogeochemistry",) and set(bare.targets) == {"fch4"}
    known = np.interp(np.arange(396), np.arange(0, 400, 5), data.targets["tsl05"][::5, 4])
    np.testing.assert_allclose(bare.overrides["tsl05"][:396, 0], known, rtol=1e-5)
    np.testing.assert_allclose(bare.overrides["tsl45"][:, 0], bare.overrides["tsl05"][:, 0])  # the depth above
    np.testing.assert_allclose(bare.overrides["tsl45"][:, 1], bare.overrides["tsl05"][:, 1] - 1, rtol=1e-6)
    assert (bare.overrides["swc05"][:396] < bare.statics["phi"]).all()
    pressure = bare.drivers["ps"][0, 0]
    assert pressure == pytest.approx(95461, rel=2e-3)  # ICAO standard atmosphere at 500 m
    network = new_network(toy.SYSTEM, SETTINGS, toy.samples(4, 60), 0)
    batch = bare.batch(bare.windows(100), 10)
    outputs, _ = network(batch.drivers, batch.statics, overrides=batch.overrides, modules=batch.modules)
    assert torch.isfinite(outputs["fch4"]).all()


@pytest.mark.parametrize(("gap", "segments"), [(4, [(0, 31), (40, 71)]), (3, None), (9, [(0, 71)])])
def test_measured_soil_is_interpolated_no_further_than_the_longest_gap(files, tmp_path, gap, segments) -> None:
    """Measured every fifth day, with 35 left out: a gap of 9 days among gaps of 4."""
    folder, data, _, _, observed = files
    start = data.dates[0]
    early = (observed["time"] <= start + pd.Timedelta(days=70)) & (observed["time"] != start + pd.Timedelta(days=35))
    observed[early & (observed["site"].isin(["s0", "s4"]))].to_parquet(tmp_path / "o.parquet")
    bare = read(folder, observations=tmp_path / "o.parquet", completion_gap_days=gap).sets[1]
    days = [int((bare.dates[0] - start).days) + k for s in bare.segments for k in s[1:]]
    if segments is None:  # each measured day stands alone
        segments = [(k, k + 1) for k in range(0, 75, 5) if k != 35]
    assert list(zip(days[::2], days[1::2], strict=True)) == segments
    inside = np.zeros(len(bare.dates), bool)
    for begin, stop in segments:
        inside[begin:stop] = True
    known = np.interp(np.arange(71), np.r_[0:31:5, 40:71:5], data.targets["tsl05"][np.r_[0:31:5, 40:71:5], 4])
    expected = np.where(inside, known, np.nan)
    np.testing.assert_allclose(bare.overrides["tsl05"][:, 0], expected, rtol=1e-5)
    assert (np.isfinite(bare.overrides["snw"][:, 0]) == inside).all() and not np.isfinite(bare.targets["fch4"][35, 0])


def test_a_winter_between_two_summers_is_not_made_up(files, tmp_path) -> None:
    """Chambers of two summers, three years apart: no day of the years between may reach the network as measured."""
    folder, _, _, _, observed = files
    summers = pd.DatetimeIndex([]).append([pd.date_range(f"{y}-06-01", f"{y}-08-31") for y in (2010, 2013)])
    rows = [
        pd.DataFrame({"site": "s4", "time": summers, "variable": name, "value": value, "sd": 0.1, "origin": "measured"})
        for name, value in (("fch4", -1.0), ("tsl05", 283.0), ("tsl45", 279.0), ("swc05", 0.2))
    ]
    rows[2] = rows[2][rows[2]["time"].dt.year == 2010]  # deep in one summer only
    pd.concat([observed[observed["site"] != "s4"], *rows]).to_parquet(tmp_path / "o.parquet")
    bare = read(folder, observations=tmp_path / "o.parquet").sets[1]
    days = bare.dates[np.isfinite(bare.overrides["tsl05"][:, bare.sites.index("s4")])]
    assert days.equals(summers)
    deep = pd.Series(bare.overrides["tsl45"][:, bare.sites.index("s4")], bare.dates).dropna()
    assert set(deep[:"2012"]) == {279.0} and set(deep["2013":]) == {283.0}  # as the depth above


def test_completed_days_are_no_observations(sites) -> None:
    assert "tsl15" not in sites.sets[0].targets and "tsl15" not in sites.sets[1].targets


def test_gaps_in_the_weather_make_segments(files, tmp_path) -> None:
    folder, weather = files[0], files[3]
    holed = weather[~((weather["site"] == "s1") & (weather["time"].dt.year == 2000) & (weather["time"].dt.month == 5))]
    holed.to_parquet(tmp_path / "forcing.parquet")
    found = read(folder, forcing=tmp_path / "forcing.parquet").sets[0]
    assert [segment[1:] for segment in found.segments if segment.site == 1] == [(0, 121), (152, 400)]
    assert not np.isfinite(found.targets["fch4"][121:152, 1]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, o: (t.drop(columns="elevation"), o), "no column elevation"),
        (lambda t, o: (t.drop(columns="clay"), o), "columns clay are absent"),
        (lambda t, o: (t, o.drop(columns="sd")), "no column sd"),
        (lambda t, o: (t.assign(soc=np.nan), o), "no site has attributes, observations and forcing"),
    ],
)
def test_bad_tables_are_refused(files, tmp_path, change, message) -> None:
    folder, _, table, _, observed = files
    table, observed = change(table, observed)
    table.to_csv(tmp_path / "a.csv", index=False)
    observed.to_parquet(tmp_path / "o.parquet")
    with pytest.raises(InputError, match=message):
        read(folder, attributes=tmp_path / "a.csv", observations=tmp_path / "o.parquet")
    with pytest.raises(InputError, match="file not found"):
        read(folder, forcing="nothing.parquet")


def test_sites_that_cannot_be_used_are_named(files, tmp_path, capsys) -> None:
    folder, _, table, _, observed = files
    table = table.assign(clay=table["clay"].where(table["site"] != "s2"))
    observed = observed[(observed["site"] != "s4") | (observed["variable"] != "swc05")]
    table.to_csv(tmp_path / "a.csv", index=False)
    observed.to_parquet(tmp_path / "o.parquet")
    left = read(folder, attributes=tmp_path / "a.csv", observations=tmp_path / "o.parquet")
    assert left.sites == ("s0", "s1", "s3", "s5")
    told = capsys.readouterr().err
    assert "s2 is left out: no clay" in told and "s4 is left out: no meteorology and no swc05" in told


def test_a_site_that_measured_nothing_is_there_to_be_predicted_only(files, tmp_path) -> None:
    folder, data, _, _, observed = files
    observed[observed["site"] != "s1"].to_parquet(tmp_path / "o.parquet")
    assert "s1" not in read(folder, observations=tmp_path / "o.parquet").sites
    found = read(folder, observations=tmp_path / "o.parquet", unobserved=True).sets[0]
    assert found.sites == ("s0", "s1", "s2", "s3") and not np.isfinite(found.targets["fch4"][:, 1]).any()
    np.testing.assert_array_equal(found.drivers["tas"][:, 1], data.drivers["tas"][:, 1])
    assert [segment for segment in found.segments if segment.site == 1] == [(1, 0, 400)]


@pytest.mark.parametrize("kind", ["space", "time"])
def test_every_observation_is_hidden_from_one_fold_and_only_one(sites, kind) -> None:
    settings = SETTINGS.model_copy(update={"split": kind})
    total = [np.zeros(data.targets["fch4"].shape, int) for data in sites.sets]
    for fold in range(3):
        split = split_sites(sites, "fch4", settings, fold, seed=1)
        for count, hidden in zip(total, split.hidden, strict=True):
            count += hidden
        for part, mask in zip((*split.training, *split.validation), split.hidden * 2, strict=True):
            assert not np.isfinite(part.targets["fch4"][mask]).any()
        windows = [len(part.windows(50)) for part in split.validation]
        assert sum(windows) > 0
    assert all((count == 1).all() for count in total)


def test_what_sites_hand_on_replaces_an_output_and_is_not_learnt_from(sites) -> None:
    given = handed(sites, ["swc05"], toy.SYSTEM)
    driven, plain = given.sets[0], sites.sets[0]
    there = np.isfinite(plain.targets["swc05"])
    assert there.any() and not there.all()
    np.testing.assert_array_equal(driven.overrides["swc05"], plain.targets["swc05"])
    assert given.sets[1] is sites.sets[1]  # sites without weather hand on their profiles as they are
    torch.manual_seed(1)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=3))
    with_given, without = predict(network, driven), predict(network, plain)
    np.testing.assert_array_equal(with_given["swc05"][there], plain.targets["swc05"][there])
    assert np.nanmax(np.abs(with_given["swc05"] - without["swc05"])[~there & np.isfinite(without["swc05"])]) == 0
    said = table("network", 0, driven, with_given, np.zeros_like(there))
    assert "swc05" not in set(said["variable"]) and toy.SYSTEM.flux in set(said["variable"])
    values, names = tree_features(driven, toy.SYSTEM, ("swc05",))
    np.testing.assert_array_equal(values[..., names.index("swc05")], plain.targets["swc05"])
    with pytest.raises(ConfigError, match="'swc5' is not made by a sub-module of soil_methane_sink; did you mean"):
        handed(sites, ["swc5"], toy.SYSTEM)


def test_no_observations_left_is_an_error(sites) -> None:
    empty = SiteData(tuple(data.observed(lambda _, v: v * np.float32(np.nan)) for data in sites.sets))
    with pytest.raises(InputError, match="no observation of 'fch4' is left"):
        split_sites(empty, "fch4", SETTINGS, 0, 1)


def test_trees_beat_the_mean_on_a_learnable_toy(sites) -> None:
    found = pd.concat(trees(sites, toy.SYSTEM, SETTINGS.model_copy(update={"split": "time"})))
    assert tuple(found.columns) == COLUMNS
    test = found[(found["split"] == "test") & (found["variable"] == "fch4") & found["site"].isin(sites.sets[0].sites)]
    mean = found[(found["split"] == "train") & (found["variable"] == "fch4")].groupby("member")["observed"].mean()
    error = ((test["predicted"] - test["observed"]) ** 2).mean()
    assert error < 0.7 * ((test["member"].map(mean) - test["observed"]) ** 2).mean()
    assert sorted(found.loc[found["split"] == "test"].groupby("variable").size()) == [320, 320, 480]


def test_running_means_end_on_the_day(sites) -> None:
    values, names = tree_features(sites.sets[0], toy.SYSTEM)
    week = sites.sets[0].drivers["tas"][93:100, 2].mean()
    assert values[99, 2, names.index("tas_7d")] == pytest.approx(week, rel=1e-5)


def test_trees_see_the_soil_that_sites_without_weather_measured(sites) -> None:
    """As network and process model do; where there is weather, soil is not handed on."""
    driven, bare = [tree_features(part, toy.SYSTEM) for part in sites.sets]
    assert driven[1] == bare[1]
    for name in ("tsl05", "swc05", "swc15"):
        column = bare[1].index(name)
        np.testing.assert_array_equal(bare[0][..., column], sites.sets[1].overrides[name])
        assert np.isnan(driven[0][..., column]).all()


def test_process_model_is_that_of_the_package(sites) -> None:
    found, chambers = process_model(sites, toy.SYSTEM)
    assert set(chambers["variable"]) == {"fch4"} and np.isfinite(chambers["predicted"]).all()  # under their profiles
    assert set(found["model"]) == {"process"} and set(found["split"]) == {"test"}
    soil = found[found["variable"] == "tsl05"]
    assert np.corrcoef(soil["observed"], soil["predicted"])[0, 1] > 0.8
    phi = soil_properties({k: np.array([v]) for k, v in {"sand": 40, "clay": 20, "soc": 10, "bdod": 1300}.items()})
    assert (found.loc[found["variable"] == "swc05", "predicted"] < 1).all() and phi["phi"][0] < 1


def test_finetuning_keeps_or_improves_the_score_and_hides_the_fold(sites) -> None:
    samples = toy.samples(n=6, days=130)
    start, _ = pretrain(samples, toy.SYSTEM, SETTINGS, 1, "4km")
    member, history, split = finetune(start, samples, sites, SETTINGS, 1)
    assert list(history["phase"].unique()) == ["last sub-module", "all"]
    assert {"finetune_flux", "pretrain_flux", "weighted_finetune_site_bias"} <= set(history.columns)
    hidden = [
        s
        for d, m in zip(sites.sets, split.hidden, strict=True)
        for s, gone in zip(d.sites, m.all(0), strict=True)
        if gone
    ]
    assert member.meta["hidden_sites"] == hidden and 1 <= len(hidden) < SITES
    assert {site for site, _, _ in member.meta["sites"]} == {f"s{k}" for k in range(SITES)} - set(hidden)
    places = {s: (x, y) for d in sites.sets for s, x, y in zip(d.sites, d.lat, d.lon, strict=True)}
    assert all(places[site] == (lat, lon) for site, lat, lon in member.meta["sites"])
    again = finetune(start, samples, sites, SETTINGS, 1)[0].network.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in member.network.state_dict().items())


def test_commands_write_what_the_contract_says(files, tmp_path) -> None:
    folder, *_ = files
    samples = toy.samples(n=6, days=365)
    content = {name: (("site", "time"), v.T) for name, v in {**samples.drivers, **samples.targets}.items()}
    content |= {name: ("site", v) for name, v in {**samples.statics, **samples.theta}.items()}
    coords = {"time": samples.dates, **{k: ("site", getattr(samples, k)) for k in ("lat", "lon", "block")}}
    xr.Dataset(content, coords).to_netcdf(tmp_path / "samples.nc")
    chosen = ("no_knowledge", "no_pretraining")
    quick = SETTINGS.model_copy(update={"baselines": chosen, "pretrain_epochs": 1, "finetune_epochs": 1})
    block = json.dumps(quick.model_dump(mode="json"))
    # calibration is that of finetune above, and by the baselines of the tiny run
    weights = json.dumps(quick.model_copy(update={"ladder": "weights"}).model_dump(mode="json"))
    tables = ["--sites-attributes", folder / "attributes.csv", "--sites-forcing", folder / "forcing.parquet"]
    tables += ["--observations", folder / "observations.parquet", "--samples", tmp_path / "samples.nc"]
    common = ["--settings", block, "--member", "2"]
    calls = [
        [
            "pretrain",
            *common,
            "--output",
            tmp_path / "p.pt",
            "--history",
            tmp_path / "p.csv",
            "--checkpoint",
            tmp_path / "c.pt",
            "--system",
            "soil_methane_sink",
            "--grid",
            "4km",
            "--samples",
            tmp_path / "samples.nc",
        ],
        [
            "finetune",
            *common,
            "--pretrained",
            tmp_path / "p.pt",
            *tables,
            "--output",
            tmp_path / "m.pt",
            "--predictions",
            tmp_path / "p.parquet",
            "--intervals",
            tmp_path / "i.csv",
            "--parameters",
            tmp_path / "theta.csv",
            "--history",
            tmp_path / "m.csv",
            "--checkpoint",
            tmp_path / "d.pt",
        ],
        [
            "baselines",
            "--system",
            "soil_methane_sink",
            "--settings",
            weights,
            *tables,
            "--output",
            tmp_path / "b.parquet",
            "--threads",
            "1",
        ],
    ]
    for call in calls:
        result = CliRunner().invoke(app, ["train", *map(str, call)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert np.array([5e-324])[0] + np.array([0.0])[0] > 0, "denormal numbers are still flushed"
    member = Member.load(tmp_path / "m.pt")
    assert member.meta["settings"]["hidden"] == 4 and set(member.meta["inputs"]) >= {"samples", "observations"}
    assert member.applicability is not None and len(pd.read_csv(tmp_path / "p.csv")) == 1
    found = pd.read_parquet(tmp_path / "p.parquet")
    assert tuple(found.columns) == COLUMNS and set(found["split"]) == {"train", "test"}
    assert set(found["site"]) == {f"s{k}" for k in range(SITES)}
    assert set(found.loc[found["split"] == "test", "site"]) == set(member.meta["hidden_sites"])
    intervals, parameters = (pd.read_csv(tmp_path / name) for name in ("i.csv", "theta.csv"))
    assert tuple(intervals.columns) == INTERVALS and set(intervals["site"]) == {f"s{k}" for k in range(SITES)}
    assert set(intervals.loc[intervals["seen"] == 0, "site"]) == set(member.meta["hidden_sites"])
    assert set(parameters["parameter"]) == set(load_object(toy.SYSTEM.priors)())
    assert set(member.meta["theta"]) == set(toy.SYSTEM.told) and set(member.meta["places"]) == {"fch4", "ch4ox"}
    others = pd.read_parquet(tmp_path / "b.parquet")
    assert set(others["model"]) == {"network_no_pretraining", "network_no_knowledge"}
    for _, part in others[(others["split"] == "test") & (others["variable"] == "fch4")].groupby("model"):
        assert set(part["site"]) == {f"s{k}" for k in range(SITES)}
