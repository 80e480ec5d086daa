"""Losses: fluxes on a compressed scale with weights, intermediate variables on their scaled form.

What is compared are sets of observations and what their operators make of the outputs, never outputs as such.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from ..systems import System
from .data import Batch
from .knowledge import Knowledge
from .networks import HierarchicalNetwork
from .operators import ObservationSet

BIAS_WEIGHT = 0.2
"""Weight of the bias of a site's mean flux, relative to the loss of its days."""
OBSERVED_WEIGHT = 1.0
"""Weight of observations other than of single days (months, regions, ...), relative to the loss of days."""


YEARLY_WEIGHT = 0.05
"""Weight of sums of years, such as yields, relative to the loss of days (ours): one number a year, in units of its own
error, must not drown out the days of the same year."""


def masked_huber(predicted: Tensor, target: Tensor, weight: Tensor | None = None, most: float = math.inf) -> Tensor:
    """Weighted mean Huber loss (threshold 1) where ``target`` is finite and the loss not above ``most``; zero, with a
    gradient of zero, if nowhere."""
    mask = torch.isfinite(target)
    loss = huber_loss(torch.where(mask, predicted, 0.0), torch.where(mask, target, 0.0), reduction="none")
    weights = mask.to(loss.dtype) if weight is None else mask * weight
    if most < math.inf:
        weights = weights * (loss.detach() <= most)
    return (loss * weights).sum() / weights.sum().clamp_min(1e-9)


def flux_loss(
    predicted: Tensor,
    target: Tensor,
    scale: float,
    sd: Tensor | None = None,
    site: Tensor | None = None,
    most: float = math.inf,
) -> Tensor:
    """Huber loss of ``asinh(F / scale)`` over observations (n,); ``scale`` and ``sd`` in the unit of the flux.

    Those with a loss above ``most`` do not count. One weighs ``s^2 / (s^2 + sd^2)`` by its random uncertainty ``sd``
    (missing: known well), and ``site`` by its place.
    """
    weight = torch.ones_like(target)
    if sd is not None:
        weight = scale**2 / (scale**2 + torch.nan_to_num(sd, nan=0.0) ** 2)
    if site is not None:
        weight = weight * site
    return masked_huber(torch.asinh(predicted / scale), torch.asinh(target / scale), weight, most)


def site_bias(
    predicted: Tensor, target: Tensor, cluster: Tensor, weight: Tensor, scale: float, size: Tensor | None = None
) -> Tensor:
    """Mean over clusters, by ``weight`` (cluster,), of the absolute difference of the means of their observations (n,),
    per standard deviation of all (at least a fifth of the flux's ``scale``).

    An observation is the mean of ``size`` (n,) days and counts as often; left out: of one.
    """
    if target.numel() < 2:
        return predicted.sum() * 0.0
    spread = target.std().clamp_min(0.2 * scale)
    size = torch.ones_like(target) if size is None else size
    days = torch.zeros_like(weight).index_add(0, cluster, size)
    bias = torch.zeros_like(weight).index_add(0, cluster, size * (predicted - target)) / days.clamp_min(1)
    seen = (days > 0) * weight
    return (bias.abs() * seen).sum() / seen.sum().clamp_min(1e-9) / spread


class Pairs(NamedTuple):
    """What is compared (n,): ``predicted``, ``value`` and ``sd``, each the mean of so many ``days`` of one ``cluster``,
    a column of the batch."""

    predicted: Tensor
    value: Tensor
    sd: Tensor
    days: Tensor
    cluster: Tensor


