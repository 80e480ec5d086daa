"""Leaf-area composites: names and layouts that must be understood."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.config.lai import lai_inputs
from fluxatlas.config.static import StaticBlock, static_inputs
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.regrid.lai import read_lai
from fluxatlas.regrid.lai_dates import date_in
from fluxatlas.regrid.lai_files import index
from lai_composites import CLOUDY, FRAME, GOOD, PIXELS, flat, netcdf, series, starts, tif, year

NAMES = {
    "MCD15A3H.061_Lai_500m_doy2008001_aid0001.tif": date(2008, 1, 1),
    "MCD15A2H.061_Lai_500m_doy2020361000000_aid0001.tif": date(2020, 12, 26),
    "MCD15A2H.A2008009.h17v04.061.2021123004412_Lai_500m.tif": date(2008, 1, 9),
    "VNP15A2H.002_Lai_doy2012017_aid0001.tif": date(2012, 1, 17),
    "MCD15A3H_Lai_2008_005.tif": date(2008, 1, 5),
    "LAI_2008-01-05_500m.tif": date(2008, 1, 5),
    "2008_01_05_Lai.tif": date(2008, 1, 5),
    "GIMMS_LAI4g_V1.2_19820102.tif": date(1982, 1, 2),
    "c_gls_LAI_200801100000_GLOBE_VGT_V2.0.2.nc": date(2008, 1, 10),
    "GLASS_LAI_V60_2008361.nc": date(2008, 12, 26),
    "Lai_500m.tif": None,
    "LAI_200801.tif": None,  # a month is a date for monthly files alone
}


@pytest.mark.parametrize(("name", "day"), NAMES.items())
def test_dates_in_names(name: str, day: date | None) -> None:
    assert date_in(name, "", "8_days") == day


def test_dates_in_names_of_your_own() -> None:
    assert date_in("LAI_200801.tif", "", "month") == date(2008, 1, 1)
    assert date_in("area7_lai08_2008365_20200101.tif", "_%Y%j_", "8_days") == date(2008, 12, 30)
    assert date_in("31122008x.tif", "%d%m%Yx", "8_days") == date(2008, 12, 31)
    for name, message in (
        ("LAI_20081305.tif", "'20081305' in the name is not a date"),
        ("LAI_doy2009366.tif", "'2009366' in the name is not a date"),
        ("LAI_20080101_20080109.tif", "several dates: 2008-01-01, 2008-01-09"),
    ):
        with pytest.raises(InputError, match=message):
            date_in(name, "", "8_days")


@settings(max_examples=400, deadline=None)
@given(
    st.text(st.characters(categories=["L", "Nd", "Pd", "Po", "Pc"]), max_size=30)
    | st.from_regex(r"[A-Za-z_.]{0,9}(doy|A)?[0-9]{4}[-_.]?[0-9]{2,4}[-_.]?[0-9]{0,9}[._a-z]{0,5}"),
    st.sampled_from(["", "%Y%j", "%Y%m", "x%d%m%Y(", "%Y%Y%j"]),
    st.sampled_from(["8_days", "month"]),
)
def test_no_name_ends_in_a_traceback(name: str, date_format: str, window: str) -> None:
    try:
        day = date_in(name, date_format, window)
    except FluxAtlasError as problem:
        assert problem.what and problem.hint
    else:
        years = {int(name[k : k + 4]) for k in range(len(name) - 3) if name[k : k + 4].isdecimal()}
        assert day is None or day.year in years  # never a date that the name does not hold


def test_a_folder_of_everything_that_was_ordered(tmp_path) -> None:
    """FPAR, standard deviations and the other quality layer lie beside; subfolders and foreign files do not matter."""
    year(tmp_path, lai=25)
    wide = np.full((PIXELS, PIXELS), 7, np.uint8)
    for layer in ("Fpar_500m", "LaiStdDev_500m", "FparExtra_QC"):
        tif(tmp_path / f"MCD15A2H.061_{layer}_doy2009001_aid0001.tif", wide)
    (tmp_path / "README.md").write_text("ordered on 1 May\n")
    for path in (tmp_path, tmp_path / "*.tif", tmp_path / "*_Lai_500m_*.tif"):
        found = read_lai(series(path), FRAME)
        np.testing.assert_allclose(found.values, 2.5, rtol=1e-6)
    assert len(lai_inputs(series(tmp_path / "*_Lai_500m_*.tif"))) == 92  # quality too: the workflow waits for it
    block = StaticBlock.model_validate({"lai_series": {"path": str(tmp_path / "*.tif")}})
    assert len(static_inputs(block)) == 95


def test_quality_in_a_folder_of_its_own(tmp_path) -> None:
    year(tmp_path / "lai", lai=25)
    qualities = tmp_path / "qc"
    qualities.mkdir()
    for path in (tmp_path / "lai").glob("*_FparLai_QC_*"):
        path.rename(qualities / path.name)
    with pytest.raises(InputError, match="no quality file for it"):
        read_lai(series(tmp_path / "lai"), FRAME)
    found = read_lai(series(tmp_path / "lai", quality_path=str(qualities)), FRAME)
    np.testing.assert_allclose(found.values, 2.5, rtol=1e-6)


@pytest.mark.parametrize("calendar", ["julian", "standard", "proleptic_gregorian"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_netcdf_stacks(tmp_path, calendar: str, dtype) -> None:
    days = starts(2008, 4)
    byte = flat(GOOD, len(days), dtype)
    byte[:, :, 0] = CLOUDY
    lai = flat(30, len(days), dtype)
    lai[:, :, 0] = 90
    path = netcdf(tmp_path / "MCD15A3H.006_500m_aid0001.nc", days, lai, byte, calendar=calendar)
    found = read_lai(series(path), FRAME)
    np.testing.assert_allclose(found.values, 3.0, rtol=1e-6)
    assert "92 of 92 composites of 2008-01-01 to 2008-12-30" in found.summary


def test_signed_quality_bytes_are_read_unsigned(tmp_path) -> None:
    days = starts(2008, 4)
    byte = flat(0, len(days), np.uint8)
    byte[:, :, 0] = 157
    path = netcdf(tmp_path / "MCD15A3H.nc", days, flat(30, len(days)), byte.view(np.int8))
    found = read_lai(series(path), FRAME)
    np.testing.assert_allclose(found.share[:, :, 0], 50, rtol=1e-5)


def test_signed_leaf_area_and_other_orders_of_dimensions(tmp_path) -> None:
    """Bytes without a sign in a type that has one (fill codes as -7 to -1), stored as (lon, lat, time), south first."""
    import xarray as xr

    days = starts(2008, 4)
    lai = flat(30, len(days), np.uint8)
    lai[:, 0], lai[:, :, 0] = 60, 253
    path = netcdf(tmp_path / "MCD15A3H.nc", days, lai.view(np.int8), flat(0, len(days)), _FillValue=np.int8(-1))
    with xr.open_dataset(path, decode_times=False, mask_and_scale=False) as data:
        data.load().isel(lat=slice(None, None, -1)).transpose("lon", "lat", "time").to_netcdf(
            tmp_path / "MCD15A3H_t.nc"
        )
    for name in ("MCD15A3H.nc", "MCD15A3H_t.nc"):
        found = read_lai(series(tmp_path / name), FRAME)
        np.testing.assert_allclose(found.values[:, 1:], 3.0, rtol=1e-6)
        np.testing.assert_allclose(found.values[:, 0], 4.5, rtol=1e-4)  # the northern of two rows, by area
        np.testing.assert_allclose(found.share[:, :, 0], 50, rtol=1e-5)


def test_the_same_dates_in_two_containers(tmp_path) -> None:
    netcdf(tmp_path / "MCD15A2H.nc", starts(2009, 8), flat(30), flat(0))
    year(tmp_path)
    with pytest.raises(InputError, match="two composites of 2009-01-01 cover the same cells"):
        read_lai(series(tmp_path, product="MCD15A2H"), FRAME)


def test_leaf_area_that_was_decoded_before(tmp_path) -> None:
    """Floating numbers without a factor are leaf area; decoded fill codes (24.9 to 25.5) are still missing."""
    days = starts(2008, 4)
    lai = flat(3.2, len(days), np.float32)
    lai[:, :, 0], lai[:, :, 1] = 25.3, np.nan
    none = {"scale_factor": None, "add_offset": None, "_FillValue": np.float32(np.nan)}
    path = netcdf(tmp_path / "a.nc", days, lai, flat(0, len(days)), **none)
    np.testing.assert_allclose(read_lai(series(path), FRAME).values[:, :, 2:], 3.2, rtol=1e-6)
    stored = netcdf(tmp_path / "b.nc", days, flat(32.0, len(days), np.float32), flat(0, len(days)), **none)
    with pytest.raises(InputError, match=r"stored values lie outside 0 to 10 .*the first is 32"):
        read_lai(series(stored), FRAME)
    np.testing.assert_allclose(read_lai(series(stored, scale=0.1), FRAME).values, 3.2, rtol=1e-6)


def test_geotiff_stacks_of_described_bands(tmp_path) -> None:
    days = starts(2009, 8)
    names = [f"{day:%Y_%m_%d}_{kind}" for day in days for kind in ("Lai_500m", "FparLai_QC", "Fpar_500m")]
    bands = np.stack([np.full((PIXELS, PIXELS), value, np.uint8) for _ in days for value in (20, 0, 50)])
    bands[1::3][:, :, 0] = CLOUDY
    bands[0::3][:, :, 0] = 99
    found = read_lai(series(tif(tmp_path / "MCD15A2H_2009.tif", bands, names=names)), FRAME)
    np.testing.assert_allclose(found.values, 2.0, rtol=1e-6)
    for day in days:  # one file per date with both
        pairs = np.stack([np.full((PIXELS, PIXELS), value, np.uint8) for value in (20, 0)])
        tif(tmp_path / "each" / f"MCD15A2H_{day:%Y_%m_%d}.tif", pairs, names=["Lai_500m", "FparLai_QC"])
    np.testing.assert_allclose(read_lai(series(tmp_path / "each"), FRAME).values, 2.0, rtol=1e-6)


def test_viirs_has_other_bits(tmp_path) -> None:
    """Byte 0b01110000: main algorithm, needleleaf forest. As MODIS it would be back-up with mixed clouds."""
    year(tmp_path, 2013, lai=15, quality=0b01110000, product="VNP15A2H.002", name="Lai")
    found = read_lai(series(tmp_path), FRAME)
    np.testing.assert_allclose(found.values, 1.5, rtol=1e-6)
    year(tmp_path, 2013, lai=15, quality=0b01110010, product="VNP15A2H.002", name="Lai")
    with pytest.raises(InputError, match="reject all 105,984 pixels: 105,984 scf"):
        read_lai(series(tmp_path), FRAME)


def test_gimms_numbers_the_halves_of_a_month(tmp_path) -> None:
    """YYYYMM01 and YYYYMM02; thousandths, 65535 missing; the flag in the second band."""
    for month in range(1, 13):
        for half in (1, 2):
            bands = np.full((2, PIXELS, PIXELS), 1000 * half + 100 * month, np.uint16)
            bands[1] = 0
            bands[0, :, 0], bands[1, :, 0] = 65535, 65535
            bands[0, :, 1], bands[1, :, 1] = 9000, 2
            tif(tmp_path / f"GIMMS_LAI4g_V1.3_2009{month:02d}{half:02d}.tif", bands, nodata=None)
    found = read_lai(series(tmp_path), FRAME)
    lengths = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    truth = 0.1 * np.arange(1, 13) + (15 * 1 + (lengths - 15) * 2) / lengths
    np.testing.assert_allclose(found.values[:, :, 1:], np.broadcast_to(truth[:, None, None], (12, 24, 23)), rtol=1e-5)
    assert np.isnan(found.values[:, :, 0]).all()
    assert "24 of 24 composites" in found.summary


def test_any_other_product_says_what_it_is(tmp_path) -> None:
    """Coarse, monthly, packed with a range of its own, without a quality byte; interpolated to the target."""
    days = [date(2010, month, 15) for month in range(1, 13)]
    field = np.broadcast_to(np.arange(12, dtype=np.int16)[:, None, None] * 50, (12, 12, 12)).copy()
    field[:, 0, 0] = -999
    wide = {"name": "LAI", "scale_factor": 0.01, "valid_range": np.array([0, 1000], "i2"), "_FillValue": np.int16(-999)}
    path = netcdf(tmp_path / "lai.nc", days, field, calendar="standard", units="1", **wide)
    found = read_lai(series(path, product="other", window="month"), FRAME)
    np.testing.assert_allclose(found.values[:, 12, 12], 0.5 * np.arange(12), atol=1e-5)
    codes = read_lai(series(path, product="other", window="month", nodata=[0, 550]), FRAME).values[:, 12, 12]
    np.testing.assert_allclose(codes[[0, 11]], [0.5 + 4.5 / 3, 0.5 + 9 / 3], atol=1e-5)  # between October and February
    wide["valid_range"] = np.array([0, 500], "i2")
    path = netcdf(tmp_path / "range.nc", days, field, calendar="standard", units="1", **wide)
    with pytest.raises(InputError, match="outside 0 to 500 and are not fill codes; the first is 550"):
        read_lai(series(path, product="other", window="month"), FRAME)
    with pytest.raises(InputError, match="no name tells the product"):
        index(series(tif(tmp_path / "lai_20100101.tif", np.zeros((4, 4), np.uint8))))
