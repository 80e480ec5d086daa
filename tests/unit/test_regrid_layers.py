"""Static layers: regridding against brute force, units, longitude ranges, windows, and every way a file can be bad."""

import tracemalloc

import numpy as np
import pytest
import rasterio
import xarray as xr
from pydantic import ValidationError
from rasterio.transform import from_origin

from fluxatlas.config.static import Layer, StaticBlock, static_for_synthetic_earth, static_inputs
from fluxatlas.errors import GridError, InputError, UnitError
from fluxatlas.grid import get_grid
from fluxatlas.process.hydraulics import cosby_b, cosby_k_sat
from fluxatlas.regrid import source
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from fluxatlas.regrid.sources import open_source
from fluxatlas.regrid.units import clay_from_expt, sand_from_ksat
from fluxatlas.variables import get

GRID = get_grid("4km")
TILE = GRID.tile("N36W008", 1)
FRAME = Frame.around(TILE)


def write_tif(path, data, west, north, per_degree, **profile):
    """Write (bands, rows, columns) or (rows, columns) as a GeoTIFF in degrees; returns its path as text."""
    bands = data if data.ndim == 3 else data[None]
    size = 1 / per_degree
    given = {"crs": "EPSG:4326", "transform": from_origin(west, north, size, size)} | profile
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **shape, **given) as raster:
        raster.write(bands)
    return str(path)


def write_nc(path, data, lat, lon, name="clay", dims=("lat", "lon"), **attrs):
    coords = {"lat": ("lat", lat), "lon": ("lon", lon)}
    xr.Dataset({name: (dims, data, attrs)}, coords).to_netcdf(path)
    return str(path)


def _axes(per_degree, west=-9.0, north=38.0, size=3):
    n = size * per_degree
    return north - (np.arange(n) + 0.5) / per_degree, west + (np.arange(n) + 0.5) / per_degree


def test_a_finer_raster_is_averaged_by_area_without_its_missing_cells(tmp_path) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(100, 900, (360, 360)).astype(np.int16)
    data[rng.random(data.shape) < 0.2] = -32768
    data[130:140, 130:140] = -32768  # two whole target cells
    path = write_tif(tmp_path / "clay.tif", data, -9, 38, 120, nodata=-32768)
    found = read_layer("clay", Layer(path=path, units="g kg-1"), FRAME)
    lat, _ = _axes(120)
    edge = np.deg2rad(1 / 240)
    area = np.sin(np.deg2rad(lat) + edge) - np.sin(np.deg2rad(lat) - edge)
    weight = np.where(data == -32768, 0.0, area[:, None])[120:240, 120:240]
    cells = weight.reshape(24, 5, 24, 5).sum(axis=(1, 3))
    sums = (weight * data[120:240, 120:240] / 10).reshape(24, 5, 24, 5).sum(axis=(1, 3))
    expected = np.divide(sums, cells, where=cells > 0, out=np.full((24, 24), np.nan))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(found).sum() == 4


def test_a_coarser_grid_is_interpolated(tmp_path) -> None:
    lat, lon = _axes(2, size=3)
    path = write_nc(tmp_path / "clay.nc", 1.5 * lat[:, None] - 0.5 * lon[None, :], lat, lon)
    found = read_layer("clay", Layer(path=path), FRAME)
    np.testing.assert_allclose(found, 1.5 * FRAME.lat[:, None] - 0.5 * FRAME.lon[None, :], rtol=1e-6)
    steps = read_layer("clay", Layer(path=path, method="conservative"), FRAME)
    assert len(np.unique(steps)) == 4  # the tile covers 2 x 2 source cells


@pytest.mark.parametrize("flip", [False, True])
def test_longitudes_from_0_to_360_and_rising_latitudes_make_no_difference(tmp_path, flip) -> None:
    rng = np.random.default_rng(2)
    lat, lon = 88 - 4 * np.arange(45.0), -178 + 4 * np.arange(90.0)
    data = rng.uniform(0, 50, (45, 90))
    whole = write_nc(tmp_path / "a.nc", data, lat, lon)
    turned = np.roll(data, -45, axis=1)
    order = slice(None, None, -1 if flip else 1)
    other = write_nc(tmp_path / "b.nc", turned[order], lat[order], np.roll(lon, -45) % 360)
    for name in ("N36W008", "N50E179", "S20W180"):
        frame = Frame.around(GRID.tile(name, 1), 3)
        first, second = (read_layer("clay", Layer(path=path), frame) for path in (whole, other))
        assert np.isfinite(first).all()
        np.testing.assert_allclose(first, second, rtol=1e-6)


