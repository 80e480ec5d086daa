"""Tables of crop yields and the plain models to beat: units, layouts, known answers, no leak, real counties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from fluxatlas.check.findings import Findings
from fluxatlas.check.tables import _yields
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.evaluate import area_years
from fluxatlas.evaluate.area_years import (
    REFERENCE,
    common_trend,
    features,
    place_mean,
    place_trend,
    predictions,
    score_table,
    season_network,
)
from fluxatlas.ingest import yields
from fluxatlas.ingest.yields import GRAINS, read_yields
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run


def test_units_are_those_of_the_grain_trade() -> None:
    # science notes 6: 1 bu acre-1 is 62.77 kg ha-1 of maize, 67.25 of soybean and wheat; 2.39, 2.93, 2.62 gC m-2
    for crop, weight, carbon in (("maize", 62.77, 2.39), ("soybean", 67.25, 2.93), ("wheat", 67.25, 2.62)):
        grain = GRAINS[crop]
        assert grain.factor("bushel acre-1") == pytest.approx(carbon, abs=0.005)
        assert grain.factor("bushel acre-1") / grain.factor("t ha-1") == pytest.approx(weight / 1000, rel=1e-4)
    assert 180 * GRAINS["maize"].factor("bushel acre-1") == pytest.approx(430, abs=0.5)
    assert 50 * GRAINS["soybean"].factor("bushel acre-1") == pytest.approx(146, abs=0.5)
    assert GRAINS["soybean"].factor("t ha-1", 0.54) == pytest.approx(1.08 * GRAINS["soybean"].factor("t ha-1"))
    with pytest.raises(ConfigError, match="'kg ha-1' are not read"):
        GRAINS["maize"].factor("kg ha-1")
    with pytest.raises(ConfigError, match="share of carbon is 45"):
        GRAINS["maize"].factor("t ha-1", 45)


LAYOUTS = {
    "maize": "adm_id,year,avgTAVGp0,yield\nIL_ADAMS,2001,13.5,10.0\nIL_ADAMS,2002,12.1,8.0\n",
    "soybean": "2001,17,1,40\n2002,17,1,30\n",
    "wheat": 'year\tstate\tacres\tyield\n2001\t"Kansas"\t100\t40\n2002\t"Kansas"\t100\t30\n',
}


@pytest.mark.parametrize("crop", LAYOUTS)
def test_layouts(tmp_path: Path, crop: str) -> None:
    (tmp_path / "t.csv").write_text(LAYOUTS[crop])
    table = read_yields(tmp_path / "t.csv", crop)
    assert table["year"].tolist() == [2001, 2002]
    expected = {"maize": [380.25, 304.2], "soybean": [117.02, 87.76], "wheat": [104.71, 78.53]}[crop]
    np.testing.assert_allclose(table["value"], expected, rtol=1e-3)
    assert table["state"].tolist() == [{"maize": "IL", "soybean": "17", "wheat": "Kansas"}[crop]] * 2
    assert table["place"].tolist() == [{"maize": "IL_ADAMS", "soybean": "17001", "wheat": "Kansas"}[crop]] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,3\n", "not a table of yields that is known"),
        ("2001,17,1,40\n2001,17,1,30\n", "17001 has the year 2001 twice"),
        ("2001,17,1,40\n2002,17,1,\n", "yield of 17001 in 2002 is nan"),
        ("2001,17,1,2700\n", "is the unit bushel acre-1"),
        ("adm_id,year,yield\nIL_A,2001,-1\n", "yield of IL_A in 2001 is -38"),
        ("", "not a table of yields"),
        ("adm_id,year,yield\nIL_A,20x1,9\n", "year is '20x1' in row 1 of the data, not a whole number"),
        ("adm_id,year,yield\nIL_A,2001,9\n,2002,9\n", "adm_id is 'nan' in row 2 of the data, not a name"),
        ("adm_id,year,yield\n17_1,2001,9\n17_1,2001.5,9\n", "year is '2001.5' in row 2"),
        ("adm_id,year,yield\n17,2001,9\n17,21,9\n", "year is '21' in row 2"),
        ("2001,17,1,40\n2002,IL,1,40\n", "state is 'IL' in row 2 .* within 1..99"),
        ("2001,17,1,40\n2002,17,,40\n", "county is 'nan' in row 2 .* within 1..999"),
        ("2001,17,1,40\n2002,17,1.5,40\nx,17,1,40\n", "county is '1.5' in row 2"),
        ("2001,17,1,40\nx,17,1,40\n", "year is 'x' in row 2 .*\n.*\n.*1 of 2 rows"),
        ("year\tstate\tacres\tyield\n2001\t\t9\t40\n", "state is 'nan' in row 1"),
        ("year\tstate\tacres\tyield\n\tIowa\t9\t40\n", "year is 'nan' in row 1"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    crop = "maize" if text.startswith("adm") else "soybean"
    with pytest.raises(InputError, match=message):
        read_yields(tmp_path / "t.csv", crop)


@pytest.mark.parametrize("crop", LAYOUTS)
def test_inspect_knows_what_the_command_reads(tmp_path: Path, crop: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(LAYOUTS[crop].replace(",17,1,", ",17,33,"))
    assert "fluxatlas evaluate yields" in inspect_path(path).verdict
    assert len(read_yields(path, crop)) == 2


@pytest.mark.parametrize("text", ["2001,11,30,150\n2001,12,31,140\n", "year,state,county,yield\n2001,17,33,150\n"])
def test_what_the_command_does_not_read_is_not_called_usable(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"  # days of two months; a header that the layout does not have
    path.write_text(text)
    assert not inspect_path(path).usable


def test_an_identifier_of_digits_keeps_its_zeros(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("adm_id,year,yield\n01001,2001,9\n")
    assert read_yields(tmp_path / "t.csv", "maize").loc[0, ["place", "state"]].tolist() == ["01001", "01001"]


def test_other_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'maize'"):
        read_yields(tmp_path / "t.csv", "maiz")
    with pytest.raises(InputError, match="cannot be read"):
        read_yields(tmp_path / "absent.csv", "maize")
    with pytest.raises(InputError, match="both parts need 100 rows"):
        predictions(panel(), 1990)


def test_states_and_features_that_nothing_can_be_learned_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[str, ...]] = set()

    def of_features(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
        seen.update({tuple(features(train)), tuple(features(test.filter(regex="^[^/]*$")))})
        return place_mean(train, test)

    monkeypatch.setattr(area_years, "MODELS", {"place mean": place_mean, "features": of_features})
    monkeypatch.setattr(area_years, "OF_WEATHER", (of_features,))
    with pytest.raises(InputError, match="0 rows up to 2011 are of other states than s0"):
        predictions(panel().assign(state="s0"), 2011)
    table = panel(5.0)
    odd = table.assign(empty=np.nan, words="x", there=np.where(table["state"] == "s2", 1.0 * table["year"], np.nan))
    assert "later years/features" in predictions(odd, 2011)
    assert "left out, without values to learn from: empty, words, there" in capsys.readouterr().err
    assert seen == {("rain",)}
    assert "later years/features" not in predictions(table.assign(rain=np.nan), 2011)


def test_tables_of_yields_in_a_configuration(tmp_path: Path) -> None:
    """A crop without a table is named; `check` reads the tables that are named."""
    (tmp_path / "few.csv").write_text("2001,17,1,40\n2002,17,1,30\n")
    tables = {"soybean": str(tmp_path / "few.csv"), "wheat": str(tmp_path / "absent.csv")}
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    run = Run(load(config | {"evaluate": {"yield_tables": tables}}))
    assert run.yield_table("wheat") == tables["wheat"]
    with pytest.raises(ConfigError, match=r"no table of yields of maize is named[\s\S]*evaluate.yield_tables.maize"):
        run.yield_table("maize")
    findings = Findings()
    for crop, path in tables.items():
        with findings.trying(f"evaluate.yield_tables.{crop}"):
            _yields(run, crop, path, findings)
    few, absent = map(str, findings.problems)
    assert "both parts need 100 rows" in few and "the file does not exist" in absent


def panel(noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """60 places in 6 states, 16 years, 3 g m-2 per year; poor places report late years more often."""
    rng = np.random.default_rng(seed)
    rows = [
        {"place": f"p{k}", "state": f"s{k % 6}", "year": 2000 + y, "value": 200.0 + 4 * k + 3 * y, "rain": rng.normal()}
        for k in range(60)
        for y in range(16)
        if k >= 20 or y >= 6 or rng.random() < 0.3
    ]
    table = pd.DataFrame(rows)
    table["value"] += 20 * table["rain"] * bool(noise) + noise * rng.standard_normal(len(table))
    return table


def test_the_common_trend_is_free_of_who_reports() -> None:
    table = panel()
    assert common_trend(table) == pytest.approx(3.0)
    assert np.polyfit(table["year"], table["value"], 1)[0] < 1.0  # pooled over rows it is far too low
    test = table[table["year"] > 2011]
    np.testing.assert_allclose(place_trend(table[table["year"] <= 2011], test), test["value"])


def test_places_and_states_that_were_not_seen() -> None:
    train = pd.DataFrame({"place": ["a", "b", "c"], "state": ["x", "x", "y"], "year": 2000, "value": [1.0, 3.0, 11.0]})
    test = pd.DataFrame({"place": ["a", "new", "far"], "state": ["x", "x", "z"], "year": 2000})
    assert place_mean(train, test).tolist() == [1.0, 2.0, 5.0]


def test_scores_know_nothing_of_the_years_and_states_held_out() -> None:
    table = panel(5.0)
    found = predictions(table, 2011)
    changed = table.copy()
    changed.loc[changed["year"] > 2011, "value"] = 1e3
    again = predictions(changed, 2011)
    changed = table.copy()
    changed.loc[changed["state"] == "s2", "value"] += 500.0
    elsewhere = predictions(changed, 2011)
    here = found["state"] == "s2"
    for name in [name for name in found if "/" in name]:
        np.testing.assert_array_equal(found[name], again[name])
        if name.startswith("new states"):
            np.testing.assert_array_equal(found.loc[here, name], elsewhere.loc[here, name])


def test_a_model_that_knows_the_weather_wins_where_weather_matters() -> None:
    table = score_table(predictions(panel(5.0), 2011), "g m-2 yr-1").set_index(["protocol", "model", "score"])
    ratio = table.loc[("later years", "trees of the weather", "rmse ratio")]
    assert ratio["high"] < 0.8 and ratio["against"] == REFERENCE
    assert (table["low"] <= table["value"] + 1e-9).all() and (table["value"] <= table["high"] + 1e-9).all()
    idle = panel(5.0).assign(rain=lambda t: np.random.default_rng(9).permutation(t["rain"]))
    test = predictions(idle, 2011)
    lost = score_table(test, "1").set_index(["protocol", "model", "score"])
    assert lost.loc[("later years", "trees of the weather", "rmse ratio"), "value"] > 0.97


def seasons(noise: float, seed: int = 3) -> pd.DataFrame:
    """A yield that rain of the second and heat of the third part of the season decide, against each other."""
    table = panel().drop(columns="rain")
    rng = np.random.default_rng(seed)
    for part in range(3):
        for name in ("rain", "heat"):
            table[f"{name}p{part}"] = rng.normal(size=len(table))
    table["value"] += 15 * table["rainp1"] * (table["heatp2"] > 0) - 15 * table["heatp2"]
    return table.assign(value=table["value"] + noise * rng.standard_normal(len(table)))


def test_a_network_learns_which_part_of_the_season_matters() -> None:
    table = seasons(3.0)
    train, test = table[table["year"] <= 2011], table[table["year"] > 2011]
    plain = test["value"] - place_trend(train, test)
    left = test["value"] - season_network(train, test)
    assert np.mean(left**2) < 0.85 * np.mean(plain**2)
    assert np.array_equal(season_network(train, test), season_network(train, test))


def test_a_network_that_gains_nothing_in_years_left_out_is_not_used() -> None:
    """Without a signal, and with too few years to leave any out, the answer is that of place mean and trend."""
    table = panel(5.0).assign(rainp0=lambda t: np.random.default_rng(9).normal(size=len(t))).drop(columns="rain")
    table["value"] = 200.0 + np.random.default_rng(8).normal(size=len(table))
    train, test = table[table["year"] <= 2011], table[table["year"] > 2011]
    lost = np.mean((test["value"] - season_network(train, test)) ** 2)
    assert lost < 1.05 * np.mean((test["value"] - place_trend(train, test)) ** 2)
    few = train[train["year"] > 2009]
    np.testing.assert_array_equal(season_network(few, test), place_trend(few, test))


def test_the_figure_of_yields_needs_no_features(tmp_path: Path) -> None:
    score_table(predictions(panel(5.0).drop(columns="rain"), 2011), "g m-2 yr-1").to_csv(tmp_path / "soybean.csv")
    said = CliRunner().invoke(
        app,
        ["evaluate", "yields-figure", "--table", str(tmp_path / "soybean.csv"), "--output", str(tmp_path / "y.png")],
    )
    assert said.exit_code == 0 and (tmp_path / "y.png").stat().st_size > 5000, said.output


def test_real_counties(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "crop"
    if not folder.exists():
        pytest.skip(f"no real data: {folder} does not exist")
    maize = read_yields(folder / "WUR-AI_sample_data" / "grain_maize_US.csv", "maize")
    assert len(maize) == 7389 and maize["place"].nunique() == 735 and maize["state"].nunique() == 22
    assert maize["value"].mean() == pytest.approx(8.75 * 38.03, rel=2e-3)
    output = tmp_path / "yields.csv"
    source = folder / "JiaxuanYou_crop_yield_prediction" / "yield_final.csv"
    said = CliRunner().invoke(
        app,
        ["evaluate", "yields", "--table", str(source), "--crop", "soybean", "--last", "2011", "--output", str(output)],
    )
    assert said.exit_code == 0, said.output
    table = pd.read_csv(output).set_index(["protocol", "model", "score"])
    assert table.loc[("later years", "place mean", "rmse ratio"), "low"] > 1.0  # the trend helps
    assert 0.3 < table.loc[("later years", REFERENCE, "r2"), "value"] < 0.4
    states = read_yields(folder / "kwstat_agridat" / "nass.soybean.txt", "soybean")
    assert states["year"].agg(["min", "max"]).tolist() == [1924, 2011]


def test_inspect_knows_each_layout_by_what_reads_it(tmp_path: Path) -> None:
    rows = {
        "cy-bench": '"adm_id","year","rain","yield"\n"17_MCLEAN",2001,5,9.4\n"17_LOGAN",2002,5,9.1\n',
        "agridat": "year\tstate\tacres\tyield\n1900\tIowa\t100\t40\n1901\tIowa\t100\t41\n",
        "you": "2003,17,113,160\n2004,17,113,170\n",
    }
    for name, text in rows.items():
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        report = inspect_path(path)
        unit = next(variable.units for variable in report.variables if variable.name == "yield")
        assert report.usable and unit == yields.LAYOUTS[name].unit, name
        assert len(read_yields(path, "maize")) == 2
