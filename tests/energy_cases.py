"""Six climates for the surface energy and two-layer bucket, with the numbers that a reference implementation gave.

The reference numbers come from the specification of the system: other weather of the same climates, same formulas. They
are golden ranges, not a comparison day by day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fluxatlas.astronomy import extraterrestrial_radiation
from fluxatlas.humidity import huss_from_relative_humidity
from fluxatlas.process.energy.column import SimulationResult, simulate
from fluxatlas.process.energy.vegetation import CLASSES

DATES = pd.date_range("2001-01-01", "2003-12-31", freq="D")


@dataclass(frozen=True)
class Case:
    """A climate: latitude, temperature and its season, rain and its season, sun, humidity, leaves, soil, and what the
    reference has for Rn, LE, H [W m-2], ET [mm yr-1], GPP [g C m-2 yr-1] and water of the top layer [1]."""

    cover: str
    lat: float
    warmth: tuple[float, float]
    rain: tuple[float, float]
    clear: float
    humidity: float
    leaves: tuple[float, float]
    soil: tuple[float, float, float]
    albedo: float
    expected: tuple[float, ...]

    def weather(self) -> dict[str, Any]:
        """Drivers (day, 1)."""
        rng = np.random.default_rng(1)
        days = np.arange(len(DATES))
        season = np.cos(2 * np.pi * (days - 200) / 365.25) * (1 if self.lat >= 0 else -1)
        yearly, contrast = self.rain
        chance = np.clip(0.3 * (1 + contrast * season), 0.02, 0.9)
        wet = rng.random(len(days)) < chance
        depth = wet * rng.exponential(1.0, len(days))
        rain = depth * yearly / (depth.mean() * 365.25)
        tas = 273.15 + self.warmth[0] + self.warmth[1] * season + rng.normal(0, 2.0, len(days))
        above = extraterrestrial_radiation(np.array([self.lat]), DATES)[:, 0]
        rsds = above * self.clear * np.where(wet, 0.6, 1.13)
        ps = np.full(len(days), 98000.0)
        humid = np.clip(self.humidity + np.where(wet, 12.0, -5.0), 10, 98)
        huss = huss_from_relative_humidity(humid, tas, ps)
        vapour = huss * ps / 0.622 / 100
        clouds = np.where(wet, 1.0, 0.7)
        emissivity = np.minimum(1.24 * (vapour / tas) ** (1 / 7) * (1 + 0.22 * clouds**2), 1.0)
        rlds = emissivity * 5.67e-8 * tas**4
        lai = np.clip(self.leaves[0] + self.leaves[1] * season, 0.1, None)
        found = {"tas": tas, "pr": rain / 86400, "rsds": rsds, "rlds": rlds, "huss": huss, "ps": ps, "lai": lai}
        found |= {"sfcWind": np.full(len(days), 2.5), "co2": np.full(len(days), 390.0)}
        return {name: values[:, None] for name, values in found.items()}


CASES = {
    "boreal ENF": Case("ENF", 62.0, (2, 14), (570, 0.3), 0.56, 77, (2.5, 0.5), (60, 10, 20), 0.12,
                       (40, 23, 16, 300, 1660, 0.19)),
    "temperate DBF": Case("DBF", 45.0, (11, 10), (980, 0.0), 0.48, 68, (3.0, 2.5), (45, 15, 12), 0.15,
                          (79, 48, 29, 610, 2080, 0.28)),
    "prairie GRA": Case("GRA", 39.0, (10, 13), (580, 0.5), 0.54, 55, (1.3, 1.2), (25, 28, 12), 0.2,
                        (73, 33, 37, 420, 1500, 0.31)),
    "semi-arid OSH": Case("OSH", 32.0, (18, 9), (260, 0.4), 0.52, 38, (0.5, 0.2), (70, 10, 5), 0.26,
                          (72, 19, 48, 245, 260, 0.11)),
    "tropical EBF": Case("EBF", -3.0, (26, 1), (2090, -0.2), 0.46, 80, (5.0, 0.2), (30, 35, 15), 0.12,
                         (148, 97, 50, 1250, 3370, 0.36)),
    "seasonal tropical GRA": Case("GRA", 12.0, (23, 4), (720, 0.95), 0.46, 55, (1.5, 1.0), (65, 15, 10), 0.22,
                                  (103, 49, 48, 630, 1470, 0.17)),
}  # fmt: skip


def run(case: Case, wetter: float = 1.0, **parameters: float) -> SimulationResult:
    """The case with the coefficients of its class of vegetation, its rain times ``wetter`` and other ``parameters``."""
    soil = {name: np.array([value]) for name, value in zip(("sand", "clay", "soc"), case.soil, strict=True)}
    given = {**CLASSES[case.cover], "albedo": case.albedo, **parameters}
    weather = case.weather()
    weather["pr"] = wetter * weather["pr"]
    return simulate(weather, soil, given, dates=DATES, spinup_years=2)
