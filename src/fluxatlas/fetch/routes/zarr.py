"""A variable, a period and a box of a Zarr store in a cloud, through fsspec (s3fs, gcsfs), as a NetCDF file.

The file grows along its time by blocks of steps, each written to disk before the next is read: a fetch that was broken
off goes on with the next block. A chunk that a store lacks reads as missing values without an error; the check of the
finished file therefore refuses steps without any value.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial as partial_of
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import xarray as xr

from ...axes import LAT, LON, TIME
from ...errors import FetchError
from ...files import NETCDF
from .. import http
from ..items import Item
from ..secrets import bare, guard_logs, scrub
from ..transfer import Delivery, TransferContext

BLOCK_BYTES = 64 * 2**20
EPOCH = "hours since 1970-01-01"


def deliver(item: Item, partial: Path, context: TransferContext) -> Delivery:
    """Fill ``partial`` from the store of the recipe.

    Raises :class:`FetchError` where the store cannot be opened, lacks the variable, the period or the box, or fails
    ``patience.tries`` times in a row.
    """
    url = item.fill(item.recipe.url)
    guard_logs()
    with _opened(url, item, context) as store:
        array = _cut(store, item, url)
        _write(array, partial, url, item, context)
    return Delivery(bare(url), "", {"store_variable": str(array.name)})


@contextmanager
def _opened(url: str, item: Item, context: TransferContext) -> Iterator[xr.Dataset]:
    options = {**item.recipe.storage}
    # gcsfs (2026.10) asks a control service for the kind of bucket before every operation, a minute each if no answer
    # comes; it reads this when it is first imported, and plain objects need no such answer.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    if url.startswith("s3://"):
        limits = {"connect_timeout": context.patience.timeout, "read_timeout": context.patience.timeout}
        options["config_kwargs"] = {**limits, "retries": {"max_attempts": 1}, **options.get("config_kwargs", {})}
    opened = _patiently(
        lambda: xr.open_dataset(url, engine="zarr", storage_options=options, chunks=None, consolidated=None),
        url,
        context,
    )
    with opened:
        yield opened


def _cut(store: xr.Dataset, item: Item, url: str) -> xr.DataArray:
    """The variable, period and box, lazily."""
    name = next((name for name in item.recipe.holds(item.variable) if name in store.data_vars), None)
    if name is None:
        known = ", ".join(sorted(map(str, store.data_vars))[:8])
        wanted = " or ".join(item.recipe.holds(item.variable))
        raise FetchError(f"the store has no {wanted} but {known}", where=bare(url), hint="correct the recipe")
    array = store[name]
    when, lat, lon = (_dimension(array, names, url) for names in (TIME, LAT, LON))
    first, stop = np.datetime64(item.start, "ns"), np.datetime64(item.stop, "ns")
    times = array[when].values
    array = array.isel({when: np.flatnonzero((times >= first) & (times < stop))})
    if item.area:
        west, south, east, north = item.area
        lats, lons = array[lat].values, array[lon].values
        array = array.isel({lat: (lats >= south) & (lats <= north), lon: _within(lons, west, east)})
    if 0 in array.shape:
        what = f"the store holds nothing from {item.start:%Y-%m-%d} to before {item.stop:%Y-%m-%d}"
        raise FetchError(what + (f" in {item.area}" if item.area else ""), where=bare(url), hint="check period and box")
    return array.transpose(when, lat, lon)


def _within(lons: npt.NDArray[Any], west: float, east: float) -> npt.NDArray[np.intp]:
    """Positions of ``lons`` (of any turn) between ``west`` and ``east``, from west to east."""
    offset = (lons - west) % 360
    order = np.argsort(offset, kind="stable")
    return order[offset[order] <= east - west + 1e-9]


def _dimension(array: xr.DataArray, names: tuple[str, ...], url: str) -> str:
    found = next((name for name in names if name in array.dims), None)
    if found is None:
        raise FetchError(
            f"'{array.name}' has no {' or '.join(names[:2])} but {array.dims}",
            where=bare(url),
            hint="correct the recipe",
        )
    return found


def _write(array: xr.DataArray, partial: Path, url: str, item: Item, context: TransferContext) -> None:
    """Append the steps that ``partial`` lacks, block by block."""
    steps = array.shape[0]
    rows = max(1, BLOCK_BYTES // (4 * array[0].size))
    with NETCDF:
        done = _steps_in(partial, array)
        if not done:
            _create(partial, array)
    for first in range(done, steps, rows):
        part = array[first : first + rows]
        values = _patiently(partial_of(np.asarray, part), url, context)
        with NETCDF, netCDF4.Dataset(partial, "a") as file:
            file["time"][first : first + len(values)] = _hours(part[part.dims[0]].values)
            file[str(array.name)][first : first + len(values)] = values
        context.progress.bytes(item.target.name, 4 * array[0].size * (first + len(values)), 4 * array.size)


def _create(partial: Path, array: xr.DataArray) -> None:
    partial.unlink(missing_ok=True)
    with netCDF4.Dataset(partial, "w") as file:
        file.createDimension("time", None)
        when = file.createVariable("time", "f8", ("time",))
        when.setncatts({"units": EPOCH, "calendar": "standard", "standard_name": "time"})
        for name, dim, unit in (
            ("latitude", array.dims[1], "degrees_north"),
            ("longitude", array.dims[2], "degrees_east"),
        ):
            values = array[dim].values
            if name == "longitude":
                west = (values[0] + 180) % 360 - 180
                values = west + (values - values[0]) % 360  # increasing across the seam of the store
            file.createDimension(name, values.size)
            axis = file.createVariable(name, "f8", (name,))
            axis.setncatts({"units": unit, "standard_name": name})
            axis[:] = values
        chunks = (min(24, array.shape[0]), *array.shape[1:])
        data = file.createVariable(
            str(array.name), "f4", ("time", "latitude", "longitude"),
            compression="zlib", complevel=1, shuffle=True, fill_value=np.float32(np.nan), chunksizes=chunks,
        )  # fmt: skip
        kept = ("units", "long_name", "standard_name")
        data.setncatts({key: str(array.attrs[key]) for key in kept if key in array.attrs})


def _steps_in(partial: Path, array: xr.DataArray) -> int:
    """How many of the first steps of ``array`` are in ``partial``; 0 if it is something else or damaged."""
    if not partial.exists():
        return 0
    try:
        with netCDF4.Dataset(partial) as file:
            data = file[str(array.name)]
            done = min(len(file["time"]), data.shape[0])
            same = np.array_equal(file["time"][:done], _hours(array[array.dims[0]].values[:done]))
            box = data.shape[1:] == array.shape[1:] and np.allclose(file["latitude"][:], array[array.dims[1]].values)
            return done if same and box else 0
    except (OSError, RuntimeError, IndexError, KeyError):
        return 0


def _hours(times: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return (times.astype("datetime64[s]") - np.datetime64("1970-01-01", "s")).astype(np.float64) / 3600.0


def _patiently(read: Callable[[], Any], url: str, context: TransferContext) -> Any:
    """What ``read`` returns; failures that may pass are waited for."""
    for attempt in range(1, context.patience.tries + 1):
        try:
            return read()
        except (PermissionError, FileNotFoundError) as problem:
            denied = isinstance(problem, PermissionError)
            raise FetchError(
                f"the store {'refuses access' if denied else 'does not exist'} ({_line(problem)})",
                where=bare(url),
                hint="check the credentials of the cloud (docs/fetch.md)" if denied else "check the address",
            ) from None
        except Exception as problem:  # s3fs, gcsfs, aiohttp and botocore have a family of errors each
            if attempt == context.patience.tries:
                what = f"the store cannot be read ({_line(problem)}; {attempt} times in a row)"
                hint = "fetch again later; what was received is kept and continued"
                raise FetchError(what, where=bare(url), hint=hint) from None
            pause = min(context.patience.pause * 2 ** (attempt - 1), http.LONGEST_PAUSE)
            context.progress.say(f"  {bare(url)}: {_line(problem)}; again in {pause:.3g} s")
            time.sleep(pause)
    raise AssertionError("unreachable")


def _line(problem: BaseException) -> str:
    return scrub((str(problem).splitlines() or [type(problem).__name__])[0])[:200]
