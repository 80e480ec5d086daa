"""Series of gases, sites and gridded constraints before the first job."""

from __future__ import annotations

import tempfile
from collections.abc import Set
from pathlib import Path

import numpy as np
import pandas as pd

from ..config.constraints import Constraint, constraint_inputs
from ..config.sites import GriddedInput, SiteEntry, SitesBlock
from ..drivers import AnnualSeries
from ..errors import InputError, counted
from ..evaluate.area_years import parts
from ..evaluate.gridded import unfit
from ..evaluate.overpasses import refuse_system
from ..gases import year_spans
from ..ingest.atmosphere import annual_series, read_series, write_series
from ..ingest.constraints.build import kind_of
from ..ingest.constraints.inversion_file import InversionRequest
from ..ingest.constraints.inversions import Inversion
from ..ingest.sites.area_yields import area_yields, read_places
from ..ingest.sites.gridded import gridded_files, opened
from ..ingest.sites.inputs import entry_files
from ..ingest.sites.overpasses import read_overpasses
from ..ingest.sites.periods import read_periods
from ..ingest.sites.records import Ledger, SiteRecord
from ..ingest.sites.table import check_position, read_sites
from ..ingest.yields import read_yields
from ..regrid.attributes import at_place
from ..regrid.site_weather import read_weather
from ..regrid.sites import monthly_of
from ..run import Run
from ..systems.forms import refuse_form
from ..train.sequence_length import refuse_length
from .findings import Findings
from .layers import constants, given_layers

MOST_BYTES = 8 * 2**20
"""Of the files of an entry of sites so much is read, at least one file."""
MOST_PLACES = 5
"""Sites outside the tiles at which the static layers are read."""
R_DATA = 16
"""How many times slower than others R data are read, which are packed text by text."""


def look(run: Run, findings: Findings) -> None:
    """Look at the series of the atmosphere, the sites and the constraints of ``run``."""
    series = {
        gas: found
        for gas in dict.fromkeys((*run.system.series, *run.atmosphere))
        if (found := _series(run, gas, findings))
    }
    if run.has_synthetic_sites:
        with findings.trying("synthetic_earth"):
            _made_sites(run)
    if not run.is_synthetic or run.config.sites.entries or run.config.sites.yields:
        _sites(run, [series[gas] for gas in run.system.series if gas in series], findings)
    for name, product in run.config.sites.gridded.items():
        with findings.trying(f"sites.gridded.{name}"):
            _gridded(name, product, findings)
    for name, constraint in run.config.constraints.sets.items():
        with findings.trying(f"constraints.sets.{name}"):
            if set(constraint.path) & set(run.synthetic_inversions):
                findings.unseen.append(f"constraint {name}, which the synthetic Earth makes")
                continue
            _constraint(name, constraint, findings)
    for variable, name in run.config.comparison.pairs:
        with findings.trying(f"comparison.against.{variable}"):
            _compared(run, variable, name)
    if run.regional in run.config.constraints.sets:
        with findings.trying("regional"):
            _regional(run, findings)
    if run.config.evaluate.overpass_table or run.config.evaluate.overpass_places:
        with findings.trying("evaluate.overpass_table"):
            _overpasses(run, findings)
    for crop, path in run.config.evaluate.yield_tables.items():
        with findings.trying(f"evaluate.yield_tables.{crop}"):
            _yields(run, crop, path, findings)


def _yields(run: Run, crop: str, path: str, findings: Findings) -> None:
    """A whole table of yields, and whether enough of it is before and after the last year of learning."""
    if not findings.absent(f"evaluate.yield_tables.{crop}", [path]):
        table = read_yields(path, crop)
        parts(table, run.config.evaluate.yield_last_year)
        findings.seen.append(f"yields of {crop}: {counted(table['place'].nunique(), 'place')}")


