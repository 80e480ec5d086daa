"""Facts on sites (coordinates, elevation, land cover, UTC offset) from tables and from the configuration."""

from __future__ import annotations

import difflib
import itertools
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import variables
from ...config.sites import SiteEntry
from ...errors import InputError, nearest
from ...missing import CELLS
from . import badm
from .daily import standard_offset
from .land_cover import cover_of, igbp_class
from .records import ATTRIBUTE_COLUMNS, FORM_COLUMNS, MONTHLY_COLUMNS, Ledger
from .text import decode, numbers, read_bytes, read_table

SYNONYMS = {
    "site": ("site", "sitecode", "siteid", "fluxnetid", "fluxsite", "fluxid", "sitename", "fluxname", "id"),
    "lat": ("lat", "latitude", "locationlat", "sitelat", "ylat"),
    "lon": ("lon", "long", "longitude", "locationlong", "locationlon", "sitelon", "sitelong", "xlong"),
    "elevation": ("elevation", "elv", "elev", "locationelev", "elevationm", "altitude", "alt"),
    "igbp": ("igbp", "igbpcode", "igbplanduse", "igbpclass", "lc", "landcover"),
    "utc_offset": ("utcoffset",),
}
"""Names, letters and digits in lower case, under which site lists state a fact, the best first: ours, FLUXNET and
ICOS site lists, FluxDataKit, CARDAMOM, UpCH4."""


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """The columns that state a fact, by fact; capitals, spaces, dashes and underscores do not matter."""
    plain = {_plain(name): str(name) for name in reversed(list(names))}
    return {ours: plain[word] for ours, words in SYNONYMS.items() for word in words[::-1] if word in plain}


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def _is_site(name: str) -> bool:
    """Whether a column may hold ids of sites, which are text."""
    return _plain(name) in SYNONYMS["site"]


ALIKE = 0.8
"""Likeness of two names, from 0 to 1, from which one may be the other misspelled: sandd, crop_frac, LAI."""
SAME = {"lat": 0.01, "lon": 0.01, "elevation": 10.0}
"""By how much two columns of one fact may differ (degrees, m): one of them may be rounded."""
LIMITS = {"elevation": (-500.0, 9000.0), "utc_offset": (-12.0, 14.0)}
"""Possible values of the facts on a site that is used; lists of many sites hold wrong ones."""


def read_metadata(path: str | Path) -> dict[str, dict[str, Any]]:
    """Site facts by site id from a CSV or a BIF (:mod:`badm`); NaN and empty facts are left out.

    Raises :class:`InputError` for a missing column (site, lat, lon), a site listed twice, a bad number, or two columns
    that state one fact and differ.
    """
    where, data = str(path), read_bytes(path)
    if badm.is_table(data):
        return {site: {k: v for k, v in f.items() if k != "name"} for site, f in badm.site_facts(data, where).items()}
    table = read_table(path, required=(), keep=lambda name: True, text=decode(data, where), is_name=_is_site)
    _one_fact(table, where)
    renamed = {name: ours for ours, name in columns_of(table.columns).items()}
    table = table[list(renamed)].rename(columns=renamed)
    if "igbp" in table and table["igbp"].dtype.kind in "fiu":
        table = table.drop(columns="igbp")  # classes of another legend
    for name in ("site", "lat", "lon"):
        if name not in table.columns:
            held = ", ".join(renamed) or "none that is known"
            hint = f"call it one of {', '.join(SYNONYMS[name])}; the file has {held}"
            raise InputError(f"column '{name}' is missing", where=where, hint=hint)
    for name in ("lat", "lon", "elevation", "utc_offset"):
        if name in table.columns:
            table[name] = numbers(table, name, where).replace(-9999.0, np.nan)
    table["site"] = table["site"].astype(str).str.strip()
    repeated = table["site"][table["site"].duplicated()]
    if len(repeated):
        raise InputError(f"site '{repeated.iloc[0]}' is listed twice", where=where, hint="keep one row per site")
    return {
        str(row["site"]): {str(k): v for k, v in row.items() if k == "site" or str(v).strip().lower() not in CELLS}
        for row in table.to_dict("records")
    }


