"""The stage ``regrid``: separable weights, downscaling by altitude, attributes of cells and sites."""

from .tile import TileRegridder, downscale

__all__ = ["TileRegridder", "downscale"]
