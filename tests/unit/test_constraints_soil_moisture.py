"""Soil moisture of satellites and reanalyses: the real cells over Hawaii against plain numpy, grids, and bad files."""

from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.errors import InputError, UnitError
from fluxatlas.ingest.constraints.soil_moisture import load_soil_moisture


@pytest.fixture(scope="module")
def hawaii(data_dir: Path) -> Path:
    folder = data_dir / "soil_moisture" / "awst-austria_qa4sm"
    if not folder.exists():
        pytest.skip(f"no real data: {folder} does not exist")
    return folder


def raw(path: Path, *names: str) -> list[np.ndarray]:
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return [file[name][:] for name in names]


def test_esa_cci_keeps_what_has_no_flag(hawaii: Path) -> None:
    path = hawaii / "ESA_CCI_SM_combined/ESA_CCI_SM_C_V04_4/0165.nc"
    sm, flag, sd = raw(path, "sm", "flag", "sm_uncertainty")
    found = load_soil_moisture(path, "esa_cci")
    good = (sm != -9999) & (flag == 0)
    assert found.swc05.dims == ("time", "location")
    assert found.attrs["kept_swc05"] == int(good.sum()) > 1000
    assert found.attrs["missing_swc05"] == int((sm == -9999).sum())
    np.testing.assert_allclose(found.swc05.values[good.T], sm.T[good.T], rtol=1e-6)
    assert not np.isfinite(found.swc05.values[~good.T]).any()
    assert str(found.time.values[0])[:10] == "1978-11-01"
    known = good & (sd != -9999)
    np.testing.assert_allclose(found.swc05_sd.values[known.T], sd.T[known.T], rtol=1e-6)


def test_era5_land_layers_and_gldas_mass(hawaii: Path) -> None:
    path = hawaii / "ERA5_LAND/ERA5_LAND_TESTDATA_HAWAII/0165.nc"
    found = load_soil_moisture(path, "era5_land")
    (expected,) = raw(path, "swvl1")
    np.testing.assert_allclose(found.swc05, expected.T, rtol=1e-6)
    assert found.sizes["time"] == 730
    path = hawaii / "GLDAS/GLDAS_TESTDATA_HAWAII/0165.nc"
    found = load_soil_moisture(path, "gldas")
    mass, days = raw(path, "SoilMoi0_10cm_inst", "time")
    table = pd.DataFrame(np.where(mass == -9999, np.nan, mass).T).groupby(np.floor(days)).mean()
    np.testing.assert_allclose(found.swc05, table / 100, rtol=1e-5)


def test_smap_whose_flag_is_missing_everywhere_says_so(hawaii: Path) -> None:
    path = hawaii / "SMAP/SMAP_V5_PM/netcdf/0165.nc"
    found = load_soil_moisture(path, "smap")
    (sm,) = raw(path, "soil_moisture_pm")
    assert found.attrs["kept_swc05"] == int((sm != -9999).sum())
    assert found.attrs["quality_flag_swc05"] == "none"


def gridded(days: int = 4) -> xr.Dataset:
    """ESA CCI layout: latitude descending is not required; here ascending, with 0-360 longitudes."""
    time = pd.date_range("2010-01-01", periods=days)
    rng = np.random.default_rng(1)
    sm = rng.uniform(0.05, 0.5, (days, 3, 4))
    sm[0, 0, 0] = -9999
    flag = np.zeros(sm.shape, np.int8)
    flag[1, 1, 1] = 4
    coords = {"time": time, "lat": [10.0, 10.25, 10.5], "lon": [359.5, 359.75, 0.0, 0.25]}
    dims = ("time", "lat", "lon")
    return xr.Dataset({"sm": (dims, sm, {"units": "m3 m-3"}), "flag": (dims, flag)}, coords)


def test_a_grid(tmp_path: Path) -> None:
    data = gridded()
    data.to_netcdf(tmp_path / "cci.nc")
    found = load_soil_moisture(tmp_path / "cci.nc", "esa_cci")
    np.testing.assert_array_equal(found.lat, [10.5, 10.25, 10.0])
    np.testing.assert_array_equal(found.lon, [-0.5, -0.25, 0.0, 0.25])
    assert np.isnan(found.swc05.sel(lat=10.0, lon=-0.5)[0])
    assert np.isnan(found.swc05.sel(lat=10.25, lon=-0.25)[1])
    assert (found.attrs["kept_swc05"], found.attrs["flagged_swc05"], found.attrs["missing_swc05"]) == (46, 1, 1)
    np.testing.assert_allclose(found.swc05[2].values, data.sm[2].values[::-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda d: d.rename(sm="ssm"), InputError, "none of the variables sm"),
        (lambda d: d.assign(sm=d.sm.assign_attrs(units="K")), UnitError, "the unit of 'sm' is 'K'"),
        (lambda d: d.isel(time=[0, 1, 1]), InputError, "present more than once"),
        (lambda d: d.isel(time=slice(0, 0)), InputError, r"no time|no time steps"),
        (lambda d: d.drop_vars("time"), InputError, "no time that can be read"),
        (lambda d: d.drop_vars("lat"), InputError, "no coordinate called latitude"),
        (lambda d: d.assign(flag=d.flag + 1), InputError, "no value is left"),
        (lambda d: d.assign(sm=(d.sm * 0 - 9999).assign_attrs(d.sm.attrs)), InputError, "no value is left"),
        (lambda d: d.assign(sm=(d.sm * 0 + 40).assign_attrs(d.sm.attrs)), InputError, "no value is left"),
    ],
)
def test_unusable_files(tmp_path: Path, edit, error: type, message: str) -> None:
    edit(gridded()).to_netcdf(tmp_path / "cci.nc")
    with pytest.raises(error, match=message) as caught:
        load_soil_moisture(tmp_path / "cci.nc", "esa_cci")
    assert caught.value.where
    assert caught.value.hint


def test_missing_and_unknown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file not found"):
        load_soil_moisture(tmp_path / "no.nc", "smap")
    with pytest.raises(InputError, match="did you mean 'smap'"):
        load_soil_moisture(tmp_path / "no.nc", "smapp")
