"""Knowledge of crop carbon in physical units; every term is zero where it is obeyed.

After the losses of Liu et al. (2024, doi:10.1038/s41467-023-43860-5) as our science notes describe them; levels and
windows are ours. What the published method asks of the range of yields holds here by construction, and so it is not a
term. Nothing is asked of the response of yield to soil carbon and to the year: the generator has no nitrogen and no
progress of varieties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu

from ...process.parameters import ParameterTable
from ..protocols import KnowledgeProbe
from . import CROPS
from .calendar import crop_of

TOLERANCE = 0.01
"""Share of the respiration by which the balance may be open."""
ROUND_OFF = 1e-4
"""What single precision leaves open [g m-2 d-1]."""
CARBON = tuple(0.5 * k - 1.0 for k in range(9))
"""Probe of soil carbon in standard deviations of the samples."""
PRODUCTION = (0.6, 0.8, 1.0, 1.2, 1.4)
"""Probe of production: factors on that of the batch."""
FEATURES = {"tas": 0.8, "rsds": 0.8, "pr": 0.8, "soc": 0.9, "clay": 0.9, "sand": 0.9}
"""Inputs whose response is kept, and the least correlation with what it was."""
LEVELS = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Levels of these inputs in standard deviations of the samples."""
KEPT = 0.99
"""Share of the variance of the response of soil respiration to soil carbon that has to be as it was."""
_PLACES = 2
_PRIORS = ParameterTable("crop").priors()
_EARLIEST = tuple(_PRIORS[f"{crop}_sowing_day"].lower for crop in CROPS)
_LATEST = tuple(_PRIORS[f"{crop}_harvest_day"].upper for crop in CROPS)


def balance(gpp: Tensor, ra: Tensor, rh: Tensor, nee: Tensor) -> Tensor:
    """Mean of what is left of ``nee = ra + rh - gpp`` beyond :data:`TOLERANCE` of the respiration [g m-2 d-1]."""
    return relu((nee - (ra + rh - gpp)).abs() - TOLERANCE * (ra + rh)).mean()


def is_open(outputs: Mapping[str, Any]) -> Any:
    """Days and cells on which the balance is open by more than :data:`TOLERANCE` of the respiration."""
    respired = outputs["ra"] + outputs["rh"]
    return abs(outputs["nee"] - (respired - outputs["gpp"])) > TOLERANCE * respired + ROUND_OFF


def fallow(ra: Tensor, day: Tensor, crop: Tensor) -> Tensor:
    """Mean respiration of plants [g m-2 d-1] on days of the field when no crop can stand in it, all (time, cell).

    Those before the earliest sowing and after the latest harvest of the ``crop`` of the year (its position in
    :data:`CROPS`), or, of one that stands over winter, between the two: there the respiration of the field is that of
    the soil.
    """
    first, last = (day.new_tensor(days)[crop] for days in (_EARLIEST, _LATEST))
    bare = torch.where(first < last, (day < first) | (day > last), (day < first) & (day > last))
    return (ra * bare).sum() / bare.sum().clamp_min(1)


def falls(curve: Tensor) -> Tensor:
    """Mean over cells of the sum of the falls of ``curve`` (level, cell), relative to its greatest value."""
    scaled = curve / curve.amax(dim=0).clamp_min(1e-2)
    return relu(scaled[:-1] - scaled[1:]).sum(dim=0).mean()


def departs(new: Tensor, old: Tensor, least: Tensor) -> Tensor:
    """Mean over curves of what the correlation of ``new`` with ``old`` (level, curve) lacks of ``least`` (curve,).

    A response that was flat (a sd below 1 % of its mean) asks for nothing.
    """
    a, b = new - new.mean(dim=0), old - old.mean(dim=0)
    scale = (a.square().sum(dim=0) * b.square().sum(dim=0)).clamp_min(1e-12).sqrt()
    r = (a * b).sum(dim=0) / scale
    steep = b.square().mean(dim=0).sqrt() > 0.01 * old.mean(dim=0).abs()
    return (relu(least - r) * steep).sum() / steep.sum().clamp_min(1)


def drifts(new: Tensor, old: Tensor) -> Tensor:
    """What R2 of ``new`` as an estimate of ``old`` (level,) lacks of :data:`KEPT`; at most 10."""
    spread = (old - old.mean()).square().mean().clamp_min(1e-6 * old.mean().square() + 1e-12)
    return relu(KEPT - 1.0 + (new - old).square().mean() / spread).clamp_max(10.0)


