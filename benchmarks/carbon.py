"""Speed of the carbon model against the same formulas as vectorised NumPy over all cells.

    python benchmarks/carbon.py [--cells 4096] [--days 365] [--write]

The rival runs the functions of ``fluxatlas.process.carbon`` themselves in NumPy, day by day, every loop over cells
replaced by one pass over whole rows, in the same process and on the same drivers (heat and water of the soil, which
both need, are computed once before). One thread, processor time. Both results are compared first. Fails below a ratio
of three.
"""

from __future__ import annotations

import argparse
import builtins
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fluxatlas.process.carbon import _kernel, model  # noqa: E402
from process_weather import soils, weather  # noqa: E402

RESULT = Path(__file__).parent / "results" / "carbon.md"
LEAST = 3.0


def prepared(cells: int, days: int) -> tuple[Any, ...]:
    """Drivers of the kernel, parameters, codes, static terms."""
    lat = np.linspace(-55, 75, cells)
    forcing, dates = weather(days, lat)
    forcing["co2"] = np.full((days, cells), 390.0, np.float32)
    soil, kept = soils(cells), {}

    def catch(cut: slice, drivers: Any, p: Any, codes: Any, fixed: Any, *rest: Any) -> np.ndarray:
        kept["found"] = (drivers, p, codes, fixed)
        return np.zeros((len(_kernel.POOLS), cut.stop - cut.start))

    own, model._run = model._run, catch
    try:
        model.simulate(forcing, soil, lat=lat, dates=dates)
    finally:
        model._run = own
    return kept["found"]


def compiled(drivers: Any, p: Any, codes: Any, fixed: Any) -> np.ndarray:
    """Fluxes (output, T, N) of the model."""
    shape = drivers.shape[1:]
    daily, residuals = np.empty((len(_kernel.OUTPUTS), *shape), np.float32), np.empty(shape)
    for offset in range(0, shape[1], model.BLOCK):
        cut = slice(offset, min(offset + model.BLOCK, shape[1]))
        model._run(cut, drivers, p, codes, fixed, 0, daily, residuals)
    return daily


def rival(drivers: Any, p: Any, codes: Any, fixed: Any) -> np.ndarray:
    """The same with the Python sources of the kernel over all cells at once."""
    shape, block = drivers.shape[1:], model.BLOCK
    daily, residuals = np.empty((len(_kernel.OUTPUTS), *shape), np.float32), np.empty(shape)
    kept = {name: value for name, value in vars(_kernel).items() if hasattr(value, "py_func")}
    vars(_kernel).update({name: value.py_func for name, value in kept.items()})
    vars(_kernel)["range"] = lambda *ends: (slice(0, ends[0]),) if ends == (shape[1],) else builtins.range(*ends)
    own, model.run_block, model.BLOCK = model.run_block, _kernel.run_block, shape[1]
    try:
        model._run(slice(0, shape[1]), drivers, p, codes, fixed, 0, daily, residuals)
    finally:
        vars(_kernel).update(kept)
        del vars(_kernel)["range"]
        model.run_block, model.BLOCK = own, block
    return daily


def spent(call: Callable[..., np.ndarray], given: tuple[Any, ...]) -> tuple[float, np.ndarray]:
    """Processor time [s] of the faster of two runs, and the result."""
    times = []
    for _ in range(2):
        begin = time.process_time()
        found = call(*given)
        times.append(time.process_time() - begin)
    return min(times), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=4096)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    given = prepared(options.cells, options.days)
    compiled(*(given[0][..., :64], *(type(part)(*(v[..., :64] for v in part)) for part in given[1:])))
    (one, ours), (other, theirs) = spent(compiled, given), spent(rival, given)
    for k, name in enumerate(_kernel.OUTPUTS):
        np.testing.assert_allclose(theirs[k], ours[k], rtol=1e-5, atol=1e-5, err_msg=name)
    text = table(options.cells, options.days, one, other)
    print(text)
    if options.write:
        RESULT.write_text(text + "\n", encoding="utf-8")
    assert other / one >= LEAST, f"only {other / one:.1f} times faster than NumPy"


def table(cells: int, days: int, one: float, other: float) -> str:
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7"], capture_output=True, text=True, check=True
    ).stdout.strip()
    speed = [2e-6 * cells * days / span for span in (one, other)]  # the year of the means and the year itself
    return "\n".join(
        [
            "# Speed of the carbon model",
            "",
            f"This tree ({commit}); {cells} cells, {days} days, one thread, processor time of the faster of two runs;",
            "a year for the equilibrium and the year itself, without heat and water of the soil.",
            f"numba {numba.__version__}, NumPy {np.__version__}, Python {platform.python_version()}; the machine was",
            "shared. Made by `python benchmarks/carbon.py --write`.",
            "",
            "| | million cell-days per second | ratio |",
            "|---|---|---|",
            f"| compiled, cells innermost, blocks of {model.BLOCK} | {speed[0]:.2f} | {other / one:.1f} |",
            f"| vectorised NumPy, all cells at once | {speed[1]:.2f} | 1 |",
        ]
    )


if __name__ == "__main__":
    main()
