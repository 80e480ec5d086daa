"""Figure of the factors of a trend: a bar for each factor, models beside each other, a panel for each flux."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import FAINT, WIDTH, house_style, model_color, save, unit
from .trends import ALL, NONE

NAMES = {"network": "members", "process": "process model"}
BARS = {ALL: "whole trend", NONE: "all factors held"}


def write_figure(output: str | Path, table: pd.DataFrame, settings: ReportBlock | None = None) -> None:
    """Draw the table of :func:`fluxatlas.evaluate.trends.write_trends` as PNG.

    Bars are means over members; thick lines reach from the smallest to the largest member, thin ones over the mean 90 %
    interval of the slope. The bar of ``all`` is the sum of the others.
    """
    fluxes, order = list(dict.fromkeys(table["flux"])), list(dict.fromkeys(table["factor"]))
    models = [name for name in NAMES if name in set(table["model"])]
    settings = settings or ReportBlock()
    with house_style(settings):
        height = 0.9 + 0.3 * len(order)
        figure, axes = plt.subplots(len(fluxes), 1, figsize=(WIDTH, 0.5 + height * len(fluxes)), squeeze=False)
        for axis, flux in zip(axes[:, 0], fluxes, strict=True):
            rows = table[table["flux"] == flux]
            for number, model in enumerate(models):
                own = rows[rows["model"] == model].groupby("factor")[["trend", "low", "high"]]
                mean, least, most = own.mean().loc[order], own.min().loc[order], own.max().loc[order]
                place = np.arange(len(order)) + 0.4 * (number - (len(models) - 1) / 2)
                axis.barh(place, mean["trend"], 0.36, color=model_color(model), alpha=0.85, label=NAMES[model])
                axis.hlines(place, mean["low"], mean["high"], color=FAINT, linewidth=0.8)
                axis.hlines(place, least["trend"], most["trend"], color=FAINT, linewidth=2.5)
            axis.set_yticks(range(len(order)), [BARS.get(name, name) for name in order])
            axis.axvline(0, color=FAINT, linewidth=0.7)
            axis.invert_yaxis()
            axis.grid(visible=False, axis="y")
            axis.set(title=f"Trend of {flux}", xlabel=unit(str(rows["unit"].iloc[0])))
        axes[0, 0].legend(loc="best")
        save(figure, output, settings)
