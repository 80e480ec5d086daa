"""A run: what the configuration implies for the workflow (tiles, years, files, settings of each stage).

The Snakefile, ``plan`` and ``status`` all ask this one class, which imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from . import freshness
from .config import leaves
from .config.model import Config, block_of
from .errors import ConfigError
from .grid import Grid, Tile, get_grid
from .paths import RunPaths
from .systems import System, get_system

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


class Run:
    """Everything the workflow needs to know about one configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.paths = RunPaths(Path(config.run.results) / config.run.name)
        self.grid: Grid = get_grid(config.grid.name)
        self.system: System = get_system(config.system)
        self.years = list(config.period.years)

    @property
    def is_synthetic(self) -> bool:
        """Whether the world is made up, so that raw files and the truth can be made."""
        return self.config.forcing.source == "synthetic_earth"

    @property
    def has_truth(self) -> bool:
        """Whether the truth behind the made-up world is known for this system."""
        return self.is_synthetic and self.system.truth is not None

    @property
    def has_synthetic_sites(self) -> bool:
        """Whether the sites are those of the made-up world."""
        return self.has_truth and not self.config.sites.entries

    @cached_property
    def land(self) -> dict[str, int]:
        """Land cells by tile, for tiles of the domain with any; raises :class:`ConfigError` if there are none."""
        from .regrid.land import land_tiles

        found = dict(land_tiles(self.grid, self.config.grid.tile_size, self.config.domain.bbox))
        if not found:
            raise ConfigError(f"the domain {self.config.domain.bbox} holds no land", hint="correct the block 'domain'")
        return found

    @property
    def tiles(self) -> list[str]:
        """Names of the tiles with land, north-west first."""
        return list(self.land)

    def tile(self, name: str) -> Tile:
        """The tile called ``name``."""
        return self.grid.tile(name, self.config.grid.tile_size)

    @property
    def forcing_years(self) -> list[int]:
        """Years whose forcing the product needs, spin-up included."""
        return self.config.period.forcing_years

    @cached_property
    def training_years(self) -> list[int]:
        """Years of forcing that training reads: ``train.years``, else those of the first training of this run.

        A run that is not trained yet takes all years of its period.
        """
        if self.config.train.years:
            first, last = self.config.train.years
            return list(range(first, last + 1))
        return freshness.recorded_years(self.paths("regrid")) or self.forcing_years

    @property
    def raw_years(self) -> list[int]:
        """Years whose raw forcing is read, for the product or for training."""
        return sorted({*self.forcing_years, *self.training_years})

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
        """Whether a tile-year is no older than all that it is made of but the state that it begins with."""
        made = (self.paths.flux(tile, year), self.paths.state(tile, year))
        history = self.paths.history(self.history(year - 1))
        return freshness.is_current(made, (history, self.paths.attributes(tile), self.paths.forcing(tile, year)))

    def holds_the_same(self, path: str, year: int) -> bool:
        """Whether a raw file of ``year`` has a new time stamp but the bytes that the pieces of the year are made of."""
        digests = self.paths("ingest", "forcing", "digests", f"{year}.json")
        return not self.is_synthetic and freshness.holds_the_same(path, digests)

    # --- what is read -------------------------------------------------------------------------------------------

    @property
    def raw(self) -> str:
        """Folder of the raw files that the synthetic Earth writes."""
        return self.paths("ingest", "raw")

    def files_of_year(self, year: int) -> list[str]:
        """Every raw file that the pieces of ``year`` are made of."""
        from .ingest.inputs import pattern_inputs

        pattern = pattern_inputs(self.config.forcing.rain_pattern, year)
        own = self.forcing_files(year) + self.neighbour_files(year)
        return list(dict.fromkeys(own + pattern + self.elevation_files))

    def forcing_files(self, year: int) -> list[str]:
        """Raw forcing files of ``year``."""
        from .ingest.inputs import forcing_inputs

        return forcing_inputs(self.forcing, year)

    def neighbour_files(self, year: int) -> list[str]:
        """The raw files with the steps just before and after ``year`` that its days need; often none."""
        from .ingest.inputs import neighbour_inputs

        return neighbour_inputs(self.forcing, year)

    @cached_property
    def archive(self) -> Any:
        """The folder that the forcing is fetched to; ``None`` where nothing is to be fetched."""
        from .fetch.forcing import ForcingArchive

        return ForcingArchive(self.config.forcing) if self.config.forcing.fetch else None

    @cached_property
    def absent_forcing(self) -> list[str]:
        """Names of the forcing files that have to be fetched."""
        if not self.archive:
            return []
        years = self.raw_years
        return self.archive.absent(name for y in years for name in self.forcing_files(y) + self.neighbour_files(y))

    @property
    def fetch_options(self) -> list[str]:
        """Recipe, folder, years and box of what is fetched, for a command line: one box around all tiles."""
        edges = list(zip(*(self.tile(name).bbox for name in self.tiles), strict=True))
        box = f"{min(edges[0])} {min(edges[1])} {max(edges[2])} {max(edges[3])}"
        years = f"{self.raw_years[0] - 1}-{self.raw_years[-1] + 1}"
        return [self.archive.name, "--output-dir", self.archive.folder, "--years", years, "--bbox", box]

    @property
    def elevation_files(self) -> list[str]:
        """The file with the altitude of the forcing's grid, as a list of one or none."""
        return [self.forcing.elevation] if self.forcing.elevation else []

    @cached_property
    def forcing(self) -> Any:
        """The forcing block with its paths filled in."""
        if self.archive:
            return self.config.forcing.model_copy(update={"path": self.archive.patterns, "fetch": False})
        if not self.is_synthetic:
            return self.config.forcing
        return self.config.forcing.model_copy(
            update={
                "path": f"{self.raw}/era5_land/{{year}}_{{month}}.nc",
                "elevation": f"{self.raw}/era5_land/geopotential.nc",
            }
        )

    @cached_property
    def static(self) -> Any:
        """The static block with its paths filled in."""
        from .config.static import static_for_synthetic_earth

        return static_for_synthetic_earth(f"{self.raw}/static") if self.is_synthetic else self.config.static

    @cached_property
    def static_files(self) -> list[str]:
        """Raw static layers."""
        from .config.static import static_inputs

        return static_inputs(self.static)

    @cached_property
    def sites(self) -> Any:
        """The sites block with its paths filled in."""
        from .config.sites import sites_for_synthetic_earth

        qc = self.config.sites.qc
        limits = {kind.variable: kind.limits for kind in self.system.observations if kind.limits} | dict(qc.limits)
        sites = self.config.sites.model_copy(update={"qc": qc.model_copy(update={"limits": limits})})
        return sites_for_synthetic_earth(f"{self.raw}/sites", sites) if self.has_synthetic_sites else sites

    @cached_property
    def synthesize(self) -> Any:
        """The synthesize block with the forms that the hidden truth of the synthetic Earth withholds."""
        block = self.config.synthesize
        if block.exclude is not None or not self.has_truth:
            return block
        return block.model_copy(update={"exclude": dict(self.system.withheld)})

    @property
    def synthetic_site_files(self) -> list[str]:
        """Raw site files of the synthetic Earth: the list of towers, a file per tower, the chamber table."""
        names = self.config.synthetic_earth.site_files(self.training_years[0], self.training_years[-1])
        return [f"{self.raw}/sites/{name}" for name in names]

    @cached_property
    def site_files(self) -> list[str]:
        """Raw site files."""
        from .ingest.sites.inputs import site_inputs

        return self.synthetic_site_files if self.has_synthetic_sites else site_inputs(self.sites)

    @property
    def region_files(self) -> list[str]:
        """Files of the regions of the budget."""
        from .config.regions import region_inputs

        return region_inputs(self.config.regions)

    @property
    def constraints(self) -> list[str]:
        """Names of the gridded constraints."""
        return list(self.config.constraints.sets)

    def constraint_files(self, name: str) -> list[str]:
        """Raw files of a gridded constraint; its patterns themselves where no file matches."""
        from .config.constraints import constraint_inputs

        constraint = self.config.constraints.sets[name]
        return constraint_inputs(constraint) or constraint.path

    def constraint_settings(self, name: str) -> str:
        """One gridded constraint as JSON for ``--settings``."""
        return json.dumps(self.config.constraints.sets[name].model_dump(mode="json"), sort_keys=True)

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
    def variables(self) -> list[str]:
        """Daily variables of the product."""
        return list(self.config.products.variables or self.system.outputs)

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
        towers = ["towers"] if self.tower_variables else []
        return ["skill", *towers, "seams", *(["truth"] if self.has_truth else [])]

    @property
    def figures(self) -> list[str]:
        """Figures to draw; those that need the truth only where there is one."""
        from .report.catalogue import FIGURES

        wanted = self.config.report.figures
        lacking = set() if self.has_truth else {"truth"}
        lacking |= set() if self.tower_variables else {"towers"}
        lacking |= set() if self.fluxes else {"daily"}
        return [name for name in wanted if not lacking & set(FIGURES[name].needs)]

    # --- what a rule hands on -----------------------------------------------------------------------------------

    def settings(self, job: str) -> leaves.Settings:
        """The leaves that ``job`` reads as JSON for ``--settings``; see :mod:`fluxatlas.config.leaves`."""
        name = block_of(job)
        block = getattr(self if name in ("forcing", "static", "sites", "synthesize") else self.config, name)
        if name == "train":  # folds depend on the members: what counts is their number
            block = block.model_copy(update={"folds": block.n_folds})
        return leaves.Settings(name, leaves.handed(block, job), leaves.recorded(block, job))

    @property
    def grid_options(self) -> list[str]:
        """The grid and its tile size as options of a command line."""
        return ["--grid", self.grid.name, "--tile-size", str(self.config.grid.tile_size)]

    @property
    def atmosphere(self) -> dict[str, str]:
        """Gas -> the provider's file of its mole fraction, where one is given."""
        return {gas: series.path for gas, series in self.config.atmosphere.series.items()}

    def atmosphere_options(self, gas: str) -> list[str]:
        """How a file of ``gas`` is made, for a command line: where it may be filled, its station, the years needed."""
        series = self.config.atmosphere.series[gas]
        place = [] if series.latitude is None else ["--latitude", f"{series.latitude:g}"]
        return ["--gas", gas, "--gap", str(series.gap), *place]

    @property
    def atmosphere_years(self) -> list[str]:
        """The years that the series of the atmosphere must cover, for a command line."""
        return ["--first-year", str(self.raw_years[0]), "--last-year", str(self.raw_years[-1])]

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

    def describe(self) -> str:
        """One sentence: what is run."""
        period = self.config.period
        return (
            f"{self.system.key} on {len(self.tiles)} tiles of {self.config.grid.tile_size} degrees "
            f"({self.grid.name}, {sum(self.land.values()):,} land cells), {period.start}-{period.end}, "
            f"{len(self.members)} members{self._training()}, into {self.paths.root}"
        )

    def _training(self) -> str:
        """Where the members come from, where it is not plain from the period."""
        years, elsewhere = self.training_years, self.config.train.members_from
        usual = "" if years == self.forcing_years else f" trained on {years[0]}-{years[-1]}"
        return f" of {self.trained}" if elsewhere else usual
