"""``fluxatlas evaluate-sites``: trained members at sites that they have not seen, from raw files to scores by protocol.

Files of any layout that ``fluxatlas inspect`` knows go through the readers of ingest with the rules of the system;
every member and the process model predict the same days; :mod:`~fluxatlas.evaluate.unseen` scores them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .config.evaluate import EvaluateBlock
from .config.report import ReportBlock
from .config.sites import QcRules, SiteEntry, SitesBlock
from .drivers import AnnualSeries
from .errors import FluxAtlasError, InputError, MemberMismatchError, counted, nearest
from .evaluate import periods_figure
from .evaluate.held_out import half_widths, with_intervals
from .evaluate.periods import write_periods
from .evaluate.unseen import write_unseen
from .evaluate.words import words, words_of_periods
from .files import read_parquet, read_table, write_parquet
from .grid import Tile, get_grid
from .ingest.atmosphere import series_of
from .ingest.sites.inputs import NAMES, belongs
from .ingest.sites.metadata import attributes_of_cover, read_attributes
from .ingest.sites.table import build
from .inspect.formats import r_data, sites
from .inspect.probe import Probe
from .inspect.registry import expand
from .paths import RESOURCES
from .regrid.sites import write as write_attributes
from .report.catalogue import Inputs
from .report.figures import write_figure
from .run_inputs import rules_of
from .systems import System
from .train.baselines import process_model
from .train.ensemble import check_ensemble
from .train.member import Member
from .train.predict import site_table, write_table
from .train.sites import SiteData, read_sites
from .train.splits import distances

SAME_PLACE_KM = 1.0
"""A site nearer than this to one of the members' own is that one, whatever it is called."""
BY_COVER = RESOURCES / "attributes_by_landcover.csv"
"""Attributes that stand for those of a site of which only the land cover is known."""
NO_DAYS = ("srdb",)
"""Layouts whose records are not days."""


@dataclass(frozen=True)
class Wish:
    """What is asked for: ``members`` and ``files``, and the options of the command."""

    members: Sequence[Path]
    files: Sequence[Path]
    output: Path
    attributes: Path | None = None
    metadata: Path | None = None
    static_layers: Path | None = None
    forcing: Path | None = None
    series: Sequence[str] = ()
    allow_seen: bool = False


def run(wish: Wish, settings: EvaluateBlock | None = None) -> str:
    """Write ``protocols.csv``, ``site_scores.csv``, ``coverage.csv``, ``predictions.parquet``, ``sites.csv`` and
    ``unseen.png`` (not where sites are not unseen) to ``wish.output``; of means over months and the like
    ``periods.csv``, ``period_scores.csv`` and ``periods.png``. Returns a short table in words.

    Raises :class:`InputError` for files that no reader takes, where no site can be predicted or compared,
    :class:`MemberMismatchError` for members of different systems; nothing is written then.
    """
    block = settings or EvaluateBlock()
    members, series = begin(wish)
    system = members[0].system
    with tempfile.TemporaryDirectory() as temporary:
        work, made = Path(temporary), Path(temporary) / "made"
        read = build_table(entries(wish, work), system, work / "sites")
        unseen = _leave_out_seen(read, members, wish.allow_seen, block.cluster_distance_km)
        data = site_data(wish, members[0], work, block.cluster_distance_km, series)
        hidden = [np.ones((len(part.dates), len(part.sites)), bool) for part in data.sets]
        tables = [site_table("network", n, member.network, data, hidden) for n, member in enumerate(members)]
        if not any(map(len, tables)):
            raise InputError(
                f"no site has a day with weather and a value of {', '.join(system.flux_names)}",
                where=", ".join(map(str, wish.files)),
                hint="`fluxatlas inspect FILE` says what its columns become; docs/sites.md has those of each layout",
            )
        half = half_widths(member_paths(wish.members), members, block.cluster_distance_km)
        tables = with_intervals(tables, half)
        write_table([*tables, *process_model(data, system)], made / "predictions.parquet")
        shutil.copy(work / "sites_attributes.csv", made / "sites.csv")
        said = _scored(made, tables, system, len(members), unseen, block)
        wish.output.mkdir(parents=True, exist_ok=True)
        for path in sorted(made.iterdir()):
            shutil.move(path, wish.output / path.name)
    return said


