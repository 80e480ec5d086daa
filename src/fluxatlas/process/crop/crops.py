"""What tells maize, soybean and winter wheat apart, beside the parameters that have a row in the table.

Partitioning follows WOFOST (de Wit et al. 2019, doi:10.1016/j.agsy.2018.06.018) as simplified in the science notes (5.3
to 5.5, tuned there [D]); maintenance rates and growth efficiencies are WOFOST's in carbon [V]. The tables are linear
between knots of the development stage (0 emergence, 1 anthesis, 2 maturity) and constant beyond them; all knots are
multiples of 0.01, so that a table at every 0.01 holds them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Knots = tuple[tuple[float, float], ...]

STEPS = 200
"""Intervals of the tables over the development stages 0 to 2."""
TABLES = ("root", "leaf", "stem", "age", "leaf_area")
"""Tables in the order of the rows of :func:`tables`."""


@dataclass(frozen=True)
class Crop:
    """Constants of one crop.

    ``root`` is the share of the growth that goes to the roots, ``leaf`` and ``stem`` are shares of the rest (the grain
    takes what is left), ``age`` multiplies photosynthesis, ``leaf_area`` is m2 per g of leaf carbon; all are knots
    (stage, value). ``warmth`` [degC]: photosynthesis rises from the first, is full between the second and third and
    ends at the fourth. ``maintenance`` [d-1 at 25 degC] and ``efficiency`` [1] are of leaf, stem, root and grain;
    ``remobilised`` is the share of the stem that moves to the grain. ``c3``: responds to CO2. ``winter``: sown in the
    year before its harvest, needs cold and long days, is harvested when ripe.
    """

    name: str
    root: Knots
    leaf: Knots
    stem: Knots
    age: Knots
    leaf_area: Knots
    warmth: tuple[float, float, float, float]
    maintenance: tuple[float, float, float, float]
    efficiency: tuple[float, float, float, float]
    remobilised: float
    c3: bool = True
    winter: bool = False


MAIZE = Crop(
    name="maize",
    root=((0, 0.40), (0.5, 0.23), (0.9, 0.06), (1, 0)),
    leaf=((0.33, 0.62), (0.80, 0.15), (1.0, 0.05), (1.1, 0)),
    stem=((0.33, 0.38), (0.80, 0.85), (0.95, 0.85), (1.05, 0.30), (1.12, 0)),
    age=((1.3, 1), (1.7, 0.90), (2, 0.45)),
    leaf_area=((0, 0.055), (1, 0.030), (2, 0.028)),
    warmth=(6, 20, 32, 44),
    maintenance=(0.0267, 0.0133, 0.0133, 0.0089),
    efficiency=(0.78, 0.80, 0.80, 0.80),
    remobilised=0.15,
    c3=False,
)
SOYBEAN = Crop(
    name="soybean",
    root=((0, 0.55), (0.5, 0.38), (0.9, 0.21), (1, 0.15), (1.5, 0)),
    leaf=((0, 0.65), (1.0, 0.60), (1.15, 0.50), (1.3, 0.33), (1.5, 0.10), (2, 0)),
    stem=((0, 0.35), (1.0, 0.40), (1.15, 0.35), (1.3, 0.20), (1.5, 0.10), (2, 0)),
    age=((1.4, 1), (1.7, 0.80), (2, 0.30)),
    leaf_area=((0, 0.040), (1, 0.055), (2, 0.050)),
    warmth=(8, 22, 32, 42),
    maintenance=(0.0267, 0.0133, 0.0089, 0.0120),
    efficiency=(0.80, 0.82, 0.82, 0.66),
    remobilised=0.10,
)
WHEAT = Crop(
    name="wheat",
    root=((0, 0.50), (0.5, 0.13), (0.9, 0.03), (1, 0.02)),
    leaf=((0, 0.65), (0.25, 0.70), (0.5, 0.50), (0.65, 0.30), (0.95, 0)),
    stem=((0, 0.35), (0.25, 0.30), (0.5, 0.50), (0.65, 0.70), (0.95, 1.0), (1, 0)),
    age=((1.3, 1), (1.7, 0.75), (2, 0.20)),
    leaf_area=((0, 0.046),),
    warmth=(0, 14, 25, 36),
    maintenance=(0.0267, 0.0133, 0.0133, 0.0089),
    efficiency=(0.78, 0.80, 0.80, 0.83),
    remobilised=0.20,
    winter=True,
)
CROPS = (MAIZE, SOYBEAN, WHEAT)
"""The crops in the order of their codes; -1 is fallow."""
FALLOW = -1


def tables() -> FloatArray:
    """Values of :data:`TABLES` at every 0.01 of the stage, shape (crop, table, STEPS + 2); the last is repeated."""
    stage = np.minimum(np.arange(STEPS + 2), STEPS) * (2.0 / STEPS)
    return np.array([[_linear(getattr(crop, name), stage) for name in TABLES] for crop in CROPS])


def _linear(knots: Knots, stage: FloatArray) -> FloatArray:
    x, y = np.array(knots, float).T
    return np.asarray(np.interp(stage, x, y))


def crop_plan(
    rotation: npt.NDArray[np.integer], years: npt.NDArray[np.integer], seed: int = 0
) -> npt.NDArray[np.int64]:
    """Code of the crop that is harvested in each of ``years`` (Y,) under the codes of ``rotation`` (N,): (Y, N).

    Codes are those of the choice ``rotation``. ``random`` is maize or soybean with even chance, the same for the same
    year, cell and seed whatever other years are asked for.
    """
    even = (np.asarray(years)[:, None] % 2) == 0
    cells = np.arange(rotation.size, dtype=np.uint64)[None, :]
    mixed = (np.asarray(years)[:, None].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        (cells + np.uint64(1 + seed)) * np.uint64(0xBF58476D1CE4E5B9)
    )
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    chance = (mixed >> np.uint64(63)).astype(np.int64)
    options = [np.where(even, 0, 1), np.where(even, 1, 0), chance, 0, 1, 2]
    made = np.stack([np.broadcast_to(option, chance.shape) for option in options])
    return np.take_along_axis(made, np.broadcast_to(rotation, chance.shape)[None], axis=0)[0]
