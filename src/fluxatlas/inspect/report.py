"""What an inspection finds: one :class:`Report` per file or folder, and its form as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import FluxAtlasError

SCHEMA_VERSION = 1
"""Raised when a key of the JSON changes its meaning or goes away; new keys may come at any time."""

STATUSES = {
    "usable": "can be used as input",
    "part": "is part of an input",
    "no_reader": "recognised, but cannot be used as input",
    "not_input": "no input data",
    "unusable": "cannot be used as input",
    "unrecognised": "not recognised",
}
"""Status of a report -> its meaning; 'usable' and 'part' give exit code 0, all others 1."""


@dataclass
class Finding:
    """One thing worth knowing. ``code`` is stable; ``level`` is 'note', 'warning' or 'error' (error: not usable)."""

    level: str
    code: str
    message: str
    variable: str = ""


@dataclass
class VariableSummary:
    """One variable or column as stored: label of the unit, counts, and the range without missing values and codes."""

    name: str
    units: str = ""
    units_from: str = ""
    """'file' for a label in the file, 'format' where the format's documentation states it, '' where nobody does."""
    long_name: str = ""
    kind: str = "data"
    """'data', 'flag' or 'text'."""
    shape: list[int] = field(default_factory=list)
    n: int = 0
    missing: int = 0
    """Values that are NaN, the declared fill value or a missing code."""
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    canonical: str = ""
    """Canonical variable that the column was judged as; depths of soil sensors are nominal."""
    sampled: bool = False
    """Whether only a part of a large variable was read."""


@dataclass
class Gap:
    """Steps that are absent: the last time before and the first time after."""

    after: str
    before: str
    steps: int


@dataclass
class TimeSummary:
    """Coverage in time; ``step`` such as '1 d', '30 min', '1 month' or 'irregular'."""

    start: str = ""
    end: str = ""
    step: str = ""
    n: int = 0
    calendar: str = "standard"
    zone: str = ""
    gaps: list[Gap] = field(default_factory=list)
    missing_steps: int = 0


@dataclass
class SpaceSummary:
    """Where the data lie. ``kind``: 'grid', 'points', 'point', 'shapes'; box as west, south, east, north."""

    kind: str
    bbox: list[float] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)
    cell: list[float] = field(default_factory=list)
    """Height and width of a cell in units of the coordinate system."""
    crs: str = "degrees"
    sites: list[str] = field(default_factory=list)


@dataclass
class MappingRow:
    """How a canonical variable is made: source columns, conversion, and the unit override where the label is wrong."""

    canonical: str
    source: list[str]
    units: str = ""
    """Unit the source is read in."""
    conversion: str = ""
    override: str = ""


@dataclass
class Use:
    """A place of the configuration that the path can be given to, such as ``static.layers.orog``.

    ``options`` are the keys that it needs there beside its path. Of sites the places are ``sites.entries``,
    ``sites.metadata`` and ``sites.attributes``; maps of regions and constraints name no key of their own.
    """

    key: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """Everything about one path."""

    path: str
    format: str = ""
    """Stable name of the format, such as 'fluxnet-daily'."""
    product: str = ""
    version: str = ""
    status: str = "unrecognised"
    verdict: str = ""
    """One sentence: how it can be used, or why not."""
    reader: str = ""
    """Config that reads it, such as 'sites.entries: source fluxnet'."""
    time: TimeSummary | None = None
    space: SpaceSummary | None = None
    variables: list[VariableSummary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    mapping: list[MappingRow] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    """Further facts by name (site, sensors, classes, files of a folder, ...)."""
    series: dict[str, Any] = field(default_factory=dict, repr=False)
    """What ``--plot`` draws; not part of the JSON."""

    @property
    def usable(self) -> bool:
        """Whether it can be used as input, alone or with its companions."""
        return self.status in ("usable", "part")

    def note(self, code: str, message: str, variable: str = "") -> None:
        self.add("note", code, message, variable)

    def warn(self, code: str, message: str, variable: str = "") -> None:
        self.add("warning", code, message, variable)

    def error(self, code: str, message: str, variable: str = "") -> None:
        self.add("error", code, message, variable)

    def add(self, level: str, code: str, message: str, variable: str = "") -> None:
        finding = Finding(level, code, message, variable)
        if finding not in self.findings:
            self.findings.append(finding)

    def use(self, key: str, **options: Any) -> None:
        """Add a place of the configuration that the path can be given to; options that say nothing are left out."""
        self.uses.append(Use(key, {name: value for name, value in options.items() if value not in ("", None, {}, [])}))

    def decide(self, status: str, verdict: str, reader: str = "") -> Report:
        """Set the verdict and return the report."""
        self.status, self.verdict, self.reader = status, verdict, reader
        return self

    def codes(self) -> set[str]:
        """Codes of all findings."""
        return {finding.code for finding in self.findings}

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON (see docs/inspect.md): plain types, no NaN."""
        found = asdict(self)
        found.pop("series")
        found["usable"] = self.usable
        return {"schema_version": SCHEMA_VERSION, **plain(found)}


def refused(report: Report, problem: FluxAtlasError, code: str = "refused") -> Report:
    """``report`` with the message of a reader that refused the file as an error and as the verdict."""
    text = problem.what + (f" ({problem.hint})" if problem.hint else "")
    report.error(code, text)
    status = "unusable" if report.format or problem.what != "the format is not recognised" else "unrecognised"
    return report.decide(status, f"cannot be read: {problem.what}" if status == "unusable" else problem.what)


def plain(value: Any) -> Any:
    """``value`` with plain Python types; NaN and infinite numbers become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
