"""Monthly tower tables of MetaFlux (Nathaniel, Liu and Gentine 2023, doi:10.1038/s41597-023-02349-y), one per tower.

Columns of ``<site>_MM.csv`` are those of FLUXNET2015 monthly files with position and land cover: NEE_VUT_REF,
GPP_NT_VUT_REF, RECO [g C m-2 d-1], TA_F [deg C], SW_IN_F, LW_IN_F [W m-2], VPD_F [hPa], PA_F [kPa], P_F [mm d-1], WS_F
[m s-1], the same as ``*_ERA``, LAI. Fluxes become means of periods; RECO is GPP_NT + NEE, not an estimate of its own.

Weather is brought from months to days as gridded forcing is (:mod:`..disaggregation`): means of months stay, days are
smooth and rain falls on every third day, so that these days are not weather that anybody had. Extremes follow from the
daytime mean of the reanalysis (:func:`weather.extremes`). Leaf area is the mean month of LAI. **Its rows are not in the
order of their months** but in that of the names of months as text (1, 10, 11, 12, 2, ...), which shows in its season;
they are put right, in years that have all twelve, and LAI of other years is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import variables
from ...astronomy import daylight_fraction
from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from ..disaggregation import REACH, interpolate, split_rain
from . import weather
from .fluxnet_weather import ORDER
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts
from .periods import period_table
from .qc import error_floor, screen
from .records import MONTHLY_COLUMNS, Ledger, SiteRecord, each, observations
from .stated import restate
from .text import compact, in_order, numbers, read_table, times

LAYOUT = Layout(
    (
        celsius("TA_F|TA_ERA", "tas"),
        celsius("TA_ERA_DAY", ""),
        ColumnSpec("SW_IN_F", "W m-2", "rsds"),
        ColumnSpec("LW_IN_F", "W m-2", "rlds"),
        ColumnSpec("VPD_F", "hPa", "vpd", 100.0),
        ColumnSpec("PA_F", "kPa", "ps", 1000.0),
        ColumnSpec("P_F", "mm d-1", "pr", 1 / 86400.0),
        ColumnSpec("WS_F", "m s-1", "sfcWind"),
        ColumnSpec("NEE_VUT_REF", "g m-2 d-1", "nee"),
        ColumnSpec("GPP_NT_VUT_REF", "g m-2 d-1", "gpp"),
        ColumnSpec("RECO", "g m-2 d-1", "reco"),
        ColumnSpec(r"\w+_QC", kind="flag"),
        ColumnSpec(r"LAI|EVI|USTAR|CO2_F_MDS|GPP_DT_VUT_REF|(LE|H)_CORR|\w+_ERA"),
    )
)
PLACE = ("Site", "Lat", "Lon", "PFT")
REQUIRED = ("TIMESTAMP", *PLACE[:3], "NEE_VUT_REF")
"""Columns by which a table of this layout is known."""
WEATHER = {name: LAYOUT.of(name).pattern for name in ("rsds", "rlds", "vpd", "ps", "sfcWind", "pr")} | {"tas": "TA_F"}
FLUXES = {"nee": "NEE_VUT_REF", "gpp": "GPP_NT_VUT_REF", "reco": "RECO"}
AS_TEXT = tuple(sorted(range(1, 13), key=str))
"""The month that each of the twelve rows of leaf area of a year is of."""


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per file, without daily observations: weather, leaf area and facts."""
    facts = SiteFacts(entry)
    return each(files, lambda path: _site(path, facts, entry, rules, ledger), ledger)


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Monthly means of fluxes as :data:`periods.PERIOD_COLUMNS`, counted under ``<site> (months)``; all three have the
    quality of nee."""
    facts, parts = SiteFacts(entry), [period_table()]
    calm = rules.model_copy(update={"spike_z": 0.0})
    for row, table in each(files, lambda path: _table(path, facts, entry, rules, ledger), ledger):
        place = {"site": row["site"], "lat": row["lat"], "lon": row["lon"], "source": "metaflux"}
        qc = table["NEE_VUT_REF_QC"] if "NEE_VUT_REF_QC" in table else pd.Series(1.0, index=table.index)
        qc = qc.where(qc.between(0, 1), 0.0)
        label = f"{row['site']} (months)"
        for variable, column in FLUXES.items():
            if column not in table:
                continue
            told: dict[str, Any] = {"rules": calm, "ledger": ledger, "site": label, "qc": qc, "min_qc": rules.min_qc}
            kept = screen(table[column], variable, factor=1.0, offset=0.0, label=column, **told).dropna()
            start = pd.DatetimeIndex(kept.index)
            end = (start.to_period("M") + 1).to_timestamp()
            columns = {"value": kept.to_numpy(float), "qc": qc.reindex(start).to_numpy(float)}
            columns["sd"] = error_floor(variable, kept, rules).to_numpy(float)
            parts.append(period_table(**columns, variable=variable, start=start, end=end, **place))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


@lru_cache(maxsize=1024)
def _whole(path: str, encoding: str, changed: int) -> pd.DataFrame:
    """The table as it is, which is read for weather and for fluxes; ``changed``: its time stamp."""
    return read_table(path, required=REQUIRED, keep=lambda name: True, encoding=encoding)


def _table(
    path: str, facts: SiteFacts, entry: SiteEntry, rules: QcRules, ledger: Ledger
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The site's row of sites.csv and its columns by month."""
    whole = _whole(path, entry.encoding, Path(path).stat().st_mtime_ns if Path(path).is_file() else 0)
    held = [name for name in PLACE if name in whole]
    if len(whole[held].drop_duplicates()) != 1:
        raise InputError("the file holds several sites or positions", where=path, hint="give one file per tower")
    first = whole.iloc[0]
    stated: dict[str, Any] = {"lat": float(first["Lat"]), "lon": float(first["Lon"])}
    if isinstance(first.get("PFT"), str):
        stated["igbp"] = first["PFT"]
    named = str(first["Site"])
    row = facts.row(named, kind="tower", source="metaflux", ledger=ledger, where=path, stated=stated)
    names = [str(name) for name in whole if LAYOUT.find(str(name)) is not None]
    values = pd.DataFrame({name: numbers(whole, name, path) for name in names})
    table = in_order(values, times(compact(whole["TIMESTAMP"]), "%Y%m", path), path)
    table = restate(table, LAYOUT, entry, rules, ledger, site=str(row["site"]), where=path)
    ledger.saw(table, LAYOUT)
    return row, table


