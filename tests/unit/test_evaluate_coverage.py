"""Conformal intervals by cluster against ordinary conformal prediction, enumeration and simulated sites."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.evaluate.coverage import LEVEL, Ranked, clusters_needed, coverage_table
from fluxatlas.evaluate.held_out import half_widths, with_intervals


def conformal(scores: np.ndarray, cluster: np.ndarray, level: float = LEVEL) -> float:
    return Ranked.of(scores, cluster).quantile(level)


@pytest.mark.parametrize(("level", "clusters"), [(0.8, 4), (0.9, 9), (0.95, 19)])
def test_fewest_clusters(level: float, clusters: int) -> None:
    scores = np.arange(clusters, dtype=float)
    assert clusters_needed(level) == clusters
    assert conformal(scores, np.arange(clusters), level) == clusters - 1
    assert conformal(scores[1:], np.arange(clusters - 1), level) == math.inf


def test_one_day_per_cluster_is_split_conformal_prediction() -> None:
    """Each of n + 1 exchangeable values in turn is the one to come: as many are inside as the rank of the end says."""
    values = np.random.default_rng(1).exponential(size=26)
    inside = [values[k] <= conformal(np.delete(values, k), np.arange(25)) for k in range(26)]
    assert sum(inside) == math.ceil(0.9 * 26)
    assert conformal(values[:25], np.arange(25)) == np.sort(values[:25])[math.ceil(0.9 * 26) - 1]


def test_days_of_a_cluster_to_come_are_inside_though_days_of_one_err_alike() -> None:
    """Pooled days would hold too few: clusters have their own level, and long records weigh no more than short ones."""
    rng = np.random.default_rng(2)
    held, pooled = [], []
    for _ in range(800):
        size = rng.choice([3, 200], 13)
        number = np.repeat(np.arange(13), size)
        level = rng.standard_t(3, 13) * np.where(size == 3, 3, 1)
        error = np.abs(level[number] + 0.3 * rng.normal(size=len(number)))
        known = number < 12
        held.append((error[~known] <= conformal(error[known], number[known])).mean())
        pooled.append((error[~known] <= np.quantile(error[known], 0.9)).mean())
    assert np.mean(pooled) < 0.83
    assert 0.9 <= np.mean(held) < 0.98


def test_what_is_left_out_is_judged_by_the_others() -> None:
    rng = np.random.default_rng(3)
    number = rng.integers(0, 14, 300) * 7
    score = np.abs(rng.normal(size=300)) + (number == 21)
    expected = []
    for one in np.unique(number):
        end = conformal(score[number != one], number[number != one])
        expected.append((score[number == one] <= end).mean())
    assert Ranked.of(score, number).left_out(0.9) == pytest.approx(np.mean(expected), abs=1e-12)
    assert math.isnan(Ranked.of(score[number < 63], number[number < 63]).left_out(0.9))  # nine, eight without one


def _days(clusters: int, low: float, high: float) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(4)
    site = np.repeat([f"s{n:02d}" for n in range(2 * clusters)], 50)
    error = rng.normal(size=len(site))
    table = pd.DataFrame({"model": "network", "target": "nee", "site": site, "observed": error, "predicted": 0.0})
    names = np.unique(site)
    return table.assign(low=low, high=high), pd.Series(np.arange(len(names)) // 2, index=names)


def test_the_table_says_what_is_stated_and_what_would_hold() -> None:
    days, cluster = _days(40, low=-0.5, high=1.0)
    row, means = (line for _, line in coverage_table(days, cluster).iterrows())
    assert (row["what"], row["sites"], row["clusters"], row["n"], row["note"]) == ("days", 80, 40, 4000, "")
    inside = days["observed"].between(-0.5, 1.0)
    assert row["inside"] == pytest.approx(inside.mean())  # clusters of one size
    scaled = days["observed"].between(-0.5 * row["factor"], row["factor"]).mean()
    assert scaled == pytest.approx(0.9 * 41 / 40, abs=5e-4)
    assert days["observed"].abs().le(row["half_width"]).mean() == pytest.approx(0.9 * 41 / 40, abs=5e-4)
    assert row["inside_factor"] == pytest.approx(0.92, abs=0.02) and row["inside_half_width"] > 0.9
    assert means["what"] == "means" and means["n"] == 80 and math.isnan(means["inside"])
    assert means["half_width"] == pytest.approx(1.645 / math.sqrt(50), rel=0.25)  # means of 50 independent days


def test_too_few_clusters_are_not_calibratable() -> None:
    days, cluster = _days(8, low=-1.0, high=1.0)
    table = coverage_table(days, cluster)
    assert table["note"].tolist() == ["not calibratable: 8 of the 9 clusters that an interval of 90 % takes"] * 2
    assert table[["factor", "half_width", "inside_factor", "inside_half_width"]].isna().all(axis=None)
    assert table["inside"].notna().tolist() == [True, False]


def _members(folder: Path, clusters: int) -> tuple[list[Path], list[SimpleNamespace]]:
    """Two members with their predictions beside them: each has seen every second site, and errs by 2 or less there."""
    days, _ = _days(clusters, np.nan, np.nan)
    names = np.unique(days["site"])
    where = {name: [name, 5.0 * (n // 2) - 60, 0.01 * n] for n, name in enumerate(names)}
    days = days.rename(columns={"target": "variable"}).assign(
        time=np.tile(pd.date_range("2001", periods=50), len(names))
    )
    paths = []
    for member in range(2):
        paths.append(folder / "members" / f"{member}.pt")
        hidden = days["site"].isin(names[member::2])
        (folder / "predictions").mkdir(exist_ok=True)
        table = days.assign(member=member, split=np.where(hidden, "test", "train"))
        table.loc[~hidden, "observed"] = 1e3
        table.to_parquet(folder / "predictions" / f"{member}.parquet")
    return paths, [SimpleNamespace(meta={"sites": [where[name] for name in names[1 - m :: 2]]}) for m in range(2)]


def test_members_elsewhere_have_the_width_of_the_sites_they_did_not_see(tmp_path, capsys) -> None:
    paths, members = _members(tmp_path, 24)
    new = pd.DataFrame({"variable": ["nee", "gpp"], "predicted": [1.0, 2.0]})
    (table,) = with_intervals([new], half_widths(paths, members, 100.0))
    days, cluster = _days(24, np.nan, np.nan)
    half = conformal(days["observed"].abs().to_numpy(), days["site"].map(cluster).to_numpy())
    assert half == pytest.approx(1.75, abs=0.15)
    assert table[["low", "high"]].to_numpy()[0] == pytest.approx([1 - half, 1 + half])
    assert table[["low", "high"]].isna().to_numpy()[1].all() and not capsys.readouterr().err


def test_what_is_not_known_of_members_is_said(tmp_path, capsys) -> None:
    paths, members = _members(tmp_path, 6)
    assert half_widths(paths, members, 100.0) == {}
    assert "no 90 % interval of days of nee: not calibratable: 6 of the 9" in capsys.readouterr().err
    assert half_widths([tmp_path / "elsewhere" / "members" / "0.pt"], members, 100.0) == {}
    assert "no predictions of sites held out beside them" in capsys.readouterr().err
