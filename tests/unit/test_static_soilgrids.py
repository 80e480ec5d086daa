"""SoilGrids: real names, homolosine projection, units, depths, VRTs and folders; every way they can be incomplete."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

from fluxatlas.config.providers import depth_files, interval
from fluxatlas.config.static import Layer, SoilMap, StaticBlock, layer_files, static_inputs
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from static_layouts import HOMOLOSINE, soilgrids, write_tif

GRID = get_grid("4km")
FRAME = Frame.around(GRID.tile("N38W008", 1))
NAMES = ("sand", "clay", "soc", "bdod", "phh2o")


def plane(level, slope_lat=0.0, slope_lon=0.0):
    return lambda lat, lon: level + slope_lat * (lat - 38.5) + slope_lon * (lon + 7.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that the provider's aggregated maps make: 15 files of 1 km, one folder per property."""
    root = tmp_path_factory.mktemp("soilgrids")
    levels = {"sand": (400, 350, 300), "clay": (200, 220, 260), "soc": (600, 300, 120), "bdod": (110, 130, 145),
              "phh2o": (52, 55, 61)}  # fmt: skip
    for name, values in levels.items():
        for depth, value in zip(("0-5cm", "5-15cm", "15-30cm"), values, strict=True):
            soilgrids(root / name / f"{name}_{depth}_mean_1000.tif", plane(value, 4.0, 8.0))
    return root


def test_a_folder_of_soilgrids_is_five_layers_in_canonical_units(folder) -> None:
    """Depth-weighted means by hand: (5 a + 10 b + 15 c) / 30, and the provider's factors 10, 10, 10, 10 and 10."""
    layers = StaticBlock(soil=SoilMap(provider="soilgrids", path=str(folder))).all_layers()
    assert tuple(layers) == NAMES
    lat, lon = FRAME.lat[:, None] - 38.5, FRAME.lon[None, :] + 7.5
    slope = 4.0 * lat + 8.0 * lon
    expected = {
        "sand": ((5 * 400 + 10 * 350 + 15 * 300) / 30 + slope) / 10,  # g/kg -> %
        "clay": ((5 * 200 + 10 * 220 + 15 * 260) / 30 + slope) / 10,
        "soc": ((5 * 600 + 10 * 300 + 15 * 120) / 30 + slope) / 10,  # dg/kg -> g/kg
        "bdod": ((5 * 110 + 10 * 130 + 15 * 145) / 30 + slope) * 10,  # cg/cm3 -> kg/m3
        "phh2o": ((5 * 52 + 10 * 55 + 15 * 61) / 30 + slope) / 10,
    }
    step = {"bdod": 10.0}  # canonical size of one stored unit, by which integers are rounded
    for name, layer in layers.items():
        found = read_layer(name, layer, FRAME)
        np.testing.assert_allclose(found, expected[name], atol=0.3 * step.get(name, 0.1), err_msg=name)
        assert abs((found - expected[name]).mean()) < 0.02 * step.get(name, 0.1)


def test_the_projection_is_undone_exactly_also_near_its_interruptions(tmp_path) -> None:
    """A map of the whole globe at 5 km, whose values are a plane in degrees, on both sides of three interruptions."""
    path = soilgrids(tmp_path / "sand_0-5cm_mean_5000.tif", lambda lat, lon: 500 + 2 * lat + lon, 10_000.0,
                     box=(-19_949_000.0, -6_149_000.0, 19_851_000.0, 8_361_000.0))  # fmt: skip
    with rasterio.open(path) as raster:
        assert "Goode_Homolosine" in raster.crs.to_wkt()
    for tile in ("N70W042", "N68E178", "S30W102", "S32E018", "S34W072"):
        frame = Frame.around(get_grid("0.25deg").tile(tile, 2))
        found = read_layer("sand", Layer(path=path, provider="soilgrids"), frame)
        plane_of = 500 + 2 * frame.lat[:, None] + frame.lon[None, :]
        assert np.isfinite(found).mean() > 0.95, tile
        assert np.nanmax(np.abs(found * 10 - plane_of)) < 0.5, tile
        assert abs(np.nanmean(found * 10 - plane_of)) < 0.05, tile


