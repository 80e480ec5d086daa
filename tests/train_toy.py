"""A tiny world for tests of training: weather with seasons, soil that follows it, uptake by the physical head."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from fluxatlas.drivers import slow_drivers
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.loading import load_object
from fluxatlas.process.methane_column_torch import fluxes
from fluxatlas.systems import get_system
from fluxatlas.systems.soil_methane_sink.network import diffusivity
from fluxatlas.theta import draw
from fluxatlas.train.data import Segment, SequenceSet

SYSTEM = get_system("soil_methane_sink")
SERIES = series_of(SYSTEM.slow)


def statics(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    sand = rng.uniform(20, 70, n)
    return {
        "sand": sand,
        "clay": rng.uniform(5, 30, n),
        "soc": rng.uniform(5, 40, n),
        "phi": rng.uniform(0.4, 0.55, n),
        "phh2o": rng.uniform(4.5, 8, n),
        "cropFrac": rng.uniform(0, 60, n),
        "ndep": rng.uniform(1, 20, n),
    }


def drivers(dates: pd.DatetimeIndex, lat: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = (len(dates), len(lat))
    phase = -np.cos(2 * np.pi * (dates.dayofyear.to_numpy()[:, None] - 15) / 365)
    tas = 300 - 0.4 * np.abs(lat) + 0.25 * np.abs(lat) * phase + rng.normal(0, 2, shape)
    wet = rng.random(shape) < 0.3
    return {
        "tas": tas,
        "tasmin": tas - 5,
        "tasmax": tas + 5,
        "pr": np.where(wet, rng.gamma(0.8, 8.0, shape), 0.0) / 86400,
        "rsds": 180 + 90 * phase + rng.normal(0, 10, shape),
        "rlds": 5.67e-8 * 0.8 * tas**4,
        "huss": np.clip(0.01 * np.exp(0.06 * (tas - 288)), 1e-4, 0.03),
        "ps": np.full(shape, 95000.0),
        "sfcWind": np.abs(rng.normal(3, 1, shape)),
        **slow_drivers(SYSTEM.slow, dates, lat, {"lai": np.full((12, len(lat)), 2.0)}, SERIES),
    }


def soil(weather: dict[str, np.ndarray], fixed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Soil temperature lags the air, water is a leaky bucket, snow lies below freezing; then methane."""
    days, n = weather["tas"].shape
    out = {name: np.zeros((days, n)) for name in SYSTEM.intermediates}
    tsl, swc, snow = np.full((3, n), 285.0), np.full(n, 0.2), np.zeros(n)
    for day in range(days):
        for layer, rate in enumerate((0.3, 0.1, 0.03)):
            tsl[layer] += rate * (weather["tas"][day] - tsl[layer])
            out[f"tsl{('05', '15', '45')[layer]}"][day] = tsl[layer]
        cold = weather["tas"][day] < 273.15
        rain = weather["pr"][day] * 86400
        snow = np.where(cold, snow + rain, np.maximum(snow - 5, 0))
        loss = 0.04 * swc * (weather["rsds"][day] / 180)
        swc = np.clip(swc + np.where(cold, 0, rain) / 300 - loss, 0.03, 0.95 * fixed["phi"])
        out["snw"][day], out["snd"][day], out["evspsbl"][day] = snow, snow / 250, loss * 300 / 86400
        for depth in ("05", "15", "45"):
            out[f"swc{depth}"][day] = swc
    known = {k: torch.as_tensor(v) for k, v in {**weather, **fixed, **out}.items()}
    known["retention_factor"] = torch.ones(n, dtype=torch.float64)
    out["difs"] = diffusivity(known, "curry").numpy()
    warm = np.exp(0.06 * (out["tsl05"] - 288.15)) * (out["tsl05"] > 265)
    out["oxk"] = 4e-5 * (1 - 0.006 * fixed["cropFrac"]) * warm + 1e-7
    out["ch4prod"] = 0.2 * np.maximum(out["swc05"] / fixed["phi"] - 0.6, 0)
    made = fluxes(known | {k: torch.as_tensor(v) for k, v in out.items()})
    return out | {name: values.numpy() for name, values in made.items()}


def samples(n: int = 12, days: int = 400, seed: int = 0) -> SequenceSet:
    """``n`` sites on a line of latitude, every fourth of which shares a spatial block with its neighbour."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2000-01-01", periods=days)
    lat, lon = np.linspace(-50, 60, n), np.linspace(-120, 30, n)
    fixed, weather = statics(n, rng), drivers(dates, lat, rng)
    targets = soil(weather, fixed)

    def small(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.asarray(values, np.float32) for name, values in arrays.items()}

    return SequenceSet(
        dates=dates,
        sites=tuple(f"s{k}" for k in range(n)),
        lat=lat,
        lon=lon,
        block=np.arange(n) - (np.arange(n) % 4 == 3),
        drivers=small(weather),
        statics=small(fixed),
        targets=small(targets),
        segments=tuple(Segment(k, 0, days) for k in range(n)),
        theta=small(draw(load_object(SYSTEM.priors)(), SYSTEM.choices, n, rng).all()),
    )
