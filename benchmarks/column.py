"""Speed of the coupled soil column of the methane sink, against the same formulas as vectorised NumPy over all cells.

    python benchmarks/column.py [--cells 4096] [--days 365] [--write]

The rival runs the day loop of ``fluxatlas.process`` itself (snow, water, heat, methane) in NumPy, every ``[i]`` a whole
row of cells, in the same process and on the same input; it gets a tenth of the days. Cells in which a layer begins or
ends freezing, which need an iteration of their own, are solved by compiled code in both. Both results are compared
before the times are printed.
"""

from __future__ import annotations

import builtins
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import cast

import machine
import numba
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fluxatlas.process import _kernel, column, heat, methane_column, snow, water
from process_weather import soils, weather

PLACES = (_kernel, snow, water, heat, methane_column)
ONE_CELL = "for i in range(n):\n        if residual[i] > 0.0:"


@cache
def one_cell() -> Callable[..., object]:
    """The compiled solution of a cell in which a layer begins or ends freezing, apart from what is replaced below."""
    code = heat._solve_with_kinks.py_func.__code__
    return cast("Callable[..., object]", numba.njit(**heat.KERNEL)(types.FunctionType(code, dict(vars(heat)))))


@contextmanager
def in_numpy(n: int) -> Iterator[None]:
    """Every function of the day loop as Python, its loops over ``n`` cells one pass over whole rows."""
    kept = [(place, dict(vars(place))) for place in PLACES]
    plain = {}
    for place in PLACES:
        plain |= {name: one.py_func for name, one in vars(place).items() if hasattr(one, "py_func")}
    source = textwrap.dedent(inspect.getsource(plain["heat_step"]))
    source = source[source.index("def ") :].replace(
        ONE_CELL, "for i in np.flatnonzero(residual > 0.0):\n        if True:"
    )
    scope = {**vars(heat), **plain, "_solve_with_kinks": one_cell(), "np": np}
    over_cells = lambda *ends: (slice(0, n),) if ends == (n,) else builtins.range(*ends)  # noqa: E731
    scope["range"] = over_cells
    exec(source, scope)
    try:
        for place in PLACES:
            changed = {name: plain[name] for name, one in vars(place).items() if hasattr(one, "py_func")}
            changed |= {"heat_step": scope["heat_step"]} if hasattr(place, "heat_step") else {}
            vars(place).update(changed, range=over_cells)
        yield
    finally:
        for place, before in kept:
            vars(place).update(before)
            vars(place).pop("range", None)


def rival(
    drivers: dict[str, np.ndarray], soil: dict[str, np.ndarray], lat: np.ndarray, dates: pd.DatetimeIndex
) -> dict[str, np.ndarray]:
    """The daily results of the day loop in NumPy, all cells at once."""
    kept = column.run_block, column.BLOCK
    one_cell()  # before anything is replaced
    with in_numpy(lat.size):
        column.run_block, column.BLOCK = _kernel.run_block, lat.size
        try:
            return column.simulate(drivers, soil, {}, lat=lat, dates=dates).daily
        finally:
            column.run_block, column.BLOCK = kept


def main() -> None:
    asked = machine.options(__doc__, cells=4096, days=365)
    lat = np.linspace(-55, 75, asked.cells)
    drivers, dates = weather(asked.days, lat)
    soil, part = soils(asked.cells), max(asked.days // 10, 2)
    short = {name: values[:part] for name, values in drivers.items()}
    ours = column.simulate(short, soil, {}, lat=lat, dates=dates[:part]).daily  # compiles, too
    theirs = rival(short, soil, lat, dates[:part])
    for name in _kernel.OUTPUTS:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-4, atol=1e-7, err_msg=name)
    spent = machine.in_turn(
        lambda: column.simulate(drivers, soil, {}, lat=lat, dates=dates),
        lambda: rival(short, soil, lat, dates[:part]),
    )
    one, other = (asked.cells * n / span for span, n in zip(spent, (asked.days, part), strict=True))
    lines = [
        f"{asked.cells} cells, {asked.days} days ({part} in NumPy), {heat.LAYERS} layers, methane every day. Goal: 4.",
        "",
        "| | thousand cell-days per second | ratio |",
        "|---|---|---|",
        f"| compiled, cells innermost, blocks of {column.BLOCK} | {one / 1e3:.0f} | {one / other:.1f} |",
        f"| vectorised NumPy, all cells at once | {other / 1e3:.0f} | 1 |",
    ]
    machine.report("column", "Speed of the soil column of the methane sink", lines, asked.write)


if __name__ == "__main__":
    main()
