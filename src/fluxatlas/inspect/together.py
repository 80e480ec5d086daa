"""What several files of one site make together, as ingest reads them; files that it refuses together are not usable."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config.sites import QcRules, SiteEntry
from ..errors import FluxAtlasError, counted
from ..ingest.sites.inputs import entry_files
from ..ingest.sites.periods import period_table
from ..ingest.sites.records import Ledger, SiteRecord
from ..ingest.sites.table import refuse_second
from .readers import STAND_IN, kept
from .report import Report

MOST = 12
"""Largest number of lines about sites of several files, and about systems."""


def judge(reports: Sequence[Report]) -> list[str]:
    """A line for each site of several files, by layout; ``reports`` of files that contradict each other are changed."""
    groups: dict[tuple[str, str], list[Report]] = {}
    for report in reports:
        names = [report.details["site"]] if report.details.get("site") else report.details.get("sites", [])
        for use in report.uses:
            for site in names if use.key == "sites.entries" else ():
                groups.setdefault((str(site), str(use.options["source"])), []).append(report)
    sources: dict[str, list[str]] = {}
    shared: dict[tuple[str, ...], list[str]] = {}
    for (site, source), files in groups.items():
        sources.setdefault(site, []).append(source)
        if len(files) > 1:
            shared.setdefault((source, *(report.path for report in files)), []).append(site)
    lines = [_said(sites, key[0], groups[sites[0], key[0]]) for key, sites in shared.items()]
    lines += [
        f"{site}: {' and '.join(found)} have it: a run reads one of them, or gives it another id"
        for site, found in sources.items()
        if len(found) > 1
    ]
    more = [f"... and {len(lines) - MOST:,} lines more"] * (len(lines) > MOST)
    return lines[:MOST] + more


def _said(sites: Sequence[str], source: str, reports: Sequence[Report]) -> str:
    """What files that share ``sites`` make together."""
    more = f" and {counted(len(sites) - 1, 'other site')}" if len(sites) > 1 else ""
    files = f"{sites[0]}{more}: {len(reports)} files ({source})"
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return f"{files}: {_made(sites[0], source, reports)}"
    except FluxAtlasError as problem:
        for report in reports:
            others = ", ".join(Path(other.path).name for other in reports if other is not report)
            report.error("contradicts", f"beside {others}: {problem.what} ({problem.where}); {problem.hint}")
            report.decide("unusable", f"usable alone, but not beside {others}: {problem.what}")
            report.uses.clear()
        return f"{files}: cannot be used together: {problem.what}; {problem.hint}"


def _made(site: str, source: str, reports: Sequence[Report]) -> str:
    """What ingest makes of all files; raises what it raises."""
    entry: dict[str, Any] = {"source": source, "path": [report.path for report in reports]}
    spelled = {str(use.options["encoding"]) for one in reports for use in one.uses if "encoding" in use.options}
    if len(spelled) == 1:
        entry["encoding"] = spelled.pop()
    if any("position-not-in-file" in report.codes() for report in reports):
        entry["sites"] = [{"site": site, **STAND_IN}]
    block, reader = SiteEntry.model_validate(entry), importlib.import_module(f"fluxatlas.ingest.sites.{source}")
    named = entry_files(block) if any(Path(path).is_dir() for path in block.path) else block.path
    records: list[SiteRecord] = reader.read(named, block, QcRules(), Ledger())
    origin: dict[str, str] = {}
    for record in records:
        refuse_second(record, block, origin)
    periods = period_table()
    if hasattr(reader, "read_periods"):
        periods = reader.read_periods(named, block, QcRules(), Ledger())
    longer = counted(len(periods), "mean") + " over longer than a day" if len(periods) else ""
    said = kept(records)
    if longer:
        said = f"ingest makes {longer} of them" if said.startswith("ingest makes nothing") else f"{said}, and {longer}"
    return said.replace(" of it", " of them")
