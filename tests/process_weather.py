"""Plain random weather and soils for tests of the process models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def weather(days: int, lat: np.ndarray, seed: int = 0) -> tuple[dict[str, np.ndarray], pd.DatetimeIndex]:
    """Daily drivers (days, cells) with a season, autocorrelated temperature and random rain."""
    rng = np.random.default_rng(seed)
    cells = lat.size
    day = np.arange(days)[:, None]
    high = np.abs(np.sin(np.deg2rad(lat)))
    season = -np.cos(2 * np.pi * (day - 15) / 365) * np.sign(lat + 1e-9)
    noise = np.zeros((days, cells))
    for t in range(1, days):
        noise[t] = 0.7 * noise[t - 1] + 2.5 * rng.standard_normal(cells)
    tas = 273.15 + 27 - 35 * high**2 + season * 18 * high + noise
    ps = np.full((days, cells), 95000.0)
    saturation = 610.8 * np.exp(17.27 * (tas - 273.15) / (tas - 35.85))
    forcing = {
        "tas": tas,
        "tasmin": tas - 5,
        "tasmax": tas + 5,
        "pr": np.where(rng.random((days, cells)) < 0.3, rng.gamma(0.8, 8, (days, cells)), 0) / 86400,
        "rsds": np.clip(270 - 130 * high + season * 110 * high, 5, 380) * rng.uniform(0.5, 1.1, (days, cells)),
        "rlds": 0.84 * 5.67e-8 * tas**4,
        "huss": 0.622 * 0.65 * saturation / ps,
        "ps": ps,
        "lai": 2.0 + season + np.zeros((days, cells)),
        "ch4": np.full((days, cells), 1900.0),
    }
    return {k: v.astype(np.float32) for k, v in forcing.items()}, pd.date_range("2001-01-01", periods=days)


def soils(cells: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random attributes of ``cells`` soils."""
    rng = np.random.default_rng(seed)
    sand = rng.uniform(5, 90, cells)
    return {
        "sand": sand,
        "clay": rng.uniform(0.1, 0.9, cells) * (100 - sand),
        "soc": rng.uniform(2, 120, cells),
        "bdod": rng.uniform(600, 1650, cells),
        "phh2o": rng.uniform(4, 8.5, cells),
        "cropFrac": rng.uniform(0, 80, cells),
        "ndep": rng.uniform(0, 40, cells),
    }


def one_soil(**changes: float) -> dict[str, Any]:
    """A loam under grass, one cell."""
    loam = {"sand": 40.0, "clay": 20.0, "soc": 15.0, "bdod": 1350.0, "phh2o": 6.0, "cropFrac": 0.0, "ndep": 5.0}
    return {name: np.array([value]) for name, value in {**loam, **changes}.items()}
