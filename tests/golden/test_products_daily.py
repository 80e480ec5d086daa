"""The daily product on disk: integers straight through, CF and ACDD by an outside checker, errors."""

import shutil

import netCDF4
import numpy as np
import pytest
import xarray as xr

from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import InputError
from fluxatlas.products import daily
from fluxatlas.products.daily import write_daily
from stage_files import make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("daily"), years=(2001,))


@pytest.fixture(scope="module")
def product(world):
    path = world.root / "products" / "daily" / "fch4_2001.nc"
    block = ProductsBlock(creator_email="a@example.org", creator_url="https://example.org", chunks=(73, 16, 15))
    write_daily(path, "fch4", 2001, world.flux, world.attributes, block, system="soil_methane_sink")
    return path


def test_packed_integers_are_copied_as_they_are(world, product) -> None:
    with netCDF4.Dataset(product) as whole:
        whole.set_auto_maskandscale(False)
        assert whole["fch4"].dtype == np.int16
        for path, tile in zip(world.flux, world.tiles, strict=True):
            rows = slice(tile.rows.start - world.tiles[0].rows.start, None)
            columns = slice(tile.columns.start - world.tiles[0].columns.start, None)
            with netCDF4.Dataset(path) as piece:
                piece.set_auto_maskandscale(False)
                for name in ("fch4", "fch4_sd", "dissimilarity", "point_density", "applicable"):
                    part = whole[name][..., rows, columns][..., : tile.shape[0], : tile.shape[1]]
                    np.testing.assert_array_equal(part, piece[name][:])
                assert piece["fch4"].scale_factor == whole["fch4"].scale_factor


def test_what_a_reader_sees(world, product) -> None:
    with xr.open_dataset(product, engine="netcdf4") as data:
        np.testing.assert_array_equal(data.lat, world.lat)
        assert data.sizes == {"time": 365, "lat": 40, "lon": 40, "nv": 2}
        assert (data.fch4.notnull().all("time").to_numpy() == world.active).all()
        assert data.fch4.attrs["ancillary_variables"] == "fch4_sd dissimilarity point_density applicable"
        assert data.fch4.attrs["cell_methods"] == "time: mean"
        assert data.fch4.encoding["chunksizes"] == (73, 16, 15) and data.fch4.encoding["zlib"]
        np.testing.assert_allclose(data.lat_bnds.mean("nv"), data.lat, atol=1e-9)
        assert (data.time_bnds[:, 1] - data.time_bnds[:, 0] == np.timedelta64(1, "D")).all()
        assert (data.time_bnds[:, 0] == data.time).all()
        area = (data.areacella * data.uplandFrac / 100).where(world.active, 0)
        np.testing.assert_allclose(area, world.area, rtol=1e-6)


def test_nothing_that_was_written_is_missing_to_who_reads_by_reference(product) -> None:
    """Tools that map HDF5 to Zarr take the fill value of the array, which is 0 where a file is made without one."""
    with netCDF4.Dataset(product) as data:
        for name, variable in data.variables.items():
            variable.set_auto_mask(False)
            fill = variable.get_fill_value()
            assert fill is not None, name
            assert "_FillValue" in variable.ncattrs() or not (variable[...] == fill).any(), name


def _check(path, test, folder):
    from compliance_checker.runner import CheckSuite, ComplianceChecker

    CheckSuite.load_all_available_checkers()
    out = folder / "report.json"
    _, errors = ComplianceChecker.run_checker(
        str(path), [test], 0, "strict", output_filename=str(out), output_format="json"
    )
    assert not errors
    import json

    found = json.loads(out.read_text())[test]
    return {
        (level, message)
        for level in ("high_priorities", "medium_priorities", "low_priorities")
        for result in found[level]
        if result["value"][0] < result["value"][1]
        for message in result["msgs"]
    }


def test_the_outside_checker_finds_nothing_against_cf(product, tmp_path) -> None:
    assert _check(product, "cf:1.11", tmp_path) == set()


def test_the_outside_checker_finds_nothing_against_acdd_that_could_be_mended(product, tmp_path) -> None:
    """Left over: names that the CF table does not have, the vertical extent, and what only the user can state."""
    allowed = ("standard_name", "geospatial_vertical", "bounds_vertical_crs", "acknowledg", "naming_authority")
    found = _check(product, "acdd:1.3", tmp_path)
    high = {message for level, message in found if level == "high_priorities"}
    assert all("standard_name" in message for message in high), high
    medium = {message for level, message in found if level == "medium_priorities"}
    assert all(any(word in message for word in allowed) for message in medium), medium


def test_the_outside_checker_finds_nothing_against_cf_in_a_temperature(world, tmp_path) -> None:
    write_daily(tmp_path / "tsl05_2001.nc", "tsl05", 2001, world.flux, world.attributes, system="soil_methane_sink")
    assert _check(tmp_path / "tsl05_2001.nc", "cf:1.11", tmp_path) == set()


