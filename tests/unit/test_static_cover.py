"""Land cover as providers deliver it: ESA CCI, MODIS, plant types and shares, by year; every way it can be wrong."""

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from pydantic import ValidationError

from fluxatlas.config.static import LandCover, StaticBlock, static_inputs
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.cover import groups, read_legend, shares
from fluxatlas.regrid.frame import Frame
from static_layouts import around, netcdf, write_tif

TILE = get_grid("4km").tile("N37W009", 1)
FRAME = Frame.around(TILE)
LAT, LON = around(24, -10, 39, 3)
CELLS = (len(LAT), len(LON))


def codes(west, east):
    """A map with one class in the west of the tile and another in its east, one pixel per target cell."""
    data = np.full(CELLS, west, np.int64)
    data[:, 36:] = east
    return data


def assert_halves(found, west, east):
    assert set(found) == {west, east}
    np.testing.assert_allclose(found[west], np.where(np.arange(24) < 12, 100.0, 0.0)[None, :] * np.ones((24, 1)))
    np.testing.assert_allclose(found[east], 100 - found[west])


def esa_cci(path, data, signed):
    """A map as the provider writes it: bytes that are signed with `_Unsigned` (v2.0.7) or unsigned (C3S v2.1.1)."""
    with netCDF4.Dataset(path, "w") as file:
        for name, values in (("time", [16070.0]), ("lat", LAT), ("lon", LON)):
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = values
        file["time"].setncatts({"units": "days since 1970-01-01 00:00:00", "standard_name": "time"})
        dims = ("lat", "lon") if signed else ("time", "lat", "lon")
        lc = file.createVariable("lccs_class", "i1" if signed else "u1", dims, fill_value=0)
        lc.set_auto_maskandscale(False)
        flags = np.array([0, 10, 130, 190, 210], np.uint8)
        lc.flag_values = flags.view(np.int8) if signed else flags
        lc.flag_meanings = "no_data cropland_rainfed grassland urban water"
        lc.standard_name = "land_cover_lccs"
        if signed:
            lc.setncattr("_Unsigned", "true")
        data = data.astype(np.uint8)
        lc[:] = data.view(np.int8) if signed else data[None]
        for other in ("processed_flag", "observation_count", "change_count"):
            file.createVariable(other, "i2", dims)[:] = 1
    return str(path)


@pytest.mark.parametrize("signed", [True, False])
def test_esa_cci_maps_with_signed_and_unsigned_bytes(tmp_path, signed) -> None:
    found = shares(LandCover(path=esa_cci(tmp_path / "lc.nc", codes(10, 210), signed)), FRAME)
    assert_halves(found, 10, 210)


def test_bytes_whose_sign_got_lost_are_put_right(tmp_path) -> None:
    """210 stored as -46, without the attribute that says so."""
    data = codes(130, 210).astype(np.uint8).view(np.int8)
    path = netcdf(tmp_path / "lc.nc", {"lccs_class": (("lat", "lon"), data)}, LAT, LON)
    assert_halves(shares(LandCover(path=path), FRAME), 130, 210)
    tif = write_tif(tmp_path / "lc.tif", data, -10, 39, 24)
    assert_halves(shares(LandCover(path=tif), FRAME), 130, 210)


