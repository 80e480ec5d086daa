"""A run: what the configuration implies for the workflow (tiles, years, files, settings of each stage).

The Snakefile, ``plan`` and ``status`` all ask this one class, which imports nothing heavy.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from .config.model import Config
from .errors import ConfigError
from .grid import Grid, Tile, get_grid
from .paths import RunPaths
from .systems import System, get_system

STAGE_VERSIONS = {
    "ingest": 1,
    "regrid": 1,
    "synthesize": 1,
    "train": 1,
    "infer": 1,
    "products": 1,
    "evaluate": 1,
    "report": 1,
}
"""Raise the number of a stage when its science changes: everything that it made is then stale."""


class Run:
    """Everything the workflow needs to know about one configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.paths = RunPaths(Path(config.run.results) / config.run.name)
        self.grid: Grid = get_grid(config.grid.name)
        self.system: System = get_system(config.system)
        self.members = list(range(config.train.members))
        self.years = list(config.period.years)

    @property
    def is_synthetic(self) -> bool:
        """Whether the world is made up, so that raw files and the truth can be made."""
        return self.config.forcing.source == "synthetic_earth"

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
        """Years whose forcing is needed, spin-up included."""
        return self.config.period.forcing_years

    # --- what is read -------------------------------------------------------------------------------------------

    @property
    def raw(self) -> str:
        """Folder of the raw files that the synthetic Earth writes."""
        return self.paths("ingest", "raw")

    def forcing_files(self, year: int) -> list[str]:
        """Raw forcing files of ``year``."""
        from .ingest.inputs import forcing_inputs

        return forcing_inputs(self.forcing, year)

    def closing_file(self, year: int) -> list[str]:
        """The raw file with the first step after ``year``, as a list of one, or an empty list where none is needed."""
        from .ingest.inputs import closing_input

        found = closing_input(self.forcing, year)
        return [found] if found else []

    @property
    def elevation_files(self) -> list[str]:
        """The file with the altitude of the forcing's grid, as a list of one or none."""
        return [self.forcing.elevation] if self.forcing.elevation else []

    @cached_property
    def forcing(self) -> Any:
        """The forcing block with its paths filled in."""
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

    # --- what a rule hands on -----------------------------------------------------------------------------------

    def settings(self, stage: str, *leaves: str) -> str:
        """The block of ``stage`` (or only ``leaves`` of it) as JSON for ``--settings``."""
        block = {"forcing": self.forcing, "static": self.static}.get(stage) if stage in ("forcing", "static") else None
        data = (block or getattr(self.config, stage)).model_dump(mode="json")
        return json.dumps({k: data[k] for k in leaves} if leaves else data, sort_keys=True)

    @property
    def grid_options(self) -> str:
        """The grid and its tile size as options of a command line."""
        return f"--grid {self.grid.name} --tile-size {self.config.grid.tile_size}"

    @property
    def bbox(self) -> str:
        """The domain as four numbers for a command line."""
        return " ".join(f"{edge:g}" for edge in self.config.domain.bbox)

    def describe(self) -> str:
        """One sentence: what is run."""
        period = self.config.period
        return (
            f"{self.system.name} on {len(self.tiles)} tiles of {self.config.grid.tile_size} degrees "
            f"({self.grid.name}, {sum(self.land.values()):,} land cells), {period.start}-{period.end}, "
            f"{len(self.members)} members, into {self.paths.root}"
        )
