"""Shares of cells in regions of vector files: areas against the geodesic, date line, poles, names, overlaps."""

import json
from pathlib import Path

import geopandas
import matplotlib.image
import numpy as np
import pyproj
import pytest
import shapely
from shapely.geometry import Point, Polygon, box
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.regions import RegionMap, RegionsBlock, region_inputs
from fluxatlas.errors import InputError
from fluxatlas.grid import EARTH_RADIUS, get_grid
from fluxatlas.regrid.region_plot import _colors
from fluxatlas.regrid.regions import bounds, build, cell_area, read, region_shares, shares_between, write
from region_cases import LAT, LON, make

WGS84, SPHERE = pyproj.Geod(ellps="WGS84"), pyproj.Geod(a=EARTH_RADIUS, b=EARTH_RADIUS)


def geodesic(shape, geod=SPHERE) -> float:
    """Area [m2] of a polygon whose edges are straight in degrees."""
    return abs(geod.geometry_area_perimeter(shapely.segmentize(shape, 0.02))[0])


def area(shares, name, lat=LAT, lon=LON) -> float:
    cells = cell_area(bounds(lat, "lat"), bounds(lon, "lon"))
    return float((shares.share[shares.names.index(name)] * cells).sum())


def test_areas_are_those_of_the_sphere_to_round_off_whatever_the_grid(tmp_path) -> None:
    shapes = {
        "ring": Point(10, 50).buffer(7.3).difference(Point(11, 51).buffer(2)),
        "box": box(-30.3, -20.7, -1.1, 1.3),
    }
    source = make(tmp_path, shapes)
    for lat, lon in ((LAT, LON), (np.arange(88, -89, -4.0), np.arange(-177.5, 180, 5)), (LAT[::-1], LON)):
        found = region_shares(source, lat, lon)
        assert found.share.min() >= 0 and found.share.sum(axis=0).max() <= 1
        assert area(found, "ring", lat, lon) == pytest.approx(geodesic(shapes["ring"]), rel=1e-7)
        assert area(found, "box", lat, lon) == pytest.approx(geodesic(shapes["box"]), rel=1e-7)


def test_a_share_is_the_part_of_the_cell_that_shapely_finds(tmp_path) -> None:
    triangle = Polygon([(0.2, 40.1), (3.7, 41.3), (1.1, 43.8)])
    lat, lon = np.arange(40.5, 44), np.arange(0.5, 4)
    found = region_shares(make(tmp_path, {"a": triangle}), lat, lon).share[0]

    def equal_area(xy):
        return np.column_stack([xy[:, 0], np.sin(np.deg2rad(xy[:, 1]))])

    for i, y in enumerate(lat):
        for j, x in enumerate(lon):
            cell = box(x - 0.5, y - 0.5, x + 0.5, y + 0.5)
            part = shapely.transform(shapely.segmentize(triangle.intersection(cell), 0.01), equal_area)
            assert found[i, j] == pytest.approx(part.area / shapely.transform(cell, equal_area).area, abs=1e-6)


def test_countries_have_their_geodesic_areas_and_tile_the_land(data_dir) -> None:
    folder = data_dir / "static" / "chrispahm_contains-benchmark_naturalearth"
    path = folder / "ne_110m_admin_0_countries.geojson"
    found = region_shares(RegionMap(path=str(path), field="NAME"), LAT, LON)
    true = geopandas.read_file(path).set_index("NAME").geometry
    assert len(found.names) == 177 and found.notes == () and found.share.sum(axis=0).max() <= 1 + 1e-12
    height = [geodesic(box(0, lat - 0.5, 1, lat + 0.5), WGS84) for lat in LAT]
    on_ellipsoid = np.repeat(np.array(height)[:, None], LON.size, axis=1)
    for name, total in zip(found.names, found.total(on_ellipsoid), strict=True):
        assert total == pytest.approx(geodesic(true[name], WGS84), rel=2e-4), (
            name
        )  # the size of a cell against its shape
        assert area(found, name) == pytest.approx(geodesic(true[name], WGS84), rel=0.009), (
            name
        )  # areacella is spherical
    land = region_shares(RegionMap(path=str(folder / "ne_110m_land.geojson"), field="featurecla"), LAT, LON)
    assert land.names == ("Land",) and "1 invalid shapes were repaired" in land.notes
    assert area(land, "Land") == pytest.approx(sum(area(found, name) for name in found.names), rel=0.002)


