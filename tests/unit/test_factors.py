"""Shares of variance that are known by construction, what is refused, and the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import infer_world
from fluxatlas.cli import app
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.evaluate.clusters import resamples
from fluxatlas.evaluate.factors import (
    STORAGE,
    Means,
    _mean,
    _mean_weather,
    _resampled,
    correlation,
    explained,
    factor_table,
    partition,
    read_means,
)
from fluxatlas.evaluate.factors_figure import _shares
from fluxatlas.grid import get_grid
from fluxatlas.systems import get_system
from fluxatlas.tiles.cells import read_cells
from fluxatlas.tiles.piece import make_regridder, read_piece

CROP = get_system("crop_carbon")
RNG = np.random.default_rng(4)
N = 4000


def test_shares_are_those_of_a_linear_world() -> None:
    """y = soil + 2 weather + noise, with weather that goes by a quarter with the soil: shares by hand."""
    soil = RNG.normal(size=N)
    own = RNG.normal(size=N)
    weather = 0.5 * soil + np.sqrt(0.75) * own
    target = soil + 2 * weather + RNG.normal(size=N)
    found = partition(target, {"soil": [soil], "climate": [weather]}, np.ones(N))
    total = (
        (1 + 2 * 0.5) ** 2 + 4 * 0.75 + 1
    )  # of the part that goes with the soil, of the rest of the weather, of noise
    by_soil, by_weather = (1 + 2 * 0.5) ** 2 / total, (0.5 + 2) ** 2 / total
    whole = 1 - 1 / total
    expected = {"all": whole, "soil alone": whole - by_weather, "climate alone": whole - by_soil}
    expected |= {"shared": by_soil + by_weather - whole, "unexplained": 1 / total}
    assert found == pytest.approx(expected, abs=0.03)
    assert sum(found[name] for name in ("soil alone", "climate alone", "shared", "unexplained")) == pytest.approx(1)


def test_weights_count_cells_as_often() -> None:
    x, y = RNG.normal(size=50), RNG.normal(size=50)
    often = np.repeat(np.arange(50), RNG.integers(1, 5, 50))
    weight = np.bincount(often).astype(float)
    assert correlation(x, y, weight) == pytest.approx(np.corrcoef(x[often], y[often])[0, 1])
    assert explained(y, [x], weight) == pytest.approx(np.corrcoef(x[often], y[often])[0, 1] ** 2)
    assert explained(y, [x, 3 * x, np.ones(50)], weight) == pytest.approx(explained(y, [x], weight))
    assert np.isnan(explained(np.ones(50), [x], weight)) and np.isnan(correlation(np.ones(50), x, weight))


@pytest.mark.parametrize("method", ["bilinear", "conservative"])
def test_the_mean_weather_is_that_of_all_days_as_inference_has_it(tmp_path: Path, method: str) -> None:
    """A leap year counts with its days; each method is the mean over days of what it makes of them."""
    tile, system = get_grid("0.5deg").tile("N38W124", 2), replace(infer_world.SYSTEM, climate=("tas", "rsds"))
    cells = read_cells(infer_world.write_attributes(tmp_path / f"{tile.name}.nc", tile), tile, system)
    paths = [infer_world.write_piece(tmp_path / f"{year}.nc", tile, year) for year in (2003, 2004)]
    days = {name: [] for name in system.climate}
    for path in paths:
        one = read_piece(path, system.forcing)
        weather = make_regridder(one, tile, cells.orog, method).downscale(one.data, cells.index)
        for name in days:
            days[name].append(weather[name].astype(float))
    found = _mean_weather(system, cells, paths, method)
    for name, parts in days.items():
        assert len(np.concatenate(parts)) == 731
        np.testing.assert_allclose(found[name], np.concatenate(parts).mean(axis=0), rtol=2e-6)


def test_annual_sums_are_averaged_over_years() -> None:
    world = SimpleNamespace(layer=lambda name, year: np.full((2, 1, 1), float(year - 2002)))
    np.testing.assert_allclose(_mean(world, "nee", [2003, 2004]), (1 * 365 + 2 * 366) / 2)


def test_resamples_one_at_a_time_are_those_of_all_at_once() -> None:
    block, area = RNG.integers(0, 9, 50) * 7, RNG.uniform(1, 2, 50)
    np.testing.assert_array_equal(
        list(_resampled(SimpleNamespace(block=block, area=area), 3)), resamples(block, 200, 3) * area
    )


def test_a_cell_that_lacks_a_predictor_is_refused_by_name() -> None:
    clay = np.where(np.arange(N) == 7, np.nan, RNG.normal(size=N))
    means = Means(SimpleNamespace(), (2001, 2002), {"nee": RNG.normal(size=(2, N))}, {"clay": clay}, {}, np.ones(N),
                  np.arange(N), np.ones((1, N), bool))  # fmt: skip
    with pytest.raises(InputError, match=f"'clay' is missing in 1 of {N} active cells"):
        factor_table(means)
    with pytest.raises(InputError, match="not a number"):
        explained(RNG.normal(size=N), [clay], np.ones(N))


def test_a_single_year_and_a_system_without_a_store_are_refused() -> None:
    nothing = get_grid("4km"), 1, [], [], []
    with pytest.raises(ConfigError, match="not given of a single year"):
        read_means(CROP, *nothing, [2001])
    with pytest.raises(ConfigError, match="declares no store"):
        read_means(get_system("soil_methane_sink"), *nothing, [2001, 2002])


def test_bars_that_pass_the_total_say_why() -> None:
    for shared, said in ((-0.2, True), (0.1, False)):
        shares = {"soil alone": 0.5, "shared": shared, "climate alone": 0.6}
        table = pd.DataFrame(
            [("nee", "share", *one) for one in shares.items()], columns=["variable", "kind", "name", "value"]
        )
        axis = Figure().subplots()
        _shares(axis, table, CROP)
        assert ("below 0 are drawn as 0" in axis.get_xlabel()) == said
        assert axis.get_xlim()[1] >= 0.5 + max(shared, 0) + 0.6  # no bar is cut off


def test_the_table_and_its_page(tmp_path: Path) -> None:
    """The store gains what is neither released nor harvested; a page with a figure comes of the table."""
    nee, harvest, clay = -300 + 20 * RNG.normal(size=(2, N)), np.full((2, N), 250.0), RNG.normal(size=N)
    nee = nee - 40 * clay
    members = {STORAGE: -nee - harvest, "nee": nee, "harvest": harvest}
    where = np.ones((1, N), bool)
    means = Means(
        SimpleNamespace(), (2001, 2002), members, {"clay": clay}, {"tas": RNG.normal(size=N)}, np.ones(N),
        np.arange(N) // 200, where,
    )  # fmt: skip
    table = factor_table(means)
    rows = table.set_index(["variable", "kind", "name"])["value"]
    assert rows[STORAGE, "mean", "area mean"] == pytest.approx(50, abs=3)
    assert rows[STORAGE, "correlation", "clay"] == pytest.approx(40 / np.hypot(40, 20 / np.sqrt(2)), abs=0.02)
    assert rows[STORAGE, "share", "climate alone"] < 0.01 < 0.8 < rows[STORAGE, "share", "soil alone"]
    assert np.isnan(rows["harvest", "share", "all"])
    table.to_csv(tmp_path / "factors.csv", index=False)
    (tmp_path / "responses.png").write_bytes(b"\x89PNG")
    given = ["--table", str(tmp_path / "factors.csv"), "--figure", str(tmp_path / "responses.png")]
    out = tmp_path / "factors.html"
    said = CliRunner().invoke(app, ["report", "factors", *given, "--system", "crop_carbon", "--output", str(out)])
    assert said.exit_code == 0, said.output
    text = out.read_text(encoding="utf-8")
    assert "change of carbon of soil and litter" in text and "soil alone" in text and "data:image/png" in text
