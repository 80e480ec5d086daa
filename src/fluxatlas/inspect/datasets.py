"""What an inspection needs of a NetCDF or Zarr data set: roles of its axes, decoded times, samples of values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..axes import LAT, LON, TIME
from ..errors import InputError
from ..times import decode

DAMAGED = "the file is probably truncated: delete it and make or download it again"
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
    # a projected x or y is not a longitude
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


def decode_times(dataset: xr.Dataset, name: str, path: Path) -> tuple[npt.NDArray[np.datetime64], str]:
    """Codes and calendar of the times as ingest decodes them; the starts of the steps where there are time bounds.

    Raises :class:`InputError` where ingest does.
    """
    try:
        return decode(dataset, name, path, np.timedelta64(1, "s"))
    except READ_ERRORS as problem:
        raise InputError(f"the times cannot be read ({problem})", where=str(path), hint=DAMAGED) from None


def are_means(dataset: xr.Dataset, time: str) -> bool:
    """Whether a variable says that it stands for the whole of its steps."""
    form = re.compile(rf"\b({re.escape(time)}|time):\s*(mean|sum|maximum|minimum)\b")
    return any(form.search(str(dataset[name].attrs.get("cell_methods", ""))) for name in dataset.data_vars)


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
            hint=DAMAGED,
        ) from None
    return values, sampled
