"""What a file says is missing is missing in every reader: codes, limits, signs and values that were never written."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from fluxatlas import missing
from fluxatlas.config.lai import LaiSeries
from fluxatlas.config.static import LandCover, Layer
from fluxatlas.errors import InputError
from fluxatlas.files import open_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.ingest.constraints.inversion_file import InversionFile, InversionRequest
from fluxatlas.ingest.constraints.kinds import KINDS
from fluxatlas.ingest.constraints.soil_moisture import load_soil_moisture
from fluxatlas.ingest.containers import open_container
from fluxatlas.ingest.coordinates import GridWindow
from fluxatlas.ingest.elevation import read_orog
from fluxatlas.ingest.raw_file import RawFile
from fluxatlas.ingest.sites import plumber2
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.regrid.cover import shares
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.lai import read_lai
from fluxatlas.regrid.layers import read_layer

FRAME = Frame.around(get_grid("4km").tile("N36W008", 1))


@dataclass(frozen=True)
class Coding:
    """How 0.2 is stored (``good``) beside something missing (``bad``; ``None``: that is never written)."""

    dtype: str
    good: float
    bad: float | None
    attrs: dict[str, Any] = field(default_factory=dict)


SCALE = {"scale_factor": 0.01}
CODINGS = {
    "valid_max": Coding("f4", 0.2, 0.9, {"valid_max": 0.6}),
    "valid_max on the value": Coding(
        "f4", 0.2, 0.9, {"valid_max": 0.2}
    ),  # of double precision: not below 0.2 of single
    "valid_min": Coding("f4", 0.2, 0.05, {"valid_min": np.float32(0.1)}),
    "valid_range": Coding("f8", 0.2, 0.9, {"valid_range": [0.0, 0.6]}),
    "valid_range as text": Coding("f4", 0.2, 0.9, {"valid_range": "0, 0.6"}),
    "packed range": Coding("i2", 20, 90, {**SCALE, "valid_range": np.array([0, 60], "i2")}),
    "packed valid_max": Coding("i4", 20, 90, {**SCALE, "valid_max": np.int32(60), "_FillValue": np.int32(-9999)}),
    "range of unpacked values": Coding("i2", 20, 90, {**SCALE, "valid_range": [0.0, 0.6]}),
    "range of unpacked values, rounded": Coding("i2", 20, 90, {"scale_factor": 0.01, "valid_max": np.float32(0.2)}),
    "negative factor": Coding("i2", -20, -90, {"scale_factor": -0.01, "valid_max": 0.6}),
    "unsigned code": Coding("i1", 20, -1, {**SCALE, "_Unsigned": "true", "_FillValue": np.int8(-1)}),
    "unsigned missing_value": Coding("i1", 20, -1, {**SCALE, "_Unsigned": "true", "missing_value": np.int8(-1)}),
    "unsigned range": Coding(
        "i1", -56, -6, {"scale_factor": 0.001, "_Unsigned": "true", "valid_range": np.array([0, -55], "i1")}
    ),
    "unsigned range in wider type": Coding(
        "i1", -56, -6, {"scale_factor": 0.001, "_Unsigned": "true", "valid_max": np.int16(201)}
    ),
    "bytes without a code": Coding("u1", 200, 250, {"scale_factor": 0.001, "valid_max": np.uint8(240)}),
    "never written": Coding("f4", 0.2, None),
    "never written double": Coding("f8", 0.2, None),
    "never written, another code": Coding("f4", 0.2, None, {"missing_value": np.float32(-9999)}),
    "never written, packed": Coding("i2", 20, None, dict(SCALE)),
    "never written, unsigned": Coding("u2", 20, None, dict(SCALE)),
    "code of another type": Coding("f4", 0.2, np.float32(1e20), {"missing_value": 1e20}),
    "integer code as float": Coding("i2", 20, -9999, {**SCALE, "missing_value": -9999.0}),
    "code as text": Coding("f4", 0.2, -9999, {"missing_value": "-9999"}),
    "several codes": Coding("f4", 0.2, -8888, {"missing_value": np.array([-9999, -8888], "f4")}),
    "two codes": Coding("f4", 0.2, 1e20, {"_FillValue": np.float32(-9999), "missing_value": np.float32(1e20)}),
}


def write(
    path: Path, axes: dict[str, tuple[Any, dict[str, str]]], name: str, coding: Coding, units: str, like: int = 2
) -> None:
    """One variable over ``axes``, ``good`` everywhere but in the first place of the last ``like`` axes."""
    with netCDF4.Dataset(path, "w") as file:
        for axis, (values, attrs) in axes.items():
            file.createDimension(axis, len(values))
            made = file.createVariable(axis, "f8", (axis,))
            made.setncatts(attrs)
            made[:] = values
        attrs = {"units": units, **coding.attrs}
        made = file.createVariable(name, coding.dtype, tuple(axes), fill_value=attrs.pop("_FillValue", None))
        made.set_auto_maskandscale(False)
        made.setncatts(attrs)
        shape = [len(values) for values, _ in axes.values()]
        bad = np.zeros(shape, bool)
        bad[(..., *[0] * like)] = True
        stored = np.where(bad, 0 if coding.bad is None else coding.bad, coding.good).astype(coding.dtype)
        for place in np.ndindex(*shape):  # one by one: what is not written keeps what the library fills it with
            if coding.bad is not None or not bad[place]:
                made[place] = stored[place]


LAT = (FRAME.lat[:4], {"units": "degrees_north", "standard_name": "latitude"})
LON = (FRAME.lon[:5], {"units": "degrees_east", "standard_name": "longitude"})
DAYS = (np.arange(2.0), {"units": "days since 2001-01-01", "standard_name": "time"})


def forcing(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"time": DAYS, "lat": LAT, "lon": LON}, "wind", coding, "m s-1")
    file = RawFile.open(path)
    window = _window(path)
    into = np.empty((2, *window.shape), np.float32)
    for values in (file.read("wind", slice(0, 2), window), file.read("wind", slice(0, 2), window, into)):
        assert np.isnan(values[:, 0, 0]).all()
    return values[:, 1:, 1:], values[:, 0, 0]


def elevation(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"lat": LAT, "lon": LON}, "orog", coding, "m")
    values = read_orog(path, _window(path))
    return values[1:, 1:], values[0, 0]


def _window(path: Path) -> GridWindow:
    grid = RawFile.open(path).grid
    return grid.window((LON[0][0], LAT[0][-1], LON[0][-1], LAT[0][0]))


def static(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"lat": LAT, "lon": LON}, "clay", coding, "%")
    values = read_layer("clay", Layer(path=str(path), method="conservative"), FRAME)
    return values[1:3, 1:4], values[0, 0]


def lai(path: Path, coding: Coding) -> tuple[Any, Any]:
    months = (np.arange(12) * 30.5 + 10, {"units": "days since 2010-01-01", "calendar": "standard"})
    write(path, {"time": months, "lat": LAT, "lon": LON}, "lai", coding, "1")
    values = read_lai(LaiSeries(path=str(path), product="other", window="month"), FRAME).values
    return values[:, 1:3, 1:4], values[:, 0, 0]


def soil_moisture(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"time": DAYS, "latitude": LAT, "longitude": LON}, "swvl1", coding, "m**3 m**-3")
    found = load_soil_moisture(path, "era5_land")
    assert found.attrs["missing_swc05"] == 2 and found.attrs["kept_swc05"] == 38
    return found.swc05.values[:, 1:, 1:], found.swc05.values[:, 0, 0]


def soil_points(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"time": DAYS, "locations": (np.arange(3.0), {})}, "swvl1", coding, "m**3 m**-3", like=1)
    with netCDF4.Dataset(path, "a") as file:
        for name, values in (("lat", [10.0, 11, 12]), ("lon", [20.0, 21, 22])):
            file.createVariable(name, "f8", ("locations",))[:] = values
    found = load_soil_moisture(path, "era5_land")
    assert found.swc05.dims == ("time", "location")
    return found.swc05.values[:, 1:], found.swc05.values[:, 0]


def inversion(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"time": DAYS, "lat": LAT, "lon": LON}, "NEE", coding, "gC m-2 d-1")
    file = InversionFile(path, KINDS["fluxcom"], InversionRequest())
    ((_, values),) = file.blocks()
    file.close()
    return values[:, 1:, 1:, 0], values[:, 0, 0, 0]


def tower(path: Path, coding: Coding) -> tuple[Any, Any]:
    time = (np.arange(96) * 1800.0, {"units": "seconds since 2001-01-01 00:00:00", "calendar": "standard"})
    write(path, {"time": time}, "Wind", coding, "m/s", like=1)
    with netCDF4.Dataset(path, "a") as file:
        for name, value in (("latitude", 50.0), ("longitude", 10.0)):
            file.createVariable(name, "f8", ())[:] = value
    values = plumber2.read_file(path).table["Wind"].to_numpy()
    return values[1:], values[0]


def inspect(path: Path, coding: Coding) -> tuple[Any, Any]:
    write(path, {"time": DAYS, "lat": LAT, "lon": LON}, "wind", coding, "m s-1")
    (report,) = [v for v in inspect_path(path).variables if v.name == "wind"]
    assert report.missing == 2
    return np.array([report.minimum, report.maximum]), np.nan


READERS = [forcing, elevation, static, lai, soil_moisture, soil_points, inversion, tower, inspect]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", CODINGS)
def test_missing_values_are_missing_in_every_reader(
    name: str, reader: Callable[[Path, Coding], tuple[Any, Any]], tmp_path: Path
) -> None:
    coding = CODINGS[name]
    if reader is lai and {"valid_min", "valid_max", "valid_range"} & set(coding.attrs):
        with pytest.raises(InputError, match="stored values lie outside"):  # stricter: leaf area is refused there
            reader(tmp_path / "file.nc", coding)
        return
    good, bad = reader(tmp_path / "file.nc", coding)
    np.testing.assert_allclose(good, 0.2, rtol=1e-6)
    assert np.isnan(bad).all()


def test_never_written_is_what_the_library_fills_with() -> None:
    ours = {kind: np.array(value, kind)[()] for kind, value in missing.NEVER_WRITTEN.items()}
    assert ours == {kind: np.array(netCDF4.default_fillvals[kind], kind)[()] for kind in ours}


@pytest.mark.parametrize(
    "attrs",
    [
        {"valid_range": [0.0]},
        {"valid_min": "unknown", "missing_value": "none"},
        {"valid_range": [5.0, 1.0]},
        {"valid_min": np.nan, "valid_max": np.inf},
        {"_FillValue": np.float32(np.nan)},
    ],
)
def test_attributes_that_say_nothing_change_nothing(attrs: dict[str, Any]) -> None:
    said = missing.Said.of(attrs, "f4", default=False)
    values = np.array([-1e30, 0.2, 1e30], "f4")
    np.testing.assert_array_equal(said.masked(values), values)
    assert not said.declared


@pytest.mark.parametrize(
    "attrs",
    [
        {"valid_range": "0.0, 0.6", "missing_value": "-9999.f"},
        {"valid_range": "[0, 0.6]", "missing_value": "-9999"},
        {"valid_range": "0 - 0.6", "missing_value": "-9999.d"},
        {"valid_range": "(0.0 0.6)", "_FillValue": "-9999.0f"},
        {"valid_range": "0 to 0.6", "missing_value": "-9999., -8888."},
        {"valid_min": "0.", "valid_max": "0.6d", "missing_value": b"-9999"},
    ],
)
def test_attributes_written_as_text_say_the_same(attrs: dict[str, Any]) -> None:
    said = missing.Said.of(attrs, "f4", default=False)
    found = said.masked(np.array([-9999.0, -0.1, 0.3, 0.9], "f4"))
    np.testing.assert_array_equal(np.isfinite(found), [False, False, True, False])
    assert said.declared and np.float32(-9999) in said.codes


def test_an_unsigned_code_written_as_text_is_missing() -> None:
    said = missing.Said.of({"_FillValue": "255ub", "valid_range": "0UB - 200ub"}, "u1")
    np.testing.assert_array_equal(np.isfinite(said.masked(np.array([0, 200, 201, 255], "u1"))), [1, 1, 0, 0])


def test_a_range_of_another_scale_does_not_empty_a_file() -> None:
    """0 to 10000 as unpacked values of a factor 0.0001 would be 0 to 1e8; 500 to 600 would leave nothing."""
    for ends in ([0.0, 10000.0], [500.0, 600.0]):
        said = missing.Said.of({"scale_factor": 0.0001, "valid_range": ends}, "i2")
        assert said.high is None and not said.outside(np.array([1, 32767], "i2")).any()


def test_land_cover_outside_its_range_or_never_written_is_missing(tmp_path: Path) -> None:
    """Class 220 as the signed byte -36 (as in files of ESA CCI), a range up to it, and 250 beyond."""
    attrs: dict[str, Any] = {"_Unsigned": "true", "valid_min": np.int8(1), "valid_max": np.int8(-36)}
    write(tmp_path / "lc.nc", {"lat": LAT, "lon": LON}, "lccs_class", Coding("i1", -46, -6, attrs), "1")
    found = shares(LandCover(path=str(tmp_path / "lc.nc"), legend="esa_cci"), FRAME)
    assert set(found) == {210}
    write(tmp_path / "never.nc", {"lat": LAT, "lon": LON}, "lccs_class", Coding("i2", 210, None), "1")
    assert set(shares(LandCover(path=str(tmp_path / "never.nc"), legend="esa_cci"), FRAME)) == {210}


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("how", ["xarray", "attribute", "never written", "valid_max", "zero"])
def test_zarr(form: int, packed: bool, how: str, tmp_path: Path) -> None:
    """Format 3 keeps the code of packed integers in an attribute alone; its fill value of 0 says nothing."""
    if how == "attribute" and form == 2:
        pytest.skip("format 2 has one fill value")
    stored = np.array([[20, -9999], [0, 20]], "i2") if packed else np.array([[0.2, -9999], [0, 0.2]], "f4")
    attrs: dict[str, Any] = {"scale_factor": 0.01} if packed else {}
    store = tmp_path / "store.zarr"
    if how == "xarray":
        made = xr.Dataset({"v": (("lat", "lon"), np.where(stored == -9999, np.nan, stored * (0.01 if packed else 1)))})
        code = {"_FillValue": stored.dtype.type(-9999), "dtype": stored.dtype, **attrs}
        made.to_zarr(store, zarr_format=form, encoding={"v": code}, consolidated=form == 2)  # type: ignore[call-overload]
    else:
        group = zarr.open_group(store, mode="w", zarr_format=form)
        fill = -9999 if how == "never written" else 0 if form == 3 else None
        extra = {"dimension_names": ("lat", "lon")} if form == 3 else {}
        array = group.create_array("v", shape=(2, 2), chunks=(1, 1), dtype=stored.dtype, fill_value=fill, **extra)
        attrs |= {"_ARRAY_DIMENSIONS": ["lat", "lon"]} if form == 2 else {}
        attrs |= {"attribute": {"_FillValue": -9999}, "valid_max": {"valid_max": 25 if packed else 0.25}}.get(how, {})
        array.attrs.update(attrs)
        bad = 90 if packed else 0.9
        for place in np.ndindex(2, 2):
            if stored[place] != -9999:
                array[place] = stored[place]
            elif how in ("attribute", "valid_max"):
                array[place] = -9999 if how == "attribute" else bad
            elif how == "zero":
                array[place] = stored[0, 0]
    ((_, found),) = open_container(store, decode_times=False)
    expected = np.array([[0.2, np.nan], [0, 0.2]])
    if how == "zero":
        expected[0, 1] = 0.2
    np.testing.assert_allclose(found["v"].values, expected, rtol=1e-6)


def test_a_code_of_zarr_3_as_xarray_writes_it_for_floating_numbers(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "s.zarr", mode="w", zarr_format=3)
    array = group.create_array("v", shape=(2,), chunks=(1,), dtype="f4", dimension_names=("lat",))
    array.attrs["_FillValue"] = base64.standard_b64encode(np.float64(-5.0).tobytes()).decode()
    array[:] = np.array([1.0, -5.0], "f4")
    np.testing.assert_array_equal(open_container(tmp_path / "s.zarr")[0][1]["v"].values, [1.0, np.nan])


def test_coordinates_times_and_counts_keep_their_types(tmp_path: Path) -> None:
    """Numbers of places and times are not fractions; what is opened as our own keeps what our own says."""
    with netCDF4.Dataset(tmp_path / "f.nc", "w") as file:
        file.createDimension("time", 2)
        file.createDimension("place", 2)
        for name, dims, kind, attrs in (
            ("time", ("time",), "i4", {"units": "days since 2000-01-01", "bounds": "time_bnds"}),
            ("time_bnds", ("time", "place"), "i4", {}),
            ("row_size", ("place",), "i4", {}),
        ):
            made = file.createVariable(name, kind, dims)
            made.setncatts(attrs)
            made[:] = np.arange(made.size).reshape(made.shape)
    with open_netcdf(tmp_path / "f.nc", decode_times=False, foreign=True) as found:
        assert {str(n): v.dtype for n, v in found.variables.items()} == dict.fromkeys(
            ("time", "time_bnds", "row_size"), np.dtype("i4")
        )
