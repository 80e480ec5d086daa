"""Judging a table: every column with what the format says about it, and rows that hold nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..ingest.sites.layouts import Layout
from . import checks, times
from .checks import CheckedVariable
from .report import Report

MOST_COLUMNS = 60
"""Columns judged one by one; wider tables say how many more there are."""


@dataclass(frozen=True)
class Spec:
    """What a format says about a column: unit, canonical variable and conversion (``value * factor + offset``)."""

    units: str = ""
    canonical: str = ""
    factor: float = 1.0
    offset: float = 0.0
    kind: str = "data"
    long_name: str = ""
    units_from: str = "format"


def specs_of(
    layout: Layout, names: Iterable[str], *, step: float = 86400.0, units_from: str = "format"
) -> dict[str, Spec]:
    """What ``layout`` says about the columns ``names``; amounts are over ``step`` seconds."""
    found = {}
    for name in map(str, names):
        row = layout.find(name)
        if row is not None:
            conversion = row.conversion(step)
            found[name] = Spec(row.units, layout.variable(name), *conversion, row.kind, units_from=units_from)
    return found


def judge_frame(
    report: Report,
    frame: pd.DataFrame,
    specs: Mapping[str, Spec],
    *,
    stamps: pd.Series | pd.DatetimeIndex | None = None,
    ordered: bool = True,
    subdaily: bool = False,
    day_steps: int = 1,
) -> pd.DataFrame:
    """Judge the columns of ``frame`` (numbers; others are listed as text) and its rows; returns it without codes.

    ``specs`` by column name (missing: unit unknown); ``ordered``: rows follow each other in time at one place.
    """
    clean: dict[str, pd.Series] = {}
    names = [str(name) for name in frame.columns]
    for name in names[:MOST_COLUMNS]:
        spec = specs.get(name, Spec(units_from=""))
        column = CheckedVariable(
            name,
            as_numbers(frame[name]),
            units=spec.units,
            units_from=spec.units_from if spec.units else "",
            long_name=spec.long_name,
            kind=spec.kind,
            canonical=spec.canonical,
            factor=spec.factor,
            offset=spec.offset,
            ordered=ordered,
            subdaily=subdaily,
            clipped=False,
            day_steps=day_steps,
        )
        if spec.kind == "text" or (not np.isfinite(column.values).any() and frame[name].notna().any()):
            _text_column(report, name, frame[name])
            continue
        checks.judge(report, column)
        if column.kind == "data":
            clean[name] = pd.Series(column.clean, index=frame.index)
    if len(names) > MOST_COLUMNS:
        report.details["further_columns"] = len(names) - MOST_COLUMNS
    result = pd.DataFrame(clean, index=frame.index)
    if stamps is not None and len(result.columns) and ordered:
        empty_rows(report, result, stamps)
    _keep_series(report, result, stamps)
    return result


def as_numbers(column: pd.Series) -> np.ndarray:
    """A column as float64; what is not a number becomes NaN."""
    if column.dtype.kind in "fiub":
        return column.to_numpy(np.float64, na_value=np.nan)
    return np.asarray(pd.to_numeric(column, errors="coerce"), np.float64)


def _text_column(report: Report, name: str, column: pd.Series) -> None:
    from .report import VariableSummary

    summary = VariableSummary(name, kind="text", shape=[len(column)], n=len(column), missing=int(column.isna().sum()))
    report.variables.append(summary)


def empty_rows(report: Report, clean: pd.DataFrame, stamps: pd.Series | pd.DatetimeIndex) -> None:
    """Stretches of rows in which every column is missing, the longest ones by their times."""
    empty = clean.isna().all(axis=1).to_numpy()
    if not empty.any() or empty.all():
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(np.int8), [0]])))
    runs = sorted(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[0] - run[1])
    clock = np.asarray(stamps, "datetime64[s]")
    longest = [f"{times.shown(clock[a])} to {times.shown(clock[b - 1])} ({b - a:,} rows)" for a, b in runs[:3]]
    more = f" and {len(runs) - 3:,} more stretches" if len(runs) > 3 else ""
    report.warn("empty-rows", f"{int(empty.sum()):,} of {empty.size:,} rows hold no value: {', '.join(longest)}{more}")


def _keep_series(report: Report, clean: pd.DataFrame, stamps: pd.Series | pd.DatetimeIndex | None) -> None:
    """What ``--plot`` draws: columns over their times, after those that are there already."""
    lines = report.series.setdefault("lines", {})
    x = None if stamps is None else np.asarray(stamps, "datetime64[s]")
    lines |= {str(name): (x, clean[name].to_numpy()) for name in clean.columns}
