"""The one site table: all sources of the configuration, checked, as the files of the contract."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import variables
from ...astronomy import extraterrestrial_radiation
from ...config.sites import QcRules, SiteEntry, SitesBlock
from ...errors import InputError, counted
from ...files import atomic, provenance, write_parquet, write_text
from ...land_mask import is_land
from .area_yields import area_yields
from .closure import check_closure, closed
from .completion import complete_profile
from .composition import chamber_table
from .gridded import at_sites
from .inputs import entry_files, site_inputs
from .land_cover import cover_of, other_classes
from .metadata import attributes_of_cover, read_attributes
from .periods import read_periods
from .qc import bounds
from .records import ATTRIBUTE_COLUMNS, FORM_COLUMNS, MONTHLY_COLUMNS, SITE_COLUMNS, Ledger, SiteRecord, observations
from .stated import refuse_other_attributes, refuse_unused

COAST = 0.1
"""A site counts as on land if any point within this distance [degrees] is land: the mask knows no narrow coasts."""


def read_sites(block: SitesBlock, ledger: Ledger) -> list[SiteRecord]:
    """All sites of all entries, in order, with attributes joined.

    Raises :class:`InputError` for whatever a reader finds, for an empty block, a site that occurs twice or at sea.
    """
    for name in (*block.qc.limits, *block.qc.other_cover):
        variables.get(name)
    if not block.entries and not block.yields:
        raise InputError("no sites are configured", where="sites.entries", hint="list at least one source of sites")
    ledger.chambers = block.chambers
    records: list[SiteRecord] = []
    origin: dict[str, str] = {}
    for entry in block.entries:
        files = entry_files(entry)
        for path in files:
            if not Path(path).is_file():
                raise InputError("file not found", where=path, hint="check 'path' of the entry in sites.entries")
        print(f"sites: reading {counted(len(files), f'{entry.source} file')}", file=sys.stderr)
        reader = importlib.import_module(f".{entry.source}", __package__)
        attributes = read_attributes(entry.attributes) if entry.attributes else None
        for made in reader.read(files, entry, block.qc, ledger):
            record = closed(made, entry, ledger)
            refuse_second(record, entry, origin)
            check_position(record, block.sea_sites, ledger)
            record.site["use"] = entry.use
            _with_cover(record, attributes, ledger)
            if _of_this_kind(record, block.qc, ledger):
                record = _with_attributes(record, attributes, ledger)
                record.observations["variable"] = record.observations["variable"].replace(block.qc.taken_as)
                records.append(record)
    return records


def refuse_second(record: SiteRecord, entry: SiteEntry, origin: dict[str, str]) -> None:
    """Raise :class:`InputError` for a site that is in ``origin`` already, what each site is made of; it is added."""
    made_of = f"{entry.source}: {', '.join(record.files or entry.path)}"
    if record.name in origin:
        raise InputError(
            f"site '{record.name}' comes from two sources ({origin[record.name]} and {made_of})",
            where="sites.entries",
            hint="leave one of them out, or give it another id under the entry's 'sites'",
        )
    origin[record.name] = made_of


def _of_this_kind(record: SiteRecord, rules: QcRules, ledger: Ledger) -> bool:
    """Whether the site stays: one of another kind of place does as ``qc.other_sites`` says, with a line in the report.

    Limits test values, not sites: days of a wetland that are within those of upland soil are not days of upland soil.
    """
    reason = _other_kind(record, rules, ledger)
    if not reason or rules.other_sites == "keep":
        return True
    if rules.other_sites == "leave_out":
        ledger.leave_out(record.name, f"{reason}; qc.other_sites: evaluate or keep takes it")
        return False
    record.site["use"] = "evaluate"
    ledger.warn(record.name, f"kept for evaluation only: {reason}")
    return True


def _other_kind(record: SiteRecord, rules: QcRules, ledger: Ledger) -> str:
    """Why a site is of another kind of place than the system: by its land cover, else by its days beyond the limits."""
    measured, cover = set(record.observations["variable"]), str(record.site.get("igbp", ""))
    for variable in rules.other_cover:
        judges = not measured or variable in measured or (record.name, variable) in ledger.limits
        if judges and cover in other_classes(rules, variable):
            return f"its land cover {cover} is another kind of place for {variable}"
    for (site, variable), counts in ledger.limits.items():
        judges = site == record.name and variable in rules.limits  # others say nothing of this system
        if judges and counts["beyond"] > rules.other_share * counts["n"]:
            least, most = bounds(variable, rules)[1]
            days = f"{counts['beyond']:,} of {counts['n']:,} days of {variable} are outside {least:g} to {most:g}"
            return f"{days} (qc.limits), so it is another kind of place, or its unit is another one"
    return ""


def check_position(record: SiteRecord, sea_sites: str, ledger: Ledger) -> None:
    """Raise :class:`InputError` for a site at sea, or say it where ``sea_sites`` is 'warn'."""
    lat, lon = float(record.site["lat"]), float(record.site["lon"])
    if on_land(lat, lon):
        return
    guesses = [(lat, -lon), (-lat, lon), (lon, lat), (-lat, -lon)]
    likely = [f"({a:g}, {b:g})" for a, b in guesses if abs(a) <= 90 and on_land(a, b)]
    hint = f"a wrong sign or exchanged values? {' or '.join(likely)} is land" if likely else "check the coordinates"
    text = f"({lat:g}, {lon:g}) lies in the sea"
    if sea_sites == "error":
        raise InputError(text, where=f"site '{record.name}'", hint=f"{hint}; sites.sea_sites: warn accepts it")
    ledger.note(record.name, f"{text}; {hint}")
    print(f"warning: site '{record.name}': {text}; {hint}", file=sys.stderr)


def on_land(lat: float, lon: float) -> bool:
    """Whether a point or any of eight neighbours :data:`COAST` degrees off is land (mask of global-land-mask)."""
    step = np.array([0.0, -COAST, COAST])
    lats, lons = np.meshgrid(np.clip(lat + step, -89.99, 89.99), (lon + step + 180) % 360 - 180)
    return bool(np.any(is_land(lats, lons)))


def _with_cover(record: SiteRecord, attributes: pd.DataFrame | None, ledger: Ledger) -> None:
    """Give a site that states no land cover that of its row of ``attributes``, by which it is judged."""
    if attributes is None or "igbp" not in attributes or record.site.get("igbp") or record.name not in attributes.index:
        return
    value: Any = attributes.loc[record.name, "igbp"]
    if pd.notna(value) and value != "":
        record.site["igbp"] = cover_of(record.name, str(value), ledger)


def _with_attributes(record: SiteRecord, attributes: pd.DataFrame | None, ledger: Ledger) -> SiteRecord:
    """The record with what ``attributes`` say of its site; by land cover they stand for what nobody else says."""
    if attributes is None:
        return record
    if attributes.index.name == "igbp":
        known = _of_cover(record, attributes, ledger)
    elif record.name in attributes.index:
        known = {str(k): v for k, v in attributes.loc[record.name].items() if pd.notna(v) and v != ""}
    else:
        return record
    known.pop("igbp", None)
    if pd.notna(record.site.get("elevation")):
        known.pop("elevation", None)
    for name, value in known.items():
        if name in (*ATTRIBUTE_COLUMNS, *MONTHLY_COLUMNS):
            variables.check_range([value], name.split("_")[0], where=f"attributes of site '{record.name}'")
    record.site |= known
    if {"sand", "clay"} <= set(record.site):
        sand, clay = (float(record.site[name]) for name in ("sand", "clay"))
        variables.check_texture(sand, clay, where=f"attributes of site '{record.name}'")
    return record


def _of_cover(record: SiteRecord, table: pd.DataFrame, ledger: Ledger) -> dict[str, Any]:
    cover = str(record.site.get("igbp", ""))
    own = {name for name, value in record.site.items() if pd.notna(value)}
    own |= {"lai", *MONTHLY_COLUMNS} if own & {"lai", *MONTHLY_COLUMNS} else set()
    found = attributes_of_cover(table, cover, float(record.site["lat"]))
    known = {name: value for name, value in found.items() if name not in own}
    if known:
        shown = dict.fromkeys(name.split("_")[0] for name in known)
        ledger.note(record.name, f"{', '.join(shown)} are those of its land cover, {cover}")
    return known


def whole_segments(forcing: pd.DataFrame, min_days: int) -> pd.DataFrame:
    """Complete days of ``forcing`` (indexed by day) in stretches of at least ``min_days`` days without a gap."""
    complete = forcing.dropna().sort_index()
    if complete.empty:
        return complete
    piece = (complete.index.to_series().diff() != pd.Timedelta("1D")).cumsum()
    length = piece.map(piece.value_counts())
    return complete[(length >= min_days).to_numpy()]


def _below_the_sun(forcing: pd.DataFrame, site: dict[str, Any], ledger: Ledger) -> pd.DataFrame:
    """Drop shortwave radiation above that at the top of the atmosphere (2 % and 5 W m-2 allowed)."""
    limit = 1.02 * extraterrestrial_radiation(float(site["lat"]), pd.DatetimeIndex(forcing.index))[:, 0] + 5
    impossible = forcing["rsds"].to_numpy(float) > limit
    ledger.read(str(site["site"]), "rsds", int(forcing["rsds"].notna().sum()))
    ledger.drop(str(site["site"]), "rsds", "above the top of the atmosphere", int(impossible.sum()))
    return forcing.assign(rsds=forcing["rsds"].mask(impossible))


def assemble(
    records: Sequence[SiteRecord], block: SitesBlock, ledger: Ledger, *, periods: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The tables (sites, observations, forcing) of the contract from all records.

    A site without days stays where it has weather of its own, or is one of those of ``periods``. Raises
    :class:`InputError` where no site is left, unless there are ``periods``: then the tables are empty.
    """
    rows, long, wide = [], [], []
    for record in records:
        days = record.observations["time"].nunique()
        forcing = None
        if record.forcing is not None:
            possible = _below_the_sun(record.forcing, record.site, ledger)
            forcing = whole_segments(possible, block.min_segment_days)
        if record.forcing is not None and forcing is not None:
            ledger.note(record.name, f"own meteorology on {len(forcing):,} of {len(record.forcing):,} days")
        other = record.name in periods or (forcing is not None and len(forcing) > 0)
        if days < block.min_days and not (days == 0 and other):
            ledger.leave_out(record.name, f"{days} observed days, sites.min_days asks for {block.min_days}")
            continue
        table = record.observations
        if block.complete_profiles and len(table) and record.site["kind"] == "chamber":
            table = observations([table, complete_profile(table, block.completion_gap_days)])
        rows.append(record.site)
        long.append(table.assign(site=record.name))
        if forcing is not None and len(forcing):
            wide.append(forcing.rename_axis("time").reset_index().assign(site=record.name))
    if not rows and not periods:
        raise _nothing_left(block, ledger)
    monthly = [name for name in MONTHLY_COLUMNS if any(name in row for row in rows)]
    forms = [name for name in FORM_COLUMNS if any(name in row for row in rows)]
    ordered = [*SITE_COLUMNS, *ATTRIBUTE_COLUMNS, *monthly, *forms, "attribute_note"]
    sites = pd.DataFrame(rows, columns=None if rows else ordered)
    sites = sites.reindex(columns=ordered).sort_values("site")
    observed = pd.concat(long, ignore_index=True) if long else observations([]).assign(site=pd.Series(dtype=object))
    observed = observed[["site", *[c for c in observed.columns if c != "site"]]]
    observed = observed.sort_values(["site", "variable", "time"], ignore_index=True)
    _check_values(observed, block)
    return sites, observed, _forcing_table(wide)


