"""What every reader returns, and the ledger in which every dropped value is counted with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from ...config.sites import SiteEntry
from ...errors import InputError
from .composition import Composition

if TYPE_CHECKING:
    from .layouts import Layout

T = TypeVar("T")

SITE_COLUMNS = ("site", "lat", "lon", "elevation", "kind", "igbp", "utc_offset", "source", "use")
ATTRIBUTE_COLUMNS = ("sand", "clay", "soc", "bdod", "phh2o", "cropFrac", "ndep", "lai")
FORM_COLUMNS = ("rotation",)
"""What may be stated of a site that chooses a form of the process model: the crops that follow each other there."""
MONTHLY_COLUMNS = tuple(f"lai_{month:02d}" for month in range(1, 13))
"""Attributes that may be given by month instead of for the whole year, January first."""
OBSERVATION_COLUMNS = ("time", "variable", "value", "sd", "qc", "n", "origin")


class UnusableError(InputError):
    """A valid file, sensor or site of which nothing can be made; among others it is left out and counted."""


@dataclass
class SiteRecord:
    """One site as a reader understood it.

    ``site``: the row of sites.csv (:data:`SITE_COLUMNS` and known attributes). ``observations``: long table with
    :data:`OBSERVATION_COLUMNS` in canonical units, one row per day and variable. ``forcing``: wide table indexed by day
    with canonical forcing variables (NaN where missing), or None. ``files``: those that it was made of.
    """

    site: dict[str, Any]
    observations: pd.DataFrame
    forcing: pd.DataFrame | None = None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.site["site"])


@dataclass
class Ledger:
    """Counts of values read, kept and dropped, per site and variable, and notes on what a reader decided."""

    counts: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = field(default_factory=dict)
    """Per site and variable the columns that were read, with factor and offset to canonical units."""
    restated: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """By site and column: factor and offset from its true unit to that of its layout (:mod:`stated`)."""
    offered: dict[tuple[object, str], dict[str, None]] = field(default_factory=dict)
    """By entry and option the names that its files know, such as columns under ``units``."""
    doubts: dict[tuple[str, str], str] = field(default_factory=dict)
    """By site and variable: what the values that were dropped say of their unit."""
    limits: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    """Per site and variable the daily values that were judged by the limits of the system, and those beyond them."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What was read and not used as a whole (a site, a sensor, a file), with the reason."""
    warnings: dict[str, list[str]] = field(default_factory=dict)
    """What belongs on the screen too: a text, and the sites it is true of."""

    chambers: str = "adjusted"
    """How the series of several chambers become that of their site (``sites.chambers``)."""
    compositions: dict[tuple[str, str], Composition] = field(default_factory=dict)
    """Per site and variable what was found of its chambers."""

    def saw(self, table: pd.DataFrame, layout: Layout, step: float | None = None) -> None:
        """Be shown the columns of a file as they stand there, before anything is done with them.

        ``table``: indexed by time where it has times; amounts are over ``step`` seconds (default: those between the
        times). Here nothing happens; ``fluxatlas inspect`` looks at them.
        """

    def source(self, site: str, variable: str, column: str, factor: float, offset: float) -> None:
        """Keep which ``column`` became ``variable``, by ``value * factor + offset``."""
        scale, shift = self.restated.get((site, column), (1.0, 0.0))
        factor, offset = factor * scale, factor * shift + offset
        pairs = self.sources.setdefault(site, {}).setdefault(variable, {}).setdefault(column, [])
        if (factor, offset) not in pairs:
            pairs.append((factor, offset))

    def read(self, site: str, variable: str, n: int, *, of: str = "days") -> None:
        """Count ``n`` values (``of`` 'days' or 'values') that entered quality control."""
        self._counter(site, variable, of)["read"] += int(n)

    def drop(self, site: str, variable: str, reason: str, n: int, *, of: str = "days") -> None:
        """Count ``n`` values dropped for ``reason``."""
        if n:
            self._counter(site, variable, of)[reason] += int(n)

    def judged(self, site: str, variable: str, n: int, beyond: int) -> None:
        """Count ``n`` possible values judged by the limits of the system, of which so many lie ``beyond`` them."""
        self.limits.setdefault((site, variable), Counter()).update(n=n, beyond=beyond)

    def leave_out(self, name: str, reason: str) -> None:
        """Keep that ``name`` (a site, a sensor, a file) is not used at all, and why."""
        self.left_out[name] = reason
        self.warn(name, f"left out: {reason}")

    @contextmanager
    def unless_unusable(self, name: str) -> Iterator[None]:
        """Leave ``name`` out where it turns out to be unusable inside."""
        try:
            yield
        except UnusableError as problem:
            self.leave_out(name, problem.what)

    def note(self, site: str, text: str) -> None:
        """Keep a decision that a user should be able to read later."""
        lines = self.notes.setdefault(site, [])
        if text not in lines:
            lines.append(text)

    def warn(self, site: str, text: str) -> None:
        """Keep a decision that a user should also see on the screen."""
        self.note(site, text)
        sites = self.warnings.setdefault(text, [])
        if site not in sites:
            sites.append(site)

    def told(self) -> list[str]:
        """The warnings, one line each, with the sites they are true of."""
        return [
            f"{', '.join(sites[:4])}{f' and {len(sites) - 4:,} more sites' if len(sites) > 4 else ''}: {text}"
            for text, sites in self.warnings.items()
        ]

    def offer(self, entry: SiteEntry, option: str, names: Iterable[object]) -> None:
        """Keep which ``names`` the files of ``entry`` know for ``option``."""
        known = self.offered.setdefault(((entry.source, *entry.path), option), {})
        known |= dict.fromkeys(map(str, names))

    def known(self, entry: SiteEntry, option: str) -> list[str]:
        """The names that were offered."""
        return list(self.offered.get(((entry.source, *entry.path), option), {}))

    def _counter(self, site: str, variable: str, of: str) -> Counter[str]:
        return self.counts.setdefault((site, variable, of), Counter())

    def sentence(self, site: str, variable: str, of: str = "days") -> str:
        """Such as ``kept 1,423 of 2,190 days: 512 gap-filled, 255 missing``."""
        counter = self.counts.get((site, variable, of), Counter())
        dropped = [(reason, n) for reason, n in counter.most_common() if reason != "read"]
        kept = counter["read"] - sum(n for _, n in dropped)
        listed = ", ".join(f"{n:,} {reason}" for reason, n in dropped)
        return (
            f"kept {kept:,} of {counter['read']:,} {of}"
            + (f": {listed}" if listed else "")
            + self.doubts.get((site, variable), "")
        )

    def as_dict(self) -> dict[str, Any]:
        """The ledger for report.json: per site ``variables`` (read, kept, dropped, text), ``notes``
        and, of several chambers, what was found of them by variable (``chambers``)."""
        report: dict[str, Any] = {site: {"variables": {}, "notes": list(lines)} for site, lines in self.notes.items()}
        for (site, variable, of), counter in self.counts.items():
            rows = report.setdefault(site, {"variables": {}, "notes": []})["variables"]
            dropped = {reason: n for reason, n in counter.most_common() if reason != "read"}
            rows.setdefault(variable, {})[of] = {
                "read": counter["read"],
                "kept": counter["read"] - sum(dropped.values()),
                "dropped": dropped,
                "text": self.sentence(site, variable, of),
            }
        for (site, variable), found in self.compositions.items():
            if len(found.chambers) > 1:
                report.setdefault(site, {"variables": {}, "notes": []})
                report[site].setdefault("chambers", {})[variable] = found.as_dict()
        return report


