"""The rungs of the ladder as they are trained, and which of them a member takes (``train.ladder: climb``).

| rung | what is learnt from sites |
|---|---|
| ``prior`` | nothing: parameters are those of the prior |
| ``calibrated`` | the parameters of the process model, which the network is told, and how places differ in them |
| ``last`` | weights of the last sub-module too |
| ``network`` | weights by the phases of the strategy (:mod:`fluxatlas.train.finetune`) |

``weights`` is ``network`` with the parameters of the prior, for many long records, where calibration takes hours. It is
named, never climbed to.

The choice sees the sites outside of the member's fold alone, so that scores at the fold remain those of unseen sites.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.train import TrainBlock
from ..systems import Phase
from .calibrated import Structured, calibrate_sites, predict_means
from .calibration import Posterior
from .data import FloatArray, SequenceSet
from .finetune import Mask, Split, finetune, split_rest, without
from .ladder import Climb, Predict, Rung, climb
from .member import Member
from .networks import HierarchicalNetwork
from .regional import RegionalData
from .site_periods import mean_square
from .sites import SiteData

CLIMB = "climb"
DEFAULT = "calibrated"
"""Taken where clusters are too few for a choice."""
WEIGHTS = ("last", "network")
"""Rungs of the ladder that train weights."""
TRAINED = (*WEIGHTS, "weights")
"""All rungs that train weights."""
UNCALIBRATED = ("prior", "weights")
"""Rungs whose parameters are those of the prior."""


@dataclass(frozen=True)
class RungMaterials:
    """What every rung is made of: the ``pretrained`` member, samples, sites, settings; ``model`` of member ``member``,
    and the data of regions where the strategy weighs them."""

    pretrained: Member
    samples: SequenceSet
    sites: SiteData
    settings: TrainBlock
    model: Structured
    member: int
    regional: RegionalData | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The rungs, simplest first; a system of one sub-module has no ``last`` of its own."""
        only = len(self.pretrained.system.submodules) == 1
        return ("prior", "calibrated", "network") if only else ("prior", "calibrated", *WEIGHTS)

    def posterior(self, rung: str, hidden: tuple[Mask, ...]) -> Posterior:
        """Parameters without what is ``hidden`` (time, site) of each set; those of the prior on the first rung."""
        parts = [without(part, mask) for part, mask in zip(self.sites.sets, hidden, strict=True)]
        return calibrate_sites([] if rung in UNCALIBRATED else parts, self.model)

    def weights(
        self,
        rung: str,
        posterior: Posterior,
        split: Split,
        checkpoint: str | Path | None = None,
        meta: dict[str, Any] | None = None,
        only: int | None = None,
        origin: HierarchicalNetwork | None = None,
    ) -> tuple[Member, pd.DataFrame]:
        """The network that has learnt from the training part of ``split``, and its history; ``only`` and ``origin`` as
        in :func:`fluxatlas.train.finetune.finetune`."""

        def told(parts: Sequence[SequenceSet]) -> tuple[SequenceSet, ...]:
            return tuple(_told(part, posterior, self.model) for part in parts)

        last = Phase("last sub-module", learns=(self.pretrained.system.submodules[-1].name,))
        tuned, history, _ = finetune(
            self.pretrained,
            self.samples,
            SiteData(told(self.sites.sets)),
            self.settings,
            self.member,
            checkpoint,
            meta,
            phases=(last,) if rung == "last" else None,
            regional=self.regional,
            split=replace(split, training=told(split.training), validation=told(split.validation)),
            only=only,
            origin=origin,
        )
        return tuned, history


def _told(data: SequenceSet, posterior: Posterior, model: Structured) -> SequenceSet:
    """The set with the parameters of its sites: their own where calibrated, else those of an average place."""
    average = posterior.unseen()[0]
    u = [posterior.place(site).mean if site in posterior.sites else average for site in data.sites]
    theta = {name: np.asarray(values, np.float32) for name, values in model.theta(np.stack(u)).all().items()}
    return replace(data, theta={**theta, **data.stated})


def choose(materials: RungMaterials, hidden: tuple[Mask, ...]) -> Climb:
    """Climb the ladder over clusters of the sites that the fold (``hidden`` (time, site) of each set) leaves.

    The score of a site is minus the mean squared error of the flux, so that every cluster counts the same in what is
    compared (balanced R2 of docs/evaluation.md has the same numerator). Raises as
    :func:`fluxatlas.train.ladder.climb` and as fine-tuning.
    """
    flux = materials.pretrained.system.flux
    clusters, seen = {}, {}
    for part, mask in zip(materials.sites.sets, hidden, strict=True):
        if flux not in part.targets:
            continue
        ran = {segment.site for segment in part.segments}
        left = without(part, mask)
        for column, site in enumerate(part.sites):
            if column in ran and left.count(flux)[column]:
                clusters[site] = int(part.block[column])
                seen[site] = (left, column)

    def score(site: str, predicted: FloatArray) -> float:
        return -mean_square(*seen[site], flux, predicted)

    known: dict[tuple[str, ...], Posterior] = {}
    rungs = [Rung(name, _fit(materials, name, hidden, clusters, known)) for name in materials.names]
    found = climb(rungs, clusters, score, DEFAULT)
    print(f"member {materials.member}: {found.why}", file=sys.stderr, flush=True)
    return found


def _fit(
    materials: RungMaterials,
    rung: str,
    hidden: tuple[Mask, ...],
    clusters: dict[str, int],
    known: dict[tuple[str, ...], Posterior],
) -> Callable[[tuple[str, ...]], Predict]:
    """How ``rung`` is fitted to some of the sites of ``clusters``; calibrations are ``known`` to all rungs above."""
    sites, settings, seed = materials.sites, materials.settings, materials.settings.seed + materials.member
    flux = materials.pretrained.system.flux

    def fit(training: tuple[str, ...]) -> Predict:
        left = [site for site in clusters if site not in training]
        print(f"member {materials.member}: '{rung}' without {', '.join(left)}", file=sys.stderr, flush=True)
        out = tuple(mask | np.isin(part.sites, left) for part, mask in zip(sites.sets, hidden, strict=True))
        posterior = known.get(training) if rung != "prior" else materials.posterior(rung, out)
        if posterior is None:
            posterior = known[training] = materials.posterior(rung, out)
        network = materials.pretrained.network
        if rung in WEIGHTS:
            split = split_rest(sites, out, flux, settings, seed)
            network = materials.weights(rung, posterior, split)[0].network

        @cache
        def predicted() -> dict[str, FloatArray]:
            return _predictions(network, sites, left, flux, posterior, materials.model, seed)

        return lambda site: predicted()[site]

    return fit


def _predictions(
    network: HierarchicalNetwork,
    sites: SiteData,
    chosen: list[str],
    flux: str,
    posterior: Posterior,
    model: Structured,
    seed: int,
) -> dict[str, FloatArray]:
    """Mean prediction (time,) of ``flux`` at the ``chosen`` sites."""
    found: dict[str, FloatArray] = {}
    for part in sites.sets:
        mask: npt.NDArray[np.bool_] = np.isin(part.sites, chosen)
        if mask.any():
            means = predict_means(network, part.only(mask), posterior, model, seed)
            found |= {part.sites[column]: means[flux][:, column] for column in np.flatnonzero(mask)}
    return found