def test_the_date_line_leaves_no_seam(tmp_path) -> None:
    """A field of longitude's cosine, coarse: both sides of 180 degrees are interpolated across the edge of the file."""
    lat, lon = 89 - 2 * np.arange(90.0), -179 + 2 * np.arange(180.0)
    field = 50 + 30 * np.cos(np.deg2rad(lon - 20))[None, :] * np.ones((90, 1))
    path = write_nc(tmp_path / "clay.nc", field, lat, lon)
    for name in ("N50E179", "N50W180"):
        frame = Frame.around(GRID.tile(name, 1))
        exact = 50 + 30 * np.cos(np.deg2rad(frame.lon - 20))[None, :]
        assert np.abs(read_layer("clay", Layer(path=path), frame) - exact).max() < 0.01


@pytest.mark.parametrize(
    ("name", "stored", "options", "expected"),
    [
        ("sand", 453, {"units": "g kg-1"}, 45.3),
        ("soc", 215, {"units": "dg kg-1"}, 21.5),
        ("bdod", 131, {"units": "cg cm-3"}, 1310.0),
        ("phh2o", 64, {"scale": 0.1}, 6.4),
        ("orog", 300, {"scale": 10, "offset": -100, "units": "cm"}, 29.0),
    ],
)
def test_providers_integers_become_canonical_units(tmp_path, name, stored, options, expected) -> None:
    path = write_tif(tmp_path / "x.tif", np.full((360, 360), stored, np.int16), -9, 38, 120)
    np.testing.assert_allclose(read_layer(name, Layer(path=path, **options), FRAME), expected, rtol=1e-6)


def test_twelve_bands_make_a_leaf_area_climatology(tmp_path) -> None:
    bands = np.arange(1, 13, dtype=np.int16)[:, None, None] * np.ones((12, 72, 72), np.int16)
    path = write_tif(tmp_path / "lai.tif", bands.astype(np.int16), -9, 38, 24)
    found = read_layer("lai", Layer(path=path, scale=0.1), FRAME)
    assert found.shape == (12, *TILE.shape)
    np.testing.assert_allclose(found[:, 3, 4], 0.1 * np.arange(1, 13))
    with pytest.raises(InputError, match="4 bands, band 12 is needed"):
        read_layer("lai", Layer(path=write_tif(tmp_path / "four.tif", bands[:4], -9, 38, 24)), FRAME)


def test_bands_and_positions_can_be_chosen(tmp_path) -> None:
    bands = np.stack([np.full((72, 72), value, np.float32) for value in (5, 6, 7)])
    path = write_tif(tmp_path / "x.tif", bands, -9, 38, 24)
    assert read_layer("clay", Layer(path=path, band=3), FRAME).mean() == 7
    lat, lon = _axes(4)
    nc = write_nc(
        tmp_path / "x.nc", np.stack([np.full((12, 12), v) for v in (8.0, 9.0)]), lat, lon, dims=("z", "lat", "lon")
    )
    assert read_layer("clay", Layer(path=nc, select={"z": 1}), FRAME).mean() == 9
    with pytest.raises(InputError, match=r"dimensions \{'z': 2\} beyond lat and lon"):
        read_layer("clay", Layer(path=nc), FRAME)
    with pytest.raises(InputError, match="no position 2 along 'z'"):
        read_layer("clay", Layer(path=nc, select={"z": 2}), FRAME)


def test_leaf_area_by_vegetation_class_is_weighted_by_its_shares(tmp_path) -> None:
    lat, lon = _axes(4)
    lai = np.ones((3, 12, 12, 12)) * np.array([1.0, 4.0, 2.0])[:, None, None, None]
    share = np.ones((3, 12, 12)) * np.array([0.5, 0.3, 0.2])[:, None, None]
    lai[2] = np.nan  # a class without leaves does not count
    data = {"LAI": (("c", "month", "lat", "lon"), lai), "Cv": (("c", "lat", "lon"), share)}
    xr.Dataset(data, {"lat": lat, "lon": lon}).to_netcdf(tmp_path / "veg.nc")
    layer = Layer(path=str(tmp_path / "veg.nc"), variable="LAI", weights="Cv")
    np.testing.assert_allclose(read_layer("lai", layer, FRAME), (0.5 * 1 + 0.3 * 4) / 0.8, rtol=1e-6)


