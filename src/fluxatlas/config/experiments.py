"""The block ``experiments`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from .base import Block
from .leaves import leaf
from .train import Cell

Transfer = Literal["none", "finetune", "l2sp", "residual", "stacking", "reweighted", "adversarial"]
Reference = Literal["process", "trees", "forest", "mean", "season"]
SplitName = Literal["space", "time", "random"]


class ExperimentsBlock(Block):
    """The grid of experiments of `snakemake benchmark`: model x transfer x split x share of towers x seed.

    What is listed first on each axis is the centre of the grid; what differs from it on fewer axes runs first.
    """

    jobs = ("benchmark",)

    target: str = Field("", json_schema_extra=leaf("experiment"))
    """What is predicted and judged: an output of the system that sites measure; empty: its first flux."""
    models: tuple[Cell, ...] = Field(
        ("gru", "tcn"), min_length=1, json_schema_extra=leaf("benchmark", changes="inputs")
    )
    """Sequence cells of the network (docs/learning.md, Sequence cells)."""
    transfers: tuple[Transfer, ...] = Field(
        ("finetune", "none"), min_length=1, json_schema_extra=leaf("benchmark", changes="inputs")
    )
    """Ways from simulation to observation (docs/experiments.md)."""
    splits: tuple[SplitName, ...] = Field(
        ("space", "time"), min_length=1, json_schema_extra=leaf("benchmark", changes="inputs")
    )
    """What is tested: clusters of sites, later years, or days drawn at random (for comparison only: they leak)."""
    shares: tuple[float, ...] = Field((1.0,), min_length=1, json_schema_extra=leaf("benchmark", changes="inputs"))
    """Shares of the towers outside of the test that are learnt from, each above 0 and at most 1."""
    seeds: int = Field(2, ge=1, le=100, json_schema_extra=leaf("benchmark", changes="inputs"))
    """Networks of each kind; they differ in all that is random, and in which towers a share below 1 holds."""
    references: tuple[Reference, ...] = Field(
        ("process", "trees", "mean", "season"), json_schema_extra=leaf("benchmark", changes="inputs")
    )
    """What the networks are compared with, on the same folds."""
    folds: int = Field(5, ge=2, le=100, json_schema_extra=leaf("experiment"))
    """Parts the sites are split into, each of which is tested once; of random days one such part is tested."""

    @field_validator("models", "transfers", "splits", "shares", "references")
    @classmethod
    def _once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(values)) < len(values):
            raise ValueError("each is named once")
        return values

    @field_validator("shares")
    @classmethod
    def _shares(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < share <= 1 for share in shares):
            raise ValueError("a share of the towers is above 0 and at most 1")
        return shares
