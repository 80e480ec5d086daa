"""Where the towers and chambers of the synthetic Earth stand, and what they measure: the truth with noise and gaps.

Sites are spread over strata: from random points on upland soil the next site is always the one least like those
already chosen in climate, soil, cover and position. Errors of chambers have the standard deviation 0.15 + 0.2 |F|
mg m-2 d-1 (science notes, 7.14 [D]). They are white and of one chamber that stands for its cell in the world ``kind``,
last for days and are those of several chambers, each with a level of its own, in the world ``realistic``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import lfilter

from ..errors import InputError
from ..systems import System
from . import surface
from .climate import Climate
from .earth import SyntheticEarth
from .land import is_land
from .truth import point_attributes, truth
from .waves import rng

Array = npt.NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]

WEEK_CORRELATION = 0.55
"""Correlation at a lag of a week of errors of the world ``realistic``; real residuals have 0.4 to 0.7."""
CHAMBER_CV = 0.5
"""Coefficient of variation between chambers of a site of the world ``realistic``; real ones have 0.2 to 0.75."""
_CANDIDATES = (600, 6_000, 60_000)
"""Random points of a domain; more where too few lie on upland."""


@dataclass(frozen=True)
class SyntheticSites:
    """Places of sites: names, climate at the points, IGBP class, hours of standard time minus UTC."""

    names: list[str]
    place: Climate
    igbp: list[str]
    utc_offset: npt.NDArray[np.int64]

    def table(self) -> pd.DataFrame:
        """``site, lat, lon, elevation, igbp, utc_offset``, one row per site."""
        return pd.DataFrame(
            {
                "site": self.names,
                "lat": self.place.lat.round(5),
                "lon": self.place.lon.round(5),
                "elevation": self.place.elevation.round(1),
                "igbp": self.igbp,
                "utc_offset": self.utc_offset,
            }
        )


def place_sites(earth: SyntheticEarth, box: Box) -> tuple[SyntheticSites, SyntheticSites]:
    """Towers and chambers inside ``box`` = (west, south, east, north), the same for every call with one seed.

    Raises :class:`InputError` where the box holds too little upland for the number of sites.
    """
    settings = earth.settings
    total = settings.towers + settings.chambers
    for count in _CANDIDATES:
        place, cover = _candidates(earth, box, count)
        if place.lat.size >= total:
            break
    else:
        raise InputError(
            f"only {place.lat.size} of {count} random points of the domain lie on upland; {total} are needed",
            where=f"bbox {box}",
            hint="choose a domain with more land or fewer towers and chambers",
        )
    chosen = _spread(_traits(earth, place, cover), total)
    for_towers = np.linspace(0, total - 1, settings.towers).round().astype(int)
    for_chambers = np.setdiff1d(np.arange(total), for_towers)
    return tuple(  # type: ignore[return-value]
        _sites(prefix, place.take(chosen[part]), cover[chosen[part]])
        for prefix, part in (("XX-T", for_towers), ("XX-C", for_chambers))
    )


def _candidates(earth: SyntheticEarth, box: Box, count: int) -> tuple[Climate, npt.NDArray[np.uint8]]:
    """Of ``count`` random points those on upland, 1/24 degree from coast and edge of the box, and their cover."""
    west, south, east, north = box
    draw = rng(earth.seed, "sites")
    edge = 1 / 24
    lat = draw.uniform(south + edge, north - edge, count).round(4)
    lon = draw.uniform(west + edge, east - edge, count).round(4)
    shifts = [(0, 0), (edge, 0), (-edge, 0), (0, edge), (0, -edge)]
    dry = np.all([is_land(lat + dy, lon + dx) for dy, dx in shifts], axis=0)
    place = earth.climate(lat[dry], lon[dry])
    cover = surface.land_cover(earth.seed, place.lat, place.lon, place)
    upland = np.isin(cover, surface.UPLAND)
    return place.take(upland), cover[upland]


def _traits(earth: SyntheticEarth, place: Climate, cover: npt.NDArray[np.uint8]) -> Array:
    """What sites should differ in, standardised, shape (trait, cell)."""
    soil = surface.soils(earth.seed, place)
    traits = np.stack(
        [
            place.temperature,
            np.log(place.rain),
            np.log(soil["soc"]),
            soil["clay"],
            (cover == 10) * 1.0,
            np.isin(cover, (50, 60, 70)) * 1.0,
            1.5 * place.lat,
            1.5 * place.lon,
        ]
    )
    return (traits - traits.mean(axis=1, keepdims=True)) / np.maximum(traits.std(axis=1, keepdims=True), 1e-6)


def _spread(traits: Array, count: int) -> npt.NDArray[np.int64]:
    """Numbers of ``count`` candidates, each the farthest from those before it; the first is the most typical one."""
    chosen = [int(np.argmin((traits**2).sum(axis=0)))]
    distance = np.full(traits.shape[1], np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((traits - traits[:, chosen[-1:]]) ** 2).sum(axis=0))
        chosen.append(int(np.argmax(distance)))
    return np.array(chosen)


def _sites(prefix: str, place: Climate, cover: npt.NDArray[np.uint8]) -> SyntheticSites:
    names = [f"{prefix}{number:02d}" for number in range(1, place.lat.size + 1)]
    return SyntheticSites(
        names, place, [surface.IGBP[int(code)] for code in cover], np.rint(place.lon / 15).astype(np.int64)
    )


def site_truth(
    earth: SyntheticEarth, system: System, sites: SyntheticSites, dates: pd.DatetimeIndex, more: Sequence[str] = ()
) -> dict[str, Array]:
    """The hidden truth of what ``system`` observes, and of ``more`` of its outputs, at ``sites`` for consecutive UTC
    ``dates``, (day, site), after one year more in advance.
    """
    attributes, lai = point_attributes(earth, sites.place)
    first = dates[0] - pd.DateOffset(years=1)
    long = pd.date_range(first, dates[-1], freq="D")
    observed = tuple(dict.fromkeys((*(kind.variable for kind in system.observations), *more)))
    made = truth(earth, system, sites.place, attributes, lai, long, observed, at_sites=True)
    return {name: values[len(long) - len(dates) :] for name, values in made.items()}


def local_days(values: Array, utc_offset: npt.NDArray[np.int64]) -> Array:
    """Means of UTC days (day, site) -> means of local days, by the hours that the two share; the ends repeat."""
    share = np.abs(utc_offset) / 24
    later, earlier = np.concatenate([values[1:], values[-1:]]), np.concatenate([values[:1], values[:-1]])
    return np.where(utc_offset < 0, (1 - share) * values + share * later, (1 - share) * values + share * earlier)


def chamber_days(earth: SyntheticEarth, name: str, warmth: Array) -> npt.NDArray[np.bool_]:
    """Days on which a chamber site is visited; ``warmth`` is its daily soil temperature [K].

    More often in the growing season (soil above 5 degC) than in winter, never for three weeks of each year.
    """
    draw = rng(earth.seed, f"sites.{name}.days")
    often = earth.settings.chamber_days_per_week / 7
    visited = draw.random(warmth.size) < np.where(warmth > 278.15, often, often / 4)
    for start in range(0, warmth.size, 365):
        away = start + int(draw.integers(0, 344))
        visited[away : away + 21] = False
    return visited


def deviates(earth: SyntheticEarth, draw: np.random.Generator, days: npt.NDArray[np.bool_]) -> Array:
    """Errors of unit variance for the days of a mask (day,) that are measured, shape (measured,).

    White in the world ``kind``; a first-order autoregressive series over all days with the correlation
    :data:`WEEK_CORRELATION` at a lag of seven days in the world ``realistic``.
    """
    if earth.settings.world == "kind":
        return draw.standard_normal(int(days.sum()))
    step = WEEK_CORRELATION ** (1 / 7)
    shocks = draw.standard_normal(days.size) * np.sqrt(1 - step**2)
    shocks[:1] /= np.sqrt(1 - step**2)  # begins in equilibrium
    return np.asarray(lfilter([1.0], [1.0, -step], shocks)[days])


@dataclass(frozen=True)
class Visits:
    """Measurements of a chamber site, one row each: number of the day, measured flux, sd of its error [mg m-2 d-1].

    ``chamber`` numbers the chambers; ``None`` in the world ``kind``, where a single one stands for the cell.
    """

    day: npt.NDArray[np.int64]
    flux: Array
    sd: Array
    chamber: npt.NDArray[np.int64] | None = None


def chamber_visits(earth: SyntheticEarth, name: str, flux: Array, warmth: Array) -> Visits:
    """What is measured at a chamber site of which ``flux`` [mg m-2 d-1] and ``warmth`` [K] are known for all days.

    In the world ``realistic`` each of several chambers measures the flux times a factor of its own, with an error that
    lasts for days, half of whose variance it shares with the others; chambers come and go.
    """
    visited = chamber_days(earth, name, warmth)
    draw = rng(earth.seed, f"sites.{name}.noise")
    if earth.settings.world == "kind":
        day, chamber = np.flatnonzero(visited), None
        error = deviates(earth, draw, visited)
        own = flux[day]
    else:
        factors = chamber_factors(earth, name)
        there = _presence(earth, name, visited, factors.size)
        always = np.ones(visited.size, bool)
        parts = np.stack([deviates(earth, draw, always) for _ in range(1 + factors.size)], axis=1)
        day, chamber = np.nonzero(there)
        error = ((parts[:, :1] + parts[:, 1:]) / np.sqrt(2))[there]
        own = flux[day] * factors[chamber]
    sd = earth.settings.chamber_noise * (0.15 + 0.2 * np.abs(own))
    return Visits(day, own + sd * error, sd, chamber)


def chamber_factors(earth: SyntheticEarth, name: str) -> Array:
    """What each of 3 to 6 chambers of a site measures of the flux of the cell: log-normal, mean 1, CV
    :data:`CHAMBER_CV`.
    """
    draw = rng(earth.seed, f"sites.{name}.chambers")
    spread = np.sqrt(np.log1p(CHAMBER_CV**2))
    return np.asarray(np.exp(spread * draw.standard_normal(int(draw.integers(3, 7))) - spread**2 / 2))


def _presence(earth: SyntheticEarth, name: str, visited: npt.NDArray[np.bool_], chambers: int) -> npt.NDArray[np.bool_]:
    """Which chambers (day, chamber) measure on the days of a visit: each for 0.3 to 1 of the record, one of them for
    all of it, and one time in five not although it is there.
    """
    draw = rng(earth.seed, f"sites.{name}.presence")
    length = np.ceil(draw.uniform(0.3, 1.0, chambers) * visited.size)
    length[draw.integers(chambers)] = visited.size
    start = np.floor(draw.random(chambers) * (visited.size - length + 1))
    day = np.arange(visited.size)[:, None]
    works = draw.random((visited.size, chambers)) < 0.8
    return np.asarray(visited[:, None] & (day >= start) & (day < start + length) & works)


def tower_gaps(earth: SyntheticEarth, name: str, days: int) -> npt.NDArray[np.bool_]:
    """Days without measurement: single days and outages of one to four weeks, in all the share of the settings."""
    draw = rng(earth.seed, f"sites.{name}.gaps")
    gaps = draw.random(days) < earth.settings.tower_gaps / 2
    while gaps.mean() < earth.settings.tower_gaps:
        start = int(draw.integers(0, days))
        gaps[start : start + int(draw.integers(7, 29))] = True
    return gaps
