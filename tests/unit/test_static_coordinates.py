"""Coordinates of static layers as files have them: every layout of a field gives the same layer, or a message."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from fluxatlas.config.static import Layer
from fluxatlas.errors import FluxAtlasError, GridError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from static_layouts import write_tif

GRID = get_grid("0.25deg")
TILES = ("N36W009", "N51E000", "N63E177", "S18W180", "N87W120", "S90E030")
FRAMES = {name: Frame.around(GRID.tile(name, 3), 2) for name in TILES}
STEP = 0.5


def field(lat, lon):
    """Smooth on the sphere, without a seam at the date line."""
    phi, theta = np.deg2rad(lat), np.deg2rad(lon)
    return 40 + 20 * np.cos(phi) * np.cos(theta) + 15 * np.sin(phi)


def centres(offset=0.5):
    """A global grid of half a degree; ``offset`` 0.5 for pixels, 0 for grid lines (poles and -180 included)."""
    lat = 90 - STEP * (np.arange(360 + (offset == 0)) + offset)
    return lat, -180 + STEP * (np.arange(720) + offset)


def write(path, lat, lon, data, dims=("lat", "lon"), **attrs):
    xr.Dataset({"clay": (dims, data, attrs)}, {"lat": ("lat", lat), "lon": ("lon", lon)}).to_netcdf(path)


def plain(path, lat, lon):
    write(path, lat, lon, field(lat[:, None], lon[None, :]))


def east_of_greenwich(path, lat, lon):
    write(path, lat, np.sort(lon % 360), field(lat[:, None], np.sort(lon % 360)[None, :]))


def south_first(path, lat, lon):
    plain(path, lat[::-1], lon)


def transposed(path, lat, lon):
    write(path, lat, lon, field(lat[None, :], lon[:, None]), ("lon", "lat"))


def single_precision(path, lat, lon):
    plain(path, lat.astype(np.float32), lon.astype(np.float32))


def a_jump_inside(path, lat, lon):
    """Columns start at Greenwich, longitudes -180..180: they jump in the middle."""
    turned = np.roll(lon, -len(lon) // 2)
    write(path, lat, turned, field(lat[:, None], turned[None, :]))


def first_column_again(path, lat, lon):
    plain(path, lat, np.append(lon, lon[0] + 360))


def other_names(path, lat, lon):
    data = xr.DataArray(field(lat[:, None], lon[None, :]), dims=("j", "i"))
    named = {"LATITUDE": ("j", lat, {"units": "degrees_N"}), "Longitude": ("i", lon, {"units": "degree_east"})}
    xr.Dataset({"clay": data} | {k: xr.Variable(*v) for k, v in named.items()}).to_netcdf(path)


def packed(path, lat, lon):
    data = field(lat[:, None], lon[None, :])
    encoding = {"clay": {"dtype": "int16", "scale_factor": 0.002, "add_offset": 40.0, "_FillValue": np.int16(-32768)}}
    coords = {"lat": ("lat", lat), "lon": ("lon", lon)}
    xr.Dataset({"clay": (("lat", "lon"), data)}, coords).to_netcdf(path, encoding=encoding)


LAYOUTS = (plain, east_of_greenwich, south_first, transposed, single_precision, a_jump_inside, first_column_again,
           other_names, packed)  # fmt: skip


@pytest.mark.parametrize("offset", [0.5, 0.0], ids=["pixels", "gridlines"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_every_layout_of_a_field_gives_the_field(tmp_path, layout, offset) -> None:
    """Interpolated to a quarter degree anywhere on the globe, the margins of the date line and the poles included."""
    path = tmp_path / "clay.nc"
    layout(path, *centres(offset))
    for name, frame in FRAMES.items():
        found = read_layer("clay", Layer(path=str(path)), frame)
        expected = field(frame.lat[:, None], frame.lon[None, :])
        near = np.abs(frame.lat) < 89.7  # beyond the last row of pixels the nearest one is taken
        assert np.isfinite(found).all(), name
        assert np.abs(found - expected)[near].max() < 5e-3, name


def test_the_grid_of_era5_land_with_poles(tmp_path) -> None:
    """1801 x 3600 points of 0.1 degree on 0..359.9, averaged to half a degree: half a point off would show."""
    lat, lon = 90 - 0.1 * np.arange(1801), 0.1 * np.arange(3600)
    data = (100 * field(lat[:, None], lon[None, :])).astype(np.int16)
    path = tmp_path / "clay.nc"
    write(path, lat, lon, data)
    frame = Frame.around(get_grid("0.5deg").tile("N36W003", 3))
    found = read_layer("clay", Layer(path=str(path), scale=0.01, method="conservative"), frame)
    np.testing.assert_allclose(found, field(frame.lat[:, None], frame.lon[None, :]), atol=0.012)


@pytest.mark.parametrize("west", [-180.0, 0.0, -180.0 - 1 / 16])
def test_rasters_of_any_registration(tmp_path, west) -> None:
    """Pixels from -180, from 0, and shifted by half a pixel as GMTED2010 is."""
    n = 8
    lat, lon = 84 - (np.arange(140 * n) + 0.5) / n, west + (np.arange(360 * n) + 0.5) / n
    data = (100 * field(lat[:, None], lon[None, :])).astype(np.int16)
    path = write_tif(tmp_path / "clay.tif", data, west, 84, n)
    for name in ("N36W009", "N51E000", "N63E177", "S18W180"):
        found = read_layer("clay", Layer(path=path, scale=0.01, method="bilinear"), FRAMES[name])
        frame = FRAMES[name]
        np.testing.assert_allclose(found, field(frame.lat[:, None], frame.lon[None, :]), atol=0.012, err_msg=name)


def test_point_registered_and_south_up_rasters(tmp_path) -> None:
    lat, lon = 33 + (np.arange(80) + 0.5) / 8, -12 + (np.arange(80) + 0.5) / 8
    data = field(lat[:, None], lon[None, :]).astype(np.float32)
    up = rasterio.Affine(1 / 8, 0, -12, 0, 1 / 8, 33)
    path = write_tif(tmp_path / "up.tif", data, 0, 0, 1, transform=up)
    frame = FRAMES["N36W009"]
    expected = field(frame.lat[:, None], frame.lon[None, :])
    np.testing.assert_allclose(read_layer("clay", Layer(path=path), frame), expected, atol=2e-3)
    point = write_tif(tmp_path / "point.tif", data[::-1], -12, 43, 8)
    with rasterio.open(point, "r+") as raster:
        raster.update_tags(AREA_OR_POINT="Point")
    np.testing.assert_allclose(read_layer("clay", Layer(path=point), frame), expected, atol=2e-3)


def test_a_mask_band_counts_as_missing(tmp_path) -> None:
    data = np.full((96, 96), 30, np.uint8)
    path = write_tif(tmp_path / "m.tif", data, -12, 43, 8)
    keep = np.ones(data.shape, bool)
    keep[:, :48] = False
    with rasterio.open(path, "r+") as raster:
        raster.write_mask(keep)
    found = read_layer("clay", Layer(path=path), FRAMES["N36W009"])
    assert np.isnan(found[:, 0]).all() and np.nanmin(found) == np.nanmax(found) == 30


def test_a_packed_raster_is_unpacked_unless_a_factor_is_given(tmp_path) -> None:
    data = np.full((96, 96), 150, np.int16)
    path = write_tif(tmp_path / "p.tif", data, -12, 43, 8, scales=(0.1,), offsets=(10.0,), nodata=-1)
    np.testing.assert_allclose(read_layer("clay", Layer(path=path), FRAMES["N36W009"]), 25, rtol=1e-6)
    np.testing.assert_allclose(read_layer("clay", Layer(path=path, scale=0.2), FRAMES["N36W009"]), 30, rtol=1e-6)


def _uneven(path):
    lat, lon = centres()
    plain(path, np.sort(90 * np.sin(np.deg2rad(lat)))[::-1], lon)


def _metres(path):
    lat, lon = centres()
    data = xr.DataArray(field(lat[:, None], lon[None, :]), dims=("y", "x"))
    axes = {"y": ("y", lat * 1e5, {"units": "m"}), "x": ("x", lon * 1e5, {"standard_name": "projection_x_coordinate"})}
    xr.Dataset({"clay": data}, {k: xr.Variable(*v) for k, v in axes.items()}).to_netcdf(path)


def _huge(path):
    lat, lon = centres()
    plain(path, lat * 1e4, lon * 1e4)


def _curvilinear(path):
    lat, lon = np.meshgrid(*centres(), indexing="ij")
    xr.Dataset({"clay": (("y", "x"), field(lat, lon))}, {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}).to_netcdf(
        path
    )


def _holes(path):
    lat, lon = centres()
    lat = lat.copy()
    lat[5] = np.nan
    plain(path, lat, lon)


def _one_row(path):
    lat, lon = centres()
    plain(path, lat[:1], lon)


def _swapped(path):
    lat, lon = centres()
    write(path, np.linspace(-179.75, 179.75, 720), np.linspace(-89.75, 89.75, 360), field(lat[None, :], lon[:, None]))


BAD = {
    "uneven": (_uneven, "lat is not regular"),
    "metres": (_metres, "no axes lat and lon|has axes lat and lon"),
    "huge": (_huge, "not degrees"),
    "curvilinear": (_curvilinear, r"axes lat and lon"),
    "holes": (_holes, "lat is not regular"),
    "one row": (_one_row, "needs at least two|at least two"),
    "swapped": (_swapped, r"coordinates \(up to 179\.75\) are not degrees"),
}


@pytest.mark.parametrize("case", BAD)
def test_coordinates_that_do_not_fit_are_refused(tmp_path, case) -> None:
    make, message = BAD[case]
    path = tmp_path / "clay.nc"
    make(path)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        read_layer("clay", Layer(path=str(path)), FRAMES["N36W009"])
    assert isinstance(caught.value, (GridError, InputError)) and str(path) in caught.value.where


def test_a_map_of_elsewhere_is_told(tmp_path, capsys) -> None:
    path = write_tif(tmp_path / "far.tif", np.ones((96, 96), np.float32), 100, 60, 8)
    assert np.isnan(read_layer("clay", Layer(path=path), FRAMES["N36W009"])).all()
    assert "far.tif (48.0625 to 59.9375 N, 100.062 to 111.938 E) does not reach" in capsys.readouterr().err


def test_a_transform_without_projection_is_taken_for_degrees(tmp_path) -> None:
    path = write_tif(tmp_path / "bare.tif", np.full((96, 96), 30.0, np.float32), -12, 43, 8, crs=None)
    np.testing.assert_allclose(read_layer("clay", Layer(path=path), FRAMES["N36W009"]), 30)
    wide = write_tif(tmp_path / "m.tif", np.ones((9, 9), np.float32), 0, 0, 1, crs=None,
                     transform=from_origin(5e5, 4e6, 300, 300))  # fmt: skip
    with pytest.raises(InputError, match="not degrees"):
        read_layer("clay", Layer(path=wide), FRAMES["N36W009"])
