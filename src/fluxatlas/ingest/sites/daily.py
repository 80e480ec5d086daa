"""From measurements within the day to daily values with their random uncertainty."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...config.sites import QcRules
from .qc import error_floor
from .records import Ledger, long_table


def local_day(utc: pd.Series | pd.DatetimeIndex, utc_offset: float) -> pd.DatetimeIndex:
    """The day of local standard time in which each UTC time falls."""
    return pd.DatetimeIndex(utc + pd.Timedelta(hours=utc_offset)).floor("D")


def standard_offset(lon: float) -> float:
    """Hours ahead of UTC of the time zone nearest to longitude ``lon``: the estimate where nobody states it."""
    return float(np.clip(np.round(lon / 15), -12, 12))


def daily_mean(
    values: pd.Series,
    day: pd.DatetimeIndex,
    variable: str,
    *,
    group: pd.Series | None = None,
    given_sd: pd.Series | None = None,
    min_values: int = 1,
    rules: QcRules,
    ledger: Ledger,
    site: str,
) -> pd.DataFrame:
    """Long observation rows: daily means of ``values`` (canonical units) that fall on ``day``.

    With ``group`` (chamber or port; values without one form a group of their own) the mean is taken first over each
    group within the day, then over groups, so that a chamber measured more often does not weigh more; the spread
    between groups (or, with fewer than three, between the values) gives the standard error of the daily mean. The
    uncertainty is the larger of that and the error model of :func:`fluxatlas.ingest.sites.qc.error_floor`, or of
    ``given_sd`` (one per value) propagated to the mean. Days with fewer than ``min_values`` are dropped and counted.
    """
    frame = pd.DataFrame({"day": day, "value": values.to_numpy(float)})
    frame["group"] = group.to_numpy() if group is not None else 0
    frame["variance"] = np.nan if given_sd is None else given_sd.to_numpy(float) ** 2
    frame = frame[frame["value"].notna()]
    ledger.read(site, variable, frame["day"].nunique())
    raw = frame.groupby("day")
    n = raw["value"].size()
    groups = frame.groupby(["day", "group"], dropna=False)["value"].mean().groupby("day")
    mean, count = groups.mean(), groups.size()
    error: pd.Series = (
        (groups.std() / np.sqrt(count)).where(count >= 3, raw["value"].std() / np.sqrt(n)).where(n >= 3, 0.0)
    )
    floor = error_floor(variable, mean, rules)
    if given_sd is not None:
        floor = (np.sqrt(raw["variance"].sum(min_count=1)) / raw["variance"].count()).fillna(floor)
    few = n < min_values
    ledger.drop(site, variable, f"with fewer than {min_values} values", int(few.sum()))
    rows = long_table(variable, mean, sd=np.maximum(error.fillna(0.0), floor), qc=1.0, n=n)
    return rows[~few.to_numpy()]
