"""Units told by the magnitude of values: one judgement, which ``inspect`` reports and ``ingest`` acts on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import variables
from ...errors import FluxAtlasError

FloatArray = npt.NDArray[np.floating[Any]]

# canonical variable -> band in which the median of real data lies [canonical units]
USUAL: dict[str, tuple[float, float]] = {
    "tas": (225, 315),
    "tasmin": (220, 312),
    "tasmax": (228, 322),
    "tsl": (230, 320),
    "ps": (45000, 107000),
    "sfcWind": (0.2, 20),
    "rlds": (80, 500),
    "huss": (5e-5, 0.03),
    "hurs": (8, 105),
    "ch4": (600, 4000),
    "vpd": (5, 6000),
}
# canonical variable -> units it is often given in; the one that brings the median into the usual band is named
CANDIDATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("tas", "tasmin", "tasmax"), ("K", "degC", "degF")),
    "tsl": ("K", "degC", "degF"),
    "ps": ("Pa", "hPa", "kPa"),
    "sfcWind": ("m s-1", "mm s-1", "km h-1"),
    "hurs": ("%", "1"),
    "huss": ("1", "g kg-1"),
    "rlds": ("W m-2", "J m-2 h-1", "MJ m-2 d-1"),
    "ch4": ("ppb", "1"),
    "vpd": ("Pa", "hPa", "kPa"),
}
FAINT: dict[str, float] = {"fch4": 0.1, "nee": 0.02}
"""What measured values of a flux exceed at times [canonical units]; less is another prefix (umol read as nmol)."""
REPEATS = 5
"""So many values above what a fraction can be are not single outliers."""

DRY = 0.2
"""Soil water [1] that ground falls to when it dries, and by which it changes in a year; our choice."""


@dataclass(frozen=True)
class MagnitudeFinding:
    """What the magnitude says against the unit assumed.

    ``units``: the unit that fits, '' where none does. ``certain``: values in the unit assumed are impossible, or the
    scale is the other one throughout, so that nothing but another unit explains them.
    """

    code: str
    text: str
    units: str = ""
    certain: bool = False


def looks_like_percent(values: FloatArray) -> bool:
    """Whether soil moisture is in percent, judged by magnitude: a water content above 1.2 m3 m-3 cannot be a fraction.

    The test asks for more than 5 % of the finite values above 1.2, so that single outliers do not decide.
    """
    finite = values[np.isfinite(values)]
    return bool(finite.size) and float(np.mean(finite > 1.2)) > 0.05


def too_large(values: FloatArray, low: float, high: float) -> float:
    """How many times too large ``values`` are: 1000 or a million where most are outside ``low`` to ``high`` and nearly
    all would fit after a division by that, else 1."""
    finite = np.unique(values[np.isfinite(values)])  # a code that recurs counts once
    if finite.size > 1 and np.mean((finite < low) | (finite > high)) > 0.5:
        for factor in (1e3, 1e6):
            if np.mean((finite / factor >= low) & (finite / factor <= high)) > 0.95:
                return factor
    return 1.0


def by_magnitude(
    values: FloatArray, variable: str, *, units: str = "", factor: float = 1.0, offset: float = 0.0
) -> MagnitudeFinding | None:
    """What the magnitude of ``values`` says against their unit, or None.

    They become ``variable`` (canonical units) by ``value * factor + offset``; ``units`` is how that unit is called.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    if (family := variable.rstrip("0123456789")) in ("swc", "hurs"):
        assumed_percent = factor < 0.5 if family == "swc" else factor <= 1.0
        if (found := _scale(finite, assumed_percent)) or family == "swc":
            return found
    if variable in FAINT and (largest := float(np.quantile(np.abs(finite * factor + offset), 0.99))) < FAINT[variable]:
        text = f"hardly any value is above {largest:.2g} {variables.get(variable).units}, less than instruments resolve"
        return MagnitudeFinding("unusual-magnitude", text) if largest > 0 else None
    return _unit(finite, variable, units, factor, offset)


def _scale(finite: FloatArray, assumed_percent: bool) -> MagnitudeFinding | None:
    """Fractions in the other scale than assumed, or in both."""
    high = int((finite > 1.5).sum())
    small, between = (int(((finite > low) & (finite <= most)).sum()) for low, most in ((0.0, 1.0), (1.0, 2.5)))
    if looks_like_percent(finite) and small >= max(REPEATS, 0.02 * finite.size) and _apart(finite, between):
        text = f"mixes units: {small:,} values ({100 * small / finite.size:.2g} %) look like fractions, others like "
        return MagnitudeFinding("mixed-units", f"{text}percent (up to {finite.max():.4g}), {between or 'none'} between")
    if looks_like_percent(finite):
        text = f"in percent by magnitude (median {np.median(finite):.3g}), not a fraction"
        return None if assumed_percent else MagnitudeFinding("percent-not-fraction", text, "%", True)
    if high >= REPEATS and float(np.median(finite)) <= 1.2 and finite.max() <= 130:
        text = f"mixes units: {finite.size - high:,} values look like fractions, {high:,} "
        text += f"({100 * high / finite.size:.2g} %) like percent (up to {finite.max():.4g})"
        return MagnitudeFinding("mixed-units", text)
    low = finite[finite <= 1.2]
    if assumed_percent and low.size and low.max() > 0.05 and finite.size - low.size < REPEATS:
        text = f"a fraction by magnitude (0-{low.max():.3g}), not percent"
        return MagnitudeFinding("fraction-not-percent", text, "1", True)
    return None


def _apart(finite: FloatArray, between: int) -> bool:
    """Whether values up to 1 are fractions beside percent, not the low end of percent (frozen or dry ground).

    Hardly any lies ``between``, or few do and those up to 1 spread as fractions of soils do: down to :data:`DRY` and
    over as much.
    """
    small = finite[(finite > 0) & (finite <= 1)]
    least, most = np.quantile(small, [0.05, 0.95])
    spread = bool(least <= DRY and most - least >= DRY)
    return between < (0.1 if spread else 0.01) * small.size


def _unit(finite: FloatArray, variable: str, units: str, factor: float, offset: float) -> MagnitudeFinding | None:
    """A median outside the usual band; the unit that would fit is named."""
    name = variable if variable in USUAL else variable.rstrip("0123456789")
    if name not in USUAL:
        return None
    low, high = USUAL[name]
    median = float(np.median(finite))
    canonical = median * factor + offset
    if low <= canonical <= high:
        return None
    least, most = variables.get(variable).valid
    for unit in CANDIDATES.get(name, ()):
        try:
            zero, one = variables.convert(np.array([0.0, 1.0]), unit, variable)
        except FluxAtlasError:
            continue
        if low <= median * (one - zero) + zero <= high:
            said = f"'{units}'" if units else "no unit"
            text = f"the unit says {said} but the magnitude (median {median:.4g}) is that of {unit}"
            return MagnitudeFinding("unit-by-magnitude", text, unit, not least <= canonical <= most)
    shown = f"{canonical:.4g} {variables.get(variable).units}"
    return MagnitudeFinding("unusual-magnitude", f"the median of {shown} is unusual for {variable}")
