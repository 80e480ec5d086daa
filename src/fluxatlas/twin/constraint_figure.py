"""The runs of the twin of the regional constraint in one figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from ..config.report import ReportBlock
from ..style import COLORS, FAINT, WIDTH, house_style, save

PANELS = {
    "global": "sum of the world (PgC yr$^{-1}$)",
    "region_rmse": "error of regions (PgC yr$^{-1}$)",
    "iav_ratio": "variation between years / truth",
    "spatial_ratio": "contrast in space / truth",
    "tower_rmse": "error at unseen towers (g m$^{-2}$ d$^{-1}$)",
}
TRUE = {"region_rmse": 0.0, "iav_ratio": 1.0, "spatial_ratio": 1.0, "tower_rmse": 0.0}


def draw(runs: pd.DataFrame, output: Path) -> None:
    """Write a panel of bars for each score of ``runs`` (:func:`~fluxatlas.twin.constraint.run_twin`), truth as line."""
    settings = ReportBlock()
    with house_style(settings):
        figure, axes = plt.subplots(1, len(PANELS), figsize=(WIDTH * 1.5, 0.34 * len(runs) + 1.1), sharey=True)
        for number, (axis, (name, label)) in enumerate(zip(axes, PANELS.items(), strict=True)):
            axis.barh(runs["run"], runs[name], color=COLORS[number % len(COLORS)])
            truth = float(runs["true_global"].iloc[0]) if name == "global" else TRUE[name]
            axis.axvline(truth, color=FAINT, linestyle="--", linewidth=1)
            axis.set_xlabel(label, fontsize="small")
        axes[0].invert_yaxis()
        save(figure, output, settings)
        plt.close(figure)