def _overpasses(run: Run, findings: Findings) -> None:
    """The whole table of overpasses, which is small, under the closure that is asked for."""
    table, places = run.overpass_files
    refuse_system(run.system)
    absent = [findings.absent(f"evaluate.{key}", [path]) for key, path in
              (("overpass_table", table), ("overpass_places", places))]  # fmt: skip
    if not any(absent):
        found = read_overpasses(table, places, run.config.evaluate.overpass_closure)
        findings.seen.append(
            f"{counted(len(found.rows), 'overpass', 'overpasses')} at {counted(found.rows['site'].nunique(), 'site')}"
        )


def _made_sites(run: Run) -> None:
    """Refuse a domain without room for the sites that the synthetic Earth is to make."""
    from ..testing.earth import SyntheticEarth
    from ..testing.sites import place_sites

    place_sites(SyntheticEarth(run.config.synthetic_earth), run.config.domain.bbox)


def _series(run: Run, gas: str, findings: Findings) -> AnnualSeries | None:
    """The annual series of ``gas``, which must hold all years of the run; None where it cannot be read."""
    key, years = f"atmosphere.series.{gas}", run.raw_years
    given = run.config.atmosphere.series.get(gas)
    with findings.trying(key):
        if not given:
            series = annual_series(gas)
            absent = [year for year in years if year not in series.years]
            if absent:
                what = f"no atmospheric {gas.upper()} for {year_spans(absent)}"
                hint = f"choose years within {series.years[0]}-{series.years[-1]} or give a longer series ({key})"
                findings.add(InputError(what, where=series.source, hint=hint), "period")
        else:
            with findings.trying(key), tempfile.TemporaryDirectory() as folder:
                write_series(given.path, Path(folder) / f"{gas}.csv", gas, years, given.gap, given.latitude)
            means = read_series(given.path, given.gap).annual()
            if means.empty:
                return None  # which is what has been refused
            series = AnnualSeries(gas, tuple(map(int, means.index)), tuple(map(float, means)), given.path)
        findings.seen.append(f"series of {gas.upper()} ({series.years[0]}-{series.years[-1]})")
        return series
    return None


def _sites(run: Run, series: list[AnnualSeries], findings: Findings) -> None:
    """Every entry of sites through its reader, then the years and attributes of what it holds."""
    records: list[SiteRecord] = []
    whole, problems = True, len(findings.problems)
    for number, entry in enumerate(run.config.sites.entries):
        with findings.trying(f"sites.entries[{number}]"):
            files = entry_files(entry)
            part = _first_files(entry, files)
            whole &= len(part) == len(files)
            if len(part) < len(files):
                findings.unseen.append(f"{len(files) - len(part)} of {len(files)} files of sites.entries[{number}]")
            if not part:
                continue
            one = entry if len(part) == len(files) else entry.model_copy(update={"path": part})
            block = run.config.sites.model_copy(update={"entries": [one]})
            read = read_sites(block, Ledger())
            records += read
            if not run.config.train.members_from:
                _periods(run, block, {record.name for record in read if record.forcing is not None})
    whole &= len(findings.problems) == problems
    records += _learnt_yields(run, records, whole, findings)
    if not run.config.sites.entries and not run.config.sites.yields:
        findings.add(
            InputError("no sites are configured", where="sites.entries", hint="list at least one source of sites")
        )
    findings.seen.append(counted(len(records), "site"))
    used = [record for record in records if record.site.get("use") != "evaluate"]
    for gas in series:
        _years(used, gas, findings)
    _attributes(run, used, whole, findings)
    if not run.has_maps:
        _weather(run, used, whole, findings)


def _learnt_yields(run: Run, known: list[SiteRecord], whole: bool, findings: Findings) -> list[SiteRecord]:
    """The sites that tables of yields (``sites.yields``) bring; where not the ``whole`` of others is known, none."""
    block, problems = run.config.sites, len(findings.problems)
    for number, entry in enumerate(block.yields):
        key, given = f"sites.yields[{number}]", [entry.path, entry.places, entry.attributes]
        with findings.trying(key):
            if not findings.absent(key, [name for name in given if name]) and not whole:
                read_yields(entry.path, entry.crop, entry.carbon)
                read_places(entry.places) if entry.places else {}
    if block.yields and whole and len(findings.problems) == problems:
        with findings.trying("sites.yields"):
            rows = {record.name: record.site for record in known}
            made, sums = area_yields(block.yields, block.qc, rows, Ledger())
            for record in made:
                check_position(record, block.sea_sites, Ledger())
            findings.seen.append(f"{counted(len(sums), 'yield')} to learn from")
            return made
    return []


