"""Soils, land cover, leaf area and nitrogen deposition of the synthetic Earth, at any point.

Every function takes the seed and a :class:`~.climate.Climate`; values follow from climate, terrain and random fields.
Over sea, soils are NaN and the cover is water.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from .climate import Climate
from .land import is_land
from .waves import Waves

Array = npt.NDArray[np.floating[Any]]

LEGEND = {
    10: "cropland",
    50: "tree cover, broadleaved, evergreen",
    60: "tree cover, broadleaved, deciduous",
    70: "tree cover, needleleaved, evergreen",
    120: "shrubland",
    130: "grassland",
    150: "sparse vegetation",
    180: "shrub or herbaceous cover, flooded",
    190: "urban",
    200: "bare",
    210: "water",
    220: "permanent snow and ice",
}
"""Classes of the land cover: codes of the ESA CCI land cover (LCCS) of which this world needs twelve."""

IGBP = {10: "CRO", 50: "EBF", 60: "DBF", 70: "ENF", 120: "OSH", 130: "GRA", 150: "OSH", 180: "WET", 200: "BSV"}
"""IGBP class of a site by land cover."""

UPLAND = (10, 50, 60, 70, 120, 130, 150)
"""Classes on which sites stand."""


@lru_cache(maxsize=8)
def _fields(seed: int) -> dict[str, Waves]:
    patches = {"crop": (18, 4), "wetland": (10, 3), "urban": (14, 2.5), "open": (25, 5), "water": (9, 3)}
    soils = {"texture": (120, 25), "clay": (90, 20), "carbon": (80, 15), "acid": (200, 30)}
    made = {
        name: Waves(seed, f"surface.{name}", [(a, 0.7), (b, 0.3)], count=60)
        for name, (a, b) in (soils | patches).items()
    }
    return made | {"deposition": Waves(seed, "surface.deposition", [(350, 1.0)])}


def soils(seed: int, place: Climate) -> dict[str, Array]:
    """Soil of the top 15 cm at ``place``, each of shape (cell,): ``sand``, ``clay`` [%], ``soc`` [g kg-1], ``bdod``
    [kg m-3], ``phh2o`` [1]; NaN over sea. Wet and cold soils hold more carbon and are more acid, organic soils are
    lighter; sand and clay sum to at most 97 %."""
    field = {name: _fields(seed)[name].at(place.lat, place.lon) for name in ("texture", "clay", "carbon", "acid")}
    wetness, cold = 1 - place.dryness, np.clip((12 - place.temperature) / 20, 0, 1)
    share_sand = 1 / (1 + np.exp(-(-0.35 + 0.85 * field["texture"] + 0.5 * place.dryness)))
    share_clay = 1 / (1 + np.exp(-(-0.65 + 0.7 * field["clay"] - 0.3 * cold)))  # of what is not sand
    sand = np.clip(100 * share_sand, 5, 92)
    clay = np.clip((97 - sand) * share_clay, 2, 60)
    soc = np.clip(np.exp(1.9 + 1.35 * wetness + 1.0 * cold + 0.45 * field["carbon"] + 0.006 * clay), 1.5, 350)
    bdod = np.clip(1620 * np.exp(-0.0045 * soc) - 3.0 * (clay - 20) + 1.5 * (sand - 40), 350, 1800)
    ph = np.clip(5.1 + 2.7 * place.dryness + 0.35 * field["acid"] - 0.003 * soc, 3.8, 9.2)
    sea = ~is_land(place.lat, place.lon)
    made = {"sand": sand, "clay": clay, "soc": soc, "bdod": bdod, "phh2o": ph}
    return {name: np.where(sea, np.nan, values) for name, values in made.items()}


def land_cover(seed: int, lat: Array, lon: Array, place: Climate) -> npt.NDArray[np.uint8]:
    """Land-cover class (:data:`LEGEND`) of points in degrees, shape (cell,).

    ``place`` is the climate of the same points; it may be that of a coarser cell around each.
    """
    z = {name: _fields(seed)[name].at(lat, lon) for name in ("crop", "wetland", "urban", "open", "water")}
    cover = _natural_cover(place, z["open"])
    flat = np.exp(-place.elevation / 700)
    warm = ndtr((place.temperature - 5) / 3)
    mild = warm * np.exp(-(((place.dryness - 0.35) / 0.35) ** 2))
    cover[ndtr(z["crop"]) < 0.42 * mild * flat**0.6] = 10
    cover[ndtr(z["wetland"]) < 0.09 * (1 - place.dryness) * (0.4 + flat)] = 180
    cover[ndtr(z["urban"]) < 0.025 * warm * flat] = 190
    cover[ndtr(z["water"]) < 0.025 * (1 - 0.8 * place.dryness)] = 210
    cover[~is_land(lat, lon)] = 210
    return cover


def _natural_cover(place: Climate, noise: Array) -> npt.NDArray[np.uint8]:
    """Vegetation by temperature and dryness, with edges broken up by ``noise``."""
    dry = place.dryness + 0.09 * noise
    warm = place.temperature + 1.5 * noise
    warmest = warm + place.amplitude
    return np.select(
        [
            warmest < 1,
            warmest < 6,
            dry > 0.93,
            dry > 0.84,
            dry > 0.66,
            (warmest < 10) | (dry > 0.5),
            warm > 20,
            (warm > 8) & (noise > 0),
        ],
        [220, 150, 200, 150, 120, 130, 50, 60],
        default=70,
    ).astype(np.uint8)


def leaf_area(place: Climate, cover: npt.NDArray[np.uint8]) -> Array:
    """Monthly leaf area index, shape (12, cell), from water, warmth and cover; 0 on water, ice, bare ground."""
    highest = {10: 3.5, 50: 5.5, 60: 5.0, 70: 4.5, 120: 1.8, 130: 2.5, 150: 0.6, 180: 3.0, 190: 1.0}
    evergreen = {50: 0.9, 70: 0.8, 120: 0.6}
    top = np.zeros(cover.size)
    keep = np.zeros(cover.size)
    for code, value in highest.items():
        top[cover == code] = value * (1 - 0.65 * place.dryness[cover == code])
        keep[cover == code] = evergreen.get(code, 0.15)
    day = (np.arange(12)[:, None] + 0.5) * 30.44
    summer = np.cos(2 * np.pi * (day - place.peak) / 365.25)
    late = np.cos(2 * np.pi * (day - place.peak - 50) / 365.25)
    warmth = ndtr((place.temperature + place.amplitude * summer - 6) / 3.5)
    water = 1 + 0.8 * place.rain_season * place.dryness * late  # leaves follow the rains where it is dry
    activity = np.clip(warmth * water, 0, 1.3)
    return top * (keep + (1 - keep) * activity) * (0.25 + 0.75 * np.maximum(warmth, keep))


def nitrogen(seed: int, place: Climate) -> Array:
    """Nitrogen deposition [kg ha-1 yr-1], shape (cell,): higher where it rains and in industrial latitudes."""
    field = _fields(seed)["deposition"].at(place.lat, place.lon)
    industry = np.exp(-(((place.lat - 42) / 18) ** 2))
    return np.clip((1.2 + 6.0 * industry) * np.exp(0.5 * field) * (0.5 + 0.5 * (place.rain / 900) ** 0.5), 0.3, 60)
