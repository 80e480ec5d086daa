"""Land cover and the attributes file: shares against brute force, gaps, which cells are run, and the file on disk."""

import hashlib
import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin
from scipy import ndimage
from typer.testing import CliRunner

from fluxatlas import variables
from fluxatlas.cli import app
from fluxatlas.config.static import LandCover, Layer, StaticBlock
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.attributes import at_place, build, fill_nearest, land_percent, write
from fluxatlas.regrid.cover import biome, groups, read_legend, shares
from fluxatlas.regrid.frame import Frame
from fluxatlas.systems import get_system
from fluxatlas.testing.land import is_land

SYSTEM = get_system("soil_methane_sink")
GRID = get_grid("4km")
TILE = GRID.tile("N37W009", 1)  # the Portuguese coast: a part of it is sea
FRAME = Frame.around(TILE)
GLOBE = (-180.0, -90.0, 180.0, 90.0)
REASON = "made up for a test"


def _points(per_degree):
    """Cell centres of a raster of 3 degrees around the tile, as two matrices."""
    steps = (np.arange(3 * per_degree) + 0.5) / per_degree
    return np.meshgrid(39 - steps, -10 + steps, indexing="ij")


def _write_tif(path, data, per_degree, **profile):
    """Write (bands, rows, columns) over 36-39 N, 10-7 W; returns the path as text."""
    given = {"crs": "EPSG:4326", "transform": from_origin(-10, 39, 1 / per_degree, 1 / per_degree)} | profile
    size = {"count": len(data), "height": data.shape[1], "width": data.shape[2], "dtype": data.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **size, **given) as raster:
        raster.write(data)
    return str(path)


def _cover_tif(path, data, per_degree=120, **profile):
    return _write_tif(path, data[None], per_degree, **profile)


def _random_cover(seed=1, codes=(10, 50, 130, 180, 190, 210)):
    return np.random.default_rng(seed).choice(np.array(codes, np.uint8), (360, 360))


def _brute_force(data, code, row, column):
    """Share [%] of ``code`` in the cell (row, column) of the tile, 5 x 5 pixels weighted by their area."""
    top, left = 120 + 5 * row, 120 + 5 * column
    pixels = data[top : top + 5, left : left + 5]
    edges = np.sin(np.deg2rad(39 - np.arange(top, top + 6) / 120))
    area = np.repeat((edges[:-1] - edges[1:])[:, None], 5, axis=1)
    return 100 * area[pixels == code].sum() / area[pixels != 0].sum()


def test_shares_match_a_brute_force_count_and_sum_to_all(tmp_path) -> None:
    data = _random_cover()
    data[np.random.default_rng(2).random(data.shape) < 0.1] = 0
    found = shares(LandCover(path=_cover_tif(tmp_path / "c.tif", data)), FRAME)
    assert set(found) == {10, 50, 130, 180, 190, 210}
    np.testing.assert_allclose(sum(found.values()), 100.0, rtol=1e-12)
    for row, column in ((0, 0), (7, 19), (23, 23)):
        for code, share in found.items():
            assert share[row, column] == pytest.approx(_brute_force(data, code, row, column), abs=1e-6)


def test_shares_of_a_map_coarser_than_the_grid_are_exact_overlaps(tmp_path) -> None:
    """Cells of 1/16 degree as a chessboard: a target cell of 1/24 lies in one of them, or half and half in two."""
    data = np.where(np.indices((48, 48)).sum(axis=0) % 2, 50, 130).astype(np.uint8)
    found = shares(LandCover(path=_cover_tif(tmp_path / "c.tif", data, per_degree=16)), FRAME)
    y, x = np.indices((24, 24)) % 3
    np.testing.assert_allclose(found[50][(y != 1) & (x != 1)] % 100, 0, atol=1e-9)
    np.testing.assert_allclose(found[50][(y != 1) & (x == 1)], 50, atol=1e-9)
    np.testing.assert_allclose(found[50] + found[130], 100)


def test_a_map_in_netcdf_gives_the_same_shares(tmp_path) -> None:
    data, (lat, lon) = _random_cover(), _points(120)
    coords = {"lat": lat[:, 0], "lon": lon[0]}
    xr.Dataset({"lccs_class": (("lat", "lon"), data)}, coords).to_netcdf(tmp_path / "c.nc")
    first = shares(LandCover(path=str(tmp_path / "c.nc")), FRAME)
    second = shares(LandCover(path=_cover_tif(tmp_path / "c.tif", data)), FRAME)
    for code in second:
        np.testing.assert_allclose(first[code], second[code], rtol=1e-12)


