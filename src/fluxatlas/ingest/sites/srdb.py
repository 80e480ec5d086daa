"""SRDB, the global database of soil respiration: annual fluxes, for the table of periods (Jian et al. 2021).

doi:10.5194/essd-13-255-2021. One record per study, place and period; nothing in it is daily, so no record becomes a
site of the site table. Rs_annual [g C m-2 yr-1] becomes ``rs`` [g C m-2 d-1] over ``YearsOfData`` years (one where not
stated) around ``Study_midyear``. Left out and counted: records without flux, place or year, of manipulated plots,
marked as duplicates, with a quality flag of a problem (Q10 to Q16), or covering less than ``qc.min_qc`` of the year.
``qc`` is that coverage (NaN where not stated), ``sd`` the larger of the stated error and 20 % of the flux (our choice).

The table of 2022 is UTF-8 throughout [V: 1,407 lines with letters beyond ASCII, all valid]; others are called latin-1.
Both and mixtures are read (:func:`text.decode_mixed`), and the report says which it was, unless the entry states an
``encoding`` other than utf-8. The columns used have the same names since the first version on GitHub [V].
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import variables
from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from .layouts import ColumnSpec, Layout
from .periods import period_table
from .records import Ledger, SiteRecord, each
from .stated import restate
from .text import decode, decode_mixed, numbers, read_bytes, read_table

_TEXTS = ("Manipulation", "Duplicate_record", "Quality_flag")
_PLACE = ("Record_number", "Study_midyear", "YearsOfData", "Latitude", "Longitude")
_NUMBERS = (*_PLACE, "Annual_coverage", "Rs_annual", "Rs_annual_err")
LAYOUT = Layout(
    (
        ColumnSpec("Rs_annual", "g C m-2 yr-1", "rs", 1 / 365.25),
        ColumnSpec("Rs_annual_err", "g C m-2 yr-1"),
        ColumnSpec("Annual_coverage", "1"),
    )
)
RELATIVE_SD = 0.2
_PROBLEM = r"Q1[0-6]\b"


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """No site: see :func:`read_periods`."""
    return []


def read_periods(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    """Annual soil respiration of all records that pass, with the columns of :data:`periods.PERIOD_COLUMNS`."""
    parts = each(files, lambda path: _records(path, entry, rules, ledger).assign(file=path), ledger)
    whole = pd.concat(parts, ignore_index=True)
    once = whole.drop_duplicates([name for name in whole if name != "file"])
    held: Any = once.groupby("site")["file"].nunique()
    if (held > 1).any():
        name = held.index[held > 1][0]
        raise InputError(
            f"record {name} differs between two files",
            where=", ".join(once.loc[once["site"] == name, "file"].unique()),
            hint="read one version of the data base only",
        )
    return once.drop(columns="file").reset_index(drop=True)


def _records(path: str, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> pd.DataFrame:
    data = read_bytes(path)
    stated = entry.encoding.lower().replace("-", "") != "utf8"
    text, spelled = (decode(data, path, entry.encoding), entry.encoding) if stated else decode_mixed(data, path)
    ledger.note("SRDB", f"{Path(path).name}: the text is {spelled}")
    if spelled not in ("UTF-8", entry.encoding):
        print(f"warning: {path}: the text is {spelled}, not UTF-8 throughout", file=sys.stderr)
    table = read_table(path, required=(*_TEXTS, *_NUMBERS), text=text)
    for name in _NUMBERS:
        table[name] = numbers(table, name, path)
    ledger.saw(table, LAYOUT)
    table = restate(table, LAYOUT, entry, rules, ledger, site="SRDB", where=path)
    words = {name: table[name].astype("string").fillna("").str.strip() for name in _TEXTS}
    middle, years = table["Study_midyear"], table["YearsOfData"].fillna(1.0)
    flux = table["Rs_annual"] / 365.25
    low, high = variables.get("rs").valid
    reasons: dict[str, Any] = {
        "without annual flux": table["Rs_annual"].isna(),
        "without number": table["Record_number"].isna(),
        "without place": ~(table["Latitude"].between(-90, 90) & table["Longitude"].between(-180, 180)),
        "without period": ~(middle.between(1900, 2100) & (years >= 0.01) & (years <= 50)),
        "of manipulated plots": ~words["Manipulation"].str.lower().isin(["", "none", "control"]),
        "marked as duplicate": words["Duplicate_record"] != "",
        "with a flag of a problem": words["Quality_flag"].str.contains(_PROBLEM, regex=True),
        "covering too little of the year": table["Annual_coverage"] < rules.min_qc,
        "out of range": ~flux.between(low, high) | (flux <= 0),
    }
    ledger.read("SRDB", "rs", len(table), of="values")
    kept: Any = pd.Series(True, index=table.index)
    for reason, wrong in reasons.items():
        ledger.drop("SRDB", "rs", reason, int((kept & wrong).sum()), of="values")
        kept &= ~wrong
    good = table[kept]
    if good.empty:
        return period_table()
    stated = (good["Rs_annual_err"] / 365.25).where(good["Rs_annual_err"] > 0, 0.0)
    value = flux[kept]
    return period_table(
        site="SRDB-" + good["Record_number"].map("{:.10g}".format),  # there are records 3905.1 and 3905.2
        lat=good["Latitude"],
        lon=good["Longitude"],
        start=_days(middle[kept] - years[kept] / 2),
        end=_days(middle[kept] + years[kept] / 2),
        variable="rs",
        value=value,
        sd=np.maximum(stated, RELATIVE_SD * value),
        qc=good["Annual_coverage"].clip(upper=1.0),
        source="srdb",
    )


def _days(year: pd.Series) -> pd.Series:
    """The day at each fractional year."""
    whole = np.floor(year)
    first = pd.to_datetime(whole.astype(int).astype(str) + "-01-01")
    return (first + pd.to_timedelta(np.round((year - whole) * 365.25), unit="D")).astype("datetime64[ns]")
