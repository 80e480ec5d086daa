"""Losses: fluxes on a compressed scale with weights, intermediate variables on their scaled form; missing is masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from ..systems import System
from .data import Batch
from .knowledge import Knowledge
from .networks import HierarchicalNetwork

BIAS_WEIGHT = 0.2
"""Weight of the bias of a site's mean flux, relative to the loss of its days."""


def masked_huber(predicted: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean Huber loss (threshold 1) where ``target`` is finite; zero, with a gradient of zero, if nowhere."""
    mask = torch.isfinite(target)
    loss = huber_loss(torch.where(mask, predicted, 0.0), torch.where(mask, target, 0.0), reduction="none")
    weights = mask.to(loss.dtype) if weight is None else mask * weight
    return (loss * weights).sum() / weights.sum().clamp_min(1e-9)


def flux_loss(
    predicted: Tensor, target: Tensor, scale: float, sd: Tensor | None = None, site: Tensor | None = None
) -> Tensor:
    """Huber loss of ``asinh(F / scale)`` over observed days, (time, cell); ``scale`` and ``sd`` in the unit of the
    flux.

    A day weighs ``s^2 / (s^2 + sd^2)`` by its random uncertainty ``sd`` (missing: known well), a cell by ``site``.
    """
    weight = torch.ones_like(target)
    if sd is not None:
        weight = scale**2 / (scale**2 + torch.nan_to_num(sd, nan=0.0) ** 2)
    if site is not None:
        weight = weight * site
    return masked_huber(torch.asinh(predicted / scale), torch.asinh(target / scale), weight)


def site_bias(predicted: Tensor, target: Tensor, weight: Tensor, scale: float) -> Tensor:
    """Mean over cells of the absolute difference of the means of observed days, per standard deviation of all days (at
    least a fifth of the flux's ``scale``)."""
    mask = torch.isfinite(target)
    days = mask.sum(dim=0)
    values = target[mask]
    if values.numel() < 2:
        return predicted.sum() * 0.0
    spread = values.std().clamp_min(0.2 * scale)
    bias = torch.where(mask, predicted - target, 0.0).sum(dim=0) / days.clamp_min(1)
    seen = (days > 0) * weight
    return (bias.abs() * seen).sum() / seen.sum().clamp_min(1e-9) / spread


@dataclass(frozen=True)
class Objective:
    """What is minimised in one stage (``pretrain`` or ``finetune``): flux, intermediate variables and knowledge."""

    system: System
    stage: str
    knowledge: Knowledge

    def weights(self) -> dict[str, float]:
        """Weight of every term by name."""
        parts = {part.name: getattr(part, self.stage) for part in self.system.submodules}
        bias = {"site_bias": BIAS_WEIGHT} if self.stage == "finetune" else {}
        return {"flux": 1.0, **bias, **parts, **self.knowledge.weights}

    def terms(self, network: HierarchicalNetwork, batch: Batch, probe: bool = True) -> dict[str, Tensor]:
        """Raw value of every term for ``batch``; without ``probe`` the knowledge terms are left out."""
        given = {"overrides": batch.overrides, "modules": batch.modules, "theta": batch.theta}
        outputs, _ = network(batch.drivers, batch.statics, **given)
        counted = {name: values[batch.warmup :] for name, values in outputs.items()}
        targets = {name: values[batch.warmup :] for name, values in batch.targets.items()}
        sd = {name: values[batch.warmup :] for name, values in batch.sd.items()}
        found = {"flux": self._flux(counted, targets, sd, batch.weight)}
        if self.stage == "finetune" and self.system.flux in targets:
            flux = self.system.fluxes[0]
            bias = site_bias(counted[flux.variable], targets[flux.variable], batch.weight, flux.scale)
            found["site_bias"] = bias
        for part in self.system.submodules:
            found[part.name] = self._intermediate(network, part.outputs, counted, targets, batch)
        if probe:
            known = {name: values[batch.warmup :] for name, values in batch.drivers.items()} | batch.statics
            found |= self.knowledge.evaluate(network, counted, known, batch.theta)
        return found

    def _flux(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], sd: Mapping[str, Tensor], weight: Tensor
    ) -> Tensor:
        losses = [
            flux_loss(outputs[name], targets[name], flux.scale, sd.get(name), weight)
            for flux in self.system.fluxes
            if (name := flux.variable) in targets and name in self.system.head_fluxes
        ]
        return torch.stack(losses).mean() if losses else outputs[self.system.flux].sum() * 0.0

    @staticmethod
    def _intermediate(
        network: HierarchicalNetwork,
        names: tuple[str, ...],
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        batch: Batch,
    ) -> Tensor:
        losses = [
            masked_huber(network.scaler.scale(name, outputs[name]), network.scaler.scale(name, targets[name]))
            for name in names
            if name in targets and name in outputs and name not in batch.overrides
        ]
        return torch.stack(losses).sum() / len(names) if losses else next(iter(outputs.values())).sum() * 0.0

    def observations(self, batch: Batch) -> int:
        """Number of observed fluxes in ``batch``: what its loss weighs among those of other batches."""
        names = [name for name in self.system.head_fluxes if name in batch.targets]
        return sum(int(torch.isfinite(batch.targets[name][batch.warmup :]).sum()) for name in names)

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Weighted sum of ``terms``."""
        weights = self.weights()
        return torch.stack([weights[name] * value for name, value in terms.items() if weights[name] != 0]).sum()
