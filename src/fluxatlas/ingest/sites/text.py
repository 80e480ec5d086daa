"""Reading text tables so that whatever is wrong becomes one clear :class:`InputError`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError, nearest
from ...missing import without_value
from . import archives
from .records import UnusableError

MISSING = ("", "NA", "NaN", "nan")
"""Cells that hold nothing in any column but those of names; columns of values know more (``missing.CELLS``)."""
_ISO = r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:00(\.0+)?)?)?)?"
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
"""What stands between the cells of tables that programs write."""


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file, which may lie in a zip; raises :class:`InputError` where it is missing or empty."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as problem:
        inside = archives.inner(path)
        if inside is None:
            reason = getattr(problem, "strerror", None) or problem
            raise InputError(f"file cannot be read ({reason})", where=str(path), hint="check the path") from None
        data = inside
    if not data.strip():
        raise InputError("file is empty", where=str(path), hint="delete it and make or download it again")
    return data


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """The whole text of a file, without byte-order mark and with line ends as ``\\n``.

    Raises :class:`InputError` where the file is missing, empty, binary or not in ``encoding``.
    """
    return decode(read_bytes(path), str(path), encoding)


def decode(data: bytes, where: str, encoding: str = "utf-8") -> str:
    """The text of ``data`` as :func:`read_text` gives that of a file."""
    try:
        text = data.decode("utf-8-sig" if encoding.lower().replace("-", "") == "utf8" else encoding)
    except LookupError:
        raise InputError(f"'{encoding}' is not a text encoding", where=where, hint="use utf-8 or latin-1") from None
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise InputError(
            f"byte 0x{data[problem.start]:02x} on line {line} is not {encoding} text",
            where=where,
            hint="set the entry's 'encoding' (such as latin-1), or save the file as UTF-8",
        ) from None
    if not text.strip():
        raise InputError("file is empty", where=where, hint="delete it and make or download it again")
    if "\x00" in text:
        raise InputError("file holds binary data, not text", where=where, hint="give a text table")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode_mixed(data: bytes, where: str) -> tuple[str, str]:
    """The text of ``data`` in an encoding that nobody states, and which one it was.

    UTF-8 if all of it is; else the lines that are not are read as latin-1, and how many there are is told. For tables
    whose letters beyond ASCII stand in names and notes only.
    """
    try:
        return decode(data, where), "UTF-8"
    except InputError:
        if b"\x00" in data:
            raise
    lines = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    texts: list[str] = []
    odd = other = 0
    for line in lines:
        try:
            texts.append(line.decode("utf-8"))
            other += not line.isascii()
        except UnicodeDecodeError:
            texts.append(line.decode("latin-1"))
            odd += 1
    if not other:
        return "\n".join(texts), f"latin-1 ({odd:,} lines with letters beyond ASCII)"
    return "\n".join(texts), f"mixed: {odd:,} lines latin-1, {other:,} UTF-8"


def check_columns(columns: Iterable[str], required: Iterable[str], where: str) -> None:
    """Raise :class:`InputError` naming every ``required`` column that is absent, and duplicated names."""
    names = list(columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"column {_quoted(twice)} occurs more than once", where=where, hint="keep one")
    missing = [name for name in required if name not in names]
    if missing:
        hint = nearest(missing[0], names)
        raise InputError(
            f"column {_quoted(missing)} is missing{hint}",
            where=where,
            hint=f"the header reads: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}",
        )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def read_table(
    path: str | Path,
    *,
    required: Iterable[str],
    keep: Callable[[str], bool] | None = None,
    encoding: str = "utf-8",
    separator: str = ",",
    comment: str | None = None,
    text: str | None = None,
    first: int = 1,
    is_name: Callable[[str], bool] = lambda column: column.lower() == "site",
) -> pd.DataFrame:
    """A text table with a header line; numbers where a column holds only numbers, else strings, as in the columns that
    ``is_name`` chooses: 007 and NA are names.

    ``keep`` chooses columns by name beside the ``required`` ones. Raises :class:`InputError` for a file that is not
    text, has no header, no rows, a ragged line, or lacks a column. ``text`` gives the content where it was read before,
    and ``first`` the number in the file of its first line.
    """
    where = str(path)
    content = read_text(path, encoding) if text is None else text
    if comment:
        content = "\n".join("" if line.startswith(comment) else line for line in content.split("\n"))
    body = content.lstrip()
    above = content.count("\n") - body.count("\n")
    wanted = list(required)
    header = next(csv.reader([body.split("\n", 1)[0]], delimiter=separator), [])
    names = [name.strip() for name in header]
    _check_separator(body, separator, where)
    check_columns(names, wanted, where)
    if len(names) < 1 or not any(names):
        raise InputError("the first line is not a header", where=where, hint="give a table with column names")
    _check_ragged(body, separator, len(names), where, first + above)
    columns = [i for i, name in enumerate(names) if name in wanted or (keep is not None and keep(name))]
    named = [i for i in columns if is_name(names[i])]
    missing: Any = {i: [""] if i in named else list(MISSING) for i in columns}
    try:
        table = pd.read_csv(
            io.StringIO(content),
            sep=separator,
            header=None,
            skiprows=above + 1,
            names=list(range(len(names))),
            usecols=columns,
            index_col=False,
            skipinitialspace=True,
            skip_blank_lines=True,
            low_memory=False,
            na_values=missing,
            keep_default_na=False,
            dtype=dict.fromkeys(named, str),
        )
    except (ValueError, csv.Error, OverflowError, KeyError, IndexError, TypeError) as problem:
        raise InputError(f"the table cannot be read ({problem})", where=where, hint="check the lines named") from None
    if table.empty:
        raise UnusableError("the table has a header but no rows", where=where, hint="leave the file out or fill it")
    return table.set_axis([names[int(str(i))] for i in table.columns], axis=1)


def _check_separator(body: str, separator: str, where: str) -> None:
    """Refuse a table whose first line has none of its separators but those of another kind of table."""
    header = body.split("\n", 1)[0]
    if separator in header:
        return
    for other, name in SEPARATORS.items():
        if other in header:
            hint = (
                f"save it with {SEPARATORS.get(separator, repr(separator))} between cells and decimal points in numbers"
            )
            raise InputError(f"the cells are separated by {name}", where=where, hint=hint)


def _check_ragged(content: str, separator: str, width: int, where: str, first: int) -> None:
    """Refuse a line with another number of cells than the header, by its number in the file (the header is ``first``).

    Quoted text is left to the parser.
    """
    if '"' in content:
        return
    for number, line in enumerate(content.split("\n"), first):
        cells = line.count(separator) + 1
        if cells != width and line.strip():
            raise InputError(
                f"line {number} has {cells} cells, the header has {width}",
                where=where,
                hint="the file may be truncated or edited by hand: correct the line",
            )


def numbers(table: pd.DataFrame, name: str, where: str) -> pd.Series:
    """Column ``name`` as floats, inf as NaN; raises :class:`InputError` with the first text that is not a number."""
    column = table[name]
    if column.dtype.kind not in "fiu":
        converted = pd.to_numeric(column, errors="coerce").astype("float64")
        wrong = converted.isna() & ~without_value(column)
        if wrong.any():
            row = int(np.flatnonzero(wrong.to_numpy())[0])
            raise InputError(
                f"'{str(column.iloc[row])[:40]}' in row {row + 1} of column '{name}' is not a number",
                where=where,
                hint="correct the cell, or leave it empty where the value is missing",
            )
        column = converted
    result = column.astype("float64")
    return result.where(np.isfinite(result))


def compact(stamps: pd.Series) -> pd.Series:
    """Times as text: those in ISO 8601 without a zone as digits (2001-05-01 00:30 is 200105010030), others as they are.

    Days written with the hour 00:00 throughout are days.
    """
    text = stamps.astype(str).str.strip().str.removesuffix(".0").fillna("")
    if not re.match(_ISO, str(text.iloc[0])):
        return text
    iso = text.str.fullmatch(_ISO)
    digits = text.where(~iso, text.str.slice(0, 16).str.replace(r"[-:T ]", "", regex=True))
    whole = iso.all() and len(digits) > 1 and digits.str.fullmatch(r"\d{8}0000").all()
    return digits.str.slice(0, 8) if whole else digits


def times(values: pd.Series, form: str | None, where: str) -> pd.Series:
    """Times from text (``form`` as for strptime, or None for ISO 8601); raises :class:`InputError` for a bad one."""
    text = values.astype(str).str.strip()
    try:
        parsed = pd.to_datetime(text, format=form or "ISO8601", errors="coerce", utc=form is None)
    except (ValueError, OverflowError, TypeError, AttributeError):
        parsed = pd.Series(pd.NaT, index=values.index)
    if parsed.isna().any():
        row = int(np.flatnonzero(parsed.isna().to_numpy())[0])
        raise InputError(
            f"'{str(text.iloc[row])[:40]}' in row {row + 1} of column '{values.name}' is not a time",
            where=where,
            hint=f"write times as {form or 'YYYY-MM-DDTHH:MM:SSZ'}",
        )
    naive: Any = parsed.dt.tz_convert(None) if form is None else parsed
    return naive.astype("datetime64[ns]") if _in_range(naive) else _time_range_error(naive, where)


def _in_range(values: pd.Series) -> bool:
    return bool(values.dt.year.between(1800, 2200).all())


def _time_range_error(values: pd.Series, where: str) -> pd.Series:
    odd = values[~values.dt.year.between(1800, 2200)].iloc[0]
    raise InputError(f"the year {odd.year} cannot be right", where=where, hint="check the time column and its format")


def in_order(table: pd.DataFrame, time: pd.Series, where: str) -> pd.DataFrame:
    """``table`` indexed by ``time`` and sorted; identical repeated rows are merged, contradicting ones refused."""
    indexed = table.set_axis(pd.DatetimeIndex(time, name="time"), axis=0)
    if indexed.index.has_duplicates:
        twice = indexed[indexed.index.duplicated(keep=False)].reset_index().drop_duplicates()
        if twice["time"].duplicated().any():
            first = twice.loc[twice["time"].duplicated(), "time"].iloc[0]
            raise InputError(
                f"{first:%Y-%m-%d %H:%M} occurs more than once with different values",
                where=where,
                hint="keep one row per time",
            )
        indexed = indexed[~indexed.index.duplicated()]
    return indexed.sort_index()


def one_series(parts: Sequence[tuple[pd.DataFrame, str]]) -> pd.DataFrame:
    """Tables by time of several files (``parts`` with their paths) as one in order of time.

    Times that several hold count once, with the columns of each; raises :class:`InputError` with the names of the files
    where two have different values.
    """
    if len(parts) == 1:
        return parts[0][0]
    held = pd.concat([table.assign(_path=path) for table, path in parts]).rename_axis("_time").reset_index()
    several = held["_time"].duplicated(keep=False)
    twice = held[several].groupby("_time")
    differs = (twice.nunique().drop(columns="_path") > 1).any(axis=1)
    if differs.any():
        first = differs.index[differs].min()
        rows = held[held["_time"] == first].drop_duplicates([name for name in held if name != "_path"])
        raise InputError(
            f"two files of one series contradict each other on {first:%Y-%m-%d %H:%M}",
            where=", ".join(rows["_path"]),
            hint="read one version of the file only",
        )
    whole = pd.concat([held[~several].set_index("_time"), twice.first()]) if several.any() else held.set_index("_time")
    whole = whole.drop(columns="_path").sort_index()
    whole.index.name = parts[0][0].index.name
    return whole
