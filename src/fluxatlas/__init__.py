"""fluxatlas: from raw climate forcing to global, daily land-flux products.

``fluxatlas.open_run("results/demo")`` opens the results of a run (:mod:`fluxatlas.results`).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import open_run

__version__ = version("fluxatlas")
__all__ = ["__version__", "open_run"]


def __getattr__(name: str) -> Any:
    """``open_run``, imported when it is first asked for: the commands start without pandas."""
    if name != "open_run":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from .results import open_run

    return open_run
