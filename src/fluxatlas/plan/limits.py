"""How long a job may take: the run time that rules ask the scheduler for, from what ``plan`` expects of the job."""

from __future__ import annotations

import math

from ..run import Run
from .costs import calibration
from .learning import cost
from .work import work

SAFETY = 3.0
"""Times the expected processor time that a job may take: slower cores, shared disks, work that was estimated."""
STEP = 10
"""Run times are multiples of this many minutes."""


def minutes(run: Run, stage: str, least: int, times: float = 1.0) -> int:
    """Run time [minutes] of a job that does ``times`` the work of a heavy job of ``stage``, ``least`` or more.

    Raises :class:`InputError` for a calibration that cannot be read.
    """
    todo, price = work(run)[stage], calibration(run).costs[stage]
    if stage == "infer" and run.land:  # a tile of land alone, not the mean of all
        times *= max(run.land.values()) * len(run.land) / max(sum(run.land.values()), 1)
    return _rounded(price.seconds_per_job + times * todo.units / max(todo.carriers, 1) * price.seconds_per_unit, least)


def of_training(run: Run, rule: str, least: int, name: str = "") -> int:
    """As :func:`minutes` for a job of training: a ``rule`` and ``name`` of :func:`~fluxatlas.plan.learning.cost`."""
    return _rounded(cost(run, rule, calibration(run).costs["train"], name), least)


def _rounded(seconds: float, least: int) -> int:
    return max(least, STEP * math.ceil(SAFETY * seconds / 60 / STEP))
