"""Whether a received file can be used: it opens, holds its variables and every step, and all of it can be read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..axes import TIME
from ..errors import FetchError, InputError
from ..files import NETCDF
from .items import Item

if TYPE_CHECKING:
    import xarray as xr

BLOCK_BYTES = 64 * 2**20
FORMATS = {"%Y-%m-%d %H": "hours", "%Y-%m-%d": "days", "%Y-%m": "months"}


def check(path: Path, item: Item) -> dict[str, Any]:
    """Facts about the file at ``path`` for the provenance: its variables, steps, first and last time.

    Raises :class:`FetchError` where it is not what ``item`` asks for. Every value is read once, so that a damaged block
    is found here and not in the middle of a run.
    """
    _refuse_pages(path)
    try:
        if item.recipe.format == "grid":
            return _check_grid(path, item)
        if item.recipe.format == "tiff":
            return _check_tiff(path)
        if item.recipe.format == "table":
            return _check_table(path, item)
    except InputError as problem:
        raise _unusable(problem.what, item) from None
    if not path.stat().st_size:
        raise _unusable("is empty", item)
    return {}


def _unusable(what: str, item: Item) -> FetchError:
    return FetchError(
        f"what was received cannot be used: {what}",
        where=item.target.name,
        hint="it is not kept; fetch again, and check the request if it happens again",
    )


def _refuse_pages(path: Path) -> None:
    """A page in HTML is a login form or an error of the server, whatever the status said."""
    with path.open("rb") as handle:
        start = handle.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise FetchError(
            "the server sent a web page instead of the file, probably a form to log in",
            where=path.name,
            hint="check the credentials and that the licence of the data is accepted (docs/fetch.md)",
        )


def _check_grid(path: Path, item: Item) -> dict[str, Any]:
    with _opened(path) as parts:
        held = {str(name) for data in parts for name in data.data_vars}
        for wanted in filter(None, (item.recipe.holds(item.variable), *((n,) for n in item.recipe.must_hold))):
            if not held & set(wanted):
                listed = ", ".join(sorted(held)) or "nothing"
                raise _unusable(f"it holds {listed}, not {' or '.join(wanted)}", item)
        times = _check_times(parts, item)
        for data in parts:
            _read_all(data, item)
        return {"variables": sorted(held), **times}


@contextmanager
def _opened(path: Path) -> Iterator[list[xr.Dataset]]:
    """The data sets in ``path``; what was unpacked for it is removed at the end."""
    from ..ingest import containers

    with NETCDF:
        scratch = Path(containers.scratch())
        before = set(scratch.iterdir())
        parts: list[xr.Dataset] = []
        try:
            parts = [data for _, data in containers.open_container(path)]
            yield parts
        finally:
            for data in parts:
                data.close()
            for folder in set(scratch.iterdir()) - before:
                shutil.rmtree(folder, ignore_errors=True)


def _check_times(parts: list[xr.Dataset], item: Item) -> dict[str, Any]:
    """Every step of the period must be there, in every part that has a time."""
    recipe = item.recipe
    if recipe.per == "once" or not (recipe.step_hours or recipe.monthly):
        return {}
    pattern = "%Y-%m" if recipe.monthly else "%Y-%m-%d" if recipe.step_hours % 24 == 0 else "%Y-%m-%d %H"
    facts: dict[str, Any] = {}
    for data in parts:
        time = next((data[name] for name in TIME if name in data.variables), None)
        if time is None:
            raise _unusable("it has no time", item)
        stamps = sorted({_text(stamp, pattern) for stamp in np.atleast_1d(time.values)})
        lacking = [text for text in _expected(item, pattern, _calendar(time)) if text not in set(stamps)]
        if lacking:
            raise _unusable(f"{len(lacking)} {FORMATS[pattern]} are missing, the first {lacking[0]}", item)
        facts = {"steps": int(time.size), "first": stamps[0], "last": stamps[-1]}
    return facts


def _expected(item: Item, pattern: str, calendar: str) -> Iterator[str]:
    moment, last = item.start, ""
    step = timedelta(days=1) if item.recipe.monthly else timedelta(hours=item.recipe.step_hours)
    while moment < item.stop:
        text = moment.strftime(pattern)
        if text != last and not _absent(moment, calendar):
            yield text
        moment, last = moment + step, text


def _absent(moment: datetime, calendar: str) -> bool:
    """Whether a model calendar lacks this day."""
    if calendar in ("noleap", "365_day"):
        return (moment.month, moment.day) == (2, 29)
    return calendar == "360_day" and moment.day == 31


def _calendar(time: xr.DataArray) -> str:
    return str(time.encoding.get("calendar", "standard"))


def _text(stamp: Any, pattern: str) -> str:
    if isinstance(stamp, np.datetime64):
        return stamp.astype("datetime64[s]").item().strftime(pattern)
    return str(stamp.strftime(pattern))


def _read_all(data: xr.Dataset, item: Item) -> None:
    """Read every gridded variable once, in blocks; steps without a single value are refused."""
    for name, array in data.data_vars.items():
        if array.ndim < 2 or array.dtype.kind not in "fiu":
            continue
        try:
            filled = _filled_rows(array)
        except (OSError, RuntimeError, ValueError) as problem:
            raise _unusable(f"'{name}' cannot be read ({problem})", item) from None
        if not filled.any():
            raise _unusable(f"'{name}' holds no value at all", item)
        if array.dims[0] in TIME and not filled.all():
            stamps = np.atleast_1d(array[array.dims[0]].values)
            step = _text(stamps[np.argmin(filled)], "%Y-%m-%d %H:%M")
            raise _unusable(f"'{name}' holds no value in {(~filled).sum()} of {len(filled)} steps, first {step}", item)


def _filled_rows(array: xr.DataArray) -> npt.NDArray[np.bool_]:
    """For each place along the first dimension, whether there is any value; read in blocks of :data:`BLOCK_BYTES`."""
    row = array[:1].size * 8
    rows = max(1, BLOCK_BYTES // row)
    lines = max(1, BLOCK_BYTES * array.shape[1] // row)
    filled = np.zeros(array.shape[0], dtype=bool)
    for first in range(0, array.shape[0], rows):
        for line in range(0, array.shape[1], lines):
            block = np.isfinite(array[first : first + rows, line : line + lines].values)
            filled[first : first + rows] |= block.reshape(len(block), -1).any(axis=1)
    return filled


def _check_tiff(path: Path) -> dict[str, Any]:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as raster:
            for band in raster.indexes:
                for _, window in raster.block_windows(band):
                    raster.read(band, window=window)
            return {"width": raster.width, "height": raster.height, "bands": raster.count}
    except RasterioError as problem:
        raise InputError(f"not a readable GeoTIFF ({problem})") from None


def _check_table(path: Path, item: Item) -> dict[str, Any]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as problem:
        raise InputError(f"it is not UTF-8 text ({problem.reason} at byte {problem.start:,})") from None
    rows = [line for line in lines if not line.startswith("#")]
    lacking = [name for name in item.recipe.must_hold if not rows or name not in rows[0]]
    if len(rows) < 2 or lacking:
        raise InputError(f"the table lacks {', '.join(lacking) or 'rows'}")
    return {"rows": len(rows) - 1}
