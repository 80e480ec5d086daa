"""The block ``infer`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Block


class InferBlock(Block):
    """Application of the members to every cell, tile by tile and year by year."""

    backend: Literal["torch"] = "torch"
    """Engine that evaluates the networks; 'torch' is the reference."""
    regrid: Literal["conservative", "bilinear"] = "bilinear"
    """How the forcing is brought to the target grid on the fly."""
    block_cells: int = Field(384, ge=1, le=100_000)
    """Land cells computed together; few enough for the processor's cache. Does not change the result."""
    time_chunk: int = Field(73, ge=1, le=366)
    """Days computed at a time; more days need more memory. Does not change the result."""
    workers: int = Field(1, ge=1, le=256)
    """Cores of one job. Tiles run side by side anyway: more than 1 helps where tiles are fewer than cores."""
    scheduler: Literal["auto", "serial", "threads", "processes"] = "auto"
    """How blocks share the cores of a job; 'auto': threads for up to 8 workers, else processes."""
    dask_address: str = ""
    """Address of a running Dask scheduler that sees the same files; empty: the cores of the job are used."""
    memory_mb: int = Field(4000, ge=500)
    """Memory a job may use; a job that is predicted to need more is refused before it starts."""
    chunk_days: int = Field(73, ge=1, le=366)
    """Days per chunk of the files."""
    chunk_cells: int = Field(60, ge=1, le=4000)
    """Rows and columns per chunk of the files."""
    compression: Literal["zstd", "zlib"] = "zstd"
    """Codec of the files; 'zlib' is larger and slower but every reader knows it."""
    compression_level: int = Field(3, ge=1, le=9)
    """Effort of the codec."""
