"""The series of a site from its chambers: recovered from made-up sites, beside least squares, and real numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.ingest.sites import cosore, table
from fluxatlas.ingest.sites.composition import fit
from fluxatlas.ingest.sites.daily import daily_mean
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.records import Ledger

DAYS = pd.date_range("2015-01-01", periods=200)
EFFECTS = np.array([1.0, 0.4, -0.2, -1.2])
RULES = QcRules(min_values=1)


def season() -> np.ndarray:
    return -1.5 - 0.8 * np.sin(np.arange(len(DAYS)) / 200 * 2 * np.pi)


def made_up(seed: int, *, ran: np.ndarray | None = None, memory: float = 0.0, sd: float = 0.3) -> pd.DataFrame:
    """Chamber-days with the truth of :func:`season`, :data:`EFFECTS`; the strong chamber fails in the second half."""
    draw = np.random.default_rng(seed)
    shape = (len(DAYS), len(EFFECTS))
    noise = draw.normal(size=shape)
    for t in range(1, len(DAYS)):
        noise[t] = memory * noise[t - 1] + np.sqrt(1 - memory**2) * noise[t]
    values = season()[:, None] + EFFECTS + sd * noise
    if ran is None:
        late = np.arange(len(DAYS)) > 100
        ran = draw.random(shape) < np.where(late[:, None], [0.9, 0.5, 0.5, 0.1], [0.1, 0.5, 0.5, 0.9])
    day, chamber = np.nonzero(ran)
    return pd.DataFrame(
        {"day": DAYS[day], "chamber": chamber.astype(str), "value": values[ran], "n": 10, "scatter": 0.0}
    )


def errors(found: pd.DataFrame) -> np.ndarray:
    return found["value"].to_numpy() - pd.Series(season(), DAYS)[found.index].to_numpy()


def test_days_and_effects_are_recovered_where_the_plain_mean_is_biased() -> None:
    late = DAYS[101:]
    ours, plain, effects = [], [], []
    for seed in range(30):
        found = fit(made_up(seed))
        assert found.adjusted and found.sets == 1
        ours.append(errors(found.days.loc[found.days.index.isin(late)]).mean())
        mean = fit(made_up(seed), adjust=False)
        plain.append(errors(mean.days.loc[mean.days.index.isin(late)]).mean())
        effects.append(found.chambers["effect"].to_numpy() - EFFECTS)
    assert abs(np.mean(ours)) < 3 * np.std(ours) / np.sqrt(30) + 0.01  # 0.01: effects are drawn to their mean
    assert np.abs(np.mean(effects, axis=0)).max() < 0.02
    assert np.mean(plain) > 0.35  # the weak chambers are nearly alone


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_the_stated_sd_covers(memory: float) -> None:
    """Of days and of effects, on days of all chambers as on those of one, where noise lasts as where it does not."""
    days, alone, effects = [], [], []
    for seed in range(60):
        data = made_up(100 + seed, memory=memory)
        found = fit(data)
        z = errors(found.days) / found.days["sd"].to_numpy()
        days.append(np.abs(z))
        alone.append(np.abs(z[(data.groupby("day").size() == 1).to_numpy()]))
        effects.append(np.abs((found.chambers["effect"] - EFFECTS) / found.chambers["sd"]))
    for z in (days, alone, effects):
        assert 0.62 < np.mean(np.concatenate(z) < 1) < 0.75  # 0.683
        assert 0.85 < np.mean(np.concatenate(z) < 1.645) < 0.95  # 0.90


def test_least_squares_of_a_dense_design_says_the_same() -> None:
    data = made_up(3, sd=0.05)
    d, days = pd.factorize(data["day"], sort=True)
    c = data["chamber"].astype(int).to_numpy()
    design = np.hstack([np.eye(len(days))[d], np.eye(4)[c]])
    solved = np.linalg.lstsq(design, data["value"].to_numpy())[0]
    effects = solved[len(days) :]
    found = fit(data)
    np.testing.assert_allclose(found.chambers["effect"], effects - effects.mean(), atol=4e-3)  # Huber and shrinkage
    near = np.abs(found.days["value"] - (solved[: len(days)] + effects.mean()))
    assert near.median() < 4e-3 and near.max() < 0.05


def test_a_day_on_which_only_the_strong_chamber_ran_is_not_high() -> None:
    ran = np.random.default_rng(5).random((len(DAYS), 4)) < 0.7
    ran[77] = [False, False, False, True]
    ran[:, 1] |= ~ran.any(axis=1)
    found = fit(made_up(5, ran=ran))
    day = found.days.loc[DAYS[77]]
    plain = fit(made_up(5, ran=ran), adjust=False).days.loc[DAYS[77], "value"]
    assert abs(day["value"] - season()[77]) < 2.5 * day["sd"] < 1.0
    assert plain - season()[77] < -0.7
    assert day["sd"] > 1.8 * found.days["sd"][(ran.sum(axis=1) == 4) & (np.arange(200) != 77)].mean()
    assert found.share[0] > 0.3 and abs(found.share[1]) < 0.08


def test_sets_that_never_ran_together_are_said_and_are_uncertain() -> None:
    """Chambers 0, 1 in the first half, 2, 3 in the second: the sd holds the spread, and over many sites it covers."""
    late = np.arange(len(DAYS)) > 100
    ran = np.where(late[:, None], [False, False, True, True], [True, True, False, False])
    found = fit(made_up(1, ran=ran))
    assert found.sets == 2 and "2 sets of chambers have no day in common" in found.doubt()
    assert found.chambers["set"].tolist() == [0, 0, 1, 1]
    whole = fit(made_up(1, ran=np.ones((200, 4), bool)))
    assert whole.sets == 1 and not whole.doubt()
    assert found.days["sd"].min() > 2 * whole.days["sd"].max()

    draw, inside = np.random.default_rng(2), []
    chambers = 12
    half = np.arange(chambers) < 6
    for _ in range(60):
        effects = draw.normal(0, 0.8, chambers)
        ran = np.where(late[:, None], ~half, half)
        day, chamber = np.nonzero(ran)
        value = season()[day] + effects[chamber] + draw.normal(0, 0.3, len(day))
        data = pd.DataFrame({"day": DAYS[day], "chamber": chamber, "value": value, "n": 10, "scatter": 0.0})
        days = fit(data).days
        z = (errors(days) - effects.mean()) / days["sd"]
        inside += [abs(z.iloc[50]) < 1.645, abs(z.iloc[150]) < 1.645]
    assert 0.8 < np.mean(inside) < 0.97


def test_one_chamber_and_complete_days_are_plain_means() -> None:
    one = made_up(1, ran=np.tile([False, True, False, False], (200, 1)))
    found = fit(one)
    assert not found.adjusted and not found.doubt()
    np.testing.assert_allclose(found.days["value"], one["value"])
    whole = made_up(1, ran=np.ones((200, 4), bool), sd=1e-3)
    plain = whole.groupby("day")["value"].mean()
    np.testing.assert_allclose(fit(whole).days["value"], plain, atol=1e-3)


def test_too_few_common_days_leave_plain_means_and_say_so() -> None:
    """A campaign of one day, and chambers of which none ran with another: their spread is in the sd."""
    data = made_up(1, ran=np.ones((200, 4), bool)).query("day == @DAYS[0]")
    found = fit(data)
    assert not found.adjusted and "too few common days" in found.doubt()
    assert found.days["value"].iloc[0] == pytest.approx(data["value"].mean())
    assert found.days["sd"].iloc[0] == pytest.approx(data["value"].std() / 2)
    alone = fit(made_up(1, ran=np.eye(4, dtype=bool)[np.arange(200) % 4]))
    assert not alone.adjusted
    assert alone.days["sd"].min() == pytest.approx(EFFECTS.std(ddof=1) * np.sqrt(1 - 1 / 4), rel=0.15)


def test_chamber_days_of_few_measurements_count_less() -> None:
    """Effects from half the days with one measurement, half with fifty: nearer to the truth than with equal weights."""
    wrong: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(20):
        draw = np.random.default_rng(seed)
        data = made_up(seed, sd=0.05)
        data["n"] = draw.choice([1, 50], len(data))
        data["scatter"] = np.where(data["n"] > 1, 1.0, np.nan)
        data["value"] += draw.normal(0, 1, len(data)) / np.sqrt(data["n"])
        for weighted in wrong:
            found = fit(data if weighted else data.assign(scatter=np.nan))
            wrong[weighted].append(float(np.sqrt(np.mean((found.chambers["effect"] - EFFECTS) ** 2))))
    assert np.mean(wrong[True]) < 0.8 * np.mean(wrong[False])


def test_bursts_are_bounded_and_flagged() -> None:
    draw = np.random.default_rng(4)
    shape = (len(DAYS), 8)
    values = season()[:, None] + draw.normal(0, 0.3, shape) + np.linspace(-0.3, 0.3, 8)
    values[:, 7] += np.where(draw.random(len(DAYS)) < 0.3, 15.0, 0.0)
    day, chamber = np.nonzero(np.ones(shape, bool))
    data = pd.DataFrame({"day": DAYS[day], "chamber": chamber, "value": values.ravel(), "n": 5, "scatter": 0.1})
    found = fit(data, signed=True)
    assert found.chambers["hot_spot"].tolist() == [False] * 7 + [True]
    assert found.chambers["kind"].tolist() == ["sink"] * 7 + ["source"]
    assert np.sqrt(np.mean(errors(found.days) ** 2)) < 0.3 < np.sqrt(np.mean(errors(fit(data, adjust=False).days) ** 2))
    said = found.as_dict()
    assert said["hot_spots"] == said["sources"] == ["7"] and not said["net_source"]
    assert "7 a source; 7 a hot spot" in said["text"]
    assert set(fit(data).chambers["kind"]) == {""}  # of a variable without sign


def chamber_file(folder: Path) -> Path:
    """A plain chamber table of :func:`made_up`, with a site of one chamber."""
    data = made_up(1)
    lines = [
        f"A,50,10,1,ENF,{day:%Y-%m-%d}T11:00Z,{value},mg CH4 m-2 d-1,upward_positive,c{chamber}"
        for day, chamber, value in zip(data["day"], data["chamber"], data["value"], strict=True)
    ]
    lines += [f"B,51,10,1,ENF,{day:%Y-%m-%d}T11:00Z,0.5,mg CH4 m-2 d-1,upward_positive,x" for day in DAYS]
    head = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign,chamber\n"
    path = folder / "chambers.csv"
    path.write_text(head + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("how", ["adjusted", "mean"])
def test_the_site_table_and_the_table_of_chambers(tmp_path: Path, how: str) -> None:
    entry: Any = {"source": "chambers", "path": str(chamber_file(tmp_path))}
    block = SitesBlock.model_validate({"entries": [entry], "chambers": how, "qc": RULES.model_dump()})
    report = table.build(block, tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out/chambers.parquet").set_index(["site", "chamber"])
    assert found.loc["A", "adjusted"].all() == (how == "adjusted")
    assert found.loc[("B", "x"), ["effect", "days", "kind"]].tolist() == [0.0, 200, "source"]
    flux = pd.read_parquet(tmp_path / "out/observations.parquet").query("site == 'A'").set_index("time")["value"]
    late = flux[DAYS[101:].intersection(flux.index)].mean() - season()[101:].mean()
    assert (abs(late) < 0.1) == (how == "adjusted")
    if how == "adjusted":
        np.testing.assert_allclose(found.loc["A", "effect"], EFFECTS, atol=0.1)
    said = report["sites"]["A"]["chambers"]["fch4"]
    assert said["adjusted"] == (how == "adjusted")
    assert said["cv"] == pytest.approx(0.95 / (1.5 if how == "adjusted" else 1.2), abs=0.1)
    assert "chambers" not in report["sites"]["B"]


def test_sd_is_never_below_the_error_model() -> None:
    data = made_up(1, sd=0.01)
    ledger = Ledger()
    known: dict[str, Any] = {"rules": RULES, "ledger": ledger, "site": "X"}
    rows = daily_mean(data["value"], pd.DatetimeIndex(data["day"]), "fch4", group=data["chamber"], **known)
    assert (rows["sd"] >= RULES.flux_sd + RULES.flux_sd_relative * rows["value"].abs() - 1e-12).all()
    assert ledger.compositions["X", "fch4"].adjusted


def real(data_dir: Path, dataset: str) -> dict[str, dict[str, pd.Series]]:
    """Series of a COSORE dataset by way of putting chambers together and variable."""
    made = SiteEntry(source="cosore", path=[str(data_dir / "soil_ch4/bpbond_cosore" / dataset)])
    found: dict[str, dict[str, pd.Series]] = {}
    for how in ("mean", "adjusted"):
        ledger = Ledger(chambers=how)
        (record,) = cosore.read(entry_files(made), made, QcRules(), ledger)
        rows = record.observations.set_index("time")
        found[how] = {str(name): part["value"] for name, part in rows.groupby("variable")}
        found[how]["share"] = pd.Series(ledger.compositions[record.name, "fch4"].share)
    return found


def test_yamashiro_is_not_what_its_weak_chamber_says(data_dir: Path) -> None:
    """Chamber means -0.37 (631 days), -1.26, -1.65, -2.06 (200 to 303 days): their mean is -1.34, not -0.84."""
    found = real(data_dir, "d20200328_UEYAMA_YAMASHIRO")
    assert found["mean"]["fch4"].mean() == pytest.approx(-0.84, abs=0.01)
    assert found["adjusted"]["fch4"].mean() == pytest.approx(-1.34, abs=0.03)
    assert found["adjusted"]["fch4"].std() == pytest.approx(found["mean"]["fch4"].std() / 2, rel=0.2)
    before, after = found["adjusted"]["share"]
    assert before == pytest.approx(0.66, abs=0.03) and abs(after) < 0.06


def test_howland_follows_its_water(data_dir: Path) -> None:
    found = real(data_dir, "d20190610_SIHI_H2")
    r = {how: series["fch4"].corr(series["swc05"]) for how, series in found.items()}
    assert r["mean"] == pytest.approx(0.14, abs=0.02)
    assert r["adjusted"] == pytest.approx(0.49, abs=0.03)
    before, after = found["adjusted"]["share"]
    assert before == pytest.approx(0.33, abs=0.05) and after < 0.15