def test_zstd_and_a_box_across_the_tiles(world, tmp_path) -> None:
    path = tmp_path / "tsl05_2001.nc"
    block = ProductsBlock(compression="zstd", level=1)
    write_daily(
        path, "tsl05", 2001, world.flux, world.attributes, block, bbox=(-124, 36, -116, 44), system="soil_methane_sink"
    )
    with (
        xr.open_dataset(path, engine="netcdf4") as data,
        xr.open_mfdataset(
            world.flux,
            combine="by_coords",
            data_vars=["tsl05"],
            coords="minimal",
            compat="override",
            engine="netcdf4",
        ) as tiles,
    ):
        assert data.sizes["lat"] == data.sizes["lon"] == 16 and data.tsl05.encoding["zstd"]
        assert float(data.lat_bnds.min()) == 36 and float(data.lon_bnds.max()) == -116
        expected = tiles.tsl05.sel(lat=data.lat, lon=data.lon)
        np.testing.assert_array_equal(data.tsl05, expected)
        assert (
            data.tsl05.attrs["ancillary_variables"] == "dissimilarity point_density applicable"
            and "tsl05_sd" not in data
        )


def _spoilt(world, tmp_path, change):
    """The flux files with the last one changed by ``change(dataset)``."""
    path = tmp_path / "2001.nc"
    shutil.copy(world.flux[-1], path)
    with netCDF4.Dataset(path, "a") as data:
        data.set_auto_maskandscale(False)
        change(data)
    return [*world.flux[:-1], path]


def _lose_days(data):
    data["time"][:] = data["time"][:] + 1


def _lose_data(data):
    data["fch4"][:] = -32768


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_lose_days, "do not make one whole year"),
        (_lose_data, "values of active cells are missing"),
        (lambda d: d.setncattr("fluxatlas_version", "0.0.9"), "other version of fluxatlas"),
        (lambda d: d.setncattr("fluxatlas_settings", '{"regrid": "conservative"}'), "other settings"),
        (lambda d: d.setncattr("fluxatlas_inputs", '{"member 0": "bb"}'), "other members"),
        (lambda d: d["fch4"].setncattr("scale_factor", 0.002), "packed differently"),
    ],
)
def test_tiles_that_do_not_fit_are_refused_and_leave_no_file(world, tmp_path, change, message) -> None:
    flux = _spoilt(world, tmp_path, change)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=message):
        write_daily(tmp_path / "out" / "fch4_2001.nc", "fch4", 2001, flux, world.attributes, system="soil_methane_sink")
    assert not list((tmp_path / "out").iterdir())


def test_a_number_of_workers_is_no_difference(world, tmp_path) -> None:
    flux = _spoilt(world, tmp_path, lambda d: d.setncattr("fluxatlas_settings", '{"regrid": "bilinear", "workers": 8}'))
    for name, tiles in (("others", flux), ("same", world.flux)):
        write_daily(tmp_path / f"{name}.nc", "fch4", 2001, tiles, world.attributes, system="soil_methane_sink")
    with netCDF4.Dataset(tmp_path / "others.nc") as others, netCDF4.Dataset(tmp_path / "same.nc") as same:
        for variable in ("fch4", "fch4_sd"):
            np.testing.assert_array_equal(others[variable][:].filled(), same[variable][:].filled())


def test_an_unknown_variable_and_a_year_without_files_are_refused(world, tmp_path) -> None:
    with pytest.raises(InputError, match="did you mean 'fch4'"):
        write_daily(tmp_path / "x.nc", "fhc4", 2001, world.flux, world.attributes, system="soil_methane_sink")
    with pytest.raises(InputError, match="no flux file of 2002"):
        write_daily(tmp_path / "x.nc", "fch4", 2002, world.flux, world.attributes, system="soil_methane_sink")


def test_a_wide_box_costs_no_more_than_its_tiles_and_is_missing_elsewhere(world, tmp_path) -> None:
    for name, bbox in (("tight", None), ("wide", (-180.0, 20.0, 180.0, 60.0))):
        block = ProductsBlock(chunks=(73, 10, 10))
        path = tmp_path / f"{name}.nc"
        write_daily(path, "fch4", 2001, world.flux, world.attributes, block, system="soil_methane_sink", bbox=bbox)
    with xr.open_dataset(tmp_path / "tight.nc") as tight, xr.open_dataset(tmp_path / "wide.nc") as wide:
        assert wide.sizes["lat"] == 80 and wide.sizes["lon"] == 720
        inside = wide.sel(lat=tight.lat, lon=tight.lon)
        for layer in ("fch4", "fch4_sd", "applicable", "areacella"):
            np.testing.assert_array_equal(inside[layer], tight[layer])
            assert int(wide[layer].notnull().sum()) == int(tight[layer].notnull().sum())
    sizes = {name: (tmp_path / f"{name}.nc").stat().st_size for name in ("tight", "wide")}
    assert sizes["wide"] < 1.1 * sizes["tight"]  # 36 times the cells, not a chunk more


def test_columns_that_are_written_are_those_of_chunks_with_active_cells() -> None:
    def part(columns, active):
        return daily._Part("", (slice(0, 2), columns), (slice(0, 2), slice(None)), np.array([active, active]), "")

    parts = [part(slice(3, 6), [False, True, True]), part(slice(17, 20), [False, False, True])]
    assert daily._held(parts, 23, 5) == (slice(0, 10), slice(15, 20))
    assert daily._held([part(slice(20, 23), [True, False, False])], 23, 5) == (slice(20, 23),)
    assert daily._held([], 23, 5) == () and daily._held([part(slice(0, 1), [False])], 23, 5) == ()
