"""From measurements within the day to daily values with their random uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules
from .qc import bounds, error_floor, missing, screen, step_range, within_range
from .records import Ledger, long_table

MAJORITY = 0.5
"""A chamber with a larger share of its days beyond the limits stands on another kind of ground; our choice."""


def local_day(utc: pd.Series | pd.DatetimeIndex, utc_offset: float) -> pd.DatetimeIndex:
    """The day of local standard time in which each UTC time falls."""
    return pd.DatetimeIndex(utc + pd.Timedelta(hours=utc_offset)).floor("D")


def standard_offset(lon: float) -> float:
    """Hours ahead of UTC of the time zone nearest to longitude ``lon``: the estimate where nobody states it."""
    return float(np.clip(np.round(lon / 15), -12, 12))


def daily_mean(
    raw: pd.Series,
    day: pd.DatetimeIndex,
    variable: str,
    *,
    factor: float = 1.0,
    offset: float = 0.0,
    group: pd.Series | None = None,
    given_sd: pd.Series | None = None,
    min_values: int = 1,
    rules: QcRules,
    ledger: Ledger,
    site: str,
    label: str | None = None,
) -> pd.DataFrame:
    """Long observation rows: daily means of what chambers measured (``raw``, unit of the source) on ``day``.

    Single values are judged by what is possible. With ``group`` (chamber or port; values without one form a group of
    their own) the mean is taken first over each group within the day, then over groups, so that a chamber measured more
    often does not weigh more. The range of the system is that of the day's mean, and of a chamber as a whole
    (:func:`_own_kind`): a value or a chamber that came and went at a limit would change the sign of a mean. The spread
    between groups (or, with fewer than three, between the values) gives the standard error of the daily mean. The
    uncertainty is the larger of that and the error model of :func:`fluxatlas.ingest.sites.qc.error_floor`, or of
    ``given_sd`` (one per value, canonical units) propagated to the mean. Days with fewer than ``min_values`` are
    dropped and counted. ``qc`` is the share of the values measured on the day that the mean is made of.
    """
    known: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    told: dict[str, Any] = {"of": "values", "label": label, "valid": step_range(variable, rules), **known}
    frame = pd.DataFrame({"day": day, "group": 0 if group is None else group.to_numpy()})
    order = np.argsort(pd.factorize(frame["group"])[0], kind="stable")  # a spike is one among the values of its chamber
    screened = screen(raw.iloc[order], variable, factor=factor, offset=offset, **told).to_numpy(float)
    frame["value"] = screened[np.argsort(order)]
    frame["variance"] = np.nan if given_sd is None else given_sd.to_numpy(float) ** 2
    measured = frame.assign(n=missing(raw, rules)[0].notna().to_numpy()).groupby("day")["n"].sum()
    frame = _own_kind(frame[frame["value"].notna()], variable, rules, ledger, site, label or variable)
    ledger.read(site, variable, frame["day"].nunique())
    by_day = frame.groupby("day")
    n = by_day["value"].size()
    groups = frame.groupby(["day", "group"], dropna=False)["value"].mean().groupby("day")
    mean, count = groups.mean(), groups.size()
    error: pd.Series = (
        (groups.std() / np.sqrt(count)).where(count >= 3, by_day["value"].std() / np.sqrt(n)).where(n >= 3, 0.0)
    )
    few = n < min_values
    ledger.drop(site, variable, f"with fewer than {min_values} values", int(few.sum()))
    mean = pd.Series(within_range(mean.mask(few).to_numpy(float), variable, **known), index=mean.index)
    floor = error_floor(variable, mean, rules)
    if given_sd is not None:
        floor = (np.sqrt(by_day["variance"].sum(min_count=1)) / by_day["variance"].count()).fillna(floor)
    qc = n / measured.reindex(n.index)
    return long_table(variable, mean, sd=np.maximum(error.fillna(0.0), floor), qc=qc, n=n)


def _own_kind(
    frame: pd.DataFrame, variable: str, rules: QcRules, ledger: Ledger, site: str, label: str
) -> pd.DataFrame:
    """``frame`` without chambers that stand on another kind of ground: most of their days are beyond the limits.

    A chamber is taken or left as a whole. Where none would remain all stay, and the site is judged by its days.
    """
    least, most = bounds(variable, rules)[1]
    days = frame.groupby(["day", "group"], dropna=False)["value"].mean()
    beyond = ((days < least) | (days > most)).groupby("group", dropna=False).mean()
    other = list(beyond.index[beyond > MAJORITY])
    if not other or len(other) == len(beyond):
        return frame
    inside = ~frame["group"].isin(other)
    reason = f"of chambers mostly outside {least:g} to {most:g} (qc.limits)"
    ledger.drop(site, label, reason, int((~inside).sum()), of="values")
    ledger.warn(
        site,
        f"chambers left out, most of whose days have {variable} outside {least:g} to {most:g}: "
        f"{', '.join(map(str, other))}",
    )
    return frame[inside]
