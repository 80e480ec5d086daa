"""The table of towers of X-MethaneWet (Sun et al. 2025, arXiv:2505.18355): daily CH4 flux of many towers in one file.

``FLUXNET_T1_DD.csv``: an unnamed index, TIMESTAMP, Site, FCH4_F and FCH4_F_ANNOPTLM [nmol CH4 m-2 s-1], NEE_F, TA_F
[deg C], VPD_F [hPa], P_F [mm d-1]; the sites are listed in ``FLUXNET_CH4_2024.csv`` (``metadata`` of the entry), where
``Site`` US.Myb is SITE_ID US-Myb. Read from a description of the data set: names, units, the dot. **Not verified**,
since no file was at hand: how TIMESTAMP is written (YYYYMMDD is taken, or YYYY-MM-DD), the missing code (-9999 or
empty), the unit of NEE_F, which is not read.

FCH4_F is measured or filled; the table has no flag that tells which. Its days count as measured, with a warning. The
benchmark fills what FCH4_F lacks from FCH4_F_ANNOPTLM (a network); such days have the quality 0 and are dropped as
gap-filled, unless ``sites.qc.min_qc`` is 0. There is too little weather for a model: that of the grid is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...config.sites import QcRules, SiteEntry
from .layouts import ColumnSpec, Layout, celsius
from .metadata import SiteFacts
from .qc import error_floor, screen
from .records import Ledger, SiteRecord, each, long_table, observations
from .stated import restate
from .text import compact, in_order, numbers, read_table, times
from .units import METHANE, methane_factor

FLUX, FILLED = "FCH4_F", "FCH4_F_ANNOPTLM"
WEATHER = ("TA_F", "VPD_F", "P_F")
LAYOUT = Layout(
    (
        ColumnSpec(f"{FLUX}|{FILLED}", METHANE, "fch4", methane_factor(METHANE)),
        celsius("TA_F", "tas"),
        ColumnSpec("VPD_F", "hPa", "vpd", 100.0),
        ColumnSpec("P_F", "mm d-1", "pr", per_step=True),
    )
)


def is_towers(names: Sequence[str]) -> bool:
    """Whether a header is that of the table."""
    return {"TIMESTAMP", "Site", FLUX, FILLED} <= set(names)


def read_file(path: str, encoding: str = "utf-8") -> pd.DataFrame:
    """Columns of the table as they are, indexed by row, with ``time`` and ``Site`` as in the list of sites (a dash).

    Raises :class:`InputError` for an absent column, a time or a number that cannot be read, or a row without a site.
    """
    table = read_table(path, required=("TIMESTAMP", "Site", FLUX, FILLED), keep=WEATHER.__contains__, encoding=encoding)
    values = {name: numbers(table, name, path) for name in (FLUX, FILLED, *WEATHER) if name in table}
    site = table["Site"].astype(str).str.strip().str.replace(".", "-", n=1, regex=False)
    return pd.DataFrame({"time": times(compact(table["TIMESTAMP"]), "%Y%m%d", path), "Site": site, **values})


def read(files: Sequence[str], entry: SiteEntry, rules: QcRules, ledger: Ledger) -> list[SiteRecord]:
    """A record for each site of all files."""
    facts, records = SiteFacts(entry), []
    for path in files:
        table = read_file(str(path), entry.encoding)
        ledger.saw(table.drop(columns="Site").set_index("time"), LAYOUT)
        parts = dict(tuple(table.groupby("Site", sort=True)))

        def make(name: str, path: str = str(path), parts: dict[Any, pd.DataFrame] = parts) -> SiteRecord:
            return _site(name, parts[name], path, facts, entry, rules, ledger)

        records += each(map(str, parts), make, ledger)
    return records


def _site(
    name: str, rows: pd.DataFrame, path: str, facts: SiteFacts, entry: SiteEntry, rules: QcRules, ledger: Ledger
) -> SiteRecord:
    row = facts.row(name, kind="tower", source="xmethanewet", ledger=ledger, where=path)
    site = str(row["site"])
    days = in_order(rows.drop(columns=["time", "Site"]), rows["time"], f"{path}, site {site}")
    table = restate(days, LAYOUT, entry, rules, ledger, site=site, where=path)
    factor, offset = LAYOUT.of("fch4").conversion()
    known: dict[str, Any] = {"factor": factor, "offset": offset, "rules": rules, "ledger": ledger, "site": site}
    own = screen(table[FLUX], "fch4", label=FLUX, **known)
    holes = table[FILLED].where(own.isna()).dropna()
    quality = pd.Series(0.0, index=holes.index)
    filled = screen(holes, "fch4", label=FILLED, qc=quality, min_qc=rules.min_qc, **known)
    ledger.warn(site, f"{FLUX} is measured or filled, and the table does not say which: its days count as measured")
    parts = [
        long_table("fch4", values, sd=error_floor("fch4", values, rules), qc=qc)
        for values, qc in ((own, 1.0), (filled, 0.0))
    ]
    return SiteRecord(row, observations(parts), files=(path,))
