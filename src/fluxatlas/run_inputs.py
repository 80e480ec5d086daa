"""The raw files that a run reads, and for which tiles and years."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from . import freshness
from .config.model import Config
from .config.run import PeriodBlock
from .errors import ConfigError
from .grid import Grid, Tile, get_grid
from .paths import RunPaths, refuse_wildcards
from .systems import System, get_system
from .train.phases import phases_apart


class RunInputs:
    """What one configuration reads: tiles, years, files. Imports nothing heavy."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.paths = RunPaths(Path(config.run.results) / config.run.name)
        self.grid: Grid = get_grid(config.grid.name)
        self.system: System = get_system(config.system)
        self.period = config.period or PeriodBlock.none()
        self.years = list(self.period.years)

    @property
    def is_synthetic(self) -> bool:
        """Whether the world is made up, so that raw files and the truth can be made."""
        return self.config.forcing.source == "synthetic_earth"

    @property
    def has_maps(self) -> bool:
        """Whether anything is run over a grid; else the run is at sites alone and has neither tiles nor years."""
        return self.config.has_maps

    def refuse_without_maps(self) -> None:
        """Raise :class:`ConfigError` where the run is at sites alone."""
        if not self.has_maps:
            hint = "give the weather of a domain (docs/your_data.md), or ask for what is made at sites"
            raise ConfigError("the run is at sites alone and makes no maps", where="forcing.source: sites", hint=hint)

    @property
    def has_truth(self) -> bool:
        """Whether the truth behind the made-up world is known for this system."""
        return self.is_synthetic and self.system.truth is not None

    @property
    def has_synthetic_sites(self) -> bool:
        """Whether the sites are those of the made-up world."""
        return self.has_truth and not (self.config.sites.entries or self.config.sites.yields)

    @property
    def variables(self) -> list[str]:
        """Daily variables of the product."""
        return list(self.config.products.variables or self.system.outputs)

    @property
    def published(self) -> list[str]:
        """Variables that have daily files: :attr:`variables`, and fluxes per area of the whole cell made of them."""
        return [*self.variables, *(flux.per_cell for flux in self.system.fluxes if flux.per_cell)]

    @property
    def factor_pieces(self) -> list[str]:
        """Forcing of `snakemake factors`; raises :class:`ConfigError` for a system without a store and for one year."""
        self.refuse_without_maps()
        if not self.system.storage:
            raise ConfigError(
                f"{self.system.name} declares no store", hint="`snakemake factors` needs a system with one"
            )
        if len(self.years) < 2:
            hint = "take a longer 'period', best of whole rotations"
            raise ConfigError("the change of a store is not given of a single year", where="period", hint=hint)
        return [self.paths.forcing(tile, year) for tile in self.tiles for year in self.years]

    @property
    def yield_tables(self) -> dict[str, str]:
        """The tables of `snakemake yields` by crop; raises :class:`ConfigError` without any."""
        tables = {str(crop): path for crop, path in self.config.evaluate.yield_tables.items()}
        if not tables:
            hint = "give evaluate.yield_tables, such as {maize: grain_maize_US.csv} (docs/crop_carbon.md)"
            raise ConfigError("no table of yields is named", hint=hint)
        return tables

    def yield_table(self, crop: str) -> str:
        """The table of ``crop``; raises :class:`ConfigError` where none is named."""
        tables = self.yield_tables
        if crop not in tables:
            hint = f"give evaluate.yield_tables.{crop}, or ask for {' or '.join(tables)}"
            raise ConfigError(f"no table of yields of {crop} is named", where="evaluate.yield_tables", hint=hint)
        return tables[crop]

    @property
    def overpass_files(self) -> tuple[str, str]:
        """The table of `snakemake overpasses` and its list of towers; raises :class:`ConfigError` without them."""
        block = self.config.evaluate
        if not (block.overpass_table and block.overpass_places):
            hint = "give evaluate.overpass_table and evaluate.overpass_places (docs/soil_moisture_energy.md)"
            raise ConfigError("no table of overpasses and its list of towers are named", hint=hint)
        return block.overpass_table, block.overpass_places

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases of training that are jobs of their own (:func:`~.train.phases.phases_apart`)."""
        if self.config.train.members_from or self.config.regional.constraint:
            return ()
        return tuple(phase.name for phase in phases_apart(self.system, self.config.train))

    @cached_property
    def land(self) -> dict[str, int]:
        """Land cells by tile, for tiles of the domain with any; raises :class:`ConfigError` if there are none."""
        from .regrid.land import land_tiles

        if not self.has_maps:
            return {}
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
        return self.period.forcing_years

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
    def years_file(self) -> list[str]:
        """The record of the years of forcing that tables of sites hold, as a list of one, or none without a grid."""
        years = self.training_years
        return [self.paths("regrid", freshness.years_record(years))] if years else []

    @property
    def regional_years(self) -> list[int]:
        """Years of forcing at the points of regions; none where training is held to no sums of regions."""
        years = self.config.regional.years
        if not self.config.regional.constraint:
            return []
        return list(range(years[0], years[1] + 1)) if years else self.training_years

    @property
    def raw_years(self) -> list[int]:
        """Years whose raw forcing is read, for the product or for training."""
        return sorted({*self.forcing_years, *self.training_years, *self.regional_years})

    # --- what is read -------------------------------------------------------------------------------------------

    @property
    def raw(self) -> str:
        """Folder of the raw files that the synthetic Earth writes."""
        return self.paths("ingest", "raw")

    def files_of_year(self, year: int) -> list[str]:
        """Every raw file that the pieces of ``year`` are made of, and of a Zarr store the file that changed last."""
        from .ingest.inputs import pattern_inputs

        pattern = pattern_inputs(self.config.forcing.rain_pattern, year)
        own = self.forcing_files(year) + self.neighbour_files(year)
        return freshness.with_contents(dict.fromkeys(own + pattern + self.elevation_files))

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
    def site_weather(self) -> list[str]:
        """The table with weather of sites in a run at sites alone, as a list of one or none."""
        return [str(self.forcing.path)] if not self.has_maps and self.forcing.path else []

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

        block = self.config.sites
        sites = block.model_copy(update={"qc": rules_of(self.system, block.qc)})
        if not self.has_synthetic_sites:
            return sites
        towers, chambers = self.system.measured_by("tower"), bool(self.system.measured_by("chamber"))
        crops: Any = dict.fromkeys(self.system.grown)
        return sites_for_synthetic_earth(f"{self.raw}/sites", sites, towers=towers, chambers=chambers, crops=crops)

    @property
    def synthetic_site_files(self) -> list[str]:
        """Raw site files of the synthetic Earth: the list of towers, a file per tower, tables of chambers and of
        yields if any."""
        years, chambers = self.training_years, bool(self.system.measured_by("chamber"))
        names = self.config.synthetic_earth.site_files(years[0], years[-1], chambers, bool(self.system.grown))
        return [f"{self.raw}/sites/{name}" for name in names]

    @cached_property
    def site_files(self) -> list[str]:
        """Raw site files."""
        from .ingest.sites.inputs import site_inputs

        if not self.has_synthetic_sites:
            return site_inputs(self.sites)
        return [*self.synthetic_site_files, *site_inputs(self.sites.model_copy(update={"entries": [], "yields": []}))]

    @cached_property
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

    @property
    def synthetic_inversions(self) -> list[str]:
        """Pseudo-inversions of the synthetic Earth and their fire, where a constraint is made of one of them."""
        from .config.synthetic_earth import FIRE_FILE, INVERSION_FILE

        files = [f"{self.raw}/inversions/{name}" for name in (INVERSION_FILE, FIRE_FILE)]
        read = {path for constraint in self.config.constraints.sets.values() for path in constraint.path}
        return files if self.has_truth and self.regional_years and read & set(files) else []

    def constraint_inputs(self, name: str) -> list[str]:
        """The files of :meth:`constraint_files`, and of a Zarr store the file that changed last."""
        return freshness.with_contents(self.constraint_files(name))

    @property
    def atmosphere(self) -> dict[str, str]:
        """Gas -> the provider's file of its mole fraction, where one is given."""
        return {gas: series.path for gas, series in self.config.atmosphere.series.items()}

    def refuse_wildcards(self) -> None:
        """Raise :class:`ConfigError` for raw files that the workflow cannot name, those of the forcing aside."""
        refuse_wildcards("static", self.static_files)
        refuse_wildcards("sites.entries", self.site_files)
        refuse_wildcards("regions.maps", self.region_files)
        for gas, path in self.atmosphere.items():
            refuse_wildcards(f"atmosphere.series.{gas}", [path])
        tables = [one for one in self.config.regional.corrections.values() if one not in self.config.constraints.sets]
        refuse_wildcards("regional.corrections", tables)
        for name in self.constraints:
            refuse_wildcards(f"constraints.sets.{name}", self.constraint_files(name))


def rules_of(system: System, rules: Any) -> Any:
    """Quality control ``rules`` (:class:`~fluxatlas.config.sites.QcRules`) with what they leave to ``system``."""
    kinds = system.observations
    limits = {kind.measured or kind.variable: kind.limits for kind in kinds if kind.limits} | dict(rules.limits)
    cover = {kind.measured or kind.variable: list(kind.other_cover) for kind in kinds}
    cover = {name: classes for name, classes in cover.items() if name not in rules.limits}
    cover = {name: classes for name, classes in cover.items() if classes} | dict(rules.other_cover)
    taken = {kind.measured: kind.variable for kind in kinds if kind.measured} | dict(rules.taken_as)
    return rules.model_copy(update={"limits": limits, "other_cover": cover, "taken_as": taken})
