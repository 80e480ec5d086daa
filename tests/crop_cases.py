"""Random weather of a place after Richardson (1981), and fields to grow crops on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fluxatlas.astronomy import extraterrestrial_radiation

FEW_SOILS = {"sand": 10.0, "clay": 25.0, "soc": 15.4, "bdod": 1300.0}
"""A silt loam with 60 t ha-1 of carbon to 30 cm."""


def weather(
    lat: np.ndarray, years: int, mean: float, amplitude: float, rain: float, summer: float = 0.35, seed: int = 0
) -> tuple[dict[str, np.ndarray], pd.DatetimeIndex]:
    """Daily drivers (T, N) of N independent series at ``lat``: annual ``mean`` and ``amplitude`` [degC], ``rain``
    [mm yr-1] with that share more of it in ``summer`` than on average.

    Markov chain of wet days (0.28 overall, 0.45 after a wet day), gamma amounts (shape 0.7), first-order noise of
    temperature (0.7, 3 K), 10 K between night and day, transmissivity 0.66 or 0.42, dew point at
    the minimum temperature.
    """
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2001-01-01", f"{2000 + years}-12-31")
    n, days = lat.size, len(dates)
    wet, noise = np.zeros((days, n), bool), np.zeros((days, n))
    after_dry = 0.28 * (1 - 0.45) / (1 - 0.28)
    for t in range(1, days):
        wet[t] = rng.random(n) < np.where(wet[t - 1], 0.45, after_dry)
        noise[t] = 0.7 * noise[t - 1] + 3.0 * rng.standard_normal(n)
    season = -np.cos(2 * np.pi * (dates.dayofyear.to_numpy()[:, None] - 20) / 365) * np.where(lat < 0, -1.0, 1.0)
    celsius = mean + amplitude * season + noise
    half = 5.0
    ps = np.full((days, n), 98500.0)
    vapour = 610.8 * np.exp(17.27 * (celsius - half) / (celsius - half + 237.3))
    amount = np.where(wet, rng.gamma(0.7, rain / (365.25 * 0.28) / 0.7, (days, n)), 0.0)
    amount *= 1 + summer * season
    made = {
        "tas": celsius + 273.15,
        "tasmin": celsius - half + 273.15,
        "tasmax": celsius + half + 273.15,
        "pr": amount / 86400.0,
        "rsds": extraterrestrial_radiation(lat, dates) * np.where(wet, 0.42, 0.66),
        "rlds": 5.67e-8 * (celsius + 273.15) ** 4 * np.where(wet, 0.92, 0.80),
        "huss": 0.622 * vapour / (ps - 0.378 * vapour),
        "ps": ps,
        "co2": np.full((days, n), 400.0),
    }
    return {name: values.astype(np.float32) for name, values in made.items()}, dates


def soils(n: int, **changes: float) -> dict[str, np.ndarray]:
    """``n`` equal soils."""
    return {name: np.full(n, value) for name, value in {**FEW_SOILS, **changes}.items()}
