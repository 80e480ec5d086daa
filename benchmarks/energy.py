"""Speed of the surface energy and two-layer bucket, against the same formulas as vectorised NumPy over all cells.

    python benchmarks/energy.py [--cells 4096] [--days 365] [--write]

The rival runs the functions of ``fluxatlas.process.energy`` themselves in NumPy, day by day over all cells, in the same
process and on the same input. Both results are compared before the times are printed.
"""

from __future__ import annotations

from types import SimpleNamespace

import machine
import numpy as np
import pandas as pd

from fluxatlas.process.energy import _kernel
from fluxatlas.process.energy.column import TABLE, simulate
from fluxatlas.process.energy.retention import retained, soil_limits


def weather(days: int, cells: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], pd.DatetimeIndex]:
    """Plausible drivers (day, cell), attributes (cell,) and dates."""
    rng = np.random.default_rng(0)
    season = np.sin(2 * np.pi * np.arange(days) / 365.25)[:, None]
    tas = 283 + 10 * season + rng.normal(0, 4, (days, cells))
    drivers = {
        "tas": tas, "pr": rng.gamma(0.2, 12, (days, cells)) / 86400, "rsds": 180 + 90 * season + 0 * tas,
        "rlds": 0.8 * 5.67e-8 * tas**4, "huss": np.full((days, cells), 0.006), "ps": np.full((days, cells), 98000.0),
        "sfcWind": np.full((days, cells), 3.0), "lai": 2 + season + 0 * tas, "co2": np.full((days, cells), 390.0),
    }  # fmt: skip
    soil = {"sand": rng.uniform(10, 80, cells), "soc": rng.uniform(5, 40, cells)}
    soil["clay"] = rng.uniform(0.2, 0.9, cells) * (100 - soil["sand"])
    return {k: v.astype(np.float32) for k, v in drivers.items()}, soil, pd.date_range("2001-01-01", periods=days)


def rival(drivers: dict[str, np.ndarray], soil: dict[str, np.ndarray]) -> np.ndarray:
    """The steps of the kernel as NumPy: every ``[i]`` a whole row. Returns ``daily``."""
    cells = soil["sand"].size
    p = SimpleNamespace(**TABLE.complete({}, cells))
    ground = SimpleNamespace(**retained(soil_limits(soil), p.retention_factor))
    state = SimpleNamespace(top=ground.swcfc.copy(), deep=ground.swcfc.copy(), snw=np.zeros(cells))
    rows = _kernel.work_rows(cells)
    days = drivers["tas"].shape[0]
    daily = np.empty((len(_kernel.OUTPUTS), days, cells), np.float32)
    left = np.empty((len(_kernel.BUDGETS), days, cells))
    whole = _Whole()
    for day in range(days):
        f = np.stack([drivers[name][day].astype(float) for name in _kernel.DRIVERS])
        before = _kernel.TOP * state.top + _kernel.DEEP * state.deep + state.snw + 86400.0 * f[1]
        for step, given in (("_radiation_step", (f, state, p, rows)), ("_canopy_step", (f, state, ground, p, rows)),
                            ("_water_step", (state, ground, p, rows)),
                            ("_write", (0, state, rows, daily, left, day, before))):  # fmt: skip
            whole.run(step, cells, given)
    return daily


class _Whole:
    """The Python source of each step, with its loop over cells replaced by one pass over whole rows."""

    def run(self, step: str, cells: int, given: tuple[object, ...]) -> None:
        """Run ``step`` of the kernel for all cells at once."""
        function = getattr(_kernel, step).py_func
        scope = function.__globals__
        kept = scope.get("range", range)
        scope["range"] = lambda n: (slice(0, n),)
        try:
            function(cells, *given)
        finally:
            scope["range"] = kept


def main() -> None:
    asked = machine.options(__doc__, cells=4096, days=365)
    drivers, soil, dates = weather(asked.days, asked.cells)
    ours, theirs = simulate(drivers, soil, dates=dates), rival(drivers, soil)
    for k, name in enumerate(_kernel.OUTPUTS):
        np.testing.assert_allclose(theirs[k], ours[name], rtol=2e-4, atol=2e-4, err_msg=name)
    one, other = machine.in_turn(lambda: simulate(drivers, soil, dates=dates), lambda: rival(drivers, soil), rounds=5)
    speed = [1e-6 * asked.cells * asked.days / span for span in (one, other)]
    lines = [
        f"{asked.cells} cells, {asked.days} days.",
        "",
        "| | million cell-days per second | ratio |",
        "|---|---|---|",
        f"| compiled, cells innermost | {speed[0]:.2f} | {other / one:.1f} |",
        f"| vectorised NumPy, all cells at once | {speed[1]:.2f} | 1 |",
    ]
    machine.report("energy", "Speed of the surface energy balance", lines, asked.write)


if __name__ == "__main__":
    main()