def test_texture_from_hydraulics_inverts_the_pedotransfer_of_the_process_model() -> None:
    clay, sand = np.linspace(2, 60, 7), np.linspace(5, 92, 7)
    np.testing.assert_allclose(clay_from_expt(3 + 2 * cosby_b(clay)), clay, rtol=1e-6)
    np.testing.assert_allclose(sand_from_ksat(cosby_k_sat(sand) * 86400 * 1000), sand, rtol=1e-3)
    assert np.isnan(sand_from_ksat(np.array([0.0, -1.0, np.nan]))).all()


def test_walnut_gulch_soils_are_the_sandy_loam_they_are(data_dir) -> None:
    folder = data_dir / "gridded_met/UW-Hydro_VIC_sample_data/WalnutGulch/parameters"
    path = str(folder / "params.WalnutGulch.MOD_IGBP.0.0625_deg.nc")
    top = {"path": path, "select": {"nlayer": 0}}
    frame = Frame.around(GRID.tile("N31W111", 1))
    clay = read_layer("clay", Layer(**top, variable="expt", transform="clay_from_expt"), frame)
    sand = read_layer("sand", Layer(**top, variable="Ksat", transform="sand_from_ksat"), frame)
    lai = read_layer("lai", Layer(path=path, variable="LAI", weights="Cv"), frame)
    inside = np.isfinite(clay)
    assert inside.any() and not inside.all()
    assert 10 < clay[inside].mean() < 20 and 45 < sand[inside].mean() < 70
    assert lai[:, inside].mean(axis=1).argmax() in (6, 7, 8)  # the monsoon


def test_strips_and_margins_do_not_change_the_result(tmp_path, monkeypatch) -> None:
    rng = np.random.default_rng(3)
    for per_degree in (120, 10):
        data = rng.uniform(5, 50, (3 * per_degree, 3 * per_degree)).astype(np.float32)
        data[rng.random(data.shape) < 0.1] = np.nan
        layer = Layer(path=write_tif(tmp_path / "x.tif", data, -9, 38, per_degree))
        whole = read_layer("clay", layer, FRAME)
        wide = Frame.around(TILE, 7)
        np.testing.assert_array_equal(wide.crop(read_layer("clay", layer, wide)), whole)
        monkeypatch.setattr(source, "VALUES_AT_ONCE", 1)
        np.testing.assert_array_equal(read_layer("clay", layer, FRAME), whole)
        monkeypatch.undo()


def test_memory_does_not_grow_with_the_source(tmp_path) -> None:
    """The same tile from a raster of 3 degrees and from one of 150 degrees (324 million values)."""

    def peak(path) -> int:
        tracemalloc.start()
        read_layer("clay", Layer(path=str(path)), FRAME)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    small = write_tif(tmp_path / "small.tif", np.full((360, 360), 20, np.uint8), -9, 38, 120)
    big = {"driver": "GTiff", "height": 18000, "width": 18000, "count": 1, "dtype": "uint8", "crs": "EPSG:4326"}
    big |= {
        "transform": from_origin(-80, 80, 1 / 120, 1 / 120),
        "tiled": True,
        "SPARSE_OK": True,
        "compress": "deflate",
    }
    with rasterio.open(tmp_path / "big.tif", "w", **big):
        pass
    assert peak(tmp_path / "big.tif") < peak(small) + 3e6  # its axes, not its 324 MB of values


def test_a_projected_raster_is_warped(tmp_path) -> None:
    """Altitude 100 m over a block of UTM zone 29 that holds the tile N37W008's middle."""
    data = np.full((300, 300), 100, np.int16)
    path = write_tif(
        *(tmp_path / "utm.tif", data, 0, 0, 1),
        crs="EPSG:32629",
        transform=from_origin(590000, 4130000, 300, 300),
        nodata=-1,
    )
    found = read_layer("orog", Layer(path=path), FRAME)
    assert np.isfinite(found).mean() > 0.4
    np.testing.assert_allclose(found[np.isfinite(found)], 100)
    with open_source(path) as source:
        assert not source.raster.closed
    assert source.raster.closed  # the warped view, not only the file below it
    bare = write_tif(
        tmp_path / "bare.tif", data, 0, 0, 1, crs="EPSG:32629", transform=from_origin(590000, 4.13e6, 300, 300)
    )
    with pytest.raises(InputError, match="projected and states no missing value"):
        read_layer("orog", Layer(path=bare), FRAME)


