"""R data files (.rds, .rda): Voigt's chambers, COSORE data sets, compilations, or any data frame or vector."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ...axes import LAT, LON
from ...errors import FluxAtlasError, InputError
from ...ingest.sites import voigt
from .. import checks, places, rstream, times
from ..checks import Column
from ..frames import Spec, judge_frame, specs_of
from ..probe import Probe
from ..readers import through
from ..report import Report, refused
from . import cosore


def recognise(probe: Probe) -> Report | None:
    """A file in R's serialization, packed or not."""
    packed = probe.kind in ("gzip", "bzip2", "xz") and probe.suffix in (".rds", ".rda", ".rdata", "")
    if probe.kind != "rdata" and not packed:
        return None
    report = Report(str(probe.path), "r-data", "R data")
    try:
        objects, bad = rstream.read(probe.head, str(probe.path))
    except FluxAtlasError as problem:
        return refused(report, problem)
    if bad:
        report.warn(
            "not-utf8",
            f"{len(bad):,} texts are not UTF-8 (such as byte 0x{_first_byte(bad[0]):02x}): set the encoding (latin-1)",
        )
    report.details["objects"] = [f"{name or 'object'}: {_word(found)}" for name, found in objects.items()]
    name, found = next(iter(objects.items()), ("", None))
    if not isinstance(found, rstream.RObject):
        return report.decide("no_reader", "R data without a vector or data frame")
    try:
        if "data.frame" in found.classes or (found.kind == "list" and found.names):
            return _frame(report, probe, found)
    except FluxAtlasError as problem:
        return refused(report, problem)
    return _vector(report, name, found)


def _first_byte(raw: bytes) -> int:
    return next((byte for byte in raw if byte > 127), 0)


def _word(found: Any) -> str:
    if not isinstance(found, rstream.RObject):
        return "no data"
    kind = "data frame" if "data.frame" in found.classes else found.kind
    return f"{kind} of {found.length:,}"


def _vector(report: Report, name: str, found: rstream.RObject) -> Report:
    if found.kind not in ("integer", "double", "logical") or found.values is None:
        return report.decide("no_reader", f"an R object ({_word(found)}), no table")
    column = Column(name or "values", np.asarray(found.values, float), ordered=False, sampled=not found.whole)
    column.shape = (found.length,)
    codes = found.length > 10_000 and np.all(np.mod(column.values[np.isfinite(column.values)], 1) == 0)
    column.kind = "flag" if codes else "data"
    checks.judge(report, column)
    if codes:
        report.product = "a vector of class codes"
        for rows, columns in ((6480, 12960), (21600, 43200), (360, 720), (2160, 4320), (4320, 8640)):
            if rows * columns == found.length:
                report.product = f"class codes of a global grid of {rows} x {columns} cells"
                report.details["grid"] = [rows, columns]
        report.note("no-coordinates", "a vector without coordinates: the grid and its order must be known")
    if not found.whole:
        read = len(column.values)
        report.note("sampled", f"{found.length:,} values: only the first {read:,} were read")
    return report.decide("no_reader", f"an R vector ({_word(found)}): no reader yet")


def to_frame(found: rstream.RObject) -> pd.DataFrame:
    """The columns of a data frame; factors as their labels, dates and times as datetime64.

    Raises :class:`InputError` where columns are unnamed or of different length.
    """
    names, columns = found.names, list(found.values or [])
    if len(names) != len(columns) or not columns:
        raise InputError("the data frame has no named columns", hint="save one data frame with saveRDS")
    made: dict[str, Any] = {}
    rows = {c.length for c in columns if isinstance(c, rstream.RObject) and c.kind != "list"}
    if len(rows) > 1:
        raise InputError("the columns of the data frame differ in length", hint="get the file again")
    for name, column in zip(names, columns, strict=True):
        if not isinstance(column, rstream.RObject) or column.kind == "list":
            continue
        made[name] = _column(column)
    return pd.DataFrame(made)


