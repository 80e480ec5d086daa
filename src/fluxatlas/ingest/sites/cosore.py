"""COSORE datasets: continuous soil respiration and CH4 flux from automatic chambers (Bond-Lamberty et al. 2020).

One folder per dataset: ``DESCRIPTION.txt`` (site and time zone), ``PORTS.txt`` (chambers and treatments) and
``data/data.RDS``. CSR_FLUX_CH4 is nmol CH4 m-2 s-1, positive to the atmosphere; CSR_T<depth in cm> deg C;
CSR_SM<depth> m3 m-3 by definition, in percent in some datasets, which is told by magnitude and noted. Times are UTC
seconds; a day is that of the site's standard time. Chambers with a treatment (trenched, fertilised, ...) are left out.
Every port is a series of its own (:mod:`composition`). doi:10.1111/gcb.15353.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ...config.sites import QcRules, SiteEntry
from ...errors import InputError
from . import depths
from .daily import daily_mean, local_day
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts
from .rds import read_rds
from .records import Ledger, SiteRecord, each, observations
from .stated import restate
from .text import check_columns, read_text
from .units import METHANE, methane_factor

_DEPTH = r"(?P<depth>\d+(?:\.\d+)?)"
LAYOUT = Layout(
    (
        ColumnSpec("CSR_FLUX_CH4", METHANE, "fch4", methane_factor(METHANE)),
        celsius(f"CSR_T{_DEPTH}", "tsl05"),
        ColumnSpec(f"CSR_SM{_DEPTH}", "m3 m-3", "swc05"),
        ColumnSpec("CSR_FLUX_CO2", "umol m-2 s-1"),
        celsius("CSR_TAIR(_AMB)?", "tas"),
        ColumnSpec("CSR_RH", "%", "hurs"),
        ColumnSpec("CSR_PORT|CSR_RECORD", kind="flag"),
    )
)


def read_description(path: str | Path) -> dict[str, str]:
    """The ``KEY: value`` pairs of a DESCRIPTION.txt; raises :class:`InputError` where the position is missing."""
    pairs: dict[str, str] = {}
    for line in read_text(path).splitlines():
        key, colon, value = line.partition(":")
        if colon and re.fullmatch(r"CSR_[A-Z_]+", key.strip()) and not line.startswith(("#", " ", "\t")):
            pairs.setdefault(key.strip(), value.strip())
    check_columns(pairs, ("CSR_LATITUDE", "CSR_LONGITUDE", "CSR_TIMEZONE"), str(path))
    return pairs


def standard_time(zone: str, where: str) -> float:
    """Hours ahead of UTC of the standard (winter) time of a time zone name; ``Etc/GMT+5`` is five hours *behind*."""
    try:
        known = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise InputError(f"'{zone}' is not a time zone", where=where, hint="use a name such as Etc/GMT+5") from None
    offsets = [known.utcoffset(datetime(2001, month, 1)) or timedelta(0) for month in (1, 7)]
    return min(offsets).total_seconds() / 3600


def treated_ports(path: str | Path) -> set[int]:
    """Ports of a PORTS.txt whose treatment is not None; port 0 stands for all and is never in the result."""
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True)]
    check_columns(rows[0] if rows else [], ("CSR_PORT", "CSR_TREATMENT"), str(path))
    port, treatment = rows[0].index("CSR_PORT"), rows[0].index("CSR_TREATMENT")
    found = set()
    for row in rows[1:]:
        if len(row) > max(port, treatment) and row[treatment] not in ("None", "", "NA") and row[port].isdigit():
            found.add(int(row[port]))
    return found - {0}


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """One site per dataset folder; the site id is the folder's name."""
    facts = SiteFacts(entry)
    folders = list(
        dict.fromkeys(str(path).removesuffix("/data/data.RDS") for path in files if str(path).endswith(".RDS"))
    )
    return each(folders, lambda folder: _dataset(Path(folder), facts, entry, rules, ledger), ledger)


