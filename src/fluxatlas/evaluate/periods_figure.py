"""Figure of the scores by month at unseen sites: quartiles over sites by model, and what the members gain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import FAINT, WIDTH, house_style, model_color, model_name, model_order, panel_letters, save
from .gains_figure import draw_gains

LOWEST = -1.5
"""R2 below which a quartile is drawn at the edge."""


def write_figure(output: str | Path, table: pd.DataFrame, target: str, settings: ReportBlock | None = None) -> None:
    """Draw the table of :func:`fluxatlas.evaluate.periods.write_periods` for one ``target`` as PNG.

    Above: thick lines are quartiles over sites of R2, dots their median, thin lines its 90 % interval. Below: medians
    of the reference less those of the other models.
    """
    settings = settings or ReportBlock()
    rows = table[(table["target"] == target) & (table["protocol"] == "sites")].fillna({"against": ""})
    own, pairs = rows[rows["against"] == ""], rows[rows["against"] != ""]
    models = model_order(own["model"])
    with house_style(settings):
        figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 2.2 + 0.6 * len(models)), height_ratios=[1.25, 1])
        _quartiles(axes[0], own.set_index(["model", "score"]), models)
        first = own.iloc[0]
        axes[0].set_title(f"{target} at {first['sites']} unseen sites")
        medians = pairs[pairs["score"] == "r2_q50"].set_index("against")
        label = "median of R$^2$ less that of the other model"
        draw_gains(axes[1], medians, label, "Gain of the {model}: right of zero it is better")
        panel_letters(axes)
        save(figure, output, settings)


def _quartiles(axis: Any, rows: Any, models: list[str]) -> None:
    for place, model in enumerate(models):
        low, middle, high = (rows.loc[(model, f"r2_q{q}")] for q in (25, 50, 75))
        color = model_color(model)
        axis.plot(np.clip([low["value"], high["value"]], LOWEST, 1), [place] * 2, color=color, linewidth=5, alpha=0.35)
        if np.isfinite(middle["low"]):
            axis.plot(np.clip([middle["low"], middle["high"]], LOWEST, 1), [place] * 2, color=color, linewidth=1.4)
        below = middle["value"] < LOWEST
        axis.plot(max(middle["value"], LOWEST), place, "<" if below else "o", markersize=5, color=color)
    axis.axvline(0, color=FAINT, linewidth=0.8)
    axis.set_yticks(range(len(models)), [model_name(name) for name in models])
    axis.set(
        ylim=(len(models) - 0.5, -0.5), xlim=(LOWEST - 0.05, 1), xlabel="R$^2$ of periods (quartiles, median of sites)"
    )
