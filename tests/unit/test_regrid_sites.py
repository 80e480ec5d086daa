"""Attributes and forcing of sites: what is their own wins, the rest comes from the grid at their place and altitude."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from fluxatlas.config.static import StaticBlock
from fluxatlas.errors import GridError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid import sites
from fluxatlas.regrid.tile import at_points
from fluxatlas.systems import get_system

MONTHS = [f"lai_{month:02d}" for month in range(1, 13)]
SYSTEM = get_system("soil_methane_sink")
GRID = get_grid("4km")
TILE = GRID.tile("N36W008", 2)
DAYS = pd.date_range("2001-01-01", "2001-12-31")
CONSTANT = {"tas": 285.0, "tasmin": 280.0, "tasmax": 290.0, "pr": 2e-5, "rsds": 200.0}
CONSTANT |= {"rlds": 310.0, "huss": 0.005, "ps": 95000.0, "sfcWind": 3.0}


def _attributes_file(path) -> None:
    lat, lon = np.meshgrid(TILE.lat, TILE.lon, indexing="ij")
    layers = {name: (("lat", "lon"), np.full(TILE.shape, 10.0)) for name in SYSTEM.attributes}
    layers |= {"sand": (("lat", "lon"), 40 + lat - lon), "orog": (("lat", "lon"), 100 * (lat - 36))}
    layers["lai"] = (("month", "lat", "lon"), np.arange(1.0, 13)[:, None, None] * np.ones(TILE.shape))
    active = (lon > -7.5).astype(np.int8)  # the west is sea
    xr.Dataset(layers | {"active": (("lat", "lon"), active)}, {"lat": TILE.lat, "lon": TILE.lon}).to_netcdf(path)


def _piece_file(path, without: str = "") -> None:
    lat, lon = 38.5 - 0.25 * np.arange(12), -8.5 + 0.25 * np.arange(12)
    shape = (len(DAYS), 12, 12)
    data = {name: (("time", "lat", "lon"), np.full(shape, value)) for name, value in CONSTANT.items()}
    data["tas"] = (("time", "lat", "lon"), np.broadcast_to(280 + 2 * lat[:, None] - lon[None, :], shape).copy())
    data["tas"][1][:, :, :4] = np.nan  # beyond the coast
    data["orog"] = (("lat", "lon"), np.full((12, 12), 300.0))
    xr.Dataset(data, {"time": DAYS, "lat": lat, "lon": lon}).drop_vars(without or []).to_netcdf(path)


@pytest.fixture
def world(tmp_path):
    for folder in ("attributes", f"forcing/{TILE}", "sites", "out"):
        (tmp_path / folder).mkdir(parents=True)
    _attributes_file(tmp_path / "attributes" / f"{TILE}.nc")
    _piece_file(tmp_path / "forcing" / str(TILE) / "2001.nc")
    rows = [
        {"site": "own", "lat": 37.0, "lon": -6.7, "elevation": 800.0, "sand": 77.0, "lai": 2.5},
        {"site": "bare", "lat": 37.013, "lon": -6.711, "elevation": 800.0},
        {"site": "low", "lat": 36.8, "lon": -7.0, "elevation": np.nan},
        {"site": "away", "lat": 52.0, "lon": 10.0, "elevation": 50.0, "sand": 60.0},
        {"site": "atsea", "lat": 37.0, "lon": -7.98, "elevation": 0.0},
    ]
    pd.DataFrame(rows).assign(kind="chamber", igbp="GRA").to_csv(tmp_path / "sites" / "sites.csv", index=False)
    own = pd.DataFrame({"site": "own", "time": DAYS[:40], **CONSTANT})
    own.to_parquet(tmp_path / "sites" / "forcing.parquet")
    return tmp_path


def _run(world):
    folders = (world / name for name in ("attributes", "forcing", "sites", "out"))
    sites.write([TILE], [2001], SYSTEM, *folders)
    table = pd.read_csv(world / "out" / "sites_attributes.csv").set_index("site")
    return table, pd.read_parquet(world / "out" / "sites_forcing.parquet")


def test_own_attributes_win_and_the_rest_is_of_the_cell(world) -> None:
    table, _ = _run(world)
    assert list(table.index) == ["own", "bare", "low", "away", "atsea"]  # the order of sites.csv
    assert table.loc["own", "sand"] == 77.0
    row, column = GRID.index(37.013, -6.711)
    expected = 40 + GRID.lat()[row] - GRID.lon()[column]
    assert table.loc["bare", "sand"] == pytest.approx(expected, rel=1e-6)
    assert "sand" not in table.loc["own", "attribute_source"]
    assert "sand:grid" in table.loc["bare", "attribute_source"]
    assert table.loc["low", "elevation"] == pytest.approx(100 * (GRID.lat()[GRID.index(36.8, -7.0)[0]] - 36))


def test_own_sand_and_clay_of_the_cell_are_no_more_than_the_soil(world) -> None:
    listed = pd.read_csv(world / "sites" / "sites.csv")
    listed.loc[listed["site"] == "own", "sand"] = 97.0  # beside clay of 10 % in the cell
    listed.to_csv(world / "sites" / "sites.csv", index=False)
    table, _ = _run(world)
    assert table.loc["own", ["sand", "clay"]].tolist() == [97.0, 3.0]
    assert table.loc["bare", "clay"] == 10.0


def test_leaf_area_is_the_cells_season_or_the_sites_constant(world) -> None:
    table, _ = _run(world)
    assert table.loc["bare", MONTHS].tolist() == list(range(1, 13))
    assert table.loc["own", MONTHS].tolist() == [2.5] * 12


def test_sites_outside_keep_what_they_have(world) -> None:
    table, series = _run(world)
    assert table.loc["away", "sand"] == 60.0
    assert np.isnan(table.loc["away", "clay"])
    assert table.loc["away", "attribute_source"] == "site"
    assert set(series["site"]) == {"own", "bare", "low"}


def test_sites_outside_get_what_they_lack_from_the_maps(world, tmp_path) -> None:
    """The maps are 10 E and more; texture of the site itself wins, and clay is no more than it leaves."""
    layers = {}
    for name, value in {"sand": 30.0, "clay": 55.0, "orog": 70.0, "soc": 12.0}.items():
        path = tmp_path / f"{name}.tif"
        where = {"crs": "EPSG:4326", "transform": from_origin(9, 53, 0.05, 0.05), "dtype": "float32", "count": 1}
        with rasterio.open(path, "w", driver="GTiff", height=40, width=40, **where) as raster:
            raster.write(np.full((1, 40, 40), value, np.float32))
        layers[name] = {"path": str(path)}
    layers["phh2o"] = {"constant": 6.0, "reason": "assumed for this test"}
    block = StaticBlock.model_validate({"layers": layers})
    folders = [world / name for name in ("attributes", "forcing", "sites", "out")]
    sites.write([TILE], [2001], SYSTEM, *folders, (block, GRID))
    away = pd.read_csv(world / "out" / "sites_attributes.csv").set_index("site").loc["away"]
    assert (away["sand"], away["clay"], away["soc"], away["elevation"]) == (60.0, 40.0, 12.0, 50.0)
    assert np.isnan(away["phh2o"]) and np.isnan(away["ndep"]) and away["attribute_source"] == "clay:layers soc:layers"


def test_forcing_is_interpolated_to_the_point_and_brought_to_its_altitude(world) -> None:
    """tas is linear in latitude and longitude on the source at 300 m: the exact value at the site is known."""
    table, series = _run(world)
    own, bare, low = (series[series["site"] == name] for name in ("own", "bare", "low"))
    assert (own["forcing_source"] == "site").all() and len(own) == 40
    assert (bare["forcing_source"] == "grid").all() and len(bare) == 365
    exact = 280 + 2 * 37.013 + 6.711 - 0.0065 * (800 - 300)
    np.testing.assert_allclose(bare["tas"], exact, atol=2e-4)
    np.testing.assert_allclose(bare["tasmin"], 280 - 0.0065 * 500, atol=1e-4)
    assert (bare["ps"] < 95000).all() and np.allclose(bare["pr"], 2e-5)
    lift = table.loc["low", "elevation"] - 300
    np.testing.assert_allclose(low["tas"], 280 + 2 * 36.8 + 7.0 - 0.0065 * lift, atol=2e-4)


def test_a_site_where_the_grid_has_nothing_gets_nothing_and_is_named(world, capsys) -> None:
    table, series = _run(world)
    assert "atsea" not in set(series["site"])
    assert np.isnan(table.loc["atsea", "sand"])
    assert "site atsea gets no forcing" in capsys.readouterr().err


def test_bad_input_is_named(world) -> None:
    (world / "forcing" / str(TILE) / "2001.nc").unlink()
    _piece_file(world / "forcing" / str(TILE) / "2001.nc", without="huss")
    with pytest.raises(InputError, match="no variable huss"):
        _run(world)
    (world / "sites" / "forcing.parquet").unlink()
    with pytest.raises(InputError, match="file not found"):
        _run(world)
    pd.DataFrame({"site": ["a"], "lat": [1.0]}).to_csv(world / "sites" / "sites.csv")
    with pytest.raises(InputError, match="no column lon, elevation, kind"):
        _run(world)


def test_a_point_outside_the_piece_is_refused() -> None:
    piece = 38.5 - 0.25 * np.arange(12), -8.5 + 0.25 * np.arange(12), np.zeros((12, 12))
    with pytest.raises(GridError, match=r"lon -3\.0.* lies outside"):
        at_points({"tas": np.ones((1, 12, 12))}, piece, np.array([37.0]), np.array([-3.0]), np.array([0.0]))


@pytest.mark.parametrize("turned", [1, -1])
def test_the_part_around_sites_gives_what_the_whole_piece_gives(turned) -> None:
    rng = np.random.default_rng(8)
    lat, lon = (40 - 0.25 * np.arange(40))[::turned], -8 + 0.25 * np.arange(30)
    values, orog = rng.normal(280, 5, (3, 40, 30)), rng.uniform(0, 900, (40, 30))
    for points in ([39.9, 40.1], [35.0, 35.01], [30.3, 39.7], [33.125]):
        north, east = np.array(points), np.linspace(-7.9, -0.8, 5)[: len(points)]
        rows, columns = sites._around(lat, north), sites._around(lon, east)
        assert rows.stop - rows.start >= 3 and columns.stop - columns.start >= 3
        whole = at_points({"tas": values}, (lat, lon, orog), north, east, np.full(len(points), 100.0))
        cut = (lat[rows], lon[columns], orog[rows, columns])
        part = at_points({"tas": values[:, rows, columns]}, cut, north, east, np.full(len(points), 100.0))
        np.testing.assert_allclose(part["tas"], whole["tas"], rtol=1e-6)
    assert sites._around(lat, np.array([80.0])) == slice(None)  # its reader says that it lies outside


def test_a_site_that_lacks_leaf_area_alone_asks_the_maps(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(sites, "at_place", lambda block, grid, lat, lon, system: asked.append((lat, lon)))
    known = {"lat": 50.0, "lon": 9.0, "elevation": 10.0, **dict.fromkeys(SYSTEM.attributes, 5.0)}
    whole = pd.Series({"site": "whole", **known, **dict.fromkeys(MONTHS, 2.0)})
    table = pd.DataFrame([whole, pd.Series({"site": "bare", **known})])  # as assembled: each has all columns
    mean = pd.Series({"site": "mean", **known, "lai": 2.0})
    for row in (whole, table.iloc[0], mean):
        assert sites._of_layers(row, (None, GRID), SYSTEM) is None and not asked
    sites._of_layers(table.iloc[1], (None, GRID), SYSTEM)
    assert asked == [(50.0, 9.0)]
