"""What a gridded product, such as production seen by satellites, says of the places of sites (``sites.gridded``).

It takes the place of what the sites measured of that variable, which the ledger counts: days become days of the table
of observations, longer steps rows of the table of periods. With ``train.measured_inputs`` networks are handed it as
they would be what towers measured, and nobody is scored on it.
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
from ...files import NETCDF
from ...paths import matches
from ..raw_file import RawFile
from .periods import period_table
from .records import Ledger, observations

RELATIVE_SD = 0.2
"""Error of such a product, as a part of it (ours); it weighs nothing where the product is handed on."""
GAP = 1.5
"""A step so many times as long as usual holds a gap: the last step before it ends as usual."""
REPLACED = "taken from a gridded product"


def gridded_files(entry: GriddedInput) -> list[str]:
    """Files of ``entry``, sorted; raises :class:`InputError` where a pattern matches none."""
    for pattern in entry.path:
        if not matches(pattern):
            hint = "correct the path or pattern"
            raise InputError(f"no file matches '{pattern}'", where="sites.gridded", hint=hint)
    return sorted({name for pattern in entry.path for name in matches(pattern)})


def at_sites(
    given: Mapping[str, GriddedInput],
    sites: pd.DataFrame,
    observed: pd.DataFrame,
    longer: pd.DataFrame,
    ledger: Ledger,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of days and of periods with the variables ``given`` from grids in place of what was measured, sorted.

    Raises :class:`InputError` for a file without the variable or its axes, a time that occurs twice, and where no site
    has a value.
    """
    for name, entry in given.items():
        days, periods = _at(name, entry, sites)
        _count(name, observed, longer, ledger)
        observed = pd.concat([observed[observed["variable"] != name], days], ignore_index=True)
        longer = pd.concat([longer[longer["variable"] != name], periods], ignore_index=True)
    observed = observed.sort_values(["site", "variable", "time"], ignore_index=True)
    return observed, longer.sort_values(["site", "variable", "start"], ignore_index=True)


def _count(name: str, observed: pd.DataFrame, longer: pd.DataFrame, ledger: Ledger) -> None:
    """Count what is replaced, where the reader has counted it; a note where it has not (periods mostly)."""
    measured = observed[(observed["variable"] == name) & (observed["origin"] == "measured")]
    for table, noun in ((measured, "day"), (longer[longer["variable"] == name], "period")):
        for site, n in table["site"].value_counts().items():
            if noun == "day" and (str(site), name, "days") in ledger.counts:
                ledger.drop(str(site), name, REPLACED, int(n))
            else:
                ledger.note(str(site), f"{counted(int(n), noun)} of {name}: {REPLACED} instead")


def _at(name: str, entry: GriddedInput, sites: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    paths = gridded_files(entry)
    parts = [_file(path, name, entry, sites) for path in paths]
    stamps, values = (np.concatenate(part) for part in zip(*parts, strict=True))
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
    ids, ends = sites["site"].to_numpy()[site], _ends(stamps)
    if ends is None:
        table = pd.DataFrame(
            {"time": stamps[step].astype("M8[ns]"), **found, "qc": 1.0, "n": 1.0, "origin": "measured"}
        )
        return observations([table]).assign(site=ids), period_table()
    place = {key: sites[key].to_numpy(float)[site] for key in ("lat", "lon")}
    when = {"start": stamps[step].astype("M8[ns]"), "end": ends[step].astype("M8[ns]")}
    made = period_table(site=ids, **place, **when, **found, qc=1.0, source="gridded")
    return observations([]).assign(site=pd.Series(dtype=object)), made


def _ends(stamps: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The first day after each step, or None where the product is daily, by the usual (median) step.

    A step ends with the next one, or after the usual time where a gap follows; steps that all begin on the same day of
    a month are of whole months.
    """
    if len(stamps) < 2:
        return stamps + np.timedelta64(1, "D")
    usual = np.quantile(np.diff(stamps), 0.5, method="lower")
    if usual == np.timedelta64(1, "D"):
        return None
    months = stamps.astype("M8[M]")
    if len(np.unique(stamps - months.astype("M8[D]"))) == 1:
        length = np.quantile(np.diff(months), 0.5, method="lower")
        whole = (months + length).astype("M8[D]") + (stamps - months.astype("M8[D]"))
    else:
        whole = stamps + usual
    following = np.append(stamps[1:], whole[-1])
    return np.where(following - stamps > GAP * (whole - stamps), whole, following)


def opened(path: str, name: str, entry: GriddedInput) -> tuple[RawFile, xr.DataArray]:
    """A file of ``entry`` and its variable that is ``name`` as (time, lat, lon), not read yet.

    Raises :class:`InputError` where it cannot be read or lacks the variable, has no dates of the standard calendar or
    no regular axes in degrees, or where the variable has another dimension of more than one.
    """
    raw, variable = RawFile.open(path), entry.variable or name
    if variable not in raw.dataset:
        held = [str(one) for one in raw.dataset.data_vars]
        what = f"no variable '{variable}'{nearest(variable, held)}; it holds {', '.join(held)}"
        raise InputError(what, where=path, hint=f"name it: sites.gridded.{name}.variable")
    if not raw.times.size or raw.calendar != "standard" or raw.steps:
        raise InputError("the times are not dates of the standard calendar", where=path, hint="convert the file")
    field = raw.cube(raw.dataset[variable])
    if "expver" in field.dims:
        raise InputError(f"'{variable}' has the extra dimension expver", where=path, hint="select one first")
    return raw, field


def _file(path: str, name: str, entry: GriddedInput, sites: pd.DataFrame) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Days of the steps (time,) and canonical values (time, site) of the cells that hold the sites, NaN beyond them."""
    raw, field = opened(path, name, entry)
    with NETCDF, raw.dataset:
        rows = _cells(raw.grid.lat, sites["lat"].to_numpy(float))
        columns = _cells(raw.grid.lon, sites["lon"].to_numpy(float), 360.0)
        inside = (rows >= 0) & (columns >= 0)
        if raw.order:
            rows, columns = raw.order[0][rows], raw.order[1][columns]
        cells = (np.where(inside, one, 0) for one in (rows, columns))
        where = {raw.dims[axis]: xr.DataArray(cell, dims="site") for axis, cell in
                 zip(("lat", "lon"), cells, strict=True)}  # fmt: skip
        chosen = field.isel(where).transpose(raw.dims["time"], "site")
        stated = entry.units or str(field.attrs.get("units", ""))
        values = variables.convert(chosen.to_numpy().astype(np.float64), stated, name, where=path)
    low, high = variables.get(name).possible or variables.get(name).valid
    values = np.where(inside & (values >= low) & (values <= high), values, np.nan)
    return raw.times.astype("datetime64[D]"), values


def _cells(
    middles: npt.NDArray[np.float64], places: npt.NDArray[np.float64], turn: float = 0.0
) -> npt.NDArray[np.int64]:
    """Number of the cell of a regular axis of ``middles`` [degrees] that holds each place, -1 for none.

    Places that differ by a ``turn`` are the same.
    """
    width = abs(float(middles[1] - middles[0]))
    away = middles[None, :] - places[:, None]
    away = np.abs((away + 0.5 * turn) % turn - 0.5 * turn if turn else away)
    nearest_cell = away.argmin(axis=1)
    return np.where(away.min(axis=1) <= 0.5 * width * (1 + 1e-6), nearest_cell, -1)
