"""Overpasses of a satellite at towers: the reader, the canopy at a moment, no leak, known scores, every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fluxatlas.check.findings import Findings
from fluxatlas.check.tables import look
from fluxatlas.cli import app
from fluxatlas.config.evaluate import EvaluateBlock
from fluxatlas.config.model import Config
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.evaluate.overpasses import left_out, overpass_table, write_overpasses
from fluxatlas.humidity import huss_from_relative_humidity
from fluxatlas.ingest.sites.overpasses import CLOSURES, MODELS, Overpasses, read_overpasses
from fluxatlas.process.energy.column import EnergyState, simulate
from fluxatlas.process.energy.instant import GROUND_SHARE, air_pressure, energy_at, leaf_area
from fluxatlas.process.energy.retention import soil_limits
from fluxatlas.process.energy.vegetation import CLASSES
from fluxatlas.run import Run
from fluxatlas.systems import get_system
from fluxatlas.systems.soil_moisture_energy import overpass

SYSTEM = get_system("soil_moisture_energy")
SITES = 6
SOIL = {"sand": np.full(2, 40.0), "clay": np.full(2, 20.0), "soc": np.full(2, 15.0)}


def made(count: int = 48) -> pd.DataFrame:
    """A table in which latent heat is 0.3 of the net radiation and ``JET`` 20 W m-2 above what was measured."""
    rng = np.random.default_rng(1)
    rn = np.round(rng.uniform(200, 600, count), 2)
    table = pd.DataFrame({"ID": [f"XX-T{k % SITES}" for k in range(count)], "vegetation": "GRA", "Rn": rn})
    table["time_utc"] = pd.date_range("2020-05-01 18:00", periods=count, freq="D").strftime("%Y-%m-%d %H:%M:%S")
    fixed = {"Rg": 700.0, "Ta": 25.0, "RH": 0.5, "LST": 303.0, "SM": 0.2, "NDVI": 0.5, "albedo": 0.15, "EmisWB": 0.97}
    fixed |= {"solar_hour": 12.0, "SM_surf": 0.25, "G_filt": 50.0, "LE": 100.0, "H_filt": 300.0}
    table = table.assign(**fixed, NETRAD_filt=rn + 40, LEcorr50=0.3 * rn, Hcorr50=0.6 * rn)
    for closure in ("25", "75", "_ann"):
        table[f"LEcorr{closure}"], table[f"Hcorr{closure}"] = 0.2 * rn, 0.5 * rn
    return table.assign(**dict.fromkeys(MODELS.values(), 0.0)).assign(JET=0.3 * rn + 20)


PLACES = pd.DataFrame(
    {"Site ID": [f"XX-T{k}" for k in range(SITES)], "Lat": 40.0, "Long": -100.0 + 3 * np.arange(SITES), "Elev": 500.0}
)


def written(folder: Path, table: pd.DataFrame, places: pd.DataFrame = PLACES) -> tuple[Path, Path]:
    table.to_csv(folder / "table.csv")
    places.to_csv(folder / "places.csv", index=False)
    return folder / "table.csv", folder / "places.csv"


def test_units_and_known_defects(tmp_path: Path) -> None:
    table = pd.concat([made(), made().iloc[[3]].assign(LST=300.0)], ignore_index=True)  # a second scene
    table.loc[5, ["LST", "Rn"]] = 359.26, 0.0
    table.loc[7, "SM_surf"] = -0.013
    table.loc[8, "G_filt"] = np.nan
    found = read_overpasses(*written(tmp_path, table))
    assert len(found.rows) == len(found.measured) == len(found.others["JET"]) == 46
    assert [note.split(" left out")[0] for note in found.notes] == [
        "1 row of a second scene of the same overpass",
        "1 row without a possible value of the satellite",
        "1 row without all fluxes of the tower",
    ]
    row = found.rows.iloc[0]
    assert (row["tas"], row["hurs"], row["elevation"], row["site"]) == (298.15, 50.0, 500.0, "XX-T0")
    assert row["time"] == pd.Timestamp("2020-05-01 18:00") and row["sand"] == 35.0  # grassland of the shipped table
    assert found.measured["swc05"].isna().sum() == 1
    assert found.measured["rns"].iloc[0] == pytest.approx(found.others["satellite"]["rns"].iloc[0] + 40)


def test_codes_for_missing_in_published_models_are_not_scored_as_fluxes(tmp_path: Path) -> None:
    table = made()
    table.loc[[2, 9], "JET"] = -9999.0
    found = read_overpasses(*written(tmp_path, table))
    assert len(found.rows) == 48 and found.others["JET"]["hfls"].isna().sum() == 2
    assert found.notes == ("2 rows without a possible value of 'JET' left out of scores of hfls",)
    cluster = found.rows["site"].str[-1].astype(int).to_numpy()
    table = overpass_table(found, {}, cluster, EvaluateBlock(resamples=100))
    scores = table.set_index(["target", "model", "score"]).sort_index()
    assert set(scores.loc["hfls", "rows"]) == {46} and scores["value"]["hfls", "JET", "rmse"] == pytest.approx(20)


def test_closures_of_the_tower(tmp_path: Path) -> None:
    files = written(tmp_path, made())
    for closure in CLOSURES:
        assert len(read_overpasses(*files, closure).rows) == 48
    bowen = read_overpasses(*files, "bowen_ratio").measured
    np.testing.assert_allclose(bowen["hfls"] + bowen["hfss"] + bowen["hfdsl"], bowen["rns"])
    np.testing.assert_allclose(bowen["hfss"] / bowen["hfls"], 3.0)
    measured = read_overpasses(*files, "measured").measured
    assert (measured["hfls"] == 100).all() and (measured["hfss"] == 300).all()
    calm = made()
    calm.loc[:9, ["LE", "H_filt"]] = 5.0, -4.0  # the ratio of such small fluxes says nothing
    assert len(read_overpasses(*written(tmp_path, calm), "bowen_ratio").rows) == 38


def test_a_row_far_from_its_balance_is_not_closed_as_no_day_of_a_tower_is(tmp_path: Path) -> None:
    far = made().assign(NETRAD_filt=450.0)  # of 400 W m-2 above the plates 400 are measured
    far.loc[:2, "NETRAD_filt"] = 240.0, 250.0, 851.0  # factors 0.475, 0.5, 2.0025
    found = read_overpasses(*written(tmp_path, far), "bowen_ratio")
    assert len(found.rows) == 46 and found.rows["time"].dt.day.iloc[0] == 2
    assert found.notes[0] == "2 rows of which the energy cannot be closed have no fluxes of the tower"
    np.testing.assert_allclose(found.measured.loc[0, ["hfls", "hfss"]].to_numpy(float), [50, 150])


def test_check_reads_the_table_before_the_first_job(tmp_path: Path) -> None:
    table, places = map(str, written(tmp_path, made()))

    def told(system: str = SYSTEM.name, **settings: str) -> Findings:
        world = {"forcing": {"source": "synthetic_earth"}, "period": {"start": 2001, "end": 2001}}
        given = {"overpass_table": table, "overpass_places": places} | settings
        findings = Findings()
        look(Run(Config.model_validate(world | {"system": system, "evaluate": given})), findings)
        return findings

    sound = told()
    assert not sound.problems and "48 overpasses at 6 sites" in sound.seen
    assert "overpass_places: " in str(told(overpass_places="gone.csv").problems[0])
    assert "no table of overpasses and its list" in str(told(overpass_table="").problems[0])
    assert "estimates nothing at the moment" in str(told("soil_methane_sink").problems[0])
    written(tmp_path, made().drop(columns="LEcorr50"))
    assert "evaluate.overpass_table: " in str(told().problems[0]) and "'LEcorr50' is missing" in str(told().problems[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="LEcorr50"), "column 'LEcorr50' is missing"),
        (lambda t: t.assign(RH=t["RH"] * 100), "48 of 48 values of 'RH' are not within"),
        (lambda t: t.assign(LST=""), "'LST' are not within .*they are empty"),
        (lambda t: t.assign(time_utc="noon"), "'noon' in row 1 of column 'time_utc' is not a time"),
        (lambda t: t.assign(Rn="dry"), "'dry' in row 1 of column 'Rn' is not a number"),
        (lambda t: t.assign(vegetation="MOON"), "'MOON' is not a known land cover"),
        (lambda t: t.assign(ID="XX-New"), "site 'XX-New' has no lat"),
        (lambda t: t.assign(G_filt=np.nan), "no row has every driver and every flux"),
        (lambda t: t.iloc[:0], "header but no rows"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_overpasses(*written(tmp_path, change(made())))


def test_places_and_choices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="site 'XX-T0' has no elevation"):
        read_overpasses(*written(tmp_path, made(), PLACES.assign(Elev=np.nan)))
    with pytest.raises(ConfigError, match=r"'corrected_5' is not a closure.*did you mean"):
        read_overpasses(*written(tmp_path, made()), "corrected_5")
    with pytest.raises(ConfigError, match="'soil_methane_sink' estimates nothing at the moment of an overpass"):
        write_overpasses(tmp_path / "o.csv", *written(tmp_path, made()), get_system("soil_methane_sink"))
    with pytest.raises(InputError, match="all sites are neighbours"):
        write_overpasses(tmp_path / "o.csv", *written(tmp_path, made(), PLACES.assign(Long=-100.0)), SYSTEM)
    assert not (tmp_path / "o.csv").exists()
    with pytest.raises(ConfigError, match="no table of overpasses"):
        settings = {"system": SYSTEM.name, "period": {"start": 2001, "end": 2001}}
        _ = Run(Config.model_validate(settings | {"forcing": {"source": "synthetic_earth"}})).overpass_files


def moment(**changes: float) -> dict[str, np.ndarray]:
    usual = {"rns": 400.0, "rsds": 700.0, "tas": 298.15, "hurs": 50.0, "ndvi": 0.6, "elevation": 0.0, "swc05": 0.25}
    return {name: np.full(2, value) for name, value in (usual | changes).items()}


def test_wet_bare_soil_evaporates_at_equilibrium_and_dry_soil_not_at_all() -> None:
    cover = ["GRA", "OSH"]
    wet = energy_at(moment(ndvi=0.05, swc05=0.4), SOIL, cover, wind=3.0, co2=415.0)
    slope, psychrometric = 0.1888, 0.0674  # kPa K-1 at 25 degC and sea level: FAO-56, annex 2
    share = slope / (slope + psychrometric)
    np.testing.assert_allclose(wet["hfls"], share * 400 * (1 - GROUND_SHARE), rtol=5e-3)
    dry = energy_at(moment(swc05=0.02), SOIL, cover, wind=3.0, co2=415.0)
    np.testing.assert_allclose(dry["hfls"], 0.0, atol=0.01)
    watered = energy_at(moment(swc05=0.02), SOIL, cover, wind=3.0, co2=415.0, stressed=False)
    assert (watered["hfls"] > 50).all()
    for found in (wet, dry, watered):
        np.testing.assert_allclose(found["rns"] - found["hfdsl"] - found["hfls"] - found["hfss"], 0, atol=1e-9)
    np.testing.assert_allclose(leaf_area(np.array([0.0, 0.05, 0.682])), [0, 0, 2.0], atol=2e-3)
    np.testing.assert_allclose(air_pressure(np.array([0.0, 1500.0])), [101.325, 84.56], rtol=1e-3)


@pytest.mark.parametrize(("shade", "within"), [(0.9, 0.01), (0.6, 0.02)])
def test_a_moment_agrees_with_a_day_of_the_daily_model_under_the_same_weather(shade: float, within: float) -> None:
    """The moment is that of the morning: over the day open soil dries, and evaporates a little less."""
    dates, pressure = pd.date_range("2001-06-01", periods=1), np.full((1, 2), 101325.0)
    huss = huss_from_relative_humidity(50.0, np.full((1, 2), 298.15), pressure)
    weather = {"tas": 298.15, "pr": 0.0, "rsds": 300.0, "rlds": 350.0, "sfcWind": 3.0, "co2": 415.0}
    lai = float(leaf_area(np.array([shade]))[0])
    forcing = {name: np.full((1, 2), value) for name, value in weather.items()}
    forcing |= {"huss": huss, "ps": pressure, "lai": np.full((1, 2), lai)}
    given = {**CLASSES["DBF"], "ground_share": GROUND_SHARE, "conductance_factor": 1.0}
    water = np.full(2, float(soil_limits(SOIL)["swcwp"][0]) * 1.3)
    start = EnergyState(water, water, np.zeros(2))
    daily = simulate(forcing, SOIL, given, dates=dates, state=start).daily
    drivers = moment(rns=float(daily["rns"][0, 0]), rsds=300.0, swc05=float(water[0]), ndvi=shade)
    found = energy_at(drivers, SOIL, ["DBF", "DBF"], wind=3.0, co2=415.0)
    for name in ("hfls", "hfss", "hfdsl"):
        np.testing.assert_allclose(found[name], daily[name][0], rtol=within)
    assert found["hfls"][0] > daily["hfls"][0, 0] > 10


def test_nothing_is_learned_from_the_cluster_that_is_asked_for(tmp_path: Path) -> None:
    found = read_overpasses(*written(tmp_path, made()))
    cluster = found.rows["site"].str[-1].astype(int).to_numpy() // 2

    def spy(known, measured, asked, seed):
        assert known.index.equals(measured.index) and not set(known["site"].str[-1]) & set(asked["site"].str[-1])
        assert len(known) + len(asked) == 48 and seed == 5
        return pd.DataFrame({"hfls": np.full(len(asked), float(len(known)))}, index=asked.index)

    made_by = left_out(found, {"spy": spy}, cluster, 5)["spy"]
    assert made_by.index.equals(found.rows.index) and (made_by["hfls"] == 32).all()


def test_scores_are_those_of_known_errors(tmp_path: Path) -> None:
    found = read_overpasses(*written(tmp_path, made()))
    cluster = found.rows["site"].str[-1].astype(int).to_numpy()
    ours = {"better": found.measured[["hfls", "rns"]] + 10}
    table = overpass_table(found, ours, cluster, EvaluateBlock(resamples=100))
    score = table.set_index(["target", "model", "score"])["value"]
    assert score["hfls", "JET", "rmse"] == pytest.approx(20) and score["hfls", "JET", "bias"] == pytest.approx(20)
    assert score["hfls", "better", "rmse ratio"] == pytest.approx(0.5)
    assert score["rns", "satellite", "bias"] == pytest.approx(-40)
    assert score["rns", "better", "rmse_q50"] == pytest.approx(10)
    best = table[table["score"] == "rmse ratio"].groupby("target")["against"].unique()
    assert list(best["hfls"]) == ["JET"] and list(best["rns"]) == ["satellite"]
    assert set(table.loc[table["learned"], "folds"]) == {6} and set(table.loc[~table["learned"], "folds"]) == {0}
    assert set(table["rows"]) == {48} and set(table["clusters"]) == {6}
    lone = Overpasses(found.rows, found.measured[["hfls"]], {}, ())
    assert "rmse ratio" not in set(overpass_table(lone, ours, cluster, EvaluateBlock(resamples=100))["score"])


def test_models_of_a_moment_close_and_the_command_writes_their_scores(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(overpass, "STEPS", 3)
    monkeypatch.setattr(overpass, "NETWORKS", 1)
    found = read_overpasses(*written(tmp_path, made(24)))
    for name, most in (("process model", 1e-9), ("forest, projected", 1e-9), ("network", 1e-9)):
        table = overpass.MODELS[name](found.rows, found.measured, found.rows, 1)
        left = table["rns"] - table["hfdsl"] - table["hfls"] - table["hfss"]
        assert left.abs().max() < most, name
    again = overpass.MODELS["network"](found.rows, found.measured, found.rows, 1)
    pd.testing.assert_frame_equal(again, table)
    for name in set(overpass.MODELS) - {"network"}:
        monkeypatch.delitem(overpass.MODELS, name)
    files = dict(zip(("--table", "--places"), map(str, written(tmp_path, made(24))), strict=True))
    words = [word for pair in files.items() for word in pair]
    output = tmp_path / "scores.csv"
    settings = '{"resamples": 100, "overpass_closure": "measured"}'
    asked = ["evaluate", "overpasses", *words, "--system", SYSTEM.name, "--output", str(output), "--settings", settings]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "7 models, 24 rows, 6 sites, 6 clusters" in done.output
    scores = pd.read_csv(output)
    assert set(scores["closure"]) == {"measured"}
    assert {"network", "PT-JPL-SM", "satellite"} <= set(scores["model"]) and scores["value"].notna().any()


def test_the_real_table_has_the_published_errors(data_dir: Path) -> None:
    folder = data_dir / "flux_towers" / "gregory-halverson_ECOv002-calval-tables"
    found = read_overpasses(folder / "combined_eco_flux_EC_filtered.csv", folder / "metadata_ebc_filt.csv")
    assert len(found.rows) == 702 and found.rows["site"].nunique() == 42 and len(found.notes) == 2
    error = found.others["PT-JPL-SM"]["hfls"] - found.measured["hfls"]  # 95 and +8 W m-2 over all its 707 rows
    assert np.sqrt((error**2).mean()) == pytest.approx(95, abs=1) and error.mean() == pytest.approx(8, abs=1)
