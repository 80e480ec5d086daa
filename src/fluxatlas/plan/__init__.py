"""``fluxatlas plan``: jobs, time, memory and disk of a run before it starts.

Work is counted from the configuration; what one unit of work costs is read from ``resources/calibration.csv``, measured
on the machine named there, or measured on the user's machine (``--calibrate``). Time is what one core of that machine
needs; expect a factor of two either way elsewhere.
"""

from .costs import shipped
from .table import table
from .wall import wall_hours
from .work import benchmark, comparison_jobs, permutations, plan, twins, work

__all__ = ["benchmark", "comparison_jobs", "permutations", "plan", "shipped", "table", "twins", "wall_hours", "work"]
