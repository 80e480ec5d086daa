"""Knowledge of the soil methane sink: what is known of the response of uptake, in physical units.

Each term is zero for a flux that obeys; the process model obeys in nearly all draws from its prior, which a test holds
the bounds to. Two terms read the outputs of the batch at hand; three read *probes*: the last sub-module run for a few
days of constant conditions on a grid of soil temperature, water-filled pore space or atmospheric methane. Numbers are
those of the science notes (section 4.3), widened to what the process model does: bounds on Q10 and on the moisture
optimum are our proposal [D] from field responses; first-order kinetics give an elasticity of 1, Michaelis-Menten
kinetics with a half-saturation of 0.11 uM about 0.97.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import relu

from ...constants import FREEZING
from ...process import methane_torch as physics
from ..protocols import KnowledgeProbe

PROBE_DAYS = 6
"""Days of constant conditions before the response is read."""

TEMPERATURES = tuple(float(t) for t in range(-16, 45, 2))
SATURATIONS = tuple(0.02 + 0.06 * k for k in range(17))
"""Probe grids: soil temperature [degC] and water-filled pore space [1] (0.02 to 0.98)."""

METHANE = (1800.0, 1980.0)
"""Probe of atmospheric methane [1e-9]."""


def source_allowance(fch4: Tensor, saturation: Tensor, tsl: Tensor, allowed: float = 0.5) -> Tensor:
    """Mean net source above ``allowed`` [mg m-2 d-1] over days with ``saturation`` < 0.5 and ``tsl`` above 0 degC."""
    dry = (saturation < 0.5) & (tsl > FREEZING)
    return (relu(fch4 - allowed) * dry).sum() / dry.sum().clamp_min(1)


def substrate(uptake: Tensor, ch4: Tensor) -> Tensor:
    """Mean excess of d ln J / d ln ch4 outside 0.9..1.02; ``uptake`` J (2, cell) at the two ``ch4`` (2,)."""
    low, high = uptake.clamp_min(1e-6)
    elasticity = torch.log(high / low) / torch.log(ch4[1] / ch4[0])
    return (relu(0.9 - elasticity) + relu(elasticity - 1.02)).mean()


def temperature(uptake: Tensor, celsius: Tensor) -> Tensor:
    """Departure of a temperature response, ``uptake`` (n, cell) [mg m-2 d-1] at ``celsius`` (n,), evenly spaced.

    Sum of: Q10 of the flux outside 1.05..2.3 between 0 and 20 degC, increase above 35 degC, uptake below -10 degC.
    """
    step = float(celsius[1] - celsius[0])
    start = celsius[:-1]
    ratio = uptake[1:].clamp_min(1e-6) / uptake[:-1].clamp_min(1e-6)
    q10 = ratio.clamp(1e-2, 1e2) ** (10.0 / step)
    mild = (start >= 0) & (start + step <= 20)
    hot, cold = start >= 35, celsius < -10
    outside = (relu(1.05 - q10) + relu(q10 - 2.3))[mild].clamp_max(10.0).mean()
    return outside + relu(uptake[1:] - uptake[:-1])[hot].mean() + relu(uptake[cold] - 0.02).mean()


def moisture(uptake: Tensor, saturation: Tensor) -> Tensor:
    """Departure of a moisture response from one optimum in 0.05..0.85; ``uptake`` (n, cell) at ``saturation`` (n,).

    Sum of: steps against the slope on either side of the maximum, relative to the maximum; distance of the optimum (a
    smooth maximum, so that it has a gradient) to 0.05..0.85. Soils that diffusion does not limit take up nearly as much
    when all but full, so that nothing is asked of the wet end.
    """
    curve = uptake / uptake.amax(dim=0).clamp_min(1e-3)
    top = curve.argmax(dim=0)
    rising = torch.arange(len(saturation) - 1, device=uptake.device)[:, None] < top
    step = curve[1:] - curve[:-1]
    against = torch.where(rising, relu(-step), relu(step)).sum(dim=0)
    optimum = (torch.softmax(50.0 * curve, dim=0) * saturation[:, None]).sum(dim=0)
    return (against + relu(0.05 - optimum) + relu(optimum - 0.85)).mean()


def diffusion_limit(
    ch4ox: Tensor, concentration: Tensor, difs: Tensor, depth: float = 0.02, fastest: float = 1e-3
) -> Tensor:
    """Mean of ``ch4ox`` above what diffusion can supply, relative to it.

    The ceiling is ``86400 C0 min(D / depth, sqrt(D fastest))``: through ``depth`` [m] of inert soil, or to a sink of
    rate ``fastest`` [s-1]. ``concentration`` C0 [mg m-3], ``difs`` D [m2 s-1]. The ceiling is floored at
    1e-3 mg m-2 d-1.
    """
    ceiling = 86400.0 * concentration * torch.minimum(difs / depth, torch.sqrt(difs * fastest))
    return relu(ch4ox / ceiling.clamp_min(1e-3) - 1.0).mean()


def source_allowance_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`source_allowance` of the batch."""
    outputs = probe.outputs
    return source_allowance(outputs["fch4"], outputs["swc05"] / probe.known["phi"], outputs["tsl05"])