def _nothing_left(block: SitesBlock, ledger: Ledger) -> InputError:
    """What quality control dropped, or what the readers noted, where an entry has nothing left."""
    poor = [key for key, counter in ledger.counts.items() if len(counter) > 1]
    done = [f"{name}: left out: {reason}" for name, reason in ledger.left_out.items()]
    done += [f"{site} {name}: {ledger.sentence(site, name, of)}" for site, name, of in poor]
    for site, lines in ledger.notes.items():
        told = [line for line in lines if not line.startswith("left out")]
        done += [f"{site}: {told[-1]}" for _ in told[:1] if not poor]
    files = [path for entry in block.entries for path in entry.path]
    return InputError(
        "no site is left after quality control" + (f" ({'; '.join(done[:3])})" if done else ""),
        where=", ".join(files[:3]) + (", ..." if len(files) > 3 else ""),
        hint="check the units and the files, and the rules in sites.qc",
    )


def _check_values(observed: pd.DataFrame, block: SitesBlock) -> None:
    """Refuse observations outside their possible range: only with ``qc.valid_range`` off can there be any."""
    for name, part in observed.groupby("variable"):
        (low, high), _ = bounds(str(name), block.qc)
        wrong = part[~part["value"].between(low, high)]
        if len(wrong):
            first = wrong.iloc[0]
            raise InputError(
                f"{len(wrong)} values of '{name}' lie outside [{low:g}, {high:g}] {variables.get(str(name)).units}, "
                f"such as {first['value']:g} on {first['time']:%Y-%m-%d}",
                where=f"observations of site '{first['site']}'",
                hint="check the unit of the source, or switch on qc.valid_range",
            )


