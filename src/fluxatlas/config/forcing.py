"""The block ``forcing`` of the configuration: where the meteorology comes from and how its pieces are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from .base import Block, UnitOverride
from .leaves import leaf


class RainPattern(Block):
    """A daily source whose days share out the precipitation of a month; its own amounts do not matter."""

    source: Literal["era5_land", "era5", "livneh", "mapping"] = "mapping"
    """As forcing.source."""
    path: str | tuple[str, ...] = Field(min_length=1, json_schema_extra=leaf(changes="inputs"))
    """Files of a year, as forcing.path."""
    mapping: str = ""
    """As forcing.mapping."""
    closing: Literal["auto", "always", "never"] = Field("auto", json_schema_extra=leaf(changes="inputs"))
    """As forcing.closing."""
    first_year: int | None = Field(None, ge=1850, le=2200, json_schema_extra=leaf(changes="inputs"))
    """First year of the source; empty: unknown."""
    last_year: int | None = Field(None, ge=1850, le=2200, json_schema_extra=leaf(changes="inputs"))
    """Last year of the source; empty: unknown."""
    overrides: dict[str, UnitOverride] = Field(default_factory=dict)
    """As forcing.overrides."""

    @model_validator(mode="after")
    def _complete(self) -> RainPattern:
        if self.source == "mapping" and not self.mapping:
            raise ValueError("source 'mapping' needs: mapping")
        if self.mapping and self.source != "mapping":
            raise ValueError(f"'mapping' is read with 'source: mapping', not with '{self.source}'")
        return self

    @property
    def opening(self) -> Literal["never"]:
        """Its days are those of UTC: nothing before the year is needed."""
        return "never"

    @property
    def day(self) -> Literal["utc"]:
        """Its days are those of UTC, or of the source."""
        return "utc"


class ForcingBlock(Block):
    """The meteorological forcing: source, files, elevation of its grid, and storage of the pieces."""

    jobs = ("forcing",)

    moved = {
        gas + key: f"atmosphere.series.{gas}.{new}"
        for gas in ("ch4", "co2")
        for key, new in (("", "path"), ("_gap", "gap"), ("_latitude", "latitude"))
    }

    source: Literal["synthetic_earth", "era5_land", "era5", "livneh", "mapping", "sites"] = "synthetic_earth"
    """'synthetic_earth' (makes its own), 'era5_land' or 'era5' (hourly; NetCDF, GRIB, Zarr), 'livneh', 'mapping', or
    'sites': the weather of the sites alone, without a domain, a period and maps (docs/your_data.md)."""
    path: str | tuple[str, ...] = Field("", json_schema_extra=leaf(changes="inputs"))
    """Files of a year: a pattern, or a list, with {year} and, if need be, {month}, {day}, {doy} (001-366) or {hour};
    for 'sites' a table (CSV, Parquet) with daily weather of sites that bring none: site, time and the drivers."""
    fetch: bool = Field(False, json_schema_extra=leaf("fetch_forcing", changes="inputs"))
    """Whether files that are absent are fetched (docs/fetch.md); 'path' is then the folder to fetch to."""
    recipe: str = Field("", json_schema_extra=leaf("fetch_forcing", changes="inputs"))
    """How to fetch: a name in resources/fetch or a YAML file; empty: named like the source or the mapping."""
    mapping: str = ""
    """For 'mapping': the YAML file that describes the data set, or the name of one in resources/mappings."""
    elevation: str = Field("", json_schema_extra=leaf(changes="inputs"))
    """File with the surface altitude [m] or geopotential [m2 s-2] on the grid of the forcing."""
    elevation_variable: str = ""
    """Variable of the elevation file; empty: z, orog, elevation, elev or height, whichever is there."""
    closing: Literal["auto", "always", "never"] = Field("auto", json_schema_extra=leaf(changes="inputs"))
    """Whether the first file of the next year is read too; 'auto': for the synthetic Earth, ERA5(-Land), local days."""
    opening: Literal["auto", "always", "never"] = Field("auto", json_schema_extra=leaf(changes="inputs"))
    """Whether the last file of the previous year is read too; 'auto': for days of local solar time."""
    day: Literal["utc", "local"] = "utc"
    """Which steps make a day, for steps in UTC of up to 6 hours: those of the UTC day or of the local solar day."""
    first_year: int | None = Field(None, ge=1850, le=2200, json_schema_extra=leaf(changes="inputs"))
    """First year in the archive; empty: unknown. Stated, the archive may begin within its first day, whose first step
    then stands for those before it (counted in the pieces)."""
    last_year: int | None = Field(None, ge=1850, le=2200, json_schema_extra=leaf(changes="inputs"))
    """Last year in the archive; empty: unknown."""
    overrides: dict[str, UnitOverride] = Field(default_factory=dict)
    """Raw variables whose unit label is wrong: {name: {units: ..., reason: ...}}."""
    crossing: float = Field(0.05, ge=0.05, le=50)
    """How far [K] tasmin may exceed tas or tasmax, and tas tasmax: up to it they are put in order and counted."""
    rain_pattern: RainPattern | None = None
    """For monthly data: a daily source whose wet days share out the rain of a month; empty: every third day is wet."""
    halo: int = Field(2, ge=1, le=20)
    """Source cells kept around each tile, for interpolation across its edge."""
    fill_cells: int = Field(3, ge=0, le=20)
    """How far from the coast, in source cells, cells without data are filled from their neighbours."""
    compression: Literal["zstd", "zlib"] = Field("zstd", json_schema_extra=leaf(changes="speed"))
    """Codec of the pieces; 'zlib' is larger and slower but every reader knows it."""
    compression_level: int = Field(3, ge=1, le=9, json_schema_extra=leaf(changes="speed"))
    """Effort of the codec."""

    @model_validator(mode="after")
    def _complete(self) -> ForcingBlock:
        if self.first_year and self.last_year and self.first_year > self.last_year:
            raise ValueError(f"the archive starts in {self.first_year} but ends in {self.last_year}")
        if self.source == "synthetic_earth":
            if self.fetch:
                raise ValueError("the synthetic Earth makes its own weather: nothing is to be fetched")
            if unused := self.given("mapping", "recipe", "elevation_variable"):
                raise ValueError(f"the synthetic Earth makes its own weather: '{unused[0]}' does nothing")
            return (
                self  # its path and elevation are filled in for the jobs; config.model refuses them in a configuration
            )
        if self.source == "sites":
            return self._of_sites()
        if self.mapping and self.source != "mapping":
            raise ValueError(f"'mapping' is read with 'source: mapping', not with '{self.source}'")
        if self.fetch and not (isinstance(self.path, str) and "{" not in self.path):
            raise ValueError("with 'fetch' the 'path' is one folder, without placeholders")
        missing = [key for key in ("path", "elevation") if not getattr(self, key)]
        if self.source == "mapping" and not self.mapping:
            missing.append("mapping")
        if missing:
            raise ValueError(f"source '{self.source}' needs: {', '.join(missing)}")
        return self

    def _of_sites(self) -> ForcingBlock:
        """The weather of sites has no grid: what is said of one is refused."""
        if unused := self.given(*(set(type(self).model_fields) - {"source", "path"})):
            raise ValueError(f"with 'source: sites' no grid of weather is read: '{sorted(unused)[0]}' does nothing")
        if not isinstance(self.path, str) or "{" in self.path:
            raise ValueError("with 'source: sites' the 'path' is one table of all years, without placeholders")
        return self

    def years_outside(self, years: Iterable[int]) -> list[int]:
        """The ``years`` that the archive does not hold, as far as its first and last year are known."""
        first, last = self.first_year or 0, self.last_year or 9999
        return [year for year in years if not first <= year <= last]
