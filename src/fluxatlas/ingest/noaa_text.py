"""Text files of mole fractions as NOAA GML writes them: their gas and station, and their table as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from .. import gases
from ..errors import InputError

VALUE = ("average", "mean", "value")
TWO_LINES = {
    7: ["year", "month", "decimal", "average", "interpolated", "trend", "ndays"],
    8: ["year", "month", "decimal", "average", "deseasonalized", "ndays", "sdev", "unc"],
}
"""Columns of Mauna Loa's files by their number, where the header spreads their names over two lines."""
OBSERVATORIES = {"MLO": 19.536, "BRW": 71.323, "SMO": -14.247, "SPO": -89.98}
"""Latitudes of NOAA's baseline observatories (MLO [V], others [R+]); other files state ``site_latitude`` or need it."""
OTHER_GASES = ("n2o", "sf6")
"""Gases of the provider's series beside those of :mod:`..gases`; a header may speak of several."""
WIDEST = 20
"""More columns than any of these files has."""


def text_of(path: Path) -> str:
    """The text of a file; headers may hold letters of Western European encodings, data may not."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        rows = [line for line in data.splitlines() if not line.lstrip().startswith(b"#")]
        if data.startswith((b"\xff\xfe", b"\xfe\xff")) or not all(line.isascii() for line in rows):
            raise InputError(f"is not UTF-8 text ({problem})", where=str(path), hint="download it again") from None
        return data.decode("latin-1")


def station_of(path: Path, table: pd.DataFrame, header: str) -> tuple[str, float | None]:
    """Code and latitude of a station; an empty code for a global mean."""
    column = next((name for name in ("site", "site_code") if name in table), None)
    named = re.match(r"[a-z0-9]{3}_(?:(?:mm|annmean)_([a-z]{3})\b|([a-z]{3})_surface)", path.name.lower())
    codes = sorted(set(table[column])) if column else [(named[1] or named[2]).upper()] if named else []
    if len(codes) > 1:
        hint = "give the file of one site"
        raise InputError(f"holds {len(codes)} sites: {', '.join(codes[:6])}", where=str(path), hint=hint)
    site = codes[0].upper() if codes else ""
    stated = re.search(r"site_latitude\s*:\s*(-?\d+(?:\.\d+)?)", header)
    latitude = float(stated[1]) if stated else OBSERVATORIES.get(site)
    if latitude is not None and abs(latitude) > 90:
        hint = "correct 'site_latitude' in the header"
        raise InputError(f"states a latitude of {latitude:g}", where=str(path), hint=hint)
    return site, latitude


def gas_of(name: str, header: str) -> str | None:
    """The gas by the file's name, else by its header; None where neither tells it."""
    start = name.lower().partition("_")[0]
    if start in gases.gases() and "_" in name:
        return start
    found = {gas for gas in gases.gases() if re.search(rf"\b{gas}\b", header, re.IGNORECASE)}
    return found.pop() if len(found) == 1 else None


def check_header(gas: str | None, header: str, where: str) -> None:
    """Refuse a file whose header says another gas than its name; their values may be of one magnitude."""
    formula = rf"(?<![A-Za-z0-9])({'|'.join((*gases.gases(), *OTHER_GASES))})(?![A-Za-z0-9])"
    pairs = re.findall(rf"{formula}[ \t]+expressed as|(?:parameter|dataset)\w*\s*:\s*{formula}", header.lower())
    said = {one or other for one, other in pairs} or set(re.findall(formula, header.lower()))
    if gas is not None and said and gas not in said:
        names = " and ".join(sorted(word.upper() for word in said))
        hint = f"give a file of {gas.upper()}, or call it by the gas that it holds"
        raise InputError(f"the name says {gas.upper()} but the header {names}", where=where, hint=hint)


def table_of(rows: list[str], comments: list[str], where: str) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, in lower case, and the cells below them."""
    hint = "give a file as NOAA GML distributes it, monthly or annual"
    if not rows:
        raise InputError("holds no data", where=where, hint=hint)
    split = (lambda line: [cell.strip() for cell in line.split(",")]) if "," in rows[-1] else str.split
    first = split(rows[0])
    if any(cell.lower() == "year" for cell in first):
        names, rows = first, rows[1:]
    else:  # the white-space form names its columns in the last comment, station files behind 'data_fields:'
        named = [line for line in comments if re.search(r"\byear\b", line) and re.search(r"mean|average|value", line)]
        spread = any(re.search(r"#\s+decimal\s.*(average|monthly)", line) for line in comments[-3:])
        two = TWO_LINES.get(len(first), []) if spread and not named else []
        last = named[-1].lstrip("# ").replace("data_fields:", "").replace("decimal date", "decimal") if named else ""
        names = last.split() or two
    names = [name.lower() for name in names]
    if "year" not in names or not set(VALUE) & set(names) or len(names) > WIDEST or len(set(names)) < len(names):
        raise InputError(f"has no columns year and {' or '.join(VALUE)} but {names[:8]}", where=where, hint=hint)
    cells = [split(line) for line in rows]
    for number, line in enumerate(cells, 1):
        if len(line) != len(names):
            what = f"row {number} has {len(line)} columns, not {len(names)}: {' '.join(line)[:60]!r}"
            raise InputError(what, where=where, hint="the file is damaged or cut off: download it again")
    if not cells:
        raise InputError("holds no data below its header", where=where, hint="download it again")
    return names, cells
