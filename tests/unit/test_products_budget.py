"""Budgets: conservation, propagation of the ensemble's spread, agreement with the daily product."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import GridError, InputError
from fluxatlas.products.budget import budget_table, write_budget
from fluxatlas.products.daily import write_daily
from fluxatlas.systems import get_system
from fluxatlas.tiles.mosaic import assemble
from stage_files import make_world

SYSTEM = get_system("soil_methane_sink")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("budget"), years=(2003, 2004))


def _total(world, variable, year):
    days = 366 if year % 4 == 0 else 365
    return np.nansum(world.annual[variable, year] * world.area, axis=(1, 2)) * days * 1e-15


def test_the_total_and_its_spread_are_those_of_the_members(world) -> None:
    table = budget_table(world.flux, world.attributes, system=SYSTEM)
    for variable, year in world.annual:
        row = table[(table.variable == variable) & (table.year == year) & (table.region_kind == "global")].iloc[0]
        members = _total(world, variable, year)
        np.testing.assert_allclose(row["mean"], members.mean(), rtol=1e-6)
        np.testing.assert_allclose(row["sd"], members.std(ddof=1), rtol=1e-4)
        np.testing.assert_allclose([row["low"], row["high"]], [members.min(), members.max()], rtol=1e-6)
        np.testing.assert_allclose(row["area_m2"], world.area.sum(), rtol=1e-6)
        assert row["unit"] == "Tg yr-1" and row["interval"] == "smallest to largest member"


def test_zones_and_biomes_each_add_up_to_the_domain(world) -> None:
    table = budget_table(world.flux, world.attributes, ProductsBlock(zones=[-90, 0, 35, 42, 90]), system=SYSTEM)
    for _, group in table.groupby(["year", "variable"]):
        sums = group.groupby("region_kind")[["mean", "area_m2"]].sum()
        for kind in ("zone", "biome"):
            np.testing.assert_allclose(sums.loc[kind], sums.loc["global"], rtol=1e-10)
    assert set(table.loc[table.region_kind == "zone", "region"]) == {"0-35N", "35N-42N", "42N-90N"}


def test_the_daily_product_integrates_to_the_budget_within_its_packing(world, tmp_path) -> None:
    write_daily(
        tmp_path / "fch4_2004.nc", "fch4", 2004, world.flux_of(2004), world.attributes, system="soil_methane_sink"
    )
    with xr.open_dataset(tmp_path / "fch4_2004.nc", engine="netcdf4") as data:
        area = (data.areacella * data.uplandFrac / 100).astype(float)
        daily = (data.fch4.astype(float) * area).sum().item() * 1e-15
        bound = 0.0005 * 366 * area.where(data.fch4[0].notnull()).sum().item() * 1e-15
    table = budget_table(world.flux_of(2004), world.attributes, system=SYSTEM)
    row = table[(table.variable == "fch4") & (table.region_kind == "global")].iloc[0]
    assert abs(daily - row["mean"]) < bound
    assert abs(daily / row["mean"] - 1) < 1e-4


def test_many_members_give_percentiles_and_one_gives_no_spread(tmp_path) -> None:
    box = (-130, 40, -120, 50)
    many = make_world(tmp_path / "many", bbox=box, years=(2001,), members=24)
    row = budget_table(many.flux, many.attributes, variables=["ch4ox"], system=SYSTEM).iloc[0]
    low, high = np.percentile(_total(many, "ch4ox", 2001), [5, 95])
    np.testing.assert_allclose([row["low"], row["high"]], [low, high], rtol=1e-6)
    assert row["interval"] == "5-95 % of members"
    one = make_world(tmp_path / "one", bbox=box, years=(2001,), members=1)
    row = budget_table(one.flux, one.attributes, system=SYSTEM).iloc[0]
    assert np.isnan(row["sd"]) and row["low"] == row["high"] == row["mean"]


def test_csv_and_parquet_hold_the_same(world, tmp_path) -> None:
    table = write_budget(tmp_path / "budget.csv", world.flux, world.attributes, system=SYSTEM)
    parquet = pd.read_parquet(tmp_path / "budget.parquet")
    pd.testing.assert_frame_equal(parquet, table)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "budget.csv"), table, rtol=1e-6)
    expected = ["year", "region_kind", "region", "variable", "mean", "sd", "low", "high", "area_m2", "unit"]
    assert list(parquet.columns)[:10] == expected


def test_a_missing_tile_year_is_named(world) -> None:
    with pytest.raises(InputError, match=f"no flux file of 2004 for tile {world.tiles[-1].name}"):
        assemble(world.flux[:-1], world.attributes)
    with pytest.raises(InputError, match="no attributes for this tile"):
        assemble(world.flux, world.attributes[:-1])
    with pytest.raises(InputError, match="second file of 2003"):
        assemble([world.flux[0], world.flux[0]], world.attributes)
    with pytest.raises(InputError, match="no attributes were given"):
        assemble(world.flux, [])
    with pytest.raises(InputError, match="file not found"):
        assemble([world.root / "infer" / "nowhere.nc"], world.attributes)


def test_tiles_of_different_grids_are_refused(world, tmp_path) -> None:
    other = make_world(tmp_path, grid="0.25deg", bbox=(-130, 40, -120, 50), years=())
    with pytest.raises(GridError, match="different grids"):
        assemble([], [*world.attributes, *other.attributes])


def test_a_domain_without_active_cells_is_refused(tmp_path) -> None:
    sea = make_world(tmp_path, bbox=(-150, 30, -140, 40), years=(2001,))
    assert not sea.active.any()
    with pytest.raises(InputError, match="no active cell"):
        budget_table(sea.flux, sea.attributes, system=SYSTEM)
