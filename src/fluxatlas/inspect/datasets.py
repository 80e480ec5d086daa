"""What an inspection needs of a NetCDF or Zarr data set: roles of its axes, decoded times, samples of values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..axes import LAT, LON, TIME
from ..errors import InputError

CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
MOST_VALUES = 4_000_000
"""Values of one variable that are read; larger variables are sampled evenly in time, then cut in space."""
READ_ERRORS = (OSError, RuntimeError, ValueError, IndexError, TypeError, KeyError, OverflowError, AttributeError)
"""What the NetCDF, HDF5 and Zarr libraries raise for damaged files."""


@dataclass(frozen=True)
class Axes:
    """Names of the coordinates of a data set; empty where there is none. ``layout``: grid, points, point, none."""

    lat: str
    lon: str
    time: str
    layout: str


def axes(dataset: xr.Dataset) -> Axes:
    """Which variables are latitude, longitude and time, and how the places are laid out."""
    lat = _find(dataset, LAT, "latitude")
    lon = _find(dataset, LON, "longitude")
    time = next((name for name in TIME if name in dataset.variables), "")
    if not lat or not lon:
        return Axes("", "", time, "none")
    a, b = dataset[lat], dataset[lon]
    if a.ndim == 1 and b.ndim == 1 and a.dims != b.dims and min(a.size, b.size) > 1:
        layout = "grid"
    elif a.size == 1 and b.size == 1:
        layout = "point"
    elif a.dims == b.dims and a.ndim == 1:
        layout = "points"
    elif a.ndim == 2:
        layout = "curvilinear"
    else:
        layout = "grid" if a.ndim == 1 and b.ndim == 1 and a.dims != b.dims else "none"
    return Axes(lat, lon, time, layout)


def _find(dataset: xr.Dataset, names: tuple[str, ...], standard: str) -> str:
    by_standard = [str(n) for n, v in dataset.variables.items() if v.attrs.get("standard_name") == standard]
    candidates = [*by_standard, *(n for n in names if n in dataset.variables)]
    numeric = [n for n in candidates if dataset[n].dtype.kind in "fiu"]
    # a projected x or y is no longitude
    return next((n for n in numeric if str(dataset[n].attrs.get("units", "")).strip() != "m"), "")


def is_flag(name: str, variable: xr.DataArray) -> bool:
    """Whether a variable holds flags, codes or indices and not a physical quantity."""
    attrs = variable.attrs
    if any(key in attrs for key in ("flag_values", "flag_masks", "flag_meanings")):
        return True
    return bool(
        re.search(r"(?:_qc|_QC|QC$|flag|mask$|^mask|_id$|^gpi$|^cell$|cellnum|gridcell|sensor|^mode$)", name)
        or str(attrs.get("units", "")) in ("class-flag", "binary")
    )


def decode_times(dataset: xr.Dataset, name: str) -> tuple[npt.NDArray[np.datetime64], str, str]:
    """Times as datetime64[s], the calendar, and what is wrong ('' if nothing): never raises for bad times."""
    variable = dataset[name]
    units, calendar = str(variable.attrs.get("units", "")), str(variable.attrs.get("calendar", "standard")).lower()
    try:
        raw = np.asarray(variable.values).ravel()
    except READ_ERRORS as problem:
        return np.array([], "datetime64[s]"), calendar, f"the times cannot be read ({problem})"
    if raw.dtype.kind == "M":
        return raw.astype("datetime64[s]"), calendar, ""
    if " since " not in units:
        return np.array([], "datetime64[s]"), calendar, f"the time unit '{units}' cannot be understood"
    import cftime

    known = np.isfinite(raw.astype(np.float64)) if raw.dtype.kind in "fiu" else np.zeros(raw.shape, bool)
    found = np.full(raw.shape, "NaT", "datetime64[s]")
    try:
        # the date is read as it is written in its own calendar
        dates = cftime.num2date(raw[known], units, calendar=calendar if calendar != "none" else "standard")
        shown = [f"{d.year:04d}-{d.month:02d}-{d.day:02d}T{d.hour:02d}:{d.minute:02d}:{d.second:02d}" for d in dates]
        found[known] = np.array([_moment(text) for text in shown], "datetime64[s]")
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError, ArithmeticError) as problem:
        return np.array([], "datetime64[s]"), calendar, f"the times '{units}' cannot be decoded ({problem})"
    wrong = "" if calendar in CALENDARS else f"the calendar is '{calendar}'"
    return found, calendar, wrong


def _moment(text: str) -> np.datetime64:
    """A date that may not exist in the standard calendar (30 February) becomes NaT."""
    try:
        return np.datetime64(text)
    except ValueError:
        return np.datetime64("NaT")


def sample(variable: xr.DataArray, time: str) -> tuple[npt.NDArray[Any], bool]:
    """Values with time first, all of them or an even sample of steps, and whether it is a sample.

    Raises :class:`InputError` where the values cannot be read.
    """
    dims = [str(d) for d in variable.dims]
    front = [d for d in dims if d == time]
    variable = variable.transpose(*front, ...) if front else variable
    cut, sampled = variable, variable.size > MOST_VALUES
    if sampled:
        per_step = variable.size // max(variable.sizes.get(time, 1), 1)
        steps = max(1, MOST_VALUES // max(per_step, 1))
        if front:
            n = variable.sizes[time]
            cut = cut.isel({time: np.unique(np.linspace(0, n - 1, min(steps, n)).astype(int))})
        for dim in dims:
            if dim != time and cut.size > MOST_VALUES:
                stride = int(np.ceil(cut.size / MOST_VALUES))
                cut = cut.isel({dim: slice(None, None, min(stride, max(cut.sizes[dim] // 8, 1)))})
    try:
        values = cut.values
    except READ_ERRORS as problem:
        raise InputError(
            f"'{variable.name}' cannot be read ({problem})",
            hint="the file is probably truncated: delete it and make or download it again",
        ) from None
    return values, sampled
