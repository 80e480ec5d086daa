"""How long a job may take: the run time that rules ask the scheduler for, from what ``plan`` expects of the job."""

from __future__ import annotations

import math

from ..run import Run
from .costs import calibration
from .work import work

SAFETY = 3.0
"""Times the expected processor time that a job may take: slower cores, shared disks, work that was estimated."""
STEP = 10
"""Run times are multiples of this many minutes."""


def minutes(run: Run, stage: str, least: int, times: float = 1.0) -> int:
    """Run time [minutes] of a job that does ``times`` the work of a heavy job of ``stage``, ``least`` or more.

    Raises :class:`InputError` for a calibration that cannot be read.
    """
    todo, cost = work(run)[stage], calibration(run).costs[stage]
    if stage == "infer" and run.land:  # a tile of land alone, not the mean of all
        times *= max(run.land.values()) * len(run.land) / max(sum(run.land.values()), 1)
    expected = cost.seconds_per_job + times * todo.units / max(todo.carriers, 1) * cost.seconds_per_unit
    return max(least, STEP * math.ceil(SAFETY * expected / 60 / STEP))
