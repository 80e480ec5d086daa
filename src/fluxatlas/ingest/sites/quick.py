"""The quick way through a large, tidy half-hourly CSV: Arrow reads only the columns asked for.

Times come by arithmetic. It never judges: whatever is not plain (quotes, other than ASCII, a ragged line, text among
numbers, odd times) makes it return None, and the careful reader (:mod:`text`) reads the file again and words the
problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

NULLS = ["", "NA", "NaN", "nan"]


def quick_table(data: bytes, clocks: Sequence[str], keep: Callable[[str], bool]) -> tuple[pd.DataFrame, int] | None:
    """Columns for which ``keep`` is true as float64 (infinite as NaN), indexed by the first of ``clocks`` found.

    ``data``: a comma-separated table, with comment lines that start with '#' above its header. Times are YYYYMMDD or
    YYYYMMDDHHMM, strictly ascending. Returns the table and the number of digits (8 or 12) of its times, or None where
    anything is not as expected.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not data.isascii() or b'"' in data or b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):
        return None
    start, skip = 0, 0
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0:
            return None
        start, skip = end + 1, skip + 1
    end = data.find(b"\n", start)
    names = [name.strip() for name in data[start : end if end > 0 else None].decode("ascii").split(",")]
    clock = next((name for name in clocks if name in names), None)
    columns = [name for name in names if keep(name) and name not in clocks]
    if end < 0 or clock is None or not columns or len(set(names)) < len(names) or "" in names:
        return None
    try:
        table = csv.read_csv(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=csv.ReadOptions(skip_rows=skip + 1, column_names=names),
            convert_options=csv.ConvertOptions(
                include_columns=[clock, *columns],
                column_types={clock: pa.int64()} | dict.fromkeys(columns, pa.float64()),
                null_values=NULLS,
            ),
        )
    except (pa.ArrowException, ValueError):
        return None
    if table.num_rows == 0 or table[clock].null_count:
        return None
    digits = table[clock].to_numpy()
    index = stamps(digits)
    if index is None or not index.is_monotonic_increasing or index.has_duplicates:
        return None
    values = {name: _finite(table[name].to_numpy()) for name in columns}
    return pd.DataFrame(values, index=index.rename("time"), copy=False), len(str(digits[0]))


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


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
    seconds = days.astype("datetime64[s]") + (hour * 3600 + minute * 60)
    return pd.DatetimeIndex(seconds.astype("datetime64[ns]"))