def test_the_real_map_of_esa_cci_is_read_whole(data_dir) -> None:
    path = str(data_dir / "static/FZJ-IEK3-VSA_RESKit/ESA_CCI_2018_clip.tif")
    frame = Frame.around(GRID.tile("N50E006", 1))
    found = shares(LandCover(path=path), frame)
    np.testing.assert_allclose(sum(found.values()), 100.0)
    with rasterio.open(path) as raster:
        data = raster.read(1, window=raster.window(6.0, 50.0, 7.0, 51.0).round_offsets().round_lengths())
    for code in (10, 60, 190, 210):
        assert found[code].mean() == pytest.approx(100 * (data == code).mean(), abs=0.3)
    meaning = groups(found, read_legend("esa_cci"), frame)
    assert meaning["urban"].max() > 50 and set(np.unique(meaning["biome"])) <= set(range(1, 13))


def test_a_projected_map_keeps_its_classes(tmp_path) -> None:
    """Averaged codes 10 and 210 would give codes that the legend does not have."""
    data = np.where(np.indices((700, 700))[1] % 2, 10, 210).astype(np.uint8)
    here = from_origin(480_000, 4_220_000, 300, 300)
    path = _cover_tif(tmp_path / "u.tif", data, crs="EPSG:32629", transform=here, nodata=0)
    assert set(shares(LandCover(path=path), FRAME)) == {10, 210}


def test_codes_without_meaning_are_refused(tmp_path) -> None:
    path = _cover_tif(tmp_path / "c.tif", _random_cover(codes=(10, 77)))
    with pytest.raises(InputError, match=r"classes \[77\] are not in the legend 'esa_cci'"):
        shares(LandCover(path=path), FRAME)
    assert set(shares(LandCover(path=path, nodata=77), FRAME)) == {10}


def test_bad_legends_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no legend 'esa'(.|\n)*modis_igbp"):
        read_legend("esa")
    head = "class,name,upland,crop,wetland,cover\n"
    for text, message in (
        ("class,name\n1,a\n", "lacks upland"),
        (head, "is empty"),
        (head + "1,a,x,0,0,grass\n", "no number"),
        (head + "1,a,2,0,0,grass\n", "outside 0-1"),
        (head + "1,a,1,0,0,grass\n1,b,1,0,0,grass\n", "listed twice"),
    ):
        (tmp_path / "l.csv").write_text(text)
        with pytest.raises(InputError, match=message):
            read_legend(str(tmp_path / "l.csv"))


@pytest.mark.parametrize("name", ["esa_cci", "modis_igbp"])
def test_legends_leave_no_class_without_meaning(name) -> None:
    """A class is wetland, or upland soil with a biome in every zone, or bears no soil at all."""
    for meaning in read_legend(name).values():
        if meaning.upland:
            found = biome({meaning.cover: np.full((3, 1), 100.0)}, np.array([70.0, 40.0, 0.0]))
            assert np.isfinite(found).all() and not meaning.wetland
        else:
            assert meaning.cover in {"water", "ice", "urban", "rock", "wetland"}
            assert (meaning.wetland == 1) == (meaning.cover == "wetland")


def test_the_biome_is_that_of_the_largest_cover_in_its_zone() -> None:
    covers = {"tree_needle": np.array([[60.0, 20.0], [60.0, 0.0]]), "grass": np.array([[40.0, 80.0], [40.0, 0.0]])}
    np.testing.assert_array_equal(biome(covers, np.array([65.0, 45.0])), [[5, 7], [4, np.nan]])


