"""Years of the simulation of X-MethaneWet (Sun et al. 2025, arXiv:2505.18355): half a degree, twelve months of 31 days.

Files hold one variable (row, column, month, day) of shape 360 x 720 x 12 x 31 and no coordinates:
daily_ecmwf_{PREC,SOLR,TAIR,VAPR}_{year}.nc [mm d-1, W m-2, deg C, hPa] and CH4_emission_intensity_{year}.nc are read.
Taken from a description of the data set: names, shapes, units of the forcing, the year of 365 days, and the index of
the benchmark, row = round(2 (lat + 90)), column = round(2 (lon + 180)). **Not verified**, since no file was at hand:
names of dimensions and of the variables of the forcing (the only one of the shape is taken), the missing code, the unit
of CH4_emission (mg CH4 m-2 d-1 of wetland is taken) and its sign (upward positive; other files of the model count
emission negative, which is refused until it is said).

A cell is half a degree wide and the first row begins at the south pole: its centre is a quarter degree off the point at
which the benchmark's index places it. A tower in the northern or eastern half of a cell is given the values of the next
cell by that index. Days that a month does not have, such as 30 February, are padding and are never read, whatever
stands there.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import variables
from ..constants import FREEZING
from ..errors import InputError
from ..files import open_netcdf, provenance, write_netcdf

ROWS, MONTHS, DAYS = 360, 12, 31
BLOCK = 60
"""Rows that are unpacked at a time."""
MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
REAL = np.arange(DAYS)[None, :] < np.array(MONTH_LENGTHS)[:, None]
"""Which of the 12 x 31 days there are, in a year of 365."""
NAMES = re.compile(r"(?:daily_ecmwf_(PREC|SOLR|TAIR|VAPR)|(CH4)_emission_intensity)_(\d{4})\.nc", re.ASCII)
KINDS = {
    "PREC": ("pr", 1 / 86400, 0.0),
    "SOLR": ("rsds", 1.0, 0.0),
    "TAIR": ("tas", 1.0, FREEZING),
    "VAPR": ("vp", 100.0, 0.0),
    "CH4": ("fch4wet", 1.0, 0.0),
}
"""By what the name says: variable, factor and offset to its unit."""
VAPOUR = {"standard_name": "water_vapor_partial_pressure_in_air", "long_name": "vapour pressure", "units": "Pa"}
RANGE_OF_VAPOUR = (0.0, 12000.0)

MISSING = np.float32(-9999)


def named(path: str | Path) -> tuple[str, int]:
    """What a file holds (key of :data:`KINDS`) and its year, by its name; raises :class:`InputError` for another."""
    found = NAMES.fullmatch(Path(path).name)
    if not found:
        raise InputError(
            "the name is not that of a year of the simulation",
            where=str(path),
            hint="expected daily_ecmwf_{PREC,SOLR,TAIR,VAPR}_<year>.nc or CH4_emission_intensity_<year>.nc",
        )
    return found[1] or found[2], int(found[3])


def held(dataset: xr.Dataset) -> str | None:
    """The only variable of the shape of the layout, or None."""
    fits = [str(name) for name, one in dataset.data_vars.items() if one.shape == _shape()]
    return fits[0] if len(fits) == 1 else None


def _shape() -> tuple[int, ...]:
    return (ROWS, 2 * ROWS, MONTHS, DAYS)


def read_year(path: str | Path, *, downward: bool = False) -> xr.DataArray:
    """A file as 365 days (time, lat, lon) in canonical units, float32, north first, NaN where nothing is.

    ``downward``: CH4 of the file is positive into the soil. Raises :class:`InputError` for a name that says nothing, an
    absent variable, another shape, a year without a value, values out of range, and CH4 that is mostly taken up.
    """
    kind, year = named(path)
    name, factor, offset = KINDS[kind]
    factor = -factor if downward and kind == "CH4" else factor
    with open_netcdf(path, decode_times=False, foreign=True) as dataset:
        days = unpacked(dataset[_variable(dataset, kind, str(path))])
    days *= np.float32(factor)
    days += np.float32(offset)
    _check(days, kind, str(path))
    step = 180 / ROWS
    lat, lon = 90 - step * (np.arange(ROWS) + 0.5), -180 + step * (np.arange(2 * ROWS) + 0.5)
    dates = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    dates = dates[(dates.month != 2) | (dates.day != 29)]
    about = VAPOUR if name == "vp" else variables.get(name).attrs
    return xr.DataArray(days, {"time": dates, "lat": lat, "lon": lon}, ("time", "lat", "lon"), name=name, attrs=about)


def unpacked(months: xr.DataArray) -> npt.NDArray[np.float32]:
    """(row, column, month, day) from the south as (day of 365, row, column) from the north; -9999 is missing."""
    rows, columns = months.shape[:2]
    days = np.empty((int(REAL.sum()), rows, columns), np.float32)
    for first in range(0, rows, BLOCK):
        part = months[first : first + BLOCK].values.astype(np.float32)[:, :, REAL]
        part[part == MISSING] = np.nan
        days[:, rows - first - len(part) : rows - first] = np.moveaxis(part, -1, 0)[:, ::-1]
    return days


def _variable(dataset: xr.Dataset, kind: str, where: str) -> str:
    """The name of the variable to read."""
    name = "CH4_emission" if kind == "CH4" else held(dataset)
    shapes = ", ".join(f"{one} {data.shape}" for one, data in dataset.data_vars.items()) or "no variable"
    if name is None or name not in dataset.data_vars:
        what = "'CH4_emission' is missing" if kind == "CH4" else f"not one variable has the shape {_shape()}"
        raise InputError(what, where=where, hint=f"the file has {shapes}: give it as published")
    if dataset[name].shape != _shape():
        what = f"'{name}' has the shape {dataset[name].shape}, not (row, column, month, day) = {_shape()}"
        raise InputError(what, where=where, hint="give the file as published, neither cut nor turned")
    return name


def _check(days: npt.NDArray[np.float32], kind: str, where: str) -> None:
    name = KINDS[kind][0]
    known = np.isfinite(days)
    if not known.any():
        raise InputError("the year holds no value", where=where, hint="download the file again")
    if kind == "CH4" and float(np.sum(days, where=known, dtype=np.float64)) < 0:
        raise InputError(
            "CH4 is taken up on the whole: emission is counted negative here",
            where=where,
            hint="say so with --downward, and it is turned",
        )
    row = None if kind == "VAPR" else variables.get(name)
    low, high = RANGE_OF_VAPOUR if row is None else row.possible or row.valid
    least, most = float(np.nanmin(days)), float(np.nanmax(days))
    if least < low or most > high:
        raise InputError(
            f"'{name}' runs from {least:g} to {most:g}, possible are {low:g} to {high:g}",
            where=where,
            hint="check the unit of the file and its missing code",
        )


def convert(path: str | Path, output: str | Path, *, downward: bool = False) -> xr.DataArray:
    """Write :func:`read_year` as CF NetCDF (calendar ``noleap``), which mappings of ``forcing`` and others read."""
    data = read_year(path, downward=downward)
    dataset = data.to_dataset()
    dataset["lat"].attrs = {"standard_name": "latitude", "units": "degrees_north"}
    dataset["lon"].attrs = {"standard_name": "longitude", "units": "degrees_east"}
    about = {"standard_name": "time", "units": f"days since {named(path)[1]}-01-01", "calendar": "noleap"}
    dataset["time"] = ("time", np.arange(data.sizes["time"], dtype=np.int32), about)
    dataset.attrs = {"source": f"X-MethaneWet (arXiv:2505.18355), {Path(path).name}"}
    if data.name == "fch4wet":
        dataset.attrs["comment"] = "unit and sign as taken by fluxatlas: the file states neither"
    attrs = provenance("ingest simulated-year", {"downward": downward}, {"simulated year": str(path)})
    chunks = tuple(min(most, size) for most, size in zip((73, 60, 60), data.shape, strict=True))
    encoding = {"compression": "zstd", "complevel": 1, "shuffle": True, "chunksizes": chunks}
    write_netcdf(dataset, output, {str(data.name): encoding}, attrs=attrs)
    return data