def test_a_basin_in_utm_has_the_area_of_its_attribute_table(data_dir, tmp_path) -> None:
    path = data_dir / "static" / "fmyuan_watershed-workflow_Coweeta" / "coweeta_basin.shp"
    lat, lon = np.arange(34.9, 35.2, 0.01), np.arange(-83.6, -83.3, 0.01)
    found = region_shares(RegionMap(path=str(path)), lat, lon)
    own = geopandas.read_file(path)
    assert found.names == ("coweeta_basin",)
    scale = 0.9996**2  # of areas in the middle of a UTM zone; the basin lies near the edge of zone 17
    true = abs(WGS84.geometry_area_perimeter(own.to_crs("EPSG:4326").geometry.iloc[0])[0])
    assert true == pytest.approx(own.geometry.area.iloc[0] / scale, rel=0.002)
    assert area(found, "coweeta_basin", lat, lon) == pytest.approx(true, rel=0.003)
    parts = region_inputs(RegionsBlock(maps={"basin": RegionMap(path=str(path))}))
    assert [Path(part).suffix for part in parts] == [".shp", ".shx", ".dbf", ".prj"]


def test_a_tile_has_what_a_larger_grid_has_there(tmp_path) -> None:
    shapes = {"a": Point(0, 40).buffer(6), "b": Point(0, 40).buffer(9).difference(Point(0, 40).buffer(6))}
    source = make(tmp_path, shapes)
    grid = get_grid("0.25deg")
    tile, larger = grid.tile("N40E000", 10), grid.tile("N30W030", 30)
    here = shares_between(source, grid.lat_bounds(tile.rows), grid.lon_bounds(tile.columns))
    whole = shares_between(source, grid.lat_bounds(larger.rows), grid.lon_bounds(larger.columns))
    assert here.names == whole.names == ("a", "b")
    rows = slice(tile.rows.start - larger.rows.start, tile.rows.stop - larger.rows.start)
    east = shares_between(source, grid.lat_bounds(tile.rows), grid.lon_bounds(grid.tile("N40W010", 10).columns))
    np.testing.assert_allclose(east.share, whole.share[:, rows, 80:120], atol=1e-12)


def test_shapes_across_the_date_line_are_the_same_however_they_are_written(tmp_path) -> None:
    whole = Polygon([(176, -20), (184, -18), (183, -12), (175, -14)])
    west = shapely.transform(whole.intersection(box(180, -90, 190, 90)), lambda xy: xy - np.array([360.0, 0.0]))
    split = shapely.MultiPolygon([whole.intersection(box(170, -90, 180, 90)), west])
    jumping = Polygon([(x - 360 if x > 180 else x, y) for x, y in whole.exterior.coords])
    true = region_shares(make(tmp_path, {"a": whole}, "whole.gpkg"), LAT, LON)
    assert area(true, "a") == pytest.approx(geodesic(whole), rel=1e-7)
    for name, shape in (("split", split), ("jumping", jumping)):
        found = region_shares(make(tmp_path, {"a": shape}, f"{name}.gpkg"), LAT, LON)
        np.testing.assert_allclose(found.share, true.share, atol=1e-12)
        assert any("date line" in note for note in found.notes) == (name == "jumping")
    turned = region_shares(make(tmp_path, {"a": jumping}, "again.gpkg"), LAT, np.arange(0.5, 360))
    np.testing.assert_allclose(np.roll(turned.share, 180, axis=2), true.share, atol=1e-12)


def test_a_long_edge_that_may_run_either_way_is_refused_and_a_frame_is_not(tmp_path) -> None:
    with pytest.raises(InputError, match="from 170 E to -170 E at 20 N: either way is possible"):
        region_shares(make(tmp_path, {"a": box(-170, 10, 170, 20)}), LAT, LON)
    found = region_shares(make(tmp_path, {"a": box(-180, 10, 180, 20)}, "frame.gpkg"), LAT, LON)
    assert (found.share[0, 100:110] == 1).all() and found.share.sum() == 3600