def _scored(
    made: Path, tables: Sequence[pd.DataFrame], system: System, members: int, unseen: bool, settings: EvaluateBlock
) -> str:
    """Write the scores of days and of periods in ``made``, as far as there are such, and tell them in words."""
    given = ([made / "predictions.parquet"], made / "sites.csv", settings)
    said = []
    if any((table["days"] == 1).any() for table in tables):
        found = write_unseen(made / "protocols.csv", made / "site_scores.csv", made / "coverage.csv", *given)
        said.append(words(found, read_table(made / "coverage.csv"), system, members))
        if unseen and (found["target"] == system.flux).any():
            inputs = Inputs(system=system.key, protocols=[made / "protocols.csv"])
            write_figure("unseen", inputs, made / "unseen.png", ReportBlock())
    if any((table["days"] > 1).any() for table in tables):
        try:
            found = write_periods(made / "periods.csv", made / "period_scores.csv", *given)
        except InputError as problem:
            if not said:
                raise
            _say(f"no scores of periods: {problem.what}")
        else:
            said.append(words_of_periods(found, system))
            if unseen and (found["target"] == system.flux).any():
                periods_figure.write_figure(made / "periods.png", found, system.flux)
    return "\n".join(said)


def begin(wish: Wish) -> tuple[list[Member], dict[str, AnnualSeries]]:
    """The members of ``wish`` and the series that they need, before any site is read; its output is found usable.

    Raises as :func:`check_output`, :func:`load_members` and :func:`fluxatlas.ingest.atmosphere.series_of` do.
    """
    check_output(wish.output)
    members = load_members(wish.members)
    return members, series_of(members[0].system.slow, wish.series)