def _site(path: str, facts: SiteFacts, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> SiteRecord:
    row, table = _table(path, facts, entry, rules, ledger)
    site = str(row["site"])
    if "RECO" in table:
        ledger.note(site, "reco is gpp + nee, not an estimate of its own")
    frame = _weather(site, table, float(row["lat"]), rules, ledger)
    row |= _leaf_area(site, table, ledger)
    return SiteRecord(row, observations([]), frame, (path,))


def _weather(site: str, table: pd.DataFrame, lat: float, rules: QcRules, ledger: Ledger) -> pd.DataFrame | None:
    """Daily weather made of the months, NaN around months without any of it; None where a column is absent."""
    needed = (*WEATHER.values(), "TA_ERA", "TA_ERA_DAY")
    lacking = [column for column in needed if column not in table]
    if lacking:
        weather.absent(site, lacking, ledger, others=len(lacking) < len(needed))
        return None
    told: dict[str, Any] = {"rules": rules.model_copy(update={"spike_z": 0.0}), "ledger": ledger, "site": site}
    months = {}
    for name, column in WEATHER.items():
        factor, offset = LAYOUT.of(name).conversion()
        months[name] = screen(table[column], name, factor=factor, offset=offset, label=column, of="months", **told)
    months["warmer by day"] = (table["TA_ERA_DAY"] - table["TA_ERA"]).clip(lower=0.0)
    whole = pd.DataFrame(months)
    whole = whole[whole.drop(columns="warmer by day").notna().all(axis=1)]
    days = pd.concat([_days(part) for part in _runs(whole)]) if len(whole) else _days(whole)
    light = daylight_fraction(pd.DatetimeIndex(days.index), lat)[:, 0]
    by_day = days.pop("warmer by day")
    with np.errstate(divide="ignore", invalid="ignore"):
        colder = pd.Series(np.where(light < 1, light / (1 - light), np.nan), index=days.index) * by_day
    unknown = pd.Series(np.nan, index=days.index)
    low, high = weather.extremes(days["tas"], days["tas"] + by_day, days["tas"] - colder, unknown, unknown, lat)
    days["tasmin"], days["tasmax"] = low, high
    vpd = days.pop("vpd")
    weather.judge_deficit("VPD_F", vpd, low, high, ledger, site)
    days["huss"] = weather.humidity_from_deficit(vpd, days["ps"], low, high)
    ledger.note(site, "its weather is made of monthly means: smooth days, rain on every third day of a month")
    return days[list(ORDER)].rename_axis("time")


def _runs(months: pd.DataFrame) -> list[pd.DataFrame]:
    """Unbroken runs of months."""
    number = pd.DatetimeIndex(months.index).to_period("M").astype("int64")
    piece = np.cumsum(np.diff(number, prepend=number[:1]) != 1)
    return [part for _, part in months.groupby(piece)]


def _days(months: pd.DataFrame) -> pd.DataFrame:
    """Daily values of one run; the mean of a month stays. Where the day's warmth is not known, it is that of no day."""
    start = pd.DatetimeIndex(months.index)
    length = start.days_in_month.to_numpy()
    filled = months.assign(**{"warmer by day": months["warmer by day"].interpolate(limit_direction="both").fillna(1.0)})
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name in filled:
        means = filled[name].to_numpy(float)
        lower, upper = (0.0, np.inf) if name == "warmer by day" else variables.get(str(name)).valid
        make = _rain if name == "pr" else _smooth(lower, upper)
        found[str(name)] = np.concatenate([make(means, length, at) for at in range(len(means))] or [np.empty(0)])
    days = [day for first, count in zip(start, length, strict=True) for day in pd.date_range(first, periods=count)]
    return pd.DataFrame(found, index=pd.DatetimeIndex(days))


Maker = Callable[[Any, Any, int], Any]


def _rain(means: Any, lengths: Any, at: int) -> Any:
    return split_rain(means[at], int(lengths[at]))


def _smooth(lower: float, upper: float) -> Maker:
    def make(means: Any, lengths: Any, at: int) -> Any:
        around = slice(max(at - REACH, 0), at + REACH + 1)
        near = tuple(int(n) for n in lengths[around])
        return interpolate(means[around, None], near, at - around.start, lower, upper)[:, 0]

    return make


def _leaf_area(site: str, table: pd.DataFrame, ledger: Ledger) -> dict[str, float]:
    """Mean months of LAI, put in order; empty where no year has all of them."""
    if "LAI" not in table:
        return {}
    whole = [
        part.to_numpy(float)
        for _, part in table["LAI"].groupby(pd.DatetimeIndex(table.index).year)
        if len(part) == len(AS_TEXT)
    ]
    if not whole:
        return {}
    rows = np.stack(whole)
    seen = np.isfinite(rows)
    if not seen.any(axis=0).all():
        return {}
    mean = np.where(seen, rows, 0.0).sum(axis=0) / seen.sum(axis=0)
    ledger.note(site, "lai is the mean month of LAI, whose rows are in the order of months as text")
    return {MONTHLY_COLUMNS[month - 1]: round(float(value), 3) for month, value in zip(AS_TEXT, mean, strict=True)}
