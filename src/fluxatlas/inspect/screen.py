"""A report as one screen of text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

from .report import STATUSES, Finding, Report, VariableSummary

MOST_VARIABLES = 24
MOST_FINDINGS = 14
MARKS = {"error": "✗", "warning": "!", "note": "·"}
COLORS = {"error": "31", "warning": "33", "note": "2", "usable": "32", "part": "32"}


def render(report: Report, *, color: bool = False, width: int | None = None, everything: bool = False) -> str:
    """The report as text of ``width`` columns (default: the terminal's, at most 120)."""
    size = width or min(shutil.get_terminal_size((100, 40)).columns, 120)
    lines = [_paint(report.path, "1", color), *_head(report, color)]
    lines += [*_time(report), *_space(report)]
    lines += _variables(report, size, everything)
    lines += _findings(report, size, color, everything)
    lines += _mapping(report, size)
    lines += _facts(report, size)
    verdict = f"{STATUSES[report.status]}: {report.verdict}" if report.verdict else STATUSES[report.status]
    shown = _wrap("  => ", verdict + (f"  [{report.reader}]" if report.reader else ""), size)
    lines += [_paint(line, COLORS.get(report.status, "31"), color) for line in shown]
    return "\n".join(lines)


def _paint(text: str, code: str, color: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if color else text


def _wrap(prefix: str, text: str, size: int) -> list[str]:
    return textwrap.wrap(
        text, size, initial_indent=prefix, subsequent_indent=" " * len(prefix), break_long_words=False
    ) or [prefix]


def _head(report: Report, color: bool) -> list[str]:
    words = [report.product, f"version {report.version}" if report.version else "", f"({report.format})"]
    return ["  " + ", ".join(word for word in words[:2] if word) + " " + words[2]] if report.format else []


def _time(report: Report) -> list[str]:
    time = report.time
    if time is None or not time.n:
        return []
    zone = f", {time.zone}" if time.zone else ""
    calendar = (
        "" if time.calendar in ("standard", "gregorian", "proleptic_gregorian") else f", calendar {time.calendar}"
    )
    gaps = f", {time.missing_steps:,} steps missing" if time.missing_steps else ""
    step = f", step {time.step}" if time.step else ""
    return [f"  time      {time.start} .. {time.end}{step}, {time.n:,} times{gaps}{calendar}{zone}"]


def _space(report: Report) -> list[str]:
    space = report.space
    if space is None or len(space.bbox) != 4:
        return []
    west, south, east, north = space.bbox
    if space.kind == "point":
        return [f"  space     point {south:.4f} N, {west:.4f} E"]
    cells = f"{' x '.join(str(n) for n in space.shape)} {'cells' if space.kind == 'grid' else space.kind}"
    size = f" of {' x '.join(f'{c:.5g}' for c in space.cell)}" if space.cell else ""
    crs = "" if space.crs in ("degrees", "EPSG:4326") else f" ({space.crs})"
    return [f"  space     {cells}{size}{crs}, {south:.4g}..{north:.4g} N, {west:.4g}..{east:.4g} E"]


def _variables(report: Report, size: int, everything: bool) -> list[str]:
    if not report.variables:
        return []
    chosen = report.variables if everything else _first(report.variables)
    wide = min(max(len(v.name) for v in chosen), max(size - 68, 9))
    lines = [f"  {'variables':<{wide}} {'unit':<13} {'n':>11} {'missing':>7} {'min':>10} {'median':>10} {'max':>10}"]
    for v in chosen:
        missing = f"{100 * v.missing / v.n:.1f} %" if v.n else ""
        numbers = " ".join(f"{_number(x):>10}" for x in (v.minimum, v.median, v.maximum))
        units = v.units[:11] + ("" if v.units_from == "file" or not v.units else " *")
        tail = f"{'text':>10}" if v.kind == "text" else numbers + (" (sample)" if v.sampled else "")
        lines.append(f"  {v.name[:wide]:<{wide}} {units:<13} {v.n:>11,} {missing:>7} {tail}")
    more = len(report.variables) - len(chosen) + report.details.get("further_columns", 0)
    if more:
        lines.append(f"  ... and {more} more (--all shows those that were read)")
    if any(v.units and v.units_from == "format" for v in chosen):
        lines.append("  * not stated in the file")
    return lines


def _first(variables: list[VariableSummary]) -> list[VariableSummary]:
    """The variables to show: data before flags and text, in the order of the file."""
    data = [v for v in variables if v.kind == "data"]
    rest = [v for v in variables if v.kind != "data"]
    chosen = [*data, *rest][:MOST_VARIABLES]
    return [v for v in variables if v in chosen]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _findings(report: Report, size: int, color: bool, everything: bool) -> list[str]:
    """One line per finding; the same message for several variables is one line."""
    if not report.findings:
        return []
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        key = (finding.code, "" if finding.code in ("missing-code", "all-missing", "constant") else finding.message)
        grouped.setdefault(key, []).append(finding)
    ordered = sorted(grouped.values(), key=lambda group: list(MARKS).index(group[0].level))
    lines = ["  worth knowing"]
    for group in ordered if everything else ordered[:MOST_FINDINGS]:
        first = group[0]
        shown = _wrap(f"  {MARKS[first.level]} ", _sentence(group), size)
        lines += [_paint(line, COLORS[first.level], color) for line in shown]
    if len(ordered) > MOST_FINDINGS and not everything:
        lines.append(f"    ... and {len(ordered) - MOST_FINDINGS} more (--all)")
    return lines


def _sentence(group: list[Finding]) -> str:
    first, names = group[0], [f.variable for f in group if f.variable]
    if len(group) == 1:
        return f"{first.variable}: {first.message}" if first.variable else first.message
    if first.code == "missing-code":
        parts = [f"{f.variable} {f.message.split(': ', 1)[-1]}" for f in group]
        return f"missing codes stored in the data: {_some(parts, 6)}"
    if first.code == "all-missing":
        return f"no value at all in {_some(names, 12)}"
    if first.code == "constant":
        return "one value only: " + _some([f"{f.variable} ({f.message.split(' are ')[-1]})" for f in group], 8)
    return f"{_some(names, 8)}: {first.message}"


def _some(parts: Iterable[str], most: int) -> str:
    listed = list(parts)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _mapping(report: Report, size: int) -> list[str]:
    if not report.mapping:
        return []
    lines = ["  mapping"]
    wide = min(max(len(row.canonical) for row in report.mapping), 24)
    for row in report.mapping:
        how = ", ".join(part for part in (row.units, row.conversion) if part)
        text = f"{', '.join(row.source)}" + (f"  ({how})" if how else "")
        text += f"  override: {row.override}" if row.override else ""
        lines += _wrap(f"    {row.canonical:<{wide}} <- ", text, size)
    return lines


FACTS = {
    "site": "site",
    "station": "station",
    "sheets": "sheets",
    "contents": "holds",
    "classes": "classes",
    "features": "shapes",
    "automatic_rows": "automatic rows",
    "manual_rows": "manual rows",
    "objects": "objects",
    "flags": "flags",
    "ingest_notes": "ingest notes",
    "proposed_mapping": "proposed mapping (save it as YAML, check it, name it in forcing.mapping)",
}
"""Details that are shown, with their label; the JSON holds all of them."""


def _facts(report: Report, size: int) -> list[str]:
    lines: list[str] = []
    for key, label in FACTS.items():
        value = report.details.get(key)
        if value in (None, "", [], {}):
            continue
        if key == "proposed_mapping":
            lines += [f"  {label}", *textwrap.indent(str(value).rstrip(), "    ").split("\n")]
            continue
        if isinstance(value, dict):
            text = _some((f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in value.items()), 12)
        else:
            text = _some(map(str, value), 30) if isinstance(value, list) else str(value)
        lines += _wrap(f"  {label:<9} ", text, size)
    return lines