def balance_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`balance` of the batch."""
    made = probe.outputs
    return balance(made["gpp"], made["ra"], made["rh"], made["nee"])


def fallow_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`fallow` of the batch, under the rotation that the network is told."""
    day = probe.known["fieldday"]
    rotation = probe.theta.get("rotation", day.new_tensor(probe.network.theta["rotation"]))
    return fallow(probe.outputs["ra"], day, crop_of({"evenyear": probe.known["evenyear"], "rotation": rotation}))


def soil_carbon_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`falls` of the mean respiration of the soil over its carbon, all else that of the batch."""
    outputs = _again(probe, "soil", {"soc": probe.network.scaler.unscale("soc", _like(probe, CARBON))}, {})
    return falls(outputs["rh"].mean(dim=0).reshape(len(CARBON), -1))


def production_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`falls` of the sum of harvests over production, which is that of the batch times factors."""
    outputs = _again(probe, "yield", {}, {"gpp": _like(probe, PRODUCTION)})
    return falls(outputs["harvest"].sum(dim=0).reshape(len(PRODUCTION), -1))


def preserved_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`departs` of the responses of both respirations to :data:`FEATURES`, and :func:`drifts` of that of the
    soil's to its carbon, from those of ``probe.reference``; 0 where there is none."""
    if probe.reference is None:
        return probe.outputs["ra"].sum() * 0.0
    new = _responses(probe.network, probe)
    with torch.no_grad():
        old = _responses(probe.reference, probe)
    least = new.new_tensor(list(FEATURES.values())).repeat_interleave(2)
    carbon = 2 * list(FEATURES).index("soc") + 1
    return departs(new, old, least) + drifts(new[:, carbon], old[:, carbon])


def _like(probe: KnowledgeProbe, values: tuple[float, ...]) -> Tensor:
    return probe.outputs["ra"].new_tensor(values)


def _responses(network: Any, probe: KnowledgeProbe) -> Tensor:
    """Means (level, feature x output) of ``ra`` and ``rh`` over the first cells of the batch, one input at a time held
    at a level over the whole record."""
    cells, levels = min(_PLACES, probe.outputs["ra"].shape[1]), _like(probe, LEVELS)
    count = cells * len(LEVELS) * len(FEATURES)
    drivers, statics, theta = _columns(probe, cells, count // cells)
    for number, name in enumerate(FEATURES):
        part = slice(number * cells * len(LEVELS), (number + 1) * cells * len(LEVELS))
        held = network.scaler.unscale(name, levels).repeat_interleave(cells)
        given = drivers if name in drivers else statics
        if name in ("pr", "rsds"):
            held = held.clamp_min(0.0)
        given[name] = given[name].clone()
        given[name][..., part] = held
    outputs, _ = network(drivers, statics, theta=theta)
    means = torch.stack([outputs[name].mean(dim=0) for name in ("ra", "rh")])
    curves = means.reshape(2, len(FEATURES), len(LEVELS), cells).mean(dim=3)
    return curves.permute(2, 1, 0).reshape(len(LEVELS), -1)


def _columns(
    probe: KnowledgeProbe, cells: int, times: int
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Drivers, statics and parameters of the first ``cells`` of the batch, so many ``times`` side by side."""
    system = probe.network.system
    names = (*system.forcing, *system.slow_drivers)
    drivers = {name: probe.known[name][:, :cells].repeat(1, times) for name in names}
    statics = {name: probe.known[name][:cells].repeat(times) for name in system.statics}
    return drivers, statics, {name: values[:cells].repeat(times) for name, values in probe.theta.items()}


def _again(
    probe: KnowledgeProbe, part: str, statics: Mapping[str, Tensor], factors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Outputs of the sub-module ``part`` alone for the first :data:`_PLACES` cells of the batch, once for each of n
    values (n,) of a static, or of a factor on an output of an earlier sub-module; the rest is that of the batch."""
    values = next(iter({**statics, **factors}.values()))
    cells = min(_PLACES, probe.outputs["ra"].shape[1])
    drivers, fixed, theta = _columns(probe, cells, len(values))
    own = next(one.outputs for one in probe.network.submodules if one.name == part)
    given = {name: made[:, :cells].detach().repeat(1, len(values)) for name, made in probe.outputs.items()}
    overrides = {name: made for name, made in given.items() if name not in own}
    for name, factor in factors.items():
        overrides[name] = overrides[name] * factor.repeat_interleave(cells)
    for name, level in statics.items():
        fixed[name] = level.repeat_interleave(cells)
    outputs: dict[str, Tensor]
    outputs, _ = probe.network(drivers, fixed, overrides=overrides, modules=(part,), theta=theta)
    return outputs