def diffusion_limit_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`diffusion_limit` of the batch."""
    known = probe.known
    concentration = physics.air_concentration(known["ch4"], known["ps"], known["tas"], known["huss"])
    return diffusion_limit(probe.outputs["ch4ox"], concentration, probe.outputs["difs"])


def substrate_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`substrate` of a probe of atmospheric methane."""
    uptake = respond(probe, ch4=METHANE)
    return substrate(uptake, probe.known["phi"].new_tensor(METHANE))


def temperature_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`temperature` of a probe of soil temperature."""
    uptake = respond(probe, celsius=TEMPERATURES)
    return temperature(uptake, probe.known["phi"].new_tensor(TEMPERATURES))


def moisture_term(probe: KnowledgeProbe) -> Tensor:
    """:func:`moisture` of a probe of water-filled pore space."""
    uptake = respond(probe, saturation=SATURATIONS)
    return moisture(uptake, probe.known["phi"].new_tensor(SATURATIONS))


def respond(
    probe: KnowledgeProbe,
    celsius: Sequence[float] | None = None,
    saturation: Sequence[float] | None = None,
    ch4: Sequence[float] | None = None,
) -> Tensor:
    """Uptake ``ch4ox`` (n, cell) [mg m-2 d-1] of the last sub-module under constant conditions on one grid of n values.

    Exactly one grid is given; the others stay at 15 degC, a water-filled pore space of 0.35 and 1900e-9. No snow,
    sea-level pressure, dry air, the time mean of the leaf area index.
    """
    grid = next(values for values in (celsius, saturation, ch4) if values is not None)
    network, known = probe.network, probe.known
    count, cells = len(grid), min(probe.sites, len(known["phi"]))
    statics = {name: known[name][:cells].repeat(count) for name in network.system.statics}
    like = statics["phi"]

    def column(values: Sequence[float] | None, otherwise: float) -> Tensor:
        return like.new_tensor(values or [otherwise] * count).repeat_interleave(cells).expand(PROBE_DAYS, -1)

    soil = column(celsius, 15.0) + FREEZING
    water = column(saturation, 0.35) * statics["phi"]
    nothing = torch.zeros_like(soil)
    lai = known["lai"][:, :cells].mean(dim=0).repeat(count).expand(PROBE_DAYS, -1)
    drivers = {
        "lai": lai,
        "ch4": column(ch4, 1900.0),
        "tas": soil,
        "ps": nothing + 101325.0,
        "huss": nothing,
    }
    theta = {name: values[:cells].repeat(count) for name, values in probe.theta.items()}
    last = network.submodules[-1]
    overrides = {name: soil for name in network.system.intermediates if name.startswith("tsl")}
    overrides |= {name: water for name in network.system.intermediates if name.startswith("swc")}
    overrides |= {"snw": nothing, "snd": nothing}
    outputs, _ = network(drivers, statics, overrides=overrides, modules=(last.name,), theta=theta)
    return outputs["ch4ox"][-1].reshape(count, cells)
