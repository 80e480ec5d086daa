"""Monthly tower tables of CARDAMOM-FluxVal 1.0 (Yang and others, github.com/CARDAMOM-framework), one per tower.

``validation_<site>.csv`` has Date (YYYYMM), GPP and NEE [g C m-2 d-1] of FLUXNET2015 (Pastorello et al. 2020,
doi:10.1038/s41597-020-0534-3) and ET, whose unit is stated nowhere: mm d-1 [V: means of 0.89 and 0.88 beside 0.90 and
0.88 mm d-1 of the same months in daily files of US-Wkg and US-Whs, r above 0.997]. They become means of periods;
respiration is GPP + NEE, not an estimate of its own. Which share of a month was measured is not stated: ``qc`` is NaN.

The months are those of MetaFlux (:mod:`metaflux`) with ET instead of weather [V: GPP and NEE equal at all 93 towers
that both have]: read one of the two for a tower. Positions are in ``location_fluxnet.csv`` (``metadata``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...config.sites import QcRules, SiteEntry
from .inputs import NAMES
from .layouts import ColumnSpec, Layout
from .metadata import SiteFacts
from .periods import period_table
from .qc import error_floor, screen
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .text import compact, in_order, numbers, read_table, times

LAYOUT = Layout(
    (
        ColumnSpec("NEE", "g m-2 d-1", "nee"),
        ColumnSpec("GPP", "g m-2 d-1", "gpp"),
        ColumnSpec("ET", "mm d-1", "evspsbl", 1 / 86400.0),
    )
)
VALUES = {"nee": "NEE", "gpp": "GPP", "evspsbl": "ET"}
REQUIRED = ("ID", "Date", *VALUES.values())
"""Columns by which a table of this layout is known."""


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per file, with its facts alone: its values are months (:func:`read_periods`)."""
    facts = SiteFacts(entry)

    def site(path: str) -> SiteRecord:
        row = _row(path, facts, ledger)
        ledger.note(str(row["site"]), "reco is gpp + nee, not an estimate of its own; no meteorology of its own")
        if "ET" not in entry.units:
            ledger.note(str(row["site"]), "the unit of ET is stated nowhere: it is read as mm d-1")
        return SiteRecord(row, observations([]), None, (path,))

    return each(files, site, ledger)


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Monthly means of nee, gpp, reco and evspsbl as :data:`periods.PERIOD_COLUMNS`, counted under ``<site> (months)``.

    Raises :class:`InputError` for a table that lacks a column, a month that is not one, or one with two values.
    """
    facts, parts = SiteFacts(entry), [period_table()]

    def months(path: str) -> tuple[dict[str, Any], dict[str, pd.Series]]:
        row = _row(path, facts, ledger)
        return row, _months(path, str(row["site"]), entry, rules, ledger)

    for row, found in each(files, months, ledger):
        place = {"site": row["site"], "lat": row["lat"], "lon": row["lon"], "source": "cardamom"}
        for variable, kept in found.items():
            start = pd.DatetimeIndex(kept.index)
            told = {"value": kept.to_numpy(float), "sd": error_floor(variable, kept, rules).to_numpy(float)}
            end = (start.to_period("M") + 1).to_timestamp()
            parts.append(period_table(**told, variable=variable, start=start, end=end, qc=float("nan"), **place))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _months(path: str, site: str, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> dict[str, pd.Series]:
    """The values that pass by variable, in canonical units, at the first days of their months."""
    raw = read_table(path, required=REQUIRED, encoding=entry.encoding)
    table = pd.DataFrame({name: numbers(raw, name, path) for name in VALUES.values()})
    table = in_order(table, times(compact(raw["Date"]), "%Y%m", path), path)
    table = restate(table, LAYOUT, entry, rules, ledger, site=site, where=path)
    ledger.saw(table, LAYOUT)
    calm: Any = rules.model_copy(update={"spike_z": 0.0})
    found = {}
    for variable, column in VALUES.items():
        factor, offset = LAYOUT.of(variable).conversion()
        told: dict[str, Any] = {"factor": factor, "offset": offset, "label": column, "of": "months"}
        found[variable] = screen(
            table[column], variable, rules=calm, ledger=ledger, site=f"{site} (months)", **told
        ).dropna()
    return found | {"reco": (found["gpp"] + found["nee"]).dropna()}


def _row(path: str, facts: SiteFacts, ledger: Ledger) -> dict[str, Any]:
    named = NAMES["cardamom"].fullmatch(Path(path).name)
    name = named["site"] if named else Path(path).stem
    return facts.row(name, kind="tower", source="cardamom", ledger=ledger, where=path)
