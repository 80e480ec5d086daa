"""What is said at the end of a run: the files worth opening, or those that a part of it has made."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .run import Run


def _worth_opening(run: Run) -> dict[str, str]:
    """What a user opens first after a whole run, and what it is."""
    if not run.has_maps:
        return {
            run.paths("report.html"): "skill and figures on one page",
            run.paths("evaluate", "skill.csv"): "skill at sites that were left out, beside the baselines",
            run.prediction(run.members[0]): "days at all sites as predicted without them (Parquet)",
        }
    first, year = run.variables[0], run.years[0]
    return {
        run.paths("report.html"): "maps, skill, budget on one page",
        run.paths.daily(first, year): "daily product (NetCDF)",
        run.paths("products", "cog", f"{first}_{year}.tif"): "annual mean (GeoTIFF)",
        run.paths("products", "budget.csv"): "budgets by region",
        run.paths("evaluate", "skill.csv"): "skill at sites that were left out, beside the baselines",
    }


def absent_results(run: Run) -> list[str]:
    """Files worth opening that are not there (yet)."""
    return [path for path in _worth_opening(run) if not Path(path).exists()]


def program() -> str:
    """How ``fluxatlas`` is called here: by its name where an environment is active, else by its place in it."""
    place = Path(sys.prefix) / "bin" / "fluxatlas"
    if sys.prefix == sys.base_prefix or "VIRTUAL_ENV" in os.environ or not place.exists():
        return "fluxatlas"
    return shlex.quote(str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place))


def farewell(run: Run, asked: Sequence[str] = ()) -> str:
    """What a run has made: the files worth opening, of a part of it those ``asked`` for; only files that exist."""
    if asked:
        there = [path for path in asked if Path(path).exists()]
        more = [f"  ... and {len(there) - 10} more"] if len(there) > 10 else []
        lines = [f"  {path}" for path in there[:10]] + more
        return "\n".join(
            [
                "",
                f"Done: a part of {run.describe()}",
                *lines,
                "The run is partial: `fluxatlas status` says what is missing.",
                "",
            ]
        )
    files = {path: what for path, what in _worth_opening(run).items() if Path(path).exists()}
    width = max(map(len, files), default=0)
    lines = [f"  {path:<{width}}  {what}" for path, what in files.items()]
    look = ["In the browser:", f"  {program()} explore {shlex.quote(str(run.paths.root))}"] * run.has_maps
    return "\n".join(["", f"Done: {run.describe()}", "Worth opening:", *lines, *look, ""])
