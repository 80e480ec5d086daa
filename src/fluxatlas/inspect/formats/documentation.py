"""Text that is not data: licences, read-me files, lists of sources, citations, settings of other models."""

from __future__ import annotations

import re

from ..probe import Probe
from ..report import Report

KINDS: tuple[tuple[str, str, str], ...] = (
    ("licence", r"^(licen[cs]e|copying)", r"licen[cs]e|copyright|permission is hereby granted"),
    ("readme", r"^read_?me|\.md$|\.rst$|\.Rmd$", r""),
    ("citation", r"\.(cff|bib)$|^citation", r""),
    ("manifest", r"^manifest", r"sha256|md5|file"),
    ("package description", r"^description$", r"^package:|^type: package"),
    ("model settings", r"global_param", r"^\s*MODEL_STEPS_PER_DAY|STARTYEAR"),
    ("metadata", r"\.xml$|\.meta\.json$", r"<|\{"),
    ("description of fields", r"_fields|description|flags?_desc|codetable|key", r""),
    ("history of changes", r"history|changes|changelog|news", r""),
)
"""Kind, pattern of the file name, and a pattern that the text must hold."""


def recognise(probe: Probe) -> Report | None:
    """A text whose name and words say that it documents something."""
    if probe.kind != "text":
        return None
    text = probe.text[:20_000]
    for kind, name, words in KINDS:
        if not re.search(name, probe.name, re.IGNORECASE):
            continue
        if words and not re.search(words, text, re.IGNORECASE | re.MULTILINE):
            continue
        if kind in ("description of fields", "history of changes") and probe.suffix == ".csv" and _is_table(probe):
            continue
        return report_on(probe, kind)
    prose = sum(len(line.split()) > 6 for line in probe.lines) >= 0.25 * max(sum(map(bool, probe.lines)), 1)
    if probe.suffix in (".txt", "") and prose and not _is_table(probe):
        return report_on(probe, "text")
    return None


def report_on(probe: Probe, kind: str) -> Report:
    """The report on a piece of documentation."""
    report = Report(str(probe.path), "documentation", kind)
    first = next((line.strip(" #=*-") for line in probe.lines if line.strip(" #=*-")), "")
    report.details |= {"title": first[:100], "lines": probe.text.count("\n") + 1}
    if probe.encoding != "utf-8" and probe.first_bad_byte:
        byte, line = probe.first_bad_byte
        report.note("not-utf8", f"the text is not UTF-8 (byte 0x{byte:02x} on line {line})")
    return report.decide("not_input", f"documentation ({kind}), no input data")


def _is_table(probe: Probe) -> bool:
    """Whether most lines have the same number of cells, at least three."""
    lines = [line for line in probe.lines[:60] if line.strip() and not line.startswith("#")]
    for separator in ",;\t":
        counts = [line.count(separator) for line in lines]
        if len(counts) >= 3 and max(counts) >= 2 and sum(c == counts[0] for c in counts) > 0.8 * len(counts):
            return True
    return False