def each(names: Iterable[str], make: Callable[[str], T], ledger: Ledger) -> list[T]:
    """What ``make`` makes of each of ``names`` (files, sensors, sites); what is unusable is left out and counted.

    Raises the first :class:`UnusableError` where nothing is left: a single file that cannot be used is refused.
    """
    made: list[T] = []
    unusable: dict[str, UnusableError] = {}
    for name in names:
        try:
            made.append(make(name))
        except UnusableError as problem:
            unusable[name] = problem
    if unusable and not made:
        raise next(iter(unusable.values()))
    for name, found in unusable.items():
        ledger.leave_out(name, found.what + (f" ({found.where})" if found.where not in ("", name) else ""))
    return made


def observations(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack long tables, or make an empty one, with fixed columns and types."""
    tables = [part for part in parts if len(part)]
    if not tables:
        table = pd.DataFrame({name: pd.Series(dtype="float64") for name in OBSERVATION_COLUMNS})
    else:
        table = pd.concat(tables, ignore_index=True)
    table["time"] = pd.to_datetime(table["time"]).astype("datetime64[ns]")
    for name in ("variable", "origin"):
        table[name] = table[name].astype(object)
    for name in ("value", "sd", "qc"):
        table[name] = table[name].astype("float64")
    table["n"] = table["n"].astype("int64")
    return table[list(OBSERVATION_COLUMNS)]


def long_table(variable: str, values: pd.Series, *, sd: Any, qc: Any = 1.0, n: Any = 1) -> pd.DataFrame:
    """Long observation rows of one variable from daily ``values`` indexed by day; NaN values give no row."""
    table = pd.DataFrame({"time": values.index, "variable": variable, "value": values.to_numpy(float)})
    for name, column in (("sd", sd), ("qc", qc), ("n", n)):
        table[name] = column.to_numpy() if isinstance(column, pd.Series) else column
    table["origin"] = "measured"
    return table[table["value"].notna()]
