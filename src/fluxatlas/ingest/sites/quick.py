"""The quick way through a large, tidy half-hourly CSV: one compiled pass that parses only the columns asked for.

It never judges: anything unusual (quotes, non-ASCII, a ragged line, anything but decimal numbers, odd
times) makes it return None, and the careful reader (:mod:`text`) reads the file again and words the problem.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

from .archives import inner

SMALLEST = 2**20
"""Smaller files [bytes] are read the careful way at once, which takes less than loading the compiled pass."""
_COMMA, _NEWLINE, _RETURN, _MINUS, _POINT, _ZERO, _NINE = (ord(c) for c in ",\n\r-.09")
_POWERS: npt.NDArray[np.float64] = np.array([10.0**n for n in range(16)])
_PLAIN = np.array([chr(c).isprintable() and chr(c) not in ',"' for c in range(128)] + [False] * 128)
"""By byte: whether it may stand in a cell that is passed over."""


@numba.njit(cache=True, nogil=True)
def _scan(
    data: npt.NDArray[np.uint8],
    start: int,
    wanted: npt.NDArray[np.int64],
    plain: npt.NDArray[np.bool_],
    powers: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> int:
    """Parse rows from byte ``start`` on into ``out`` (column, row); the number of rows, or -1 for anything unusual.

    ``data`` ends with a newline, which ends every inner loop. ``wanted``: for each column of the file its row in
    ``out``, or -1 to pass over it. A number is at most 15 digits with an optional minus and point: mantissa and power
    of ten are then exact, and their quotient is correctly rounded.
    """
    width, row, at = len(wanted), 0, start
    while at < len(data):
        if data[at] == _NEWLINE:  # an empty line
            at += 1
            continue
        for column in range(width):
            target = wanted[column]
            if target < 0:
                while plain[data[at]]:
                    at += 1
            else:
                negative = data[at] == _MINUS
                if negative:
                    at += 1
                point, mantissa, digits = -1, 0, 0
                while True:
                    c = data[at]
                    if _ZERO <= c <= _NINE:
                        mantissa = mantissa * 10 + (c - _ZERO)
                        digits += 1
                    elif c == _POINT and point < 0:
                        point = at
                    else:
                        break
                    at += 1
                if digits > 15 or (digits == 0 and (negative or point >= 0)):
                    return -1
                value = np.nan if digits == 0 else float(mantissa)
                if point >= 0:
                    value /= powers[at - point - 1]
                out[target, row] = -value if negative else value
            last = column == width - 1
            if last and data[at] == _RETURN:
                at += 1
            if data[at] != (_NEWLINE if last else _COMMA):
                return -1
            at += 1
        row += 1
    return row


def quick_file(path: str | Path, clocks: Sequence[str], keep: Callable[[str], bool]) -> tuple[pd.DataFrame, int] | None:
    """:func:`quick_table` of a large file, read in place or from its zip; None for a small one or one not opened."""
    inside = inner(path) if not Path(path).exists() else None
    if inside is not None:
        return quick_table(inside, clocks, keep) if len(inside) >= SMALLEST else None
    try:
        if Path(path).stat().st_size < SMALLEST:
            return None
        with Path(path).open("rb") as file:
            return quick_table(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), clocks, keep)
    except OSError:
        return None


def quick_table(
    data: bytes | mmap.mmap, clocks: Sequence[str], keep: Callable[[str], bool]
) -> tuple[pd.DataFrame, int] | None:
    """Columns for which ``keep`` is true as float64, indexed by the first of ``clocks`` found.

    ``data``: a comma-separated table, with comment lines that start with '#' above its header. Times are YYYYMMDD or
    YYYYMMDDHHMM, strictly ascending. Returns the table and the number of digits (8 or 12) of its times, or None where
    anything is not as expected.
    """
    start = 0
    while data[start : start + 1] == b"#":
        start = data.find(b"\n", start) + 1
        if start == 0:
            return None
    end = data.find(b"\n", start)
    header = data[:end] if end > start and data[len(data) - 1 :] == b"\n" else b""
    if (
        not header
        or not header.isascii()
        or b'"' in header
        or b"\0" in header
        or b"\r" in header.replace(b"\r\n", b"").rstrip()
    ):
        return None
    names = [name.strip() for name in header[start:].decode("ascii").split(",")]
    clock = next((name for name in clocks if name in names), None)
    columns = [name for name in names if keep(name) and name not in clocks]
    if clock is None or not columns or len(set(names)) < len(names) or "" in names:
        return None
    taken = [clock, *columns]
    places = {name: i for i, name in enumerate(taken)}
    wanted = np.array([places.get(name, -1) for name in names])
    most = (len(data) - end) // len(names) + 2  # a cell takes a byte at least, its separator
    out = np.empty((len(taken), most))
    rows = _scan(np.frombuffer(data, np.uint8), end + 1, wanted, _PLAIN, _POWERS, out)
    if rows < 1 or np.isnan(out[0, :rows]).any():
        return None
    digits = out[0, :rows].astype("int64")
    index = stamps(digits)
    if index is None or (out[0, :rows] != digits).any() or not (np.diff(index.to_numpy()) > np.timedelta64(0)).all():
        return None
    table = pd.DataFrame(out[1:, :rows].T, index=index.rename("time"), columns=columns, copy=False)
    return table, len(str(digits[0]))


def stamps(values: npt.NDArray[np.int64]) -> pd.DatetimeIndex | None:
    """Times from integers that read YYYYMMDD or YYYYMMDDHHMM; None where one is not a time of 1800 to 2200."""
    if (values >= 10**11).all() and (values < 10**12).all():
        day, clock = np.divmod(values, 10_000)
    elif (values >= 10**7).all() and (values < 10**8).all():
        day, clock = values, np.zeros_like(values)
    else:
        return None
    year, month, date = day // 10_000, day // 100 % 100, day % 100
    hour, minute = clock // 100, clock % 100
    plausible = (year >= 1800) & (year <= 2200) & (month >= 1) & (month <= 12) & (date >= 1)
    if not (plausible & (hour < 24) & (minute < 60)).all():
        return None
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (date - 1)
    if (days.astype("datetime64[M]") != months).any():
        return None
    seconds: Any = days.astype("datetime64[s]") + (hour * 3600 + minute * 60)
    return pd.DatetimeIndex(seconds.astype("datetime64[ns]"))
