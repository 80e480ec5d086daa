"""The block ``products`` of the configuration."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator

from .address import Address
from .base import Block
from .leaves import leaf


class ProductsBlock(Block):
    """Settings of the stage ``products``: files for users, made from the tiles."""

    variables: list[str] = Field(default_factory=list, json_schema_extra=leaf(why="decides which files there are"))
    """Daily variables to publish; an empty list means every output of the system."""
    monthly: bool = Field(True, json_schema_extra=leaf("maps", changes="inputs"))
    """Make a map (COG) of each month's mean beside the annual one."""
    compression: Literal["zstd", "zlib"] = Field("zlib", json_schema_extra=leaf("daily", "maps", "ease", "per_cell"))
    """Compression of daily files and maps; zlib (deflate): every tool reads it; zstd: faster, but many lack it."""
    level: int = Field(3, ge=1, le=9, json_schema_extra=leaf("daily", "maps", "ease", "per_cell"))
    """Compression level of the daily NetCDF and of the maps."""
    chunks: tuple[int, int, int] = Field((73, 60, 60), json_schema_extra=leaf("daily", "maps", "ease", "per_cell"))
    """Chunk of the daily NetCDF in days, rows and columns; the default serves both maps and time series."""
    map_type: Literal["float32", "int16"] = Field("float32", json_schema_extra=leaf("maps"))
    """Numbers in the maps: float32 as they are, or int16 with the scale and offset of the daily product."""
    ease_grid: Literal["", "36 km", "25 km", "9 km", "3 km", "1 km"] = Field("", json_schema_extra=leaf("ease"))
    """Write the daily product on this global EASE-Grid 2.0 (EPSG:6933) too, as means by area; empty: not."""
    zones: list[float] = Field(
        default_factory=lambda: [-90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0], json_schema_extra=leaf("budget")
    )
    """Edges in degrees north of the latitude zones of the budget, ascending, from -90 to 90."""
    dask_address: Address = Field("", json_schema_extra=leaf("daily", "budget", changes="speed"))
    """Address of a running Dask scheduler whose workers read the tiles for daily files and budgets (docs/cluster.md);
    they see the same files under the same absolute paths. Empty: the job reads them itself. Does not change results."""
    title: str = Field("", json_schema_extra=leaf("daily", "stac"))
    """Title of the product; empty means the title of the system."""
    creator: str = Field("fluxatlas", json_schema_extra=leaf("daily", "stac"))
    """Name of the person or group that makes the product."""
    creator_email: str = Field("", json_schema_extra=leaf("daily"))
    """Address for questions about the product."""
    creator_url: str = Field("", json_schema_extra=leaf("daily", "stac"))
    """Page of the creator."""
    institution: str = Field("", json_schema_extra=leaf("daily"))
    """Institution of the creator."""
    license: str = Field("CC-BY-4.0", json_schema_extra=leaf("daily", "stac"))
    """Licence of the product, as an SPDX identifier."""
    references: str = Field("", json_schema_extra=leaf("daily"))
    """Publication to cite."""

    @field_validator("zones")
    @classmethod
    def _edges_cover_the_globe(cls, edges: list[float]) -> list[float]:
        if edges[:1] != [-90.0] or edges[-1:] != [90.0] or any(a >= b for a, b in pairwise(edges)):
            raise ValueError(f"{edges} must ascend from -90 to 90, so that every cell lies in one zone")
        return edges

    @field_validator("chunks")
    @classmethod
    def _chunks_hold_something(cls, chunks: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(chunks) < 1:
            raise ValueError(f"{chunks}: a chunk has at least one day, row and column")
        return chunks
