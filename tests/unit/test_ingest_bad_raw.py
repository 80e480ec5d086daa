"""Every defect of a raw file is one InputError that names file, variable and time, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas.config.base import UnitOverride
from fluxatlas.errors import ConfigError, InputError, UnitError
from fluxatlas.ingest.archive import Archive, Field
from fluxatlas.ingest.elevation import read_orog
from fluxatlas.ingest.mapping import MappedSource
from ingest_raw import LAT, LON, era5_land, hourly_truth, open_forcing, write_geopotential, write_months

BOX = (-124.2, 40.1, -122.9, 41.2)
START, STOP = np.datetime64("2001-01-01"), np.datetime64("2001-01-03")


@pytest.fixture(scope="module")
def raw() -> xr.Dataset:
    return era5_land(hourly_truth("2001-01-01", "2001-01-03T01"))


def read(files: list[Path], *variables: str) -> xr.Dataset:
    return open_forcing("era5_land", files, []).days(START, STOP, BOX, variables or None)


def without(*hours: int) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda d: d.isel(time=[h for h in range(d.sizes["time"]) if h not in hours])


def with_time(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda d: d.assign_coords(time=values(d.time.values))


def set_values(name: str, value: float, *index: object) -> Callable[[xr.Dataset], xr.Dataset]:
    def edit(data: xr.Dataset) -> xr.Dataset:
        data = data.copy(deep=True)
        data[name].values[index or ...] = value
        return data

    return edit


def set_unit(name: str, unit: str | None) -> Callable[[xr.Dataset], xr.Dataset]:
    def edit(data: xr.Dataset) -> xr.Dataset:
        data = data.copy()
        data[name].attrs = {} if unit is None else {"units": unit}
        return data

    return edit


def shift_one_latitude(data: xr.Dataset) -> xr.Dataset:
    return data.assign_coords(latitude=[41.0, 40.7, 40.5, 40.25])


DEFECTS: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "gap": (without(5, 6, 30), r"3 of 48 steps of '\w+' .* missing, the first at 2001-01-01 05:00"),
    "cut short": (without(*range(40, 49)), r"the data end at 2001-01-02 15:00"),
    "duplicate": (
        lambda d: xr.concat([d.isel(time=slice(0, 10)), d.isel(time=slice(9, None))], "time"),
        r"more than once",
    ),
    "half hours": (
        with_time(lambda t: t + np.timedelta64(30, "m")),
        r"missing, the first at 2001-01-01 00:00.*; all are stamped 30 min after the times(.|\n)*'stamp'",
    ),
    "three-hourly": (
        lambda d: d.isel(time=slice(0, None, 3)),
        r"missing, .*a step every 3 h, one every 1 h is expected(.|\n)*step_hours: 3",
    ),
    "finer step": (
        lambda d: d.reindex(time=np.arange(START, STOP + 1, np.timedelta64(30, "m")).astype("datetime64[ns]")),
        "between the expected ones, the first at 2001-01-01 00:30",
    ),
    "missing time": (
        with_time(lambda t: np.where(np.arange(t.size) == 3, np.datetime64("NaT"), t)),
        "a time is missing",
    ),
    "missing variable": (lambda d: d.drop_vars("ssrd"), "no variable 'ssrd'; did you mean 'strd'"),
    "empty variable": (set_values("t2m", np.nan), r"'tas\w*' is missing everywhere"),
    "hole": (set_values("sp", np.nan, 30, 1, 2), r"missing on some days only \(1 cells\)(.|\n)*2001-01-02"),
    "out of range": (set_values("t2m", 400.0, slice(0, 24), 0, 0), r"lie outside \[190, 335\] K(.|\n)*'t2m'"),
    "undeclared missing code": (set_values("sp", -9999.0, slice(None), 2, 2), r"lie outside"),
    "wrong unit": (set_unit("t2m", "Pa"), r"'Pa' cannot be converted to 'K'"),
    "unreadable unit": (set_unit("u10", "furlongs per x"), r"not a unit that can be read"),
    "no unit": (set_unit("tp", None), r"'tp' has no unit"),
    "irregular latitude": (shift_one_latitude, r"lat is not evenly spaced: 40.7 should be 40.75"),
    "beyond the pole": (lambda d: d.assign_coords(latitude=d.latitude + 60), "lies beyond the pole"),
    "no longitude": (lambda d: d.rename(longitude="cell"), r"no coordinate called longitude"),
    "extra dimension": (lambda d: d.assign(t2m=d.t2m.expand_dims(member=2)), "extra dimension member"),
    "no time dimension": (lambda d: d.assign(t2m=d.t2m.isel(time=0, drop=True)), "'t2m' has no dimension time"),
    "text": (lambda d: d.assign(t2m=d.t2m.astype(str).astype("S3")), "holds no numbers"),
    "no steps": (lambda d: d.isel(time=slice(0, 0)), "no time steps|none of the files|decode"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_refused_with_one_message(tmp_path: Path, raw: xr.Dataset, defect: str) -> None:
    edit, message = DEFECTS[defect]
    path = tmp_path / "2001_01.nc"
    data = edit(raw)
    numbers = {n: np.float32 for n in data.data_vars if data[n].dtype.kind == "f"}
    data.assign({n: data[n].astype(kind, keep_attrs=True) for n, kind in numbers.items()}).to_netcdf(path)
    with pytest.raises(InputError, match=message) as caught:
        read([path])
    assert caught.value.where
    assert caught.value.hint


def test_a_time_without_origin_is_refused(tmp_path: Path, raw: xr.Dataset) -> None:
    path = tmp_path / "2001_01.nc"
    raw.assign_coords(time=("time", np.arange(49), {"units": "hours"})).to_netcdf(path)
    with pytest.raises(InputError, match=r"time unit|decode"):
        read([path])


def test_missing_empty_and_truncated_files(tmp_path: Path, raw: xr.Dataset) -> None:
    with pytest.raises(InputError, match="file not found"):
        read([tmp_path / "2001_01.nc"])
    with pytest.raises(InputError, match="no raw file is given"):
        read([])
    (path,) = write_months(raw, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(InputError, match="file is empty"):
        read([path])
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        read([path])
    path.write_text("<html>503 Service Unavailable</html>")
    with pytest.raises(InputError, match="cannot be read as NetCDF"):
        read([path])


def test_a_truncated_classic_file_is_refused(tmp_path: Path, raw: xr.Dataset) -> None:
    path = tmp_path / "2001_01.nc"
    raw.astype(np.float32, keep_attrs=True).to_netcdf(path, format="NETCDF3_CLASSIC")
    whole = path.read_bytes()
    assert read([path]).sizes["time"] == 2
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        read([path])


def test_a_damaged_block_is_refused(tmp_path: Path, raw: xr.Dataset) -> None:
    path = tmp_path / "2001_01.nc"
    raw.astype(np.float32, keep_attrs=True).to_netcdf(path, encoding={n: {"zlib": True} for n in raw.data_vars})
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 4000] = bytes(4000)
    path.write_bytes(bytes(damaged))
    with pytest.raises(InputError, match="truncated"):
        read([path])


def test_files_must_agree(tmp_path: Path, raw: xr.Dataset) -> None:
    first, second = raw.isel(time=slice(0, 25)), raw.isel(time=slice(25, None))
    a, b = tmp_path / "a.nc", tmp_path / "b.nc"
    first.to_netcdf(a)
    second.assign_coords(longitude=second.longitude + 0.1).to_netcdf(b)
    with pytest.raises(InputError, match="grid differs"):
        read([a, b])
    set_unit("t2m", "degC")(second).to_netcdf(b)
    with pytest.raises(InputError, match="unit of 't2m' changes from 'K' to 'degC'"):
        read([a, b])
    raw.isel(time=slice(20, None)).assign(sp=raw.sp + 1).to_netcdf(b)
    with pytest.raises(InputError, match="two files hold different values of 'sp' at 2001-01-01 20:00"):
        read([a, b])


def test_a_domain_elsewhere_is_refused(tmp_path: Path, raw: xr.Dataset) -> None:
    source = open_forcing("era5_land", write_months(raw, tmp_path), [])
    with pytest.raises(InputError, match="the source covers"):
        source.days(START, STOP, (10, 40, 12, 42))


def test_a_variable_that_is_not_mapped(tmp_path: Path, raw: xr.Dataset) -> None:
    with pytest.raises(InputError, match="the source has no 'lai'"):
        read(write_months(raw, tmp_path), "lai")


def test_override_with_reason_is_used_and_recorded(tmp_path: Path, raw: xr.Dataset) -> None:
    files = write_months(raw, tmp_path, set_unit("sp", "kPa"))
    with pytest.raises(InputError, match="lie outside"):
        read(files, "ps")
    override = UnitOverride(units="Pa", reason="the label of this archive was edited by hand")
    source = open_forcing("era5_land", files, [], {"sp": override})
    assert source.days(START, STOP, BOX, ["ps"]).ps.mean() == pytest.approx(95_000, rel=0.01)
    assert "'Pa' instead of the label 'kPa': the label of this archive" in source.attrs["unit_overrides"]
    with pytest.raises(ConfigError, match="unknown raw variable 'ps'"):
        open_forcing("era5_land", files, [], {"ps": override})


def test_a_declared_unit_needs_a_reason_where_the_file_disagrees(tmp_path: Path, raw: xr.Dataset) -> None:
    source = open_forcing("era5_land", write_months(raw, tmp_path), [])
    t2m = source.mapping.raw["t2m"].model_copy(update={"units": "degC"})
    mapping = source.mapping.model_copy(update={"raw": {**source.mapping.raw, "t2m": t2m}})
    with pytest.raises(UnitError, match="file says 'K' for 't2m' but the mapping 'degC'"):
        MappedSource(mapping, [f.path for f in source.archive.files]).days(START, STOP, BOX, ["tas"])


def test_swapped_extremes_are_noticed(tmp_path: Path, raw: xr.Dataset) -> None:
    source = open_forcing("era5_land", write_months(raw, tmp_path, lambda d: d.assign(d2m=d.d2m - 40)), [])
    wrong = source.mapping.variables["tasmax"].model_copy(update={"of": "d2m"})
    mapping = source.mapping.model_copy(update={"variables": {**source.mapping.variables, "tasmax": wrong}})
    with pytest.raises(InputError, match="'tas' exceeds 'tasmax'"):
        MappedSource(mapping, [f.path for f in source.archive.files]).days(START, STOP, BOX)


def test_memory_is_used_again_only_when_nobody_holds_any_part_of_it(tmp_path: Path, raw: xr.Dataset) -> None:
    archive = Archive(write_months(raw, tmp_path))
    field, window, hours = Field("t2m"), archive.grid.window(BOX), np.arange(START, START + 6, dtype="datetime64[h]")

    def read(first: int) -> np.ndarray:
        return archive.read(field, archive.codes(hours[first : first + 2].astype("datetime64[s]")), window)

    values = read(0)
    kept, expected = values[1, :1].T, values[1, :1].T.copy()  # a view of a view
    where = values.ctypes.data
    del values
    assert read(2).ctypes.data != where
    np.testing.assert_array_equal(kept, expected)
    del kept
    again = read(2).ctypes.data
    assert read(4).ctypes.data == again


class TestElevation:
    @pytest.fixture
    def window(self, tmp_path: Path, raw: xr.Dataset):
        return Archive(write_months(raw, tmp_path)).grid.window(BOX)

    def test_geopotential_becomes_metres(self, tmp_path: Path, window) -> None:
        orog = read_orog(write_geopotential(tmp_path / "z.nc"), window)
        np.testing.assert_allclose(orog, 100.0 * (np.arange(4)[:, None] + np.arange(5)), atol=1e-3)

    def test_a_larger_file_on_0_to_360_serves(self, tmp_path: Path, window) -> None:
        lat, lon = 42.0 - 0.25 * np.arange(20), 234.0 + 0.25 * np.arange(20)
        orog = read_orog(write_geopotential(tmp_path / "z.nc", lat, lon), window)
        np.testing.assert_allclose(orog, 100.0 * (4 + 8 + np.arange(4)[:, None] + np.arange(5)), atol=1e-3)

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda d: d.rename(z="phi"), r"no elevation variable(.|\n)*elevation_variable to one of phi"),
            (lambda d: d.assign(z=d.z.drop_attrs()), "has no unit"),
            (lambda d: d.assign(z=d.z.assign_attrs(units="K")), "cannot be converted"),
            (lambda d: d.assign(z=d.z.assign_attrs(units="km")), "lie outside"),
            (lambda d: d.isel(latitude=slice(1, None)), "does not hold all cells"),
            (lambda d: d.assign_coords(longitude=LON[0] + 0.5 * np.arange(5)), "are not those of the forcing"),
            (lambda d: d.assign_coords(latitude=LAT + 0.1), "does not hold all cells"),
        ],
    )
    def test_unusable_elevation(self, tmp_path: Path, window, edit, message: str) -> None:
        path = tmp_path / "edited.nc"
        with xr.open_dataset(write_geopotential(tmp_path / "z.nc")) as data:
            edit(data).to_netcdf(path)
        with pytest.raises(InputError, match=message):
            read_orog(path, window)
