"""Means of the soil CH4 flux at upland places from the literature, one row per place with its citation.

Columns: ``site, lat, lon, year`` (middle of a year, or of the first and the last one: ``2009.5``, ``2013.5-2015.5``),
``mean_mg_m2_d, min_mg_m2_d, max_mg_m2_d`` [mg CH4 m-2 d-1, negative is uptake], ``period`` (annual, monthly,
growingseason) and ``use`` (yes, doubtful). Each place is a site without days, its mean a row of the table of periods
over all of its years; training takes it where weather covers every day of them. The uncertainty is at least half the
range of what was measured there (our choice: methods and plots differ).

Left out and counted: places marked doubtful, means that are not annual (the days that they are of are not stated),
those without value, year or position, and all of them where the run is about wetlands (limits of
fch4, and ``WET`` not another kind of place).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from .daily import standard_offset
from .land_cover import other_classes
from .layouts import ColumnSpec, Layout
from .metadata import SiteFacts
from .periods import period_table
from .qc import error_floor, screen
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .text import numbers, read_table

FLUX = "mean_mg_m2_d"
_RANGE = ("min_mg_m2_d", "max_mg_m2_d")
LAYOUT = Layout((ColumnSpec(FLUX, "mg m-2 d-1", "fch4"),))
REQUIRED = ("site", "lat", "lon", "year", FLUX, *_RANGE, "period", "use")
LABEL = "literature"
"""Under which places are counted."""


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per place, with its facts alone: its value is a mean (:func:`read_periods`)."""
    facts, nothing, made = SiteFacts(entry), observations([]), []
    for path, table in each(files, lambda path: (path, _places(path, entry, rules, Ledger())), ledger):
        for _, place in table.drop_duplicates("site").iterrows():
            made.append(SiteRecord(_row(place, facts, ledger, path), nothing.copy(), None, (path,)))
    return made


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Means of fch4 over whole years as :data:`periods.PERIOD_COLUMNS`; which share was measured is not stated."""
    facts, parts = SiteFacts(entry), [period_table()]
    calm: Any = rules.model_copy(update={"spike_z": 0.0})
    for path, table in each(files, lambda path: (path, _places(path, entry, rules, ledger)), ledger):
        factor, _ = LAYOUT.of("fch4").conversion()
        told: dict[str, Any] = {"factor": factor, "rules": calm, "ledger": ledger, "site": LABEL, "of": "years"}
        value = screen(table[FLUX], "fch4", **told)
        table, value = table[value.notna()], value.dropna()
        rows = [_row(place, facts, Ledger(), path) for _, place in table.iterrows()]
        named = {key: [row[key] for row in rows] for key in ("site", "lat", "lon")}
        start, end = (
            pd.DatetimeIndex(pd.to_datetime((table[edge] + more).astype(int).astype(str) + "-01-01"))
            for edge, more in (("first", 0), ("last", 1))
        )
        half = 0.5 * factor * (table[_RANGE[1]] - table[_RANGE[0]]).abs().fillna(0.0)
        means: dict[str, Any] = {"value": value.to_numpy(), "start": start, "end": end}
        means["sd"] = np.maximum(half.to_numpy(float), error_floor("fch4", value, rules).to_numpy(float))
        if len(value):
            parts.append(period_table(**means, **named, variable="fch4", qc=float("nan"), source="literature_means"))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _row(place: pd.Series, facts: SiteFacts, ledger: Ledger, path: str) -> dict[str, Any]:
    stated = {"lat": float(place["lat"]), "lon": float(place["lon"])}
    stated["utc_offset"] = standard_offset(stated["lon"])
    return facts.row(
        str(place["site"]), kind="chamber", source="literature_means", ledger=ledger, where=path, stated=stated
    )


def _places(path: str, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """The places that pass, with the ``first`` and the ``last`` year."""
    table = read_table(path, required=REQUIRED, encoding=entry.encoding, comment="#")
    for name in ("lat", "lon", FLUX, *_RANGE):
        table[name] = numbers(table, name, path)
    table = table.drop_duplicates().reset_index(drop=True)
    if (twice := table.duplicated(["site", "year"])).any():
        what = f"site '{table['site'][twice].iloc[0]}' of one year occurs more than once with different values"
        raise InputError(what, where=path, hint="keep the right row")
    ledger.saw(table, LAYOUT)
    table = restate(table, LAYOUT, entry, rules, ledger, site=LABEL, where=path)
    spans = table["year"].map(_years)
    table["first"], table["last"] = (spans.map(lambda span, edge=edge: span[edge]) for edge in (0, 1))
    text = {name: table[name].astype("string").fillna("").str.strip().str.lower() for name in ("use", "period")}
    wet = "fch4" in rules.limits and "WET" not in other_classes(rules, "fch4")
    reasons: dict[str, Any] = {
        "of uplands, which this run is not about": pd.Series(wet, index=table.index),
        "marked doubtful": text["use"] == "doubtful",
        "without value": table[FLUX].isna(),
        "without position": ~(table["lat"].between(-90, 90) & table["lon"].between(-180, 180)),
        "without year": table["first"].isna() | (table["last"] < table["first"]),
        "not annual means": text["period"] != "annual",
    }
    ledger.read(LABEL, "places", len(table), of="values")
    kept = pd.Series(True, index=table.index)
    for reason, wrong in reasons.items():
        wrong = wrong.astype(bool)
        ledger.drop(LABEL, "places", reason, int((kept & wrong).sum()), of="values")
        kept &= ~wrong
    return table[kept].copy()


def _years(text: object) -> tuple[float, float]:
    """First and last year of ``2009.5`` or ``2013.5-2015.5``; NaN where there is none."""
    found = re.fullmatch(r"\s*(\d{4})(?:\.\d+)?(?:\s*-\s*(\d{4})(?:\.\d+)?)?\s*", str(text))
    return (float(found[1]), float(found[2] or found[1])) if found else (np.nan, np.nan)
