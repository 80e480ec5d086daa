"""BADM interchange files (BIF): the facts on sites and the depths of their sensors, from ``.xlsx`` or CSV.

A BIF is one table with SITE_ID, GROUP_ID, VARIABLE_GROUP, VARIABLE, DATAVALUE: the BIF of AmeriFlux and FLUXNET2015,
``*_FLUXNET_BIF_*.csv`` and ``*_BIFVARINFO_*.csv`` of the FLUXNET archives since 2025, ``ICOSETC_*_SITEINFO_L2.csv`` and
``*_VARINFO_FLUXNET_*.csv`` of ICOS.
"""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

from ...errors import InputError
from ...magic import kind_of
from .text import decode_mixed
from .workbook import sheets

COLUMNS = ("SITE_ID", "GROUP_ID", "VARIABLE_GROUP", "VARIABLE", "DATAVALUE")


def rows(data: bytes, where: str) -> list[list[str]]:
    """Cells of the first sheet of a workbook as text, row by row; raises :class:`InputError` for anything else."""
    return next(iter(sheets(data, where).values()), [])


def table(data: bytes, where: str) -> list[list[str]]:
    """Rows of a BIF without the first, five cells each, from a workbook or CSV text.

    Raises :class:`InputError` where the first row is not that of a BIF, or nothing follows it.
    """
    if kind_of(data) == "zip" or where.lower().endswith(".xlsx"):
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
    return kind_of(data) == "zip" or data.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").startswith(
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
