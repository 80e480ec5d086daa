"""Respiration of plants, litter and soil: responses to temperature and water.

Temperature: Lloyd & Taylor (1994, doi:10.2307/2389824), an exponential (Q10) and that of RothC-26.3 (Coleman &
Jenkinson 1996), all 1 at 15 degC [R]. Water: a ramp as in RothC, a parabola [D], and the lesser of limits by water and
by oxygen (Skopp et al. 1990, doi:10.2136/sssaj1990.03615995005400060018x) [R]. Temperatures in degC.
"""

from __future__ import annotations

from typing import Any

from .._vector import clip, exp, formula, log, maximum, minimum

REFERENCE = 15.0  # degC at which rates hold
_ROTHC = 106.06 / (REFERENCE + 18.27)


@formula
def lloyd_taylor(celsius: Any) -> Any:
    """Response of soil respiration to temperature [1], energy of 308.56 K."""
    return exp(308.56 * (1.0 / (REFERENCE + 46.02) - 1.0 / (maximum(celsius, -40.0) + 46.02)))


@formula
def exponential(celsius: Any, q10: Any) -> Any:
    """``q10 ** ((T - 15) / 10)``, and a straight end from 0 to -10 degC, where micro-organisms stop."""
    return exp(log(q10) * (celsius - REFERENCE) / 10.0) * clip(0.1 * celsius + 1.0, 0.0, 1.0)


@formula
def rothc(celsius: Any) -> Any:
    """Response of RothC, relative to 15 degC; none below -5 degC."""
    warm = maximum(celsius, -5.0)
    return clip(celsius + 5.0, 0.0, 1.0) * (1.0 + exp(_ROTHC)) / (1.0 + exp(106.06 / (warm + 18.27)))


@formula
def water_ramp(available: Any, dry: Any) -> Any:
    """From ``dry`` without to 1 at 0.55 of the ``available`` water [1] (RothC: ``dry`` of 0.2)."""
    return dry + (1.0 - dry) * minimum(maximum(available, 0.0) / 0.55, 1.0)


@formula
def water_parabola(saturation: Any, optimum: Any, dry: Any) -> Any:
    """A parabola of the ``saturation`` of the pores [1] about ``optimum`` that falls to ``dry`` without water."""
    away = (saturation - optimum) / optimum
    return maximum(1.0 - (1.0 - dry) * away * away, dry)


@formula
def water_skopp(saturation: Any, optimum: Any, dry: Any) -> Any:
    """The lesser of a limit by water (``saturation / optimum``) and by oxygen (square root of the air in the pores),
    both 1 at ``optimum``; at least a quarter of ``dry``."""
    air = maximum(1.0 - saturation, 0.0) / (1.0 - optimum)
    return maximum(minimum(minimum(saturation / optimum, exp(0.5 * log(maximum(air, 1e-9)))), 1.0), 0.25 * dry)


@formula
def maintenance(celsius: Any, acclimated: Any, q10: Any, share: Any) -> Any:
    """Maintenance of living tissue relative to 15 degC [1]; ``share`` of a lasting warmth (``acclimated``) does not
    count (after Atkin & Tjoelker 2003, doi:10.1016/S1360-1385(03)00136-5) [D]."""
    return exp(log(q10) * (celsius - REFERENCE - share * (acclimated - REFERENCE)) / 10.0)