def _gridded(name: str, product: GriddedInput, findings: Findings) -> None:
    """All files of a product at sites, of the first one its axes and variable."""
    files = gridded_files(product)
    if not findings.absent(f"sites.gridded.{name}", files):
        opened(files[0], name, product)
        findings.seen.append(f"{name} of a gridded product ({counted(len(files), 'file')}, the first one's axes)")


def _periods(run: Run, block: SitesBlock, own: Set[str]) -> None:
    """A training sequence must be longer than the longest period of a flux with weather, which ``own`` sites bring."""
    longer = read_periods(block, Ledger())
    of_flux = longer[longer["variable"].isin(run.system.flux_names)]
    if run.training_years and not run.is_synthetic:
        years = run.training_years
        inside = (of_flux["start"].dt.year >= years[0]) & (of_flux["end"].dt.year <= years[-1] + 1)
        of_flux = of_flux[inside | of_flux["site"].isin(own)]
    days = (of_flux["end"] - of_flux["start"]).dt.days
    if len(days):
        refuse_length(int(days.max()), run.config.train.sequence_days)


def _first_files(entry: SiteEntry, files: list[str]) -> list[str]:
    """The files of ``entry`` up to :data:`MOST_BYTES`; all of a layout whose sites are spread over several files.

    Of others at least one, but no large R data: a minute for 10 MB would be no quick look.
    """
    if entry.source == "cosore":
        return files
    slow = [R_DATA if name.lower().endswith(".rds") else 1 for name in files]
    sizes = [Path(name).stat().st_size if Path(name).is_file() else 0 for name in files]
    count = int((np.cumsum(np.multiply(sizes, slow)) <= MOST_BYTES).sum())
    return files[: max(count, int(slow[0] == 1))]


def _years(records: list[SiteRecord], series: AnnualSeries, findings: Findings) -> None:
    """Days of sites that the network is trained on must lie within the series."""
    outside: dict[str, str] = {}
    for record in records:
        times = pd.DatetimeIndex(record.observations["time"].unique())
        if record.forcing is not None:
            times = pd.DatetimeIndex(record.forcing.index)
        if len(times) and not series.covers(times):
            outside[record.name] = f"{times.year.min()}-{times.year.max()}"
    if outside:
        name, years = next(iter(outside.items()))
        more = f" and {len(outside) - 1} other sites" if len(outside) > 1 else ""
        held = f"{series.years[0]}-{series.years[-1]}"
        what = f"site '{name}'{more} needs {series.gas.upper()} of {years}, the series holds {held}"
        hint = f"give a longer series (atmosphere.series.{series.gas}), or leave the site out or 'use: evaluate'"
        findings.add(InputError(what, where=f"sites.entries: {series.source}", hint=hint))


