"""The block ``train`` of the configuration."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from .base import Block, Folder, Years
from .leaves import leaf

Cell = Literal["gru", "lstm", "ea_lstm", "tcn", "transformer", "itransformer", "informer", "pyraformer"]
FaultyCell = Literal["faulty_tcn", "faulty_transformer"]
Remedy = Literal["calibrated", "residual_trees", "log_trees", "chosen", "stacked"]
Local = Literal["process_local", "mean_local"]
Baseline = Literal["process", "trees", "ridge", "season", "own_season", "no_pretraining", "no_knowledge", Remedy, Local]


class TrainBlock(Block):
    """Settings of the stage ``train``: pretraining on synthetic samples, fine-tuning on sites, baselines."""

    jobs = ("pretrain", "finetune", "phase", "baseline", "experiment_start", "experiment")
    moved = {"diffusivity": "train.options.diffusivity"}

    years: Years = Field(None, json_schema_extra=leaf("site_inputs", "synthesize", "synthetic_sites", changes="inputs"))
    """First and last year of forcing to train on. Left out: those of the run when it was first trained; they stay."""
    members_from: Folder = Field("", json_schema_extra=leaf(why="the members are inputs, and nothing is trained"))
    """Folder 'train' of a finished run whose members are used as they are; empty: the run trains its own."""
    members: int = Field(3, ge=1, le=100, json_schema_extra=leaf("finetune", "baseline"))
    """Networks of the ensemble; they differ in seed and in the sites they do not see."""
    folds: int | None = Field(None, ge=2, le=100, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Parts the sites are split into; member m predicts part m unseen, and m + members, m + 2 members, ... where there
    are more parts than members: as many as there are blocks of sites leave one block out at a time. Left out: as many
    as members, at least 2."""
    every_fold: bool = Field(False, json_schema_extra=leaf("finetune", "baseline"))
    """Whether each member predicts every part, learnt for without it: scores are then those of the mean of the members,
    as the product is, and not of one structure of the process model each. Costs a calibration per member and part."""
    local_days: int = Field(0, ge=0, le=366, json_schema_extra=leaf("finetune", "baseline"))
    """Observed days of a site left out that it is told after all, for the model 'network_local' beside the network, and
    the baselines "process_local" and "mean_local": what a few visits are worth (docs/learning.md). 0: none."""
    split: Literal["space", "time"] = Field("space", json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Split sites by distance-clustered blocks, or each record into consecutive spans of time."""
    block_distance_km: float = Field(50.0, gt=0, json_schema_extra=leaf("finetune", "phase", "baseline", "experiment"))
    """Sites nearer than this [km], directly or through others, are never split."""
    validation_share: float = Field(0.2, gt=0, lt=0.9)
    """Share of the training blocks kept for early stopping."""
    seed: int = Field(1, ge=0)
    """Seed of everything random; member m uses seed + m."""

    cell: Cell | FaultyCell = Field("gru", json_schema_extra=leaf("pretrain", "finetune", "phase", "baseline"))
    """How the sub-modules remember the days before (docs/learning.md, Sequence cells). Those called faulty have layouts
    that were published by mistake: `experiments.models` takes them for comparison, a run refuses them here."""
    window_days: int = Field(365, ge=2, le=3660)
    """Days that cells see whose memory is a window (docs/learning.md), the day itself included."""
    hidden: int = Field(32, ge=2, le=1024)
    """Units of each sub-module."""
    layers: int = Field(1, ge=1, le=4)
    """Layers of the cell of each sub-module."""
    dropout: float = Field(0.0, ge=0, lt=0.9)
    """Dropout of hidden units while training."""
    code: int = Field(12, ge=0, le=256, json_schema_extra=leaf("pretrain", "finetune", "phase", "baseline"))
    """Numbers into which each sub-module condenses the parameters of the process model; 0: it is not told them."""
    head: str = ""
    """How the fluxes are made, a head of the system; empty: its first, by physics. 'free' is an ablation."""
    options: dict[str, str] = Field(default_factory=dict)
    """Choices of the system's network that its head leaves open, such as {diffusivity: curry} of the head
    'diffusion_oxidation'; left out: the first of each."""

    measured_inputs: tuple[str, ...] = Field((), json_schema_extra=leaf("pretrain", "finetune", "phase", "baseline"))
    """Outputs of sub-modules, such as gpp, that sites hand to network and process model on days on which they
    are measured, instead of teaching them; the trees see them too. Elsewhere the network makes its own. Pretraining
    hands on those of the samples in every second step."""

    sequence_days: int = Field(365, ge=10, le=3660)
    """Days of a training sequence that count in the loss; more than the longest period (month, year) of a flux has."""
    warmup_days: int = Field(60, ge=0, le=3660)
    """Days run before each sequence to fill the state; not in the loss."""
    batch: int = Field(32, ge=1, le=65536)
    """Sequences per step."""
    pretrain_epochs: int = Field(15, ge=1)
    """Passes over the synthetic samples."""
    pretrain_rate: float = Field(5e-3, gt=0, le=0.1)
    """Highest learning rate of pretraining (cosine decay)."""
    ladder: Literal["prior", "calibrated", "last", "network", "weights", "climb"] = Field(
        "calibrated", json_schema_extra=leaf("finetune", "phase", "baseline")
    )
    """How much is learnt from sites: nothing, parameters of the process model, weights of the last sub-module too, or
    of the whole network; weights: those of the network alone, since calibration takes hours at many long records;
    climb: as much as clusters of sites that were left out support (docs/learning.md)."""
    finetune_epochs: int = Field(20, ge=1, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Where weights are trained. Passes over the sites in each phase of the system, such as: last sub-module, then
    all."""
    strategy: Literal["declared", "finetune", "l2sp", "reweighted", "adversarial", "constrained"] = Field(
        "declared", json_schema_extra=leaf("finetune", "phase", "baseline")
    )
    """With ladder: network, weights or climb. The phases of fine-tuning (docs/learning.md, Strategies): those that the
    system declares, or another list of them."""
    labels: Literal["measured", "merged"] = Field(
        "measured", json_schema_extra=leaf("finetune", "phase", "baseline", "experiment")
    )
    """With ladder: last, network, weights or climb. What weights are trained on: what towers measured, or
    that merged with the process model by optimal interpolation and moved onto the balance of the system, for systems
    that have one (docs/soil_moisture_energy.md)."""
    finetune_steps: int = Field(1000, ge=1, json_schema_extra=leaf("finetune", "phase", "baseline", "experiment"))
    """Optimiser steps in each phase of the strategies other than the declared one."""
    finetune_rate: float = Field(
        2e-3, gt=0, le=0.1, json_schema_extra=leaf("finetune", "phase", "baseline", "experiment")
    )
    """Highest learning rate of fine-tuning; a phase takes its own share of it."""
    regional_weight: float = Field(1.0, gt=0, le=1e4, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """With strategy: constrained. Weight of the sums of regions beside the loss of the sites."""
    regional_ramp: float = Field(0.15, ge=0, le=1, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Share of the steps in which that weight rises from 0."""
    regional_correlation: float = Field(0.6, ge=0, lt=1, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Correlation of the errors of a region from one month to the next: months count as (1 - r) / (1 + r)."""
    regional_decompose: bool = Field(False, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Compare mean, season and anomalies of a region, each with its own variance, instead of months."""
    regional_draw: int = Field(0, ge=0, le=10_000, json_schema_extra=leaf("finetune", "phase", "baseline"))
    """Points of each region in each of two independent draws, in every step; 0: all points in every step. A single draw
    is not offered: the square of its residual holds the variance of the draw, which training removes by flattening the
    field."""
    rehearsal: float = Field(0.5, ge=0, lt=1, json_schema_extra=leaf("finetune", "phase", "baseline", "experiment"))
    """Share of synthetic sequences in each batch of fine-tuning."""
    patience: int = Field(8, ge=1)
    """Epochs without a better validation score before a stage stops."""
    rate_decay: float | None = Field(None, gt=0, le=1)
    """Factor by which the learning rate falls after every 'rate_decay_epochs' epochs, as some published methods do;
    left out: it falls as a cosine over a stage or phase."""
    rate_decay_epochs: int = Field(20, ge=1)
    """Epochs after each of which the learning rate falls by 'rate_decay'."""
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    weight_decay: float = Field(1e-4, ge=0, le=1)
    """Decoupled weight decay (AdamW)."""
    knowledge: dict[str, float] = Field(default_factory=dict)
    """Weights of knowledge terms that replace the system's; 0 switches a term off (it is still logged)."""

    baselines: tuple[Baseline, ...] = Field(
        ("process", "trees", "ridge", "season", "own_season", "no_pretraining"),
        json_schema_extra=leaf(why="decides which jobs there are: each baseline is one"),
    )
    """What the ensemble is compared with; "own_season", the mean season of a site's own record, is a bound and no
    model; "no_knowledge" costs another pretraining and a fine-tuning for each fold. "calibrated", "residual_trees",
    "log_trees", "chosen" and "stacked" are for few sites, "process_local" and "mean_local" go with 'local_days'
    (docs/learning.md)."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train; auto takes a GPU if there is one."""

    @model_validator(mode="after")
    def _epochs_of_a_decay(self) -> TrainBlock:
        if self.rate_decay is None and self.given("rate_decay_epochs"):
            raise ValueError("'rate_decay_epochs' does nothing without 'rate_decay'; give that too, or leave it out")
        return self

    @model_validator(mode="after")
    def _local_days_are_told(self) -> TrainBlock:
        named = [name for name in get_args(Local) if name in self.baselines]
        if named and not self.local_days:
            raise ValueError(f"the baseline '{named[0]}' needs 'local_days', such as 20")
        if self.local_days and self.split == "time":
            raise ValueError("'local_days' are of sites left out: leave it out with split: time")
        if self.local_days and self.ladder in ("prior", "weights"):
            raise ValueError(f"'local_days' need calibrated parameters, and ladder: {self.ladder} has none")
        return self

    @property
    def n_folds(self) -> int:
        """Number of folds in force."""
        return self.folds or max(self.members, 2)

    @property
    def rounds(self) -> range:
        """Numbers of the trainings, each without a fold, that predict every fold; those of members and more."""
        return range(max(self.members, self.n_folds))

    def folds_of(self, member: int) -> tuple[int, ...]:
        """Folds that ``member`` predicts without having seen them; its own first."""
        own = tuple(range(member % self.n_folds, self.n_folds, self.members))
        others = [fold for fold in range(self.n_folds) if fold not in own] if self.every_fold else []
        return (*own, *others)
