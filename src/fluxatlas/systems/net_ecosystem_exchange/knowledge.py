"""Knowledge of net ecosystem exchange: what is known of the responses of its two parts, in physical units.

Each term is zero for a response that obeys. One reads the batch at hand; two read *probes*: one sub-module run for a
few days of constant conditions. The range of the Q10 is ours [D]: apparent values of ecosystem respiration at towers
lie between 1.3 and 3 (Mahecha et al. 2010, doi:10.1126/science.1189587, has 1.4 without confounding) [R], and the
generator draws wider.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from ...constants import FREEZING
from ..protocols import KnowledgeProbe

PROBE_DAYS = 6
"""Days of constant conditions before the response is read."""
DARK = 2.0
"""Radiation above the atmosphere [W m-2] below which a day is polar night."""
RADIATION = tuple(20.0 + 40.0 * k for k in range(9))
"""Probe of the radiation at the ground [W m-2]."""
TEMPERATURES = tuple(float(t) for t in range(0, 31, 3))
"""Probe of air and soil temperature [degC]."""
Q10 = (1.0, 4.0)
"""What the Q10 of ecosystem respiration may be between 6 and 27 degC; colder, that of RothC alone is 7."""


def darkness(gpp: Tensor, rsdt: Tensor) -> Tensor:
    """Mean ``gpp`` [g m-2 d-1] of days of polar night, both (time, cell)."""
    dark = rsdt < DARK
    return (gpp * dark).sum() / dark.sum().clamp_min(1)


def light(gpp: Tensor) -> Tensor:
    """Sum of the falls of ``gpp`` (n, cell) over rising light, relative to its greatest value."""
    curve = gpp / gpp.amax(dim=0).clamp_min(1e-2)
    return relu(curve[:-1] - curve[1:]).sum(dim=0).mean()


def warmth(reco: Tensor, celsius: Tensor) -> Tensor:
    """Mean excess of the Q10 of ``reco`` (n, cell) at ``celsius`` (n,), evenly spaced, outside :data:`Q10`."""
    step = float(celsius[1] - celsius[0])
    q10 = (reco[1:].clamp_min(1e-3) / reco[:-1].clamp_min(1e-3)).clamp(1e-2, 1e2) ** (10.0 / step)
    mild = (celsius[:-1] >= 6) & (celsius[1:] <= 27)
    return (relu(Q10[0] - q10) + relu(q10 - Q10[1]))[mild].clamp_max(10.0).mean()


def darkness_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`darkness` of the batch."""
    return darkness(probe.outputs["gpp"], probe.known["rsdt"])


def light_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`light` of a probe of radiation at 18 degC, moist air and soil."""
    return light(respond(probe, "production", "gpp", radiation=RADIATION))


def warmth_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`warmth` of a probe of temperature at a constant production."""
    response = respond(probe, "respiration", "reco", celsius=TEMPERATURES)
    return warmth(response, response.new_tensor(TEMPERATURES))


def respond(
    probe: KnowledgeProbe,
    part: str,
    output: str,
    radiation: tuple[float, ...] | None = None,
    celsius: tuple[float, ...] | None = None,
) -> Tensor:
    """``output`` (n, cell) of the sub-module ``part`` under constant conditions on one grid of n values.

    Over the first cells of the batch (``probe.sites``) with their mean leaf area; elsewhere 200 W m-2, 18 degC, 380e-6
    of CO2, soil water at 0.55 of the pores and a production of 4 g m-2 d-1.
    """
    cells = min(probe.sites, probe.known["phi"].shape[0])
    count = len(radiation or celsius or ())
    statics = {name: probe.known[name][:cells].repeat(count) for name in probe.network.system.statics}
    like = statics["phi"]

    def column(values: tuple[float, ...] | None, otherwise: float) -> Tensor:
        grid = values if values is not None else (otherwise,) * count
        return like.new_tensor(grid).repeat_interleave(cells).expand(PROBE_DAYS, -1)

    air = column(celsius, 18.0) + FREEZING
    constant = torch.zeros_like(air)
    lai = probe.known["lai"][:, :cells].mean(dim=0).repeat(count).expand(PROBE_DAYS, -1)
    drivers = {
        "tas": air,
        "tasmin": air - 5.0,
        "tasmax": air + 5.0,
        "rsds": column(radiation, 200.0),
        "rsdt": constant + 400.0,
        "huss": constant + 0.009,
        "ps": constant + 98000.0,
        "lai": lai,
        "co2": constant + 380.0,
    }
    wet = 0.55 * like.expand(PROBE_DAYS, -1)
    overrides = {"tsl05": air, "swc05": wet, "swc15": wet, "swc45": wet, "evspsbl": constant}
    overrides |= {name: constant + 4.0 for name in ("gpp", "reco") if name != output}
    theta = {name: values[:cells].repeat(count) for name, values in probe.theta.items()}
    outputs, _ = probe.network(drivers, statics, overrides=overrides, modules=(part,), theta=theta)
    found: Tensor = outputs[output][-1].reshape(count, cells)
    return found