@dataclass(frozen=True)
class Objective:
    """What is minimised in one stage (``pretrain`` or ``finetune``): flux, intermediate variables and knowledge.

    Single days whose loss is above ``most`` do not count (self-paced learning).
    """

    system: System
    stage: str
    knowledge: Knowledge
    most: float = math.inf

    def weights(self) -> dict[str, float]:
        """Weight of every term by name."""
        parts = {part.name: getattr(part, self.stage) for part in self.system.submodules}
        bias = {"site_bias": BIAS_WEIGHT} if self.stage == "finetune" else {}
        other = any(kind.support != "day" for kind in self.system.observations)
        return {
            "flux": 1.0,
            **bias,
            **({"observed": OBSERVED_WEIGHT} if other else {}),
            **parts,
            **self.knowledge.weights,
        }

    def terms(self, network: HierarchicalNetwork, batch: Batch, probe: bool = True) -> dict[str, Tensor]:
        """Raw value of every term for ``batch``; without ``probe`` the knowledge terms are left out."""
        given = {"overrides": batch.overrides, "modules": batch.modules, "theta": batch.theta}
        outputs, _ = network(batch.drivers, batch.statics, **given)
        days = {one.operator.variable: one for one in batch.observations if one.operator.kind == "day"}
        found = {"flux": self._flux(outputs, days, batch)}
        flux = self.system.fluxes[0]
        if self.stage == "finetune" and (pairs := self._pairs(flux.variable, outputs, days, batch)):
            of_days = pairs.predicted, pairs.value, pairs.cluster
            found["site_bias"] = site_bias(*of_days, batch.weight, flux.scale, pairs.days)
        if "observed" in self.weights():
            found["observed"] = self._observed(outputs, batch)
        for part in self.system.submodules:
            found[part.name] = self._intermediate(network, part.outputs, outputs, days, batch)
        if probe:
            counted = {name: values[batch.warmup :] for name, values in outputs.items()}
            known = {name: values[batch.warmup :] for name, values in batch.drivers.items()} | batch.statics
            found |= self.knowledge.evaluate(network, counted, known, batch.theta)
        return found

    def _flux(self, outputs: Mapping[str, Tensor], days: Mapping[str, ObservationSet], batch: Batch) -> Tensor:
        """Mean over the fluxes of the loss of their days and of the means of their periods."""
        losses = []
        for flux in self.system.fluxes:
            if flux.variable not in self.system.head_fluxes:
                continue
            if pairs := self._pairs(flux.variable, outputs, days, batch):
                weight = pairs.days * batch.weight[pairs.cluster]
                losses.append(flux_loss(pairs.predicted, pairs.value, flux.scale, pairs.sd, weight, self.most))
        return torch.stack(losses).mean() if losses else outputs[self.system.flux].sum() * 0.0

    def _pairs(
        self, name: str, outputs: Mapping[str, Tensor], days: Mapping[str, ObservationSet], batch: Batch
    ) -> Pairs | None:
        """Days of ``name``, then the means of its periods if it is a flux; None where the batch has no set of it."""
        parts: list[tuple[Tensor, ...]] = []
        if name in days:
            one = days[name]
            parts.append((one.apply(outputs), one.value, one.sd, torch.ones_like(one.value), one.cluster))
        for one in batch.observations:
            if self._is_period(one) and one.operator.variable == name and one.size:
                rows, kind = one.rows, batch.weight.dtype
                length = torch.ones_like(one.sd) if one.weight is None else one.weight
                known = (values[rows].to(kind) for values in (one.value, one.sd, length))
                parts.append((one.apply(outputs)[rows], *known, one.cluster[rows]))
        return Pairs(*(torch.cat(values) for values in zip(*parts, strict=True))) if parts else None

    def _is_period(self, one: ObservationSet) -> bool:
        """Whether ``one`` is of means of a flux over periods."""
        return one.operator.kind == "interval" and one.operator.variable in self.system.flux_names

    def _observed(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Mean over the sets that :meth:`_flux` does not compare of half the whitened square per observation; of sums
        of years the Huber loss (threshold 1) in its place, times :data:`YEARLY_WEIGHT`."""
        losses = [self._misfit(one, outputs) for one in batch.observations if one.size and not self._compared(one)]
        return torch.stack(losses).mean() if losses else outputs[self.system.flux].sum() * 0.0

    def _misfit(self, one: ObservationSet, outputs: Mapping[str, Tensor]) -> Tensor:
        if one.operator.kind != "year_sum":
            return one.misfit(one.draws(outputs)) / one.size
        apart = one.whitened(one.apply(outputs))
        return YEARLY_WEIGHT * huber_loss(apart, torch.zeros_like(apart))

    def _compared(self, one: ObservationSet) -> bool:
        """Whether ``one`` is of single days, or of means of a flux over periods, and has its place in other terms."""
        return one.operator.kind == "day" or self._is_period(one)

    def _intermediate(
        self,
        network: HierarchicalNetwork,
        names: tuple[str, ...],
        outputs: Mapping[str, Tensor],
        days: Mapping[str, ObservationSet],
        batch: Batch,
    ) -> Tensor:
        scale, losses = network.scaler.scale, []
        for name in names:
            if name not in outputs or name in batch.overrides:
                continue
            if pairs := self._pairs(name, outputs, days, batch):
                one, two = scale(name, pairs.predicted), scale(name, pairs.value)
                losses.append(masked_huber(one, two, pairs.days, most=self.most))
        return torch.stack(losses).sum() / len(names) if losses else next(iter(outputs.values())).sum() * 0.0

    def observations(self, batch: Batch) -> int:
        """Number of observed days of fluxes in ``batch``, and of other observations: what its loss weighs."""
        fluxes, found = self.system.head_fluxes, 0
        for one in batch.observations:
            if self._is_period(one) and one.weight is not None:
                found += int(one.weight[one.rows].sum()) * (one.operator.variable in fluxes)
            elif one.operator.kind != "day" or one.operator.variable in fluxes:
                found += one.size
        return found

    def total(self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        """Sum of ``terms``, weighted by ``weights`` (left out: those declared); 0 where none of them counts."""
        weights = weights or self.weights()
        counted = [weights[name] * value for name, value in terms.items() if weights[name] != 0]
        return torch.stack(counted or [0.0 * next(iter(terms.values()))]).sum()
