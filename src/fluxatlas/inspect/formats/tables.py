"""Tables without a reader: the kinds of ``resources/table_kinds.yaml``, lists of sites, and whatever has a header."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError, InputError, counted
from ...ingest.sites import badm
from ...ingest.sites.metadata import columns_of, read_attributes, read_metadata
from ...ingest.sites.records import ATTRIBUTE_COLUMNS
from ...ingest.sites.text import check_columns
from ...ingest.yields import LAYOUTS, layout_of
from ...paths import RESOURCES
from ...yaml_text import read_keys
from .. import places, times
from ..frames import Spec, judge_frame
from ..probe import Probe
from ..report import Report, refused
from .documentation import report_on

MOST_PLACES = 20_000
"""Positions of longer lists are not compared with the map of land."""
CLOCKS = ("time", "date", "datetime", "timestamp", "timestamp_start", "datetime_utc", "day")
FORMS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@cache
def _rows() -> dict[str, Any]:
    return dict(read_keys(RESOURCES / "table_kinds.yaml"))


def kind_of(name: str, header: list[str], separator: str = ",") -> Mapping[str, Any] | None:
    """The kind of a table of the file ``name`` with the columns ``header``."""
    for row in _rows()["kinds"]:
        starts, some = row.get("starts", []), row.get("any", [])
        fits = header[: len(starts)] == starts and set(row.get("holds", [])) <= set(header)
        named = re.search(row.get("name", ""), name) and row.get("separator", separator) == separator
        if fits and named and (not some or set(some) & set(header)):
            return dict(row)
    return None


def recognise(probe: Probe) -> Report | None:
    """A table with a header; raises :class:`InputError` for what cannot be told at all."""
    if badm.is_table(probe.head):
        return badm_facts(Report(str(probe.path)))
    if probe.kind == "text":
        separator = max(",;\t", key=probe.first_row.count)
        header = probe.header(separator)
        legend = next((role for columns, role in _rows()["legends"] if set(columns) <= set(header)), "")
        if legend:
            return report_on(probe, legend)
        kind, names = _yields(probe)
        kind = kind or kind_of(probe.name, header, separator)
        report = _site_list(probe, header) if not kind and separator == "," else None
        if report is not None:
            return report
        if kind or (len(header) > 1 and sum(not _number(cell) for cell in header) >= 0.5 * len(header)):
            report = Report(str(probe.path), "table", "table of an unknown kind")
            _encoding(report, probe)
            if separator == ";" and not kind:
                text = "cells are separated by semicolons: tables of sites are read with commas and decimal points"
                report.warn("semicolons", f"{text}; save it so and inspect it again")
            try:
                return judge(report, read(probe, separator, names), kind or {})
            except FluxAtlasError as problem:
                return refused(report, problem)
    raise InputError("the format is not recognised", where=str(probe.path), hint="see docs/inspect.md")


def _yields(probe: Probe) -> tuple[Mapping[str, Any] | None, list[str] | None]:
    """The kind of a table of yields that ``fluxatlas evaluate yields`` reads, and its columns if it has no header.

    Such numbers alone, unlike days of a month, name counties above 31.
    """
    layout = LAYOUTS.get(layout_of(probe.first_row))
    if layout is None:
        return None, None
    if layout.bare:
        counties = (line.split(",")[2].strip() for line in probe.text.split("\n") if line.count(",") == 3)
        if not any(county.isdigit() and int(county) > 31 for county in counties):
            return None, None
    kind = {
        "format": "usda-yield" if "acres" in layout.units else "county-yield",
        "product": layout.product,
        "verdict": "crop yields: `fluxatlas evaluate yields --table` scores plain models; networks learn: sites.yields",
        "status": "usable",
        "units": {unit: [name] for name, unit in layout.units.items()},
        "time": {"column": "year", "form": "year", "repeats": True},
        "ordered": False,
        "keys": layout.keys,
    }
    return kind, list(layout.columns) if layout.bare else None


def read(probe: Probe, separator: str = ",", names: list[str] | None = None) -> pd.DataFrame:
    """The table of a text, quoted or not, with columns of its own or, without a header, with ``names``.

    Raises :class:`InputError` where it cannot be read or has no rows.
    """
    text = "\n".join(line for line in probe.text.split("\n") if not line.startswith("#") and line.strip())
    options: dict[str, Any] = {"index_col": False, "low_memory": False, "on_bad_lines": "error"}
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True, names=names, **options)
    except (ValueError, OverflowError, TypeError, IndexError, KeyError, pd.errors.ParserError) as problem:
        hint = "check its lines"
        raise InputError(f"the table cannot be read ({problem})", where=str(probe.path), hint=hint) from None
    table.columns = [str(name).strip().strip('"') for name in table.columns]
    check_columns([name for name in table.columns if not name.startswith("Unnamed")], (), str(probe.path))
    if table.empty:
        raise InputError("the table has a header but no rows", where=str(probe.path), hint="leave it out or fill it")
    return table


def judge(report: Report, table: pd.DataFrame, kind: Mapping[str, Any]) -> Report:
    """Times, positions and columns of ``table``, as its ``kind`` or their names explain them."""
    if kind:
        report.format, report.product = kind["format"], kind["product"]
    report.details |= {"rows": len(table), "columns": len(table.columns)}
    said = kind.get("time", {})
    clock = said.get("column") or next((str(n) for n in table.columns if str(n).lower() in CLOCKS and not kind), "")
    stamps = _clock(table[clock], said.get("form", "")) if clock in table else None
    if stamps is not None:
        times.judge(report, np.unique(stamps[~np.isnat(stamps)]) if said.get("repeats") else stamps)
    _positions(report, table)
    keys = {*kind.get("keys", []), *([clock] if not kind else [])}
    data = table[[name for name in table.columns if name not in keys]]
    patterns = [(re.compile("|".join(names)), unit) for unit, names in kind.get("units", {}).items()]
    rest = kind.get("rest", "")
    units = {str(n): next((u for known, u in patterns if known.fullmatch(str(n))), rest) for n in data}
    ordered = stamps is not None and kind.get("ordered", True)
    series = pd.Series(stamps, index=table.index) if stamps is not None and not said.get("repeats") else None
    judge_frame(report, data, {name: Spec(unit) for name, unit in units.items()}, stamps=series, ordered=ordered)
    for level, code, message in kind.get("notes", []):
        report.add(level, code, message)
    other = "a table of a kind that no reader takes; of chamber data 'table' of an entry of sites says what columns are"
    return report.decide(kind.get("status", "no_reader"), kind.get("verdict", other), kind.get("reader", ""))


def _clock(column: pd.Series, form: str) -> np.ndarray | None:
    """Times in ``form`` ('year': numbers of years; '': compact or ISO), None where most of an unknown one are none."""
    text = column.astype(str).str.strip().str.removesuffix(".0")
    stated = "%Y" if form == "year" else form
    if not form:
        compact = text.str.fullmatch(r"\d+").mean() > 0.5
        form = FORMS.get(int(text.str.len().mode().iloc[0]), "") if compact else "ISO8601"
    if not form:
        return None
    try:
        parsed = pd.to_datetime(text, format=stated or form, errors="coerce", utc=True).dt.tz_convert(None)
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None
    return np.asarray(parsed, "datetime64[s]") if stated or parsed.notna().mean() > 0.5 else None


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _encoding(report: Report, probe: Probe) -> None:
    if probe.first_bad_byte:
        byte, line = probe.first_bad_byte
        text = f"the text is not UTF-8 (byte 0x{byte:02x} on line {line}): read as latin-1; set the encoding"
        report.warn("not-utf8", text)


def _positions(report: Report, table: pd.DataFrame) -> None:
    found = columns_of(table.columns)
    lat, lon = found.get("lat"), found.get("lon")
    if lat is None or lon is None:
        return
    spots = table[[lat, lon]].apply(pd.to_numeric, errors="coerce").assign(name=table.iloc[:, 0].astype(str))
    spots = spots.drop_duplicates([lat, lon])
    places.judge(report, spots[lat], spots[lon], list(spots["name"]), sea=len(spots) < MOST_PLACES)


def _site_list(probe: Probe, header: list[str]) -> Report | None:
    """A list of sites with positions, or of attributes by site: the tables that a sites entry may name."""
    known = set(columns_of(header))
    attributes = "site" in header and sum(name in header for name in ATTRIBUTE_COLUMNS) >= 2
    placed = {"lat", "lon"} <= known and ("site" in known or len(header) <= 40)
    if len(header) < 3 or not (attributes or placed):
        return None
    report = Report(str(probe.path), "site-list", "list of sites")
    _encoding(report, probe)
    try:
        if attributes:
            found = read_attributes(probe.path)
            specs = {name: Spec("", name) for name in found.columns if name in ATTRIBUTE_COLUMNS}
            judge_frame(report, found[list(specs)], specs, ordered=False)
            report.product = "attributes by site"
            report.use("sites.attributes")
            return report.decide("part", f"attributes of {counted(len(found), 'site')}", "sites.entries: attributes")
        _positions(report, read(probe))
        facts = read_metadata(probe.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    return _listed(report, facts)


def _listed(report: Report, facts: Mapping[str, Mapping[str, Any]]) -> Report:
    """The verdict on positions of sites."""
    names = list(facts)
    report.details["sites"] = len(names)
    lat, lon = ([facts[name].get(key, np.nan) for name in names] for key in ("lat", "lon"))
    report.findings = [f for f in report.findings if not f.code.startswith("position-")]  # judged again, by its names
    places.judge(report, lat, lon, names, sea=len(names) < MOST_PLACES)
    report.use("sites.metadata")
    return report.decide("part", f"positions of {counted(len(names), 'site')}", "sites.entries: metadata")


def badm_facts(report: Report) -> Report:
    """The facts on sites, or the depths of sensors, that ingest takes from a BIF."""
    report.format, report.product = "ameriflux-bif", "AmeriFlux BADM interchange file (BIF)"
    try:
        data = Path(report.path).read_bytes()
        facts, depths = badm.site_facts(data, report.path), badm.sensor_depths(data, report.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    placed = {name: known for name, known in facts.items() if {"lat", "lon"} <= set(known)}
    if placed:
        return _listed(report, placed)
    if depths:
        report.details["sensors"] = sorted(depths)
        return report.decide(
            "part", f"depths of {counted(len(depths), 'soil sensor')}: leave it beside the data of its site"
        )
    return report.decide("no_reader", "a BIF without positions of sites or depths of soil sensors")
