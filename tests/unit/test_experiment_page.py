"""The page of a grid: its tables by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fluxatlas.errors import ConfigError
from fluxatlas.experiments.commands import app
from fluxatlas.experiments.page import between, glance, section, write_page
from fluxatlas.experiments.scores import experiment_scores

ABOUT = {"split": "space", "model": "gru", "target": "fch4wet", "seeds": 2, "sites": 9, "days": 100, "unit": "1"}


def scores() -> pd.DataFrame:
    rows = []
    for share, towers, r2 in (("1", 32, 0.25), ("0.5", 16, -0.1)):
        values = {"rmse": 61.24, "nrmse": 1.5, "r2": r2, "bias": -3.0, "site_r2_q25": -0.5, "site_r2_q50": 0.125}
        values |= {"site_r2_q75": 0.5, "r2_sites_low": r2 - 0.2, "r2_sites_high": r2 + 0.2}
        for score, value in values.items():
            about = ABOUT | {"share": share, "towers": towers, "transfer": "finetune"}
            rows.append(about | {"score": score, "value": value, "low": value - 1, "high": value + 1})
    return pd.DataFrame(rows)


def test_tables_are_those_of_the_scores() -> None:
    table = scores()
    whole = section(table[table["share"] == "1"], ("fch4wet", "space", "1")).table.iloc[0]
    assert whole["R2"] == "0.25 (0.05 to 0.45)" and whole["RMSE"] == "61.2 (60.2 to 62.2)"
    assert whole["median of sites"] == "0.12" and whole["quartiles"] == "-0.50 to 0.50"  # no interval is known
    row = glance(table, ("fch4wet", "space")).table.iloc[0]
    assert list(row.index) == ["model", "transfer", "share 1", "share 0.5"]
    assert row["share 0.5"] == "-0.10 (-0.30 to 0.10)"
    assert between(table[table["score"] == "bias"].iloc[:1], "r2", "r2_sites") == "–"


def test_the_page_holds_its_tables_and_its_figure(tmp_path: Path) -> None:
    figure = tmp_path / "scores.png"
    figure.write_bytes(b"\x89PNG")
    write_page(tmp_path / "scores.html", "A grid", scores(), figure)
    text = (tmp_path / "scores.html").read_text(encoding="utf-8")
    assert (
        "0.25 (0.05 to 0.45)" in text and "data:image/png;base64" in text and "2 experiments of up to 2 seeds" in text
    )


def test_conformal_intervals_of_means_hold_nine_tenths_of_clusters() -> None:
    count = 400
    error = np.random.default_rng(0).normal(0, 10, count)
    rows = pd.DataFrame({"observed_mean": np.arange(count), "predicted_mean": np.arange(count) + error, "n": 50})
    rows = rows.assign(squared_error=error**2, observed_variance=1.0, cluster=np.arange(count), fold=0)
    rows = rows.assign(cycle_squared_error=0.0, cycle_variance=1.0, effective_samples=np.nan, seconds=1.0)
    found = experiment_scores(rows, 30)
    assert found["half_width"] == pytest.approx(16.4, rel=0.1)  # of a normal error with a standard deviation of 10
    assert found["inside_half_width"] == pytest.approx(0.9, abs=0.01)
    few = experiment_scores(rows[:8], 30)
    assert np.isnan(few["half_width"]) and np.isnan(few["inside_half_width"])


def test_a_page_without_a_figure_is_refused(tmp_path: Path) -> None:
    result = tmp_path / "a.csv"
    result.write_text("split\n", encoding="utf-8")
    arguments = [
        "table",
        "--result",
        str(result),
        "--output",
        str(tmp_path / "s.csv"),
        "--page",
        str(tmp_path / "p.html"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, ConfigError) and "a page needs its figure" in str(done.exception)
    assert not (tmp_path / "s.csv").exists()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
