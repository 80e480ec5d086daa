"""Figure of the scores by month at unseen sites: quartiles over sites by model, and what the members gain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import FAINT, WIDTH, house_style, model_color, model_name, model_order, panel_letters, save

LOWEST = -1.5
"""R2 below which a quartile is drawn at the edge."""


def write_figure(output: str | Path, table: pd.DataFrame, target: str, settings: ReportBlock | None = None) -> None:
    """Draw the table of :func:`fluxatlas.evaluate.periods.write_periods` for one ``target`` as PNG.

    Left: thick lines are quartiles over sites of R2, dots their median, thin lines its 90 % interval. Right: medians of
    the reference less those of the other models.
    """
    settings = settings or ReportBlock()
    rows = table[(table["target"] == target) & (table["protocol"] == "sites")].fillna({"against": ""})
    own, pairs = rows[rows["against"] == ""], rows[rows["against"] != ""]
    models = model_order(own["model"])
    with house_style(settings):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 1.3 + 0.32 * len(models)), width_ratios=[1.15, 1])
        _quartiles(axes[0], own.set_index(["model", "score"]), models)
        first = own.iloc[0]
        axes[0].set_title(f"{target} at {first['sites']} unseen sites")
        _gains(axes[1], pairs[pairs["score"] == "r2_q50"].set_index("against"))
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


def _gains(axis: Any, rows: Any) -> None:
    if rows.empty:
        axis.text(0.5, 0.5, "no other model to compare with", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    names = model_order(rows.index)
    for place, name in enumerate(names):
        row, color = rows.loc[name], model_color(name)
        if np.isfinite(row["low"]):
            axis.plot([row["low"], row["high"]], [place] * 2, color=color, linewidth=1.4)
        axis.plot(row["value"], place, "o", markersize=5, color=color)
    axis.axvline(0, color=FAINT, linewidth=0.8)
    axis.set_yticks(range(len(names)), [model_name(name) for name in names])
    axis.set(ylim=(len(names) - 0.5, -0.5), xlabel="R$^2$ less that of the other")
    axis.set_title(f"Gain of '{rows['model'].iloc[0]}'")
