"""BADM interchange files (BIF): the facts on sites and the depths of their sensors, from ``.xlsx`` or CSV.

A BIF is one table with SITE_ID, GROUP_ID, VARIABLE_GROUP, VARIABLE, DATAVALUE: the BIF of AmeriFlux and FLUXNET2015,
``*_FLUXNET_BIF_*.csv`` and ``*_BIFVARINFO_*.csv`` of the FLUXNET archives since 2025, ``ICOSETC_*_SITEINFO_L2.csv`` and
``*_VARINFO_FLUXNET_*.csv`` of ICOS. An ``.xlsx`` file is a zip of XML (ECMA-376); the two parts read here, shared
strings and the first sheet, need no spreadsheet library.
"""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

from ...errors import InputError
from .text import decode_mixed

_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
LARGEST = 200 * 1024**2
"""Largest part of a workbook that is read [bytes]; what unpacks to more is not a table of facts."""
COLUMNS = ("SITE_ID", "GROUP_ID", "VARIABLE_GROUP", "VARIABLE", "DATAVALUE")


def rows(data: bytes, where: str) -> list[list[str]]:
    """Cells of the first sheet of a workbook as text, row by row; raises :class:`InputError` for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            names = book.namelist()
            sheet = min(name for name in names if name.startswith("xl/worksheets/sheet"))
            shared = "xl/sharedStrings.xml"
            strings = [_text(item) for item in _parse(book, shared, where)] if shared in names else []
            return [[_cell(cell, strings) for cell in row] for row in _parse(book, sheet, where).iter(f"{_NS}row")]
    except (
        zipfile.BadZipFile,
        ElementTree.ParseError,
        ValueError,
        IndexError,
        KeyError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as problem:
        raise InputError(f"the workbook cannot be read ({problem})", where=where, hint="download it again") from None
    except Exception as problem:
        if type(problem).__module__ != "zlib":
            raise
        raise InputError(f"the workbook is damaged ({problem})", where=where, hint="download it again") from None


def _parse(book: zipfile.ZipFile, name: str, where: str) -> ElementTree.Element:
    if book.getinfo(name).file_size > LARGEST:
        raise InputError(f"'{name}' unpacks to more than 200 MiB", where=where, hint="this is no BADM workbook")
    text = book.read(name)
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(f"'{name}' defines entities", where=where, hint="a workbook never does: do not trust the file")
    return ElementTree.fromstring(text)


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_NS}t"))


def _cell(cell: ElementTree.Element, strings: list[str]) -> str:
    value = cell.find(f"{_NS}v")
    if cell.get("t") == "s" and value is not None:
        return strings[int(value.text or "")]
    return (value.text or "") if value is not None else _text(cell)


def table(data: bytes, where: str) -> list[list[str]]:
    """Rows of a BIF without the first, five cells each, from a workbook or CSV text.

    Raises :class:`InputError` where the first row is not that of a BIF, or nothing follows it.
    """
    if data[:2] == b"PK" or where.lower().endswith(".xlsx"):
        found = rows(data, where)
    else:
        try:
            found = list(csv.reader(io.StringIO(decode_mixed(data, where)[0])))
        except csv.Error as problem:
            raise InputError(f"the table cannot be read ({problem})", where=where, hint="download it again") from None
    if not found or [cell.strip() for cell in found[0][:5]] != list(COLUMNS):
        raise InputError("the first row is not that of a BIF", where=where, hint=f"expected {', '.join(COLUMNS)}")
    body = [[cell.strip() for cell in row[:5]] for row in found[1:] if len(row) >= 5]
    if not body:
        raise InputError("the BIF has no rows", where=where, hint="it may be truncated: download it again")
    return body


def is_table(data: bytes) -> bool:
    """Whether ``data`` looks like a BIF: a workbook, or text with its header."""
    return data[:2] == b"PK" or data.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").startswith(
        ",".join(COLUMNS).encode()
    )


_SOIL = re.compile(r"(TS|SWC)(_F_MDS|_PI)?(_\d+){0,3}(_A)?")
_NUMBERS = {
    "LOCATION_LAT": "lat",
    "LOCATION_LONG": "lon",
    "LOCATION_ELEV": "elevation",
    "UTC_OFFSET": "utc_offset",
}


def site_facts(data: bytes, where: str) -> dict[str, dict[str, Any]]:
    """By site: ``lat, lon, elevation, igbp, utc_offset, name``, where the BIF states them (the last counts)."""
    found: dict[str, dict[str, Any]] = {}
    for site, _, _, variable, value in table(data, where):
        facts = found.setdefault(site, {})
        if value in ("", "-9999"):
            continue
        if variable in _NUMBERS:
            number = _number(value)
            if number is None:
                raise InputError(f"{variable} '{value[:40]}' is not a number", where=where, hint="correct it")
            facts[_NUMBERS[variable]] = number
        elif variable == "IGBP":
            facts["igbp"] = value
        elif variable == "SITE_NAME":
            facts["name"] = value
    return found


def sensor_depths(data: bytes, where: str, of: str = "") -> dict[str, tuple[float, float]]:
    """Shallowest and deepest depth [cm] stated for each soil column: sensors are moved at times.

    Columns are those of FLUXNET (``TS_F_MDS_1``) or of BASE files (``TS_PI_1``, ``SWC_1_2_1``). ``of``: one site only.
    """
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for site, group, _, variable, value in table(data, where):
        if of in ("", site):
            groups.setdefault((site, group), {})[variable] = value
    found: dict[str, tuple[float, float]] = {}
    for facts in groups.values():
        column, height = facts.get("VAR_INFO_VARNAME", ""), _number(facts.get("VAR_INFO_HEIGHT", ""))
        if height is not None and -10 <= height <= 0 and _SOIL.fullmatch(column):
            depth = round(-100 * height, 2)
            low, high = found.get(column, (depth, depth))
            found[column] = (min(low, depth), max(high, depth))
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