def _column(column: rstream.RObject) -> Any:
    levels = column.attributes.get("levels")
    values = column.values
    if isinstance(levels, rstream.RObject) and column.kind == "integer":
        labels = [*(levels.values or []), None]
        return [labels[int(i) - 1] if np.isfinite(i) and 0 < i < len(labels) else None for i in values]
    if column.kind in ("double", "integer", "logical"):
        plain = np.where(np.isfinite(values), values, np.nan)
        if "Date" in column.classes or "POSIXct" in column.classes:
            unit = 86400.0 if "Date" in column.classes else 1.0
            seconds = np.where(np.abs(plain * unit) < 3e10, plain * unit, np.nan)
            stamps = np.full(plain.shape, "NaT", "datetime64[s]")
            good = np.isfinite(seconds)
            stamps[good] = np.round(seconds[good]).astype(np.int64).astype("datetime64[s]")
            return stamps
        return plain
    return [None if x is None else str(x) for x in values] if column.kind == "character" else np.abs(values)


def _frame(report: Report, probe: Probe, found: rstream.RObject) -> Report:
    table = to_frame(found)
    if table.empty:
        return report.decide("unusable", "the data frame has no rows")
    report.details |= {"rows": len(table), "columns": len(table.columns)}
    names = set(table.columns)
    if "CSR_TIMESTAMP_BEGIN" in names:
        return cosore.data_file(report, probe, table)
    if set(voigt.MANUAL.values()) <= names:
        return _voigt(report, probe, table)
    _positions(report, table)
    numeric = table[[name for name in table.columns if table[name].dtype.kind in "fiu"]]
    judge_frame(report, numeric, {str(name): unit_in_name(str(name)) for name in numeric}, ordered=False)
    text = [str(name) for name in table.columns if name not in numeric.columns]
    report.details["text_columns"] = text
    if {"CH4_mg_m2_d", "Annual_CH4_Flux_g_m2_y"} <= names:
        report.format, report.product = (
            "wetland-ch4-annual",
            "annual CH4 fluxes of wetlands and uplands (Treat et al. 2018)",
        )
    elif {"Lat", "Lon", "Cls"} <= names:
        report.format, report.product = "koeppen-points", "Koeppen-Geiger class per point"
        report.details["classes"] = sorted({str(c) for c in table["Cls"].dropna()})[:60]
    elif {"sitename", "forcing", "params_siml"} <= set(found.names):
        report.format, report.product = "p-model-drivers", "daily drivers of the P-model at a tower (FluxDataKit)"
    return report.decide("no_reader", "an R data frame of a kind that no reader takes: no reader yet")


def unit_in_name(name: str) -> Spec:
    """Unit that a column name ends with (``CH4_mg_m2_d``, ``Soil_Temp_C``), if any."""
    found = re.search(r"_(C|mm|cm|hPa|kPa|Percent|days|ppmv|mg_m2_d|g_m2|g_m2_y|ug_m2_h)$", name)
    return Spec(found[1].replace("_", " "), units_from="file") if found else Spec(units_from="")


def _positions(report: Report, table: pd.DataFrame) -> None:
    lat = next((name for name in LAT if name in table), None)
    lon = next((name for name in LON if name in table), None)
    if lat and lon:
        places_of = table[[lat, lon]].apply(pd.to_numeric, errors="coerce").drop_duplicates()
        places.judge(report, places_of[lat], places_of[lon], sea=len(places_of) <= 2000)


def _voigt(report: Report, probe: Probe, table: pd.DataFrame) -> Report:
    report.format, report.product = "voigt", "CH4 uptake of upland soils, chambers (Voigt et al. 2023)"
    hourly = table["Site"].isna() if "Chamber_no" in table else pd.Series(False, index=table.index)
    machines = int(hourly.sum())
    report.details |= {"automatic_rows": machines, "manual_rows": len(table) - machines}
    stamps = pd.to_datetime(table["Date"].astype(object), errors="coerce", format="ISO8601")
    times.judge(report, np.unique(np.asarray(stamps.dropna(), "datetime64[s]")), zone="UTC")
    _positions(report, table)
    specs = specs_of(voigt.LAYOUT, table.columns)
    weather = [name for name in specs if specs[name].canonical[:3] not in ("fch", "tsl", "swc")]
    chamber = [name for name in specs if name not in weather]
    judge_frame(report, table[chamber], specs, stamps=stamps, ordered=False, subdaily=True)
    if machines:  # the weather repeats for every chamber: each hour is judged once
        once = table[hourly].assign(_time=stamps[hourly]).drop_duplicates("_time").sort_values("_time")
        specs = specs_of(voigt.LAYOUT, weather, step=3600.0)
        judge_frame(report, once[weather], specs, stamps=once["_time"], subdaily=True, day_steps=24)
    return through(report, probe, "voigt", nothing="unusable")