def test_a_file_per_year(tmp_path) -> None:
    for year, pair in ((2014, (10, 130)), (2015, (10, 210))):
        esa_cci(tmp_path / f"ESACCI-LC-L4-LCCS-Map-300m-P1Y-{year}-v2.0.7.nc", codes(*pair), False)
    pattern = str(tmp_path / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-{year}-v2.0.7.nc")
    cover = LandCover(path=pattern, year=2014)
    assert_halves(shares(cover, FRAME), 10, 130)
    assert static_inputs(StaticBlock(landcover=cover)) == [pattern.replace("{year}", "2014")]
    with pytest.raises(InputError, match="file not found"):
        shares(LandCover(path=pattern, year=2016), FRAME)
    assert_halves(shares(LandCover(path=pattern, year=2015), FRAME), 10, 210)
    with pytest.raises(ValidationError, match="give 'year'"):
        LandCover(path=pattern)


def test_a_stack_of_years(tmp_path) -> None:
    """MCD12Q1 as AppEEARS gives it in NetCDF: LC_Type1 (time, lat, lon), 255 missing."""
    data = np.stack([codes(4, 10), codes(4, 12), codes(4, 17)]).astype(np.uint8)
    data[:, :40] = 255
    path = str(tmp_path / "MCD12Q1.061_500m_aid0001.nc")
    dataset = xr.Dataset(
        {"LC_Type1": (("time", "lat", "lon"), data, {"long_name": "land cover"}), "QC": (("time", "lat", "lon"), data)},
        {
            "time": ("time", [0, 365, 730], {"units": "days since 2001-01-01", "calendar": "julian"}),
            "lat": LAT,
            "lon": LON,
        },
    )
    dataset.to_netcdf(path, encoding={"LC_Type1": {"_FillValue": 255}})
    found = shares(LandCover(path=path, year=2002, legend="modis_igbp"), FRAME)
    assert set(found) == {4, 12} and np.isnan(found[4][:16]).all() and (found[12][16:, 12:] == 100).all()
    assert set(shares(LandCover(path=path, select={"time": 2}, legend="modis_igbp"), FRAME)) == {4, 17}
    with pytest.raises(InputError, match="no step of the year 2010; the file holds 2001 to 2003"):
        shares(LandCover(path=path, year=2010, legend="modis_igbp"), FRAME)
    with pytest.raises(InputError, match="'time': 3"):
        shares(LandCover(path=path, legend="modis_igbp"), FRAME)


def test_bands_named_by_year(tmp_path) -> None:
    data = np.stack([codes(4, 10), codes(4, 12)]).astype(np.uint8)
    path = write_tif(
        tmp_path / "lc.tif", data, -10, 39, 24, descriptions=("LC_Type1_2001", "LC_Type1_2002"), nodata=255
    )
    assert_halves(shares(LandCover(path=path, year=2002, legend="modis_igbp"), FRAME), 4, 12)
    assert_halves(shares(LandCover(path=path, band=1, legend="modis_igbp"), FRAME), 4, 10)
    with pytest.raises(InputError, match="0 bands are named by the year 2003"):
        shares(LandCover(path=path, year=2003, legend="modis_igbp"), FRAME)
    with pytest.raises(InputError, match="the map has 2 bands"):
        shares(LandCover(path=path, legend="modis_igbp"), FRAME)


def test_the_sinusoidal_grid_of_modis(tmp_path) -> None:
    """MCD12Q1 as GeoTIFF of a tile: the sinusoidal sphere, 463 m; classes by the nearest pixel."""
    crs = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
    size = 463.3127165
    west, north = -9.2 * 111195.08 * np.cos(np.deg2rad(37)) * 1.0, 38.5 * 111195.08
    data = np.full((500, 600), 10, np.uint8)
    transform = rasterio.transform.from_origin(west, north, size, size)
    path = write_tif(tmp_path / "LC.tif", data, 0, 0, 1, crs=crs, transform=transform, nodata=255)
    found = shares(LandCover(path=path, legend="modis_igbp"), FRAME)
    assert set(found) == {10} and (found[10][np.isfinite(found[10])] == 100).all()
    assert np.isfinite(found[10]).mean() > 0.8


def percent(seed=1, layers=17, total=100):
    """Random whole percentages by class that add up to ``total`` in every cell, (lat, lon, class)."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(0, total + 1, (*CELLS, layers - 1)), axis=-1)
    return np.diff(cuts, axis=-1, prepend=0, append=total)


def mcd12c1(
    path, data, dims, lat=LAT, lon=LON, name="Majority_Land_Cover_Type_1_Percent", labels=None, units="percent"
):
    coords = {"lat": ("lat", lat), "lon": ("lon", lon)}
    if labels is not None:
        coords["Num_IGBP_Classes"] = ("Num_IGBP_Classes", labels)
    attrs = {"units": units} if units else {}
    majority = (("lat", "lon"), data.argmax(axis=dims.index("Num_IGBP_Classes")).astype(np.uint8))
    variables = {name: (dims, data.astype(np.uint8), attrs), "Majority_Land_Cover_Type_1": majority}
    xr.Dataset(variables, coords).to_netcdf(path)
    return str(path)


def overlaps(centres, step, low, high, of):
    """Length of the overlap of each cell of an axis with [low, high], measured by ``of``."""
    ends = np.clip(centres - step / 2, low, high), np.clip(centres + step / 2, low, high)
    return of(ends[1]) - of(ends[0])


LAST = ("lat", "lon", "Num_IGBP_Classes")


@pytest.mark.parametrize("labels", [None, np.arange(17), np.arange(1, 18)])
def test_mcd12c1_percentages_by_class(tmp_path, labels) -> None:
    """17 layers are classes 0 to 16, also where a conversion numbered them from 1; the class dimension may be last."""
    data = percent()
    for dims, values in ((LAST, data), (("Num_IGBP_Classes", "lat", "lon"), np.moveaxis(data, -1, 0))):
        path = mcd12c1(tmp_path / "MCD12C1.nc", values, dims, labels=labels)
        found = shares(LandCover(path=path, legend="modis_igbp"), FRAME)
        for code in range(17):
            np.testing.assert_allclose(found[code], data[24:48, 24:48, code], atol=1e-4, err_msg=str(code))


def test_mcd12c1_on_its_own_grid_keeps_the_whole(tmp_path) -> None:
    """0.05 degree, coarser than the target: exact overlaps, which add up to 100; 255 is missing."""
    lat, lon = around(20, -10, 39, 3)
    rng = np.random.default_rng(2)
    cuts = np.sort(rng.integers(0, 101, (60, 60, 16)), axis=-1)
    data = np.diff(cuts, axis=-1, prepend=0, append=100)
    data[:22] = 255
    path = mcd12c1(tmp_path / "c1.nc", data, LAST, lat, lon)
    found = shares(LandCover(path=path, legend="modis_igbp"), FRAME)
    total = sum(found.values())
    np.testing.assert_allclose(total[np.isfinite(total)], 100, rtol=1e-6)
    assert np.isnan(total[:2]).all() and np.isfinite(total[3:]).all()
    for row, column in ((5, 5), (17, 20)):  # by the overlaps of the rectangles, in sine of latitude and longitude
        north, west = 38 - row / 24, -9 + column / 24
        height = overlaps(lat, 0.05, north - 1 / 24, north, lambda edge: np.sin(np.deg2rad(edge)))
        width = overlaps(lon, 0.05, west, west + 1 / 24, lambda edge: edge)
        share = height[:, None] * width[None, :]
        known = data[..., 4] != 255
        expected = (share * data[..., 4])[known].sum() / share[known].sum()
        assert found[4][row, column] == pytest.approx(expected, rel=1e-5)


def test_shares_without_coordinates_of_a_global_grid(tmp_path) -> None:
    """YDim and XDim of HDF-EOS in the ratio of the globe, without coordinates: 90 N and 180 W are the corner."""
    data = np.zeros((180, 360, 17), np.uint8)
    data[..., 0] = 100
    data[52, 171] = np.r_[[0] * 4, 30, [0] * 7, 70, [0] * 4]
    dims = ("YDim:MOD12C1", "XDim:MOD12C1", "Num_IGBP_Classes:MOD12C1")
    names = [name.replace(":", "_") for name in dims]
    xr.Dataset({"Land_Cover_Type_1_Percent": (names, data)}).to_netcdf(tmp_path / "g.nc")
    found = shares(LandCover(path=str(tmp_path / "g.nc"), legend="modis_igbp"), FRAME)
    assert set(found) == {4, 12}
    np.testing.assert_allclose(found[4], 30, rtol=1e-5)
    meaning = groups(found, read_legend("modis_igbp"), FRAME)
    np.testing.assert_allclose(meaning["crop"], 70, rtol=1e-5)


def test_bands_of_a_raster_are_shares(tmp_path) -> None:
    data = np.moveaxis(percent(3), -1, 0).astype(np.uint8)
    path = write_tif(tmp_path / "MCD12C1_Land_Cover_Type_1_Percent.tif", data, -10, 39, 24, nodata=255)
    found = shares(LandCover(path=path, legend="modis_igbp"), FRAME)
    np.testing.assert_allclose(found[12], data[12, 24:48, 24:48], atol=1e-4)
    other = write_tif(
        tmp_path / "stack.tif", data[:3] * 0 + np.array([20, 30, 50], np.uint8)[:, None, None], -10, 39, 24
    )
    chosen = LandCover(path=other, legend="modis_igbp", content="shares", classes=[10, 12, 17])
    found = shares(chosen, FRAME)
    assert {code: round(float(share[3, 3])) for code, share in found.items()} == {10: 20, 12: 30, 17: 50}
    with pytest.raises(InputError, match="does not say which classes its 3 layers are"):
        shares(chosen.model_copy(update={"classes": []}), FRAME)
    with pytest.raises(InputError, match="2 classes"):
        shares(chosen.model_copy(update={"classes": [1, 2]}), FRAME)


def test_plant_functional_types_are_variables_by_type(tmp_path) -> None:
    """ESA CCI PFT: one variable per type in percent, WATER is the sum of inland and ocean and must not count twice."""
    parts = {"TREES-BD": 20, "GRASS-NAT": 25, "GRASS-MAN": 30, "BARE": 5, "BUILT": 10, "WATER_INLAND": 10}
    variables = {name: (("lat", "lon"), np.full(CELLS, value), {"units": "%"}) for name, value in parts.items()}
    variables |= {name: (("lat", "lon"), np.full(CELLS, 0)) for name in ("TREES-BE", "WATER_OCEAN", "SNOWICE")}
    variables["WATER"] = (("lat", "lon"), np.full(CELLS, 10))
    path = netcdf(tmp_path / "ESACCI-LC-L4-PFT-Map-300m-P1Y-2020-v2.0.8.nc", variables, LAT, LON)
    found = shares(LandCover(path=path, legend="esa_cci_pft"), FRAME)
    assert sum(share[0, 0] for share in found.values()) == pytest.approx(100)
    meaning = groups(found, read_legend("esa_cci_pft"), FRAME)
    assert {name: round(float(meaning[name][4, 4])) for name in ("upland", "crop", "wetland", "water", "urban")} == {
        "upland": 80, "crop": 30, "wetland": 0, "water": 10, "urban": 10}  # fmt: skip


@pytest.mark.parametrize(("unit", "factor"), [("1", 0.01), ("", 0.01), ("%", 1.0), ("", 1.0), ("percent", 1.0)])
def test_fractions_and_percentages(tmp_path, unit, factor) -> None:
    """CMIP's landCoverFrac (type, lat, lon) with class codes as coordinate; rounding of up to 5 % is taken out."""
    data = np.moveaxis(percent(4, 3, 99), -1, 0) * factor
    attrs = {"units": unit} if unit else {}
    coords = {"type": [10, 130, 210], "lat": LAT, "lon": LON}
    path = tmp_path / "landCoverFrac.nc"
    xr.Dataset({"landCoverFrac": (("type", "lat", "lon"), data, attrs)}, coords).to_netcdf(path)
    found = shares(LandCover(path=str(path)), FRAME)
    np.testing.assert_allclose(sum(found.values()), 100, rtol=1e-6)
    np.testing.assert_allclose(found[130], data[1, 24:48, 24:48] / factor * 100 / 99, atol=1e-4)


def test_shares_that_leave_the_sea_out_stay_as_they_are(tmp_path) -> None:
    data = np.stack([np.full(CELLS, 40.0), np.full(CELLS, 20.0)])
    coords = {"type": [10, 130], "lat": LAT, "lon": LON}
    path = tmp_path / "f.nc"
    xr.Dataset({"landCoverFrac": (("type", "lat", "lon"), data, {"units": "%"})}, coords).to_netcdf(path)
    found = shares(LandCover(path=str(path)), FRAME)
    np.testing.assert_allclose(found[10], 40)


def _write_shares(path, data, labels=(10, 130, 210), dim="type", name="landCoverFrac", units=None):
    coords = {dim: list(labels), "lat": LAT, "lon": LON} if labels is not None else {"lat": LAT, "lon": LON}
    attrs = {"units": units} if units else {}
    xr.Dataset({name: ((dim, "lat", "lon"), data, attrs)}, coords).to_netcdf(path)


THIRDS = np.ones((3, *CELLS)) / 3
MAP, YX = codes(10, 130), ("lat", "lon")
BAD = {
    "absent": (lambda p: None, {}, "file not found"),
    "empty": (lambda p: p.write_bytes(b""), {}, "file is empty"),
    "text": (lambda p: p.write_text("a map"), {}, "cannot be read as a raster"),
    "hdf4": (lambda p: p.write_bytes(b"\x0e\x03\x13\x01" + bytes(99)), {}, "HDF4 files cannot be read"),
    "zip": (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(99)), {}, "is packed"),
    "no map": (lambda p: netcdf(p, {"a": (("lat",), LAT)}, LAT, LON), {}, "no variable has axes lat and lon"),
    "several": (lambda p: netcdf(p, dict.fromkeys("ab", (YX, MAP)), LAT, LON), {}, r"could be any of \['a', 'b'\]"),
    "wrong name": (lambda p: netcdf(p, {"a": (("lat", "lon"), MAP)}, LAT, LON), {"variable": "b"}, "no variable 'b'"),
    "wrong legend": (lambda p: netcdf(p, {"a": (YX, codes(3, 4))}, LAT, LON), {}, r"classes \[3, 4\] are not"),
    "only missing": (lambda p: netcdf(p, {"a": (("lat", "lon"), 0 * MAP)}, LAT, LON), {}, "missing values only"),
    "no shares": (lambda p: netcdf(p, {"a": (("lat", "lon"), MAP)}, LAT, LON), {"content": "shares"}, "one layer only"),
    "no labels": (lambda p: _write_shares(p, THIRDS, None), {}, "which classes its 3 layers are"),
    "positions": (lambda p: _write_shares(p, THIRDS, (1, 2, 3)), {"legend": "modis_igbp"}, "classes or positions"),
    "unknown": (lambda p: _write_shares(p, THIRDS, (10, 130, 999)), {}, r"classes \[999\] are not in the legend"),
    "names": (lambda p: _write_shares(p, THIRDS, ("trees", "b", "c")), {}, "no class is called"),
    "too much": (lambda p: _write_shares(p, THIRDS * 200, units="%"), {}, "add up to 200 %"),
    "wrong unit": (lambda p: _write_shares(p, THIRDS * 100, units="1"), {}, "add up to 10000 %"),
    "small": (lambda p: _write_shares(p, THIRDS / 2), {}, "fraction or percent"),
    "negative": (lambda p: _write_shares(p, THIRDS - 1), {}, "a share is -0.66"),
    "nan": (lambda p: _write_shares(p, THIRDS * np.nan), {}, "missing values only"),
    "select": (lambda p: netcdf(p, {"a": (("lat", "lon"), MAP)}, LAT, LON), {"select": {"z": 1}}, "no dimension 'z'"),
    "no year": (lambda p: netcdf(p, {"a": (("lat", "lon"), MAP)}, LAT, LON), {"year": 2001}, "no series in time"),
    "no legend": (lambda p: netcdf(p, {"a": (("lat", "lon"), MAP)}, LAT, LON), {"legend": "esa"}, "no legend 'esa'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_land_cover_is_refused_with_one_message(tmp_path, case) -> None:
    make, options, message = BAD[case]
    path = tmp_path / "map.nc"
    make(path)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        shares(LandCover(path=str(path), **options), Frame.around(TILE, 30))
    assert caught.value.hint and ("map.nc" in caught.value.where or case == "no legend")


@pytest.mark.parametrize(
    ("row", "message"),
    [("10,x,1,1,0,forest", "'forest' of class 10 is not a cover"), ("10,x,2,0,0,crop", "outside 0-1"),
     ("ten,x,1,0,0,crop", "no number"), ("10,x,1", "lacks")],
)  # fmt: skip
def test_bad_legends_are_refused(tmp_path, row, message) -> None:
    path = tmp_path / "legend.csv"
    path.write_text(f"class,name,upland,crop,wetland,cover\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_legend(str(path))