def _one_fact(table: pd.DataFrame, where: str) -> None:
    """Refuse two columns that state one fact, such as ``lat`` and ``Latitude``, and differ.

    Names of sites may differ, of which the best counts; land cover counts where both columns hold classes of IGBP.
    """
    for fact, words in SYNONYMS.items():
        names = [str(name) for name in table.columns if _plain(name) in words]
        if fact == "site" or len(names) < 2:
            continue
        for first, other in itertools.combinations(names, 2):
            rows = _differing(table[first], table[other], fact)
            if rows.any():
                row = int(rows.to_numpy().argmax())
                values = f"{table[first].iloc[row]} and {table[other].iloc[row]}"
                raise InputError(
                    f"columns '{first}' and '{other}' both state the {fact} of a site and differ, first {values} "
                    f"({int(rows.sum())} of {len(rows)} rows)",
                    where=where,
                    hint="keep the right one, or give the other a name of its own",
                )


def _differing(one: pd.Series, other: pd.Series, fact: str) -> pd.Series:
    """The rows in which two columns state a fact differently; one that is empty states nothing."""
    if fact == "igbp":
        held = [
            part.astype("string").str.strip().where(lambda text: text.str.fullmatch("[A-Z]{3}"))
            for part in (one, other)
        ]
        return (held[0] != held[1]).fillna(False).astype(bool)
    first, second = (pd.to_numeric(part, errors="coerce").replace(-9999.0, np.nan) for part in (one, other))
    return (first - second).abs() > SAME.get(fact, 0.0)


def read_attributes(path: str | Path) -> pd.DataFrame:
    """Attributes by site (index), or by IGBP class where there is no column ``site`` (then the index is ``igbp``).

    Columns are those of :data:`ATTRIBUTE_COLUMNS`, :data:`MONTHLY_COLUMNS` and :data:`FORM_COLUMNS`, and ``elevation``,
    that the file holds.
    Lines that start with '#' are comments. Raises :class:`InputError` for a bad number, for a site or class listed
    twice, where only some months are given, where a column has nearly the name of an attribute or none has one, and for
    sand and clay, or shares of the land, that are fractions.
    """
    table = read_table(path, required=(), keep=lambda name: True, comment="#")
    key = "site" if "site" in table or "igbp" not in table else "igbp"
    if key not in table:
        hint = "give a column 'site', or 'igbp' for a table by land cover"
        raise InputError("column 'site' is missing", where=str(path), hint=hint)
    if key == "igbp":
        table[key] = table[key].astype(str).map(igbp_class)
    if table[key].duplicated().any():
        twice, noun = table[key][table[key].duplicated()].iloc[0], {"site": "site", "igbp": "class"}[key]
        raise InputError(f"{noun} '{twice}' is listed twice", where=str(path), hint=f"keep one row per {noun}")
    known = ("elevation", *ATTRIBUTE_COLUMNS, *MONTHLY_COLUMNS)
    columns = [name for name in known if name in table.columns]
    _misspelled(table.columns, (*known, *FORM_COLUMNS), str(path))
    for name in columns:
        table[name] = numbers(table, name, str(path))
    months = [name for name in MONTHLY_COLUMNS if name not in columns]
    if 0 < len(months) < len(MONTHLY_COLUMNS):
        hint = "give all twelve months, or 'lai' for the whole year"
        raise InputError(f"column '{months[0]}' is missing", where=str(path), hint=hint)
    if {"sand", "clay"} <= set(columns):
        variables.check_fractions(table["sand"], table["clay"], where=str(path))
    for name, (most, ours, other) in variables.TENFOLD.items():
        if name in columns and 0 < (middle := float(table[name].median())) <= most:
            what = f"half of the rows have {name} of {middle:.3g} or less: it is read in {ours}; is it in {other}?"
            print(f"warning: {path}: {what}", file=sys.stderr)
    _refuse_fractions(table, [name for name in columns if name.endswith("Frac")], str(path))
    more = [name for name in ("igbp", "attribute_note", *FORM_COLUMNS) if name in table.columns and name != key]
    return table.set_index(key)[columns + more]


def _refuse_fractions(table: pd.DataFrame, names: Iterable[str], where: str) -> None:
    """Refuse shares of the land [%] that are never above 1: fractions, or so little that it is nothing."""
    for name in names:
        most = float(table[name].max())
        if 0 < most <= 1:
            what = f"{name} is a fraction by magnitude (never above {most:.3g}), percent is needed"
            raise InputError(what, where=where, hint="multiply it by 100; shares that are truly below 1 % may be 0")


