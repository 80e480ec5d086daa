"""Mole fractions as NOAA GML distributes them, as the reader of ingest understands them."""

from __future__ import annotations

import pandas as pd

from ...errors import FluxAtlasError, InputError
from ...ingest.atmosphere import looks_like, read_series
from .. import times
from ..frames import Spec, judge_frame
from ..probe import Probe
from ..report import MappingRow, Report, refused


def recognise(probe: Probe) -> Report | None:
    """A series of global means or of a station."""
    if probe.kind != "text" or not looks_like(probe.name, probe.text[:5000]):
        return None
    report = Report(str(probe.path), "noaa-gml", "NOAA GML mole fractions")
    try:
        series = read_series(probe.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.product = f"NOAA GML, station {series.site}" if series.site else "NOAA GML marine-surface global means"
    index = series.values.index
    stamps = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
    times.judge(report, stamps)
    table = series.values[["value"]].set_axis([series.column], axis=1)
    known = {series.column: Spec(series.unit, series.gas if series.gas == "ch4" else "")}
    judge_frame(report, table, known, stamps=pd.DatetimeIndex(stamps))
    years = series.annual().index
    if not len(years):
        return refused(report, InputError("holds no complete year", where=report.path, hint="give a longer series"))
    report.mapping.append(MappingRow(series.gas, [series.column], series.unit, "the reader's values, gaps told"))
    report.use(f"atmosphere.series.{series.gas}")
    said = f"atmospheric {series.gas.upper()} for the years {years.min()}-{years.max()}"
    return report.decide("usable", said, f"atmosphere.series.{series.gas}")
