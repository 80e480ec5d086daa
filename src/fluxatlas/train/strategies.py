"""What the phases of a strategy (:mod:`fluxatlas.train.phases`) take their steps from, and their schedules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ..config.train import TrainBlock
from ..errors import ConfigError, counted, nearest
from ..systems import Phase
from .adversary import Adversary
from .data import DayWindow, FloatArray, SequenceSet
from .loop import Batches, Mixture, Schedule
from .losses import Objective
from .networks import HierarchicalNetwork
from .phases import ADVERSARY
from .regional import RegionalObjective
from .regional.term import REGIONAL
from .reweight import importance

LEAST_CLUSTERS = 5
"""Blocks of validation sites below which no score decides when a phase of steps stops: it would follow chance."""


@dataclass(frozen=True)
class PhaseMaterials:
    """What the phases of fine-tuning draw their steps from; ``objectives`` are those of sites and of samples."""

    network: HierarchicalNetwork
    objectives: tuple[Objective, Objective]
    sites: Sequence[SequenceSet]
    validation: Sequence[SequenceSet]
    samples: SequenceSet
    settings: TrainBlock
    device: str
    seed: int
    regional: RegionalObjective | None = None

    @cached_property
    def adversary(self) -> Adversary:
        """The classifier that the network shall deceive."""
        return Adversary(self.network, self.seed).to(self.device)

    @cached_property
    def likeness(self) -> FloatArray:
        """Weight (sample,) of each synthetic series by how like observed places it is."""
        weights, size = importance(self.samples, self.sites, self.network.system)
        kept = len({segment.site for segment in self.samples.segments})
        text = f"synthetic series weighted by likeness to the sites: effective size {size:.0f} of {kept}"
        print(text, file=sys.stderr, flush=True)
        return weights

    @property
    def clusters(self) -> int:
        """Blocks of validation sites with an observed flux."""
        flux = self.network.system.flux
        counts = [(one, one.count(flux)) for one in self.validation]
        return len({one.block[part.site] for one, count in counts for part in one.segments if count[part.site]})

    def validate(self, phase: Schedule | None = None) -> Iterator[Mixture]:
        """Validation sites, and in phases that weigh regions the region-years that were held out."""
        settings = self.settings
        for part in self.validation:
            for batch in part.batches(64, settings.sequence_days, settings.warmup_days, None, self.device):
                yield [(1.0, self.objectives[0], batch)]
        weighed = phase is not None and REGIONAL in phase.terms
        if weighed and self.regional and self.regional.data.validation is not None:
            for year in self.regional.data.years:
                yield [(1.0, self.regional, self.regional.data.batch(year, settings.warmup_days, device=self.device))]

    def batches(self, phase: Phase | None = None) -> Batches:
        """The steps of ``phase``; without one those of sites and rehearsed samples, as configured."""
        share = self.settings.rehearsal if phase is None or phase.synthetic is None else phase.synthetic
        likeness = self.likeness if phase and phase.reweight else None
        steps = rehearsed(self.objectives, self.sites, self.samples, self.settings, self.device, share, likeness)
        if phase and phase.weighs(ADVERSARY):
            steps = partial(self._deceived, steps)
        if phase and phase.weighs(REGIONAL):
            steps = partial(self._constrained, steps)
        return steps

    def _deceived(self, steps: Batches, rng: np.random.Generator) -> list[Callable[[], Mixture]]:
        def make(own: Callable[[], Mixture]) -> Mixture:
            (_, _, observed), (_, _, synthetic), *_ = mixture = own()
            if self.adversary.node not in (observed.modules or (self.adversary.node,)):
                return mixture  # sites with measured profiles run the last sub-module alone
            return [*mixture, (1.0, self.adversary, (observed, synthetic))]

        return [partial(make, own) for own in steps(rng)]

    def _constrained(self, steps: Batches, rng: np.random.Generator) -> list[Callable[[], Mixture]]:
        """Each step with the regions in one year besides."""
        regional, made = self.regional, steps(rng)
        assert regional is not None  # schedules has checked
        regional.refresh(self.network)

        def make(own: Callable[[], Mixture], year: int, seed: int) -> Mixture:
            draws = np.random.default_rng(seed)
            batch = regional.data.batch(year, self.settings.warmup_days, draws, self.device)
            return [*own(), (1.0, regional, batch)]

        return [partial(make, own, *one) for own, one in zip(made, regional.years(rng, len(made)), strict=True)]


def schedules(phases: Sequence[Phase], materials: PhaseMaterials) -> list[Schedule]:
    """What the loop runs: a schedule for each phase.

    Raises :class:`ConfigError` for sub-modules and terms that do not exist, for region-months that no phase uses or
    that are absent, and for an adversary without both kinds of series.
    """
    settings = materials.settings
    _check(phases, materials)
    found = []
    for phase in phases:
        stops = phase.stop and (phase.steps is None or materials.clusters >= LEAST_CLUSTERS)
        if phase.stop and not stops:
            few = counted(materials.clusters, "block")
            text = f"phase '{phase.name}' makes all {phase.steps} steps: {few} of validation sites cannot stop it"
            print(text, file=sys.stderr, flush=True)
        own = phase.synthetic is not None or phase.reweight or phase.terms
        found.append(
            Schedule(
                phase.name,
                settings.finetune_epochs,
                phase.rate * settings.finetune_rate,
                phase.learns or None,
                steps=phase.steps,
                rates=phase.rates,
                terms=phase.ramps,
                anchor=phase.anchor,
                stops=stops,
                pace=phase.pace,
                batches=materials.batches(phase) if own else None,
                decay=(settings.rate_decay, settings.rate_decay_epochs),
            )
        )
    return found


def _check(phases: Sequence[Phase], materials: PhaseMaterials) -> None:
    parts = tuple(part.name for part in materials.network.submodules)
    terms = {name for objective in materials.objectives for name in objective.weights()} | {REGIONAL, ADVERSARY}
    for phase in phases:
        for what, given, known in (
            ("sub-module", (*phase.learns, *phase.rates), parts),
            ("term", tuple(phase.terms), tuple(sorted(terms))),
        ):
            wrong = [name for name in given if name not in known]
            if wrong:
                raise ConfigError(
                    f"phase '{phase.name}' names the {what} '{wrong[0]}', which does not exist"
                    f"{nearest(wrong[0], known)}",
                    hint=f"choose from {', '.join(known)}",
                )
        share = materials.settings.rehearsal if phase.synthetic is None else phase.synthetic
        if phase.weighs(ADVERSARY) and not 0 < share < 1:
            raise ConfigError(
                f"phase '{phase.name}' has an adversary, and synthetic or observed series only",
                hint="give 'synthetic' (or train.rehearsal) a value between 0 and 1",
            )
    wanted = any(phase.weighs(REGIONAL) for phase in phases)
    if wanted and materials.regional is None:
        raise ConfigError(
            "the strategy compares regions, and no constraint is given",
            where="train.strategy",
            hint="set regional.constraint, or give --regional-target and --regional-points; or take another strategy",
        )
    if materials.regional is not None and not wanted:
        raise ConfigError(
            "a constraint on regions is given, and no phase of the strategy uses it",
            where="train.strategy",
            hint="take strategy: constrained, or a system whose phases weigh the term 'regional'",
        )


def rehearsed(
    objectives: tuple[Objective, Objective],
    sites: Sequence[SequenceSet],
    samples: SequenceSet,
    settings: TrainBlock,
    device: str,
    share: float,
    likeness: FloatArray | None = None,
) -> Batches:
    """Steps that mix windows of ``sites`` with a ``share`` of synthetic ones, drawn by their ``likeness`` (sample,).

    ``objectives`` are those of sites and of samples.
    """
    from_sites = max(1, round((1 - share) * settings.batch))
    from_samples = max(1, round(share * settings.batch)) if share > 0 else 0

    def drawn(synthetic: list[DayWindow], rng: np.random.Generator) -> list[DayWindow]:
        if likeness is None:
            chosen = rng.choice(len(synthetic), min(from_samples, len(synthetic)), replace=False)
        else:
            weight = likeness[[samples.segments[window.segment].site for window in synthetic]]
            chosen = rng.choice(len(synthetic), from_samples, p=weight / weight.sum())
        return [synthetic[index] for index in chosen]

    def steps(rng: np.random.Generator) -> list[Callable[[], Mixture]]:
        synthetic = samples.windows(settings.sequence_days, rng)
        found: list[Callable[[], Mixture]] = []
        if share == 1:
            count = -(-len(synthetic) // from_samples)
            return [partial(make, None, [], drawn(synthetic, rng)) for _ in range(count)]
        for part in sites:
            windows = part.windows(settings.sequence_days, rng)
            for begin in range(0, len(windows), from_sites):
                found.append(partial(make, part, windows[begin : begin + from_sites], drawn(synthetic, rng)))
        return [found[index] for index in rng.permutation(len(found))]

    def make(part: SequenceSet | None, group: list[DayWindow], synthetic: list[DayWindow]) -> Mixture:
        found: Mixture = []
        weight = 1.0 if not synthetic else 1 - share
        if part is not None:
            found = [(weight, objectives[0], part.batch(group, settings.warmup_days, device))]
        if synthetic:
            found = [*found, (share, objectives[1], samples.batch(synthetic, settings.warmup_days, device))]
        return found

    return steps
