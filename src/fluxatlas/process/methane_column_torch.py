"""The methane column under given soil temperature and water as a differentiable function of torch tensors.

The same layers, nodes and equations as :func:`fluxatlas.process.methane_under`, to which a parity test holds it, over
all days and cells at once: loops run over the nodes and over the structural forms that occur. All names are those of
variables, parameters and structural choices; series are (time, cell), statics, parameters and codes (cell,). Gradients
are finite everywhere, also in frozen, saturated and inactive soil.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..constants import FREEZING
from . import methane_torch as physics
from .heat import CENTRES, FREEZING_RANGE, INTERFACES, THICKNESS
from .hydraulics import KPA_PER_M, ORGANIC_DENSITY, PARTICLE_DENSITY, cosby_b, cosby_psi_sat
from .methane import LEAST_DIFFUSIVITY, LITTER_DIFFUSIVITY, WATER_OVER_ICE
from .methane_column import EFFECTIVE, GREATEST_RATE, LAYERS, NODE_CENTRES, NODE_LAYER, NODE_THICKNESS, NODES
from .profiles import DEPTHS

Known = Mapping[str, Tensor]
Rows = Sequence[Tensor]

COLDEST = 100.0
"""Soil temperature [K] below which diffusivity stays the same: an untrained network may give anything."""

TEMPERATURE, WATER = (tuple(f"{kind}{z * 100:02.0f}" for z in DEPTHS) for kind in ("tsl", "swc"))
SERIES = (*TEMPERATURE, *WATER, "snw", "snd", "tas", "ps")
"""Series that :func:`column` reads; :func:`methane` reads ``huss`` and ``ch4`` too."""
MADE = ("difs", "oxk", "ch4prod")
"""What :func:`column` gives."""
STATICS = ("sand", "clay", "soc", "phi", "phh2o", "cropFrac", "ndep")

_WEIGHTS = np.stack([np.interp(CENTRES[:LAYERS], DEPTHS, unit) for unit in np.eye(len(DEPTHS))], axis=1)
_PROFILE, _ROW = np.unique(_WEIGHTS, axis=0, return_inverse=True)
"""Weights of the depths in each distinct layer, and which of those each layer is: layers above 5 cm are alike."""
ROW = tuple(int(row) for row in np.ravel(_ROW))


class Soil(NamedTuple):
    """Exponent b [1], suction at saturation [m], water content [1] at field capacity and wilting point, (cell,)."""

    b: Tensor
    psi_sat: Tensor
    theta_fc: Tensor
    theta_wp: Tensor


def retention(known: Known) -> Soil:
    """Retention of each soil from ``sand``, ``clay`` [%], ``soc`` [g kg-1], ``phi`` [1] and ``retention_factor``.

    Same as :func:`fluxatlas.process.hydraulics.retained`, with the bulk density that has the porosity ``phi``.
    """
    sand, phi, factor = known["sand"], known["phi"], known["retention_factor"]
    organic = (known["soc"] * 1e-3 * PARTICLE_DENSITY * (1 - phi) / ORGANIC_DENSITY).clamp(0.0, 1.0)
    b = (1 - organic) * cosby_b(known["clay"]) + organic * 2.7
    psi_sat = (1 - organic) * cosby_psi_sat(sand) + organic * 0.0103

    def held(kpa: Tensor | float) -> Tensor:
        share = ((kpa / (psi_sat * KPA_PER_M)) ** (-1.0 / b)).clamp_max(1.0)
        return torch.minimum(phi * share * factor, 0.98 * phi)

    field_suction = 33.0 - (sand - 50.0).clamp(0.0, 35.0) * (23.0 / 35.0)
    return Soil(b, psi_sat * factor**b, held(field_suction), held(1500.0))


def snow_thickness(snw: Tensor, snd: Tensor) -> Tensor:
    """Thickness [m] of ``snw`` [kg m-2]: ``snd``, but no lighter than 1 kg m-3, and 110 kg m-3 where it is not
    positive."""
    return torch.where(snd <= 0, snw / 110.0, torch.minimum(snd.clamp_min(1e-6), snw))


def column(known: Known) -> dict[str, Tensor]:
    """``difs`` [m2 s-1], ``oxk`` [s-1] and ``ch4prod`` [mg m-2 d-1], (time, cell), of ``known``.

    ``known`` holds :data:`SERIES`, :data:`STATICS`, the parameters of the methane model and the codes of its structural
    choices.
    """
    half, oxidation, source = (rows.unbind() for rows in _layers(known))
    conductance, returned = _sweep(half, oxidation, source, *(rows.unbind() for rows in _node_rates(known)))
    free_air = physics.free_air_diffusivity(known["tas"], known["ps"])
    top = known["litter_depth"] / (LITTER_DIFFUSIVITY * free_air) + half[ROW[0]] * float(NODE_THICKNESS[0])
    speed = conductance / (1.0 + top * conductance)
    snow = physics.snow_resistance(known["snw"], snow_thickness(known["snw"], known["snd"]), known["tas"], known["ps"])
    across = torch.stack([half[ROW[layer]] * float(2.0 * THICKNESS[layer]) for layer in range(EFFECTIVE)]).sum(dim=0)
    square = speed * speed
    difs = torch.maximum(float(INTERFACES[EFFECTIVE]) / across, square / GREATEST_RATE)
    made = physics.DAY * returned / (1.0 + (top + snow) * conductance)
    return {"difs": difs, "oxk": square / difs, "ch4prod": made}


def fluxes(known: Known) -> dict[str, Tensor]:
    """Uptake ``ch4ox``, positive into the soil, and net flux ``fch4``, positive upward [mg m-2 d-1], (time, cell).

    ``known`` holds ``difs``, ``oxk``, ``ch4prod`` as :func:`column` gives them, ``snw``, ``snd``, ``tas``, ``ps``,
    ``huss`` and ``ch4``: ``ch4ox = 86400 C0 / (1 / sqrt(difs oxk) + R_snow)``, the steady half-space (Curry 2007,
    doi:10.1029/2006GB002818) with the resistance of snow in series.
    """
    tas, ps = known["tas"], known["ps"]
    concentration = physics.air_concentration(known["ch4"], ps, tas, known["huss"])
    snow = physics.snow_resistance(known["snw"], snow_thickness(known["snw"], known["snd"]), tas, ps)
    uptake = physics.uptake(known["difs"], known["oxk"], concentration, snow)
    return {"ch4ox": uptake, "fch4": known["ch4prod"] - uptake}


def by_form(codes: Tensor, forms: Sequence[Callable[..., Tensor]], *given: Tensor) -> Tensor:
    """``forms[code](*given)`` of each cell, the last axis; a form is evaluated on the cells that have it alone."""
    present = codes.unique().tolist()
    if len(present) == 1:
        return forms[int(present[0])](*given)
    cells = [(codes == code).nonzero()[:, 0] for code in present]
    parts = [
        forms[int(code)](*(values[..., here] for values in given)) for code, here in zip(present, cells, strict=True)
    ]
    return torch.cat(parts, dim=-1)[..., torch.cat(cells).argsort()]


def _layers(known: Known) -> tuple[Tensor, Tensor, Tensor]:
    """Half the resistance per metre [s m-2] and the responses of oxidation and production [1], (layer, time, cell)."""
    phi, soil = known["phi"], retention(known)
    celsius = _profile([known[name] for name in TEMPERATURE]) - FREEZING
    water = torch.minimum(_profile([known[name] for name in WATER]).clamp_min(1e-3), 0.98 * phi)
    liquid = (celsius / FREEZING_RANGE + 1.0).clamp(0.0, 1.0)
    saturation = water / phi
    return (
        _half_resistance(known, soil.b, celsius, water, liquid),
        _oxidation(known, soil, celsius, water, saturation),
        _production(known, celsius, saturation) * liquid,
    )


def _profile(depths: Sequence[Tensor]) -> Tensor:
    """Values of the distinct layers (layer, time, cell) from those at :data:`DEPTHS`."""
    weights = torch.as_tensor(_PROFILE, dtype=depths[0].dtype, device=depths[0].device)
    return torch.einsum("ld,dtc->ltc", weights, torch.stack(torch.broadcast_tensors(*depths)))


def _half_resistance(known: Known, b: Tensor, celsius: Tensor, water: Tensor, liquid: Tensor) -> Tensor:
    codes, texture = known["diffusivity"], (known["sand"], known["clay"])
    factor, exponent = physics.diffusivity_coefficients(codes, known["phi"], b, *texture)
    eps = (known["phi"] - water * (WATER_OVER_ICE - (WATER_OVER_ICE - 1.0) * liquid)).clamp_min(1e-6)
    free_air = physics.free_air_diffusivity((celsius + FREEZING).clamp_min(COLDEST), known["ps"])
    relative = torch.exp(exponent * torch.log(eps) + torch.log(factor))
    return 0.5 / (relative * free_air).clamp_min(LEAST_DIFFUSIVITY)


def _oxidation(known: Known, soil: Soil, celsius: Tensor, water: Tensor, saturation: Tensor) -> Tensor:
    dry = torch.log(soil.psi_sat * KPA_PER_M) - soil.b * torch.log(saturation.clamp(1e-3, 1.0))
    low, high = torch.log(known["suction_low"]), torch.log(known["suction_high"])
    share = ((high - dry) / (high - low)).clamp(0.0, 1.0)
    drought = torch.where(share > 1e-12, torch.exp(known["suction_shape"] * torch.log(share.clamp_min(1e-12))), 0.0)
    shape = (torch.log(known["oxidation_q10"]), known["oxidation_optimum"], known["oxidation_minimum"])
    warm = by_form(known["temperature"], TEMPERATURE_FORMS, celsius.clamp(-60.0, 60.0), *shape)
    if int(known["moisture"].max()) == 0:  # no response but drought
        return drought * warm
    return drought * warm * by_form(known["moisture"], MOISTURE_FORMS, water, saturation, known["wetness_optimum"])


def _production(known: Known, celsius: Tensor, saturation: Tensor) -> Tensor:
    wet, dry = (saturation - 0.6).clamp_min(0.0) / 0.4, known["production_dry"]
    growth = torch.exp(0.1 * torch.log(known["production_q10"]) * (celsius.clamp(-60.0, 60.0) - 15.0))
    return (dry + (1.0 - dry) * wet * wet) * growth


def _curry(t: Tensor, log_q10: Tensor, optimum: Tensor, least: Tensor) -> Tensor:
    cold = (0.1 * t + 1.0).clamp(0.0, 1.0)
    above = t.clamp_min(0.0)
    growth = torch.exp(0.0693 * above - 8.56e-7 * above**4)
    return growth * cold * cold * (t < 43.3)


def _memo(t: Tensor, log_q10: Tensor, optimum: Tensor, least: Tensor) -> Tensor:
    return torch.exp(torch.where(t < 0.0, t, 0.1515 + 0.05238 * t - 5.946e-7 * t**4))


def _optimum(t: Tensor, log_q10: Tensor, optimum: Tensor, least: Tensor) -> Tensor:
    above = (t - optimum).clamp_min(0.0) / 15.0
    factor = (1.0 - above * above).clamp_min(0.0) * (1.0 - t / least).clamp(0.0, 1.0)
    return torch.exp(0.1 * log_q10 * torch.minimum(t, optimum)) * factor


TEMPERATURE_FORMS = (_curry, _memo, _optimum)
"""By code of the choice ``temperature``: :func:`fluxatlas.process.methane.temperature_response`."""


def _bell(water: Tensor, saturation: Tensor, optimum: Tensor) -> Tensor:
    beyond = (water - 0.2).clamp_min(0.0) / 0.2
    return torch.exp(-0.5 * beyond * beyond)


def _parabola(water: Tensor, saturation: Tensor, optimum: Tensor) -> Tensor:
    ends, apart = saturation * (1.0 - saturation), saturation - optimum
    return ends / (ends + apart * apart)


MOISTURE_FORMS = (lambda water, saturation, optimum: torch.ones_like(water), _bell, _parabola)
"""By code of the choice ``moisture``: :func:`fluxatlas.process.methane.wetness_response`."""


def _node_rates(known: Known) -> tuple[Tensor, Tensor]:
    """Conductance of oxidation [m s-1] and production [mg m-2 s-1] of each node (node, cell) before all responses."""
    like = known["oxidation_rate"]
    z, dz = (torch.as_tensor(x, dtype=like.dtype, device=like.device)[:, None] for x in (NODE_CENTRES, NODE_THICKNESS))
    nitrogen = torch.exp(-known["nitrogen_sensitivity"] * (known["ndep"] - known["nitrogen_threshold"]).clamp_min(0.0))
    departure = (known["phh2o"] - known["ph_optimum"]) / known["ph_width"]
    acidity = torch.exp(-0.5 * departure * departure).clamp_min(0.4)
    rate = like * nitrogen * acidity * (1.0 - known["crop_reduction"] * known["cropFrac"] / 100.0)
    peak, width = known["oxidation_depth"], known["oxidation_width"]
    shapes = [torch.exp(-0.5 * ((z - peak) / width) ** 2), torch.ones_like(z - peak), torch.exp(-z / (2.0 * width))]
    profile = physics.choose(known["profile"], shapes)
    production = known["production_rate"] / 3600.0 * torch.exp(-z / known["production_depth"])
    return rate * profile * dz, production * dz


def _sweep(half: Rows, oxidation: Rows, source: Rows, rate: Rows, production: Rows) -> tuple[Tensor, Tensor]:
    """Conductance [m s-1] and returned source [mg m-2 s-1] seen from the first node down, (time, cell), of layers and
    nodes one by one."""
    conductance = returned = half[0].new_zeros(())
    for node in range(NODES - 1, -1, -1):
        row, dz = ROW[NODE_LAYER[node]], float(NODE_THICKNESS[node])
        own, made = rate[node] * oxidation[row], production[node] * source[row]
        if node == NODES - 1:
            conductance, returned = own, made
            continue
        below, below_dz = ROW[NODE_LAYER[node + 1]], float(NODE_THICKNESS[node + 1])
        apart = half[row] * (dz + below_dz) if row == below else half[row] * dz + half[below] * below_dz
        passed = 1.0 / (1.0 + apart * conductance)
        conductance, returned = own + conductance * passed, made + returned * passed
    return conductance, returned