@pytest.mark.parametrize("name", ["ESRI:54052", "wkt"])
def test_the_projection_may_be_stated_in_other_words(tmp_path, name) -> None:
    source = soilgrids(tmp_path / "a.tif", plane(300, 10, 20))
    with rasterio.open(source) as raster:
        data, transform = raster.read(), raster.transform
    wkt = (
        'PROJCS["Homolosine",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Interrupted_Goode_Homolosine"],'
        'UNIT["Meter",1]]'
    )
    other = write_tif(tmp_path / "b.tif", data, 0, 0, 1, crs=wkt if name == "wkt" else name, transform=transform,
                      nodata=-32768)  # fmt: skip
    first, second = (read_layer("sand", Layer(path=p, units="g kg-1"), FRAME) for p in (source, other))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_averages_of_integers_are_not_rounded(tmp_path) -> None:
    """Half of the pixels hold 51, half 52: the mean of a cell is 51.5 tenths of pH, not a whole number."""
    path = soilgrids(tmp_path / "phh2o_0-5cm_mean.tif", lambda lat, lon: 51 + (np.indices(lat.shape).sum(0) % 2), 250,
                     (-7.6, 38.3, -7.3, 38.6))  # fmt: skip
    found = read_layer("phh2o", Layer(path=path, provider="soilgrids"), FRAME)
    assert np.nanmean(found) == pytest.approx(5.15, abs=2e-3) and np.nanstd(found) < 0.01


def test_a_vrt_of_tiles_is_read_and_a_missing_tile_is_told(tmp_path) -> None:
    tile = soilgrids(tmp_path / "tileSG-01.tif", plane(300))
    with rasterio.open(tile) as raster:
        h, w, t = raster.height, raster.width, raster.transform
    vrt = tmp_path / "sand_0-5cm_mean.vrt"
    body = '<SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand>'
    text = (
        f'<VRTDataset rasterXSize="{w}" rasterYSize="{h}"><SRS>{HOMOLOSINE}</SRS>'
        f"<GeoTransform>{t.c}, {t.a}, 0, {t.f}, 0, {t.e}</GeoTransform>"
        '<VRTRasterBand dataType="Int16" band="1"><NoDataValue>-32768</NoDataValue><SimpleSource>{}</SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    vrt.write_text(text.format(body.format("tileSG-01.tif")))
    layer = Layer(path=str(vrt), provider="soilgrids")
    np.testing.assert_allclose(read_layer("sand", layer, FRAME), 30.0, atol=1e-5)
    vrt.write_text(text.format(body.format("tileSG-02.tif")))
    with pytest.raises(InputError, match=r"cannot be read(.|\n)*sand_0-5cm_mean\.vrt"):
        read_layer("sand", layer, FRAME)


def test_patterns_depths_and_single_files_find_their_files(folder, tmp_path) -> None:
    pattern = str(folder / "{layer}" / "{layer}_{depth}_mean_1000.tif")
    layer = Layer(path=pattern, provider="soilgrids", depth=(0, 10))
    assert [share for _, share in layer_files("clay", layer)] == [0.5, 0.5]
    assert np.nanmean(read_layer("clay", layer, FRAME)) == pytest.approx(21.0, abs=0.1)
    single = Layer(path=str(folder / "clay" / "clay_15-30cm_mean_1000.tif"), provider="soilgrids")
    assert not single.by_depth
    assert np.nanmean(read_layer("clay", single, FRAME)) == pytest.approx(26.0, abs=0.1)
    for name in ("clay_0-5cm_mean.vrt", "clay_0-5cm_mean.tif", "clay_0-5cm_mean_5000.tif", "clay_0-5cm_Q0.5.tif"):
        (tmp_path / name).touch()
    assert depth_files(str(tmp_path), "clay", (0, 5)) == [(str(tmp_path / "clay_0-5cm_mean.tif"), 1.0)]
    own = Layer(path=str(tmp_path / "s_{depth}.tif"), depths=["0-20", "20-40"], depth=(10, 30), units="%")
    assert layer_files("sand", own) == [(str(tmp_path / "s_0-20.tif"), 0.5), (str(tmp_path / "s_20-40.tif"), 0.5)]


@pytest.mark.parametrize(
    ("text", "found"),
    [("sand_0-5cm_mean", (0, 5)), ("b10..30cm", (10, 30)), ("x_100_200", (100, 200)), ("sand", None), ("30-15", None)],
)
def test_intervals_in_names(text, found) -> None:
    assert interval(text) == found


def test_every_file_is_an_input_and_a_missing_one_is_named(folder, tmp_path) -> None:
    block = StaticBlock(soil=SoilMap(provider="soilgrids", path=str(folder)))
    assert len(static_inputs(block)) == 15
    deep = Layer(path=str(folder), provider="soilgrids", depth=(0, 60))
    missing = str(folder / "sand_30-60cm_mean.tif")
    assert missing in [path for path, _ in layer_files("sand", deep)]
    with pytest.raises(InputError, match=r"file not found(.|\n)*sand_30-60cm_mean\.tif"):
        read_layer("sand", deep, FRAME)


def test_a_layer_of_its_own_goes_before_the_soil_map(folder) -> None:
    own = {"soc": {"constant": 12, "reason": "measured in the region"}}
    block = StaticBlock.model_validate({"soil": {"provider": "soilgrids", "path": str(folder)}, "layers": own})
    assert block.all_layers()["soc"].constant == 12 and len(block.all_layers()) == 5
    assert StaticBlock.model_validate_json(block.model_dump_json()) == block


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"provider": "soilgrids", "units": "%"}, "leave out 'units'"),
        ({"provider": "soilgrids", "depth": [30, 0]}, "top and bottom"),
        ({"provider": "soilgrids", "depth": [0, 300]}, "hold 67 % of the 'depth'"),
        ({"path": ["a_{depth}.tif", "b_{depth}.tif"]}, "one 'path'"),
        ({"path": "a_{depth}.tif", "depths": ["top"]}, "intervals in cm"),
        ({"provider": "hwsd"}, "needs its 'table'"),
        ({"provider": "soilgrid"}, "soilgrids"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, message) -> None:
    with pytest.raises(ValidationError, match=message):
        Layer.model_validate({"path": "maps"} | given)


