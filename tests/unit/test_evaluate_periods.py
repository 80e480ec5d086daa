"""Scores of means over months at unseen sites: by numpy and scikit-learn, from tables and from raw monthly files."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score, root_mean_squared_error
from typer.testing import CliRunner

from fluxatlas.check.findings import Findings
from fluxatlas.check.tables import _sites
from fluxatlas.cli import app, main
from fluxatlas.config.report import ReportBlock
from fluxatlas.config.sites import SiteEntry, SitesBlock
from fluxatlas.config.static import StaticBlock
from fluxatlas.config.train import TrainBlock
from fluxatlas.evaluate.periods import COLUMNS, FEWEST_PERIODS
from fluxatlas.evaluate.skill import days_or_periods, read_predictions, write_skill
from fluxatlas.evaluate.unseen import write_unseen
from fluxatlas.report.catalogue import Inputs
from fluxatlas.report.figures import write_figure
from fluxatlas.systems import get_system
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

NEE = get_system("net_ecosystem_exchange")
PLACES = [(40.0, 10.0), (40.2, 10.0), *((30.0 + 4 * n, 10.0) for n in range(4, 10))]
"""The first two are one cluster."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """Predictions of two members, each of one fold, and of ridge at eight sites with two years of months; the last site
    has too few. Days, and months that were seen, stand in the same files and must not count."""
    folder, rng, frames = tmp_path_factory.mktemp("periods"), np.random.default_rng(3), {"network": [], "ridge": []}
    months = pd.date_range("2003-01-01", periods=24, freq="MS")
    for number in range(8):
        observed = rng.normal(-1, 1, 24)
        for model, error in (("network", 0.3), ("ridge", 0.9)):
            frame = pd.DataFrame({"site": f"s{number}", "time": months, "observed": observed, "sd": 0.2})
            frame["predicted"] = observed + rng.normal(0, error, 24)
            frame = frame.assign(model=model, member=number % 2, variable="nee", split="test")
            frame["days"] = months.days_in_month.to_numpy()
            frame = frame[: FEWEST_PERIODS - 1] if number == 7 else frame
            frames[model] += [frame, frame.assign(split="train", member=1 - number % 2, predicted=99.0)]
            if number == 0:
                frames[model].append(frame.assign(days=1, predicted=-99.0))
    for model, parts in frames.items():
        pd.concat(parts).reset_index(drop=True).to_parquet(folder / f"{model}.parquet")
    sites = pd.DataFrame(PLACES, columns=["lat", "lon"]).assign(site=[f"s{n}" for n in range(8)])
    sites.to_csv(folder / "sites.csv", index=False)
    return folder


def run(folder: Path, *models: str) -> tuple[int, str]:
    words = [word for model in models for word in ("--predictions", str(folder / f"{model}.parquet"))]
    out = [word for name in ("output", "site-output", "figure") for word in (f"--{name}", str(folder / f"o/{name}"))]
    out[-1] += ".png"
    command = ["evaluate", "periods", *words, "--sites", str(folder / "sites.csv"), *out]
    found = CliRunner().invoke(app, [*command, "--system", NEE.key])
    return found.exit_code, str(found.exception)


def test_quartiles_are_those_of_numpy_over_the_scores_of_scikit_learn(tables) -> None:
    assert run(tables, "network", "ridge")[0] == 0
    table = pd.read_csv(tables / "o/output", keep_default_na=False)
    assert list(table) == COLUMNS and (tables / "o/figure.png").read_bytes()[:4] == b"\x89PNG"
    own = table[table["against"] == ""].set_index(["model", "protocol", "score"])
    by = {}
    for model in ("network", "ridge"):
        frame = pd.read_parquet(tables / f"{model}.parquet")
        frame = frame[(frame["split"] == "test") & (frame["days"] > 1) & (frame["site"] != "s7")]
        groups = [(part["observed"], part["predicted"]) for _, part in frame.groupby("site")]
        by[model] = np.array([r2_score(*pair) for pair in groups])
        error = np.array([root_mean_squared_error(*pair) for pair in groups])
        for q in (25, 50, 75):
            assert own.loc[(model, "sites", f"r2_q{q}"), "value"] == pytest.approx(
                np.percentile(by[model], q), rel=1e-4
            )
            found = own.loc[(model, "sites", f"rmse_q{q}"), "value"]
            assert found == pytest.approx(np.percentile(error, q), rel=1e-4)
        pooled = r2_score(frame["observed"], frame["predicted"])
        assert own.loc[(model, "pooled", "r2"), "value"] == pytest.approx(pooled, rel=1e-4)
        row = own.loc[(model, "sites", "r2_q50")]
        assert float(row["low"]) < row["value"] < float(row["high"])
        assert row[["sites", "clusters", "folds", "periods"]].tolist() == [7, 6, 2, 7 * 24]
        assert row["days"] == 7 * 731
    gain = table[table["against"] == "ridge"].set_index("score")
    apart = np.median(by["network"]) - np.median(by["ridge"])
    assert gain.loc["r2_q50", "value"] == pytest.approx(apart, rel=1e-4) and gain.loc["better", "value"] == 1
    assert float(gain.loc["r2_q50", "low"]) > 0  # smaller errors at every site
    sites = pd.read_csv(tables / "o/site-output")
    assert dict(sites.groupby("site")["fold"].first()) == {f"s{n}": n % 2 for n in range(7)}


def test_days_and_periods_are_never_mixed(tables, tmp_path) -> None:
    paths = [tables / "network.parquet"]
    assert (read_predictions(paths)["predicted"] == -99).all()
    assert (read_predictions(paths, periods=True)["days"] > 27).all()
    assert len(days_or_periods(paths)) == 24
    longer = pd.read_parquet(paths[0]).query("days > 1")
    longer.to_parquet(tmp_path / "longer.parquet")
    assert len(days_or_periods([tmp_path / "longer.parquet"])) == len(longer)
    # a run of monthly towers alone has empty tables of days, and no failure
    made = write_unseen(*(tmp_path / f"{n}.csv" for n in "psc"), [tmp_path / "longer.parquet"], tables / "sites.csv")
    assert made.empty and pd.read_csv(tmp_path / "p.csv").empty
    skill = write_skill(tmp_path / "k.csv", [tmp_path / "longer.parquet"])
    assert skill.empty
    inputs = Inputs(system=NEE.key, protocols=[tmp_path / "p.csv"], skill=[tmp_path / "k.csv"])
    for name in ("unseen", "skill"):
        write_figure(name, inputs, tmp_path / f"{name}.png", ReportBlock())


def test_too_few_periods_are_refused_and_nothing_is_written(tables, tmp_path) -> None:
    for path in tables.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    days = pd.read_parquet(tables / "network.parquet").query("site == 's7' or days == 1")
    days.to_parquet(tmp_path / "network.parquet")
    code, said = run(tmp_path, "network")
    assert code != 0 and f"no unseen site has {FEWEST_PERIODS} months" in said
    assert not (tmp_path / "o").exists()


def months(folder: Path, count: int = 6) -> Path:
    """Files of MetaFlux of one year each, two of them close together; NEE follows the season."""
    folder.mkdir()
    season = np.cos(2 * np.pi * np.arange(12) / 12)
    for number in range(count):
        table = pd.DataFrame({
            "TIMESTAMP": [f"2003{month:02d}" for month in range(1, 13)], "Site": f"XX-T{number:02d}",
            "Lat": 30.0 + 2 * number, "Lon": 10.0, "PFT": "ENF", "NEE_VUT_REF": season - 0.1 * number,
            "NEE_VUT_REF_QC": 0.9, "TA_F": 9 - 8 * season, "TA_ERA": 9 - 8 * season, "TA_ERA_DAY": 12 - 8 * season,
            "SW_IN_F": 180 - 90 * season, "LW_IN_F": 320.0, "VPD_F": 1.0, "PA_F": 98.0, "P_F": 2.0, "WS_F": 2.0,
            "LAI": 2.0,
        })  # fmt: skip
        table.to_csv(folder / f"XX-T{number:02d}_MM.csv", index=True, index_label="")
    return folder


def test_members_are_scored_on_monthly_files_never_seen(tmp_path, monkeypatch, capsys) -> None:
    torch.manual_seed(0)
    network = HierarchicalNetwork(NEE, Architecture(hidden=2, theta=dict.fromkeys(NEE.told, 1.0)))
    rng = np.random.default_rng(0)
    names = network.scaler.position
    network.scaler.fit({name: rng.uniform(0.5, 1.5, (9, 2)).astype(np.float32) for name in names})
    Member(network, "4km", None, {"sites": [["XX-T00", 30.0, 10.0]]}).save(tmp_path / "0.pt")
    words = ["--members", tmp_path / "0.pt", "--output", tmp_path / "out", months(tmp_path / "files")]
    monkeypatch.setattr(sys, "argv", ["fluxatlas", "evaluate-sites", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    said = capsys.readouterr().out
    assert "nee [g m-2 d-1], means of periods: 5 sites in 5 clusters, 60 periods" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("predictions.parquet", "sites.csv", "periods.csv", "period_scores.csv", "periods.png")
    }
    frame = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert set(frame["days"]) == {28, 30, 31} and "XX-T00" not in set(frame["site"])
    scores = pd.read_csv(tmp_path / "out" / "period_scores.csv").set_index(["model", "site"])
    part = frame[(frame["model"] == "process") & (frame["site"] == "XX-T03")]
    np.testing.assert_allclose(part["observed"], np.cos(2 * np.pi * np.arange(12) / 12) - 0.3, atol=1e-6)
    expected = r2_score(part["observed"], part["predicted"])
    assert scores.loc[("process", "XX-T03"), "r2"] == pytest.approx(expected, rel=1e-4)


def test_a_sequence_shorter_than_a_month_is_found_before_anything_is_made(tmp_path) -> None:
    entry = SiteEntry(source="metaflux", path=[str(months(tmp_path / "files", 1) / "XX-T00_MM.csv")])

    def found(days: int) -> list[str]:
        train = TrainBlock.model_validate({"sequence_days": days})
        config = SimpleNamespace(sites=SitesBlock(entries=[entry]), train=train)
        findings, years = Findings(), {"training_years": [1990], "is_synthetic": False, "has_maps": True}
        _sites(SimpleNamespace(config=config, system=NEE, tiles=[], static=StaticBlock(), **years), [], findings)
        return [str(problem) for problem in findings.problems if "sequence" in str(problem)]

    assert not found(32)
    (said,) = found(31)
    assert "mean over 31 days" in said and "train.sequence_days" in said
