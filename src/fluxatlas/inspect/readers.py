"""Running the site readers of ingest on one file: what they see in it, and what they make of it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..config.sites import QcRules, SiteEntry
from ..errors import FluxAtlasError, counted
from ..ingest.sites.layouts import Layout
from ..ingest.sites.records import Ledger, SiteRecord
from . import places, times
from .frames import judge_frame, specs_of
from .probe import Probe
from .report import MappingRow, Report, refused

STAND_IN: dict[str, Any] = {"lat": 45.0, "lon": 0.0, "utc_offset": 0.0}
"""Position and clock that stand for those that the file does not state."""


@dataclass
class Witness(Ledger):
    """A ledger that keeps what the readers show it: tables, their layouts, seconds over which amounts are summed."""

    tables: list[tuple[pd.DataFrame, Layout, float | None]] = field(default_factory=list)

    def saw(self, table: pd.DataFrame, layout: Layout, step: float | None = None) -> None:
        self.tables.append((table, layout, step))


def through(
    report: Report,
    probe: Probe,
    source: str,
    *,
    files: Sequence[str] = (),
    nothing: str = "no_reader",
    zone: str = "",
    units_from: str = "format",
) -> Report:
    """What the reader called ``source`` sees in ``files`` (default: the probed one), and its verdict.

    ``nothing``: the status where it keeps nothing; ``zone`` of its times; ``units_from``: who states the units. A site
    whose coordinates are not in the file gets a stand-in.
    """
    paths = list(files) or [str(probe.path)]
    entry: dict[str, Any] = {"source": source, "path": paths}
    if probe.kind == "text":
        entry["encoding"] = probe.encoding
    reader: Any = importlib.import_module(f"fluxatlas.ingest.sites.{source}")
    made, ledger, periods = SiteEntry.model_validate(entry), Witness(), pd.DataFrame()
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
            ledger = Witness()
            records = reader.read(paths, made, QcRules(), ledger)
        if not sum(len(r.observations) + _days(r) for r in records) and hasattr(reader, "read_periods"):
            ledger.tables.clear()
            periods = reader.read_periods(paths, made, QcRules(), ledger)
    except FluxAtlasError as problem:
        _show(report, ledger, zone, units_from)
        return refused(report, problem)
    _show(report, ledger, zone, units_from)
    _places(report, records, periods)
    key = f"sites.entries: {{source: {source}}}"
    many = bool(len(periods))
    decided = _longer(report, periods, ledger, key) if many else _verdict(report, records, ledger, key, nothing)
    if decided.usable:
        decided.use("sites.entries", source=source, encoding="" if made.encoding == "utf-8" else made.encoding)
    return decided


def _show(report: Report, ledger: Witness, zone: str, units_from: str) -> None:
    """Times and columns of what the reader saw; tables with the same columns (of several sites or sensors) are one."""
    indices = [table.index for table, _, _ in ledger.tables if isinstance(table.index, pd.DatetimeIndex)]
    if indices:
        stamps = [np.asarray(index.dropna(), "datetime64[s]") for index in indices]
        times.judge(report, np.unique(np.concatenate(stamps)), zone=zone)
    alike: dict[tuple[str, ...], list[pd.DataFrame]] = {}
    layouts: dict[tuple[str, ...], tuple[Layout, float | None]] = {}
    for table, layout, given in ledger.tables:
        found = tuple(str(name) for name in table.columns if layout.find(str(name)))
        alike.setdefault(found, []).append(table[list(found)])
        layouts[found] = layout, given
    for found, tables in alike.items():
        names, (layout, given) = list(found), layouts[found]
        table = tables[0] if len(tables) == 1 else pd.concat(tables)
        timed = isinstance(table.index, pd.DatetimeIndex)
        known = np.asarray(pd.DatetimeIndex(table.index).dropna() if timed else [], "datetime64[s]")
        steps = np.diff(np.unique(known)).astype(float)
        step = given or (float(np.median(steps)) if steps.size else 86400.0)
        ordered = timed and table.index.is_unique
        judge_frame(
            report,
            table,
            specs_of(layout, names, step=step, units_from=units_from),
            stamps=pd.DatetimeIndex(table.index) if timed else None,
            ordered=ordered,
            subdaily=timed and (step < 86400 or not ordered),
            day_steps=max(1, round(86400 / step)) if ordered else 1,
        )
    if units_from == "format" and alike:
        report.note("units-not-in-file", "the file states no units: those of the documentation are shown")
    _counted(report, ledger)


def _counted(report: Report, ledger: Ledger) -> None:
    """Notes of the reader, what its quality control counted, and where that dropped most of a column."""
    poor = []
    for site, listed in ledger.as_dict().items():
        report.details.setdefault("ingest_notes", []).extend(listed["notes"][:5] if site else [])
        for name, levels in listed["variables"].items():
            text = "; ".join(level["text"] for level in levels.values())
            report.details.setdefault("ingest_counts", {})[name] = text
            poor += [name for level in levels.values() if level["dropped"].get("gap-filled", 0) > 0.5 * level["read"]]
            if name.endswith(" flags") and any(level["dropped"] for level in levels.values()):
                report.warn("flagged-values", f"{name}: {text}")
    if poor:
        report.warn("gap-filled", f"mostly gap-filled, and so left out by ingest: {', '.join(dict.fromkeys(poor))}")


def _places(report: Report, records: list[SiteRecord], periods: pd.DataFrame) -> None:
    rows = periods.drop_duplicates("site") if len(periods) else pd.DataFrame([record.site for record in records])
    if len(rows) and "position-not-in-file" not in report.codes():
        places.judge(report, rows["lat"], rows["lon"], [str(name) for name in rows["site"]], sea=len(rows) < 2000)
    if len(rows) == 1:
        report.details["site"] = str(rows["site"].iloc[0])
    elif len(rows):
        report.details["sites"] = [str(name) for name in rows["site"]]


def _longer(report: Report, periods: pd.DataFrame, ledger: Ledger, key: str) -> Report:
    """The verdict on means over longer than a day, which go to the table of periods."""
    counts = ", ".join(f"{n:,} of {name}" for name, n in sorted(periods["variable"].value_counts().items()))
    units = {v.name: v.units for v in report.variables}
    for name in sorted(set(periods["variable"])):
        columns = dict.fromkeys(column for known in ledger.sources.values() for column in known.get(str(name), {}))
        labels = dict.fromkeys(units.get(column, "") for column in columns)
        if columns:
            report.mapping.append(MappingRow(str(name), list(columns), ", ".join(labels), "means of periods"))
    text = f"ingest makes {counted(len(periods), 'mean')} over longer than a day of it ({counts}): periods.parquet"
    return report.decide("usable", text, key)


def _verdict(report: Report, records: list[SiteRecord], ledger: Ledger, key: str, nothing: str) -> Report:
    """Usable where a reader kept anything, else ``nothing``."""
    for record in records:
        mapping_of(report, record, ledger)
        if record.forcing is not None and not _days(record):
            report.note("no-own-weather", "no day has complete meteorology")
    n = sum(len(record.observations) for record in records)
    days = sum(_days(record) for record in records)
    if not n and not days:
        notes = report.details.get("ingest_notes", [])
        why = f" ({notes[-1]})" if notes else ""
        return report.decide(nothing, f"ingest reads it but uses nothing of it{why}")
    return report.decide("usable", kept(records), key)


def _days(record: SiteRecord) -> int:
    return 0 if record.forcing is None else int(record.forcing.notna().all(axis=1).sum())


def kept(records: Sequence[SiteRecord]) -> str:
    """What a reader made of a site, or of several, in one sentence."""
    if len(records) != 1:
        n = sum(len(record.observations) for record in records)
        made = f"{counted(n, 'daily observation')} at {counted(len(records), 'site')}" if n else "nothing"
        return f"ingest makes {made} of it"
    record = records[0]
    counts = record.observations["variable"].value_counts()
    parts = [f"{counted(n, 'day')} of {name}" for name, n in sorted(counts.items())]
    if record.forcing is not None:
        parts.append(f"{counted(_days(record), 'complete day')} of meteorology")
    return "ingest makes " + (", ".join(parts) if parts else "nothing") + " of it"


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
