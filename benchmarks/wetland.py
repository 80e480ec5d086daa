"""Speed of the wetland methane column, against the same formulas as vectorised NumPy over all cells.

    python benchmarks/wetland.py [--cells 2048] [--days 365] [--write]

The rival runs the day loop of ``fluxatlas.process.wetland`` itself in NumPy, every ``[i]`` a whole row of cells, in the
same process and on the same input; it gets a tenth of the days. Both results are compared before the times are
printed, in processor time. The prototype of the model's specification, vectorised over 1,000 columns with the same
layers and steps, ran 127,000 cell-days per second and core on another machine.
"""

from __future__ import annotations

import builtins

import machine
import numpy as np
import pandas as pd

from fluxatlas.process.wetland import _kernel, column

PROTOTYPE = 127e3


def weather(days: int, cells: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], pd.DatetimeIndex]:
    """Plausible drivers (day, cell), attributes (cell,) and dates."""
    rng = np.random.default_rng(0)
    season = np.sin(2 * np.pi * np.arange(days) / 365.25)[:, None]
    tas = 281 + 12 * season + rng.normal(0, 4, (days, cells))
    drivers = {
        "tas": tas, "pr": rng.gamma(0.3, 8, (days, cells)) / 86400, "rsds": 160 + 90 * season + 0 * tas,
        "rlds": 0.82 * 5.67e-8 * tas**4, "ps": np.full((days, cells), 98000.0), "lai": 1.5 + season + 0 * tas,
        "ch4": np.full((days, cells), 1850.0),
    }  # fmt: skip
    soil = {"phh2o": rng.uniform(4, 8, cells)}
    return {k: v.astype(np.float32) for k, v in drivers.items()}, soil, pd.date_range("2001-01-01", periods=days)


def in_numpy(*given: object) -> None:
    """:func:`fluxatlas.process.wetland._kernel.run_block` without compilation, over whole rows."""
    n = given[1]
    scope = vars(_kernel)
    compiled = {name: value for name, value in scope.items() if hasattr(value, "py_func")}
    scope.update({name: value.py_func for name, value in compiled.items()})
    scope["range"] = lambda *ends: (slice(0, n),) if ends == (n,) else builtins.range(*ends)
    try:
        scope["run_block"](*given)
    finally:
        scope.update(compiled)
        del scope["range"]


def rival(
    drivers: dict[str, np.ndarray], soil: dict[str, np.ndarray], dates: pd.DatetimeIndex
) -> dict[str, np.ndarray]:
    """The daily results of the day loop in NumPy, all cells at once."""
    kept = column.run_block, column.BLOCK
    column.run_block, column.BLOCK = in_numpy, soil["phh2o"].size
    try:
        return column.simulate(drivers, soil, dates=dates).daily
    finally:
        column.run_block, column.BLOCK = kept


def main() -> None:
    asked = machine.options(__doc__, cells=2048, days=365)
    drivers, soil, dates = weather(asked.days, asked.cells)
    part = max(asked.days // 10, 2)
    short = {name: values[:part] for name, values in drivers.items()}
    ours, theirs = column.simulate(short, soil, dates=dates[:part]), rival(short, soil, dates[:part])
    for name in _kernel.OUTPUTS:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=2e-4, atol=2e-4, err_msg=name)
    spent = machine.in_turn(
        lambda: column.simulate(drivers, soil, dates=dates), lambda: rival(short, soil, dates[:part]), rounds=2
    )
    one, other = (asked.cells * n / span for span, n in zip(spent, (asked.days, part), strict=True))
    lines = [
        f"{asked.cells} cells, {asked.days} days ({part} in NumPy), {_kernel.LAYERS} layers, {_kernel.STEPS} steps.",
        "",
        "| | thousand cell-days per second | compiled over it |",
        "|---|---|---|",
        f"| compiled, cells innermost | {one / 1e3:.0f} | 1 |",
        f"| vectorised NumPy, all cells at once | {other / 1e3:.0f} | {one / other:.1f} |",
        f"| prototype of the specification, another machine | {PROTOTYPE / 1e3:.0f} | {one / PROTOTYPE:.1f} |",
    ]
    machine.report("wetland", "Speed of the wetland methane column", lines, asked.write)


if __name__ == "__main__":
    main()
