"""Heads: from the outputs of the last sub-module to the fluxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ...errors import ConfigError, nearest
from ...process import methane_torch as physics

Head = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def diffusion_oxidation(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Uptake by diffusion and first-order oxidation in series with the snow, and the net flux.

    ``ch4ox = 86400 C0 / (1 / sqrt(difs oxk) + R_snow)``, ``fch4 = ch4prod - ch4ox`` [mg m-2 d-1]; ``ch4ox`` is positive
    into the soil, ``fch4`` upward. Steady half-space solution (Curry 2007, doi:10.1029/2006GB002818) with the snow
    resistance of the science notes.
    """
    concentration = physics.air_concentration(known["ch4"], known["ps"], known["tas"], known["huss"])
    resistance = physics.snow_resistance(known["snw"], known["snd"], known["tas"], known["ps"])
    uptake = physics.uptake(known["difs"], known["oxk"], concentration, resistance)
    return {"ch4ox": uptake, "fch4": known["ch4prod"] - uptake}


def free(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """No physics: the last sub-module gives ``ch4ox`` itself, of either sign. An ablation, not for products."""
    return {"ch4ox": known["ch4ox"], "fch4": known["ch4prod"] - known["ch4ox"]}


HEADS: dict[str, Head] = {"diffusion_oxidation": diffusion_oxidation, "free": free}


def get_head(name: str) -> Head:
    """The head called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    if name not in HEADS:
        raise ConfigError(f"unknown head '{name}'{nearest(name, HEADS)}", hint=f"choose from {sorted(HEADS)}")
    return HEADS[name]


def air_concentration(known: Mapping[str, Tensor]) -> Tensor:
    """Concentration of CH4 in the air above the soil [mg m-3], (time, cell)."""
    return physics.air_concentration(known["ch4"], known["ps"], known["tas"], known["huss"])
