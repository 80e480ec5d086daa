"""The time coordinate of a raw file: found by name or meaning, and decoded to codes of :mod:`.calendars`.

Understood are CF units (``<unit> since <date>``, any calendar of :mod:`.calendars`), months since a date, and the
absolute times of CDO (``day as %Y%m%d.%f``). Whatever is not understood is one :class:`InputError` that names it.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .axes import TIME
from .calendars import ALIASES, RULES, STANDARD, encode
from .errors import InputError

if TYPE_CHECKING:
    import xarray as xr

Times = npt.NDArray[np.datetime64]

ROUND = (3600, 600, 60, 1)
"""Moments [s] that times of single precision are rounded to, the roundest first."""


def time_name(dataset: xr.Dataset) -> str | None:
    """Name of the time coordinate: one of :data:`.axes.TIME`, else the only variable that says it is time."""
    found = next((name for name in TIME if name in dataset.variables), None)
    if found is not None:
        return found
    said = [str(n) for n, v in dataset.variables.items() if v.attrs.get("standard_name") == "time" and v.ndim <= 1]
    return said[0] if len(said) == 1 else None


def decode(dataset: xr.Dataset, name: str, path: Path, snap: np.timedelta64 | None) -> tuple[Times, str]:
    """Codes (in the order of the file, flattened) and calendar of the times ``name``; with ``snap`` those of the
    start of the step (or month) that each lies in, by the time bounds where there are any.

    Raises :class:`InputError` where there are no steps, or a time, its unit or its calendar cannot be used.
    """
    time = dataset[name].variable
    where = f"{path}, {name}"
    if time.size == 0:
        raise InputError("the file holds no time steps", where=str(path), hint="delete it and get it again")
    values = np.asarray(time.values).ravel()
    attrs = {**time.attrs}
    calendar = str(attrs.get("calendar", time.encoding.get("calendar", "standard"))).strip().lower()
    proleptic = calendar == "proleptic_gregorian"
    calendar = "standard" if calendar in STANDARD else ALIASES.get(calendar, calendar)
    if calendar != "standard" and calendar not in RULES:
        raise InputError(
            f"the calendar '{calendar}' cannot be used",
            where=where,
            hint=f"convert the file to the standard calendar, or to one of {', '.join(RULES)}",
        )
    if snap is not None:
        values = _starts(dataset, name, values)
    months = snap is not None and np.datetime_data(snap)[0] == "M"
    codes = _codes(values, str(attrs.get("units", "")).strip(), calendar, (proleptic, months), where)
    if np.isnat(codes).any():
        raise InputError("a time is missing", where=where, hint="mend the time coordinate, or get the file again")
    if months:
        codes = codes.astype("datetime64[M]").astype("datetime64[s]")
    elif snap is not None:
        length = int(snap / np.timedelta64(1, "s"))
        codes = (codes.astype(np.int64) // length * length).astype("datetime64[s]")
    return codes, calendar


def _starts(dataset: xr.Dataset, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The starts of the time bounds, if there are bounds that hold their stamps; else the stamps."""
    time = dataset[name]
    bounds = dataset.variables.get(time.attrs.get("bounds", time.encoding.get("bounds", "")))
    if bounds is None or bounds.ndim != 2 or bounds.shape != (values.size, 2):
        return values
    own = bounds.attrs.get("units", time.attrs.get("units"))
    first, last = np.asarray(bounds.values).T
    if own != time.attrs.get("units") or not ((first <= values) & (values <= last) & (first < last)).all():
        return values
    return np.asarray(first)