@pytest.mark.parametrize(("crs", "south"), [("EPSG:3031", True), ("EPSG:3413", False)])
def test_shapes_around_and_through_a_pole_are_closed_there(tmp_path, crs, south) -> None:
    cap = Point(0, 0).buffer(2e6, 200)
    parts = {"half": box(-2e6, 0, 2e6, 2e6).intersection(cap), "other": box(-2e6, -2e6, 2e6, 0).intersection(cap)}
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    edge = to_degrees.transform(2e6, 0.0)[1]
    true = 2 * np.pi * EARTH_RADIUS**2 * (1 - np.sin(np.deg2rad(abs(edge))))
    found = region_shares(make(tmp_path, {"cap": cap}, crs=crs), LAT, LON)
    assert any("around a pole" in note for note in found.notes)
    assert area(found, "cap") == pytest.approx(true, rel=1e-4)
    assert found.share[0, 0 if south else -1].min() == 1 and found.share[0, -1 if south else 0].max() == 0
    halves = region_shares(make(tmp_path, parts, "halves.gpkg", crs=crs), LAT, LON)
    for name in parts:
        assert area(halves, name) == pytest.approx(true / 2, rel=1e-4), name
    hollow = region_shares(
        make(tmp_path, {"ring": cap.difference(Point(0, 0).buffer(1e6, 200))}, "r.gpkg", crs), LAT, LON
    )
    assert hollow.share[0, 0 if south else -1].max() == 0
    assert 0.6 * true < area(hollow, "ring") < 0.8 * true


def test_a_projection_is_undone_with_its_curved_edges(tmp_path) -> None:
    utm = box(3e5, 5.5e6, 7e5, 5.7e6)  # 400 km wide: its edges are far from straight in degrees
    found = region_shares(make(tmp_path, {"a": utm}, crs="EPSG:32632"), np.arange(49, 53, 0.1), np.arange(5, 13, 0.1))
    degrees = geopandas.GeoSeries([shapely.segmentize(utm, 1000)], crs="EPSG:32632").to_crs(4326).iloc[0]
    assert area(found, "a", np.arange(49, 53, 0.1), np.arange(5, 13, 0.1)) == pytest.approx(
        abs(SPHERE.geometry_area_perimeter(degrees)[0]), rel=1e-6
    )


def test_equal_names_make_one_region_that_counts_once(tmp_path) -> None:
    source = make(
        tmp_path, [("a", box(0, 0, 2, 2)), ("b", box(5, 0, 6, 2)), ("a", box(1, 0, 3, 2)), (" a ", box(8, 0, 9, 1))]
    )
    found = region_shares(source, LAT, LON)
    assert found.names == ("a", "b") and found.share.max() == 1
    assert area(found, "a") == pytest.approx(geodesic(box(0, 0, 3, 2)) + geodesic(box(8, 0, 9, 1)))
    assert "1 overlaps within a region are counted once" in found.notes


def test_features_without_a_name_belong_to_no_region(tmp_path) -> None:
    source = make(tmp_path, [("a", box(0, 0, 1, 1)), (None, box(3, 0, 4, 1)), ("", box(5, 0, 6, 1))])
    found = region_shares(source, LAT, LON)
    assert found.names == ("a",) and found.notes == ("2 shapes without 'name' belong to no region",)


def test_numbers_name_regions_without_decimals(tmp_path) -> None:
    source = make(tmp_path, [("a", box(0, 0, 1, 1)), ("b", box(3, 0, 4, 1))], code=[3.0, 4.0])
    assert region_shares(source.model_copy(update={"field": "CODE"}), LAT, LON).names == ("3", "4")


def test_invalid_shapes_are_repaired_with_a_message(tmp_path) -> None:
    bow = Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])
    found = region_shares(make(tmp_path, {"bow": bow}), LAT, LON)
    assert found.notes == ("1 invalid shapes were repaired",)
    assert area(found, "bow") == pytest.approx(geodesic(shapely.make_valid(bow)), rel=1e-6)


def test_overlaps_are_refused_or_resolved_as_declared(tmp_path) -> None:
    source = make(tmp_path, {"big": box(0, 0, 4, 4), "small": box(3, 0, 6, 4)})
    with pytest.raises(InputError, match="'big' and 'small' overlap by 4 square degrees near") as caught:
        region_shares(source, LAT, LON)
    assert "first, last or smallest" in caught.value.hint
    cells = {"first": (16, 8), "last": (12, 12), "smallest": (12, 12)}
    for overlaps, (big, small) in cells.items():
        found = region_shares(source.model_copy(update={"overlaps": overlaps}), LAT, LON)
        assert found.share.sum(axis=(1, 2)) == pytest.approx([big, small]), overlaps
        assert found.share.sum(axis=0).max() == 1 and "1 overlap, 4 square degrees" in found.notes[0]


def test_slivers_and_enclaves_are_no_overlaps_to_refuse(tmp_path) -> None:
    sliver = region_shares(make(tmp_path, {"a": box(0, 0, 4, 4), "b": box(3.999, 0, 8, 4)}), LAT, LON)
    assert "slivers to the first" in sliver.notes[0] and sliver.share.sum(axis=0).max() == 1
    nested = make(tmp_path, {"land": box(0, 0, 9, 9), "enclave": box(3, 3, 4, 4)}, "n.gpkg")
    found = region_shares(nested.model_copy(update={"overlaps": "smallest"}), LAT, LON)
    assert found.share.sum(axis=(1, 2)) == pytest.approx([1, 80])
    touching = region_shares(make(tmp_path, {"a": box(0, 0, 4, 4), "b": box(4, 0, 8, 4)}, "t.gpkg"), LAT, LON)
    assert touching.notes == ()


