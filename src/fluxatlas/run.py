"""A run: what the configuration implies for the workflow (tiles, years, files, settings of each stage).

The Snakefile, ``plan`` and ``status`` all ask this one class, which imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import freshness
from .config import leaves
from .config.experiments import split_model
from .config.model import block_of
from .config.regional import summed_flux
from .config.regions import region_inputs
from .errors import ConfigError, counted
from .experiments.grid import Experiment, Permutation, checked, experiments, system_of
from .run_inputs import RunInputs

if TYPE_CHECKING:
    from .products.about import About

T = TypeVar("T")


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of ``items``, evenly spread, in order."""
    if len(items) <= most:
        return list(items)
    return [items[int((k + 0.5) * len(items) / most)] for k in range(most)]


def commands_on_path() -> None:
    """Let jobs find ``fluxatlas`` beside the Python that runs, also where its environment is not activated."""
    beside, path = str(Path(sys.executable).parent), os.environ.get("PATH", "")
    if beside not in path.split(os.pathsep):
        os.environ["PATH"] = f"{beside}{os.pathsep}{path}"


class Run(RunInputs):
    """Everything the workflow needs to know about one configuration."""

    @property
    def trained(self) -> str:
        """The folder ``train`` that members come from: that of this run, or that of ``train.members_from``."""
        return self.config.train.members_from.rstrip("/") or self.paths("train")

    def member(self, member: int | str = "{member}") -> str:
        """A member file."""
        return f"{self.trained}/members/{member}.pt"

    def prediction(self, member: int | str = "{member}") -> str:
        """Predictions of a member at all sites."""
        return f"{self.trained}/predictions/{member}.parquet"

    @property
    def student(self) -> list[str]:
        """The file of the student that stands in for the members; none where all of them run."""
        return [self.paths("infer", "student.pt")] if self.config.infer.ensemble == "student" else []

    @cached_property
    def members(self) -> list[int]:
        """Numbers of the members; raises :class:`ConfigError` where ``train.members_from`` has none."""
        if not self.config.train.members_from:
            return list(range(self.config.train.members))
        found = sorted(int(path.stem) for path in Path(self.trained, "members").glob("*.pt") if path.stem.isdigit())
        if not found:
            hint = "give the folder 'train' of a finished run, which holds members/0.pt"
            raise ConfigError("there are no members", where=f"train.members_from: {self.trained}", hint=hint)
        return found

    # --- what is current ----------------------------------------------------------------------------------------

    def history(self, year: int) -> int | str:
        """The name of the history up to the end of ``year``: the year, or ``start`` before the first one."""
        return year if year >= self.years[0] else "start"

    def state_before(self, tile: str, year: int) -> str:
        """The state that a tile-year begins with: that of the year before, for the first year that of the spin-up."""
        return (self.paths.spinup if year == self.years[0] else self.paths.state)(tile, year - 1)

    def is_current(self, tile: str, year: int) -> bool:
        """Whether a tile-year is as new as all that it is made of but the state that it begins with."""
        made = (self.paths.flux(tile, year), self.paths.state(tile, year))
        history = self.paths.history(self.history(year - 1))
        return freshness.is_current(made, (history, self.paths.attributes(tile), self.paths.forcing(tile, year)))

    def holds_the_same(self, path: str, year: int) -> bool:
        """Whether a raw file of ``year`` has a new time stamp but the bytes that the pieces of the year are made of."""
        digests = self.paths("ingest", "forcing", "digests", f"{year}.json")
        return not self.is_synthetic and freshness.holds_the_same(path, digests)

    # --- what is sampled, made and drawn ---------------------------------------------------------------------------

    @cached_property
    def synthesize(self) -> Any:
        """The synthesize block with the forms that the hidden truth of the synthetic Earth withholds."""
        block = self.config.synthesize
        if block.exclude is not None or not self.has_truth:
            return block
        return block.model_copy(update={"exclude": dict(self.system.withheld)})

    @property
    def sample_tiles(self) -> list[str]:
        """Tiles whose cells may be sampled: all, or as many as the configuration allows, evenly spread."""
        return _spread(self.tiles, self.config.synthesize.max_tiles)

    @property
    def sample_years(self) -> list[int]:
        """Years of forcing to sample: all, or as many as the configuration allows in runs of consecutive years."""
        length, most = self.config.synthesize.years, self.config.synthesize.max_years
        years = self.training_years
        if len(years) <= max(most, length):
            return years
        starts = _spread(years[: len(years) - length + 1], max(most // length, 1))
        return sorted({start + k for start in starts for k in range(length)} & set(years))

    @property
    def tower_variables(self) -> list[str]:
        """Variables of the product that towers measure too."""
        kinds = {kind.variable for kind in self.system.observations}
        return [name for name in self.variables if name in kinds and name not in self.system.flux_names]

    @property
    def fluxes(self) -> list[str]:
        """Variables of the product that the system estimates, not those it carries along."""
        return [name for name in self.variables if name in self.system.flux_names]

    @property
    def tables(self) -> list[str]:
        """Tables of the evaluation."""
        asked = {"responses", "attribution"} & set(self.config.report.figures)
        own = [] if self.config.train.members_from else ["prior", *(["responses"] if asked else [])]
        if not self.has_maps:
            return ["skill", "protocols", *own]
        towers = ["towers"] * bool(self.tower_variables) + ["totals"] * any(f.per_cell for f in self.system.fluxes)
        regional = ["region_months"] if self.compared_years else []
        return ["skill", "protocols", *own, *towers, "seams", *(["truth"] if self.has_truth else []), *regional]

    @property
    def figures(self) -> list[str]:
        """Figures to draw; those that need the truth only where there is one."""
        from .report.catalogue import FIGURES

        wanted = self.config.report.figures
        lacking = set() if self.has_truth else {"truth"}
        lacking |= set() if self.has_maps else {"flux", "attributes", "forcing", "daily", "budget", "towers"}
        lacking |= set() if self.tower_variables else {"towers"}
        lacking |= set() if self.fluxes else {"daily"}
        lacking |= set() if self.compared_years else {"region_months"}
        lacking |= set() if "responses" in self.tables else {"responses", "attribution"}
        return [name for name in wanted if not lacking & set(FIGURES[name].needs)]

    # --- what a rule hands on -----------------------------------------------------------------------------------

    def settings(self, job: str) -> leaves.Settings:
        """The leaves that ``job`` reads as JSON for ``--settings``; see :mod:`fluxatlas.config.leaves`."""
        name = block_of(job)
        block = getattr(self if name in ("forcing", "static", "sites", "synthesize") else self.config, name)
        if name == "train":  # folds depend on the members: what counts is their number, and how members share them
            shared = min(block.members, block.n_folds) if job == "finetune" else block.members
            block = block.model_copy(update={"folds": block.n_folds, "members": shared})
        return leaves.Settings(name, leaves.handed(block, job), leaves.recorded(block, job))

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The grid of experiments of `snakemake benchmark`, those that tell most first."""
        return experiments(self.config.experiments)

    def start_settings(self, model: str) -> leaves.Settings:
        """What the network called ``model`` is pretrained with for experiments: it is not told parameters."""
        cell, flat, given = split_model(model)
        block, own = self.config.train, {"cell": cell, "code": 0} | ({"knowledge": {}} if flat else {})
        own["measured_inputs"] = list(self.config.experiments.measured_inputs) if given else []
        handed, compared = (made(block, "experiment_start") | own for made in (leaves.handed, leaves.recorded))
        return leaves.Settings("train", handed, compared)

    def start_system(self, model: str) -> str:
        """The key of the system that the network called ``model`` is built for."""
        return system_of(model, self.system, self.config.experiments.measured_inputs).key

    def given_options(self, model: str) -> list[str]:
        """What sites hand to the network called ``model``, for the command line of an experiment."""
        named = self.config.experiments.measured_inputs if split_model(model)[2] else ()
        return [word for name in named for word in ("--given", name)]

    @property
    def permutation(self) -> str:
        """What of the drivers experiments permute, as JSON, empty for nothing; raises :class:`ConfigError` for names
        that the system does not have."""
        block = self.config.experiments
        plan = Permutation(block.importance_draws, block.importance_days, block.importance_groups)
        checked(plan.groups, self.system)
        return json.dumps(asdict(plan), sort_keys=True) if plan.draws else ""

    @property
    def permuted_results(self) -> list[str]:
        """Results of the experiments of `snakemake importance`; raises :class:`ConfigError` without permutations."""
        if not self.permutation:
            hint = "set experiments.importance_draws, such as 5 (docs/experiments.md)"
            raise ConfigError("no drivers are permuted in the experiments", hint=hint)
        return [self.paths("experiments", f"{one.name}.csv") for one in self.experiments]

    @property
    def twin_seeds(self) -> list[int]:
        """Seeds of the worlds of each kind that `snakemake twin` runs."""
        block = self.config.synthetic_earth
        return [block.seed + number for number in range(block.twin_worlds)]

    def twin_settings(self, world: str, seed: int | str) -> str:
        """The whole configuration as JSON for the run of a world, with results in ``<results>/twin/<world>-<seed>``.

        Raises :class:`ConfigError` where the world has no truth or the members come from elsewhere.
        """
        if not self.has_synthetic_sites:
            hint = "take a system with a truth, forcing.source: synthetic_earth and no 'sites.entries'"
            raise ConfigError("twins are runs on worlds whose hidden truth is known", hint=hint)
        if self.config.train.members_from:
            hint = "leave train.members_from empty"
            raise ConfigError("a twin trains members of its own, on the sites of its own world", hint=hint)
        data = self.config.model_dump(mode="json")
        data["run"] |= {"name": f"{world}-{seed}", "results": self.paths("twin")}
        data["synthetic_earth"] |= {"world": world, "seed": int(seed), "twin_worlds": 1}
        return json.dumps(data, sort_keys=True)

    @property
    def page_settings(self) -> leaves.Settings:
        """The whole configuration as JSON for the report of the run; what of it counts is in the jobs before it."""
        return leaves.Settings("run", self.config.model_dump(mode="json"), {})

    @property
    def trend_pieces(self) -> list[str]:
        """Forcing pieces of the years whose trend `snakemake trends` explains.

        Raises :class:`ConfigError` for a period that is too short and for attributes that the system does not read,
        before anything is made for it.
        """
        self.refuse_without_maps()
        self.config.evaluate.refuse_attributes(self.system.key, self.system.statics)
        fewest = self.config.evaluate.fewest_trend_years
        if len(self.years) < fewest:
            raise ConfigError(
                f"the period has {counted(len(self.years), 'year')}, a trend and its factors need {fewest}",
                hint="take a longer 'period', or fewer evaluate.held_years (4 years at least)",
            )
        return [self.paths.forcing(tile, year) for tile in self.tiles for year in self.years]

    def constraint_settings(self, name: str) -> str:
        """One gridded constraint as JSON for ``--settings``."""
        return json.dumps(self.config.constraints.sets[name].model_dump(mode="json"), sort_keys=True)

    # --- gridded products beside ours ------------------------------------------------------------------------------

    def compared(self, what: str, refuse: bool = True) -> list[str]:
        """Tables of `snakemake comparison`: of ``pairs``, or of ``triples`` of products.

        Raises :class:`ConfigError` where nothing is to be compared, if ``refuse``.
        """
        if refuse:
            self.refuse_without_maps()
        found = [(name, "+".join(sets)) for name, *sets in getattr(self.config.comparison, what)]
        if refuse and not found:
            hint = "name sets of constraints.sets in comparison.against (docs/comparison.md)"
            raise ConfigError("no gridded products are named to compare with", hint=hint)
        return [self.paths("evaluate", "comparison", name, f"{sets}.csv") for name, sets in found]

    @property
    def comparison_figures(self) -> list[str]:
        """Figures of the page of `snakemake comparison`."""
        names, kinds = self.config.comparison.against, ("profile", "map", "series")
        return [self.paths("report", "comparison", f"{name}_{kind}.png") for name in names for kind in kinds]

    # --- sums of regions ------------------------------------------------------------------------------------------

    @property
    def regional(self) -> str:
        """The set of inversions that sums of regions are compared with; empty where there is none."""
        return self.config.regional.constraint

    @property
    def compared_years(self) -> list[int]:
        """Years of the product that are compared with inversions by region and month."""
        return [year for year in self.years if year in self.regional_years]

    @property
    def summed_flux(self) -> str:
        """The flux whose sums are compared."""
        return summed_flux(self.config.regional, self.system)

    @property
    def regional_map(self) -> str:
        """The map of regions as JSON for a command line."""
        return json.dumps(
            self.config.regions.maps[self.config.regional.regions].model_dump(mode="json"), sort_keys=True
        )

    @property
    def regional_map_files(self) -> list[str]:
        """Files of that map."""
        name = self.config.regional.regions
        return region_inputs(self.config.regions.model_copy(update={"maps": {name: self.config.regions.maps[name]}}))

    @property
    def corrections(self) -> dict[str, str]:
        """Name -> file of each correction of the inversions: what ingest makes of a set, or a table as it is."""
        given, sets = self.config.regional.corrections, self.config.constraints.sets
        return {name: self.paths.constraint(one) if one in sets else one for name, one in sorted(given.items())}

    def regional_files(self, baseline: str = "") -> list[str]:
        """What a job of training needs of regions: target and points; a ``baseline`` only where it is held to them."""
        if not self.regional or (baseline and baseline != "no_knowledge"):
            return []
        return [self.paths("train", "regional", f"{name}.nc") for name in ("target", "points")]

    def regional_options(self, baseline: str = "") -> list[str]:
        """The same as options of a command line."""
        names = ("--regional-target", "--regional-points")
        return [word for pair in zip(names, self.regional_files(baseline), strict=False) for word in pair]

    def option(self, block: str, name: str) -> leaves.Settings:
        """The leaf ``name`` of another ``block`` than the one that a job is handed as a whole."""
        value = getattr(getattr(self.config, block), name)
        return leaves.Settings(block, value, {name: value})

    @property
    def grid_options(self) -> list[str]:
        """The grid and its tile size as options of a command line."""
        return ["--grid", self.grid.name, "--tile-size", str(self.config.grid.tile_size)]

    def atmosphere_options(self, gas: str) -> list[str]:
        """How a file of ``gas`` is made, for a command line: where it may be filled, its station, the years needed."""
        series = self.config.atmosphere.series[gas]
        place = [] if series.latitude is None else ["--latitude", f"{series.latitude:g}"]
        return ["--gas", gas, "--gap", str(series.gap), *place]

    @property
    def atmosphere_years(self) -> list[str]:
        """The years that the series of the atmosphere must cover, for a command line."""
        years = self.raw_years
        return ["--first-year", str(years[0]), "--last-year", str(years[-1])] if years else []

    @property
    def _series_files(self) -> dict[str, str]:
        """Gas -> the file that ingest makes, for the given series that the system reads."""
        return {
            gas: self.paths("ingest", "atmosphere", f"{gas}_global.csv")
            for gas in self.system.series
            if gas in self.atmosphere
        }

    @property
    def series(self) -> list[str]:
        """Files of the atmosphere that the system's slow drivers read."""
        return list(self._series_files.values())

    @property
    def series_options(self) -> list[str]:
        """The same as options of a command line."""
        return [word for gas, path in self._series_files.items() for word in ("--series", f"{gas}={path}")]

    @property
    def bbox(self) -> list[str]:
        """The domain as four numbers for a command line."""
        return [f"{edge:g}" for edge in self.config.domain.bbox]

    @cached_property
    def about(self) -> About:
        """What products say of the run."""
        from .citations import cited_inputs
        from .products.about import About

        inputs = tuple(cited_inputs(self))
        where = self.config.domain.title if self.has_maps else "sites alone"
        return About(self.config.run.name, where, self.is_synthetic, inputs)

    def describe(self) -> str:
        """One sentence: what is run."""
        made = f"{counted(len(self.members), 'member')}{self._training()}, into {self.paths.root}"
        if not self.has_maps:
            return f"{self.system.key} at sites alone, {made}"
        period = self.period
        return (
            f"{self.system.key} on {counted(len(self.tiles), 'tile')} of {self.config.grid.tile_size} degrees "
            f"({self.grid.name}, {sum(self.land.values()):,} land cells), {period.start}-{period.end}, "
            f"{made}"
        )

    def _training(self) -> str:
        """Where the members come from, where it is not plain from the period."""
        years, elsewhere = self.training_years, self.config.train.members_from
        usual = "" if years == self.forcing_years else f" trained on {years[0]}-{years[-1]}"
        return f" of {self.trained}" if elsewhere else usual
