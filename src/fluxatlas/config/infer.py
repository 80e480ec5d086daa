"""The block ``infer`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .address import Address
from .base import Block
from .leaves import leaf


class InferBlock(Block):
    """Application of the members to every cell, tile by tile and year by year."""

    jobs = ("spinup", "infer")

    moved = {"backend": "infer.engine"}

    ensemble: Literal["exact", "student"] = Field("exact", json_schema_extra=leaf(changes="inputs"))
    """'exact' runs every member; 'student' one network that has learned to give what all of them give. Where its error
    at places that it never saw is above a tenth of the 90 % interval, the members run all the same, with a message."""
    student_steps: int = Field(4000, ge=1, le=1_000_000, json_schema_extra=leaf("student"))
    """Optimiser steps of the student, 32 series each."""
    student_seed: int = Field(1, ge=0, json_schema_extra=leaf("student"))
    """Seed of the student, and of the spatial blocks that are held out of its learning."""
    engine: Literal["auto", "torch", "fused"] = Field("auto", json_schema_extra=leaf(changes="speed"))
    """What evaluates the networks: 'torch', the reference; 'fused', compiled code, equal within 1e-4 of an output's
    standard deviation, which each job checks; 'auto': fused where it can, else torch. A change reruns no job."""
    forms: dict[str, str] = {}
    """Forms of the process model that the networks are told of all cells, by structural choice, such as {rotation:
    wheat}; left out: those that they carry, which are the defaults of the system or were calibrated."""
    regrid: Literal["conservative", "bilinear"] = "bilinear"
    """How the forcing is regridded to the target grid on the fly."""
    block_cells: int = Field(384, ge=1, le=100_000, json_schema_extra=leaf(changes="speed"))
    """Land cells computed together; few enough for the processor's cache. Does not change the result."""
    time_chunk: int = Field(73, ge=1, le=366, json_schema_extra=leaf(changes="speed"))
    """Days computed at a time; more days need more memory. Does not change the result."""
    workers: int = Field(1, ge=1, le=256, json_schema_extra=leaf(changes="speed"))
    """Cores of one job. Tiles run side by side anyway: more than 1 helps where tiles are fewer than cores."""
    scheduler: Literal["auto", "serial", "threads", "processes"] = Field(
        "auto", json_schema_extra=leaf(changes="speed")
    )
    """How blocks share the cores of a job; 'auto': threads for up to 8 workers, else processes."""
    dask_address: Address = Field("", json_schema_extra=leaf(changes="speed"))
    """Address of a running Dask scheduler that sees the same files: tls://host:port, or tcp:// on this machine alone,
    since who reaches it can run code; empty: the cores of the job are used."""
    memory_mb: int = Field(4000, ge=500, json_schema_extra=leaf(changes="speed"))
    """Memory a job may use; a job that is predicted to need more is refused before it starts."""
    chunk_days: int = Field(73, ge=1, le=366, json_schema_extra=leaf(changes="speed"))
    """Days per chunk of the files."""
    chunk_cells: int = Field(60, ge=1, le=4000, json_schema_extra=leaf(changes="speed"))
    """Rows and columns per chunk of the files."""
    compression: Literal["zstd", "zlib"] = Field("zstd", json_schema_extra=leaf(changes="speed"))
    """Codec of the files; 'zlib' is larger and slower but every reader knows it."""
    compression_level: int = Field(3, ge=1, le=9, json_schema_extra=leaf(changes="speed"))
    """Effort of the codec."""

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # jobs are kept by it, and a mapping has no hash

    @model_validator(mode="after")
    def _a_student_knows_one_form(self) -> InferBlock:
        if self.forms and self.ensemble == "student":
            raise ValueError("'forms' are told to members, and a student knows those of its lesson: take 'exact'")
        return self

    daily_members: bool = Field(False, json_schema_extra=leaf("infer"))
    """Whether the files of tile-years also hold the fluxes of each member by day, for the page of `explore`, beside the
    means of the year that they always hold. They grow by as many daily variables as there are fluxes and members."""
