"""The key ``static.lai_series``: leaf area from satellite composites, with rules for their quality bits."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..paths import matches
from .base import Block, Years

ProductName = Literal[
    "auto",
    "MCD15A2H",
    "MCD15A3H",
    "MOD15A2H",
    "MYD15A2H",
    "VNP15A2H",
    "VJ115A2H",
    "VJ215A2H",
    "GIMMS_LAI4g",
    "other",
]
WIDEST = {"modland": 1, "sensor": 1, "dead_detector": 1, "cloud": 3, "scf": 4, "flag": 3}
"""Largest state of each quality field that the products define."""
SUFFIXES = (".tif", ".tiff", ".nc", ".nc4", ".vrt")
"""Kinds of files that are taken from a folder."""


class LaiQuality(Block):
    """States of the quality bits with which a pixel is used; a field that a product lacks is not applied to it."""

    scf: list[int] = Field(default_factory=lambda: [0, 1])
    """Algorithm path SCF_QC: 0 main, 1 main with saturation, 2 and 3 empirical back-up, 4 not produced."""
    cloud: list[int] = Field(default_factory=lambda: [0, 3])
    """Cloud state (MODIS): 0 clear, 1 significant clouds, 2 mixed, 3 not defined, assumed clear."""
    dead_detector: list[int] = Field(default_factory=lambda: [0])
    """0 detectors fine, 1 dead detectors."""
    modland: list[int] = Field(default_factory=lambda: [0, 1])
    """MODLAND_QC (MODIS): 0 good, 1 other (back-up algorithm or fill); says less than 'scf'."""
    sensor: list[int] = Field(default_factory=lambda: [0, 1])
    """MODIS: 0 Terra, 1 Aqua."""
    flag: list[int] = Field(default_factory=lambda: [0, 1])
    """GIMMS LAI4g: 0 good, 1 interpolated in time, 2 from the mean season, 3 missing."""

    @model_validator(mode="after")
    def _known_states(self) -> LaiQuality:
        for name, largest in WIDEST.items():
            states = getattr(self, name)
            if not states or not all(0 <= state <= largest for state in states):
                raise ValueError(f"'{name}' takes one or more states of 0 to {largest} (given: {states})")
        return self


class LaiSeries(Block):
    """Satellite leaf area, one composite per 4 days to a month, from which the monthly climatology is made."""

    path: list[str] = Field(min_length=1)
    """Files, folders or patterns with * and ?: one GeoTIFF per date, stacks of bands named by date, NetCDF stacks."""
    product: ProductName = "auto"
    """What it is: sets windows, scale, fill codes and quality bits; 'auto': by names and titles of the files."""
    years: Years = None
    """First and last year of the climatology; left out: every year that the files hold."""
    window: Literal["auto", "4_days", "8_days", "dekad", "half_month", "month"] = "auto"
    """What one composite covers; days count from 1 January (the last of a year is short). 'auto': the product's."""
    date_format: str = ""
    """Where the date stands in a file name, such as 'LAI_%Y%j'; empty: found by itself."""
    variable: str = ""
    """Variable of a NetCDF file; empty: the product's."""
    band: int = Field(0, ge=0)
    """Band of leaf area in a GeoTIFF with several bands per date; 0: by their descriptions."""
    quality_variable: str = "FparLai_QC"
    """Variable of a NetCDF file, or part of the name of a GeoTIFF, that holds the quality byte."""
    quality_path: list[str] = Field(default_factory=list)
    """Files of the quality bytes; empty: beside those of leaf area, or in the same file."""
    quality_band: int = Field(0, ge=0)
    """Band of the quality byte in a GeoTIFF with several bands per date; 0: by their descriptions."""
    use_quality: bool = True
    """False: take every pixel that has a value, and say so."""
    quality: LaiQuality = Field(default_factory=LaiQuality)
    """Which pixels are used."""
    leafless: list[int] = Field(default_factory=list)
    """Fill codes that are read as no leaf area, such as [252, 253] (snow and ice, barren); else they are missing."""
    scale: float | None = Field(None, gt=0)
    """Factor on the stored values; left out: what the file or product declares."""
    nodata: list[float] = Field(default_factory=list)
    """Stored values that mean missing, beside the codes that file and product declare."""
    units: str = ""
    """Replaces the unit that a NetCDF file states, which must be that of leaf area (m2 m-2)."""
    minimum_dates: float = Field(90.0, gt=0, le=100)
    """Composites that must be there, of those that the years have [%]."""
    minimum_share: float = Field(5.0, gt=0, le=100)
    """A month of a cell is known where accepted pixels cover this share of its area and days, over all years [%]."""
    fill_months: int = Field(2, ge=0, le=10)
    """Gaps of the climatology up to this length are filled linearly between the months around them."""
    long_gaps: Literal["unknown", "lowest_month"] = "unknown"
    """Longer gaps: the cell stays unknown, or takes its lowest month where at least six are known (polar winters)."""

    @field_validator("path", "quality_path", "nodata", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: object) -> object:
        return [given] if isinstance(given, (str, int, float)) else given

    @model_validator(mode="after")
    def _consistent(self) -> LaiSeries:
        if self.product == "other" and self.window == "auto":
            raise ValueError("product 'other' needs a 'window'")
        if self.date_format and not (
            "%Y" in self.date_format and ("%j" in self.date_format or "%m" in self.date_format)
        ):
            raise ValueError("'date_format' needs %Y and either %j or %m (with %d)")
        return self


def expand(patterns: list[str]) -> list[Path]:
    """Files of paths, folders and patterns, each once and sorted; what is not there is left out."""
    found: set[Path] = set()
    for pattern in patterns:
        for name in matches(pattern):
            path = Path(name)
            if path.is_dir():
                found |= {member for member in path.iterdir() if member.suffix.lower() in SUFFIXES}
            elif path.is_file():
                found.add(path)
    return sorted(found)


def lai_inputs(series: LaiSeries) -> list[str]:
    """Files that ``series`` may read; a plain path that is not there is kept, so that its absence is seen."""
    plain = [p for p in (*series.path, *series.quality_path) if not has_magic(p) and not Path(p).is_dir()]
    found = expand([*series.path, *series.quality_path])
    beside: list[Path] = []
    if series.use_quality and not series.quality_path:
        folders = sorted({str(path.parent) for path in found})
        beside = [path for path in expand(folders) if series.quality_variable.lower() in path.name.lower()]
    return list(dict.fromkeys([*map(str, found), *map(str, beside), *plain]))
