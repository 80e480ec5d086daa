"""What a gridded product, such as production seen by satellites, says of the places of sites (``sites.gridded``).

It takes the place of what the sites measured of that variable: days become days of the table of observations, longer
steps rows of the table of periods. With ``train.measured_inputs`` networks are handed it as they would be what towers
measured, and nobody is scored on it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from ... import variables
from ...config.sites import GriddedInput
from ...errors import InputError, counted, nearest
from ...files import NETCDF, open_netcdf
from ...paths import matches
from .periods import period_table
from .records import observations

AXES = {"lat": ("lat", "latitude", "y"), "lon": ("lon", "longitude", "x"), "time": ("time",)}
RELATIVE_SD = 0.2
"""Error of such a product, as a part of it (ours); it weighs nothing where the product is handed on."""


def gridded_files(entry: GriddedInput) -> list[str]:
    """Files of ``entry``, sorted; raises :class:`InputError` where a pattern matches none."""
    found = [name for pattern in entry.path for name in matches(pattern)]
    if not found:
        raise InputError(
            f"no file matches '{entry.path[0]}'", where="sites.gridded", hint="correct the path or pattern"
        )
    return sorted(dict.fromkeys(found))


def at_sites(
    given: Mapping[str, GriddedInput], sites: pd.DataFrame, observed: pd.DataFrame, longer: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of days and of periods with the variables ``given`` from grids in place of what was measured.

    Raises :class:`InputError` for a file without the variable or its axes, steps that are not in order, and where no
    site has a value.
    """
    for name, entry in given.items():
        days, periods = _at(name, entry, sites)
        observed = pd.concat([observed[observed["variable"] != name], days], ignore_index=True)
        longer = pd.concat([longer[longer["variable"] != name], periods], ignore_index=True)
    return observed, longer


def _at(name: str, entry: GriddedInput, sites: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    paths = gridded_files(entry)
    times, parts = [], []
    for path in paths:
        stamps, values = _file(path, entry.variable or name, name, entry.units, sites)
        times.append(stamps)
        parts.append(values)
    stamps, values = np.concatenate(times), np.concatenate(parts)
    order = np.argsort(stamps, kind="stable")
    stamps, values = stamps[order], values[order]
    if (np.diff(stamps) <= np.timedelta64(0, "D")).any():
        raise InputError("a time occurs twice", where=paths[0], hint="give each step of the product once")
    if not np.isfinite(values).any():
        hint = "check that the product covers the sites and their years"
        raise InputError(f"no site has a value of '{name}'", where=paths[0], hint=hint)
    step, site = np.nonzero(np.isfinite(values))
    found = {"value": values[step, site], "sd": RELATIVE_SD * np.abs(values[step, site]), "variable": name}
    print(f"sites: {name} of {counted(len(np.unique(site)), 'site')} is that of {paths[0]}", file=sys.stderr)
    ids, length = sites["site"].to_numpy()[site], np.diff(stamps)
    if len(length) and (length == np.timedelta64(1, "D")).all():
        table = pd.DataFrame(
            {"time": stamps[step].astype("M8[ns]"), **found, "qc": 1.0, "n": 1.0, "origin": "measured"}
        )
        return observations([table]).assign(site=ids), period_table()
    usual = np.timedelta64(int(np.median(length.astype(int))) if len(length) else 1, "D")
    ends = np.append(stamps[1:], stamps[-1:] + usual)
    ends = np.where(ends - stamps > 2 * usual, stamps + usual, ends)  # a gap of the product is not a step
    place = {key: sites[key].to_numpy(float)[site] for key in ("lat", "lon")}
    when = {"start": stamps[step].astype("M8[ns]"), "end": ends[step].astype("M8[ns]")}
    made = period_table(site=ids, **place, **when, **found, qc=1.0, source="gridded")
    return observations([]).assign(site=pd.Series(dtype=object)), made


def _file(
    path: str, variable: str, name: str, units: str | None, sites: pd.DataFrame
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Days of the steps (time,) and canonical values (time, site) of the cells that hold the sites, NaN beyond them."""
    with NETCDF, open_netcdf(path, foreign=True) as data:
        if variable not in data:
            held = [str(one) for one in data.data_vars]
            what = f"no variable '{variable}'{nearest(variable, held)}; it holds {', '.join(held)}"
            raise InputError(what, where=path, hint=f"name it: sites.gridded.{name}.variable")
        axes = {axis: _axis(data[variable], axis, path) for axis in AXES}
        stamps = data[axes["time"]].to_numpy()
        if stamps.dtype.kind != "M":
            raise InputError("the times are not dates of the standard calendar", where=path, hint="convert the file")
        cells = [_cells(data[axes[axis]].to_numpy(), sites[axis].to_numpy(float)) for axis in ("lat", "lon")]
        inside = (cells[0] >= 0) & (cells[1] >= 0)
        where = {axes[axis]: xr.DataArray(np.maximum(cell, 0), dims="site") for axis, cell in
                 zip(("lat", "lon"), cells, strict=True)}  # fmt: skip
        chosen = data[variable].isel(where).transpose(axes["time"], "site")
        stated = units or str(data[variable].attrs.get("units", ""))
        values = variables.convert(chosen.to_numpy().astype(np.float64), stated, name, where=path)
    low, high = variables.get(name).possible or variables.get(name).valid
    values = np.where(inside & (values >= low) & (values <= high), values, np.nan)
    return stamps.astype("datetime64[D]"), values


def _axis(field: Any, axis: str, path: str) -> str:
    found = [str(name) for name in field.dims if str(name).lower() in AXES[axis] and name in field.coords]
    if len(found) != 1:
        raise InputError(
            f"'{field.name}' has no axis {axis}", where=path, hint=f"call it one of {', '.join(AXES[axis])}"
        )
    return found[0]


def _cells(axis: npt.NDArray[Any], places: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Number of the cell of a regular ``axis`` of middles [degrees] that holds each place, -1 for none."""
    middles = axis.astype(float)
    if middles.size < 2:
        raise InputError("the axis has one cell", where="sites.gridded", hint="give a grid of two cells or more")
    width = abs(float(np.median(np.diff(middles))))
    wanted = np.where(places < middles.min() - width, places + 360, places)  # axes from 0 to 360
    away = np.abs(middles[None, :] - wanted[:, None])
    nearest_cell = away.argmin(axis=1)
    return np.where(away.min(axis=1) <= 0.5 * width * (1 + 1e-6), nearest_cell, -1)