def test_what_the_source_does_not_reach_is_missing(tmp_path) -> None:
    path = write_tif(tmp_path / "far.tif", np.ones((48, 48), np.float32), 20, 60, 24)
    assert np.isnan(read_layer("clay", Layer(path=path), FRAME)).all()


def test_bad_files_are_refused_with_their_name(tmp_path) -> None:
    ones = np.full((72, 72), 20, np.float32)
    with pytest.raises(InputError, match="file not found"):
        read_layer("clay", Layer(path=str(tmp_path / "no.tif")), FRAME)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"cannot be read as a raster(.|\n)*text\.tif"):
        read_layer("clay", Layer(path=str(tmp_path / "text.tif")), FRAME)
    turned = rasterio.Affine(0.04, 0.01, -9, 0.01, -0.04, 38)
    with pytest.raises(InputError, match="rotated"):
        read_layer("clay", Layer(path=write_tif(tmp_path / "r.tif", ones, 0, 0, 1, transform=turned)), FRAME)
    with pytest.raises(InputError, match="not degrees"):
        path = write_tif(tmp_path / "m.tif", ones, 0, 0, 1, crs=None, transform=from_origin(5e5, 4e6, 300, 300))
        read_layer("clay", Layer(path=path), FRAME)
    lat, lon = _axes(4)
    nc = write_nc(tmp_path / "a.nc", np.full((12, 12), 20.0), lat, lon)
    with pytest.raises(InputError, match="no variable 'cley'; did you mean 'clay'"):
        read_layer("clay", Layer(path=nc, variable="cley"), FRAME)
    uneven = write_nc(tmp_path / "b.nc", np.full((12, 12), 20.0), lat**2 / 38, lon)
    with pytest.raises(GridError, match=r"lat is not regular(.|\n)*b\.nc"):
        read_layer("clay", Layer(path=uneven), FRAME)
    with pytest.raises(InputError, match="no axes lat and lon"):
        xr.Dataset({"clay": (("cell",), np.ones(3))}).to_netcdf(tmp_path / "c.nc")
        read_layer("clay", Layer(path=str(tmp_path / "c.nc")), FRAME)


@pytest.mark.parametrize(
    ("name", "most", "units"),
    [
        ("sand", 0.6, ("1", "%")),
        ("clay", 1.0, ("1", "%")),
        ("soc", 3.0, ("g kg-1", "%")),
        ("ndep", 1.8, ("kg ha-1 yr-1", "g m-2 yr-1")),
    ],
)
@pytest.mark.parametrize("kind", ["tif", "nc"])
def test_what_could_be_in_either_of_two_units_is_asked_for(tmp_path, kind, name, most, units) -> None:
    """A single layer, without others to judge it by: sand as a fraction is not 0.6 %, and carbon of 3 is not known."""
    lat, lon = _axes(24)
    values = np.linspace(0.2 * most, most, lat.size * lon.size).reshape(lat.size, lon.size)
    given = {"tif": lambda data: write_tif(tmp_path / "a.tif", data.astype(np.float32), -9, 38, 24),
             "nc": lambda data: write_nc(tmp_path / "a.nc", data, lat, lon, name, units="")}[kind]  # fmt: skip
    with pytest.raises((UnitError, InputError), match="no unit"):
        read_layer(name, Layer(path=given(values)), FRAME)
    factor = {"%": {"soc": 10.0}.get(name, 1.0), "1": 100.0, "g m-2 yr-1": 10.0}
    plain = read_layer(name, Layer(path=given(values), units=get(name).units), FRAME)
    for unit in units:
        found = read_layer(name, Layer(path=given(values), units=unit), FRAME)
        np.testing.assert_allclose(found, factor.get(unit, 1.0) * plain, rtol=1e-6)
    if (kind, name) != ("nc", "ndep"):  # of which no amount is known without a unit
        assert np.nanmax(read_layer(name, Layer(path=given(values * 30)), FRAME)) > most


