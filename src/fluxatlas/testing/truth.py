"""The hidden truth of the synthetic Earth: what its soils really do, as the system of the run declares it.

The system's truth (``System.truth``) runs on the exact weather of each point with parameters that no training stage
sees.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..drivers import slow_drivers
from ..errors import ConfigError
from ..ingest.atmosphere import series_of
from ..loading import load_object
from ..systems import System
from ..systems.protocols import Truth
from . import surface
from .climate import Climate
from .earth import SyntheticEarth
from .waves import Waves, scatter
from .weather import daily

Array = npt.NDArray[np.floating[Any]]

_CELLS = 768


def hidden_parameters(
    earth: SyntheticEarth, system: System, place: Climate, attributes: Mapping[str, Array], lai: Array
) -> dict[str, Array]:
    """The hidden parameters at ``place``, each of shape (cell,); ``lai`` is the monthly climatology (12, cell).

    Raises :class:`ConfigError` for a system without truth, and for the world ``realistic`` where its truth has none.
    """

    def waves(name: str) -> Array:
        return Waves(earth.seed, name, [(60, 1.0)], count=60).at(place.lat, place.lon)

    def without_memory(name: str) -> Array:
        return scatter(earth.seed, name, place.lat, place.lon)

    declared = _of(system)
    if earth.settings.world == "kind":
        return dict(declared.parameters(place.temperature, attributes, {"lai": lai}, waves))
    if "scatter" not in inspect.signature(declared.parameters).parameters:
        hint = "let Truth.parameters take 'scatter' (fluxatlas.systems.protocols), or set synthetic_earth.world: kind"
        raise ConfigError(f"the truth of the system '{system.key}' has no world 'realistic'", hint=hint)
    return dict(declared.parameters(place.temperature, attributes, {"lai": lai}, waves, without_memory))


def _of(system: System) -> Truth:
    if not system.truth:
        hint = "use a system with a truth of its own, or another source of forcing"
        raise ConfigError(f"the synthetic Earth has no truth for the system '{system.key}'", hint=hint)
    found: Truth = load_object(system.truth)
    return found


def truth(
    earth: SyntheticEarth,
    system: System,
    place: Climate,
    attributes: Mapping[str, Array],
    lai: Array,
    dates: pd.DatetimeIndex,
    variables: tuple[str, ...],
    at_sites: bool = False,
) -> dict[str, Array]:
    """True daily ``variables`` at ``place`` for consecutive UTC ``dates``, canonical units, (day, cell) float32.

    ``attributes`` (cell,) are those of the system, ``lai`` the monthly climatology (12, cell). Where
    sites stand (``at_sites``) hidden parameters are those of an undisturbed place (``Truth.undisturbed``). Raises
    :class:`InputError` where the drivers or attributes are not finite, :class:`ConfigError` for a system without truth.
    """
    made = {name: np.empty((len(dates), place.lat.size), np.float32) for name in variables}
    hidden = hidden_parameters(earth, system, place, attributes, lai)
    if at_sites:
        undisturbed = getattr(_of(system), "undisturbed", {})
        hidden |= {name: np.full(place.lat.size, value) for name, value in undisturbed.items()}
    series = series_of(system.slow)
    for start in range(0, place.lat.size, _CELLS):
        part = slice(start, start + _CELLS)
        here = place.take(part)
        slow = slow_drivers(system.slow, dates, here.lat, {"lai": lai[:, part]}, series)
        found = _of(system).simulate(
            {**daily(earth.seed, here, dates), **slow},
            {name: attributes[name][part] for name in system.attributes},
            {name: values[part] for name, values in hidden.items()},
            lat=here.lat,
            dates=dates,
        )
        for name in variables:
            made[name][:, part] = found[name]
    return made


def point_attributes(earth: SyntheticEarth, place: Climate) -> tuple[dict[str, Array], Array]:
    """Attributes of soil and cover, and monthly LAI (12, cell) of points, from the fields themselves.

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
