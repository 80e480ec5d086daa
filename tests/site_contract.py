"""Running the sites stage on a folder, and what must hold of the tables that come out (docs/contracts.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fluxatlas import variables
from fluxatlas.config.sites import SitesBlock
from fluxatlas.ingest.sites import qc, table
from fluxatlas.ingest.sites.periods import PERIOD_COLUMNS, read_periods
from fluxatlas.ingest.sites.records import OBSERVATION_COLUMNS, Ledger
from site_layouts import LOOSE, Layout

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]


def block(layout: Layout, folder: Path) -> SitesBlock:
    entry: dict[str, Any] = layout.settings(folder)
    for name in ("metadata", "attributes"):
        if name in entry:
            entry |= {name: str(folder / entry[name]), "path": str(folder / "data")}
    return SitesBlock(entries=[entry], qc=LOOSE, min_segment_days=2)


def tables(made: SitesBlock, ledger: Ledger) -> Tables:
    """(sites, observations, forcing, periods): what ``build`` writes."""
    records = table.read_sites(made, ledger)
    periods = read_periods(made, ledger)
    return *table.assemble(records, made, ledger, periods=set(periods["site"])), periods


def obeys(found: Tables, made: SitesBlock) -> None:
    """Assert the contract: columns, types, ranges, order, one value per day, no gap inside a segment."""
    sites, observed, forcing, periods = found
    assert sites["site"].is_unique
    assert sites["lat"].between(-90, 90).all() and sites["lon"].between(-180, 180).all()
    assert sites["utc_offset"].dropna().between(-14, 14).all()
    assert tuple(observed.columns) == ("site", *OBSERVATION_COLUMNS)
    keys = ["site", "variable", "time"]
    assert not observed.duplicated(keys).any()
    assert observed.sort_values(keys, kind="stable").index.equals(observed.index)
    if len(observed):
        assert (observed["time"].dt.normalize() == observed["time"]).all()
        assert (np.isfinite(observed["sd"]) & (observed["sd"] > 0)).all()
        assert observed["qc"].between(0, 1).all() and (observed["n"] >= 0).all()
        for name, part in observed.groupby("variable"):
            low, high = qc.bounds(str(name), made.qc)[1]
            assert part["value"].between(low, high).all()
    for site, part in forcing.groupby("site"):
        assert part["time"].is_monotonic_increasing and part["time"].is_unique and site in set(sites["site"])
        for name in part.columns.difference(["site", "time"]):
            low, high = variables.get(str(name)).valid
            assert part[name].between(np.float32(low), np.float32(high)).all()
    assert tuple(periods.columns) == PERIOD_COLUMNS
    assert (periods["end"] > periods["start"]).all() and np.isfinite(periods["value"]).all()
    assert (periods["sd"] > 0).all() and periods["qc"].dropna().between(0, 1).all()
    assert periods["lat"].between(-90, 90).all() and periods["lon"].between(-180, 180).all()
