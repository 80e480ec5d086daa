"""Any other text table: its columns, times and positions as far as they explain themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError, InputError
from .. import times
from ..frames import Spec, judge_frame
from ..probe import Probe
from ..report import Report, refused
from .known_tables import _encoding, _judge_positions, read

CLOCKS = ("time", "date", "datetime", "timestamp", "timestamp_start", "datetime_utc", "day")
FORMS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def recognise(probe: Probe) -> Report | None:
    """A table with a header; raises :class:`InputError` for what cannot be told at all."""
    if probe.kind != "text":
        raise InputError("the format is not recognised", where=str(probe.path), hint="see docs/inspect.md")
    row = probe.first_row
    separator = max(",;\t", key=row.count)
    cells = probe.header(separator)
    if len(cells) < 2 or sum(not _number(cell) for cell in cells) < 0.5 * len(cells):
        raise InputError("the format is not recognised", where=str(probe.path), hint="see docs/inspect.md")
    report = Report(str(probe.path), "table", "table of an unknown kind")
    _encoding(report, probe)
    try:
        table = read(probe, separator)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.details |= {"rows": len(table), "columns": len(table.columns)}
    clock = next((name for name in table.columns if name.lower() in CLOCKS), None)
    stamps = None if clock is None else _clock(table[clock])
    if stamps is not None:
        times.judge(report, stamps)
    _judge_positions(report, table)
    data = table[[name for name in table.columns if name != clock]]
    series = None if stamps is None else pd.Series(stamps, index=table.index)
    judge_frame(
        report, data, {str(name): Spec(units_from="") for name in data}, stamps=series, ordered=stamps is not None
    )
    return report.decide(
        "no_reader", "a table of a kind that no reader takes; chamber data fit the plain chamber table"
    )


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _clock(column: pd.Series) -> np.ndarray | None:
    """Times of a column in compact or ISO form, None where most of it is no time."""
    text = column.astype(str).str.strip()
    form = FORMS.get(int(text.str.len().mode().iloc[0])) if text.str.fullmatch(r"\d+").mean() > 0.5 else "ISO8601"
    if form is None:
        return None
    try:
        parsed = pd.to_datetime(text, format=form, errors="coerce", utc=True).dt.tz_convert(None)
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None
    return np.asarray(parsed, "datetime64[s]") if parsed.notna().mean() > 0.5 else None
