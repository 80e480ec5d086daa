"""The block ``regions`` of the configuration: maps of regions whose budgets are given beside zones and biomes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from .base import Block

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg")
TAKEN = ("global", "zone", "biome", "lat", "lon")
"""Kinds of region that the budget has anyway, and names of coordinates."""


class RegionMap(Block):
    """One map of regions: polygons (shapefile, GeoPackage, GeoJSON ...), or a GeoTIFF or NetCDF file of codes."""

    path: str = Field(min_length=1)
    """The file; .tif, .tiff, .vrt, .nc and .nc4 are maps of codes, everything else is read as polygons."""
    field: str = ""
    """Polygons: the attribute that names the region; equal names make one region; empty: the only shape."""
    layer: str = ""
    """Polygons: the layer of a file with several."""
    crs: str = ""
    """Polygons: projection of a file that does not state it, such as 'EPSG:4326'."""
    encoding: str = ""
    """Polygons: text encoding of the attributes where the file does not state it rightly, such as 'cp1252'."""
    overlaps: Literal["refuse", "first", "last", "smallest"] = "refuse"
    """Polygons: to which of two regions the area goes that both claim (in the order of the file, or by size)."""
    variable: str = ""
    """NetCDF: the variable of codes; empty: the only one on latitude and longitude."""
    select: dict[str, int] = Field(default_factory=dict)
    """NetCDF: positions along further dimensions, such as {time: 0}."""
    band: int = Field(1, ge=1)
    """GeoTIFF: the band of codes."""
    nodata: float | None = None
    """Codes: the one that means no region; left out: what the file declares, and 0 where it has no name."""
    names: str = ""
    """Codes: a CSV file with the columns 'code' and 'name'; empty: 'flag_meanings', else 'region <code>'."""


class RegionsBlock(Block):
    """Regions of the budget beside latitude zones and biomes: countries, TransCom regions, ecoregions, basins."""

    jobs = ("regions",)

    maps: dict[str, RegionMap] = Field(default_factory=dict)
    """Maps by a name of your choice (letters, digits, '_'), which becomes the 'region_kind' of the budget."""

    @field_validator("maps")
    @classmethod
    def _names(cls, maps: dict[str, RegionMap]) -> dict[str, RegionMap]:
        bad = [name for name in maps if not NAME.fullmatch(name) or name in TAKEN]
        if bad:
            raise ValueError(f"'{bad[0]}' cannot name a map of regions: use letters, digits and '_', none of {TAKEN}")
        return maps


def region_inputs(block: RegionsBlock) -> list[str]:
    """Every file that the block reads, each once; of a shapefile also the parts that lie beside it."""
    paths = [path for found in block.maps.values() for path in (found.path, found.names) if path]
    parts = [Path(path).with_suffix(s) for path in paths if path.lower().endswith(".shp") for s in SHAPEFILE_PARTS]
    return list(dict.fromkeys([*paths, *(str(part) for part in parts if part.is_file())]))