def _dataset(folder: Path, facts: SiteFacts, entry: SiteEntry, rules: QcRules, ledger: Ledger) -> SiteRecord:
    where = str(folder / "DESCRIPTION.txt")
    described = read_description(where)
    stated: dict[str, Any] = {
        "lat": _number(described, "CSR_LATITUDE", where),
        "lon": _number(described, "CSR_LONGITUDE", where),
        "utc_offset": standard_time(described["CSR_TIMEZONE"], where),
        "igbp": described.get("CSR_IGBP", ""),
    }
    if described.get("CSR_ELEVATION"):
        stated["elevation"] = _number(described, "CSR_ELEVATION", where)
    row = facts.row(folder.name, kind="chamber", source="cosore", ledger=ledger, where=where, stated=stated)
    site = str(row["site"])
    ledger.note(site, f"{described.get('CSR_SITE_NAME', '')} ({described.get('CSR_PRIMARY_PUB', '') or 'unpublished'})")
    table = read_rds(folder / "data/data.RDS", ("CSR_PORT", "CSR_TIMESTAMP_BEGIN"), entry.encoding)
    table = table.sort_values(["CSR_PORT", "CSR_TIMESTAMP_BEGIN"], ignore_index=True)
    ledger.saw(table.set_axis(_utc(table, str(folder))), LAYOUT)
    table = _untreated(table, treated_ports(folder / "PORTS.txt"), site, ledger)
    day = local_day(_utc(table, str(folder)), float(row["utc_offset"]))
    common: dict[str, Any] = {"rules": rules, "ledger": ledger, "site": site}
    parts = []
    table = restate(table, LAYOUT, entry, rules, ledger, site=site, where=str(folder / "data/data.RDS"))
    for column, variable, factor, offset in _columns(table, ledger, site):
        raw, told = _floats(table, column), {"group": table["CSR_PORT"], "min_values": rules.min_values, **common}
        parts.append(daily_mean(raw, day, variable, factor=factor, offset=offset, **told))
    return SiteRecord(row, observations(parts), files=(str(folder),))


def _number(described: dict[str, str], key: str, where: str) -> float:
    try:
        return float(described[key])
    except ValueError:
        raise InputError(f"{key} '{described[key]}' is not a number", where=where, hint="correct the file") from None


def _floats(table: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(table[column], errors="coerce").astype("float64")


def _untreated(table: pd.DataFrame, treated: set[int], site: str, ledger: Ledger) -> pd.DataFrame:
    out = table["CSR_PORT"].isin(treated)
    if out.any():
        ledger.note(
            site, f"{int(out.sum()):,} of {len(table):,} rows left out: ports {sorted(treated)} have a treatment"
        )
    return table[~out].reset_index(drop=True)


def _utc(table: pd.DataFrame, where: str) -> pd.DatetimeIndex:
    seconds = _floats(table, "CSR_TIMESTAMP_BEGIN")
    if seconds.isna().any() or not seconds.between(0, 4e9).all():
        raise InputError("CSR_TIMESTAMP_BEGIN is missing or out of range", where=where, hint="check data.RDS")
    return pd.DatetimeIndex(pd.to_datetime(np.rint(seconds), unit="s"))


def _columns(table: pd.DataFrame, ledger: Ledger, site: str) -> list[tuple[str, str, float, float]]:
    """(column, variable, factor, offset) of everything that is used from a dataset."""
    found: list[tuple[str, str, float, float]] = []
    if "CSR_FLUX_CH4" in table and _floats(table, "CSR_FLUX_CH4").notna().any():
        found.append(("CSR_FLUX_CH4", "fch4", *LAYOUT.of("fch4").conversion()))
    else:
        ledger.note(site, "no CH4 flux in this dataset: soil temperature and moisture only")
    for kind in ("tsl", "swc"):
        row = LAYOUT.of(depths.variable(kind, 5))
        sensors = {str(c): float(m["depth"]) for c in table.columns if (m := re.fullmatch(row.pattern, str(c)))}
        for depth, column in depths.choose(sensors).items():
            found.append((column, depths.variable(kind, depth), *row.conversion()))
    return found
