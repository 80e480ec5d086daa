"""The hidden truth of the synthetic Earth: what its soils really do.

The process model runs on the exact weather of each point with parameters that vary continuously with soil and
vegetation and that no training stage sees, and with structural choices (:data:`HIDDEN`) that the pretraining
generator must leave out (:data:`WITHHELD`). The numbers are ours: they aim at plausible fluxes, not at any real place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..drivers import slow_drivers
from ..ingest.atmosphere import series_of
from ..process import Structure, simulate
from ..systems import get_system
from . import surface
from .climate import Climate
from .earth import SyntheticEarth
from .waves import Waves
from .weather import daily

Array = npt.NDArray[np.floating[Any]]

SYSTEM = get_system("soil_methane_sink")
HIDDEN = Structure(diffusivity="moldrup_wlr", temperature="memo", moisture="parabola", profile="exponential")
"""Structure of the methane model of this world."""
WITHHELD = {field.name: (getattr(HIDDEN, field.name),) for field in fields(HIDDEN)}
"""What the generator of pretraining data must not use: ``Structure.sample(..., exclude=WITHHELD)``."""
VARIABLES = ("fch4", "ch4ox", "tsl05", "tsl15", "tsl45", "swc05", "swc15", "swc45")
ATTRIBUTES = ("sand", "clay", "soc", "bdod", "phh2o", "cropFrac", "ndep")
_SPINUP_YEARS = 2
_CELLS = 768


def parameters(seed: int, place: Climate, attributes: Mapping[str, Array], lai: Array) -> dict[str, Array]:
    """The hidden parameters at ``place``, each of shape (cell,), within the bounds of the process model's table.

    ``attributes`` as in :data:`ATTRIBUTES` (cell,), ``lai`` the monthly climatology (12, cell). A tenth of the
    variation of the oxidation rate follows no attribute, as in nature.
    """
    leaf = lai.mean(axis=0)
    forest = leaf / (leaf + 1.2)
    carbon = attributes["soc"] / (attributes["soc"] + 40)
    clay = attributes["clay"] / 100
    unexplained = Waves(seed, "truth.oxidation", [(60, 1.0)], count=60).at(place.lat, place.lon)
    cold = np.clip((12 - place.temperature) / 18, 0, 1)
    return {
        "albedo": 0.25 - 0.12 * forest,
        "root_base": 0.943 + 0.03 * forest,
        "surface_warming": 0.8 + 0.6 * (1 - forest),
        "litter_depth": 0.004 + 0.045 * forest * (0.4 + carbon),
        "melt_factor": 5.2 - 2.6 * forest,
        "runoff_shape": 5.5 - 3.0 * clay,
        "drainage_factor": np.exp(0.5 * (clay - 0.25)),
        "oxidation_rate": np.clip(1.2e-4 * np.exp(0.9 * (carbon - 0.5) - 0.8 * clay + 0.2 * unexplained), 1e-5, 2.5e-4),
        "oxidation_width": 0.06 + 0.07 * (1 - carbon),
        "oxidation_depth": 0.02 + 0.06 * forest,
        "oxidation_q10": 1.6 + 0.5 * cold,
        "oxidation_optimum": 27.5 - 4 * cold,
        "oxidation_minimum": -4 - 3 * cold,
        "wetness_optimum": 0.28 + 0.2 * clay,
        "nitrogen_threshold": np.full(leaf.size, 6.0),
        "nitrogen_sensitivity": np.full(leaf.size, 0.0065),
        "crop_reduction": np.full(leaf.size, 0.62),
        "ph_optimum": np.full(leaf.size, 6.3),
        "ph_width": np.full(leaf.size, 1.6),
        "production_rate": np.clip(0.012 * np.exp(3.0 * carbon), 0.001, 1.0),
        "production_q10": np.full(leaf.size, 2.8),
    }


def truth(
    earth: SyntheticEarth,
    place: Climate,
    attributes: Mapping[str, Array],
    lai: Array,
    dates: pd.DatetimeIndex,
    variables: tuple[str, ...] = VARIABLES,
) -> dict[str, Array]:
    """True daily state and flux at ``place`` for consecutive UTC ``dates``, canonical units, (day, cell) float32.

    The column is spun up on the first year. ``fch4`` is positive upward, ``ch4ox`` positive into the soil; both per
    area of upland soil. Raises :class:`InputError` where the drivers or attributes are not finite.
    """
    made = {name: np.empty((len(dates), place.lat.size), np.float32) for name in variables}
    hidden = parameters(earth.seed, place, attributes, lai)
    for start in range(0, place.lat.size, _CELLS):
        part = slice(start, start + _CELLS)
        here = place.take(part)
        forcing = {
            **daily(earth.seed, here, dates),
            **slow_drivers(SYSTEM.slow, dates, here.lat, {"lai": lai[:, part]}, series_of(SYSTEM.slow)),
        }
        result = simulate(
            forcing,
            {name: attributes[name][part] for name in ATTRIBUTES},
            {name: values[part] for name, values in hidden.items()},
            lat=here.lat,
            dates=dates,
            structure=HIDDEN,
            spinup_years=_SPINUP_YEARS,
        )
        for name in variables:
            made[name][:, part] = result.daily[name]
    return made


def point_attributes(earth: SyntheticEarth, place: Climate) -> tuple[dict[str, Array], Array]:
    """Attributes (:data:`ATTRIBUTES`) and monthly LAI (12, cell) of points, from the fields themselves.

    ``cropFrac`` [%] is the share of cropland among 25 points of the 1/120 degree cells around each point.
    """
    cover = surface.land_cover(earth.seed, place.lat, place.lon, place)
    step = (np.arange(5) - 2) / 120
    dlat, dlon = (d.ravel() for d in np.meshgrid(step, step))
    around = np.repeat(np.arange(place.lat.size), dlat.size)
    lat, lon = (place.lat[:, None] + dlat).ravel(), (place.lon[:, None] + dlon).ravel()
    crops = surface.land_cover(earth.seed, lat, lon, place.take(around)).reshape(-1, dlat.size) == 10
    attributes = surface.soils(earth.seed, place)
    attributes |= {"cropFrac": 100.0 * crops.mean(axis=1), "ndep": surface.nitrogen(earth.seed, place)}
    return attributes, surface.leaf_area(place, cover)
