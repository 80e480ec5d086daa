"""From measurements within the day to the series of chambers and of their site, with random uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ... import variables
from ...config.sites import QcRules
from .composition import fit
from .qc import bounds, error_floor, missing, screen, step_range, within_range
from .records import Ledger, long_table

MAJORITY = 0.5
"""A chamber with a larger share of its days beyond the limits stands on another kind of ground; our choice."""

TOO_FEW = "with too few values (qc.min_values)"


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
    """Long observation rows: daily values of a site of what its chambers measured (``raw``, unit of the source).

    :func:`chamber_days`, then :func:`site_days`; a site of several instruments calls them itself.
    """
    known: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    told: dict[str, Any] = {"factor": factor, "offset": offset, "group": group, "given_sd": given_sd, "label": label}
    return site_days(chamber_days(raw, day, variable, min_values=min_values, **told, **known), variable, **known)


def chamber_days(
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
    """The series of every chamber (``group``; values without one form a group of their own): a row per chamber and day.

    Columns ``day, chamber, value`` (mean, canonical units), ``n`` (values in it), ``scatter`` (their variance),
    ``variance`` and ``stated`` (sum and number of squares of ``given_sd``, one per value, canonical units),
    ``measured`` (values before screening) and ``few`` (a day of fewer than ``min_values`` values of all chambers).
    Single values are judged by what is possible; the range of the system is that of a chamber as a whole
    (:func:`_own_kind`) and of the day of the site: a value or a chamber that came and went at a limit would change the
    sign of a mean.
    """
    known: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    told: dict[str, Any] = {"of": "values", "label": label, "valid": step_range(variable, rules), **known}
    codes, names = pd.factorize(np.full(len(raw), np.nan) if group is None else group, use_na_sentinel=False)
    frame = pd.DataFrame({"day": day, "chamber": np.array([_name(name) for name in names], dtype=object)[codes]})
    order = np.argsort(codes, kind="stable")  # a spike is one among those of its chamber
    screened = screen(raw.iloc[order], variable, factor=factor, offset=offset, **told).to_numpy(float)
    frame["value"] = screened[np.argsort(order)]
    frame["variance"] = np.nan if given_sd is None else given_sd.to_numpy(float) ** 2
    measured = missing(raw, rules)[0].notna().to_numpy()
    kept = _own_kind(frame[frame["value"].notna()], variable, rules, ledger, site, label or variable)
    counts = frame.assign(measured=measured).groupby(["day", "chamber"])["measured"].sum()
    parts = kept.groupby(["day", "chamber"])
    table = pd.DataFrame(
        {
            "value": parts["value"].mean(),
            "n": parts["value"].size(),
            "scatter": parts["value"].var(),
            "variance": parts["variance"].sum(min_count=1),
            "stated": parts["variance"].count(),
        }
    )
    table = pd.DataFrame({"measured": counts}).join(table).reset_index()
    table[["n", "stated"]] = table[["n", "stated"]].fillna(0)
    return table.assign(few=table.groupby("day")["n"].transform("sum") < min_values)


def site_days(table: pd.DataFrame, variable: str, *, rules: QcRules, ledger: Ledger, site: str) -> pd.DataFrame:
    """Long observation rows of a site from the series of its chambers (rows of :func:`chamber_days`).

    The value of a day is free of which chambers ran (:func:`fluxatlas.ingest.sites.composition.fit`), or with
    ``sites.chambers: mean`` the mean over those that did. The uncertainty is the larger of its error and the error
    model of :func:`fluxatlas.ingest.sites.qc.error_floor`, or the stated ones propagated to the mean. Days of few
    values are dropped and counted. ``qc`` is the share of the values measured on the day that the value is made of.
    What was found of the chambers is kept in ``ledger``.
    """
    measured = table.groupby("day")["measured"].sum()
    found = table[table["n"] > 0]
    enough = found[~found["few"]]
    ledger.read(site, variable, found["day"].nunique())
    ledger.drop(site, variable, TOO_FEW, found["day"].nunique() - enough["day"].nunique())
    if enough.empty:
        return long_table(variable, pd.Series(dtype=float), sd=0.0)
    signed = variables.get(variable).valid[0] < 0 < variables.get(variable).valid[1]
    made = fit(enough, adjust=ledger.chambers == "adjusted", signed=signed)
    first = ledger.compositions.setdefault((site, variable), made) is made
    if first and ledger.chambers == "adjusted" and (doubt := made.doubt()):
        ledger.warn(site, f"{variable}: {doubt}")
    by_day = enough.groupby("day")
    mean = made.days["value"]
    known: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    mean = pd.Series(within_range(mean.to_numpy(float), variable, **known), index=mean.index)
    floor = error_floor(variable, mean, rules)
    stated = by_day["stated"].sum()
    floor = (np.sqrt(by_day["variance"].sum(min_count=1)) / stated.where(stated > 0)).fillna(floor)
    n = by_day["n"].sum().astype(int)
    return long_table(variable, mean, sd=np.maximum(made.days["sd"].fillna(0.0), floor), qc=n / measured[n.index], n=n)


def _name(chamber: Any) -> str:
    """The name of a chamber as text: whole numbers without a decimal point, '' where there is none."""
    if pd.isna(chamber):
        return ""
    whole = isinstance(chamber, int | float | np.number) and float(chamber).is_integer()
    return str(int(chamber)) if whole else str(chamber).strip()


def _own_kind(
    frame: pd.DataFrame, variable: str, rules: QcRules, ledger: Ledger, site: str, label: str
) -> pd.DataFrame:
    """``frame`` without chambers that stand on another kind of ground: most of their days are beyond the limits.

    A chamber is taken or left as a whole. Where none would remain all stay, and the site is judged by its days.
    """
    least, most = bounds(variable, rules)[1]
    days = frame.groupby(["day", "chamber"])["value"].mean()
    beyond = ((days < least) | (days > most)).groupby("chamber").mean()
    other = list(beyond.index[beyond > MAJORITY])
    if not other or len(other) == len(beyond):
        return frame
    inside = ~frame["chamber"].isin(other)
    reason = f"of chambers mostly outside {least:g} to {most:g} (qc.limits)"
    ledger.drop(site, label, reason, int((~inside).sum()), of="values")
    ledger.warn(
        site,
        f"chambers left out, most of whose days have {variable} outside {least:g} to {most:g}: "
        f"{', '.join(map(str, other))}",
    )
    return frame[inside]
