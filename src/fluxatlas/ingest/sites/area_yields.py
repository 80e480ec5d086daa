"""Yields of statistics (``sites.yields``) as labels of training: sums over a year of what leaves a field.

A place of a table that has a position becomes a site of its own without days or weather, on which its crop grows every
year; a place without one belongs to the site of that name in another entry, such as a tower. Yields in carbon
(:mod:`fluxatlas.ingest.yields`) become rows of the table of periods, means of ``harvest`` over calendar years: the crop
of a field is harvested once in each. **Statistics count the grain**; where straw leaves the field too, the harvest of
the network is more.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.sites import QcRules, YieldTable
from ...errors import InputError, counted
from ...process.crop.choices import CHOICES
from ..yields import GRAINS, read_yields, whole_numbers
from .metadata import check_facts, read_attributes, read_metadata
from .periods import period_table
from .records import Ledger, SiteRecord, observations
from .text import numbers

HARVEST = "harvest"
ROTATIONS = tuple(name for name in CHOICES["rotation"] if name != "random")
"""Rotations of the process model."""
LABEL = "yields"
"""Under which places are counted."""
_BARE = re.compile(r"\s*\d+\s*,\s*\d+\s*,\s*-?[\d.]+\s*,\s*-?[\d.]+\s*$")


def read_places(path: str) -> dict[str, dict[str, Any]]:
    """Facts (``lat``, ``lon``, ...) by place: a CSV of sites, or state and county FIPS, longitude and latitude without
    a header, whose places are the codes of the county tables without one.

    Raises :class:`InputError` for another layout, a bad number or a county twice, and as
    :func:`~.metadata.read_metadata`.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            bare = _BARE.match(file.readline())
    except (OSError, UnicodeDecodeError):
        bare = None
    if not bare:
        return read_metadata(path)
    try:
        table = pd.read_csv(path, header=None, names=["state", "county", "lon", "lat"], dtype=str)
    except (ValueError, OSError) as problem:  # a row of more columns
        hint = "give state, county, longitude and latitude in each row"
        raise InputError(f"not a table of counties ({str(problem).strip()})", where=path, hint=hint) from None
    codes = whole_numbers(Path(path), table, "state", 1, 99).map("{:02d}".format)
    codes += whole_numbers(Path(path), table, "county", 1, 999).map("{:03d}".format)
    if (twice := codes.duplicated()).any():
        raise InputError(f"county {codes[twice].iloc[0]} is listed twice", where=path, hint="keep one row per county")
    found = {"site": codes, **{axis: numbers(table, axis, path) for axis in ("lat", "lon")}}
    return {str(row["site"]): row for row in pd.DataFrame(found).to_dict("records")}  # type: ignore[misc]


def area_yields(
    tables: Sequence[YieldTable], rules: QcRules, known: Mapping[str, Any], ledger: Ledger
) -> tuple[list[SiteRecord], pd.DataFrame]:
    """Sites of the places that have a position, and the yields of all as :data:`periods.PERIOD_COLUMNS`.

    ``known``: rows of the sites of other entries; one that states no ``rotation`` gets that of its yields.
    Raises :class:`InputError` for what the reader of a table finds, for a yield of a crop that a site does not grow in
    that year, where no place of a table has a position or is known, and for ``use`` and ``attributes`` where places are
    known, whose entries say these.
    """
    records: dict[str, SiteRecord] = {}
    grown: dict[str, dict[int, str]] = {}
    parts = [period_table()]
    for entry in tables:
        table = read_yields(entry.path, entry.crop, entry.carbon)
        places = _placed(read_places(entry.places) if entry.places else {}, entry)
        attributes = read_attributes(entry.attributes) if entry.attributes else pd.DataFrame()
        within = table["year"].between(entry.first_year, entry.last_year)
        placed, named = table["place"].isin(list(places)), table["place"].isin(list(known))
        ledger.read(LABEL, HARVEST, len(table), of="values")
        ledger.drop(
            LABEL, HARVEST, f"not from {entry.first_year} to {entry.last_year}", int((~within).sum()), of="values"
        )
        ledger.drop(LABEL, HARVEST, "of a place without position", int((within & ~placed & ~named).sum()), of="values")
        kept = table[within & (placed | named)]
        if kept.empty:
            what = (
                f"{int(within.sum())} yields of the years asked for, none at a place that has a position or is a site"
            )
            hint = "name a CSV with site, lat, lon under 'places', or call places as the sites of sites.entries"
            raise InputError(what, where=entry.path, hint=hint)
        site = kept["place"].where(kept["place"].isin(list(known)), f"{entry.crop}-" + kept["place"])
        held = dict(zip(site, kept["place"], strict=True))
        _refuse_unused(entry, {place: known.get(place) for place in held.values()})
        for name, place in held.items():
            if place not in known:
                records.setdefault(name, _record(name, entry, places[place], attributes))
            else:
                years = kept["year"][site == name].astype(int)
                grown.setdefault(name, {}).update(dict.fromkeys(years, entry.crop))
        parts.append(_rows(kept, site, rules, {**places, **known}))
    longer = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if (twice := longer.duplicated(["site", "start"])).any():
        row = longer[twice].iloc[0]
        what = f"site '{row['site']}' has two yields in {row['start'].year}"
        raise InputError(what, where="sites.yields", hint="leave one of the tables out, or one of the crops of a site")
    for name, crops in grown.items():
        if rotation := _rotation(known[name], crops):
            known[name]["rotation"] = rotation
            ledger.note(name, f"no 'rotation' is stated: it is {rotation}, after its yields")
    sites = counted(longer["site"].nunique(), "site")
    print(f"sites: {counted(len(longer), 'yield')} at {sites}, {len(records)} of them new", file=sys.stderr)
    return list(records.values()), longer


