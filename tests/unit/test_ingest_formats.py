"""ERA5(-Land) as zip, Zarr and GRIB: the same days as from NetCDF, conserved across month and year ends; bad ones."""

import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import InputError
from fluxatlas.ingest.containers import open_container
from ingest_raw import LAT, LON, LONG, era5_land, hourly_truth, open_forcing, write_grib, write_months

BOX = (-124.2, 40.1, -122.9, 41.2)
START, STOP = np.datetime64("2000-12-30"), np.datetime64("2001-01-02")
INSTANT = ["t2m", "d2m", "sp", "u10", "v10"]
needs_eccodes = pytest.mark.skipif(importlib.util.find_spec("eccodes") is None, reason="ecCodes is not installed")


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    return hourly_truth("2000-12-30", "2001-01-02T01").astype(np.float32, keep_attrs=True)


@pytest.fixture(scope="module")
def expected(truth: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("netcdf")
    return open_forcing("era5_land", write_months(era5_land(truth), folder), []).days(START, STOP, BOX)


def conserved(days: xr.Dataset, truth: xr.Dataset, rtol: float = 1e-5) -> None:
    """Daily totals are the sums of the 24 hours that end after 00 UTC, also on 31 December."""
    shifted = truth.assign_coords(time=truth.time - np.timedelta64(1, "h")).sel(time=slice("2000-12-30", "2001-01-01"))
    for name, raw, factor in (("pr", "tp", 86.4), ("rsds", "ssrd", 86400.0), ("rlds", "strd", 86400.0)):
        sums = shifted[raw].astype(np.float64).resample(time="1D").sum()
        np.testing.assert_allclose(days[name] * factor, sums, rtol=rtol, atol=1e-8, err_msg=name)


def zipped(data: xr.Dataset, path: Path) -> Path:
    """As the new climate data store delivers a month: one member per step type, valid_time, number and expver."""
    data = data.rename(time="valid_time").assign_coords(number=0)
    data = data.assign_coords(expver=("valid_time", np.full(data.sizes["valid_time"], "0001")))
    with zipfile.ZipFile(path, "w") as archive:
        for kind, names in (("instant", INSTANT), ("accum", ["tp", "ssrd", "strd"])):
            member = path.with_suffix(f".{kind}.nc")
            data[names].to_netcdf(member, engine="netcdf4")
            archive.write(member, f"data_stream-oper_stepType-{kind}.nc")
            member.unlink()
    return path


def months(data: xr.Dataset) -> list[xr.Dataset]:
    month = data.time.values.astype("datetime64[M]")
    return [data.isel(time=np.flatnonzero(month == m)) for m in np.unique(month)]


def test_zip_by_step_type(tmp_path: Path, truth: xr.Dataset, expected: xr.Dataset) -> None:
    files = [zipped(part, tmp_path / f"{i}.zip") for i, part in enumerate(months(era5_land(truth)))]
    days = open_forcing("era5_land", files[:1], files[1:]).days(START, STOP, BOX)
    xr.testing.assert_allclose(days, expected)
    conserved(days, truth)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_cloud_zarr(tmp_path: Path, truth: xr.Dataset, expected: xr.Dataset, version: int, consolidated: bool) -> None:
    """ARCO layout: long names, one hour per chunk, 0-360 degrees, descending latitude, hourly amounts."""
    cloud = truth.rename(LONG).assign_coords(longitude=truth.longitude + 360)
    store = tmp_path / "era5.zarr"
    encoding = {name: {"chunks": (1, LAT.size, LON.size)} for name in cloud.data_vars}
    cloud.to_zarr(store, zarr_format=version, consolidated=consolidated, encoding=encoding)
    days = open_forcing("era5", [store], []).days(START, STOP, BOX)
    xr.testing.assert_allclose(days, expected, rtol=2e-5)
    conserved(days, truth)


def test_zarr_in_a_zip(tmp_path: Path, truth: xr.Dataset, expected: xr.Dataset) -> None:
    store = tmp_path / "store"
    truth.to_zarr(store, zarr_format=2)
    path = tmp_path / "era5.zarr.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in store.rglob("*"):
            archive.write(member, member.relative_to(store).as_posix())
    xr.testing.assert_allclose(open_forcing("era5", [path], []).days(START, STOP, BOX), expected, rtol=2e-5)


@needs_eccodes
def test_grib(tmp_path: Path, truth: xr.Dataset) -> None:
    raw = era5_land(truth)
    sea = raw.where(raw.longitude > -123.9)
    for name in raw.data_vars:
        sea[name].attrs = raw[name].attrs
    files = [write_grib(part, tmp_path / f"{i}.grib") for i, part in enumerate(months(sea))]
    days = open_forcing("era5_land", files[:1], files[1:]).days(START, STOP, BOX)
    assert bool(days.tas[:, :, 0].isnull().all())
    conserved(days.isel(lon=slice(1, None)), truth.isel(longitude=slice(1, None)), rtol=3e-5)
    np.testing.assert_allclose(
        days.tas[:, :, 1:],
        truth.t2m.isel(time=slice(0, 72), longitude=slice(1, None)).resample(time="1D").mean(),
        rtol=1e-6,
    )


@needs_eccodes
def test_broken_grib(tmp_path: Path, truth: xr.Dataset) -> None:
    path = write_grib(truth[["t2m"]].isel(time=slice(0, 3)), tmp_path / "a.grib")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 30])
    with pytest.raises(InputError, match="cannot be read as GRIB"):
        open_container(path)


def test_grib_without_eccodes_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eccodes.py").write_text("raise ModuleNotFoundError('No module named eccodes')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{__import__('os').environ.get('PYTHONPATH', '')}")
    path = tmp_path / "a.grib"
    path.write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(InputError, match=r"need ecCodes(.|\n)*fluxatlas\[grib\]"):
        open_container(path)


def cut(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def without_data(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("licence.pdf", "text")


def with_a_broken_member(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data_stream-oper_stepType-instant.nc", b"\x89HDF broken")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (cut, "cannot be read as a zip archive"),
        (without_data, "holds no NetCDF or GRIB file but licence.pdf"),
        (with_a_broken_member, r"cannot be read as NetCDF(.|\n)*\.zip:data_stream-oper_stepType-instant.nc"),
    ],
)
def test_broken_zip(tmp_path: Path, truth: xr.Dataset, edit: Callable[[Path], None], message: str) -> None:
    path = zipped(truth.isel(time=slice(0, 2)), tmp_path / "a.zip")
    edit(path)
    with pytest.raises(InputError, match=message) as caught:
        open_container(path)
    assert caught.value.hint


def test_broken_zarr(tmp_path: Path, truth: xr.Dataset) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be read as a Zarr store"):
        open_container(tmp_path / "folder")
    store = tmp_path / "store.zarr"
    truth[["t2m"]].to_zarr(store, zarr_format=2)
    (store / "t2m" / "0.0.0").write_bytes(b"damaged")
    with pytest.raises(InputError, match="'t2m' cannot be read"):
        open_forcing("era5_land", [store], []).days(START, STOP, BOX, ["tas"])


def test_a_missing_zarr_chunk_is_missing_data(tmp_path: Path, truth: xr.Dataset) -> None:
    """A half-written store reads as missing values, which are refused like any hole."""
    store = tmp_path / "store.zarr"
    truth[["t2m"]].to_zarr(store, zarr_format=2, encoding={"t2m": {"chunks": (24, 4, 5)}})
    (store / "t2m" / "1.0.0").unlink()
    with pytest.raises(InputError, match="missing on some days only"):
        open_forcing("era5_land", [store], []).days(START, STOP, BOX, ["tas"])
