"""Running the site readers of ingest on one file, to say what they make of it."""

from __future__ import annotations

import importlib
import re
from typing import Any

from pydantic import ValidationError

from ..config.sites import QcRules, SiteEntry
from ..errors import FluxAtlasError
from ..ingest.sites.records import Ledger, SiteRecord
from .probe import Probe
from .report import MappingRow, Report, refused

STAND_IN: dict[str, Any] = {"lat": 45.0, "lon": 0.0}
"""Position that stands for one that the file does not state."""


def through(report: Report, probe: Probe, source: str, without: str) -> Report:
    """The verdict of the reader called ``source``; ``without`` is the verdict where ingest has no such reader."""
    entry: dict[str, Any] = {"source": source, "path": [str(probe.path)]}
    if probe.kind == "text":
        entry["encoding"] = probe.encoding
    ledger = Ledger()
    try:
        made = SiteEntry.model_validate(entry)
        reader: Any = importlib.import_module(f"fluxatlas.ingest.sites.{source}")
    except (ValidationError, ModuleNotFoundError):
        return report.decide("no_reader", without)
    try:
        records: list[SiteRecord] = reader.read([str(probe.path)], made, QcRules(), ledger)
    except FluxAtlasError as problem:
        named = re.search(r"no coordinates for site '(.+?)'", problem.what)
        if not named:
            return refused(report, problem)
        report.note("position-not-in-file", "coordinates are not in the file: list the site in the entry")
        made = SiteEntry.model_validate({**entry, "sites": [{"site": named[1], **STAND_IN}]})
        ledger = Ledger()
        try:
            records = reader.read([str(probe.path)], made, QcRules(), ledger)
        except FluxAtlasError as again:
            return refused(report, again)
    if not sum(len(r.observations) + _days(r) for r in records) and hasattr(reader, "read_periods"):
        return _longer(report, reader, str(probe.path), made)
    return _verdict(report, records, ledger, f"sites.entries: {{source: {source}}}")


def _longer(report: Report, reader: Any, path: str, entry: SiteEntry) -> Report:
    """The verdict for means over longer than a day, which go to the table of periods."""
    ledger = Ledger()
    try:
        periods = reader.read_periods([path], entry, QcRules(), ledger)
    except FluxAtlasError as problem:
        return refused(report, problem)
    for listed in ledger.as_dict().values():
        report.details.setdefault("ingest_notes", []).extend(listed.get("notes", [])[:5])
    if periods.empty:
        return report.decide("no_reader", "ingest reads it but uses nothing of it")
    counts = ", ".join(f"{n:,} of {name}" for name, n in sorted(periods["variable"].value_counts().items()))
    for name in sorted(set(periods["variable"])):
        family = str(name).rstrip("0123456789")
        sources = [v for v in report.variables if v.canonical and v.canonical.rstrip("0123456789") == family]
        if sources:
            units = ", ".join(dict.fromkeys(v.units for v in sources))
            report.mapping.append(MappingRow(str(name), [v.name for v in sources], units, "means of periods"))
    text = f"ingest makes {len(periods):,} means over longer than a day of it ({counts}): periods.parquet"
    return report.decide("usable", text, f"sites.entries: {{source: {entry.source}}}")


def _verdict(report: Report, records: list[SiteRecord], ledger: Ledger, key: str) -> Report:
    """Usable where a reader kept anything."""
    for record in records[:1]:
        from_record(report, record, ledger)
        mapping_of(report, record)
    n = sum(len(record.observations) for record in records)
    days = sum(_days(record) for record in records)
    if not n and not days:
        notes = report.details.get("ingest_notes", [])
        why = f" ({notes[-1]})" if notes else ""
        return report.decide("no_reader", f"ingest reads it but uses nothing of it{why}")
    if len(records) == 1:
        return report.decide("usable", kept(records[0]), key)
    return report.decide("usable", f"ingest makes {n:,} daily observations at {len(records):,} sites of it", key)


def _days(record: SiteRecord) -> int:
    return 0 if record.forcing is None else int(record.forcing.notna().all(axis=1).sum())


def kept(record: SiteRecord) -> str:
    """What a reader made of a site, in one sentence."""
    counts = record.observations["variable"].value_counts()
    parts = [f"{n:,} days of {name}" for name, n in sorted(counts.items())]
    if record.forcing is not None:
        parts.append(f"{_days(record):,} complete days of meteorology")
    return "ingest makes " + (", ".join(parts) if parts else "nothing") + " of it"


def from_record(report: Report, record: SiteRecord, ledger: Ledger) -> None:
    """Notes and counts of the reader."""
    listed: dict[str, Any] = ledger.as_dict().get(record.name, {})
    report.details["ingest_notes"] = list(listed.get("notes", []))
    report.details["ingest_counts"] = {
        name: "; ".join(level["text"] for level in levels.values())
        for name, levels in listed.get("variables", {}).items()
    }


def mapping_of(report: Report, record: SiteRecord) -> None:
    """One row per canonical variable that came out, with the columns that mean it."""
    made = [str(name) for name in sorted(set(record.observations["variable"]))]
    made += [str(name) for name in record.forcing.columns] if record.forcing is not None else []
    for name in dict.fromkeys(made):
        family = name.rstrip("0123456789")
        sources = [v for v in report.variables if v.canonical.rstrip("0123456789") == family]
        if sources:
            units = ", ".join(dict.fromkeys(v.units for v in sources))
            report.mapping.append(MappingRow(name, [v.name for v in sources], units, "daily values"))
