"""Speed of a forest that gives seven fluxes at once, against the layout of the published emulator: a forest per flux.

    python benchmarks/forests.py [samples] [rows of training]

Both are scikit-learn forests of 10 trees, at most 20 deep, leaves of at least 4 samples (Han et al. 2025, ESSD 17,
7101, as their files are named [L]), 23 inputs and 7 outputs, trained on the same rows and timed in the same process on
one core. The published layout runs every cell; the joint forest leaves out the cells without land, which are 71 % of a
global map. Both rates are per sample of land that comes out, and per sample that goes in.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.multioutput import MultiOutputRegressor

INPUTS, OUTPUTS = 23, 7
TREES = {"n_estimators": 10, "max_depth": 20, "min_samples_leaf": 4, "min_samples_split": 10, "random_state": 0}
LAND = 0.29


def samples(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (row, 23) and outputs (row, 7) that depend on them, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, INPUTS)).astype(np.float32)
    mix = np.random.default_rng(9).normal(size=(INPUTS, OUTPUTS)) / INPUTS**0.5
    return x, np.tanh(x @ mix) + 0.3 * (x[:, :1] * x[:, 1:2]) + 0.2 * rng.normal(size=(rows, OUTPUTS))


def main(count: int = 200_000, rows: int = 60_000) -> None:
    x, y = samples(rows, 0)
    joint = RandomForestRegressor(n_jobs=1, **TREES).fit(x, y)
    single = MultiOutputRegressor(RandomForestRegressor(n_jobs=1, **TREES), n_jobs=1).fit(x, y)
    fresh, truth = samples(count, 1)
    land = np.random.default_rng(2).random(count) < LAND
    print(f"{rows} rows of training, {count} samples, one core")
    for name, model, given in (
        ("a forest per flux, all cells", single, fresh),
        ("joint forest, all cells", joint, fresh),
        ("joint forest, land alone", joint, fresh[land]),
    ):
        begin = time.perf_counter()
        found = model.predict(given)
        span = time.perf_counter() - begin
        error = np.sqrt(np.mean((found - (truth if len(found) == count else truth[land])) ** 2))
        through = len(found) / span
        useful = land.sum() / span
        print(
            f"{name:30s} {through / 1e3:7.0f} thousand/s in, {useful / 1e3:7.0f} thousand/s of land; RMSE {error:.3f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
