"""`fluxatlas evaluate comparison` and `collocation` on files whose agreement is known, their page, and bad input."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import comparison_files as made
from fluxatlas.check.tables import _compared
from fluxatlas.cli import app
from fluxatlas.config.constraints import Constraint
from fluxatlas.errors import InputError
from fluxatlas.evaluate.gridded import unfit

SD = {"product": 0.01, "cci": 0.02, "era": 0.03}
SCALE = {"product": 1.0, "cci": 0.8, "era": 1.25}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product and two others of one truth; ``cci`` lacks two of five days, ``era`` has no signal in one cell."""
    place, random, true = tmp_path_factory.mktemp("comparison"), np.random.default_rng(2), made.truth()
    values = {name: SCALE[name] * true + random.normal(0, sd, true.shape) for name, sd in SD.items()}
    values["cci"][random.random(true.shape) < 0.4] = np.nan
    values["era"][:, 3, 3] = 0.3 - 0.5 * true[:, 3, 3]
    values["cci"][60:, 0, 0] = np.nan
    made.product(place, values["product"])
    for name in ("cci", "era"):
        made.other(place / f"{name}.nc", values[name])
    np.savez(place / "values.npz", **values)
    for name in ("cci", "era"):
        call("comparison", place, f"{name}={place / name}.nc", output=f"page/{name}")
    said = call("collocation", place, f"cci={place / 'cci.nc'}", f"era={place / 'era.nc'}", output="page/cci+era")
    assert "refused (few times, covariance, variance): 1 + 1 + 0" in said
    return place


def call(command: str, place: Path, *against: str, output: str, variable: str = "swc05", settings: str = "{}") -> str:
    """What the command says; its files are ``output`` with several endings. Refusals are raised."""
    words = ["evaluate", command, "--variable", variable, "--settings", settings]
    words += [word for year in made.YEARS for word in ("--daily", str(place / f"{variable}_{year}.nc"))]
    words += [word for one in against for word in ("--against", one)]
    words += ["--maps", f"{place / output}.nc", "--output", f"{place / output}.csv"]
    words += ["--series", f"{place / output}.series.csv"] * (command == "comparison")
    done = CliRunner().invoke(app, words)
    if done.exception:
        raise done.exception
    return done.output


def test_scores_maps_and_series_are_those_of_the_cells(folder: Path) -> None:
    values = np.load(folder / "values.npz")
    x, y = values["product"].astype("f4"), np.round(values["cci"] / 2e-5) * 2e-5
    known = np.isfinite(y)
    with xr.open_dataset(folder / "page/cci.nc") as maps:
        assert maps.lat.values.tolist() == [39.75, 39.25, 38.75, 38.25] and maps.r_raw.units == "1"
        assert maps.attrs["Conventions"] == "CF-1.11" and "cci: 0-7 cm" in maps.comment
        assert {**maps.bias_raw.attrs, **maps.bias_raw.encoding}["grid_mapping"] == "crs"
        np.testing.assert_array_equal(maps.n_raw, known.sum(axis=0))
        for row, column in ((0, 1), (2, 2)):  # means by area of four cells are the values, not plain means
            error = (x - y)[:, row, column][known[:, row, column]]
            assert float(maps.bias_raw[row, column]) == pytest.approx(error.mean(), abs=2e-6)
            assert float(maps.ubrmse_raw[row, column]) == pytest.approx(error.std(), rel=1e-3)
        short = int(known[:, 0, 0].sum())
    table = pd.read_csv(folder / "page/cci.csv")
    assert set(table["kind"]) == {"raw", "anomaly"} and table["unit"].unique().tolist() == [1]
    whole = table[table["extent"] == "all"].set_index("kind").loc["raw"]
    area = np.broadcast_to(np.abs(np.diff(np.sin(np.deg2rad(40 - 0.5 * np.arange(5)))))[:, None], (4, 4))
    weight = area * known
    assert whole["bias"] == pytest.approx(np.nansum((x - y) * weight) / weight.sum(), rel=1e-4)
    assert whole["bias_low"] < whole["bias"] < whole["bias_high"] and whole["times"] == 730
    assert (whole["cells"], whole["few"]) == ((16, 0) if short >= 30 else (15, 1))
    bands = table[(table["extent"] == "band") & (table["kind"] == "raw")]
    assert bands["south"].tolist() == [39.0, 38.0] and bands["cells"].sum() == whole["cells"]
    series = pd.read_csv(folder / "page/cci.series.csv")
    day = known[5]
    assert series["product_raw"][5] == pytest.approx(np.average(x[5][day], weights=area[day]), rel=1e-5)


def test_triple_collocation_finds_the_errors_that_were_put_in_and_counts_what_it_refuses(folder: Path) -> None:
    table = pd.read_csv(folder / "page/cci+era.csv").query("extent == 'all'")
    assert table["few_common_times"].tolist() == [1] * 6 and table["covariance_not_positive"].tolist() == [1] * 6
    assert table["estimated"].tolist() == [14] * 6
    raw = table[table["kind"] == "raw"].set_index("product")
    for name, sd in SD.items():
        row = raw.loc[name]
        assert row["error_sd"] == pytest.approx(sd, rel=0.1) and row["error_sd_low"] < row["error_sd_high"]
        assert row["scaled_sd"] == pytest.approx(sd / SCALE[name], rel=0.1)
        assert row["error_sd_low"] < sd * 1.03 and row["error_sd_high"] > sd * 0.97
    with xr.open_dataset(folder / "page/cci+era.nc") as maps:
        assert maps["product"].values.tolist() == ["product", "cci", "era"]
        assert maps.flag_raw[0, 0] == 1 and maps.flag_raw[3, 3] == 2 and (maps.flag_raw == 0).sum() == 14
        assert maps.flag_raw.flag_meanings.split()[2] == "covariance_not_positive"
        assert np.isnan(maps.r_truth_raw[:, 3, 3]).all()


