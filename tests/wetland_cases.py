"""Seven climates for the wetland column, with the numbers that a reference implementation gave.

The reference numbers come from the specification of the system: other weather of the same climates, same formulas. They
are golden ranges, not a comparison day by day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fluxatlas.astronomy import extraterrestrial_radiation
from fluxatlas.process.wetland.column import SimulationResult, simulate

DATES = pd.date_range("2001-01-01", periods=6 * 365, freq="D")
LAST = slice(-3 * 365, None)
NMOL = 86400e-6 * 16.043
"""mg m-2 d-1 per nmol m-2 s-1."""


@dataclass(frozen=True)
class Case:
    """A climate: latitude, mean temperature and its season, rain of a year and the season of its chance, leaves; pH and
    parameters; and what the reference has: mean flux and 95th percentile [nmol m-2 s-1], mean, least and highest water
    table [m], parts by plants, bubbles and diffusion."""

    lat: float
    warmth: tuple[float, float]
    rain: tuple[float, float]
    leaves: tuple[float, float]
    ph: float
    given: dict[str, float]
    flux: tuple[float, float]
    table: tuple[float, float, float]
    parts: tuple[float, float, float]

    def weather(self) -> dict[str, Any]:
        """Drivers (day, 1)."""
        rng = np.random.default_rng(1)
        days = np.arange(len(DATES))
        season = np.cos(2 * np.pi * (days - 200) / 365) * (1 if self.lat >= 0 else -1)
        yearly, contrast = self.rain
        chance = np.clip(0.35 * (1 + contrast * season), 0.02, 0.95)
        wet = rng.random(len(days)) < chance
        depth = wet * rng.exponential(1.0, len(days))
        rain = depth * yearly / (depth.mean() * 365)
        weather = np.zeros(len(days))
        for day in range(1, len(days)):
            weather[day] = 0.7 * weather[day - 1] + rng.normal(0, 2.0)
        tas = 273.15 + self.warmth[0] + self.warmth[1] * season + weather
        above = extraterrestrial_radiation(np.array([self.lat]), DATES)[:, 0]
        rsds = above * np.where(wet, 0.32, 0.55)
        rlds = np.where(wet, 0.90, 0.78) * 5.67e-8 * tas**4
        found = {"tas": tas, "pr": rain / 86400, "rsds": rsds, "rlds": rlds, "ps": np.full(len(days), 98000.0)}
        lai = np.clip(self.leaves[0] + self.leaves[1] * season, 0.1, None)
        found |= {"lai": lai, "ch4": np.full(len(days), 1850.0)}
        return {name: values[:, None] for name, values in found.items()}


def _given(rate: float, plants: float, runon: float, growth: float, **more: float) -> dict[str, float]:
    base = {"production_rate": rate, "plant_transport": plants, "runon": runon, "growth_temperature": growth}
    return {**base, "oxidation_rate": 10.0, "root_depth": 0.3, **more}


CASES = {
    "boreal bog": Case(62.0, (0, 15), (550, 0.3), (0.8, 0.3), 4.5, _given(8, 5, 0.2, 2, sill_height=0.05), (8, 33),
                       (-0.08, -0.19, 0.09), (7.4, 0.7, 0)),
    "boreal fen": Case(63.0, (1, 14), (600, 0.3), (0.8, 0.4), 5.8,
                       _given(5, 12, 0.8, 2, sill_height=0.08, outflow_rate=0.03), (23, 85),
                       (-0.06, -0.23, 0.14), (16, 5, 1)),
    "Arctic tundra": Case(70.0, (-10, 15), (230, 0.3), (0.3, 0.2), 5.5, _given(8, 12, 2.0, 2, sill_height=0.1), (3, 17),
                          (-0.07, -0.21, 0.17), (2.1, 0.3, 0.7)),
    "temperate managed marsh": Case(38.0, (15, 8), (400, -0.4), (3.0, 1.0), 6.8,
                                    _given(1.2, 14, 4, 7, sill_height=0.25), (91, 239),
                                    (0.07, -0.25, 0.28), (61, 29, 2)),
    "lake-shore marsh": Case(41.0, (10, 13), (900, 0.0), (2.5, 1.5), 7.0,
                             _given(1.2, 12, 1.2, 7, sill_height=0.3), (60, 202),
                             (0.07, -0.15, 0.31), (43, 17, 0)),
    "tropical peat swamp": Case(-2.0, (26, 1), (2400, 0.2), (5.0, 0.2), 4.3, _given(1.0, 3, 0, 7), (45, 59),
                                (0.03, -0.17, 0.23), (35, 10, 0)),
    "seasonal floodplain": Case(-19.0, (23, 5), (460, 0.95), (2.5, 1.0), 6.5,
                                _given(0.6, 12, 3, 7, sill_height=0.2), (85, 193),
                                (-0.04, -0.40, 0.22), (58, 25, 1)),
}  # fmt: skip


def run(case: Case, **options: Any) -> SimulationResult:
    """The case, spun up for six years."""
    return simulate(case.weather(), {"phh2o": [case.ph]}, case.given, dates=DATES, spinup_years=6, **options)
