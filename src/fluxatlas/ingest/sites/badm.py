"""AmeriFlux BADM workbooks (BIF): the facts on a site, from the plain worksheet inside the ``.xlsx`` file.

A BIF is one sheet with SITE_ID, GROUP_ID, VARIABLE_GROUP, VARIABLE, DATAVALUE. An ``.xlsx`` file is a zip of XML
(ECMA-376); the two parts read here, shared strings and the first sheet, need no spreadsheet library.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any
from xml.etree import ElementTree

from ...errors import InputError

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


def site_facts(data: bytes, where: str) -> dict[str, dict[str, Any]]:
    """By site: ``lat, lon, elevation, igbp, utc_offset, name``, where the workbook states them (the last counts)."""
    table = rows(data, where)
    if not table or [cell.strip() for cell in table[0][:5]] != list(COLUMNS):
        raise InputError("the first row is not that of a BIF", where=where, hint=f"expected {', '.join(COLUMNS)}")
    numeric = {
        "LOCATION_LAT": "lat",
        "LOCATION_LONG": "lon",
        "LOCATION_ELEV": "elevation",
        "UTC_OFFSET": "utc_offset",
    }
    found: dict[str, dict[str, Any]] = {}
    for row in table[1:]:
        if len(row) < 5:
            continue
        site, variable, value = row[0].strip(), row[3].strip(), row[4].strip()
        facts = found.setdefault(site, {})
        if variable in numeric:
            try:
                facts[numeric[variable]] = float(value)
            except ValueError:
                raise InputError(f"{variable} '{value[:40]}' is not a number", where=where, hint="correct it") from None
        elif variable == "IGBP":
            facts["igbp"] = value
        elif variable == "SITE_NAME":
            facts["name"] = value
    return found
