"""Series in time of a slow layer: which steps are used, what each weighs, and how they become one field.

Months weigh by their days, unless the unit counts per month. A mean refuses years that are not complete, so that no
season weighs more than another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..errors import InputError
from ..times import decode, time_name

Array = npt.NDArray[Any]
How = Literal["mean", "maximum", "minimum"]
AXES = ("time", "year", "years", "month", "months", "date", "t", "nt")
"""What time axes are called, in any case."""
PER_MONTH = re.compile(r"(?i)(/|\bper |[\s.*])\s*mon(th)?s?\b")


@dataclass(frozen=True)
class StepSeries:
    """The ``positions`` along ``dimension`` that are used, their ``weights``, and ``months`` (None if undated)."""

    dimension: str
    positions: npt.NDArray[np.int64]
    weights: Array
    how: How
    months: npt.NDArray[np.datetime64] | None


@dataclass
class Reduction:
    """Mean, maximum or minimum of steps that come in blocks; missing steps are left out."""

    how: How
    total: Array | None = None
    known: Array = field(default_factory=lambda: np.zeros(()))

    def add(self, steps: Array, weights: Array) -> None:
        """Take in ``steps`` (step, ...) with their ``weights`` (step,)."""
        here = np.isfinite(steps)
        weight = here * weights.reshape(-1, *[1] * (steps.ndim - 1))
        known = weight.sum(axis=0)
        if self.how == "mean":
            found = (np.where(here, steps, 0.0) * weight).sum(axis=0)
            self.total = found if self.total is None else self.total + found
        else:
            least = -np.inf if self.how == "maximum" else np.inf
            pick = np.maximum if self.how == "maximum" else np.minimum
            found = pick.reduce(np.where(here, steps, least), axis=0)
            self.total = found if self.total is None else pick(self.total, found)
        self.known = self.known + known

    def result(self) -> Array:
        """The field; NaN where every step is missing."""
        total = np.zeros(()) if self.total is None else self.total
        divisor = self.known if self.how == "mean" else np.where(self.known > 0, 1.0, 0.0)
        return np.divide(total, divisor, where=divisor > 0, out=np.full(np.shape(total), np.nan))


def time_dimension(dataset: xr.Dataset, variable: str, select: dict[str, int]) -> str | None:
    """The dimension of ``variable`` that is time and longer than one step, if there is one that is not selected."""
    given = dataset[variable]
    named = time_name(dataset)
    own = str(dataset[named].dims[0]) if named and dataset[named].ndim == 1 else None
    for dimension in map(str, given.dims):
        if given.sizes[dimension] > 1 and dimension not in select and (dimension == own or dimension.lower() in AXES):
            return dimension
    return None


def choose(
    dataset: xr.Dataset,
    variable: str,
    select: dict[str, int],
    years: tuple[int, int] | None,
    over_time: str,
    path: str,
    month: int | None = None,
) -> StepSeries | None:
    """What is used of a variable's series, or of one calendar ``month`` of it; None where it has none, or nothing says
    what to do with it.

    Raises :class:`InputError` for years that the file does not hold (wholly, for a mean), for times given twice, and
    for times that cannot be read although ``years`` asks for them.
    """
    dimension = time_dimension(dataset, variable, select)
    if dimension is None or not (years or over_time or month):
        if month:
            hint = "leave 'month' and 'over_time: months' out"
            raise InputError(f"'{variable}' has no months", where=path, hint=hint)
        if years:
            _check_single(dataset, years, path)
        return None
    how: How = over_time or "mean"  # type: ignore[assignment]
    months, size = _months(dataset, dimension, path, needed=years is not None), dataset.sizes[dimension]
    if months is None:
        if month and size != 12:
            raise InputError(
                f"{size} steps without dates are not months", where=path, hint="give dates, or twelve steps"
            )
        steps, weights = np.arange(size), _climatology_weights(dataset, variable, size)
        chosen = slice(month - 1, month) if month else slice(None)
        return StepSeries(dimension, steps[chosen], weights[chosen], how, None)
    _check_twice(months, path)
    year = months.astype("datetime64[Y]").astype(int) + 1970
    low, high = years or (int(year.min()), int(year.max()))
    held = f"the file holds {year.min()} to {year.max()}"
    lacking = sorted(set(range(low, high + 1)) - set(year.tolist()))
    if lacking:
        raise InputError(f"no step of the year {lacking[0]}; {held}", where=path, hint="choose other 'years'")
    positions = np.flatnonzero((year >= low) & (year <= high))
    if how == "mean":
        _check_whole(months, year, positions, path)
    per_year = len(positions) / (high - low + 1)
    weights = np.ones(len(positions))
    if per_year == 12 and not PER_MONTH.search(str(dataset[variable].attrs.get("units", ""))):
        start = months[positions].astype("datetime64[M]")
        weights = ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(float)
    if month:
        own = months[positions].astype("datetime64[M]").astype(int) % 12 == month - 1
        if not own.any():
            raise InputError(f"no step of month {month}; {held}", where=path, hint="give whole years")
        positions, weights = positions[own], weights[own]
    return StepSeries(dimension, positions, weights, how, months[positions])


def _months(dataset: xr.Dataset, dimension: str, path: str, *, needed: bool) -> npt.NDArray[np.datetime64] | None:
    """Dates of the steps (to the day; the month's first for monthly series), None for those that state none."""
    name = next((str(n) for n, v in dataset.variables.items() if v.dims == (dimension,) and _is_time(str(n), v)), "")
    if not name:
        if needed:
            hint = "leave 'years' out, or choose a position with 'select'"
            raise InputError(f"'{dimension}' states no times", where=path, hint=hint)
        return None
    values, units = np.asarray(dataset[name].values), str(dataset[name].attrs.get("units", ""))
    since = re.match(r"(?i)years? since (\d{1,4})", units)
    if values.dtype.kind in "iuf" and since:
        return _of_years(np.floor(values + 1e-6) + int(since[1]))
    if values.dtype.kind in "iuf" and "since" not in units and ((values >= 1500) & (values < 2200)).all():
        return _of_years(np.floor(values + 1e-6))
    if not needed and "since" not in units and values.dtype.kind != "M":
        return None
    codes, _ = decode(dataset, name, Path(path), np.timedelta64(1, "M"))
    if len(np.unique(codes)) < len(codes):  # steps shorter than a month
        codes, _ = decode(dataset, name, Path(path), None)
    return codes.astype("datetime64[D]")


def _is_time(name: str, variable: xr.Variable) -> bool:
    return name.lower() in AXES or "since" in str(variable.attrs.get("units", "")) or variable.dtype.kind == "M"


def _of_years(years: Array) -> npt.NDArray[np.datetime64]:
    return (years.astype(int) - 1970).astype("datetime64[Y]").astype("datetime64[D]")


def _climatology_weights(dataset: xr.Dataset, variable: str, size: int) -> Array:
    """Twelve undated steps are the months of a year."""
    if size != 12 or PER_MONTH.search(str(dataset[variable].attrs.get("units", ""))):
        return np.ones(size)
    start = np.arange("2001-01", "2002-01", dtype="datetime64[M]")
    return ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(float)


def _check_single(dataset: xr.Dataset, years: tuple[int, int], path: str) -> None:
    """Refuse a file of one time outside ``years``, or of none at all."""
    name = time_name(dataset)
    if name is None or dataset[name].size != 1:
        raise InputError("there is no series in time to choose 'years' from", where=path, hint="leave 'years' out")
    codes, _ = decode(dataset, name, Path(path), np.timedelta64(1, "M"))
    year = int(codes[0].astype("datetime64[Y]").astype(int)) + 1970
    if not years[0] <= year <= years[1]:
        raise InputError(f"the file holds {year}, not {years[0]} to {years[1]}", where=path, hint="mend 'years'")


def _check_twice(months: npt.NDArray[np.datetime64], path: str) -> None:
    known, count = np.unique(months, return_counts=True)
    if (count > 1).any():
        day = str(known[count > 1][0])
        raise InputError(f"the time {day} is there twice", where=path, hint="mend the times, or get the file again")


def _check_whole(months: npt.NDArray[np.datetime64], year: Array, positions: npt.NDArray[np.int64], path: str) -> None:
    """Refuse a mean over years with fewer steps than the others (one or two of a hundred may lack)."""
    known, count = np.unique(year[positions], return_counts=True)
    most = int(np.unique(year, return_counts=True)[1].max())
    steps = np.diff(np.sort(months.astype("datetime64[M]")).astype(int))
    most = 12 if len(steps) and np.median(steps) == 1 else most
    short = known[count < most - (0 if most <= 24 else 1 + most // 100)]
    if len(short):
        held = int(count[known == short[0]][0])
        hint = "choose 'years' that are complete"
        raise InputError(f"{short[0]} has {held} of {most} steps: its mean would be one-sided", where=path, hint=hint)
