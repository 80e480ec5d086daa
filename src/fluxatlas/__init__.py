"""fluxatlas: from raw climate forcing to global, daily land-flux products.

``fluxatlas.open_run("results/demo")`` opens the results of a run (:mod:`fluxatlas.results`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import open_run

    __version__: str

__all__ = ["__version__", "open_run"]


def __getattr__(name: str) -> Any:
    """What is made when it is first asked for: commands start without pandas, declarations without package metadata."""
    if name == "open_run":
        from .results import open_run

        return open_run
    if name == "__version__":
        from importlib.metadata import version

        return globals().setdefault(name, version("fluxatlas"))
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