def test_land_shares_are_counts_of_the_mask() -> None:
    steps = (np.arange(96) + 0.5) / 96
    land = is_land(*np.meshgrid(38 - steps, -9 + steps, indexing="ij"))
    expected = 100 * land.reshape(24, 4, 24, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(land_percent(FRAME), expected)
    assert 0 < expected.mean() < 100


def test_gaps_are_filled_from_the_nearest_cell_within_reach() -> None:
    rng = np.random.default_rng(5)
    values = rng.uniform(0, 1, (40, 50))
    values[rng.random(values.shape) < 0.8] = np.nan
    values[10:30, 10:35] = np.nan
    wanted = rng.random(values.shape) < 0.9
    out, count = fill_nearest(values, wanted, 5)
    distance = ndimage.distance_transform_edt(np.isnan(values))
    gaps = np.isnan(values) & wanted
    np.testing.assert_array_equal(np.isfinite(out[gaps]), distance[gaps] <= 5)
    assert count == np.isfinite(out[gaps]).sum()
    np.testing.assert_array_equal(out[~gaps], values[~gaps])
    for y, x in np.argwhere(gaps & (distance <= 5))[::7]:
        away = np.hypot(*(np.argwhere(values == out[y, x])[0] - (y, x)))
        assert away == pytest.approx(distance[y, x])


def test_filling_does_not_depend_on_where_the_array_was_cut() -> None:
    rng = np.random.default_rng(6)
    values = rng.uniform(0, 1, (2, 60, 60))
    values[:, rng.random((60, 60)) < 0.95] = np.nan
    whole, _ = fill_nearest(values, np.ones((60, 60), bool), 6)
    part, _ = fill_nearest(values[:, 14:46, 9:41], np.ones((32, 32), bool), 6)
    np.testing.assert_array_equal(part[:, 6:-6, 6:-6], whole[:, 20:40, 15:35])


@pytest.fixture(scope="module")
def block(tmp_path_factory) -> StaticBlock:
    """Layers around the tile: sand and LAI known on land alone, the sand with a hole; land cover of six classes."""
    folder = tmp_path_factory.mktemp("static")
    land = is_land(*_points(48))
    sand = np.where(land, 400 + 3 * np.indices(land.shape)[0], -32768).astype(np.int16)
    sand[60:90, 70:90] = -32768
    lai = np.where(land, 25 * np.arange(1, 13)[:, None, None], -32768).astype(np.int16)
    cover = np.where(is_land(*_points(120)), _random_cover(codes=(10, 50, 60, 130, 180, 210)), np.uint8(210))
    constant = {"clay": 20, "soc": 12, "bdod": 1300, "phh2o": 6, "ndep": 5, "orog": 120}
    layers = {name: {"constant": value, "reason": REASON} for name, value in constant.items()}
    layers["sand"] = {"path": _write_tif(folder / "sand.tif", sand[None], 48, nodata=-32768), "units": "g kg-1"}
    layers["lai"] = {"path": _write_tif(folder / "lai.tif", lai, 48, nodata=-32768), "scale": 0.01}
    landcover = {"path": _cover_tif(folder / "cover.tif", cover)}
    return StaticBlock.model_validate({"layers": layers, "landcover": landcover, "fill_cells": 3})


def test_active_cells_are_land_with_soil_in_the_box_where_all_is_known(block) -> None:
    found = build(block, TILE, SYSTEM, (-9, 37.2, -8, 38))
    wanted = ((found["sftlf"] >= 50) & (found["uplandFrac"] >= 1) & (found["lat"] > 37.2)).to_numpy()
    unknown = wanted & ~np.isfinite(found["sand"].to_numpy())
    active = found["active"].to_numpy() == 1
    np.testing.assert_array_equal(active, wanted & ~unknown)
    assert found.attrs["unknown_cells"] == f"sand:{unknown.sum()}" and unknown.any()
    assert int(found.attrs["filled_cells"].split("sand:")[1].split()[0]) > 0
    for name in ("orog", "lai", "areacella", *SYSTEM.attributes):
        assert np.isfinite(found[name].to_numpy()[..., active]).all(), name


def test_sand_and_clay_are_no_more_than_the_soil(block) -> None:
    """103 % of the fine earth is refused with its place; rounding of both to whole percent is not."""
    reason = "of another map"
    sand = {"path": block.layers["sand"].path, "units": "g kg-1"}
    highest = float(build(block, TILE, SYSTEM, GLOBE)["sand"].where(lambda s: s > 0).max())

    def with_clay(percent: float) -> StaticBlock:
        layers = {**block.layers, "clay": Layer(constant=percent, reason=reason)}
        return block.model_copy(update={"layers": layers})

    with pytest.raises(InputError, match=r"sand and clay add up to 103 %(.|\n)*the first at 3\d\.\d+ N -?\d") as caught:
        build(with_clay(round(103 - highest, 3)), TILE, SYSTEM, GLOBE)
    assert sand["path"] in str(caught.value)
    assert float(build(with_clay(100.9 - highest), TILE, SYSTEM, GLOBE)["active"].sum()) > 0


def test_gaps_of_sand_and_clay_are_filled_from_one_cell(block, tmp_path) -> None:
    """Where one of both is unknown, neither is combined with that of another soil: their sum stays below 100 %."""
    land = is_land(*_points(48))
    clay = np.where(land, 500 - 3 * np.indices(land.shape)[0], -32768).astype(np.int16)
    clay[76:88, 84:110] = -32768  # overlaps the hole of the sand
    layers = {**block.layers, "clay": Layer(path=_write_tif(tmp_path / "clay.tif", clay[None], 48, nodata=-32768))}
    layers["clay"] = layers["clay"].model_copy(update={"units": "g kg-1"})
    found = build(block.model_copy(update={"layers": layers}), TILE, SYSTEM, GLOBE)
    inside = found["active"].to_numpy() == 1
    assert "clay:" in found.attrs["filled_cells"]
    total = (found["sand"] + found["clay"]).to_numpy()[inside]  # 40 + 0.3 i and 50 - 0.3 i percent in row i
    np.testing.assert_allclose(total, 90.0, atol=1e-3)


def test_crops_and_wetland_refer_to_land_and_upland_to_the_cell(block) -> None:
    found = build(block, TILE, SYSTEM, GLOBE)
    land = found["sftlf"].to_numpy()
    inland = land == 100
    assert (found["uplandFrac"] <= found["sftlf"] + 1e-4).all()
    # six classes at random: crops a sixth, wetland a sixth, and four of six are upland
    for name, sixths in (("cropFrac", 1), ("wetlandFrac", 1), ("uplandFrac", 4)):
        assert found[name].to_numpy()[inland].mean() == pytest.approx(100 * sixths / 6, abs=1.5)
    coast = (land > 20) & (land < 80)
    assert found["cropFrac"].to_numpy()[coast].mean() == pytest.approx(100 / 6, abs=6)
    assert np.isnan(found["cropFrac"].to_numpy()[land == 0]).all()


def test_a_tile_equals_the_crop_of_a_larger_one(block) -> None:
    large, small = build(block, GRID.tile("N36W010", 2), SYSTEM, GLOBE), build(block, TILE, SYSTEM, GLOBE)
    part = large.isel(lat=slice(0, 24), lon=slice(24, 48))
    for name in small.data_vars:
        np.testing.assert_array_equal(small[name].to_numpy(), part[name].to_numpy(), err_msg=str(name))


def test_a_layer_that_the_system_needs_must_be_there(block) -> None:
    layers = {name: layer for name, layer in block.layers.items() if name not in ("soc", "lai")}
    with pytest.raises(InputError, match="no layer for lai, soc"):
        build(block.model_copy(update={"layers": layers}), TILE, SYSTEM, GLOBE)


def test_without_land_cover_all_land_is_upland(block) -> None:
    layers = {**block.layers, "cropFrac": block.layers["clay"]}
    found = build(block.model_copy(update={"landcover": None, "layers": layers}), TILE, SYSTEM, GLOBE)
    np.testing.assert_array_equal(found["uplandFrac"], found["sftlf"])
    assert np.isnan(found["biome"]).all() and found["active"].sum() > 100


def test_the_file_on_disk_is_what_the_contract_says(block, tmp_path, capsys) -> None:
    write(block, TILE, SYSTEM, GLOBE, tmp_path / "N37W009.nc")
    assert "cells are run" in capsys.readouterr().err
    names = ["sftlf", "uplandFrac", "orog", "biome", "wetlandFrac", "areacella", *SYSTEM.attributes]
    with netCDF4.Dataset(tmp_path / "N37W009.nc") as file:
        assert set(file.variables) == {"lat", "lon", "month", "active", "lai", *names}
        assert file["active"].dtype == np.int8 and file["active"].dimensions == ("lat", "lon")
        assert file["lai"].dimensions == ("month", "lat", "lon") and file["lai"].shape == (12, 24, 24)
        for name in names:
            assert file[name].dtype == np.float32 and file[name].filters()["zstd"], name
            assert file[name].units == variables.get(name).units
        np.testing.assert_allclose(file["lat"][:], TILE.lat)
        np.testing.assert_allclose(file["areacella"][:, 0], TILE.cell_area, rtol=1e-6)
        assert json.loads(file.fluxatlas_settings)["fill_cells"] == 3
        hashed = json.loads(file.fluxatlas_inputs)
        assert {Path(path).name for path in hashed} == {"sand.tif", "lai.tif", "cover.tif"}
        for path, value in hashed.items():
            assert value == hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def test_layers_of_one_file_name_in_several_folders_are_all_in_the_provenance(block, tmp_path) -> None:
    """SoilGrids and others call the file of every variable the same."""
    layers = block.model_dump(mode="json")["layers"]
    moved = {}
    for name in ("sand", "clay"):
        target = tmp_path / name / "mean.tif"
        target.parent.mkdir()
        target.write_bytes(Path(layers["sand"]["path"]).read_bytes())
        moved[name] = {**layers["sand"], "path": str(target), "scale": 0.5}
    settings = StaticBlock.model_validate({**block.model_dump(mode="json"), "layers": {**layers, **moved}})
    write(settings, TILE, SYSTEM, GLOBE, tmp_path / "out.nc")
    with netCDF4.Dataset(tmp_path / "out.nc") as file:
        assert {str(tmp_path / f"{name}/mean.tif") for name in moved} <= set(json.loads(file.fluxatlas_inputs))


def test_the_command_writes_the_same_file(block, tmp_path) -> None:
    write(block, TILE, SYSTEM, (-9, 37, -8.5, 38), tmp_path / "a.nc")
    command = [
        "regrid",
        "attributes",
        "--system",
        "soil_methane_sink",
        "--settings",
        block.model_dump_json(),
        "--grid",
        "4km",
        "--tile-size",
        "1",
    ]
    command += ["--tile", "N37W009", "--bbox", "-9", "37", "-8.5", "38", "--output", str(tmp_path / "b.nc")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    with xr.open_dataset(tmp_path / "a.nc") as first, xr.open_dataset(tmp_path / "b.nc") as second:
        xr.testing.assert_equal(first, second)


def _maps(folder: Path) -> StaticBlock:
    """Smooth layers around the tile, with a hole in those of texture, random land cover, and a constant."""
    north, east = _points(24)
    layers: dict = {}
    for number, name in enumerate(("orog", "sand", "clay", "bdod", "phh2o", "ndep")):
        scale = {"orog": 200, "bdod": 1000, "phh2o": 5, "ndep": 5}.get(name, 20)
        data = (scale * (1 + 0.1 * number + 0.2 * np.sin(3 * north + number) * np.cos(2 * east))).astype(np.float32)
        if name == "sand":
            data[36, 36] = np.nan
        layers[name] = {"path": _write_tif(folder / f"{name}.tif", data[None], 24, nodata=np.nan)}
    months = (np.arange(1, 13)[:, None, None] * (0.3 + 0.1 * np.sin(north))[None]).astype(np.float32)
    layers["lai"] = {"path": _write_tif(folder / "lai.tif", months, 24)}
    layers["soc"] = {"constant": 8.0, "reason": REASON}
    cover = {"path": _cover_tif(folder / "cover.tif", _random_cover())}
    return StaticBlock.model_validate({"layers": layers, "landcover": cover})


def test_the_maps_say_of_a_place_what_they_say_of_its_cell_in_a_tile(tmp_path) -> None:
    """Also where sand lacks there: sand and clay come from one neighbour. A constant is of the domain alone."""
    block = _maps(tmp_path)
    tile = build(block, TILE, SYSTEM, GLOBE)
    for row, column in ((12, 12), (3, 20), (12, 13)):  # the second cell of 36 is row 12 of the tile
        lat, lon = float(tile["lat"][row]), float(tile["lon"][column])
        found, cell = at_place(block, GRID, lat, lon, SYSTEM), tile.isel(lat=row, lon=column)
        for name in set(SYSTEM.attributes) - {"soc"}:
            assert float(found[name]) == pytest.approx(float(cell[name]), rel=1e-5), name
        np.testing.assert_allclose(found["lai"], cell["lai"], rtol=1e-5)
        assert float(found["orog"]) == pytest.approx(float(cell["orog"]), rel=1e-5)
        assert np.isnan(found["soc"])
    far = at_place(block, GRID, 60.0, 10.0, SYSTEM)
    assert all(np.isnan(far[name]).all() for name in far.data_vars)
