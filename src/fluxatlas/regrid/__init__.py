"""The stage ``regrid``: separable weights, downscaling by altitude, attributes of cells and sites.

:class:`TileRegridder` is loaded on first use, so that ``regrid.land`` costs the Snakefile no import of numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tile import TileRegridder, downscale

__all__ = ["TileRegridder", "downscale"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import tile

        return getattr(tile, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