def test_the_page_holds_what_was_found(folder: Path) -> None:
    splits = pd.DataFrame(
        {"split": ["time", "random"], "share": 1.0, "model": "trees", "transfer": "scratch", "target": "swc05"}
    ).assign(score="rmse", value=[0.1, 0.02], days=[100, 50], unit="1")
    splits.to_csv(folder / "scores.csv", index=False)
    words = [word for name in ("cci", "era") for word in ("--pair", str(folder / f"page/{name}.csv"))]
    words += ["--triple", str(folder / "page/cci+era.csv"), "--splits", str(folder / "scores.csv")]
    lost = {"split": ["time", "space"], "share": 1.0, "model": "trees", "transfer": "none", "target": "swc05"}
    lost |= {"permuted": "rain", "over": "time", "score": "r2_loss", "value": [0.9, 0.25], "low": 0.125, "high": 0.375}
    pd.DataFrame(lost).to_csv(folder / "importance.csv", index=False)
    words += ["--importance", str(folder / "importance.csv")]
    done = CliRunner().invoke(app, ["report", "comparison", *words, "--output", str(folder / "page.html")])
    assert done.exit_code == 0, done.output
    page = (folder / "page.html").read_text()
    assert page.count("data:image/png;base64") == 3 and "McColl et al. 2014" in page and "0-7 cm" in page
    assert page.index("<th>random days</th>") < page.index("<th>later years</th>") and "0.0200 (50)" in page
    assert "unseen clusters) where" in page and "0.25 (0.12 to 0.38)" in page and "0.90" not in page
    assert {path.name for path in (folder / "page").glob("*.png")} == {
        f"swc05_{kind}.png" for kind in ("profile", "map", "series")
    }
    with pytest.raises(InputError, match=r"(?s)file not found.*gone\.csv"):
        CliRunner().invoke(
            app, ["report", "comparison", "--pair", "gone.csv", "--output", str(folder / "no.html")],
            catch_exceptions=False,
        )  # fmt: skip


def test_months_are_compared_with_means_of_whole_months(tmp_path: Path) -> None:
    true = 20 * (made.truth() - 0.25)
    made.product(tmp_path, true, "nee")
    made.other(tmp_path / "gcb.nc", made.monthly(true) + 0.5, "fco2", start="2001-01")
    call("comparison", tmp_path, f"gcb={tmp_path / 'gcb.nc'}", output="gcb", variable="nee")
    row = pd.read_csv(tmp_path / "gcb.csv").query("extent == 'all' and kind == 'raw'").iloc[0]
    assert (row["times"], row["step"], row["cells"], row["unit"]) == (24, "month", 16, "g m-2 d-1")
    assert row["bias"] == pytest.approx(-0.5, abs=1e-4) and row["ubrmse"] < 1e-4 and row["r"] > 0.99999


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"start": "2015-01-01"},
            "no day or month in common .product: 2001-01-01 to 2002-12-31; x: 2015-01-01 to 2016",
        ),
        ({"north": 60.0}, "no cell in common .product: 38 to 40 N; x: 58 to 60 N"),
        ({"variable": "sat05"}, "'x' holds sat05 and nothing to compare 'swc05' with"),
        ({"count": 20}, "no cell has 30 days in common, the best has 20"),
    ],
)
def test_products_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, change: dict, said: str) -> None:
    values = made.truth()[: change.pop("count", None)]
    made.other(tmp_path / "x.nc", values, **change)
    with pytest.raises(InputError, match=said):
        call("comparison", folder, f"x={tmp_path / 'x.nc'}", output="no/x")
    assert not (folder / "no").exists() or not list((folder / "no").iterdir()), "nothing is written"


def test_other_refusals_of_the_commands(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs two products beside ours, and there is 1"):
        call("collocation", folder, f"cci={folder / 'cci.nc'}", output="no/y")
    with pytest.raises(InputError, match="'cci' does not name a product and its file"):
        call("comparison", folder, "cci", output="no/y")
    made.product(tmp_path, made.truth(), units="%")
    with pytest.raises(InputError, match=r"(?s)'swc05' is in '%', and 'swc05' in '1'.*swc05_2001.nc"):
        call("comparison", tmp_path, f"cci={folder / 'cci.nc'}", output="no")


@pytest.mark.parametrize(
    ("variable", "kind", "said"),
    [
        ("swc45", "esa_cci", r"'x' \(esa_cci\) holds swc05, not 'swc45'"),
        ("swc05", "gcb", r"'x' \(gcb\) is a flux of carbon in g m-2 d-1, positive upward, and 'swc05' is not"),
        ("gpp", "fluxcom", r"'x' \(fluxcom\) is a flux of carbon .* and 'gpp' is not"),
    ],
)
def test_check_says_what_a_kind_cannot_be_compared_with(folder: Path, variable: str, kind: str, said: str) -> None:
    sets = {"x": Constraint(path=[str(folder / "cci.nc")], kind=kind)}
    run = SimpleNamespace(config=SimpleNamespace(constraints=SimpleNamespace(sets=sets)))
    with pytest.raises(InputError, match=said):
        _compared(run, variable, "x")
    assert not unfit("nee", "x", "gcb") and not unfit("swc45", "x", "era5_land")
