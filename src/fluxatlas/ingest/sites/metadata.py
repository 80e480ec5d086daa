"""Facts on sites (coordinates, elevation, land cover, UTC offset) from tables and from the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ...config.sites import SiteEntry
from ...errors import InputError, nearest
from .daily import standard_offset
from .records import ATTRIBUTE_COLUMNS, Ledger
from .text import numbers, read_table

SYNONYMS = {
    "site": ("site", "SiteCode", "sitename", "SITE_ID", "fluxnetid", "ID", "site_id"),
    "lat": ("lat", "Latitude", "latitude", "LAT", "LOCATION_LAT"),
    "lon": ("lon", "Longitude", "longitude", "LON", "LOCATION_LONG"),
    "elevation": ("elevation", "elv", "elev", "Elevation", "LOCATION_ELEV"),
    "igbp": ("igbp", "IGBPCode", "igbp_land_use", "IGBP"),
    "utc_offset": ("utc_offset", "UTC_OFFSET"),
}
"""Names under which site lists state a fact: ours, FLUXNET/ICOS site lists, FluxDataKit, UpCH4."""


def read_metadata(path: str | Path) -> dict[str, dict[str, Any]]:
    """Site facts by site id from a CSV; NaN and empty facts are left out.

    Raises :class:`InputError` for a missing column (site, lat, lon), a site listed twice or a bad number.
    """
    where = str(path)
    table = read_table(path, required=(), keep=lambda name: True)
    renamed = {
        name: ours
        for ours, known in SYNONYMS.items()
        for name in [next((k for k in known if k in table.columns), None)]
        if name is not None
    }
    table = table[list(renamed)].rename(columns=renamed)
    for name in ("site", "lat", "lon"):
        if name not in table.columns:
            raise InputError(f"column '{name}' is missing", where=where, hint=f"call it one of {SYNONYMS[name]}")
    for name in ("lat", "lon", "elevation", "utc_offset"):
        if name in table.columns:
            table[name] = numbers(table, name, where)
    table["site"] = table["site"].astype(str).str.strip()
    repeated = table["site"][table["site"].duplicated()]
    if len(repeated):
        raise InputError(f"site '{repeated.iloc[0]}' is listed twice", where=where, hint="keep one row per site")
    return {
        str(row["site"]): {str(k): v for k, v in row.items() if pd.notna(v) and v != "(null)"}
        for row in table.to_dict("records")
    }


def read_attributes(path: str | Path) -> pd.DataFrame:
    """Attributes by site (index) with the columns of :data:`ATTRIBUTE_COLUMNS`, and ``elevation``, that the file holds.

    Lines that start with '#' are comments. Raises :class:`InputError` for a bad number or a site listed twice.
    """
    table = read_table(path, required=("site",), keep=lambda name: True, comment="#")
    if table["site"].duplicated().any():
        twice = table["site"][table["site"].duplicated()].iloc[0]
        raise InputError(f"site '{twice}' is listed twice", where=str(path), hint="keep one row per site")
    columns = [name for name in ("elevation", *ATTRIBUTE_COLUMNS) if name in table.columns]
    for name in columns:
        table[name] = numbers(table, name, str(path))
    more = [name for name in ("igbp", "attribute_note") if name in table.columns]
    return table.set_index("site")[columns + more]


class SiteFacts:
    """What is known about the sites of one entry: its metadata file, overruled by the facts in the configuration."""

    def __init__(self, entry: SiteEntry) -> None:
        self.facts = read_metadata(entry.metadata) if entry.metadata else {}
        self.alias: dict[str, str] = {}
        for info in entry.sites:
            given = {k: v for k, v in info.model_dump(exclude={"name_in_file"}).items() if v is not None}
            self.facts[info.site] = {**self.facts.get(info.site, {}), **given}
            self.alias[info.name_in_file or info.site] = info.site

    def site_id(self, name_in_file: str) -> str:
        """The site id for the name that a file uses."""
        return self.alias.get(name_in_file, name_in_file)

    def row(
        self,
        name_in_file: str,
        *,
        kind: str,
        source: str,
        ledger: Ledger,
        where: str,
        stated: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The row of sites.csv for a site: facts ``stated`` by the data file, overruled by those given for the entry.

        Raises :class:`InputError` where nobody states the coordinates.
        """
        site = self.site_id(name_in_file)
        facts = {**(stated or {}), **self.facts.get(site, {})}
        if "lat" not in facts or "lon" not in facts:
            raise InputError(
                f"no coordinates for site '{site}'{nearest(site, self.facts)}",
                where=where,
                hint="name a 'metadata' CSV with site, lat, lon in the entry, or list the site under 'sites'",
            )
        row = {"site": site, "kind": kind, "source": source, "elevation": float("nan"), "igbp": ""}
        row |= {k: facts[k] for k in ("lat", "lon", "elevation", "igbp", "utc_offset") if k in facts}
        if "utc_offset" not in row:
            row["utc_offset"] = standard_offset(float(facts["lon"]))
            ledger.note(site, f"UTC offset is not stated: {row['utc_offset']:+g} h is taken from the longitude")
        return row