def test_a_file_tells_its_unit_as_a_whole(tmp_path) -> None:
    """Carbon in g kg-1 without a unit is not refused in tiles of a desert, nor read from percent in those of a bog."""
    desert = np.where(np.arange(480)[None, :] < 120, 3.0, 40.0) * np.ones((240, 1))
    path = write_tif(tmp_path / "soc.tif", desert.astype(np.float32), -9, 38, 24)
    assert read_layer("soc", Layer(path=path), FRAME) == pytest.approx(3.0)
    bog = np.where(np.arange(480)[None, :] < 120, 40.0, 1.5) * np.ones((240, 1))
    path = write_tif(tmp_path / "percent.tif", bog.astype(np.float32), -9, 38, 24)
    with pytest.raises(UnitError, match=r"median of 1\.5: g kg-1 or %"):
        read_layer("soc", Layer(path=path), FRAME)


@pytest.mark.parametrize("n", [1, 40, 64, 65, 130, 511, 513, 100_000])
def test_a_sample_spreads_over_a_file_without_overlap(n) -> None:
    parts = source._spread(n)
    cells = np.concatenate([np.arange(n)[part] for part in parts])
    assert len(set(cells)) == len(cells) and cells[0] == 0 and cells[-1] == n - 1 and len(parts) <= source.PLACES
    assert len(cells) == min(n, source.PLACES * source.SIDE)


def test_values_and_units_that_cannot_be_are_refused(tmp_path) -> None:
    path = write_tif(tmp_path / "x.tif", np.full((72, 72), -9999, np.int16), -9, 38, 24)
    with pytest.raises(InputError, match="lie outside"):
        read_layer("clay", Layer(path=path), FRAME)
    assert np.isnan(read_layer("clay", Layer(path=path, nodata=-9999), FRAME)).all()
    with pytest.raises(UnitError, match="'m' cannot be converted"):
        read_layer("clay", Layer(path=path, units="m", nodata=-9999), FRAME)
    with pytest.raises(InputError, match=r"lie outside(.|\n)*ndep\.constant"):
        read_layer("ndep", Layer(constant=900, reason="a typing error"), FRAME)


def test_the_block_refuses_what_cannot_be_meant() -> None:
    for given, message in (
        (
            {"layers": {"cley": {"constant": 1, "reason": "for the test"}}},
            "'cley' is not a static layer; did you mean 'clay'",
        ),
        ({"layers": {"clay": {}}}, "either 'path' or 'constant'"),
        ({"layers": {"clay": {"constant": 3}}}, "needs a 'reason'"),
        ({"layers": {"clay": {"path": "a.tif", "unit": "%"}}}, "did you mean 'units'"),
    ):
        with pytest.raises(ValidationError, match=message):
            StaticBlock.model_validate(given)


def test_inputs_of_the_synthetic_earth_are_listed_once() -> None:
    names = ("elevation", "sand", "clay", "soc", "bdod", "phh2o", "ndep", "landcover", "lai")
    found = static_inputs(static_for_synthetic_earth("raw"))
    assert sorted(found) == sorted(f"raw/{name}.tif" for name in names)


def test_options_of_another_format_are_refused(tmp_path) -> None:
    """A band of a NetCDF file, and names and positions of a raster, would choose nothing, without a word."""
    values = np.full((50, 50), 30.0, np.float32)
    with rasterio.open(
        tmp_path / "sand.tif", "w", driver="GTiff", height=50, width=50, count=1, dtype="float32", crs="EPSG:4326",
        transform=from_origin(9.5, 49.5, 0.04, 0.04),
    ) as raster:  # fmt: skip
        raster.write(values[None])
    axes = {"lat": 49.48 - 0.04 * np.arange(50), "lon": 9.52 + 0.04 * np.arange(50)}
    xr.Dataset({"sand": (("lat", "lon"), values, {"units": "%"})}, axes).to_netcdf(tmp_path / "sand.nc")
    frame = Frame.around(get_grid("4km").tile("N49E010", 1))
    for name, more, message in (
        ("sand.tif", {"variable": "sand"}, "'variable' is for NetCDF"),
        ("sand.tif", {"select": {"depth": 1}}, "'select' is for NetCDF"),
        ("sand.tif", {"weights": "thickness"}, "'weights' is for NetCDF"),
        ("sand.nc", {"band": 2}, "'band' is for rasters"),
    ):
        with pytest.raises(InputError, match=message):
            read_layer("sand", Layer(path=str(tmp_path / name), **more), frame)
        found = read_layer("sand", Layer(path=str(tmp_path / name)), frame)
        np.testing.assert_allclose(found[np.isfinite(found)], 30, rtol=1e-6)
        assert np.isfinite(found).any()
