"""The block ``report`` of the configuration."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from .base import Block
from .leaves import leaf

FigureName = Literal[
    "inputs_map",
    "flux_map",
    "truth_map",
    "seasonal_cycle",
    "site_series",
    "site_scatter",
    "tower_series",
    "skill",
    "unseen",
    "responses",
    "attribution",
    "loss_curves",
    "budget",
    "region_months",
]


class ReportBlock(Block):
    """Settings of the stage ``report``: everything about the look of figures and pages, and nothing else."""

    jobs = ("figure",)

    figures: list[FigureName] = Field(
        default_factory=lambda: list(get_args(FigureName)),
        json_schema_extra=leaf(why="decides which jobs there are: each figure is one"),
    )
    """Figures to draw; those that need the truth are left out where there is none."""
    dpi: int = Field(150, ge=50, le=600)
    """Resolution of the figures in dots per inch."""
    colormap: str = "viridis"
    """Matplotlib colour map of fluxes; choose one that is even in lightness, such as viridis, cividis or magma."""
    bands: int = Field(4, ge=1, le=8)
    """Number of latitude bands in the figure of seasonal cycles."""
    sites: int = Field(6, ge=1, le=12)
    """Number of sites, those with most observations first, in figures of time series."""
    font_size: float = Field(9.0, ge=5, le=20)
    """Size of text in points."""
