"""The same days come out however the files spell, order, split and stamp them; what is ambiguous is refused."""

from collections.abc import Callable
from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import InputError
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from ingest_raw import era5_land, hourly_truth, open_forcing

BOX = (-124.2, 40.1, -122.9, 41.2)
START, STOP = np.datetime64("2000-12-31"), np.datetime64("2001-01-02")
EPOCH = np.datetime64("1970-01-01T00", "h")
Write = Callable[[xr.Dataset, Path], list[Path]]


@pytest.fixture(scope="module")
def raw() -> xr.Dataset:
    return era5_land(hourly_truth("2000-12-31", "2001-01-02T01")).astype(np.float32, keep_attrs=True)


@pytest.fixture(scope="module")
def expected(raw: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return days(one_file(raw, tmp_path_factory.mktemp("plain")))


def days(files: list[Path], mapping: str = "era5_land") -> xr.Dataset:
    return MappedSource(load_mapping(mapping), files).days(START, STOP, BOX)


def one_file(data: xr.Dataset, folder: Path, **options: object) -> list[Path]:
    data.to_netcdf(folder / "raw.nc", engine="netcdf4", **options)
    return [folder / "raw.nc"]


def edited(edit: Callable[[xr.Dataset], xr.Dataset], **options: object) -> Write:
    return lambda data, folder: one_file(edit(data), folder, **options)


def split(groups: Callable[[xr.Dataset], list[xr.Dataset]]) -> Write:
    def write(data: xr.Dataset, folder: Path) -> list[Path]:
        paths = []
        for number, part in enumerate(groups(data)):
            paths.append(folder / f"part{number:03d}.nc")
            part.to_netcdf(paths[-1], engine="netcdf4")
        return paths[::-1]  # the order of the files does not matter

    return write


def timed(units: str, values: Callable[[np.ndarray], np.ndarray], **attrs: str) -> Write:
    """Times written by hand: ``values`` of the hours since 1970."""

    def edit(data: xr.Dataset) -> xr.Dataset:
        hours = ((data.time.values.astype("datetime64[h]") - EPOCH) / np.timedelta64(1, "h")).astype(np.int64)
        return data.assign_coords(time=("time", values(hours), {"units": units, **attrs}))

    return edited(edit)


def hours_since(date: str) -> int:
    return int((EPOCH - np.datetime64(date, "h")) / np.timedelta64(1, "h"))


def since_year_one(calendar: str) -> Callable[[np.ndarray], np.ndarray]:
    """Days since year 1, which the Julian part of the mixed calendar makes two more."""
    start = cftime.date2num(cftime.datetime(1970, 1, 1, calendar=calendar), "days since 0001-01-01", calendar)
    return lambda hours: start + hours / 24


def relabelled(**units: str) -> Write:
    return edited(lambda d: d.assign({n: d[n].assign_attrs(units=u) for n, u in units.items()}))


def rolled(data: xr.Dataset) -> xr.Dataset:
    """A global ring of longitudes from 0 to 360, in which the box lies in the middle."""
    ring = np.arange(0.0, 360.0, 0.25)
    return data.assign_coords(longitude=data.longitude % 360).reindex(longitude=ring)


def packed(data: xr.Dataset, folder: Path) -> list[Path]:
    """int16 with scale and offset from the range of each variable, as the older files of the provider are."""
    encoding = {}
    for name, values in data.data_vars.items():
        low, high = float(values.min()), float(values.max())
        scale, offset = (high - low) / 65000, 0.5 * (high + low)
        encoding[name] = {"dtype": "int16", "scale_factor": scale, "add_offset": offset, "missing_value": -32767}
        encoding[name] |= {"_FillValue": -32767}
    return one_file(data, folder, encoding=encoding)


def sea(data: xr.Dataset, **codes: float) -> xr.Dataset:
    """Undecoded missing codes in the western column."""
    data = data.copy(deep=True)
    for name in data.data_vars:
        data[name].values[:, :, 0] = next(iter(codes.values()))
        data[name].attrs.update({key: np.float32(code) for key, code in codes.items()})
        data[name].encoding["_FillValue"] = None
    return data


def forecast(data: xr.Dataset) -> xr.Dataset:
    """Hours as steps 1-24 of runs at 00 UTC, as cfgrib lays them out; the first one is of the day before."""
    runs = np.arange(START - 1, STOP, dtype="datetime64[D]").astype("datetime64[ns]")
    steps = np.arange(1, 25)
    valid = runs[:, None] + steps.astype("timedelta64[h]")
    known = data.reindex(time=valid.ravel())
    shape = (runs.size, steps.size, data.latitude.size, data.longitude.size)
    dims = ("time", "step", "latitude", "longitude")
    cube = {n: (dims, known[n].values.reshape(shape), data[n].attrs) for n in data.data_vars}
    coords = {"time": runs, "step": ("step", steps, {"units": "hours"}), "valid_time": (("time", "step"), valid)}
    coords["time"] = ("time", runs, {"standard_name": "forecast_reference_time"})
    return xr.Dataset(cube, {**coords, "latitude": data.latitude, "longitude": data.longitude})


def merged_versions(data: xr.Dataset, labels: list[object]) -> xr.Dataset:
    """Final values until noon of 1 January, preliminary ones after, along a dimension ``expver``."""
    first = data.where(data.time < np.datetime64("2001-01-01T12"))
    second = data.where(data.time >= np.datetime64("2001-01-01T12"))
    both = [first, second] if str(labels[0]).endswith("1") else [second, first]
    return xr.concat(both, "expver", combine_attrs="override").assign_coords(expver=labels)


def new_store(data: xr.Dataset) -> xr.Dataset:
    """valid_time, number and a text expver that changes along the time, as the climate data store writes them now."""
    version = np.where(data.time < np.datetime64("2001-01-01T12"), "0001", "0005")
    data = data.rename(time="valid_time").assign_coords(number=0, expver=("valid_time", version))
    return data.assign_coords(valid_time=data.valid_time.values)


VARIANTS: dict[str, Write] = {
    "unlimited time": edited(lambda d: d, unlimited_dims=["time"]),
    "netCDF classic": edited(lambda d: d, format="NETCDF3_64BIT"),
    "dimensions (lat, lon, time)": edited(lambda d: d.transpose("latitude", "longitude", "time")),
    "dimensions (lon, time, lat)": edited(lambda d: d.transpose("longitude", "time", "latitude")),
    "latitude ascending": edited(lambda d: d.isel(latitude=slice(None, None, -1))),
    "longitude descending": edited(lambda d: d.isel(longitude=slice(None, None, -1))),
    "longitude 0 to 360": edited(lambda d: d.assign_coords(longitude=d.longitude + 360)),
    "global 0 to 360": edited(rolled),
    "coordinates of single precision": edited(
        lambda d: d.assign_coords(
            latitude=np.nextafter(d.latitude.values.astype(np.float32), np.float32(0)),
            longitude=np.nextafter(d.longitude.values.astype(np.float32), np.float32(0)),
        )
    ),
    "short names of coordinates": edited(lambda d: d.rename(latitude="lat", longitude="lon")),
    "coordinates known by unit": edited(
        lambda d: d.rename(latitude="rows", longitude="columns").assign_coords(
            rows=("rows", d.latitude.values, {"units": "degree_north"}),
            columns=("columns", d.longitude.values, {"units": "degrees_E"}),
        )
    ),
    "coordinates known by meaning": edited(
        lambda d: d.rename(latitude="j", longitude="i").assign_coords(
            j=("j", d.latitude.values, {"standard_name": "latitude"}),
            i=("i", d.longitude.values, {"standard_name": "longitude"}),
        )
    ),
    "time known by meaning": edited(
        lambda d: d.rename(time="t").assign_coords(t=("t", d.time.values, {"standard_name": "time"}))
    ),
    "steps backwards in time": edited(lambda d: d.isel(time=slice(None, None, -1))),
    "seconds of 64 bits": timed("seconds since 1970-01-01", lambda h: h * 3600, calendar="proleptic_gregorian"),
    "minutes": timed("minutes since 1979-01-01 00:00:00", lambda h: (h + hours_since("1979-01-01")) * 60.0),
    "days": timed("days since 1900-01-01 00:00:0.0", lambda h: (h + hours_since("1900-01-01")) / 24),
    "days since year 1": timed(
        "days since 0001-01-01", since_year_one("proleptic_gregorian"), calendar="proleptic_gregorian"
    ),
    "days since year 1, mixed calendar": timed("days since 1-1-1 00:00:00", since_year_one("standard")),
    "hours of 32 bits": timed(
        "hours since 1900-01-01 00:00:00.0", lambda h: (h + hours_since("1900-01-01")).astype(np.int32)
    ),
    "hours of single precision": timed(
        "hours since 1900-01-01", lambda h: (h + hours_since("1900-01-01")).astype(np.float32), calendar="Gregorian"
    ),
    "days of single precision": timed(
        "days since 1979-01-01", lambda h: ((h + hours_since("1979-01-01")) / 24).astype(np.float32)
    ),
    "a zone in the unit": timed("hours since 1970-01-01T00:00:00Z", lambda h: h),
    "nanoseconds": timed("nanoseconds since 1970-01-01", lambda h: h * 3600 * 10**9),
    "dates as numbers": timed(
        "day as %Y%m%d.%f",
        lambda h: np.array([int(str(EPOCH + int(x))[:10].replace("-", "")) + x % 24 / 24 for x in h]),
    ),
    "older unit spellings": relabelled(t2m="kelvin", tp="m of water equivalent", ssrd="J/m^2", u10="m/s", sp="Pascals"),
    "other unit spellings": relabelled(t2m="Kelvin", d2m="degK", strd="J m-2", v10="m s^-1"),
    "files per variable": split(lambda d: [d[[name]] for name in d.data_vars]),
    "files per day": split(lambda d: [part for _, part in d.groupby(d.time.dt.floor("D"))]),
    "files per step": split(lambda d: [d.isel(time=[k]) for k in range(d.sizes["time"])]),
    "one step without a time dimension": split(lambda d: [d.isel(time=k) for k in range(d.sizes["time"])]),
    "files in other orders": split(
        lambda d: [
            d[["t2m", "d2m", "sp"]],
            d[["u10", "v10", "tp"]].isel(latitude=slice(None, None, -1)),
            d[["ssrd", "strd"]].assign_coords(longitude=d.longitude + 360),
        ]
    ),
    "rings that begin elsewhere": split(
        lambda d: [
            rolled(d)[["t2m", "d2m", "sp", "tp"]],
            rolled(d)[["u10", "v10", "ssrd", "strd"]].roll(longitude=333, roll_coords=True),
        ]
    ),
    "overlapping files": split(lambda d: [d.isel(time=slice(0, 30)), d.isel(time=slice(20, None))]),
    "overlap without data": split(
        lambda d: [d.isel(time=slice(0, 30)).where(d.time < d.time[25]), d.isel(time=slice(25, None))]
    ),
    "a longer period": edited(
        lambda d: d.reindex(time=np.arange("2000-12-29", "2001-01-04", dtype="datetime64[h]").astype("datetime64[ns]"))
    ),
    "further variables": edited(
        lambda d: d.assign(
            crs=np.int32(0), lsm=(("latitude", "longitude"), np.ones((4, 5))), days_wet=((), 3, {"units": "days"})
        )
    ),
    "a variable with an odd time": edited(
        lambda d: d.assign(started=("time", np.arange(d.sizes["time"]), {"units": "hours since never"}))
    ),
    "single member": edited(lambda d: d.expand_dims(number=[0])),
    "packed": packed,
    "new climate data store": edited(new_store),
    "expver 1 and 5": edited(lambda d: merged_versions(d, [1, 5])),
    "expver 5 and 1": edited(lambda d: merged_versions(d, [5, 1])),
    "expver as text": edited(lambda d: merged_versions(d, ["0001", "0005"])),
    "forecast steps": edited(forecast),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_days(variant: str, raw: xr.Dataset, expected: xr.Dataset, tmp_path: Path) -> None:
    found = days(VARIANTS[variant](raw, tmp_path)).sel(lon=slice(-124.1, -122.9))  # rings hold a column more
    exact = variant not in ("packed", "coordinates of single precision")
    for name in expected.data_vars:
        scale = float(np.abs(expected[name]).max())
        np.testing.assert_allclose(
            found[name], expected[name], rtol=1e-6, atol=1e-7 * scale if exact else 5e-5 * scale, err_msg=name
        )
    np.testing.assert_allclose(found.lon, expected.lon, atol=1e-4)
    np.testing.assert_allclose(found.lat, expected.lat, atol=1e-4)


@pytest.mark.parametrize(
    "codes", [{"_FillValue": -9999.0}, {"missing_value": 1e20}, {"_FillValue": -9999.0, "missing_value": -9999.0}]
)
def test_missing_codes(codes: dict[str, float], raw: xr.Dataset, expected: xr.Dataset, tmp_path: Path) -> None:
    found = days(one_file(sea(raw, **codes), tmp_path))
    assert bool(found.tas[:, :, 0].isnull().all())
    xr.testing.assert_allclose(found.isel(lon=slice(1, None)), expected.isel(lon=slice(1, None)))


def test_overlaps_are_counted(raw: xr.Dataset, tmp_path: Path) -> None:
    source = open_forcing("era5_land", VARIANTS["overlapping files"](raw, tmp_path), [])
    source.days(START, STOP, BOX, ["tas", "pr"])
    assert source.attrs["overlapping_steps"] == "10 of t2m, 10 of tp"
    plain = tmp_path / "plain"
    plain.mkdir()
    source = open_forcing("era5_land", one_file(raw, plain), [])
    source.days(START, STOP, BOX, ["tas"])
    assert "overlapping_steps" not in source.attrs


def test_overlaps_of_packed_files_may_differ_by_their_packing(raw: xr.Dataset, tmp_path: Path) -> None:
    parts = [raw.isel(time=slice(0, 30)), raw.isel(time=slice(20, None))]
    files = []
    for number, part in enumerate(parts):
        folder = tmp_path / str(number)
        folder.mkdir()
        files += packed(part, folder)
    with xr.open_dataset(files[0]) as a, xr.open_dataset(files[1]) as b:
        assert not np.array_equal(a.t2m[20:30], b.t2m[:10])
    assert days(files).sizes["time"] == 2


def test_overlaps_that_disagree_are_refused(raw: xr.Dataset, tmp_path: Path) -> None:
    write = split(lambda d: [d.isel(time=slice(0, 30)), d.assign(t2m=d.t2m + 0.1).isel(time=slice(20, None))])
    with pytest.raises(InputError, match="different values of 't2m' at 2000-12-31 20:00") as caught:
        days(write(raw, tmp_path))
    assert "part000.nc" in caught.value.where
    assert "part001.nc" in caught.value.where


REFUSED: dict[str, tuple[Write, str]] = {
    "two members": (edited(lambda d: d.expand_dims(number=[0, 1])), "extra dimension number"),
    "half steps of a month": (timed("months since 1970-01-01", lambda h: h / 730.5), "part of a month"),
    "unknown calendar": (timed("hours since 1970-01-01", lambda h: h, calendar="none"), "calendar 'none'"),
    "no date in the unit": (timed("hours", lambda h: h), "time unit 'hours' cannot be used"),
    "a date that is none": (timed("hours since 1970-13-41", lambda h: h), "cannot be decoded"),
    "dates that are none": (timed("day as %Y%m%d.%f", lambda h: h + 20001400.0), "is not a date"),
    "text as time": (
        edited(lambda d: d.assign_coords(time=np.datetime_as_string(d.time.values, "h"))),
        "times are not numbers",
    ),
    "two-dimensional coordinates": (
        edited(
            lambda d: (
                d.rename(latitude="j", longitude="i")
                .drop_vars(["i", "j"])
                .assign_coords(latitude=(("j", "i"), np.ones((4, 5))), longitude=(("j", "i"), np.ones((4, 5))))
            )
        ),
        "no coordinate called latitude or lat; 'latitude' has 2 dimensions",
    ),
    "another grid": (
        split(lambda d: [d[["t2m"]], d.drop_vars("t2m").assign_coords(longitude=d.longitude + 0.05)]),
        "grid differs",
    ),
    "a smaller grid": (split(lambda d: [d[["t2m"]], d.drop_vars("t2m").isel(latitude=slice(1, None))]), "grid differs"),
    "units that change": (
        split(
            lambda d: [
                d.isel(time=slice(0, 30)),
                d.isel(time=slice(30, None)).assign(t2m=d.t2m.isel(time=slice(30, None)).assign_attrs(units="degC")),
            ]
        ),
        "unit of 't2m' changes",
    ),
    "milliseconds for metres per second": (relabelled(u10="ms-1"), "'ms-1' cannot be converted"),
    "no time anywhere": (edited(lambda d: d.isel(time=0, drop=True)), "the files have no time coordinate"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_ambiguous_is_refused(case: str, raw: xr.Dataset, tmp_path: Path) -> None:
    write, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        days(write(raw, tmp_path))
    assert caught.value.where
    assert caught.value.hint
