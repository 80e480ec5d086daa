"""Real static layers: land cover counted pixel by pixel, values interpolated by SciPy, the block of a real example."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.warp
import xarray as xr
import yaml
from scipy.interpolate import RegularGridInterpolator

from fluxatlas.config.static import LandCover, Layer, StaticBlock
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.paths import REPOSITORY
from fluxatlas.regrid.attributes import build
from fluxatlas.regrid.cover import groups, read_legend, shares
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from fluxatlas.systems import get_system

GRID = get_grid("4km")
EXAMPLE = REPOSITORY / "config" / "examples" / "walnut_gulch_2008.yaml"
WALNUT_GULCH = (-110.1875, 31.625, -109.875, 31.8125)


def _real(data_dir: Path, *parts: str) -> str:
    path = data_dir.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data: {path} is absent")
    return str(path)


def _counted(lat: np.ndarray, lon: np.ndarray, codes: np.ndarray, frame: Frame) -> pd.DataFrame:
    """Share [%] of each code by cell (row, column), every pixel counted at its centre, and the pixels of each cell."""
    row, column = (np.floor((at - edge) / (sign * frame.step)) for at, edge, sign in (
        (lat, frame.lat[0] + frame.step / 2, -1), (lon, frame.lon[0] - frame.step / 2, 1)))  # fmt: skip
    inside = (row >= 0) & (row < len(frame.lat)) & (column >= 0) & (column < len(frame.lon))
    table = pd.crosstab([row[inside].astype(int), column[inside].astype(int)], codes[inside])
    return (100 * table.div(table.sum(axis=1), axis=0)).assign(pixels=table.sum(axis=1))


def test_esa_cci_shares_are_the_pixels_of_each_cell(data_dir: Path) -> None:
    """15 x 15 pixels of 300 m make one cell of 1/24 degree; the area of a pixel varies by 1e-3 within a cell."""
    path = _real(data_dir, "static", "FZJ-IEK3-VSA_RESKit", "ESA_CCI_2018_clip.tif")
    frame = Frame.around(GRID.tile("N50E005", 1))
    with rasterio.open(path) as raster:
        codes, t = raster.read(1), raster.transform
    lat, lon = np.meshgrid(t.f + (np.arange(540) + 0.5) * t.e, t.c + (np.arange(540) + 0.5) * t.a, indexing="ij")
    truth = _counted(lat.ravel(), lon.ravel(), codes.ravel(), frame)
    truth = truth[truth["pixels"] == 225]
    assert len(truth) == 24 * 12  # the clip begins at 5.5 E
    found = shares(LandCover(path=path), frame)
    rows, columns = (truth.index.get_level_values(level).to_numpy() for level in (0, 1))
    for code in truth.columns.drop("pixels"):
        np.testing.assert_allclose(found[code][rows, columns], truth[code], atol=0.03, err_msg=str(code))
    total = sum(found.values())
    np.testing.assert_allclose(total[:, 12:], 100, atol=1e-9)
    assert np.isnan(total[:, :12]).all()
    meaning = groups(found, read_legend("esa_cci"), frame)
    part = {10: 1, 11: 1, 12: 1, 20: 1, 30: 0.75, 40: 0.25}
    crops = sum(share * truth.get(code, 0) for code, share in part.items())
    np.testing.assert_allclose(meaning["crop"][rows, columns], crops, atol=0.05)
    assert set(np.unique(meaning["biome"][:, 12:])) <= {
        3.0,
        4.0,
        6.0,
        9.0,
        10.0,
    }  # temperate forest, shrubs, grass, crops


def test_corine_in_its_own_projection_matches_a_count_of_its_pixels(data_dir: Path, tmp_path: Path) -> None:
    """100 m in EPSG:3035; every pixel centre is projected to degrees by itself and counted in its cell."""
    path = _real(data_dir, "static", "FZJ-IEK3-VSA_RESKit", "clc-aachen_clipped.tif")
    with rasterio.open(path) as raster:
        codes, t = raster.read(1), raster.transform
    present = [int(code) for code in np.unique(codes) if code]
    legend = pd.DataFrame({"class": present, "name": "x", "upland": 1, "crop": 0, "wetland": 0, "cover": "grass"})
    legend.to_csv(tmp_path / "corine.csv", index=False)
    y, x = np.nonzero(codes)
    lon, lat = rasterio.warp.transform("EPSG:3035", "EPSG:4326", t.c + (x + 0.5) * t.a, t.f + (y + 0.5) * t.e)
    frame = Frame.around(GRID.tile("N50E006", 1))
    truth = _counted(np.array(lat), np.array(lon), codes[y, x], frame)
    truth = truth[truth["pixels"] > 1200]  # cells of 4.6 km by 2.9 km that lie wholly inside
    assert len(truth) > 60
    found = shares(LandCover(path=path, legend=str(tmp_path / "corine.csv")), frame)
    rows, columns = (truth.index.get_level_values(level).to_numpy() for level in (0, 1))
    error = np.stack([found[c][rows, columns] - truth[c] for c in truth.columns.drop("pixels") if c in found])
    assert np.abs(error).mean() < 0.1 and np.abs(error).max() < 3  # % of the cell (1300 pixels); nearest neighbours
    with pytest.raises(InputError, match=r"classes \[1, 2, 3.*are not in the legend 'esa_cci'"):
        shares(LandCover(path=path), frame)


def test_modis_classes_from_netcdf_at_one_time(data_dir: Path) -> None:
    """Coweeta is deciduous forest with some woody savanna; 9 or 10 pixels of 1/240 degree to each side of a cell."""
    name = "modis_LULC_08-01-2010_08-01-2011_35.0838x-83.4885_35.0173x-83.4117.nc"
    path = _real(data_dir, "static", "fmyuan_watershed-workflow_Coweeta", "land_cover", "MODIS", name)
    frame = Frame.around(GRID.tile("N35W084", 1))
    cover = LandCover(path=path, variable="LC_Type1", select={"time": 0}, legend="modis_igbp")
    with xr.open_dataset(path, decode_times=False) as data:
        field = data["LC_Type1"][0]
        lat, lon = np.meshgrid(field.lat, field.lon, indexing="ij")
        truth = _counted(lat.ravel(), lon.ravel(), field.to_numpy().ravel().astype(int), frame)
    found = shares(cover, frame)
    whole = truth[truth["pixels"] == 100]
    assert len(whole) >= 1 and 4 in found
    for row, column in whole.index:
        assert found[4][row, column] == pytest.approx(whole.loc[(row, column), 4], abs=0.1)
    np.testing.assert_allclose(sum(found.values())[np.isfinite(found[4])], 100)
    with pytest.raises(InputError, match="'time': 2"):
        shares(cover.model_copy(update={"select": {}}), frame)


def test_field_capacity_is_interpolated_and_missing_at_sea(data_dir: Path) -> None:
    """A global raster of 5' (two thirds of which is sea, coded -2) read through one window."""
    parts = ("geco-bern_FluxDataKit", "ancillary_data", "field_capacity", "field_capacity.tif")
    path = _real(data_dir, "static", *parts)
    frame = Frame.around(GRID.tile("N42W010", 2))  # Galicia and the Atlantic
    found = read_layer("orog", Layer(path=path), frame)
    with rasterio.open(path) as raster:
        t, data = raster.transform, raster.read(1).astype(float)
    data[data == -2] = np.nan
    lat, lon = t.f + (np.arange(1758) + 0.5) * t.e, t.c + (np.arange(4320) + 0.5) * t.a
    plain = RegularGridInterpolator((lat[::-1], lon), data[::-1])
    expected = plain(np.stack(np.meshgrid(frame.lat, frame.lon, indexing="ij"), axis=-1))
    known = np.isfinite(expected)  # where no neighbour is missing
    assert 0.2 < known.mean() < 0.9
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-4)
    assert np.isnan(found).any() and np.isfinite(found[known]).all()


