"""What one model gains on the others, drawn beside each other with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..style import FAINT, model_color, model_name, model_order


def draw_gains(axis: Axes, rows: pd.DataFrame, label: str, title: str) -> None:
    """A dot with its interval for each row of differences, which are indexed by the model that is compared ``against``.

    ``title`` holds ``{model}`` for the name of the model that gains. Without a row the panel says so.
    """
    if rows.empty:
        axis.text(0.5, 0.5, "no other model to compare with", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    names = model_order(rows.index)
    for place, name in enumerate(names):
        row: Any = rows.loc[name]
        if np.isfinite(row["low"]):
            axis.plot([row["low"], row["high"]], [place, place], color=model_color(name), linewidth=1.6, alpha=0.6)
        axis.plot(row["value"], place, "o", color=model_color(name), markersize=5)
    axis.axvline(0, color=FAINT, linewidth=0.8)
    axis.set_yticks(range(len(names)), [model_name(name) for name in names])
    axis.set(ylim=(len(names) - 0.5, -0.5), xlabel=label)
    axis.set_title(title.format(model=model_name(str(rows["model"].iloc[0]))))
