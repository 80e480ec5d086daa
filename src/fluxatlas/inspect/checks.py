"""Judging the values of one variable: missing codes, range, unit by magnitude, constant runs, spikes, mixed units.

A :class:`CheckedVariable` says what is known about a variable; :func:`judge` fills its summary and adds what is
suspicious. The valid ranges and units are those of ``resources/variables.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables
from ..config.sites import QcRules
from ..ingest.sites.magnitude import by_magnitude
from ..ingest.sites.qc import scaled_codes, spikes
from .report import Report, VariableSummary

FloatArray = npt.NDArray[np.float64]

RULES = QcRules()
CODES = (*RULES.missing_codes, -9999.9, -999.0, -999.9, -99.0, -9.99, 1e20, -1e20, 9.96921e36, 32767.0, -32768.0)
"""Numbers that often mean 'missing'; those within the possible values of a variable count only if they stand apart."""
MAYBE_ZERO = ("pr", "rsds", "snw", "snd", "mrro", "evspsbl", "swc", "cropFrac", "wetlandFrac")
"""Variables that may rightly be zero for long (by the start of the name)."""


@dataclass
class CheckedVariable:
    """One variable and what is known about it.

    ``values``: float64 as stored (fill values NaN), any shape. ``canonical`` names the row of the table it becomes,
    by ``value * factor + offset``. ``ordered``: consecutive values of one place, so that runs and spikes mean
    something; ``subdaily``: the ranges of one step hold, not those of daily means; ``clipped``: its reader sets the
    noise of daily values to zero.
    """

    name: str
    values: npt.NDArray[Any]
    units: str = ""
    units_from: str = ""
    long_name: str = ""
    kind: str = "data"
    canonical: str = ""
    factor: float = 1.0
    offset: float = 0.0
    ordered: bool = True
    subdaily: bool = False
    clipped: bool = True
    day_steps: int = 1
    sampled: bool = False
    shape: tuple[int, ...] = ()
    fill_declared: bool = False
    clean: FloatArray = field(default_factory=lambda: np.empty(0))

    @property
    def family(self) -> str:
        """'tsl' for tsl05 and so on."""
        return self.canonical.rstrip("0123456789")

    @property
    def valid(self) -> tuple[float, float]:
        """Valid range in canonical units."""
        row = variables.get(self.canonical)
        return row.step or row.valid if self.subdaily else row.valid

    @property
    def noise(self) -> float:
        """How far below zero a value of what cannot be negative is noise, which ingest sets to zero [canonical units].

        Of sub-daily values that is the offset of a sensor at night; of daily ones only where they are ``clipped``.
        """
        row = variables.get(self.canonical)
        if row.valid[0] != 0:
            return 0.0
        return max(row.noise if self.clipped else 0.0, -self.valid[0])


def judge(report: Report, column: CheckedVariable) -> VariableSummary:
    """Append the summary of ``column`` to ``report`` and whatever is suspicious; ``column.clean`` is left without
    codes."""
    values = np.asarray(column.values, np.float64).ravel()
    values = np.where(np.isfinite(values), values, np.nan)
    summary = VariableSummary(column.name, column.units, column.units_from, column.long_name, column.kind)
    summary.shape = list(column.shape or np.shape(column.values))
    summary.n, summary.sampled, summary.canonical = int(values.size), column.sampled, column.canonical
    report.variables.append(summary)
    if column.kind == "data":
        values = _without_codes(report, column, values)
    column.clean = values
    finite = values[np.isfinite(values)]
    summary.missing = int(values.size - finite.size)
    if not finite.size:
        report.warn("all-missing", f"holds no value at all ({values.size:,} missing)", column.name)
        return summary
    summary.minimum, summary.maximum = float(finite.min()), float(finite.max())
    summary.median = float(np.median(finite))
    if column.kind == "data":
        _judge_values(report, column, values, finite)
    return summary


def _judge_values(report: Report, column: CheckedVariable, values: FloatArray, finite: FloatArray) -> None:
    if column.canonical and not _contradicted(report, column, finite):
        _range(report, column, values)
    _constant(report, column, values)
    if column.canonical and column.ordered:
        _spikes(report, column, values)
    elif column.units == "kg m-2 s-1" and -1e-6 < finite.min() < 0:
        n, worst = int((finite < 0).sum()), float(finite.min())
        report.note("tiny-negative", f"{n:,} tiny negative values down to {worst:.3g} {column.units}", column.name)


def _without_codes(report: Report, column: CheckedVariable, values: FloatArray) -> FloatArray:
    """``values`` with missing codes as NaN; codes are counted and named."""
    result = values.copy()
    named = []
    for code in CODES:
        hit = np.isclose(result, code, rtol=1e-6, atol=1e-9 if abs(code) < 10 else 1e-4)
        if hit.any() and _apart(result[~hit & np.isfinite(result)], code, int(hit.sum())):
            named.append(f"{code:g} ({int(hit.sum()):,} of {values.size:,})")
            result[hit] = np.nan
    if named:
        declared = " although the file declares a fill value" if column.fill_declared else ""
        report.note("missing-code", f"missing code stored in the data{declared}: {', '.join(named)}", column.name)
    if column.canonical:
        for value in _scaled(column, result):
            hit = result == value
            text = f"{int(hit.sum()):,} values are exactly {value:.8g}: a missing code that went through a conversion"
            report.warn("scaled-missing-code", text, column.name)
            result[hit] = np.nan
    return result


def _scaled(column: CheckedVariable, values: FloatArray) -> list[float]:
    """Far impossible values that recur exactly; none where there are many of them (then it is the unit)."""
    if column.family in ("swc", "hurs"):
        far = (values < -1) | (values > 1000)
    else:
        low, high = column.valid
        canonical = values * column.factor + column.offset
        far = (canonical < 2 * low - high) | (canonical > 2 * high - low)
    found = scaled_codes(values, far & np.isfinite(values), RULES.scaled_code_repeats)
    return found if len(found) <= 3 else []


def _apart(others: FloatArray, code: float, n: int) -> bool:
    """Whether ``code`` stands apart from the ``others``: outside their range by more than its width."""
    if not others.size:
        return True
    low, high = float(others.min()), float(others.max())
    if low <= code <= high and abs(code) < 9000:
        return False
    if abs(code) >= 9000:
        low, high = (float(q) for q in np.quantile(others, [0.01, 0.99]))
        return not low <= code <= high
    return (n >= 2 and (code < low - 0.5 * (high - low) - 1e-9 or code > high + 0.5 * (high - low))) or code < 0 <= low


def _contradicted(report: Report, column: CheckedVariable, finite: FloatArray) -> bool:
    """Whether the magnitude contradicts the unit, so that a range says nothing; a fraction and percent are
    distinguished for good."""
    known: dict[str, Any] = {"units": column.units, "factor": column.factor, "offset": column.offset}
    found = by_magnitude(finite, column.canonical, **known)
    if found is None:
        return False
    report.warn(found.code, found.text, column.name)
    if found.code in ("percent-not-fraction", "fraction-not-percent"):
        zero, one = variables.convert(np.array([0.0, 1.0]), found.units, column.canonical)
        column.factor, column.offset = float(one - zero), float(zero)
        return False
    return found.code in ("mixed-units", "unit-by-magnitude")


def _range(report: Report, column: CheckedVariable, values: FloatArray) -> None:
    """Values outside the valid range; tiny negatives of fluxes that cannot be negative are a note."""
    low, high = column.valid
    canonical = values * column.factor + column.offset
    units = variables.get(column.canonical).units
    negative = (canonical < 0) & (canonical >= -column.noise)
    if negative.any():
        worst = values[negative].min()
        text = (
            f"{int(negative.sum()):,} tiny negative values down to {worst:.3g} {column.units}: packing or sensor noise"
        )
        report.note("tiny-negative", f"{text}, set to zero by ingest", column.name)
    bad = np.isfinite(canonical) & ((canonical < low) | (canonical > high)) & ~negative
    if bad.any():
        worst = values[bad][np.argmax(np.abs(canonical[bad] - 0.5 * (low + high)))]
        ends = f"{float(values[bad].min()):.6g} to {float(values[bad].max()):.6g}"
        text = f"{int(bad.sum()):,} of {int(np.isfinite(canonical).sum()):,} values ({ends} {column.units}) lie outside"
        report.warn(
            "out-of-range", f"{text} [{low:g}, {high:g}] {units} of {column.canonical}; worst {worst:.6g}", column.name
        )


def _constant(report: Report, column: CheckedVariable, values: FloatArray) -> None:
    """A variable with one value only, or a long run of one value."""
    finite = values[np.isfinite(values)]
    if finite.size < 3:
        return
    if finite.min() == finite.max():
        zero = " (0 where it was not measured?)" if finite[0] == 0 else ""
        level = "warning" if column.ordered else "note"
        report.add(level, "constant", f"all {finite.size:,} values are {finite[0]:g}{zero}", column.name)
        return
    zeros = float(np.mean(finite == 0))
    if zeros > 0.3 and column.family not in MAYBE_ZERO and column.ordered and column.canonical:
        report.warn("many-zeros", f"{100 * zeros:.0f} % of the values are exactly 0: absent stored as 0?", column.name)
    if not column.ordered:
        return
    length, value, start = longest_run(finite, skip_zero=column.family in MAYBE_ZERO or not column.canonical)
    least, share = (10, 0.002) if column.canonical else (20, 0.05)
    if length >= max(least, 3 * column.day_steps) and length > share * finite.size:
        report.warn(
            "constant-run", f"{length:,} values in a row are {value:.6g} (from value {start + 1:,} on)", column.name
        )


def longest_run(values: FloatArray, *, skip_zero: bool) -> tuple[int, float, int]:
    """Length, value and start of the longest run of one value; zeros count only without ``skip_zero``."""
    edges = np.flatnonzero(np.diff(values) != 0) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [values.size]]))
    if skip_zero:
        lengths = np.where(values[starts] == 0, 0, lengths)
    at = int(lengths.argmax())
    return int(lengths[at]), float(values[starts[at]]), int(starts[at])


def _spikes(report: Report, column: CheckedVariable, values: FloatArray) -> None:
    """Single values far from both neighbours (the test of ingest's quality control)."""
    canonical = values * column.factor + column.offset
    if column.family in ("pr", "sfcWind", "rsds", "evspsbl"):
        return
    hit = np.flatnonzero(spikes(canonical, column.canonical, RULES))
    if hit.size:
        worst = values[hit[np.argmax(np.abs(values[hit] - np.nanmedian(values)))]]
        report.warn("spikes", f"{hit.size:,} single spikes, such as {worst:.6g} {column.units}", column.name)