def _attributes(run: Run, records: list[SiteRecord], whole: bool, findings: Findings) -> None:
    """What a site outside the tiles does not bring, maps have to tell; without any usable site training fails."""
    for choice in run.system.choices:
        for record in records:
            with findings.trying("sites.entries"):
                form = record.site.get(choice)
                refuse_form(run.system, choice, "" if pd.isna(form) else str(form), record.name)
    lacking: dict[str, list[str]] = {}
    boxes = [run.tile(name).bbox for name in run.tiles]
    looked = 0
    for record in records:
        lat, lon = float(record.site["lat"]), float(record.site["lon"])
        if not any(south <= lat < north and west <= lon < east for west, south, east, north in boxes):
            absent = [name for name in run.system.attributes if pd.isna(record.site.get(name))]
            absent += [name for name in run.system.monthly if np.isnan(monthly_of(record.site, name)).any()]
            mapped = set() if run.is_synthetic else (given_layers(run.static) - constants(run.static)) & set(absent)
            absent = [name for name in absent if name not in mapped]
            if mapped and not absent and looked < MOST_PLACES:
                looked += 1
                with findings.trying("static.layers"):
                    told = at_place(run.static, run.grid, lat, lon, run.system)
                    absent = [name for name in sorted(mapped) if not np.isfinite(told[name]).all()]
            if absent:
                lacking[record.name] = absent
    if not lacking:
        return
    name, absent = next(iter(lacking.items()))
    what = f"site '{name}' {'lies outside the tiles and ' if run.has_maps else ''}has no {', '.join(absent)}"
    if len(lacking) == len(records) and whole:
        what = f"no site can be used for training: {what}"
        findings.add(
            InputError(
                what,
                where="sites.entries",
                hint="give a table 'attributes', maps that reach the site, or a site inside",
            )
        )
    else:
        findings.notes.append(f"{len(lacking)} of {len(records)} sites are left out of training; {what}")


def _weather(run: Run, records: list[SiteRecord], whole: bool, findings: Findings) -> None:
    """In a run at sites alone nothing is made for a site without weather, nor in a run of such sites."""
    own = {record.name for record in records if record.forcing is not None and len(record.forcing)}
    names = {record.name: float(record.site["lat"]) for record in records}
    with findings.trying("forcing.path"):
        for path in run.site_weather:
            own |= set(read_weather(path, names, run.system.forcing)["site"]) if names else set()
    without = sorted(names.keys() - own)
    if not without:
        return
    what = f"{len(without)} of {counted(len(names), 'site')} have no weather of their own, such as '{without[0]}'"
    if own or not whole:
        findings.notes.append(f"{what}: nothing is made for them")
    else:
        hint = "give a table of their weather as forcing.path, or the weather of a domain (docs/your_data.md)"
        findings.add(InputError(what, where="sites.entries", hint=hint))


def _regional(run: Run, findings: Findings) -> None:
    """Whether preset and corrections follow from what the first file of the inversions says that it contains."""
    from ..train.regional.target import refuse_misfit

    block, constraint = run.config.regional, run.config.constraints.sets[run.regional]
    files = [name for name in constraint_inputs(constraint) if Path(name).is_file()]
    if not files or not block.preset:
        return
    found = kind_of(constraint, Path(files[0]))
    if found.family != "inversion":
        hint = "name a set of inversions in regional.constraint"
        raise InputError(f"'{run.regional}' is {found.title}, no inversion", where=files[0], hint=hint)
    wish = InversionRequest(
        constraint.variable, constraint.units, constraint.sign, constraint.start, constraint.add_fire
    )
    content = Inversion(files[:1], found.kind, wish).attrs()
    refuse_misfit(block.preset, content, list(block.corrections), set(block.without), files[0])
    findings.seen.append("what sums of regions are held to (preset, corrections, what the inversions contain)")


def _compared(run: Run, variable: str, name: str) -> None:
    """Whether the kind of the first file of the set ``name`` has something to compare ``variable`` with."""
    constraint = run.config.constraints.sets[name]
    files = [path for path in constraint_inputs(constraint) if Path(path).is_file()]
    if files and (what := unfit(variable, name, kind_of(constraint, Path(files[0])).kind)):
        raise InputError(what, where=files[0], hint="name another set, or take it out of comparison.against")


def _constraint(name: str, constraint: Constraint, findings: Findings) -> None:
    files = constraint_inputs(constraint)
    if not files:
        where = ", ".join(constraint.path)
        raise InputError("no file matches the pattern", where=where, hint="correct 'path', or get the files")
    if not findings.absent(f"constraints.sets.{name}", files):
        kind_of(constraint, Path(files[0]))
        findings.seen.append(f"constraint {name} ({counted(len(files), 'file')}, the first one's kind)")
