"""A small made-up world of carbon exchange with regions, towers and inversions: the twin of the regional constraint.

Pixels have daily weather; the exchange of undisturbed stands is a smooth function of it. In the warm and wet tropics a
disturbance releases carbon where no tower stands, so that towers alone make the land a sink several times too large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor

from ..systems import Flux, ObservationKind, Submodule, System
from ..systems.protocols import Head, NetworkParts
from ..theta import Prior

FloatArray = npt.NDArray[np.floating[Any]]

LAND = 1.3e14
"""Vegetated area [m2]."""
GLOBAL = -3.0
"""True exchange of the world [PgC yr-1], positive to the atmosphere."""
FIRE = 2.0
"""Fire [PgC yr-1], which inversions see and the exchange does not hold."""
TOWER_ERROR = 0.5
"""Random error of a tower's day [g m-2 d-1]."""
MEMBER_BIAS, MEMBER_NOISE = 0.15, 0.35
"""Standard deviations between inversions of the mean of a region and of its months [PgC yr-1]."""


def exchange(known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The identity."""
    return {"nee": known["reco"] - known["gpp"]}


def priors() -> Mapping[str, Prior]:
    """No parameters."""
    return {}


PARTS = NetworkParts(heads={"exchange": Head(exchange, reads=("gpp", "reco"), makes=("nee",))})
SYSTEM = System(
    name="carbon_world",
    title="Carbon exchange of a made-up world",
    forcing=("tas", "rsds", "hurs"),
    slow=(),
    attributes=("soc", "clay"),
    statics=("soc", "clay"),
    climate=("tas", "hurs"),
    strata=("tas", "hurs"),
    submodules=(Submodule("carbon", ("tas", "rsds", "hurs"), (), ("soc", "clay"), ("gpp", "reco")),),
    process="",
    priors="fluxatlas.testing.carbon_world:priors",
    network="fluxatlas.testing.carbon_world:PARTS",
    fluxes=(Flux("nee", 1.0, "net carbon exchange", "Pg yr-1", "C"),),
    outputs=("nee", "gpp", "reco"),
    observations=(ObservationKind("nee"),),
    heads=("exchange",),
)
"""One sub-module; towers see its ``nee`` alone."""


@dataclass(frozen=True)
class CarbonWorld:
    """``drivers`` and ``flux`` (``nee``, ``gpp``, ``reco``, g m-2 d-1) are (day, pixel), ``statics`` and ``region``,
    ``area`` [m2], ``lat``, ``lon`` (pixel,). ``towers`` are pixels of undisturbed stands, ``observed`` (day, tower)
    their exchange with error. ``fire`` (month, region) and ``inversions`` (month, region, member), which hold it, are
    in Tg per month.
    """

    dates: pd.DatetimeIndex
    lat: FloatArray
    lon: FloatArray
    area: FloatArray
    region: npt.NDArray[np.int64]
    drivers: dict[str, FloatArray]
    statics: dict[str, FloatArray]
    flux: dict[str, FloatArray]
    towers: npt.NDArray[np.int64]
    observed: FloatArray
    fire: FloatArray
    inversions: FloatArray

    @property
    def month(self) -> npt.NDArray[np.datetime64]:
        """Months of the world."""
        return np.unique(self.dates.to_numpy().astype("datetime64[M]"))

    def sums(self, flux: FloatArray) -> FloatArray:
        """Sums (month, region) of ``flux`` (day, pixel) in Tg, by plain means over days and pixels."""
        number = np.searchsorted(self.month, self.dates.to_numpy().astype("datetime64[M]"))
        monthly = np.zeros((self.month.size, flux.shape[1]))
        np.add.at(monthly, number, flux.astype(float))
        count = int(self.region.max()) + 1
        inside = (self.region[:, None] == np.arange(count)) * self.area[:, None]
        return np.asarray(monthly @ inside * 1e-12)


def make_world(pixels: int, regions: int, years: int, towers: int, members: int, seed: int) -> CarbonWorld:
    """A world; equal arguments give an equal one."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2001-01-01", periods=int(np.ceil(365.25 * years)) + 1)
    dates = dates[dates.year < 2001 + years]
    lat = np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(-50)), np.sin(np.radians(68)), pixels)))
    lon = rng.uniform(-180, 180, pixels)
    region = _regions(lat, lon, regions)
    area = rng.uniform(0.5, 1.5, pixels)
    area *= LAND / area.sum()
    wet = np.clip(0.55 + 0.3 * np.cos(np.radians(4 * lat)) + 0.2 * rng.standard_normal(pixels), 0.05, 1.3)
    statics = {
        "soc": np.clip(15 * np.exp(0.9 * wet - 0.01 * np.abs(lat) + 0.2 * rng.standard_normal(pixels)), 2, 300),
        "clay": np.clip(25 + 8 * rng.standard_normal(pixels), 3, 70),
    }
    drivers = _weather(dates, lat, wet, region, rng)
    flux = _undisturbed(drivers, statics)
    warm = _logistic((27 - 0.55 * np.abs(lat) - 20) / 2)
    place = warm * _logistic((wet - 0.75) / 0.12)
    lacking = GLOBAL - _total(flux["nee"], area)
    season = 1 + 0.3 * np.sin(2 * np.pi * dates.dayofyear.to_numpy() / 365)[:, None]
    flux["reco"] = flux["reco"] + lacking / _total(season * place, area) * season * place
    flux["nee"] = flux["reco"] - flux["gpp"]
    chosen = _towers((lat > 28) & (lat < 65) & (place < 0.02), place < 0.2, towers, rng)
    observed = flux["nee"][:, chosen] + TOWER_ERROR * rng.standard_normal((len(dates), chosen.size))
    bare = CarbonWorld(
        dates, lat, lon, area, region, drivers, statics, flux, chosen, observed, np.zeros(0), np.zeros(0)
    )
    burnt = np.broadcast_to(warm * (0.4 + wet), flux["nee"].shape)
    fire = bare.sums(burnt)
    fire *= FIRE * 1000 * years / fire.sum()
    noise = MEMBER_BIAS * rng.standard_normal((1, regions, members))
    noise = noise + MEMBER_NOISE * rng.standard_normal((len(fire), regions, members))
    inversions = (bare.sums(flux["nee"]) + fire)[..., None] + noise * 1000 / 12
    return CarbonWorld(
        dates, lat, lon, area, region, drivers, statics, flux, chosen, observed, fire, np.asarray(inversions)
    )


