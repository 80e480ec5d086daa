"""Speed of a forest that gives seven fluxes at once, against the layout of the published emulator: a forest per flux.

    python benchmarks/forests.py [--samples 200000] [--rows 60000] [--write]

Both are scikit-learn forests of 10 trees, at most 20 deep, leaves of at least 4 samples (Han et al. 2025, ESSD 17,
7101, as their files are named [L]), 23 inputs and 7 outputs, trained on the same rows and timed in the same process on
one core. The published layout runs every cell; the joint forest leaves out the cells without land, which are 71 % of a
global map. Both rates are per sample of land that comes out, and per sample that goes in.
"""

from __future__ import annotations

import time

import machine
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


def main() -> None:
    asked = machine.options(__doc__, samples=200_000, rows=60_000)
    x, y = samples(asked.rows, 0)
    joint = RandomForestRegressor(n_jobs=1, **TREES).fit(x, y)
    single = MultiOutputRegressor(RandomForestRegressor(n_jobs=1, **TREES), n_jobs=1).fit(x, y)
    fresh, truth = samples(asked.samples, 1)
    land = np.random.default_rng(2).random(asked.samples) < LAND
    lines = [
        f"{asked.rows} rows of training, {asked.samples} samples, {land.mean():.0%} on land; thousand per second.",
        "",
        "| layout | samples in | over it | samples of land | over it | RMSE |",
        "|---|---|---|---|---|---|",
    ]
    cases = {
        "a forest per flux, all cells": (single, np.ones_like(land)),
        "joint forest, all cells": (joint, np.ones_like(land)),
        "joint forest, land alone": (joint, land),
    }
    spent, errors = dict.fromkeys(cases, np.inf), {}
    for _ in range(2):
        for name, (model, chosen) in cases.items():
            begin = time.process_time()
            found = model.predict(fresh[chosen])
            spent[name] = min(spent[name], time.process_time() - begin)
            errors[name] = float(np.sqrt(np.mean((found - truth[chosen]) ** 2)))
    rates = {name: 1e-3 * np.array([chosen.sum(), land.sum()]) / spent[name] for name, (_, chosen) in cases.items()}
    first = next(iter(rates.values()))
    for name, (through, useful) in rates.items():
        ratios = through / first[0], useful / first[1]
        lines.append(
            f"| {name} | {through:.0f} | {ratios[0]:.1f} | {useful:.0f} | {ratios[1]:.1f} | {errors[name]:.3f} |"
        )
    machine.report("forests", "Speed of forests", lines, asked.write)


if __name__ == "__main__":
    main()
