"""The block ``experiments`` of the configuration."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from ..errors import nearest
from .base import Block
from .leaves import leaf
from .train import Cell, FaultyCell, Remedy

MODELS = (*get_args(Cell), *get_args(FaultyCell))

Transfer = Literal["none", "finetune", "l2sp", "residual", "stacking", "reweighted", "adversarial", "declared"]
Reference = Literal["process", "trees", "forest", "mean", "season", Remedy]
SplitName = Literal["space", "time", "random"]


FLAT, GIVEN = "flat_", "_given"


def split_model(name: str) -> tuple[str, bool, bool]:
    """The sequence cell of the model called ``name``, whether it is flat, and whether sites give it outputs."""
    flat, given = name.startswith(FLAT), name.endswith(GIVEN)
    return name.removeprefix(FLAT).removesuffix(GIVEN), flat, given


class ExperimentsBlock(Block):
    """The grid of experiments of `snakemake benchmark`: model x transfer x split x share of towers x seed.

    What is listed first on each axis is the centre of the grid; what differs from it on fewer axes runs first.
    """

    jobs = ("benchmark",)

    target: str = Field("", json_schema_extra=leaf("experiment"))
    """What is predicted and judged: an output of the system that sites measure; empty: its first flux."""
    hidden: tuple[str, ...] = Field((), json_schema_extra=leaf("experiment", "site_truth"))
    """Outputs that no site measures, judged against the truth of the synthetic Earth at the sites that are tested."""
    measured_inputs: tuple[str, ...] = Field((), json_schema_extra=leaf("experiment", "experiment_start"))
    """Outputs of sub-modules, such as gpp, that sites hand to the models whose name ends with _given."""
    models: tuple[str, ...] = Field(("gru", "tcn"), min_length=1, json_schema_extra=leaf("benchmark", changes="inputs"))
    """Sequence cells of the network (docs/learning.md, Sequence cells); flat_ before one: a single network instead of
    the hierarchy; _given behind it: sites hand it what they measure of `measured_inputs`; faulty_tcn and
    faulty_transformer: layouts that were published by mistake, for comparison."""
    transfers: tuple[Transfer, ...] = Field(
        ("finetune", "none"), min_length=1, json_schema_extra=leaf("benchmark", changes="inputs")
    )
    """Ways from simulation to observation (docs/experiments.md)."""
    only: tuple[str, ...] = Field((), json_schema_extra=leaf("benchmark", changes="inputs"))
    """Pairs of a model and a transfer that are run, such as gru_given/finetune; left out: all of the grid."""
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
    importance_draws: int = Field(0, ge=0, le=100, json_schema_extra=leaf("experiment"))
    """Permutations of each group of drivers for `snakemake importance`; 0: none."""
    importance_days: int = Field(30, ge=1, le=10_000, json_schema_extra=leaf("experiment"))
    """Days of the blocks whose order is permuted over time."""
    importance_groups: dict[str, tuple[str, ...]] = Field(default_factory=dict, json_schema_extra=leaf("experiment"))
    """Drivers and statics that are permuted together, by the name of the group; empty: each by itself."""

    @field_validator("models")
    @classmethod
    def _cells(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        for name in models:
            cell = split_model(name)[0]
            if cell not in MODELS:
                raise ValueError(f"'{name}' is not a model{nearest(cell, MODELS)}; the cells are {', '.join(MODELS)}")
        return models

    @model_validator(mode="after")
    def _gives(self) -> ExperimentsBlock:
        if any(split_model(name)[2] for name in self.models) != bool(self.measured_inputs):
            raise ValueError("'measured_inputs' names what models that end with '_given' are handed: set both or none")
        return self

    @model_validator(mode="after")
    def _pairs(self) -> ExperimentsBlock:
        pairs = [f"{model}/{transfer}" for model in self.models for transfer in self.transfers]
        for name in self.only:
            if name not in pairs:
                said = f"'{name}' is not a pair of a model and a transfer of the grid{nearest(name, pairs)}"
                raise ValueError(f"'only': {said}; the pairs are {', '.join(pairs)}")
        return self

    @field_validator("models", "transfers", "only", "splits", "shares", "references")
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