def _forcing_table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    from .fluxnet import ORDER

    if not parts:
        table = pd.DataFrame({name: pd.Series(dtype="float32") for name in ORDER})
        return pd.concat(
            [pd.DataFrame({"site": pd.Series(dtype=object), "time": pd.Series(dtype="M8[ns]")}), table], axis=1
        )
    table = pd.concat(parts, ignore_index=True)[["site", "time", *ORDER]]
    for name in ORDER:
        variables.check_range(table[name], name, where="meteorology of sites")
    table["time"] = table["time"].astype("datetime64[ns]")
    return table.astype(dict.fromkeys(ORDER, "float32")).sort_values(["site", "time"], ignore_index=True)


def build(
    block: SitesBlock, output_dir: str | Path, inputs: Sequence[str] | None = None, *, carried: bool = False
) -> dict[str, Any]:
    """Read all sources and write sites.csv, {observations,chambers,forcing,periods}.parquet and report.json.

    ``inputs`` are the files (or folders of them) a workflow declared: a file that is read without being among them is
    an :class:`InputError`, since the workflow would not notice its changes. ``carried``: attributes are those that
    fluxatlas carries too, so that they may be of other sites alone. Returns the report.
    """
    needed = site_inputs(block)
    declared = {Path(p) for p in inputs or ()}
    undeclared = [p for p in needed if inputs and not declared & {Path(p), *Path(p).parents}]
    if undeclared:
        raise InputError(
            f"{len(undeclared)} files of the configuration are not among the declared inputs",
            where=undeclared[0],
            hint="pass every file of site_inputs(block) with --input",
        )
    ledger = Ledger()
    records = read_sites(block, ledger)
    longer = read_periods(block, ledger)
    if block.yields:
        more, sums = area_yields(block.yields, block.qc, {one.name: one.site for one in records}, ledger)
        for record in more:
            check_position(record, block.sea_sites, ledger)
        records += more
        longer = pd.concat([part for part in (longer, sums) if len(part)], ignore_index=True)
    for entry in block.entries:
        refuse_unused(entry, ledger)
        if not carried:
            refuse_other_attributes(entry, ledger)
        check_closure(entry, ledger)
    sites, observed, forcing = assemble(records, block, ledger, periods=set(longer["site"]))
    if block.gridded:
        observed, longer = at_sites(block.gridded, sites, observed, longer, ledger)
    for line in ledger.told():
        print(f"warning: {line}", file=sys.stderr)
    origin = provenance("ingest sites", block.model_dump(mode="json"), {p: p for p in needed})
    folder = Path(output_dir)
    with atomic(folder / "sites.csv") as partial:
        sites.to_csv(partial, index=False, float_format="%.8g")
    write_parquet(observed, folder / "observations.parquet", origin)
    write_parquet(chamber_table(ledger.compositions, sites["site"]), folder / "chambers.parquet", origin)
    write_parquet(forcing, folder / "forcing.parquet", origin)
    write_parquet(longer, folder / "periods.parquet", origin)
    report = {
        "provenance": origin,
        "sites": ledger.as_dict(),
        "left_out": ledger.left_out,
        "totals": _totals(sites, observed, forcing, longer),
    }
    write_text(folder / "report.json", json.dumps(report, indent=1, sort_keys=True, default=float) + "\n")
    return report


def _totals(sites: pd.DataFrame, observed: pd.DataFrame, forcing: pd.DataFrame, longer: pd.DataFrame) -> dict[str, Any]:
    measured = observed[observed["origin"] == "measured"]
    return {
        "sites": len(sites),
        "days_by_variable": {str(k): int(v) for k, v in measured["variable"].value_counts().items()},
        "forcing_days": len(forcing),
        "periods": len(longer),
        "forcing_sites": int(forcing["site"].nunique()),
    }
