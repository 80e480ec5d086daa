"""Running the site readers of ingest on one file, to say what they make of it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any

from ..config.sites import QcRules, SiteEntry
from ..errors import FluxAtlasError
from ..ingest.sites.records import Ledger, SiteRecord
from .probe import Probe
from .report import MappingRow, Report, refused

STAND_IN: dict[str, Any] = {"lat": 45.0, "lon": 0.0}
"""Position that stands for one that the file does not state."""


def through(
    report: Report, probe: Probe, source: str, *, files: Sequence[str] = (), nothing: str = "no_reader"
) -> Report:
    """The verdict of the reader called ``source`` on ``files`` (default: the probed one).

    ``nothing``: the status where it keeps nothing. A site whose coordinates are not in the file gets a stand-in.
    """
    paths = list(files) or [str(probe.path)]
    entry: dict[str, Any] = {"source": source, "path": paths}
    if probe.kind == "text":
        entry["encoding"] = probe.encoding
    reader: Any = importlib.import_module(f"fluxatlas.ingest.sites.{source}")
    made, ledger = SiteEntry.model_validate(entry), Ledger()
    try:
        try:
            records: list[SiteRecord] = reader.read(paths, made, QcRules(), ledger)
        except FluxAtlasError as problem:
            named = re.search(r"no coordinates for site '(.+?)'", problem.what)
            if not named:
                raise
            text = "coordinates are not in the file: name a 'metadata' CSV or list the site in the entry"
            report.note("position-not-in-file", text)
            made = SiteEntry.model_validate({**entry, "sites": [{"site": named[1], **STAND_IN}]})
            ledger = Ledger()
            records = reader.read(paths, made, QcRules(), ledger)
    except FluxAtlasError as problem:
        return refused(report, problem)
    if not sum(len(r.observations) + _days(r) for r in records) and hasattr(reader, "read_periods"):
        return _longer(report, reader, paths[0], made)
    return _verdict(report, records, ledger, f"sites.entries: {{source: {source}}}", nothing)


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
    units = {v.name: v.units for v in report.variables}
    for name in sorted(set(periods["variable"])):
        columns = dict.fromkeys(column for known in ledger.sources.values() for column in known.get(str(name), {}))
        labels = dict.fromkeys(units.get(column, "") for column in columns)
        if columns:
            report.mapping.append(MappingRow(str(name), list(columns), ", ".join(labels), "means of periods"))
    text = f"ingest makes {len(periods):,} means over longer than a day of it ({counts}): periods.parquet"
    return report.decide("usable", text, f"sites.entries: {{source: {entry.source}}}")


def _verdict(report: Report, records: list[SiteRecord], ledger: Ledger, key: str, nothing: str) -> Report:
    """Usable where a reader kept anything, else ``nothing``."""
    for record in records[:1]:
        from_record(report, record, ledger)
    for record in records:
        mapping_of(report, record, ledger)
        if record.forcing is not None and not _days(record) and "no-own-weather" not in report.codes():
            report.note("no-own-weather", "no day has complete meteorology")
    n = sum(len(record.observations) for record in records)
    days = sum(_days(record) for record in records)
    if not n and not days:
        notes = report.details.get("ingest_notes", [])
        why = f" ({notes[-1]})" if notes else ""
        return report.decide(nothing, f"ingest reads it but uses nothing of it{why}")
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


DERIVED = {
    "huss": (("hurs", "vpd"), "from humidity or deficit, pressure and temperature"),
    "tasmin": (("tas",), "from the course of the day"),
    "tasmax": (("tas",), "from the course of the day"),
}
"""Variables that readers make of others, and how."""


def mapping_of(report: Report, record: SiteRecord, ledger: Ledger) -> None:
    """One row per canonical variable that came out, with the columns and the conversion that ingest used."""
    made = [str(name) for name in sorted(set(record.observations["variable"]))]
    made += [str(name) for name in record.forcing.columns] if record.forcing is not None else []
    units, known = {v.name: v.units for v in report.variables}, ledger.sources.get(record.name, {})
    notes = ledger.notes.get(record.name, [])
    for name in dict.fromkeys(made):
        columns, shown = known.get(name, {}), ""
        if name in DERIVED and len(columns) != 1:
            parts, shown = DERIVED[name]
            columns = columns or {column: pair for part in parts for column, pair in known.get(part, {}).items()}
        if columns and name not in {row.canonical for row in report.mapping}:
            texts = list(dict.fromkeys(_conversion(pair) for pairs in columns.values() for pair in pairs))
            shown = shown or (texts[0] if len(texts) == 1 else " or ".join(text or "unchanged" for text in texts))
            labels = dict.fromkeys(units.get(column, "") for column in columns)
            stems = {*columns, "flux"} if name == "fch4" else columns
            why = "; ".join(note for note in notes if note.split(" is ")[0] in stems)
            report.mapping.append(MappingRow(name, list(columns), ", ".join(filter(None, labels)), shown, why))


def _conversion(pair: tuple[float, float]) -> str:
    """``* 1.3861``, ``/ 86400``, ``+ 273.15``, or '' where nothing is done."""
    factor, offset = pair
    inverse = round(1 / factor) if factor else 0
    scale = f"/ {inverse}" if inverse > 1 and abs(inverse * factor - 1) < 1e-9 else f"* {factor:.5g}"
    return " ".join(part for part in (scale if factor != 1 else "", f"+ {offset:g}" if offset else "") if part)