def test_a_soil_map_that_cannot_be_is_one_sentence() -> None:
    with pytest.raises(ValidationError, match="soil\n  Value error, provider 'hwsd' needs its 'table'"):
        StaticBlock.model_validate({"soil": {"provider": "hwsd", "path": "a.bil"}})


def test_a_scaled_copy_contradicts_the_preset(tmp_path) -> None:
    """A COG whose header states a factor is no file of the provider: applying both factors would be wrong by ten."""
    data = np.full((72, 72), 321, np.int16)
    path = write_tif(tmp_path / "sand_0-5cm_mean.tif", data, -9, 40, 24, scales=(0.1,), nodata=-32768)
    with pytest.raises(InputError, match=r"states a scale of 0\.1"):
        read_layer("sand", Layer(path=path, provider="soilgrids"), FRAME)
    np.testing.assert_allclose(read_layer("sand", Layer(path=path), FRAME), 32.1, rtol=1e-6)
    np.testing.assert_allclose(read_layer("sand", Layer(path=path, units="g kg-1", scale=1.0), FRAME), 3.21, rtol=1e-6)


def test_missing_pixels_everywhere_are_told(tmp_path) -> None:
    path = soilgrids(tmp_path / "sand_0-5cm_mean.tif", lambda lat, lon: np.full(lat.shape, np.nan), 1000,
                     (-7.6, 38.3, -7.3, 38.6))  # fmt: skip
    frame = Frame.around(GRID.tile("N38W008", 1), 6)
    with pytest.raises(InputError, match="'sand' holds missing values only"):
        read_layer("sand", Layer(path=path, provider="soilgrids"), frame)


def test_a_truncated_cog_is_refused(tmp_path) -> None:
    noise = np.random.default_rng(1)
    path = soilgrids(tmp_path / "sand_0-5cm_mean.tif", lambda lat, lon: noise.integers(10, 900, lat.shape))
    with Path(path).open("r+b") as file:
        file.truncate(file.seek(0, 2) // 2)
    with pytest.raises(InputError, match=r"cannot be read(.|\n)*sand_0-5cm_mean\.tif"):
        read_layer("sand", Layer(path=path, provider="soilgrids"), FRAME)