def _towers(
    north: npt.NDArray[np.bool_], undisturbed: npt.NDArray[np.bool_], count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Pixels of the towers: most in the north, one of four anywhere in undisturbed stands."""
    few = max(count // 4, 1)
    chosen = rng.choice(np.flatnonzero(north), min(count - few, int(north.sum())), replace=False)
    others = np.setdiff1d(np.flatnonzero(undisturbed), chosen)
    return np.sort(np.concatenate([chosen, rng.choice(others, min(few, others.size), replace=False)]))


def _regions(lat: FloatArray, lon: FloatArray, count: int) -> npt.NDArray[np.int64]:
    """Bands of latitude, each parted by longitude: ``count`` regions of like size."""
    bands = max(int(np.sqrt(count)), 1)
    sizes = [count // bands + (band < count % bands) for band in range(bands)]
    edges = np.quantile(lat, np.cumsum(sizes)[:-1] / count)
    band = np.searchsorted(edges, lat)
    found = np.zeros(lat.size, np.int64)
    for number, size in enumerate(sizes):
        mine = band == number
        parts = np.quantile(lon[mine], np.arange(1, size) / size)
        found[mine] = sum(sizes[:number]) + np.searchsorted(parts, lon[mine])
    return found


def _weather(
    dates: pd.DatetimeIndex, lat: FloatArray, wet: FloatArray, region: npt.NDArray[np.int64], rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Daily weather: a season, anomalies of the months and years of a region, and noise of days."""
    phase = 2 * np.pi * (dates.dayofyear.to_numpy()[:, None] - 196) / 365.25
    season = np.cos(phase) * np.sin(np.radians(lat)) * 1.3
    month = (dates.year - dates.year[0]).to_numpy() * 12 + dates.month.to_numpy() - 1
    year = (dates.year - dates.year[0]).to_numpy()
    count = int(region.max()) + 1

    def anomaly(of_month: float, of_year: float) -> FloatArray:
        months = of_month * rng.standard_normal((month.max() + 1, count))
        years = of_year * rng.standard_normal((year.max() + 1, count))
        return np.asarray((months[month] + years[year])[:, region])

    shape = season.shape
    dry = anomaly(2.0, 2.5)
    tas = 300 - 0.55 * np.abs(lat) + 12 * season + anomaly(0.6, 0.5) + 1.5 * rng.standard_normal(shape)
    rsds = 240 * np.cos(np.radians(0.9 * lat)) * (1 + 0.6 * season) + dry + 15 * rng.standard_normal(shape)
    hurs = 40 + 40 * wet - dry + 4 * rng.standard_normal(shape)
    limits = {"tas": (tas, 230, 320), "rsds": (rsds, 1, 400), "hurs": (hurs, 5, 100)}
    return {name: np.clip(values, low, high).astype(np.float32) for name, (values, low, high) in limits.items()}


def _undisturbed(drivers: dict[str, FloatArray], statics: dict[str, FloatArray]) -> dict[str, FloatArray]:
    celsius = drivers["tas"] - 273.15
    heat = 1 - 0.25 * _logistic((celsius - 22) / 2)
    gpp = 0.022 * drivers["rsds"] * heat * _logistic((celsius - 6) / 4) * _logistic((drivers["hurs"] - 55) / 10)
    reco = (
        2.5 * np.exp(0.045 * (celsius - 12)) * (0.55 + 0.010 * statics["soc"]) * _logistic((drivers["hurs"] - 42) / 12)
    )
    return {"gpp": gpp, "reco": reco, "nee": reco - gpp}


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _total(flux: FloatArray, area: FloatArray) -> float:
    """Sum of ``flux`` (day, pixel) [PgC yr-1]."""
    return float((flux.mean(axis=0) * area).sum() * 365.25e-15)