@pytest.fixture(scope="module")
def walnut_gulch(data_dir: Path) -> StaticBlock:
    """The block 'static' of the example configuration, with its paths in the folder of real data."""
    _real(data_dir, "gridded_met", "UW-Hydro_VIC_sample_data", "WalnutGulch", "parameters")
    block = yaml.safe_load(EXAMPLE.read_text())["static"]
    for layer in block["layers"].values():
        if "path" in layer:
            layer["path"] = layer["path"].replace("../shared/data", str(data_dir))
    return StaticBlock.model_validate(block)


def test_walnut_gulch_attributes_are_those_of_its_files(walnut_gulch: StaticBlock) -> None:
    """28 cells of two tiles have their centre in the 3 x 5 cells of the parameters; the rest is not run."""
    system = get_system("soil_methane_sink")
    tiles = [build(walnut_gulch, GRID.tile(name, 1), system, WALNUT_GULCH) for name in ("N31W111", "N31W110")]
    assert [int(tile["active"].sum()) for tile in tiles] == [16, 12]
    names = [name for name in tiles[0].data_vars if name != "active"]
    both = xr.concat([tile[names].where(tile["active"] == 1) for tile in tiles], "lon").dropna("lat", how="all")
    both = both.dropna("lon", how="all")
    assert both["lon"].min() > WALNUT_GULCH[0] and both["lon"].max() < WALNUT_GULCH[2]
    for name, scale in (("orog", 1.0), ("bdod", 1.0), ("sand", 100.0)):
        layer = walnut_gulch.layers[name]
        with xr.open_dataset(layer.path, decode_times=False) as data:
            field = data[layer.variable].isel(layer.select).load()
        inside = both[name].sel(lat=slice(float(field.lat.max()), float(field.lat.min())))
        inside = inside.sel(lon=slice(float(field.lon.min()), float(field.lon.max())))
        assert inside.size >= 12
        expected = scale * field.interp(lat=inside.lat, lon=inside.lon)
        np.testing.assert_allclose(inside, expected, rtol=1e-5)
    assert both["clay"].min() > 14 and both["clay"].max() < 16  # sandy loam
    assert int(both["lai"].mean(("lat", "lon")).argmax()) in (7, 8)  # August and September, after the monsoon
    assert (both["cropFrac"] == 0).all()  # as Cv of class 12
    for name in ("soc", "phh2o", "ndep", "biome"):
        np.testing.assert_allclose(both[name], walnut_gulch.layers[name].constant)
