"""Losses: fluxes on a compressed scale with weights, intermediate variables on their scaled form.

What is compared are sets of observations and what their operators make of the outputs, never outputs as such.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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


def site_bias(predicted: Tensor, target: Tensor, cluster: Tensor, weight: Tensor, scale: float) -> Tensor:
    """Mean over clusters, by ``weight`` (cluster,), of the absolute difference of the means of their observations (n,),
    per standard deviation of all (at least a fifth of the flux's ``scale``)."""
    if target.numel() < 2:
        return predicted.sum() * 0.0
    spread = target.std().clamp_min(0.2 * scale)
    days = torch.bincount(cluster, minlength=weight.numel())
    bias = torch.zeros_like(weight).index_add(0, cluster, predicted - target) / days.clamp_min(1)
    seen = (days > 0) * weight
    return (bias.abs() * seen).sum() / seen.sum().clamp_min(1e-9) / spread


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
        if self.stage == "finetune" and self.system.flux in days:
            flux, one = self.system.fluxes[0], days[self.system.flux]
            predicted = one.apply(outputs)
            found["site_bias"] = site_bias(predicted, one.value, one.cluster, batch.weight, flux.scale)
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
        """Mean over the fluxes of the loss of their days and of the means of their periods, each as one observation."""
        losses = []
        for flux in self.system.fluxes:
            if (name := flux.variable) not in self.system.head_fluxes:
                continue
            parts = []
            if name in days:
                one = days[name]
                weight = torch.ones_like(one.value) if one.weight is None else one.weight
                parts.append((one.apply(outputs), one.value, one.sd, weight))
            for one in batch.observations:
                if one.operator.kind == "interval" and one.operator.variable == name and one.size:
                    rows, kind = one.rows, batch.weight.dtype
                    value, sd = one.value[rows].to(kind), one.sd[rows].to(kind)
                    parts.append((one.apply(outputs)[rows], value, sd, batch.weight[one.cluster[rows]]))
            if parts:
                predicted, value, sd, weight = (torch.cat(values) for values in zip(*parts, strict=True))
                losses.append(flux_loss(predicted, value, flux.scale, sd, weight, self.most))
        return torch.stack(losses).mean() if losses else outputs[self.system.flux].sum() * 0.0

    def _observed(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Mean of half the whitened square per observation over the sets that :meth:`_flux` does not compare."""
        others = [one for one in batch.observations if one.size and not self._compared(one)]
        losses = [one.misfit(one.draws(outputs)) / one.size for one in others]
        return torch.stack(losses).mean() if losses else outputs[self.system.flux].sum() * 0.0

    def _compared(self, one: ObservationSet) -> bool:
        """Whether ``one`` is of single days, or of means of a flux over periods, and has its place in other terms."""
        kind = one.operator.kind
        return kind == "day" or (kind == "interval" and one.operator.variable in self.system.head_fluxes)

    def _intermediate(
        self,
        network: HierarchicalNetwork,
        names: tuple[str, ...],
        outputs: Mapping[str, Tensor],
        days: Mapping[str, ObservationSet],
        batch: Batch,
    ) -> Tensor:
        scale = network.scaler.scale
        losses = [
            masked_huber(scale(name, days[name].apply(outputs)), scale(name, days[name].value), most=self.most)
            for name in names
            if name in days and name in outputs and name not in batch.overrides
        ]
        return torch.stack(losses).sum() / len(names) if losses else next(iter(outputs.values())).sum() * 0.0

    def observations(self, batch: Batch) -> int:
        """Number of observed fluxes in ``batch``: what its loss weighs among those of other batches."""
        fluxes = self.system.head_fluxes
        return sum(
            one.size for one in batch.observations if one.operator.kind != "day" or one.operator.variable in fluxes
        )

    def total(self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        """Sum of ``terms``, weighted by ``weights`` (left out: those declared); 0 where none of them counts."""
        weights = weights or self.weights()
        counted = [weights[name] * value for name, value in terms.items() if weights[name] != 0]
        return torch.stack(counted or [0.0 * next(iter(terms.values()))]).sum()
