"""Annual CH4 fluxes of northern wetlands and uplands (Treat, Bloom and Marushchak 2018, doi:10.1594/PANGAEA.886976).

``Annual_CH4_estimates.rds`` (R data frame, text in latin-1): one record per place and year, fluxes of the growing
season, of the rest of the year and of the whole. ``Annual_CH4_Flux_g_m2_y`` becomes ``fch4`` [mg m-2 d-1] in the table
of periods, and each place (name, point of measurement, position) a site without days, called ``Treat-<number of its
first record>``; several records of a place and year are averaged.

Wetlands and uplands stand in one table. Read are those that the run is about: uplands where the system counts ``WET``
as another kind of place (``qc.other_cover``), else wetlands (bog, fen, marsh, swamp, shallow water). Left out and
counted are records of the other class, of lakes and without class, marked for removal, without flux, position or one
calendar year, at sea, and those of which less was measured than ``qc.min_qc``: "Measured" is the whole year,
"Estimated" its growing season (unknown: nothing), "Modeled" nothing [V: the file read; its columns say so].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
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
from .rds import read_rds
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .text import numbers

FLUX = "Annual_CH4_Flux_g_m2_y"
LAYOUT = Layout((ColumnSpec(FLUX, "g CH4 m-2 yr-1", "fch4", 1000 / 365.25),))
CLASSES = {
    **dict.fromkeys(("Bog", "Fen", "Marsh", "SalineMarsh", "Saline Marsh", "Swamp", "ShallowWater"), "WET"),
    "Upland": "upland",
}
"""What each ``Wetland_Class`` that is read is."""
_PLACE = ("Site_Name", "Measurement_Location", "Latitude", "Longitude")
REQUIRED = (
    "Sort",
    *_PLACE,
    "Wetland_Class",
    "Annual_Flux_Type",
    "Method",
    "Growing_Season_Length_days",
    "Year",
    FLUX,
    "SD_1",
    "Remove_QC",
)
LABEL = "Treat et al. 2018"
"""Under which records are counted."""


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per place, with its facts alone: its values are years (:func:`read_periods`)."""
    facts, made, nothing = SiteFacts(entry), [], observations([])
    for path, table in each(files, lambda path: (path, _records(path, entry, rules, Ledger())), ledger):
        for name, part in table.groupby("site", sort=False):
            row = _row(str(name), part.iloc[0], facts, ledger, path)
            made.append(SiteRecord(row, nothing.copy(), None, (path,)))
    return made


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Annual means of fch4 as :data:`periods.PERIOD_COLUMNS`; ``qc`` is the measured share, NaN of a whole year."""
    facts, parts = SiteFacts(entry), [period_table()]
    calm: Any = rules.model_copy(update={"spike_z": 0.0})
    for path, table in each(files, lambda path: (path, _records(path, entry, rules, ledger)), Ledger()):
        factor, _ = LAYOUT.of("fch4").conversion()
        told: dict[str, Any] = {"factor": factor, "rules": calm, "ledger": ledger, "site": LABEL, "of": "years"}
        table["fch4"] = screen(table[FLUX], "fch4", **told)
        table = table[table["fch4"].notna()]
        stated = (table["SD_1"] * factor).fillna(0.0)
        table = table.assign(sd=np.maximum(stated, error_floor("fch4", table["fch4"], rules)))
        rows = {name: _row(str(name), part.iloc[0], facts, Ledger(), path) for name, part in table.groupby("site")}
        means: Any = table.groupby(["site", "year"], sort=False).agg(
            value=("fch4", "mean"), sd=("sd", "max"), qc=("share", "mean")
        )
        means = means.reset_index()
        place = {key: means["site"].map({name: row[key] for name, row in rows.items()}) for key in ("lat", "lon")}
        place["site"] = means["site"].map({name: row["site"] for name, row in rows.items()})
        start = pd.to_datetime(means["year"].astype(int).astype(str) + "-01-01")
        span: dict[str, Any] = {"start": start, "end": start + pd.DateOffset(years=1)}
        parts.append(period_table(**means[["value", "sd", "qc"]], **span, **place, variable="fch4", source="treat"))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _row(name: str, record: pd.Series, facts: SiteFacts, ledger: Ledger, path: str) -> dict[str, Any]:
    stated: dict[str, Any] = {"lat": float(record["Latitude"]), "lon": float(record["Longitude"])}
    stated["utc_offset"] = standard_offset(stated["lon"])  # days of a year: nobody needs it any better
    if record["cover"] == "WET":
        stated["igbp"] = "WET"
    kind = "tower" if str(record["Method"]).startswith("EC") else "chamber"
    return facts.row(name, kind=kind, source="treat", ledger=ledger, where=path, stated=stated)


def _records(path: str, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """The records that pass, with ``site``, ``cover``, ``year`` and the measured ``share`` of the year."""
    from .table import on_land

    changed = Path(path).stat().st_mtime_ns if Path(path).is_file() else 0
    table = _whole(path, entry.encoding, changed).copy()
    for name in ("Latitude", "Longitude", FLUX):
        table[name] = numbers(table, name, path)
    table["SD_1"] = _spread(table["SD_1"])
    ledger.saw(table, LAYOUT)
    table = restate(table, LAYOUT, entry, rules, ledger, site=LABEL, where=path)
    table["cover"] = table["Wetland_Class"].astype("string").str.strip().map(CLASSES).fillna("")
    wanted, other = ("upland", "WET") if "WET" in other_classes(rules, "fch4") else ("WET", "upland")
    years = table["Year"].astype("string").str.strip()
    table["year"] = pd.to_numeric(years.where(years.str.fullmatch(r"\d{4}").fillna(False)), errors="coerce").astype(
        float
    )
    how = table["Annual_Flux_Type"].astype("string").str.strip().str.lower().fillna("").astype(object)
    season = pd.to_numeric(table["Growing_Season_Length_days"], errors="coerce").astype(float) / 365.25
    share = season.where(how == "estimated").fillna(0.0)
    table["share"] = share.where(how != "measured")
    placed = table["Latitude"].between(-90, 90) & table["Longitude"].between(-180, 180)
    spots = list(zip(table["Latitude"].where(placed), table["Longitude"].where(placed), strict=True))
    land = {(lat, lon): on_land(lat, lon) for lat, lon in set(spots) if np.isfinite(lat)}
    ashore = pd.Series([land.get(spot, False) for spot in spots], index=table.index)
    first = table.groupby(list(_PLACE), dropna=False)["Sort"].transform("min")
    table["site"] = "Treat-" + first.astype(int).astype(str)  # whatever is left out below
    reasons: dict[str, Any] = {
        f"of {'wetlands' if other == 'WET' else 'uplands'}, which this run is not about": table["cover"] == other,
        "of lakes or without class": table["cover"] == "",
        "marked for removal": table["Remove_QC"].fillna(False).astype(bool),
        "without annual flux": table[FLUX].isna(),
        "without position": ~placed,
        "at sea": ~ashore,
        "without one calendar year": ~table["year"].between(1900, 2030),
        "measured in too little of the year": (share < rules.min_qc) & (how != "measured"),
    }
    ledger.read(LABEL, "records", len(table), of="values")
    kept = pd.Series(True, index=table.index)
    for reason, wrong in reasons.items():
        ledger.drop(LABEL, "records", reason, int((kept & wrong).sum()), of="values")
        kept &= ~wrong
    table = table[kept].copy()
    ledger.note(LABEL, f"{'wetlands' if wanted == 'WET' else 'uplands'} are read, the others of the table are not")
    return table


@lru_cache(maxsize=4)
def _whole(path: str, encoding: str, changed: int) -> pd.DataFrame:
    """The table as it is, which is read for sites and for periods; ``changed``: its time stamp."""
    try:
        return read_rds(path, REQUIRED, encoding)
    except InputError as problem:
        if encoding != "utf-8" or "is not utf-8" not in problem.what:
            raise
    return read_rds(path, REQUIRED, "latin-1")


def _spread(column: pd.Series) -> pd.Series:
    """Numbers of a column of text that also holds ``1,9 (SE)``."""
    found = column.astype("string").str.extract(r"([0-9]+(?:[.,][0-9]+)?)")[0]
    return pd.to_numeric(found.str.replace(",", "."), errors="coerce").astype(float)
