"""The times of a file of an inversion: decoded, from rows or numbers of dates, its name, or counted from a month."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...times import decode
from .kinds import Step

if TYPE_CHECKING:
    import xarray as xr

Times = npt.NDArray[np.datetime64]

NAMES = ("time", "mtime", "date", "datetime", "start_date", "month", "months", "valid_time")
MONTHLY_FROM = 27
"""Steps of at least so many days are months."""


def file_times(
    dataset: xr.Dataset, dim: str, array: xr.DataArray, path: Path, single: Step, start: str
) -> tuple[Times, Step]:
    """Times (datetime64[s]; months as their first moment) along ``dim`` and the length of a step.

    ``dim`` empty: one step, whose date is in the name of the file. ``single``: the step where there is only one time
    and the name does not tell; ``start``: the first month (YYYY-MM) where the file has no times. Raises
    :class:`InputError` where times cannot be known, or steps are neither hours, days nor months.
    """
    size = array.sizes[dim] if dim else 1
    if size == 0:
        raise InputError("the file holds no time steps", where=str(path), hint="get it again")
    source = next((n for n in (dim, *NAMES) if n in dataset.variables and dataset[n].shape[:1] == (size,)), "")
    times = None
    if start:
        times = (np.datetime64(_month(start), "M") + np.arange(size)).astype("datetime64[s]")
        return times, "month"
    if source:
        times = _dates(dataset, source, path)
    stamped = _stamp(path)
    if times is None and size == 1 and stamped:
        return np.array([stamped[0]], "datetime64[s]"), stamped[1]
    if times is None:
        what = "no times" if not source else f"times '{source}' that cannot be read"
        where = ", and no month (YYYYMM) stands in its name" if size == 1 else ""
        raise InputError(
            f"the file has {size} steps and {what}{where}",
            where=str(path),
            hint="give the month of its first step with 'start: YYYY-MM'" if size > 1 else "keep the provider's name",
        )
    step = _step(times, stamped[1] if stamped else single, path)
    if step == "month":
        times = times.astype("datetime64[M]").astype("datetime64[s]")
    elif step == "day":
        times = times.astype("datetime64[D]").astype("datetime64[s]")
    return times, step


def _month(text: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise InputError(f"'{text}' is not a month", where="start", hint="write YYYY-MM, such as 2010-01")
    return text


def _step(times: Times, single: Step, path: Path) -> Step:
    """Whether steps are months, days or parts of a day."""
    if times.size == 1:
        return single
    days = np.abs(np.diff(times.astype(np.int64))) / 86400
    usual = float(np.median(days[days > 0])) if days.any() else 0.0
    if MONTHLY_FROM <= usual <= 32:
        return "month"
    if not 0 < usual <= 1.01:
        raise InputError(
            f"steps of {usual:g} days cannot be used", where=str(path), hint="give monthly, daily or sub-daily fluxes"
        )
    return "day" if usual > 0.99 else "hours"


def _stamp(path: Path) -> tuple[str, Step] | None:
    """The date in the name of the file, and whether it is a month or a day."""
    found = re.search(r"(?<!\d)((?:19|20)\d\d)[-_]?(0[1-9]|1[0-2])(?:[-_]?(0[1-9]|[12]\d|3[01]))?(?!\d)", path.stem)
    if found is None:
        return None
    return (f"{found[1]}-{found[2]}-{found[3] or '01'}", "day" if found[3] else "month")


def _dates(dataset: xr.Dataset, source: str, path: Path) -> Times | None:
    """Dates of variable ``source``: CF times, rows of year, month, day, numbers YYYYMM[DD], or text; else ``None``."""
    variable = dataset[source]
    values: Any = variable.values
    if " since " in str(variable.attrs.get("units", "")) and values.ndim == 1:
        times, calendar = decode(dataset, source, path, None)
        if calendar != "standard":
            snapped, _ = decode(dataset, source, path, np.timedelta64(1, "M"))
            return _monthly_only(snapped, calendar, path)
        return times
    if values.dtype.kind == "M" and values.ndim == 1:
        return values.astype("datetime64[s]")
    if values.ndim == 2 and values.shape[1] >= 3 and values.dtype.kind in "iuf" and np.isfinite(values).all():
        rows = [f"{int(r[0]):04d}-{int(r[1]):02d}-{int(r[2]):02d}" for r in values]
        clock = np.array([3600 * r[3] + 60 * r[4] + r[5] if r.size > 5 else 0 for r in values], np.int64)
        return _parsed(rows, clock)
    if values.ndim != 1:
        return None
    if values.dtype.kind in "SUO":
        texts = [v.decode("ascii", "replace") if isinstance(v, bytes) else str(v) for v in values]
    elif np.isfinite(values.astype(np.float64)).all() and (values == np.floor(values)).all():
        texts = [str(int(v)) for v in values]
    else:
        return None
    found = [
        re.fullmatch(r"\s*((?:19|20)\d\d)[-/]?(0[1-9]|1[0-2])(?:[-/]?(\d\d))?(?:[T ].*)?\s*", text) for text in texts
    ]
    if not all(found):
        return None
    return _parsed([f"{m[1]}-{m[2]}-{m[3] or '01'}" for m in found if m], np.zeros(values.size, np.int64))


def _parsed(rows: list[str], seconds: npt.NDArray[np.int64]) -> Times | None:
    try:
        return np.array(rows, "datetime64[s]") + seconds.astype("timedelta64[s]")
    except ValueError:
        return None


def _monthly_only(months: Times, calendar: str, path: Path) -> Times:
    """Months of a model calendar, which are the same in the standard one; other steps are refused."""
    if months.size > 1 and not (np.diff(months.astype("datetime64[M]").astype(np.int64)) == 1).all():
        raise InputError(
            f"the calendar '{calendar}' cannot be used for steps shorter than a month",
            where=str(path),
            hint="convert the file to the standard calendar",
        )
    return months
