"""Factors of a trend: of linear and of multiplied formulas by hand, of the process model, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

import infer_world as world
from fluxatlas import variables
from fluxatlas.cli import app
from fluxatlas.config import Config
from fluxatlas.config.evaluate import EvaluateBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.evaluate import trends as asked
from fluxatlas.evaluate.trends_figure import write_figure
from fluxatlas.files import write_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run
from fluxatlas.systems import get_system
from fluxatlas.train.data import Segment, SequenceSet
from toy_system import LIGHT, WARMTH, carbon

TOY = get_system("toy_system:TOY")
DATES = pd.date_range("2001-01-01", "2008-12-31")
AREA = np.array([1.0, 3.0, 2.0])
SETTINGS = EvaluateBlock(held_years=3)


@pytest.fixture(scope="module")
def data() -> SequenceSet:
    """Warming of 0.1 to 0.3 K a year with weather, CO2 that rises by 2 each year, light and leaves that stay."""
    rng, shape = np.random.default_rng(5), (len(DATES), 3)
    year, season = DATES.year.to_numpy()[:, None] - 2001, np.cos(2 * np.pi * DATES.dayofyear.to_numpy() / 365)[:, None]
    drivers = {
        "tas": 290 - 3 * season + np.array([0.1, 0.2, 0.3]) * year + rng.normal(0, 0.5, shape),
        "rsds": np.full(shape, 150.0),
        "co2": np.full(shape, 380.0) + 2 * year,
        "lai": np.full(shape, 2.0),
    }
    return SequenceSet(
        DATES,
        tuple("abc"),
        np.zeros(3),
        np.arange(3.0),
        np.arange(3),
        {name: values.astype(np.float32) for name, values in drivers.items()},
        {name: np.ones(3, np.float32) for name in ("clay", "soc")},
        {},
        tuple(Segment(site, 0, len(DATES)) for site in range(3)),
    )


def _slope(daily: np.ndarray) -> float:
    """Of annual means over the area, by numpy."""
    annual = pd.Series(np.average(daily.astype(float), axis=1, weights=AREA)).groupby(DATES.year).mean()
    return float(np.polyfit(annual.index, annual, 1)[0])


def test_factors_of_a_linear_model_add_to_its_trend(data) -> None:
    """Climate and CO2 of `0.3 tas - 0.05 co2` have each the trend that numpy finds in it, and nothing interacts."""
    table = asked.trends(lambda s: {"nee": 0.3 * s.drivers["tas"] - 0.05 * s.drivers["co2"]}, data, AREA, TOY, 3)
    found = table.set_index("factor")["trend"]
    repeated = asked.held(data, ("tas",), 3, repeat=True).drivers["tas"]
    assert found["co2"] == pytest.approx(-0.05 * 2, rel=1e-4)
    assert found["none"] == pytest.approx(0.3 * _slope(repeated), abs=1e-6)
    assert found["climate"] + found["none"] == pytest.approx(0.3 * _slope(data.drivers["tas"]), abs=1e-5)
    assert found[asked.INTERACTION] == pytest.approx(0, abs=1e-5) and (table["unit"] == "g m-2 d-1 yr-1").all()
    assert found["all"] == pytest.approx(found[["climate", "co2", "none", asked.INTERACTION]].sum(), abs=1e-9)


def test_what_multiplies_is_an_interaction(data) -> None:
    """Of `(tas - 280) (co2 - 380)` all runs with CO2 held have a known trend, and so has the interaction."""
    table = asked.trends(
        lambda s: {"nee": (s.drivers["tas"] - 280) * (s.drivers["co2"] - 380)}, data, AREA, TOY, 3
    ).set_index("factor")["trend"]
    repeated, rise = asked.held(data, ("tas",), 3, repeat=True).drivers["tas"], data.drivers["co2"] - 380
    whole, warm = _slope((data.drivers["tas"] - 280) * rise), _slope((data.drivers["tas"] - 280) * 2)  # held at 382
    steady, none = _slope((repeated - 280) * rise), _slope((repeated - 280) * 2)
    expected = {"climate": whole - steady, "co2": whole - warm, "none": none}
    assert {name: table[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert table[asked.INTERACTION] == pytest.approx(warm + steady - whole - none, abs=1e-4)
    assert abs(table[asked.INTERACTION]) > 0.2


def test_attributes_that_changed_are_factors(data) -> None:
    """Of `20 clay + 10 soc`, which go from 0.5 and 0.8 of the map to the map, the slopes are known."""
    ran = []

    def model(s: SequenceSet) -> dict[str, np.ndarray]:
        ran.append(s)
        return {"nee": np.ones((len(DATES), 1)) * (20 * s.statics["clay"] + 10 * s.statics["soc"])}

    table = asked.trends(model, data, AREA, TOY, 3, {"clay": 0.5, "soc": 0.8}).set_index("factor")["trend"]
    # the first year's attributes under the weather as it was once; then the map's there, each attribute held, the map's
    # and the first year's with each of two factors held, and the first year's with both held
    assert len(ran) == 1 + 1 + 2 + 2 * 2 + 1
    assert table["clay"] == pytest.approx(20 * 0.5 / 7, rel=1e-3) and table["soc"] == pytest.approx(2 / 7, rel=1e-3)
    assert table["all"] == pytest.approx(12 / 7, rel=1e-3)
    assert table[["climate", "co2", "none", asked.INTERACTION]].to_numpy() == pytest.approx(0, abs=1e-5)


def test_attributes_that_multiply_interact_with_what_else_changes(data) -> None:
    """Of `clay (co2 - 380)`: with CO2 held at its first years, with clay held at its first, and with both."""
    table = asked.trends(
        lambda s: {"nee": s.statics["clay"] * (s.drivers["co2"] - 380)}, data, AREA, TOY, 3, {"clay": 0.5}
    ).set_index("factor")["trend"]
    part = (DATES.year.to_numpy()[:, None] - 2001) / 7
    rise, clay = data.drivers["co2"] - 380, 0.5 + 0.5 * part
    whole, steady, held = _slope(clay * rise), _slope(clay * np.full_like(rise, 2.0)), _slope(0.5 * rise)
    assert table["all"] == pytest.approx(whole, rel=1e-4) and table["co2"] == pytest.approx(whole - steady, rel=1e-4)
    assert table["clay"] == pytest.approx(whole - held, rel=1e-4) and table["none"] == pytest.approx(0, abs=1e-6)
    assert table[asked.INTERACTION] == pytest.approx(whole - (whole - steady) - (whole - held), abs=1e-4)


def test_shares_end_at_the_edge_of_the_valid_range(data) -> None:
    rich = replace(data, statics={**data.statics, "clay": np.full(3, 60.0, np.float32)})
    seen = []
    asked.changing(lambda s: seen.append(s.statics["clay"]) or {}, rich, {"clay": 3.0}, ["clay"])(rich)
    assert [values.tolist() for values in seen] == [[100.0] * 3, [60.0] * 3]


def test_days_that_are_held_are_those_of_the_first_years(data) -> None:
    again = asked.held(data, ("tas",), 3, repeat=True).drivers["tas"]
    given = data.drivers["tas"]
    for wanted, source in (("2001-05-03", "2001-05-03"), ("2008-05-03", "2002-05-04"), ("2008-12-31", "2002-12-31")):
        np.testing.assert_array_equal(again[DATES.get_loc(wanted)], given[DATES.get_loc(source)])
    mean = asked.held(data, ("co2",), 3, repeat=False).drivers["co2"]
    np.testing.assert_allclose(mean, 382.0, rtol=1e-6)


def test_the_process_model_is_run_and_the_table_is_drawn(data, tmp_path: Path) -> None:
    """Its respiration follows temperature alone, its production light, leaves and CO2."""
    table = asked.write_trends(tmp_path / "trends.csv", data, AREA, [], TOY, SETTINGS)
    assert tuple(pd.read_csv(tmp_path / "trends.csv").columns) == asked.COLUMNS == tuple(table.columns)
    found = table.set_index(["flux", "factor"])["trend"]
    assert found["gpp", "co2"] == pytest.approx(LIGHT * 150 * 0.7 * 2 / 380, rel=1e-3)
    assert found["gpp", "climate"] == pytest.approx(0, abs=1e-6) == found["reco", "co2"]
    assert found["reco", "all"] == pytest.approx(WARMTH * _slope(data.drivers["tas"]), abs=1e-4)
    write_figure(tmp_path / "trends.png", table)
    assert (tmp_path / "trends.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="8 years, of which the first 8 are to be repeated"):
        asked.write_trends(tmp_path / "no.csv", data, AREA, [], TOY, EvaluateBlock(held_years=8))
    assert not (tmp_path / "no.csv").exists()


def test_the_interval_is_that_of_a_regression(data) -> None:
    from scipy.stats import linregress, t

    values = np.random.default_rng(1).normal(size=9)
    line = linregress(np.arange(9), values)
    found, low, high = asked.slope(values)
    assert found == pytest.approx(line.slope) and high - low == pytest.approx(2 * t.ppf(0.95, 7) * line.stderr)


TILE = get_grid("0.5deg").tile("N38W124", 2)
YEARS = range(2001, 2005)


def _warming(year: int, lon: Any) -> Any:
    """[K] since 2001, more in the east: 0.2 to 0.6 K a year over the tile."""
    return (year - 2001) * (0.2 + 0.2 * (lon + 124))


def _written(folder: Path, share: float) -> tuple[list[str], list[str]]:
    """Options for the files of a tile whose active cells are land by ``share`` [%]: attributes, and four years."""
    path = world.write_attributes(folder / "attributes" / f"{TILE.name}.nc", TILE)
    with xr.open_dataset(path) as found:
        layers = found.load()
    layers["active"] = layers["active"] * np.int8(share > 0)
    layers["areacella"] = ("lat", "lon"), np.broadcast_to(np.cos(np.deg2rad(TILE.lat))[:, None], layers["active"].shape)
    layers["sftlf"] = ("lat", "lon"), np.where(layers["active"], share, 0.0)
    write_netcdf(layers.assign_attrs(weight="areacella sftlf"), path)
    pieces = [world.write_piece(folder / "forcing" / TILE.name / f"{year}.nc", TILE, year) for year in YEARS]
    for year, piece in zip(YEARS, pieces, strict=True):
        with xr.open_dataset(piece) as found:
            data = found.load()
        data["tas"] += _warming(year, data["lon"])
        write_netcdf(data, piece, {name: variables.get(name).encoding() for name in world.SYSTEM.forcing})
    return [f"--attributes={path}"], [f"--forcing={piece}" for piece in pieces]


def _called(folder: Path, *options: str) -> Any:
    words = ["evaluate", "trends", "--settings", '{"held_years": 1, "trend_points": 50}', "--system", "toy_system:TOY",
             "--grid", "0.5deg", "--tile-size", "2", "--output", str(folder / "t.csv")]  # fmt: skip
    return CliRunner().invoke(app, [*words, "--figure", str(folder / "t.png"), *options])


def test_files_of_a_tile_give_the_trend_of_all_its_cells(tmp_path: Path) -> None:
    """As many places as cells: respiration, linear in temperature, has the trend of the weather over them."""
    attributes, forcing = _written(tmp_path, 80.0)
    done = _called(tmp_path, *attributes, *forcing)
    assert done.exit_code == 0, done.output[-1000:] or repr(done.exception)
    table = pd.read_csv(tmp_path / "t.csv").set_index(["flux", "factor"])
    with xr.open_dataset(attributes[0].partition("=")[2]) as layers:
        weight = (layers["areacella"] * layers["active"]).to_numpy()
    annual = []
    for year in YEARS:
        days = pd.date_range(f"{year}-01-01", f"{year}-12-31")
        tas = world.weather("tas", TILE.lat, TILE.lon, days) + _warming(year, TILE.lon)
        reco = carbon(np.zeros_like(tas), tas, np.ones_like(tas), np.full_like(tas, 380), np.ones(1))["reco"]
        annual.append(float((reco.mean(axis=0) * weight).sum() / weight.sum()))
    expected = float(np.polyfit(list(YEARS), annual, 1)[0])
    assert expected > 0.3 * WARMTH
    assert table.loc[("reco", "all"), "trend"] == pytest.approx(expected, rel=2e-3)
    assert table.loc[("reco", "co2"), "trend"] == 0 < table.loc[("gpp", "co2"), "trend"]
    assert set(table["points"]) == {int((weight > 0).sum())} and (tmp_path / "t.png").stat().st_size > 10_000
    table = table.reset_index()
    assert set(table["first_year"]) == {2001} and set(table["last_year"]) == {2004}


def test_tiles_without_forcing_or_land_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    attributes, forcing = _written(tmp_path, 80.0)
    for options, said in (
        ([*attributes, "--forcing=forcing/N38W122/2001.nc"], f"no forcing of tile {TILE.name}"),
        ([*_written(tmp_path / "sea", 0.0)[0], *forcing], "no active cell in any tile"),
    ):
        done = _called(tmp_path, *options)
        assert done.exit_code != 0 and said in f"{done.output} {done.exception}", done.output
        assert not (tmp_path / "t.csv").exists() and not (tmp_path / "t.png").exists()


def test_a_short_period_is_refused_before_anything_is_made(tmp_path) -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    with pytest.raises(ConfigError, match="the period has 2 years, a trend and its factors need 6"):
        _ = Run(Config.model_validate(data)).trend_pieces
    data["evaluate"] = {"trend_attributes": {"ndepo": 0.5}}
    with pytest.raises(ConfigError, match="does not read the attribute 'ndepo'; did you mean 'ndep'"):
        _ = Run(Config.model_validate(data)).trend_pieces
    data["evaluate"] = {"held_years": 1}
    data["period"] |= {"start": 2001, "end": 2004}
    run = Run(Config.model_validate(data))
    assert len(run.trend_pieces) == 4 * len(run.tiles) and len(set(run.trend_pieces)) == len(run.trend_pieces)
