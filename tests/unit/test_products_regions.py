"""Budgets of regions: conservation against the domain, coasts, and files that do not fit."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from shapely.geometry import box

from fluxatlas.config.regions import RegionMap, RegionsBlock
from fluxatlas.errors import InputError
from fluxatlas.products.budget import budget_table
from fluxatlas.regrid.regions import write
from fluxatlas.systems import get_system
from stage_files import make_world

SYSTEM = get_system("soil_methane_sink")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("regions"), years=(2003,))


def shapes(folder: Path, parts: dict[str, object], name="map.gpkg") -> RegionMap:
    frame = geopandas.GeoDataFrame({"name": list(parts)}, geometry=list(parts.values()), crs="EPSG:4326")
    frame.to_file(folder / name)
    return RegionMap(path=str(folder / name), field="name")


def files(world, folder: Path, **maps: RegionMap) -> list[Path]:
    for tile in world.tiles:
        write(RegionsBlock(maps=maps), tile, folder / f"{tile.name}.nc")
    return [folder / f"{tile.name}.nc" for tile in world.tiles]


def whole(world) -> tuple[float, float, float, float]:
    edges = np.array([tile.bbox for tile in world.tiles])
    return edges[:, 0].min(), edges[:, 1].min(), edges[:, 2].max(), edges[:, 3].max()


def test_regions_that_tile_the_land_add_up_to_the_domain(world, tmp_path) -> None:
    west, south, east, north = whole(world)
    cut = shapely.LineString([(west - 1, south + 0.3), (0.5 * (west + east), north - 1.7), (east + 1, south + 2.1)])
    halves = shapely.get_parts(shapely.ops.split(box(west - 1, south - 1, east + 1, north + 1), cut))
    paths = files(world, tmp_path, halves=shapes(tmp_path, {"one": halves[0], "two": halves[1]}))
    table = budget_table(world.flux, world.attributes, regions=paths, system=SYSTEM)
    for _, group in table.groupby(["year", "variable"]):
        sums = group.groupby("region_kind")[["mean", "area_m2"]].sum()
        np.testing.assert_allclose(sums.loc["halves"], sums.loc["global"], rtol=1e-6)
        assert set(group.loc[group.region_kind == "halves", "region"]) == {"one", "two"}
    assert list(dict.fromkeys(table.region_kind)) == ["global", "zone", "biome", "halves"]
    without = budget_table(world.flux, world.attributes, system=SYSTEM)
    assert table[table.region_kind != "halves"].reset_index(drop=True).equals(without)


def test_what_lies_in_no_region_is_a_region_of_its_own(world, tmp_path) -> None:
    west, south, east, _ = whole(world)
    paths = files(world, tmp_path, low=shapes(tmp_path, {"low": box(west, south, east, south + 1.37)}))
    table = budget_table(world.flux, world.attributes, regions=paths, system=SYSTEM)
    rows = table[(table.region_kind == "low") & (table.variable == "ch4ox")].set_index("region")
    world_row = table[(table.region_kind == "global") & (table.variable == "ch4ox")].iloc[0]
    assert set(rows.index) == {"low", "no region"}
    np.testing.assert_allclose(rows[["mean", "area_m2"]].sum(), world_row[["mean", "area_m2"]].astype(float), rtol=1e-9)
    half = 0.5 * abs(world.lat[0] - world.lat[1])
    low, top = np.sin(np.deg2rad(world.lat - half)), np.sin(np.deg2rad(world.lat + half))
    inside = np.clip((np.sin(np.deg2rad(south + 1.37)) - low) / (top - low), 0, 1)[:, None]
    assert rows.loc["low", "area_m2"] == pytest.approx((world.area * inside).sum(), rel=1e-6)


def test_a_coastal_cell_belongs_to_the_region_of_its_land(world, tmp_path) -> None:
    """Regions that end at the coast and regions that take in the sea have the same soil."""
    paths = files(world, tmp_path / "a", sea=shapes(tmp_path, {"all": box(*whole(world))}))
    by_tile = dict(zip([p.stem for p in paths], paths, strict=True))
    (tmp_path / "b").mkdir()
    for attributes in world.attributes:
        with xr.open_dataset(attributes, engine="netcdf4") as data:
            land = (data["sftlf"] / 100.0).load()
        with xr.open_dataset(by_tile[Path(attributes).stem], engine="netcdf4") as data:
            coast = data.load().assign(sea=data["sea"] * land.to_numpy())
        coast.to_netcdf(tmp_path / "b" / Path(attributes).name)
    assert float(land.min()) < 1.0
    with_sea = budget_table(world.flux, world.attributes, regions=paths, system=SYSTEM)
    to_coast = budget_table(world.flux, world.attributes, regions=sorted((tmp_path / "b").glob("*.nc")), system=SYSTEM)
    for table in (with_sea, to_coast):
        rows = table[table.region_kind == "sea"]
        assert list(dict.fromkeys(rows.region)) == ["all"]
        np.testing.assert_allclose(rows["mean"], table[table.region_kind == "global"]["mean"], rtol=1e-6)


def test_files_that_do_not_fit_are_refused(world, tmp_path) -> None:
    box_map = shapes(tmp_path, {"all": box(*whole(world))})
    paths = files(world, tmp_path / "a", whole=box_map)
    others = files(world, tmp_path / "b", whole=box_map.model_copy(update={"overlaps": "first"}))
    with pytest.raises(InputError, match="made from other maps"):
        budget_table(world.flux, world.attributes, regions=[paths[0], *others[1:]], system=SYSTEM)
    with pytest.raises(InputError, match=f"no regions of tile {world.tiles[-1].name}"):
        budget_table(world.flux, world.attributes, regions=paths[:-1], system=SYSTEM)
    with pytest.raises(InputError, match="is not a regions file"):
        budget_table(world.flux, world.attributes, regions=world.attributes, system=SYSTEM)
    with xr.open_dataset(paths[0], engine="netcdf4") as data:
        small = data.load().isel(lat=slice(0, 3))
    small.to_netcdf(paths[0])
    with pytest.raises(InputError, match="not on the cells of the tile"):
        budget_table(world.flux, world.attributes, regions=paths, system=SYSTEM)
