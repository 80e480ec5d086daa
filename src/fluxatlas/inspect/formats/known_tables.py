"""Tables known by their columns: carbon budgets, MODIS series, SRDB, yields, site lists."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from ...errors import FluxAtlasError, InputError
from ...ingest.sites import badm
from ...ingest.sites.metadata import columns_of, read_attributes, read_metadata
from ...ingest.sites.records import ATTRIBUTE_COLUMNS
from ...ingest.sites.text import check_columns
from .. import places, times
from ..frames import Spec, judge_frame
from ..probe import Probe
from ..readers import through
from ..report import Report, refused
from . import ameriflux
from .table_kinds import Known, known_kinds


def read(probe: Probe, separator: str = ",", comment: str = "#") -> pd.DataFrame:
    """The table of a text, quoted or not; raises :class:`InputError` where it cannot be read or has no rows."""
    text = "\n".join(line for line in probe.text.split("\n") if not line.startswith(comment) and line.strip())
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            index_col=False,
            low_memory=False,
            on_bad_lines="error",
            skipinitialspace=True,
        )
    except (ValueError, OverflowError, TypeError, IndexError, KeyError, pd.errors.ParserError) as problem:
        raise InputError(
            f"the table cannot be read ({problem})", where=str(probe.path), hint="check its lines"
        ) from None
    table.columns = [str(name).strip().strip('"') for name in table.columns]
    check_columns([name for name in table.columns if not name.startswith("Unnamed")], (), str(probe.path))
    if table.empty:
        raise InputError("the table has a header but no rows", where=str(probe.path), hint="leave it out or fill it")
    return table


def recognise(probe: Probe) -> Report | None:
    """A table with the columns of a known kind."""
    if probe.kind != "text":
        return None
    if badm.is_table(probe.head):
        return ameriflux.badm_facts(Report(str(probe.path)))
    comma, tab = probe.header(), probe.header("\t")
    kinds, legends = known_kinds()
    for known in kinds:
        if known.match(probe, tab if known.separator == "\t" else comma):
            return _inspect(known, probe)
    for columns, role in legends:
        if columns <= set(comma) or columns <= set(tab):
            return _legend(probe, role)
    if len(comma) >= 3 and "site" in columns_of(comma):
        return _site_list(probe, comma)
    return _positions_only(probe, comma)


def _encoding(report: Report, probe: Probe) -> None:
    if probe.first_bad_byte:
        byte, line = probe.first_bad_byte
        text = f"the text is not UTF-8 (byte 0x{byte:02x} on line {line}): read as latin-1; set the encoding"
        report.warn("not-utf8", text)


def _inspect(known: Known, probe: Probe) -> Report:
    report = Report(str(probe.path), known.format, known.product)
    _encoding(report, probe)
    try:
        table = read(probe, known.separator)
        stamps = None if known.clock is None else known.clock(table)
    except FluxAtlasError as problem:
        return refused(report, problem)
    except (KeyError, ValueError, TypeError) as problem:
        return refused(report, InputError(f"the time column cannot be read ({problem})", hint="check its rows"))
    if stamps is not None:
        times.judge(report, stamps)
    if known.position and set(known.position) <= set(table.columns):
        lat, lon = (pd.to_numeric(table[name], errors="coerce") for name in known.position)
        spots = pd.DataFrame({"lat": lat, "lon": lon}).drop_duplicates()
        places.judge(report, spots["lat"], spots["lon"], sea=len(spots) < 20_000)
    data = table[[name for name in table.columns if name not in known.keys]]
    report.details["rows"] = len(table)
    clock = None if stamps is None or len(stamps) != len(table) else pd.Series(stamps, index=table.index)
    specs = known.specs(probe, data)
    if known.sites:
        _sites(report, data, specs)
    else:
        judge_frame(report, data, specs, stamps=clock, ordered=known.ordered)
    for level, code, message in known.notes:
        report.add(level, code, message)
    for text in sorted({str(spec.units) for spec in specs.values() if spec.units}):
        report.details.setdefault("units_stated_by", f"the documentation ({text})")
    if known.reader:
        return through(report, probe, known.reader)
    return report.decide("no_reader", known.verdict)


def _sites(report: Report, data: pd.DataFrame, specs: dict[str, Spec]) -> None:
    """All site columns as one variable, with the sites that are missing most of the time."""
    stacked = data.apply(pd.to_numeric, errors="coerce")
    report.details["sites"] = [str(name) for name in data.columns]
    one = pd.DataFrame({"all sites": stacked.to_numpy(float).ravel()})
    spec = next(iter(specs.values()), Spec())
    judge_frame(report, one, {"all sites": spec}, ordered=False)
    empty = [str(name) for name in stacked if stacked[name].notna().mean() < 0.1]
    missing = float(stacked.isna().to_numpy().mean())
    if spec.units == "degC":
        report.note("unit-by-magnitude", "the file states no unit: by magnitude land surface temperature is in deg C")
    report.note("gaps", f"{100 * missing:.0f} % of the values are missing (NA)")
    if empty:
        report.warn("sparse", f"sites with less than 10 % of the values: {', '.join(empty[:10])}")


def _legend(probe: Probe, role: str) -> Report:
    report = Report(str(probe.path), "documentation", role)
    if probe.first_bad_byte:
        byte, line = probe.first_bad_byte
        report.note("not-utf8", f"the text is not UTF-8 (byte 0x{byte:02x} on line {line})")
    report.details["rows"] = max(probe.text.count("\n"), 1)
    return report.decide("not_input", f"documentation ({role}), no input data")


def _site_list(probe: Probe, header: list[str]) -> Report | None:
    """A list of sites with positions, or of attributes by site: the tables that a sites entry may name."""
    attributes = "site" in header and sum(name in header for name in ATTRIBUTE_COLUMNS) >= 2
    placed = {"lat", "lon"} <= set(columns_of(header))
    if not attributes and not placed:
        return None
    report = Report(str(probe.path), "site-list", "list of sites")
    _encoding(report, probe)
    try:
        if attributes:
            found = read_attributes(probe.path)
            specs = {name: Spec("", name) for name in found.columns if name in ATTRIBUTE_COLUMNS}
            judge_frame(report, found[list(specs)], specs, ordered=False)
            report.product = "attributes by site"
            return report.decide("part", f"attributes of {len(found):,} sites", "sites.entries: attributes")
        facts = read_metadata(probe.path)
    except FluxAtlasError as problem:
        _try_positions(report, probe)
        return refused(report, problem)
    names = list(facts)
    places.judge(
        report, [facts[n].get("lat", np.nan) for n in names], [facts[n].get("lon", np.nan) for n in names], names
    )
    report.details["sites"] = len(names)
    return report.decide("part", f"positions of {len(names):,} sites", "sites.entries: metadata")


def _try_positions(report: Report, probe: Probe) -> None:
    try:
        table = read(probe)
    except FluxAtlasError:
        return
    _judge_positions(report, table)


def _judge_positions(report: Report, table: pd.DataFrame) -> bool:
    lower = {name.lower(): name for name in table.columns}
    lat = next((lower[n] for n in ("lat", "latitude", "location_lat") if n in lower), None)
    lon = next((lower[n] for n in ("lon", "long", "longitude", "location_long") if n in lower), None)
    if lat is None or lon is None:
        return False
    numbers = table[[lat, lon]].apply(pd.to_numeric, errors="coerce")
    places.judge(report, numbers[lat], numbers[lon], [str(x) for x in table.iloc[:, 0]], sea=len(table) < 20_000)
    return True


def _positions_only(probe: Probe, header: list[str]) -> Report | None:
    """A list of positions whose columns ``metadata`` does not know."""
    lower = {name.lower() for name in header}
    if not ({"lat", "latitude"} & lower and {"lon", "longitude"} & lower) or len(header) < 3 or len(header) > 40:
        return None
    report = Report(str(probe.path), "site-list", "list of positions")
    _encoding(report, probe)
    try:
        table = read(probe)
        _judge_positions(report, table)
        report.details["rows"] = len(table)
        read_metadata(probe.path)
    except FluxAtlasError as problem:
        return refused(report, problem)
    return report.decide("part", f"positions of {len(table):,} sites", "sites.entries: metadata")