def _misspelled(names: Iterable[object], known: Sequence[str], where: str) -> None:
    """Refuse a table with none of the columns ``known`` nor land cover by site, or one with a column whose name is
    nearly that of one which it lacks; names by which the list of sites (``metadata``) states facts are none of these.
    """
    held = [str(name) for name in names]
    twice = [
        name for name in held if name not in known and name.lower() in {one.lower() for one in known if one in held}
    ]
    if twice:
        what = f"columns '{twice[0]}' and '{next(n for n in known if n.lower() == twice[0].lower())}' are one attribute"
        raise InputError(what, where=where, hint="keep the right one, or give the other a name of its own")
    plain = {name.lower(): name for name in known if name not in held}
    facts = {word for words in SYNONYMS.values() for word in words}
    for name in (name for name in held if name not in known and _plain(name) not in facts):
        if like := difflib.get_close_matches(name.lower(), list(plain), n=1, cutoff=ALIKE):
            hint = f"if it is {plain[like[0]]}, call it so; else rename it: other columns are left alone"
            raise InputError(f"column '{name}' is not one of attributes of sites", where=where, hint=hint)
    if not set(known) & set(held) and not {"site", "igbp"} <= set(held):
        raise InputError("no column of attributes", where=where, hint=f"known are {', '.join(known[:9])}")


def attributes_of_cover(table: pd.DataFrame, cover: str, lat: float) -> dict[str, float]:
    """What a table by land cover says of a place with the IGBP class ``cover``, empty where it does not list it.

    Its months are those of the northern hemisphere; south of the equator (``lat`` < 0) they come half a year later.
    """
    if cover not in table.index:
        return {}
    names = (*ATTRIBUTE_COLUMNS, *MONTHLY_COLUMNS)
    row: dict[str, Any] = table.loc[cover].to_dict()  # type: ignore[assignment]
    known = {name: float(value) for name, value in row.items() if name in names}
    if lat < 0 and set(MONTHLY_COLUMNS) <= set(known):
        later = MONTHLY_COLUMNS[6:] + MONTHLY_COLUMNS[:6]
        known |= dict(zip(MONTHLY_COLUMNS, [known[name] for name in later], strict=True))
    return {name: value for name, value in known.items() if np.isfinite(value)}


def check_facts(site: str, facts: dict[str, Any], where: str) -> None:
    """Raise :class:`InputError` for a position (``lat``, ``lon``) that is none on Earth, or another impossible fact."""
    lat, lon = float(facts["lat"]), float(facts["lon"])
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        wide = -90 <= lat <= 90 and 180 < lon <= 360
        reason = f"longitudes of 0 to 360 are not read: write {lon - 360:g}" if wide else "lat and lon may be exchanged"
        raise InputError(
            f"({lat:g}, {lon:g}) is not a position on Earth",
            where=f"site '{site}' of {where}",
            hint=f"give degrees north (-90..90) and east (-180..180); {reason}",
        )
    for name, (low, high) in LIMITS.items():
        if name in facts and pd.notna(facts[name]) and not low <= float(facts[name]) <= high:
            raise InputError(
                f"{name} {float(facts[name]):g} of site '{site}' is impossible",
                where=where,
                hint=f"give it right, from {low:g} to {high:g}, under the entry's 'sites' or in its 'metadata'",
            )


class SiteFacts:
    """What is known about the sites of one entry: its metadata file, overruled by the facts in the configuration."""

    def __init__(self, entry: SiteEntry) -> None:
        self.entry = entry
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

        Raises :class:`InputError` where nobody states the coordinates, or a fact is impossible.
        """
        site = self.site_id(name_in_file)
        ledger.offer(self.entry, "sites", [site])
        facts = {**(stated or {}), **self.facts.get(site, {})}
        if "lat" not in facts or "lon" not in facts:
            raise InputError(
                f"no coordinates for site '{site}'{nearest(site, self.facts)}",
                where=where,
                hint="name a 'metadata' CSV with site, lat, lon in the entry, or list the site under 'sites'",
            )
        check_facts(site, facts, where)
        row = {"site": site, "kind": kind, "source": source, "elevation": float("nan"), "igbp": ""}
        row |= {k: facts[k] for k in ("lat", "lon", "elevation", "igbp", "utc_offset") if k in facts}
        row["igbp"] = cover_of(site, str(row["igbp"]), ledger)
        if "utc_offset" not in row:
            row["utc_offset"] = standard_offset(float(facts["lon"]))
            ledger.note(site, f"UTC offset is not stated: {row['utc_offset']:+g} h is taken from the longitude")
        return row