def _rotation(site: Mapping[str, Any], crops: Mapping[int, str]) -> str:
    """The rotation of a site that states none, after the crop of each year of its yields: ``maize``, or, of two crops
    by turns, that of even and that of odd years, ``maize_soybean``. Empty where the site states one.

    Raises :class:`InputError` where a crop is not the one that the rotation has in that year, and where the yields
    follow none of :data:`ROTATIONS`.
    """
    stated = site.get("rotation")
    stated = "" if stated is None or pd.isna(stated) else str(stated)
    if stated:
        turns = stated.split("_")
        if not set(turns) <= set(GRAINS) or len(turns) > 2:
            return ""  # a form of another kind, which the system judges
        wrong = {year: crop for year, crop in sorted(crops.items()) if crop != turns[year % len(turns)]}
        if not wrong:
            return ""
        year, crop = next(iter(wrong.items()))
        what = f"a yield of {crop} in {year}, where its rotation {stated} has {turns[year % len(turns)]} "
        what += f"({counted(len(wrong), 'year')})"
    else:
        even_odd = [sorted({crop for year, crop in crops.items() if year % 2 == odd}) for odd in (0, 1)]
        found = "_".join(dict.fromkeys(crop for part in even_odd for crop in part))
        if found in ROTATIONS and max(map(len, even_odd)) == 1:
            return found
        grown = ", ".join(f"{crop} in {year}" for year, crop in sorted(crops.items())[:6])
        what = f"yields of {grown}, which follow no rotation ({', '.join(ROTATIONS)})"
    hint = "state the right 'rotation' in its attributes (first the crop of even years), or leave these yields out"
    raise InputError(f"site '{site['site']}' has {what}", where="sites.yields", hint=hint)


def _placed(places: Mapping[str, dict[str, Any]], entry: YieldTable) -> dict[str, dict[str, Any]]:
    """Those of ``places`` that have a position, which must be one on Earth."""
    found = {name: facts for name, facts in places.items() if all(pd.notna(facts.get(axis)) for axis in ("lat", "lon"))}
    for name, facts in found.items():
        check_facts(name, facts, str(entry.places))
    return found


def _refuse_unused(entry: YieldTable, rows: Mapping[str, Any]) -> None:
    """Refuse keys that do nothing at the places of ``rows``, None for those that are not of ``sites.entries``."""
    learnt = [place for place, row in rows.items() if row is not None and row.get("use") != "evaluate"]
    if entry.use == "evaluate" and learnt:
        what = f"'use: evaluate' does not hold at '{learnt[0]}', a site of sites.entries that is trained on"
        hint = "set 'use: evaluate' in its entry, or keep years of its yields with first_year and last_year"
        raise InputError(what, where=entry.path, hint=hint)
    if entry.attributes and all(row is not None for row in rows.values()):
        hint = "leave it out, or give it in the entries of these sites"
        raise InputError("'attributes' do nothing: all places are sites of sites.entries", where=entry.path, hint=hint)


def _record(name: str, entry: YieldTable, place: Mapping[str, Any], attributes: pd.DataFrame) -> SiteRecord:
    row = {"site": name, "kind": "tower", "source": LABEL, "elevation": float("nan"), "igbp": "CRO"}
    row |= {key: place[key] for key in ("lat", "lon", "elevation") if key in place}
    row |= {"utc_offset": round(float(place["lon"]) / 15), "use": entry.use, "rotation": entry.crop}
    index = {"igbp": "CRO", "site": place["site"]}.get(str(attributes.index.name), "")
    if index in attributes.index:
        own = attributes.loc[index].drop(labels=["igbp", "attribute_note"], errors="ignore")
        row |= {str(key): value for key, value in own.items() if pd.notna(value)}
    return SiteRecord(row, observations([]), None, (entry.path,))


def _rows(kept: pd.DataFrame, site: pd.Series, rules: QcRules, places: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of the table of periods; the error is ``qc.yield_sd`` and ``qc.yield_sd_relative`` of a yield."""
    start = pd.DatetimeIndex(pd.to_datetime(kept["year"].astype(str) + "-01-01"))
    end = start + pd.DateOffset(years=1)
    days = np.asarray((end - start).days, float)
    mean = kept["value"].to_numpy(float) / days
    facts = [places[place] for place in kept["place"]]
    where = {key: [float(one[key]) for one in facts] for key in ("lat", "lon")}
    return period_table(
        site=site.to_numpy(), **where, start=start, end=end, variable=HARVEST, value=mean,
        sd=rules.yield_sd / days + rules.yield_sd_relative * mean, qc=float("nan"), source=LABEL,
    )  # fmt: skip
