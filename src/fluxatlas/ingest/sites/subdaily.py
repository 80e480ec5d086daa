"""Half-hourly and hourly series of towers and stations: onto whole days, to daily observations and daily weather.

Times are the **start** of each step in the site's local standard time; readers bring them to that. Everything works on
arrays (day, step of the day), so that a day is a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ... import variables
from ...config.sites import QcRules
from .qc import error_floor, screen, step_range, within_range
from .records import Ledger, UnusableError, long_table

FloatArray = npt.NDArray[np.floating[Any]]

LONGEST = 100
"""A file that spans more years than this holds a wrong time."""

ORDER = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")
C_PER_UMOL = 12.011e-6 * 86400
"""1 umol CO2 m-2 s-1 in g C m-2 d-1."""


def whole_days(table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, int]:
    """``table`` (numbers, indexed by unique ascending times) on every step of every day it touches; NaN where absent.

    Returns it with the number of steps per day. A table that is complete already is returned as it is, without a copy.
    Raises :class:`UnusableError` where the step does not divide six hours, a time is off it, or the span is absurd.
    """
    times = table.index.to_numpy().astype("datetime64[s]").astype("int64")
    if len(times) < 2:
        raise UnusableError("fewer than two rows: the time step is unknown", where=where, hint="give a longer file")
    step = int(np.median(np.diff(times)))
    if step < 60 or 21600 % step:
        few = ": too few values in a day" if step > 21600 else ""
        what = f"the usual time step is {step / 60:g} minutes{few}"
        raise UnusableError(what, where=where, hint="steps must divide six hours evenly")
    first, last = int(times[0] // 86400), int(times[-1] // 86400)
    per_day, days = 86400 // step, last - first + 1
    if days > LONGEST * 366:
        raise UnusableError(
            f"the times span {days / 365.25:,.0f} years",
            where=where,
            hint="one of them is wrong: check the first and last",
        )
    place, rest = np.divmod(times - first * 86400, step)
    if rest.any():
        stray = table.index[int(np.flatnonzero(rest)[0])]
        raise UnusableError(
            f"{stray:%Y-%m-%d %H:%M} is not on the {step // 60}-minute steps of the file",
            where=where,
            hint="correct the time, or average the file to regular steps",
        )
    if len(times) == days * per_day:
        return table, per_day
    start = np.datetime64(first, "D")
    index = pd.date_range(start, periods=days * per_day, freq=f"{step}s", unit="ns", name=table.index.name)
    full = np.full((len(index), table.shape[1]), np.nan)
    full[place] = table.to_numpy(float)
    return pd.DataFrame(full, index=index, columns=table.columns), per_day


def days_of(table: pd.DataFrame | pd.Series, per_day: int) -> pd.DatetimeIndex:
    """The days of a regular table."""
    return pd.DatetimeIndex(table.index[::per_day], name="time")


def balanced_means(values: FloatArray, per_day: int) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64], Any]:
    """Mean, its random error, number of values and evenness of each day, from the steps ``values`` of whole days.

    The mean is that of the day's four quarters, each the mean of its values, so that gaps at night, which eddy
    covariance has more often, do not tilt it (of a complete day it is the plain mean); NaN where a quarter holds
    nothing. The error is the standard error within quarters, the daily course left out. Our choice [D].
    """
    quarters = values.reshape(-1, 4, per_day // 4)
    finite = np.isfinite(quarters)
    count = finite.sum(axis=2)
    data = np.where(finite, quarters, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = data.sum(axis=2) / count
        spread = np.where(finite, quarters - mean[..., None], 0.0)
        variance = (spread**2).sum(axis=2) / np.maximum(count - 1, 1) / count
    error = np.sqrt(variance.sum(axis=1)) / 4
    return mean.mean(axis=1), error, count.sum(axis=1), (count > 0).all(axis=1)


def observed_days(
    raw: pd.Series,
    variable: str,
    per_day: int,
    *,
    factor: float = 1.0,
    offset: float = 0.0,
    rules: QcRules,
    ledger: Ledger,
    site: str,
) -> pd.DataFrame:
    """Long observation rows from a series that is **not** gap-filled: ``raw`` (source unit) on the steps of whole days.

    Values are screened one by one; a day needs ``rules.min_qc`` of its steps, ``rules.min_values`` values and one in
    each quarter. ``qc`` is the fraction of steps that hold a value. The mean is :func:`balanced_means`; ``sd`` the
    larger of its error and the error model.
    """
    values = screen(
        raw,
        variable,
        factor=factor,
        offset=offset,
        rules=rules,
        ledger=ledger,
        site=site,
        of="values",
        valid=step_range(variable, rules),
    )
    mean, error, n, even = balanced_means(values.to_numpy(float), per_day)
    touched = n > 0
    ledger.read(site, variable, int(touched.sum()))
    least = max(rules.min_values, int(np.ceil(rules.min_qc * per_day)))
    few = touched & (n < least)
    uneven = touched & ~few & ~even
    ledger.drop(site, variable, f"with fewer than {least} of {per_day} values", int(few.sum()))
    ledger.drop(site, variable, "with a quarter of the day unobserved", int(uneven.sum()))
    whole = within_range(np.where(touched & ~few & ~uneven, mean, np.nan), variable, rules, ledger, site=site)
    daily = pd.Series(whole, index=days_of(raw, per_day))
    sd = np.maximum(error, error_floor(variable, daily, rules).to_numpy(float))
    return long_table(variable, daily, sd=pd.Series(sd), qc=pd.Series(n / per_day), n=pd.Series(n))


def filled_days(
    raw: pd.Series,
    good: pd.Series | None,
    variable: str,
    per_day: int,
    *,
    factor: float = 1.0,
    offset: float = 0.0,
    rules: QcRules,
    ledger: Ledger,
    site: str,
) -> pd.DataFrame:
    """Long observation rows from a **gap-filled** series: means of complete days; ``qc`` is the share of ``good``.

    ``good`` is 1 where a step is measured or well filled, else 0 (None: all are). Days below ``rules.min_qc`` are
    dropped as gap-filled, as with the daily files of FLUXNET.
    """
    daily = pd.Series(raw.to_numpy(float).reshape(-1, per_day).mean(axis=1), index=days_of(raw, per_day), name=raw.name)
    share = np.ones(len(daily)) if good is None else good.to_numpy(float).reshape(-1, per_day).mean(axis=1)
    qc = pd.Series(share, index=daily.index)
    values = screen(
        daily,
        variable,
        factor=factor,
        offset=offset,
        rules=rules,
        ledger=ledger,
        site=site,
        qc=qc,
        min_qc=rules.min_qc,
    )
    return long_table(variable, values, sd=error_floor(variable, values, rules), qc=qc, n=per_day)


def weather_days(steps: pd.DataFrame, per_day: int) -> pd.DataFrame:
    """Daily weather with the columns :data:`ORDER` from the steps of whole days, NaN in a day with any value missing.

    ``steps``: canonical ``tas, pr, rsds, rlds, huss, ps, sfcWind``, screened. Small negative shortwave radiation
    (the offset of a sensor at night) counts as zero.
    """
    frame: dict[str, FloatArray] = {}
    for name in ("tas", "pr", "rsds", "rlds", "huss", "ps", "sfcWind"):
        rows = steps[name].to_numpy(float).reshape(-1, per_day)
        rows = np.maximum(rows, 0.0) if name == "rsds" else rows
        frame[name] = rows.mean(axis=1)
        if name == "tas":
            frame |= {"tasmin": rows.min(axis=1), "tasmax": rows.max(axis=1)}
    table = pd.DataFrame(frame, index=days_of(steps, per_day))[list(ORDER)]
    return table.where(table.notna().all(axis=1))


def screened_weather(
    raw: dict[str, tuple[pd.Series, float, float]], *, rules: QcRules, ledger: Ledger, site: str
) -> pd.DataFrame:
    """Canonical steps of weather variables from ``{variable: (series, factor, offset)}``; spikes are left in."""
    calm = rules.model_copy(update={"spike_z": 0.0})
    return pd.DataFrame(
        {
            name: screen(
                series,
                name,
                factor=factor,
                offset=offset,
                rules=calm,
                ledger=ledger,
                site=site,
                of="values",
                label=str(series.name),
                valid=variables.get(name).step,
            )
            for name, (series, factor, offset) in raw.items()
        }
    )
