"""What the columns of a layout mean: one table per layout, beside its reader, which ingest and inspect share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ...constants import FREEZING
from . import depths


@dataclass(frozen=True)
class ColumnSpec:
    """Columns of one meaning: ``value * factor + offset`` is ``variable`` in canonical units.

    ``pattern``: regular expression of their whole names; a group ``depth`` in it is the depth of a soil sensor [cm].
    ``units``: those of the layout. ``variable``: of the table of variables, '' for what fluxatlas does not use.
    ``per_step``: an amount per step, so that the factor is divided by the length of a step [s]. ``kind``: 'data' or
    'flag'.
    """

    pattern: str
    units: str = ""
    variable: str = ""
    factor: float = 1.0
    offset: float = 0.0
    per_step: bool = False
    kind: str = "data"

    def conversion(self, step: float = 86400.0) -> tuple[float, float]:
        """(factor, offset) to canonical units, of amounts over ``step`` seconds."""
        return (self.factor / step if self.per_step else self.factor), self.offset


def celsius(pattern: str, variable: str) -> ColumnSpec:
    """Columns of temperatures in deg C."""
    return ColumnSpec(pattern, "degC", variable, offset=FREEZING)


def percent(pattern: str, variable: str) -> ColumnSpec:
    """Columns of fractions in percent."""
    return ColumnSpec(pattern, "%", variable, 0.01)


@dataclass(frozen=True)
class Layout:
    """The columns of a layout; of several rows that a name fits the first counts."""

    columns: tuple[ColumnSpec, ...]

    def find(self, name: str) -> ColumnSpec | None:
        """The row of a column, or None where the layout does not know it."""
        return next((spec for spec in self.columns if _matcher(spec.pattern)(name)), None)

    def of(self, variable: str) -> ColumnSpec:
        """The first row of a variable; soil sensors of any depth have one row."""
        return next(spec for spec in self.columns if spec.variable == variable)

    def variable(self, name: str) -> str:
        """The variable that a column becomes, '' for none; of soil sensors at the nearest standard depth."""
        spec = self.find(name)
        if spec is None:
            return ""
        found = _matcher(spec.pattern)(name)
        depth = found.groupdict().get("depth") if found else None
        stem = spec.variable.rstrip("0123456789")
        return depths.variable(stem, depths.standard_depth(float(depth)) or 45) if depth else spec.variable


@cache
def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern).fullmatch