def check_output(folder: Path) -> None:
    """Raise :class:`InputError` where ``folder`` cannot be one, before any work is done."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise InputError("this is a file, not a folder", where=str(path), hint="give another --output")


def member_paths(given: Sequence[Path]) -> list[Path]:
    """The member files in the folders of runs, in their folders ``train``, or given themselves, in order of number.

    Raises :class:`InputError` for a folder that holds none.
    """
    paths: list[Path] = []
    for path in given:
        patterns = ("train/members/*.pt", "members/*.pt", "*.pt") if path.is_dir() else ()
        below = [file for pattern in patterns for file in path.glob(pattern)] if patterns else [path]
        if not below:
            hint = "give the folder 'train' of a finished run, such as results/demo/train, or member files"
            raise InputError("the folder holds no members", where=str(path), hint=hint)
        paths += sorted(below, key=lambda file: (len(file.stem), file.stem))
    return paths


def load_members(given: Sequence[Path]) -> list[Member]:
    """The members in the folders ``train`` of runs, or in files.

    Raises :class:`InputError` where there is none and :class:`MemberMismatchError` where they are of two systems.
    """
    paths = member_paths(given)
    check_ensemble(paths)
    members = [Member.load(path) for path in paths]
    for path, member in zip(paths, members, strict=True):
        if member.system.key != members[0].system.key:
            what = f"the member is of system '{member.system.key}', that of {paths[0]} of '{members[0].system.key}'"
            raise MemberMismatchError(what, where=str(path), hint="evaluate one system at a time")
    return members


def entries(wish: Wish, work: Path) -> list[SiteEntry]:
    """One entry per layout (and encoding) of the files, with what is known of the sites; tables go to ``work``.

    Raises :class:`InputError` for a file that no reader of sites takes, and where a folder holds none that one does.
    """
    found: dict[tuple[str, str], dict[Path, str]] = {}  # a file that is named twice is read once
    for path in wish.files:
        for each, source, encoding in _layouts(path):
            found.setdefault((source, encoding), {}).setdefault(each.resolve(), str(each))
    known = _known_attributes(wish.attributes)
    known.to_csv(work / "attributes.csv", index_label="site")
    told = {"attributes": str(work / "attributes.csv"), "metadata": str(wish.metadata) if wish.metadata else None}
    return [
        SiteEntry.model_validate(
            {"source": source, "path": [*paths.values()], **told, **({"encoding": code} if code else {})}
        )
        for (source, code), paths in found.items()
    ]


def _layouts(path: Path) -> Iterator[tuple[Path, str, str]]:
    """File or data set, layout and encoding (empty: UTF-8) of what lies at ``path``."""
    if not path.exists():
        raise InputError("file not found", where=str(path), hint="check the path")
    taken: list[tuple[Path, str, str]] = []
    others: list[Path] = []
    for each in expand([path]):
        try:
            probe = Probe(each)
            source = r_data.layout_of(probe) or sites.layout_of(probe)
        except FluxAtlasError:
            if each == path:
                raise
            others.append(each)
            continue
        if source and source not in NO_DAYS:
            latin = probe.kind == "text" and probe.encoding != "utf-8"
            taken.append((each, source, probe.encoding if latin else ""))
        else:
            others.append(each)
    if not taken:
        what = "the folder holds no file" if path.is_dir() else "this is not a file"
        hint = f"look at it with `fluxatlas inspect {path}`; docs/sites.md has the layouts"
        raise InputError(f"{what} with days of sites that a reader takes", where=str(path), hint=hint)
    layouts = {source for _, source, _ in taken if source in NAMES}
    parts = [(each, source) for each in others for source in layouts if belongs(str(each), source)]
    if passed := len(others) - len({each for each, _ in parts}):
        _say(f"{path}: {counted(passed, 'other file')} passed over")
    yield from taken
    yield from ((each, source, "") for each, source in parts)


def _known_attributes(table: Path | None) -> pd.DataFrame:
    """Attributes by site: those of ``table``, then those that fluxatlas carries."""
    carried = [read_attributes(path) for path in sorted(RESOURCES.glob("sites_*.csv"))]
    tables = [*([read_attributes(table)] if table else []), *carried]
    known = tables[0] if tables else pd.DataFrame(index=pd.Index([], name="site"))
    for other in tables[1:]:
        known = known.combine_first(other)
    return known


def build_table(listed: list[SiteEntry], system: System, folder: Path) -> Path:
    """The site table of the entries in ``folder``, by the rules of ``system``."""
    block = SitesBlock(entries=listed, qc=rules_of(system, QcRules()), sea_sites="warn")
    try:
        build(block, folder, carried=True)
    except InputError as problem:
        if not problem.what.startswith("no coordinates"):
            raise
        hint = "give a table of sites with --metadata (site, lat, lon, elevation, igbp, utc_offset)"
        raise InputError(problem.what, where=problem.where, hint=hint) from None
    return folder


def _leave_out_seen(folder: Path, members: Sequence[Member], allowed: bool, near_km: float) -> bool:
    """Take the sites that a member was trained on out of the tables in ``folder``, or say that they are among them.

    Returns whether what is left is unseen.
    """
    own: dict[str, tuple[float, float]] = {}
    for member in members:
        own |= {str(site): (lat, lon) for site, lat, lon in member.meta.get("sites", [])}
    table = read_table(folder / "sites.csv")
    if not own or table.empty:
        return True
    lat, lon = (np.array([place[axis] for place in own.values()]) for axis in (0, 1))
    apart = distances(np.r_[table["lat"], lat], np.r_[table["lon"], lon])[: len(table), len(table) :].min(axis=1)
    seen = table["site"].isin(list(own)) | (apart < SAME_PLACE_KM)
    near = table["site"][~seen & (apart < near_km)]
    if len(near):
        _say(f"{', '.join(near)}: within {near_km:g} km of a site that the members were trained on")
    names = ", ".join(table["site"][seen])
    if seen.any() and allowed:
        _say(f"warning: the members were trained on {names}: their scores are not those of unseen sites")
    elif seen.all():
        hint = "give other files, or --allow-seen for scores that are not those of unseen sites"
        raise InputError(f"the members were trained on all of these sites: {names}", hint=hint)
    elif seen.any():
        _say(f"left out, the members were trained on them: {names}")
        table[~seen].to_csv(folder / "sites.csv", index=False)
        weather = read_parquet(folder / "forcing.parquet")
        write_parquet(weather[~weather["site"].isin(table["site"][seen])], folder / "forcing.parquet")
    return not (seen.any() and allowed)


def site_data(
    wish: Wish,
    member: Member,
    work: Path,
    near_km: float,
    series: Mapping[str, AnnualSeries],
    unobserved: bool = False,
) -> SiteData:
    """All sites of the tables in ``work`` that can be predicted, with ``unobserved`` those too that measured nothing.

    Raises :class:`InputError` that says what the others lack.
    """
    system, folder = member.system, wish.static_layers
    tiles = _tiles(folder, member.grid) if folder else []
    years = _years(wish.forcing, tiles) if wish.forcing else []
    write_attributes(tiles, years, system, folder or work, wish.forcing or work, work / "sites", work)
    table = _assume_by_cover(work / "sites_attributes.csv", system)
    needed = [*system.attributes, *system.monthly]
    lacking = {str(site): [name for name in needed if pd.isna(row[name])] for site, row in table.iterrows()}
    if all(lacking.values()):
        site, names = next(iter(lacking.items()))
        more = f"; {counted(len(lacking) - 1, 'other site')} too" if len(lacking) > 1 else ""
        given = read_attributes(wish.attributes).index if wish.attributes else ()
        like = "" if site in given else nearest(site, given)
        what = f"no {', '.join(names)} of site '{site}'{like}{more}"
        hint = "give a table with --attributes (site, " + ", ".join(needed) + ") or --static-layers of a run around it"
        if _told_by_cover(system):
            hint += "; the IGBP class alone (column igbp of --metadata) stands for all of these, less well"
        raise InputError(what, where=str(wish.attributes or ""), hint=hint)
    try:
        return read_sites(
            work / "sites_attributes.csv",
            work / "sites_forcing.parquet",
            work / "sites" / "observations.parquet",
            system,
            near_km,
            series,
            evaluate=True,
            unobserved=unobserved,
            periods=work / "sites" / "periods.parquet",
        )
    except InputError as problem:
        if not problem.where.startswith(str(work)):
            raise
        hint = "the lines above say what each lacks: weather (its own, or --forcing of a run), or measured soil instead"
        raise InputError("no site can be predicted", where=", ".join(map(str, wish.files)), hint=hint) from None


def _told_by_cover(system: System) -> bool:
    """Whether land cover stands for all attributes of ``system``."""
    known = attributes_of_cover(read_attributes(BY_COVER), "GRA", 0.0)
    return set(system.attributes) <= set(known) and all(f"{layer}_01" in known for layer in system.monthly)


def _assume_by_cover(path: Path, system: System) -> pd.DataFrame:
    """The table of attributes at ``path``, what is absent filled by land cover where that stands for everything."""
    table = read_table(path).set_index("site")
    carried, filled = read_attributes(BY_COVER), dict[str, list[str]]()
    for site, row in table.iterrows() if _told_by_cover(system) else ():
        known = attributes_of_cover(carried, str(row["igbp"]), float(row["lat"]))
        absent = [name for name in system.attributes if pd.isna(row[name])] if known else []
        layers = [layer for layer in system.monthly if known and pd.isna(row[layer])]
        values = {name: known[name] for name in absent}
        for layer in layers:
            monthly = {name: known[name] for name in known if name.startswith(f"{layer}_")}
            values |= {**monthly, layer: float(np.mean([*monthly.values()]))}
        if values:
            source = [f"{name}:landcover" for name in (*absent, *layers)]
            source = [*source, *(word for word in str(row["attribute_source"]).split() if word != "site")]
            assumed = pd.Series({**values, "attribute_source": " ".join(source)}, dtype=object)
            table.loc[str(site), assumed.index] = assumed
            filled.setdefault(f"{', '.join((*absent, *layers))} of the land cover {row['igbp']}", []).append(str(site))
    for what, places in filled.items():
        _say(f"{', '.join(places)}: assumed {what} ({BY_COVER.name}); --attributes gives better ones")
    if filled:
        table.reset_index().to_csv(path, index=False)
    return table


def _tiles(folder: Path, grid: str) -> list[Tile]:
    """The tiles whose attributes are in ``folder``."""
    from .files import open_netcdf

    found = []
    for path in sorted(folder.glob("*.nc")):
        with open_netcdf(path) as data:
            size = round(data.sizes["lat"] * get_grid(grid).resolution)
        found.append(get_grid(grid).tile(path.stem, size))
    if not found:
        hint = "give the folder regrid/attributes of a run"
        raise InputError("no attributes of tiles", where=str(folder), hint=hint)
    return found


def _years(folder: Path, tiles: Sequence[Tile]) -> list[int]:
    """The years that the forcing in ``folder`` has of all ``tiles``."""
    if not tiles:
        hint = "give the folder regrid/attributes of the same run too"
        raise InputError("--forcing without --static-layers", where=str(folder), hint=hint)
    of_tile = [{int(p.stem) for p in (folder / tile.name).glob("*.nc") if p.stem.isdigit()} for tile in tiles]
    years = sorted(set.intersection(*of_tile))
    if not years:
        raise InputError("no forcing of the tiles", where=str(folder), hint="give the folder ingest/forcing of the run")
    return years


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