def test_half_cells_at_the_poles_are_half_as_high() -> None:
    lat = np.linspace(-90, 90, 46)
    assert bounds(lat, "lat")[[0, 1, -1]] == pytest.approx([-90, -88, 90])
    whole = cell_area(bounds(lat, "lat"), bounds(np.arange(-180, 180, 5.0), "lon")).sum()
    assert whole == pytest.approx(4 * np.pi * EARTH_RADIUS**2)


def test_a_tile_is_written_and_read_with_every_map(tmp_path) -> None:
    tile = get_grid("0.5deg").tile("N40E000", 10)
    one = make(tmp_path, {"west": box(-5, 39, 4.3, 51), "east": box(4.3, 39, 12, 51), "far": box(90, 0, 95, 5)})
    other = make(tmp_path, {"nowhere": box(90, 0, 95, 5)}, "far.gpkg")
    block = RegionsBlock(maps={"halves": one, "absent": other})
    write(block, tile, tmp_path / "tile.nc")
    found = read(tmp_path / "tile.nc")
    assert list(found) == ["halves", "absent"] and found["absent"].share.shape == (0, 20, 20)
    assert found["halves"].names == ("east", "west")
    np.testing.assert_allclose(found["halves"].share.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(found["halves"].share[1, :, 8], 0.6, atol=1e-6)
    assert build(block, tile).attrs["notes_halves"] == "none"
    with pytest.raises(InputError, match="not a regions file"):
        read_other = tmp_path / "other.nc"
        build(block, tile).drop_attrs().to_netcdf(read_other)
        read(read_other)
    with pytest.raises(InputError, match="no map of regions is given"):
        write(RegionsBlock(), tile, tmp_path / "nothing.nc")
    assert not (tmp_path / "nothing.nc").exists()


def test_the_command_writes_the_file_and_a_picture(tmp_path) -> None:
    source = make(tmp_path, {"west": box(-5, 39, 4.3, 51), "east": box(4.3, 39, 12, 51)})
    settings = json.dumps({"maps": {"halves": source.model_dump(mode="json")}})
    options = ["--grid", "0.5deg", "--tile-size", "10", "--tile", "N40E000", "--output", str(tmp_path / "tile.nc")]
    done = CliRunner().invoke(
        app, ["regrid", "regions", "--settings", settings, *options, "--plot", str(tmp_path / "tile.png")]
    )
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "tile.nc")["halves"].names == ("east", "west")
    image = matplotlib.image.imread(tmp_path / "tile.png")
    middle = image[image.shape[0] // 3]
    assert len(np.unique(np.round(middle[:, :3] * 8), axis=0)) > 3  # two colours, paper, ink


@pytest.mark.parametrize("count", [4, 8])
def test_neighbours_have_different_colours_and_a_region_has_one(count) -> None:
    index = np.random.default_rng(0).integers(0, 4, (4, 4)).repeat(3, 0).repeat(3, 1)
    color = _colors(index, count)[index]
    np.testing.assert_array_equal(color[1:] == color[:-1], index[1:] == index[:-1])
    np.testing.assert_array_equal(color[:, 1:] == color[:, :-1], index[:, 1:] == index[:, :-1])


def test_names_of_maps_that_the_budget_has_already_are_refused() -> None:
    for name in ("biome", "lat", "my map", "1st"):
        with pytest.raises(ValueError, match="cannot name a map of regions"):
            RegionsBlock(maps={name: RegionMap(path="x.shp")})


def test_the_total_of_a_field_over_regions_is_conserved(tmp_path) -> None:
    halves = make(tmp_path, {"north": box(-180, 0, 180, 90), "south": box(-180, -90, 180, 0)})
    found = region_shares(halves, LAT, LON)
    flux = np.random.default_rng(1).normal(size=(3, LAT.size, LON.size)) * cell_area(
        bounds(LAT, "lat"), bounds(LON, "lon")
    )
    np.testing.assert_allclose(found.total(flux).sum(axis=-1), flux.sum(axis=(1, 2)), rtol=1e-9)
    np.testing.assert_allclose(found.total(flux)[:, 0], flux[:, 90:].sum(axis=(1, 2)), rtol=1e-9)
