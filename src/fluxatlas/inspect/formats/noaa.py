"""Mole fractions of CH4 and CO2 as NOAA GML distributes them, in every layout that ingest reads."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError, InputError
from ...ingest.atmosphere import looks_like, read_cells, read_series
from .. import times
from ..frames import Spec, judge_frame
from ..probe import Probe
from ..report import MappingRow, Report, refused

UNITS = {"ch4": "ppb", "co2": "ppm"}
KEYS = ("year", "month", "day", "hour", "minute", "second", "decimal", "time_decimal", "datetime", "site", "site_code")
"""Columns that are no data."""


def recognise(probe: Probe) -> Report | None:
    """A series of global means or of a station, judged by the reader of ingest."""
    if probe.kind != "text" or not looks_like(probe.name, probe.text[:5000]):
        return None
    report = Report(str(probe.path), "noaa-gml", "NOAA GML mole fractions")
    try:
        gas, table = read_cells(probe.path)
        _judge(report, table, gas)
        series = read_series(probe.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.details["units_stated_by"] = f"the documentation ({UNITS[gas]})"
    report.product = f"NOAA GML, station {series.site}" if series.site else "NOAA GML marine-surface global means"
    years = series.annual().index
    if not len(years):
        return refused(report, InputError("holds no complete year", where=report.path, hint="give a longer series"))
    use = {"ch4": "annual means, latitude and season added", "co2": "mole fraction, as it is"}[gas]
    report.mapping.append(MappingRow(gas, [series.column], series.unit, use))
    return report.decide(
        "usable", f"atmospheric {gas.upper()} for the years {years.min()}-{years.max()}", f"forcing.{gas}"
    )


def _judge(report: Report, table: pd.DataFrame, gas: str) -> None:
    """Times and numbers of the table as it stands in the file."""
    numbers = table.apply(pd.to_numeric, errors="coerce")
    year = numbers["year"]
    month = numbers["month"] if "month" in numbers else pd.Series(1.0, index=table.index)
    good = year.between(1, 2999) & month.between(1, 12) & (year % 1 == 0) & (month % 1 == 0)
    text = [f"{y:04.0f}-{m:02.0f}" for y, m in zip(year.where(good, 2000), month.where(good, 1), strict=True)]
    stamps = np.where(good, np.array(text, "datetime64[M]").astype("datetime64[s]"), np.datetime64("NaT"))
    times.judge(report, stamps)
    data = table[[name for name in table.columns if name not in KEYS]]
    canonical = {"ch4": "ch4"}.get(gas, "")
    specs = {name: Spec(UNITS[gas], canonical) for name in ("average", "trend", "mean", "value") if name in data}
    specs |= {name: Spec(UNITS[gas]) for name in data.columns if str(name).endswith("unc")}
    report.details["rows"] = len(table)
    judge_frame(report, data, specs, stamps=pd.Series(stamps, index=table.index))
    if any(str(name).endswith("unc") for name in data.columns):
        report.note("missing-code-stated", "an uncertainty of -9.99 means that it was not computed")