def _codes(values: npt.NDArray[Any], units: str, calendar: str, flags: tuple[bool, bool], where: str) -> Times:
    """``values`` of a time variable as codes; ``flags``: whether it is proleptic, and monthly."""
    if values.dtype.kind == "M":
        return _whole_seconds(values)
    proleptic, months = flags
    if values.dtype.kind not in "iuf":
        raise InputError("the times are not numbers", where=where, hint="write them as '<unit> since <date>'")
    if not np.isfinite(values.astype(np.float64)).all():
        raise InputError("a time is missing", where=where, hint="mend the time coordinate, or get the file again")
    if re.match(r"day as %Y%m%d(\.%f)?$", units):
        values, units = _days_of_dates(values, calendar, where), "days since 1900-01-01"
    elif (months or calendar == "standard") and (
        match := re.match(r"months? since (\d{1,4})-(\d{1,2})\b", units, re.IGNORECASE)
    ):
        return _months_since(values, int(match[1]), int(match[2]), months, where)
    found = _cf(
        values.astype(np.float64) if values.dtype.kind == "f" else values,
        units,
        "proleptic_gregorian" if proleptic else calendar,
        where,
    )
    if found.dtype.kind == "M":
        codes = _whole_seconds(found)
    elif calendar in RULES:
        codes = encode(found, calendar, monthly=months)
    else:
        raise InputError(f"the times '{units}' are out of reach", where=where, hint="mend the time coordinate")
    return _rounded(codes, values, units) if values.dtype == np.float32 else codes


def _cf(values: npt.NDArray[Any], units: str, calendar: str, where: str) -> npt.NDArray[Any]:
    """Dates of ``values`` in CF ``units``: datetime64 in the standard calendar, cftime objects in others."""
    import xarray as xr

    if " since " not in units:
        raise InputError(
            f"the time unit '{units}' cannot be used", where=where, hint="it must be like 'hours since 1900-01-01'"
        )
    coder = xr.coders.CFDatetimeCoder(use_cftime=calendar in RULES)
    raw = xr.Dataset({"time": ("time", values, {"units": units, "calendar": calendar})})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return np.asarray(xr.decode_cf(raw, decode_times=coder)["time"].values)
            except (ValueError, OverflowError):  # a reference date that only cftime understands
                dates = xr.decode_cf(raw, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True))["time"].values
                return dates if calendar in RULES else _from_cftime(dates)
    except (ValueError, OverflowError, KeyError, TypeError, ArithmeticError) as problem:
        raise InputError(
            f"the times '{units}' cannot be decoded ({str(problem).splitlines()[0]})",
            where=where,
            hint="it must be like 'hours since 1900-01-01'",
        ) from problem


def _from_cftime(dates: npt.NDArray[Any]) -> Times:
    """datetime64 of cftime dates of the standard calendar."""
    return np.array([np.datetime64(date.isoformat()) for date in dates], "datetime64[us]")


def _whole_seconds(values: npt.NDArray[Any]) -> Times:
    return (values.astype("datetime64[ms]") + np.timedelta64(500, "ms")).astype("datetime64[s]")


def _rounded(codes: Times, values: npt.NDArray[Any], units: str) -> Times:
    """Codes of single-precision ``values`` at the roundest moments that their precision allows."""
    length = {"d": 86400, "h": 3600, "m": 60, "s": 1}.get(units[0].lower(), 1)
    reach = float(np.spacing(np.abs(values).max(initial=np.float32(1)))) * length
    seconds = codes.astype(np.int64)
    for unit in ROUND:
        near = (seconds + unit // 2) // unit * unit
        if np.abs(near - seconds).max() <= reach:
            return near.astype("datetime64[s]")
    return codes


def _days_of_dates(values: npt.NDArray[Any], calendar: str, where: str) -> npt.NDArray[Any]:
    """Days since 1900-01-01 of dates written as numbers such as 20010131.5."""
    import cftime

    whole = np.floor(values.astype(np.float64)).astype(np.int64)
    try:
        dates = [cftime.datetime(v // 10000, v // 100 % 100, v % 100, calendar=calendar) for v in whole.tolist()]
    except ValueError as problem:
        raise InputError(f"a time is not a date ({problem})", where=where, hint="mend the time coordinate") from problem
    return np.asarray(cftime.date2num(dates, "days since 1900-01-01", calendar)) + (values - whole)


def _months_since(values: npt.NDArray[Any], year: int, month: int, monthly: bool, where: str) -> Times:
    """First moments of the months counted from a month; parts of a month only where the data are monthly."""
    whole = np.floor(values.astype(np.float64) + 1e-6)
    if not 1 <= month <= 12 or (not monthly and np.abs(values - whole).max() > 1e-5):
        raise InputError("a part of a month is not a date", where=where, hint="give the times in days")
    first = np.datetime64(f"{year:04d}-{month:02d}", "M")
    return (first + whole.astype(np.int64)).astype("datetime64[s]")
