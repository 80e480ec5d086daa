"""R data frames (.rds) through the package rdata."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError
from .records import UnusableError
from .text import check_columns


def read_rds(path: str | Path, required: tuple[str, ...], encoding: str = "utf-8") -> pd.DataFrame:
    """The data frame in ``path``; times are seconds since 1970 UTC, text is str, missing is NaN.

    Raises :class:`InputError` for a file that is missing, is not R data, holds no data frame or no rows, has text in
    another encoding, or lacks a column.
    """
    import rdata

    where = str(path)
    if not Path(path).is_file():
        raise InputError("file not found", where=where, hint="check the path")
    options: dict[str, Any] = (
        {} if encoding == "utf-8" else {"default_encoding": encoding, "force_default_encoding": True}
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes POSIXct and tibble have no constructor; the plain data are right
            table = rdata.read_rds(path, **options)
    except UnicodeDecodeError as problem:
        byte = problem.object[problem.start]
        raise InputError(
            f"text in the file is not {encoding} (byte 0x{byte:02x})",
            where=where,
            hint="set the entry's 'encoding', such as latin-1",
        ) from None
    except Exception as problem:  # rdata raises whatever its parsers raise for a damaged file
        raise InputError(
            f"cannot be read as R data ({type(problem).__name__}: {problem})",
            where=where,
            hint="the file is probably truncated: delete it and download it again",
        ) from None
    if not isinstance(table, pd.DataFrame):
        raise InputError("the R object is not a data frame", where=where, hint="save one data frame with saveRDS")
    table = table.reset_index(drop=True)
    for name in table.columns[table.dtypes == "float64"]:
        table[name] = table[name].where(table[name].notna(), np.nan)  # R's NA is a signalling NaN
    check_columns(map(str, table.columns), required, where)
    if table.empty:
        raise UnusableError("the data frame has no rows", where=where, hint="leave the file out or fill it")
    return table
