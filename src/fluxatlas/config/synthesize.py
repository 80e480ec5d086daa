"""The block ``synthesize`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Block
from .leaves import leaf


class SynthesizeBlock(Block):
    """Synthetic samples: the process model over sampled places, soils, parameters and structures."""

    jobs = ("synthesize",)

    site_days: int = Field(200_000, ge=365)
    """Minimum number of synthetic site-days."""
    years: int = Field(1, ge=1, le=20)
    """Length of each series in years of 365 days."""
    draws: int = Field(4, ge=1, le=1000)
    """Series per sampled cell, each with its own parameters, structure and jitter."""
    spinup_years: int = Field(2, ge=0, le=50)
    """How often the process model runs through the first year before the first day."""
    strata: int = Field(3, ge=1, le=10)
    """Quantile classes of mean temperature, rain, clay and soil carbon; cells are drawn evenly from their mix."""
    include_sites: float = Field(0.3, ge=0, le=1)
    """Share of the series that take their weather from sites with meteorology, where there are any."""
    jitter: float = Field(0.2, ge=0, le=1)
    """Random change of the soil of each series: standard deviation as a share of the value."""
    world_soils: float = Field(0.0, ge=0, le=1)
    """Share of the series whose soil, leaf area, crops and nitrogen are drawn over the range of the world's soils, not
    from the domain: for sites elsewhere, whose statics lie beyond the samples otherwise (training names them)."""
    structures: Literal["sampled", "default"] = "sampled"
    """'sampled' draws the forms of the process model for each series; 'default' takes its default form."""
    exclude: dict[str, tuple[str, ...]] | None = None
    """Forms that are never drawn, by choice. Left out: those of the hidden truth on the synthetic Earth, else none."""
    block_degrees: float = Field(1.0, gt=0, le=90)
    """Edge in degrees of the spatial blocks by which training and validation are kept apart."""
    batch: int = Field(1024, ge=1, le=100_000, json_schema_extra=leaf(changes="speed"))
    """Series simulated at a time; bounds the memory and changes no sample."""
    regrid: Literal["conservative", "bilinear"] = "bilinear"
    """How the forcing is regridded to the sampled cells."""
    max_tiles: int = Field(40, ge=1, json_schema_extra=leaf(changes="inputs"))
    """Tiles to sample at most, evenly spread over the domain."""
    max_years: int = Field(4, ge=1, json_schema_extra=leaf(changes="inputs"))
    """Years of forcing to sample at most, evenly spread over the period."""
    seed: int = Field(1, ge=0)
    """Seed of everything drawn."""
