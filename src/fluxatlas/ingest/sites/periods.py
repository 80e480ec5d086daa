"""Observations that are means over longer than a day: monthly tower files, annual soil respiration.

They are kept apart from the daily table: a model is compared with them through the mean over its own days.
"""

from __future__ import annotations

import importlib
from typing import Any

import pandas as pd

from ...config.sites import SitesBlock
from .closure import closed_periods
from .inputs import entry_files
from .records import Ledger

PERIOD_COLUMNS = ("site", "lat", "lon", "start", "end", "variable", "value", "sd", "qc", "source")
"""``end`` is the first day after the period; ``qc`` the fraction of it that was measured, NaN where not stated."""


def period_table(**columns: Any) -> pd.DataFrame:
    """The table of :data:`PERIOD_COLUMNS` from series or constants, with fixed types; empty without arguments."""
    table = pd.DataFrame(columns or {name: [] for name in PERIOD_COLUMNS})[list(PERIOD_COLUMNS)]
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name]).astype("datetime64[ns]")
    for name in ("site", "variable", "source"):
        table[name] = table[name].astype(object)
    for name in ("lat", "lon", "value", "sd", "qc"):
        table[name] = table[name].astype("float64")
    return table.reset_index(drop=True)


def read_periods(block: SitesBlock, ledger: Ledger) -> pd.DataFrame:
    """The periods of all entries whose layout has them (``fluxnet`` monthly files, ``srdb``), sorted.

    What the system observes under a name of its own has it (``qc.taken_as``), as in the table of days.
    """
    parts = [period_table()]
    for entry in block.entries:
        reader = importlib.import_module(f".{entry.source}", __package__)
        if hasattr(reader, "read_periods"):
            found = reader.read_periods(entry_files(entry), entry, block.qc, ledger)
            parts.append(closed_periods(found, entry, ledger))
    parts = [part for part in parts if len(part)] or parts[:1]
    whole = pd.concat(parts, ignore_index=True)
    whole["variable"] = whole["variable"].replace(block.qc.taken_as)
    return whole.sort_values(["site", "variable", "start"], ignore_index=True)
